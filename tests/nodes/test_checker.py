#!/usr/bin/env python3
"""The checker finds each violation that is planted, by the rule whose it is, and nothing in a run that is whole.

    tests/nodes/test_checker.py
"""

import copy
import sys
import unittest

sys.dont_write_bytecode = True
from checker import RMSGQFUL, ROK, RSUBMITFAIL, RULES, violations  # noqa: E402

A, B, PERSON = "proxy-1", "proxy-2", "8613900000001"


def trip(n, node, kind, sent, status, number=PERSON, answered=None):
    return {"node": node, "who": "shop", "n": n, "kind": kind, "number": number, "sent": sent,
            "answered": sent + 0.01 if answered is None else answered, "status": status}


def attempt(kind, how, node, began, acked, name):
    return {"number": PERSON, "kind": kind, "how": how, "node": node, "id": name, "began": began, "acked": acked}


def event(happened, source, name=None):
    return {"happened": happened, "source": source, "proof_sha256": name if happened == "granted" else None,
            "time": name if source != "reply" else "whenever"}


def whole():
    """A grant at 10, messages, a reply at 20, silence; a grant at 40; an outage of all nodes from 50 to 60 in which the API
    revokes at B; both nodes silent in the end."""
    trips = [trip(1, A, "commercial", 12, ROK), trip(2, B, "commercial", 12, ROK), trip(3, A, "commercial", 20.2, RSUBMITFAIL),
             trip(4, B, "commercial", 20.5, ROK), trip(5, B, "commercial", 23, RSUBMITFAIL), trip(6, A, "commercial", 41, ROK),
             trip(7, A, "service", 55, ROK, "8613900000009"), trip(8, A, "commercial", 51, ROK), trip(9, A, "commercial", 53, RMSGQFUL),
             trip(10, A, "commercial", 70, RSUBMITFAIL), trip(11, B, "service", 80, None, "8613900000008")]
    passed = [one for one in trips if one["status"] == ROK]
    return {
        "staleness": 2, "delivery": 1, "patience": 5, "trips": trips,
        "smsc": [{"node": one["node"], "who": "shop", "n": one["n"], "number": one["number"], "at": one["sent"] + 0.005,
                  "id": f"smsc-{one['n']}"} for one in passed],
        "journals": {node: [{"system_id": "shop", "sequence_number": one["n"], "destination": one["number"],
                             "verdict": "pass" if one["status"] == ROK else "refuse", "message_id": f"smsc-{one['n']}"}
                            for one in trips if one["node"] == node and one["status"] is not None] for node in (A, B)},
        "attempts": [attempt("granted", "api", B, 10, 10.1, "g1"), attempt("revoked", "reply", A, 20, 20.1, None),
                     attempt("granted", "api", A, 39, None, "lost"), attempt("granted", "api", A, 40, 40.1, "g2"),
                     attempt("revoked", "api", B, 50.5, 50.6, "t1")],
        "history": {PERSON: [event("granted", "api", "g1"), event("revoked", "reply"), event("granted", "api", "g2"),
                             event("revoked", "api", "t1")]},
        "outages": [{"node": None, "reads": False, "from": 50, "to": 60}],
        "downs": [{"node": B, "from": 80.5, "to": 82}],
        "probes": [{"number": PERSON, "node": node, "status": RSUBMITFAIL} for node in (A, B)],
    }


def of(run, n):
    return next(one for one in run["trips"] if one["n"] == n)


def passes(run, n, **more):
    """A message that was refused is forwarded instead, and recorded as that."""
    one = of(run, n)
    one.update(status=ROK, **more)
    run["smsc"].append({"node": one["node"], "who": "shop", "n": n, "number": one["number"], "at": one["sent"] + 0.005, "id": f"smsc-{n}"})
    for record in run["journals"][one["node"]]:
        if record["sequence_number"] == n:
            record["verdict"] = "pass"


