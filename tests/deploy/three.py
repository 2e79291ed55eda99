"""Three nodes: compose file, manifests, HAProxy's file and the script of the two PostgreSQL servers. The script runs here, by the
image's programs that Debian has too; HAProxy's file is what tests/nodes runs behind."""

import copy
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import yaml

import compose
import kubernetes
from said import check, check_rules

ROOT = compose.ROOT
FOLDER = ROOT / "deploy/three-nodes"
NODES = ("proxy-1", "proxy-2", "proxy-3")
# Secrets that its owner makes.
PASSWORD = "0123456789abcdef"
SECONDS_MAX = 60


# Settings.

def config_passes(consentry, text):
    """What `consentry check` says against a configuration of deploy/three-nodes, its secrets elsewhere."""
    with tempfile.TemporaryDirectory(prefix="three.") as folder:
        folder = pathlib.Path(folder)
        shutil.copy(FOLDER / "registry.toml", folder)
        for secret in set(re.findall(r'"(/run/secrets/[^"]+)"', text)):
            file = folder / pathlib.Path(secret).name
            file.write_text(PASSWORD + "\n")
            file.chmod(0o440)
            text = text.replace(secret, str(file))
        (folder / "consentry.toml").write_text(text, encoding="utf-8")
        done = subprocess.run([consentry, "check", "--json", "-c", folder / "consentry.toml"], capture_output=True, text=True, timeout=30)
        return [] if done.returncode == 0 else [done.stderr.strip()]


# Compose.

def together(read):
    """What the compose file says besides the rules of every compose file."""
    faults = compose.rules(read, FOLDER)
    if faults:
        return faults
    services = read["services"]
    config = (FOLDER / "consentry.toml").read_text(encoding="utf-8")
    front = services["haproxy"]
    asked = set(re.findall(r'"\$\{(\w+)\}"', (FOLDER / "haproxy.cfg").read_text(encoding="utf-8")))
    address = front["networks"]["default"]["ipv4_address"]
    wrong = [
        ("haproxy.cfg wants other names", asked != set(front["environment"])),
        ("[[listen]] proxy_protocol does not name HAProxy alone", f'proxy_protocol = ["{address}"]' not in config),
        ("[cluster] nodes is another number", f"nodes = {len(NODES)}" not in config),
        ("the engine is looked for elsewhere", "consentry@postgres-1,postgres-2/consent?target_session_attrs=read-write" not in config),
    ]
    volumes = []
    for at, name in enumerate(NODES, 1):
        node = services[name]
        volumes += [source for source, _ in compose.mounts(node)]
        wrong += [(f"{name} is called otherwise", node.get("hostname") != name),
                  (f"HAProxy leads elsewhere than to {name}", front["environment"][f"PROXY_{at}"] != f"{name}:2775"),
                  (f"HAProxy asks {name} elsewhere", f'address = "0.0.0.0:{front["environment"][f"PROXY_{at}_ADMIN"]}"' not in config),
                  (f"{name} does not wait for the schema", node["depends_on"].get("migrate", {}).get("condition") != "service_completed_successfully")]
    engines = [services["postgres-1"], services["postgres-2"]]
    volumes += [source for engine in engines for source, _ in compose.mounts(engine)]
    wrong += [
        ("two share a volume", len(set(volumes)) != len(volumes)),
        ("the servers of the engine are not each other's peer", [one["environment"]["PEER"] for one in engines] != ["postgres-2", "postgres-1"]),
        ("not exactly one server may begin", ["yes"] != [one["environment"]["FIRST"] for one in engines if "FIRST" in one["environment"]]),
    ]
    return [what for what, is_wrong in wrong if is_wrong]


