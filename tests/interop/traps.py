#!/usr/bin/env python3
"""Every trap through the real proxy, over sockets, before SMSCs that nobody here wrote.

    tests/interop/traps.py --consentry BIN     all cases; a line for each that fails, and a count
    tests/interop/traps.py --list              their names, as docs/traps.md gives them

What an ESME sends are octets: of the files of proto-fixtures/pdus (as `pdus/NAME`), under the rules that those files are
judged by, and of the cases of traps.toml, under all rules. Between proxy and SMSC stands a tap that keeps what the
SMSC is sent. A case holds when each PDU is answered with the status that it names and the tap has exactly the octets that
may pass.
"""

import argparse
import contextlib
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tomllib

from run import SMSCS, Cannot, Process, Tally, consentry_port, cut, smsc_port

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ANSWER_SECONDS_MAX = 5.0
SILENCE_SECONDS = 0.3
# What an ESME asks last: its answer says that all before it was done with.
LAST = struct.pack("!IIII", 16, 0x15, 0, 0x7FFFFFF0)
STATES = {"open": None, "bound_tx": 2, "bound_rx": 1, "bound_trx": 9}
PEOPLE = {"stranger": "8613800138000", "granted": "8613800138001", "revoked": "8613800138002"}
CODES = {"commercial": "106900005678", "templates": "106900001111", "service": "106900002222", "mixed": "106900008888",
         "unfiled": "106990001111", "filed": "106990002222"}
# Fewer would be chance, so many are a sweep.
COUNTED = [f"86139111100{at:02}" for at in range(40)]
LISTENERS = ("gsm7", "gbk", "latin1", "ascii", "packed")

REGISTRY = """\
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1", "shop2"]
licence    = { number = "B2-20260001", valid_until = 2099-12-31 }
identity   = "verified"
code = [
    { number = "106900005678", digits_max = 20, purpose = "commercial", signatures = ["示例商城"] },
    { number = "106900001111", digits_max = 20, purpose = "service", templates = ["templates.txt"] },
    { number = "106900002222", digits_max = 20, purpose = "service" },
    { number = "106900008888", digits_max = 20, purpose = "mixed" },
    { number = "106990001111", digits_max = 20, purpose = "public" },
    { number = "106990002222", digits_max = 20, purpose = "public", filing = { number = "1", valid_until = 2099-12-31 } },
]

[[provider]]
name       = "示例银行股份有限公司"
system_ids = ["bank"]
licence    = { number = "B2-20260002", valid_until = 2099-12-31 }
identity   = "verified"
code       = [{ number = "95588", digits_max = 20, purpose = "service" }]
"""
CONSENTS = f"""\
number,entity,event,proof_sha256,review
{PEOPLE["granted"]},示例商城有限公司,granted,{"11" * 32},reviewed
{PEOPLE["revoked"]},示例商城有限公司,revoked,,
""" + "".join(f'{number},示例商城有限公司,granted,{"11" * 32},reviewed\n' for number in COUNTED)


def statuses():
    text = (ROOT / "src/smpp/status.rs").read_text(encoding="utf-8")
    return {name: int(value, 16) for name, value in re.findall(r"^    (ESME_\w+) (0x[0-9a-f]+) \"", text, re.MULTILINE)}


def commands():
    text = (ROOT / "src/smpp/command.rs").read_text(encoding="utf-8")
    return {name: int(value.replace("_", ""), 16)
            for value, name in re.findall(r"^    \w+ (0x[0-9a-f_]+) \"(\w+)\"", text, re.MULTILINE)}


STATUSES, COMMANDS = statuses(), commands()


class Tap:
    """Takes the proxy's connections, leads each to the SMSC, and keeps what goes there by system_id."""

    def __init__(self, smsc):
        self.smsc, self.sent, self.towards_proxy = smsc, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                proxy, _ = self.listener.accept()
                smsc = socket.create_connection(("127.0.0.1", self.smsc))
                kept = bytearray()
                self.sent.append(kept)
                self.towards_proxy.append(proxy)
                for one, other, keep in ((proxy, smsc, kept), (smsc, proxy, None)):
                    threading.Thread(target=self.lead, args=(one, other, keep), daemon=True).start()

    @staticmethod
    def lead(one, other, keep):
        with contextlib.suppress(OSError):
            while octets := one.recv(65536):
                if keep is not None:
                    keep += octets
                other.sendall(octets)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def of(self, system_id):
        """What the SMSC was sent by that bind since the last `clear`, its bind request first."""
        return b"".join(bytes(kept) for kept in self.sent if system_id.encode() + b"\0" in kept[16:33])

    def say(self, octets):
        """Octets that the SMSC of the bind made last did not say itself. Only while it says nothing."""
        self.towards_proxy[-1].sendall(octets)

    def clear(self):
        self.sent, self.towards_proxy = [], []

    def close(self):
        self.listener.close()


