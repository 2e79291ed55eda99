#!/usr/bin/env python3
"""Checks what the crate depends on: licences, sources, and what must stay out of the release binary.

No advisory database and no index is asked: known vulnerabilities and yanked versions are not looked for.
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
    """Whether the expression (SPDX, or the older "A/B") can be met with allowed licences alone. What cannot be read is not."""
    tokens = re.findall(r"[()]|[^\s()]+", (expression or "").replace("/", " OR "))
    try:
        return alternatives(tokens) and not tokens
    except IndexError:
        return False


def alternatives(tokens):
    """A OR B, where AND binds tighter. Takes what it reads off the front of tokens."""
    met = conjunction(tokens)
    while tokens[:1] == ["OR"]:
        tokens.pop(0)
        met = conjunction(tokens) or met
    return met


def conjunction(tokens):
    met = licence(tokens)
    while tokens[:1] == ["AND"]:
        tokens.pop(0)
        met = licence(tokens) and met
    return met


def licence(tokens):
    name = tokens.pop(0)
    if name == "(":
        met = alternatives(tokens)
        return tokens.pop(0) == ")" and met
    if tokens[:1] == ["WITH"]:
        tokens.pop(0)
        name = f"{name} WITH {tokens.pop(0)}"
    return name in ALLOWED


def same_name(packages):
    """Crates that are there in more than one version: no fault, but each is compiled and reviewed twice."""
    versions = {}
    for package in packages:
        versions.setdefault(package["name"], []).append(package["version"])
    return {name: found for name, found in versions.items() if len(found) > 1}


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
    for name, versions in same_name(packages).items():
        print(f"note: {name} is there as {' and '.join(versions)}")
    for fault in faults:
        print(f"dependency: {fault}", file=sys.stderr)
    print(f"{len(packages)} packages looked at, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
