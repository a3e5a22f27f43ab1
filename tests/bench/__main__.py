"""`make bench`: ctxhub and its peer in turn, in one sitting; ratios with the targets beside them.

Exit code 1 where a target is missed; a peer that can't be set up is reported as absent and its ratios left out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
import urllib.request
from pathlib import Path

from tests.bench.alike import apart_ms
from tests.bench.briefs import beyond_a_read
from tests.bench.calls import alerting, bytes_a_call, telephone
from tests.bench.guards import kept_with_guards
from tests.bench.imports import customers_per_second
from tests.bench.servers import KEY, Absent, Running, agent_memory_server, ctxhub
from tests.bench.wire import Load, run

MESSAGES = 20
LONG = 300


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--peers", type=Path, default=Path(".bench"))
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        hubs = {name: stack.enter_context(ctxhub(name)) for name in ("fast", "safe")}
        peer = _peer(stack, options.peers)
        results = asyncio.run(_measured(hubs, peer, options.rounds, options.customers))
    results["imports"] = customers_per_second()
    results["guards"] = asyncio.run(kept_with_guards())
    with telephone() as hub:
        results["call"] = asyncio.run(bytes_a_call(hub))
        results["alerting"] = asyncio.run(alerting(hub)).p99
    return _report(results, peer is None)


def _peer(stack: contextlib.ExitStack, folder: Path) -> Running | None:
    """Start the peer, or say why it is absent."""
    try:
        return stack.enter_context(agent_memory_server(folder.absolute() / "agent-memory-server"))
    except Absent as absent:
        print(absent)
        return None


Results = dict[str, list[Load]]


async def _measured(hubs: dict[str, Running], peer: Running | None, rounds: int, customers: int) -> dict[str, float]:
    """Run everything in turn, several rounds, and return medians."""
    results: Results = {}
    await _once(hubs["fast"], 16, MESSAGES)
    figures = _memory_and_trips(hubs["fast"], await _weighed(hubs["fast"], customers))
    figures["brief"] = await beyond_a_read(hubs["fast"])
    figures["apart"] = max((await apart_ms(hubs["fast"])).values())
    for _ in range(rounds):
        for name, hub in hubs.items():
            results.setdefault(name, []).append(await _once(hub, customers, MESSAGES))
        results.setdefault("long", []).append(await _once(hubs["fast"], 16, LONG))
        results.setdefault("short", []).append(await _once(hubs["fast"], 16 * LONG // MESSAGES, MESSAGES))
        if peer is not None:
            results.setdefault("peer", []).append(await _once(peer, customers, MESSAGES))
    _table(results)
    medians = {name: statistics.median(load.rate for load in loads) for name, loads in results.items()}
    return figures | {f"rate {name}": rate for name, rate in medians.items()} | {
        f"cpu {name}": statistics.median(load.cpu_ms for load in loads) for name, loads in results.items()
    }  # fmt: skip


async def _once(server: Running, customers: int, turns: int) -> Load:
    """Run new customers through their cycles."""
    names = [f"b{time.monotonic_ns():x}-{n}" for n in range(customers)]
    return await run(server.begin, server.port, KEY, server.pid, names, turns)


async def _weighed(hub: Running, customers: int) -> tuple[float, float, float]:
    """Return Redis memory for each customer, and round trips for each cycle."""
    await asyncio.sleep(1.5)
    memory, trips = _memory(hub), _trips(hub)
    load = await _once(hub, customers, MESSAGES)
    trips_after = _trips(hub)
    await asyncio.sleep(1.5)
    return (_memory(hub) - memory) / customers, (trips_after - trips) / len(load.cycles), load.rate


def _memory(hub: Running) -> float:
    """Return the memory that the hub's Redis uses."""
    return float(hub.redis.info("memory")["used_memory"])


def _trips(hub: Running) -> float:
    """Return how many round trips to Redis appends and reads have made."""
    with urllib.request.urlopen(f"http://127.0.0.1:{hub.port}/metrics") as metrics:
        lines = metrics.read().decode().splitlines()
    wanted = ('operation="append"', 'operation="load"')
    counted = [line for line in lines if line.startswith("ctxhub_redis_round_trips_total") and _any_in(line, wanted)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counted)


def _any_in(line: str, wanted: tuple[str, ...]) -> bool:
    """Tell whether one of some texts is in a line."""
    return any(text in line for text in wanted)


def _memory_and_trips(hub: Running, weighed: tuple[float, float, float]) -> dict[str, float]:
    """Name the figures that were weighed."""
    return {"memory": weighed[0], "trips": weighed[1]}


def _table(results: Results) -> None:
    """Print what every run came to, as Markdown."""
    print("| run | cycles/s (median) | p50 ms | p99 ms | server CPU ms a cycle |\n|---|---|---|---|---|")
    for name, loads in results.items():
        row = [
            statistics.median(load.rate for load in loads),
            statistics.median(load.percentile(0.5) for load in loads),
            statistics.median(load.percentile(0.99) for load in loads),
            statistics.median(load.cpu_ms for load in loads),
        ]
        print(f"| {name} | {row[0]:.0f} | {row[1]:.1f} | {row[2]:.1f} | {row[3]:.2f} |")


def _report(figures: dict[str, float], no_peer: bool) -> int:
    """Print what was reached and, where there is one, its target; 1 where a target is missed."""
    rows = [
        ("300 messages as fast as 20 (ratio of cycles/s)", figures["rate long"] / figures["rate short"], ">= 0.85"),
        ("Redis memory for a customer of 20 messages and 10 facts, kB", figures["memory"] / 1000, "<= 9"),
        ("round trips to Redis a cycle (starts included)", figures["trips"], "<= 2.5"),
        ("customers imported a second, two identifiers and three facts each", figures["imports"], ">= 2000"),
        ("part of its throughput that a read of a context keeps with all guards on", figures["guards"], ">= 0.8"),
        ("server CPU of a brief beyond a read of the context, ms", figures["brief"], "<= 2"),
    ]
    rows += [
        ("Redis memory of 120,000 live calls that wait, GB", figures["call"] * 120_000 / 1e9, "<= 1"),
        ("alerting to the desk's stream at 200 calls/s, p99 in ms", figures["alerting"], "<= 200"),
    ]
    rows.append(("median time that tells a number of somebody from one of nobody, ms", figures["apart"], "<= 5"))
    if not no_peer:
        rows += [
            ("cycles/s against agent-memory-server, `fast`", figures["rate fast"] / figures["rate peer"], ">= 2"),
            ("the same, `safe`", figures["rate safe"] / figures["rate peer"], ""),
            ("server CPU of agent-memory-server against ours", figures["cpu peer"] / figures["cpu fast"], ""),
        ]
    print("\n| what | reached | target |\n|---|---|---|")
    for what, reached, target in rows:
        print(f"| {what} | {reached:.2f} | {target}{'' if _met(reached, target) else ' MISSED'} |")
    return 0 if all(_met(reached, target) for _, reached, target in rows) else 1


def _met(reached: float, target: str) -> bool:
    """Tell whether a target such as `>= 2` is met; what has none is only shown."""
    if not target:
        return True
    sign, bound = target.split()
    return reached >= float(bound) if sign == ">=" else reached <= float(bound)


if __name__ == "__main__":
    sys.exit(main())
