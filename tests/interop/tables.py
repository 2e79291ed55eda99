#!/usr/bin/env python3
"""The tables that leave the journal, as Parquet files and exports, read by DuckDB and pandas as they are.

tests/interop/tables.py --consentry target/debug/consentry

The demo leaves a journal; a proxy that is started on it seals the segment and rewrites it to Parquet by itself. What
both readers find there must be what `audit search` says of the same messages.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
venv = root / "target/interop/venv/bin/python"
if venv.exists() and pathlib.Path(sys.prefix) != venv.parent.parent:
    os.execv(venv, [str(venv), *sys.argv])

import duckdb  # noqa: E402
import pandas  # noqa: E402

# Seconds until the proxy must have rewritten a segment that is sealed when it starts.
REWRITTEN_MAX = 30
failed = 0


def check(what, found, expected):
    global failed
    right = found == expected
    failed += not right
    print(f"{'ok   ' if right else 'WRONG'} {what}" + ("" if right else f": {found!r}, expected {expected!r}"))


def run(consentry, *args):
    done = subprocess.run([consentry, *args], stdout=subprocess.PIPE, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"consentry {' '.join(args)}: exit status {done.returncode}")
    return done.stdout.decode()


def rewritten(consentry, folder):
    """Starts the kept proxy and stops it when each segment that was there before has its file."""
    config = folder / "consentry.toml"
    segments = sorted((folder / "state/audit").glob("journal-*.seg"))
    names = [segment.name.replace("journal-", "records-").replace(".seg", ".parquet") for segment in segments]
    files = [folder / "state/audit/parquet" / name for name in names]
    there = lambda: all(file.exists() for file in files)
    log = open(folder / "log", "wb")
    proxy = subprocess.Popen([consentry, "run", "-c", str(config)], stderr=log)
    try:
        until = time.monotonic() + REWRITTEN_MAX
        while not there() and proxy.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(timeout=60)
    check("the running proxy rewrites the sealed segments", there() and bool(files), True)
    return files


def said(consentry, folder):
    """What search says of the demo's messages, and of its binds."""
    lines = run(consentry, "audit", "search", "-c", str(folder / "consentry.toml"), "--json").splitlines()
    found = [json.loads(line) for line in lines]
    keys = ("record", "provider", "verdict", "rule", "became", "message_id")
    return sorted(tuple(one.get(key) for key in keys) for one in found if one["kind"] == "verdict")


def by_duckdb(files):
    file = files[0].parent / "*.parquet"
    table = duckdb.connect()
    table.execute("set TimeZone = 'UTC'")
    rows = table.execute(
        f"select record, provider, verdict, rule, became, message_id from '{file}' where kind = 'verdict' order by record"
    ).fetchall()
    types = dict((row[0], row[1]) for row in table.execute(f"describe select * from '{file}'").fetchall())
    return rows, types


def by_pandas(files):
    table = pandas.concat([pandas.read_parquet(file) for file in files])
    messages = table[table["kind"] == "verdict"].sort_values("record")
    keys = ["record", "provider", "verdict", "rule", "became", "message_id"]
    plain = [tuple(None if pandas.isna(one) else one for one in row) for row in messages[keys].values.tolist()]
    return plain, table


def exported(consentry, folder):
    """The three tables of an export, each by another reader: the same records with the same whole numbers."""
    def export(form):
        out = folder / f"export-{form}"
        run(consentry, "audit", "export", "-c", str(folder / "consentry.toml"), "--format", form, "--out", str(out))
        return out / f"records.{form}"

    lines = export("ndjson").read_text(encoding="utf-8").splitlines()
    objects = [json.loads(line) for line in lines]
    expected = [(one["record"], one.get("destination"), one.get("rule")) for one in objects]
    csv = pandas.read_csv(export("csv"), dtype={"destination": str, "source": str})
    keys = ["record", "destination", "rule"]
    plain = [tuple(None if pandas.isna(one) else one for one in row) for row in csv[keys].values.tolist()]
    check("pandas reads the CSV as the NDJSON", plain, expected)
    check("its first column has its name", csv.columns[0], "record")
    file = export("parquet")
    rows = duckdb.connect().execute(f"select record, destination, rule from '{file}'").fetchall()
    check("DuckDB reads the Parquet as the NDJSON", rows, expected)
    check("numbers are whole", any(one[1] == "8613800138000" for one in expected), True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--consentry", required=True)
    consentry = str(pathlib.Path(arguments.parse_args().consentry).resolve())
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "demo"
        run(consentry, "demo", "--keep", str(folder))
        expected = said(consentry, folder)
        check("the demo leaves messages", len(expected) > 10, True)
        files = rewritten(consentry, folder)
        rows, types = by_duckdb(files)
        check("DuckDB reads what search says", rows, expected)
        names = ("record", "time", "kind", "latency_us", "destination")
        kinds = ["BIGINT", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "BIGINT", "VARCHAR"]
        check("DuckDB finds the types", [types[name] for name in names], kinds)
        rows, table = by_pandas(files)
        check("pandas reads what search says", rows, expected)
        check("pandas finds times in UTC", str(table["time"].dt.tz), "UTC")
        masked = table["destination"].dropna()
        whole = [number for number in masked if len(number) > 8 and number.startswith(("13", "8613", "+86")) and "*" not in number]
        check("persons are masked", whole, [])
        exported(consentry, folder)
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


main()
