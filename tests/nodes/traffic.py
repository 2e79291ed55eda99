"""Real traffic: people who say yes and stop, advertisements to them through all nodes at once, service messages beside them,
`consentry load`, and foreign ESMEs through the front."""

import asyncio
import concurrent.futures
import datetime
import hashlib
import json
import pathlib
import random
import subprocess
import threading

import pdu
from ground import ROOT, Process, now
from stage import COMMERCIAL, NODES, SERVICE, SHOP

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = ROOT / "target/interop/venv/bin/python"
ADVERTISEMENT = "【示例商城】全场五折，今日下单立减，回T退订。"
NOTICE = "您的包裹已到，取件码{:04}。"
PEOPLE = 16
# Seconds between two messages: to one person through one node; of service through one node.
ADVERTISE_EVERY, SERVE_EVERY = 0.7, 0.1
LOAD_RATE = 50


class Traffic:
    """Plays until it is told to end. `random` decides what is told through which node, and when."""

    def __init__(self, stage, seed):
        self.stage, self.random, self.ends, self.tasks = stage, random.Random(seed), False, []
        self.attempts, self.people, self.load, self.foreign = [], [], None, []
        self.esmes = {name: stage.esme("shop", name) for name in NODES}
        self.threads = concurrent.futures.ThreadPoolExecutor(40)

    def number(self):
        """Somebody's number: no two alike, no sequence."""
        while (found := f"86139{self.random.randrange(10**8):08}") in self.people:
            pass
        self.people.append(found)
        return found

    def start(self):
        for _ in range(PEOPLE):
            self.stage.wire(self.begin, self.life(self.number()))
        for name in NODES:
            self.stage.wire(self.begin, self.serve(name))
            self.stage.wire(self.begin, self.advertise(name))
        self.start_load()
        self.start_foreign()

    def begin(self, coroutine):
        self.tasks.append(asyncio.ensure_future(coroutine))

    # People.

    async def tell(self, number, kind, node):
        """Tells a node's API that somebody consented or refused. Whether that was acknowledged."""
        event, attempt = self.event(number, kind, node)
        acked, _ = await asyncio.get_running_loop().run_in_executor(self.threads, self.stage.node(node).told, event)
        attempt["acked"] = now() if acked else None
        return acked

    def event(self, number, kind, node):
        """What is told, with a name of its own, and the attempt, which is on the list now."""
        event = {"number": number, "entity": SHOP, "event": kind}
        if kind == "granted":
            name = hashlib.sha256(f"{number} {len(self.attempts)} {self.random.random()}".encode()).hexdigest()
            event |= {"proof": "web", "proof_sha256": name, "review": "reviewed"}
        else:
            stamp = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(microseconds=self.random.randrange(1000))
            # The ledger writes times without zeros at their end.
            name = stamp.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"
            event |= {"cause": "operator", "time": name}
        attempt = {"number": number, "kind": kind, "how": "api", "node": node, "id": name, "began": now(), "acked": None}
        self.attempts.append(attempt)
        return event, attempt

    async def reply(self, number, node):
        """Somebody answers TD, and the SMSC sends it through that node. Whether it was acknowledged."""
        attempt = {"number": number, "kind": "revoked", "how": "reply", "node": node, "id": None, "began": now(), "acked": None}
        if (node, "shop") not in self.stage.smsc.sessions:
            await asyncio.sleep(0.1)
            return False
        self.attempts.append(attempt)
        attempt["acked"] = await self.stage.smsc.reply(node, "shop", number, COMMERCIAL, "TD")
        return attempt["acked"] is not None

    async def life(self, number):
        """Yes, a while of advertisements, stop, a while of silence, and again."""
        while not self.ends:
            while not await self.tell(number, "granted", self.random.choice(NODES)):
                await asyncio.sleep(0.3)
                if self.ends:
                    return
            await asyncio.sleep(self.random.uniform(1, 4))
            stop = self.reply if self.random.random() < 0.6 else lambda number, node: self.tell(number, "revoked", node)
            while not await stop(number, self.random.choice(NODES)):
                await asyncio.sleep(0.1)
            await asyncio.sleep(self.random.uniform(1, 4))

    # Messages.

    async def advertise(self, name):
        while not self.ends:
            for number in list(self.people):
                self.submit(name, "commercial", COMMERCIAL, number, ADVERTISEMENT)
                await asyncio.sleep(ADVERTISE_EVERY / len(self.people))

    async def serve(self, name):
        count = 0
        while not self.ends:
            count += 1
            self.submit(name, "service", SERVICE["shop"], f"86137{random.randrange(10**8):08}", NOTICE.format(count % 10000))
            await asyncio.sleep(SERVE_EVERY)

    def submit(self, name, *message):
        asyncio.ensure_future(self.esmes[name].submit(*message))

    # Others' programs.

    def start_load(self):
        """`consentry load`, again and again: it ends where its session does, as when a node is killed."""
        def again():
            at = 8613800000000
            while not self.ends:
                argv = [self.stage.consentry, "load", "--to", f"127.0.0.1:{self.stage.front}", "--system-id", "load", "--source", SERVICE["load"],
                        "--text", "您的包裹已到，取件码####。", "--sessions", "6", "--rate", str(LOAD_RATE), "--duration", "4s", "--warmup", "0s",
                        "--dest-base", str(at), "--json"]
                subprocess.run([str(one) for one in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
                at += 1_000_000
        self.load = threading.Thread(target=again, daemon=True)
        self.load.start()

    def start_foreign(self):
        for name, argv in (("smpplib", [PYTHON, "-B", HERE / "esme_smpplib.py"]), ("nodesmpp", ["node", HERE / "esme_node.js"])):
            trips = self.stage.folder / f"{name}.ndjson"
            argv = [*argv, str(self.stage.front), name, SERVICE[name], trips]
            self.foreign.append((Process(name, argv, self.stage.folder / f"{name}.out", unprivileged=False), trips))
            self.stage.more.append(self.foreign[-1][0])

    def foreign_trips(self):
        """What the foreign ESMEs wrote of their messages."""
        lines = [line for _, trips in self.foreign for line in trips.read_text(encoding="utf-8").splitlines()]
        return [json.loads(line) for line in lines]

    # The end.

    def finish(self):
        """Nobody says anything new; everything that waits for an answer has it."""
        self.ends = True

        async def all_of_them():
            await asyncio.gather(*self.tasks)
        self.stage.run(all_of_them(), 90)
        if self.load:
            self.load.join(60)
        for process, _ in self.foreign:
            process.stop()

    def probe(self, seconds=20.0):
        """How each node answers for each pair now: the first answer that is no ESME_RMSGQFUL."""
        async def ask(name, number):
            until = now() + seconds
            while True:
                trip = await self.esmes[name].submit("commercial", COMMERCIAL, number, ADVERTISEMENT)
                status = trip and trip["status"]
                if status not in (None, pdu.RMSGQFUL) or now() > until:
                    return {"number": number, "node": name, "status": status}
                await asyncio.sleep(0.1)

        async def ask_all():
            return await asyncio.gather(*(ask(name, number) for name in NODES for number in self.people))
        return self.stage.run(ask_all(), seconds + 30)
