"""Every configuration of deploy/ is one that the binary takes."""

import pathlib
import shutil
import subprocess
import tempfile

from said import check

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SETUPS = ROOT / "deploy/examples/setups"
# What the binary says to those that ask for an optional feature.
FEATURES = {"mirror_kafka.toml": "--features kafka"}


def test(consentry):
    """In a copy, with the files that its owner has to make."""
    faults = []
    setups = sorted(SETUPS.glob("*.toml"))
    with tempfile.TemporaryDirectory(prefix="examples.") as folder:
        examples = pathlib.Path(folder, "examples")
        shutil.copytree(SETUPS.parent, examples)
        token = examples / "setups/admin.token"
        token.write_text("0123456789abcdef\n")
        token.chmod(0o600)
        subprocess.run([consentry, "audit", "keys", "new-auditor", "auditor.key"], cwd=examples / "setups", check=True, capture_output=True)
        for setup in setups:
            done = subprocess.run([consentry, "check", "-c", examples / "setups" / setup.name], capture_output=True, text=True, timeout=30)
            if done.returncode == 0 or FEATURES.get(setup.name, "\0") in done.stderr:
                continue
            faults.append(f"{setup.name}: {done.stderr.strip()}")
    check(f"{len(setups)} configurations of deploy/examples/setups pass consentry check", faults or ([] if len(setups) > 5 else ["there are too few"]))
