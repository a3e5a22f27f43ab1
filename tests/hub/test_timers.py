"""Time is the hub's: what lapses is noticed when it is woken, within two seconds, and after any restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ctxhub.hub.hub import Hub
from ctxhub.model.value import to_millis
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server, connected
from tests.hub.scenes import WHO, begin, context_of, eventually, in_one, offer, tell, told_of
from tests.support import ACME, DAY, DESK, HOUR, LEASE, MINUTE, NOON, SECOND, Clock, a_phone, ways


def by_the_wall() -> datetime:
    """The real time."""
    return to_millis(datetime.now(UTC))


async def due(hub: Hub) -> list[Who]:
    return await hub._outbox.due(hub._outbox.partitions, hub.ways.clock())


class TestWaking:
    """A customer of whom something is due is woken."""

    async def test_an_offer_expires(self, hub: Hub, clock: Clock) -> None:
        handoff = await offer(hub, await in_one(hub), expires_in=60)
        clock.move(MINUTE - SECOND)
        assert await due(hub) == []
        clock.move(SECOND)
        assert await due(hub) == [WHO]
        await hub.wake(WHO)
        assert (await context_of(hub)).handoffs[handoff["handoff_id"]].state == "expired"
        assert await hub.handoffs.waiting(ACME, "cards", "offered") == []
        assert await due(hub) == []

    async def test_a_lease_ends_and_the_customer_waits_again(self, hub: Hub, clock: Clock) -> None:
        handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]
        await hub.handoffs.accept(DESK, handoff_id, "ann")
        clock.move(LEASE)
        await hub.wake(WHO)
        assert [h.handoff_id for h in await hub.handoffs.waiting(ACME, "cards", "offered")] == [handoff_id]

    async def test_silence_ends_an_interaction_and_whoever_waited_has_left(self, hub: Hub, clock: Clock) -> None:
        handoff = await offer(hub, await in_one(hub), expires_in=7200)
        clock.move(30 * MINUTE)
        await hub.wake(WHO)
        context = await context_of(hub)
        assert context.handoffs[handoff["handoff_id"]].state == "left"
        assert await hub.interactions.open_on(ACME, "chat") == []

    async def test_woken_too_early_it_is_due_again_later(self, hub: Hub, clock: Clock) -> None:
        interaction_id = await in_one(hub)
        clock.move(20 * MINUTE)
        await tell(hub, "message.received", interaction_id, "m1", text="x")
        clock.move(10 * MINUTE)
        assert await due(hub) == [WHO]
        await hub.wake(WHO)
        assert (await due(hub), await told_of(hub)) == ([], ["interaction.started", "message.received"])
        clock.move(20 * MINUTE)
        assert await due(hub) == [WHO]

    async def test_an_offer_made_while_it_is_woken_still_expires_in_time(self, hub: Hub, clock: Clock) -> None:
        interaction_id = await in_one(hub)
        clock.move(20 * MINUTE)
        await tell(hub, "message.received", interaction_id, "m1", text="x")
        clock.move(10 * MINUTE)
        existing, once = hub.changes.contexts.existing, [True]

        async def meanwhile(*args: Any, **more: Any) -> Any:
            found = await existing(*args, **more)
            if once:
                once.clear()
                await offer(hub, interaction_id, expires_in=60)
            return found

        hub.changes.contexts.existing = meanwhile  # type: ignore[method-assign]
        await hub.wake(WHO)
        clock.move(MINUTE)
        assert await due(hub) == [WHO]

    async def test_one_who_is_not_there_any_more_is_due_no_more(self, hub: Hub, clock: Clock) -> None:
        await begin(hub)
        keys = hub.changes.contexts.keys(WHO)
        await hub.server.call("DEL", keys.context, keys.document, keys.timeline, keys.events)
        clock.move(HOUR)
        assert await due(hub) == [WHO]
        await hub.wake(WHO)
        assert await due(hub) == []

    async def test_woken_twice_at_once_it_lapses_once(self, hub: Hub, server: Server, clock: Clock) -> None:
        await offer(hub, await in_one(hub), expires_in=60)
        clock.move(MINUTE)
        others = [Hub(server, ways(clock)) for _ in range(4)]
        await asyncio.gather(*(each.wake(WHO) for each in [hub, *others]))
        assert (await told_of(hub)).count("handoff.expired") == 1

    async def test_what_has_lapsed_is_not_shown_although_nobody_was_woken(self, hub: Hub, clock: Clock) -> None:
        interaction_id = await in_one(hub, level=2)
        await tell(hub, "fact.stated", interaction_id, "e1", name="city", value="x", expires_in=60)
        handoff = await offer(hub, interaction_id, expires_in=60, fallback={"queue": "loans"})
        clock.move(3 * MINUTE)
        shown = await hub.handoffs.get(DESK, handoff["handoff_id"])
        assert shown.handoff.state == "expired"
        seen, context, _ = await hub.contexts.sight(WHO, DESK.but(role="adapter").reader(interaction_id))
        assert (seen.level, context.facts) == (2, ())


class TestRelays:
    """Hubs at work: due times are looked at, and one relay at a time works on a partition."""

    @pytest.fixture
    async def at_work(self, redis_url: str, server: Server) -> AsyncIterator[Hub]:
        """A hub that runs by the real time, listens and relays."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(connected(redis_url, partitions=8))
            hub = Hub(connection, ways(by_the_wall))
            await stack.enter_async_context(hub.working())
            yield hub

    async def test_what_is_due_happens_within_two_seconds(self, at_work: Hub) -> None:
        await offer(at_work, await in_one(at_work), expires_in=1)

        async def expired() -> bool:
            return "handoff.expired" in await told_of(at_work)

        await eventually(expired, within=1 + 2)

    async def test_what_came_due_while_nobody_was_at_work_happens_then(self, hub: Hub, server: Server) -> None:
        past = Hub(server, ways(Clock(by_the_wall() - DAY)))
        await offer(past, await in_one(past))
        assert await told_of(past) == ["interaction.started", "handoff.offered"]
        now = Hub(server, ways(by_the_wall))
        async with now.working():

            async def settled() -> bool:
                return (await told_of(past))[2:] == ["handoff.expired", "interaction.ended"]

            await eventually(settled)

    async def test_of_two_hubs_at_work_each_partition_has_one_relay_and_all_is_told(
        self, at_work: Hub, redis_url: str
    ) -> None:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(connected(redis_url, partitions=8))
            other = Hub(connection, ways(by_the_wall))
            await stack.enter_async_context(other.working())
            for number in range(20):
                await begin(at_work, f"x{number}", customer_id=f"c{number}")
            assert not set(at_work.relay._fences) & set(other.relay._fences)

            async def told_on() -> bool:
                return await at_work.backlog() <= 8

            await eventually(told_on)

    async def test_a_relay_that_stops_gives_its_leases_up_at_once(self, redis_url: str, server: Server) -> None:
        for _ in range(2):
            async with connected(redis_url, partitions=8) as connection:
                hub = Hub(connection, ways(by_the_wall))
                async with hub.working():

                    async def leased(hub: Hub = hub) -> bool:
                        return len(hub.relay._fences) == 8

                    await eventually(leased, within=1)


async def test_a_customer_s_keys_outlive_all_that_is_open(hub: Hub, clock: Clock) -> None:
    await begin(hub, identifiers=[a_phone()])
    left = await hub.server.call("PTTL", hub.changes.contexts.keys(WHO).context)
    assert int(left) > timedelta(days=29) / timedelta(milliseconds=1)
    assert clock() == NOON