class Esme:
    """One connection to the proxy, as octets. It answers nothing that the SMSC asks."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS_MAX)
        self.socket.settimeout(ANSWER_SECONDS_MAX)
        self.octets, self.responses, self.requests, self.closed = b"", [], [], False

    def bind(self, command, system_id):
        body = system_id.encode() + b"\0secret\0\0\x34\0\0\0"
        self.send(struct.pack("!IIII", 16 + len(body), command, 0, 1) + body)
        response = self.answer(lambda pdu: pdu[4:8] == struct.pack("!I", command | 0x80000000))
        if not response or response[8:12] != bytes(4):
            raise Cannot(f"{system_id} could not bind: {response and response.hex()}")
        self.responses.clear()

    def send(self, octets):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(octets)

    def read(self, seconds=ANSWER_SECONDS_MAX):
        """Takes in what has come. False when nothing came in time, or ever will."""
        self.socket.settimeout(seconds)
        try:
            octets = self.socket.recv(65536)
        except TimeoutError:
            return False
        except ConnectionResetError:
            octets = b""
        self.closed = not octets
        self.octets += octets
        while len(self.octets) >= 16 and len(self.octets) >= (length := struct.unpack_from("!I", self.octets)[0]):
            pdu, self.octets = self.octets[:length], self.octets[length:]
            (self.responses if pdu[4] & 0x80 else self.requests).append(pdu)
        return bool(octets)

    def answer(self, which):
        """The first response that is the one."""
        while True:
            if (found := next((pdu for pdu in self.responses if which(pdu)), None)) is not None:
                return found
            if not self.read():
                return None

    def request(self, pdu):
        """Whether the SMSC's request comes, octet for octet."""
        while pdu not in self.requests:
            if not self.read():
                return False
        return True

    def finish(self):
        """Waits until all that was sent is done with; the responses, but for the answer to the last question."""
        self.send(LAST)
        last = self.answer(lambda pdu: pdu[4:8] == b"\x80\0\0\x15" and pdu[12:16] == LAST[12:])
        return [pdu for pdu in self.responses if pdu is not last]

    def close(self):
        self.socket.close()


# The files of proto-fixtures/pdus.


class Fixture:
    """A file that one ESME plays: its state, its octets, and what it expects."""

    def __init__(self, path):
        self.name = f"pdus/{path.stem}"
        self.state, self.octets, self.expected, blocks, side = "open", b"", [], 0, None
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split("#")[0].strip()
            if line.startswith("| "):
                self.expected.append(line[2:])
            elif words.startswith("state "):
                self.state = words.split()[1]
            elif words == "esme":
                side, blocks = words, blocks + 1
            elif words:
                side = side if re.fullmatch(r"[0-9a-f ]+", words) else None
                self.octets += bytes.fromhex(words) if side else b""
        self.is_played = blocks == 1 and self.state in STATES and "smsc" not in path.read_text().split("\n") \
            and "unknown forward" not in path.read_text().split("\n")

    def responses(self):
        """Command, status and sequence_number of each response that is not the SMSC's."""
        found = [re.fullmatch(r"to ESME: (\w+) (\S+) (\d+), 16 octets", line) for line in self.expected]
        return [(COMMANDS[m[1]], STATUSES[m[2]], int(m[3])) for m in found if m]

    def is_cut(self):
        return "cut: more octets are needed" in self.expected


