#!/usr/bin/env python3
"""The mirror of docs/mirrors.md to a Kafka broker that nobody here wrote, read by a client that nobody here wrote.

tests/interop/mirrored.py --consentry target/debug/consentry     of a program built with --features kafka

The broker is Tansu, the client confluent-kafka. The broker is killed and comes back with nothing, the proxy is killed in
the middle of a delivery: no record may be missing of which the mirror's place does not say that the broker had it.
"""

import collections
import json
import re
import signal
import subprocess

from broker import PATIENCE, Broker, Process, Proxy, check, root, tell, within
from confluent_kafka import Consumer, KafkaError, TopicPartition

TOPIC, WHOLE = "consentry.records", "consentry.whole"
# system_id, provider and code of who sends; a code of nobody.
SHOPS = {"shop1": ("示例商城有限公司", "106900001234"), "shop2": ("另一商城有限公司", "106900005678")}
FORGED = "106911119999"
# What every message says: the last digits of its sequence_number stand for ####.
TEXT = "您的验证码是####"
# Recipients of the messages, and a handset that answers TD all the time.
RECIPIENT, REPLIES = "8613800000000", "8613900000001"
# A burst of messages, and how many of them the mirror must be behind before something is broken.
BURST, BEHIND = 300, 200


class Stage:
    """Proxy, SMSC and broker, what is done with them, and what of the journal each mirror says is delivered."""

    def __init__(self, consentry, folder):
        self.consentry, self.folder = consentry, folder
        self.broker = Broker(folder)
        self.broker.make(TOPIC, WHOLE)
        smsc = Process(folder / "smsc.log", consentry, "smsc", "--listen", "127.0.0.1:0",
                       "--deliver", f"{REPLIES}:{SHOPS['shop1'][1]}:TD", "--deliver-every", "200ms")
        self.smsc = within("the SMSC listens", lambda: smsc.told(r"listening on (127\.0\.0\.1:\d+)"))
        self.run("audit", "keys", "new-auditor", str(folder / "auditor.key"))
        self.write()
        self.begin()

    def write(self):
        """The mirror is that of the document, at this broker; beside it one that shows numbers."""
        document = (root / "docs/mirrors.md").read_text(encoding="utf-8")
        [mirror] = re.findall(r'\[\[mirror]]\nname +=.*\nkind +=  *"kafka".*\n(?:.+\n)*?topic .*\n', document)
        mirror = mirror.replace("192.0.2.20:9092", self.broker.address) + 'wait = "20ms"\nbatch = 200\n'
        whole = mirror.replace('"stream"', '"whole"').replace(f'"{TOPIC}"', f'"{WHOLE}"') + 'numbers = "whole"\n'
        providers = "".join(f"""\
[[provider]]
name       = "{name}"
system_ids = ["{system_id}"]
licence    = {{ number = "B2-{number}", valid_until = 2099-12-31 }}
identity   = "verified"
code       = [{{ number = "{code}", digits_max = 20, purpose = "service" }}]
""" for number, (system_id, (name, code)) in enumerate(SHOPS.items(), 20260001))
        (self.folder / "registry.toml").write_text(providers, encoding="utf-8")
        (self.folder / "consentry.toml").write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc = ["{self.smsc}"]
