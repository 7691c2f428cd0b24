/* What all forms share: one request at a time that can be given up, problems at the field that they are about. */

import { Problem } from "./api.js";
import { byId, made, newId, say } from "./dom.js";

/** Have a form do `work(signal)` when it is sent; `busy` is what its button says meanwhile. */
export function onSubmit(form, busy, work) {
  const button = form.querySelector("button.main");
  const cancel = form.querySelector("[data-cancel]");
  const usual = button.textContent;
  let running = null;
  const done = () => {
    running = null;
    button.textContent = usual;
    button.removeAttribute("aria-disabled");
    form.removeAttribute("aria-busy");
    if (cancel) cancel.hidden = true;
  };
  form.addEventListener("reset", () => clearProblems(form));
  cancel?.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    clearProblems(form);
    button.textContent = busy;
    button.setAttribute("aria-disabled", "true");
    form.setAttribute("aria-busy", "true");
    say(busy);
    const soon = setTimeout(() => { if (cancel && running) cancel.hidden = false; }, 600);
    try {
      await work(running.signal);
    } catch (error) {
      if (error.name === "AbortError") say("Given up: nothing was changed.");
      else if (error instanceof Problem) tell(form, error.members);
      else if (error instanceof DOMException) tell(form, unreadable().members);
      else throw error;
    } finally {
      clearTimeout(soon);
      const focused = document.activeElement === cancel;
      done();
      if (focused) button.focus();
    }
  });
}

/** A mistake that is told before anything is sent, of the field with that pointer. */
export const mistake = (pointer, detail, hint = "") => new Problem({ title: "That can’t be sent", detail, hint, pointer });

/** What a browser tells of a file that is gone, was changed since it was chosen, or is a folder, in people's words. */
export const unreadable = (pointer = "") => mistake(pointer, "That file can’t be read", "It may be gone, or another by now, or a folder: choose it again.");

export function clearProblems(form) {
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    describe(field, "");
  }
  const box = form.querySelector("[data-problem]");
  box.hidden = true;
  box.replaceChildren();
}

/** What to do about it here, where the API's hint names another of its calls. */
const HERE = {
  "/problems/already-sealed": "Change puts another value into it, and Look tells what it holds",
  "/problems/not-sealed": "Seal does that",
  "/problems/unauthenticated": "",
};

/** Tell a problem at the field that it is about, or under the form, and go there. */
export function tell(form, problem) {
  if (problem.pointer === "#/secret") byId("change-secret-field").hidden = false;
  const field = problem.field || fieldOf(form, problem);
  const hint = HERE[problem.type] ?? problem.hint ?? "";
  const words = [problem.detail || problem.title, hint].filter(Boolean);
  if (field) {
    for (let closed = field.closest("details:not([open])"); closed; closed = field.closest("details:not([open])")) closed.open = true;
    field.setAttribute("aria-invalid", "true");
    describe(field, words.map((text) => sentence(withoutMember(text, problem.pointer))).join(" "));
    pointOut(field, problem.line);
    field.focus();
    return;
  }
  const box = form.querySelector("[data-problem]");
  box.replaceChildren(
    made("p", { className: "title" }, problem.title || "It did not work"),
    made("p", {}, sentence(problem.detail || "")),
    ...(hint ? [made("p", {}, sentence(hint))] : []),
    ...(problem.requestId ? [made("p", { className: "hint" }, `Request ${problem.requestId}`)] : []),
  );
  box.hidden = false;
  box.focus();
}

/** The API names the member first (`cert: no PEM data`), which the field does already. */
function withoutMember(text, pointer = "") {
  const member = pointer.split("/")[1];
  return member && text.startsWith(`${member}: `) ? text.slice(member.length + 2) : text;
}

const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");

/** Find the field that a problem is about: by its pointer, its entry, its line. */
function fieldOf(form, problem) {
  const fields = [...form.querySelectorAll("[data-pointer], [data-field], #token")].filter((one) => one.offsetParent !== null || one.closest("details"));
  const shown = fields.filter((one) => !one.closest("[hidden]"));
  const by = (test) => shown.find(test);
  if (problem.pointer) {
    const found = by((one) => pointers(one).includes(problem.pointer))
      || by((one) => pointers(one).some((at) => problem.pointer.startsWith(`${at}/`)))
      || by((one) => pointers(one).some((at) => at.startsWith(`${problem.pointer}/`)));
    if (found) return found;
  }
  if (problem.entry) {
    const found = by((one) => one.dataset.field === "entry");
    if (found) return found;
  }
  if (problem.keyRef || problem.type === "/problems/key-ref") {
    const found = by((one) => one.dataset.field === "keys");
    if (found) return found;
  }
  const ofFile = ["manifest", "repeated", "not-sealed", "already-sealed", "nothing-to-seal", "altered"];
  if (problem.line || ofFile.some((name) => problem.type === `/problems/${name}`)) return by((one) => one.dataset.field === "manifest");
  if (problem.status === 401) return by((one) => one === byId("token"));
  return undefined;
}

const pointers = (field) => (field.dataset.pointer || "").split("\n").filter(Boolean);

/** Say under a field what is wrong with it. */
function describe(field, text) {
  let place = field.dataset.error && byId(field.dataset.error);
  if (!place) {
    place = made("p", { className: "error", id: newId("error") });
    field.dataset.error = place.id;
    (field.closest(".field") || field.parentElement).append(place);
  }
  place.textContent = text;
  const others = (field.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && id !== place.id);
  field.setAttribute("aria-describedby", (text ? [...others, place.id] : others).join(" "));
}

/** Select a line of a text, and have it in view. */
function pointOut(field, line) {
  if (!line || field.tagName !== "TEXTAREA") return;
  const lines = field.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  field.setSelectionRange(start, start + (lines[line - 1] || "").length);
  field.scrollTop = (line - 3) * parseFloat(getComputedStyle(field).lineHeight);
}
