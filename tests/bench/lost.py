"""The lost-update probe: two writers tell of one customer at once, each by the system's own way to append."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from tests.bench.cycles import Systems
from tests.bench.figure import Figure
from tests.bench.part import Part
from tests.bench.peers import Library
from tests.bench.running import Running
from tests.bench.servers import event, start, text
from tests.bench.size import Size
from tests.bench.wire import Connection

_WRITERS = 2
_STARTS_AFTER = 15.0
Writer = Callable[[Connection, str], Awaitable[None]]


async def probed(systems: Systems, size: Size) -> Part:
    """Let two writers tell at every system, and count what is there."""
    rows: list[tuple[str | float, ...]] = []
    for name, system in systems.items():
        if name == "floor":
            continue
        told = _WRITERS * size.updates
        kept = await _kept(name, system, size.updates)
        rows.append((name, f"{told}", f"{told - kept}", f"{(told - kept) / told:.0%}"))
    lost = [float(row[2]) for row in rows if str(row[0]).startswith("ctxhub")]
    return Part(
        "Lost updates",
        f"{_WRITERS} writers, one customer, {size.updates} messages each, all acknowledged; at agent-memory-server as "
        "its client appends (read, add, write), at the libraries two processes.",
        ("", "acknowledged", "lost", "part"),
        rows,
        [Figure("acknowledged updates that ctxhub lost", max(lost), "<= 0")],
    )  # fmt: skip


async def _kept(name: str, system: Running | Library, updates: int) -> int:
    """Return how many updates are there in the end."""
    if isinstance(system, Library):
        return await _kept_inside(system, updates)
    customer = f"l{time.monotonic_ns():x}"
    at_hub = name.startswith("ctxhub")
    async with Connection(system.port, system.key) as one, Connection(system.port, system.key) as other:
        here = await start(one, customer) if at_hub else ""
        tell = _at_hub(here) if at_hub else _at_memory_server
        await asyncio.gather(*[_told(connection, customer, tell, updates) for connection in (one, other)])
        if at_hub:
            page = await one.call("GET", f"/v1/customers/{customer}/timeline?interaction_id={here}&limit=1000")
            return sum(event["type"] == "message.received" for event in page["events"])
        return len((await one.call("GET", f"/v1/working-memory/{customer}?user_id={customer}"))["messages"])


async def _told(connection: Connection, customer: str, tell: Writer, updates: int) -> None:
    """Be one writer."""
    for _ in range(updates):
        await tell(connection, customer)


def _at_hub(here: str) -> Writer:
    """Return how a channel tells."""

    async def tell(connection: Connection, customer: str) -> None:
        told = event(f"{id(connection)}-{time.monotonic_ns()}", "message.received", here, {"text": text()})
        await connection.call("POST", f"/v1/customers/{customer}/events", {"events": [told]})

    return tell


async def _at_memory_server(connection: Connection, customer: str) -> None:
    """Append as the server's own client does."""
    answer = await connection.send(connection.request("GET", f"/v1/working-memory/{customer}?user_id={customer}"))
    before = _messages(answer.body) if answer.status == 200 else []
    said = {"role": "user", "content": text(), "id": f"{id(connection)}-{time.monotonic_ns()}"}
    body = {"session_id": customer, "user_id": customer, "messages": [*before, said]}
    await connection.call("PUT", f"/v1/working-memory/{customer}", body)


def _messages(body: bytes) -> list[dict[str, str]]:
    """Return the messages of a session, as they are written back."""
    wanted = ("role", "content", "id")
    return [{key: message[key] for key in wanted} for message in json.loads(body)["messages"]]


async def _kept_inside(library: Library, updates: int) -> int:
    """Let two processes write, and count."""
    name, at = f"l{time.monotonic_ns():x}", time.time() + _STARTS_AFTER
    await asyncio.gather(*[library.does("tell", name=name, at=at, turns=updates) for _ in range(_WRITERS)])
    return int((await library.does("count", name=name))["count"])
