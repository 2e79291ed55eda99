#!/usr/bin/env python3
"""Foreign ESMEs against foreign SMSCs, directly or through Consentry, with tshark as the witness of every octet.

    tests/interop/run.py                     the peers alone: what they do without a proxy
    tests/interop/run.py --consentry BIN     the same through BIN, leg compared with leg, forged senders refused

Needs what tests/interop/install brings and the right to capture on the loopback interface.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = HERE.parent.parent / "target/interop/venv/bin/python"

START_SECONDS_MAX = 10.0
CLIENT_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0

CODE = "106900001234"
FOREIGN_CODE = "106911119999"
DESTINATION = "8613800138000"
PASSWORD = "s3cretpw"
UNKNOWN_SYSTEM_ID = "nobody"
# Closes its socket right behind its unbind, so whether the answer still travels the ESME leg is a matter of timing.
LEAVES_EARLY = "aiosmpplib"

SMSCS = {
    "node smpp": ["node", str(HERE / "smsc_node.js")],
    "Net::SMPP": ["/usr/bin/perl", str(HERE / "smsc_net_smpp.pl")],
}

# Each ESME: how it is started, and how many messages of each command it must get through in a run. Through the proxy one
# submit_sm more: the one after the refusal.
ESMES = {
    "smpplib": ([str(PYTHON), "-B", str(HERE / "esme_smpplib.py")], {"submit_sm": 9}),
    "aiosmpplib": ([str(PYTHON), "-B", str(HERE / "esme_aiosmpplib.py")], {"submit_sm": 12}),
    "nodesmpp": (["node", str(HERE / "esme_node.js")],
                 {"submit_sm": 8, "data_sm": 1, "submit_multi": 1, "query_sm": 1}),
    "netsmpp": (["/usr/bin/perl", str(HERE / "esme_net_smpp.pl")], {"submit_sm": 10, "query_sm": 1}),
    "kannel": ([str(PYTHON), "-B", str(HERE / "esme_kannel.py")], {"submit_sm": 9}),
}
MESSAGES = ("submit_sm", "data_sm", "submit_multi", "query_sm")


class Cannot(Exception):
    """The test could not be carried out; says why and what to do."""


class Tally:
    """Counts what passed and what failed, a line each."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, detail=""):
        if holds:
            self.passed += 1
            print(f"ok {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {what}{': ' if detail else ''}{detail}", flush=True)
        return holds


class Process:
    """A program whose output goes to a file and which is ended by its own id."""

    def __init__(self, name, argv, output, environment=None):
        self.name, self.output = name, output
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=open(output, "wb"), stderr=subprocess.STDOUT,
                                        env=environment)

    def wait_for_line(self, find):
        """The first value that `find` makes of a line of output."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            ended = self.process.poll() is not None
            for line in self.text().splitlines():
                if (found := find(line)) is not None:
                    return found
            if ended or time.monotonic() > deadline:
                state = f"ended with {self.process.returncode}" if ended else f"said nothing of use in {START_SECONDS_MAX} s"
                raise Cannot(f"{self.name} {state}:\n{self.tail()}")
            time.sleep(0.02)

    def text(self):
        return self.output.read_text(errors="replace")

    def tail(self):
        return "\n".join(self.text().splitlines()[-40:])

    def stop(self, number=signal.SIGTERM):
        """The exit status after the signal; None when it had to be killed."""
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def smsc_port(line):
    match = re.fullmatch(r"PORT (\d+)", line)
    return int(match[1]) if match else None


def consentry_port(line):
    """The port of the SMPP listener, of the log line that names it; the admin listener's line is another."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    if "listen" not in line.lower() or "admin" in line.lower():
        return None
    match = re.search(r"127\.0\.0\.1:(\d+)", line)
    return int(match[1]) if match and match[1] != "0" else None


def write_config(directory, smsc):
    """consentry.toml and registry.toml that admit every ESME of this test with one code."""
    system_ids = ", ".join(f'"{name}"' for name in ESMES)
    (directory / "registry.toml").write_text(f"""\
[[provider]]
name       = "互通测试有限公司"
system_ids = [{system_ids}]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"

[[provider.code]]
number     = "{CODE}"
digits_max = 20
purpose    = "service"
""", encoding="utf-8")
    config = directory / "consentry.toml"
    config.write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc    = ["127.0.0.1:{smsc}"]

[registry]
file = "{directory}/registry.toml"

[audit]
path = "{directory}/audit"
durability = "written"

