"""The few PDUs that an ESME and an SMSC of this test write and read (SMPP 3.4, clause 4)."""

import asyncio
import struct

BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK, RESPONSE = 9, 4, 5, 6, 0x15, 0x80000000
ROK, RSYSERR, RMSGQFUL, RSUBMITFAIL, RTHROTTLED = 0, 0x08, 0x14, 0x45, 0x58


def pdu(command, sequence, body=b"", status=0):
    return struct.pack("!IIII", 16 + len(body), command, status, sequence) + body


def bind(sequence, system_id):
    return pdu(BIND_TRANSCEIVER, sequence, system_id.encode() + b"\0secret\0\0\x34\0\0\0")


def message(command, sequence, source, destination, text):
    """submit_sm or deliver_sm, its text in UCS-2."""
    octets = text.encode("utf-16-be")
    body = b"\0\0\1" + source.encode() + b"\0\1\1" + destination.encode() + b"\0\0\0\0\0\0\0\0" + bytes([8, 0, len(octets)]) + octets
    return pdu(command, sequence, body)


def texts(body, count):
    """That many C-octet strings, each behind as many octets as `count` says, from the begin of a body."""
    found, at = [], 0
    for skip in count:
        at += skip
        end = body.index(b"\0", at)
        found.append(body[at:end].decode("ascii", "replace"))
        at = end + 1
    return found


def addresses(body):
    """Source and destination of a submit_sm or deliver_sm."""
    return texts(body, (0, 2, 2))[1:]


async def read(stream):
    """The next PDU: command, status, sequence_number, body. None at the end."""
    try:
        header = await stream.readexactly(16)
        length, command, status, sequence = struct.unpack("!IIII", header)
        return command, status, sequence, await stream.readexactly(length - 16)
    except (asyncio.IncompleteReadError, OSError):
        return None


NAMES = {ROK: "ESME_ROK", RSYSERR: "ESME_RSYSERR", RMSGQFUL: "ESME_RMSGQFUL", RSUBMITFAIL: "ESME_RSUBMITFAIL", RTHROTTLED: "ESME_RTHROTTLED",
         None: "no answer"}
