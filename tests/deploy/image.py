"""The image without an engine: its root, made by the script that the Containerfile runs, in namespaces of this test's own,
read-only, as the image's user, without privileges, with the settings and volumes of compose.yaml and of the manifests."""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

import compose
import container
import kubernetes
from said import check

ROOT = container.ROOT
SEEING = ROOT / "target/seeing/prometheus/usr/bin"
UID = int(container.UID)
# Seconds in which a process must begin, and Prometheus must have scraped.
START_MAX, SCRAPED_MAX = 30, 30
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
MESSAGE = "【示例商城】您的包裹已到，取件码####。"

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, data=None):
    """mount(2); what it does ends with this test's namespace."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if libc.mount(*words, flags, None if data is None else data.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def raise_loopback():
    """A new network namespace has a loopback interface that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, 0x8913, request))[1]
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))


class Holder:
    """A container, as far as the kernel has one: the image's root, what is mounted into it, and a process in it."""

    def __init__(self, folder, image, name):
        self.name, self.root, self.log = name, folder / name, folder / f"{name}.log"
        self.process = None
        # What the runtime makes where something is mounted.
        shutil.copytree(image, self.root, symlinks=True)
        (self.root / "proc").mkdir()
        mount("proc", self.root / "proc", "proc")

    def put(self, source, target, writable=False):
        """Mounts a file or folder of the machine."""
        at = self.root / target.lstrip("/")
        if pathlib.Path(source).is_dir():
            at.mkdir(parents=True, exist_ok=True)
        else:
            at.parent.mkdir(parents=True, exist_ok=True)
            at.touch()
        mount(source, at, flags=MS_BIND)
        if not writable:
            mount(None, at, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)

    def volume(self, target, mode, uid):
        """An empty volume."""
        at = self.root / target.lstrip("/")
        at.mkdir(parents=True, exist_ok=True)
        mount("tmpfs", at, "tmpfs", data=f"mode={mode:o},uid={uid},gid={UID}")
        return at

    def seal(self):
        """The root becomes read-only; volumes stay as they are."""
        mount(self.root, self.root, flags=MS_BIND | MS_REC)
        mount(None, self.root, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)

    def argv(self, words, groups=""):
        return ["setpriv", "--no-new-privs", "/usr/sbin/chroot", f"--userspec={UID}:{UID}", f"--groups={groups}", str(self.root), *words]

    def start(self, words, groups=""):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv(words, groups), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env={})

    def run(self, *words):
        """A command in it, to its end: exit status and what it said."""
        done = subprocess.run(self.argv(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_MAX, cwd="/", env={})
        return done.returncode, (done.stdout + done.stderr).strip()

    def wait_for(self, is_so, what):
        until = time.monotonic() + START_MAX
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.name} does not {what}:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self, most):
        """SIGTERM; its exit status, or None where it took longer than `most` seconds."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(most)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def privileges(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


def get(url, token=None):
    """Status and body, whatever the status is; 0 where nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def bare(folder, consentry):
    """The image's root, and whether it is what an image without a shell should have."""
    image = folder / "image"
    subprocess.run(["bash", ROOT / "deploy/container/root", consentry, image], check=True)
    files = [file.relative_to(image) for file in image.rglob("*") if file.is_file()]
    programs = [str(file) for file in files if os.access(image / file, os.X_OK) and not re.search(r"\.so(\.|$)", file.name)]
    faults = [] if programs == ["usr/bin/consentry"] else [f"it has the programs {programs}"]
    faults += [f"{file} is setuid" for file in files if (image / file).stat().st_mode & 0o6000]
    for words in ("ENTRYPOINT", "HEALTHCHECK"):
        program = container.command(container.FILE.read_text(), words)[0]
        faults += [] if (image / program.lstrip("/")).is_file() else [f"{words} {program} is not in it"]
    for _, rest in container.stages(container.FILE.read_text())[-1]:
        for source in re.findall(r"(/image/\S+)", rest):
            faults += [] if (folder / source.lstrip("/")).exists() else [f"{source} is not made"]
    check(f"the image's root: {len(files)} files, one program, no shell", faults)
    return image


