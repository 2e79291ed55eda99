#!/usr/bin/env python3
"""Writes the seeds of every fuzz target under a folder: octets of proto-fixtures, in the form that the target takes.

    tests/fuzz/seeds.py FOLDER
"""

import gzip
import json
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "proto-fixtures"
# Of each file of texts, how many: a seed is read before every run.
TEXTS_A_FILE = 12
# Where message_payload, sm_length and the like are read: the commands with a submit_sm's body.
MESSAGES = (4, 5, 0x103)


def writes():
    """What each side sends in the fixtures, one run of octets a write."""
    for path in sorted(FIXTURES.glob("pdus/*.pdu")) + sorted(FIXTURES.glob("dialogues/*.pdu")):
        side, digits = None, ""
        for line in [*path.read_text(encoding="utf-8").splitlines(), "|"]:
            words = line.split("#")[0].strip()
            if words in ("esme", "smsc") or line.startswith("|"):
                if digits:
                    yield side, bytes.fromhex(digits)
                side, digits = words, ""
            elif side and re.fullmatch(r"[0-9a-fA-F ]+", words):
                digits += words.replace(" ", "")


def c_octets(octets, at):
    return octets.index(0, at) + 1


def body_of(pdu):
    """The text and the optional parameters of a submit_sm, deliver_sm or data_sm."""
    at = c_octets(pdu, 16)
    for _ in range(2):
        at = c_octets(pdu, at + 2)
    if struct.unpack_from("!I", pdu, 4)[0] == 0x103:
        return b"", pdu[at + 3:]
    at = c_octets(pdu, c_octets(pdu, at + 3))
    length = pdu[at + 4]
    return pdu[at + 5:at + 5 + length], pdu[at + 5 + length:]


def texts():
    for path in sorted(FIXTURES.glob("content/*.ndjson")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines[::max(1, len(lines) // TEXTS_A_FILE)]:
            yield json.loads(line)["text"]


def lengths(*pieces):
    """Pieces behind their lengths, as `Input::piece` takes them."""
    return b"".join(bytes([min(len(piece), 255)]) + piece[:255] for piece in pieces)


def octet_seeds():
    for side, octets in writes():
        yield "frame", bytes([255, 2, 3, 40]) + octets
        yield "pdu", octets
        yield "session", lengths(b"" if side == "esme" else octets) + (octets if side == "esme" else b"")
        if len(octets) < 17 or struct.unpack_from("!I", octets, 4)[0] not in MESSAGES:
            continue
        try:
            text, parameters = body_of(octets)
        except (ValueError, IndexError):
            continue
        yield "tlv", parameters
        yield "udh", text
        yield "decode", bytes([0, 0, 1]) + text
        yield "written", bytes(3) + lengths(b"106900001234", b"8613800138000") + bytes(3) + lengths(text)
    for value in ("13800138000", "+8613800138000", "008613800138000", "1795113800138000", "106900001234", "01012345678", "SHOP"):
        for ton in (0, 1, 2, 5):
            yield "addresses", bytes([ton, 1]) + value.encode()


def header_seeds():
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    ends = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 51000, 2775)
    yield "header", b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 2775\r\n"
    yield "header", b"PROXY TCP6 2001:db8::7 2001:db8::1 51000 2775\r\n"
    yield "header", b"PROXY UNKNOWN\r\n"
    yield "header", signature + b"\x20\0\0\0"
    yield "header", signature + b"\x21\x11\0\x0c" + ends
    yield "header", signature + b"\x21\x11\0\x11" + ends + b"\x04\0\x02ab"
    yield "header", signature + b"\x21\x21\0\x24" + bytes(32) + ends[8:]


def text_seeds():
    id_text = b"id:0123456789 sub:001 dlvrd:001 submit date:2605020000 done date:2605020001 stat:DELIVRD err:000 text:hello"
    yield "receipts", bytes([3, 2]) + b"12345678" + id_text
    yield "receipts", bytes([0]) + b"        " + id_text.upper().replace(b" ", b";")
    for text in texts():
        utf8, ucs2, gbk = text.encode(), text.encode("utf-16-be"), text.encode("gb18030")
        yield "content", b"\0" + utf8
        yield "ucs2", ucs2
        yield "gbk", lengths(b"\3\5\7") + gbk
        yield "octets", utf8
        yield "octets", gbk
        yield "decode", bytes([0, 8, 0]) + ucs2
        yield "decode", bytes([1, 0, 0]) + gbk
        yield "decode", bytes([0, 8, 1]) + b"\x05\x00\x03\x07\x02\x01" + ucs2
        yield "gsm7", bytes(4) + utf8
        halves = len(gbk) // 2
        yield "order", bytes([1, 0, 0, 1, 9, 3, min(halves, 255), 255]) + gbk
        yield "joining", b"\0" + b"".join(
            bytes([1, 1, at, 0, 8]) + lengths(ucs2[:134] if at else ucs2[134:268]) for at in (0, 1))


def packet(seq, flags, data, back=False):
    """An IPv4 packet with a TCP segment, without checksums."""
    esme, smsc = (bytes([10, 0, 0, 1]), 40000), (bytes([10, 0, 0, 2]), 2775)
    (one, from_port), (other, to_port) = (smsc, esme) if back else (esme, smsc)
    ip = struct.pack("!BBHIBBH", 0x45, 0, 40 + len(data), 0x4000, 64, 6, 0) + one + other
    return ip + struct.pack("!HHIIBBHI", from_port, to_port, seq, 0, 0x50, flags, 0xFFFF, 0) + data


def capture_seeds():
    """A small stream of the fixtures in both formats and both compressions, on three link layers."""
    pdus = [octets for side, octets in writes() if side == "esme" and len(octets) < 200][:30]
    packets, at = [packet(1, 2, b""), packet(1, 18, b"", True)], 2
    for pdu in pdus:
        packets.append(packet(at, 16, pdu))
        at += len(pdu)
    for link, head in ((101, b""), (1, bytes(12) + b"\x08\0"), (113, bytes(14) + b"\x08\0")):
        framed = [head + one for one in packets]
        pcap = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link) + b"".join(
            struct.pack("<IIII", 1790000000, n, len(one), len(one)) + one for n, one in enumerate(framed))
        blocks = [(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), (1, struct.pack("<HHI", link, 0, 0))]
        blocks += [(6, struct.pack("<IIIII", 0, 0, n, len(one), len(one)) + one + bytes(-len(one) % 4))
                   for n, one in enumerate(framed)]
        pcapng = b"".join(struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
                          for kind, body in blocks)
        for file in (pcap, pcapng):
            yield "captures", file[:4000]
            yield "captures", file[:1000]
            yield "captures", gzip.compress(file, mtime=0)
    for pdu in pdus[:8]:
        yield "streams", bytes([0, 4]) + lengths(b"\3\40\100", b"\0\1\2\0") + lengths(pdu[16:])


def main():
    folder = pathlib.Path(sys.argv[1])
    count = 0
    for count, (target, octets) in enumerate([*octet_seeds(), *header_seeds(), *text_seeds(), *capture_seeds()], 1):
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / f"{count:05}").write_bytes(octets)
    print(f"{count} seeds from {FIXTURES.name}")
    return 0 if count else 2


if __name__ == "__main__":
    sys.exit(main())
