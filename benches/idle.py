#!/usr/bin/env python3
"""What ten thousand idle sessions cost the proxy in memory and in CPU time.

    benches/idle.py --consentry target/release/consentry     about a minute; a Markdown report on standard output

On loopback, as many ESMEs as asked for bind through `consentry run` to `consentry smsc`, each sends a few submit_sm, and
then all stay silent. Every session takes two file descriptors of the proxy: where the hard limit of this machine (ulimit
-Hn) does not cover them, fewer sessions are held, and the report says how many. Exit status 0: they fit, 1: they do not, 2: it
could not be measured.
"""

import argparse
import os
import pathlib
import platform
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

START_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 10.0
# Descriptors of the proxy beside its sessions: journal, log, listeners, epoll.
OTHER_DESCRIPTORS_MAX = 64
MESSAGES = 10
QUIET_SECONDS = 10
LIMIT_MIB = 512

SYSTEM_ID = b"idle"
CODE = b"106900001234"
RECIPIENT = b"8613800000000"
BIND_TRANSCEIVER, SUBMIT_SM, RESPONSE = 0x9, 0x4, 0x8000_0000


class Cannot(Exception):
    """The measurement could not be carried out; says why and what to do."""


def raise_limit():
    """All processes may have as many descriptors as the machine permits."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Process:
    """A program whose output goes to a file and which is ended by its own id."""

    def __init__(self, argv, output):
        self.name, self.output = argv[0], output
        with open(output, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

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

    def memory_kib(self, field):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE)[1])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def pdu(command_id, sequence_number, body):
    return struct.pack(">IIII", 16 + len(body), command_id, 0, sequence_number) + body


def bind():
    return pdu(BIND_TRANSCEIVER, 1, SYSTEM_ID + b"\0secret\0\0" + bytes([0x34, 0, 0]) + b"\0")


def submit(sequence_number):
    text = "你好，世界".encode("utf-16-be")
    addresses = b"\0\1" + CODE + b"\0" + b"\0\1" + RECIPIENT + b"\0"
    return pdu(SUBMIT_SM, sequence_number, b"\0" + addresses + bytes(5) + bytes([0, 0, 8, 0, len(text)]) + text)


def answer(esme):
    """The next PDU's command_id and command_status."""
    octets = b""
    while len(octets) < 16 or len(octets) < int.from_bytes(octets[:4], "big"):
        wanted = 16 if len(octets) < 16 else int.from_bytes(octets[:4], "big")
        more = esme.recv(wanted - len(octets))
        if not more:
            raise Cannot("the proxy closed a connection: see its log")
        octets += more
    _, command_id, status, _ = struct.unpack(">IIII", octets[:16])
    return command_id, status


def expect(esme, command_id):
    found = answer(esme)
    if found != (command_id | RESPONSE, 0):
        raise Cannot(f"a request was answered with command_id {found[0]:#010x}, command_status {found[1]:#010x}")


def start_proxy(options, smsc_port, folder):
    (folder / "registry.toml").write_text(f"""\
[[provider]]
name       = "测量有限公司"
system_ids = ["{SYSTEM_ID.decode()}"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"

[[provider.code]]
number     = "{CODE.decode()}"
""", encoding="utf-8")
    config = folder / "consentry.toml"
    config.write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc    = ["127.0.0.1:{smsc_port}"]

[limits]
sessions_per_address = {options.sessions}

[registry]
file = "registry.toml"

[audit]
path = "audit"
durability = "written"

[log]
level = "warn"

[admin]
address = "127.0.0.1:0"
""", encoding="utf-8")
    # Where it listens is told at the level `info`; the sessions would tell as much and more.
    os.environ["RUST_LOG"] = "warn,consentry::cmd=info"
    process = Process([options.consentry, "run", "-c", str(config)], folder / "consentry.log")
    try:
        return process, process.port()
    except Cannot:
        process.stop()
        raise


def measure(options, proxy, port):
    """Named figures, in their order."""
    figures = {"empty": proxy.memory_kib("VmRSS")}
    began = time.monotonic()
    esmes = []
    for _ in range(options.sessions):
        esme = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS_MAX)
        esmes.append(esme)
        esme.sendall(bind())
        expect(esme, BIND_TRANSCEIVER)
    figures["bind_seconds"] = time.monotonic() - began
    figures["bound"] = proxy.memory_kib("VmRSS")
    for esme in esmes:
        esme.sendall(b"".join(submit(2 + number) for number in range(MESSAGES)))
        for _ in range(MESSAGES):
            expect(esme, SUBMIT_SM)
    figures["used"] = proxy.memory_kib("VmRSS")
    before = proxy.cpu_seconds()
    time.sleep(QUIET_SECONDS)
    figures["cpu"] = (proxy.cpu_seconds() - before) / QUIET_SECONDS
    figures["quiet"] = proxy.memory_kib("VmRSS")
    figures["peak"] = proxy.memory_kib("VmHWM")
    return figures


def report(options, figures, hard):
    mib = lambda name: f"{figures[name] / 1024:.1f} MiB"
    info = pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    each = (figures["peak"] - figures["empty"]) / options.sessions
    whole = (figures["empty"] + 10_000 * each) / 1024
    print(f"- CPU: {model[1] if model else platform.machine()}, {len(os.sched_getaffinity(0))} cores; "
          f"kernel: {platform.system()} {platform.release()}; date: {time.strftime('%Y-%m-%d', time.gmtime())}")
    if options.sessions < options.wanted:
        print(f"- {options.wanted} sessions were asked for; the hard limit of {hard} descriptors holds {options.sessions}")
    print(f"""
| {options.sessions} sessions | the proxy's memory (VmRSS) |
|---|---:|
| none yet | {mib("empty")} |
| all bound ({figures["bind_seconds"]:.0f} s for it) | {mib("bound")} |
| each has sent {MESSAGES} messages | {mib("used")} |
| {QUIET_SECONDS} s later | {mib("quiet")} |
| the most at any time (VmHWM) | {mib("peak")} |

That is {each:.1f} KiB a session at the most, and {whole:.0f} MiB for 10,000, of the {LIMIT_MIB} MiB that they may take. Idle,
they cost {figures["cpu"] * 1000:.1f} ms of CPU time a second.""")
    return whole <= LIMIT_MIB


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", required=True, help="the release binary")
    parser.add_argument("--sessions", type=int, default=10_000)
    options = parser.parse_args()
    hard = raise_limit()
    options.wanted = options.sessions
    options.sessions = min(options.sessions, (hard - OTHER_DESCRIPTORS_MAX) // 2)
    with tempfile.TemporaryDirectory(prefix="idle-bench-") as name:
        folder = pathlib.Path(name)
        smsc = Process([options.consentry, "smsc", "--listen", "127.0.0.1:0"], folder / "smsc.log")
        try:
            proxy, port = start_proxy(options, smsc.port(), folder)
            try:
                figures = measure(options, proxy, port)
            finally:
                proxy.stop()
        finally:
            smsc.stop()
    return 0 if report(options, figures, hard) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Cannot, OSError) as reason:
        print(f"idle.py: {reason}", file=sys.stderr)
        sys.exit(2)
