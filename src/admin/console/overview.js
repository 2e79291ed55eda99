// The first page: is all well, what is refused now and why, who is affected.

import { Refused, object, lines, post } from "./api.js";
import { chart } from "./chart.js";
import { card, h, record, table, tell, zh } from "./dom.js";
import { ago, chinese, count, counted, latency, moment, octets, rate } from "./words.js";

const REFUSALS_EVERY_MS = 5000;
const UPSTREAM = { up: "good", trial: "watch", draining: "watch", ejected: "bad" };

export function overview() {
  const heading = h("h1", { tabindex: "-1" }, "Overview");
  const said = h("div", {});
  const figures = h("dl", { class: "figures" });
  const rates = chart("Messages a second", [["pass", "pass"], ["refused", "refuse"], ["observed", "observe", true]], rate);
  const times = chart("Latency", [["added 50 %", "pass", true], ["added 99 %", "pass"], ["SMSC 50 %", "other", true], ["SMSC 99 %", "other"]], latency, true);
  const why = table("", [
    ["Rule", (one) => [h("a", { class: "rule", href: `#refusals/${one.rule}` }, one.rule), zh(chinese(one.rule), "zh")]],
    ["What it refuses", (one) => [one.summary, one.mode === "enforce" ? null : [" ", h("span", { class: "word watch" }, one.mode)]]],
    ["Lately", (one) => count(one.lately), "number"],
    ["Since start", (one) => count(one.refused + one.observed), "number"],
  ], (one) => one.rule, "Nothing has been refused since the start.");
  const who = table("The newest refusals, by who sent them", [
    ["Provider", (one) => one.provider ? zh(one.provider) : h("span", { class: "quiet" }, "not admitted"), "provider"],
    ["Refused", (one) => count(one.refused), "number"],
    ["Most by", (one) => [h("span", { class: "rule" }, one.most), zh(chinese(one.most), "zh")]],
    ["Last", (one) => moment(one.last), "fit"],
  ], (one) => one.provider, "Nobody is.");
  const behindIt = h("div", {});
  const smscs = table("", [
    ["SMSC", (one) => h("code", {}, one.address)],
    ["State", (one) => [h("span", { class: `word ${UPSTREAM[one.state] ?? ""}` }, one.state), one.until ? h("span", { class: "quiet small" }, ` until ${moment(one.until)}`) : null]],
    ["Sessions", (one) => count(one.sessions), "number"],
    ["Binds", (one) => count(one.binds), "number"],
    ["Failures", (one) => count(one.failures), "number"],
    ["Share", (one) => (one.rank ? `standby ${one.rank}` : `weight ${one.weight}`)],
    ["Last answer", (one) => (one.answered ? `${one.answered} ago` : "none yet"), "fit"],
    ["Listener", (one) => h("code", {}, one.listener)],
    ["", (one) => steer(one), "fit"],
  ], (one) => `${one.listener} ${one.address}`, "No SMSC.");
  const upstreams = card("SMSCs", "", null, smscs.root);
  upstreams.hidden = true;
  const root = h("div", {}, heading, said, h("div", { class: "cards" }, figures,
    card("Messages a second", "half", null, rates.plot, rates.legend),
    card("Latency", "half", null, times.plot, times.legend),
    card("Refused now, and why", "half", h("a", { href: "#refusals" }, "All refusals"), why.root),
    card("Who is affected", "half", null, who.root),
    upstreams, card("Records, consent, mirrors", "", null, behindIt)));

  let columns = null;
  let refusalsAt = 0;
  let hasUpstreams = true;

  function figure(name, value, unit, more) {
    return h("div", {}, h("dt", {}, name), h("dd", {}, value, unit ? [" ", h("small", {}, unit)] : null), more ? h("dd", { class: "more" }, more) : null);
  }

  async function renewCharts() {
    const after = columns?.time_us.at(-1) ?? 0;
    const more = await object(`history?after=${after}`);
    if (!columns) columns = more;
    else for (const [name, values] of Object.entries(more)) columns[name] = [...columns[name], ...values].slice(-450);
    const x = columns.time_us.map((us) => us / 1e6);
    rates.renew([x, columns.pass, columns.refuse, columns.observe]);
    times.renew([x, columns.added_p50_us, columns.added_p99_us, columns.smsc_p50_us, columns.smsc_p99_us]);
  }

  async function renewWho() {
    if (Date.now() - refusalsAt < REFUSALS_EVERY_MS) return;
    refusalsAt = Date.now();
    const { refusals } = await object("refusals?most=200");
    const by = new Map();
    for (const one of refusals) {
      const name = one.provider ?? "";
      const of = by.get(name) ?? { provider: name, refused: 0, rules: {}, last: one.time };
      of.refused += 1;
      of.rules[one.rule] = (of.rules[one.rule] ?? 0) + 1;
      by.set(name, of);
    }
    const list = [...by.values()].sort((a, b) => b.refused - a.refused).slice(0, 10);
    who.renew(list.map(({ rules, ...one }) => ({ ...one, most: Object.entries(rules).sort((a, b) => b[1] - a[1])[0][0] })));
  }

  /** Draining takes new binds from an SMSC; sessions that are there end in good order. */
  function steer(one) {
    const act = one.state === "draining" ? "undrain" : "drain";
    return h("button", { class: "plain row", "aria-label": `${act} ${one.address}`, onclick: async (event) => {
      event.target.disabled = true;
      try {
        await post(`upstreams/${act}`, JSON.stringify({ address: one.address, listener: one.listener }));
        tell(act === "drain" ? `${one.address} gets no new binds.` : `${one.address} gets new binds again.`);
      } catch (fault) {
        tell(fault.message);
      }
      await renewUpstreams();
    } }, act === "drain" ? "Drain" : "Use again");
  }

  async function renewUpstreams() {
    if (!hasUpstreams) return;
    try {
      const list = await lines("upstreams");
      upstreams.hidden = list.length === 0;
      smscs.renew(list.map(({ last_answer_age: age, ...one }) => ({ ...one, answered: age === null ? null : ago(Date.now() - age * 1000) })));
    } catch (fault) {
      if (!(fault instanceof Refused)) throw fault;
      hasUpstreams = false;
    }
  }

  async function renew(status) {
    const more = status.glance.said.length > 1;
    said.replaceChildren(more ? h("div", { class: `note ${status.glance.level}` }, h("ul", { class: "said" }, status.glance.said.map((one) => h("li", {}, one.text)))) : "");
    figures.replaceChildren(
      figure("Pass", rate(status.a_second.pass), "a second", `${count(status.total.pass)} since start`),
      figure("Refused", rate(status.a_second.refuse), "a second", `${count(status.total.refuse)} since start`),
      figure("Latency added", latency(status.added_us.p99), null, `99 % within it, half within ${latency(status.added_us.p50)}`),
      figure("SMSC answers in", latency(status.smsc_us.p99), null, `99 % within it, half within ${latency(status.smsc_us.p50)}`),
      figure("Sessions bound", count(status.sessions.bound), null, `${count(status.sessions.all)} connected`),
      figure("Open requests", count(status.sessions.open_requests), null, status.sessions.windows_full ? `${status.sessions.windows_full} windows full` : "no window full"));
    why.renew(status.rules);
    why.caption(`"Lately" is the last ${status.minutes} min`);
    behindIt.replaceChildren(behind(status));
    await Promise.all([renewCharts(), renewWho(), renewUpstreams()]);
  }

  return { root, renew, enter: () => { refusalsAt = 0; } };
}