def play_fixture(fixture, port, tap):
    """What is wrong, or None."""
    tap.clear()
    esme = Esme(port)
    try:
        if (command := STATES[fixture.state]) is not None:
            esme.bind(command, "shop1")
        before = b"".join(map(bytes, tap.sent))
        esme.send(fixture.octets)
        if fixture.is_cut():
            while esme.read(SILENCE_SECONDS):
                pass
            responses = esme.responses
        else:
            responses = esme.finish()
        arrived = b"".join(map(bytes, tap.sent))[len(before):].removesuffix(LAST)
        passes = "to SMSC: the octets that came" in fixture.expected
        if arrived != (fixture.octets if passes else b""):
            return f"the SMSC was sent {arrived.hex()}"
        refusals = [pdu for pdu in responses if len(pdu) == 16 and pdu[8:12] != bytes(4)] if not passes else []
        got = [struct.unpack("!III", pdu[4:16]) for pdu in refusals]
        expected = [one for one in fixture.responses() if one[1]]
        if got != expected:
            return f"answered {got}, not {expected}"
        ends = any(line.startswith("the session ends") for line in fixture.expected)
        # The SMSC hangs up when it is told to.
        if ends != esme.closed and fixture.octets[4:8] != struct.pack("!I", COMMANDS["unbind"]):
            return "the connection stays open" if ends else "the connection was closed"
        return None
    finally:
        esme.close()


# The cases of traps.toml.


def encoded(text, data_coding, listener):
    """A text as it stands under a data_coding."""
    if data_coding in (8, 0x18, 0xE0) or not text.isascii() and data_coding in (2, 4, 0x14):
        return text.encode("utf-16-be")
    if listener == "gbk" and data_coding in (0, 15):
        return text.encode("gb18030")
    return text.encode("ascii")


def tlv(tag, value):
    return struct.pack("!HH", tag, len(value)) + value


def pdu_of(case, send, sequence):
    """A submit_sm, data_sm or submit_multi, field by field."""
    reference = case["reference"]
    fields = {"service_type": "", "esm_class": 0, "protocol_id": 0, "priority_flag": 0, "schedule_delivery_time": "",
              "validity_period": "", "registered_delivery": 0, "replace_if_present_flag": 0,
              "sm_default_msg_id": 0, "sequence_number": sequence, **send.get("fields", {})}
    coding = send.get("data_coding", 8)
    body = bytes.fromhex(send["octets"]) if "octets" in send else encoded(send["text"], coding, case.get("listener"))
    header = send.get("header", "").replace("rr", f"{reference:02x}").replace("ss", f"{reference + 100:02x}")
    if header := bytes.fromhex(header):
        fields["esm_class"] |= 0x40
        body = bytes([len(header)]) + header + body
    code = send.get("code", case.get("code", "service"))
    source, to = CODES.get(code, code), PEOPLE.get(case.get("to", "stranger"), case.get("to"))
    addresses = b"".join(bytes([ton, 0 if ton == 5 else 1]) + number.encode() + b"\0"
                         for ton, number in ((send.get("source_ton", 0), source), (0, to)))
    command, text = send.get("command", "submit_sm"), body
    if command == "submit_multi":
        also = [bytes([0, 1]) + PEOPLE[person].encode() + b"\0" for person in send["also"]]
        from_octets = addresses.index(b"\0", 2) + 1
        all_of_them = [addresses[from_octets:], *also]
        addresses = addresses[:from_octets] + bytes([len(all_of_them)]) + b"".join(b"\1" + one for one in all_of_them)
    more = b""
    if command == "data_sm" or send.get("payload"):
        more, text = tlv(0x0424, body), b""
    if sar := send.get("sar"):
        reference += sum(sar[2:])
        more += tlv(0x020C, struct.pack("!H", reference)) + tlv(0x020E, bytes(sar[:1])) + tlv(0x020F, bytes(sar[1:2]))
    for one in send.get("more", []):
        tag, _, value = one.partition(" ")
        more += tlv(int(tag, 16), bytes.fromhex(value))
    head = fields["service_type"].encode() + b"\0" + addresses + bytes([fields["esm_class"]])
    if command == "data_sm":
        rest = bytes([fields["registered_delivery"], coding])
    else:
        times = fields["schedule_delivery_time"].encode() + b"\0" + fields["validity_period"].encode() + b"\0"
        rest = bytes([fields["protocol_id"], fields["priority_flag"]]) + times + bytes([
            fields["registered_delivery"], fields["replace_if_present_flag"], coding, fields["sm_default_msg_id"],
            len(text)]) + text
    body = head + rest + more
    return struct.pack("!IIII", 16 + len(body), COMMANDS[command], 0, fields["sequence_number"]) + body


