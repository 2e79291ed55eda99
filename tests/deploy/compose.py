"""compose.yaml: by the schema of the Compose Specification, and by what such a file has to have in front of an SMSC."""

import json
import pathlib
import re

import check_jsonschema
import jsonschema
import yaml

import container
from said import check, check_rules

ROOT = container.ROOT
FOLDER = ROOT / "deploy/compose"
SCHEMA = pathlib.Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
# Made by whoever installs it.
SECRET_FILES = {"admin.token", "grafana.password", "postgres.password"}


def load(folder=FOLDER):
    # Each service by itself, also where the file says one thing for several.
    return json.loads(json.dumps(yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))))


def by_schema(read):
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in validator.iter_errors(read)]


def seconds(text):
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([hms])", text))


def rules(read, folder=FOLDER):
    faults = by_schema(read)
    if faults:
        return faults
    waits = [(wanted, how["condition"]) for service in read["services"].values() for wanted, how in service.get("depends_on", {}).items()]
    for name, service in read["services"].items():
        ends = (name, "service_completed_successfully") in waits
        wrong = [
            ("no fixed version", not re.search(r":v?\d+\.\d+(\.\d+)?$", service.get("image", ""))),
            ("capabilities", service.get("cap_drop") != ["ALL"] or service.get("cap_add")),
            ("privileges", service.get("privileged") or "no-new-privileges:true" not in service.get("security_opt", [])),
            ("no limit of memory", "mem_limit" not in service),
            ("no limit of processors", "cpus" not in service),
            ("no limit of processes", "pids_limit" not in service),
            ("no health check", "healthcheck" not in service),
            ("does not come back", service.get("restart") != ("no" if ends else "unless-stopped")),
        ]
        if service["image"].startswith("consentry:"):
            wrong += [("may be root", service.get("user") != f"{container.UID}:{container.UID}"), ("a root that is written", service.get("read_only") is not True)]
        for port in service.get("ports", []):
            # What is not SMPP is for this machine, since neither Prometheus nor /metrics ask who asks.
            wrong.append((f"port {port} for everybody", not port.startswith("127.0.0.1:") and port != "2775:2775"))
        for secret in service.get("secrets", []):
            wrong.append((f"secret {secret} is not said", secret not in read["secrets"]))
        for config in service.get("configs", []):
            wrong.append((f"config {config['source']} is not said", config["source"] not in read["configs"]))
        for source, target in mounts(service):
            wrong.append((f"{source} is not there", source.startswith(".") and not (folder / source).exists()))
            wrong.append((f"volume {source} is not said", not source.startswith(".") and source not in read["volumes"]))
        for word, value in service.get("environment", {}).items():
            wrong.append((f"{word} stands in the file", "PASSWORD" in word and not word.endswith("_FILE")))
        for wanted, how in service.get("depends_on", {}).items():
            is_seen = how["condition"] != "service_healthy" or not read["services"][wanted].get("healthcheck", {}).get("disable")
            wrong.append((f"waits for the health of {wanted}, which is not looked at", not is_seen))
        faults += [f"{name}: {what}" for what, is_wrong in wrong if is_wrong]
    for kind in ("secrets", "configs"):
        for name, one in read[kind].items():
            file = one["file"].removeprefix("./")
            faults += [] if (folder / file).exists() != (file in SECRET_FILES) or file not in SECRET_FILES and (folder / file).exists() else [f"{kind} {name}: {file} is not there"]
    for name, service in read["services"].items():
        grace, least = seconds(service.get("stop_grace_period", "10s")), 30 + 2 * 2 + 2 + 10
        is_proxy = service["image"].startswith("consentry:") and "command" not in service
        faults += [f"{name}: {grace} s are too few to drain and close in"] if is_proxy and grace < least else []
    return faults


def mounts(service):
    """(source, target) of each volume of a service."""
    return [tuple(one.split(":")[:2]) for one in service.get("volumes", [])]


def spoil(path, value):
    """A change of one key, by its path; None removes it."""
    def change(read):
        *folders, key = path.split("/")
        for folder in folders:
            read = read[folder]
        if value is None:
            del read[key]
        else:
            read[key] = value
    return change


PROXY = "services/consentry"
MISTAKES = (
    ("a key that there is not", spoil(f"{PROXY}/read_olny", True), "read_olny"),
    ("a port that is no port", spoil(f"{PROXY}/ports", [[2775]]), "ports"),
    ("a volume of another shape", spoil("volumes", ["state"]), "volumes"),
    ("no version", spoil(f"{PROXY}/image", "consentry"), "no fixed version"),
    ("root", spoil(f"{PROXY}/user", "0:0"), "may be root"),
    ("a written root", spoil(f"{PROXY}/read_only", False), "a root that is written"),
    ("capabilities", spoil("services/prometheus/cap_drop", ["NET_RAW"]), "capabilities"),
    ("metrics for everybody", spoil(f"{PROXY}/ports", ["9464:9464"]), "for everybody"),
    ("a volume that nobody declares", spoil("volumes/keys", None), "volume keys"),
    ("a file that is not there", spoil("services/prometheus/volumes", ["./prometheus.yaml:/etc/prometheus/prometheus.yml"]), "is not there"),
    ("a password in the file", spoil("services/grafana/environment/GF_SECURITY_ADMIN_PASSWORD", "admin"), "stands in the file"),
    ("no time to drain", spoil(f"{PROXY}/stop_grace_period", "10s"), "too few"),
    ("an SMSC whose health is waited for", spoil(f"{PROXY}/depends_on/smsc/condition", "service_healthy"), "not looked at"),
    ("no limit", spoil("services/smsc/mem_limit", None), "memory"),
)


def test_copies():
    """The files that differ from deploy/prometheus and deploy/grafana in a name differ in nothing else."""
    faults = []
    for ours, theirs, change in (
        ("prometheus.yml", "deploy/prometheus/prometheus.yml", ("consentry:9464", "127.0.0.1:9464")),
        ("grafana/datasource.yml", "deploy/grafana/provisioning/datasources/consentry.yml", ("http://prometheus:9090", "http://127.0.0.1:9090")),
    ):
        text = (FOLDER / ours).read_text(encoding="utf-8")
        there = yaml.safe_load(text.replace(*change)) == yaml.safe_load((ROOT / theirs).read_text(encoding="utf-8"))
        faults += [] if there and change[0] in text else [f"{ours} is not {theirs} with {change[0]}"]
    check("Prometheus and Grafana have the settings of deploy/", faults)


def test():
    check_rules("compose.yaml", rules, load, MISTAKES)
    test_copies()
