#!/usr/bin/env python3
"""What Consentry costs beside HAProxy in TCP mode, which copies octets and judges nothing.

    benches/haproxy.py --consentry target/release/consentry     about nine minutes; a Markdown report on standard output

On loopback, `consentry load` sends to `consentry smsc`: directly, through HAProxy (one and two threads), and through
`consentry run` (journal written with one thread and with two, journal synced). Every path is measured once a round and each round begins with
another path, so that a slow minute of the machine falls on all of them. Needs the Debian package haproxy.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

START_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 10.0
# Beside what a load measures: binding, its last answers, its report.
LOAD_GRACE_SECONDS_MAX = 30.0
WARMUP_SECONDS = 1

# Who sends, from where, and the first recipient: what the registry and the numbering plan admit.
SYSTEM_ID = "load"
CODE = "106900001234"
RECIPIENT = "8613800000000"

# What reads texts and asks the ledger is off: these figures are those of the sender rules. benches/rules.py has the rest.
TEXT_RULES = """code.purpose consent.missing consent.revoked consent.expired consent.repeat notice.missing signature.missing
signature.unregistered content.prohibited content.undecodable body.empty body.stored ledger.unavailable parts.malformed
parts.limit recipients.swept public.unfiled form.binary form.display""".split()
# Rules on the form of a message, whatever its text says.
FORM_RULES = """form.replacing form.service form.protocol form.mode form.program schedule.beyond earlier.unknown
destination.list""".split()

PATHS = {
    "direct": None,
    "HAProxy, 1 thread": ("haproxy", 1),
    "HAProxy, 2 threads": ("haproxy", 2),
    "Consentry, written, 1 thread": ("consentry", ("written", 1)),
    "Consentry, written, 2 threads": ("consentry", ("written", 2)),
    "Consentry, synced, 2 threads": ("consentry", ("synced", 2)),
}

RATE = 20_000
SHAPES = {
    "full": ["--sessions", "4", "--window", "100"],
    "one": ["--sessions", "1", "--window", "1"],
    "open": ["--sessions", "4", "--window", "1000", "--rate", str(RATE)],
}


class Cannot(Exception):
    """The measurement could not be carried out; says why and what to do."""


class Process:
    """A program whose output goes to a file and which is ended by its own id."""

    def __init__(self, argv, output, pass_fds=()):
        self.name, self.output = argv[0], output
        with open(output, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                            pass_fds=pass_fds)

    def port(self):
        """The port of the first line that says on which address of this machine it listens."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            ended = self.process.poll() is not None
            text = re.sub(r"\x1b\[[0-9;]*m", "", self.output.read_text(errors="replace"))
            if match := re.search(r"^.*listening.*127\.0\.0\.1:(\d+)", text, re.MULTILINE):
                return int(match[1])
            if ended or time.monotonic() > deadline:
                raise Cannot(f"{self.name} does not say where it listens:\n{text[-2000:]}")
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_haproxy(binary, threads, smsc, folder):
    """HAProxy on a listening socket that it inherits, so that no port has to be guessed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = folder / "haproxy.cfg"
    config.write_text(f"""\
global
    nbthread {threads}
    maxconn 1000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend esme
    bind fd@{listener.fileno()}
    default_backend smsc
backend smsc
    server one 127.0.0.1:{smsc}
""")
    process = Process([binary, "-db", "-f", str(config)], folder / "haproxy.log", (listener.fileno(),))
    port = listener.getsockname()[1]
    listener.close()
    return process, port


def start_consentry(binary, durability, threads, smsc, folder):
    (folder / "registry.toml").write_text(f"""\
