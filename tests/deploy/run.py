#!/usr/bin/env python3
"""What operators install, as far as it can be tried without a container engine and without a cluster.

tests/deploy/run.py --consentry target/debug/consentry

Containerfile, compose file and manifests are held to their schemas, to rules and to each other, and every rule is seen to
find its mistake. Then the image's own root runs in namespaces of its own with the settings of the compose file and of the
manifests. Needs root, for those; tests/deploy/install and tests/seeing/install bring the rest.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
venv = ROOT / "target/deploy/venv/bin/python"
if venv.exists() and pathlib.Path(sys.prefix) != venv.parent.parent:
    os.execv(venv, [str(venv), *sys.argv])

import compose  # noqa: E402
import container  # noqa: E402
import document  # noqa: E402
import examples  # noqa: E402
import image  # noqa: E402
import kubernetes  # noqa: E402
import said  # noqa: E402
import spans  # noqa: E402
import three  # noqa: E402

# Ends with everything that runs in it.
NAMESPACES = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Seconds after which the part in namespaces is given up.
IMAGE_MAX = 300


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--consentry", required=True)
    arguments.add_argument("--image", action="store_true", help="only the part that runs in namespaces: run.py calls itself so")
    arguments = arguments.parse_args()
    consentry = pathlib.Path(arguments.consentry).resolve()
    for needed in (consentry, image.SEEING / "prometheus"):
        if not needed.exists():
            sys.exit(f"{needed} is not there; run tests/deploy/install and tests/seeing/install, and build")
    began = time.monotonic()
    if arguments.image:
        with tempfile.TemporaryDirectory(prefix="deploy.", ignore_cleanup_errors=True) as folder:
            image.mount("tmpfs", folder, "tmpfs")
            image.test(consentry, pathlib.Path(folder))
            image.libc.umount2(os.fsencode(folder), 2)
        sys.exit(1 if said.failed else 0)
    container.test()
    compose.test()
    kubernetes.test(consentry)
    three.test(consentry)
    examples.test(consentry)
    document.test(consentry)
    spans.test(consentry)
    again = subprocess.run([*NAMESPACES, sys.executable, *sys.argv, "--image"], timeout=IMAGE_MAX)
    said.failed += bool(again.returncode)
    print(f"{said.failed or 'none'} failed, after {time.monotonic() - began:.0f} s")
    sys.exit(1 if said.failed else 0)


main()
