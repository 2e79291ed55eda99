// The console in a real browser, before a proxy under load.
//
// node tests/console/run.mjs --consentry target/debug/consentry
//
// Screenshots are left in target/console.

import { createRequire } from "node:module";
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CUSTOMER, Stage, TOKEN } from "./stage.mjs";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const TARGET = join(ROOT, "target/console");
const { chromium } = createRequire(join(TARGET, "node_modules/"))("playwright-core");

/** Milliseconds for anything on the page to become as it should, on a machine under load. */
const PATIENCE = 20_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const at = process.argv.indexOf("--consentry");
const consentry = resolve(at > 0 ? process.argv[at + 1] : join(ROOT, "target/debug/consentry"));
let failed = 0;

async function check(what, test) {
  try {
    await test();
    console.log(`ok    ${what}`);
  } catch (fault) {
    failed += 1;
    console.log(`WRONG ${what}\n      ${String(fault.stack ?? fault).split("\n").slice(0, 8).join("\n      ")}`);
    await page.screenshot({ path: join(TARGET, `wrong-${failed}.png`) }).catch(() => {});
  }
}

function must(isSo, what) {
  if (!isSo) throw new Error(what);
}

const folder = mkdtempSync(join(tmpdir(), "consentry-console-"));
const profile = mkdtempSync(join(tmpdir(), "consentry-profile-"));
const stage = new Stage(consentry, join(folder, "proxy"));
mkdirSync(TARGET, { recursive: true });
let browser;
let page;
const foreign = [];
const complaints = [];

async function shot(name, options = {}) {
  await page.screenshot({ path: join(TARGET, `${name}.png`), ...options });
}

const goTo = async (name) => {
  await page.locator("nav").getByRole("link", { name }).click();
  await page.locator("h1").waitFor();
};

