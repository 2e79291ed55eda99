"""Three nodes before one SMSC and one engine, HAProxy in front, a forwarder on every way to the engine."""

import asyncio
import concurrent.futures
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import threading

from engine import DATABASE, USER, Engine
from forward import Forwarder
from ground import ROOT, Cannot, Process, call, folder, free_port, give, listens, now, wait
from peers import Esme, Smsc

NODES = ("proxy-1", "proxy-2", "proxy-3")
HAPROXY_CONFIG = ROOT / "deploy/three-nodes/haproxy.cfg"
# From where HAProxy connects: not from where the ESMEs do.
BALANCER = "127.0.0.2"
STALENESS_SECONDS = 2
SHOP, COMMERCIAL = "示例商城有限公司", "106900005678"
SERVICE = {"shop": "106900001111", "load": "106900002222", "smpplib": "106900003333", "nodesmpp": "106900004444"}

REGISTRY = f"""\
[[provider]]
name       = "{SHOP}"
system_ids = ["shop"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"
from       = ["127.0.0.1"]
code = [
    {{ number = "{COMMERCIAL}", digits_max = 20, purpose = "commercial", signatures = ["示例商城"] }},
    {{ number = "{SERVICE["shop"]}", digits_max = 20, purpose = "service" }},
]
""" + "".join(f"""
[[provider]]
name       = "测试{number}有限公司"
system_ids = ["{name}"]
licence    = {{ number = "B2-{number}", valid_until = 2099-12-31 }}
identity   = "verified"
from       = ["127.0.0.1"]
code       = [{{ number = "{SERVICE[name]}", digits_max = 20, purpose = "service" }}]
""" for number, name in enumerate(("load", "smpplib", "nodesmpp"), 20260002))


class Node:
    """One proxy: its files, its way to each server of the engine, its process."""

    def __init__(self, stage, name, skew):
        self.stage, self.name, self.skew = stage, name, skew
        self.folder, self.port, self.admin = folder(stage.folder / name), free_port(), free_port()
        self.ways = [stage.forward(server.port) for server in stage.engine.servers]
        self.process, self.config = None, self.folder / "consentry.toml"
        self.write()

    def url(self):
        hosts = ",".join(f"127.0.0.1:{way.port}" for way in self.ways)
        return f"postgres://{USER}@{hosts}/{DATABASE}?target_session_attrs=read-write&sslmode=disable"

    def write(self):
        (self.folder / "registry.toml").write_text(REGISTRY, encoding="utf-8")
        consent = (f'[cluster]\nnode = "{self.name}"\nnodes = {len(NODES)}\n[consent]\nurl = "{self.url()}"\noutbox = "outbox"\n'
                   f'staleness = "{STALENESS_SECONDS}s"\ncache = "8MiB"\n')
        self.config.write_text(f"""\
[[listen]]
address = "127.0.0.1:{self.port}"
smsc    = ["127.0.0.1:{self.stage.smsc.ports[self.name]}"]
proxy_protocol = ["{BALANCER}"]
[registry]
file = "registry.toml"
[audit]
path = "audit"
durability = "synced"
[timeouts]
drain = "5s"
[admin]
address = "127.0.0.1:{self.admin}"
{consent}{self.mirror()}""", encoding="utf-8")

    def mirror(self):
        """The records of all nodes in one table of the engine, where the stage wants that."""
        return f'[[mirror]]\nname = "all"\nkind = "postgres"\nurl = "{self.url()}"\n' if self.stage.mirrored else ""

    def start(self):
        environment = {"NODES_SKEW": str(self.skew), "LD_PRELOAD": str(self.stage.shim)} if self.skew else {}
        self.process = Process(self.name, [self.stage.consentry, "run", "-c", self.config], self.folder / "consentry.out", environment)

    def is_ready(self):
        if not self.process.lives():
            raise Cannot(f"{self.name} has ended:\n{self.process.tail()}")
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def up(self):
        self.start()
        wait(f"{self.name} is ready, {self.process.output}", self.is_ready)

    def kill(self):
        self.process.process.kill()
        self.process.process.wait()

    def ask(self, method, path, body=None, seconds=10):
        """Status and text."""
        admin = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=seconds)
        try:
            admin.request(method, path, body)
            response = admin.getresponse()
            return response.status, response.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from None
        finally:
            admin.close()

    def told(self, event):
        """Tells the API an event. Whether it was acknowledged, and what was answered."""
        try:
            status, answer = self.ask("POST", "/api/v1/consents", json.dumps(event))
        except OSError as error:
            return False, str(error)
        return status == 200 and not json.loads(answer).get("refused"), f"{status} {answer.strip()}"

    def history(self, number):
        """What the engine holds of a pair, in its order."""
        status, answer = self.ask("POST", "/api/v1/consents/history", json.dumps({"number": number, "entity": SHOP}))
        if status != 200:
            raise Cannot(f"{self.name} tells no history: {status} {answer}")
        return [json.loads(line) for line in answer.splitlines()]

    def metric(self, name):
        """The sum of a metric's values, or None."""
        status, text = self.ask("GET", "/metrics")
        found = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(found) if status == 200 and found else None

    def network(self, state, delay=0.0):
        """How this node's ways to the engine are from here on; it is so when this returns."""
        for way in self.ways:
            self.stage.wire(way.set, state, delay)

    def command(self, *arguments, status=0):
        return call(self.stage.consentry, *arguments, "-c", self.config, cwd=self.folder, status=status)

    def journal(self):
        """Its records of messages, once it has ended."""
        lines = self.command("audit", "search", "--json", "--unmask", "--unrecorded", "--limit", "10000000").splitlines()
        return [one for one in map(json.loads, lines) if one["kind"] == "verdict"]