def write(esme, pdus, how):
    """Each PDU in a write of its own, each octet, or all at once."""
    if how == "together":
        esme.send(b"".join(pdus))
    for pdu in pdus if how != "together" else []:
        for piece in [pdu[at:at + 1] for at in range(len(pdu))] if how == "octets" else [pdu]:
            esme.send(piece)


def play_case(case, ports, tap):
    """What is wrong, or None."""
    tap.clear()
    port = ports[LISTENERS.index(case.get("listener", "gsm7"))]
    binds = {1: Esme(port), 2: Esme(port)}
    try:
        for number, esme in binds.items():
            esme.bind(9, f"shop{number}")
        expected = {1: tap.of("shop1"), 2: tap.of("shop2")}
        pdus = [(send, send.get("bind", 1), pdu_of(case, send, 1 + at)) for at, send in enumerate(case["send"], 1)]
        how = case.get("write")
        if how == "together":
            write(binds[1], [pdu for _, _, pdu in pdus], how)
        for at, (send, bind, pdu) in enumerate(pdus, 1):
            if how != "together":
                write(binds[bind], [pdu], how)
            response = binds[bind].answer(lambda one, pdu=pdu: one[12:16] == pdu[12:16])
            if not response:
                return f"{at} was not answered"
            binds[bind].responses.remove(response)
            status = struct.unpack_from("!I", response, 8)[0]
            if status != STATUSES[send["status"]]:
                return f"{at} was answered {status:#x}, not {send['status']}"
            if status and len(response) != 16:
                return f"{at} was answered with a body: {response.hex()}"
            expected[bind] += b"" if status else pdu
        for bind, esme in binds.items():
            esme.finish()
            arrived = tap.of(f"shop{bind}")
            if arrived != expected[bind] + LAST:
                return f"the SMSC was sent other octets over bind {bind}: {[pdu.hex() for pdu in cut(arrived)]}"
        return None
    finally:
        for esme in binds.values():
            esme.close()


# Cases that are more than PDUs and their answers. Each answers with what is wrong, or None.

AD = {"text": "【示例商城】双十一全场五折，会员优惠券限时领取，回T退订"}
TO_GRANTED = {"reference": 0, "code": "commercial", "to": "granted"}


def message_behind_its_bind(ports, tap, *_):
    """Nothing goes on before the SMSC has taken the bind."""
    esme, pdu = Esme(ports[0]), pdu_of({"reference": 0}, {"text": "您好"}, 2)
    body = b"shop1\0secret\0\0\x34\0\0\0"
    esme.send(struct.pack("!IIII", 16 + len(body), 9, 0, 1) + body + pdu)
    response = esme.answer(lambda one: one[4:8] == b"\x80\0\0\x04")
    esme.finish()
    esme.close()
    if not response or response[8:12] != struct.pack("!I", STATUSES["ESME_RINVBNDSTS"]):
        return f"it was answered {response and response.hex()}"
    return "it reached the SMSC" if pdu in tap.of("shop1") else None


def opt_out(ports, tap, *_):
    """A handset refuses: the ESME hears of it, and advertising to it is refused from then on."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        statuses = []
        deliver = pdu_of({"reference": 0, "code": PEOPLE["granted"], "to": CODES["commercial"]}, {"text": "ＴＤ。"}, 77)
        for sequence in (2, 3):
            pdu = pdu_of(TO_GRANTED, AD, sequence)
            esme.send(pdu)
            response = esme.answer(lambda one, pdu=pdu: one[12:16] == pdu[12:16]) or bytes(16)
            statuses.append(struct.unpack_from("!I", response, 8)[0])
            if sequence == 2:
                esme.finish()
                esme.responses.clear()
                heard = deliver[:4] + struct.pack("!I", COMMANDS["deliver_sm"]) + deliver[8:]
                tap.say(heard)
                if not esme.request(heard):
                    return "the handset's answer did not reach the ESME as it came"
        expected = [0, STATUSES["ESME_RSUBMITFAIL"]]
        return None if statuses == expected else f"answered {statuses}, not {expected}"
    finally:
        esme.close()


def numbers_counted_through(ports, tap, *_):
    """Everybody has consented, but nobody's customers follow each other: refused once the sweep shows."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        statuses = []
        for sequence, number in enumerate(COUNTED, 2):
            pdu = pdu_of({"reference": 0, "code": "commercial", "to": number}, AD, sequence)
            esme.send(pdu)
            response = esme.answer(lambda one, pdu=pdu: one[12:16] == pdu[12:16]) or bytes(16)
            statuses.append(struct.unpack_from("!I", response, 8)[0])
        return None if statuses[0] == 0 and statuses[-1] == STATUSES["ESME_RSUBMITFAIL"] else f"answered {statuses}"
    finally:
        esme.close()