/** Texts on the page whose contrast is below 4.5 (WCAG 2.2, 1.4.3). */
const faint = () => page.evaluate(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgb = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (parts) => {
    const [r, g, b] = parts.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const box = element.getBoundingClientRect();
    if (!node.data.trim() || !box.width || box.right < 0 || element.closest("noscript, option")) continue;
    const grounds = [];
    for (let one = element; one; one = one.parentElement) grounds.unshift(getComputedStyle(one).backgroundColor);
    const ground = rgb(grounds);
    const [a, b] = [light(ground), light(rgb([...grounds, getComputedStyle(element).color]))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`${node.data.trim().slice(0, 30)} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return found;
});

/** Controls without a name, and ids that are there twice. */
const nameless = () => page.evaluate(() => {
  const named = (one) => one.labels?.length || one.getAttribute("aria-label") || one.textContent.trim();
  const controls = [...document.querySelectorAll("main button, main a, main input:not([hidden]), main select, main textarea, main meter")];
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return [...controls.filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 80)), ...ids.filter((id, place) => ids.indexOf(id) !== place)];
});

const beyond = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

async function scenes() {
  await stage.open();
  const proof = "0".repeat(64);
  const granted = JSON.stringify({ number: CUSTOMER, entity: "示例商城有限公司", proof: "web", proof_sha256: proof, review: "reviewed" });
  const [status, taken] = await stage.api("POST", "consents", granted);
  must(status === 200 && JSON.parse(taken).taken === 1, `the grant: ${status} ${taken}`);
  stage.load(100);

  browser = await chromium.launchPersistentContext(profile, { executablePath: "/usr/bin/chromium", headless: true, args: FLAGS, viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  page = browser.pages()[0] ?? await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  const origin = `http://${stage.admin}`;
  page.on("request", (request) => { if (!request.url().startsWith(`${origin}/`)) foreign.push(request.url()); });
  page.on("pageerror", (fault) => complaints.push(String(fault)));
  page.on("console", (message) => {
    // What the API refuses is an error in the console too.
    if (message.type() === "error" && !/status of (401|404|422|429)/.test(message.text())) complaints.push(message.text());
  });
  if (process.env.CONSOLE_FROM_SOURCE) await fromSource(origin);

  await check("a wrong token is told so, the right one opens", async () => {
    await page.goto(`${origin}/`);
    const input = page.getByLabel("Token", { exact: true });
    await input.fill("not-the-token-at-all");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("This is not the token.").waitFor();
    await shot("login");
    must((await page.content()).length < 6_000, "a page without a token shows little");
    await input.fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  });

  await check("live figures move, and the line at the top is in words", async () => {
    const total = page.locator(".figures .more").first();
    const read = async () => Number((await total.textContent()).replace(/\D/g, ""));
    await page.waitForFunction(() => Number(document.querySelector(".figures .more")?.textContent.replace(/\D/g, "")) > 60);
    const before = await read();
    await page.waitForFunction((old) => Number(document.querySelector(".figures .more").textContent.replace(/\D/g, "")) > old, before);
    const line = await page.locator("#glance .line").textContent();
    must(/The licence of 江南银行股份有限公司 ends in 1[123] days\./.test(line), line);
    await page.waitForFunction(() => /pass [\d.]+/.test(document.querySelector(".legend").textContent));
    must(await page.locator(".plot canvas").count() === 2, "both charts are drawn");
    await page.getByRole("region", { name: "Who is affected" }).getByText("快递驿站网络科技有限公司").waitFor();
    must(await page.evaluate(() => [...document.querySelectorAll(":lang(zh-CN)")].length) > 3, "Chinese is said to be Chinese");
  });

  await check("a refusal leads to its record, masked", async () => {
    await page.getByRole("region", { name: "Refused now" }).getByRole("link", { name: "source.forged" }).click();
    await page.getByRole("heading", { name: "Refusals", level: 1 }).waitFor();
    const row = page.locator("tbody tr").first();
    await row.getByText("虚假、冒用号码").waitFor();
    must(await page.locator("tbody tr", { hasText: "consent.missing" }).count() === 0, "only of the rule that was asked for");
    await row.getByRole("button", { name: /^Record/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Order 74 (article number not verified; Order 31 art. 10)").waitFor();
    await dialog.getByText("ESME_RINVSRCADR").waitFor();
    await dialog.getByText("快递驿站网络科技有限公司").waitFor();
    await shot("record");
    must(!/86138\d{8}|106900001234/.test(await page.content()), "a whole number");
    await page.keyboard.press("Escape");
    const looks = stage.accesses();
    must(/"asked":"record \d+","command":"console record"/.test(looks), `the look is on record: ${looks}`);
    must(/"command":"console refusals"/.test(looks), "so is the list");
  });

  await check("sessions show their windows", async () => {
    await goTo("Sessions");
    await page.getByText("江南银行股份有限公司", { exact: true }).waitFor();
    must(await page.locator("tbody tr").count() >= 4, "all four");
    await shot("sessions");
  });

  await check("explain judges as a session would", async () => {
    await goTo("Explain");
    await page.getByLabel("system_id of the bind").fill("shop2");
    await page.getByLabel("Source", { exact: true }).fill("106900009999");
    await page.getByLabel("Destination", { exact: true }).fill(`86${CUSTOMER}`);
    await page.getByLabel("Text", { exact: true }).fill("【示例商城】全场五折，回复TD退订");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("It passes.").waitFor();
    await page.getByText("granted since").waitFor();
    await page.getByLabel("Source", { exact: true }).fill("106955550001");
    await page.keyboard.press("Enter");
    await page.getByText("It is refused.").waitFor();
    await page.getByRole("region", { name: "Verdict" }).getByText("source.forged").waitFor();
    await shot("explain", { fullPage: true });
  });

  await check("a revocation holds for the next message", async () => {
    const before = await stage.advertise("ESME_ROK");
    must(before.status === 0, `with consent: ${before.said}`);
    await goTo("Consent");
    await page.getByLabel("Recipient's number").fill(CUSTOMER);
    await page.getByRole("button", { name: "Look up" }).click();
    await page.getByRole("cell", { name: "granted" }).waitFor();
    await page.getByRole("button", { name: "Revoke for 示例商城有限公司" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Cause").selectOption("complaint");
    await shot("revoke");
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("cell", { name: "revoked" }).waitFor();
    const after = await stage.advertise("ESME_RSUBMITFAIL");
    must(after.status === 0, `without: ${after.said}`);
    await page.getByRole("button", { name: /^History/ }).click();
    await page.getByRole("dialog").getByText("complaint").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
  });

  await check("the registry says what expires soon, and reload answers", async () => {
    await goTo("Registry");
    const soon = page.getByRole("region", { name: "Expires soon" });
    await soon.getByText("江南银行股份有限公司").waitFor();
    await page.getByLabel("Find").fill("快递");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll("details").length === 1);
    await page.locator("summary").click();
    await page.getByText("【快递驿站】").waitFor();
    const [can] = await stage.api("POST", "reload");
    stage.admit("新来物流有限公司", "new1");
    await page.getByLabel("Find").fill("新来");
    await page.getByRole("button", { name: "Reload files" }).click();
    if (can === 404) await page.getByText("This program cannot read its files again while it runs").waitFor();
    else {
      await page.getByText("The files are read and in force.").waitFor();
      await page.locator("summary", { hasText: "新来物流有限公司" }).waitFor();
      stage.admit("", "new2");
      await page.getByRole("button", { name: "Reload files" }).click();
      await page.getByText("Nothing has changed: what was in force stays.").waitFor();
      await page.getByText(/registry\.toml:\d+/).waitFor();
    }
    await shot("registry");
  });

  await check("by keyboard alone: log in, walk, open a record, close it, log out", async () => {
    await page.goto(`${origin}/`);
    await page.getByLabel("Token", { exact: true }).waitFor();
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    must(await page.evaluate(() => document.activeElement.tagName) === "H1", "focus is on the page's heading");
    const tabTo = async (name) => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press("Tab");
        const focused = await page.evaluate(() => {
          const one = document.activeElement;
          const shown = getComputedStyle(one);
          return { name: (one.getAttribute("aria-label") ?? one.textContent).trim(), outline: shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) > 1 };
        });
        must(focused.name === "" || focused.outline || !name.test(focused.name), `no focus to be seen on ${focused.name}`);
        if (name.test(focused.name)) return;
      }
      throw new Error(`${name} is not reached`);
    };
    await tabTo(/^All refusals$/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Refusals", level: 1 }).waitFor();
    await page.getByRole("button", { name: /^Record/ }).first().waitFor();
    await tabTo(/^Record \d/);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    must(/^Record/.test(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? "")), "focus comes back");
    await tabTo(/^Log out$/);
    await page.keyboard.press("Enter");
    await page.getByLabel("Token", { exact: true }).waitFor();
    must(!/有限公司|source\.forged/.test(await page.content()), "nothing is left");
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Refusals", level: 1 }).waitFor();
  });

  await check("light and dark, wide and on a phone: contrast, names, no sideways scrolling", async () => {
    const faults = [];
    for (const [colorScheme, width, height] of [["light", 1280, 900], ["dark", 1280, 900], ["light", 390, 844], ["dark", 390, 844]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      for (const name of ["Overview", "Refusals", "Sessions", "Consent", "Registry", "Explain"]) {
        await goTo(name);
        await page.locator("h1", { hasText: name }).waitFor();
        if (["Overview", "Refusals", "Sessions"].includes(name)) await page.locator("tbody tr").first().waitFor();
        const where = `${name} ${colorScheme} ${width}`;
        if (name === "Overview") await page.waitForFunction(() => document.querySelectorAll(".plot canvas").length === 2);
        faults.push(...(await faint()).map((one) => `${where}: contrast of ${one}`), ...(await nameless()).map((one) => `${where}: no name, or twice: ${one}`));
        if (await beyond() > 0) faults.push(`${where}: ${await beyond()} pixels too wide`);
        await shot(`${name.toLowerCase()}-${colorScheme}-${width}`, { fullPage: name === "Overview" && width < 500 });
      }
    }
    must(faults.length === 0, [...new Set(faults)].slice(0, 12).join("\n"));
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  // Sessions over it are ended in good order: nothing is sent from here on.
  await check("an SMSC is drained and used again", async () => {
    await goTo("Overview");
    const smscs = page.getByRole("region", { name: "SMSCs" });
    const [can] = await stage.api("GET", "upstreams");
    if (can === 404) return must(await smscs.count() === 0, "no list where the proxy has none");
    await smscs.getByRole("button", { name: /^drain/ }).click();
    await smscs.getByText("draining", { exact: true }).waitFor();
    must(/"state":"draining"/.test((await stage.api("GET", "upstreams"))[1]), "the proxy says so too");
    await smscs.getByRole("button", { name: /^undrain/ }).click();
    await smscs.getByText("up", { exact: true }).waitFor();
  });

  await check("a proxy that is gone is told of, and what is shown is said to be old", async () => {
    await goTo("Overview");
    stage.proxy.kill("SIGSTOP");
    stage.proxy.kill("SIGKILL");
    await page.getByText(/No answer from the proxy since .* is old\./).waitFor();
    must(await page.locator("#glance.bad").count() === 1, "and it looks so");
    await shot("gone");
  });

  await check("no request to another host, no complaint of the browser, no cookie", async () => {
    must(foreign.length === 0, foreign.join("\n"));
    // Requests to the proxy that was killed fail, and nothing else may.
    const others = complaints.filter((one) => !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_TIMED_OUT/.test(one));
    must(others.length === 0, others.join("\n"));
    must((await browser.cookies()).length === 0, "a cookie");
    must(await page.evaluate(() => localStorage.length + sessionStorage.length) === 0, "something is kept");
  });
}

/** For work on the page: its files as they are now, not as they were built in. */
async function fromSource(origin) {
  const files = join(ROOT, "src/admin/console");
  await page.route((url) => url.origin === origin && (url.pathname === "/" || url.pathname.startsWith("/console/")), async (route) => {
    const { pathname } = new URL(route.request().url());
    const body = readFileSync(join(files, pathname === "/" ? "index.html" : pathname.slice(9)), "utf8");
    await route.fulfill({ response: await route.fetch(), body });
  });
}

try {
  await scenes();
} finally {
  await browser?.close().catch(() => {});
  await stage.close();
  for (const one of [folder, profile]) if (existsSync(one)) rmSync(one, { recursive: true, force: true, maxRetries: 5 });
}
console.log(failed ? `${failed} wrong` : "all as meant");
process.exit(failed ? 1 : 0);
