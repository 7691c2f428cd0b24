/* What came of it: a heading, what changed, the text to copy or to download. */

import { text as textOf } from "./api.js";
import { made, plural, say } from "./dom.js";

const MARKED = 5000;
const SHOWN = 400_000;

export function clearResult(place) {
  place.hidden = true;
  place.replaceChildren();
}

/** Show it. `before`: the bytes that it was made of; `secret`: it is shown only once asked for; `more`: buttons. */
export function showResult(place, { title, facts = [], notes = [], bytes, before, name, secret = false, more = [] }) {
  const text = textOf(bytes);
  const news = before && !secret ? changed(textOf(before), text) : null;
  const heading = made("h2", { tabIndex: -1 }, title);
  const told = [...facts, ...(news ? [news.said] : [])];
  const shown = made("pre", { tabIndex: 0, hidden: secret }, ...lines(text, news));
  shown.setAttribute("role", "region");
  shown.setAttribute("aria-label", secret ? "The file in the clear" : "The sealed file");
  const buttons = [
    made("button", { type: "button", onclick: () => copy(text, shown) }, "Copy"),
    made("button", { type: "button", onclick: () => download(bytes, name) }, "Download"),
    ...more.map(([word, onclick]) => made("button", { type: "button", className: "quiet", onclick }, word)),
  ];
  if (secret) {
    const reveal = made("button", { type: "button", "aria-expanded": "false", onclick: () => {
      shown.hidden = !shown.hidden;
      reveal.textContent = shown.hidden ? "Show" : "Hide";
      reveal.setAttribute("aria-expanded", String(!shown.hidden));
    } }, "Show");
    buttons.unshift(reveal);
  }
  place.replaceChildren(
    heading,
    ...(told.length ? [made("ul", { className: "facts" }, ...told.map((fact) => made("li", {}, fact)))] : []),
    ...notes.map((note) => made("p", { className: "note" }, note)),
    made("div", { className: "actions" }, ...buttons),
    shown,
  );
  place.hidden = false;
  heading.focus();
  say(`${title}.`);
}

/** Show something else in its place. */
export function showParts(place, title, ...parts) {
  const heading = made("h2", { tabIndex: -1 }, title);
  place.replaceChildren(heading, ...parts);
  place.hidden = false;
  heading.focus();
}

async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    shown.hidden = false;
    getSelection().selectAllChildren(shown);
    say("It is selected: copy it with your keyboard.");
  }
}

function download(bytes, name) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  made("a", { href: url, download: fileName(name) }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  say("Downloaded.");
}

/** A name that is no more than that on any system. */
export const fileName = (name) => (name || "secret.yaml").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "").slice(0, 100) || "secret.yaml";

function lines(text, news) {
  if (!news?.lines || text.length > SHOWN) return [text];
  return text.split(/(?<=\n)/).map((line, at) => (news.lines.has(at) ? made("ins", {}, line) : line));
}

/** Find which lines of `after` are not in `before`, in order; and say so. */
export function changed(before, after) {
  if (before === after) return { said: "Nothing changed", lines: new Set() };
  const [one, two] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < one.length && start < two.length && one[start] === two[start]) start++;
  let end = 0;
  while (end < one.length - start && end < two.length - start && one.at(-1 - end) === two.at(-1 - end)) end++;
  const [was, is] = [one.slice(start, one.length - end), two.slice(start, two.length - end)];
  if (is.length > MARKED || was.length * is.length > 4_000_000) return { said: `${plural(is.length, "line")} from line ${start + 1} on are others`, lines: null };
  const kept = common(was, is);
  const found = is.map((_, at) => at).filter((at) => !kept.has(at)).map((at) => at + start);
  return { said: found.length ? `Changed: ${ranges(found)}. All other lines are as they were` : "Lines were taken out", lines: new Set(found) };
}

/** The lines of the second that a longest common subsequence keeps. */
function common(was, is) {
  const rows = [new Uint32Array(is.length + 1)];
  for (let at = was.length - 1; at >= 0; at--) {
    const below = rows[0];
    const row = new Uint32Array(is.length + 1);
    for (let to = is.length - 1; to >= 0; to--) row[to] = was[at] === is[to] ? below[to + 1] + 1 : Math.max(below[to], row[to + 1]);
    rows.unshift(row);
  }
  const kept = new Set();
  for (let at = 0, to = 0; at < was.length && to < is.length;) {
    if (was[at] === is[to]) { kept.add(to); at++; to++; } else if (rows[at + 1][to] >= rows[at][to + 1]) at++; else to++;
  }
  return kept;
}

function ranges(numbers) {
  const found = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last && last[1] === number) last[1] = number + 1;
    else found.push([number + 1, number + 1]);
  }
  const words = found.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  const many = words.length > 12 ? [...words.slice(0, 12), "…"] : words;
  return `${numbers.length === 1 ? "line" : "lines"} ${many.join(", ")}`;
}
