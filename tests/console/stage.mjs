// A proxy with its SMSC and its ESMEs, on loopback, under load.

import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Milliseconds in which a program must say what is waited for, and end when it is asked to. */
const START_MAX = 30_000;
const STOP_MAX = 15_000;

export const TOKEN = "a-token-of-this-test-only";
export const CUSTOMER = "13900139000";

const soon = new Date(Date.now() + 12 * 86_400_000).toISOString().slice(0, 10);

const REGISTRY = `
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1", "shop2"]
licence    = { number = "B2-20260001", valid_until = 2099-12-31 }
identity   = "verified"
code = [
    { number = "106900001234", digits_max = 16, purpose = "service", signatures = ["示例商城"] },
    { number = "106900009999", purpose = "commercial", signatures = ["示例商城"] },
]

[[provider]]
name       = "江南银行股份有限公司"
system_ids = ["bank1"]
licence    = { number = "B2-20260002", valid_until = ${soon} }
identity   = "verified"
code = [{ number = "106955550001", purpose = "service", signatures = ["江南银行"] }]

[[provider]]
name       = "快递驿站网络科技有限公司"
system_ids = ["post1"]
licence    = { number = "B2-20260003", valid_until = 2099-12-31 }
identity   = "verified"
code = [{ number = "106980002222", purpose = "service", signatures = ["快递驿站"] }]
`;

const config = (smsc) => `
[[listen]]
address = "127.0.0.1:0"
smsc = ["${smsc}"]
[timeouts]
close = "200ms"
[registry]
file = "registry.toml"
[consent]
review = "lenient"
[[mirror]]
name = "collector"
kind = "file"
path = "collector"
[admin]
address = "127.0.0.1:0"
token_file = "token"
`;

export class Stage {
  constructor(consentry, folder) {
    this.consentry = consentry;
    this.folder = folder;
    this.running = [];
    mkdirSync(folder, { recursive: true });
  }

  /** Starts a program; what it has said so far is its `said`. */
  start(...args) {
    const child = spawn(this.consentry, args, { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
    child.said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (octets) => { child.said = (child.said + octets).slice(-20_000); });
    }
    child.ended = new Promise((resolve) => child.on("close", resolve));
    this.running.push(child);
    return child;
  }

  async hear(child, find, what) {
    const until = Date.now() + START_MAX;
    for (;;) {
      const found = find(child.said.replace(/\u001b\[[0-9;]*m/g, ""));
      if (found) return found;
      if (child.exitCode !== null || Date.now() > until) throw new Error(`no ${what}:\n${child.said}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  async open() {
    const smsc = this.start("smsc", "--listen", "127.0.0.1:0", "--delay", "3ms", "--delay-jitter", "9ms");
    const [address] = await this.hear(smsc, (said) => said.match(/127\.0\.0\.1:\d+/), "SMSC");
    writeFileSync(join(this.folder, "consentry.toml"), config(address));
    writeFileSync(join(this.folder, "registry.toml"), REGISTRY);
    writeFileSync(join(this.folder, "token"), `${TOKEN}\n`, { mode: 0o600 });
    const proxy = this.start("run", "-c", "consentry.toml");
    const heard = (said) => {
      const listening = said.match(/listening.*?(127\.0\.0\.1:\d+)/);
      const admin = said.match(/ admin.*?(127\.0\.0\.1:\d+)/);
      return listening && admin && [listening[1], admin[1]];
    };
    [this.smpp, this.admin] = await this.hear(proxy, heard, "proxy");
    this.proxy = proxy;
  }

  /** ESMEs that send until the end: what passes, and what some rules refuse. */
  load(seconds) {
    const send = (system, source, text, rate, ...more) => this.start("load", "--to", this.smpp, "--sessions", "1", "--system-id", system,
      "--warmup", "0s", "--duration", `${seconds}s`, "--source", source, "--text", text, "--rate", String(rate), ...more);
    send("shop1", "106900001234", "【示例商城】您的包裹已到，取件码####。", 24);
    send("bank1", "106955550001", "【江南银行】您尾号####的账户有一笔新交易。", 14);
    send("shop2", "106900009999", "【示例商城】全场五折，券号####，回复TD退订", 2);
    send("post1", "106900001234", "【快递驿站】快件####已到。", 1);
  }

  /** One advertisement to the customer: the status that it was answered. */
  async advertise(expect) {
    const child = this.start("load", "--to", this.smpp, "--sessions", "1", "--system-id", "shop2", "--count", "1",
      "--source", "106900009999", "--dest-base", `86${CUSTOMER}`, "--dest-count", "1", "--text", "【示例商城】全场五折，回复TD退订", "--expect", expect);
    return { status: await child.ended, said: child.said };
  }

  async api(method, path, body) {
    const answer = await fetch(`http://${this.admin}/api/v1/${path}`, {
      method, body, headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" }, signal: AbortSignal.timeout(10_000),
    });
    return [answer.status, await answer.text()];
  }

  /** One more provider in the registry's file. */
  admit(name, systemId) {
    const more = `[[provider]]\nname = "${name}"\nsystem_ids = ["${systemId}"]\nidentity = "verified"\n`;
    appendFileSync(join(this.folder, "registry.toml"), more);
  }

  /** What `consentry audit access` lists. */
  accesses() {
    return spawnSync(this.consentry, ["audit", "access", "-c", "consentry.toml", "--json"], { cwd: this.folder, encoding: "utf8", timeout: 30_000 }).stdout;
  }

  async close() {
    for (const child of this.running) if (child.exitCode === null && child !== this.proxy) child.kill("SIGKILL");
    if (this.proxy?.exitCode === null) this.proxy.kill("SIGTERM");
    const patience = setTimeout(() => this.proxy?.kill("SIGKILL"), STOP_MAX);
    await Promise.all(this.running.map((child) => child.ended));
    clearTimeout(patience);
    if (!existsSync(this.folder)) throw new Error("its folder is gone");
  }
}
