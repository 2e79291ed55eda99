#!/usr/bin/env python3
"""Checks what the crate depends on: licences, sources, and what must stay out of the release binary.

There is no advisory database here to ask: this is not a search for known vulnerabilities.
"""
import json
import re
import subprocess
import sys

ALLOWED = {
    "MIT", "MIT-0", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "ISC",
    "Unicode-3.0", "Zlib", "CC0-1.0", "Unlicense", "0BSD", "BSL-1.0",
}


def allowed(expression):
    """Whether some choice that the expression offers is allowed. No licence here uses nested parentheses oddly."""
    if not expression:
        return False
    choices = re.split(r"\s+OR\s+|/", expression.replace("(", "").replace(")", ""))
    return any(all(part.strip() in ALLOWED for part in re.split(r"\s+AND\s+", choice)) for choice in choices)


def main():
    cargo = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(cargo, check=True, capture_output=True, text=True).stdout)["packages"]
    faults = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] is not None and not package["source"].startswith("registry+"):
            faults.append(f"{name} does not come from a registry")
        if package["source"] is not None and not allowed(package["license"]):
            faults.append(f"{name} has licence {package['license']!r}, which is not on the list of .ci/dependencies.py")
        if package["source"] is None:
            for wanted in package["dependencies"]:
                if wanted["req"] == "*":
                    faults.append(f"{wanted['name']} has no version requirement")
    tree = ["cargo", "tree", "--locked", "-e", "features,normal"]
    features = subprocess.run(tree, check=True, capture_output=True, text=True).stdout
    for unwanted in ('tokio feature "test-util"', "smpp-pdu"):
        if unwanted in features:
            faults.append(f"{unwanted} must stay out of the release binary (it belongs to the tests)")
    for fault in faults:
        print(f"dependency: {fault}", file=sys.stderr)
    print(f"{len(packages)} packages looked at, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
