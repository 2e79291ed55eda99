"""What is broken: each fault begins, stays for a while, and is mended. It says what it did, and from when to when."""

import concurrent.futures
import random
import signal
import time

from ground import call, now, wait
from stage import NODES


class Faults:
    """Faults of one round, chosen by `seed`. `outages` and `downs` are as the checker reads them."""

    def __init__(self, stage, traffic, seed, say):
        self.stage, self.traffic, self.random, self.say = stage, traffic, random.Random(seed), say
        self.outages, self.downs = [], []

    def all(self):
        """Every fault once, in an order of the seed's."""
        faults = [self.proxy_killed, self.primary_killed, self.standby_killed, self.node_cut_off, self.engine_paused, self.engine_slow,
                  self.disk_full, self.both_at_once, self.standby_cut_off]
        self.random.shuffle(faults)
        return faults

    def node(self):
        return self.stage.node(self.random.choice(NODES))

    def stay(self, least=3.0, most=5.0):
        time.sleep(self.random.uniform(least, most))

    def outage(self, node, reads, since):
        """The engine could be reached again from this moment on: call it before anything is mended."""
        self.outages.append({"node": node, "reads": reads, "from": since, "to": now()})

    def proxy_killed(self):
        node, since = self.node(), now()
        self.say(f"kill -9 of {node.name}")
        node.kill()
        self.stay(1, 2)
        node.up()
        self.downs.append({"node": node.name, "from": since, "to": now()})

    def primary_killed(self):
        engine = self.stage.engine
        # What begins before the server is gone may still be answered: reads end when it has, writes may be lost from here on.
        self.say(f"kill -9 of the primary, {engine.primary.name}; the standby is promoted after a while")
        began = now()
        engine.primary.kill()
        since = now()
        self.stay()
        self.outage(None, False, since)
        engine.promote()
        self.say(f"{engine.primary.name} is primary; {engine.standby.name} is made anew as its standby")
        engine.join()
        self.outages.append({"node": None, "reads": True, "from": began, "to": now()})

    def standby_killed(self):
        engine, since = self.stage.engine, now()
        self.say(f"kill -9 of the standby, {engine.standby.name}: nothing is confirmed until it is back")
        engine.standby.kill()
        self.stay()
        engine.standby.up()
        wait("the standby is synchronous again", engine.is_synchronous)
        self.outage(None, True, since)

    def standby_cut_off(self):
        engine, since = self.stage.engine, now()
        way = engine.ways[engine.primary.name]
        state = self.random.choice(("paused", "cut"))
        self.say(f"the network between primary and standby is {state}")
        self.stage.wire(way.set, state)
        self.stay()
        self.stage.wire(way.set, "open")
        wait("the standby is synchronous again", engine.is_synchronous)
        self.outage(None, True, since)

    def node_cut_off(self):
        node, state = self.node(), self.random.choice(("paused", "cut"))
        self.say(f"the network between {node.name} and the engine is {state}")
        node.network(state)
        since = now()
        self.stay(4, 6)
        self.outage(node.name, False, since)
        node.network("open")

    def engine_paused(self):
        primary = self.stage.engine.primary
        self.say("the engine stands still: SIGSTOP")
        first = primary.process.process.pid
        self.stop_or_go("-STOP", first)
        since = now()
        self.stay()
        self.outage(None, False, since)
        self.stop_or_go("-CONT", first)
        wait("the standby is synchronous again", self.stage.engine.is_synchronous)
        # What was told before and after may wait for this one.
        self.outages.append({"node": None, "reads": True, "from": since, "to": now()})

    def stop_or_go(self, how, first):
        call("kill", how, first)
        # The postmaster stands: no child is born. Another than its own may have ended.
        call("sh", "-c", f"kill {how} $(ps -o pid= --ppid {first})", status=None)

    def engine_slow(self):
        delay = self.random.uniform(0.02, 0.1)
        self.say(f"the engine is slow: {delay * 1000:.0f} ms more each way")
        since = now()
        for node in self.stage.nodes:
            node.network("open", delay)
        self.stay(4, 5)
        for node in self.stage.nodes:
            node.network("open")
        self.outage(None, True, since)

    def disk_full(self):
        engine, since = self.stage.engine, now()
        self.say("the primary's disk is full")
        engine.fill()
        self.stay()
        engine.make_room()
        wait("the standby is synchronous again", engine.is_synchronous)
        self.outage(None, True, since)

    def both_at_once(self):
        """Two nodes are told opposite things of the same people at once."""
        self.say("two nodes revoke and grant the same pairs at once")
        people = [self.traffic.number() for _ in range(6)]
        with concurrent.futures.ThreadPoolExecutor(12) as threads:
            for _ in range(5):
                tellings = []
                for number in people:
                    one, other = self.random.sample(NODES, 2)
                    kinds = [("granted", one), ("revoked", other)]
                    self.random.shuffle(kinds)
                    tellings += [(self.traffic.event(number, kind, name), name) for kind, name in kinds]
                list(threads.map(self.told, tellings))
                time.sleep(0.2)

    def told(self, telling):
        (event, attempt), name = telling
        acked, _ = self.stage.node(name).told(event)
        attempt["acked"] = now() if acked else None
