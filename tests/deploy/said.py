"""What every check of this folder says its findings with."""

failed = 0


def check(what, faults):
    """One line for a check, and one more for each fault. Whether there was none."""
    global failed
    failed += bool(faults)
    print(f"{'WRONG' if faults else 'ok   '} {what}", flush=True)
    for fault in faults:
        print(f"      {fault}", flush=True)
    return not faults


def check_rules(what, rules, good, mutations):
    """`rules(good)` finds nothing, and in each (name, spoil, word) a fault that names the word once spoil(good) was done.

    `good` is a function that makes the thing anew: spoil changes it, or returns the other text where it is one.
    """
    check(what, rules(good()))
    unseen = []
    for name, spoil, word in mutations:
        spoiled = good()
        replaced = spoil(spoiled)
        faults = rules(replaced if isinstance(spoiled, str) else spoiled)
        if not any(word in fault for fault in faults):
            unseen.append(f"{name}: not seen (found: {faults or 'nothing'})")
    check(f"{len(mutations)} mistakes are seen by it", unseen)
