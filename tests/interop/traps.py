#!/usr/bin/env python3
"""Every trap through the real proxy, over sockets, before SMSCs that nobody here wrote.

    tests/interop/traps.py --consentry BIN     all cases; a line for each that fails, and a count
    tests/interop/traps.py --list              their names, as docs/traps.md gives them

What an ESME sends are octets: of the files of proto-fixtures/pdus (as `pdus/NAME`), under the rules that those files are
judged by, and of the cases of traps.toml, under all rules. Between proxy and SMSC stands a tap that keeps what the
SMSC is sent. A case holds when each PDU is answered with the status that it names and the tap has exactly the octets that
may pass.
"""

import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import tomllib

import cases_peers
import cases_receipts
import cases_rules
from run import SMSCS, Cannot, Tally, cut
from stage import LISTENERS, Smsc, Stage
from wire import COMMANDS, LAST, ROOT, SILENCE_SECONDS, STATUSES, Esme, pdu_of, status_of

HERE = pathlib.Path(__file__).resolve().parent
# Each is a function and what its proxy is started with. The last of them ends the SMSC.
SPECIAL = cases_rules.CASES | cases_receipts.CASES | cases_peers.CASES
STATES = {"open": None, "bound_tx": 2, "bound_rx": 1, "bound_trx": 9}


# The files of proto-fixtures/pdus.


class Fixture:
    """A file that one ESME plays: its state, its octets, and what it expects."""

    def __init__(self, path):
        self.name = f"pdus/{path.stem}"
        self.state, self.octets, self.expected, blocks, side = "open", b"", [], 0, None
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split("#")[0].strip()
            if line.startswith("| "):
                self.expected.append(line[2:])
            elif words.startswith("state "):
                self.state = words.split()[1]
            elif words == "esme":
                side, blocks = words, blocks + 1
            elif words:
                side = side if re.fullmatch(r"[0-9a-f ]+", words) else None
                self.octets += bytes.fromhex(words) if side else b""
        self.is_played = blocks == 1 and self.state in STATES and "smsc" not in path.read_text().split("\n") \
            and "unknown forward" not in path.read_text().split("\n")

    def responses(self):
        """Command, status and sequence_number of each response that is not the SMSC's."""
        found = [re.fullmatch(r"to ESME: (\w+) (\S+) (\d+), 16 octets", line) for line in self.expected]
        return [(COMMANDS[m[1]], STATUSES[m[2]], int(m[3])) for m in found if m]

    def is_cut(self):
        return "cut: more octets are needed" in self.expected


def play_fixture(fixture, port, tap):
    """What is wrong, or None."""
    tap.clear()
    esme = Esme(port)
    try:
        if (command := STATES[fixture.state]) is not None:
            esme.bind(command, "shop1")
        before = b"".join(map(bytes, tap.sent))
        esme.send(fixture.octets)
        if fixture.is_cut():
            while esme.read(SILENCE_SECONDS):
                pass
            responses = esme.responses
        else:
            responses = esme.finish()
        arrived = b"".join(map(bytes, tap.sent))[len(before):].removesuffix(LAST)
        passes = "to SMSC: the octets that came" in fixture.expected
        if arrived != (fixture.octets if passes else b""):
            return f"the SMSC was sent {arrived.hex()}"
        refusals = [pdu for pdu in responses if len(pdu) == 16 and pdu[8:12] != bytes(4)] if not passes else []
        got = [struct.unpack("!III", pdu[4:16]) for pdu in refusals]
        expected = [one for one in fixture.responses() if one[1]]
        if got != expected:
            return f"answered {got}, not {expected}"
        ends = any(line.startswith("the session ends") for line in fixture.expected)
        # The SMSC hangs up when it is told to.
        if ends != esme.closed and fixture.octets[4:8] != struct.pack("!I", COMMANDS["unbind"]):
            return "the connection stays open" if ends else "the connection was closed"
        return None
    finally:
        esme.close()


# The cases of traps.toml.


def write(esme, pdus, how):
    """Each PDU in a write of its own, each octet, or all at once."""
    if how == "together":
        esme.send(b"".join(pdus))
    for pdu in pdus if how != "together" else []:
        for piece in [pdu[at:at + 1] for at in range(len(pdu))] if how == "octets" else [pdu]:
            esme.send(piece)


