"""Days in fast motion: whether Redis stays as full as it was while customers come and go and the archive fills.

An hour takes some seconds, and every span that a lease or a silence lasts is as many times shorter. Customers come as
they do at a bank, few at night and most before noon; each says something, is read, and most say goodbye. A day after,
what came the day before has long been let go.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.bench.figure import Figure
from tests.bench.load import new_names
from tests.bench.part import Part
from tests.bench.plot import lines
from tests.bench.running import Running
from tests.bench.servers import ctxhub, event, start, text, with_channels_key
from tests.bench.size import Size
from tests.bench.wire import Connection

#: How many come in each hour of the day, as parts of the busiest.
_CURVE = (0.10, 0.06, 0.04, 0.04, 0.05, 0.08, 0.15, 0.35, 0.65, 0.90, 1.00, 0.95,
          0.80, 0.75, 0.85, 0.90, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15)  # fmt: skip
_DAYS = 2
_LANES = 16
_MESSAGES = 8
_SILENT = 0.1  # who goes without a word: silence closes the talk
_GOES_ON = 0.05  # whose matter is open when the talk is over
_FULL = 12  # the hour from which on Redis has whoever it keeps that long: the first day begins empty
_CLOSED, _OPEN, _SILENCE = 6, 12, 2  # hours that Redis keeps whom, and that a talk is silent before it is over


class Hour(NamedTuple):
    """The end of one hour: which it was, how much memory Redis used, how many keys it had, who had come so far."""

    number: int
    memory: float
    keys: int
    came: int


async def in_fast_motion(size: Size) -> Part:
    """Let days pass."""
    hour = size.hour
    settings = {"keep_closed": _span(_CLOSED * hour), "keep_open": _span(_OPEN * hour),
                "silence": f"chat={_span(_SILENCE * hour)}"}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-day-") as folder:
        file = Path(folder) / "archive.db"
        with ctxhub("fast", archive=f"sqlite:///{file}", **settings) as hub:
            hours = await _lived(with_channels_key(hub), hour, size.comers)
        with closing(sqlite3.connect(file)) as archive:
            (archived,) = archive.execute("SELECT count(*) FROM ctxhub_documents").fetchone()
    first, last = (_of_day(hours, day) for day in (0, _DAYS - 1))
    rows = [(f"{n}:00", f"{a.memory / 1e6:.1f}", f"{b.memory / 1e6:.1f}", a.keys, b.keys)
            for n, (a, b) in enumerate(zip(first, last, strict=True), 1) if n % 3 == 0]  # fmt: skip
    fullest = [max(one.memory for one in day) for day in (first, last)]
    full = [sum(one.memory for one in day[_FULL:]) for day in (first, last)]
    curves = {f"day {n + 1}": {at: one.memory / 1e6 for at, one in enumerate(day, 1)}
              for n, day in enumerate((first, last))}  # fmt: skip
    return Part(
        "Days in fast motion",
        f"An hour takes {hour:g} s, and every lease and silence is as many times shorter: Redis keeps who is done with "
        f"for {_CLOSED} hours, whose matter is open for {_OPEN}. {hours[-1].came:,} customers came in {_DAYS} days, "
        f"{_MESSAGES} messages and ten facts each; {archived:,} stand in the archive.",
        ("hour", "MB, first day", "MB, last day", "keys, first day", "keys, last day"), rows,
        [Figure("Redis memory in the fullest hour of the last day, times that of the first", fullest[1] / fullest[0],
                "<= 1.1"),
         Figure("the same on average from noon on", full[1] / full[0], "<= 1.1")],
        [lines("day", "MB of Redis memory by hour of the day", "hour", curves)],
    )  # fmt: skip


def _span(seconds: float) -> str:
    """Spell a length of time as settings do."""
    return f"{round(seconds * 1000)}ms"


def _of_day(hours: list[Hour], day: int) -> list[Hour]:
    """Return the hours of one day."""
    return hours[day * len(_CURVE) : (day + 1) * len(_CURVE)]


async def _lived(hub: Running, hour: float, comers: int) -> list[Hour]:
    """Let customers come by the hour, and look at Redis at the end of each."""
    names = iter(new_names(len(_CURVE) * _DAYS * comers * 2))
    arrived: asyncio.Queue[str | None] = asyncio.Queue()
    lanes = [asyncio.create_task(_served(hub, arrived)) for _ in range(_LANES)]
    loop, hours, came = asyncio.get_running_loop(), list[Hour](), 0
    begins = loop.time()
    for number in range(len(_CURVE) * _DAYS):
        many = max(1, round(comers * _CURVE[number % len(_CURVE)]))
        for one in range(many):
            await asyncio.sleep(begins + hour * (number + one / many) - loop.time())
            arrived.put_nowait(next(names))
        await asyncio.sleep(begins + hour * (number + 1) - loop.time())
        came += many
        hours.append(Hour(number, hub.memory(), int(hub.redis.dbsize()), came))
    for _ in lanes:
        arrived.put_nowait(None)
    await asyncio.gather(*lanes)
    return hours


async def _served(hub: Running, arrived: asyncio.Queue[str | None]) -> None:
    """Serve whoever comes, one after the other."""
    async with Connection(hub.port, hub.key) as connection:
        while (name := await arrived.get()) is not None:
            if arrived.qsize() > _LANES * 50:
                raise RuntimeError("more come than can be served: let an hour take longer")
            await _visit(connection, name)


async def _visit(connection: Connection, name: str) -> None:
    """Let a customer come, say something, be read, and go."""
    here = await start(connection, name)
    path = f"/v1/customers/{name}"
    told = [event(f"m{n}", "message.received", here, {"text": text()}) for n in range(_MESSAGES)]
    if random.random() < _GOES_ON:
        told.append(event("j1", "journey.started", here, {"kind": "refund"}))
    await connection.insist("POST", f"{path}/events", {"events": told})
    await connection.call("GET", f"{path}/context?interaction_id={here}&events=20")
    if random.random() >= _SILENT:
        await connection.insist("POST", f"{path}/interactions/{here}/end", {"outcome": "resolved"})
