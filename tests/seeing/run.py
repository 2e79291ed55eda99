#!/usr/bin/env python3
"""What operators see, against a real Prometheus.

tests/seeing/run.py --consentry target/debug/consentry

promtool tests the alerts, and each case is seen to fail against an alert that never fires or always does. Grafana's own
model reads the dashboards. Then a proxy runs under load that passes, is refused, opts out and is not answered; the
commands of docs/seeing.md install the files; Prometheus scrapes; and every expression of every rule, alert and panel
must return data.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target/seeing"
venv = TARGET / "venv/bin/python"
if venv.exists() and pathlib.Path(sys.prefix) != venv.parent.parent:
    os.execv(venv, [str(venv), *sys.argv])

import yaml  # noqa: E402

import dashboards  # noqa: E402

PROMTOOL = TARGET / "prometheus/usr/bin/promtool"
PROMETHEUS = TARGET / "prometheus/usr/bin/prometheus"
DEPLOY = ROOT / "deploy/prometheus"
DOCUMENT = ROOT / "docs/seeing.md"

# Seconds after which every expression must have returned data, in which the figures must be as meant, and in which a
# process must begin or end.
DATA_MAX = 60
FIGURES_MAX = 20
START_MAX = 30
STOP_MAX = 20
# What stands for Grafana's variables.
RATE_INTERVAL, RANGE = "15s", "1m"

failed = 0


def check(what, faults):
    global failed
    failed += bool(faults)
    print(f"{'WRONG' if faults else 'ok   '} {what}", flush=True)
    for fault in faults:
        print(f"      {fault}")


def promtool(*arguments):
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def alerts():
    groups = yaml.safe_load((DEPLOY / "consentry.alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def recordings():
    groups = yaml.safe_load((DEPLOY / "consentry.rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


# Rules without a proxy.


def test_rules():
    files = [DEPLOY / "consentry.rules.yml", DEPLOY / "consentry.alerts.yml"]
    status, said = promtool("check", "rules", *files)
    check("promtool check rules", [said] if status else [])
    status, said = promtool("test", "rules", HERE / "alerts.test.yml")
    check("promtool test rules", [said] if status else [])
    faults = []
    for alert in alerts():
        said = alert.get("annotations", {})
        for what, is_there in (("for", "for" in alert), ("summary", said.get("summary")), ("Do:", "Do: " in said.get("description", "")),
                               ("severity", alert["labels"]["severity"] in ("critical", "warning"))):
            faults += [] if is_there else [f"{alert['alert']} has no {what}"]
    check("each alert says for how long, how bad it is, what it means and what to do", faults)


def test_cases_can_fail(folder):
    """An alert that never fires fails its first case, one that always does its quiet one."""
    cases = yaml.safe_load((HERE / "alerts.test.yml").read_text(encoding="utf-8"))
    by_kind = {True: set(), False: set()}
    for one in (one for test in cases["tests"] for one in test["promql_expr_test"]):
        by_kind["exp_samples" in one].add(re.search(r'alertname="(\w+)"', one["expr"])[1])
    names = {alert["alert"] for alert in alerts()}
    for fires, stub, what in ((True, "vector(0) > 1", "never fire"), (False, "vector(1)", "always fire")):
        groups = [{"name": "stub", "rules": [{"alert": name, "expr": stub, "labels": {"severity": "none"}} for name in sorted(names)]}]
        (folder / "stub.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        (folder / "test.yml").write_text(yaml.safe_dump({**cases, "rule_files": ["stub.yml"]}), encoding="utf-8")
        status, said = promtool("test", "rules", folder / "test.yml")
        failing = {re.search(r'alertname=\\?"(\w+)', line)[1] for line in said.splitlines()
                   if "expr:" in line and line.lstrip().startswith("expr:") and ("count by" in line) == fires}
        faults = [f"{name}: no case" for name in sorted(names - by_kind[fires])]
        faults += [f"{name}: its case passes all the same" for name in sorted(by_kind[fires] - failing)]
        check(f"each case fails against alerts that {what}", faults or ([] if status else ["promtool is content"]))


# Processes.


class Process:
    """A process of ours, with its output in a file; ended by its own id."""

    def __init__(self, name, argv, folder):
        self.name, self.log = name, folder / f"{name}.log"
        self.process = subprocess.Popen([str(one) for one in argv], stdin=subprocess.DEVNULL,
                                        stdout=self.log.open("wb"), stderr=subprocess.STDOUT)

    def text(self):
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text(encoding="utf-8", errors="replace"))

    def wait_for(self, find, what):
        until = time.monotonic() + START_MAX
        while not (found := find(self.text())):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.name} does not {what}:\n{self.text()[-2000:]}")
            time.sleep(0.05)
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_MAX)


class Again:
    """A command that is run again each time it ends, until it is stopped."""

    def __init__(self, name, argv, folder):
        self.stopping, self.argv = threading.Event(), [str(one) for one in argv]
        self.log = (folder / f"{name}.log").open("wb")
        self.process = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
            while self.process.poll() is None and not self.stopping.wait(0.05):
                pass
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(STOP_MAX)
            self.stopping.wait(0.3)

    def stop(self):
        self.stopping.set()
        self.thread.join(STOP_MAX)
        self.log.close()


class Hanging:
    """A process that stands still every other few seconds, with all its connections open."""

    def __init__(self, process):
        self.process, self.stopping = process, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(2):
            self.process.send_signal(signal.SIGSTOP)
            self.stopping.wait(5)
            self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.stopping.set()
        self.thread.join(STOP_MAX)


# A proxy under load.

REGISTRY = """\
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1"]
licence    = { number = "B2-20260001", valid_until = 2099-12-31 }
identity   = "verified"
code = [
    { number = "106900001234", digits_max = 16, purpose = "service", signatures = ["示例商城"] },
    { number = "106900009999", purpose = "commercial", signatures = ["示例商城"] },
]