def smsc_says_what_it_likes(ports, tap, *_):
    """A receipt as data_sm, a number that is in use, an answer to nothing, a command nobody knows: all cross as they came."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        esme.finish()
        receipt = pdu_of({"reference": 0, "code": PEOPLE["granted"], "to": CODES["service"]}, {
            "octets": b"id:1 stat:DELIVRD".hex(), "data_coding": 0, "command": "data_sm", "fields": {"esm_class": 4},
            "more": ["001e 3100", "1401 78"]}, 2)
        number_in_use = struct.pack("!IIII", 16, COMMANDS["enquire_link"], 0, 0x7FFFFFF0)
        nobody_knows = struct.pack("!IIII", 20, 0x0777, 0, 3) + b"more"
        said = [receipt, number_in_use, nobody_knows]
        tap.say(b"".join(said))
        missing = [pdu.hex() for pdu in said if not esme.request(pdu)]
        return f"{missing} did not cross" if missing else None
    finally:
        esme.close()


def refused_without_receipt(ports, tap, *_):
    """A receipt was asked for, and the message refused: none comes, and one that passes gets its own."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        fields = {"registered_delivery": 1}
        for sequence, code in ((2, "95588"), (3, "service")):
            esme.send(pdu_of({"reference": 0, "code": code}, {"text": "您好", "fields": fields}, sequence))
        esme.finish()
        receipts = lambda: [pdu for pdu in esme.requests if pdu[4:8] == struct.pack("!I", COMMANDS["deliver_sm"])]
        while not receipts() and esme.read():
            pass
        while esme.read(SILENCE_SECONDS):
            pass
        return None if len(receipts()) == 1 else f"{len(receipts())} receipts came"
    finally:
        esme.close()


def stopped_with_a_request_open(ports, tap, smsc, proxy):
    """SIGTERM while the SMSC has not answered: the answer still comes, then unbind, and the proxy ends with 0."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        smsc.process.send_signal(signal.SIGSTOP)
        first, second = (pdu_of({"reference": 0}, {"text": "您好"}, sequence) for sequence in (2, 3))
        esme.send(first)
        while esme.read(SILENCE_SECONDS):
            pass
        proxy.process.send_signal(signal.SIGTERM)
        time.sleep(SILENCE_SECONDS)
        esme.send(second)
        refused = esme.answer(lambda one: one[12:16] == second[12:16])
        smsc.process.send_signal(signal.SIGCONT)
        answered = esme.answer(lambda one: one[12:16] == first[12:16])
        unbind = next((pdu for pdu in esme.requests if pdu[7] == 6), None)
        while unbind is None and esme.read():
            unbind = next((pdu for pdu in esme.requests if pdu[7] == 6), None)
        if unbind:
            esme.send(struct.pack("!IIII", 16, 0x80000006, 0, struct.unpack_from("!I", unbind, 12)[0]))
        if not (refused and answered and unbind):
            return f"refused {refused}, answered {answered}, unbind {unbind}"
        if refused[8:12] != struct.pack("!I", STATUSES["ESME_RTHROTTLED"]) or answered[8:12] != bytes(4):
            return f"answered {refused.hex()} and {answered.hex()}"
        return None if proxy.process.wait(10) == 0 else f"it ended with {proxy.process.returncode}"
    finally:
        smsc.process.send_signal(signal.SIGCONT)
        esme.close()


def smsc_silent(ports, tap, smsc, _):
    """The SMSC answers late: the message went to it once, and the answer still comes."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        before, pdu = tap.of("shop1"), pdu_of({"reference": 0}, {"text": "您好"}, 2)
        smsc.process.send_signal(signal.SIGSTOP)
        esme.send(pdu)
        while esme.read(SILENCE_SECONDS):
            pass
        answered, arrived = esme.responses[:], tap.of("shop1")
        smsc.process.send_signal(signal.SIGCONT)
        response = esme.answer(lambda one: one[12:16] == pdu[12:16])
        if answered or arrived != before + pdu:
            return "something was answered, or sent again, in the SMSC's place"
        return None if response else "the answer that came late did not cross"
    finally:
        smsc.process.send_signal(signal.SIGCONT)
        esme.close()


