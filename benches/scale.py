#!/usr/bin/env python3
"""Beyond the machines that were measured: writes docs/scale.md, each figure from one of BENCHMARKS.md.

    benches/scale.py                                          half a minute; the document on standard output
    benches/scale.py --pairs 3e8 --rate 20000 --nodes 3       the same for another operator

The cache is simulated, not estimated: shards and eviction as in src/consent/hot.rs, by three kinds of traffic, with fewer
shards of the real size.
"""

import argparse
import random

# src/consent/hot.rs
ENTRY_OCTETS = 25
SHARD_SLOTS = 1 << 12
SHARD_ENTRIES_MAX = SHARD_SLOTS // 8 * 7
# The hot layer's share of `[consent] cache`; the rest holds promises.
STANDINGS = 7 / 8
# src/consent/shared: polls of one node a second, look-ups and events of one statement at most.
POLLS, LOOKUP_KEYS_MAX, DELIVER_EVENTS_MAX = 20, 1024, 2048

# What was measured: BENCHMARKS.md, "Many nodes" unless said.
MEASURED = {
    "octets a pair": 142,              # in the engine, of consentry_consent_pairs with its index
    "octets an event": 151,            # the same of consentry_consent_events
    "octets a change": 164,            # the same of consentry_consent_changes
    "node us": 3.69,                   # CPU a message of a node, all rules, shared ledger, all in the cache
    "lookup us": 18.5,                 # CPU of the primary a pair looked up: 1.81 us a message, 9.8 % of which lacked theirs
    "batches of 1": 333,               # "Shared consent ledger": eight writers, synchronous standby, batches a second
    "batches of 100": 7298,            # the same, events a second
    "journal octets": 2 * 84.8,        # "Records": two records a message
    "parquet octets": 24.9,            # "Records": a message with its answer
}


