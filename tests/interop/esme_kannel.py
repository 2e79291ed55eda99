"""ESME made of Kannel: bearerbox binds, smsbox takes the messages over HTTP, receipts come to a dlr-url."""

import http.server
import pathlib
import random
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from steps import GSM_TEXT, LONG_GSM_TEXT, LONG_UCS2_TEXT, STEP_SECONDS_MAX, UCS2_TEXT, Failed, Peer

HTTP_PASSWORD = "interop"
DLR_DELIVERED, DLR_ACCEPTED, DLR_REJECTED = 1, 8, 16


def free_ports(count):
    """Ports free now and below those the kernel gives to clients, so that none is taken before Kannel opens it."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 32000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
    return ports


def wait(step, condition, seconds=STEP_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{step}: nothing within {seconds} s")
        time.sleep(0.05)
    return result


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=STEP_SECONDS_MAX) as response:
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except OSError as error:
        return 0, str(error)


class Receipts(http.server.ThreadingHTTPServer):
    """Collects (tag, kind) of every dlr-url that smsbox calls."""

    def __init__(self):
        self.seen = []
        receipts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                receipts.seen.append((query["tag"][0], int(query["kind"][0])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def kinds(self, tag):
        return [kind for seen, kind in self.seen if seen == tag]


class Kannel:
    """The two processes, their directory and their ports."""

    def __init__(self, peer):
        self.directory = tempfile.TemporaryDirectory(prefix="kannel-")
        self.path = pathlib.Path(self.directory.name)
        self.admin_port, box_port, self.http_port = free_ports(3)
        template = pathlib.Path(__file__).with_name("kannel.conf").read_text()
        self.conf = self.path / "kannel.conf"
        self.conf.write_text(template.format(
            admin_port=self.admin_port, box_port=box_port, http_port=self.http_port, dir=self.path,
            port=peer.args.port, system_id=peer.args.system_id, password=peer.args.password,
            http_password=HTTP_PASSWORD))
        self.processes = []

    def start(self, program):
        process = subprocess.Popen(
            [program, "-v", "4", str(self.conf)], cwd=self.path, stdin=subprocess.DEVNULL,
            stdout=open(self.path / "out", "ab"), stderr=subprocess.STDOUT)
        self.processes.append(process)

    def alive(self, step):
        for process in self.processes:
            if process.poll() is not None:
                raise Failed(f"{step}: {process.args[0]} ended with {process.returncode}")

    def status(self):
        self.alive("status")
        return fetch(f"http://127.0.0.1:{self.admin_port}/status.txt?password={HTTP_PASSWORD}")[1]

    def bearerbox_log(self):
        path = self.path / "bearerbox.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def send(self, peer, text, coding, source, tag=None, receipts=None):
        query = {"username": "interop", "password": HTTP_PASSWORD, "from": source, "to": peer.args.destination,
                 "text": text, "coding": coding, "charset": "UTF-8"}
        if tag:
            query["dlr-mask"] = DLR_DELIVERED | DLR_ACCEPTED | DLR_REJECTED
            query["dlr-url"] = f"http://127.0.0.1:{receipts.server_port}/?tag={tag}&kind=%d"
        url = f"http://127.0.0.1:{self.http_port}/cgi-bin/sendsms?{urllib.parse.urlencode(query)}"
        status, body = fetch(url)
        if status != 202:
            raise Failed(f"sendsms: HTTP {status} {body}")

    def stop(self):
        """smsbox first, so that bearerbox can unbind; True when both ended by themselves."""
        ended = True
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(STEP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                ended = False
                process.kill()
                process.wait()
        return ended

    def logs(self):
        return "".join(f"--- {path.name}\n" + "".join(path.read_text(errors="replace").splitlines(True)[-20:])
                       for path in sorted(self.path.glob("*.log")) + [self.path / "out"] if path.exists())


def steps(peer, kannel, receipts):
    source = peer.args.source
    kannel.start("/usr/sbin/bearerbox")
    # The admin port answers before the smsbox port is open, and smsbox gives up when it cannot connect.
    wait("bearerbox", lambda: kannel.alive("bearerbox") or "Start-up done" in kannel.bearerbox_log())
    kannel.start("/usr/sbin/smsbox")
    wait("bind_transceiver", lambda: "(online" in kannel.status())
    peer.expect("bind_transceiver", peer.received("bind_transceiver"), "not at the SMSC")
    wait("smsbox", lambda: "smsbox:" in kannel.status()
         and fetch(f"http://127.0.0.1:{kannel.http_port}/cgi-bin/sendsms")[0] != 0)

    def message(step, text, coding, parts=1, **how):
        sent = len(peer.received())
        kannel.send(peer, text, coding, source, **how)
        peer.arrived(step, text, sent, parts)

    message("submit_sm GSM", GSM_TEXT, 0)
    message("submit_sm UCS2", UCS2_TEXT, 2)
    message("submit_sm in parts, 8-bit reference, GSM", LONG_GSM_TEXT, 0, parts=3)
    message("submit_sm in parts, 8-bit reference, UCS2", LONG_UCS2_TEXT, 2, parts=3)
    message("submit_sm asking for a receipt", GSM_TEXT, 0, tag="good", receipts=receipts)
    wait("receipt on the dlr-url", lambda: DLR_DELIVERED in receipts.kinds("good"))
    peer.expect("receipt on the dlr-url", DLR_ACCEPTED in receipts.kinds("good"), receipts.seen)

    if peer.args.foreign_source:
        sent = len(peer.received())
        kannel.send(peer, GSM_TEXT, 0, peer.args.foreign_source, tag="forged", receipts=receipts)
        wait("foreign source", lambda: receipts.kinds("forged"))
        peer.expect("foreign source refused", receipts.kinds("forged") == [DLR_REJECTED], receipts.seen)
        message("submit_sm after the refusal", GSM_TEXT, 0)
        peer.expect("foreign source not at the SMSC", len(peer.received()) == sent + 1, "more than one message arrived")

    wait("enquire_link", lambda: peer.received("enquire_link"))
    peer.ok("enquire_link")


def run(peer):
    receipts = Receipts()
    kannel = Kannel(peer)
    try:
        steps(peer, kannel, receipts)
        peer.expect("bearerbox and smsbox stop when told", kannel.stop(), f"not within {STEP_SECONDS_MAX} s")
        wait("unbind", lambda: peer.received("unbind"))
        peer.ok("unbind")
    except BaseException:
        print(kannel.logs())
        raise
    finally:
        kannel.stop()
        receipts.shutdown()
        kannel.directory.cleanup()


Peer(__doc__).main(run)
