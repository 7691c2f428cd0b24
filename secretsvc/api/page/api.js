/* The service's API (docs/api.md), as one caller. The token is in this module's memory and nowhere else. */

let token = "";
let expired = () => {};

/** Be called when the service no longer knows who is asking. */
export function onExpired(then) { expired = then; }

export function use(text) { token = text; }

/** A problem of the API's (RFC 9457), or one of the way to it in the same words. */
export class Problem extends Error {
  constructor(members) {
    super(members.detail || members.title);
    this.members = members;
  }
}

const own = (title, detail, hint = "", status = 0) => new Problem({ title, detail, hint, status });

/** Send a request; its answer as `{bytes, headers}`. Throws Problem, and AbortError where `signal` says so. */
export async function call(method, path, { body, type, query = {}, signal, quietly = false } = {}) {
  const asked = new URL(path, document.baseURI);
  for (const [name, values] of Object.entries(query)) {
    for (const value of [values].flat()) if (value !== "") asked.searchParams.append(name, value);
  }
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (type) headers["content-type"] = type;
  let answer;
  let bytes;
  try {
    answer = await fetch(asked, { method, body, headers, signal, cache: "no-store", redirect: "manual", referrerPolicy: "no-referrer" });
    if (answer.type !== "opaqueredirect") bytes = new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw own("The service can’t be reached", "The request did not get through, or its answer did not come back whole.", "Nothing is kept there: just try again.");
  }
  if (!bytes) throw own("Not this service’s answer", "The proxy in front sends you elsewhere: your session there may be over.", "Reload this page.");
  if (answer.ok) return { bytes, headers: answer.headers };
  const problem = problemOf(answer, bytes);
  if (answer.status === 401 && !quietly) expired(problem);
  throw problem;
}

function problemOf(answer, bytes) {
  const media = answer.headers.get("content-type") || "";
  if (media.startsWith("application/problem+json")) {
    try {
      return new Problem(JSON.parse(text(bytes)));
    } catch { /* it is told of below */ }
  }
  return own("Not this service’s answer", `HTTP ${answer.status}, and not in the service’s words: something in between answered.`, "", answer.status);
}

export const json = async (method, path, options) => JSON.parse(text((await call(method, path, options)).bytes));

export const post = (path, members, options = {}) =>
  call("POST", path, { ...options, body: JSON.stringify(members), type: "application/json" });

/** Bytes as text, its mark of byte order included, so that it goes back as it came. */
export const text = (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** The same, or null for what is no text. */
export function strictText(bytes) {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function base64(bytes) {
  let units = "";
  for (let at = 0; at < bytes.length; at += 0x8000) units += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(units);
}

/** What `Warning` headers say (RFC 7234, section 5.5). */
export function warnings(headers) {
  const found = (headers.get("warning") || "").matchAll(/299 - "((?:[^"\\]|\\.)*)"/g);
  return [...found].map((one) => one[1].replace(/\\(.)/g, "$1"));
}
