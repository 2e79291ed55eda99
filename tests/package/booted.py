"""A systemd of the test's own: process 1 of namespaces in which nothing else runs, with units of a folder and no others.

It has its own cgroups, /run and /etc/systemd/system; the rest of the machine's files are the machine's.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

# Targets that units name, with nothing behind them.
TARGETS = ["sysinit", "basic", "shutdown", "sockets", "multi-user", "network-online", "time-sync", "minimal"]
PATIENCE = 30

INSIDE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
mount -t tmpfs -o mode=755 tmpfs /etc/systemd/system
for mounted in $CGROUPS; do
    kind=${mounted%%:*} rest=${mounted#*:}
    options=${rest%%:*} at=${rest#*:}
    umount -l "$at"
    mount -t "$kind" -o "$options" "$kind" "$at"
done
export container=docker SYSTEMD_UNIT_PATH="/etc/systemd/system:$UNITS"
exec "$SYSTEMD" --system --unit=minimal.target --log-target=console --log-level=info --show-status=no
"""


def hierarchies():
    """Where a cgroup of our own can be made: kind, options and place of the mount, and our cgroup in it."""
    own = {}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        at, kind, options = fields[4], fields[fields.index("-") + 1], fields[-1]
        controllers = "" if kind == "cgroup2" else next((name for name in own if name and set(name.split(",")) <= set(options.split(","))), None)
        # A new cgroup of cpuset has no processor, and systemd wants none of it.
        if kind not in ("cgroup", "cgroup2") or controllers is None or controllers == "cpuset":
            continue
        options = "rw" if kind == "cgroup2" else controllers.replace("name=", "none,name=")
        yield kind, options, at, pathlib.Path(at, own.get(controllers, "/").lstrip("/"), f"consentry-test-{os.getpid()}")


@contextlib.contextmanager
def booted(folder):
    """A systemd that runs meanwhile; its `why` says why none can, where none can."""
    systemd = Systemd(folder)
    try:
        systemd.boot()
        yield systemd
    finally:
        systemd.end()


class Systemd:

    def __init__(self, folder):
        self.units, self.log, self.why, self.process, self.first = pathlib.Path(folder, "units"), pathlib.Path(folder, "systemd.log"), None, None, None
        self.units.mkdir()
        for name in TARGETS:
            (self.units / f"{name}.target").write_text(f"[Unit]\nDescription={name}\nDefaultDependencies=no\n")
        self.cgroups = []

    def boot(self):
        systemd = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), None)
        if systemd is None:
            self.why = "there is no systemd here"
            return
        try:
            mounted = []
            for kind, options, at, own in hierarchies():
                own.mkdir()
                self.cgroups.append(own)
                mounted.append(f"{kind}:{options}:{at}")
        except OSError as error:
            self.why = f"no cgroup can be made: {error}"
            return
        enter = 'for one in $OWN; do echo $$ >"$one/cgroup.procs" || exit 9; done; exec "$@"'
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--cgroup", "--ipc", "--uts", "sh", "-c", INSIDE]
        environment = {**os.environ, "OWN": " ".join(map(str, self.cgroups)), "CGROUPS": " ".join(mounted), "UNITS": str(self.units), "SYSTEMD": systemd}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["sh", "-c", enter, "sh", *command], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            if self.find() and self.run("systemctl", "is-active", "minimal.target")[1].strip() == "active":
                return
            time.sleep(0.1)
        self.why = f"systemd does not come up in namespaces: {self.log.read_text()[-500:]}"
        return

    def find(self):
        """Process 1 of the namespaces, as it is numbered outside."""
        with contextlib.suppress(OSError, IndexError):
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            self.first = int(children[0])
            return pathlib.Path(f"/proc/{self.first}/comm").read_text().strip() == "systemd"
        self.first = None
        return False

    def run(self, *command, **options):
        """Exit status, output and errors of a command in there."""
        inside = ["nsenter", "--target", str(self.first), "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--", *map(str, command)]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=300, **options)
        return done.returncode, done.stdout, done.stderr

    def outside(self, process):
        """The number that a process of the namespaces has outside."""
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                numbers = next((line.split()[1:] for line in status.read_text().splitlines() if line.startswith("NSpid:")), [])
                if len(numbers) > 1 and numbers[-1] == str(process) and self.is_ours(status.parent):
                    return int(numbers[0])
        raise AssertionError(f"process {process} is not there")

    def is_ours(self, process):
        return os.readlink(process / "ns/pid") == os.readlink(f"/proc/{self.first}/ns/pid")

    def end(self):
        if self.process is not None:
            # With process 1 everything in its namespaces ends.
            self.process.kill()
            self.process.wait()
        until = time.monotonic() + PATIENCE
        for own in self.cgroups:
            while own.exists() and time.monotonic() < until:
                for inner in sorted((path for path in own.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
                    with contextlib.suppress(OSError):
                        inner.rmdir()
                with contextlib.suppress(OSError):
                    own.rmdir()
                    break
                time.sleep(0.1)
        shutil.rmtree(self.units, ignore_errors=True)