[admin]
address = "127.0.0.1:0"
""", encoding="utf-8")
    return config


def start_capture(ports, directory):
    """dumpcap on the loopback interface, once it says that it captures."""
    pcap = directory / "loopback.pcapng"
    capture = Process("dumpcap", ["dumpcap", "-q", "-i", "lo", "-s", "0", "-B", "64", "-f",
                                  " or ".join(f"tcp port {port}" for port in ports), "-w", str(pcap)],
                      directory / "dumpcap.out")
    try:
        capture.wait_for_line(lambda line: True if line.startswith("File: ") else None)
    except Cannot as reason:
        capture.stop()
        raise Cannot(f"capturing on lo is not possible here; it takes root, or cap_net_raw on dumpcap.\n{reason}") from None
    return capture, pcap


def stop_capture(capture, pcap):
    """Stops once the file has stopped growing; returns how many packets were dropped."""
    size, deadline = -1, time.monotonic() + STOP_SECONDS_MAX
    while size != (size := pcap.stat().st_size) and time.monotonic() < deadline:
        time.sleep(1)
    capture.stop(signal.SIGINT)
    match = re.search(r"packets? received/dropped.*?: *\d+/(\d+)", capture.text(), re.IGNORECASE | re.DOTALL)
    if not match:
        raise Cannot(f"dumpcap did not say how much it dropped:\n{capture.tail()}")
    return int(match[1])


def tshark(pcap, ports, *arguments):
    """tshark's lines on the capture, with the given ports dissected as SMPP and nothing of the user's settings."""
    decode = [part for port in ports for part in ("-d", f"tcp.port=={port},smpp")]
    with tempfile.TemporaryDirectory(prefix="wireshark-") as settings:
        done = subprocess.run(["tshark", "-n", "-r", str(pcap), *decode, *arguments], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "WIRESHARK_CONFIG_DIR": settings, "HOME": settings})
    if done.returncode:
        raise Cannot(f"tshark failed: {done.stderr}")
    return done.stdout.splitlines()


class Leg:
    """All SMPP sessions towards one port, as PDUs in order, each direction by itself, and tshark's own count of them."""

    def __init__(self, pcap, port):
        self.sessions = collections.defaultdict(lambda: ([], []))  # stream -> (towards the port, back)
        segments = collections.defaultdict(list)
        for line in tshark(pcap, [port], "-Y", f"tcp.port == {port} && tcp.len > 0 && !tcp.analysis.retransmission",
                           "-T", "fields", "-e", "tcp.stream", "-e", "tcp.dstport", "-e", "tcp.seq", "-e", "tcp.payload"):
            stream, to, sequence, payload = line.split("\t")
            segments[int(stream), int(to) != port].append((int(sequence), bytes.fromhex(payload.replace(":", ""))))
        for (stream, back), parts in segments.items():
            self.sessions[stream][back].extend(cut(join(sorted(parts))))
        self.dissected = collections.Counter(
            int(command, 16)
            for line in tshark(pcap, [port], "-Y", f"tcp.port == {port} && smpp", "-T", "fields", "-e", "smpp.command_id")
            for command in line.split(",") if command)

    def pdus(self, back):
        return [pdu for session in self.sessions.values() for pdu in session[back]]

    def commands(self):
        return collections.Counter(command_id(pdu) for back in (False, True) for pdu in self.pdus(back))


def join(parts):
    octets, at = bytearray(), parts[0][0]
    for sequence, payload in parts:
        if sequence != at:
            raise Cannot("the capture has a hole in a TCP stream; nothing can be compared")
        octets += payload
        at += len(payload)
    return bytes(octets)


def cut(octets):
    pdus, at = [], 0
    while at < len(octets):
        length = struct.unpack_from("!I", octets, at)[0] if len(octets) - at >= 4 else 0
        if length < 16 or at + length > len(octets):
            raise Cannot(f"a TCP stream ends inside a PDU or has command_length {length}: {octets[at:at + 32].hex()}")
        pdus.append(octets[at:at + length])
        at += length
    return pdus


def command_id(pdu):
    return struct.unpack_from("!I", pdu, 4)[0]


def is_forged(pdu):
    """A request that the proxy must not let through: a foreign source, or a system_id nobody registered."""
    return not command_id(pdu) & 0x80000000 and (FOREIGN_CODE.encode() in pdu or UNKNOWN_SYSTEM_ID.encode() in pdu)


def is_the_refusal(request, response):
    """The 16 octets that must answer a forged request: its sequence_number, the status of the rule."""
    status = 0x0A if FOREIGN_CODE.encode() in request else 0x0F
    return response == struct.pack("!III", 16, command_id(request) | 0x80000000, status) + request[12:16]


def awaited(there, here):
    """The SMSC's PDUs that the ESME stays to read: all, but for the unbind_resp of the one that leaves early."""
    if there and LEAVES_EARLY.encode() in there[0]:
        return [pdu for pdu in here if command_id(pdu) != 0x80000006]
    return here


def brief(pdus):
    return "; ".join(pdu.hex() for pdu in list(pdus)[:3]) + (f" and {len(pdus) - 3} more" if len(pdus) > 3 else "")


