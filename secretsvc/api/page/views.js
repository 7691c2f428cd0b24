/* The views that start from a file: seal, change, look, open. */

import { call, json, post, strictText, warnings } from "./api.js";
import { byId, made, newId, plural } from "./dom.js";
import { mistake, onSubmit } from "./forms.js";
import { manifestField } from "./manifest.js";
import { clearResult, showParts, showResult } from "./result.js";
import { inPointer, mapping, valueField } from "./values.js";

const SCOPES = {
  "": "This name in this namespace (strict)",
  namespace: "Any name in this namespace (namespace-wide)",
  any: "Any name, anywhere (cluster-wide)",
};

/** Fill a placeholder (`data-sealing`); a function that returns the query. `keys()` are those that may be named. */
export function sealing(place, keys) {
  const scope = made("select", { id: newId("scope") }, ...Object.entries(SCOPES).map(([value, word]) => made("option", { value }, word)));
  const list = made("div", { className: "keys" });
  const repeated = made("input", { type: "checkbox" });
  const group = made("fieldset", { className: "plain", hidden: true }, made("legend", {}, "Seal to these keys only"),
    made("p", { className: "hint" }, "None chosen: to those that the service’s rules name for this Secret."), list);
  place.append(
    made("summary", {}, "Scope and keys"),
    made("div", { className: "field" }, made("label", { htmlFor: scope.id }, "It can be opened as"), scope),
    group,
    made("label", { className: "check" }, repeated, " The file may have a value in the clear elsewhere"),
  );
  place.addEventListener("toggle", () => {
    if (!place.open || list.childElementCount) return;
    group.hidden = !keys().length;
    list.replaceChildren(...keys().map((key) => made("label", { className: "check" }, made("input", { type: "checkbox", value: key, "data-field": "keys" }), made("code", {}, key))));
  });
  return () => ({
    scope: scope.value,
    key: [...list.querySelectorAll("input:checked")].map((one) => one.value),
    allowRepeated: repeated.checked ? "true" : "",
  });
}

function parts(section) {
  return {
    form: section.querySelector("form"),
    place: section.querySelector("[data-result]"),
    file: manifestField(section.querySelector("[data-manifest]")),
  };
}

/** What is told of an answer beside its bytes. */
const notes = (headers) => [
  ...warnings(headers),
  ...(headers.get("ksecret-unbound") === "true" ? ["This format binds a file to no name: whoever holds it can give it another."] : []),
];

const send = (path, taken, options = {}) =>
  call("POST", path, { ...options, body: taken.bytes, type: taken.type, query: { ...options.query, kind: taken.kind } });

const secrets = (headers) => plural(Number(headers.get("ksecret-secrets")) || 0, "Secret");

export function setUpSeal(section, query, may, look) {
  const { form, place, file } = parts(section);
  onSubmit(form, "Sealing…", async (signal) => {
    clearResult(place);
    const taken = file.take();
    const { bytes, headers } = await send("v1/encrypt", taken, { query: query(), signal });
    const name = taken.name || "sealed.yaml";
    showResult(place, {
      title: "Sealed", bytes, before: taken.bytes, name, facts: [secrets(headers)], notes: notes(headers),
      more: may("inspect") ? [["Look at it", () => look(bytes, name)]] : [],
    });
  });
}

export function setUpOpen(section) {
  const { form, place, file } = parts(section);
  onSubmit(form, "Opening…", async (signal) => {
    clearResult(place);
    const taken = file.take();
    const { bytes, headers } = await send("v1/decrypt", taken, { signal });
    showResult(place, {
      title: "Opened", bytes, name: taken.name || "clear.yaml", secret: true, facts: [secrets(headers)],
      notes: ["This is in the clear: not for Git, chats or tickets.", ...notes(headers)],
    });
  });
}

export function setUpLook(section) {
  const { form, place, file } = parts(section);
  onSubmit(form, "Looking…", async (signal) => {
    clearResult(place);
    const answer = await send("v1/inspect", file.take(), { signal });
    const found = JSON.parse(strictText(answer.bytes)).secrets;
    showParts(place, found.length ? plural(found.length, "Secret") : "No Secret is in it", ...found.slice(0, 200).map(card));
  });
  return (bytes, name) => { file.put(bytes, name).then(() => form.requestSubmit()); };
}

const labelOf = (one) => [one.namespace, one.name].filter(Boolean).join("/");

/** The description of a Secret, as `ksecret inspect` has it. */
function card(one) {
  const clear = new Set(one.inTheClear);
  const label = labelOf(one) || "a Secret without a name";
  const entries = Object.entries(one.entries).flatMap(([field, names]) => names.map((name) => [name, clear.has(`${field}/${name}`) || clear.has(name)]));
  const terms = [
    ["Type", one.type],
    ["Opens", one.sealed ? opens(one) : ""],
    ["Format", one.format],
    ["Data key", one.created && since(one)],
    ["Keys", keysOf(one)],
    ["Values", entries.map(([name, inTheClear]) => made("span", { className: inTheClear ? "clear" : "" }, made("code", {}, name), inTheClear ? " in the clear" : ""))],
  ];
  return made("article", { className: "card" },
    made("h3", {}, label, " ", made("span", { className: one.sealed ? "badge" : "badge clear" }, one.sealed ? "sealed" : "in the clear")),
    made("dl", {}, ...terms.filter(([, told]) => told?.length).flatMap(([term, told]) =>
      [made("dt", {}, term), ...[told].flat().map((each) => made("dd", {}, each))])));
}

