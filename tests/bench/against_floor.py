"""Each call against the floor: a context read, a read answered 304, an append, a cycle."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from tests.bench.cycles import HEADER, TURNS, Loads, cpu_ratio, in_turn, ratio, row
from tests.bench.figure import Figure
from tests.bench.load import Load, for_seconds, new_names
from tests.bench.part import Part
from tests.bench.running import Running
from tests.bench.servers import begin_at_floor, begin_at_hub, event, say, start, text
from tests.bench.size import Size
from tests.bench.wire import Begin, Connection, Cycle

_READS = 200
_APPENDS = 50
#: What of ours is compared with what of the floor, and what is aimed at.
_AIMS = (
    ("read", "read", ">= 0.5"),
    ("read answered 304", "read", ">= 0.7"),
    ("read answered 304", "answer of 304", ""),
    ("append", "append", ">= 0.5"),
    ("cycle", "cycle", ""),
)


async def _told(connection: Connection, name: str) -> tuple[str, bytes]:
    """Let a customer with ten facts have said twenty things; return the interaction, and the read of the context."""
    here = await start(connection, name)
    await say(connection, name, here, 20)
    return here, connection.request("GET", f"/v1/customers/{name}/context?interaction_id={here}&events=20")


async def context_bytes(hub: Running) -> int:
    """Return how long the context is that is read all the time."""
    async with Connection(hub.port, hub.key) as connection:
        _, read = await _told(connection, new_names(1)[0])
        return len((await connection.fetch(read)).body)


async def _reading(connection: Connection, name: str) -> Cycle:
    """Begin a customer whose context is read."""
    _, read = await _told(connection, name)

    async def cycle(_: int) -> None:
        answer = await connection.fetch(read)
        assert answer.body.count(b'"message.received"') == 20

    return cycle


async def _unchanged(connection: Connection, name: str) -> Cycle:
    """Begin a customer whose context the reader has already."""
    here, read = await _told(connection, name)
    tag = (await connection.fetch(read)).header("etag")
    path = f"/v1/customers/{name}/context?interaction_id={here}&events=20"
    again = connection.request("GET", path, more=f"If-None-Match: {tag}\r\n")

    async def cycle(_: int) -> None:
        await connection.fetch(again, 304)

    return cycle


async def _appending(connection: Connection, name: str) -> Cycle:
    """Begin a customer who goes on saying things."""
    here, _ = await _told(connection, name)

    async def cycle(turn: int) -> None:
        told = {"events": [event(f"m{turn}", "message.received", here, {"text": text()})]}
        kept = await connection.fetch(connection.request("POST", f"/v1/customers/{name}/events", told))
        assert b'"duplicate":false' in kept.body

    return cycle


def _floor_asked(route: str, status: int) -> Begin:
    """Return how a customer begins of whom the floor is asked something."""

    async def begin(connection: Connection, name: str) -> Cycle:
        request = connection.request("GET", f"/{route}/{name}")

        async def cycle(_: int) -> None:
            await connection.fetch(request, status)

        return cycle

    return begin


async def _floor_told(connection: Connection, name: str) -> Cycle:
    """Begin a customer of whom the floor is told."""

    async def cycle(turn: int) -> None:
        told = {"events": [event(f"m{turn}", "message.received", name, {"text": text()})]}
        kept = await connection.fetch(connection.request("POST", f"/append/{name}", told))
        assert json.loads(kept.body) == {"version": turn + 1}

    return cycle


async def each_call(hubs: dict[str, Running], floor: Running, size: Size) -> Part:
    """Measure each call at the hubs and at the floor in turn."""
    calls: dict[str, tuple[Begin, int]] = {
        "read": (_reading, _READS),
        "read answered 304": (_unchanged, _READS),
        "append": (_appending, _APPENDS),
        "cycle": (begin_at_hub, TURNS),
    }
    at_floor: dict[str, tuple[Begin, int]] = {
        "read": (_floor_asked("read", 200), _READS),
        "answer of 304": (_floor_asked("unchanged", 304), _READS),
        "append": (_floor_told, _APPENDS),
        "cycle": (begin_at_floor, TURNS),
    }
    samples = {f"floor: {what}": _sample(floor, begin, turns, size) for what, (begin, turns) in at_floor.items()}
    for name, hub in hubs.items():
        samples |= {f"{name}: {what}": _sample(hub, begin, turns, size) for what, (begin, turns) in calls.items()}
    loads = await in_turn(size.rounds, samples)
    figures = [figure for aim in _AIMS for figure in _compared(loads, *aim)]
    return Part(
        "Each call against the floor",
        "The floor is the least that any server in this stack must do: the same ASGI server with the same settings, a "
        "bare ASGI app, one script call for each request, joined with those of concurrent requests; a read fetches as "
        "many bytes as our context. ctxhub has all features on: a channel's key, disclosure, audit, metrics, archive. "
        "Client, server and Redis share the cores, so that the ratio by the server's CPU says what the code costs.",
        HEADER, [row(name, taken) for name, taken in loads.items()], figures,
    )  # fmt: skip


def _compared(loads: Loads, ours: str, floors: str, target: str) -> list[Figure]:
    """Return how a call stands to one of the floor's, by what is done in a second and by what the server spends."""
    pair = f"ctxhub fast: {ours}", f"floor: {floors}"
    return [
        Figure(f"{ours}, part of the floor's {floors}", ratio(loads, *pair), target),
        Figure("the same by the server's CPU", cpu_ratio(loads, *pair)),
    ]


def _sample(server: Running, begin: Begin, turns: int, size: Size) -> Callable[[], Awaitable[Load]]:
    """Return what takes one sample."""
    return lambda: for_seconds(server, size.seconds * 0.75, turns, begin=begin)
