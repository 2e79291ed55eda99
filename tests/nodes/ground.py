"""What everything here stands on: processes of an unprivileged user that are ended by their own id, ports, one clock."""

import os
import pathlib
import select
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Servers do not run as root: then all that is theirs belongs to "nobody".
NOBODY = 65534
IS_ROOT = os.geteuid() == 0
# Generous, for a loaded machine of two cores; nothing waits so long where nothing is wrong.
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0

# The clock of everything that is measured here.
now = time.monotonic


class Cannot(Exception):
    """The test could not be carried out; says why and what to do."""


def give(path):
    """Makes a path the servers' own."""
    if IS_ROOT:
        os.chown(path, NOBODY, NOBODY)


def folder(path):
    """A new folder of the servers'."""
    path.mkdir(mode=0o700)
    give(path)
    return path


def as_user():
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}


def call(*argv, seconds=180, environment=None, cwd="/", status=0):
    """What a command of the unprivileged user prints."""
    try:
        done = subprocess.run([str(one) for one in argv], capture_output=True, text=True, timeout=seconds, cwd=cwd,
                              env={**os.environ, **(environment or {})}, **as_user())
    except subprocess.TimeoutExpired:
        raise Cannot(f"{' '.join(map(str, argv[:3]))} did not end within {seconds} s") from None
    if status is not None and done.returncode != status:
        raise Cannot(f"{' '.join(map(str, argv[:3]))} ended with {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


def wait(what, condition, seconds=START_SECONDS_MAX, every=0.05):
    """The first true value of the condition."""
    until = now() + seconds
    while not (found := condition()):
        if now() > until:
            raise Cannot(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return found


_taken = set()


def free_port():
    """A port that nobody listens on, and that was not given before."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        if port not in _taken:
            _taken.add(port)
            return port


def listens(port):
    """Whether somebody listens there, by the kernel: looking is no connection."""
    wanted = (f"0100007F:{port:04X} 00000000:0000 0A", f"00000000:{port:04X} 00000000:0000 0A")
    table = pathlib.Path("/proc/self/net/tcp").read_text()
    return any(line in table for line in wanted)


class Process:
    """A server whose output is appended to a file."""

    def __init__(self, name, argv, output, environment=None, unprivileged=True):
        self.name, self.output = name, output
        with open(output, "ab") as log:
            self.process = subprocess.Popen([str(one) for one in argv], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=output.parent, start_new_session=True,
                                            env={**os.environ, **(environment or {})}, **(as_user() if unprivileged else {}))

    def lives(self):
        return self.process.poll() is None

    def tail(self):
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-25:])

    def send(self, number):
        if self.lives():
            self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=STOP_SECONDS_MAX):
        """The exit status after the signal; None when it had to be killed."""
        self.send(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def running(*arguments):
    """The one process whose command line ends so."""
    wanted = [argument.encode() for argument in arguments]

    def line(process):
        try:
            return (process / "cmdline").read_bytes().split(b"\0")[:-1]
        except OSError:
            return []
    found = [int(process.name) for process in pathlib.Path("/proc").glob("[0-9]*") if line(process)[-len(wanted):] == wanted]
    if len(found) != 1:
        raise Cannot(f"{len(found)} processes were started with {' '.join(arguments)}")
    return found[0]


class Adopted(Process):
    """A server that another one started, as at a hand-over. How it ended cannot be told."""

    def __init__(self, name, pid, output):
        self.name, self.pid, self.output, self.end = name, pid, output, os.pidfd_open(pid)

    def lives(self):
        return not select.select([self.end], [], [], 0)[0]

    def send(self, number):
        if self.lives():
            signal.pidfd_send_signal(self.end, number)

    def stop(self, number=signal.SIGTERM, seconds=STOP_SECONDS_MAX):
        """0, or None when it had to be killed."""
        self.send(number)
        if select.select([self.end], [], [], seconds)[0]:
            return 0
        self.send(signal.SIGKILL)
        return None
