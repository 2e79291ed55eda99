"""Cases of consent, recipients, ids and parts that wait, that are more than PDUs and their answers. Each answers with what is
wrong, or None."""

import json
import struct
import time

from cases_peers import AD, HELLO, TO_GRANTED, differs, hello
from wire import CODES, COMMANDS, COUNTED, PEOPLE, STATUSES, bound, dissected, pdu_of, says_stop, status_of

HOLD = {"more": '[long_messages]\nmode = "hold"\ndeadline = "2s"\nsilence = "500ms"'}
NARROW = '[rules]\nsubmit_multi = "narrow"'


def opt_out(stage):
    """A handset refuses: the ESME hears of it, and advertising to it is refused from then on."""
    with bound(stage.ports[0], "shop1") as esme:
        statuses = [esme.status(pdu_of(TO_GRANTED, AD, 2))]
        esme.finish()
        heard = says_stop("granted", "commercial")
        stage.tap.say(heard)
        if not esme.request(heard):
            return "the handset's answer did not reach the ESME as it came"
        return differs(statuses + [esme.status(pdu_of(TO_GRANTED, AD, 3))], ["ESME_ROK", "ESME_RSUBMITFAIL"])


def numbers_counted_through(stage):
    """Everybody has consented, but nobody's customers follow each other: refused once the sweep shows."""
    with bound(stage.ports[0], "shop1") as esme:
        case = {"reference": 0, "code": "commercial"}
        statuses = [esme.status(pdu_of({**case, "to": number}, AD, at)) for at, number in enumerate(COUNTED, 2)]
        return differs([statuses[0], statuses[-1]], ["ESME_ROK", "ESME_RSUBMITFAIL"])


def id_of(response):
    """The message_id of a response, without its NUL."""
    return response[16:response.index(b"\0", 16)]


def earlier(command, message_id, sequence, code="mixed", text="", validity="000000010000000R"):
    """query_sm, cancel_sm or replace_sm."""
    source = bytes([0, 1]) + CODES.get(code, code).encode() + b"\0"
    body = message_id + b"\0" + source
    if command == "cancel_sm":
        body = b"\0" + body + bytes([0, 1]) + PEOPLE["granted"].encode() + b"\0"
    elif command == "replace_sm":
        octets = text.encode("utf-16-be")
        body += b"\0" + validity.encode() + b"\0" + bytes([0, 0, len(octets)]) + octets
    return struct.pack("!IIII", 16 + len(body), COMMANDS[command], 0, sequence) + body


def other_forms(message_id):
    """The id as other programs would write the same number."""
    name, _, number = message_id.decode().partition("-")
    value = int(number, 16)
    return [one.encode() for one in (number, f"{value}", f"{name}-{value:x}", f"{name}-{value:08x}", f"{name}-{number}".upper())]


def earlier_by_id(stage):
    """Over an id, one's own message is asked after, replaced and taken back; another text is judged as a message of its own,
    and an id in another form is another message's."""
    with bound(stage.ports[0], "shop1", "bank") as (esme, bank):
        message_id = id_of(esme.ask(pdu_of({"reference": 0, "code": "mixed", "to": "granted"}, HELLO, 2)))
        to_stranger = id_of(esme.ask(pdu_of({"reference": 0, "code": "mixed"}, HELLO, 3)))
        forms = [earlier("query_sm", form, 4, "mixed") for form in other_forms(message_id)]
        refused = forms + [
            earlier("replace_sm", other_forms(message_id)[0], 5, text="您好吗"),
            earlier("replace_sm", to_stranger, 6, text=AD["text"]),
            earlier("replace_sm", message_id, 7, text=AD["text"][:-5]),
            earlier("replace_sm", message_id, 8, text=AD["text"], validity=""),
            earlier("replace_sm", message_id, 9, text="代开发票"),
            earlier("replace_sm", message_id, 10, "service", text="您好吗"),
        ]
        passes = [
            earlier("query_sm", message_id, 11),
            earlier("replace_sm", to_stranger, 12, text="您好吗"),
            earlier("replace_sm", message_id, 13, text=AD["text"]),
            earlier("cancel_sm", message_id, 14),
        ]
        before = stage.tap.of("shop1")
        wrong = [pdu.hex() for pdu in refused if esme.status(pdu) in ("ESME_ROK", "no answer")]
        answered = [esme.ask(pdu) for pdu in passes]
        if wrong or None in answered:
            return f"not refused: {wrong}, answered {[status_of(one) for one in answered]}"
        if stage.tap.of("shop1") != before + b"".join(passes):
            return "the SMSC was sent other octets than may pass"
        if wrong := uncertain_ids(esme):
            return wrong
        by_bank = [earlier(command, message_id, 2, "95588", "您好") for command in ("query_sm", "cancel_sm", "replace_sm")]
        return differs([bank.status(pdu) for pdu in by_bank], ["ESME_RINVMSGID"] * 3)


