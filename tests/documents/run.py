#!/usr/bin/env python3
"""Runs every command of README.md and docs/*.md.

tests/documents/run.py --consentry target/debug/consentry [DOCUMENT...]

Each document is one shell in a folder of its own, with a network of its own: what it says is done from top to bottom, as
a reader would. The folder holds what `consentry demo --keep` leaves, with addresses that documents may name: ESMEs at
127.0.0.1:2775, the SMSC at 127.0.0.1:2776, the API at 127.0.0.1:9464.

| in a document | means |
|---|---|
| ```sh | is run; a command that fails must end its line with `# exit status N` |
| ```output | stands behind ```sh: its lines must come in this order; `...` is anything |
| ```console | is not run; `<!-- not run: REASON -->` stands before it |
| `<!-- before: COMMANDS -->` | is run, and not shown to the reader: what the place needs |
| `<!-- in an empty folder -->` | the folder holds nothing |
| `<!-- run by FILE -->` | that test runs every command of the document, which it names |

`consentry run` and `consentry smsc` go on in the background, as in another terminal. What is not run is counted: see
NOT_RUN.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Blocks of ```console there may be. One more is a decision: write why it cannot be run, and count it here.
NOT_RUN = 19
# Seconds that all commands of one document may take, and documents that are run at once.
DOCUMENT_MAX = 600
AT_ONCE = 3
FAULTS_SHOWN = 20
# Languages of other fences. What is in them is no command. Python is that of docs/streams.md: tests/interop/streams.py runs it.
SAID = {"python", "text", "toml", "sql", "json", "csv", "yaml", "ini", "promql", "nginx"}

NAMESPACES = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]

SHELL = r"""
set -u -o pipefail
exec 9>"$REPORT/failed"
python3 - <<'PYTHON'
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING
PYTHON
# What runs until it is stopped is left running; the shell goes on when it is ready.
consentry() {
    case $1 in
        run | smsc) ;;
        *) command consentry "$@"; return ;;
    esac
    local log="$REPORT/$1-$RANDOM.log" wanted=listening
    [[ $1 == smsc ]] && wanted="listening on"
    command consentry "$@" >"$log" 2>&1 9>&- &
    local pid=$!
    for ((i = 0; i < 600; i++)); do
        grep -q "$wanted" "$log" && { [[ $1 == smsc ]] || ready; } && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$log" >&2
    return 1
}
ready() { curl -fsS http://127.0.0.1:9464/readyz >/dev/null 2>&1 || ! grep -qs '^address = "127.0.0.1:9464"' *.toml; }
trap 'failing=$?; echo "$failing $LINENO ${BASH_SOURCE[0]}" >&9' ERR
"""


class Block:
    """One fence: its language, where it stands, and what is in it."""

    def __init__(self, language, line, text, comment):
        self.language, self.line, self.text, self.comment = language, line, text, comment


def blocks(text):
    """The fences of a document, and the commands for the place, in their order."""
    found, lines, at, comment = [], text.split("\n"), 0, None
    while at < len(lines):
        line = lines[at]
        if line.strip().startswith("<!--"):
            begun, inside = at, [line]
            while "-->" not in lines[at] and at + 1 < len(lines):
                at += 1
                inside.append(lines[at])
            said = re.sub(r"^\s*<!--|-->.*$", "", "\n".join(inside), flags=re.S).strip()
            before = re.match(r"before:\s?", said)
            if before:
                found.append(Block("before", begun + 1, said[before.end():], None))
            comment = said
        elif opened := re.match(r"^(\s*)```(.*)$", line):
            indent, language, begun, inside = opened[1], opened[2].strip(), at, []
            while at + 1 < len(lines) and not lines[at + 1].strip().startswith("```"):
                at += 1
                inside.append(lines[at].removeprefix(indent))
            at += 1
            found.append(Block(language, begun + 1, "\n".join(inside), comment))
            comment = None
        elif line.strip():
            comment = None
        at += 1
    return found


def misshapen(document, found):
    """Fences that nobody would run and nobody excused."""
    faults, before = [], None
    for block in found:
        place = f"{document}:{block.line}"
        if block.language == "console":
            if not (block.comment or "").startswith("not run: "):
                faults.append(f"{place}: ```console without <!-- not run: REASON --> before it")
            elif there := re.search(r"runs these lines as (\S+) has them", block.comment):
                other = (ROOT / there[1]).read_text(encoding="utf-8").split("\n")
                faults += [f"{place}: not in {there[1]}: {line}" for line in block.text.split("\n") if line and line not in other]
        elif block.language == "output":
            if before != "sh":
                faults.append(f"{place}: ```output stands behind no ```sh")
        elif block.language not in SAID | {"sh", "before"}:
            faults.append(f"{place}: ```{block.language} is neither run nor known as something else")
        elif block.language in SAID and re.search(r"^(\$ )?consentry [a-z]", block.text, re.M) and "Usage: " not in block.text:
            faults.append(f"{place}: a command in ```{block.language}; write ```sh")
        before = block.language
    return faults


def script(found):
    """The shell's script: each block is a file of its own, so that a line that fails can be named."""
    parts = [SHELL]
    for at, block in enumerate(found):
        if block.language in ("sh", "before"):
            parts.append(f'source "$REPORT/{at}.sh" >"$REPORT/{at}.out" 2>"$REPORT/{at}.err"\n')
    return "".join(parts) + "exit 0\n"


def command_of(lines, number):
    """The lines of the command that line belongs to, counted from 1."""
    first = last = number
    while first > 1 and lines[first - 2].rstrip().endswith("\\"):
        first -= 1
    while last < len(lines) and lines[last - 1].rstrip().endswith("\\"):
        last += 1
    return range(first, last + 1)


def judged(document, found, report):
    """What went otherwise than the document says."""
    faults, failed = [], {}
    for line in (report / "failed").read_text(encoding="utf-8").splitlines():
        status, number, source = line.split(" ", 2)
        if source.endswith(".sh"):
            failed.setdefault(int(pathlib.Path(source).stem), {})[int(number)] = int(status)
    for at, block in enumerate(found):
        if block.language not in ("sh", "before"):
            continue
        lines = block.text.split("\n")
        out, err = ((report / f"{at}.{kind}").read_text(encoding="utf-8", errors="replace") if (report / f"{at}.{kind}").exists() else None
                    for kind in ("out", "err"))
        if out is None:
            faults.append(f"{document}:{block.line}: was not reached")
            continue
        expected = {number: int(mark[1]) for number, line in enumerate(lines, 1)
                    if (mark := re.search(r"#.*\bexit status (\d+)", line))}
        for number, status in failed.get(at, {}).items():
            said = [one for one in command_of(lines, number) if expected.pop(one, None) == status]
            if not said:
                faults.append(f"{document}:{block.line + number}: exit status {status}: {lines[number - 1].strip()}\n"
                              f"{(err[-600:] + out[-300:]).strip()}")
        for number, status in expected.items():
            faults.append(f"{document}:{block.line + number}: not exit status {status}: {lines[number - 1].strip()}\n{out[-500:]}")
        if at + 1 < len(found) and found[at + 1].language == "output":
            faults += missing(document, found[at + 1], out)
    return faults


def missing(document, block, out):
    """Lines that the document shows and the command did not print, in this order."""
    there = [line.rstrip() for line in out.split("\n")]
    for number, line in enumerate(block.text.split("\n"), 1):
        if not line.strip() or line.strip() == "...":
            continue
        wanted = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("...")) + "$")
        while there and not wanted.match(there[0]):
            there.pop(0)
        if not there:
            return [f"{document}:{block.line + number}: was not printed: {line.strip()}\n{out[-600:]}"]
        there.pop(0)
    return []


