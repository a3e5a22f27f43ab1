"""Calls as a telephone system tells them: how soon an alerting call is on the desk, and what a live call weighs.

Calls that wait in an external queue alert at an agent, 200 a second, as a telephone system tells it; what counts is
the time from telling `call.alerting` to its event on the queue's stream, which the desk follows.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.bench.running import Running
from tests.bench.servers import KEY, ctxhub
from tests.bench.wire import Connection

Done = TypeVar("Done")
CALLS_A_SECOND = 200
_SECONDS = 10
_LANES = 32
_WEIGHED = 3000
_QUEUE = "hotline"
_LONGEST_LINE = 2**26  # the snapshot tells of all who wait
TENANT = f"queues: {{{_QUEUE}: {{routing: external}}}}\n"


class Alerting(NamedTuple):
    """How late alerting calls were on the stream, in milliseconds, and how many were told in a second."""

    p50: float
    p99: float
    rate: float


class Stream:
    """A desk's stream of a queue: when each alerting call came."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seen: dict[str, float] = {}

    async def __aenter__(self) -> Stream:
        """Follow the queue."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_LINE)
        path = f"/v1/queues/{_QUEUE}/stream"
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        await self._reader.readuntil(b"event: ready")
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Follow it no more."""
        self._following.cancel()
        self._writer.close()

    async def _follow(self) -> None:
        """Note when each call alerts."""
        while line := await self._reader.readline():
            if line.startswith(b"data: ") and b'"call.alerting"' in line:
                self.seen[json.loads(line[6:])["interaction_id"]] = time.perf_counter()


@contextmanager
def telephone() -> Iterator[Running]:
    """Run a hub that has a queue which another system routes."""
    with tempfile.TemporaryDirectory(prefix="ctxhub-tenants-") as folder:
        (Path(folder) / "default.yaml").write_text(TENANT, encoding="utf-8")
        with ctxhub("fast", tenants=folder) as hub:
            yield hub


async def alerting(hub: Running) -> Alerting:
    """Tell of calls for some seconds, and return how soon the desk had each."""
    told: dict[str, float] = {}
    async with Stream(hub.port) as stream:
        lanes = [await Connection(hub.port, KEY).__aenter__() for _ in range(_LANES)]
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for lane in lanes:
            idle.put_nowait(lane)
        run, many = f"{time.monotonic_ns():x}", CALLS_A_SECOND * _SECONDS
        waiting = await asyncio.gather(*[_on(idle, partial(_begin, name=f"{run}-{n}")) for n in range(many)])
        begun, calls = time.perf_counter(), []
        for number, (base, here) in enumerate(waiting):
            await asyncio.sleep(max(0.0, begun + number / CALLS_A_SECOND - time.perf_counter()))
            calls.append(asyncio.create_task(_on(idle, partial(_ring, base=base, here=here, told=told))))
        await asyncio.gather(*calls)
        took = time.perf_counter() - begun
        async with asyncio.timeout(30):
            while len(stream.seen) < len(told):
                await asyncio.sleep(0.05)
        for lane in lanes:
            await lane.__aexit__()
    late = sorted((stream.seen[call] - at) * 1000 for call, at in told.items())
    return Alerting(late[len(late) // 2], late[int((len(late) - 1) * 0.99)], len(told) / took)


async def _on(idle: asyncio.Queue[Connection], work: Callable[[Connection], Awaitable[Done]]) -> Done:
    """Do something on a connection that is free."""
    lane = await idle.get()
    try:
        return await work(lane)
    finally:
        idle.put_nowait(lane)


async def _ring(lane: Connection, base: str, here: str, told: dict[str, float]) -> None:
    """Let a call alert at an agent."""
    event = _event(here, "call.alerting", {"agent_id": "a7", "ref": {"system": "acd", "kind": "call", "id": here}})
    told[here] = time.perf_counter()
    await lane.call("POST", f"{base}/events", {"events": [event]})


async def _begin(lane: Connection, name: str) -> tuple[str, str]:
    """Start a call of somebody new and offer it to the queue; return where the customer is, and the interaction."""
    body = {"channel": "ivr", "external_id": name, "refs": [{"system": "acd", "kind": "call", "id": name}]}
    begun = await lane.insist("POST", "/v1/interactions", body)
    here, customer = begun["interaction"]["interaction_id"], begun["customer_id"]
    offer = {"customer_id": customer, "interaction_id": here, "reason": "wants a human", "to": {"queue": _QUEUE}}
    await lane.call("POST", "/v1/handoffs", offer)
    return f"/v1/customers/{customer}", here


def _event(interaction_id: str, type_: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an event to tell."""
    return {"event_id": f"{interaction_id}:{type_}", "type": type_, "interaction_id": interaction_id, "data": data}


async def bytes_a_call(hub: Running) -> float:
    """Return the Redis memory of a live call that waits in a queue, with two facts and six messages told in it."""
    async with Connection(hub.port, KEY) as lane:
        before, run = _memory(hub), f"w{time.monotonic_ns():x}"
        for number in range(_WEIGHED):
            base, here = await _begin(lane, f"{run}-{number}")
            facts = [_event(here, "fact.stated", {"name": f"fact_{n}", "value": f"value {number} {n}"}) for n in (1, 2)]
            words = [
                _event(here, "message.received", {"text": f"this is what I say, number {n}, {number}"})
                for n in range(6)
            ]
            told = [each | {"event_id": f"{here}:{n}"} for n, each in enumerate([*facts, *words])]
            await lane.call("POST", f"{base}/events", {"events": told})
        await asyncio.sleep(3)
        return (_memory(hub) - before) / _WEIGHED


def _memory(hub: Running) -> float:
    """Return the memory that the hub's Redis uses."""
    return float(hub.redis.info("memory")["used_memory"])
