"""A proxy between taps and ESMEs: its files, its rules, how it starts and ends."""

import http.client
import json
import os
import re
import signal
import subprocess
import time

from run import Cannot, Process, consentry_port, smsc_port
from wire import COUNTED, PEOPLE, ROOT, Tap

LISTENERS = ("gsm7", "gbk", "latin1", "ascii", "packed")


REGISTRY = """\
[[provider]]
{provider}
name       = "示例商城有限公司"
system_ids = ["shop1", "shop2"]
licence    = { number = "B2-20260001", valid_until = 2099-12-31 }
identity   = "verified"
code = [
    { number = "106900005678", digits_max = 20, purpose = "commercial", signatures = ["示例商城"] },
    { number = "106900001111", digits_max = 20, purpose = "service", templates = ["templates.txt"] },
    { number = "106900002222", digits_max = 20, purpose = "service" },
    { number = "106900008888", digits_max = 20, purpose = "mixed" },
    { number = "106990001111", digits_max = 20, purpose = "public" },
    { number = "106990002222", digits_max = 20, purpose = "public", filing = { number = "1", valid_until = 2099-12-31 } },
]

[[provider]]
name       = "示例银行股份有限公司"
system_ids = ["bank"]
licence    = { number = "B2-20260002", valid_until = 2099-12-31 }
identity   = "verified"
code       = [{ number = "95588", digits_max = 20, purpose = "service" }]
"""
CONSENTS = f"""\
number,entity,event,proof_sha256,review
{PEOPLE["granted"]},示例商城有限公司,granted,{"11" * 32},reviewed
{PEOPLE["revoked"]},示例商城有限公司,revoked,,
""" + "".join(f'{number},示例商城有限公司,granted,{"11" * 32},reviewed\n' for number in COUNTED)


def config_of(directory, taps, listeners, more, durability="written"):
    smsc = ", ".join(f'"127.0.0.1:{tap.port}"' for tap in taps)
    listen = "".join(f'[[listen]]\naddress = "127.0.0.1:0"\nsmsc = [{smsc}]\n{line}\n' for line in listeners)
    config = directory / "consentry.toml"
    config.write_text(f"""\
{listen}
[registry]
file = "{directory}/registry.toml"

[audit]
path = "{directory}/audit"
durability = "{durability}"

[admin]
address = "127.0.0.1:0"
{more}
""", encoding="utf-8")
    return config


def admin_port(text):
    """The port of the admin listener, of the log line that names it."""
    found = re.search(r"admin.*127\.0\.0\.1:(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", text))
    return int(found[1]) if found else None


def start(argv, config, count, environment=None):
    """The proxy, and the ports of its listeners in their order, behind them that of admin."""
    proxy = Process("consentry", [*argv, "run", "-c", str(config)], config.parent / "consentry.out", environment)
    try:
        deadline = time.monotonic() + 10
        while True:
            ports = [port for line in proxy.text().splitlines() if (port := consentry_port(line))]
            admin = admin_port(proxy.text())
            if len(ports) >= count and admin:
                return proxy, ports, admin
            if time.monotonic() > deadline or proxy.process.poll() is not None:
                raise Cannot(f"consentry does not listen:\n{proxy.tail()}")
            time.sleep(0.02)
    except Cannot:
        proxy.stop()
        raise


class Disk:
    """What the proxy believes of the disk, once it was started with `environment`: see disk.c."""

    def __init__(self, directory):
        self.directory = directory / "disk"
        self.directory.mkdir()
        library = directory / "disk.so"
        built = subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library),
                                str(ROOT / "tests/interop/disk.c"), "-ldl"], capture_output=True, text=True, timeout=60)
        if built.returncode:
            raise Cannot(f"tests/interop/disk.c does not compile: {built.stderr}")
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "DISK": str(self.directory)}

    def full(self, folder):
        """Nothing can be written to that folder any more."""
        (self.directory / f"full-{folder}").touch()

    def has_room(self, folder):
        """It can be again."""
        (self.directory / f"full-{folder}").unlink()

    def slow(self, folder):
        """Synchronising what is in that folder takes a second."""
        (self.directory / f"slow-{folder}").touch()