COMPOSE_MISTAKES = (
    ("a node with another's name", compose.spoil("services/proxy-2/hostname", "proxy-1"), "proxy-2 is called"),
    ("a node with another's journal", compose.spoil("services/proxy-2/volumes", ["state-1:/var/lib/consentry"]), "share a volume"),
    ("a front that leads twice to one", compose.spoil("services/haproxy/environment/PROXY_2", "proxy-1:2775"), "leads elsewhere"),
    ("a name that HAProxy lacks", compose.spoil("services/haproxy/environment/HAPROXY_SOURCE", None), "other names"),
    ("another address of HAProxy", compose.spoil("services/haproxy/networks/default/ipv4_address", "172.30.77.11"), "proxy_protocol"),
    ("two beginnings", compose.spoil("services/postgres-2/environment/FIRST", "yes"), "exactly one"),
    ("a server that is its own peer", compose.spoil("services/postgres-2/environment/PEER", "postgres-2"), "peer"),
    ("a schema that comes back", compose.spoil("services/migrate/restart", "unless-stopped"), "does not come back"),
    ("a node before its schema", compose.spoil("services/proxy-3/depends_on/migrate/condition", "service_started"), "schema"),
)


# Kubernetes: what kustomize would make of the patches, as far as these use it.

def merged(base, patch):
    """A strategic merge: maps key by key; lists are replaced, since those of the patches are no lists of containers."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {key: merged(base.get(key), patch[key]) if key in patch else base[key] for key in [*base, *(key for key in patch if key not in base)]}
    return patch


def load():
    """Each file's documents, the patched ones in the place of the base's."""
    files = kubernetes.load()
    overlay = {file.name: list(yaml.safe_load_all(file.read_text(encoding="utf-8"))) for file in sorted((FOLDER / "kubernetes").glob("*.yaml"))}
    kustomization = overlay["kustomization.yaml"][0]
    for patch in kustomization["patches"]:
        for one in overlay.pop(patch["path"]):
            for documents in files.values():
                for at, found in enumerate(documents):
                    if (found.get("kind"), found.get("metadata", {}).get("name")) == (one["kind"], one["metadata"]["name"]):
                        documents[at] = merged(found, one)
    files["secret.example.yaml"] = overlay.pop("secret.example.yaml")
    base = files["kustomization.yaml"][0]
    overlay["kustomization.yaml"] = [{**kustomization, "resources": base["resources"] + kustomization["resources"][1:]}]
    return {**files, **overlay}


def pods(files):
    return [one["spec"]["template"]["spec"] for one in kubernetes.objects(files) if one["kind"] in ("StatefulSet", "Job")]


def restricted(files):
    return [fault for pod in pods(files) for fault in kubernetes.restricted(pod)]


def consistent(files, consentry):
    """What one manifest says that another does not know; what is the proxies' is held to the rules of one node as well."""
    own = {name: documents for name, documents in files.items() if name not in ("postgres.yaml", "migrate.yaml")}
    faults = kubernetes.consistent(own, consentry, replicas=3, applied=set(files))
    stateful = kubernetes.one(files, "StatefulSet", "postgres")
    holder = stateful["spec"]["template"]["spec"]["containers"][0]
    config = kubernetes.one(files, "ConfigMap", "consentry")["data"]["consentry.toml"]
    proxies, job = kubernetes.one(files, "StatefulSet", "consentry"), kubernetes.one(files, "Job", "migrate")
    mounts = {mount["name"] for mount in holder["volumeMounts"]}
    volumes = {volume["name"] for volume in stateful["spec"]["template"]["spec"]["volumes"]}
    policy = kubernetes.one(files, "NetworkPolicy", "postgres")["spec"]
    let_in = policy["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"]
    labels = [one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] for one in (proxies, job, stateful)]
    reached = [target["podSelector"]["matchLabels"] for rule in kubernetes.one(files, "NetworkPolicy", "consentry")["spec"]["egress"]
               for target in rule["to"] if "podSelector" in target]
    script = (FOLDER / "postgres.sh").read_text(encoding="utf-8")
    wrong = [
        ("the script is not deploy/three-nodes/postgres.sh", kubernetes.one(files, "ConfigMap", "postgres")["data"]["postgres.sh"] != script),
        ("not two servers", stateful["spec"]["replicas"] != 2),
        ("the engine is looked for elsewhere", "consentry@postgres-0.postgres,postgres-1.postgres/consent?target_session_attrs=read-write" not in config),
        (f"[cluster] nodes is not {proxies['spec']['replicas']}", f"nodes = {proxies['spec']['replicas']}" not in config),
        ("volumes are not both said and mounted", mounts != volumes | {one["metadata"]["name"] for one in stateful["spec"]["volumeClaimTemplates"]}),
        ("the service does not select the servers", kubernetes.one(files, "Service", "postgres")["spec"]["selector"].items() > stateful["spec"]["template"]["metadata"]["labels"].items()),
        (f"the engine's policy lets {let_in} in, not {labels}", sorted(let_in) != sorted(labels)),
        ("the proxies may not reach the engine", {"app.kubernetes.io/name": "postgres"} not in reached),
        ("the schema's job is another image", job["spec"]["template"]["spec"]["containers"][0]["image"] != "consentry"),
        ("one that is away is too many", kubernetes.one(files, "PodDisruptionBudget", "consentry")["spec"]["minAvailable"] != proxies["spec"]["replicas"] - 1),
        ("the servers see the token", [item["key"] for item in next(volume for volume in stateful["spec"]["template"]["spec"]["volumes"] if volume["name"] == "password")
                                       ["secret"].get("items", [{"key": "admin.token"}])] != ["postgres.password"]),
    ]
    return faults + [what for what, is_wrong in wrong if is_wrong]


