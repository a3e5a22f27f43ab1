"""Streams: a customer's timeline, a queue, a channel; from now or after what a follower saw last, without a gap."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from ctxhub.errors import CustomerUnknown, Moved
from ctxhub.hub.changes import Clock
from ctxhub.hub.contexts import Contexts, in_sight
from ctxhub.hub.handoffs import Handoffs
from ctxhub.hub.presence import Presences
from ctxhub.model.disclosure import Reader, Sight
from ctxhub.store.contexts import Contexts as Kept
from ctxhub.store.contexts import Who
from ctxhub.store.feed import Bell, Feeds, Hints, Noted, member

AT_ONCE = 200
LOOK_UNASKED = 2.0
_FOR_COLLEAGUES = ("risk.", "handoff.suggested", "handoff.opened")


class Told(NamedTuple):
    """One thing to tell a follower; without a type it is only a sign of life."""

    id: str | None
    type: str
    data: dict[str, Any]


ALIVE = Told(None, "", {})


class Streams:
    """Lets followers know, woken by hints and looking unasked every few seconds."""

    def __init__(
        self, contexts: Contexts, kept: Kept, handoffs: Handoffs, presences: Presences, feeds: Feeds, hints: Hints,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._contexts = contexts
        self._kept = kept
        self._handoffs = handoffs
        self._presences = presences
        self._feeds = feeds
        self._hints = hints
        self._clock = clock

    async def customer(self, who: Who, reader: Reader, after: int | None) -> AsyncIterator[Told]:
        """Tell what happens to a customer, as far as the reader may see it; ids are versions."""
        async with self._hints.following(member(who)) as bell:
            seen, _, version = await self._contexts.sight(who, reader)
            yield Told(None, "ready", {"version": version})
            if after is not None and after > version:
                yield Told(None, "reset", {"version": version, "reason": "the hub has not seen that version"})
                after = version
            last = version if after is None else after
            async for _ in self._rounds(bell):
                found = await self._kept.timeline(who, last, None, AT_ONCE)
                while found:
                    seen, moved = await self._sight(who, reader, seen)
                    for event in in_sight(seen, found):
                        yield Told(str(event["version"]), event["type"], event)
                    last = found[-1]["version"]
                    if moved is not None:
                        raise moved
                    found = await self._kept.timeline(who, last, None, AT_ONCE) if len(found) == AT_ONCE else []
                if bell.is_gone:
                    raise CustomerUnknown(f"customer {who.customer_id} was forgotten", customer_id=who.customer_id)
                yield ALIVE

    async def _sight(self, who: Who, reader: Reader, before: Sight) -> tuple[Sight, Moved | None]:
        """Return what a follower may see now; of an interaction that has moved, what it could see till then."""
        try:
            return (await self._contexts.sight(who, reader))[0], None
        except Moved as moved:
            return before, moved

    async def queue(self, tenant: str, queue: str, after: str | None, colleague: bool = False) -> AsyncIterator[Told]:
        """Tell what happens in a queue, after a snapshot of who waits; each event comes at least once.

        Warnings of fraud and notes are for colleagues, not for a channel.
        """
        async for told in self._feed(tenant, f"queue:{queue}", after):
            if told.type == "ready":
                waiting = await self._handoffs.waiting(tenant, queue, "offered", colleague)
                yield told
                shown = [handoff.model_dump(mode="json") for handoff in waiting]
                yield Told(None, "snapshot", {"queue": queue, "handoffs": shown})
            elif colleague:
                yield told
            elif not told.type.startswith(_FOR_COLLEAGUES):
                yield told._replace(data=_without_note(told.data))

    async def channel(self, tenant: str, channel: str, after: str | None) -> AsyncIterator[Told]:
        """Tell what an adapter must deliver to the customers of its channel."""
        async for told in self._feed(tenant, f"channel:{channel}", after):
            yield told
            if told.type == "ready":
                yield Told(None, "snapshot", {"channel": channel})

    async def agent(
        self, tenant: str, agent_id: str, after: str | None, queues: frozenset[str] = frozenset()
    ) -> AsyncGenerator[Told, None]:
        """Tell what is suggested or offered to one agent and which calls ring there, after a snapshot of what rings.

        Only of `queues` if any. The snapshot has what is suggested, and no calls.
        """
        async for told in self._feed(tenant, f"agent:{agent_id}", after):
            if not queues or told.data.get("data", {}).get("queue") in (None, *queues):
                yield told
            if told.type == "ready":
                ringing = await self._presences.ringing(tenant, agent_id)
                shown = [h.model_dump(mode="json") for h in ringing if not queues or h.to.queue in queues]
                yield Told(None, "snapshot", {"agent_id": agent_id, "handoffs": shown})

    async def _feed(self, tenant: str, name: str, after: str | None) -> AsyncIterator[Told]:
        """Tell what a feed holds after an entry, and what comes."""
        async with self._hints.following(self._feeds.key(tenant, name)) as bell:
            last = after if after is not None else await self._feeds.last(tenant, name)
            yield Told(last, "ready", {})
            if after is not None and await self._feeds.has_gap_after(tenant, name, after, self._clock()):
                yield Told(last, "reset", {"reason": "what came in between is no longer kept"})
            async for _ in self._rounds(bell):
                found = await self._feeds.after(tenant, name, last, AT_ONCE)
                while found:
                    for last, event in await self._told(found):
                        yield Told(last, event["type"], event)
                    last = found[-1][0]
                    found = await self._feeds.after(tenant, name, last, AT_ONCE) if len(found) == AT_ONCE else []
                yield ALIVE

    async def _told(self, found: list[tuple[str, Noted]]) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that a feed notes, with their customers; those of an erased customer are gone."""
        noted_only = [noted for _, noted in found if noted.event is None]
        spans = iter(await self._kept.spans([(noted.who, noted.version, noted.version) for noted in noted_only]))
        told: list[tuple[str, dict[str, Any]]] = []
        for entry, noted in found:
            if noted.event is not None:
                told.append((entry, noted.event))
            else:
                told += [(entry, event | {"customer_id": noted.who.customer_id}) for event in next(spans)]
        return told

    async def _rounds(self, bell: Bell) -> AsyncIterator[None]:
        """Begin a round at once, then whenever the bell rings or it is time to look unasked; until the hub stops."""
        while not self._hints.stopped:
            yield
            await bell.wait(LOOK_UNASKED)


def _without_note(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as a channel may read it in a queue, without what colleagues wrote to each other."""
    data = event.get("data")
    return event | {"data": data | {"note": None}} if data and data.get("note") else event
