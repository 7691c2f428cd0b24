/* A field for a file: pasted, dropped or chosen. What was not typed is sent byte for byte as it came. */

import { strictText } from "./api.js";
import { made, newId, plural, say } from "./dom.js";
import { clearProblems, mistake, tell, unreadable } from "./forms.js";

const CLEAR = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db-login\n  namespace: prod\nstringData:\n  password: …";
const SEALED = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db-login\n  namespace: prod\nstringData:\n  password: ksecret.v1.…\nksecret:\n  …";
const KINDS = { env: "dotenv", ini: "ini" };
const SHOWN = 200_000;

/** Fill a placeholder (`data-manifest`); an object with `take()`, and `onchange` to be set. */
export function manifestField(place) {
  const area = made("textarea", {
    id: newId("manifest"), rows: 9, spellcheck: false, placeholder: place.dataset.like === "clear" ? CLEAR : SEALED,
    autocapitalize: "none", "data-field": "manifest", "data-pointer": "#/manifest", wrap: "off",
  });
  const about = made("p", { className: "hint", id: `${area.id}-hint` }, "Paste it, drop it here, or ");
  const chooser = made("input", { type: "file", className: "hidden", id: `${area.id}-file` });
  const label = made("label", { className: "link", htmlFor: chooser.id }, "choose a file");
  about.append(label, ".");
  const field = made("div", { className: "field drop" }, made("label", { htmlFor: area.id }, place.dataset.manifest), about, chooser, area);
  area.setAttribute("aria-describedby", about.id);
  place.replaceWith(field);

  const held = { bytes: null, name: "", onchange: () => {}, area };
  const changed = () => held.onchange();
  async function load(file) {
    if (!file) return;
    try {
      held.bytes = new Uint8Array(await file.arrayBuffer());
    } catch {
      tell(field.closest("form"), unreadable("#/manifest").members);
      return;
    }
    held.name = file.name;
    clearProblems(field.closest("form"));
    const text = strictText(held.bytes);
    area.value = text === null ? "" : text.slice(0, SHOWN);
    area.placeholder = text === null ? "A file that is no text: it is sent as it is." : area.placeholder;
    area.readOnly = text !== null && text.length > SHOWN;
    say(`${file.name}, ${plural(file.size, "byte")}`);
    changed();
  }
  area.addEventListener("input", () => { held.bytes = null; held.name = ""; });
  area.addEventListener("change", changed);
  field.closest("form").addEventListener("reset", () => { held.bytes = null; held.name = ""; area.readOnly = false; });
  chooser.addEventListener("change", () => { load(chooser.files[0]); chooser.value = ""; });
  for (const type of ["dragenter", "dragover"]) field.addEventListener(type, (event) => { event.preventDefault(); field.classList.add("over"); });
  for (const type of ["dragleave", "drop"]) field.addEventListener(type, () => field.classList.remove("over"));
  field.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (file) load(file);
  });

  /** Put a file in, as another view's result. */
  held.put = (bytes, name) => load(new File([bytes], name));
  /** Return what is there: `{bytes, name, kind, type}`. Throws Problem where nothing is. */
  held.take = () => {
    const bytes = held.bytes || new TextEncoder().encode(area.value);
    if (!bytes.length) throw mistake("#/manifest", "There is nothing in it", "Paste a manifest, or choose a file.");
    const kind = KINDS[held.name.toLowerCase().split(".").pop()] || (strictText(bytes) === null ? "binary" : "");
    return { bytes, name: held.name, kind, type: kind ? "application/octet-stream" : mediaType(bytes) };
  };
  return held;
}

function mediaType(bytes) {
  const first = bytes.find((byte) => byte > 32);
  return first === 0x7b ? "application/json" : "application/yaml";
}

/** Keep a file that misses its field from taking this page away. */
export function catchDrops() {
  for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
}
