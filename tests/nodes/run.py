#!/usr/bin/env python3
"""Three nodes, one truth, and everything broken: real servers on loopback, as an unprivileged user.

    tests/nodes/run.py --consentry target/debug/consentry                  one round, its seed printed
    tests/nodes/run.py --consentry target/debug/consentry --seed 7         that round again
    tests/nodes/run.py --consentry target/debug/consentry --rounds 10      ten, each with the next seed
    tests/nodes/run.py --consentry target/debug/consentry --story          what it is all for, told line by line
    tests/nodes/run.py --consentry target/debug/consentry --upgrade        each node replaced in turn, under load

PostgreSQL as primary and synchronous standby, three proxies with clocks that are minutes apart, HAProxy in front with the
PROXY protocol, an SMSC behind, people who consent and refuse by API and by reply, `consentry load`, smpplib and npm smpp.
A round breaks each thing of faults.py once, in an order of the seed's, and holds everything that ESMEs, SMSC, journals and
engine saw to checker.py. Needs gcc and what tests/interop/install brings.
"""

import argparse
import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import checker  # noqa: E402
from faults import Faults  # noqa: E402
from ground import Cannot, now, wait  # noqa: E402
from stage import NODES, STALENESS_SECONDS, Stage  # noqa: E402
from story import Story  # noqa: E402
from traffic import PYTHON, Traffic  # noqa: E402
from upgrade import Upgrade  # noqa: E402

# How long a node may take, once it reaches the engine again, to tell what it kept meanwhile.
DELIVERY_SECONDS = 5.0
# How long a service message may wait for its answer, on a loaded machine of two cores.
PATIENCE_SECONDS = 5.0
# Between two faults, all being well.
QUIET_SECONDS = 2.0
SKEW_SECONDS = (60, 300)
# What a round has to have seen at least, to mean anything.
LEAST = {"commercial messages passed": 50, "commercial messages refused for want of consent": 50, "service messages passed": 300,
         "commercial messages put off while the engine was away": 20, "replies acknowledged": 5, "events acknowledged by the API": 20,
         "messages of consentry load": 200, "messages of smpplib": 20, "messages of npm smpp": 20}


def say(text):
    print(f"{time.strftime('%H:%M:%S')}   {text}", flush=True)


def skews(chosen):
    """One clock is right, one minutes ahead, one minutes behind."""
    wrong = [0, chosen.randrange(*SKEW_SECONDS), -chosen.randrange(*SKEW_SECONDS)]
    chosen.shuffle(wrong)
    return wrong


def play(stage, seed):
    """Breaks everything; what was seen meanwhile, as checker.py reads it."""
    traffic = Traffic(stage, seed)
    faults = Faults(stage, traffic, seed, say)
    traffic.start()
    time.sleep(QUIET_SECONDS)
    for fault in faults.all():
        fault()
        time.sleep(QUIET_SECONDS)
    say("everything is whole again")
    traffic.finish()
    wait("every node has told what it kept", lambda: all(node.metric("consentry_consent_outbox_events") == 0 for node in stage.nodes))
    time.sleep(STALENESS_SECONDS)
    probes = traffic.probe()
    history = {number: stage.nodes[0].history(number) for number in traffic.people}
    run = {"staleness": STALENESS_SECONDS, "delivery": DELIVERY_SECONDS, "patience": PATIENCE_SECONDS, "attempts": traffic.attempts,
           "history": history, "outages": faults.outages, "downs": faults.downs, "probes": probes}
    wrong = stage.stop()
    run |= {"trips": stage.trips + traffic.foreign_trips(), "smsc": stage.smsc.got,
            "journals": {node.name: node.journal() for node in stage.nodes}}
    for node in stage.nodes:
        node.command("audit", "verify")
    return run, wrong


def seen(run):
    """How often what has to have been seen was seen."""
    def count(kind, status):
        return sum(trip["kind"] == kind and trip["status"] == status for trip in run["trips"])

    def acked(how):
        return sum(one["how"] == how and one["acked"] is not None for one in run["attempts"])

    def of(who):
        return sum(message["who"] == who for message in run["smsc"])

    return dict(zip(LEAST, (count("commercial", checker.ROK), count("commercial", checker.RSUBMITFAIL), count("service", checker.ROK),
                            count("commercial", checker.RMSGQFUL), acked("reply"), acked("api"), of("load"), of("smpplib"), of("nodesmpp"))))


def a_round(stage, seed):
    """What was wrong in the round of that seed."""
    run, wrong = play(stage, seed)
    (stage.folder / "run.json").write_text(json.dumps(run))
    figures = seen(run)
    say("; ".join(f"{count} {what}" for what, count in figures.items()))
    wrong += [f"only {figures[what]} {what}, of {least}" for what, least in LEAST.items() if figures[what] < least]
    return wrong + checker.violations(run)


def the_story(stage, _):
    Story(stage, lambda line: print(line, flush=True)).play()
    return []


def the_upgrade(stage, _):
    return Upgrade(stage, say).play()


def held(name, play, consentry, seed, keep, clocks=(0, 0, 0), mirrored=False):
    """Whether it held: plays on a stage of its own and says what was wrong."""
    began, folder = now(), pathlib.Path(tempfile.mkdtemp(prefix="nodes-"))
    print(f"== {name}", flush=True)
    stage, is_good = None, False
    try:
        stage = Stage(folder, consentry, clocks, mirrored)
        say(f"three nodes are up in {now() - began:.1f} s; their clocks are wrong by {', '.join(f'{one:+d} s' for one in clocks)}")
        wrong = play(stage, seed)
        for what in wrong[:40]:
            print(f"FAILED {what}", flush=True)
        if len(wrong) > 40:
            print(f"FAILED and {len(wrong) - 40} more", flush=True)
        is_good = not wrong
    except (Cannot, OSError) as reason:
        print(f"FAILED {reason}", flush=True)
    finally:
        if stage:
            stage.stop()
    if is_good and not keep:
        shutil.rmtree(folder)
    else:
        say(f"all files are in {folder}")
    print(f"{'ok' if is_good else 'FAILED'} {name}, in {now() - began:.0f} s", flush=True)
    return is_good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consentry", metavar="BIN", required=True)
    parser.add_argument("--seed", type=int, help="of the first round; without it, another each time")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--story", action="store_true", help="only tell the story")
    parser.add_argument("--upgrade", action="store_true", help="only replace each node in turn")
    parser.add_argument("--keep", action="store_true", help="leave the files also of a round that held")
    args = parser.parse_args()
    for needed in (args.consentry, PYTHON, "/usr/sbin/haproxy"):
        if not shutil.which(needed):
            sys.exit(f"{needed} is missing: build, and run tests/interop/install")
    # Servers end with the test, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.story or args.upgrade:
        name, play = ("the story of three nodes", the_story) if args.story else ("a rolling upgrade", the_upgrade)
        return 0 if held(name, play, args.consentry, 0, args.keep, mirrored=args.story) else 1
    first = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    failed = [seed for seed in range(first, first + args.rounds)
              if not held(f"seed {seed}", a_round, args.consentry, seed, args.keep, skews(random.Random(seed)))]
    print(f"{args.rounds - len(failed)} rounds passed, {len(failed)} failed{': seeds ' if failed else ''}{', '.join(map(str, failed))}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
