#!/usr/bin/python3
"""The Debian package and the service, from the build to the purge, on this machine.

tests/package/run.py --consentry target/debug/consentry

Builds the package, installs it under a systemd of its own (booted.py: process 1 of namespaces), holds unit and permissions to what
they promise, runs the commands of docs/install.md, upgrades and hands over under load, lets the watchdog bite, removes and purges,
and looks whether the machine is as it was. Needs root, and a machine where Consentry is not installed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from booted import booted  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UNIT = "/usr/lib/systemd/system/consentry.service"
STATE = pathlib.Path("/var/lib/consentry")
SETTINGS = pathlib.Path("/etc/consentry/consentry.toml")
BEGAN = time.monotonic()
# What must not be there before and after.
OURS = ["/usr/bin/consentry", "/etc/consentry", STATE, UNIT, "/usr/lib/sysusers.d/consentry.conf", "/usr/share/doc/consentry"]
TEXT = "【示例商城】您的包裹已到，取件码####。"
# Seconds for anything that has to come.
PATIENCE = 60
# systemd-analyze security: the worst that may be.
EXPOSURE_MAX = 1.5

# What a program in the service's place tries, and whether it succeeds.
PROBE = """
import ctypes, json, mmap, os, socket
def tried(what):
    try:
        what()
        return True
    except OSError:
        return False
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "denied")
print(json.dumps({
    "write its state": tried(lambda: open("/var/lib/consentry/probe", "w").close() or os.unlink("/var/lib/consentry/probe")),
    "read its settings": tried(lambda: open("/etc/consentry/consentry.toml").close()),
    "write a temporary file": tried(lambda: open("/tmp/probe", "w").close()),
    "open a TCP socket": tried(lambda: socket.socket(socket.AF_INET).close()),
    "open a packet socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
    "open a netlink socket": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()),
    "write its settings": tried(lambda: open("/etc/consentry/consentry.toml", "a").close()),
    "write to /usr": tried(lambda: open("/usr/probe", "w").close()),
    "write to /var/lib": tried(lambda: open("/var/lib/probe", "w").close()),
    "look into /root": tried(lambda: os.listdir("/root")),
    "see a disk": tried(lambda: os.stat("/dev/loop0") or os.stat("/dev/sda")),
    "map memory to write and execute": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "make a user namespace": tried(lambda: call(libc.unshare, 0x10000000)),
    "mount": tried(lambda: call(libc.mount, b"tmpfs", b"/tmp", b"tmpfs", 0, 0)),
    "trace a process": tried(lambda: call(libc.ptrace, 0, 0, 0, 0)),
    "become root": tried(lambda: os.setuid(0)),
    "set the clock": tried(lambda: call(libc.clock_settime, 0, (ctypes.c_long * 2)(1, 0))),
}))
"""
# Commands of docs/install.md that are not run here: nothing is installed that stays, and there is no journald.
NOT_RUN = ("journalctl ", "apt-get ", "curl ", '. "$HOME/.cargo/env"', "editor ", "deploy/debian/build --out target/debian")
MAY = ["write its state", "read its settings", "write a temporary file", "open a TCP socket"]


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    return done.returncode, done.stdout, done.stderr


def good(*command, **options):
    status, out, said = run(*command, **options)
    assert status == 0, f"{command}: exit status {status}\n{out}{said}"
    return out


class Document:
    """docs/install.md, whose commands are run here as they stand there, where a systemd runs."""

    def __init__(self, folder, systemd):
        text = (ROOT / "docs/install.md").read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        self.lines = {line for block in blocks for line in block.splitlines() if not line.startswith(NOT_RUN)}
        self.folder, self.systemd, self.done = folder, systemd, set()

    def run(self, line):
        assert line in self.lines, f"not in docs/install.md: {line}"
        self.done.add(line)
        return self.inside(line)

    def inside(self, line):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        until = time.monotonic() + 5 * PATIENCE
        while True:
            status, out, said = self.systemd.run("bash", "-c", f"cd '{self.folder}' && {line}", env=environment)
            if status == 0:
                return out
            # Another program may hold dpkg's lock for a while.
            assert line.startswith("dpkg ") and "lock" in said and time.monotonic() < until, f"{line}: exit status {status}\n{out}{said}"
            time.sleep(1)

    def offer(self, package):
        """What the document calls the package, in the place that it says."""
        there = self.folder / "target/debian"
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir(parents=True)
        (there / package.name).symlink_to(package)

    def end(self):
        assert self.done == self.lines, f"in docs/install.md, and not run: {sorted(self.lines - self.done)}"
        told(f"docs/install.md: its {len(self.done)} commands were run")


def within(what, found):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError(f"{what}, within {PATIENCE} s")


def told(what):
    print(f"ok    {time.monotonic() - BEGAN:3.0f} s  {what}", flush=True)


def machine():
    """What an installation changes, and a purge has to take back."""
    users = [line for file in ("passwd", "group") for line in sorted(pathlib.Path("/etc", file).read_text().splitlines())]
    return users, [str(path) for path in OURS if os.path.lexists(path)], run("dpkg", "-s", "consentry")[0]


def build(binary, folder, revision):
    out = good(ROOT / "deploy/debian/build", "--binary", binary, "--out", folder, "--revision", str(revision), "--compression", "none")
    return pathlib.Path(out.strip())


def contents(package):
    fields = good("dpkg-deb", "--field", package)
    assert re.search(r"^Depends: libc6 \(>= 2\.\d+\), libgcc-s1, passwd$", fields, re.M), fields
    files = {}
    for line in good("dpkg-deb", "--contents", package).splitlines():
        mode, owner, _, _, _, path = line.split(maxsplit=5)
        files[path.removeprefix(".")] = (mode, owner)
    assert all(owner == "root/root" for _, owner in files.values())
    assert files["/usr/bin/consentry"][0] == "-rwxr-xr-x"
    assert all(files[f"/etc/consentry/{name}.toml"][0] == "-rw-r-----" for name in ("consentry", "registry"))
    writable = [path for path, (mode, _) in files.items() if mode[0] != "l" and "w" in (mode[5], mode[8])]
    assert not writable, writable
    for path in ("man/man1/consentry-run.1.gz", "bash-completion/completions/consentry", "zsh/vendor-completions/_consentry",
                 "fish/vendor_completions.d/consentry.fish", "doc/consentry/copyright", "doc/consentry/changelog.Debian.gz"):
        assert f"/usr/share/{path}" in files, path
    told(f"the package: {len(files)} entries, {package.stat().st_size >> 20} MiB without compression")


def installed():
    user = pwd.getpwnam("consentry")
    assert user.pw_shell.endswith("nologin") and user.pw_uid < 1000, user
    state, settings, folder = STATE.stat(), SETTINGS.stat(), SETTINGS.parent.stat()
    assert (state.st_uid, state.st_mode & 0o7777) == (user.pw_uid, 0o700)
    assert (settings.st_uid, settings.st_gid, settings.st_mode & 0o7777) == (0, user.pw_gid, 0o640)
    assert (folder.st_gid, folder.st_mode & 0o7777) == (user.pw_gid, 0o750)
    good("setpriv", "--reuid", "consentry", "--regid", "consentry", "--clear-groups", "consentry", "check", "-c", SETTINGS)
    assert good("dpkg", "--verify", "consentry") == ""
    assert "consentry-hand-over" in good("man", "-P", "cat", "consentry-hand-over", env={**os.environ, "LC_ALL": "C.UTF-8"})
    told("installed: user, permissions, settings that its user can read, manual pages")


def unit():
    for name in ("consentry.service", "consentry.socket"):
        status, out, said = run("systemd-analyze", "verify", f"/usr/lib/systemd/system/{name}")
        assert (status, out, said) == (0, "", ""), said
    said = good("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for consentry.service: ([\d.]+) OK", said).group(1)
    assert float(exposure) <= EXPOSURE_MAX, said
    document = (ROOT / "docs/install.md").read_text()
    assert f"exposure level is {exposure}" in " ".join(document.split()), f"docs/install.md tells another one than {exposure}"
    told(f"systemd-analyze verify finds nothing, security finds an exposure level of {exposure}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def probe(document):
    """What the service may, tried by another program in its place."""
    place = SETTINGS.with_name("probe.py")
    place.write_text(PROBE)
    place.chmod(0o644)
    unit = pathlib.Path(UNIT).read_text()
    for key, value in (("ExecStart", f"/usr/bin/python3 {place}"), ("Type", "oneshot"), ("Restart", "no"), ("WatchdogSec", "0")):
        unit = re.sub(f"(?m)^{key}=.*$", f"{key}={value}", unit)
    unit = unit.replace("[Service]\n", "[Service]\nStandardOutput=truncate:/run/probe.json\n")

    def wrong(text):
        (document.systemd.units / "probe.service").write_text(text)
        document.inside("systemctl daemon-reload && systemctl start probe.service")
        tried = json.loads(document.inside("cat /run/probe.json"))
        return {what for what, done in tried.items() if done != (what in MAY)}, len(tried)

    faults, tried = wrong(unit)
    assert not faults, faults
    # A directive that is not there is missed: those whose work nothing else does as well.
    for directive, what in (("MemoryDenyWriteExecute", "map memory to write and execute"),
                            ("RestrictAddressFamilies", "open a netlink socket")):
        assert wrong(re.sub(f"(?m)^{directive}=.*\n", "", unit))[0] == {what}, directive
    place.unlink()
    told(f"in the service's place: {len(MAY)} things may be done, {tried - len(MAY)} may not, as they should")


def settings(ports):
    smpp, smsc, admin = ports
    text = SETTINGS.read_text()
    for old, new in (('"0.0.0.0:2775"', f'"127.0.0.1:{smpp}"'), ('["192.0.2.10:2775"]', f'["127.0.0.1:{smsc}"]'),
                     ('"127.0.0.1:9464"', f'"127.0.0.1:{admin}"'), ('\nmode = "enforce"', '\nmode = "observe"')):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    SETTINGS.write_text(text)
    registry = SETTINGS.with_name("registry.toml")
    registry.write_text(registry.read_text().replace('"203.0.113.0/24"', '"127.0.0.0/8"'))


def load(port, count=300):
    out = good("consentry", "load", "--to", f"127.0.0.1:{port}", "--system-id", "shop1", "--sessions", "2", "--rate", str(count),
               "--duration", "1s", "--warmup", "0s", "--source", "106900001234", "--text", TEXT, "--expect", "ESME_ROK", "--json")
    return json.loads(out)


def holds(process):
    """Whether it runs as its unit says."""
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines() if ":\t" in line)
    user = str(pwd.getpwnam("consentry").pw_uid)
    assert status["Uid"].split() == [user] * 4, status["Uid"]
    assert all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")), status
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2"), status
    return os.readlink(f"/proc/{process}/exe")


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


class Service:
    """consentry.service, as systemd sees it."""

    def __init__(self, document):
        self.document = document

    def shows(self, name):
        return self.document.inside(f"systemctl show --property={name} --value consentry.service").strip()

    def main(self):
        """The main process, as it is numbered outside."""
        assert self.shows("ActiveState") == "active", self.shows("ActiveState")
        return self.document.systemd.outside(int(self.shows("MainPID")))

    def becomes(self, what, before):
        """Another main process than `before`, which has ended."""
        def other():
            with contextlib.suppress(AssertionError):
                main = self.main()
                return main if main != before and not alive(before) else None
        main = within(what, other)
        assert holds(main) == "/usr/bin/consentry"
        return main


def drop_in(document, unit, text):
    document.inside(f"mkdir -p /etc/systemd/system/{unit}.d && printf '{text}' >/etc/systemd/system/{unit}.d/test.conf && systemctl daemon-reload")


def service(document, upgrade):
    ports = [free_port() for _ in range(3)]
    settings(ports)
    document.run(f"consentry check -c {SETTINGS}")
    probe(document)
    # There is no journald; what it says is shown when something fails.
    drop_in(document, "consentry.service", "[Service]\\nStandardError=append:/run/consentry.log\\n")
    smsc = subprocess.Popen(["/usr/bin/consentry", "smsc", "--listen", f"127.0.0.1:{ports[1]}"], stdout=subprocess.DEVNULL)
    with ended(smsc):
        try:
            served(document, Service(document), ports, upgrade)
        except BaseException:
            sys.stderr.write(document.systemd.run("tail", "-30", "/run/consentry.log")[1] + document.systemd.log.read_text()[-2000:])
            raise


def served(document, unit, ports, upgrade):
    document.run("systemctl enable --now consentry.service")
    first = unit.main()
    assert holds(first) == "/usr/bin/consentry"
    assert document.run(f"consentry health -c {SETTINGS}") == "ready\n"
    load(ports[0])
    told("systemd starts the service, which runs as its user, without capabilities, and carries messages")

    registry = SETTINGS.with_name("registry.toml")
    whole = registry.read_text()
    registry.write_text(whole.replace("rate = 500", "rate = 501"))
    document.run("systemctl reload consentry.service")
    registry.write_text(whole + "surprise = 1\n")
    assert document.systemd.run("systemctl", "reload", "consentry.service")[0] != 0, "a fault is told"
    registry.write_text(whole)
    document.inside("systemctl kill --kill-whom=main --signal=SIGHUP consentry.service")
    within("RELOADING=1 is followed by READY=1", lambda: unit.shows("ActiveState") == "active")
    assert unit.main() == first
    load(ports[0])
    told("systemctl reload puts files in force, fails where they are at fault, and the process stays")

    with ended(subprocess.Popen(["consentry", "load", "--to", f"127.0.0.1:{ports[0]}", "--system-id", "shop1", "--rate", "50",
                                 "--duration", "60s", "--source", "106900001234", "--text", TEXT],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
        document.offer(upgrade)
        document.run("dpkg -i target/debian/consentry_*.deb")
        second = unit.becomes("the upgrade hands over", first)
    load(ports[0])
    said = document.run(f"consentry hand-over -c {SETTINGS}")
    assert re.fullmatch(r"process \d+ is ready and takes over\n", said), said
    third = unit.becomes("the command hands over", second)
    document.run("systemctl kill --kill-whom=main --signal=SIGUSR2 consentry.service")
    fourth = unit.becomes("the signal hands over", third)
    load(ports[0])
    assert unit.shows("NRestarts") == "0"
    told("upgrade, command and signal hand over; systemd follows the main process, and has restarted nothing")

    drop_in(document, "consentry.service", "[Service]\\nStandardError=append:/run/consentry.log\\nWatchdogSec=2s\\nTimeoutAbortSec=1s\\n")
    document.inside("systemctl restart consentry.service")
    fifth = unit.becomes("it is restarted", fourth)
    time.sleep(3)
    assert unit.main() == fifth, "a proxy that works feeds its watchdog"
    os.kill(fifth, signal.SIGSTOP)
    unit.becomes("the watchdog bites one that stands still", fifth)
    assert unit.shows("NRestarts") == "1"
    told("the watchdog lets one that works be, and has one that stands still restarted")

    document.run("systemctl stop consentry.service")
    assert (unit.shows("ActiveState"), unit.shows("Result")) == ("inactive", "success")
    held = f"[Socket]\\nListenStream=\\nListenStream=127.0.0.1:{ports[0]}\\nListenStream=127.0.0.1:{ports[2]}\\n"
    drop_in(document, "consentry.socket", held)
    document.run("systemctl enable --now consentry.socket consentry.service")
    sixth, refused, stop = unit.main(), [], threading.Event()

    def connect():
        while not stop.wait(0.002):
            try:
                socket.create_connection(("127.0.0.1", ports[0]), PATIENCE).close()
            except OSError as error:
                refused.append(error)

    connecting = threading.Thread(target=connect)
    connecting.start()
    try:
        document.inside("systemctl restart consentry.service")
        unit.becomes("it is restarted", sixth)
    finally:
        stop.set()
        connecting.join()
    assert not refused, refused[:3]
    load(ports[0])
    told("with consentry.socket, a restart refuses nobody")

    as_user = ["setpriv", "--reuid", "consentry", "--regid", "consentry", "--clear-groups"]
    for path in [STATE, *STATE.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"
    document.inside("systemctl stop consentry.socket consentry.service")
    good(*as_user, "consentry", "audit", "verify", "-c", SETTINGS)
    document.inside("systemctl start consentry.service")
    told("its records verify, and nobody else can read its state")


def alive(process):
    with contextlib.suppress(OSError):
        return ") Z " not in pathlib.Path(f"/proc/{process}/stat").read_text()
    return False


def removed(document):
    """A purge takes all but records; those are the operator's to remove."""
    document.run("dpkg --remove consentry")
    assert document.systemd.run("systemctl", "is-active", "consentry.service")[1].strip() == "inactive", "it is stopped with its program"
    assert SETTINGS.exists() and not os.path.exists("/usr/bin/consentry")
    said = document.run("dpkg --purge consentry")
    assert "is kept, with the user consentry" in said, said
    assert not SETTINGS.parent.exists() and STATE.exists() and pwd.getpwnam("consentry")
    document.run("rm -r /var/lib/consentry")
    document.run("userdel consentry")
    told("removed and purged: settings are gone, records are kept until somebody removes them")


