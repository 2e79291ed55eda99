#!/usr/bin/env python3
"""Times `consentry replay` on a made-up capture, and tshark's decoding of a slice of it beside that; prints markdown.

    cargo build --release --locked
    benches/replay.py --consentry target/release/consentry --runs 3      # some minutes; needs 1.2 GiB of disk and tshark

tshark decodes and judges nothing; it is here to say what reading the same octets costs another program.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRACES = ROOT / "proto-fixtures" / "traces"
MIB = 1 << 20


def timed(command):
    """Seconds of wall time, seconds of CPU time, peak memory in MiB, standard output."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, said = process.communicate()
    wall = time.monotonic() - began
    if process.returncode != 0:
        sys.exit(f"{command}: exit status {process.returncode}: {said}")
    return wall, output


def measured(command):
    """The same in a child of its own, so that memory and CPU time are this command's alone."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        wall, output = timed(command)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        line = f"{wall} {used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}\n{output}"
        with os.fdopen(writer, "w") as out:
            out.write(line)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        figures, _, output = told.read().partition("\n")
    os.waitpid(child, 0)
    if not figures:
        sys.exit(f"{command} failed")
    return tuple(float(figure) for figure in figures.split()), output


def row(name, octets, runs):
    columns = []
    for at in range(3):
        values = [figures[at] for figures, _ in runs]
        columns.append(f"{statistics.median(values):.1f} ({min(values):.1f} - {max(values):.1f})")
    wall = statistics.median([figures[0] for figures, _ in runs])
    print(f"| {name} | {octets / MIB:.0f} | {' | '.join(columns)} | {octets / MIB / wall:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--octets", type=int, default=1 << 30)
    parser.add_argument("--slice", type=int, default=32 * MIB, help="octets that tshark reads")
    parser.add_argument("--folder", help="where the captures go; a temporary folder without it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        whole, part = pathlib.Path(folder) / "whole.pcap", pathlib.Path(folder) / "slice.pcap"
        for path, octets in ((whole, args.octets), (part, args.slice)):
            subprocess.run([sys.executable, TRACES / "day.py", "--octets", str(octets), path], check=True)
        load = os.getloadavg()[0]
        replay = [args.consentry, "replay", "-c", str(TRACES / "consentry.toml"), "--consent", "none"]
        tshark = ["tshark", "-r", str(part), "-Y", "smpp", "-T", "fields", "-e", "smpp.command_id"]
        rows = {"Consentry, whole": [], "Consentry, slice": [], "tshark, slice": []}
        for _ in range(args.runs):
            rows["Consentry, whole"].append(measured([*replay, str(whole)]))
            rows["Consentry, slice"].append(measured([*replay, str(part)]))
            rows["tshark, slice"].append(measured(tshark))
        print(f"{args.runs} runs; load average before: {load:.2f}; {os.cpu_count()} cores")
        print(rows["Consentry, whole"][0][1].splitlines()[0], end="\n\n")
        print("| what | MiB | seconds | CPU seconds | peak memory, MiB | MiB/s |")
        print("|---|---:|---:|---:|---:|---:|")
        for name, runs in rows.items():
            row(name, (whole if "whole" in name else part).stat().st_size, runs)


if __name__ == "__main__":
    main()
