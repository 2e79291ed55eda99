#!/usr/bin/env python3
"""What the rules cost: the proxy with every rule off, with the sender rules, and with all of them over a ledger of pairs.

    benches/rules.py --consentry target/release/consentry --pairs 10000000     about eight minutes; Markdown on standard output

On loopback, `consentry load` sends advertisements to `consentry smsc` through `consentry run` (journal written, 4 sessions,
window 100): one text a million times, as campaigns send it, and a text whose number differs from message to message.
All recipients consented. Every path is measured once a round and each round begins with another path.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from haproxy import FORM_RULES, ROOT, TEXT_RULES, WARMUP_SECONDS, Cannot, Process, cell, first_line, table  # noqa: E402

import json  # noqa: E402
import re  # noqa: E402

SETTLE_SECONDS_MAX = 120
ENTITY = "测量有限公司"
CODE = "106900001234"
FIRST = 8613800000000
IDENTICAL = "【测量商城】周末全场五折，满300减50，点击 shop.example.cn 选购，会员专享。回T退订"
VARYING = "【测量商城】会员####，周末全场五折，满300减50，点击 shop.example.cn 选购。回T退订"

SENDER = """provider.unknown provider.licence provider.location provider.identity source.missing source.malformed source.forged
source.second code.length code.region destination.malformed body.ambiguous rate.exceeded""".split()

PATHS = {
    "rules off": (SENDER + FORM_RULES + TEXT_RULES, IDENTICAL),
    "sender rules": (TEXT_RULES, IDENTICAL),
    "all rules, one text": ([], IDENTICAL),
    "all rules, varying text": ([], VARYING),
}


def write_config(folder, off, smsc, consent):
    (folder / "registry.toml").write_text(f"""\
[[provider]]
name       = "{ENTITY}"
system_ids = ["load"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"

[[provider.code]]
number     = "{CODE}"
digits_max = 16
purpose    = "commercial"
signatures = ["测量商城"]
""", encoding="utf-8")
    overrides = "".join(f'"{rule}" = {{ mode = "off" }}\n' for rule in off)
    if "recipients.swept" not in off:
        # The load generator counts its recipients through, which is what this rule is for.
        overrides += '"recipients.swept" = { mode = "observe" }\n'
    config = folder / "consentry.toml"
    config.write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc    = ["127.0.0.1:{smsc}"]

[limits]
sessions_per_address = 1000

[registry]
file = "registry.toml"

[consent]
{consent}

[audit]
path = "audit"
durability = "written"

[rules.override]
{overrides}""", encoding="utf-8")
    return config


def settle(pid):
    """Waits until the proxy has filled its hot layer: until it uses no CPU time any more."""
    used = lambda: sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    for _ in range(SETTLE_SECONDS_MAX):
        before = used()
        time.sleep(1)
        if used() - before <= 1:
            return
    raise Cannot(f"the proxy is still busy after {SETTLE_SECONDS_MAX} s")


# Who works behind the messages, on what was recorded: one signs, the others begin when a segment of the journal has ended, which
# falls into some runs and not into others.
BEHIND = {"notary", "index", "parquet"}


def behind(pid):
    """CPU time of these threads, seconds."""
    used = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(")")
        if name in BEHIND:
            used += sum(map(int, fields.split()[11:13]))
    return used / os.sysconf("SC_CLK_TCK")


