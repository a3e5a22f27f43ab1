"""One way to change a context: load, let lapse, decide, commit once, or begin again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ctxhub.errors import Changed, Unavailable
from ctxhub.hub.changes import Decision, Present, Request, own
from ctxhub.hub.hub import Hub
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, an_operation, context_of, in_one, offer, told_of
from tests.support import ACME, MINUTE, SECOND, Clock, an_event, ways


async def test_deciders_in_several_processes_lose_nothing(hub: Hub, server: Server, clock: Clock) -> None:
    await in_one(hub)
    hubs = [hub, *(Hub(server, ways(clock)) for _ in range(3))]

    async def adds(each: Hub, number: int) -> None:
        event = an_event("x.added", None, event_id=f"e{number}")

        def decide(present: Present) -> Decision:
            context = present.known
            moved = context.moved | {f"in_{number}": "c7"}
            return Decision(context.but(moved=moved), own([event]))

        await each.changes.change(WHO, decide)

    await asyncio.gather(*(adds(hubs[number % 4], number) for number in range(20)))
    assert len((await context_of(hub)).moved) == 20
    assert len(await told_of(hub)) == 21


async def test_one_that_never_gets_through_is_told_to_try_again(server: Server, clock: Clock) -> None:
    hub = Hub(server, ways(clock, deadline=timedelta(milliseconds=100)))
    await in_one(hub)
    event = an_event("x.added", None, event_id="e1")
    rival = Hub(server, ways(clock))
    await rival.changes.change(WHO, lambda present: Decision(present.known, own([event])))
    with pytest.raises(Unavailable):
        await hub.changes.change(WHO, lambda present: Decision(present.known, own([event])))
    assert len(await told_of(hub)) == 2


async def test_who_waits_for_the_turn_too_long_is_told_to_try_again(server: Server, clock: Clock) -> None:
    hub = Hub(server, ways(clock, deadline=timedelta(milliseconds=50)))
    await in_one(hub)
    async with hub.changes.contexts.turn(WHO):
        with pytest.raises(Unavailable):
            await hub.changes.change(WHO, lambda present: Decision(present.known))


async def test_what_has_lapsed_lapses_with_the_next_change(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub)
    await offer(hub, interaction_id, expires_in=60)
    clock.move(MINUTE)
    await offer(hub, interaction_id, to={"queue": "loans"})
    assert await told_of(hub) == ["interaction.started", "handoff.offered", "handoff.expired", "handoff.offered"]


async def test_a_change_that_changes_nothing_writes_nothing(hub: Hub) -> None:
    await in_one(hub)
    before = await hub.changes.contexts.load(WHO)
    done = await hub.changes.change(WHO, lambda present: Decision(present.known))
    assert (done.version, done.events) == (before.version, [])
    assert await hub.changes.contexts.load(WHO) == before


async def test_with_a_key_also_what_changes_nothing_is_done_once(hub: Hub) -> None:
    await in_one(hub)
    request = Request(operation=an_operation("k1"))
    for replayed in (None, {"answer": 7}):
        done = await hub.changes.change(WHO, lambda present: Decision(present.known, record={"answer": 7}), request)
        assert done.replayed == replayed


@pytest.mark.parametrize("given", [0, 2])
async def test_if_match_before_or_beyond_is_refused_with_both_versions(hub: Hub, given: int) -> None:
    await in_one(hub)
    with pytest.raises(Changed) as refusal:
        await hub.changes.change(WHO, lambda present: Decision(present.known), Request(if_match=given))
    assert refusal.value.ids == {"customer_id": "c42", "version": 1, "document_version": 1}


async def test_turns_of_other_customers_are_not_waited_for(hub: Hub) -> None:
    await in_one(hub)
    async with hub.changes.contexts.turn(Who(ACME, "c7")):
        await asyncio.wait_for(hub.changes.change(WHO, lambda present: Decision(present.known)), 1)


async def test_the_clock_of_a_retried_decision_is_the_present_one(hub: Hub, clock: Clock) -> None:
    await in_one(hub)
    seen = []
    commit = hub.changes.contexts.commit

    async def busy(*args: object, **more: object) -> object:
        if len(seen) < 3:
            clock.move(SECOND)
            return None
        return await commit(*args, **more)  # type: ignore[arg-type]

    hub.changes.contexts.commit = busy  # type: ignore[method-assign, assignment]

    def decide(present: Present) -> Decision:
        seen.append(present.now)
        return Decision(present.known, own([an_event("x.added", None, event_id="e1", at=present.now)]))

    await hub.changes.change(WHO, decide)
    assert len(set(seen)) == len(seen) == 3
