// The sessions that live, with their windows.

import { lines } from "./api.js";
import { card, h, table, zh } from "./dom.js";
import { ago, count, rate } from "./words.js";

export function sessions() {
  let window = 1;
  const list = table("", [
    ["Provider", (one) => [one.provider ? zh(one.provider) : h("span", { class: "quiet" }, "not admitted"), one.system_id ? h("span", { class: "quiet small" }, ` ${one.system_id}`) : null]],
    ["State", (one) => [h("span", { class: `word ${one.state.startsWith("bound") ? "good" : ""}` }, one.state.replaceAll("_", " ")), one.bind_mode ? h("span", { class: "quiet small" }, ` ${one.bind_mode}`) : null]],
    ["Window", (one) => [h("meter", { min: 0, max: window, high: window * 0.9, value: one.open_requests, "aria-label": "open requests" }), ` ${count(one.open_requests)}`], "fit"],
    ["Passed", (one) => [count(one.forwarded), h("span", { class: "quiet small" }, ` ${rate(one.a_second)}/s`)], "number"],
    ["Refused", (one) => count(one.refused), "number"],
    ["From", (one) => h("code", {}, one.esme)],
    ["SMSC", (one) => h("code", {}, one.smsc ?? "–")],
    ["Since", (one) => one.ago, "fit"],
    ["Session", (one) => h("span", { class: "quiet" }, String(one.id)), "number"],
  ], (one) => one.id, "No session.");
  const root = h("div", {}, h("h1", { tabindex: "-1" }, "Sessions"), card("Sessions now", "", null, list.root));
  let before = new Map();
  let at = 0;

  async function renew(status) {
    window = status.sessions.window;
    const found = await lines("sessions");
    const now = performance.now() / 1000;
    const counted = new Map(found.map((one) => [one.id, one.forwarded]));
    const shown = found.map((one) => ({ ...one, ago: ago(one.since), a_second: before.has(one.id) ? (one.forwarded - before.get(one.id)) / (now - at) : 0 }));
    [before, at] = [counted, now];
    shown.sort((a, b) => b.open_requests - a.open_requests || a.id - b.id);
    list.caption(`${count(found.length)} sessions; a window holds at most ${count(window)} open requests`);
    list.renew(shown.slice(0, 500));
  }

  return { root, renew };
}
