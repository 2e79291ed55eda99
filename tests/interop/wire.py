"""The octets of an ESME and of the leg behind the proxy: PDUs written field by field, and sockets that keep what they
saw."""

import contextlib
import pathlib
import re
import socket
import struct
import tempfile
import threading

from run import Cannot, cut, tshark

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ANSWER_SECONDS_MAX = 5.0
SILENCE_SECONDS = 0.3
# What an ESME asks last: its answer says that all before it was done with.
LAST = struct.pack("!IIII", 16, 0x15, 0, 0x7FFFFFF0)
PEOPLE = {"stranger": "8613800138000", "granted": "8613800138001", "revoked": "8613800138002"}
CODES = {"commercial": "106900005678", "templates": "106900001111", "service": "106900002222", "mixed": "106900008888",
         "unfiled": "106990001111", "filed": "106990002222"}
# Fewer would be chance, so many are a sweep.
COUNTED = [f"86139111100{at:02}" for at in range(40)]


def statuses():
    text = (ROOT / "src/smpp/status.rs").read_text(encoding="utf-8")
    return {name: int(value, 16) for name, value in re.findall(r"^    (ESME_\w+) (0x[0-9a-f]+) \"", text, re.MULTILINE)}


def commands():
    text = (ROOT / "src/smpp/command.rs").read_text(encoding="utf-8")
    return {name: int(value.replace("_", ""), 16)
            for value, name in re.findall(r"^    \w+ (0x[0-9a-f_]+) \"(\w+)\"", text, re.MULTILINE)}


STATUSES, COMMANDS = statuses(), commands()


def status_of(response):
    """The name of a response's status."""
    if response is None:
        return "no answer"
    value = struct.unpack_from("!I", response, 8)[0]
    return next((name for name, code in STATUSES.items() if code == value), f"{value:#x}")


class Tap:
    """Takes the proxy's connections, leads each to the SMSC, and keeps what goes there by system_id."""

    def __init__(self, smsc):
        self.smsc, self.sent, self.towards_proxy, self.muted = smsc, [], [], None
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

    def lead(self, one, other, keep):
        with contextlib.suppress(OSError):
            while octets := one.recv(65536):
                if keep is not None:
                    keep += octets
                elif self.muted is not None:
                    octets = b"".join(pdu for pdu in cut(octets) if pdu[4:8] != struct.pack("!I", self.muted))
                other.sendall(octets)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def of(self, system_id):
        """What the SMSC was sent by that bind since the last `clear`, its bind request first."""
        return b"".join(bytes(kept) for kept in self.sent if system_id.encode() + b"\0" in kept[16:33])

    def mute(self, command):
        """From here on the SMSC's PDUs of that command do not arrive: it seems not to say them."""
        self.muted = command

    def say(self, octets):
        """Octets that the SMSC of the bind made last did not say itself. Only while it says nothing."""
        self.towards_proxy[-1].sendall(octets)

    def clear(self):
        self.sent, self.towards_proxy = [], []

    def close(self):
        """Takes no more connections; those that are there stay."""
        with contextlib.suppress(OSError):
            # The thread that waits in accept would keep it open.
            self.listener.shutdown(socket.SHUT_RDWR)
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

    def ask(self, pdu):
        """Sends a request; its response, or None."""
        self.send(pdu)
        return self.answer_to(pdu)

    def answer_to(self, pdu):
        """The response to a request that was sent, taken out of those that came; or None."""
        response = self.answer(lambda one: one[12:16] == pdu[12:16])
        if response is not None:
            self.responses.remove(response)
        return response

    def status(self, pdu):
        """Sends a request; the name of the status that it is answered with."""
        return status_of(self.ask(pdu))

    def rest(self):
        """Takes in what still comes, until nothing does."""
        while self.read(SILENCE_SECONDS):
            pass

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


@contextlib.contextmanager
def bound(port, *system_ids):
    """Transceivers of the provider, one for each system_id; closed at the end."""
    esmes = [Esme(port) for _ in system_ids]
    try:
        for esme, system_id in zip(esmes, system_ids):
            esme.bind(COMMANDS["bind_transceiver"], system_id)
        yield esmes[0] if len(esmes) == 1 else esmes
    finally:
        for esme in esmes:
            esme.close()


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
        also = [bytes([0, 1]) + PEOPLE.get(person, person).encode() + b"\0" for person in send["also"]]
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


def renamed(pdu, command):
    """The same body under another command."""
    return pdu[:4] + struct.pack("!I", COMMANDS[command]) + pdu[8:]


def says_stop(person, code, sequence=77):
    """A handset refuses what a code sends: as deliver_sm."""
    case = {"reference": 0, "code": PEOPLE.get(person, person), "to": CODES[code]}
    return renamed(pdu_of(case, {"text": "ＴＤ。"}, sequence), "deliver_sm")


def dissected(pdus, *fields):
    """What tshark reads in each PDU, each in a packet of its own: the values of these fields."""
    with tempfile.TemporaryDirectory(prefix="dissected-") as directory:
        pcap = pathlib.Path(directory) / "pdus.pcap"
        packets, sequence = b"", 1
        for pdu in pdus:
            tcp = struct.pack("!HHIIBBHHH", 2775, 2775, sequence, 1, 0x50, 0x18, 65535, 0, 0)
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(pdu), 0, 0, 64, 6, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
            packets += struct.pack("=IIII", 0, 0, 40 + len(pdu), 40 + len(pdu)) + ip + tcp + pdu
            sequence += len(pdu)
        pcap.write_bytes(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + packets)
        lines = tshark(pcap, [2775], "-T", "fields", *[part for field in fields for part in ("-e", field)], "-E", "separator=/t")
    values = [[cell.split(",") if cell else [] for cell in (line.split("\t") + [""] * len(fields))[:len(fields)]] for line in lines]
    return [dict(zip(fields, cells)) for cells in values]
