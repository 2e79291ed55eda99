#!/usr/bin/python3
"""The Debian package, from its build to its purge, on this machine.

tests/package/run.py --consentry target/debug/consentry

Installs it, holds unit and permissions to what they promise, runs the service under its unit's restrictions (restricted.py: no
systemd runs here), upgrades the package under load and hands over to the new program, removes and purges it, and looks whether
the machine is as it was. Needs root, and a machine where Consentry is not installed.
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
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESTRICTED = ROOT / "tests/package/restricted.py"
UNIT = "/usr/lib/systemd/system/consentry.service"
STATE = pathlib.Path("/var/lib/consentry")
SETTINGS = pathlib.Path("/etc/consentry/consentry.toml")
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
# Commands of docs/install.md that are not run here: no systemd runs, and nothing is installed that stays.
NOT_RUN = ("systemctl ", "journalctl ", "apt-get ", "curl ", '. "$HOME/.cargo/env"', "editor ", "deploy/debian/build --out target/debian")
MAY = ["write its state", "read its settings", "write a temporary file", "open a TCP socket"]


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    return done.returncode, done.stdout, done.stderr


def good(*command, **options):
    status, out, said = run(*command, **options)
    assert status == 0, f"{command}: exit status {status}\n{out}{said}"
    return out


def dpkg(*arguments):
    """Another program may hold dpkg's lock for a while."""
    until = time.monotonic() + 5 * PATIENCE
    while True:
        status, out, said = run("dpkg", *arguments, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if status == 0:
            return out
        assert "lock" in said and time.monotonic() < until, f"dpkg {arguments}: {out}{said}"
        time.sleep(1)


class Document:
    """docs/install.md, whose commands are run here as they stand there."""

    def __init__(self, folder):
        text = (ROOT / "docs/install.md").read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        self.lines = {line for block in blocks for line in block.splitlines() if not line.startswith(NOT_RUN)}
        self.folder, self.done = folder, set()

    def run(self, line):
        assert line in self.lines, f"not in docs/install.md: {line}"
        self.done.add(line)
        if line.startswith("dpkg "):
            words = line.split()[1:]
            return dpkg(*[str(path) for word in words for path in (sorted(self.folder.glob(word)) if "*" in word else [word])])
        return good("bash", "-c", line, cwd=self.folder)

    def offer(self, package):
        """What the document calls the package, in the place that it says."""
        there = self.folder / "target/debian"
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir(parents=True)
        (there / package.name).symlink_to(package)

    def end(self):
        assert self.done == self.lines, f"in docs/install.md, and not run: {sorted(self.lines - self.done)}"
        told(f"docs/install.md: its {len(self.done)} commands were run, and those of a running systemd were not")


def within(what, found):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError(f"{what}, within {PATIENCE} s")


def told(what):
    print(f"ok    {what}", flush=True)


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


def restricted(*command, unit=UNIT):
    return ["unshare", "--mount", sys.executable, "-B", str(RESTRICTED), str(unit), *map(str, command)]


def probe():
    def wrong(unit):
        tried = json.loads(good(*restricted("/usr/bin/python3", "-c", PROBE, unit=unit)))
        return {what for what, done in tried.items() if done != (what in MAY)}, len(tried)

    faults, tried = wrong(UNIT)
    assert not faults, faults
    # A directive that is not there is missed: those whose work nothing else does as well.
    lacking = SETTINGS.with_name("lacking.service")
    for directive, what in (("MemoryDenyWriteExecute", "map memory to write and execute"),
                            ("RestrictAddressFamilies", "open a netlink socket")):
        lacking.write_text(re.sub(f"(?m)^{directive}=.*\n", "", pathlib.Path(UNIT).read_text()))
        assert wrong(lacking)[0] == {what}, directive
    lacking.unlink()
    told(f"in the service's place: {len(MAY)} things may be done, {tried - len(MAY)} may not, as they should")


class Systemd:
    """The socket that a service tells how it stands."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"consentry-package-{os.getpid()}"
        self.socket.bind("\0" + self.name)
        self.socket.settimeout(PATIENCE)

    def next_state(self):
        while (state := self.socket.recv(256).decode()) == "WATCHDOG=1":
            pass
        return state


def settings(ports):
    smpp, smsc, admin = ports
    text = SETTINGS.read_text()
    for old, new in (('"0.0.0.0:2775"', f'"127.0.0.1:{smpp}"'), ('"192.0.2.10:2775"', f'"127.0.0.1:{smsc}"'),
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


def service(document, upgrade):
    ports = [free_port() for _ in range(3)]
    settings(ports)
    document.run(f"consentry check -c {SETTINGS}")
    probe()
    systemd = Systemd()
    environment = {**os.environ, "NOTIFY_SOCKET": "@" + systemd.name, "WATCHDOG_USEC": "4000000"}
    log = tempfile.TemporaryFile("w+")
    smsc = subprocess.Popen(["consentry", "smsc", "--listen", f"127.0.0.1:{ports[1]}"], stdout=subprocess.DEVNULL)
    run_it = restricted("/usr/bin/consentry", "run", "-c", SETTINGS)
    with ended(smsc), ended(subprocess.Popen(run_it, env=environment, stderr=log, stdin=subprocess.DEVNULL)) as first:
        successor = None
        try:
            assert systemd.next_state() == "READY=1"
            assert holds(first.pid) == "/usr/bin/consentry"
            assert document.run(f"consentry health -c {SETTINGS}") == "ready\n"
            load(ports[0])
            told("the service runs as its user, without capabilities, under its system call filter, and carries messages")
            with ended(subprocess.Popen(["consentry", "load", "--to", f"127.0.0.1:{ports[0]}", "--system-id", "shop1", "--rate", "50",
                                         "--duration", "60s", "--source", "106900001234", "--text", TEXT],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
                document.offer(upgrade)
                document.run("dpkg -i target/debian/consentry_*.deb")
                assert holds(first.pid) == "/usr/bin/consentry (deleted)", "the old program goes on"
                said = document.run(f"consentry hand-over -c {SETTINGS}")
                successor = int(re.fullmatch(r"process (\d+) is ready and takes over\n", said).group(1))
                assert systemd.next_state() == f"MAINPID={successor}"
                assert systemd.next_state() == "READY=1"
            assert first.wait(PATIENCE) == 0
            assert holds(successor) == "/usr/bin/consentry", "the new program runs, under the same restrictions"
            load(ports[0])
            os.kill(successor, signal.SIGTERM)
            assert systemd.next_state() == "STOPPING=1"
            within("it ends", lambda: not os.path.exists(f"/proc/{successor}/fd/0") and not alive(successor))
            successor = None
            told("upgraded under load: the new program took over, and stopped in good order")
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        finally:
            if successor and alive(successor):
                os.kill(successor, signal.SIGKILL)
    as_user = ["setpriv", "--reuid", "consentry", "--regid", "consentry", "--clear-groups"]
    good(*as_user, "consentry", "audit", "verify", "-c", SETTINGS)
    for path in [STATE, *STATE.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"
    told("its records verify, and nobody else can read its state")
    activated(ports)


def alive(process):
    with contextlib.suppress(OSError):
        return ") Z " not in pathlib.Path(f"/proc/{process}/stat").read_text()
    return False


def activated(ports):
    """Given its sockets by systemd's own tool, as consentry.socket does."""
    listen = [f"--listen=127.0.0.1:{ports[0]}", f"--listen=127.0.0.1:{ports[2]}", "--fdname=consentry"]
    smsc = subprocess.Popen(["consentry", "smsc", "--listen", f"127.0.0.1:{ports[1]}"], stdout=subprocess.DEVNULL)
    activate = ["setpriv", "--reuid", "consentry", "--regid", "consentry", "--clear-groups",
                "systemd-socket-activate", *listen, "/usr/bin/consentry", "run", "-c", str(SETTINGS)]
    with ended(smsc), ended(subprocess.Popen(activate, stderr=subprocess.DEVNULL)) as process:
        def connected():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports[0]), 1):
                return True
        within("systemd-socket-activate listens", connected)
        load(ports[0])
        assert os.readlink(f"/proc/{process.pid}/exe") == "/usr/bin/consentry"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    told("systemd-socket-activate gives it the sockets of its unit")