def smsc_gone(ports, tap, smsc, _):
    """The SMSC dies with a request open: the ESME's connection ends, and nothing is sent twice. The last case of all."""
    esme = Esme(ports[0])
    try:
        esme.bind(9, "shop1")
        before, pdu = tap.of("shop1"), pdu_of({"reference": 0}, {"text": "您好"}, 2)
        smsc.process.send_signal(signal.SIGSTOP)
        esme.send(pdu)
        while esme.read(SILENCE_SECONDS):
            pass
        smsc.process.kill()
        while not esme.closed and esme.read():
            pass
        if esme.responses or not esme.closed:
            return "the connection stays open, or something was answered in the SMSC's place"
        return None if tap.of("shop1") == before + pdu else "something was sent again"
    finally:
        esme.close()


SPECIAL = {
    "message-behind-its-bind": message_behind_its_bind,
    "opt-out": opt_out,
    "numbers-counted-through": numbers_counted_through,
    "smsc-says-what-it-likes": smsc_says_what_it_likes,
    "refused-without-receipt": refused_without_receipt,
    "smsc-silent": smsc_silent,
    "stopped-with-a-request-open": stopped_with_a_request_open,
    "smsc-gone": smsc_gone,
}


# Proxies.


def config_of(directory, tap, listeners, more):
    listen = "".join(f'[[listen]]\naddress = "127.0.0.1:0"\nsmsc = ["127.0.0.1:{tap.port}"]\n{line}\n' for line in listeners)
    config = directory / "consentry.toml"
    config.write_text(f"""\
{listen}
[registry]
file = "{directory}/registry.toml"

[audit]
path = "{directory}/audit"
durability = "written"
{more}
""", encoding="utf-8")
    return config


def start(consentry, config, count):
    """The proxy, and the ports of its listeners in their order."""
    proxy = Process("consentry", [consentry, "run", "-c", str(config)], config.parent / "consentry.out")
    try:
        deadline = time.monotonic() + 10
        while len(ports := [port for line in proxy.text().splitlines() if (port := consentry_port(line))]) < count:
            if time.monotonic() > deadline or proxy.process.poll() is not None:
                raise Cannot(f"consentry does not listen:\n{proxy.tail()}")
            time.sleep(0.02)
    except Cannot:
        proxy.stop()
        raise
    return proxy, ports


def off_rules():
    """Every rule that is off where the fixtures are judged: all that tests/fixtures/play.rs does not name, but for those that
    are always in force."""
    played = (ROOT / "tests/fixtures/play.rs").read_text(encoding="utf-8")
    on = set(re.findall(r"Rule::(\w+),", played[(at := played.index("const ON")):played.index("];", at)]))
    rules = (ROOT / "src/policy/rule.rs").read_text(encoding="utf-8")
    names = dict(re.findall(r'Self::(\w+) => "([a-z]+\.[a-z]+)"', rules))
    if not on or not on <= set(names):
        raise Cannot("the rules' names cannot be read from src/policy/rule.rs and tests/fixtures/play.rs")
    may = rules[(at := rules.index("fn may_be_observed")):rules.index("}\n", at)]
    off = [name for rule, name in names.items() if rule not in on and f"Self::{rule}\n" not in may]
    return "[rules.override]\n" + "".join(f'"{name}" = {{ mode = "off" }}\n' for name in off)


