#!/usr/bin/env python3
"""What a shared consent ledger costs a node, beside the embedded one, and what it asks of its engine.

    benches/nodes.py --consentry target/release/consentry     about ten minutes; Markdown on standard output

On loopback, as benches/rules.py: `consentry load` sends advertisements whose number differs from message to message through
`consentry run` with every rule (journal written, 4 sessions, window 100). All recipients consented. The engine is PostgreSQL
of this machine with a synchronous standby (remote_apply), on the same cores. How many look-ups the cache answers follows from
how many recipients there are for its size; what it was is measured. Every path is measured once a round and each round begins
with another path.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/nodes")]
from engine import DATABASE, USER, Engine  # noqa: E402
from ground import free_port, give  # noqa: E402
from haproxy import ROOT, WARMUP_SECONDS, Cannot, Process, cell, first_line, table  # noqa: E402
from rules import CODE, FIRST, VARYING, fill, settle, write_config  # noqa: E402

CACHE = "16MiB"
# Recipients for that cache: all fit; more than fit, so that about one look-up in ten is a miss; far more.
FITS, TENTH = 300_000, 512_000
PATHS = {
    "embedded": ("embedded", FITS),
    "shared, all in the cache": ("shared", FITS),
    "embedded, {}": ("embedded", TENTH),
    "shared, {}": ("shared", TENTH),
}


def counted(port):
    """Look-ups by what became of them."""
    admin = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    admin.request("GET", "/metrics")
    text = admin.getresponse().read().decode()
    admin.close()
    found = re.findall(r'^consentry_consent_lookups_total\{result="(\w+)"\} (\d+)', text, re.MULTILINE)
    return {result: int(count) for result, count in found}


def cpu_of_children(pid):
    """CPU time of a server's processes, seconds: those that live, and those that have ended."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
        elif stat.parent.name == str(pid):
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(options, path, smsc, ledger, engine):
    kind, recipients = PATHS[path]
    consent = f'path = "{ledger}"' if kind == "embedded" else f'url = "{engine.url}"\noutbox = "outbox"'
    with tempfile.TemporaryDirectory(prefix="nodes-bench-", dir=options.state) as name:
        folder, admin = pathlib.Path(name), free_port()
        config = write_config(folder, [], smsc, f'{consent}\ncache = "{CACHE}"\n[cluster]\nnode = "bench"\nnodes = 3')
        with open(config, "a", encoding="utf-8") as out:
            out.write(f'\n[admin]\naddress = "127.0.0.1:{admin}"\n')
        proxy = Process([options.consentry, "run", "-c", str(config)], folder / "consentry.log")
        try:
            port = proxy.port()
            settle(proxy.process.pid)
            load = [options.consentry, "load", "--to", f"127.0.0.1:{port}", "--sessions", "4", "--window", "100",
                    "--warmup", f"{WARMUP_SECONDS}s", "--source", CODE, "--dest-base", str(FIRST), "--dest-count",
                    str(recipients), "--text", VARYING, "--cpu-of", str(proxy.process.pid), "--json"]
            # Until the cache has seen everybody; a look-up that is late meanwhile is no part of the measurement.
            subprocess.run([*load, "--duration", "5s"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
            before, busy = counted(admin), cpu_of_children(engine.primary.process.process.pid)
            done = subprocess.run([*load, "--duration", f"{options.seconds}s"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=120, check=False)
            if done.returncode:
                raise Cannot(f"{path}: {done.stderr}{done.stdout}{proxy.output.read_text()[-500:]}"[:4000])
            busy = cpu_of_children(engine.primary.process.process.pid) - busy
            looked = {result: count - before.get(result, 0) for result, count in counted(admin).items()}
            report = json.loads(done.stdout)
        finally:
            proxy.stop()
    if strange := set(report["statuses"]) - {"ESME_ROK", "ESME_RMSGQFUL"}:
        raise Cannot(f"{path}: messages were answered {', '.join(strange)}")
    messages = report["rate"] * (options.seconds + WARMUP_SECONDS)
    cpu = next(one["us_per_message"] for one in report["cpu"] if one["pid"] == proxy.process.pid)
    asked, answered = sum(looked.values()), sum(report["statuses"].values())
    return {"rate": report["rate"], "cpu": cpu, "engine": busy * 1e6 / messages,
            "hits": looked.get("hit", 0) / asked * 100 if kind == "shared" and asked else None,
            "later": report["statuses"].get("ESME_RMSGQFUL", 0) / answered * 1e6}


def fill_engine(options, folder, engine):
    """The same pairs in the engine; what they take there."""
    lines = folder / "pairs.csv"
    config = write_config(folder, [], 1, f'url = "{engine.url}"\noutbox = "outbox"')
    subprocess.run([options.consentry, "consent", "migrate", "-c", str(config)], check=True, stdin=subprocess.DEVNULL,
                   stdout=sys.stderr)
    subprocess.run([options.consentry, "consent", "import", "-c", str(config), str(lines)], check=True,
                   stdin=subprocess.DEVNULL, stdout=sys.stderr)
    engine.primary.ask("VACUUM ANALYZE")
    engine.primary.ask("CHECKPOINT", "postgres")
    sizes = {}
    for part in ("pairs", "events", "changes"):
        sizes[part] = int(engine.primary.ask(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
            f"WHERE relkind = 'r' AND relname LIKE 'consentry_consent_{part}%'"))
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--consentry", required=True, type=pathlib.Path, help="the release build of consentry")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds that each run measures (default 5)")
    parser.add_argument("--state", type=pathlib.Path, default=ROOT / "target/bench", help="where ledger and journals are written")
    options = parser.parse_args()
    options.consentry = str(options.consentry.resolve())
    options.state.mkdir(parents=True, exist_ok=True)
    options.pairs = TENTH
    load = os.getloadavg()[0]
    results = {path: [] for path in PATHS}
    with tempfile.TemporaryDirectory(prefix="nodes-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        servers = folder / "servers"
        servers.mkdir()
        give(servers)
        engine = Engine(servers, {}, lambda port: types.SimpleNamespace(port=port))
        smsc = None
        try:
            engine.primary.settings(synchronous_commit="remote_apply", synchronous_standby_names=engine.standby.name)
            hosts = ",".join(f"127.0.0.1:{server.port}" for server in engine.servers)
            engine.url = f"postgres://{USER}@{hosts}/{DATABASE}?target_session_attrs=read-write&sslmode=disable"
            ledger = fill(options, folder, keep=True)
            sizes = fill_engine(options, folder, engine)
            smsc = Process([options.consentry, "smsc", "--listen", "127.0.0.1:0"], folder / "smsc.log")
            for number in range(options.runs):
                first = number % len(PATHS)
                for path in [*PATHS][first:] + [*PATHS][:first]:
                    result = measure(options, path, smsc.port(), ledger, engine)
                    results[path].append(result)
                    print(f"{number + 1}/{options.runs} {path}: {result}", file=sys.stderr)
        finally:
            if smsc:
                smsc.stop()
            engine.stop()
        version = first_line(engine.primary.bin / "postgres", "--version")
    report(options, results, sizes, version, load)


def report(options, results, sizes, version, load):
    get = lambda path, key: [result[key] for result in results[path]]
    print(f"{first_line(options.consentry, '--version')}; {version}, synchronous standby; load average before {load:.2f}; "
          f"{options.runs} runs of {options.seconds} s after {WARMUP_SECONDS} s of warm-up; {os.cpu_count()} cores\n")
    rows = []
    for path, (kind, recipients) in PATHS.items():
        own = statistics.median(get(path, "rate")) / statistics.median(get("embedded" if recipients == FITS else "embedded, {}", "rate"))
        hits = get(path, "hits")
        rows.append([path.format(f"{recipients:,} recipients"), cell(get(path, "rate")), f"{own:.0%}", cell(get(path, "cpu"), 2),
                     cell(get(path, "engine"), 2), cell(hits, 1) if hits[0] is not None else "-", cell(get(path, "later"), 0)])
    print(table(["path", "messages/s", "of embedded", "CPU us a message, node", "the same, primary", "look-ups answered by the cache, %", "ESME_RMSGQFUL a million"], rows))
    print(f"\n{TENTH:,} pairs with one event each take in the engine, with their indexes: "
          + ", ".join(f"{octets / TENTH:.0f} octets a pair in {part}" for part, octets in sizes.items()) + ".")


if __name__ == "__main__":
    try:
        main()
    except Cannot as reason:
        sys.exit(f"benches/nodes.py: {reason}")
