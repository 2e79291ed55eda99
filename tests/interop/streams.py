#!/usr/bin/env python3
"""Consent events from and to a Kafka broker that nobody here wrote, by the Python of docs/streams.md as it stands.

tests/interop/streams.py --consentry target/debug/consentry     of a program built with --features kafka

The broker is Tansu, which speaks Kafka's protocol and keeps its topics in memory; the CRM is confluent-kafka.
"""

import json
import re
import signal

from broker import Broker, Proxy, check, free_port, root, tell, within

ENTITY = "示例商城有限公司"
ONE, TWO = "8613800138000", "8613800138001"


def history(proxy, number):
    lines = proxy.ask("/api/v1/consents/history", {"number": number, "entity": ENTITY}).splitlines()
    return [json.loads(line) for line in lines]


def written(broker, folder):
    """What a proxy needs: its streams are those of the document, at this broker."""
    document = (root / "docs/streams.md").read_text(encoding="utf-8")
    [streams] = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    streams = streams.replace("192.0.2.20:9092", broker.address)
    (folder / "registry.toml").write_text(f"""\
[[provider]]
name       = "{ENTITY}"
system_ids = ["shop1"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"
code       = [{{ number = "106900005678", digits_max = 20, purpose = "commercial" }}]
""", encoding="utf-8")
    (folder / "consentry.toml").write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc = ["127.0.0.1:{free_port()}"]
[registry]
file = "registry.toml"
[admin]
address = "127.0.0.1:0"
{streams}
""", encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", document, re.DOTALL)


def play(consentry, folder):
    broker = Broker(folder)
    broker.make("crm.consents", "crm.consents.rejected", "consentry.consents")
    tells, hears = written(broker, folder)
    proxy = Proxy(consentry, folder)
    outcome = lambda which: proxy.metric(f'consentry_stream_messages_total{{outcome="{which}",stream="crm"}}')

    crm = {"BROKER": broker.address}
    exec(compile(tells, "docs/streams.md", "exec"), crm)
    within("what the CRM told is taken", lambda: outcome("taken") == 2)
    kinds = lambda number: [(one["happened"], one["source"]) for one in history(proxy, number)]
    check("a consent is in the ledger", kinds(ONE), [("granted", "stream")])
    check("a complaint is in the ledger", kinds(TWO), [("revoked", "stream")])
    check("nothing is rejected", outcome("rejected"), 0.0)

    heard = []
    exec(compile(hears, "docs/streams.md", "exec"), crm)
    is_mine = lambda origin: origin in ("crm-100017", "crm-100018")
    is_known = lambda id: id in [event["id"] for event in heard]
    hear = lambda: crm["hear"](is_mine, is_known, heard.append) or heard
    proxy.ask("/api/v1/consents", {"number": ONE, "entity": ENTITY, "event": "revoked"})
    within("the CRM hears of a refusal", hear)
    said = [(event["event"], event["cause"], event["number"], event["entity"], event["source"]) for event in heard]
    check("it hears what it has not told, whose it is and why", said, [("revoked", "refused", ONE, ENTITY, "api")])

    before = [kinds(ONE), kinds(TWO)]
    proxy.end(signal.SIGKILL)
    proxy = Proxy(consentry, folder)
    exec(compile(tells, "docs/streams.md", "exec"), crm)
    within("what is told again is known, also after a kill", lambda: outcome("known") == 2)
    check("and changes nothing", [kinds(ONE), kinds(TWO)], before)
    check("nor is it rejected", (outcome("taken"), outcome("rejected")), (0.0, 0.0))
    within("the lag is nothing", lambda: proxy.metric('consentry_stream_lag_messages{stream="crm"}') == 0)

    crm["tell"]("crm-100019", "12", event="revoked")
    check("the broker has it", crm["producer"].flush(30), 0)
    within("what nobody can read is rejected", lambda: outcome("rejected") == 1)
    proxy.end(signal.SIGTERM)
    check("the proxy ends well", proxy.process.returncode, 0)


if __name__ == "__main__":
    tell(__doc__, play, "all is as the document says")
