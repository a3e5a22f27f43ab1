"""Growth with customers: the same cycles where a thousand are known, and where very many are."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from tests.bench.crm import customer_id
from tests.bench.cycles import HEADER, in_turn, rates, ratio, row
from tests.bench.figure import Figure
from tests.bench.imports import imported
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
_ARCHIVED_WITHIN = 0.005  # s for each customer at most
_CHOSEN = 32 * CONNECTIONS
#: The next crowd may take an hour to come, and those who were in a chat have to be in it still.
_PATIENT = "chat=12h"
Crowd = dict[str, str]


async def with_customers(size: Size) -> Part:
    """Fill a hub for each size of the crowd, then measure cycles of customers chosen from it, in turn."""
    with contextlib.ExitStack() as stack:
        samples: dict[str, Callable[[], Awaitable[Load]]] = {}
        notes = []
        for many in size.customers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctxhub-bench-")))
            began = time.perf_counter()
            imported(folder, many, {"CTXHUB_DURABILITY": "fast"})
            took = time.perf_counter() - began
            started = ctxhub("fast", data=folder / "data", tenants=str(folder / "tenants"), silence=_PATIENT)
            hub = with_channels_key(stack.enter_context(started))
            weight = hub.memory() / many / 1000
            crowd = await _talked(hub, many, size.talkers)
            await at_rest(hub, many * _ARCHIVED_WITHIN)
            notes.append(f"{many:,} came in {took:.0f} s and take {weight:.1f} kB each")
            print(notes[-1], file=sys.stderr, flush=True)
            samples[f"{many:,} customers"] = partial(_chosen, hub, crowd)
        loads = await in_turn(size.rounds, samples)
    fewest, most = (f"{count:,} customers" for count in (size.customers[0], size.customers[-1]))
    curve = {count: rates(loads)[f"{count:,} customers"] for count in size.customers}
    return Part(
        "More customers",
        f"Each with two identifiers and three facts, by `ctxhub import`; {size.talkers:,} of them by chance, or all, "
        "were in a chat since, with 2 messages. Then cycles of customers chosen by chance among these, 16 connections, "
        f"`fast`, archive on. {'; '.join(notes)}.",
        HEADER, [row(name, taken) for name, taken in loads.items()],
        [Figure(f"{most}, part of the cycles/s with {fewest}", ratio(loads, most, fewest), ">= 0.85")],
        [lines("customers", "Cycles a second by customers known", "customers", {"ctxhub fast": curve})],
    )  # fmt: skip


async def _talked(hub: Running, many: int, talkers: int) -> Crowd:
    """Let so many of all customers be in a chat; return the interaction of each."""
    names = [customer_id(number) for number in random.sample(range(many), min(many, talkers))]
    crowd: Crowd = {}
    await asyncio.gather(*[_talk(hub, crowd, names[lane::_LANES]) for lane in range(_LANES)])
    return crowd


async def _talk(hub: Running, crowd: Crowd, names: list[str]) -> None:
    """Let customers come to a chat, one after the other, and say two messages each."""
    async with Connection(hub.port, hub.key) as connection:
        for name in names:
            body = {"channel": "chat", "external_id": name, "customer_id": name,
                    "assurance": {"level": 2, "method": "login"}}  # fmt: skip
            begun = await connection.insist("POST", "/v1/interactions", body)
            here = crowd[name] = str(begun["interaction"]["interaction_id"])
            told = [event(f"m{n}", "message.received", here, {"text": text()}) for n in range(2)]
            await connection.insist("POST", f"/v1/customers/{name}/events", {"events": told})


async def _chosen(hub: Running, crowd: Crowd) -> Load:
    """Run cycles of customers chosen by chance."""
    chosen = random.sample(sorted(crowd), min(_CHOSEN, len(crowd) // CONNECTIONS * CONNECTIONS))
    run_ = f"{time.monotonic_ns():x}"

    async def begin(connection: Connection, name: str) -> Cycle:
        here = crowd[name]
        read = connection.request("GET", f"/v1/customers/{name}/context?interaction_id={here}&events=20")

        async def cycle(turn: int) -> None:
            said = text()
            told = {"events": [event(f"{run_}-{turn}", "message.received", here, {"text": said})]}
            await connection.fetch(connection.request("POST", f"/v1/customers/{name}/events", told))
            assert said.encode() in (await connection.fetch(read)).body

        return cycle

    return await run(hub, chosen, _TURNS, begin=begin)