def off_rules():
    """Every rule that is off where the fixtures are judged: all that tests/fixtures/play.rs does not name, but for those that
    are always in force."""
    played = (ROOT / "tests/fixtures/play.rs").read_text(encoding="utf-8")
    on = set(re.findall(r"Rule::(\w+),", played[(at := played.index("const ON")):played.index("];", at)]))
    rules = (ROOT / "src/policy/rule.rs").read_text(encoding="utf-8")
    names = dict(re.findall(r'Self::(\w+) => "([a-z]+\.[a-z]+)"', rules))
    if not on or not on <= set(names):
        raise Cannot("the rules' names cannot be read from src/policy/rule.rs and tests/fixtures/play.rs")
    may = rules[(at := rules.index("fn may_be_observed")):rules.index("}\n", at)]
    off = [name for rule, name in names.items() if rule not in on and f"Self::{rule}\n" not in may]
    return "[rules.override]\n" + "".join(f'"{name}" = {{ mode = "off" }}\n' for name in off)


class Smsc(Process):
    """One of the foreign SMSCs, with the log of what it read."""

    def __init__(self, name, argv, directory):
        self.log = directory / "smsc.ndjson"
        self.log.touch()
        super().__init__(name, [*argv, "0", str(self.log)], directory / "smsc.out")
        self.port = self.wait_for_line(smsc_port)

    def read(self):
        """What it has read, decoded by itself."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def stop(self, number=signal.SIGTERM):
        return super().stop(number) if self.process.poll() is None else self.process.returncode


class Stage:
    """A proxy of its own with a tap behind it, in a folder of its own."""

    def __init__(self, directory, consentry, smsc):
        directory.mkdir()
        self.directory, self.consentry, self.smsc, self.tap = directory, consentry, smsc, Tap(smsc.port)
        # Taken by who finds the first one closed.
        self.second = Tap(smsc.port)
        self.proxy, self.ports, self.admin, self.disk = None, [], None, None

    def fixtures(self):
        """As the fixtures are judged; shop1 connects from here."""
        registry = (ROOT / "proto-fixtures/policy/registry.toml").read_text(encoding="utf-8")
        (self.directory / "registry.toml").write_text(registry.replace("203.0.113.0/24", "127.0.0.0/8"), encoding="utf-8")
        config = config_of(self.directory, [self.tap], [""], off_rules())
        self.proxy, self.ports, self.admin = start([self.consentry], config, 1)
        return self

    def cases(self, more="", provider="", durability="written", disk=False, listen=""):
        """As the cases of traps.toml are judged: by all rules, before a ledger that knows a few people. `more` is of the
        configuration, `listen` of each listener, `provider` of the provider in the registry."""
        for name, text in (("registry.toml", REGISTRY.replace("{provider}\n", provider and provider + "\n")),
                           ("templates.txt", "您的验证码是{digits:4-8}，五分钟内有效。\n"),
                           ("list.txt", "# version 1\n代开发票\nviagra\n蓝色钢笔\n"), ("consents.csv", CONSENTS)):
            (self.directory / name).write_text(text, encoding="utf-8")
        more += f'\n[consent]\npath = "{self.directory}/consent"\n[content]\nprohibited = ["{self.directory}/list.txt"]\n'
        listeners = [f'default_alphabet = "{alphabet}"' for alphabet in LISTENERS[:4]] + ['packing = "packed"']
        listeners = [f"{line}\n{listen}" for line in listeners]
        config = config_of(self.directory, [self.tap, self.second], listeners, more, durability)
        self.run("consent", "import", "-c", str(config), str(self.directory / "consents.csv"))
        self.disk = Disk(self.directory) if disk else None
        environment = self.disk.environment if disk else None
        self.proxy, self.ports, self.admin = start([self.consentry], config, len(LISTENERS), environment)
        return self

    def run(self, *arguments):
        """What a command of the program prints."""
        done = subprocess.run([self.consentry, *arguments], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise Cannot(f"{' '.join(arguments[:2])} failed: {done.stderr}")
        return done.stdout

    def readiness(self):
        """Status and text of /readyz."""
        admin = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        admin.request("GET", "/readyz")
        response = admin.getresponse()
        return response.status, response.read().decode()

    def stop(self):
        """What is wrong with how it ended, or None."""
        self.tap.close()
        self.second.close()
        if self.proxy and self.proxy.process.poll() is None and self.proxy.stop() != 0:
            return "it does not stop with exit status 0"
        return None
