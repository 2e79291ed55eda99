"""The Containerfile, read: no engine runs here, so that its rules are held to by these."""

import json
import pathlib
import re
import shlex
import subprocess
import tempfile

from said import check, check_rules

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "deploy/container/Containerfile"
UID = "65532"


def instructions(text):
    """(instruction, rest) one after the other, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple((line.strip().split(None, 1) + [""])[:2]) for line in joined.splitlines() if line.strip()]


def stages(text):
    """The instructions of each stage, FROM first."""
    found = []
    for word, rest in instructions(text):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def last(stage, word):
    return next((rest for name, rest in reversed(stage) if name == word), None)


def flags_of(rest):
    """--flag=value of an instruction, and what follows them."""
    words = shlex.split(rest)
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    return flags, [word for word in words if not word.startswith("--")]


def command(text, word):
    """ENTRYPOINT, CMD or the health check of the image, as a list."""
    rest = last(stages(text)[-1], word) or ""
    return json.loads(rest[rest.index("["):]) if "[" in rest else []


def exposed(text):
    return [int(port) for port in (last(stages(text)[-1], "EXPOSE") or "").split()]


def rules(text):
    """What is wrong with it, by the rules that hadolint has for such a file, and by ours."""
    faults, names = [], []
    all_stages = stages(text)
    for stage in all_stages:
        base = stage[0][1].split()
        names.append(base[2] if len(base) == 3 else None)
        if base[0] != "scratch" and base[0] not in names:
            tag = base[0].rpartition("/")[2].partition(":")[2]
            faults += [] if tag and tag != "latest" else [f"FROM {base[0]} names no version"]
        workdir = None
        for word, rest in stage[1:]:
            if word in ("ADD", "MAINTAINER", "ONBUILD", "VOLUME", "SHELL"):
                faults.append(f"{word} has no place here")
            if word == "WORKDIR":
                workdir = rest
                faults += [] if rest.startswith("/") else [f"WORKDIR {rest} is not absolute"]
            if word in ("CMD", "ENTRYPOINT") and not rest.startswith("["):
                faults.append(f"{word} needs a shell")
            if word == "COPY":
                flags, paths = flags_of(rest)
                source = flags.get("from")
                faults += [] if source is None or source in names[:-1] else [f"COPY --from={source}: no such stage before"]
                faults += [] if paths[-1].startswith("/") or workdir else [f"COPY {rest}: where to?"]
            if word == "RUN" and re.search(r"\bsudo\b|\bcurl\b.*\|\s*(ba)?sh", rest):
                faults.append(f"RUN {rest}: runs what nobody looked at, or as somebody else")
    final = all_stages[-1]
    user = last(final, "USER") or ""
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user):
        faults.append(f"USER {user or 'nobody'}: write a number that is not root's, so that Kubernetes can tell")
    faults += [f"RUN in the last stage, which has no shell: {rest}" for word, rest in final if word == "RUN"]
    health = last(final, "HEALTHCHECK") or ""
    faults += [] if re.search(r"CMD \[", health) else ["HEALTHCHECK without a shell is missing"]
    labels = last(final, "LABEL") or ""
    faults += [f"no label {name}" for name in ("title", "description", "licenses", "source") if f"org.opencontainers.image.{name}=" not in labels]
    return faults


MISTAKES = (
    ("no version of the base", lambda text: text.replace("rust:1.95-bookworm", "rust"), "names no version"),
    ("the latest base", lambda text: text.replace("rust:1.95-bookworm", "rust:latest"), "names no version"),
    ("root", lambda text: text.replace("USER 65532:65532", "USER root"), "root's"),
    ("a name for the user", lambda text: text.replace("USER 65532:65532", "USER consentry"), "root's"),
    ("no user", lambda text: text.replace("USER 65532:65532", ""), "root's"),
    ("ADD", lambda text: text.replace("COPY . .", "ADD . ."), "ADD"),
    ("a shell's command", lambda text: re.sub(r'CMD \["run".*', "CMD consentry run", text), "needs a shell"),
    ("a command of the last stage", lambda text: text + "RUN true\n", "no shell"),
    ("a stage that is not there", lambda text: text.replace("--from=build /image/ /", "--from=builder /image/ /"), "no such stage"),
    ("no health check", lambda text: re.sub(r"HEALTHCHECK[^\n]*\n[^\n]*", "", text), "HEALTHCHECK"),
    ("no label", lambda text: text.replace("image.licenses", "image.license"), "label licenses"),
    ("a relative folder", lambda text: text.replace("WORKDIR /src", "WORKDIR src"), "absolute"),
)


def in_context():
    """The files of the repository that .dockerignore lets into the build: the last pattern that fits decides."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    found = []
    for file in listed:
        ignored = False
        for pattern in patterns:
            bare = pattern.lstrip("!").rstrip("/")
            if bare == "*" or file == bare or file.startswith(bare + "/"):
                ignored = not pattern.startswith("!")
        found += [] if ignored else [file]
    return patterns, found


def test_context():
    """What is built is all there, and nothing is sent to the engine that is not needed."""
    patterns, files = in_context()
    have = set(files)
    faults = [f".dockerignore: {pattern} names nothing" for pattern in patterns[1:]
              if not any(file == pattern[1:] or file.startswith(pattern[1:] + "/") for file in files)]
    included = re.compile(r'include_(?:str|bytes)!\("([^"]+)"')
    for source in (file for file in files if file.startswith("src/") and file.endswith(".rs")):
        for path in included.findall((ROOT / source).read_text(encoding="utf-8")):
            wanted = str((ROOT / source).parent.joinpath(path).resolve().relative_to(ROOT))
            faults += [] if wanted in have else [f"{source} includes {wanted}, which .dockerignore keeps out"]
    octets = sum((ROOT / file).stat().st_size for file in files)
    faults += [] if octets < 16 << 20 else [f"{octets} octets are sent"]
    with tempfile.TemporaryDirectory(prefix="context.") as folder:
        for file in files:
            to = pathlib.Path(folder, file)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes((ROOT / file).read_bytes())
        # It reads the manifest and looks for every target that it names.
        read = subprocess.run(["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"],
                              cwd=folder, capture_output=True, text=True)
        faults += [read.stderr.strip()] if read.returncode else []
    check(f"the build's {len(files)} files are all there, {octets >> 10} KiB", faults)


def test_build():
    """The commands of the build stage are cargo's, which the release build runs too, and the script that is run here."""
    build = stages(FILE.read_text())[0]
    manifest = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'rust-version = "([\d.]+)"', manifest)[1]
    faults = [] if f"rust:{version}-" in build[0][1] else [f"{build[0][1]} is not Rust {version}, as Cargo.toml asks for"]
    run = [part.strip() for _, rest in build if _ == "RUN" for part in rest.split("&&")]
    expected = ['cargo build --locked --release --features "$FEATURES"', "bash deploy/container/root target/release/consentry /image"]
    faults += [] if run == expected else [f"the build stage runs {run}"]
    check("the build stage runs what is run here", faults)


def test():
    check_rules("Containerfile", rules, FILE.read_text, MISTAKES)
    test_build()
    test_context()