class Table:
    """The hot layer: bounded shards, of a full one a quarter is dropped by chance."""

    def __init__(self, octets, chance):
        self.shards = [set() for _ in range(max(1, int(octets * STANDINGS) // (SHARD_SLOTS * ENTRY_OCTETS)))]
        self.chance = chance

    def hit(self, pair):
        """Whether the pair was there; it is afterwards."""
        shard = self.shards[hash((pair, 7)) % len(self.shards)]
        if pair in shard:
            return True
        if len(shard) >= SHARD_ENTRIES_MAX:
            shard.difference_update([one for one in shard if self.chance.random() < 0.25])
        shard.add(pair)
        return False


def traffic(kind, pairs, chance):
    """Recipients without end: of a campaign after the other, of anybody at any time, or mostly of the same few."""
    while kind == "campaigns":
        for start in range(0, pairs, 997):
            yield from range(start, min(start + 997, pairs))
    while kind == "anybody":
        yield chance.randrange(pairs)
    while kind == "customers":
        # Four fifths of the messages go to a fifth of the recipients.
        few = pairs // 5
        yield chance.randrange(few) if chance.random() < 0.8 else few + chance.randrange(pairs - few)


def hits(kind, pairs, octets, seed):
    """Share of look-ups that the cache answers, once every pair has been asked for and as much traffic again has gone by."""
    chance = random.Random(seed)
    table, all_of_it = Table(octets, chance), traffic(kind, pairs, chance)
    for pair in range(pairs):
        table.hit(pair)
    for _ in range(pairs):
        table.hit(next(all_of_it))
    return sum(table.hit(next(all_of_it)) for _ in range(pairs)) / pairs


# What is simulated: pairs, and the caches as a share of what holds all of them.
SIMULATED_PAIRS = 200_000
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0, 1.15, 1.4)
KINDS = {
    "campaigns": "one campaign after the other, each to everybody on its list",
    "anybody": "anybody at any time",
    "customers": "four fifths of the messages to a fifth of the recipients",
}


def whole(pairs):
    """Octets of `[consent] cache` whose slots are just as many as the pairs."""
    return pairs * ENTRY_OCTETS / (STANDINGS * 7 / 8)


def size(octets):
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if octets >= unit:
            return f"{octets / unit:,.1f} {name}"
    return f"{octets:.0f} octets"


def table(heads, rows):
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def document(it):
    """The whole of docs/scale.md."""
    m = MEASURED
    found = {kind: [hits(kind, SIMULATED_PAIRS, int(whole(SIMULATED_PAIRS) * share), 1) for share in SHARES] for kind in KINDS}
    events = it.pairs * it.events
    engine = it.pairs * m["octets a pair"] + events * m["octets an event"]
    written = it.rate * (it.promised + it.asked + it.changed)
    node_cores = it.rate / it.nodes * m["node us"] / 1e6
    each = it.pairs / it.nodes
    misses = it.rate * (1 - it.hits)
    lookup_cores = misses * m["lookup us"] / 1e6
    day = it.rate * it.busy * 86400
    rows = [
        ["messages a second, a node", f"{it.rate / it.nodes:,.0f}", "all of them over the nodes"],
        ["cores a node for them", f"{node_cores:.2f}", f"{m['node us']} us a message"],
        ["cache that holds every pair", size(whole(it.pairs)), f"{ENTRY_OCTETS} octets a slot, an eighth free, an eighth for promises"],
        ["cache that holds a node's share", size(whole(each)), "where each provider binds to one node"],
        ["look-ups at the engine a second", f"{misses:,.0f}", f"{it.hits:.0%} are answered by the caches"],
        ["cores of the primary for them", f"{lookup_cores:.2f}", f"{m['lookup us']} us each, by the batch"],
        ["events written a second", f"{written:,.0f}", f"{it.promised:.1%} of messages under a promise, {it.asked:.2%} requests, {it.changed:.2%} yes and no"],
        ["the most that one head row took, by the hundred", f"{m['batches of 100']:,}", "eight writers, synchronous standby on the same disk"],
        ["the same, one by one", f"{m['batches of 1']:,}", "as where nothing waits: then less is written too"],
        ["feed, all nodes", size(written * m["octets a change"] * it.nodes) + "/s", f"{m['octets a change']} octets a change to each node"],
        ["polls a second", f"{POLLS * it.nodes:,}", f"{POLLS} a node"],
        ["engine on the disk", size(engine), f"{m['octets a pair']} octets a pair, {it.events} events a pair of {m['octets an event']}"],
        ["changes kept for an hour", size(written * 3600 * m["octets a change"]), ""],
        ["journals, a day, all nodes", size(day * m["journal octets"]), f"{it.busy:.0%} of the peak rate on average; {m['journal octets']:.0f} octets a message"],
        ["the same as Parquet, five months", size(day * 153 * m["parquet octets"]), f"{m['parquet octets']} octets a message"],
    ]
    machines = [
        ["nodes", it.nodes, f"{max(2, node_cores * 2):.0f} cores (twice what is used), {size(whole(each) * 2 + 1e9)} of memory, {size(day * m['journal octets'] / it.nodes * 7)} of disk for a week of journal"],
        ["engine", 2, f"primary and standby, each {max(4, (lookup_cores + 1) * 2):.0f} cores and {size(engine * 1.5)} of disk; memory for the pairs' indexes, {size(it.pairs * m['octets a pair'] / 2)}"],
        ["balancer", 2, "HAProxy: 0.25 us a message (BENCHMARKS.md)"],
    ]
    return TEXT.format(
        pairs=f"{it.pairs:,.0f}", rate=f"{it.rate:,.0f}", nodes=it.nodes,
        needs=table(["what", "how much", "from"], rows),
        cache=table(["traffic", *[f"{share:.0%}" for share in SHARES]],
                    [[KINDS[kind], *[f"{one:.0%}" for one in found[kind]]] for kind in KINDS]),
        machines=table(["what", "how many", "each"], machines),
    )


TEXT = """\
# Beyond the machines that were measured

<!-- before:
"$REPOSITORY/benches/scale.py" | diff - "$REPOSITORY/docs/scale.md"
-->

{pairs} pairs, {rate} messages a second, {nodes} nodes: **nothing of that size was run.** This is arithmetic on figures that were measured
on two cores ([BENCHMARKS.md](../BENCHMARKS.md), "Many nodes" and "Shared consent ledger"), and a simulation of the caches;
`benches/scale.py` writes it. The last column says from what; where your numbers are others, ask again, in the repository:
`benches/scale.py --pairs 3e8 --rate 20000 --nodes 3`.

## What it needs

{needs}
The one row that every writing transaction locks is what ends growth on one engine. It is reached by promises first: each message under a
promised frequency is counted at the engine before it goes on. Nodes write by the batch: the more waits, the more goes with one commit.
Beyond it, or beyond one machine's disk, put legal entities on engines of their own (a provider binds to nodes of one engine), or use an
engine that shards by itself; the SQL is portable (postgres.md).

## What a cache answers

Share of look-ups that are answered by a node, by the size of `[consent] cache` in relation to one that has a slot for every pair that its
traffic is about:

{cache}
Campaigns go through their lists from the first to the last, so a cache that is a little too small for a list answers little of it: **give it
33 octets a pair and a seventh more, or bind each provider to one node**, which then needs room for that provider's recipients alone.

## What fails together

| what is lost | what goes on | what does not |
|:--|:--|:--|
| a node | its senders bind to another one through the balancer; its journal is on its disk | what it had taken and not delivered is in force elsewhere when it is back |
| the standby | what needs no write, and all of it once the primary waits for it no more (an operator's or a failover manager's decision) | until then nothing is written: revocations wait in outboxes, in force on their nodes; what is under a promise does not go on |
| the primary | service messages; revocations, on the node that heard them | commercial messages, from the staleness bound until the standby is promoted |
| the network to one node | the others; on that node, service messages | that node's commercial messages after the staleness bound |
| a data centre with primary and half of the nodes | as for the primary, on the other half | half of the rate |

## Machines

{machines}
What that costs depends on where they stand; the machines are what is derived here.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default, says in (
        ("pairs", 1e9, "pairs of legal entity and recipient"), ("rate", 100e3, "messages a second at the peak"),
        ("nodes", 10, "proxies"), ("hits", 0.9, "share of look-ups that the caches answer"), ("events", 2, "events a pair has had"),
        ("promised", 0.05, "share of messages under a promised frequency"), ("asked", 0.001, "share of messages that ask for consent"),
        ("changed", 0.001, "replies and imports that change a standing, for each message"), ("busy", 0.3, "average rate as a share of the peak"),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{says} (default {default:g})")
    print(document(parser.parse_args()), end="")


if __name__ == "__main__":
    main()