[[provider]]
name       = "过期许可有限公司"
system_ids = ["lapsed1"]
licence    = { number = "B2-20200003", valid_until = 2025-12-31 }
identity   = "verified"
"""


def config_of(folder, smscs):
    listen = "".join(f'[[listen]]\naddress = "127.0.0.1:0"\nsmsc = ["{smsc}"]\n' for smsc in smscs)
    # One more, where nobody connects: its certificate has a metric all the same.
    listen += f'[[listen]]\naddress = "127.0.0.1:0"\nsmsc = ["{smscs[0]}"]\ntls = {{ certificate = "server.pem", key = "server.key" }}\n'
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "60",
                    "-subj", "/CN=proxy.example", "-keyout", "server.key", "-out", "server.pem"], cwd=folder, check=True,
                   capture_output=True, timeout=30)
    (folder / "registry.toml").write_text(REGISTRY, encoding="utf-8")
    config = folder / "consentry.toml"
    config.write_text(f"""\
{listen}
[limits]
window = 10
[timeouts]
response = "2s"
close = "200ms"
[rules.override]
"source.forged" = {{ mode = "observe" }}
[registry]
file = "registry.toml"
[audit]
disk_budget = "1GiB"
[[mirror]]
name = "collector"
kind = "file"
path = "collector"
[capture]
enabled = true
[metrics]
providers = true
[admin]
address = "127.0.0.1:0"
""", encoding="utf-8")
    return config


def smsc(stack, name, folder, consentry, *more):
    started = Process(name, [consentry, "smsc", "--listen", "127.0.0.1:0", *more], folder)
    stack.callback(started.stop)
    started.address = started.wait_for(lambda text: re.search(r"127\.0\.0\.1:\d+", text), "listen")[0]
    return started


def load(stack, name, folder, consentry, to, *more):
    again = Again(name, [consentry, "load", "--to", to, "--sessions", "1", *more], folder)
    stack.callback(again.stop)


def proxy_under_load(stack, folder, consentry):
    """Starts it all; the address of the admin listener."""
    answers = smsc(stack, "smsc", folder, consentry, "--delay-jitter", "20ms",
                   "--deliver", "8613800138000:106900009999:TD", "--deliver-every", "500ms").address
    hangs = smsc(stack, "hangs", folder, consentry)
    proxy = Process("proxy", [consentry, "run", "-c", config_of(folder, [answers, hangs.address])], folder)
    stack.callback(proxy.stop)

    def addresses(text):
        listening = re.findall(r"listening.*?(127\.0\.0\.1:\d+)", text)
        admin = re.search(r"admin.*?(127\.0\.0\.1:\d+)", text)
        return (listening, admin[1]) if len(listening) == 3 and admin else None

    (answered, unanswered, _), admin = proxy.wait_for(addresses, "listen")
    service = "【示例商城】您的包裹已到，取件码####。"
    shop = ("--system-id", "shop1", "--warmup", "0s", "--duration", "4s")
    load(stack, "passes", folder, consentry, answered, *shop, "--rate", "40", "--source", "106900001234", "--text", service)
    load(stack, "observed", folder, consentry, answered, *shop, "--rate", "5", "--source", "106900005555", "--text", service)
    load(stack, "refused", folder, consentry, answered, *shop, "--rate", "10", "--source", "106900009999",
         "--text", "【示例商城】全场五折，回复TD退订####")
    load(stack, "unanswered", folder, consentry, unanswered, *shop, "--rate", "100", "--source", "106900001234", "--text", service)
    stack.callback(Hanging(hangs.process).stop)
    load(stack, "unknown", folder, consentry, answered, "--system-id", "nobody", "--count", "1")
    load(stack, "lapsed", folder, consentry, answered, "--system-id", "lapsed1", "--count", "1")
    return admin


def complain(admin):
    """Enters a complaint, as docs/consent.md has it."""
    line = {"number": "8613800138001", "entity": "示例商城有限公司", "event": "revoked", "cause": "complaint"}
    with urllib.request.urlopen(f"http://{admin}/api/v1/consents", json.dumps(line).encode(), timeout=10) as answer:
        taken = json.load(answer)
    check("a complaint is entered", [] if taken.get("taken") == 1 else [str(taken)])


# The document's commands, and Prometheus.

# They change the machine: what they install is under target/seeing here, and services are run by this test.
NOT_RUN = ("apt-get ", "systemctl ")


def run_document(folder, admin, port):
    """Runs the shell commands of docs/seeing.md, with folders and ports of ours in the place of the machine's; without
    a port those that do not ask Prometheus, with it those that do. The folder that stands for the machine."""
    home = folder / "machine"
    shutil.copytree(ROOT / "deploy", home / "deploy", dirs_exist_ok=True)
    text = DOCUMENT.read_text(encoding="utf-8")
    commands = [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) for line in block.splitlines() if line.strip()]
    run, faults = 0, []
    for command in commands:
        if command.startswith(NOT_RUN) or command.startswith("#"):
            continue
        before = port is None
        if before == ("9090" in command):
            continue
        run += 1
        here = command
        for theirs, ours in (("/etc/", f"{home}/etc/"), ("/var/lib/", f"{home}/var/lib/"), ("127.0.0.1:9464", admin), ("127.0.0.1:9090", f"127.0.0.1:{port}")):
            here = here.replace(theirs, ours)
        environment = {**os.environ, "PATH": f"{PROMTOOL.parent}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-o", "pipefail", "-c", here], cwd=home, env=environment, capture_output=True, text=True, timeout=30)
        if done.returncode:
            faults.append(f"{command}: exit status {done.returncode}: {done.stderr.strip()[-300:]}")
    check(f"{run} commands of docs/seeing.md", faults or ([] if run else ["none were found"]))
    return home


def test_provisioning(home):
    """What the commands installed is what Grafana looks for: the dashboards where it reads them, their data source by its uid."""
    read = {kind: yaml.safe_load((home / f"etc/grafana/provisioning/{kind}/consentry.yml").read_text(encoding="utf-8"))
            for kind in ("datasources", "dashboards")}
    uid = read["datasources"]["datasources"][0]["uid"]
    folder = pathlib.Path(f"{home}{read['dashboards']['providers'][0]['options']['path']}")
    installed = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")}
    faults = [] if installed == dashboards.files() else [f"{folder} has {', '.join(sorted(installed)) or 'nothing'}"]
    for name, one in installed.items():
        source = one["templating"]["list"][0]
        faults += [] if (source["type"], source["current"]["value"]) == ("datasource", uid) else [f"{name}: its data source is not {uid}"]
    check("Grafana's provisioning finds dashboards and data source", faults)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def prometheus(stack, folder, installed, admin):
    """Prometheus with the installed files, but for a scrape each second of this proxy; its port."""
    file = installed / "prometheus.yml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [admin]
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    started = Process("prometheus", [PROMETHEUS, f"--config.file={file}", f"--storage.tsdb.path={folder}/tsdb",
                                     f"--web.listen-address=127.0.0.1:{port}"], folder)
    stack.callback(started.stop)
    started.wait_for(lambda text: "Server is ready" in text, "become ready")
    return port


def ask(port, path, **parameters):
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        return {"error": json.load(error).get("error", str(error))}


# What is asked.


def selectors(expr):
    """Each vector selector of an expression, without range, offset and threshold."""
    return re.findall(r"(?<![\w:])(?:(?:consentry|process)_\w+|\w+:[\w:]+|up)\b(?:\{[^}]*\})?", expr)


# Families that the program which is looked at here does not show: streams are a cargo feature, the others of nodes that share.
ELSEWHERE = ("consentry_stream_", "consentry_cluster_", "consentry_consent_engine_up", "consentry_consent_staleness_seconds",
             "consentry_consent_lookup", "consentry_consent_outbox_events", "consentry_consent_clock_offset_seconds")


def questions():
    """What must return data: where it stands, the expression, and labels that must be there."""
    asked = []
    for rule in recordings():
        asked += [(f"recording {rule['record']}", rule["expr"], ()), (f"recorded series {rule['record']}", rule["record"], ())]
    for alert in alerts():
        named = selectors(alert["expr"])
        assert named, alert["expr"]
        asked += [(f"alert {alert['alert']}", one, ()) for one in named]
    for name, panel, target in dashboards.targets():
        expr = target["expr"].replace("$__rate_interval", RATE_INTERVAL).replace("$__range", RANGE)
        expr = expr.replace("$instance", ".*").replace("$provider", ".*")
        labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        asked.append((f"{name}, panel {panel['title']!r}", expr, labels))
    return [one for one in asked if not any(name in one[1] for name in ELSEWHERE)]


def unsatisfied(port, question):
    """What is wrong with the answer, or None."""
    _, expr, labels = question
    data = ask(port, "query", query=expr)
    if "error" in data:
        return data["error"]
    series = data["result"]
    values = [float(one["value"][1]) for one in series] if data["resultType"] == "vector" else [float(data["result"][1])]
    if not values:
        return "no data"
    if all(value != value for value in values):
        return "not a number"
    missing = [label for label in labels if not all(label in one["metric"] for one in series)]
    return f"no label {', '.join(missing)}" if missing else None


def test_expressions(port):
    asked = questions()
    began, open_questions = time.monotonic(), asked
    while open_questions and time.monotonic() < began + DATA_MAX:
        time.sleep(1)
        open_questions = [one for one in open_questions if unsatisfied(port, one)]
    waited = time.monotonic() - began
    faults = [f"{one[0]}: {unsatisfied(port, one)}: {one[1]}" for one in open_questions]
    check(f"{len(asked)} expressions return data, after {waited:.0f} s", faults)
    groups = ask(port, "rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    faults = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
    expected = len(alerts()) + len(recordings())
    check(f"{len(rules)} rules evaluate", faults or ([] if len(rules) == expected else [f"there are {expected}"]))


def test_figures(port):
    """The figures are those of this traffic, not merely there."""
    figures = (
        ("passes", 'sum(consentry_verdicts_total{verdict="pass"}) > 20'),
        ("is refused", 'consentry_verdicts_total{verdict="refuse",rule="consent.missing"} + on () consentry_verdicts_total{verdict="refuse",rule="consent.revoked"} > 5'),
        ("is observed", 'consentry_verdicts_total{verdict="observe",rule="source.forged"} > 5'),
        ("opts out", 'consentry_consent_revocations_total{cause="refused"} > 0'),
        ("brings a complaint", 'consentry_consent_revocations_total{cause="complaint"} == 1'),
        ("is not answered", "consentry_unanswered_total > 0"),
        ("fills a window", "max_over_time(consentry_windows_full[1m]) == 1"),
        ("is mirrored", 'consentry_mirror_rows_total{mirror="collector"} > 20'),
        ("is captured", 'consentry_capture_frames_total{outcome="written"} > 20'),
        ("comes from an unlicensed provider", "consentry_providers_unlicensed == 1"),
        ("comes from a provider by name", 'consentry_provider_verdicts_total{provider="示例商城有限公司",verdict="pass"} > 20'),
        ("finds the journal available", "consentry_audit_available == 1"),
        ("finds the ledger available", "consentry_consent_available == 1"),
    )
    until = time.monotonic() + FIGURES_MAX
    while (wrong := [one for one in figures if not ask(port, "query", query=one[1]).get("result")]) and time.monotonic() < until:
        time.sleep(1)
    check("the figures are those of the traffic", [f"no traffic {what}: {expr}" for what, expr in wrong])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--consentry", required=True)
    consentry = pathlib.Path(arguments.parse_args().consentry).resolve()
    for tool in (PROMTOOL, PROMETHEUS, consentry):
        if not tool.exists():
            sys.exit(f"{tool} is not there; run tests/seeing/install, and build")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seeing.") as temporary:
        folder = pathlib.Path(temporary)
        with contextlib.ExitStack() as stack:
            admin = proxy_under_load(stack, folder, consentry)
            home = run_document(folder, admin, None)
            port = prometheus(stack, folder, home / "etc/prometheus", admin)
            test_provisioning(home)
            complain(admin)
            check("the dashboards are what deploy/grafana/make.py writes", dashboards.not_written_by_make())
            check("the dashboards are as Grafana's own model has them", dashboards.faults())
            test_expressions(port)
            test_figures(port)
            run_document(folder, admin, port)
        test_rules()
        test_cases_can_fail(folder)
    print(f"{failed} failed, after {time.monotonic() - began:.0f} s")
    sys.exit(1 if failed else 0)


main()
