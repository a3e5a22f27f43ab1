"""What the archive costs and how fast it is: `python -m tests.bench.archive`.

The same load on a hub without and one with an archive, in turn; events until the archive falls behind; and the first
reads of customers whom only the archive has. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import ExitStack

from tests.bench.load import Load, new_names, run
from tests.bench.running import Running
from tests.bench.scrape import metric
from tests.bench.servers import KEY, ctxhub
from tests.bench.wire import Connection

EVENTS = 500
CUSTOMERS = 60
AT_ONCE = 5


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--customers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with ExitStack() as stack:
        hubs = {
            name: stack.enter_context(ctxhub("fast", archive=archive)) for name, archive in (("off", "off"), ("on", ""))
        }
        slower = asyncio.run(_compared(hubs, options.rounds, options.customers))
        rate, lag = asyncio.run(_flooded(hubs["on"], options.seconds))
    with ctxhub("fast", keep_closed="500ms", timer_tick="100ms") as hub:
        slow = asyncio.run(_brought_back(hub))
    return _report(slower, rate, lag, slow)


async def _compared(hubs: dict[str, Running], rounds: int, customers: int) -> float:
    """Return how fast cycles are with an archive, as a part of those without; the order changes from round to round."""
    loads: dict[str, list[Load]] = {name: [] for name in hubs}
    for number in range(rounds + 1):
        for name in sorted(hubs, reverse=bool(number % 2)):
            load = await run(hubs[name], new_names(customers), 20)
            if number:  # the first round warms up
                loads[name].append(load)
    print("| archive | cycles/s (median) | p50 ms | p99 ms | server CPU ms a cycle |\n|---|---|---|---|---|")
    for name, found in loads.items():
        figures = [
            statistics.median(one.rate for one in found),
            statistics.median(one.percentile(0.5) for one in found),
            statistics.median(one.percentile(0.99) for one in found),
            statistics.median(one.cpu_ms for one in found),
        ]
        print(f"| {name} | {figures[0]:.0f} | {figures[1]:.1f} | {figures[2]:.1f} | {figures[3]:.2f} |")
    pairs = zip(loads["on"], loads["off"], strict=True)
    return statistics.median(on.rate / off.rate for on, off in pairs)


async def _flooded(hub: Running, seconds: float) -> tuple[float, float]:
    """Tell events as fast as they are taken; return how many a second, and the greatest lag of the archive."""
    names = [f"f{time.monotonic_ns():x}-{n}" for n in range(64)]
    over_at = time.monotonic() + seconds
    told: list[int] = []

    async def flood(part: list[str]) -> None:
        async with Connection(hub.port, KEY) as connection:
            begun = [await _talk(connection, name) for name in part]
            while time.monotonic() < over_at:
                for name, interaction_id in zip(part, begun, strict=True):
                    await _tell(connection, name, interaction_id, len(told), AT_ONCE)
                    told.append(AT_ONCE)

    began = time.monotonic()
    flooding = asyncio.gather(*(flood(names[at::8]) for at in range(8)))
    lags = [await _lag(hub)]
    while not flooding.done():
        await asyncio.sleep(0.2)
        lags.append(await _lag(hub))
    await flooding
    took = time.monotonic() - began
    while lags[-1] > 0:  # until all is archived
        await asyncio.sleep(0.1)
        lags.append(await _lag(hub))
    return sum(told) / took, max(lags)


async def _lag(hub: Running) -> float:
    """Return the age of the oldest write that the archive does not have."""
    return await asyncio.to_thread(metric, hub, "ctxhub_archive_lag_seconds")


async def _talk(connection: Connection, name: str) -> str:
    """Begin an interaction."""
    start = {"channel": "chat", "external_id": name, "customer_id": name, "assurance": {"level": 2, "method": "login"}}
    return str((await connection.call("POST", "/v1/interactions", start))["interaction"]["interaction_id"])


async def _tell(connection: Connection, name: str, interaction_id: str, first: int, count: int) -> None:
    """Tell messages."""
    events = [
        {"event_id": f"m{first}-{number}", "type": "message.received", "interaction_id": interaction_id,
         "data": {"text": "one hundred characters of chatter, as people write them when they want something"}}
        for number in range(count)
    ]  # fmt: skip
    await connection.call("POST", f"/v1/customers/{name}/events", {"events": events})


async def _brought_back(hub: Running) -> list[float]:
    """Return how long the first reads of customers take whom only the archive has, in ms."""
    names = [f"r{number}" for number in range(CUSTOMERS)]
    took: list[float] = []
    async with Connection(hub.port, KEY) as connection:
        for name in names:
            interaction_id = await _talk(connection, name)
            for at in range(EVENTS // 100):
                await _tell(connection, name, interaction_id, at, 100)
            await connection.call("POST", f"/v1/customers/{name}/interactions/{interaction_id}/end", {})
        while list(hub.redis.scan_iter("ctxhub:*:context", count=1000)):
            await asyncio.sleep(0.1)
        for name in names:
            began = time.perf_counter()
            read = await connection.call("GET", f"/v1/customers/{name}/context?events=20")
            took.append((time.perf_counter() - began) * 1000)
            assert len(read["recent"]) == 20
    return took


def _report(slower: float, rate: float, lag: float, took: list[float]) -> int:
    """Print what was reached and its targets; 1 where one is missed."""
    slowest = sorted(took)[-max(1, len(took) // 100)]
    rows = [
        ("cycles/s with an archive, as a part of those without", slower, 0.9, slower >= 0.9),
        ("events/s taken while archiving", rate, 2000, rate >= 2000),
        ("greatest lag of the archive meanwhile, s", lag, 5, lag <= 5),
        (f"first read of {EVENTS} events from the archive, p50 ms", statistics.median(took), 100, True),
        ("the same, p99 ms", slowest, 100, slowest <= 100),
    ]
    print("\n| what | reached | target |\n|---|---|---|")
    for what, reached, target, met in rows:
        print(f"| {what} | {reached:.2f} | {target}{'' if met else ' MISSED'} |")
    return int(not all(met for *_, met in rows))


if __name__ == "__main__":
    sys.exit(main())