def measure(options, path, smsc, ledger):
    off, text = PATHS[path]
    with tempfile.TemporaryDirectory(prefix="rules-bench-", dir=options.state) as name:
        folder = pathlib.Path(name)
        config = write_config(folder, off, smsc, f'path = "{ledger}"')
        proxy = Process([options.consentry, "run", "-c", str(config)], folder / "consentry.log")
        try:
            port = proxy.port()
            settle(proxy.process.pid)
            argv = [options.consentry, "load", "--to", f"127.0.0.1:{port}", "--sessions", "4", "--window", "100",
                    "--duration", f"{options.seconds}s", "--warmup", f"{WARMUP_SECONDS}s", "--source", CODE,
                    "--dest-base", str(FIRST), "--dest-count", str(min(options.pairs, 1_000_000)), "--text", text,
                    "--expect", "ESME_ROK", "--cpu-of", str(proxy.process.pid), "--json"]
            worked = behind(proxy.process.pid)
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise Cannot(f"{path}: {done.stderr}{done.stdout}{proxy.output.read_text()[-500:]}"[:2000])
            worked = behind(proxy.process.pid) - worked
            report = json.loads(done.stdout)
            resident = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{proxy.process.pid}/status").read_text())
        finally:
            proxy.stop()
    cpu = next(one["us_per_message"] for one in report["cpu"] if one["pid"] == proxy.process.pid)
    behind_us = worked * 1e6 / (report["rate"] * (options.seconds + WARMUP_SECONDS))
    return {"rate": report["rate"], "cpu": cpu, "behind": behind_us, "before": cpu - behind_us, "rss": int(resident[1]) / 1024}


def fill(options, folder, keep=False):
    """A ledger in which all recipients consented; `keep` leaves the lines it was made of in `pairs.csv`."""
    lines = folder / "pairs.csv"
    with open(lines, "w", encoding="utf-8") as out:
        out.write("number,entity,time,proof,proof_sha256,review\n")
        rest = f",{ENTITY},2026-05-06T10:00:00+08:00,web,{'9f' * 32},reviewed\n"
        for number in range(options.pairs):
            out.write(f"{FIRST + number}{rest}")
    ledger = folder / "consent"
    subprocess.run([options.consentry, "consent", "import", "--path", str(ledger), str(lines)], check=True,
                   stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if not keep:
        lines.unlink()
    return ledger


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--consentry", required=True, type=pathlib.Path, help="the release build of consentry")
    parser.add_argument("--pairs", type=int, default=10_000_000, help="pairs in the ledger (default ten million)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds that each run measures (default 5)")
    parser.add_argument("--state", type=pathlib.Path, default=ROOT / "target/bench", help="where ledger and journals are written")
    options = parser.parse_args()
    options.consentry = str(options.consentry.resolve())
    options.state.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    results = {path: [] for path in PATHS}
    with tempfile.TemporaryDirectory(prefix="rules-bench-", dir=options.state) as name:
        folder = pathlib.Path(name)
        ledger = fill(options, folder)
        smsc = Process([options.consentry, "smsc", "--listen", "127.0.0.1:0"], folder / "smsc.log")
        try:
            for number in range(options.runs):
                first = number % len(PATHS)
                for path in [*PATHS][first:] + [*PATHS][:first]:
                    result = measure(options, path, smsc.port(), ledger)
                    results[path].append(result)
                    print(f"{number + 1}/{options.runs} {path}: {result['rate']:.0f}/s {result['cpu']:.2f} us, {result['behind']:.2f} of it behind", file=sys.stderr)
        finally:
            smsc.stop()
    get = lambda path, key: [result[key] for result in results[path]]
    off = statistics.median(get("rules off", "rate"))
    print(f"{first_line(options.consentry, '--version')}; {options.pairs:,} pairs; load average before {load:.2f}; "
          f"{options.runs} runs of {options.seconds} s after {WARMUP_SECONDS} s of warm-up; {os.cpu_count()} cores\n")
    print(table(["path", "messages/s", "of rules off", "CPU us a message", "of it before it goes on", "signing, index and tables", "memory, MiB"],
                [[path, cell(get(path, "rate")), f"{statistics.median(get(path, 'rate')) / off:.0%}",
                  cell(get(path, "cpu"), 2), cell(get(path, "before"), 2), cell(get(path, "behind"), 2), cell(get(path, "rss"), 0)] for path in PATHS]))


if __name__ == "__main__":
    try:
        main()
    except Cannot as reason:
        sys.exit(f"benches/rules.py: {reason}")