[[provider]]
name       = "测量有限公司"
system_ids = ["{SYSTEM_ID}"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"

[[provider.code]]
number     = "{CODE}"
digits_max = 16
purpose    = "service"
""", encoding="utf-8")
    overrides = "".join(f'"{rule}" = {{ mode = "off" }}\n' for rule in TEXT_RULES)
    config = folder / "consentry.toml"
    config.write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc    = ["127.0.0.1:{smsc}"]

[limits]
threads = {threads}
sessions_per_address = 1000

[registry]
file = "registry.toml"

[audit]
path = "audit"
durability = "{durability}"

[admin]
address = "127.0.0.1:0"

[rules.override]
{overrides}""", encoding="utf-8")
    process = Process([binary, "run", "-c", str(config)], folder / "consentry.log")
    try:
        return process, process.port()
    except Cannot:
        process.stop()
        raise


def load(options, port, shape, middle):
    """One run of `consentry load`, as its own report in JSON."""
    argv = [options.consentry, "load", "--to", f"127.0.0.1:{port}", *SHAPES[shape], "--duration", f"{options.seconds}s",
            "--warmup", f"{WARMUP_SECONDS}s", "--system-id", SYSTEM_ID, "--source", CODE,
            "--dest-base", RECIPIENT, "--expect", "ESME_ROK", "--json"]
    if middle:
        argv += ["--cpu-of", str(middle.process.pid)]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=options.seconds + WARMUP_SECONDS + LOAD_GRACE_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        raise Cannot(f"`{' '.join(argv)}` did not end in time") from None
    if done.returncode:
        raise Cannot(f"`{' '.join(argv)}` ended with {done.returncode}: {done.stderr}{done.stdout}"[:2000])
    return json.loads(done.stdout)


def measure(options, path, shape, smsc):
    """One run over one path, with a process in the middle that is started for it and stopped after it."""
    with tempfile.TemporaryDirectory(prefix="haproxy-bench-", dir=options.state) as name:
        folder, middle, port = pathlib.Path(name), None, smsc
        if PATHS[path]:
            what, setting = PATHS[path]
            if what == "haproxy":
                middle, port = start_haproxy(options.haproxy, setting, smsc, folder)
            else:
                middle, port = start_consentry(options.consentry, *setting, smsc, folder)
        try:
            report = load(options, port, shape, middle)
        except Cannot as reason:
            said = middle.output.read_text(errors="replace")[-1000:] if middle else ""
            raise Cannot(f"{path}: {reason}\n{said}") from None
        finally:
            if middle:
                middle.stop()
    cpu = next((one["us_per_message"] for one in report["cpu"] if middle and one["pid"] == middle.process.pid), None)
    if middle and cpu is None:
        raise Cannot(f"{path}: the process in the middle was gone at the end of the load")
    return {"rate": report["rate"], "p50": report["latency_ns"]["p50"] / 1e3, "p90": report["latency_ns"]["p90"] / 1e3, "p99": report["latency_ns"]["p99"] / 1e3,
            "cpu": cpu, "unsent": report["unsent"]}


def measure_all(options):
    """results[shape][path]: one result a round, in the order of the rounds."""
    results = {shape: {path: [] for path in PATHS} for shape in SHAPES}
    with tempfile.TemporaryDirectory(prefix="haproxy-bench-", dir=options.state) as name:
        smsc = Process([options.consentry, "smsc", "--listen", "127.0.0.1:0"], pathlib.Path(name) / "smsc.log")
        try:
            port = smsc.port()
            for shape in SHAPES:
                for round_number in range(options.runs):
                    first = round_number % len(PATHS)
                    for path in [*PATHS][first:] + [*PATHS][:first]:
                        result = measure(options, path, shape, port)
                        results[shape][path].append(result)
                        print(f"{shape} round {round_number + 1}/{options.runs} {path}: {result['rate']:.0f}/s, "
                              f"p50 {result['p50']:.1f} us, p99 {result['p99']:.1f} us", file=sys.stderr, flush=True)
        finally:
            smsc.stop()
    return results


