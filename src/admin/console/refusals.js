// The newest refusals, and the record of one.

import { object } from "./api.js";
import { byId, card, dialog, h, record, table, tell, zh } from "./dom.js";
import { chinese, count, moment } from "./words.js";

const EVERY_MS = 3000;

export function refusals() {
  const choice = h("select", { onchange: () => { location.hash = choice.value ? `#refusals/${choice.value}` : "#refusals"; } }, h("option", { value: "" }, "every rule"));
  const list = table("", [
    ["Time", (one) => h("time", { datetime: one.time, title: one.time }, moment(one.time)), "fit"],
    ["Rule", (one) => [h("span", { class: "rule" }, one.rule ?? "–"), zh(chinese(one.rule), "zh"), one.verdict === "observe" ? [" ", h("span", { class: "word watch" }, "went on")] : null]],
    ["Provider", (one) => [one.provider ? zh(one.provider) : h("span", { class: "quiet" }, "not admitted"), one.system_id ? h("span", { class: "quiet small" }, ` ${one.system_id}`) : null]],
    ["From", (one) => h("code", {}, one.source ?? one.peer ?? "")],
    ["To", (one) => one.destination === undefined ? "" : h("code", {}, one.destination)],
    ["Answered", (one) => h("code", {}, one.status ?? "")],
    ["Record", (one) => h("button", { class: "plain row", onclick: () => openRecord(one.record), "aria-label": `Record ${one.record}` }, String(one.record)), "fit"],
  ], (one) => one.record, "No refusal among the newest records.");
  const behind = h("p", { class: "note watch", hidden: true });
  const root = h("div", {}, h("h1", { tabindex: "-1" }, "Refusals"), behind,
    card("The newest", "", null, h("form", { class: "fields" }, h("label", {}, "Rule", choice)), list.root));
  let rule = "";
  let askedAt = 0;

  function enter(argument) {
    rule = argument;
    askedAt = 0;
    offer(rule ? [rule] : []);
    choice.value = rule;
  }

  function offer(rules) {
    const there = new Set([...choice.options].map((one) => one.value));
    for (const name of rules) if (!there.has(name)) choice.append(h("option", { value: name }, `${name} ${chinese(name)}`));
  }

  async function renew(status) {
    offer(status.rules.map((one) => one.rule));
    if (Date.now() - askedAt < EVERY_MS) return;
    askedAt = Date.now();
    const wanted = rule;
    const answer = await object(`refusals?most=100&rule=${encodeURIComponent(wanted)}`);
    if (wanted !== rule) return;
    behind.hidden = answer.behind < 1000;
    behind.textContent = `The journal is being read: ${count(answer.behind)} records are still to come.`;
    list.caption(`Numbers are masked. Looked for in the last ${count(answer.of_last)} records; older ones: consentry audit search.`);
    list.renew(answer.refusals);
  }

  return { root, enter, renew };
}

const NAMES = {
  record: "Record", kind: "Kind", time: "Time", verdict: "Verdict", rule: "Rule", summary: "What the rule refuses", article: "Rests on",
  status: "Answered with", provider: "Provider", system_id: "system_id", peer: "Connected from", session: "Session", command: "Command",
  sequence_number: "sequence_number", source: "Sender", destination: "Recipient", class: "Class of the text", octets: "Octets", parts: "Part, of",
  consent_event: "Consent event", rule_set: "Rule set", reading: "Read with", listener: "Listener", unreadable: "Numbers",
};
const FIRST = Object.keys(NAMES);

/** Asks for a record and shows it. */
export async function openRecord(number) {
  let found;
  try {
    found = await object(`records/${encodeURIComponent(number)}`);
  } catch (fault) {
    tell(`Record ${number}: ${fault.message}`);
    return;
  }
  const keys = Object.keys(found).sort((a, b) => (FIRST.indexOf(a) + 1 || 99) - (FIRST.indexOf(b) + 1 || 99));
  const value = (key) => {
    const one = found[key];
    if (one === null || one === undefined) return null;
    if (key === "rule") return [h("code", {}, one), " ", zh(chinese(one), "zh")];
    if (key === "time") return h("time", { datetime: one }, one);
    if (key === "parts") return one.join(", ");
    if (typeof one === "object") return h("code", {}, JSON.stringify(one));
    return ["source", "destination", "status", "command", "peer", "system_id"].includes(key) ? h("code", {}, String(one)) : zh(String(one));
  };
  dialog(`Record ${found.record}`, record(keys.map((key) => [NAMES[key] ?? key.replaceAll("_", " "), value(key)])),
    h("p", { class: "small quiet" }, "That you looked is on record, as with consentry audit show."),
    h("div", { class: "go" },
      found.rule ? h("a", { href: `#refusals/${found.rule}`, onclick: () => byId("dialog").close() }, "All of this rule") : null,
      h("button", { onclick: () => byId("dialog").close() }, "Close")));
}
