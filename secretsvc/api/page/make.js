/* The view that makes a Secret. */

import { post, strictText, warnings } from "./api.js";
import { byId, made, newId, plural } from "./dom.js";
import { mistake, onSubmit } from "./forms.js";
import { clearResult, showResult } from "./result.js";
import { inPointer, mapping, valueField } from "./values.js";

let rows = [];

export function setUp(section, sealing, may, look) {
  const form = section.querySelector("form");
  const place = section.querySelector("[data-result]");
  byId("add-entry").addEventListener("click", () => addRow().name.focus());
  for (const radio of form.elements.kind) radio.addEventListener("change", () => choose(form));
  byId("make-random-password").addEventListener("change", randomPassword);
  for (const field of form.querySelectorAll("[data-text-or-file]")) offerFile(field);
  form.addEventListener("reset", () => setTimeout(() => { rows.forEach((row) => row.element.remove()); rows = []; addRow(); choose(form); randomPassword(); }));
  addRow();
  choose(form);
  onSubmit(form, "Sealing…", async (signal) => {
    clearResult(place);
    const kind = form.elements.kind.value;
    const members = { name: value("make-name"), ...await KINDS[kind].members() };
    if (value("make-namespace")) members.namespace = value("make-namespace");
    const { bytes, headers } = await post(`v1/generate/${kind}`, members, { query: sealing(), signal });
    const name = `${members.name}.yaml`;
    showResult(place, {
      title: "Made and sealed", bytes, name, facts: KINDS[kind].facts(members), notes: warnings(headers),
      more: may("inspect") ? [["Look at it", () => look(bytes, name)]] : [],
    });
  });
}

const value = (id) => byId(id).value;

function choose(form) {
  for (const part of form.querySelectorAll("[data-kind]")) {
    part.hidden = part.dataset.kind !== form.elements.kind.value;
    part.disabled = part.hidden;
  }
}

function randomPassword() {
  const random = byId("make-random-password").checked;
  byId("make-password").disabled = random;
  byId("make-length-field").hidden = !random;
  if (random) byId("make-password").value = "";
}

/** Let a text field be filled from a file. */
function offerFile(field) {
  const area = field.querySelector("textarea");
  const chooser = made("input", { type: "file", className: "hidden", id: newId("file") });
  chooser.addEventListener("change", async () => {
    const text = strictText(new Uint8Array(await chooser.files[0].arrayBuffer()));
    chooser.value = "";
    area.value = text ?? "";
    area.placeholder = text === null ? "That file is no text: PEM is wanted." : area.placeholder;
    area.focus();
  });
  const hint = made("p", { className: "hint" }, "Paste it, or ", made("label", { className: "link", htmlFor: chooser.id }, "choose a file"), ".", chooser);
  area.before(hint);
}

function addRow() {
  const name = made("input", { id: newId("entry"), spellcheck: false, autocapitalize: "none", autocomplete: "off", placeholder: "password" });
  const chosen = valueField("From");
  const remove = made("button", { type: "button", className: "quiet remove" }, "Remove");
  const element = made("div", { className: "entry field", role: "group", "aria-label": `Value ${rows.length + 1}` },
    made("div", { className: "part" }, made("label", { htmlFor: name.id }, "Name"), name), chosen.element, remove);
  const row = { name, chosen, element };
  remove.addEventListener("click", () => {
    rows = rows.filter((one) => one !== row);
    element.remove();
    (rows.at(-1)?.name || byId("add-entry")).focus();
  });
  chosen.file.addEventListener("change", () => { if (!name.value && chosen.file.files[0]) name.value = chosen.file.files[0].name; });
  byId("entries").append(element);
  rows.push(row);
  return row;
}

async function entries() {
  const [data, random, names] = [mapping(), mapping(), new Set()];
  for (const { name, chosen } of rows) {
    const at = inPointer(name.value);
    name.dataset.pointer = `#/data/${at}`;
    chosen.length.dataset.pointer = `#/random/${at}`;
    if (!name.value && chosen.blank()) continue;
    if (names.has(name.value)) throw withField(mistake("", "Another value has this name", "Keep one of the two."), name);
    names.add(name.value);
    const given = await chosen.read();
    if (given.way === "random") random[name.value] = Number.isInteger(given.length) ? given.length : 0;
    else if (given.base64 === null) throw withField(mistake("", "No file is chosen"), chosen.file);
    else data[name.value] = given.base64;
  }
  return { data, random };
}

function withField(problem, field) {
  problem.members.field = field;
  return problem;
}

const generic = (members) => [
  `${plural(Object.keys(members.data).length + Object.keys(members.random).length, "value")} sealed`,
  ...Object.entries(members.random).map(([name, length]) => `${name}: ${length} random letters and digits, which nobody has seen`),
  ...Object.keys(members.data).filter((name) => !members.data[name]).map((name) => `${name} is empty`),
];

const KINDS = {
  generic: { members: entries, facts: generic },
  tls: {
    members: async () => ({ cert: value("make-cert"), key: value("make-key") }),
    facts: () => ["The certificate and the key belong together", "2 values sealed: tls.crt and tls.key"],
  },
  "docker-registry": {
    members: async () => ({ server: value("make-server"), username: value("make-reg-user"), password: value("make-reg-password"), email: value("make-email") }),
    facts: () => ["1 value sealed: .dockerconfigjson"],
  },
  "basic-auth": {
    members: async () => (byId("make-random-password").checked
      ? { username: value("make-user"), random: { password: byId("make-length").valueAsNumber || 0 } }
      : { username: value("make-user"), password: value("make-password") }),
    facts: (members) => (members.random
      ? [`password: ${members.random.password} random letters and digits, which nobody has seen`]
      : [`${plural([members.username, members.password].filter(Boolean).length, "value")} sealed`]),
  },
  "ssh-auth": {
    members: async () => ({ privateKey: value("make-ssh") }),
    facts: () => ["1 value sealed: ssh-privatekey"],
  },
};
