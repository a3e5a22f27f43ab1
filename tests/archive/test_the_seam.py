"""Timelines page, stream and are brought along through the seam between archive and Redis: no gap, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import Redis

from ctxhub.hub.hub import Hub
from ctxhub.hub.streams import Told
from ctxhub.model.disclosure import Reader
from ctxhub.store.contexts import Who
from tests.archive.scenes import a_talk, forgotten
from tests.hub.scenes import WHO, context_of, in_one, tell, told_of
from tests.support import ACME, ADAPTER, MINUTE, Clock

ADMIN = Reader(role="admin")
LONG = 450


@pytest.fixture
async def long_ago(hub: Hub, clock: Clock) -> list[dict[str, Any]]:
    """A long timeline, of which Redis has the newest entries only; as it was before."""
    interaction_id = await a_talk(hub, messages=10)
    for number in range(LONG):
        await tell(hub, "x.seen", interaction_id, f"seen-{number}", number=number)
    clock.move(31 * MINUTE)
    await hub.wake(WHO)
    before = await hub.changes.contexts.timeline(WHO, 0, None, 10_000)
    await forgotten(hub, clock)
    await hub.changes.contexts.existing(WHO)
    return before


async def test_redis_has_the_newest_entries_only(hub: Hub, long_ago: list[dict[str, Any]], redis: Redis) -> None:
    keys = hub.changes.contexts.keys(WHO)
    assert redis.llen(keys.timeline) == 200
    assert redis.hget(keys.context, "base") == str(len(long_ago) - 200)


@pytest.mark.parametrize("limit", [7, 100, 1000])
async def test_pages_upwards_come_to_the_whole(hub: Hub, long_ago: list[dict[str, Any]], limit: int) -> None:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        events, after, _ = await hub.contexts.timeline(WHO, ADMIN, after, None, limit)
        found += events
    assert found == long_ago


@pytest.mark.parametrize("limit", [7, 100])
async def test_pages_downwards_come_to_the_whole(hub: Hub, long_ago: list[dict[str, Any]], limit: int) -> None:
    found: list[dict[str, Any]] = []
    before: int | None = len(long_ago) + 1
    while before is not None:
        events, before, _ = await hub.contexts.timeline(WHO, ADMIN, None, before, limit)
        found = [*events, *found]
    assert found == long_ago


async def test_any_span_across_the_seam_is_the_same(hub: Hub, long_ago: list[dict[str, Any]]) -> None:
    seam = len(long_ago) - 200
    for first, last in [(1, 1), (seam - 1, seam), (seam, seam + 1), (seam + 1, seam + 2), (seam - 5, seam + 5)]:
        (found,) = await hub.changes.contexts.spans([(WHO, first, last)])
        assert found == long_ago[first - 1 : last]
    assert await hub.changes.contexts.spans([(WHO, len(long_ago) + 1, len(long_ago) + 9)]) == [[]]
    assert await hub.changes.contexts.spans([(Who(ACME, "nobody"), 1, 9)]) == [[]]


async def test_what_is_told_next_continues_above_the_seam(hub: Hub, long_ago: list[dict[str, Any]]) -> None:
    answer = await tell(hub, "note.added", None, "n1", text="on we go")
    assert answer["version"] == len(long_ago) + 1
    loaded, _ = await hub.changes.contexts.existing(WHO, 200)
    assert [event["version"] for event in loaded.recent] == list(range(len(long_ago) - 198, len(long_ago) + 2))
    assert len(await told_of(hub)) == len(long_ago) + 1


async def test_forgotten_again_it_still_is_whole(hub: Hub, clock: Clock, long_ago: list[dict[str, Any]]) -> None:
    await tell(hub, "note.added", None, "n1", text="on we go")
    await forgotten(hub, clock)
    assert (await hub.changes.contexts.timeline(WHO, 0, None, 10_000))[:-1] == long_ago
    await context_of(hub)
    await forgotten(hub, clock)
    assert (await hub.changes.contexts.timeline(WHO, 0, None, 10_000))[:-1] == long_ago


async def test_what_a_reader_may_not_see_is_held_back_below_the_seam_too(
    hub: Hub, long_ago: list[dict[str, Any]]
) -> None:
    asking = await in_one(hub, "another", level=0)
    events, _, _ = await hub.contexts.timeline(WHO, ADAPTER.reader(asking), 0, None, 1000)
    assert {event["interaction_id"] for event in events} == {asking}


class TestStreams:
    """Whoever follows goes on after what was seen last, wherever that is now."""

    async def told(self, stream: AsyncIterator[Told], count: int) -> list[Told]:
        found: list[Told] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                one = await anext(stream)
                found += [one] if one.type else []
        return found

    async def test_from_below_the_seam(self, hub: Hub, long_ago: list[dict[str, Any]]) -> None:
        found = await self.told(hub.streams.customer(WHO, ADMIN, 20), len(long_ago) - 20 + 1)
        assert [one.type for one in found[:1]] == ["ready"]
        assert [one.data for one in found[1:]] == long_ago[20:]

    async def test_of_one_who_is_forgotten_while_being_followed(
        self, hub: Hub, clock: Clock, long_ago: list[dict[str, Any]]
    ) -> None:
        stream = hub.streams.customer(WHO, ADMIN, len(long_ago))
        await self.told(stream, 1)
        await forgotten(hub, clock)
        bell = asyncio.ensure_future(self.told(stream, 1))
        await tell(hub, "note.added", None, "n1", text="on we go")
        assert [one.data["event_id"] for one in await bell] == ["n1"]
