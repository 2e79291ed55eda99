"""The commands of docs/deploy.md: those that need neither engine nor cluster are run, of the others the files are looked for."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from said import check

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test(consentry):
    text = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    commands = [(kind, line.strip()) for kind, block in re.findall(r"^ *```(sh|console)\n(.*?)^ *```", text, re.M | re.S)
                for line in block.splitlines() if line.strip()]
    faults, run = [], 0
    known = {name for name in re.findall(r"^  (\w+) ", subprocess.run([consentry, "help"], capture_output=True, text=True).stdout, re.M)}
    with tempfile.TemporaryDirectory(prefix="document.") as folder:
        shutil.copytree(ROOT / "deploy", pathlib.Path(folder, "deploy"))
        for kind, command in commands:
            for path in re.findall(r"(?<![\w/])deploy/[\w./-]+", command):
                made = path.endswith((".token", ".password"))
                faults += [] if made or (ROOT / path).exists() else [f"{command}: {path} is not there"]
            for name in re.findall(r"/usr/bin/consentry (\w+)", command):
                faults += [] if name in known else [f"{command}: there is no command {name}"]
            if kind == "console":
                continue
            run += 1
            done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, timeout=30)
            faults += [f"{command}: {done.stderr.strip()}"] if done.returncode else []
        token = pathlib.Path(folder, "deploy/compose/admin.token")
        is_his = token.exists() and (os.stat(token).st_uid, token.stat().st_mode & 0o777) == (65532, 0o400) and len(token.read_text().strip()) >= 16
        faults += [] if is_his else ["the token is not one that the proxy can read, and it alone"]
    check(f"docs/deploy.md: {run} of {len(commands)} commands run, the files and commands of the others are there", faults)