def removed(document):
    """A purge takes all but records; those are the operator's to remove."""
    document.run("dpkg --remove consentry")
    assert SETTINGS.exists() and not os.path.exists("/usr/bin/consentry")
    said = document.run("dpkg --purge consentry")
    assert "is kept, with the user consentry" in said, said
    assert not SETTINGS.parent.exists() and STATE.exists() and pwd.getpwnam("consentry")
    document.run("rm -r /var/lib/consentry")
    document.run("userdel consentry")
    told("removed and purged: settings are gone, records are kept until somebody removes them")


def fresh(package):
    """Installed and purged without ever having run, nothing is left."""
    dpkg("-i", package)
    dpkg("--purge", "consentry")
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
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="package.") as folder:
        packages = [build(binary, folder, revision) for revision in (1, 2)]
        contents(packages[0])
        document = Document(pathlib.Path(folder))
        try:
            document.offer(packages[0])
            document.run("dpkg -i target/debian/consentry_*.deb")
            installed()
            unit()
            service(document, packages[1])
            removed(document)
            fresh(packages[0])
            document.end()
        finally:
            run("dpkg", "--purge", "consentry")
            shutil.rmtree(STATE, ignore_errors=True)
            run("userdel", "consentry")
    after = machine()
    assert after == before, f"the machine is not as it was: {before} {after}"
    told(f"the machine is as it was, after {time.monotonic() - began:.0f} s")


main()
