"""Promises and journeys in the hub: listed for whoever must keep them, told once by timers, on their owner's queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import AtWork, EventIdReused
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.model.commitment import CommitmentState
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Telling
from ctxhub.model.value import to_millis
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server, connected
from tests.hub.scenes import WHO, begin, context_of, eventually, in_one, offer, tell, told_of
from tests.support import ACME, DAY, DESK, HOUR, MINUTE, NOON, SECOND, Clock, ways


def by_the_wall() -> datetime:
    """The real time."""
    return to_millis(datetime.now(UTC))


async def promise(
    hub: Hub, due_at: datetime, id_: str = "cm_1", owner: str = "service", who: Who = WHO, level: int = 2
) -> None:
    """Promise something to a customer in an interaction of its own."""
    here = await in_one(hub, f"x-{who.customer_id}", level, customer_id=who.customer_id)
    said = {"commitment_id": id_, "what": f"do {id_}", "owner": owner, "due_at": due_at.isoformat()}
    await tell(hub, "commitment.made", here, f"e-{id_}", who=who, **said)


async def listed(
    hub: Hub, state: CommitmentState | None = None, owner: str | None = None, most: int = 100
) -> list[str]:
    return [found.commitment_id for found in await hub.commitments.listed(ACME, state, owner, most)]


class TestLists:
    """Who must keep what, the most urgent first."""

    async def test_what_was_promised_before_there_were_lists_is_listed_and_told_in_time(
        self, server: Server, tenants_folder: Path, redis_url: str
    ) -> None:
        hub = Hub(server, ways(by_the_wall, tenants=tenants_folder))
        await promise(hub, by_the_wall() + 2 * DAY)
        with Redis.from_url(redis_url) as redis:  # as the version before left it
            for name in (*redis.scan_iter("*:promised:*"), *redis.scan_iter("*:due")):
                redis.delete(name)
        assert await listed(hub) == []
        async with hub.working():
            await eventually(lambda: listed(hub))
            assert await listed(hub) == ["cm_1"]
        with Redis.from_url(redis_url) as redis:
            assert [redis.zcard(name) for name in redis.scan_iter("*:due")] == [1]

    async def test_what_is_due_first_stands_first_over_all_customers(self, hub: Hub) -> None:
        for number in (3, 1, 2):
            await promise(hub, NOON + number * DAY, f"cm_{number}", who=Who(ACME, f"c{number}"))
        found = await hub.commitments.listed(ACME, None, None, 100)
        assert [(one.customer_id, one.commitment_id) for one in found] == [(f"c{n}", f"cm_{n}") for n in (1, 2, 3)]
        assert (found[0].what, found[0].owner, found[0].due_at, found[0].state) == (
            "do cm_1",
            "service",
            NOON + DAY,
            "open",
        )
        assert await listed(hub, most=2) == ["cm_1", "cm_2"]

    async def test_by_state_and_by_owner(self, hub: Hub, clock: Clock) -> None:
        await promise(hub, NOON + DAY, "cm_1")
        await promise(hub, NOON + 2 * DAY, "cm_2", "ann")
        clock.move(DAY - MINUTE)
        await hub.wake(WHO)
        assert (await listed(hub, "due_soon"), await listed(hub, "open")) == (["cm_1"], ["cm_2"])
        assert (await listed(hub, None, "ann"), await listed(hub, "open", "service")) == (["cm_2"], [])
        assert (await listed(hub, None, "nobody"), await listed(hub, "overdue")) == ([], [])

    async def test_a_state_counts_from_its_instant_also_before_the_timers_were_there(
        self, hub: Hub, clock: Clock
    ) -> None:
        await promise(hub, NOON + DAY)
        clock.move(DAY - HOUR)
        assert (await listed(hub, "due_soon"), await listed(hub, "open")) == (["cm_1"], [])
        await hub.wake(WHO)
        clock.move(HOUR)
        assert (await listed(hub, "overdue"), await listed(hub, "due_soon")) == (["cm_1"], [])

    @pytest.mark.parametrize("verb", ["kept", "broken"])
    async def test_ended_it_stands_in_no_list(self, hub: Hub, clock: Clock, verb: str) -> None:
        await promise(hub, NOON + DAY)
        clock.move(2 * DAY)
        await hub.wake(WHO)
        assert await listed(hub, "overdue") == ["cm_1"]
        await tell(hub, f"commitment.{verb}", None, "e9", commitment_id="cm_1")
        assert (await listed(hub), await listed(hub, "overdue", "service")) == ([], [])

    async def test_a_customer_who_is_forgotten_stands_in_no_list(self, hub: Hub) -> None:
        await promise(hub, NOON + DAY)
        await hub.customers.forget(WHO)
        assert await listed(hub) == []

    async def test_another_tenant_s_are_not_listed(self, hub: Hub) -> None:
        await promise(hub, NOON + DAY)
        assert await hub.commitments.listed("other", None, None, 100) == []


class TestTimers:
    """What time tells, it tells once, whoever notices and however late."""

    async def test_a_context_shows_the_state_of_now_although_nobody_was_woken(self, hub: Hub, clock: Clock) -> None:
        await promise(hub, NOON + DAY)
        states = []
        for _ in range(3):
            shown = await hub.contexts.read(WHO, Reader(role="admin"))
            states.append(shown.value["commitments"][0]["state"])
            clock.move(DAY - 30 * MINUTE)
        assert states == ["open", "due_soon", "overdue"]

    async def test_five_hubs_woken_at_once_tell_it_once(self, hub: Hub, server: Server, clock: Clock) -> None:
        await promise(hub, NOON + DAY)
        clock.move(2 * DAY)
        await asyncio.gather(*(Hub(server, ways(clock)).wake(WHO) for _ in range(5)))
        told = await told_of(hub)
        assert [type_ for type_ in told if type_.startswith("commitment.")] == [
            "commitment.made", "commitment.due_soon", "commitment.overdue",
        ]  # fmt: skip

    async def test_a_silent_journey_rests_and_lapses_and_its_promise_stays(self, hub: Hub, clock: Clock) -> None:
        here = await in_one(hub, level=2)
        await tell(hub, "journey.started", here, "e1", kind="complaint", journey_id="jr_1")
        await tell(hub, "commitment.made", here, "e2", journey_id="jr_1", commitment_id="cm_1", what="call",
                   owner="service", due_at=(NOON + 9 * DAY).isoformat())  # fmt: skip
        clock.move(10 * MINUTE)
        await hub.wake(WHO)
        assert (await context_of(hub)).journeys["jr_1"].state == "suspended"
        clock.move(2 * HOUR)
        await hub.wake(WHO)
        context = await context_of(hub)
        assert (context.journeys, list(context.commitments)) == ({}, ["cm_1"])
        events = await hub.changes.contexts.timeline(WHO, 0, None, 100)
        by_hub = [(e["type"], e["data"]["reason"]) for e in events if e["data"].get("by") == "hub"]
        assert by_hub == [("journey.suspended", "rest"), ("journey.abandoned", "lapsed")]

    async def test_what_comes_due_while_no_hub_is_there_happens_within_a_tick_of_the_next(
        self, server: Server, redis_url: str, tenants_folder: Path
    ) -> None:
        past = Hub(server, ways(Clock(by_the_wall() - 3 * HOUR), tenants=tenants_folder))
        here = await in_one(past, level=2, channel="voice")
        await tell(past, "journey.started", here, "e1", kind="complaint", journey_id="jr_1")
        await promise(past, by_the_wall() - HOUR)

        async def told() -> bool:
            return {"journey.suspended", "journey.abandoned", "commitment.overdue"} <= set(await told_of(past))

        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(connected(redis_url, partitions=8))
            await stack.enter_async_context(Hub(connection, ways(by_the_wall, tenants=tenants_folder)).working())
            await eventually(told)
        types = await told_of(past)
        assert len([type_ for type_ in types if type_.startswith(("journey.", "commitment."))]) == len(
            ["started", "delayed", "suspended", "escalated", "abandoned", "made", "due_soon", "overdue"]
        )


class TestQueues:
    """Whoever owns it hears of it."""

    @pytest.fixture
    async def at_work(self, redis_url: str, tenants_folder: Path, server: Server) -> AsyncIterator[Hub]:
        """A hub at work, by the real time."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(connected(redis_url, partitions=8))
            hub = Hub(connection, ways(by_the_wall, tenants=tenants_folder))
            await stack.enter_async_context(hub.working())
            yield hub

    @staticmethod
    async def next_of(stream: AsyncIterator[Any], *types: str) -> list[Any]:
        found: list[Any] = []
        async with asyncio.timeout(5):
            async for told in stream:
                found += [told] if told.type in types else []
                if len(found) == len(types):
                    break
        return found

    async def test_a_promise_is_told_on_the_queue_that_owns_it(self, at_work: Hub) -> None:
        stream = at_work.streams.queue(ACME, "service", None)
        await self.next_of(stream, "snapshot")
        await promise(at_work, at_work.ways.clock() + timedelta(seconds=1))
        told = await self.next_of(stream, "commitment.made", "commitment.due_soon", "commitment.overdue")
        assert {one.data["customer_id"] for one in told} == {"c42"}
        assert [one.data["data"]["queue"] for one in told] == ["service"] * 3
        await tell(at_work, "commitment.kept", None, "e9", commitment_id="cm_1")
        (kept,) = await self.next_of(stream, "commitment.kept")
        assert (kept.data["data"]["late"], kept.data["data"]["what"]) == (True, "do cm_1")

    async def test_an_escalated_journey_is_told_on_the_new_owner_s_queue(self, at_work: Hub) -> None:
        stream = at_work.streams.queue(ACME, "board", None)
        await self.next_of(stream, "snapshot")
        here = await in_one(at_work, level=2)
        began = at_work.ways.clock() - timedelta(seconds=9999)
        started = Telling(event_id="e1", type="journey.started", at=began, interaction_id=here,
                          data={"kind": "complaint", "journey_id": "jr_1"})  # fmt: skip
        await at_work.events.tell(WHO, [started], Request())
        (told,) = await self.next_of(stream, "journey.escalated")
        assert (told.data["data"]["level"], told.data["data"]["owner"]) == (2, "board")


