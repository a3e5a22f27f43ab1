"""The relay: tells on what the outboxes note, and wakes what is due; one at a time for each partition, by lease.

Its consumer moves its cursor and counts in one atomic step, so that numbers are exact; feeds are told before that,
so that they are told at least once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import structlog

from ctxhub.errors import CtxhubError, Unavailable, Unreadable
from ctxhub.hub.archivist import CONSUMER, Archivist
from ctxhub.hub.changes import Clock
from ctxhub.hub.numbers import Counting
from ctxhub.model.calling import BY_AGENT, BY_HOLDER
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.feed import Feeds, Hints, Noted
from ctxhub.store.handlings import Handling, Handlings
from ctxhub.store.outbox import Move, Outbox, Written

log = structlog.get_logger()
CONSUMERS = ("telling",)
TELL_PAUSE = 0.02  # what is written meanwhile is told on together; the first after a silence at once
ARCHIVE_PAUSE = 2.0  # what a customer does meanwhile is archived at once, for a fraction of the work
RELEASE_PAUSE = 0.5
AT_ONCE = 200
_OF_QUEUES = ("handoff.", "call.", "callback.", "commitment.", "journey.", "risk.")
#: What is between the hub and its agents: no channel has anything to tell its customer of that.
_OF_AGENTS = ("handoff.suggested", "handoff.opened")
#: By what an agent comes into a call or leaves it: his own screen pops, whether or not anything was offered.
_OF_LEGS = (
    "call.alerting", "call.answered", "call.consulted", "call.conferenced", "call.transferred", "call.ended",
)  # fmt: skip
_DELIVERED = ("message.sent", "message.delivered", "message.failed", "handoff.", "interaction.")


class Relay:
    """Works on the partitions whose lease it holds."""

    def __init__(
        self,
        outbox: Outbox,
        contexts: Contexts,
        feeds: Feeds,
        hints: Hints,
        clock: Clock,
        wake: Callable[[Who], Awaitable[None]],
        counting: Counting,
        tick: timedelta,
        lease: timedelta,
        handlings: Handlings,
        archivist: Archivist | None = None,
        outside: Callable[[Sequence[tuple[Who, dict[str, Any]]]], Awaitable[None]] | None = None,
    ) -> None:
        self._outbox = outbox
        self._contexts = contexts
        self._feeds = feeds
        self._hints = hints
        self._clock = clock
        self._wake = wake
        self._counting = counting
        self._tick = tick.total_seconds()
        self._lease = lease
        self._archivist = archivist
        self._handlings = handlings
        self._outside = outside
        self._consumers = CONSUMERS if archivist is None else (*CONSUMERS, CONSUMER)
        self._has_told = False
        self._fences: dict[str, int] = {}

    @property
    def consumers(self) -> tuple[str, ...]:
        """Everybody who is told what the outboxes note, and without whom nothing is trimmed."""
        return self._consumers

    @property
    def held(self) -> list[str]:
        """The partitions whose lease this process has."""
        return list(self._fences)

    @property
    def leads(self) -> bool:
        """Tell whether this process does what only one of all needs to do: the one that has the first partition."""
        return min(self._outbox.partitions) in self._fences

    async def run(self) -> None:
        """Work until cancelled; then give the leases up, so that another takes over at once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._again(self._keep_leases, self._lease.total_seconds() / 3))
                group.create_task(self._again(self._wake_due, self._tick))
                group.create_task(self._tell_on())
                if self._archivist is not None:
                    group.create_task(self._archive_on(self._archivist))
                    group.create_task(self._release_on(self._archivist))
        finally:
            await self._give_up()

    async def _again(self, work: Callable[[], Awaitable[Any]], pause: float) -> None:
        """Do some work again and again; a Redis that does not answer only delays it."""
        while True:
            await self._tried(work)
            await asyncio.sleep(pause)

    async def _tried(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do some work, and log what kept it from being done."""
        try:
            await work()
        except CtxhubError as error:
            log.warning("relay.delayed", reason=error.detail, work=_name(work))
        except Exception:  # one customer whose data can't be read must not end the whole hub
            log.exception("relay.failed", work=_name(work))

    async def _keep_leases(self) -> None:
        """Take or keep the lease of every partition that is free."""
        fences = await self._outbox.lease_all(self._clock(), self._lease)
        fresh = {partition for partition, fence in fences.items() if fence and partition not in self._fences}
        self._fences = {partition: fence for partition, fence in fences.items() if fence}
        if fresh:
            log.info("relay.leased", partitions=len(self._fences))
            self._hints.everything.ring()

    async def _give_up(self) -> None:
        """Give all leases up."""
        try:
            await self._outbox.lease_all(self._clock(), timedelta(0), list(self._fences))
        except CtxhubError as error:
            log.warning("relay.not_given_up", reason=error.detail)

    async def _wake_due(self) -> None:
        """Wake every customer of whom something lapses by now."""
        held = list(self._fences)
        for who in await self._outbox.due(held, self._clock()) if held else ():
            await self._tried(partial(self._wake, who))

    async def _archive_on(self, archivist: Archivist) -> None:
        """Archive whatever is written, in batches; an archive that is away says so itself."""
        while True:
            more = True
            while more:
                more = await self._unless_away(partial(archivist.archive, dict(self._fences), self._consumers))
            await asyncio.sleep(ARCHIVE_PAUSE)

    async def _release_on(self, archivist: Archivist) -> None:
        """Release whose lease is over; not before all is told on, which needs their timelines."""
        while True:
            if self._has_told:
                await self._unless_away(partial(archivist.release, list(self._fences)))
            await asyncio.sleep(max(self._tick, RELEASE_PAUSE))

    async def _unless_away(self, work: Callable[[], Awaitable[bool | None]]) -> bool:
        """Do some work on the archive; False where nothing is left, or it can't be done now."""
        try:
            return bool(await work())
        except Unavailable:
            return False
        except Exception:  # as in `_tried`
            log.exception("relay.failed", work=_name(work))
            return False

    async def _tell_on(self) -> None:
        """Tell on whatever is written, as soon as a hint comes, and every second unasked."""
        while True:
            await self._hints.everything.wait(1.0)
            await self._tried(self._drain)
            await asyncio.sleep(TELL_PAUSE)

    async def _drain(self) -> None:
        """Tell on until nothing is left."""
        while await self._told_on():
            continue
        self._has_told = self._has_told or bool(self._fences)

    async def _told_on(self) -> bool:
        """Tell on a batch of each partition; True if there may be more."""
        held = list(self._fences.items())
        partitions = [partition for partition, _ in held]
        cursors = await self._outbox.cursors(partitions, CONSUMERS[0])
        found = await self._outbox.written(partitions, cursors, AT_ONCE)
        batches = [
            _Batch(partition, fence, cursor, batch)
            for (partition, fence), cursor, batch in zip(held, cursors, found, strict=True)
            if batch
        ]
        if not batches:
            return False
        try:
            moved = await self._tell(batches)
        except Exception as error:  # `_tried` looks at it, of all together or of each alone
            if len(batches) == 1 or (isinstance(error, Unavailable) and not isinstance(error, Unreadable)):
                raise
            for batch in batches:  # what can't be read of one partition must not hold up the others
                await self._tried(partial(self._tell, [batch]))
            return False
        return any(done and len(batch.written) == AT_ONCE for done, batch in zip(moved, batches, strict=True))

    async def _tell(self, batches: Sequence[_Batch]) -> list[bool]:
        """Tell feeds and the outside of batches side by side; then count each and move its cursor in one step."""
        told = iter(await self._contexts.spans([(w.who, w.first, w.last) for batch in batches for w in batch.written]))
        by_batch = [[(w.who, event) for w in batch.written for event in next(told)] for batch in batches]
        pairs = [pair for pairs in by_batch for pair in pairs]
        feeds = [entry for who, event in pairs for entry in _entries(who, event)]
        if feeds:
            await self._feeds.tell(feeds)
        handled = [handling for who, event in pairs for handling in _handled(who, event)]
        if handled:
            await self._handlings.note(handled)
        if self._outside is not None:
            await self._outside(pairs)
        moves = [
            Move(batch.partition, batch.fence, batch.cursor, batch.written[-1].entry_id, self._counting.tallies(pairs))
            for batch, pairs in zip(batches, by_batch, strict=True)
        ]
        return await self._outbox.advance(CONSUMERS[0], moves, self._consumers)


class _Batch(NamedTuple):
    """What was written in a partition after a cursor, with the fence under which it is told on."""

    partition: str
    fence: int
    cursor: str
    written: list[Written]


def _entries(who: Who, event: dict[str, Any]) -> list[tuple[str, Noted]]:
    """Return the feeds that an event belongs to: its queue's, its agents', its channel's where it is for customers."""
    noted = Noted(who, event["version"])
    found = []
    if event["type"].startswith(_OF_QUEUES):
        found += [(f"queue:{queue}", noted) for queue in _queues(event["data"])]
        found += [(f"agent:{agent_id}", noted) for agent_id in _agents(event)]
    if event.get("channel") and event["type"].startswith(_DELIVERED) and event["type"] not in _OF_AGENTS:
        found.append((f"channel:{event['channel']}", noted))
    return found


def _handled(who: Who, event: dict[str, Any]) -> list[Handling]:
    """Return what an event tells of how long an agent of a queue had a customer."""
    data = event["data"]
    if not event["type"].startswith("handoff.") or "handled" not in data or not data.get("queue"):
        return []
    at = datetime.fromisoformat(event["at"])
    return [Handling(who.tenant, data["queue"], event["event_id"], data["agent_id"], at, data["handled"])]


def _queues(data: dict[str, Any]) -> set[str]:
    """Return the queues that an event concerns: where a handoff waits, who owns a journey or promise, and who did."""
    named = {data.get("queue"), data.get("from_queue")}
    return {queue for queue in named if queue}


def _agents(event: dict[str, Any]) -> set[str]:
    """Return the agents to whom something is suggested or offered, or no more, and those who are rung or leave a call.

    An agent who has not got the floor rings nobody by what he tells.
    """
    data = event["data"]
    if event["type"] in _OF_LEGS:
        is_own_word = BY_AGENT in event.get("marks", ()) and BY_HOLDER not in event["marks"]
        named = [] if is_own_word else [data.get("agent_id"), *(leg["agent_id"] for leg in data.get("legs", ()))]
        return {agent_id for agent_id in named if agent_id}
    suggested = {data.get("agent_id"), data.get("from_agent")} if event["type"] in _OF_AGENTS else set()
    offered = (data.get("to") or {}).get("agent") if event["type"] in ("handoff.offered", "handoff.rerouted") else None
    return {agent_id for agent_id in (*suggested, offered) if agent_id}


def _name(work: Callable[[], Awaitable[Any]]) -> str:
    """Return how some work is called in the log."""
    return str(getattr(work, "__name__", None) or getattr(getattr(work, "func", None), "__name__", "work"))
