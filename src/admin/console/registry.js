// Who is admitted, what expires soon, which rules are in force; and reading the files again.

import { object, post } from "./api.js";
import { card, h, record, table, zh } from "./dom.js";
import { chinese, count, counted } from "./words.js";

export function registry() {
  const about = h("p", { class: "quiet small" });
  const reloadSaid = h("div", { "aria-live": "polite" });
  const reloadButton = h("button", { onclick: reload }, "Reload files");
  const ends = table("Licences and filings that have ended, or end within 60 days", [
    ["Ends", (one) => [`${one.valid_until} `, left(one.days)], "fit"],
    ["Provider", (one) => zh(one.provider)],
    ["What", (one) => one.what],
    ["Number", (one) => h("code", {}, one.number)],
  ], (one) => `${one.provider} ${one.what} ${one.number}`, "Nothing ends within 60 days.");
  const query = h("input", { type: "search", autocomplete: "off", placeholder: "a part of a name, system_id or code" });
  const providers = h("div", {});
  const rules = table("", [
    ["Rule", (one) => [h("span", { class: "rule" }, one.rule), zh(chinese(one.rule), "zh")]],
    ["Mode", (one) => h("span", { class: `word ${one.mode === "enforce" ? "good" : "watch"}` }, one.mode)],
    ["What it refuses", (one) => one.summary],
    ["Rests on", (one) => h("span", { class: "small quiet" }, one.article)],
  ], (one) => one.rule, "");
  const root = h("div", {}, h("h1", { tabindex: "-1" }, "Registry and rules"),
    h("div", { class: "cards" },
      card("In force", "", reloadButton, about, reloadSaid),
      card("Expires soon", "", null, ends.root),
      card("Providers", "", null, h("form", { role: "search", class: "fields", onsubmit: (event) => { event.preventDefault(); load(); } },
        h("label", {}, "Find", query), h("div", { class: "go" }, h("button", { class: "plain" }, "Find"))), providers),
      card("Rules", "", null, rules.root)));

  async function load() {
    const found = await object(`registry?query=${encodeURIComponent(query.value.trim())}`);
    about.replaceChildren(`${counted(found.providers, "provider", "providers")}, ${counted(found.codes, "code", "codes")}, rule set `, h("code", {}, found.rule_set), ", registry ", h("code", {}, found.sha256.slice(0, 16)));
    ends.renew(found.expiring);
    rules.renew(found.rules);
    const more = found.found > found.shown.length ? h("p", { class: "quiet small" }, `${count(found.shown.length)} of ${count(found.found)} shown; find the others by name.`) : "";
    providers.replaceChildren(...found.shown.map(provider), more);
  }

  async function reload() {
    reloadButton.disabled = true;
    reloadSaid.replaceChildren();
    try {
      const answer = await post("reload", "");
      reloadSaid.replaceChildren(...answer.map((one) => h("div", { class: "note good" }, answered(one))));
      await load();
    } catch (fault) {
      if (fault.status === 422) reloadSaid.append(h("p", { class: "note watch" }, "Nothing has changed: what was in force stays."));
      const why = fault.status === 404 ? "This program cannot read its files again while it runs: stop it and start it." : fault.message;
      reloadSaid.append(h("p", { class: "note bad" }, why));
    }
    reloadButton.disabled = false;
    reloadButton.focus();
  }

  return { root, enter: load };
}

/** What the proxy said of the reload. */
function answered({ changed, digest, restart_needed: restart, providers }) {
  return [
    h("p", {}, h("strong", {}, changed ? "The files are read and in force." : "Nothing had changed."),
      providers === undefined ? "" : ` ${counted(providers, "provider", "providers")},`, digest ? [" digest ", h("code", {}, digest.slice(0, 16))] : ""),
    restart?.length ? h("p", {}, "These stay as they were until the proxy is started again: ", h("code", {}, restart.join(", "))) : "",
  ];
}

function left(days) {
  if (days < 0) return h("span", { class: "word bad" }, "ended");
  return h("span", { class: `word ${days <= 30 ? "watch" : ""}` }, days === 1 ? "1 day left" : `${days} days left`);
}

function provider(one) {
  const licence = one.licence;
  const standing = !licence ? h("span", { class: "word bad" }, "no licence")
    : !licence.in_force ? h("span", { class: "word bad" }, licence.suspended ? "suspended" : "licence ended") : h("span", { class: "word good" }, "licensed");
  const identity = one.identity === "verified" ? null : h("span", { class: "word bad" }, `identity ${one.identity}`);
  const codes = table(one.codes > one.codes_shown.length ? `${one.codes_shown.length} of ${count(one.codes)} codes` : "Codes", [
    ["Code", (code) => h("code", {}, code.number)],
    ["Purpose", (code) => [code.purpose, code.emergency ? " emergency" : ""]],
    ["Digits at most", (code) => String(code.digits_max), "number"],
    ["Signatures", (code) => code.signatures.map((name) => zh(`【${name}】`))],
    ["Regions", (code) => code.regions.join(", ") || "everywhere"],
    ["Templates", (code) => count(code.templates), "number"],
  ], (code) => code.number, "No code.");
  codes.renew(one.codes_shown);
  return h("details", {}, h("summary", {}, h("strong", {}, zh(one.name)), " ", standing, " ", identity, " ", h("span", { class: "quiet small" }, `${one.system_ids.join(", ")}, ${counted(one.codes, "code", "codes")}`)),
    record([
      ["Licence", licence ? `${licence.number}, until ${licence.valid_until}` : "none"],
      ["system_ids", one.system_ids.join(", ")],
      ["Connects from", one.from.join(", ") || "anywhere"],
      ["Rate", one.rate ? `${count(one.rate)} a second` : null],
    ]), codes.root);
}
