// One message judged as a session would, and why.

import { object, post } from "./api.js";
import { card, h, record, zh } from "./dom.js";
import { chinese } from "./words.js";

const LOOKED = { off: "off", clear: "clear", refuses: "refuses", observes: "would refuse", notes: "notes", unreached: "not asked" };
const LEVEL = { refuses: "bad", observes: "watch", notes: "watch", clear: "good" };

export function explain() {
  const known = h("datalist", { id: "system-ids" });
  const input = (name, attributes) => h("input", { name, autocomplete: "off", ...attributes });
  const systemId = input("system_id", { required: true, list: "system-ids", maxlength: 15 });
  const source = input("source", { maxlength: 66 });
  const destination = input("destination", { maxlength: 66, inputmode: "tel" });
  const text = h("textarea", { name: "text", maxlength: 2000 });
  const hex = h("textarea", { name: "hex", class: "mono", spellcheck: "false" });
  const result = h("div", { "aria-live": "polite", class: "cards" });
  const form = h("form", { class: "fields", onsubmit: (event) => { event.preventDefault(); judge(); } },
    h("label", {}, "system_id of the bind", systemId, known), h("label", {}, "Source", source), h("label", {}, "Destination", destination),
    h("label", { class: "wide" }, "Text", text),
    h("details", { class: "wide" }, h("summary", {}, "Or a whole PDU instead of source, destination and text"), h("label", {}, "submit_sm, deliver_sm or data_sm in hexadecimal", hex)),
    h("div", { class: "go wide" }, h("button", {}, "Explain"), h("span", { class: "quiet small" }, "Nothing is sent, and nothing is recorded.")));
  const root = h("div", {}, h("h1", { tabindex: "-1" }, "Explain"), h("div", { class: "cards" }, card("A message", "", null, form)), result);

  async function enter() {
    if (known.childElementCount) return;
    const { shown } = await object("registry");
    known.append(...shown.flatMap((one) => one.system_ids.map((id) => h("option", { value: id }, one.name))));
  }

  async function judge() {
    const asked = { system_id: systemId.value };
    if (hex.value.trim()) asked.hex = hex.value;
    else Object.assign(asked, { source: source.value, destination: destination.value, text: text.value || undefined });
    try {
      const [found] = await post("explain", JSON.stringify(asked));
      result.replaceChildren(...shown(found));
    } catch (fault) {
      result.replaceChildren(h("p", { class: "note bad card" }, fault.message));
    }
  }

  return { root, enter };
}

function shown(found) {
  const level = { pass: "good", observe: "watch", refuse: "bad" }[found.verdict];
  const says = { pass: "It passes.", observe: "It passes, though a rule in observe mode is against it.", refuse: "It is refused." }[found.verdict];
  const consent = found.consent && [found.consent.state, found.consent.from ? ` since ${found.consent.from}` : "", found.consent.until ? `, until ${found.consent.until}` : "", found.consent.why ? `: ${found.consent.why}` : ""];
  const verdict = card("Verdict", "half", h("span", { class: `word ${level}` }, found.verdict),
    h("p", {}, h("strong", {}, says), found.detail ? ` ${found.detail}` : ""),
    record([
      ["Rule", found.rule ? [h("code", {}, found.rule), " ", zh(chinese(found.rule), "zh")] : null],
      ["Rests on", found.article],
      ["Answered with", h("code", {}, found.status)],
      ["Provider", found.provider === undefined ? null : zh(found.provider ?? "unknown")],
      ["Code", found.code ? [h("code", {}, found.code.number), `, ${found.code.purpose}`] : null],
      ["Sender", found.source ? h("code", {}, found.source) : null],
      ["Recipient", found.destination ? h("code", {}, found.destination) : null],
      ["Consent", consent],
    ]));
  if (found.text === undefined) return [verdict];
  const reading = card("What was read", "half", found.class ? h("span", { class: "word" }, found.class) : null,
    h("p", {}, marked(found.text, (found.features ?? []).map((one) => one.said))),
    record([
      ["Not readable", found.undecodable],
      ["Signatures", found.signatures?.length ? found.signatures.map((name) => zh(`【${name}】`)) : "none"],
      ["Template", found.template], ["Request", found.request], ["Listed word", found.listed],
      ["To refuse", found.keyword ? `reply ${found.keyword}` : "not said"],
      ["Score", found.score === undefined ? null : found.score.toFixed(3)],
      ["Because of", found.features?.length ? h("ul", { class: "said" }, found.features.map((one) => h("li", {}, h("code", {}, `${one.weight >= 0 ? "+" : ""}${one.weight.toFixed(2)} `), one.name, " ", one.said ? zh(`“${one.said}”`, "zh") : ""))) : null],
    ]));
  const looks = card("The rules, in the order in which they look", "", null, h("ol", { class: "looks" }, found.looks.map((one) => h("li", {},
    h("span", { class: `word ${LEVEL[one.looked] ?? ""}` }, LOOKED[one.looked]), h("code", {}, one.rule), one.detail ? h("span", { class: "why small" }, one.detail) : null))));
  return [verdict, reading, looks];
}

/** The text with these parts of it marked. */
function marked(text, parts) {
  const there = [...new Set(parts.filter((part) => part && part.length < text.length && text.includes(part)))].sort((a, b) => b.length - a.length);
  const shown = h("span", { lang: "zh-CN" });
  for (let rest = text; rest;) {
    const next = there.map((part) => [rest.indexOf(part), part]).filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0] || b[1].length - a[1].length)[0];
    if (!next) { shown.append(rest); break; }
    shown.append(rest.slice(0, next[0]), h("mark", {}, next[1]));
    rest = rest.slice(next[0] + next[1].length);
  }
  return shown;
}
