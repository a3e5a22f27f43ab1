"""What the guards cost a read of a context: authentication, disclosure, audit, and two sealed facts, against none."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time

from tests.bench.load import CONNECTIONS, Begun, new_names
from tests.bench.running import Running
from tests.bench.servers import FACTS, KEY, ctxhub, text
from tests.bench.wire import Begin, Connection, Cycle

_CUSTOMERS = 128
_READS = 30
_ROUNDS = 7
_SECRETS = 2
_SETTLE = 3  # seconds


async def kept_with_guards() -> float:
    """Return which part of its throughput a read keeps with all guards on; both servers in turn, in one run.

    All customers have begun before the first round, and what comes after a beginning is over: it is no read.
    """
    with contextlib.ExitStack() as stack:
        guarded = await _begun(stack.enter_context(ctxhub("fast")), _SECRETS)
        bare = await _begun(stack.enter_context(ctxhub("fast", module="tests.bench.bare", audit="off")), 0)
        await asyncio.sleep(_SETTLE)
        pairs = [((await guarded.work(_READS)).rate, (await bare.work(_READS)).rate) for _ in range(_ROUNDS)]
        for each in (guarded, bare):
            await each.end()
    return statistics.median(with_guards / without for with_guards, without in pairs)


async def _begun(hub: Running, secrets: int) -> Begun:
    """Return customers of a hub whose contexts can be read."""
    return await Begun.of(hub, new_names(_CUSTOMERS), CONNECTIONS, _reading(secrets))


def _reading(secrets: int) -> Begin:
    """Return how a customer begins whose context is read, with so many of ten facts sensitive."""

    async def begin(connection: Connection, name: str) -> Cycle:
        key = await _channels_key(connection)
        connection.speak_with(key)
        body = {"channel": "chat", "external_id": name, "customer_id": name, "assurance": {"level": 3, "method": "app"}}
        here = (await connection.insist("POST", "/v1/interactions", body))["interaction"]["interaction_id"]
        await connection.insist("POST", f"/v1/customers/{name}/events", {"events": _told(here, secrets)})

        async def cycle(_: int) -> None:
            read = await connection.call("GET", f"/v1/customers/{name}/context?interaction_id={here}&events=20")
            assert len(read["facts"]) == FACTS
            assert not any(fact["withheld"] for fact in read["facts"].values())

        return cycle

    return begin


async def _channels_key(connection: Connection) -> str:
    """Return a key as a channel has it, bound to its channel and to what it may assert; made once for a connection."""
    if connection.key != KEY:
        return connection.key
    body = {
        "name": f"k{time.monotonic_ns():x}",
        "role": "adapter",
        "channels": ["chat"],
        "level": 3,
        "methods": ["app"],
    }
    return str((await connection.call("POST", "/v1/keys", body))["key"])


def _told(interaction_id: str, secrets: int) -> list[dict[str, object]]:
    """Return what is told of a customer: ten facts, and twenty messages."""
    facts = [
        {"name": f"fact_{n}", "value": f"value {n}", "sensitivity": "sensitive" if n < secrets else "personal"}
        for n in range(FACTS)
    ]
    told = [("fact.stated", fact) for fact in facts] + [("message.received", {"text": text()}) for _ in range(20)]
    return [
        {"event_id": f"e{n}", "type": type_, "interaction_id": interaction_id, "data": data}
        for n, (type_, data) in enumerate(told)
    ]
