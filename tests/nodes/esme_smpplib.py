"""An ESME made of smpplib: service messages to numbers that nobody else uses, until SIGTERM; it binds again when its session ends.

    esme_smpplib.py PORT SYSTEM_ID SOURCE LOG       LOG: a line for each message, as tests/nodes/checker.py reads trips
"""

import json
import logging
import random
import signal
import sys
import time

import smpplib.client
import smpplib.consts
import smpplib.exceptions

EVERY, ANSWER_SECONDS_MAX = 0.2, 10
port, system_id, source, log = sys.argv[1:]
logging.disable(logging.CRITICAL)
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(1))


def session(out):
    client = smpplib.client.Client("127.0.0.1", int(port), timeout=ANSWER_SECONDS_MAX, allow_unknown_opt_params=True)
    client.set_message_received_handler(lambda pdu: None)
    client.connect()
    node = client.bind_transceiver(system_id=system_id, password="secret").system_id.decode().removeprefix("SMSC-")
    while not ending:
        answers = []
        client.set_message_sent_handler(lambda pdu: answers.append(pdu.status))
        client.set_error_pdu_handler(lambda pdu: answers.append(pdu.status))
        number = f"86136{random.randrange(10**8):08}"
        sent = time.monotonic()
        text = f"您的包裹已到，取件码{random.randrange(10**4):04}。"
        pdu = client.send_message(source_addr=source, destination_addr=number, data_coding=8, short_message=text.encode("utf-16-be"))
        trip = {"node": node, "who": system_id, "n": pdu.sequence, "kind": "service", "number": number, "sent": sent,
                "answered": None, "status": None}
        try:
            while not answers:
                client.read_once()
            trip |= {"answered": time.monotonic(), "status": answers[0]}
        finally:
            print(json.dumps(trip), file=out, flush=True)
        time.sleep(EVERY)
    client.unbind()
    client.disconnect()


with open(log, "a", encoding="utf-8") as out:
    while not ending:
        try:
            session(out)
        except (OSError, AttributeError, smpplib.exceptions.ConnectionError, smpplib.exceptions.PDUError) as fault:
            print(repr(fault), flush=True)
            time.sleep(0.2)