def cell(values, digits=0):
    """Median, and between which values it lies."""
    if not values or None in values:
        return "-"
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median:,.{digits}f} ({low:,.{digits}f} - {high:,.{digits}f})"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def added(paths, path, key):
    """What a path adds to the direct one, round by round: both were measured within the same round."""
    return [there[key] - here[key] for there, here in zip(paths[path], paths["direct"])] if path != "direct" else None


def first_line(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def machine(options):
    info = pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    virtual = ", virtual" if re.search(r"^flags.*\bhypervisor\b", info, re.MULTILINE) else ""
    file_system = first_line("stat", "-f", "-c", "%T", str(options.state))
    return "\n".join([
        f"- CPU: {model[1] if model else platform.machine()}, {len(os.sched_getaffinity(0))} cores{virtual}",
        f"- kernel: {platform.system()} {platform.release()}; journal on {file_system}",
        f"- {first_line(options.consentry, '--version')}; {first_line(options.haproxy, '-v')}; Python {platform.python_version()}",
        f"- date: {time.strftime('%Y-%m-%d', time.gmtime())}; load average before: {options.load_average:.2f}; "
        f"runs: {options.runs} of {options.seconds} s after {WARMUP_SECONDS} s of warm-up",
    ])


def report(options, results):
    full, one, opened = results["full"], results["one"], results["open"]
    get = lambda paths, path, key: [result[key] for result in paths[path]]
    print("Each figure is the median of all runs, in parentheses the lowest and the highest.\n")
    print(machine(options))
    print("\n### Closed loop, 4 sessions, window 100\n")
    print(table(["path", "messages/s", "CPU us a message, middle process"],
                [[path, cell(get(full, path, "rate")), cell(get(full, path, "cpu"), 2)] for path in PATHS]))
    print("\n### Closed loop, 1 session, window 1\n")
    print(table(["path", "median latency, us", "added to direct, us", "CPU us a message, middle process"],
                [[path, cell(get(one, path, "p50"), 1), cell(added(one, path, "p50"), 1), cell(get(one, path, "cpu"), 2)]
                 for path in PATHS]))
    print(f"\n### Open loop, {RATE:,} messages/s, 4 sessions\n")
    print(table(["path", "messages/s", "median latency, us", "p99 latency, us", "p99 added to direct, us", "CPU us a message, middle process"],
                [[path, cell(get(opened, path, "rate")), cell(get(opened, path, "p50"), 1), cell(get(opened, path, "p99"), 1),
                  cell(added(opened, path, "p99"), 1),
                  cell(get(opened, path, "cpu"), 2)] for path in PATHS]))
    slow = [path for path in PATHS if min(get(opened, path, "rate")) < 0.98 * RATE or any(get(opened, path, "unsent"))]
    if slow:
        print(f"\nDid not hold {RATE:,} messages/s in every run: {', '.join(slow)}. Their p99 tells of a queue, not of the path.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--consentry", required=True, help="the release build of consentry")
    parser.add_argument("--runs", type=int, default=5, help="rounds for each shape of load (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds that each run measures (default 5)")
    parser.add_argument("--state", type=pathlib.Path, default=ROOT / "target/bench",
                        help="where the journals are written and removed: a real disk (default target/bench)")
    options = parser.parse_args()
    if options.runs < 1 or options.seconds < 1:
        parser.error("--runs and --seconds are at least 1")
    options.consentry = shutil.which(options.consentry) or sys.exit(f"{options.consentry} is not there: cargo build --release --locked")
    options.haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or sys.exit(
        "haproxy is not there: apt-get install haproxy (on Debian; its service need not run)")
    options.state.mkdir(parents=True, exist_ok=True)
    options.load_average = os.getloadavg()[0]
    runs = options.runs * len(PATHS) * len(SHAPES)
    print(f"{runs} runs, about {runs * (options.seconds + WARMUP_SECONDS + 0.5) / 60:.0f} minutes", file=sys.stderr)
    try:
        report(options, measure_all(options))
    except Cannot as reason:
        sys.exit(f"benches/haproxy.py: {reason}")


if __name__ == "__main__":
    main()
