"""What followers of a feed are told: in order, resumable, and honest about what is no longer kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ctxhub.hub.hub import Hub
from ctxhub.store import feed as feed_module
from ctxhub.store.contexts import Who
from ctxhub.store.feed import FEED_LIVES, Bell, Feeds, Hints, Noted, member
from ctxhub.store.redis import Server
from tests.store.steps import C42, Steps, committed
from tests.support import ACME, SECOND

QUEUE = "queue:cards"


@pytest.fixture
def feeds(server: Server) -> Feeds:
    """All feeds, empty."""
    return Feeds(server)


async def tell(feeds: Feeds, *versions: int) -> None:
    """Tell of some versions of one customer."""
    await feeds.tell([(QUEUE, Noted(C42, version)) for version in versions])


async def entry_at(server: Server, feeds: Feeds, at: datetime) -> str:
    """Note something as if it had been told at another time; return the entry."""
    entry = f"{round(at.timestamp() * 1000)}-0"
    await server.call("XADD", feeds.key(ACME, QUEUE), entry, "c", "c42", "v", 1, writes=True)
    return entry


async def test_a_follower_goes_on_after_what_it_saw_last(feeds: Feeds) -> None:
    begin = await feeds.last(ACME, QUEUE)
    await tell(feeds, 1, 2, 3)
    found = await feeds.after(ACME, QUEUE, begin)
    assert [noted for _, noted in found] == [Noted(C42, 1), Noted(C42, 2), Noted(C42, 3)]
    assert await feeds.after(ACME, QUEUE, found[1][0]) == found[2:]
    assert await feeds.last(ACME, QUEUE) == found[2][0]


async def test_feeds_of_other_queues_and_tenants_stay_apart(feeds: Feeds) -> None:
    await feeds.tell([(QUEUE, Noted(Who("other", "c1"), 1)), ("queue:loans", Noted(C42, 1))])
    assert await feeds.after(ACME, QUEUE, "0-0") == []


async def test_a_feed_that_still_has_everything_has_no_gap(feeds: Feeds, server: Server) -> None:
    now = datetime.now(UTC)
    begin = await feeds.last(ACME, QUEUE)
    assert not await feeds.has_gap_after(ACME, QUEUE, begin, now)
    await tell(feeds, 1, 2)
    assert not await feeds.has_gap_after(ACME, QUEUE, begin, now)


async def test_a_feed_that_was_trimmed_has_a_gap_before_its_oldest_entry(
    feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "FEED_LENGTH", 100)
    begin = await feeds.last(ACME, QUEUE)
    await tell(feeds, *range(1, 401))
    kept = await feeds.after(ACME, QUEUE, begin, 1000)
    assert 100 <= len(kept) < 400
    assert await feeds.has_gap_after(ACME, QUEUE, begin, datetime.now(UTC))
    assert not await feeds.has_gap_after(ACME, QUEUE, kept[0][0], datetime.now(UTC))


async def test_a_feed_that_lapsed_has_a_gap(feeds: Feeds) -> None:
    now = datetime.now(UTC)
    assert await feeds.has_gap_after(ACME, QUEUE, entry_of(now - FEED_LIVES - SECOND), now)
    assert not await feeds.has_gap_after(ACME, QUEUE, entry_of(now - FEED_LIVES + SECOND), now)


async def test_a_feed_that_lapsed_and_began_again_has_a_gap(feeds: Feeds, server: Server) -> None:
    now = datetime.now(UTC)
    await entry_at(server, feeds, now)
    assert await feeds.has_gap_after(ACME, QUEUE, entry_of(now - FEED_LIVES - SECOND), now)
    assert not await feeds.has_gap_after(ACME, QUEUE, entry_of(now - FEED_LIVES + SECOND), now)


def entry_of(at: datetime) -> str:
    """Return the id that an entry of a time has."""
    return f"{round(at.timestamp() * 1000)}-0"


async def test_a_follower_who_missed_something_is_told_to_begin_again(hub: Hub, server: Server) -> None:
    await entry_at(server, Feeds(server), hub.ways.clock())
    old = entry_of(hub.ways.clock() - FEED_LIVES - timedelta(hours=1))
    assert await first_three(hub, old) == ["ready", "snapshot", "reset"]


async def first_three(hub: Hub, after: str) -> list[str]:
    """Return the first three things that a follower of the queue is told."""
    told: list[str] = []
    async with asyncio.timeout(5):
        async for thing in hub.streams.queue(ACME, "cards", after):
            told.append(thing.type)
            if len(told) == 3:
                break
    return told


async def test_a_commit_rings_the_bell_of_who_follows_its_customer(server: Server) -> None:
    hints = Hints(server)
    async with asyncio.timeout(5), hints.following(member(C42)) as bell, hints.following("acme\nc7") as other:
        listening = asyncio.create_task(hints.listen())
        await hints.everything.wait(5)  # rung as the subscription stands
        await bell.wait(0)
        await other.wait(0)
        await Steps(server).commit(events=[committed("e1")])
        await bell.wait(5)
        assert not other._rung.is_set()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_bell_that_nobody_rings_lets_its_follower_look_anyway() -> None:
    bell = Bell()
    async with asyncio.timeout(5):
        await bell.wait(0.01)
        bell.ring()
        await bell.wait(60)
