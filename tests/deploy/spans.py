"""The spans of a proxy under traffic, as a collector gets them that reads with OpenTelemetry's own classes."""

import collections
import contextlib
import http.server
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from said import check

# Seconds in which a process must begin or end, and spans must come.
START_MAX, STOP_MAX, SPANS_MAX = 30, 30, 30
PASSING, REFUSED = 30, 7
SOURCE, FORGED, DESTINATION, TEXT, PASSWORD = "106900001234", "106900005555", "8613800138000", "【示例商城】您的包裹已到，取件码####。", "hunter22"
STAGES = ["read", "judge", "record", "forward", "answer"]


class Collector(http.server.ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps what came."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.bodies, self.faults = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def spans(self):
        found = []
        for body in list(self.bodies):
            request = ExportTraceServiceRequest.FromString(body)
            for of_resource in request.resource_spans:
                for scoped in of_resource.scope_spans:
                    found += scoped.spans
        return found


class Answering(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            self.server.faults.append(f"{self.path} {self.headers['Content-Type']}")
        self.server.bodies.append(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


REGISTRY = f"""\
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1"]
licence    = {{ number = "B2-20260001", valid_until = 2099-12-31 }}
identity   = "verified"
code = [{{ number = "{SOURCE}", purpose = "service", signatures = ["示例商城"] }}]
"""


def config_of(folder, smsc, collector, sample):
    (folder / "registry.toml").write_text(REGISTRY, encoding="utf-8")
    file = folder / "consentry.toml"
    file.write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc = ["{smsc}"]
[registry]
file = "registry.toml"
[traces]
otlp = "http://{collector}/v1/traces"
sample = {sample}
[admin]
address = "127.0.0.1:0"
""", encoding="utf-8")
    return file


class Process:
    """A process of ours, with its output in a file; ended by its own id."""

    def __init__(self, stack, name, argv, folder):
        self.name, self.log = name, folder / f"{name}.log"
        self.process = subprocess.Popen([str(one) for one in argv], stdin=subprocess.DEVNULL, stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        stack.callback(self.stop)

    def address(self, pattern):
        until = time.monotonic() + START_MAX
        while not (found := re.search(pattern, self.log.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.name} does not listen:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        return found[1]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


def proxy(stack, consentry, folder, collector, sample):
    smsc = Process(stack, "smsc", [consentry, "smsc", "--listen", "127.0.0.1:0"], folder).address(r"(127\.0\.0\.1:\d+)")
    running = Process(stack, "proxy", [consentry, "run", "-c", config_of(folder, smsc, collector, sample)], folder)
    return running, running.address(r"listening.*?(127\.0\.0\.1:\d+)"), running.address(r"admin.*?(127\.0\.0\.1:\d+)")


def load(consentry, to, count, *more):
    done = subprocess.run([consentry, "load", "--to", to, "--sessions", "1", "--count", str(count), "--password", PASSWORD,
                           "--dest-base", DESTINATION, "--text", TEXT, *more], capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


def spans_total(admin):
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {outcome: int(count) for outcome, count in re.findall(r'consentry_spans_total\{outcome="(\w+)"\} (\d+)', text)}


def attributes(span):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def faults_of_message(root, children, sessions, expected, stages):
    """What is wrong with the spans of one message."""
    said = attributes(root)
    found = [child.name for child in sorted(children, key=lambda child: (child.start_time_unix_nano, STAGES.index(child.name)))]
    faults = [f"{key} is {said.get(key)}" for key, value in expected.items() if said.get(key) != value]
    faults += [] if found == stages else [f"its parts are {found}"]
    inside = all(root.start_time_unix_nano <= child.start_time_unix_nano <= child.end_time_unix_nano <= root.end_time_unix_nano for child in children)
    faults += [] if inside else ["a part of it lies outside"]
    faults += [] if [(link.trace_id, link.span_id) in sessions for link in root.links] == [True] else ["it is linked to no session"]
    faults += [] if root.kind == Span.SPAN_KIND_SERVER and root.status.code == Status.STATUS_CODE_UNSET else ["kind or status"]
    return faults


def under_traffic(consentry, folder):
    collector = Collector()
    host, port = collector.server_address
    with contextlib.ExitStack() as stack:
        running, listening, admin = proxy(stack, consentry, folder, f"{host}:{port}", "1.0")
        load(consentry, listening, PASSING, "--system-id", "shop1", "--source", SOURCE)
        load(consentry, listening, REFUSED, "--system-id", "shop1", "--source", FORGED)
        load(consentry, listening, 1, "--system-id", "nobody7")
        status = running.stop()
        assert status == 0, running.log.read_text()
    collector.shutdown()
    spans = collector.spans()
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    faults = list(collector.faults) + ([] if len(by_id) == len(spans) else ["spans of the same name"])
    faults += [f"{span.name} ends before it begins" for span in spans if span.end_time_unix_nano < span.start_time_unix_nano]
    now = time.time_ns()
    faults += [f"{span.name} is not of this hour" for span in spans if abs(span.start_time_unix_nano - now) > 3600 * 10**9]
    check(f"{len(spans)} spans in {len(collector.bodies)} deliveries are read by OpenTelemetry's own classes", faults or ([] if spans else ["none came"]))
    sessions = {key: span for key, span in by_id.items() if span.name == "session"}
    said = [attributes(span) for span in sessions.values()]
    by_provider = collections.Counter(one.get("consentry.provider") for one in said)
    faults = [] if by_provider == {"示例商城有限公司": 2, None: 1} else [f"sessions by provider: {by_provider}"]
    faults += [] if sorted(one["consentry.forwarded"] for one in said)[-1] == PASSING else ["forwarded"]
    faults += [] if sorted(one["consentry.refused"] for one in said)[-1] == REFUSED else ["refused"]
    faults += [] if all(one["network.peer.address"] == "127.0.0.1" for one in said) else ["peer"]
    binds = [span for span in spans if span.name.startswith("bind_")]
    faults += [] if all((span.trace_id, span.parent_span_id) in sessions for span in binds) else ["a bind is no part of a session"]
    rules = collections.Counter(attributes(span).get("consentry.rule") for span in binds)
    faults += [] if rules == {None: 2, "provider.unknown": 1} else [f"binds by rule: {rules}"]
    check("each session is a span, with its binds and their verdicts", faults)
    parts = collections.defaultdict(list)
    for span in spans:
        parts[span.trace_id, span.parent_span_id].append(span)
    roots = [span for span in spans if span.name == "submit_sm"]
    counted = collections.Counter(attributes(span)["consentry.verdict"] for span in roots)
    faults = [] if counted == {"pass": PASSING, "refuse": REFUSED} else [f"messages by verdict: {counted}"]
    for root in roots:
        children = parts[root.trace_id, root.span_id]
        if attributes(root)["consentry.verdict"] == "pass":
            faults += faults_of_message(root, children, sessions, {"smpp.command_status": "ESME_ROK"}, STAGES)
        else:
            faults += faults_of_message(root, children, sessions, {"consentry.rule": "source.forged"}, STAGES[:3])
    check("each message is a trace: read, judged, recorded, forwarded, answered, with verdict and rule", faults[:5])
    secret = [SOURCE, FORGED, DESTINATION[:9], TEXT[:8], PASSWORD, "shop1", "nobody7", "1380013"]
    whole = b"".join(collector.bodies)
    faults = [f"{one[:3]}... stands in a span" for one in secret if one.encode() in whole]
    check("no number, no text, no password and no system_id is in them", faults)


def sampled(consentry, folder):
    """A part of the messages; every session."""
    collector = Collector()
    host, port = collector.server_address
    messages = 2000
    with contextlib.ExitStack() as stack:
        running, listening, admin = proxy(stack, consentry, folder, f"{host}:{port}", "0.1")
        load(consentry, listening, messages, "--system-id", "shop1", "--source", SOURCE)
        until = time.monotonic() + SPANS_MAX
        while not any(span.name == "session" for span in collector.spans()) and time.monotonic() < until:
            time.sleep(0.1)
        received = len(collector.spans())
        while spans_total(admin)["sent"] < received and time.monotonic() < until:
            time.sleep(0.1)
        counts = spans_total(admin)
        running.stop()
    collector.shutdown()
    roots = sum(span.name == "submit_sm" for span in collector.spans())
    # Six standard deviations.
    few, many = messages * 0.1 - 81, messages * 0.1 + 81
    faults = [] if few < roots < many else [f"{roots} of {messages}"]
    faults += [] if counts == {"sent": received, "dropped": 0, "failed": 0} else [f"{counts}, and {received} came"]
    check("a tenth of the messages is sampled where that is asked for, and counted", faults)


def without_collector(consentry, folder):
    with contextlib.ExitStack() as stack:
        running, listening, admin = proxy(stack, consentry, folder, "127.0.0.1:9", "1.0")
        said = load(consentry, listening, 200, "--system-id", "shop1", "--source", SOURCE)
        until = time.monotonic() + SPANS_MAX
        while not spans_total(admin)["failed"] and time.monotonic() < until:
            time.sleep(0.1)
        counts = spans_total(admin)
        with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as answer:
            passed = re.search(r'consentry_verdicts_total\{rule="none",verdict="pass"\} (\d+)', answer.read().decode())
        status = running.stop()
    faults = [] if passed and int(passed[1]) >= 200 else [said[-500:]]
    faults += [] if counts["failed"] > 0 and counts["sent"] == 0 else [str(counts)]
    faults += [] if status == 0 and "spans cannot be delivered" in running.log.read_text() else [f"exit status {status}"]
    check("without a collector messages pass all the same, and the loss is counted", faults)


def test(consentry):
    with tempfile.TemporaryDirectory(prefix="spans.") as temporary:
        folder = pathlib.Path(temporary)
        done = subprocess.run([consentry, "check", "-c", config_of(folder, "127.0.0.1:1", "127.0.0.1:1", "1")], capture_output=True, text=True, timeout=30)
        if done.returncode:
            says_why = [] if "--features otlp" in done.stderr else [done.stderr]
            check("a program without the feature refuses [traces] and says why", says_why)
            missing = "CONSENTRY_TEST_ALL" in os.environ
            check("spans: nothing shown, the program was built without --features otlp", ["it has to be, here"] if missing else [])
            return
        for what in (under_traffic, sampled, without_collector):
            own = folder / what.__name__
            own.mkdir()
            what(consentry, own)
