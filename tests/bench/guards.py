"""What the guards cost a read of a context: authentication, disclosure, audit, and two sealed facts, against none."""

from __future__ import annotations

import contextlib
import statistics
import time

from tests.bench.load import new_names, run
from tests.bench.running import Running
from tests.bench.servers import FACTS, KEY, ctxhub, text
from tests.bench.wire import Begin, Connection, Cycle

_CUSTOMERS = 128
_READS = 30
_ROUNDS = 7
_SECRETS = 2


async def kept_with_guards() -> float:
    """Return which part of its throughput a read keeps with all guards on; both servers in turn, in one run."""
    with contextlib.ExitStack() as stack:
        guarded = stack.enter_context(ctxhub("fast"))
        bare = stack.enter_context(ctxhub("fast", module="tests.bench.bare", audit="off"))
        pairs = [(await _rate(guarded, _SECRETS), await _rate(bare, 0)) for _ in range(_ROUNDS)]
    return statistics.median(with_guards / without for with_guards, without in pairs)


async def _rate(hub: Running, secrets: int) -> float:
    """Return how many contexts are read in a second."""
    return (await run(hub, new_names(_CUSTOMERS), _READS, begin=_reading(secrets))).rate


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