def fresh(document, package):
    """Installed and purged without ever having run, nothing is left."""
    document.inside(f"dpkg -i '{package}'")
    document.inside("dpkg --purge consentry")
    told("a package that never ran leaves nothing behind")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--consentry", required=True)
    binary = pathlib.Path(arguments.parse_args().consentry).resolve()
    if os.geteuid() != 0 or shutil.which("dpkg") is None:
        sys.exit("tests/package/run.py needs root, on Debian")
    before = machine()
    if before[1] or before[2] == 0:
        sys.exit(f"Consentry is installed here and is not touched: {before[1]}")
    with tempfile.TemporaryDirectory(prefix="package.") as folder, booted(folder) as systemd:
        if systemd.why:
            sys.exit(f"no systemd runs here: {systemd.why}")
        for name in ("consentry.service", "consentry.socket"):
            (systemd.units / name).symlink_to(f"/usr/lib/systemd/system/{name}")
        packages = [build(binary, folder, revision) for revision in (1, 2)]
        contents(packages[0])
        document = Document(pathlib.Path(folder), systemd)
        try:
            document.offer(packages[0])
            document.run("dpkg -i target/debian/consentry_*.deb")
            installed()
            unit()
            service(document, packages[1])
            removed(document)
            fresh(document, packages[0])
            document.end()
        finally:
            run("dpkg", "--purge", "consentry")
            shutil.rmtree(STATE, ignore_errors=True)
            run("userdel", "consentry")
    after = machine()
    assert after == before, f"the machine is not as it was: {before} {after}"
    told("the machine is as it was")


main()