def play_case(case, ports, tap):
    """What is wrong, or None."""
    tap.clear()
    port = ports[LISTENERS.index(case.get("listener", "gsm7"))]
    binds = {1: Esme(port), 2: Esme(port)}
    try:
        for number, esme in binds.items():
            esme.bind(9, f"shop{number}")
        expected = {1: tap.of("shop1"), 2: tap.of("shop2")}
        pdus = [(send, send.get("bind", 1), pdu_of(case, send, 1 + at)) for at, send in enumerate(case["send"], 1)]
        how = case.get("write")
        if how == "together":
            write(binds[1], [pdu for _, _, pdu in pdus], how)
        for at, (send, bind, pdu) in enumerate(pdus, 1):
            if how != "together":
                write(binds[bind], [pdu], how)
            response = binds[bind].answer_to(pdu)
            status = status_of(response)
            if status != send["status"]:
                return f"{at} was answered {status}, not {send['status']}"
            if status != "ESME_ROK" and len(response) != 16:
                return f"{at} was answered with a body: {response.hex()}"
            expected[bind] += pdu if status == "ESME_ROK" else b""
        for bind, esme in binds.items():
            esme.finish()
            arrived = tap.of(f"shop{bind}")
            if arrived != expected[bind] + LAST:
                return f"the SMSC was sent other octets over bind {bind}: {[pdu.hex() for pdu in cut(arrived)]}"
        return None
    finally:
        for esme in binds.values():
            esme.close()


def play(tally, name, smsc_argv, consentry, scratch, fixtures, cases, specials):
    """All cases before one SMSC."""
    scratch.mkdir()
    smsc, stages = Smsc(name, smsc_argv, scratch), []

    def stage(folder):
        stages.append(Stage(scratch / folder, consentry, smsc))
        return stages[-1]

    try:
        if fixtures:
            judged = stage("fixtures").fixtures()
            for fixture in fixtures:
                tally.note(f"{name}: {fixture.name}", play_fixture(fixture, judged.ports[0], judged.tap))
        if cases:
            judged = stage("cases").cases()
            for case in cases:
                tally.note(f"{name}: {case['name']}", play_case(case, judged.ports, judged.tap))
        for special in specials:
            case, settings = SPECIAL[special]
            judged = stage(special).cases(**settings)
            tally.note(f"{name}: {special}", case(judged))
            tally.note(f"{name}: the proxy of {special}", judged.stop())
        for judged in stages:
            tally.note(f"{name}: the proxy of {judged.directory.name}", judged.stop())
    finally:
        for judged in stages:
            judged.stop()
        smsc.stop()


class Quiet(Tally):
    """Counts, and says only what fails."""

    def note(self, what, wrong):
        if wrong:
            self.check(what, False, wrong)
        else:
            self.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", metavar="BIN", help="the proxy")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("only", nargs="*", metavar="NAME", help="these cases alone")
    args = parser.parse_args()
    fixtures = [one for path in sorted(ROOT.glob("proto-fixtures/pdus/*.pdu")) if (one := Fixture(path)).is_played]
    cases = tomllib.loads((HERE / "traps.toml").read_text(encoding="utf-8"))["case"]
    for reference, case in enumerate(cases, 1):
        case["reference"] = reference
    specials = list(SPECIAL)
    if args.only:
        specials = [name for name in specials if name in args.only]
        fixtures = [one for one in fixtures if one.name in args.only]
        cases = [case for case in cases if case["name"] in args.only]
    if args.list:
        print("\n".join([one.name for one in fixtures] + [case["name"] for case in cases] + specials))
        return 0
    if not args.consentry:
        parser.error("--consentry BIN is needed, or --list")
    tally, began = Quiet(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="traps-") as scratch:
        try:
            for name, argv in SMSCS.items():
                directory = pathlib.Path(scratch) / re.sub(r"\W+", "-", name)
                play(tally, name, argv, args.consentry, directory, fixtures, cases, specials)
        except (Cannot, OSError, subprocess.TimeoutExpired) as reason:
            tally.check("the test could be carried out", False, str(reason))
    print(f"{len(fixtures)} PDUs and {len(cases) + len(specials)} cases before {len(SMSCS)} SMSCs in {time.monotonic() - began:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
