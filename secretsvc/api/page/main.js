/* The page: who is here, which view is shown. */

import { json, onExpired, use } from "./api.js";
import { byId, made, say } from "./dom.js";
import { mistake, onSubmit, tell } from "./forms.js";
import { setUp as setUpMake } from "./make.js";
import { catchDrops } from "./manifest.js";
import { clearResult } from "./result.js";
import { sealing, setUpChange, setUpLook, setUpOpen, setUpSeal } from "./views.js";

const VIEWS = ["make", "seal", "change", "look", "open"];
const WORDS = { generate: "make", encrypt: "seal", set: "change", inspect: "look", decrypt: "open" };
const byProxy = document.documentElement.dataset.caller === "known";
let me = null;
let keys = [];

const may = (operation) => Boolean(me?.rights.some((right) => right.operations.includes(operation)));
const nameOf = (caller) => caller.token || caller.subject || caller.issuer;

async function arrive() {
  const found = await json("GET", "v1/whoami", { quietly: true });
  keys = (await json("GET", "v1/keys", { quietly: true })).keys;
  if (me && nameOf(me.caller) !== nameOf(found.caller)) forget();
  me = found;
  byId("who").textContent = nameOf(me.caller);
  byId("rights").replaceChildren(...me.rights.map((right) => made("li", {}, said(right))));
  byId("no-rights").hidden = me.rights.length > 0;
  byId("sign-out").hidden = byProxy;
  byId("by-proxy").hidden = !byProxy;
  byId("me").hidden = byId("nav").hidden = false;
  byId("sign-in").hidden = true;
  for (const link of tabs()) link.classList.toggle("off", !may(link.dataset.needs));
  show();
}

const tabs = () => [...document.querySelectorAll("#nav a")];

/** A right in a sentence. */
function said(right) {
  const verbs = right.operations.map((one) => WORDS[one] || one).join(", ");
  const where = right.namespaces.includes("*") ? "any namespace" : right.namespaces.map((one) => one || "none stated").join(", ");
  const names = right.names.includes("*") ? "" : `, Secrets named ${right.names.join(", ")}`;
  return `${verbs[0].toUpperCase()}${verbs.slice(1)} in ${where}${names}`;
}

/** Empty every form, for somebody else. */
function forget() {
  for (const form of document.forms) form.reset();
  document.querySelectorAll("[data-result]").forEach(clearResult);
}

function show() {
  if (!me) return;
  const asked = location.hash.replace("#/", "");
  const allowed = tabs().find((link) => may(link.dataset.needs)) || tabs()[0];
  const view = VIEWS.includes(asked) ? asked : allowed.hash.replace("#/", "");
  for (const name of VIEWS) byId(name).hidden = name !== view;
  for (const link of tabs()) {
    if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const section = byId(view);
  const operation = tabs().find((link) => link.hash === `#/${view}`).dataset.needs;
  const denied = section.querySelector(".denied");
  denied.textContent = may(operation) ? "" : `No rule lets ${nameOf(me.caller)} do this. Whoever runs this service can add one.`;
  denied.hidden = may(operation);
  section.querySelector("form").hidden = !may(operation);
  document.title = `${section.querySelector("h1").textContent} – ksecret`;
  byId("me").open = false;
  section.querySelector("h1").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function askForToken(problem) {
  clearResult(byId("open").querySelector("[data-result]")); // it is in the clear, and who comes next is not known
  byId("me").hidden = byId("nav").hidden = true;
  for (const name of VIEWS) byId(name).hidden = true;
  byId("sign-in").hidden = false;
  document.title = "Sign in – ksecret";
  if (problem) tell(byId("sign-in-form"), problem);
  else byId("token").focus();
}

onExpired((problem) => askForToken(problem.members));
onSubmit(byId("sign-in-form"), "Signing in…", async () => {
  const token = byId("token").value.trim();
  if (!token) throw mistake("#/token", "No token");
  use(token);
  await arrive();
  byId("token").value = "";
  say(`Signed in as ${nameOf(me.caller)}.`);
});
byId("sign-out").addEventListener("click", () => { use(""); forget(); location.reload(); });
byId("me").addEventListener("keydown", (event) => {
  if (event.key === "Escape") { byId("me").open = false; byId("me").querySelector("summary").focus(); }
});
addEventListener("hashchange", show);

catchDrops();
const look = (bytes, name) => { location.hash = "#/look"; lookAt(bytes, name); };
const sealingOf = (id) => sealing(byId(id).querySelector("[data-sealing]"), () => keys);
const lookAt = setUpLook(byId("look"));
setUpMake(byId("make"), sealingOf("make"), may, look);
setUpSeal(byId("seal"), sealingOf("seal"), may, look);
setUpChange(byId("change"), may, look);
setUpOpen(byId("open"));

if (byProxy) arrive().catch((error) => askForToken(error.members));
else askForToken();