[registry]
file = "registry.toml"
[audit]
path = "audit"
auditors = ["auditor.pub"]
content = "all"
[admin]
address = "127.0.0.1:0"
{mirror}{whole}""", encoding="utf-8")

    def begin(self):
        self.proxy = Proxy(self.consentry, self.folder)
        self.esme = within("the proxy listens", lambda: self.proxy.told(r"listening address=(127\.0\.0\.1:\d+)"))

    def run(self, *arguments):
        done = subprocess.run([self.consentry, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"consentry {' '.join(arguments)}: exit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def audit(self, command, *arguments):
        said = self.run("audit", command, "-c", str(self.folder / "consentry.toml"), "--unrecorded", "--json", *arguments)
        return [json.loads(line) for line in said.splitlines()]

    def send(self, system_id, count, *more, source=None):
        """How the messages were answered: how many with which status."""
        said = self.run("load", "--to", self.esme, "--sessions", "1", "--window", "50", "--count", str(count), "--system-id", system_id,
                        "--source", source or SHOPS[system_id][1], "--text", TEXT, "--dest-base", RECIPIENT, "--json", *more)
        return json.loads(said)["statuses"]

    def figure(self, name, mirror="stream"):
        return self.proxy.metric(f'consentry_mirror_{name}{{mirror="{mirror}"}}')

    def place(self, mirror="stream"):
        """The record that is next to be delivered."""
        return json.loads((self.folder / f"audit/mirrors/{mirror}.json").read_text(encoding="utf-8"))["record"]

    def fall_behind(self):
        """The broker holds still, messages come, and the mirror falls behind; how they were answered."""
        self.broker.process.send_signal(signal.SIGSTOP)
        answered = self.send("shop1", BURST)
        within("the lag is seen", lambda: self.figure("lag_records") > BEHIND)
        return answered

    def catch_up(self):
        """Waits until both mirrors have what the journal has now; what `audit search` finds in it, by the record."""
        messages = self.audit("search", "--unmask", "--limit", "100000")
        [journal] = self.audit("verify")
        check("the journal is whole", journal["whole"], True)
        for mirror in ("stream", "whole"):
            within(f"mirror {mirror} has all", lambda: self.place(mirror) > journal["records"])
            within(f"the lag of {mirror} falls to 0", lambda: self.figure("lag_records", mirror) == 0)
        return {message["record"]: message for message in messages}


class Read:
    """What stands in a topic: partition, key and row of each message, in the partitions' order; and up to where it must."""

    def __init__(self, stage, topic):
        broker, self.through = stage.broker, stage.place("stream" if topic == TOPIC else "whole")
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "nobody", "enable.auto.commit": False,
                             "enable.partition.eof": True, "log_level": 0})
        partitions = consumer.list_topics(topic, PATIENCE).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self.messages, self.octets, ended = [], b"", set()

        def have_all():
            for message in consumer.consume(1000, timeout=0.2):
                if (error := message.error()) and error.code() != KafkaError._PARTITION_EOF:
                    raise RuntimeError(error)
                if error:
                    ended.add(message.partition())
                    continue
                ended.discard(message.partition())
                self.messages.append((message.partition(), message.key().decode(), json.loads(message.value())))
                self.octets += message.key() + message.value() + b"\n"
            return len(ended) == len(partitions)

        within(f"{topic} is read to its end", have_all)
        consumer.close()
        self.rows = {row["record"]: row for _, _, row in self.messages}


def is_without_gap(stage, what, read, first):
    """Each record from that one on is there, but for links of the chain, which are not mirrored."""
    missing = [number for number in range(first, read.through) if number not in read.rows]
    wrong = [number for number in missing if stage.audit("show", str(number))[0]["kind"] != "link"]
    check(f"{what}: of the records {first} to {read.through - 1} all are there but {len(missing)} links", wrong, [])
    numbers = sorted(number for number in read.rows if number >= first)
    wrong = [after for before, after in zip(numbers, numbers[1:]) if read.rows[after]["previous"] != before]
    check(f"{what}: each of the {len(numbers)} rows names the one before it", wrong, [])


def is_in_order(what, read):
    """By provider, as keys and partitions are to have it; what came twice is the same both times."""
    check(f"{what}: the key is the provider", [row for _, key, row in read.messages if key != row.get("provider", "")], [])
    partitions = {(key, partition) for partition, key, _ in read.messages if key}
    check(f"{what}: the rows of a provider are in one partition", len(partitions), len(SHOPS))
    seen, last, again, wrong = {}, {}, 0, []
    for _, key, row in read.messages:
        number = row["record"]
        if number in seen:
            again, is_right = again + 1, seen[number] == row
        else:
            seen[number], is_right = row, not key or number > last.get(key, 0)
            last[key] = number
        wrong += [] if is_right else [number]
    check(f"{what}: they are in order, and what came again, {again} rows, is the same", wrong, [])


def is_told(what, read, messages):
    """What `audit search` finds is what the rows say of the same messages and their answers."""
    of = lambda found, *keys: tuple(found.get(key) for key in keys)
    keys = ("provider", "system_id", "session", "command", "sequence_number", "verdict", "rule", "article", "rule_set", "class", "octets")
    answered = ("message_id", "response_status", "latency_us")
    # One writes all digits of a second, the other those that it has.
    second = lambda found: found["time"].rstrip("Z").rstrip("0")
    rows = {number: row for number, row in read.rows.items() if row["kind"] == "verdict" and number in messages}
    answers = {of(row, "session", "sequence_number"): row for row in read.rows.values() if row.get("command") == "submit_sm_resp"}
    answer = lambda row: answers.get(of(row, "session", "sequence_number"), {})
    wrong = [number for number, row in rows.items() if of(row, *keys) != of(messages[number], *keys) or second(row) != second(messages[number])]
    check(f"{what}: {len(rows)} messages are as search finds them", wrong, [])
    wrong = [number for number, row in rows.items() if of(answer(row), *answered) != of(messages[number], *answered)]
    check(f"{what}: and so are their {len(answers)} answers", wrong, [])