/** The keys, of which any one opens; where they are in groups, how many groups are needed. */
function keysOf(one) {
  const groups = new Set(one.keys.map((key) => key.group)).size;
  const refs = one.keys.map((key) => made("span", {}, key.group ? `group ${key.group}: ` : "", made("code", {}, key.ref)));
  return one.threshold ? [`${one.threshold} of ${plural(groups, "group")} are needed`, ...refs] : refs;
}

/** When its data key was made: as it says itself, so anything may stand there. */
function since(one) {
  const time = one.created.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ$/, "$1, $2 UTC");
  if (one.ageDays === null) return time;
  return `${time} (${one.ageDays ? `${plural(one.ageDays, "day")} ago` : "today"})`;
}

function opens(one) {
  const [namespace, name] = one.sealedFor.split("/");
  if (!one.sealedFor) return "under any name: this format binds it to none";
  if (one.sealedFor === "*/*") return "under any name, anywhere";
  return name === "*" ? `under any name in ${namespace}` : `as ${one.sealedFor} only`;
}

export function setUpChange(section, may, look) {
  const { form, place, file } = parts(section);
  const value = valueField("New value from", { remove: "Nothing: take the entry away" });
  byId("change-value").append(value.element);
  byId("change-value").className = "field";
  value.ways.setAttribute("data-field", "value");
  form.addEventListener("reset", () => setTimeout(value.show));
  file.onchange = () => { if (may("inspect")) offerEntries(file); };
  byId("change-secret").addEventListener("change", namesOfChosen);
  onSubmit(form, "Changing…", async (signal) => {
    clearResult(place);
    const taken = file.take();
    const manifest = strictText(taken.bytes);
    if (manifest === null) throw mistake("#/manifest", "That is no text in UTF-8", "Use the command line for such a file.");
    const entry = byId("change-entry").value;
    const at = inPointer(entry);
    byId("change-entry").dataset.pointer = ["values", "base64Values", ...(value.ways.value === "random" ? [] : ["random"])].map((member) => `#/${member}/${at}`).join("\n");
    value.length.dataset.pointer = `#/random/${at}`;
    if (!entry) { byId("change-entry").dataset.pointer = "#/entry"; throw mistake("#/entry", "Which value?", "Say its name."); }
    const members = { manifest, kind: taken.kind, secret: byId("change-secret-field").hidden ? "" : byId("change-secret").value, allowRepeated: byId("change-repeated").checked };
    const said = await chosen(value, members, entry);
    const { bytes, headers } = await post("v1/set", members, { signal });
    const name = taken.name || "sealed.yaml";
    showResult(place, {
      title: "Changed", bytes, before: taken.bytes, name, facts: [said], notes: notes(headers),
      more: may("inspect") ? [["Look at it", () => look(bytes, name)]] : [],
    });
  });
}

/** Put the new value into the request's members; what is told of it then. */
async function chosen(value, members, entry) {
  const given = await value.read();
  const holder = mapping();
  const [member, content, said] = {
    text: () => ["values", given.text, given.text ? "has a new value" : "is empty now"],
    file: () => ["base64Values", given.base64, `has ${given.name} as its value`],
    random: () => ["random", given.length || 0, `has ${given.length} random letters and digits, which nobody has seen`],
    remove: () => ["values", null, "was taken away"],
  }[given.way]();
  if (given.way === "file" && content === null) {
    value.file.dataset.pointer = "#/file";
    throw mistake("#/file", "No file is chosen");
  }
  holder[entry] = content;
  members[member] = holder;
  return `${entry} ${said}`;
}

let described = [];

/** Offer the names of entries that are there; where they can't be had, they are typed. */
async function offerEntries(file) {
  described = [];
  try {
    const taken = file.take();
    described = (await json("POST", "v1/inspect", { body: taken.bytes, type: taken.type, query: { kind: taken.kind } })).secrets.slice(0, 200);
  } catch { /* the change itself will say what is wrong */ }
  byId("change-secrets").replaceChildren(...described.map((one) => made("option", { value: labelOf(one) })));
  byId("change-secret-field").hidden = described.length < 2;
  namesOfChosen();
}

function namesOfChosen() {
  const one = described.find((each) => labelOf(each) === byId("change-secret").value) || described[0];
  const names = one ? [...new Set(Object.values(one.entries).flat())].slice(0, 500) : [];
  byId("change-entries").replaceChildren(...names.map((value) => made("option", { value })));
}
