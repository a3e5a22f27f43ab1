"""Numbers are exact: each event is counted once, whoever relays it and however often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from ctxhub.hub.hub import Hub
from ctxhub.hub.numbers import DEFINITIONS, tallies
from ctxhub.model.disclosure import Reader
from ctxhub.model.interaction import HandoffHint
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, eventually, in_one, offer, tell
from tests.support import ACME, ADAPTER, DESK, MINUTE, Clock, a_start, ways

TODAY = date(2026, 11, 22)


async def relayed(*hubs: Hub) -> None:
    """Let hubs take leases and tell on until nothing is left."""
    for hub in hubs:
        await hub.relay._keep_leases()
    await asyncio.gather(*(hub.relay._drain() for hub in hubs))


async def numbers(hub: Hub) -> dict[str, Any]:
    found = await hub.numbers.over(ACME, TODAY, TODAY)
    return {name: found[name] for name in found if name not in ("from", "to", "definitions")}


async def a_story(hub: Hub, number: int = 1) -> None:
    """A customer says something, is asked again, goes on in the chat and ends with an agent who waited a minute."""
    who = Who(ACME, f"c{number}")
    call = await in_one(hub, f"CA{number}", 2, channel="ivr", customer_id=who.customer_id)
    await tell(hub, "fact.stated", call, "f1", who, name="city", value="Xi'an")
    await tell(hub, "fact.stated", call, "f2", who, name="order_id", value="A-17")
    link = await offer(hub, call, who, to={"channel": "chat"})
    token = HandoffHint(token=link["token"])
    answer, _ = await hub.interactions.redeem(ADAPTER, a_start(f"w{number}", handoff=token))
    chat = answer["interaction"]["interaction_id"]
    await hub.asks.ask(who, Reader(), chat, ["city", "street"], None)
    for _ in range(2):
        await tell(hub, "question.asked", chat, "q1", who, names=["city", "street"])
    await tell(hub, "message.sent", chat, "m1", who, party="bot", text="x", fence=9, delivered=True)
    handoff = await offer(hub, chat, who)
    hub.ways.clock.move(MINUTE)  # type: ignore[attr-defined]
    await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
    await hub.handoffs.complete(DESK, handoff["handoff_id"], "ann", 2, None)


ONE = {
    "repeats": {"total": 1, "by_channel": {"chat": 1}, "by_fact": {"city": 1}},
    "questions_saved": {"total": 1, "by_channel": {"chat": 1}},
    "facts_carried": {"total": 4, "by_channel": {"chat": 2, "desk": 2}},
    "handoffs": {"by_state": {"offered": 2, "accepted": 2, "completed": 1}, "waited_seconds": 60.0},
    "out_of_turn": {"total": 1, "by_channel": {"chat": 1}},
}


def times(value: Any, factor: int) -> Any:
    if isinstance(value, dict):
        return {name: times(inner, factor) for name, inner in value.items()}
    return value * factor


async def test_one_story_is_counted_as_it_was(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    assert await numbers(hub) == ONE


async def test_relayed_again_and_by_several_at_once_nothing_is_counted_twice(
    hub: Hub, server: Server, clock: Clock
) -> None:
    others = [Hub(server, ways(clock)) for _ in range(3)]
    for number in range(5):
        await a_story(hub, number)
        await relayed(hub, *others)
    await relayed(*others, hub)
    assert await numbers(hub) == times(ONE, 5)


async def test_a_relay_that_lost_its_lease_on_the_way_counts_nothing(hub: Hub, server: Server, clock: Clock) -> None:
    await a_story(hub)
    await hub.relay._keep_leases()
    clock.move(MINUTE)
    other = Hub(server, ways(clock))
    await other.relay._keep_leases()
    await hub.relay._drain()
    assert (await numbers(hub))["repeats"]["total"] == 0
    await relayed(other)
    assert await numbers(hub) == ONE


async def test_after_counting_the_outbox_is_almost_empty(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    assert await hub.backlog() <= 1


async def test_questions_saved_are_counted_once_per_interaction_and_name_over_all_processes(
    hub: Hub, server: Server, clock: Clock
) -> None:
    interaction_id = await in_one(hub)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an")
    for asking in (hub, hub, Hub(server, ways(clock))):
        await asking.asks.ask(WHO, Reader(), interaction_id, ["city"], None)
    assert (await numbers(hub))["questions_saved"]["total"] == 1


async def test_asking_is_a_read(hub: Hub) -> None:
    interaction_id = await in_one(hub)
    found = await hub.asks.ask(WHO, Reader(), interaction_id, ["city"], None)
    assert (found.version, found.answers[0].verdict) == (1, "ask")
    assert (await hub.changes.contexts.load(WHO)).version == 1


async def test_days_and_tenants_are_apart(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    yesterday = await hub.numbers.over(ACME, date(2026, 11, 21), date(2026, 11, 21))
    elsewhere = await hub.numbers.over("other", TODAY, TODAY)
    assert yesterday["repeats"]["total"] == elsewhere["repeats"]["total"] == 0
    both = await hub.numbers.over(ACME, date(2026, 11, 21), TODAY)
    assert both["repeats"]["total"] == 1


async def test_each_number_says_what_it_means(hub: Hub) -> None:
    found = await hub.numbers.over(ACME, TODAY, TODAY)
    assert found["definitions"].keys() == found.keys() - {"from", "to", "definitions"}
    assert found["definitions"] == DEFINITIONS


@pytest.mark.parametrize("type_", ["message.received", "fact.stated", "x.seen", "interaction.ended"])
def test_what_is_no_number_is_not_counted(type_: str) -> None:
    event = {"type": type_, "data": {"repeats": ["a"], "carried": 3, "agent_id": "x"}, "at": "2026-11-22T12:00:00.000Z"}
    assert tallies(WHO, event) == []


@pytest.fixture
async def following(hub: Hub) -> AsyncIterator[Hub]:
    """A hub at work."""
    async with hub.working():
        yield hub


async def test_a_hub_at_work_counts_by_itself(following: Hub) -> None:
    await a_story(following)

    async def counted() -> bool:
        return await numbers(following) == ONE

    await eventually(counted)