def hardened(proxy):
    """What a process may do that runs as the files of deploy/ have it."""
    said = proxy.privileges()
    faults = [] if said["Uid"].split() == [str(UID)] * 4 else [f"it runs as {said['Uid']}"]
    faults += [] if int(said["CapEff"], 16) == int(said["CapPrm"], 16) == 0 else [f"it has capabilities {said['CapEff']}"]
    faults += [] if said["NoNewPrivs"] == "1" else ["privileges may grow"]
    try:
        (proxy.root / "etc/consentry/other.toml").write_text("")
        faults.append("the root can be written to")
    except OSError:
        pass
    return faults


def under_compose(folder, image, consentry, stack):
    """The proxy and the SMSC of compose.yaml, as it names them, with Prometheus before them."""
    read = compose.load()
    services = read["services"]
    text = container.FILE.read_text()
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost " + " ".join(services) + "\n")
    mount(hosts, "/etc/hosts", flags=MS_BIND)
    made = {"admin.token": "0123456789abcdef\n", "grafana.password": "secret\n"}
    for file, line in made.items():
        (folder / file).write_text(line)
        os.chown(folder / file, UID, UID)
        (folder / file).chmod(0o400)
    holders = {}
    for name in ("smsc", "consentry"):
        service, holder = services[name], Holder(folder, image, name)
        holder.put(hosts, "/etc/hosts")
        for one in service.get("configs", []):
            holder.put(compose.FOLDER / read["configs"][one["source"]]["file"], one["target"])
        for one in service.get("secrets", []):
            file = read["secrets"][one]["file"].removeprefix("./")
            holder.put(folder / file, f"/run/secrets/{one}")
        for source, target in compose.mounts(service):
            # A named volume begins as the image's folder, which the Containerfile gives to its user.
            holder.volume(target, 0o700, UID)
        holder.seal()
        stack.callback(lambda holder=holder: holder.process and holder.process.poll() is None and holder.stop(5))
        holder.start(container.command(text, "ENTRYPOINT") + service.get("command", container.command(text, "CMD")))
        holders[name] = holder
    proxy, health = holders["consentry"], services["consentry"]["healthcheck"]["test"][1:]
    proxy.wait_for(lambda: proxy.run(*health) == (0, "ready"), "become healthy")
    check("compose.yaml's proxy is healthy, by its own health check, in the image's root", hardened(proxy))
    check("the health check of the image is that of compose.yaml", [] if container.command(text, "HEALTHCHECK") == health else ["it is another"])
    loaded = subprocess.run([consentry, "load", "--to", "127.0.0.1:2775", "--system-id", "shop1", "--sessions", "1", "--count", "20",
                             "--source", "106900001234", "--text", MESSAGE], capture_output=True, text=True, timeout=60)
    metrics = get("http://consentry:9464/metrics")[1]
    passed = re.search(r'consentry_verdicts_total\{rule="none",verdict="pass"\} (\d+)', metrics)
    faults = [] if loaded.returncode == 0 and passed and int(passed[1]) >= 20 else [loaded.stderr or metrics[:500]]
    check("messages go through it to compose.yaml's SMSC", faults)
    statuses = [get("http://consentry:9464/api/v1/sessions", token)[0] for token in (None, "0123456789abcde0", "0123456789abcdef")]
    check("its API asks for the token of the secret", [] if statuses == [401, 401, 200] else [str(statuses)])
    prometheus(folder, services["prometheus"], stack)
    grace = compose.seconds(services["consentry"]["stop_grace_period"])
    status = proxy.stop(grace)
    check(f"SIGTERM ends it within {grace} s, in good order", [] if status == 0 else [f"exit status {status}: {proxy.log.read_text()[-500:]}"])
    status, said = proxy.run(*health)
    check("nothing that runs is not healthy", [] if status == 2 and "lost" in said else [f"exit status {status}: {said}"])
    check("the SMSC ends by SIGTERM", [] if holders["smsc"].stop(10) == 0 else ["it does not"])


