"""ESME made of aiosmpplib."""

import asyncio
import struct

from aiosmpplib import ESME, NPI, TON, AbstractHook, PhoneNumber, SubmitSm

from steps import GSM_TEXT, LONG_GSM_TEXT, LONG_UCS2_TEXT, STEP_SECONDS_MAX, UCS2_TEXT, Failed, Peer

SUBMIT_SM_RESP, DELIVER_SM, ENQUIRE_LINK_RESP = 0x80000004, 0x05, 0x80000015


class Witness(AbstractHook):
    """Keeps the header and octets of each PDU that came, by command_id."""

    def __init__(self):
        self.pdus = {}
        self.errors = []

    async def sending(self, smpp_message, pdu, client_id):
        pass

    async def received(self, smpp_message, pdu, client_id):
        _, command, status, _ = struct.unpack_from("!IIII", pdu)
        self.pdus.setdefault(command, []).append((status, pdu))

    async def send_error(self, smpp_message, error, client_id):
        self.errors.append(error)

    def of(self, command):
        return self.pdus.get(command, [])


async def steps(peer):
    args = peer.args
    hook = Witness()
    esme = ESME("127.0.0.1", args.port, args.system_id, args.password, hook=hook, log_level="ERROR",
                enquire_link_interval=1.0, socket_timeout=STEP_SECONDS_MAX)
    task = asyncio.create_task(esme.start())

    async def wait(step, condition):
        async def poll():
            while not condition():
                if hook.errors:
                    raise Failed(f"{step}: {hook.errors!r}")
                if task.done():
                    raise Failed(f"{step}: the ESME stopped")
                await asyncio.sleep(0.01)
        try:
            await asyncio.wait_for(poll(), STEP_SECONDS_MAX)
        except TimeoutError:
            raise Failed(f"{step}: nothing within {STEP_SECONDS_MAX} s") from None

    def submit(text, source=args.source, payload=False, **how):
        how.setdefault("registered_delivery", 0)
        body = {"message_payload": text} if payload else {"short_message": text}
        return SubmitSm(source=PhoneNumber(source, TON.UNKNOWN, NPI.ISDN),
                        destination=PhoneNumber(args.destination, TON.INTERNATIONAL, NPI.ISDN), **body, **how)

    async def message(step, text, parts=1, **how):
        answered, sent = len(hook.of(SUBMIT_SM_RESP)), len(peer.received())
        await esme.broker.enqueue(submit(text, **how))
        await wait(step, lambda: len(hook.of(SUBMIT_SM_RESP)) == answered + parts)
        statuses = {status for status, _ in hook.of(SUBMIT_SM_RESP)[answered:]}
        if statuses != {0}:
            raise Failed(f"{step}: statuses {statuses}")
        peer.arrived(step, text, sent, parts)
        return peer.received()[sent:]

    await wait("bind_transceiver", esme._bound.is_set)
    peer.ok("bind_transceiver")

    await message("submit_sm GSM", GSM_TEXT)
    await message("submit_sm UCS2", UCS2_TEXT)
    # The order matters: 0.7.4 splits with SAR only after it has split with UDH once (`encoding` is unbound before).
    await message("submit_sm in parts, 8-bit reference, UCS2", LONG_UCS2_TEXT, parts=3, esm_class=0x40,
                  auto_message_payload=False)
    await message("submit_sm in parts, 8-bit reference, GSM", LONG_GSM_TEXT, parts=3, esm_class=0x40,
                  auto_message_payload=False)
    records = await message("submit_sm in parts, SAR, GSM", LONG_GSM_TEXT, parts=2, auto_message_payload=False)
    peer.expect("SAR parameters at the SMSC", [record["sar"][1:] for record in records] == [[1, 2], [2, 2]], records)
    records = await message("submit_sm with message_payload, UCS2", LONG_UCS2_TEXT, payload=True)
    peer.expect("message_payload at the SMSC", records[0].get("in_payload"), records)

    await message("submit_sm asking for a receipt", GSM_TEXT, registered_delivery=1)
    await wait("receipt", lambda: hook.of(DELIVER_SM))
    message_id = hook.of(SUBMIT_SM_RESP)[-1][1][16:].rstrip(b"\0")
    peer.expect("receipt", message_id in hook.of(DELIVER_SM)[0][1], "not of the last message")

    if args.foreign_source:
        answered, sent = len(hook.of(SUBMIT_SM_RESP)), len(peer.received())
        await esme.broker.enqueue(submit(GSM_TEXT, source=args.foreign_source))
        await wait("foreign source", lambda: len(hook.of(SUBMIT_SM_RESP)) > answered)
        status, pdu = hook.of(SUBMIT_SM_RESP)[-1]
        peer.expect("foreign source refused", status == 0x0A and len(pdu) == 16, pdu.hex())
        await message("submit_sm after the refusal", GSM_TEXT)
        peer.expect("foreign source not at the SMSC", len(peer.received()) == sent + 1, "more than one message arrived")

    await wait("enquire_link", lambda: hook.of(ENQUIRE_LINK_RESP))
    peer.ok("enquire_link")
    # stop() writes unbind, ends its side at once and lets the socket go, so the answer meets a closed door. The
    # unbind must reach the SMSC all the same.
    await asyncio.wait_for(esme.stop(), STEP_SECONDS_MAX)
    await asyncio.wait_for(task, STEP_SECONDS_MAX)
    await wait_for_unbind(peer)


async def wait_for_unbind(peer):
    for _ in range(int(STEP_SECONDS_MAX / 0.02)):
        if peer.received("unbind"):
            peer.ok("unbind")
            return
        await asyncio.sleep(0.02)
    raise Failed("unbind: it did not reach the SMSC")


def run(peer):
    asyncio.run(steps(peer))


Peer(__doc__).main(run)