def spoil(name, kind, path, value):
    """A change of one key of the object of that name."""
    def change(files):
        *folders, key = path.split("/")
        place = kubernetes.one(files, kind, name)
        for folder in folders:
            place = place[int(folder) if folder.isdigit() else folder]
        place[key] = value
    return change


POD = "spec/template/spec"
MANIFEST_MISTAKES = (
    ("two nodes", spoil("consentry", "StatefulSet", "spec/replicas", 2), "writer"),
    ("one server", spoil("postgres", "StatefulSet", "spec/replicas", 1), "not two servers"),
    ("another script", spoil("postgres", "ConfigMap", "data/postgres.sh", "exec postgres\n"), "the script"),
    ("a job that may not ask", spoil("postgres", "NetworkPolicy", "spec/ingress/0/from/0/podSelector/matchExpressions/0/values", ["consentry", "postgres"]), "policy lets"),
    ("nodes that may not ask", spoil("consentry", "NetworkPolicy", "spec/egress/1/to/0/podSelector/matchLabels", {"app.kubernetes.io/name": "mysql"}), "reach the engine"),
    ("two away", spoil("consentry", "PodDisruptionBudget", "spec/minAvailable", 1), "too many"),
    ("a token for the engine", spoil("postgres", "StatefulSet", f"{POD}/volumes/1/secret/items", [{"key": "admin.token", "path": "x"}]), "token"),
    ("a file that is not applied", lambda files: files["kustomization.yaml"][0]["resources"].remove("postgres.yaml"), "leaves out"),
)
SECURITY_MISTAKES = (
    ("a server that is root", spoil("postgres", "StatefulSet", f"{POD}/securityContext/runAsUser", 0), "may be root"),
    ("a server with a written root", spoil("postgres", "StatefulSet", f"{POD}/containers/0/securityContext/readOnlyRootFilesystem", False), "written"),
    ("a job that may grow", spoil("migrate", "Job", f"{POD}/containers/0/securityContext/allowPrivilegeEscalation", True), "may grow"),
)


# The engine's script.

