"""Growth with customers: the same cycles where a thousand are known, and where very many are."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

from tests.bench.cycles import HEADER, in_turn, rates, ratio, row
from tests.bench.figure import Figure
from tests.bench.load import CONNECTIONS, Load, run
from tests.bench.part import Part
from tests.bench.plot import lines
from tests.bench.running import Running
from tests.bench.scrape import at_rest
from tests.bench.servers import ctxhub, event, text, with_channels_key
from tests.bench.size import Size
from tests.bench.wire import Connection, Cycle

_LANES = 32
_TURNS = 8
_CHOSEN = 32 * CONNECTIONS
Crowd = list[str]


async def with_customers(size: Size) -> Part:
    """Fill a hub for each size of the crowd, then measure cycles of customers chosen from it, in turn."""
    with contextlib.ExitStack() as stack:
        samples: dict[str, Callable[[], Awaitable[Load]]] = {}
        notes = []
        for many in size.customers:
            hub = with_channels_key(stack.enter_context(ctxhub("fast")))
            before, began = hub.memory(), time.perf_counter()
            crowd = await _filled(hub, many)
            took = time.perf_counter() - began
            await at_rest(hub)
            notes.append(f"{many:,} came in {took:.0f} s and take {(hub.memory() - before) / many / 1000:.1f} kB each")
            samples[f"{many:,} customers"] = partial(_chosen, hub, crowd)
        loads = await in_turn(size.rounds, samples)
    fewest, most = (f"{count:,} customers" for count in (size.customers[0], size.customers[-1]))
    curve = {count: rates(loads)[f"{count:,} customers"] for count in size.customers}
    return Part(
        "More customers",
        "Each with 2 messages and 3 facts, told in batches; then cycles of customers chosen by chance, 16 connections, "
        f"`fast`, archive on. {'; '.join(notes)} (of one interaction and its indexes, and what their telling leaves).",
        HEADER, [row(name, taken) for name, taken in loads.items()],
        [Figure(f"{most}, part of the cycles/s with {fewest}", ratio(loads, most, fewest), ">= 0.85")],
        [lines("customers", "Cycles a second by customers known", "customers", {"ctxhub fast": curve})],
    )  # fmt: skip


async def _filled(hub: Running, many: int) -> Crowd:
    """Let so many customers be known; return the interaction of each."""
    crowd = [""] * many
    await asyncio.gather(*[_come(hub, crowd, range(lane, many, _LANES)) for lane in range(_LANES)])
    return crowd


async def _come(hub: Running, crowd: Crowd, numbers: range) -> None:
    """Let customers come, one after the other."""
    async with Connection(hub.port, hub.key) as connection:
        for number in numbers:
            name = f"c{number}"
            body = {"channel": "chat", "external_id": name, "customer_id": name,
                    "assurance": {"level": 2, "method": "login"}}  # fmt: skip
            begun = await connection.insist("POST", "/v1/interactions", body)
            here = crowd[number] = str(begun["interaction"]["interaction_id"])
            told = [event(f"m{n}", "message.received", here, {"text": text()}) for n in range(2)]
            told += [event(f"f{n}", "fact.stated", here, {"name": f"fact_{n}", "value": str(n)}) for n in range(3)]
            await connection.insist("POST", f"/v1/customers/{name}/events", {"events": told})


async def _chosen(hub: Running, crowd: Crowd) -> Load:
    """Run cycles of customers chosen by chance."""
    numbers = random.sample(range(len(crowd)), min(_CHOSEN, len(crowd) // CONNECTIONS * CONNECTIONS))
    run_ = f"{time.monotonic_ns():x}"

    async def begin(connection: Connection, name: str) -> Cycle:
        here = crowd[int(name[1:])]
        read = connection.request("GET", f"/v1/customers/{name}/context?interaction_id={here}&events=20")

        async def cycle(turn: int) -> None:
            said = text()
            told = {"events": [event(f"{run_}-{turn}", "message.received", here, {"text": said})]}
            await connection.fetch(connection.request("POST", f"/v1/customers/{name}/events", told))
            assert said.encode() in (await connection.fetch(read)).body

        return cycle

    return await run(hub, [f"c{number}" for number in numbers], _TURNS, begin=begin)
