"""The outbox of each partition: one leased, fenced relay at a time; counted exactly, trimmed behind the slowest."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

import pytest
from redis import Redis

from ctxhub.store.contexts import Contexts, Plan, Who
from ctxhub.store.indexes import instant
from ctxhub.store.lists import Lists
from ctxhub.store.outbox import Move, Outbox, Tally
from ctxhub.store.redis import Server
from tests.store.scenes import WHO, an_append, born, plan
from tests.support import ACME, KEEP, MINUTE, NOON, SECOND

pytestmark = pytest.mark.usefixtures("no_key_leaks")
SPAN = timedelta(seconds=5)
TODAY = date(2026, 11, 22)
ONE = ("telling",)


@pytest.fixture
def ann(server: Server) -> Outbox:
    return Outbox(server, "ann")


@pytest.fixture
def bob(server: Server) -> Outbox:
    return Outbox(server, "bob")


@pytest.fixture
def partition(kept: Contexts) -> str:
    return kept.keys(WHO).partition


async def lease(relay: Outbox, partition: str, now: datetime = NOON, span: timedelta = SPAN) -> int:
    return (await relay.lease_all(now, span, [partition]))[partition]


def counted(amount: int = 1) -> list[Tally]:
    return [Tally(ACME, TODAY, "told", amount)]


class TestLeases:
    """Take or keep the relay of a partition."""

    async def test_one_has_it_at_a_time(self, ann: Outbox, bob: Outbox) -> None:
        assert [await lease(ann, "00"), await lease(bob, "00"), await lease(ann, "00")] == [1, 0, 1]

    async def test_after_its_end_another_takes_it_with_the_next_fence(self, ann: Outbox, bob: Outbox) -> None:
        assert await lease(ann, "00") == 1
        assert await lease(bob, "00", NOON + SPAN - SECOND / 1000) == 0
        assert await lease(bob, "00", NOON + SPAN) == 2
        assert await lease(ann, "00", NOON + SPAN) == 0

    async def test_kept_in_time_it_keeps_its_fence(self, ann: Outbox, bob: Outbox) -> None:
        assert await lease(ann, "00") == 1
        assert await lease(ann, "00", NOON + 4 * SECOND) == 1
        assert await lease(bob, "00", NOON + 8 * SECOND) == 0

    async def test_given_up_it_is_free_at_once_but_only_by_its_holder(self, ann: Outbox, bob: Outbox) -> None:
        await lease(ann, "00")
        assert await lease(bob, "00", span=timedelta(0)) == 0
        assert await lease(bob, "00") == 0
        await lease(ann, "00", span=timedelta(0))
        assert await lease(bob, "00") == 2

    async def test_all_are_taken_in_one_call(self, ann: Outbox, bob: Outbox) -> None:
        await lease(bob, "03")
        fences = await ann.lease_all(NOON, SPAN)
        assert fences == {partition: 0 if partition == "03" else 1 for partition in ann.partitions}

    async def test_of_many_at_the_same_instant_one_has_it(self, server: Server) -> None:
        found = await asyncio.gather(*(lease(Outbox(server, f"r{n}"), "00") for n in range(20)))
        assert sorted(found) == [0] * 19 + [1]


class TestAdvancing:
    """Move a cursor and count what was found, in one step."""

    async def test_what_is_counted_is_counted_once(
        self, kept: Contexts, server: Server, ann: Outbox, partition: str
    ) -> None:
        await born(kept)
        fence = await lease(ann, partition)
        [batch] = await ann.written([partition], ["0-0"], 10)
        step = ("0-0", batch[-1].entry_id)
        assert await ann.advance("telling", [Move(partition, fence, *step, counted(3))], ONE) == [True]
        assert await ann.advance("telling", [Move(partition, fence, *step, counted(3))], ONE) == [False]
        assert await Lists(server, KEEP).numbers(ACME, [TODAY]) == {"told": 3}
        assert await ann.cursors([partition], "telling") == [batch[-1].entry_id]

    @pytest.mark.parametrize("how", ["another has it", "another fence"])
    async def test_a_stale_relay_can_neither_count_nor_move_the_cursor(
        self, kept: Contexts, server: Server, ann: Outbox, bob: Outbox, partition: str, how: str
    ) -> None:
        await born(kept)
        fence = await lease(ann, partition)
        [batch] = await ann.written([partition], ["0-0"], 10)
        await lease(bob, partition, NOON + SPAN)
        if how == "another fence":
            await lease(ann, partition, NOON + 2 * SPAN)
        assert await ann.advance("telling", [Move(partition, fence, "0-0", batch[-1].entry_id, counted())], ONE) == [
            False
        ]
        assert await ann.cursors([partition], "telling") == ["0-0"]
        assert await Lists(server, KEEP).numbers(ACME, [TODAY]) == {}
        assert await ann.backlog() == 1

    async def test_what_the_slowest_has_not_read_is_the_oldest_that_waits(
        self, kept: Contexts, server: Server, ann: Outbox, partition: str
    ) -> None:
        assert await ann.oldest_at() is None
        await born(kept)
        await kept.append(WHO, [an_append("e2")], NOON)
        fence = await lease(ann, partition)
        [batch] = await ann.written([partition], ["0-0"], 10)
        first, last = (written.entry_id for written in batch)
        assert await ann.oldest_at() == instant(first.split("-")[0].encode())
        both = ("telling", "archive")
        assert await ann.advance("archive", [Move(partition, fence, "0-0", first)], both) == [True]
        assert await ann.advance("telling", [Move(partition, fence, "0-0", last)], both) == [True]
        assert await ann.oldest_at() == instant(last.split("-")[0].encode())
        assert await ann.advance("archive", [Move(partition, fence, first, last)], both) == [True]
        assert await ann.oldest_at() is None

    async def test_a_consumer_that_is_no_more_keeps_nothing_waiting(
        self, kept: Contexts, ann: Outbox, partition: str
    ) -> None:
        await born(kept)
        fence = await lease(ann, partition)
        [batch] = await ann.written([partition], ["0-0"], 10)
        assert await ann.advance("gone", [Move(partition, fence, "0-0", "1-1")], ONE) == [True]
        assert await ann.oldest_at() is not None
        assert await ann.advance("telling", [Move(partition, fence, "0-0", batch[-1].entry_id)], ONE) == [True]
        assert await ann.oldest_at() is None

    async def test_the_outbox_is_trimmed_behind_the_slowest_consumer(
        self, kept: Contexts, ann: Outbox, partition: str
    ) -> None:
        await born(kept)
        for number in range(2, 6):
            await kept.append(WHO, [an_append(f"e{number}")], NOON)
        fence = await lease(ann, partition)
        [batch] = await ann.written([partition], ["0-0"], 10)
        both = ("telling", "archive")
        assert await ann.advance("telling", [Move(partition, fence, "0-0", batch[-1].entry_id)], both) == [True]
        assert await ann.backlog() == 5
        assert await ann.advance("archive", [Move(partition, fence, "0-0", batch[2].entry_id)], both) == [True]
        [rest] = await ann.written([partition], ["0-0"], 10)
        assert rest == batch[2:]

    async def test_ids_are_compared_as_numbers_not_as_texts(
        self, redis: Redis, ann: Outbox, partition: str, kept: Contexts
    ) -> None:
        for entry_id in ("9-9", "9-10", "10-1"):
            redis.xadd(kept.keys(WHO).outbox, {"c": "acme\nc42", "f": 1, "l": 1}, entry_id)
        fence = await lease(ann, partition)
        assert await ann.advance("a", [Move(partition, fence, "0-0", "10-1")], ("a", "b")) == [True]
        assert await ann.advance("b", [Move(partition, fence, "0-0", "9-10")], ("a", "b")) == [True]
        [rest] = await ann.written([partition], ["0-0"], 10)
        assert [written.entry_id for written in rest] == ["9-10", "10-1"]

    async def test_several_counters_of_several_days_and_tenants_go_together(self, server: Server, ann: Outbox) -> None:
        fence = await lease(ann, "00")
        days = (TODAY, TODAY + timedelta(days=1))
        tallies = [Tally(tenant, day, counter, 1) for tenant in "ab" for day in days for counter in ("x", "y", "x")]
        assert await ann.advance("telling", [Move("00", fence, "0-0", "1-0", tallies)], ONE) == [True]
        assert await Lists(server, KEEP).numbers("b", [TODAY, TODAY + timedelta(days=1)]) == {"x": 4, "y": 2}


class TestWriting:
    """What the outbox notes of each write."""

    async def test_each_write_says_whose_it_was_and_from_which_version_to_which(
        self, kept: Contexts, ann: Outbox, partition: str
    ) -> None:
        loaded = await born(kept, "e1", "e2")
        await kept.append(WHO, [an_append("e3")], NOON)
        await kept.append(WHO, [an_append("e3")], NOON)
        await kept.commit(WHO, loaded, plan(None, "e4", "e5"), NOON, None)
        [batch] = await ann.written([partition], ["0-0"], 10)
        spans = [(written.who, written.first, written.last) for written in batch]
        assert spans == [(WHO, 1, 2), (WHO, 3, 3), (WHO, 4, 5)]

    async def test_it_is_read_in_pieces_after_a_cursor(self, kept: Contexts, ann: Outbox, partition: str) -> None:
        await born(kept)
        for number in range(2, 6):
            await kept.append(WHO, [an_append(f"e{number}")], NOON)
        [first] = await ann.written([partition], ["0-0"], 3)
        [rest] = await ann.written([partition], [first[-1].entry_id], 3)
        assert [written.first for written in first + rest] == [1, 2, 3, 4, 5]


async def test_due_are_those_whose_time_has_come(kept: Contexts, ann: Outbox) -> None:
    for number, when in ((1, NOON), (2, NOON + MINUTE), (3, None)):
        who = Who(ACME, f"c{number}")
        loaded = await born(kept, who=who)
        assert await kept.commit(who, loaded, Plan(None, due=when), NOON, None)
    assert await ann.due(ann.partitions, NOON - SECOND) == []
    assert await ann.due(ann.partitions, NOON) == [Who(ACME, "c1")]
    assert sorted(await ann.due(ann.partitions, NOON + MINUTE)) == [Who(ACME, "c1"), Who(ACME, "c2")]


async def test_nothing_is_due_of_a_customer_who_is_not_there(kept: Contexts, ann: Outbox) -> None:
    loaded = await born(kept)
    await kept.commit(WHO, loaded, Plan(None, due=NOON), NOON, None)
    await kept.never_due(WHO)
    assert await ann.due(ann.partitions, NOON) == []
