"""What must be true of a run of several nodes, whatever was broken meanwhile. Pure: data in, violations out.

A run is one object, whose times are all of one monotonic clock, in seconds:

    staleness   how old what a node knows of the engine may be
    delivery    how long a node may take, once it reaches the engine, to tell it what it kept meanwhile
    patience    how long a service message may wait for its answer
    trips       messages of ESMEs that keep count: {node, who, n, kind, number, sent, answered, status}
    smsc        messages that the SMSC read, all of them: {node, who, n, number, at, id}
    journals    by node: {system_id, sequence_number, destination, verdict, message_id}
    attempts    events that somebody told a node: {number, kind, how, node, id, began, acked}; acked is None where no answer
                came; id is the proof's digest, or the stated time, or None of a reply
    history     by number, the engine's events in its order: {happened, source, proof_sha256, time}
    outages     {node, reads, from, to}: the node (None: every node) could not reach the engine; with `reads` it could not write
    downs       {node, from, to}: the node did not run
    probes      at the end, all whole again: {number, node, status}

Each function is one rule. All together are `violations`.
"""

import collections

ROK, RSUBMITFAIL, RMSGQFUL = 0, 0x45, 0x14
# What a commercial message may be answered with here: it passes, there is no consent, it cannot be known now.
ANSWERS = {ROK, RSUBMITFAIL, RMSGQFUL}


def violations(run):
    found = []
    for rule in RULES:
        found += [f"{rule.__name__}: {what}" for what in rule(run)]
    return found


def key(message):
    return message["who"], message["number"], message["n"]


def positions(run, number):
    """Where each attempt of a pair stands in the engine's history: id -> place. Of replies, which have no id, at the earliest."""
    history = run["history"].get(number, [])
    places = {}
    for place, event in enumerate(history):
        if event["source"] != "reply":
            places[event["proof_sha256"] if event["happened"] == "granted" else event["time"]] = place
    replies = [place for place, event in enumerate(history) if event["source"] == "reply"]
    acked = [one for one in run["attempts"] if one["number"] == number and one["how"] == "reply" and one["acked"] is not None]
    for place, attempt in zip(replies, sorted(acked, key=lambda one: one["acked"])):
        places[id(attempt)] = place
    return places


def known_everywhere(run, revocation):
    """When a revocation that one node has acknowledged must be known to every other that answers at all."""
    at = revocation["acked"]
    closed = [one for one in run["outages"] if one["node"] in (None, revocation["node"])]
    closed += [one for one in run["downs"] if one["node"] == revocation["node"]]
    for outage in sorted(closed, key=lambda one: one["from"]):
        if outage["from"] <= at + run["delivery"] and at < outage["to"] + run["delivery"]:
            at = outage["to"] + run["delivery"]
    return at + run["staleness"]


def revoked_is_silent(run):
    """No commercial message is forwarded that was sent after its recipient's refusal was acknowledged on that node, or elsewhere
    and long enough ago, unless a grant that the engine holds behind the refusal had been told by then."""
    attempts = collections.defaultdict(list)
    for attempt in run["attempts"]:
        attempts[attempt["number"]].append(attempt)
    arrived = {key(one): one["at"] for one in run["smsc"]}
    places = {number: positions(run, number) for number in attempts}
    for trip in run["trips"]:
        if trip["kind"] != "commercial" or key(trip) not in arrived:
            continue
        number, at = trip["number"], arrived[key(trip)]
        place = lambda one: places[number].get(one["id"] if one["how"] != "reply" else id(one))
        grants = [place(one) for one in attempts[number] if one["kind"] == "granted" and one["began"] < at and place(one) is not None]
        if not grants:
            yield f"message {trip['n']} reached the SMSC through {trip['node']} and nobody ever granted"
            continue
        for one in attempts[number]:
            if one["kind"] != "revoked" or one["acked"] is None or place(one) is None:
                continue
            since = one["acked"] if one["node"] == trip["node"] else known_everywhere(run, one)
            if since <= trip["sent"] and max(grants) < place(one):
                yield (f"message {trip['n']} was sent through {trip['node']} {trip['sent'] - one['acked']:.3f} s after {one['node']} "
                       f"acknowledged the {one['how']} that revoked, and went on")


def stale_is_silent(run):
    """Where a node hears nothing of the engine for longer than what it knows may be old, no commercial message passes."""
    arrived = {key(one) for one in run["smsc"]}
    for trip in run["trips"]:
        for outage in run["outages"]:
            if (trip["kind"] == "commercial" and key(trip) in arrived and outage["node"] in (None, trip["node"])
                    and not outage["reads"] and outage["from"] + run["staleness"] < trip["sent"] < outage["to"]):
                yield f"message {trip['n']} passed {trip['node']} {trip['sent'] - outage['from']:.3f} s after it lost the engine"