class Stage:
    """A proxy of its own with a tap behind it, in a folder of its own."""

    def __init__(self, directory, consentry, smsc_port):
        directory.mkdir()
        self.directory, self.consentry, self.tap, self.proxy, self.ports = directory, consentry, Tap(smsc_port), None, []

    def fixtures(self):
        """As the fixtures are judged; shop1 connects from here."""
        registry = (ROOT / "proto-fixtures/policy/registry.toml").read_text(encoding="utf-8")
        (self.directory / "registry.toml").write_text(registry.replace("203.0.113.0/24", "127.0.0.0/8"), encoding="utf-8")
        config = config_of(self.directory, self.tap, [""], off_rules())
        self.proxy, self.ports = start(self.consentry, config, 1)
        return self

    def cases(self):
        """As the cases of traps.toml are judged: by all rules, before a ledger that knows two people."""
        for name, text in (("registry.toml", REGISTRY), ("templates.txt", "您的验证码是{digits:4-8}，五分钟内有效。\n"),
                           ("list.txt", "# version 1\n代开发票\nviagra\n蓝色钢笔\n"), ("consents.csv", CONSENTS)):
            (self.directory / name).write_text(text, encoding="utf-8")
        more = f'[consent]\npath = "{self.directory}/consent"\n[content]\nprohibited = ["{self.directory}/list.txt"]\n'
        listeners = [f'default_alphabet = "{alphabet}"' for alphabet in LISTENERS[:4]] + ['packing = "packed"']
        config = config_of(self.directory, self.tap, listeners, more)
        imported = subprocess.run([self.consentry, "consent", "import", "-c", str(config), str(self.directory / "consents.csv")],
                                  capture_output=True, text=True, timeout=30)
        if imported.returncode:
            raise Cannot(f"the consents could not be imported: {imported.stderr}")
        self.proxy, self.ports = start(self.consentry, config, len(LISTENERS))
        return self

    def stop(self):
        """What is wrong with how it ended, or None."""
        self.tap.close()
        if self.proxy and self.proxy.process.poll() is None and self.proxy.stop() != 0:
            return "it does not stop with exit status 0"
        return None


def play(tally, name, smsc_argv, consentry, scratch, fixtures, cases, specials):
    """All cases before one SMSC."""
    scratch.mkdir()
    log = scratch / "smsc.ndjson"
    log.touch()
    smsc = Process(name, [*smsc_argv, "0", str(log)], scratch / "smsc.out")
    stages = []

    def stage(folder):
        stages.append(Stage(scratch / folder, consentry, port))
        return stages[-1]

    try:
        port = smsc.wait_for_line(smsc_port)
        if fixtures:
            judged = stage("fixtures").fixtures()
            for fixture in fixtures:
                tally.note(f"{name}: {fixture.name}", play_fixture(fixture, judged.ports[0], judged.tap))
        judged = stage("cases").cases()
        for case in cases:
            tally.note(f"{name}: {case['name']}", play_case(case, judged.ports, judged.tap))
        for special in specials:
            judged = stage(special).cases()
            tally.note(f"{name}: {special}", SPECIAL[special](judged.ports, judged.tap, smsc, judged.proxy))
        for judged in stages:
            tally.note(f"{name}: the proxy of {judged.directory.name}", judged.stop())
    finally:
        for judged in stages:
            judged.stop()
        if smsc.process.poll() is None:
            smsc.stop()


class Quiet(Tally):
    """Counts, and says only what fails."""

    def note(self, what, wrong):
        if wrong:
            self.check(what, False, wrong)
        else:
            self.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", metavar="BIN", help="the proxy")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("only", nargs="*", metavar="NAME", help="these cases alone")
    args = parser.parse_args()
    fixtures = [one for path in sorted(ROOT.glob("proto-fixtures/pdus/*.pdu")) if (one := Fixture(path)).is_played]
    cases = tomllib.loads((HERE / "traps.toml").read_text(encoding="utf-8"))["case"]
    for reference, case in enumerate(cases, 1):
        case["reference"] = reference
    specials = list(SPECIAL)
    if args.only:
        specials = [name for name in specials if name in args.only]
        fixtures = [one for one in fixtures if one.name in args.only]
        cases = [case for case in cases if case["name"] in args.only]
    if args.list:
        print("\n".join([one.name for one in fixtures] + [case["name"] for case in cases] + specials))
        return 0
    if not args.consentry:
        parser.error("--consentry BIN is needed, or --list")
    tally, began = Quiet(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="traps-") as scratch:
        try:
            for name, argv in SMSCS.items():
                directory = pathlib.Path(scratch) / re.sub(r"\W+", "-", name)
                play(tally, name, argv, args.consentry, directory, fixtures, cases, specials)
        except (Cannot, OSError, subprocess.TimeoutExpired) as reason:
            tally.check("the test could be carried out", False, str(reason))
    print(f"{len(fixtures)} PDUs and {len(cases) + len(specials)} cases before {len(SMSCS)} SMSCs in {time.monotonic() - began:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