def prepare(kept, place, document):
    """The folder in which a document is run."""
    if "<!-- in an empty folder -->" in document:
        place.mkdir()
        return
    shutil.copytree(kept, place)
    configuration = (place / "consentry.toml").read_text(encoding="utf-8")
    smsc = re.search(r'^smsc .*$', configuration, re.M)[0]
    configuration = configuration.replace('address = "127.0.0.1:0"', 'address = "127.0.0.1:2775"', 1)
    configuration = configuration.replace(smsc, 'smsc    = ["127.0.0.1:2776"]')
    configuration = configuration.replace('address = "127.0.0.1:0"', 'address = "127.0.0.1:9464"', 1)
    (place / "consentry.toml").write_text(configuration, encoding="utf-8")


def run(document, consentry, kept, folder, isolated):
    text = (ROOT / document).read_text(encoding="utf-8")
    found = blocks(text)
    faults = misshapen(document, found)
    if elsewhere := re.search(r"^<!-- run by (\S+) -->$", text, re.M):
        runner = ROOT / elsewhere[1]
        if not runner.exists() or pathlib.Path(document).name not in runner.read_text(encoding="utf-8"):
            faults.append(f"{document}: {elsewhere[1]} does not run it")
        return faults
    if not any(block.language == "sh" for block in found):
        return faults
    name = document.replace("/", "-").removesuffix(".md")
    place, report = folder / name, folder / f"{name}.report"
    report.mkdir()
    prepare(kept, place, text)
    for at, block in enumerate(found):
        if block.language in ("sh", "before"):
            (report / f"{at}.sh").write_text(block.text + "\n", encoding="utf-8")
    (report / "script").write_text(script(found), encoding="utf-8")
    programs = folder / "bin"
    environment = {**os.environ, "REPORT": str(report), "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(place),
                   "REPOSITORY": str(ROOT), "LC_ALL": "C.UTF-8"}
    argv = [*(NAMESPACES if isolated else []), "bash", str(report / "script")]
    with (report / "all").open("wb") as out:
        shell = subprocess.Popen(argv, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        try:
            status = shell.wait(DOCUMENT_MAX)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            # The shell's own session: what it left running.
            try:
                os.killpg(shell.pid, 9)
            except ProcessLookupError:
                pass
            shell.wait()
    if status != 0:
        said = (report / "all").read_text(encoding="utf-8", errors="replace")
        faults.append(f"{document}: the shell ended with {status}\n{said[-1500:]}")
    return faults + judged(document, found, report)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--consentry", required=True, type=pathlib.Path)
    arguments.add_argument("documents", nargs="*")
    arguments = arguments.parse_args()
    everything = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
    documents = arguments.documents or everything
    not_run = {document: [block for block in blocks((ROOT / document).read_text(encoding="utf-8")) if block.language == "console"]
               for document in everything}
    count, faults = sum(map(len, not_run.values())), []
    if count != NOT_RUN:
        listed = "\n".join(f"  {document}:{block.line} {block.comment}" for document, some in not_run.items() for block in some)
        faults.append(f"{count} blocks are not run, and {NOT_RUN} may be (NOT_RUN):\n{listed}")
    isolated = subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode == 0
    if not isolated:
        print("no network of their own here (unshare): documents are run one after another, on this machine's ports")
    printing = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="documents-") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "bin").mkdir()
        (folder / "bin/consentry").symlink_to(arguments.consentry.resolve())
        subprocess.run([arguments.consentry, "demo", "--keep", folder / "kept"], check=True, stdout=subprocess.DEVNULL)

        def one(document):
            said = run(document, arguments.consentry, folder / "kept", folder, isolated)
            with printing:
                print(f"{'WRONG' if said else 'ok   '} {document}", flush=True)
            return said

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE if isolated else 1) as pool:
            for said in pool.map(one, documents):
                faults += said
    for fault in faults[:FAULTS_SHOWN]:
        print(fault)
    if len(faults) > FAULTS_SHOWN:
        print(f"and {len(faults) - FAULTS_SHOWN} more")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
