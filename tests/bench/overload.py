"""Overload: what the hub sustains, and what it does when twice as much comes, whether it answers or not.

Of ten mixed calls four tell a message, four read a context, one asks what may be asked, and one is somebody new who
starts a chat. A closed loop, where every connection waits for its answer, finds what is sustained; then calls come by
the clock, twice as many, each on a connection that is free.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.bench.figure import Figure
from tests.bench.load import percentile
from tests.bench.part import Part
from tests.bench.running import Running
from tests.bench.servers import event, start, text
from tests.bench.size import Size
from tests.bench.wire import Connection

_SUSTAINING = 32
_FLOODING = 600
_CUSTOMERS = 64
_DEADLINE = 2.5
_GRACE = 10
_STRETCH = 6000
_HEADER = ("", "offered/s", "done in time/s", "accepted p50 ms", "p99 ms", "longest ms", "refused/s", "refused p50 ms",
           "p99 ms")  # fmt: skip


class Reply(NamedTuple):
    """How one call went: the status, how long it took, and how late it was sent."""

    status: int
    took: float
    late: float = 0.0


class Flood(NamedTuple):
    """What became of the calls of some seconds."""

    replies: list[Reply]
    seconds: float

    @property
    def goodput(self) -> float:
        """Calls a second that were done within the deadline."""
        return sum(is_done(reply.status) and reply.took <= _DEADLINE for reply in self.replies) / self.seconds

    def of(self, wanted: Callable[[int], bool]) -> list[float]:
        """Return how long the calls took whose status is wanted, in milliseconds; never none at all."""
        return [reply.took * 1000 for reply in self.replies if wanted(reply.status)] or [0.0]


async def overloaded(hub: Running, size: Size) -> Part:
    """Find what is sustained, then let twice as much come."""
    mix = await _Mix.begun(hub)
    await _closed(hub, mix, 1)
    sustained = await _closed(hub, mix, size.overload)
    flood = await _open(hub, mix, 2 * sustained.goodput, size.overload)
    rows = [_row("sustained, closed loop", sustained), _row("twice as much, open loop", flood)]
    accepted, refused = flood.of(is_done), flood.of(is_refused)
    others = sum(not (is_done(reply.status) or is_refused(reply.status)) for reply in flood.replies)
    late = percentile([reply.late for reply in flood.replies], 0.99) * 1000
    return Part(
        "Twice as much as can be done",
        f"Mixed calls with all features on, `fast`, one worker: {_SUSTAINING} connections that wait for each answer, "
        f"then calls by the clock at twice that rate on up to {_FLOODING} connections. Goodput counts what was done "
        f"within {_DEADLINE} s of being sent. The sender shares the cores: 99 % of the calls went out within "
        f"{late:.0f} ms of their time.",
        _HEADER,
        rows,
        [
            Figure("mixed calls a second, sustained", sustained.goodput, f">= {_STRETCH}", "stretch"),
            Figure("goodput at twice the load, part of the sustained", flood.goodput / sustained.goodput),
            Figure("longest wait of an accepted call at twice the load, ms", max(accepted), f"<= {_DEADLINE * 1000:g}"),
            Figure("99 % of the refused know it within, ms", percentile(refused, 0.99)),
            Figure("calls neither done nor refused with 429 or 503", others, "<= 0"),
        ],
    )  # fmt: skip


def is_done(status: int) -> bool:
    """Tell whether a call was done."""
    return 200 <= status < 300


def is_refused(status: int) -> bool:
    """Tell whether a call was refused for being one of too many."""
    return status in (429, 503)


def _row(name: str, flood: Flood) -> tuple[str | float, ...]:
    """Return one line of the table."""
    accepted, refused = flood.of(is_done), flood.of(is_refused)
    many = sum(is_refused(reply.status) for reply in flood.replies) / flood.seconds
    waits = [percentile(accepted, 0.5), percentile(accepted, 0.99), max(accepted)]
    known = [percentile(refused, 0.5), percentile(refused, 0.99)]
    return name, len(flood.replies) / flood.seconds, flood.goodput, *waits, many, *known


class _Mix:
    """Mixed calls of some customers, in turn."""

    def __init__(self, maker: Connection, begun: list[tuple[str, str]]) -> None:
        self._maker = maker
        self._who = itertools.cycle(begun)
        self._numbers = itertools.count()
        self._run = f"{time.monotonic_ns():x}"

    @classmethod
    async def begun(cls, hub: Running) -> _Mix:
        """Let some customers be there."""
        async with Connection(hub.port, hub.key) as connection:
            names = [f"o{time.monotonic_ns():x}-{number}" for number in range(_CUSTOMERS)]
            return cls(connection, [(name, await start(connection, name)) for name in names])

    def next(self) -> bytes:
        """Return the next request."""
        number, (name, here) = next(self._numbers), next(self._who)
        kind = number % 10
        if kind < 4:
            told = event(f"{self._run}-{number}", "message.received", here, {"text": text()})
            return self._maker.request("POST", f"/v1/customers/{name}/events", {"events": [told]})
        if kind < 8:
            return self._maker.request("GET", f"/v1/customers/{name}/context?interaction_id={here}&events=20")
        if kind == 8:
            asked = {"interaction_id": here, "names": ["fact_1", "fact_2", "something_else"]}
            return self._maker.request("POST", f"/v1/customers/{name}/asks", asked)
        body = {"channel": "chat", "external_id": f"{self._run}-{number}"}
        return self._maker.request("POST", "/v1/interactions", body)


async def _closed(hub: Running, mix: _Mix, seconds: float) -> Flood:
    """Let some connections call again and again."""
    replies: list[Reply] = []
    began = time.perf_counter()

    async def call_on() -> None:
        async with Connection(hub.port, hub.key) as connection:
            while time.perf_counter() < began + seconds:
                replies.append(await _reply(connection, mix, time.perf_counter()))

    await asyncio.gather(*[call_on() for _ in range(_SUSTAINING)])
    return Flood(replies, time.perf_counter() - began)


async def _open(hub: Running, mix: _Mix, rate: float, seconds: float) -> Flood:
    """Let calls come by the clock, each on a connection that is free; where none is, it is late. Then it is over."""
    idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for _ in range(_FLOODING):
        idle.put_nowait(await Connection(hub.port, hub.key).__aenter__())
    replies: list[Reply] = []

    async def come(connection: Connection, due: float) -> None:
        replies.append(await _reply(connection, mix, due))
        idle.put_nowait(connection)

    began = time.perf_counter()
    async with asyncio.timeout(seconds + _GRACE), asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if time.perf_counter() > began + seconds:
                break
            group.create_task(come(await idle.get(), due))
    took = time.perf_counter() - began
    while not idle.empty():
        await idle.get_nowait().__aexit__()
    return Flood(replies, took)


async def _reply(connection: Connection, mix: _Mix, due: float) -> Reply:
    """Make the next call; 0 where the connection was lost."""
    began = time.perf_counter()
    try:
        status = (await connection.send(mix.next())).status
    except OSError:
        status = 0
    return Reply(status, time.perf_counter() - began, began - due)
