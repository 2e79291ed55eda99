#!/usr/bin/env python3
"""Foreign ESMEs and a foreign SMSC over TLS, and behind a real HAProxy that says whose connection it leads.

    tests/interop/tls.py --consentry BIN

smpplib and npm smpp bind over TLS with certificates of their own, to a proxy that goes on to npm smpp's SMSC over TLS. Then
HAProxy stands before the proxy (send-proxy, send-proxy-v2) and behind it (accept-proxy): the registry lets a provider in
only from the address that the header carries, and the second HAProxy must see the ESME's own port. Needs what
tests/interop/install brings.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from run import (CODE, CLIENT_SECONDS_MAX, DESTINATION, ESMES, FOREIGN_CODE, PASSWORD, SMSCS, START_SECONDS_MAX, Cannot, Process,
                 Tally, consentry_port, smsc_port)

HAPROXY = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
# From where HAProxy connects: not from where the ESMEs do.
BALANCER = "127.0.0.2"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
# Whose scripts can speak TLS.
ESMES = {name: ESMES[name] for name in ("smpplib", "nodesmpp")}


def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise Cannot(f"openssl {arguments[0]}: {done.stderr}")


def certificates(folder):
    """An authority, and certificates of proxy, SMSC and ESMEs."""
    openssl(folder, "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "30")
    for name in ("proxy", "smsc", *ESMES):
        (folder / "extensions").write_text(f"subjectAltName=DNS:{name}.example\n")
        openssl(folder, "req", "-new", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", "extensions", "-out", f"{name}.pem")


def write_config(folder, smsc, listen, provider):
    """A proxy of one listener, and a provider for each ESME."""
    providers = "".join(f"""\
[[provider]]
name       = "互通测试{number}有限公司"
system_ids = ["{name}"]
licence    = {{ number = "B2-{number}", valid_until = 2099-12-31 }}
identity   = "verified"
{provider.format(name=name)}
[[provider.code]]
number     = "{code(number)}"
digits_max = 20
purpose    = "service"
""" for number, name in enumerate(ESMES))
    (folder / "registry.toml").write_text(providers, encoding="utf-8")
    config = folder / "consentry.toml"
    config.write_text(f"""\
[[listen]]
address = "127.0.0.1:0"
smsc    = ["127.0.0.1:{smsc}"]
{listen}
[registry]
file = "registry.toml"
[audit]
path = "audit"
durability = "written"
[admin]
address = "127.0.0.1:0"
""", encoding="utf-8")
    return config


def code(number):
    """The code of the ESME of that number."""
    return str(int(CODE) + 1111 * number)


def client(name, port, log, environment=None):
    """Plays an ESME; its exit status and what it said."""
    number = list(ESMES).index(name)
    argv = [*ESMES[name][0], "--port", str(port), "--system-id", name, "--password", PASSWORD, "--source", code(number),
            "--destination", DESTINATION, "--smsc-log", str(log), "--foreign-source", FOREIGN_CODE]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=CLIENT_SECONDS_MAX, env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired:
        return None, "not done in time"
    return done.returncode, done.stdout


def tls_of(folder, name):
    """What the scripts are told of TLS."""
    return {"SMPP_CA": str(folder / "ca.pem"), "SMPP_SERVER_NAME": "proxy.example", "SMPP_CERTIFICATE": str(folder / f"{name}.pem"),
            "SMPP_KEY": str(folder / f"{name}.key")}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def haproxy(started, name, folder, to, bind="", server=""):
    """HAProxy before that port; its own, once the kernel says that it listens. Looking is no connection."""
    port, config = free_port(), folder / f"{name}.cfg"
    config.write_text(f"""\
global
    log stdout format raw local0
defaults
    mode tcp
    log global
    log-format "from %ci:%cp"
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend esme
    bind 127.0.0.1:{port} {bind}
    default_backend smsc
backend smsc
    server one 127.0.0.1:{to} {server}