def uncertain_ids(esme):
    """What is a part, or has a number that another one has, is asked after and not replaced."""
    to_granted = {"reference": 0, "code": "mixed", "to": "granted"}
    part = pdu_of(to_granted, {**HELLO, "header": "00 03 07 02 01"}, 20)
    twice = [pdu_of(to_granted, HELLO, 21), pdu_of({"reference": 0, "code": "mixed"}, HELLO, 21)]
    esme.send(b"".join(twice))
    ids = [id_of(response) for response in (esme.ask(part), *(esme.answer_to(pdu) for pdu in twice))]
    got = [(esme.status(earlier("query_sm", one, 30 + at)), esme.status(earlier("replace_sm", one, 40 + at, text="您好吗")))
           for at, one in enumerate(ids)]
    return differs(got, [("ESME_ROK", "ESME_RINVMSGID")] * 3)


def ids_of_two_smscs(stage):
    """An id that one address of the SMSC's list gave is unknown at the other one."""
    with bound(stage.ports[0], "shop1") as esme:
        message_id = id_of(esme.ask(pdu_of({"reference": 0, "code": "mixed", "to": "granted"}, HELLO, 2)))
        stage.tap.close()
        with bound(stage.ports[0], "shop2") as other:
            got = [one.status(earlier("query_sm", message_id, 3)) for one in (esme, other)]
        return differs(got, ["ESME_ROK", "ESME_RINVMSGID"])


def ids_in_vendor_parameters(stage):
    """Whoever names an entity, a template and a consent is judged as who names none; what was named is on record."""
    with bound(stage.ports[0], "shop1") as esme:
        named = {"more": ["1400 3131303100", "1401 3230323200", "1402 3330333300"]}
        pdus = [pdu_of({"reference": 0, "code": "commercial"}, {**AD, **named}, 2), pdu_of({"reference": 0}, {**HELLO, **named}, 3)]
        statuses = [esme.status(pdu) for pdu in pdus]
        if wrong := differs(statuses, ["ESME_RSUBMITFAIL", "ESME_ROK"]):
            return wrong
    found = stage.run("audit", "search", "--path", str(stage.directory / "audit"), "--reference", "3033", "--json")
    verdicts = [json.loads(line).get("verdict") for line in found.splitlines()]
    return None if sorted(verdicts) == ["pass", "refuse"] else f"on record are {verdicts}"


def second_sender_stripped(stage):
    """Parameters that name another sender are taken away, and nothing else; a reply path or reply address is refused still."""
    callback, presentation, name, subaddress = "0381 01010139353538 38", "0302 01", "0303 084e2d", "0202 880131"
    kept = ["0204 0007", "1401 74656d706c617465"]
    with bound(stage.ports[0], "shop1") as esme:
        before, expected = stage.tap.of("shop1"), []
        for sequence, (command, second) in enumerate([("submit_sm", [callback]), ("submit_sm", [name, presentation, callback]),
                                                      ("data_sm", [subaddress, callback])], 2):
            send = {**HELLO, "command": command}
            status = esme.status(pdu_of({"reference": 0}, {**send, "more": [second[0], *kept, *second[1:]]}, sequence))
            expected.append(pdu_of({"reference": 0}, {**send, "more": kept}, sequence))
            if status != "ESME_ROK":
                return f"{command} was answered {status}"
        refused = [{"fields": {"esm_class": 0x80}, "more": [callback]}, {"header": "22 02 91 19", "more": [callback]},
                   {"command": "submit_multi", "also": ["granted"], "more": [callback]}]
        statuses = [esme.status(pdu_of({"reference": 0}, {**HELLO, **one}, at)) for at, one in enumerate(refused, 10)]
        if wrong := differs(statuses, ["ESME_ROPTPARNOTALLWD"] * 3):
            return wrong
        arrived = stage.tap.of("shop1")[len(before):]
        if arrived != b"".join(expected):
            return f"the SMSC was sent {arrived.hex()}"
        seen = dissected(expected, "smpp.opt_param_tag", "_ws.malformed")
        tags = [[int(tag, 16) & 0xFFFF for tag in one["smpp.opt_param_tag"]] for one in seen]
        if any(one["_ws.malformed"] for one in seen) or any({0x0381, 0x0302, 0x0303, 0x0202} & set(one) for one in tags):
            return f"tshark reads {seen}"
    found = stage.run("audit", "search", "--path", str(stage.directory / "audit"), "--rule", "source.second", "--json")
    verdicts = sorted(json.loads(line)["verdict"] for line in found.splitlines())
    return differs(verdicts, ["observe"] * 3 + ["refuse"] * 4)