def compare(tally, name, esme_leg, smsc_leg):
    """What passes is octet for octet the same on both legs, in the same order in each session."""
    forged = [pdu for pdu in esme_leg.pdus(False) if is_forged(pdu)]
    tally.check(f"{name}: the ESMEs tried {len(forged)} forged requests", len(forged) >= len(ESMES), "too few to mean anything")
    refusals, towards, back = [], [], []
    for there, here in esme_leg.sessions.values():
        mine = [next((r for r in here if is_the_refusal(pdu, r)), None) for pdu in there if is_forged(pdu)]
        refusals += mine
        towards.append(tuple(pdu for pdu in there if not is_forged(pdu)))
        back.append(tuple(pdu for pdu in awaited(there, here) if pdu not in mine))
    tally.check(f"{name}: each forged request is answered with 16 octets, its sequence_number and its status",
                None not in refusals, f"{refusals.count(None)} are not")
    leaked = [pdu for pdu in smsc_leg.pdus(False) if is_forged(pdu)]
    tally.check(f"{name}: no forged request reaches the SMSC", not leaked, brief(leaked))

    for what, at_esme, at_smsc in (
            ("ESME to SMSC", towards, [tuple(session[0]) for session in smsc_leg.sessions.values()]),
            ("SMSC to ESME", back, [tuple(awaited(*session)) for session in smsc_leg.sessions.values()])):
        one = collections.Counter(pdu for session in at_esme for pdu in session)
        other = collections.Counter(pdu for session in at_smsc for pdu in session)
        count = sum(one.values())
        tally.check(f"{name}: {what}, {count} PDUs byte-identical on both legs", one == other and count,
                    f"only at the ESME: {brief(one - other)} | only at the SMSC: {brief(other - one)}")
        sessions = [collections.Counter(session for session in side if session) for side in (at_esme, at_smsc)]
        tally.check(f"{name}: {what}, {sum(sessions[0].values())} sessions with the same PDUs in the same order",
                    sessions[0] == sessions[1], "a session was mixed or reordered")


def read_capture(tally, name, pcap, ports, proxied):
    bad = tshark(pcap, ports, "-Y", "smpp && (_ws.malformed || _ws.expert.severity >= 8388608) || _ws.malformed", "-T", "fields",
                 "-e", "frame.number", "-e", "smpp.command_id", "-e", "_ws.expert.message", "-e", "tcp.payload")
    tally.check(f"{name}: tshark finds no malformed PDU", not bad, f"{len(bad)} frames, first {bad[:1]}")
    legs = [Leg(pcap, port) for port in ports]
    for leg, what in zip(legs, ("ESME leg", "SMSC leg") if proxied else ("only leg",)):
        tally.check(f"{name}: tshark dissects all {sum(leg.commands().values())} PDUs of the {what}",
                    leg.dissected == leg.commands() and leg.dissected,
                    f"it names {sum(leg.dissected.values())}: {leg.commands() - leg.dissected}")
    if proxied:
        compare(tally, name, *legs)


def run_clients(tally, name, port, log, proxied):
    for system_id, (argv, messages) in ESMES.items():
        began = time.monotonic()
        argv = [*argv, "--port", str(port), "--system-id", system_id, "--password", PASSWORD, "--source", CODE,
                "--destination", DESTINATION, "--smsc-log", str(log)]
        if proxied:
            argv += ["--foreign-source", FOREIGN_CODE]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", timeout=CLIENT_SECONDS_MAX)
            code, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            code, output = None, (late.stdout or b"").decode(errors="replace")
        for line in output.splitlines():
            print(f"    {line}")
        worked = tally.check(f"{name}: {system_id} in {time.monotonic() - began:.1f} s", code == 0,
                             "not done in time" if code is None else f"exit status {code}")
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        got = collections.Counter(record["command"] for record in records
                                  if record.get("system_id") == system_id and record["command"] in MESSAGES)
        expected = collections.Counter(messages) + collections.Counter({"submit_sm": int(proxied)})
        if worked:
            tally.check(f"{name}: {system_id}, {sum(expected.values())} messages at the SMSC", got == expected,
                        f"{dict(got)}, not {dict(expected)}")


def check_log(tally, name, text):
    leaks = [what for what, secret in (("password", PASSWORD), ("number", DESTINATION), ("text", "part of a long text"))
             if secret in text]
    tally.check(f"{name}: the proxy's log holds no password, full number or text", not leaks, ", ".join(leaks))


