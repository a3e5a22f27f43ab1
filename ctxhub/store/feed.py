"""Feeds of queues and channels, and hints that something has grown: a hint says look, the data says what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from redis import exceptions

from ctxhub.store.contexts import Who
from ctxhub.store.indexes import millis
from ctxhub.store.redis import Server

FEED_LIVES = timedelta(hours=24)
FEED_LENGTH = 10_000
_UNDER_WAY = 5.0
_LOOK_EVERY = 0.9  # seconds: whether what is listened to is still one of the servers

GONE = "gone"


class Bell:
    """Rings for one follower when what it follows may have grown, or is gone."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.is_gone = False

    def ring(self) -> None:
        """Wake the follower."""
        self._rung.set()

    async def wait(self, most: float) -> None:
        """Return when it has rung since the last wait, or after `most` seconds unasked."""
        try:
            async with asyncio.timeout(most):
                await self._rung.wait()
        except TimeoutError:
            return
        finally:
            self._rung.clear()


class Hints:
    """One subscription a process: tells local followers which customer or feed may have grown."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._bells: dict[str, set[Bell]] = {}
        self.everything = Bell()
        self._of_all: list[Bell] = [self.everything]
        self.stopped = False
        self.on_gone: list[Callable[[str], None]] = []

    def stop(self) -> None:
        """Let every follower come to an end."""
        self.stopped = True
        self._ring_all()

    def another_for_everything(self) -> Bell:
        """Return one more bell that rings whatever grows; a bell has one who waits."""
        self._of_all.append(bell := Bell())
        return bell

    @asynccontextmanager
    async def following(self, topic: str) -> AsyncIterator[Bell]:
        """Follow a topic, such as a customer's member or a feed's key, for as long as the block lasts."""
        bell = Bell()
        self._bells.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            self._bells[topic].discard(bell)
            if not self._bells[topic]:
                del self._bells[topic]

    async def listen(self) -> None:
        """Listen until cancelled; a lost subscription is taken up again, and everybody looks once."""
        while not _is_cancelled():
            try:
                async with self._server.hints() as subscription:
                    await subscription.psubscribe(self._server.keys.hints_pattern)
                    self._ring_all()
                    await self._heard(subscription)
            except (exceptions.RedisError, OSError, TimeoutError, RuntimeError):  # uvloop's word for closed
                await asyncio.sleep(0.2)

    async def _heard(self, subscription: Any) -> None:
        """Ring the bells of whatever is hinted at, until another server has the place of the one listened to."""
        while self._server.stands(subscription) and not _is_cancelled():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    while True:
                        self._hear(await subscription.get_message(ignore_subscribe_messages=True, timeout=None))

    def _hear(self, message: dict[str, Any] | None) -> None:
        """Ring the bells of what is hinted at."""
        if message is None:
            return
        topic, _, what = message["data"].decode().rpartition("\n")
        if what == GONE:
            self._end(topic)
        for bell in (*self._of_all, *self._bells.get(topic, ())):
            bell.ring()

    def _end(self, topic: str) -> None:
        """Let go of a customer who was erased, and do so again when whatever is under way has ended."""
        for bell in self._bells.get(topic, ()):
            bell.is_gone = True
        for let_go in self.on_gone:
            let_go(topic)
            asyncio.get_running_loop().call_later(_UNDER_WAY, let_go, topic)

    def _ring_all(self) -> None:
        """Let everybody look: something may have been missed."""
        for bells in (self._of_all, *self._bells.values()):
            for bell in bells:
                bell.ring()


def _is_cancelled() -> bool:
    """Tell whether this task is to end: the client forgets that, cancelled while it opens a connection."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Noted(NamedTuple):
    """Which event is told: whose, and its version; the timeline has what it says, unless it stands here itself."""

    who: Who
    version: int
    event: dict[str, Any] | None = None


class Feeds:
    """What followers of a queue or a channel are told; at least once, in order, resumable for a day.

    A feed only notes which events; what they say stands in the timelines alone, so that it is kept and erased there.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def key(self, tenant: str, name: str) -> str:
        """Return the topic of a feed, to follow its hints."""
        return self._server.keys.feed(tenant, name)

    async def tell(self, entries: Sequence[tuple[str, Noted]]) -> None:
        """Add to feeds, given as (name, what is noted), and hint at it."""
        lives = round(FEED_LIVES.total_seconds() * 1000)
        commands: list[tuple[Any, ...]] = []
        for name, noted in entries:
            key = self.key(noted.who.tenant, name)
            content = ("c", noted.who.customer_id, "v", noted.version)
            commands.append(("XADD", key, "MAXLEN", "~", FEED_LENGTH, "*", *content))
            commands.append(("PEXPIRE", key, lives))
            commands.append(("PUBLISH", self._server.keys.feed_hints(noted.who.tenant, name), f"{key}\n"))
        await self._server.pipeline(*commands, writes=True)

    async def after(self, tenant: str, name: str, entry_id: str, most: int = 200) -> list[tuple[str, Noted]]:
        """Return what a feed notes after an entry, oldest first."""
        found = await self._server.call("XRANGE", self.key(tenant, name), f"({entry_id}", "+", "COUNT", most)
        return [(entry.decode(), _noted(tenant, fields)) for entry, fields in found]

    async def last(self, tenant: str, name: str) -> str:
        """Return the id of a feed's newest entry; where there is none, one that any entry to come is after."""
        key = self.key(tenant, name)
        (seconds, micros), found = await self._server.pipeline(("TIME",), ("XREVRANGE", key, "+", "-", "COUNT", 1))
        return found[0][0].decode() if found else f"{int(seconds) * 1000 + int(micros) // 1000 - 1}-0"

    async def has_gap_after(self, tenant: str, name: str, entry_id: str, now: datetime) -> bool:
        """Tell whether something after an entry may have been dropped already."""
        found = await self._server.call("XRANGE", self.key(tenant, name), "-", "+", "COUNT", 1)
        known = int(entry_id.split("-")[0])
        oldest = int(found[0][0].decode().split("-")[0]) if found else millis(now)
        if oldest - known > FEED_LIVES.total_seconds() * 1000:
            return True  # the feed may have lapsed in between, and begun again
        return known < oldest and await self._is_full(tenant, name)

    async def _is_full(self, tenant: str, name: str) -> bool:
        """Tell whether a feed is so long that it has been trimmed."""
        return int(await self._server.call("XLEN", self.key(tenant, name))) >= FEED_LENGTH


def _noted(tenant: str, fields: Any) -> Noted:
    """Read one entry of a feed."""
    pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    if b"e" in pairs:
        return Noted(Who(tenant, ""), 0, orjson.loads(pairs[b"e"]))
    return Noted(Who(tenant, pairs[b"c"].decode()), int(pairs[b"v"]))


def member(who: Who) -> str:
    """Return the topic of a customer, to follow its hints."""
    return f"{who.tenant}\n{who.customer_id}"
