/* A value to be sealed: a text, a file's bytes, or one that the service makes at random. */

import { base64 } from "./api.js";
import { made, newId } from "./dom.js";

const WAYS = { text: "Text", file: "File", random: "Random" };

/** Make a chooser. `says`: what its parts are labelled with; `more`: further ways, which need no control. */
export function valueField(says, more = {}) {
  const id = newId("value");
  const ways = made("select", { id: `${id}-way` });
  for (const [value, word] of Object.entries({ ...WAYS, ...more })) ways.append(made("option", { value }, word));
  const text = made("textarea", { id: `${id}-text`, rows: 1, spellcheck: false, autocapitalize: "none", autocomplete: "off" });
  const file = made("input", { type: "file", id: `${id}-file` });
  const length = made("input", { type: "number", id: `${id}-length`, min: 16, max: 65536, value: 32 });
  const controls = { text, file, random: length };
  const labels = { text: "Value", file: "File", random: "Letters and digits" };
  const parts = Object.entries(controls).map(([way, control]) =>
    made("div", { className: "part", hidden: way !== "text" }, made("label", { htmlFor: control.id }, labels[way]), control));
  const show = () => Object.keys(controls).forEach((way, at) => { parts[at].hidden = way !== ways.value; });
  ways.addEventListener("change", show);
  text.addEventListener("input", () => { text.rows = Math.min(8, text.value.split("\n").length); });
  const element = made("div", { className: "value" }, made("div", { className: "part way" }, made("label", { htmlFor: ways.id }, says), ways), ...parts);

  return {
    element, file, length, text, ways, show,
    /** Whether nobody has said anything here. */
    blank: () => ways.value === "text" && !text.value,
    /** Return which way, and what: base64 of bytes, or a length. A file that was not chosen is null. */
    async read() {
      if (ways.value === "text") return { way: "text", text: text.value, base64: base64(new TextEncoder().encode(text.value)) };
      if (ways.value === "random") return { way: "random", length: length.valueAsNumber };
      if (ways.value !== "file") return { way: ways.value };
      const chosen = file.files[0];
      return { way: "file", base64: chosen ? base64(new Uint8Array(await chosen.arrayBuffer())) : null, name: chosen?.name };
    },
  };
}

/** A member's name in a JSON Pointer (RFC 6901, section 3). */
export const inPointer = (name) => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** An object for names that somebody else chooses: `__proto__` is a name as any other in it. */
export const mapping = () => Object.create(null);
