"""The engine: two PostgreSQL servers, one of them primary and the other its synchronous standby, and the forwarder between."""

import pathlib
import shutil
import signal

from ground import Cannot, Process, call, folder, free_port, wait

USER, DATABASE = "consentry", "consent"


def programs():
    bins = [version / "bin" for version in pathlib.Path("/usr/lib/postgresql").glob("*") if (version / "bin/postgres").exists()]
    if not bins:
        raise Cannot("no PostgreSQL below /usr/lib/postgresql: run tests/interop/install")
    return max(bins, key=lambda bin: float(bin.parent.name))


def has_ended(process):
    """Whether it runs no more. Orphans whose new parent takes its time to ask after them hold nothing any more."""
    try:
        stat = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


class Server:
    """One PostgreSQL server. Its port stays when it is made anew."""

    def __init__(self, name, root, environment):
        self.name, self.folder, self.port = name, folder(root / f"postgres-{name}"), free_port()
        self.data, self.process, self.bin = self.folder / "data", None, programs()
        self.environment = {**environment, "NODES_FOLDER": str(self.data), "NODES_FULL": str(root / f"full-{name}")}
        self.full = root / f"full-{name}"

    def make(self):
        call(self.bin / "initdb", "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "-N", "-D", self.data)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as config:
            config.write(f"""
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 16MB
max_connections = 100
max_wal_senders = 5
wal_level = replica
wal_keep_size = 256MB
wal_sender_timeout = 3s
wal_receiver_timeout = 3s
wal_retrieve_retry_interval = 200ms
include_if_exists = 'server.conf'
""")

    def copy(self, port):
        """Makes it the standby of the server that is reached at that port."""
        shutil.rmtree(self.data, ignore_errors=True)
        call(self.bin / "pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-N",
             "-d", f"host=127.0.0.1 port={port} user={USER} application_name={self.name}")

    def settings(self, **settings):
        text = "".join(f"{name} = '{value}'\n" for name, value in {"port": self.port, **settings}.items())
        (self.data / "server.conf").write_text(text)
        (self.data / "server.conf").chmod(0o644)
        if self.process:
            self.process.send(signal.SIGHUP)

    def start(self):
        """Starts it without waiting."""
        self.process = Process(f"PostgreSQL {self.name}", [self.bin / "postgres", "-D", self.data], self.folder / "log",
                               self.environment)

    def answers(self):
        try:
            return self.ask("SELECT 1", "postgres") == "1"
        except Cannot:
            return False

    def up(self):
        self.start()
        wait(f"PostgreSQL {self.name} answers, {self.folder}/log", self.answers)

    def ask(self, sql, database=DATABASE):
        return call(self.bin / "psql", "-XAtq", "-h", "127.0.0.1", "-p", self.port, "-U", USER, "-d", database, "-c", sql,
                    environment={"PGCONNECT_TIMEOUT": "5"}).strip()

    def kill(self):
        """As when its machine goes: the postmaster at once, and its children as soon as they notice."""
        if self.process:
            children = call("ps", "-o", "pid=", "--ppid", self.process.process.pid, status=None).split()
            self.process.process.kill()
            self.process.process.wait()
            for child in children:
                call("kill", "-9", child, status=None)
            # A new postmaster waits for whoever still holds the old one's shared memory.
            wait("PostgreSQL's children end", lambda: all(map(has_ended, children)))
            self.process = None

    def stop(self):
        if self.process:
            self.process.stop(signal.SIGQUIT)
            self.process = None


class Engine:
    """Primary and standby; `forward` makes a forwarder to a port, for the standby's way to the primary."""

    def __init__(self, root, environment, forward):
        self.servers = [Server(name, root, environment) for name in ("a", "b")]
        self.primary, self.standby = self.servers
        # By whom the standby of each is fed.
        self.ways = {server.name: forward(server.port) for server in self.servers}
        self.primary.make()
        self.primary.settings(synchronous_commit="on")
        self.primary.up()
        self.primary.ask(f"CREATE DATABASE {DATABASE}", "postgres")
        self.join()

    def join(self):
        """The other server becomes the primary's synchronous standby."""
        self.standby.copy(self.ways[self.primary.name].port)
        self.standby.settings(synchronous_commit="on")
        self.standby.up()
        self.together()

    def together(self):
        """From here on the primary confirms nothing that the standby has not."""
        self.primary.settings(synchronous_commit="on", synchronous_standby_names=self.standby.name)
        wait("the standby is synchronous", self.is_synchronous)

    def is_synchronous(self):
        return self.primary.ask("SELECT sync_state FROM pg_stat_replication", "postgres") == "sync"

    def promote(self):
        """The standby becomes primary, alone; the old one must be down. Then `join`."""
        self.primary, self.standby = self.standby, self.primary
        call(self.primary.bin / "pg_ctl", "promote", "-w", "-t", "60", "-D", self.primary.data)

    def fill(self):
        """The primary's disk is full."""
        self.primary.full.touch()

    def make_room(self):
        """It no longer is; a server that gave up meanwhile is started again, as its operator would."""
        self.primary.full.unlink()

        def answers():
            if not self.primary.process.lives():
                self.primary.start()
            return self.primary.answers()

        wait("the primary answers again", answers)

    def stop(self):
        for server in (self.standby, self.primary):
            server.stop()
