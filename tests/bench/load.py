"""Load on a server, and what it came to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.running import Running, Used
from tests.bench.wire import Begin, Connection, Cycle

NOTHING = Used(0, 0, 0, 0)
CONNECTIONS = 16
Lane = list[tuple[Connection, Cycle]]


@dataclass
class Load:
    """What a run came to: seconds for each cycle, seconds in all, and what was used meanwhile."""

    seconds: float = 0.0
    cycles: list[float] = field(default_factory=list)
    used: Used = NOTHING

    @property
    def rate(self) -> float:
        """Cycles a second."""
        return len(self.cycles) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU of the server for each cycle, in milliseconds."""
        return self.used.cpu / len(self.cycles) * 1000

    @property
    def redis_ms(self) -> float:
        """CPU of its Redis for each cycle, in milliseconds."""
        return self.used.redis_cpu / len(self.cycles) * 1000

    @property
    def commands(self) -> float:
        """What Redis did for each cycle, scripts' own commands counted too."""
        return self.used.commands / len(self.cycles)

    @property
    def trips(self) -> float:
        """How often Redis read from a connection, for each cycle: with one connection, round trips."""
        return self.used.trips / len(self.cycles)

    def percentile(self, part: float) -> float:
        """Milliseconds within which this part of the cycles was done."""
        return percentile(self.cycles, part) * 1000


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of some values does not exceed."""
    return sorted(values)[int((len(values) - 1) * part)]


class Begun:
    """Customers who have begun at a server, spread over connections; they can be worked on again and again."""

    def __init__(self, server: Running, lanes: list[Lane]) -> None:
        self._server = server
        self._lanes = lanes
        self._turns = 0

    @classmethod
    async def of(cls, server: Running, names: list[str], connections: int, begin: Begin | None = None) -> Begun:
        """Begin every customer; the connections do it side by side."""
        count = min(connections, len(names))
        opened = [await Connection(server.port, server.key).__aenter__() for _ in range(count)]
        parts = zip(opened, [names[at::count] for at in range(count)], strict=True)
        return cls(server, await asyncio.gather(*[_begun(lane, part, begin or server.begin) for lane, part in parts]))

    async def work(self, turns: int) -> Load:
        """Do so many cycles more of every customer."""
        load = Load()
        await asyncio.gather(*[lane[0][0].renew() for lane in self._lanes])
        first, self._turns = self._turns, self._turns + turns
        used, start = self._server.used(), time.perf_counter()
        await asyncio.gather(*[_worked(lane, range(first, self._turns), load) for lane in self._lanes])
        load.seconds, load.used = time.perf_counter() - start, self._server.used().since(used)
        return load

    async def end(self) -> None:
        """Close the connections."""
        for lane in self._lanes:
            await lane[0][0].__aexit__()


async def run(
    server: Running, names: list[str], turns: int, connections: int = CONNECTIONS, begin: Begin | None = None
) -> Load:
    """Let connections work on customers, a number of cycles each; what comes before the first cycle is not counted."""
    begun = await Begun.of(server, names, connections, begin)
    load = await begun.work(turns)
    await begun.end()
    return load


async def _begun(connection: Connection, names: list[str], begin: Begin) -> Lane:
    """Begin the customers of one connection."""
    return [(connection, await begin(connection, name)) for name in names]


async def _worked(lane: Lane, turns: range, load: Load) -> None:
    """Do every cycle of one connection's customers, one customer after the other."""
    for _, cycle in lane:
        for turn in turns:
            start = time.perf_counter()
            await cycle(turn)
            load.cycles.append(time.perf_counter() - start)


def new_names(count: int) -> list[str]:
    """Return names of customers that no server knows."""
    run_ = f"b{time.monotonic_ns():x}"
    return [f"{run_}-{number}" for number in range(count)]


async def for_seconds(
    server: Running, seconds: float, turns: int, connections: int = CONNECTIONS, begin: Begin | None = None
) -> Load:
    """Run for about so long: a short run first says how many customers that takes."""
    tried = await run(server, new_names(connections), min(turns, 4), connections, begin)
    return await run(server, new_names(enough(tried, seconds, turns, connections)), turns, connections, begin)


def enough(tried: Load, seconds: float, turns: int, connections: int) -> int:
    """Return how many customers take about so long; as many on each connection, so that all end together."""
    return connections * max(1, round(tried.rate * seconds / turns / connections))
