/* Elements. Text is always text: nothing here, nor in the other modules, reads markup. */

export const byId = (id) => document.getElementById(id);

/** Make an element: `made("a", {href: "#x"}, "text", child)`; members that are no properties are attributes. */
export function made(tag, members = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(members)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== ""));
  return element;
}

/** Say something to whoever can't see that it happened. */
export function say(text) {
  byId("live").textContent = "";
  requestAnimationFrame(() => { byId("live").textContent = text; });
}

let numbers = 0;

/** Return an id that no other element has. */
export const newId = (what) => `${what}-${++numbers}`;

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