# submit_multi, narrowed.


def multi(people, sequence):
    return pdu_of({"reference": 0, "code": "commercial", "to": people[0]}, {**AD, "command": "submit_multi", "also": people[1:]}, sequence)


def left_out(response):
    """The destinations that a submit_multi_resp names as not taken, each with its status; as tshark reads it too."""
    at, found = response.index(b"\0", 16) + 2, []
    while at < len(response) and len(found) < response[response.index(b"\0", 16) + 1]:
        end = response.index(b"\0", at + 2)
        found.append((response[at + 2:end].decode(), struct.unpack_from("!I", response, end + 1)[0]))
        at = end + 5
    return found


def submit_multi_narrowed(stage):
    """Who may not get it is left out, and nothing else is changed; the SMSC's response names who was left out."""
    with bound(stage.ports[0], "shop1") as esme:
        before = stage.tap.of("shop1")
        response = esme.ask(multi(["revoked", "granted", "stranger"], 2))
        arrived = stage.tap.of("shop1")[len(before):]
        if arrived != multi(["granted"], 2):
            return f"the SMSC was sent {arrived.hex()}"
        read = [one["destination_addr"] for one in stage.smsc.read() if one["command"] == "submit_multi"][-1:]
        if read != [PEOPLE["granted"]]:
            return f"the SMSC read it as one to {read}"
        refused = STATUSES["ESME_RSUBMITFAIL"]
        expected = [(PEOPLE["revoked"], refused), (PEOPLE["stranger"], refused)]
        if status_of(response) != "ESME_ROK" or left_out(response)[-2:] != expected:
            return f"the response names {left_out(response)}"
        seen = dissected([arrived, response], "smpp.command_id", "smpp.destination_addr", "_ws.malformed")
        if [one["_ws.malformed"] for one in seen] != [[], []] or seen[0]["smpp.destination_addr"] != [PEOPLE["granted"]]:
            return f"tshark reads {seen}"
        return None


def refuses_while_it_waits(stage):
    """The record is not on disk yet when a recipient refuses: that one does not get it."""
    with bound(stage.ports[0], "shop1", "shop2") as (esme, other):
        before, pdu = stage.tap.of("shop1"), multi(["granted", COUNTED[0]], 2)
        stage.disk.slow("audit")
        esme.send(pdu)
        time.sleep(0.3)
        if stage.tap.of("shop1") != before:
            return "it did not wait"
        said = says_stop("granted", "commercial")
        stage.tap.say(said)
        response = esme.answer_to(pdu)
        if not other.request(said):
            return "the handset's answer did not cross"
        # Its first record says that it passes; a second one, that one recipient was left out after all.
        found = stage.run("audit", "search", "--path", str(stage.directory / "audit"), "--rule", "consent.revoked", "--json")
        if [json.loads(line)["verdict"] for line in found.splitlines()] != ["refuse"]:
            return f"on record is {found}"
        arrived = stage.tap.of("shop1")[len(before):]
        if "narrow" in (stage.directory / "consentry.toml").read_text(encoding="utf-8"):
            if arrived != multi([COUNTED[0]], 2):
                return f"the SMSC was sent {arrived.hex()}"
            return differs(left_out(response)[-1:], [(PEOPLE["granted"], STATUSES["ESME_RSUBMITFAIL"])])
        return "it reached the SMSC" if arrived else differs(status_of(response), "ESME_RSUBMITFAIL")


# Parts that wait.


def halves(texts, sequence, reference, case):
    """The parts of a message, in their order."""
    parts = [{"text": text, "header": f"00 03 {reference:02x} {len(texts):02x} {at:02x}"} for at, text in enumerate(texts, 1)]
    return [pdu_of({"reference": 0, **case}, part, at) for at, part in enumerate(parts, sequence)]


# One part is refused by its rule, and the other as a part of a message that was refused.
REFUSED_TOGETHER = ["ESME_RINVESMCLASS", "ESME_RSUBMITFAIL"]
# Or both by the rule, where the threads of two binds judge them at the same moment.
REFUSED_AT_ONCE = ["ESME_RSUBMITFAIL"] * 2
MIXED = {"code": "mixed"}
HALF, AND_HALF = "【示例商城】通知：", "双十一全场五折，会员优惠券限时领取，回T退订"


