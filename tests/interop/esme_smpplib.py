"""ESME made of python-smpplib."""

import time

import smpplib.client
import smpplib.consts
import smpplib.gsm

from steps import GSM_TEXT, LONG_GSM_TEXT, LONG_UCS2_TEXT, STEP_SECONDS_MAX, UCS2_TEXT, Failed, Peer, tls_context


def run(peer):
    args = peer.args
    client = smpplib.client.Client("127.0.0.1", args.port, timeout=STEP_SECONDS_MAX, allow_unknown_opt_params=True,
                                   ssl_context=tls_context())
    accepted, refused, receipts, pongs = [], [], [], []
    # A refused submit_sm_resp comes to both handlers, without a message_id.
    client.set_message_sent_handler(lambda pdu: pdu.is_error() or accepted.append(pdu.message_id.decode()))
    client.set_error_pdu_handler(lambda pdu: refused.append((pdu.command, int(pdu.status), pdu.sequence)))
    client.set_message_received_handler(lambda pdu: receipts.append(pdu))
    read_pdu = client.read_pdu

    def witness():
        pdu = read_pdu()
        if pdu.command == "enquire_link_resp":
            pongs.append(pdu.sequence)
        return pdu

    client.read_pdu = witness

    def wait(step, condition):
        deadline = time.monotonic() + STEP_SECONDS_MAX
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(f"{step}: nothing within {STEP_SECONDS_MAX} s")
            try:
                client.read_once(auto_send_enquire_link=False)
            except TimeoutError:
                raise Failed(f"{step}: nothing within {STEP_SECONDS_MAX} s") from None

    def send(text, encoding=smpplib.consts.SMPP_ENCODING_DEFAULT, source=args.source, registered=False):
        parts, coding, esm_class = smpplib.gsm.make_parts(text, encoding=encoding)
        for part in parts:
            client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_UNK,
                source_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                source_addr=source,
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr=args.destination,
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=registered,
            )
        return len(parts)

    client.connect()
    response = client.bind_transceiver(system_id=args.system_id, password=args.password)
    peer.expect("bind_transceiver", response.command == "bind_transceiver_resp" and response.status == 0, response)

    def message(step, text, **how):
        before, sent = len(accepted), len(peer.received())
        parts = send(text, **how)
        wait(step, lambda: len(accepted) == before + parts)
        peer.arrived(step, text, sent, parts)
        return parts

    message("submit_sm GSM", GSM_TEXT)
    message("submit_sm UCS2", UCS2_TEXT, encoding=smpplib.consts.SMPP_ENCODING_ISO10646)
    message("submit_sm in parts, 8-bit reference, GSM", LONG_GSM_TEXT)
    message("submit_sm in parts, 8-bit reference, UCS2", LONG_UCS2_TEXT, encoding=smpplib.consts.SMPP_ENCODING_ISO10646)
    message("submit_sm asking for a receipt", GSM_TEXT, registered=True)
    wait("receipt", lambda: receipts)
    peer.expect("receipt", accepted[-1].encode() in receipts[0].short_message and receipts[0].esm_class == 4,
                "not of the last message")

    if args.foreign_source:
        sent = len(peer.received())
        send(GSM_TEXT, source=args.foreign_source)
        wait("foreign source", lambda: refused)
        peer.expect("foreign source refused", refused[0][:2] == ("submit_sm_resp", 0x0A), refused)
        message("submit_sm after the refusal", GSM_TEXT)
        peer.expect("foreign source not at the SMSC", len(peer.received()) == sent + 1, "more than one message arrived")

    client.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=client))
    wait("enquire_link", lambda: pongs)
    peer.ok("enquire_link")
    response = client.unbind()
    peer.expect("unbind", response.command == "unbind_resp", response.command)
    client.disconnect()


Peer(__doc__).main(run)
