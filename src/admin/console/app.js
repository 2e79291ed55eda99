// Log in, pages, and the clock that renews them.

import { Lost, Refused, logIn, logOut, object } from "./api.js";
import { byId, card, h } from "./dom.js";
import { consent } from "./consent.js";
import { explain } from "./explain.js";
import { overview } from "./overview.js";
import { openRecord, refusals } from "./refusals.js";
import { registry } from "./registry.js";
import { sessions } from "./sessions.js";
import { ago, moment } from "./words.js";

const EVERY_MS = 2000;
const MAKE = { overview, refusals, sessions, consent, registry, explain };
const pages = new Map();
const main = byId("main");
let page = null;
let timer = null;
let answeredAt = null;

/** The page that the address names: `#name` or `#name/argument`. */
function wanted() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  if (name === "record") return ["refusals", "", rest[0]];
  return name in MAKE ? [name, rest.join("/")] : ["overview", ""];
}

function show(moveFocus) {
  const [name, argument, record] = wanted();
  if (!pages.has(name)) pages.set(name, MAKE[name]());
  page = pages.get(name);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · Consentry`;
  main.replaceChildren(page.root);
  page.enter?.(argument);
  if (moveFocus) main.querySelector("h1")?.focus();
  if (record) openRecord(record);
  turn();
}

function glance(level, line, figures = "") {
  const shown = byId("glance");
  shown.hidden = false;
  shown.className = `glance ${level}`;
  const said = shown.querySelector(".line");
  if (said.firstElementChild?.textContent === line && said.lastElementChild?.textContent === figures) return;
  said.replaceChildren(h("strong", {}, line), " ", h("span", { class: "figures-now" }, figures));
}

/** Asks for what is shown, shows it, and sets the clock again. */
async function turn() {
  clearTimeout(timer);
  if (!page || document.hidden) return;
  const mine = page;
  try {
    const status = await object("status");
    if (mine !== page) return;
    answeredAt = new Date();
    glance(status.glance.level, status.glance.line, status.glance.figures);
    byId("node").textContent = `${status.version}, up ${ago(status.since)}`;
    await mine.renew?.(status);
  } catch (fault) {
    if (mine !== page) return;
    if (fault instanceof Refused && [401, 403, 404, 429].includes(fault.status)) return askToken(fault);
    glance("bad", ...trouble(fault));
  }
  if (mine !== page) return;
  clearTimeout(timer);
  timer = setTimeout(turn, EVERY_MS);
}

/** Whose fault it is that nothing new is shown: the proxy is gone, it refuses, or this page is wrong. */
function trouble(fault) {
  if (fault instanceof Lost) {
    const since = answeredAt ? ` since ${moment(answeredAt)}` : "";
    return [`No answer from the proxy${since}. What is shown below is old.`];
  }
  if (fault instanceof Refused) return [`The proxy answers: ${fault.message}`];
  console.error(fault);
  return ["This page has a fault and shows what is old.", String(fault)];
}

function askToken(fault) {
  clearTimeout(timer);
  page = null;
  pages.clear();
  byId("glance").hidden = byId("leave").hidden = document.querySelector("nav").hidden = true;
  byId("node").textContent = "";
  // Nothing of what was shown stays in the page.
  byId("dialog").close();
  byId("dialog").replaceChildren();
  byId("told").textContent = document.querySelector("#glance .line").textContent = "";
  document.title = "Log in · Consentry";
  const here = fault?.status === 404 || fault?.status === 403;
  const input = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, "aria-describedby": "login-said" });
  const said = h("p", { id: "login-said", class: "small quiet", role: "status" },
    here ? "This proxy has no token_file: it answers only pages of its own machine, opened at its own address."
      : "The token is the line in the file that [admin] token_file names.");
  const form = h("form", { onsubmit: logInWith },
    // A name that password managers keep the token under.
    h("input", { type: "text", name: "username", value: "consentry", autocomplete: "username", hidden: true }),
    h("label", {}, "Token", input), said, h("div", { class: "go" }, h("button", {}, "Log in")));
  main.replaceChildren(h("div", { class: "login" }, card("Log in", "", null, form)));
  input.focus();

  async function logInWith(event) {
    event.preventDefault();
    logIn(input.value);
    try {
      await object("status");
    } catch (wrong) {
      logOut();
      said.className = "note bad";
      said.textContent = wrong.status === 401 ? "This is not the token." : wrong.message || "No answer from the proxy.";
      input.setAttribute("aria-invalid", "true");
      input.select();
      return;
    }
    byId("leave").hidden = false;
    begin(true);
  }
}

function begin(moveFocus) {
  document.querySelector("nav").hidden = false;
  show(moveFocus);
}

byId("leave").addEventListener("click", () => { logOut(); askToken(); });
addEventListener("hashchange", () => { if (location.hash !== "#main" && page) show(true); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });

try {
  await object("status");
  begin(false);
} catch (fault) {
  if (fault instanceof Refused) askToken(fault);
  else { glance("bad", "No answer from the proxy. Reload this page to try again."); }
}