class Server:
    """The container of one PostgreSQL server, without the container."""

    def __init__(self, folder, bin, name, port, peer, first):
        self.log, self.data, self.process, self.port, self.bin = folder / f"{name}.log", folder / name / "data", None, port, bin
        self.password = folder / "password"
        (folder / name).mkdir()
        shutil.chown(folder / name, "nobody")
        self.environment = {"PATH": f"{bin}:/usr/bin:/bin", "PGDATA": str(self.data), "PGPORT": str(port), "PEER": "127.0.0.1",
                            "PEER_PORT": str(peer), "PASSWORD_FILE": str(self.password), **({"FIRST": "yes"} if first else {})}

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["/bin/sh", str(FOLDER / "postgres.sh")], env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/", user="nobody", group="nogroup", extra_groups=[])

    def ask(self, sql):
        """The answer, or what went wrong."""
        done = subprocess.run([self.bin / "psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U", "consentry", "-d", "consent", "-c", sql],
                              env={"PGPASSWORD": self.password.read_text().strip(), "PGCONNECT_TIMEOUT": "5"}, capture_output=True, text=True, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else f"{done.stderr.strip()}"

    def until(self, sql, answer):
        """What is wrong when the answer does not come in time."""
        until = time.monotonic() + SECONDS_MAX
        while (found := self.ask(sql)) != answer:
            if time.monotonic() > until or self.process.poll() is not None:
                return [f"{sql}: {found}, not {answer}\n{self.log.read_text()[-1500:]}"]
            time.sleep(0.1)
        return []

    def end(self, number=signal.SIGQUIT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(SECONDS_MAX)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_script():
    """Two empty volumes become primary and standby; the standby is promoted; the old primary does not come back beside it, and
    becomes its standby once its volume is empty."""
    bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    with tempfile.TemporaryDirectory(prefix="three.", ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "password").chmod(0o444)
        ports = free_port(), free_port()
        one, two = (Server(folder, bin, name, port, peer, first) for name, port, peer, first in
                    (("one", *ports, True), ("two", *reversed(ports), False)))
        try:
            two.start()
            one.start()
            faults = one.until("SELECT sync_state FROM pg_stat_replication", "sync")
            check("postgres.sh: two empty volumes become a primary and its synchronous standby", faults or two.until("SELECT pg_is_in_recovery()", "t"))
            one.ask("CREATE TABLE said (what text)")
            one.ask("INSERT INTO said VALUES ('stop')")
            one.end()
            subprocess.run([bin / "pg_ctl", "promote", "-w", "-D", two.data], user="nobody", group="nogroup", extra_groups=[], cwd="/", check=True, capture_output=True)
            check("postgres.sh: the standby is promoted with all that was confirmed", two.until("SELECT what FROM said", "stop"))
            one.start()
            status = one.process.wait(SECONDS_MAX)
            check("postgres.sh: the old primary does not start beside the new one", [] if status == 1 and "Empty this volume" in one.log.read_text() else [f"{status}"])
            shutil.rmtree(one.data)
            one.start()
            faults = two.until("SELECT sync_state FROM pg_stat_replication", "sync")
            check("postgres.sh: its volume emptied, it is the new one's standby", faults or one.until("SELECT what FROM said", "stop"))
        finally:
            one.end()
            two.end()


def test_front():
    """HAProxy takes its file with the environment of the compose file."""
    environment = {name: str(value) for name, value in compose.load(FOLDER)["services"]["haproxy"]["environment"].items()}
    done = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", FOLDER / "haproxy.cfg"], env={**os.environ, **environment}, capture_output=True, text=True, timeout=30)
    check("HAProxy takes deploy/three-nodes/haproxy.cfg", [] if done.returncode == 0 else [done.stderr.strip()])


def test(consentry):
    check_rules("compose.yaml of three nodes", together, functools.partial(compose.load, FOLDER), COMPOSE_MISTAKES)
    check("the configuration of three nodes passes consentry check", config_passes(consentry, (FOLDER / "consentry.toml").read_text(encoding="utf-8")))
    files = load()
    anew = functools.partial(copy.deepcopy, files)
    check_rules(f"{len(kubernetes.objects(files))} manifests of three nodes, by the schemas of Kubernetes", kubernetes.by_schema, anew, ())
    check_rules("their pods, by the pod security standard restricted", restricted, anew, SECURITY_MISTAKES)
    check_rules("they, with each other and with the binary", functools.partial(consistent, consentry=consentry), anew, MANIFEST_MISTAKES)
    test_front()
    test_script()