def events_are_kept_once(run):
    """What was acknowledged is in the engine exactly once, what was not at most once, and nothing else is there."""
    told = collections.defaultdict(list)
    for attempt in run["attempts"]:
        told[attempt["number"]].append(attempt)
    for number in set(told) | set(run["history"]):
        kept = collections.Counter()
        for event in run["history"].get(number, []):
            reply = event["source"] == "reply"
            kept["reply" if reply else event["proof_sha256"] if event["happened"] == "granted" else event["time"]] += 1
        for attempt in told[number]:
            if attempt["how"] == "reply":
                continue
            count = kept.pop(attempt["id"], 0)
            if count > 1 or attempt["acked"] is not None and count != 1:
                yield (f"the {attempt['kind']} event that {attempt['node']} {'acknowledged' if attempt['acked'] is not None else 'did not acknowledge'} "
                       f"is {count} times in the engine")
        replies = [one for one in told[number] if one["how"] == "reply"]
        least, most, count = sum(one["acked"] is not None for one in replies), len(replies), kept.pop("reply", 0)
        if not least <= count <= most:
            yield f"of {most} replies, {least} of them acknowledged, {count} are in the engine"
        if kept:
            yield f"{sum(kept.values())} events are in the engine that nobody told"


def forwarded_is_recorded_once(run):
    """What the SMSC has read is on record as passed exactly once, by the node that it came through; and it came once."""
    records = collections.defaultdict(list)
    for node, journal in run["journals"].items():
        for record in journal:
            if record["verdict"] == "pass":
                records[record["system_id"], record["destination"], record["sequence_number"]].append((node, record.get("message_id")))
    seen = set()
    for message in run["smsc"]:
        if key(message) in seen:
            yield f"message {message['n']} of {message['who']} reached the SMSC twice"
        seen.add(key(message))
        found = records.get(key(message), [])
        if len(found) != 1:
            yield f"message {message['n']} of {message['who']} through {message['node']} is on record {len(found)} times"
        elif found[0][0] != message["node"]:
            yield f"message {message['n']} of {message['who']} came through {message['node']} and is on record at {found[0][0]}"
        elif found[0][1] not in (None, message["id"]):
            yield f"message {message['n']} of {message['who']} is on record with another message_id"


def answers_are_true(run):
    """An ESME is told ESME_ROK of what the SMSC has read, and of nothing else another status."""
    arrived = {key(one) for one in run["smsc"]}
    for trip in run["trips"]:
        if trip["status"] == ROK and key(trip) not in arrived:
            yield f"message {trip['n']} through {trip['node']} was answered ESME_ROK, and the SMSC never read it"
        if trip["status"] not in (None, ROK) and key(trip) in arrived:
            yield f"message {trip['n']} through {trip['node']} was refused, and reached the SMSC"
        if trip["kind"] == "commercial" and trip["status"] is not None and trip["status"] not in ANSWERS:
            yield f"message {trip['n']} through {trip['node']} was answered {trip['status']:#x}"


def is_down(run, node, since, until):
    return any(one["node"] == node and one["from"] < until and since < one["to"] for one in run["downs"])


def service_passes(run):
    """A service message passes, and soon, whatever becomes of the engine: unless its node itself did not run."""
    for trip in run["trips"]:
        if trip["kind"] != "service" or is_down(run, trip["node"], trip["sent"] - 1, trip["sent"] + run["patience"]):
            continue
        if trip["status"] is None:
            yield f"service message {trip['n']} through {trip['node']} was not answered"
        elif trip["status"] != ROK:
            yield f"service message {trip['n']} through {trip['node']} was answered {trip['status']:#x}"
        elif trip["answered"] - trip["sent"] > run["patience"]:
            yield f"service message {trip['n']} through {trip['node']} waited {trip['answered'] - trip['sent']:.1f} s"


def sessions_stay(run):
    """No session ends but with its node: a commercial message, too, is answered."""
    for trip in run["trips"]:
        if trip["kind"] == "commercial" and trip["status"] is None and not is_down(run, trip["node"], trip["sent"] - 1, trip["sent"] + run["patience"]):
            yield f"message {trip['n']} through {trip['node']} was not answered"


def nodes_agree(run):
    """In the end every node answers for each pair what the engine's history says."""
    for probe in run["probes"]:
        history = run["history"].get(probe["number"], [])
        wanted = ROK if history and history[-1]["happened"] == "granted" else RSUBMITFAIL
        if probe["status"] != wanted:
            status = "not at all" if probe["status"] is None else f"{probe['status']:#x}"
            yield f"{probe['node']} answers {status}, not {wanted:#x}, for a pair whose last event is {history[-1]['happened'] if history else 'none'}"


RULES = (revoked_is_silent, stale_is_silent, events_are_kept_once, forwarded_is_recorded_once, answers_are_true, service_passes,
         sessions_stay, nodes_agree)
