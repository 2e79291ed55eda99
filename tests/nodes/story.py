"""What it is all for, told line by line: three nodes, a refusal that silences all of them, an engine that dies and a standby
that takes over, and service messages that never stop."""

import asyncio
import hashlib
import json
import random
import time

import checker
import pdu
from ground import Cannot, now, wait
from stage import COMMERCIAL, NODES, SERVICE, SHOP, STALENESS_SECONDS

ADVERTISEMENT = "【示例商城】全场五折，今日下单立减，回T退订。"
NOTICE = "您的包裹已到，取件码{:04}。"
SERVE_EVERY = 0.05
# What a handset's answer takes to every node is measured so often.
REPLIES = 20


class Story:
    """Plays and tells. A line that is not as told ends it."""

    def __init__(self, stage, tell):
        self.stage, self.tell, self.ends = stage, tell, False
        self.esmes = {name: stage.esme("shop", name) for name in NODES}
        self.numbers, self.attempts = random.Random(8), []
        for esme in self.esmes.values():
            wait("the ESMEs are bound", esme.ready.is_set)

    # What is done.

    def number(self):
        return f"86139{self.numbers.randrange(10**8):08}"

    def advertise(self, name, number):
        """The status that an advertisement is answered with."""
        trip = self.stage.run(self.esmes[name].submit("commercial", COMMERCIAL, number, ADVERTISEMENT))
        return pdu.NAMES.get(trip and trip["status"])

    def until(self, name, number, status, seconds=20):
        """Seconds until an advertisement is answered so."""
        began = now()
        wait(f"{name} answers {status}", lambda: self.advertise(name, number) == status, seconds, 0.005)
        return now() - began

    def grant(self, name, number):
        proof = hashlib.sha256(number.encode()).hexdigest()
        attempt = {"number": number, "kind": "granted", "how": "api", "node": name, "id": proof, "began": now(), "acked": None}
        self.attempts.append(attempt)
        acked, answer = self.stage.node(name).told({"number": number, "entity": SHOP, "proof": "web", "proof_sha256": proof, "review": "reviewed"})
        attempt["acked"] = now() if acked else None
        return acked, answer

    def stop(self, name, number):
        """Somebody answers TD through that node; seconds until the ESME's answer to it was back at the SMSC."""
        attempt = {"number": number, "kind": "revoked", "how": "reply", "node": name, "id": None, "began": now(), "acked": None}
        self.attempts.append(attempt)
        attempt["acked"] = self.stage.run(self.stage.smsc.reply(name, "shop", number, COMMERCIAL, "TD"))
        if attempt["acked"] is None:
            raise Cannot(f"a reply through {name} was not acknowledged")
        return attempt["acked"] - attempt["began"]

    def expect(self, what, holds, detail=""):
        if not holds:
            raise Cannot(f"{what}: it is not so{': ' if detail else ''}{detail}")
        self.tell(f"    {what}")

    async def serve(self, name):
        count = 0
        while not self.ends:
            count += 1
            asyncio.ensure_future(self.esmes[name].submit("service", SERVICE["shop"], f"86137{random.randrange(10**8):08}", NOTICE.format(count % 10**4)))
            await asyncio.sleep(SERVE_EVERY)

    def services(self, since=0.0):
        return [trip for trip in self.stage.trips if trip["kind"] == "service" and trip["sent"] >= since and trip["answered"]]

    def all_served(self, since):
        """That no service message since then was refused, and how many there were."""
        served = self.services(since)
        through = {name: sum(trip["node"] == name for trip in served) for name in NODES}
        refused = [trip for trip in served if trip["status"] != pdu.ROK]
        self.expect(f"service messages meanwhile: {', '.join(f'{count} through {name}' for name, count in through.items())}; none refused",
                    not refused and all(through.values()), f"{len(refused)} refused, {through}")

    # What is told.

    def play(self):
        serving = [asyncio.run_coroutine_threadsafe(self.serve(name), self.stage.loop) for name in NODES]
        one, two, three = NODES
        engine = self.stage.engine
        self.tell(f"Three nodes, one truth. PostgreSQL {engine.primary.name} is primary and {engine.standby.name} its synchronous standby;")
        self.tell(f"HAProxy before {one}, {two} and {three}; one SMSC behind. Files: {self.stage.folder}")
        began = now()
        person = self.grants(one, two)
        self.stops(person, one, two, three)
        self.measures()
        self.loses_the_engine(engine, two)
        self.tell("Service messages")
        self.all_served(began)
        self.ends = True
        for served in serving:
            served.result(10)
        self.verifies()

    def grants(self, one, two):
        person = self.number()
        self.tell(f"A person consents; {one} is told")
        self.expect(f"before it, {two} refuses an advertisement: ESME_RSUBMITFAIL", self.advertise(two, person) == "ESME_RSUBMITFAIL")
        acked, answer = self.grant(one, person)
        self.expect(f"{one} takes the grant", acked, answer)
        seconds = self.until(two, person, "ESME_ROK")
        self.expect(f"{two} lets the advertisement pass {seconds * 1000:.0f} ms later", True)
        return person

    def stops(self, person, one, two, three):
        self.tell(f"The person answers TD, and the SMSC sends it through {three}")
        taken = self.stop(three, person)
        self.expect(f"{three} has it on its disk and leads it on: {taken * 1000:.0f} ms", True)
        self.expect(f"{three} refuses the next advertisement", self.advertise(three, person) == "ESME_RSUBMITFAIL")
        for name in (one, two):
            seconds = self.until(name, person, "ESME_RSUBMITFAIL", STALENESS_SECONDS)
            self.expect(f"{name} is silent {seconds * 1000:.0f} ms later", True)

    def measures(self):
        """How soon the others are silent, asked of both at once, again and again."""
        taken = []
        for at in range(REPLIES):
            person, node = self.number(), NODES[at % 3]
            others = [name for name in NODES if name != node]
            acked, answer = self.grant(node, person)
            if not acked:
                raise Cannot(f"{node} does not take a grant: {answer}")
            for name in others:
                self.until(name, person, "ESME_ROK")
            self.stop(node, person)
            began = now()
            for name in others:
                self.until(name, person, "ESME_RSUBMITFAIL", STALENESS_SECONDS)
            taken.append(now() - began)
        taken.sort()
        self.tell(f"{REPLIES} more, through each node in turn")
        self.expect(f"from the reply's acknowledgement to both other nodes' silence: median {taken[REPLIES // 2] * 1000:.0f} ms, "
                    f"at most {taken[-1] * 1000:.0f} ms", True)

    def loses_the_engine(self, engine, two):
        known, other = self.number(), self.number()
        for person in (known, other):
            self.grant(two, person)
            self.until(two, person, "ESME_ROK")
        self.tell(f"kill -9 of the primary, {engine.primary.name}")
        engine.primary.kill()
        since = now()
        self.expect(f"{two} still knows who consented", self.advertise(two, known) == "ESME_ROK")
        time.sleep(max(0.0, since + STALENESS_SECONDS + 0.1 - now()))
        self.expect(f"after {STALENESS_SECONDS} s it no longer trusts what it knew: ESME_RMSGQFUL", self.advertise(two, known) == "ESME_RMSGQFUL")
        self.stop(two, other)
        self.expect(f"a reply TD through {two} is taken, and kept until there is an engine", True)
        acked, answer = self.grant(two, self.number())
        self.expect("a grant is not: " + answer[:90], not acked)
        self.all_served(since)
        self.tell(f"The standby, {engine.standby.name}, is promoted")
        engine.promote()
        began = now()
        seconds = self.until(two, known, "ESME_ROK", 30)
        self.expect(f"advertisements pass again {seconds:.1f} s later", True)
        wait("the kept reply is in the engine", lambda: [event["happened"] for event in self.stage.nodes[0].history(other)] == ["granted", "revoked"])
        self.expect(f"the kept reply is in the engine {now() - began:.1f} s after the promotion", True)
        for name in NODES:
            self.until(name, other, "ESME_RSUBMITFAIL")
        self.expect("every node is silent towards whoever sent it", True)
        self.tell("A new standby is made of the old primary")
        engine.join()
        self.expect("it is synchronous", True)

    def verifies(self):
        history = {attempt["number"]: self.stage.nodes[0].history(attempt["number"]) for attempt in self.attempts}
        wait("the records of all nodes are in one place", lambda: all(node.metric("consentry_mirror_lag_records") == 0 for node in self.stage.nodes))
        wrong = self.stage.end_nodes()
        self.tell("The records of all nodes, each journal against what its mirror delivered to the engine")
        for node in self.stage.nodes:
            said = json.loads(node.command("audit", "verify", "--mirror", "all", "--json").splitlines()[0])
            same = sum(mirrored["same"] for mirrored in said["mirrored"])
            self.expect(f"{node.name}: {said['records']} records, the chain whole and signed; {same} of them are in the engine, the same", said["whole"] and same > 0)
        wrong += self.stage.stop()
        run = {"staleness": STALENESS_SECONDS, "delivery": 5.0, "patience": 5.0, "attempts": self.attempts, "history": history, "outages": [],
               "downs": [], "probes": [], "trips": self.stage.trips, "smsc": self.stage.smsc.got,
               "journals": {node.name: node.journal() for node in self.stage.nodes}}
        # While the engine was away a reply could not reach the other nodes; they trusted nothing they knew, so the rule holds.
        wrong += [one for rule in checker.RULES for one in rule(run)]
        self.expect(f"all {len(run['smsc'])} messages that the SMSC read are on record once, by the node that they came through, and none "
                    "after a refusal", not wrong, "; ".join(wrong[:5]))