def prometheus(folder, service, stack):
    """Prometheus by compose.yaml's command and mounts, but for a scrape each second."""
    home = folder / "prometheus"
    home.mkdir()
    for source, target in compose.mounts(service):
        if source.startswith("."):
            shutil.copy(compose.FOLDER / source, home / pathlib.Path(target).name)
    file = home / "prometheus.yml"
    config = yaml.safe_load(file.read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    file.write_text(yaml.safe_dump(config))
    argv = [word.replace("/etc/prometheus", str(home)).replace("=/prometheus", f"={folder}/tsdb") for word in service["command"]]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([SEEING / "prometheus", *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.callback(process.kill)
    until, seen = time.monotonic() + SCRAPED_MAX, []
    while not seen and time.monotonic() < until and process.poll() is None:
        time.sleep(0.2)
        status, body = get('http://prometheus:9090/api/v1/query?query=up{job="consentry"}==1')
        seen = json.loads(body)["data"]["result"] if status == 200 else []
    faults = [] if seen else [(folder / "prometheus.log").read_text()[-800:]]
    groups = json.loads(get("http://prometheus:9090/api/v1/rules")[1] or '{"data":{"groups":[]}}')["data"]["groups"]
    faults += [] if sum(len(group["rules"]) for group in groups) > 20 else ["it has no rules"]
    check("compose.yaml's Prometheus scrapes it by its name, and has rules and alerts", faults)


def under_kubernetes(folder, image, stack):
    """The pod of the StatefulSet, with its config map, secret, volumes and probes."""
    files = kubernetes.load()
    spec = kubernetes.one(files, "StatefulSet")["spec"]["template"]["spec"]
    holder = spec["containers"][0]
    data = folder / "config"
    data.mkdir()
    for name, text in kubernetes.one(files, "ConfigMap")["data"].items():
        (data / name).write_text(text, encoding="utf-8")
    token = folder / "token"
    token.mkdir()
    for name, text in kubernetes.one(files, "Secret")["stringData"].items():
        (token / name).write_text(text)
        # As the kubelet does with fsGroup.
        os.chown(token / name, 0, spec["securityContext"]["fsGroup"])
        (token / name).chmod(next(one["secret"]["defaultMode"] for one in spec["volumes"] if "secret" in one))
    pod = Holder(folder, image, "pod")
    keys = None
    for one in holder["volumeMounts"]:
        if one["name"] in ("config", "token"):
            pod.put({"config": data, "token": token}[one["name"]], one["mountPath"])
        else:
            # A fresh volume belongs to root; fsGroup gives it to the group, with the group's bit.
            volume = pod.volume(one["mountPath"], 0o2775, 0)
            keys = volume if one["name"] == "keys" else keys
    pod.seal()
    stack.callback(lambda: pod.process and pod.process.poll() is None and pod.stop(5))
    words = container.command(container.FILE.read_text(), "ENTRYPOINT") + holder["args"]
    ports = {port["name"]: port["containerPort"] for port in holder["ports"]}

    def probe(name):
        asked = holder[name]["httpGet"]
        return get(f"http://127.0.0.1:{ports[asked['port']]}{asked['path']}")[0] == 200

    group = str(spec["securityContext"]["fsGroup"])
    for what in ("starts", "starts again on the same volumes"):
        pod.start(words, group)
        pod.wait_for(lambda: probe("startupProbe"), "pass its startup probe")
        faults = hardened(pod) + [f"{name} fails" for name in ("livenessProbe", "readinessProbe") if not probe(name)]
        status = pod.stop(spec["terminationGracePeriodSeconds"])
        check(f"the StatefulSet's pod {what}, passes its probes, ends in its grace", faults + ([] if status == 0 else [f"exit status {status}"]))
    changed = [path for path in keys.rglob("*") if path.is_file()]
    for path in changed:
        path.chmod(path.stat().st_mode | 0o060)
    pod.start(words, group)
    try:
        status = pod.process.wait(START_MAX)
    except subprocess.TimeoutExpired:
        status = pod.stop(5)
    refused = status == 2 and "chmod" in pod.log.read_text()[-600:]
    check("with keys that fsGroup opened to the group it does not start", [] if refused and changed else [f"exit status {status}: {pod.log.read_text()[-600:]}"])


def test(consentry, folder):
    raise_loopback()
    image = bare(folder, consentry)
    with contextlib.ExitStack() as stack:
        under_compose(folder, image, consentry, stack)
    with contextlib.ExitStack() as stack:
        under_kubernetes(folder, image, stack)