def hold_over_two_binds(stage):
    """An early part waits for what the late one shows: nothing of advertising arrives, and all of a harmless message does."""
    with bound(stage.ports[0], "shop1", "shop2") as (one, other):
        before = stage.tap.of("shop1"), stage.tap.of("shop2")
        for late in (0, 1):
            first, second = halves([HALF, AND_HALF], 2 + 10 * late, 7 + late, MIXED)
            ways = [(one, first), (other, second)]
            for esme, pdu in reversed(ways) if late else ways:
                esme.send(pdu)
            statuses = [status_of(esme.answer_to(pdu)) for esme, pdu in ways]
            if sorted(statuses) != REFUSED_AT_ONCE and (wrong := differs(sorted(statuses), REFUSED_TOGETHER)):
                return wrong
        if (stage.tap.of("shop1"), stage.tap.of("shop2")) != before:
            return "something of it reached the SMSC"
        first, second = halves([HALF, "今天下午三点开会，请准时参加。"], 30, 9, MIXED)
        one.send(first)
        between = hello(32)
        statuses = [one.status(between), other.status(second), status_of(one.answer_to(first))]
        if wrong := differs(statuses, ["ESME_ROK"] * 3):
            return wrong
        sent = stage.tap.of("shop1"), stage.tap.of("shop2")
        return None if sent == (before[0] + between + first, before[1] + second) else "other octets arrived than were sent"


def hold_until_the_deadline(stage):
    """A part that never comes is waited for until the deadline, and the others are refused; a late one is too."""
    with bound(stage.ports[0], "shop1") as esme:
        part, late = halves(["第一部分", "第二部分"], 2, 7, {})
        began, sequence = time.monotonic(), 10
        esme.send(part)
        while part[12:16] not in [one[12:16] for one in esme.responses] and time.monotonic() - began < 6:
            if esme.status(hello(sequence)) != "ESME_ROK":
                return "what comes behind a part that waits is not answered"
            sequence += 1
            time.sleep(0.1)
        took, statuses = time.monotonic() - began, [status_of(esme.answer_to(part)), esme.status(late)]
        if not 1.5 < took < 6:
            return f"it was answered after {took:.1f} s"
        if part in stage.tap.of("shop1") or late in stage.tap.of("shop1"):
            return "a part reached the SMSC"
        return differs(statuses, ["ESME_RSUBMITFAIL", "ESME_RINVESMCLASS"])


def hold_and_a_window_of_one(stage):
    """Who waits for each answer gets one, and gets no listed word through whole."""
    with bound(stage.ports[0], "shop1") as esme:
        harmless, listed = (halves(texts, at, at, {}) for at, texts in ((2, ["第一部分", "第二部分"]), (5, ["请带好蓝色", "钢笔来开会。"])))
        statuses = [esme.status(pdu) for pdu in harmless + listed]
        if wrong := differs(statuses, ["ESME_ROK"] * 3 + ["ESME_RSUBMITFAIL"]):
            return wrong
        return None if stage.tap.of("shop1").endswith(harmless[0] + harmless[1] + listed[0]) else "other octets arrived"


def hold_and_consent_withdrawn(stage):
    """Consent is asked after when the message is complete: who refused meanwhile gets no part of it."""
    with bound(stage.ports[0], "shop1", "shop2") as (esme, other):
        before = stage.tap.of("shop1")
        text = AD["text"]
        for reference, expected in ((7, ["ESME_ROK"] * 2), (8, REFUSED_TOGETHER)):
            first, second = halves([text[:12], text[12:]], reference * 10, reference, TO_GRANTED)
            esme.send(first)
            if expected == REFUSED_TOGETHER:
                said = says_stop("granted", "commercial")
                stage.tap.say(said)
                if not other.request(said):
                    return "the handset's answer did not cross"
            statuses = [esme.status(second), status_of(esme.answer_to(first))]
            if wrong := differs(sorted(statuses), expected):
                return wrong
            before += (first + second) * (expected != REFUSED_TOGETHER)
        return None if stage.tap.of("shop1") == before else "other octets arrived than may"


CASES = {
    "opt-out": (opt_out, {}),
    "numbers-counted-through": (numbers_counted_through, {}),
    "earlier-by-id": (earlier_by_id, {}),
    "ids-of-two-smscs": (ids_of_two_smscs, {}),
    "ids-in-vendor-parameters": (ids_in_vendor_parameters, {
        "provider": "vendor_tlv = { entity = 0x1400, template = 0x1401, consent = 0x1402 }"}),
    "second-sender-stripped": (second_sender_stripped, {"listen": 'second_sender = "strip"'}),
    "submit-multi-narrowed": (submit_multi_narrowed, {"more": NARROW}),
    "submit-multi-narrowed-late": (refuses_while_it_waits, {"more": NARROW, "durability": "synced", "disk": True}),
    "submit-multi-refused-late": (refuses_while_it_waits, {"durability": "synced", "disk": True}),
    "hold-over-two-binds": (hold_over_two_binds, HOLD),
    "hold-until-the-deadline": (hold_until_the_deadline, HOLD),
    "hold-and-a-window-of-one": (hold_and_a_window_of_one, HOLD),
    "hold-and-consent-withdrawn": (hold_and_consent_withdrawn, HOLD),
}
