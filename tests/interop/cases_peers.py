"""Cases of peers, disks and time, that are more than PDUs and their answers. Each answers with what is wrong, or None."""

import pathlib
import re
import signal
import struct
import time

from wire import CODES, COMMANDS, COUNTED, PEOPLE, SILENCE_SECONDS, Esme, bound, pdu_of, says_stop, status_of

AD = {"text": "【示例商城】双十一全场五折，会员优惠券限时领取，回T退订"}
TO_GRANTED = {"reference": 0, "code": "commercial", "to": "granted"}
HELLO = {"text": "您好"}


def hello(sequence):
    return pdu_of({"reference": 0}, HELLO, sequence)


def differs(got, expected):
    return None if got == expected else f"answered {got}, not {expected}"


def message_behind_its_bind(stage):
    """Nothing goes on before the SMSC has taken the bind."""
    esme, pdu = Esme(stage.ports[0]), hello(2)
    body = b"shop1\0secret\0\0\x34\0\0\0"
    esme.send(struct.pack("!IIII", 16 + len(body), 9, 0, 1) + body + pdu)
    response = esme.answer(lambda one: one[4:8] == b"\x80\0\0\x04")
    esme.finish()
    esme.close()
    if status_of(response) != "ESME_RINVBNDSTS":
        return f"it was answered {status_of(response)}"
    return "it reached the SMSC" if pdu in stage.tap.of("shop1") else None


def smsc_says_what_it_likes(stage):
    """A receipt as data_sm, a number that is in use, an answer to nothing, a command nobody knows: all cross as they came."""
    with bound(stage.ports[0], "shop1") as esme:
        esme.finish()
        receipt = pdu_of({"reference": 0, "code": PEOPLE["granted"], "to": CODES["service"]}, {
            "octets": b"id:1 stat:DELIVRD".hex(), "data_coding": 0, "command": "data_sm", "fields": {"esm_class": 4},
            "more": ["001e 3100", "1401 78"]}, 2)
        number_in_use = struct.pack("!IIII", 16, COMMANDS["enquire_link"], 0, 0x7FFFFFF0)
        nobody_knows = struct.pack("!IIII", 20, 0x0777, 0, 3) + b"more"
        said = [receipt, number_in_use, nobody_knows]
        stage.tap.say(b"".join(said))
        missing = [pdu.hex() for pdu in said if not esme.request(pdu)]
        return f"{missing} did not cross" if missing else None


def refused_without_receipt(stage):
    """A receipt was asked for, and the message refused: none comes, and one that passes gets its own."""
    with bound(stage.ports[0], "shop1") as esme:
        fields = {"registered_delivery": 1}
        for sequence, code in ((2, "95588"), (3, "service")):
            esme.send(pdu_of({"reference": 0, "code": code}, {**HELLO, "fields": fields}, sequence))
        esme.finish()
        receipts = lambda: [pdu for pdu in esme.requests if pdu[4:8] == struct.pack("!I", COMMANDS["deliver_sm"])]
        while not receipts() and esme.read():
            pass
        esme.rest()
        return None if len(receipts()) == 1 else f"{len(receipts())} receipts came"


def keepalives_alone(stage):
    """The SMSC answers every enquire_link and no message: the session ends after the response time all the same."""
    with bound(stage.ports[0], "shop1") as esme:
        esme.finish()
        stage.tap.mute(COMMANDS["submit_sm_resp"])
        esme.send(hello(2))
        began, answered = time.monotonic(), 0
        while not esme.closed and time.monotonic() - began < 10:
            answered += esme.ask(struct.pack("!IIII", 16, COMMANDS["enquire_link"], 0, 3 + answered)) is not None
            time.sleep(0.1)
        took = time.monotonic() - began
        if not esme.closed or answered < 3:
            return f"{answered} keepalives were answered, and the session {'ended' if esme.closed else 'lives'}"
        return None if took >= 1 else f"it ended after {took:.1f} s"


def rate_at_its_edge(stage):
    """Two a second: the parts of a message that has begun go through, and then nothing, over the other bind neither."""
    with bound(stage.ports[0], "shop1", "shop2") as (esme, other):
        part = lambda number: {"text": f"第{number}部分", "header": f"00 03 07 03 {number:02}"}
        pdus = [hello(2)] + [pdu_of({"reference": 0}, part(number), 2 + number) for number in (1, 2, 3)] + [hello(6)]
        esme.send(b"".join(pdus))
        statuses = [status_of(esme.answer_to(pdu)) for pdu in pdus] + [other.status(hello(2))]
        return differs(statuses, ["ESME_ROK"] * 4 + ["ESME_RTHROTTLED"] * 2)


def record_not_written(stage):
    """The journal's disk is full: no message goes on, each is answered so that it is sent again, and keepalives cross; once
    there is room, so do messages."""
    with bound(stage.ports[0], "shop1") as esme:
        statuses = [esme.status(hello(2))]
        before = stage.tap.of("shop1")
        stage.disk.full("audit")
        statuses += [esme.status(hello(sequence)) for sequence in (3, 4)]
        statuses.append(esme.status(struct.pack("!IIII", 16, COMMANDS["enquire_link"], 0, 5)))
        arrived = [pdu for pdu in (hello(3), hello(4)) if pdu in stage.tap.of("shop1")[len(before):]]
        if arrived:
            return f"{len(arrived)} messages reached the SMSC and are on no record"
        if stage.readiness()[0] != 503:
            return f"/readyz says {stage.readiness()}"
        stage.disk.has_room("audit")
        # It is tried again every second.
        began = time.monotonic()
        while stage.readiness()[0] != 200 and time.monotonic() - began < 5:
            time.sleep(0.1)
        statuses.append(esme.status(hello(6)))
        return differs(statuses, ["ESME_ROK", "ESME_RMSGQFUL", "ESME_RMSGQFUL", "ESME_ROK", "ESME_ROK"])


