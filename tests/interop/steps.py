"""What the Python peers share: their arguments, a line a step, and the SMSC's log as the witness of what arrived."""

import argparse
import json
import os
import ssl
import sys
import time
import traceback

STEP_SECONDS_MAX = 10.0

GSM_TEXT = "@ Consentry interop £5 {ok} €"  # NUL as an octet, an escape, a character outside ASCII
UCS2_TEXT = "【互通测试】验证码123456，五分钟内有效。"
LONG_GSM_TEXT = " ".join(f"part of a long text {n:02}" for n in range(16))
LONG_UCS2_TEXT = "".join(f"第{n:02}句：这是一条长短信，分段发送。" for n in range(8))


def tls_context():
    """TLS as the environment says: SMPP_CA with SMPP_CERTIFICATE and SMPP_KEY; None without."""
    if "SMPP_CA" not in os.environ:
        return None
    context = ssl.create_default_context(cafile=os.environ["SMPP_CA"])
    # smpplib hands no name on to be checked.
    context.check_hostname = False
    context.load_cert_chain(os.environ["SMPP_CERTIFICATE"], os.environ["SMPP_KEY"])
    return context


class Failed(Exception):
    """A step that did not do what it should."""


class Peer:
    """One ESME's run against one SMSC."""

    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--port", type=int, required=True, help="where to connect on 127.0.0.1: the SMSC or the proxy")
        parser.add_argument("--system-id", required=True)
        parser.add_argument("--password", required=True)
        parser.add_argument("--source", required=True)
        parser.add_argument("--destination", required=True)
        parser.add_argument("--smsc-log", required=True, help="JSON lines that the SMSC writes")
        parser.add_argument("--foreign-source", help="a source the proxy must refuse with 0x0A; absent without a proxy")
        self.args = parser.parse_args()
        self.start = len(self._all())

    def _all(self):
        try:
            with open(self.args.smsc_log, encoding="utf-8") as log:
                lines = [line for line in log if line.endswith("\n")]
        except FileNotFoundError:
            return []
        records = [json.loads(line) for line in lines]
        return [record for record in records if record.get("system_id") == self.args.system_id]

    def received(self, command="submit_sm"):
        """What the SMSC received of this ESME, of one command, since the run began."""
        return [record for record in self._all()[self.start:] if record["command"] == command]

    def ok(self, step):
        """One step worked."""
        print(f"ok {step}", flush=True)

    def expect(self, step, condition, what):
        """A step is a condition and what to say when it does not hold."""
        if not condition:
            raise Failed(f"{step}: {what}")
        self.ok(step)

    def arrived(self, step, text, since, parts=1):
        """The SMSC decoded `text`, whole or in `parts`, from the messages after the first `since`."""
        deadline = time.monotonic() + STEP_SECONDS_MAX
        while True:
            records = self.received()[since:]
            if len(records) >= parts or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        got = "".join(record.get("text") or "" for record in records)
        addresses = {(record["source_addr"], record["destination_addr"]) for record in records}
        if len(records) != parts:
            raise Failed(f"{step}: {len(records)} messages at the SMSC, not {parts}")
        if got != text:
            raise Failed(f"{step}: the SMSC read {got!r}, not {text!r}")
        if addresses != {(self.args.source, self.args.destination)}:
            raise Failed(f"{step}: the SMSC saw the addresses {addresses}")
        self.ok(step)

    def main(self, run):
        """Runs the steps; the exit status is 0 only if all worked."""
        try:
            run(self)
        except Failed as failure:
            print(f"failed {failure}", flush=True)
            sys.exit(1)
        except BaseException:
            traceback.print_exc()
            print("failed with the exception above", flush=True)
            sys.exit(1)