function word(isGood, good, bad) {
  return h("span", { class: `word ${isGood ? "good" : "bad"}` }, isGood ? good : bad);
}

function behind({ journal, consent, mirrors, certificates = [], capture_running: capturing, blind_ports: blind }) {
  const disk = journal.disk_budget_octets ? `${octets(journal.disk_octets)} of ${octets(journal.disk_budget_octets)}` : octets(journal.disk_octets);
  const mirror = (one) => [zh(one.name), ` ${count(one.lag_records)} behind, ${count(one.delivered)} delivered`,
    one.failures ? `, ${count(one.failures)} failures` : "", one.rejected ? `, ${count(one.rejected)} rejected` : "", one.skipped ? `, ${count(one.skipped)} lost` : ""];
  return record([
    ["Journal", [word(journal.available, "records", "takes no record"), ` ${count(journal.records)} since start, ${count(journal.backlog_records)} wait, ${disk} on disk`, journal.why ? `. ${journal.why}` : ""]],
    ["Consent ledger", [word(consent.available, "answers", "cannot be asked"), ` ${counted(consent.pairs, "pair", "pairs")} known`, consent.why ? `. ${consent.why}` : ""]],
    ...mirrors.map((one) => ["Mirror", mirror(one)]),
    ...certificates.map((one) => ["Certificate", [h("code", {}, one.name), one.days < 0 ? h("span", { class: "word bad" }, "ended") : ` ends in ${counted(one.days, "day", "days")}`]]),
    ["Blind codes", blind ? `${count(blind)}: answers to them do not pass here` : "none"],
    ["Trace", capturing ? "a capture is being written" : null],
  ]);
}
