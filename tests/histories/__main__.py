"""Plays many call histories and says how many there were of each kind, and what was found: `make histories`."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections import Counter
from typing import Any

from tests.histories.history import play

#: After so many faults there is enough to look at.
ENOUGH = 20


def played(seeds: range, passes_on: bool = False) -> dict[str, Any]:
    """Play histories and return their kinds, what was found in which, and how long it took."""
    kinds: Counter[str] = Counter()
    found: dict[int, str] = {}
    count, began, worked = 0, time.monotonic(), time.process_time()
    for seed in seeds:
        count += 1
        try:
            kinds.update(play(seed, passes_on))
        except Exception as fault:  # whatever goes wrong is a finding
            found[seed] = "".join(traceback.format_exception_only(fault)).strip()[:200]
            if len(found) == ENOUGH:
                break
    times = {"seconds": round(time.monotonic() - began), "processor": round(time.process_time() - worked)}
    return {"first": seeds.start, "histories": count, **times, "found": found, "kinds": dict(kinds.most_common())}


def main() -> int:
    """Play what is asked for, in chunks; each tells as one line of JSON what came of it, and the last line of all."""
    asked = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    asked.add_argument("count", type=int, nargs="?", default=1_000_000, help="how many histories")
    asked.add_argument("--first", type=int, default=0, help="the seed of the first")
    asked.add_argument("--chunk", type=int, default=10_000, help="how many are told of together")
    asked.add_argument("--passed-on", action="store_true", help="the telephone system gives on what nobody answers")
    wanted = asked.parse_args()
    gc.freeze()
    last = wanted.first + wanted.count
    every: list[dict[str, Any]] = []
    for first in range(wanted.first, last, wanted.chunk):
        every.append(played(range(first, min(first + wanted.chunk, last)), wanted.passed_on))
        print(json.dumps(every[-1]), flush=True)
    print(json.dumps(summed(every)))
    return 1 if any(told["found"] for told in every) else 0


def summed(every: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what all chunks come to."""
    kinds: Counter[str] = Counter()
    for told in every:
        kinds.update(told["kinds"])
    sums = {name: sum(told[name] for told in every) for name in ("histories", "seconds", "processor")}
    found = {seed: fault for told in every for seed, fault in told["found"].items()}
    return {"first": every[0]["first"], **sums, "found": found, "kinds": dict(kinds.most_common())}


if __name__ == "__main__":
    sys.exit(main())