def ledger_fails(stage):
    """A refusal cannot be kept: the ESME does not hear of it, advertising is refused until the ledger is well, the rest passes."""
    with bound(stage.ports[0], "shop1") as esme:
        to_other = {"reference": 0, "code": "commercial", "to": COUNTED[0]}
        statuses = [esme.status(pdu_of(to_other, AD, 2))]
        stage.disk.full("consent")
        said = says_stop("granted", "commercial")
        stage.tap.say(said)
        esme.rest()
        if said in esme.requests:
            return "the ESME hears of a refusal that nobody has kept"
        # What the SMSC says behind it is held back too: the other bind does not wait for it.
        with bound(stage.ports[0], "shop2") as other:
            statuses += [other.status(pdu_of(to_other, AD, 3)), other.status(hello(4))]
        status, reasons = stage.readiness()
        if status != 503 or "consent" not in reasons:
            return f"/readyz says {status} {reasons}"
        return differs(statuses, ["ESME_ROK", "ESME_RMSGQFUL", "ESME_ROK"])


def smsc_silent(stage):
    """The SMSC answers late: the message went to it once, and the answer still comes."""
    with bound(stage.ports[0], "shop1") as esme:
        try:
            before, pdu = stage.tap.of("shop1"), hello(2)
            stage.smsc.process.send_signal(signal.SIGSTOP)
            esme.send(pdu)
            esme.rest()
            answered, arrived = esme.responses[:], stage.tap.of("shop1")
        finally:
            stage.smsc.process.send_signal(signal.SIGCONT)
        response = esme.answer_to(pdu)
        if answered or arrived != before + pdu:
            return "something was answered, or sent again, in the SMSC's place"
        return None if response else "the answer that came late did not cross"


def stopped_with_a_request_open(stage):
    """SIGTERM while the SMSC has not answered: the answer still comes, then unbind, and the proxy ends with 0."""
    with bound(stage.ports[0], "shop1") as esme:
        try:
            stage.smsc.process.send_signal(signal.SIGSTOP)
            first, second = hello(2), hello(3)
            esme.send(first)
            esme.rest()
            stage.proxy.process.send_signal(signal.SIGTERM)
            time.sleep(SILENCE_SECONDS)
            refused = esme.ask(second)
        finally:
            stage.smsc.process.send_signal(signal.SIGCONT)
        answered = esme.answer_to(first)
        unbind = lambda: next((pdu for pdu in esme.requests if pdu[7] == 6), None)
        while unbind() is None and esme.read():
            pass
        if unbind() is None:
            return "no unbind came"
        esme.send(struct.pack("!IIII", 16, 0x80000006, 0, struct.unpack_from("!I", unbind(), 12)[0]))
        if wrong := differs([status_of(refused), status_of(answered)], ["ESME_RTHROTTLED", "ESME_ROK"]):
            return wrong
        return None if stage.proxy.process.wait(10) == 0 else f"it ended with {stage.proxy.process.returncode}"


def stopped_while_a_record_waits(stage):
    """SIGTERM, and no time to drain, while a record is on its way to a slow disk: the message goes on when it is there, and
    until then the session sleeps."""
    with bound(stage.ports[0], "shop1") as esme:
        before, pdu = stage.tap.of("shop1"), hello(2)
        stage.disk.slow("audit")
        esme.send(pdu)
        time.sleep(0.2)
        woken = times_woken(stage)
        stage.proxy.process.send_signal(signal.SIGTERM)
        time.sleep(0.6)
        woken, waits = times_woken(stage) - woken, stage.tap.of("shop1") == before
        esme.rest()
        if not waits:
            return "it did not wait"
        if woken > 200:
            return f"it woke {woken} times to wait for 0.6 s"
        return None if stage.tap.of("shop1")[len(before):].startswith(pdu) else "the message that was recorded did not go on"


def times_woken(stage):
    """How often threads of the proxy have slept so far."""
    each = pathlib.Path(f"/proc/{stage.proxy.process.pid}/task").glob("*/status")
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", one.read_text(), re.MULTILINE)[1]) for one in each)


def smsc_gone(stage):
    """The SMSC dies with a request open: the ESME's connection ends, and nothing is sent twice. The last case of all."""
    with bound(stage.ports[0], "shop1") as esme:
        try:
            before, pdu = stage.tap.of("shop1"), hello(2)
            stage.smsc.process.send_signal(signal.SIGSTOP)
            esme.send(pdu)
            esme.rest()
        finally:
            stage.smsc.process.kill()
        while not esme.closed and esme.read():
            pass
        if esme.responses or not esme.closed:
            return "the connection stays open, or something was answered in the SMSC's place"
        return None if stage.tap.of("shop1") == before + pdu else "something was sent again"


CASES = {
    "message-behind-its-bind": (message_behind_its_bind, {}),
    "smsc-says-what-it-likes": (smsc_says_what_it_likes, {}),
    "refused-without-receipt": (refused_without_receipt, {}),
    "keepalives-alone": (keepalives_alone, {"more": '[timeouts]\nresponse = "1s"'}),
    "rate-at-its-edge": (rate_at_its_edge, {"provider": "rate = 2"}),
    "record-not-written": (record_not_written, {"disk": True}),
    "ledger-fails": (ledger_fails, {"disk": True}),
    "smsc-silent": (smsc_silent, {}),
    "stopped-with-a-request-open": (stopped_with_a_request_open, {}),
    "stopped-while-a-record-waits": (stopped_while_a_record_waits, {
        "more": '[timeouts]\ndrain = "0s"', "durability": "synced", "disk": True}),
    "smsc-gone": (smsc_gone, {}),
}