PLANTED = (
    ("forwarded on the node that acknowledged", "revoked_is_silent", lambda run: passes(run, 3)),
    ("forwarded elsewhere, too late", "revoked_is_silent", lambda run: passes(run, 5)),
    ("forwarded elsewhere, later than an outage excuses", "revoked_is_silent", lambda run: passes(run, 10)),
    ("forwarded on a grant that the engine never had", "revoked_is_silent", lambda run: (run["history"][PERSON].pop(2), run["attempts"].pop(3))),
    ("forwarded on a grant that came before the refusal", "revoked_is_silent",
     lambda run: run["history"][PERSON].insert(1, run["history"][PERSON].pop(2))),
    ("forwarded without any grant", "revoked_is_silent", lambda run: of(run, 1).update(number="8613900000005") or run["smsc"][0].update(number="8613900000005")
     or run["journals"][A][0].update(destination="8613900000005")),
    ("forwarded on what nobody could know any more", "stale_is_silent", lambda run: passes(run, 9)),
    ("an acknowledged grant is lost", "events_are_kept_once", lambda run: run["history"][PERSON].pop(0)),
    ("an acknowledged reply is lost", "events_are_kept_once", lambda run: run["history"][PERSON].pop(1)),
    ("an acknowledged revocation is lost", "events_are_kept_once", lambda run: run["history"][PERSON].pop()),
    ("an event is there twice", "events_are_kept_once", lambda run: run["history"][PERSON].append(event("granted", "api", "g2"))),
    ("a reply is there twice", "events_are_kept_once", lambda run: run["history"][PERSON].append(event("revoked", "reply"))),
    ("an event is there that nobody told", "events_are_kept_once", lambda run: run["history"][PERSON].append(event("granted", "api", "g9"))),
    ("a whole pair is lost", "events_are_kept_once", lambda run: run["history"].clear()),
    ("forwarded without a record", "forwarded_is_recorded_once", lambda run: run["journals"][A].pop(0)),
    ("recorded as refused", "forwarded_is_recorded_once", lambda run: run["journals"][A][0].update(verdict="refuse")),
    ("recorded twice", "forwarded_is_recorded_once", lambda run: run["journals"][A].append(run["journals"][A][0])),
    ("recorded on two nodes", "forwarded_is_recorded_once", lambda run: run["journals"][B].append(run["journals"][A][0])),
    ("recorded on the wrong node", "forwarded_is_recorded_once", lambda run: run["journals"][B].append(run["journals"][A].pop(0))),
    ("recorded with another message_id", "forwarded_is_recorded_once", lambda run: run["journals"][A][0].update(message_id="smsc-99")),
    ("forwarded twice", "forwarded_is_recorded_once", lambda run: run["smsc"].append(run["smsc"][0])),
    ("answered for and never forwarded", "answers_are_true", lambda run: run["smsc"].pop(0)),
    ("refused and forwarded", "answers_are_true", lambda run: of(run, 1).update(status=RMSGQFUL)),
    ("an answer of another kind", "answers_are_true", lambda run: of(run, 3).update(status=8)),
    ("a service message refused", "service_passes", lambda run: of(run, 7).update(status=RMSGQFUL)),
    ("a service message unanswered", "service_passes", lambda run: of(run, 7).update(status=None)),
    ("a service message late", "service_passes", lambda run: of(run, 7).update(answered=61)),
    ("a service message unanswered by a node that ran", "service_passes", lambda run: run["downs"].clear()),
    ("a session that ended", "sessions_stay", lambda run: of(run, 3).update(status=None)),
    ("a node that does not know", "nodes_agree", lambda run: run["probes"][1].update(status=ROK)),
    ("a node that does not answer", "nodes_agree", lambda run: run["probes"][1].update(status=None)),
    ("a node that knows of no grant", "nodes_agree", lambda run: run["history"][PERSON].pop()),
)
# What is no violation, though it is near to one.
ALLOWED = (
    ("forwarded elsewhere within the bound", lambda run: of(run, 4).update(sent=22)),
    ("an unacknowledged event that the engine took", lambda run: run["history"][PERSON].insert(2, event("granted", "api", "lost"))),
    ("a reply that was sent again, unanswered at first", lambda run: run["attempts"].insert(1, attempt("revoked", "reply", B, 19, None, None))),
    ("forwarded elsewhere while an outage keeps the refusal back", lambda run: (of(run, 10).update(sent=62.9, answered=62.91), passes(run, 10))),
    ("recorded and, its node killed, never forwarded", lambda run: (of(run, 1).update(status=None), run["smsc"].pop(0),
                                                                  run["downs"].append({"node": A, "from": 12, "to": 13}))),
    ("writing alone impossible", lambda run: (run["outages"][0].update(reads=True), passes(run, 9))),
)


class Checker(unittest.TestCase):
    def test_whole(self):
        self.assertEqual(violations(whole()), [])

    def test_planted(self):
        for name, rule, plant in PLANTED:
            with self.subTest(name):
                run = copy.deepcopy(whole())
                plant(run)
                found = violations(run)
                self.assertIn(rule, {one.split(":")[0] for one in found}, found)

    def test_allowed(self):
        for name, change in ALLOWED:
            with self.subTest(name):
                run = copy.deepcopy(whole())
                change(run)
                self.assertEqual(violations(run), [])

    def test_every_rule_is_planted(self):
        self.assertEqual({rule for _, rule, _ in PLANTED}, {rule.__name__ for rule in RULES})


if __name__ == "__main__":
    unittest.main()