class TestFinding:
    """Found or started, and the same however often it is told."""

    @staticmethod
    async def find(hub: Hub, interaction_id: str, event_id: str, **more: Any) -> dict[str, Any]:
        answer = await tell(hub, "journey.started", interaction_id, event_id, kind="refund", find=True, **more)
        return dict(answer["results"][0])

    async def test_the_result_names_the_journey_that_goes_on(self, hub: Hub) -> None:
        first = await self.find(hub, await in_one(hub, "x1", 2), "e1")
        second = await self.find(hub, await in_one(hub, "x2", 2), "e2")
        assert second["journey_id"] == first["journey_id"]
        assert (await told_of(hub))[-1] == "journey.resumed"

    async def test_told_again_it_is_the_same_journey_also_once_that_has_ended(self, hub: Hub) -> None:
        here = await in_one(hub, "x1", 2)
        first = await self.find(hub, here, "e1", journey_id="jr_1")
        found = await self.find(hub, here, "e2")
        assert (first["journey_id"], found["journey_id"]) == ("jr_1", "jr_1")
        await tell(hub, "journey.completed", here, "e3", journey_id="jr_1")
        for event_id, was in (("e2", found), ("e1", first)):
            again = await self.find(hub, here, event_id, **({"journey_id": "jr_1"} if event_id == "e1" else {}))
            assert again == was | {"duplicate": True}
        assert (await context_of(hub)).journeys == {}

    async def test_with_an_idempotency_key_as_well(self, hub: Hub) -> None:
        here = await in_one(hub, "x1", 2)
        await self.find(hub, here, "e1")
        first = await self.find(hub, here, "e2", keyed="k")
        assert (await self.find(hub, here, "e2", keyed="k"))["journey_id"] == first["journey_id"]

    async def test_its_event_id_stands_for_what_was_told(self, hub: Hub) -> None:
        here = await in_one(hub, "x1", 2)
        await self.find(hub, here, "e1")
        with pytest.raises(EventIdReused):
            await tell(hub, "journey.started", here, "e1", kind="refund")

    async def test_twenty_at_once_find_one(self, hub: Hub) -> None:
        here = [await in_one(hub, f"x{n}", 2) for n in range(20)]
        found = await asyncio.gather(*(self.find(hub, one, f"e{n}") for n, one in enumerate(here)))
        assert len({result["journey_id"] for result in found}) == 1
        assert (await told_of(hub)).count("journey.started") == 1

    async def test_free_events_may_say_find_and_found_as_they_like(self, hub: Hub) -> None:
        here = await in_one(hub, "x1", 2)
        for _ in range(2):
            answer = await tell(hub, "x.search", here, "e1", find=True, found=True)
            assert "journey_id" not in answer["results"][0]


async def test_a_bot_that_takes_up_what_an_agent_works_on_is_refused_and_offered_something_else(
    hub: Hub, clock: Clock
) -> None:
    call = await in_one(hub, "call", 2, channel="voice")
    await tell(hub, "journey.started", call, "e1", kind="refund", journey_id="jr_1")
    await hub.handoffs.accept(DESK, (await offer(hub, call))["handoff_id"], "ann")
    clock.move(SECOND)
    chat = await begin(hub, "chat", 2)
    assert chat["resume"] == []
    assert chat["context"]["journeys"][0]["worker"] == {
        "party": "agent", "id": "ann", "interaction_id": call, "since": "2026-11-22T12:00:00.000Z",
    }  # fmt: skip
    with pytest.raises(AtWork):
        await tell(hub, "journey.resumed", chat["interaction"]["interaction_id"], "e2", journey_id="jr_1")
    assert (await told_of(hub))[-1] == "interaction.started"
