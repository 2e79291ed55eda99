// Who said yes: look-up, history, revocation.

import { object, post } from "./api.js";
import { byId, card, dialog, h, table, tell, zh } from "./dom.js";
import { moment } from "./words.js";

/** Entities asked about at a time: a body of the API has 48 KiB. */
const ENTITIES_MAX = 150;
const CAUSES = [["refused", "the recipient refused (拒绝)"], ["complaint", "a complaint (投诉)"], ["recycled", "the number has a new owner (二次放号)"], ["operator", "decided by the operator"]];
const LEVEL = { granted: "good", revoked: "bad", expired: "watch", asked: "watch", silent: "watch" };

export function consent() {
  const number = h("input", { name: "number", inputmode: "tel", autocomplete: "off", required: true, placeholder: "13800138000" });
  const entity = h("select", { name: "entity" }, h("option", { value: "" }, "every provider of the registry"));
  const result = h("div", { "aria-live": "polite" });
  const form = h("form", { class: "fields", onsubmit: (event) => { event.preventDefault(); look(); } },
    h("label", {}, "Recipient's number", number), h("label", {}, "Legal entity", entity),
    h("div", { class: "go" }, h("button", {}, "Look up")));
  const list = table("", [
    ["Legal entity", (one) => zh(one.entity)],
    ["Standing", (one) => h("span", { class: `word ${LEVEL[one.state] ?? ""}` }, one.state)],
    ["Class", (one) => one.class ?? ""],
    ["Since", (one) => moment(one.from), "fit"],
    ["Until", (one) => moment(one.until), "fit"],
    ["Promised", (one) => one.promise ? `${one.promise}, ${one.sent ?? 0} sent` : ""],
    ["Proof", (one) => one.review ?? ""],
    ["", (one) => [
      h("button", { class: "plain row", onclick: () => history(one), "aria-label": `History with ${one.entity}` }, "History"), " ",
      h("button", { class: "plain row", onclick: () => askRevoke(one), "aria-label": `Revoke for ${one.entity}` }, "Revoke"),
    ], "fit"],
  ], (one) => one.entity, "Nothing is on record of this number with any of them.");
  const found = card("Standings", "", null, list.root);
  found.hidden = true;
  const root = h("div", {}, h("h1", { tabindex: "-1" }, "Consent"),
    h("div", { class: "cards" }, card("Look up", "", null, form, result), found));
  let asked = "";
  let names = [];

  async function enter() {
    if (names.length) return;
    const { shown } = await object("registry");
    names = shown.map((one) => one.name);
    entity.append(...names.map((name) => h("option", { lang: "zh-CN" }, name)));
  }

  async function look() {
    asked = number.value.trim();
    result.replaceChildren();
    try {
      const wanted = entity.value ? [entity.value] : names;
      const standings = [];
      for (let at = 0; at < wanted.length; at += ENTITIES_MAX) {
        const part = wanted.slice(at, at + ENTITIES_MAX).map((name) => JSON.stringify({ number: asked, entity: name }));
        standings.push(...await post("consents/standings", part.join("\n")));
      }
      const known = entity.value ? standings : standings.filter((one) => one.state !== "none");
      found.hidden = false;
      list.caption(`${known.length} of ${wanted.length} asked`);
      list.renew(known.map(({ number: whole, ...one }) => one));
    } catch (fault) {
      found.hidden = true;
      result.replaceChildren(h("p", { class: "note bad" }, fault.message));
    }
  }

  async function history(one) {
    try {
      const events = await post("consents/history", JSON.stringify({ number: asked, entity: one.entity }));
      const shown = table("Oldest first", [
        ["Time", (event) => moment(event.time), "fit"], ["Event", (event) => event.happened], ["Cause", (event) => event.cause ?? ""],
        ["Known from", (event) => event.source], ["Proof", (event) => event.review ?? ""], ["Number", (event) => String(event.event), "number"],
      ], (event) => event.event, "Nothing happened.");
      shown.renew(events);
      dialog(`History with ${one.entity}`, shown.root, h("div", { class: "go" }, h("button", { onclick: () => byId("dialog").close() }, "Close")));
    } catch (fault) {
      tell(fault.message);
    }
  }

  function askRevoke(one) {
    const cause = h("select", {}, CAUSES.map(([value, said]) => h("option", { value }, said)));
    const box = dialog("Revoke consent", h("p", {}, "From now on ", zh(one.entity), " may not advertise to this number, over any of its codes. The ledger keeps this for ever; a later grant can follow it."),
      h("label", {}, "Cause", cause),
      h("div", { class: "go" }, h("button", { class: "plain", onclick: () => box.close() }, "Cancel"), h("button", { class: "danger", onclick: revoke }, "Revoke")));

    async function revoke(event) {
      event.target.disabled = true;
      try {
        const [answer] = await post("consents", JSON.stringify({ number: asked, entity: one.entity, event: "revoked", cause: cause.value }));
        tell(answer.taken === 1 ? "Revoked: it is on the disk, and holds for the next message." : `Not taken: ${answer.refused[0]?.why ?? "unknown"}`);
      } catch (fault) {
        tell(fault.message);
      }
      box.close();
      await look();
    }
  }

  return { root, enter };
}