def is_private(masked, whole, messages):
    """Neither shows a text, one shows numbers."""
    texts = re.compile(TEXT[:5].encode() + b"|" + TEXT[:5].encode("utf-16-be").hex().encode(), re.IGNORECASE)
    persons = re.compile(rb"86138000\d{5}|" + REPLIES.encode())
    check("no message's text is in a topic", texts.findall(masked.octets + whole.octets), [])
    check("nor is it there sealed", [row["record"] for read in (masked, whole) for row in read.rows.values() if "sealed_hex" in row], [])
    check("although the journal has it", "content" in {row["kind"] for row in masked.rows.values()}, True)
    check("no person's number is in the topic", persons.findall(masked.octets), [])
    sent = {record: message["destination"] for record, message in messages.items() if message["kind"] == "verdict"}
    shown = lambda read, record, column: read.rows.get(record, {}).get(column, "")
    wrong = [record for record, number in sent.items() if shown(whole, record, "destination") != number]
    check("each recipient is in the one with numbers = \"whole\"", wrong, [])
    is_masked = lambda said, number: re.fullmatch(number[:3] + r"\*+" + number[-2:], said)
    wrong = [record for record, number in sent.items() if not is_masked(shown(masked, record, "destination"), number)]
    check("and masked in the other", wrong, [])
    tokens = {(number, shown(masked, record, "destination_token")) for record, number in sent.items()}
    check("with a token of its own", [len({one[at] for one in tokens}) for at in (0, 1)], [len(tokens)] * 2)
    replies = lambda read: {row.get("text_hex") for row in read.rows.values() if row["kind"] == "reply"}
    check("a reply's words are in the one, and not in the other", (replies(whole), replies(masked)), ({b"TD".hex()}, {None}))


def play(consentry, folder):
    stage = Stage(consentry, folder)
    check("messages pass", stage.send("shop1", 40, "--rate", "40"), {"ESME_ROK": 40})
    check("for a second provider too", stage.send("shop2", BURST), {"ESME_ROK": BURST})
    check("a forged one does not", stage.send("shop2", 10, source=FORGED), {"ESME_RINVSRCADR": 10})
    messages = stage.catch_up()
    read = {topic: Read(stage, topic) for topic in (TOPIC, WHOLE)}
    for topic, found in read.items():
        is_without_gap(stage, topic, found, 1)
        is_in_order(topic, found)
        is_told(topic, found, messages)
    of_kind = lambda found: {number for number, one in found.items() if one["kind"] in ("verdict", "bind", "reply")}
    check("search finds the same messages, binds and replies", sorted(of_kind(messages) ^ of_kind(read[TOPIC].rows)), [])
    is_private(read[TOPIC], read[WHOLE], messages)
    refused = [row for row in read[TOPIC].rows.values() if row.get("rule") == "source.forged"]
    check("who was refused, and why", collections.Counter((row["provider"], row["source"], row["status"], row["became"]) for row in refused),
          {(SHOPS["shop2"][0], FORGED, "ESME_RINVSRCADR", "refused"): 10})

    check("messages are answered while the broker holds still", stage.fall_behind(), {"ESME_ROK": BURST})
    place = stage.place()
    stage.broker.end(signal.SIGKILL)
    check("and when it is dead", stage.send("shop2", BURST), {"ESME_ROK": BURST})
    within("the lag grows", lambda: stage.figure("lag_records") > 2 * BEHIND)
    check("the mirror's place stays", stage.place(), place)
    stage.broker = Broker(folder, stage.broker.address)
    stage.broker.make(TOPIC, WHOLE)
    messages = stage.catch_up()
    after = Read(stage, TOPIC)
    is_without_gap(stage, "a broker that came back with nothing", after, place)
    is_in_order("a broker that came back with nothing", after)
    is_told("a broker that came back with nothing", after, messages)

    stage.fall_behind()
    stage.proxy.end(signal.SIGKILL)
    place = stage.place()
    stage.broker.process.send_signal(signal.SIGCONT)
    stage.begin()
    check("a proxy that was killed goes on", stage.send("shop1", BURST), {"ESME_ROK": BURST})
    messages = stage.catch_up()
    after = Read(stage, TOPIC)
    is_without_gap(stage, "a proxy that was killed", after, place)
    is_in_order("a proxy that was killed", after)
    is_told("a proxy that was killed", after, messages)
    mine, delivered = sum(place <= number < after.through for number in after.rows), stage.figure("rows_total")
    check("it begins at its place, not before", mine <= delivered <= mine + stage.place() - after.through, True)
    check("no record was skipped", [stage.figure("skipped_records_total", mirror) for mirror in ("stream", "whole")], [0, 0])
    check("no row was put aside", [stage.figure("rejected_rows_total", mirror) for mirror in ("stream", "whole")], [0, 0])
    stage.proxy.end(signal.SIGTERM)
    check("the proxy ends well", stage.proxy.process.returncode, 0)


if __name__ == "__main__":
    tell(__doc__, play, "no record is missing")