""")
    process = Process(name, [HAPROXY, "-db", "-f", str(config)], folder / f"{name}.out")
    started.append(process)
    until, wanted = time.monotonic() + START_SECONDS_MAX, f"0100007F:{port:04X} 00000000:0000 0A"
    while wanted not in pathlib.Path("/proc/self/net/tcp").read_text():
        if time.monotonic() > until or process.process.poll() is not None:
            raise Cannot(f"HAProxy does not listen:\n{process.tail()}")
        time.sleep(0.01)
    return process, port


def smsc(started, folder, environment=None):
    log = folder / "smsc.ndjson"
    log.touch()
    process = Process("npm smpp", [*SMSCS["node smpp"], "0", str(log)], folder / "smsc.out", {**os.environ, **(environment or {})})
    started.append(process)
    return process.wait_for_line(smsc_port), log


def proxy(started, consentry, config, folder):
    process = Process("consentry", [consentry, "run", "-c", str(config)], folder / "consentry.out")
    started.append(process)
    return process, process.wait_for_line(consentry_port)


def encrypted(tally, consentry, folder, started):
    """TLS on both legs."""
    certificates(folder)
    port, log = smsc(started, folder, {"SMPP_CERTIFICATE": str(folder / "smsc.pem"), "SMPP_KEY": str(folder / "smsc.key")})
    listen = ('tls = { certificate = "proxy.pem", key = "proxy.key", client_ca = "ca.pem" }\n'
              'smsc_tls = { ca = "ca.pem", name = "smsc.example" }')
    config = write_config(folder, port, listen, 'certificates = ["dns:{name}.example"]')
    process, port = proxy(started, consentry, config, folder)
    for name in ESMES:
        status, said = client(name, port, log, tls_of(folder, name))
        tally.check(f"{name} over TLS, with its certificate, to an SMSC over TLS", status == 0, said)
    one, other = ESMES
    status, said = client(one, port, log, tls_of(folder, other))
    tally.check(f"{one} does not bind with the certificate of {other}", status not in (0, None), said)
    status, said = client(one, port, log)
    tally.check(f"{one} does not bind without TLS", status not in (0, None), said)
    done = subprocess.run([consentry, "audit", "search", "-c", str(config), "--rule", "provider.certificate", "--json"],
                          capture_output=True, text=True, timeout=30)
    tally.check("the certificate of another provider is on record", done.stdout.count("provider.certificate") == 1, done.stdout + done.stderr)
    tally.check("the proxy stops with exit status 0", (status := process.stop()) == 0, str(status))


def balanced(tally, consentry, folder, started, version, send):
    """HAProxy before the proxy and behind it; with version 2 the ESME speaks TLS through the first."""
    certificates(folder)
    is_encrypted = version == "v2"
    behind, log = smsc(started, folder)
    last, behind = haproxy(started, "behind", folder, behind, bind="accept-proxy")
    listen = f'proxy_protocol = ["{BALANCER}"]\nsmsc_proxy_protocol = "{version}"\n'
    listen += 'tls = { certificate = "proxy.pem", key = "proxy.key" }' if is_encrypted else ""
    process, port = proxy(started, consentry, write_config(folder, behind, listen, 'from = ["127.0.0.1"]'), folder)
    _, before = haproxy(started, "before", folder, port, server=f"source {BALANCER} {send}")
    _, silent = haproxy(started, "silent", folder, port, server=f"source {BALANCER}")
    for name in ESMES:
        status, said = client(name, before, log, tls_of(folder, name) if is_encrypted else None)
        tally.check(f"{name} through HAProxy with {send}", status == 0, said)
    status, said = client("smpplib", silent, log, tls_of(folder, "smpplib") if is_encrypted else None)
    tally.check(f"not through one that does not {send}", status not in (0, None), said)
    done = subprocess.run([consentry, "audit", "search", "-c", str(folder / "consentry.toml"), "--json"], capture_output=True,
                          text=True, timeout=30)
    recorded = {line["peer"] for line in map(json.loads, done.stdout.splitlines()) if line.get("peer") and line["verdict"] == "pass"}
    tally.check("the proxy stops with exit status 0", (status := process.stop()) == 0, str(status))
    until = time.monotonic() + START_SECONDS_MAX
    seen = lambda: set(re.findall(r"from ([0-9.:]+)", last.text()))
    while not recorded <= seen() and time.monotonic() < until:
        time.sleep(0.05)
    tally.check(f"{version}: the HAProxy behind sees the addresses that are on record", recorded and recorded <= seen(),
                f"{recorded} are on record, {seen()} were seen")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", metavar="BIN", required=True)
    consentry = str(pathlib.Path(parser.parse_args().consentry).resolve())
    tally, began = Tally(), time.monotonic()
    rounds = [(encrypted,), (balanced, "v1", "send-proxy"), (balanced, "v2", "send-proxy-v2")]
    for play, *more in rounds:
        started = []
        with tempfile.TemporaryDirectory(prefix="tls-") as folder:
            try:
                if not HAPROXY:
                    raise Cannot("haproxy is missing: run tests/interop/install")
                play(tally, consentry, pathlib.Path(folder), started, *more)
            except (Cannot, OSError, subprocess.TimeoutExpired) as reason:
                tally.check("the test could be carried out", False, str(reason))
            finally:
                for process in reversed(started):
                    if process.process.poll() is None:
                        process.stop()
    print(f"in {time.monotonic() - began:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
