"""Streams: from now or after what was seen last, without a gap and only what the reader may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from ctxhub.hub.hub import Hub
from ctxhub.hub.streams import Told
from ctxhub.model.disclosure import Reader
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, in_one, offer, tell
from tests.support import ACME, DESK, ways

EVERYTHING = Reader(role="admin")


@pytest.fixture
async def at_work(server: Server) -> AsyncIterator[Hub]:
    """A hub that listens and relays by the real time: feeds are dated by the server."""
    hub = Hub(server, ways(lambda: datetime.now(UTC).replace(microsecond=0)))
    async with hub.working():
        yield hub


class Following:
    """A follower who remembers what it was told."""

    def __init__(self, stream: AsyncIterator[Told]) -> None:
        self._stream = stream

    async def next(self, count: int = 1) -> list[Told]:
        """Return the next things told, but for signs of life."""
        found: list[Told] = []
        async with asyncio.timeout(5):
            while len(found) < count:
                told = await anext(self._stream)
                found += [told] if told.type else []
        return found


def ids(told: list[Told]) -> list[Any]:
    return [one.data.get("event_id") for one in told]


async def test_from_now_on_everything_comes_in_order_with_its_version(at_work: Hub) -> None:
    interaction_id = await in_one(at_work)
    stream = Following(at_work.streams.customer(WHO, EVERYTHING, None))
    assert (await stream.next())[0] == Told(None, "ready", {"version": 1})
    for number in range(5):
        await tell(at_work, "message.received", interaction_id, f"m{number}", text="x")
    told = await stream.next(5)
    assert [one.id for one in told] == ["2", "3", "4", "5", "6"]
    assert ids(told) == [f"m{number}" for number in range(5)]


async def test_after_what_was_seen_last_nothing_is_missed(at_work: Hub) -> None:
    interaction_id = await in_one(at_work)
    for number in range(450):
        await tell(at_work, "x.seen", interaction_id, f"m{number}")
    stream = Following(at_work.streams.customer(WHO, EVERYTHING, 100))
    assert [one.id for one in (await stream.next(352))[1:]] == [str(version) for version in range(101, 452)]


async def test_a_version_that_was_never_there_is_announced_as_a_gap(at_work: Hub) -> None:
    await in_one(at_work)
    told = await Following(at_work.streams.customer(WHO, EVERYTHING, 99)).next(2)
    assert [one.type for one in told] == ["ready", "reset"]


async def test_only_what_the_reader_may_see_comes(at_work: Hub) -> None:
    mine, other = await in_one(at_work, "x1", 1), await in_one(at_work, "x2", 1)
    stream = Following(at_work.streams.customer(WHO, Reader(interaction_id=mine), None))
    await stream.next()
    await tell(at_work, "message.received", other, "theirs", text="x")
    await tell(at_work, "message.received", mine, "mine", text="x")
    assert ids(await stream.next()) == ["mine"]


async def test_a_queue_s_follower_sees_who_waits_then_what_happens(at_work: Hub) -> None:
    first = await offer(at_work, await in_one(at_work))
    stream = Following(at_work.streams.queue(ACME, "cards", None))
    ready, snapshot = await stream.next(2)
    assert ready.type == "ready"
    assert [handoff["handoff_id"] for handoff in snapshot.data["handoffs"]] == [first["handoff_id"]]
    await at_work.handoffs.accept(DESK, first["handoff_id"], "ann")
    seen: list[Told] = []
    while not seen or seen[-1].type != "handoff.accepted":
        seen += await stream.next()
    assert {one.data["data"]["handoff_id"] for one in seen} == {first["handoff_id"]}


async def test_a_channel_s_follower_resumes_where_it_was(at_work: Hub) -> None:
    interaction_id = await in_one(at_work)
    stream = Following(at_work.streams.channel(ACME, "chat", None))
    await stream.next(2)
    for number in range(3):
        await tell(at_work, "message.sent", interaction_id, f"m{number}", party="bot", text="x", fence=1)
    told: list[Told] = []
    while len([one for one in told if one.type == "message.sent"]) < 3:
        told += await stream.next()
    sent = [one for one in told if one.type == "message.sent"]
    again = Following(at_work.streams.channel(ACME, "chat", sent[0].id))
    assert ids((await again.next(4))[2:]) == ["m1", "m2"]


async def test_when_the_hub_stops_every_stream_comes_to_its_end(at_work: Hub) -> None:
    await in_one(at_work)

    async def follow() -> int:
        return len([told async for told in at_work.streams.customer(WHO, EVERYTHING, None)])

    followers = [asyncio.create_task(follow()) for _ in range(10)]
    await asyncio.sleep(0)
    at_work.hints.stop()
    assert len(await asyncio.wait_for(asyncio.gather(*followers), 3)) == 10


@pytest.mark.parametrize("damaged", [0, 1])
async def test_what_can_not_be_read_of_one_customer_holds_up_nobody_elsewhere(
    server: Server, redis: Redis, damaged: int
) -> None:
    hub = Hub(server, ways(lambda: datetime.now(UTC).replace(microsecond=0)))
    whos = sorted((Who(ACME, f"c{n}") for n in range(4)), key=lambda who: hub.changes.contexts.keys(who).outbox)
    assert len({hub.changes.contexts.keys(who).outbox for who in whos}) > 1
    whos = [whos[0], whos[-1]]
    begun = [await in_one(hub, who.customer_id, customer_id=who.customer_id) for who in whos]
    redis.lset(hub.changes.contexts.keys(whos[damaged]).timeline, -1, "0   \x01damaged")
    async with hub.working():
        stream = Following(hub.streams.channel(ACME, "chat", "0-1"))
        told = [each for each in await stream.next(4) if each.type == "interaction.started"]
    assert [each.data["interaction_id"] for each in told] == [begun[1 - damaged]]
