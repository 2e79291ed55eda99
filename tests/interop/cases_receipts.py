"""Cases about what the SMSC tells of messages later: on record, joined to its message, asked for and kept back. Each answers
with what is wrong, or None."""

import json
import struct

from stage import LISTENERS, start
from wire import CODES, COMMANDS, PEOPLE, bound, pdu_of, renamed

HELLO = {"text": "您好"}


def message(sequence, registered_delivery):
    return pdu_of({"reference": 0}, {**HELLO, "fields": {"registered_delivery": registered_delivery}}, sequence)


def receipt(message_id, sequence, command="deliver_sm"):
    """As an SMSC writes it, of a message to the stranger."""
    case = {"reference": 0, "code": PEOPLE["stranger"], "to": CODES["service"]}
    text = {"octets": f"id:{message_id} stat:DELIVRD".encode().hex(), "data_coding": 0, "fields": {"esm_class": 4}}
    if command == "data_sm":
        return pdu_of(case, {**text, "command": "data_sm"}, sequence)
    return renamed(pdu_of(case, text, sequence), "deliver_sm")


def id_of(response):
    return response[16:].rstrip(b"\0").decode()


def restart(stage, kills):
    """The proxy ends and another one begins with its files."""
    if kills:
        stage.proxy.process.kill()
        stage.proxy.process.wait(10)
    else:
        stage.proxy.stop()
    config = stage.directory / "consentry.toml"
    stage.proxy, stage.ports, stage.admin = start([stage.consentry], config, len(LISTENERS))


def audit(stage, *what):
    lines = stage.run("audit", *what, "-c", str(stage.directory / "consentry.toml"), "--json").splitlines()
    return [json.loads(line) for line in lines]


def receipts_on_record(stage):
    """The SMSC's own receipt, one in another case as data_sm on another bind, one after a restart: all are joined to the
    message that they are of, and one that is of none is listed."""
    delivered = lambda esme: [one for one in esme.requests if one[4:8] == struct.pack("!I", COMMANDS["deliver_sm"])]
    with bound(stage.ports[0], "shop1", "shop2") as (esme, other):
        message_id = id_of(esme.ask(message(2, 1)))
        while not delivered(esme) and esme.read():
            pass
        if len(delivered(esme)) != 1:
            return f"{len(delivered(esme))} receipts came"
        esme.finish()
        second = receipt(message_id.upper(), 90, "data_sm")
        stage.tap.say(second)
        if not other.request(second):
            return "a receipt as data_sm did not cross"
        other.finish()
    restart(stage, kills=False)
    with bound(stage.ports[0], "shop1") as esme:
        third = [receipt(message_id, 91), receipt("nobody-1", 92)]
        stage.tap.say(b"".join(third))
        if not all(esme.request(one) for one in third):
            return "receipts after a restart did not cross"
        esme.finish()
    stage.proxy.stop()
    found = [one for one in audit(stage, "search", "--message-id", message_id.upper()) if one["kind"] == "verdict"]
    if [one.get("state") for one in found] != ["delivered"] or len(found[0]["receipts"]) != 3:
        return f"found {found}"
    alone = [one["message_id"] for one in audit(stage, "receipts", "--unmatched")]
    return None if alone == ["nobody-1"] else f"of no message: {alone}"


def receipts_asked_for(stage):
    """One octet of the message is changed. The SMSC's receipt is answered and kept back, on record before; so is one that
    comes after the proxy was killed. What the ESME asked for itself crosses."""
    answer = lambda sequence: struct.pack("!IIIIB", 17, COMMANDS["deliver_sm_resp"], 0, sequence, 0)
    with bound(stage.ports[0], "shop1") as esme:
        before = stage.tap.of("shop1")
        if not esme.ask(message(2, 0)):
            return "it was not answered"
        esme.rest()
        sent = stage.tap.of("shop1")[len(before):]
        if not sent.startswith(message(2, 1)):
            return f"the SMSC was sent {sent.hex()}"
        if b"\x80\0\0\5\0\0\0\0" not in sent[len(message(2, 1)):] or any(one[7] == 5 for one in esme.requests):
            return "the receipt was not answered, or reached the ESME"
        stage.tap.mute(COMMANDS["deliver_sm"])
        ours, theirs = (id_of(esme.ask(message(sequence, asks))) for sequence, asks in ((3, 0), (4, 1)))
        esme.finish()
    restart(stage, kills=True)
    stage.tap.clear()
    stage.tap.mute(None)
    with bound(stage.ports[0], "shop2") as esme:
        esme.finish()
        stage.tap.say(receipt(ours.upper(), 90) + receipt(theirs, 91))
        if not esme.request(receipt(theirs, 91)):
            return "the receipt that the ESME asked for did not cross"
        esme.rest()
        if receipt(ours.upper(), 90) in esme.requests:
            return "after a restart, a receipt crossed that the ESME did not ask for"
        if answer(90) not in stage.tap.of("shop2"):
            return "it was not answered"
    stage.proxy.stop()
    kept = [one["kept_back"] for one in audit(stage, "receipts")]
    return None if kept == [True, True, False] else f"kept back: {kept}"


CASES = {
    "receipts-on-record": (receipts_on_record, {}),
    "receipts-asked-for": (receipts_asked_for, {"listen": 'receipts = "ask"'}),
}
