"""The rolling upgrade of docs/deploy.md, under load: each node is replaced in turn, no bind fails, no message is lost."""

import asyncio
import random
import time

import checker
from ground import Adopted, Cannot, now, running, wait
from stage import NODES, SERVICE

SESSIONS, EVERY = 9, 0.05
NOTICE = "您的包裹已到，取件码{:04}。"
# All sessions of a node leave it, and the front finds it down or up, within this.
STEP_SECONDS_MAX = 40.0


class Upgrade:
    def __init__(self, stage, say):
        self.stage, self.say, self.ends, self.sent = stage, say, False, []
        self.esmes = [stage.esme("shop", None) for _ in range(SESSIONS)]
        for esme in self.esmes:
            wait("the ESMEs are bound", esme.ready.is_set)

    async def serve(self, esme):
        """One message after the other, each until the SMSC has taken it."""
        while not self.ends:
            number = f"86137{random.randrange(10**8):08}"
            tries = await esme.surely("service", SERVICE["shop"], number, NOTICE.format(random.randrange(10**4)))
            self.sent.append((number, tries))
            await asyncio.sleep(EVERY)

    def sessions(self, name):
        return sum(esme.node == name and esme.ready.is_set() for esme in self.esmes)

    def play(self):
        serving = [asyncio.run_coroutine_threadsafe(self.serve(esme), self.stage.loop) for esme in self.esmes]
        time.sleep(1)
        self.say("the schema first: `consentry consent migrate` of the new program; the old ones go on")
        self.stage.nodes[0].command("consent", "migrate")
        self.replaced(self.stage.nodes[0])
        self.handed_over(self.stage.nodes[1])
        self.replaced(self.stage.nodes[2])
        time.sleep(1)
        self.ends = True
        for served in serving:
            served.result(60)
        return self.wrong()

    def replaced(self, node):
        """Drained at the front, ended, started anew: as a pod is."""
        had, since = self.sessions(node.name), now()
        self.stage.haproxy(f"set server nodes/{node.name} state drain")
        if (status := node.process.stop()) != 0:
            raise Cannot(f"{node.name} ended with {status}")
        node.up()
        self.stage.haproxy(f"set server nodes/{node.name} state ready")
        wait(f"HAProxy finds {node.name} up", lambda: self.stage.state(node.name).startswith("UP"), STEP_SECONDS_MAX)
        wait("every ESME has a session", lambda: all(esme.ready.is_set() for esme in self.esmes), STEP_SECONDS_MAX)
        self.say(f"{node.name}: drained at the front, SIGTERM, its {had} sessions went elsewhere, started anew, in {now() - since:.1f} s")

    def handed_over(self, node):
        """In place: the new process takes the sockets over, the old one ends."""
        had, since, old = self.sessions(node.name), now(), node.process
        node.command("hand-over")
        wait(f"the old {node.name} ends", lambda: not old.lives(), STEP_SECONDS_MAX)
        if old.process.returncode != 0:
            raise Cannot(f"{node.name} ended with {old.process.returncode} at its hand-over:\n{old.tail()}")
        node.process = Adopted(node.name, running("run", "-c", str(node.config)), old.output)
        wait(f"{node.name} is ready", node.is_ready, STEP_SECONDS_MAX)
        wait("every ESME has a session", lambda: all(esme.ready.is_set() for esme in self.esmes), STEP_SECONDS_MAX)
        self.say(f"{node.name}: handed over in place, its {had} sessions bound anew, in {now() - since:.1f} s")

    def wrong(self):
        failed = [bind for esme in self.esmes for bind in esme.failed_binds]
        again = sum(tries > 1 for _, tries in self.sent if tries)
        binds = sum(esme.binds for esme in self.esmes)
        refused = [number for number, tries in self.sent if tries is None]
        wrong = self.stage.stop()
        wrong += [f"a bind failed: {why}" for _, why in failed] + ["a message was refused for good" for _ in refused]
        arrived = {message["number"] for message in self.stage.smsc.got}
        wrong += ["a message was lost" for number, _ in self.sent if number not in arrived]
        if binds < SESSIONS + 6 or len(self.sent) < 200:
            wrong.append(f"{binds} binds and {len(self.sent)} messages show nothing")
        run = {"trips": self.stage.trips, "smsc": self.stage.smsc.got, "journals": {node.name: node.journal() for node in self.stage.nodes}}
        wrong += [*checker.forwarded_is_recorded_once(run), *checker.answers_are_true(run)]
        if not wrong:
            self.say(f"{len(self.sent)} messages through {SESSIONS} sessions, all taken by the SMSC and on record once; {again} of them were "
                     f"sent again; {binds} binds, none failed")
        return wrong

