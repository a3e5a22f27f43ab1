"""Whether time tells what an answer does not: a number that leads to somebody against one that leads to nobody.

Both in turn on one connection, the first of them changing from pair to pair; what counts is the difference of medians.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from tests.bench.running import Running
from tests.bench.servers import FACTS, KEY, text
from tests.bench.wire import Connection

_PAIRS = 500
Figures = dict[str, float]


async def apart_ms(hub: Running) -> Figures:
    """Return how far the medians of each call lie apart, in milliseconds."""
    async with Connection(hub.port, KEY) as ours, Connection(hub.port, KEY) as theirs:
        run = f"{time.monotonic_ns():x}"[-7:]
        key = await ours.call("POST", "/v1/keys", {"name": f"k{run}", "role": "adapter", "tenant": "other"})
        theirs.speak_with(key["key"])
        taken: dict[str, tuple[list[float], list[float]]] = {}
        for number in range(_PAIRS):
            await _one_pair(ours, theirs, f"{run}-{number}", number, taken)
    return {name: _difference(name, *sides) for name, sides in taken.items()}


def _difference(name: str, yes: list[float], no: list[float]) -> float:
    """Print both medians and return how far they lie apart."""
    medians = statistics.median(yes) * 1000, statistics.median(no) * 1000
    print(f"{name}: {medians[0]:.3f} ms with somebody there, {medians[1]:.3f} ms with nobody, {len(yes)} pairs")
    return abs(medians[0] - medians[1])


async def _one_pair(
    ours: Connection, theirs: Connection, name: str, number: int, taken: dict[str, tuple[list[float], list[float]]]
) -> None:
    """Let somebody be known here and somebody at another tenant, and call for them and for nobody."""
    base = time.monotonic_ns() % 10**6 * 100
    known, nobody, anothers, nobodys = (f"+86138{(base + n) % 10**8:08}" for n in range(4))
    await _rich_customer(ours, f"c{name}", known)
    await _rich_customer(theirs, f"c{name}", anothers)
    order = (0, 1) if number % 2 else (1, 0)
    begun: dict[int, Any] = {}
    for side in order:
        body = {"channel": "ivr", "external_id": f"{name}-{side}", "assurance": {"level": 1, "method": "ani"}}
        who = {"identifiers": [{"type": "phone", "value": (known, nobody)[side]}]}
        begun[side] = await _timed(ours, taken, "start", side, "POST", "/v1/interactions", body | who)
    for side in order:
        customer, here = begun[side]["customer_id"], begun[side]["interaction"]["interaction_id"]
        path = f"/v1/customers/{customer}/context?interaction_id={here}"
        await _timed(ours, taken, "context", side, "GET", path, None)
    for side in order:
        body = {"identifier": {"type": "phone", "value": (anothers, nobodys)[side]}}
        await _timed(ours, taken, "look-up of another tenant's", side, "POST", "/v1/customers/lookup", body)


async def _timed(
    connection: Connection, taken: dict[str, tuple[list[float], list[float]]], name: str, side: int, *call: Any
) -> Any:
    """Make a call and note how long it took, also where it is refused."""
    began = time.perf_counter()
    try:
        answer = await connection.call(*call)
    except RuntimeError:
        answer = None
    taken.setdefault(name, ([], []))[side].append(time.perf_counter() - began)
    return answer


async def _rich_customer(connection: Connection, customer_id: str, number: str) -> None:
    """Let there be somebody of whom there is much to tell."""
    body = {
        "channel": "app", "external_id": customer_id, "customer_id": customer_id,
        "assurance": {"level": 2, "method": "app"},
        "identifiers": [{"type": "phone", "value": number, "strength": "verified"}],
    }  # fmt: skip
    here = (await connection.call("POST", "/v1/interactions", body))["interaction"]["interaction_id"]
    facts = [("fact.stated", {"name": f"fact_{n}", "value": f"value {n}"}) for n in range(FACTS)]
    told = [*facts, ("journey.started", {"kind": "refund"}), ("message.received", {"text": text()})]
    events = [
        {"event_id": f"e{n}", "type": type_, "interaction_id": here, "data": data}
        for n, (type_, data) in enumerate(told)
    ]
    await connection.call("POST", f"/v1/customers/{customer_id}/events", {"events": events})