class Stage:
    """All of it, in a new folder. `skews`: seconds by which each node's clock is wrong. `mirrored`: the
    records of all nodes go to the engine too."""

    def __init__(self, root, consentry, skews=(0, 0, 0), mirrored=False):
        self.mirrored = mirrored
        self.folder, self.nodes, self.engine, self.balancer, self.more = root, [], None, None, []
        self.is_stopped = False
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        give(root)
        # The unprivileged user may not be able to reach the program where it is.
        self.consentry = root / "consentry"
        self.consentry.write_bytes(pathlib.Path(consentry).read_bytes())
        self.consentry.chmod(0o755)
        self.shim = root / "shim.so"
        self.build()
        self.trips, self.esmes = [], []
        try:
            self.smsc = self.run(Smsc(NODES).start())
            self.engine = Engine(root, {"LD_PRELOAD": str(self.shim)}, self.forward)
            self.nodes = [Node(self, name, skew) for name, skew in zip(NODES, skews)]
            self.nodes[0].command("consent", "migrate")
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                wait(f"{node.name} is ready, {node.process.output}", node.is_ready)
            self.balance()
        except BaseException:
            self.stop()
            raise

    def build(self):
        built = subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", self.shim, ROOT / "tests/nodes/shim.c", "-ldl"],
                               capture_output=True, text=True, timeout=60)
        if built.returncode:
            raise Cannot(f"tests/nodes/shim.c does not compile: {built.stderr}")
        self.shim.chmod(0o755)

    def node(self, name):
        return next(node for node in self.nodes if node.name == name)

    # The event loop, seen from the thread that plays.

    def run(self, coroutine, seconds=60):
        """The result of a coroutine."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise Cannot(f"not done within {seconds} s") from None

    def wire(self, function, *arguments):
        """Calls a function in the loop, and waits for it."""
        async def called():
            return function(*arguments)
        return self.run(called())

    def forward(self, port):
        return self.run(Forwarder(port).start())

    def esme(self, system_id, node):
        """An ESME that reaches one node, or whichever the front chooses, through HAProxy."""
        port = self.ways[node] if node else self.front
        esme = self.wire(lambda: Esme(port, system_id, node, self.trips))
        self.esmes.append(esme)
        return esme

    # HAProxy, with the file that is deployed and a front more for each node.

    def balance(self):
        self.front, self.ways = free_port(), {node.name: free_port() for node in self.nodes}
        self.socket = self.folder / "haproxy.sock"
        ways = "".join(f"""
listen {node.name}
    bind 127.0.0.1:{self.ways[node.name]}
    source {BALANCER}
    server only 127.0.0.1:{node.port} send-proxy-v2
""" for node in self.nodes)
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
        more = self.folder / "ways.cfg"
        more.write_text(ways)
        environment = {"SMPP_BIND": f"127.0.0.1:{self.front}", "HAPROXY_ADMIN": str(self.socket), "HAPROXY_SOURCE": BALANCER,
                       "HAPROXY_HEALTH": f"127.0.0.1:{free_port()}"}
        for at, node in enumerate(self.nodes, 1):
            environment |= {f"PROXY_{at}": f"127.0.0.1:{node.port}", f"PROXY_{at}_ADMIN": str(node.admin)}
        self.balancer = Process("HAProxy", ["/usr/sbin/haproxy", "-db", "-f", config, "-f", more], self.folder / "haproxy.out", environment)
        wait(f"HAProxy listens, {self.balancer.output}", lambda: all(map(listens, (self.front, *self.ways.values()))))
        wait("HAProxy finds three nodes up", lambda: all(self.state(node.name).startswith("UP") for node in self.nodes))

    def haproxy(self, command):
        """What HAProxy answers an operator."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(5)
            asked.connect(str(self.socket))
            asked.sendall(command.encode() + b"\n")
            answer = b""
            while octets := asked.recv(65536):
                answer += octets
        return answer.decode()

    def state(self, name):
        """How HAProxy finds a node: UP, DOWN, DRAIN, ..."""
        lines = self.haproxy("show stat").lstrip("# ").splitlines()
        names = lines[0].split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return next(row["status"] for row in rows if (row["pxname"], row["svname"]) == ("nodes", name))

    def end_nodes(self):
        """ESMEs unbind, nodes end. Which ended with another exit status than 0."""
        wrong = []
        self.run(self.leave())
        for process in self.more:
            process.stop()
        for node in self.nodes:
            if node.process and node.process.lives():
                node.network("open")
                if (status := node.process.stop()) != 0:
                    wrong.append(f"{node.name} ended with {status}")
        return wrong

    def stop(self):
        """Ends everything. What ended with another exit status than 0."""
        if self.is_stopped:
            return []
        self.is_stopped = True
        wrong = self.end_nodes()
        if self.balancer:
            self.balancer.stop(signal.SIGKILL)
        if self.engine:
            self.engine.stop()
        self.run(self.end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        return wrong

    async def leave(self):
        await asyncio.gather(*(esme.close() for esme in self.esmes if not esme.ends))

    async def end(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=2) if others else None
