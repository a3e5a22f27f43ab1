"""A number that leads to a customer and one that leads to nobody cost the same work, trip by trip."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from ctxhub.hub.hub import Hub
from ctxhub.metrics import REDIS_ROUND_TRIPS
from ctxhub.model.customer import AssuranceClaim
from ctxhub.model.interaction import Start
from ctxhub.store.contexts import Who
from tests.hub.scenes import begin, in_one, tell
from tests.support import ACME, ADAPTER, a_phone

MATCH, NO_MATCH = "+8613800138000", "+8613800138001"


def trips() -> Counter[str]:
    """The round trips that this process has made, by what they do."""
    samples = [sample for metric in REDIS_ROUND_TRIPS.collect() for sample in metric.samples]
    return Counter({str(one.labels): round(one.value) for one in samples if one.name.endswith("_total")})


async def cost(work: Callable[[], Awaitable[Any]]) -> Counter[str]:
    """The round trips of some work; the fewest of several tries apart, should another hub be at work beside."""
    taken = []
    for _ in range(8):
        before = trips()
        await work()
        taken.append(trips() - before)
        await asyncio.sleep(0.03)
    return min(taken, key=lambda found: found.total())


async def a_rich_customer(hub: Hub) -> None:
    """A customer with a number of her own, who has said much in the app."""
    await begin(hub, "app", 2, channel="app", identifiers=[a_phone(MATCH, "verified")])
    here = await in_one(hub, "app", 2, channel="app")
    await tell(hub, "journey.started", here, "j", kind="refund")
    for number in range(30):
        await tell(hub, "fact.stated", here, f"f{number}", name=f"fact {number}", value=number)


def calling(hub: Hub, number: str, name: str) -> Callable[[], Awaitable[dict[str, Any]]]:
    """What makes a call from a number begin; each time another one."""
    calls = iter(range(100))

    async def call() -> dict[str, Any]:
        claim = AssuranceClaim(level=1, method="ani")
        external_id, identifiers = f"{name}-{next(calls)}", [a_phone(number)]
        start = Start(channel="ivr", external_id=external_id, identifiers=identifiers, assurance=claim)
        return (await hub.interactions.start(ADAPTER, start))[0]

    return call


async def test_a_match_and_no_match_take_the_same_round_trips(hub: Hub) -> None:
    await a_rich_customer(hub)
    known, nobody = calling(hub, MATCH, "a"), calling(hub, NO_MATCH, "b")
    assert await cost(known) == await cost(nobody)
    match, no_match = await known(), await nobody()
    assert (match["known"], no_match["known"]) == (True, False)
    for reading in (_context, _timeline, _asks):
        assert await cost(reading(hub, match)) == await cost(reading(hub, no_match)), reading.__name__


def _place(answer: dict[str, Any]) -> tuple[Who, str]:
    return Who(ACME, answer["customer_id"]), answer["interaction"]["interaction_id"]


def _context(hub: Hub, answer: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
    who, interaction_id = _place(answer)
    return lambda: hub.contexts.read(who, ADAPTER.reader(interaction_id))


def _timeline(hub: Hub, answer: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
    who, interaction_id = _place(answer)
    return lambda: hub.contexts.timeline(who, ADAPTER.reader(interaction_id), None, None, 100)


def _asks(hub: Hub, answer: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
    who, interaction_id = _place(answer)
    return lambda: hub.asks.ask(who, ADAPTER.reader(), interaction_id, ["fact 1", "fact 2"], None)
