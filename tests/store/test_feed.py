"""Feeds and hints: in order, resumable for a day, and a gap is never silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from ctxhub.store import feed
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.feed import Bell, Feeds, Hints, Noted, member
from ctxhub.store.redis import Server
from tests.store.scenes import WHO, an_append, born
from tests.support import ACME, DAY, HOUR, NOON

pytestmark = pytest.mark.usefixtures("no_key_leaks")
QUEUE = "queue:cards"


@pytest.fixture
def feeds(server: Server) -> Feeds:
    return Feeds(server)


async def fill(feeds: Feeds, *versions: int, name: str = QUEUE) -> None:
    await feeds.tell([(name, Noted(WHO, version)) for version in versions])


async def versions(feeds: Feeds, after: str, most: int = 200) -> list[int]:
    return [noted.version for _, noted in await feeds.after(ACME, QUEUE, after, most)]


class TestFeeds:
    """What followers of a queue or a channel are told."""

    async def test_entries_come_in_order_after_the_one_seen_last(self, feeds: Feeds) -> None:
        await fill(feeds, 1, 2, 3)
        [(first, noted), *_] = await feeds.after(ACME, QUEUE, "0-0")
        assert (noted, await versions(feeds, first)) == (Noted(WHO, 1), [2, 3])
        assert await versions(feeds, "0-0", 2) == [1, 2]
        assert await versions(feeds, await feeds.last(ACME, QUEUE)) == []

    async def test_each_tenant_and_name_has_its_own(self, feeds: Feeds) -> None:
        await fill(feeds, 1)
        await fill(feeds, 7, name="channel:chat")
        await feeds.tell([(QUEUE, Noted(Who("other", "c42"), 9))])
        assert await versions(feeds, "0-0") == [1]

    async def test_from_now_on_in_an_empty_feed_nothing_to_come_is_missed(self, feeds: Feeds) -> None:
        now = await feeds.last(ACME, QUEUE)
        await fill(feeds, 1)
        assert await versions(feeds, now) == [1]

    async def test_who_has_seen_all_has_no_gap(self, feeds: Feeds) -> None:
        await fill(feeds, 1, 2)
        for after in (await feeds.last(ACME, QUEUE), (await feeds.after(ACME, QUEUE, "0-0"))[0][0]):
            assert not await feeds.has_gap_after(ACME, QUEUE, after, datetime.now(UTC))

    async def test_who_asks_for_what_has_lapsed_has_one(self, feeds: Feeds) -> None:
        now = datetime.now(UTC)
        long_ago = f"{round((now - DAY - HOUR).timestamp() * 1000)}-0"
        a_while_ago = f"{round((now - HOUR).timestamp() * 1000)}-0"
        for _ in range(2):
            assert await feeds.has_gap_after(ACME, QUEUE, long_ago, now)
            assert not await feeds.has_gap_after(ACME, QUEUE, a_while_ago, now)
            await fill(feeds, 1)

    async def test_who_asks_for_what_was_trimmed_has_one(self, feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "FEED_LENGTH", 100)
        await fill(feeds, 1)
        first = await feeds.last(ACME, QUEUE)
        await asyncio.sleep(0.002)
        await fill(feeds, *range(2, 400))
        assert await versions(feeds, "0-0", 1) != [1]
        assert await feeds.has_gap_after(ACME, QUEUE, first, datetime.now(UTC))

    async def test_feeds_do_not_hold_what_was_said(self, feeds: Feeds, redis: Redis) -> None:
        await fill(feeds, 1)
        [(_, fields)] = redis.xrange(feeds.key(ACME, QUEUE))
        assert fields == {"c": "c42", "v": "1"}


class TestBells:
    """Woken by a hint, or looking unasked."""

    async def test_one_that_rang_before_the_wait_does_not_wait(self) -> None:
        bell = Bell()
        bell.ring()
        await asyncio.wait_for(bell.wait(60), 0.5)

    async def test_after_a_while_one_looks_unasked(self) -> None:
        await asyncio.wait_for(Bell().wait(0.01), 0.5)

    async def test_after_the_wait_it_is_silent_again(self) -> None:
        bell = Bell()
        bell.ring()
        await bell.wait(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bell.wait(60), 0.02)


class TestHints:
    """One subscription a process."""

    @pytest.fixture
    async def hints(self, server: Server) -> AsyncIterator[Hints]:
        hints = Hints(server)
        listening = asyncio.create_task(hints.listen())
        await asyncio.wait_for(hints.everything.wait(5), 5)
        yield hints
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    async def test_followers_of_a_customer_hear_of_its_writes_and_of_no_other_s(
        self, kept: Contexts, hints: Hints
    ) -> None:
        await born(kept)
        async with hints.following(member(WHO)) as mine, hints.following(member(Who(ACME, "c7"))) as other:
            await _quiet(mine, other, hints.everything)
            await kept.append(WHO, [an_append("e2")], NOON)
            assert await _rang(mine)
            assert await _rang(hints.everything)
            assert not await _rang(other, 0.05)

    async def test_followers_of_a_feed_hear_of_its_entries(self, feeds: Feeds, hints: Hints) -> None:
        async with hints.following(feeds.key(ACME, QUEUE)) as bell:
            await _quiet(bell)
            await fill(feeds, 1)
            assert await _rang(bell)

    async def test_a_lost_subscription_is_taken_up_again_and_everybody_looks_once(
        self, kept: Contexts, hints: Hints, redis: Redis
    ) -> None:
        await born(kept)
        async with hints.following(member(WHO)) as bell:
            await _quiet(bell)
            redis.client_kill_filter(_type="pubsub")
            assert await _rang(bell, 5)
            await kept.append(WHO, [an_append("e2")], NOON)
            assert await _rang(bell, 5)

    async def test_stopped_everybody_comes_to_an_end(self, hints: Hints) -> None:
        async with hints.following("anything") as bell:
            await _quiet(bell)
            hints.stop()
            assert await _rang(bell)
            assert hints.stopped

    async def test_who_follows_no_more_is_forgotten(self, hints: Hints) -> None:
        async with hints.following("anything"), hints.following("anything"):
            pass
        assert hints._bells == {}


async def _rang(bell: Bell, within: float = 2) -> bool:
    """Tell whether a bell rings in time."""
    try:
        await asyncio.wait_for(bell.wait(60), within)
    except TimeoutError:
        return False
    return True


async def _quiet(*bells: Bell) -> None:
    """Wait until what rang before has rung."""
    for bell in bells:
        while await _rang(bell, 0.05):
            continue


def test_a_day_is_how_long_a_feed_can_be_taken_up_again() -> None:
    assert timedelta(hours=24) == feed.FEED_LIVES
