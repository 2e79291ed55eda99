"""The manifests: by Kubernetes' own schemas, by its pod security standard "restricted", and by each other."""

import copy
import json
import pathlib
import re
import subprocess
import tempfile

import kubernetes_validate
import yaml

import container
from said import check, check_rules

ROOT = container.ROOT
FOLDER = ROOT / "deploy/kubernetes"
# The oldest that statefulset.yaml names, and the newest that there are schemas for here.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
# Not applied: an example, and what needs the Prometheus operator.
APART = {"secret.example.yaml", "servicemonitor.yaml"}
# serve::LAST_GRACE, and time to close the journal.
LAST_GRACE_S, JOURNAL_S = 2, 10


def load():
    """Each file's documents."""
    return {file.name: list(yaml.safe_load_all(file.read_text(encoding="utf-8"))) for file in sorted(FOLDER.glob("*.yaml"))}


def objects(files):
    return [one for name, documents in files.items() if name != "kustomization.yaml" for one in documents]


def one(files, kind, name=None):
    return next(found for found in objects(files) if found["kind"] == kind and name in (None, found["metadata"]["name"]))


def by_schema(files):
    faults = []
    for found in objects(files):
        if found["kind"] == "ServiceMonitor":
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(found, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as fault:
                faults.append(f"{found['kind']} {found['metadata']['name']}, {version}: {getattr(fault, 'message', fault)}")
    return faults


# kubernetes.io/docs/concepts/security/pod-security-standards, Baseline and Restricted: what each control allows.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SECCOMP = ({"type": "RuntimeDefault"}, {"type": "Localhost"})


def restricted(pod):
    """What of a pod's spec the standard "restricted" does not allow."""
    faults = [f"{key} is shared with the node" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    for volume in pod.get("volumes", []):
        faults += [f"volume {volume['name']} is a {kind}" for kind in volume if kind not in VOLUMES | {"name"}]
    own = pod.get("securityContext", {})
    faults += ["sysctls"] if own.get("sysctls") else []
    for holder in pod.get("containers", []) + pod.get("initContainers", []):
        context, name = holder.get("securityContext", {}), holder["name"]
        said = {**own, **context}
        capabilities = context.get("capabilities", {})
        seccomp = {"type": said.get("seccompProfile", {}).get("type")}
        for what, is_wrong in (
            ("privileged", context.get("privileged")),
            ("privileges may grow", context.get("allowPrivilegeEscalation") is not False),
            ("may be root", said.get("runAsNonRoot") is not True or said.get("runAsUser") == 0),
            ("capabilities", "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}),
            ("seccomp", seccomp not in SECCOMP),
            ("host port", any(port.get("hostPort") for port in holder.get("ports", []))),
            ("procMount", context.get("procMount", "Default") != "Default"),
            ("SELinux", said.get("seLinuxOptions", {}).get("user") or said.get("seLinuxOptions", {}).get("role")),
            # Not in the standard: ours.
            ("a root that is written", context.get("readOnlyRootFilesystem") is not True),
            ("no limit of memory", "memory" not in holder.get("resources", {}).get("limits", {})),
        ):
            faults += [f"{name}: {what}"] if is_wrong else []
    return faults


def settings(files, consentry):
    """What `consentry check` reads of the config map, each name with its value; or why it does not."""
    data = one(files, "ConfigMap")["data"]
    token = one(files, "Secret")["stringData"]
    with tempfile.TemporaryDirectory(prefix="config.") as folder:
        folder = pathlib.Path(folder)
        for name, text in data.items():
            (folder / name).write_text(text, encoding="utf-8")
        file = folder / "admin.token"
        file.write_text(token["admin.token"])
        file.chmod(0o440)
        written = data["consentry.toml"].replace("/run/secrets/consentry/admin.token", str(file))
        # Where there is an engine.
        if password := token.get("postgres.password"):
            file = folder / "postgres.password"
            file.write_text(password)
            file.chmod(0o440)
            written = written.replace("/run/secrets/consentry/postgres.password", str(file))
        (folder / "consentry.toml").write_text(written, encoding="utf-8")
        done = subprocess.run([consentry, "check", "--json", "-c", folder / "consentry.toml"], capture_output=True, text=True, timeout=30)
    if done.returncode:
        return None, [done.stderr.strip()]
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    return facts, []


def seconds(text):
    count, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)", text).groups()
    return float(count) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def consistent(files, consentry, replicas=1, applied=None):
    """What one manifest says that another, or the binary, does not know. `applied`: the files that the kustomization knows,
    where they are more."""
    facts, faults = settings(files, consentry)
    if faults:
        return faults
    config = one(files, "ConfigMap")["data"]["consentry.toml"]
    stateful, pod = one(files, "StatefulSet"), one(files, "StatefulSet")["spec"]["template"]
    spec, labels = pod["spec"], pod["metadata"]["labels"]
    holder = spec["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in holder["ports"]}

    def value(kind, name):
        return next(fact["value"] for fact in facts if (fact["kind"], fact["name"]) == (kind, name))

    def says(what, is_so):
        if not is_so:
            faults.append(what)

    listening = [int(fact["name"].rpartition(":")[2]) for fact in facts if fact["kind"] == "listen"]
    admin = int(re.search(r'\[admin\]\naddress = "0\.0\.0\.0:(\d+)"', config)[1])
    says(f"the pod's ports {ports} are not those of consentry.toml", ports == {"smpp": listening[0], "admin": admin} and len(listening) == 1)
    says("the image exposes other ports", sorted(ports.values()) == sorted(container.exposed(container.FILE.read_text())))
    says("the pod starts something else than the image", holder["args"] == container.command(container.FILE.read_text(), "CMD"))
    # One, or three with one engine.
    says("another number of writers", stateful["spec"]["replicas"] == replicas)
    for name, chosen in [("StatefulSet", stateful["spec"]["selector"]["matchLabels"]), ("PodDisruptionBudget", one(files, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]),
                         ("NetworkPolicy", one(files, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])] + [
                             (f"Service {found['metadata']['name']}", found["spec"]["selector"]) for found in objects(files) if found["kind"] == "Service"]:
        says(f"{name} does not select the pod", chosen.items() <= labels.items())
    for found in objects(files):
        if found["kind"] == "Service":
            for port in found["spec"]["ports"]:
                says(f"Service {found['metadata']['name']}: no port {port['targetPort']}", ports.get(port["targetPort"]) == port["port"])
    headless = one(files, "Service", stateful["spec"]["serviceName"])
    says("the StatefulSet's service has an address", headless["spec"].get("clusterIP") == "None")
    balancer = next(found for found in objects(files) if found["kind"] == "Service" and found["spec"].get("type") == "LoadBalancer")
    says("the ESME's own address is lost", balancer["spec"].get("externalTrafficPolicy") == "Local")
    says("the admin port is public", all(port["name"] == "smpp" for port in balancer["spec"]["ports"]))
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = holder[probe]["httpGet"]
        says(f"{probe} asks {asked}", asked == {"path": path, "port": "admin"})
    policy = one(files, "NetworkPolicy")["spec"]
    opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    says(f"NetworkPolicy opens {opened}", opened == set(ports))
    says("NetworkPolicy lets everybody in", all(rule.get("from") for rule in policy["ingress"]))
    reached = {(target["ipBlock"]["cidr"].removesuffix("/32"), port["port"]) for rule in policy["egress"] for target in rule["to"] if "ipBlock" in target for port in rule["ports"]}
    smscs = {(address.rpartition(":")[0], int(address.rpartition(":")[2])) for fact in facts if fact["kind"] == "listen" for address in fact["smsc"]}
    says(f"NetworkPolicy does not let the SMSC be reached: {smscs - reached}", smscs <= reached)
    mounted = {mount["name"]: mount["mountPath"] for mount in holder["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]} | {claim["metadata"]["name"]: claim for claim in stateful["spec"]["volumeClaimTemplates"]}
    says(f"volumes {set(volumes) ^ set(mounted)} are not both said and mounted", set(volumes) == set(mounted))
    says("the config map has another name", volumes["config"]["configMap"]["name"] == one(files, "ConfigMap")["metadata"]["name"])
    secret = one(files, "Secret")
    says("the secret has another name", volumes["token"]["secret"]["secretName"] == secret["metadata"]["name"])
    for key in secret["stringData"]:
        says(f"{key} is not where consentry.toml looks for it", f'= "{mounted["token"]}/{key}"' in config)
    says("the token is not where consentry.toml looks for it", any(f'token_file = "{mounted["token"]}/{key}"' in config for key in secret["stringData"]))
    says("others may read the token", volumes["token"]["secret"]["defaultMode"] & 0o007 == 0)
    ledger = "consent.path" if replicas == 1 else "consent.outbox"
    for key, claim in (("audit.path", "state"), (ledger, "state"), ("audit.keys", "keys")):
        says(f"{key} is not on the volume {claim}", value("settings", key).startswith(f"{mounted[claim]}/"))
    says("the files are looked for elsewhere than the image does", mounted["config"] == "/etc/consentry")
    sleep = holder["lifecycle"]["preStop"]["sleep"]["seconds"]
    least = sleep + seconds(value("timeouts", "drain")) + 2 * seconds(value("timeouts", "close")) + LAST_GRACE_S + JOURNAL_S
    says(f"terminationGracePeriodSeconds is below {least:.0f}", spec["terminationGracePeriodSeconds"] >= least)
    says("fsGroup changes the modes of keys", spec["securityContext"].get("fsGroupChangePolicy") == "OnRootMismatch")
    space = one(files, "Namespace")["metadata"]
    says("the namespace lets anything in", space["labels"].get("pod-security.kubernetes.io/enforce") == "restricted")
    for found in objects(files):
        says(f"{found['kind']} is in another namespace", found["kind"] == "Namespace" or found["metadata"].get("namespace") == space["name"])
    kustomization = files["kustomization.yaml"][0]
    applied = (applied or set(files)) - APART - {"kustomization.yaml"}
    says(f"kustomization.yaml leaves out {applied - set(kustomization['resources'])}", set(kustomization["resources"]) == applied)
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    image = kustomization["images"][0]
    says("the image is not this version's", (image["name"], image["newTag"]) == (holder["image"], version))
    monitor = one(files, "ServiceMonitor")["spec"]
    chosen = [found for found in objects(files) if found["kind"] == "Service" and monitor["selector"]["matchLabels"].items() <= found["metadata"]["labels"].items()]
    says("the ServiceMonitor does not choose the headless service alone", chosen == [headless] and headless["metadata"]["name"] == "consentry")
    says("the ServiceMonitor's port is not there", monitor["endpoints"][0]["port"] in ports)
    return faults


def spoil(kind, path, value):
    """A change of one key of an object, by its path; None removes it."""
    def change(files):
        place = one(files, kind)
        *folders, key = path.split("/")
        for folder in folders:
            place = place[int(folder) if folder.isdigit() else folder]
        if value is None:
            del place[key]
        else:
            place[key] = value
    return change


def in_config(before, after):
    def change(files):
        data = one(files, "ConfigMap")["data"]
        assert before in data["consentry.toml"]
        data["consentry.toml"] = data["consentry.toml"].replace(before, after)
    return change


POD = "spec/template/spec"
HOLDER = f"{POD}/containers/0"
SCHEMA_MISTAKES = (
    ("a key that there is not", spoil("StatefulSet", f"{HOLDER}/livenesProbe", {}), "livenesProbe"),
    ("a port that is no number", spoil("StatefulSet", f"{HOLDER}/ports/0/containerPort", "2775"), "2775"),
    ("an old kind", spoil("PodDisruptionBudget", "apiVersion", "policy/v1beta1"), "PodDisruptionBudget"),
    ("a service without ports of a shape", spoil("Service", "spec/ports", {"port": 1}), "Service"),
    ("a policy of another shape", spoil("NetworkPolicy", "spec/ingress", "all"), "NetworkPolicy"),
)
SECURITY_MISTAKES = (
    ("the node's network", lambda pod: pod.update(hostNetwork=True), "hostNetwork"),
    ("the node's folders", lambda pod: pod["volumes"].append({"name": "node", "hostPath": {"path": "/"}}), "hostPath"),
    ("root", lambda pod: pod["securityContext"].update(runAsUser=0), "may be root"),
    ("root by the image", lambda pod: pod["securityContext"].pop("runAsNonRoot"), "may be root"),
    ("no seccomp", lambda pod: pod["securityContext"].pop("seccompProfile"), "seccomp"),
    ("seccomp off", lambda pod: pod["securityContext"].update(seccompProfile={"type": "Unconfined"}), "seccomp"),
    ("capabilities", lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"), "capabilities"),
    ("a capability more", lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "capabilities"),
    ("privileged", lambda pod: pod["containers"][0]["securityContext"].update(privileged=True), "privileged"),
    ("growing privileges", lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"), "may grow"),
    ("a host port", lambda pod: pod["containers"][0]["ports"][0].update(hostPort=2775), "host port"),
    ("a sysctl", lambda pod: pod["securityContext"].update(sysctls=[{"name": "net.core.somaxconn", "value": "1"}]), "sysctls"),
    ("a written root", lambda pod: pod["containers"][0]["securityContext"].update(readOnlyRootFilesystem=False), "written"),
)
TOGETHER_MISTAKES = (
    ("a setting that there is not", in_config("durability", "durabilty"), "durabilty"),
    ("another port of the proxy", in_config("0.0.0.0:2775", "0.0.0.0:2777"), "ports"),
    ("another admin port", in_config("0.0.0.0:9464", "0.0.0.0:9465"), "ports"),
    ("another SMSC", in_config("192.0.2.10:2775", "192.0.2.11:2775"), "NetworkPolicy"),
    ("keys beside nothing", in_config("/var/lib/consentry-keys/keys", "/keys"), "audit.keys"),
    ("a journal on no volume", in_config("/var/lib/consentry/audit", "/audit"), "audit.path"),
    ("a longer drain", in_config('drain = "30s"', 'drain = "50s"'), "terminationGracePeriodSeconds"),
    ("two writers", spoil("StatefulSet", "spec/replicas", 2), "writers"),
    ("no such port", spoil("StatefulSet", f"{HOLDER}/readinessProbe/httpGet/port", "http"), "readinessProbe"),
    ("no such path", spoil("StatefulSet", f"{HOLDER}/livenessProbe/httpGet/path", "/health"), "livenessProbe"),
    ("other labels", spoil("StatefulSet", "spec/template/metadata/labels", {"app": "consentry"}), "select"),
    ("a token for all", spoil("StatefulSet", f"{POD}/volumes/1/secret/defaultMode", 0o444), "token"),
    ("another secret", spoil("StatefulSet", f"{POD}/volumes/1/secret/secretName", "token"), "secret"),
    ("a second hop", lambda files: files["services.yaml"][1]["spec"].update(externalTrafficPolicy="Cluster"), "address is lost"),
    ("a public admin port", lambda files: files["services.yaml"][1]["spec"]["ports"].append({"name": "admin", "port": 9464, "targetPort": "admin"}), "public"),
    ("a file that is not applied", lambda files: files["kustomization.yaml"][0]["resources"].remove("network.yaml"), "leaves out"),
    ("another version", lambda files: files["kustomization.yaml"][0]["images"][0].update(newTag="0.0.9"), "version"),
    ("keys whose modes change", spoil("StatefulSet", f"{POD}/securityContext/fsGroupChangePolicy", "Always"), "keys"),
)


def test(consentry):
    files = load()

    def anew():
        return copy.deepcopy(files)

    def pod():
        return one(anew(), "StatefulSet")["spec"]["template"]["spec"]

    check_rules(f"{len(objects(files))} manifests, by the schemas of Kubernetes {' and '.join(VERSIONS)}", by_schema, anew, SCHEMA_MISTAKES)
    check_rules("the pod, by the pod security standard restricted", restricted, pod, SECURITY_MISTAKES)
    check_rules("the manifests, with each other and with the binary", lambda files: consistent(files, consentry), anew, TOGETHER_MISTAKES)