def one_round(tally, name, argv, consentry, directory):
    """All ESMEs against one SMSC."""
    log = directory / "smsc.ndjson"
    log.touch()
    smsc = Process(name, [*argv, "0", str(log)], directory / "smsc.out")
    proxy = capture = None
    try:
        port = upstream = smsc.wait_for_line(smsc_port)
        if consentry:
            config = write_config(directory, upstream)
            proxy = Process("consentry", [consentry, "run", "-c", str(config)], directory / "consentry.out")
            port = proxy.wait_for_line(consentry_port)
        ports = [port, upstream] if proxy else [port]
        capture, pcap = start_capture(ports, directory)
        failed = tally.failed
        run_clients(tally, name, port, log, bool(proxy))
        dropped = stop_capture(capture, pcap)
        capture = None
        tally.check(f"{name}: the capture dropped no packet", dropped == 0, str(dropped))
        if proxy:
            status = proxy.stop()
            tally.check(f"{name}: the proxy stops on SIGTERM with exit status 0", status == 0, str(status))
            check_log(tally, name, proxy.text())
        read_capture(tally, name, pcap, ports, bool(proxy))
        if proxy and tally.failed > failed:
            print(f"--- log of {consentry}\n{proxy.tail()}")
    finally:
        for process in (capture, proxy, smsc):
            if process and process.process.poll() is None:
                process.stop()


# Numbers of the proxy's own enquire_links, and how many are waited for.
OWN_NUMBERS = range(0x7FFF0000, 0x7FFFFFFF)
LINKS = 2
LINKS_SECONDS_MAX = 20.0


def own_enquire_link(tally, name, argv, consentry, directory):
    """On an idle leg the proxy asks the SMSC, which answers; the ESME hears of neither."""
    directory.mkdir()
    log = directory / "smsc.ndjson"
    log.touch()
    smsc = Process(name, [*argv, "0", str(log)], directory / "smsc.out")
    proxy = None
    try:
        config = write_config(directory, smsc.wait_for_line(smsc_port))
        config.write_text(config.read_text(encoding="utf-8").replace("\nsmsc ", '\nenquire_link = "1s"\nsmsc ', 1), encoding="utf-8")
        proxy = Process("consentry", [consentry, "run", "-c", str(config)], directory / "consentry.out")
        with socket.create_connection(("127.0.0.1", proxy.wait_for_line(consentry_port)), timeout=5) as esme:
            body = b"smpplib\0" + PASSWORD.encode() + b"\0\0\x34\0\0\0"
            esme.sendall(struct.pack("!IIII", 16 + len(body), 9, 0, 1) + body)
            numbers, deadline = [], time.monotonic() + LINKS_SECONDS_MAX
            while len(numbers) < LINKS and time.monotonic() < deadline:
                time.sleep(0.1)
                records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
                numbers = [one["sequence_number"] for one in records if one["command"] == "enquire_link"]
            tally.check(f"{name}: is asked by the proxy while nobody says anything, in numbers of the proxy's own",
                        len(numbers) >= LINKS and all(one in OWN_NUMBERS for one in numbers), str(numbers))
            # Its answers have come by the time in which it answers the ESME's own.
            esme.sendall(struct.pack("!IIII", 16, 0x15, 0, 7))
            heard = b""
            while struct.pack("!III", 0x80000015, 0, 7) not in heard:
                read = esme.recv(65536)
                if not read:
                    raise Cannot("the proxy closed the session of an ESME that only listened")
                heard += read
            answered = [struct.unpack_from("!I", pdu, 12)[0] for pdu in cut(heard) if command_id(pdu) == 0x80000015]
            tally.check(f"{name}: the ESME hears only the answer to its own enquire_link", answered == [7], str(answered))
        status = proxy.stop()
        tally.check(f"{name}: the proxy that asked stops with exit status 0", status == 0, str(status))
    finally:
        for process in (proxy, smsc):
            if process and process.process.poll() is None:
                process.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", metavar="BIN", help="put this proxy between the ESMEs and the SMSCs")
    parser.add_argument("--keep", metavar="DIR", type=pathlib.Path, help="leave captures, logs and configs in DIR, a new directory")
    args = parser.parse_args()
    if args.keep and args.keep.exists():
        parser.error(f"--keep {args.keep} exists; an old audit or log would be mistaken for this run's")
    tally = Tally()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="interop-") as scratch:
        try:
            for program in ("tshark", "dumpcap", "node", "/usr/sbin/bearerbox", str(PYTHON)):
                if not shutil.which(program):
                    raise Cannot(f"{program} is missing: run tests/interop/install")
            for name, argv in SMSCS.items():
                directory = (args.keep or pathlib.Path(scratch)) / re.sub(r"\W+", "-", name)
                directory.mkdir(parents=True, exist_ok=True)
                one_round(tally, name, argv, args.consentry, directory)
                if args.consentry:
                    own_enquire_link(tally, name, argv, args.consentry, directory / "own-enquire-link")
        except (Cannot, OSError, subprocess.TimeoutExpired) as reason:
            tally.check("the test could be carried out", False, str(reason))
    print(f"in {time.monotonic() - began:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
