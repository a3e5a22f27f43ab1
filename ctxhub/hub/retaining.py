"""Retaining: what a tenant's file gives a time is taken out when that is over: facts, and values on the timeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from ctxhub.hub.changes import Changes, Decision, Present, own
from ctxhub.hub.entries import Entries
from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.model.retention import Retention, kind_of, retired, with_review
from ctxhub.model.telling import derived_id
from ctxhub.store.atrest import AtRest
from ctxhub.store.codec import event_from, without_value
from ctxhub.store.contexts import Who

log = structlog.get_logger()


class _Told(NamedTuple):
    """A value on a timeline: where, and when it was told of what."""

    version: int
    entry: bytes
    at: datetime
    sensitivity: str
    journey_id: str | None


class Retaining:
    """Reviews customers when the time of something they told is over."""

    def __init__(
        self, changes: Changes, entries: Entries, at_rest: AtRest, retention: Callable[[str], Retention]
    ) -> None:
        self._changes = changes
        self._entries = entries
        self._at_rest = at_rest
        self._retention = retention

    async def review(self, who: Who, context: Context) -> None:
        """Take out every value of a customer whose time is over; its event stays. Says when the next one's is."""
        now, retention = self._changes.clock(), self._retention(who.tenant)
        values, kinds = await self._values(who, context)
        ends = [retention.ends(told.at, told.sensitivity, kinds.get(told.journey_id or "")) for told in values]
        timed = [(told, end) for told, end in zip(values, ends, strict=True) if end is not None]
        over = [told for told, end in timed if end <= now]
        done = await self._blank(who, over)
        following = min((end for _, end in timed if end > now), default=None)
        await self._changes.change(who, _reviewed(retention, following))
        if done:
            await self._at_rest.note_erasure()
            log.info("customer.reviewed", tenant=who.tenant, customer=who.customer_id, values=done)

    async def _values(self, who: Who, context: Context) -> tuple[list[_Told], dict[str, str]]:
        """Return every value on a customer's timeline, wherever it stands, and the kinds of its journeys."""
        values: list[_Told] = []
        kinds = {journey_id: kind_of(context, journey_id) or "" for journey_id in context.journeys}
        async for version, entry in self._entries.of(who):
            event = event_from(entry, version)
            if event["type"].startswith("journey.") and "kind" in event["data"]:
                kinds[journey_of(context, event)] = event["data"]["kind"]
            if event["type"].startswith("fact.") and "value" in event["data"]:
                at, sensitivity = datetime.fromisoformat(event["at"]), event["data"].get("sensitivity", "personal")
                values.append(_Told(version, entry, at, sensitivity, event.get("journey_id")))
        return values, kinds

    async def _blank(self, who: Who, over: list[_Told]) -> int:
        """Take values out of entries, in Redis and in the archive; return how many entries were changed."""
        return await self._entries.replace(
            who, [(told.version, told.entry, without_value(told.entry)) for told in over]
        )


def journey_of(context: Context, event: dict[str, Any]) -> str:
    """Return which journey an event is about; one that began without a name got a derived one."""
    named: str | None = event["data"].get("journey_id") or event.get("journey_id")
    at = datetime.fromisoformat(event["at"])
    return named or derived_id("jr", context, Event(event_id=event["event_id"], type=event["type"], at=at))


def _reviewed(retention: Retention, following: datetime | None) -> Callable[[Present], Decision]:
    """Return the decision that lets facts go whose time is over, and says when to look again."""

    def decide(present: Present) -> Decision:
        context, names = retired(present.known, retention, present.now)
        context = with_review(context.but(review_at=following), [], retention)
        event_id = f"fact:retired:{present.version}"
        event = Event(event_id=event_id, type="fact.retired", at=present.now, assurance=2, data={"names": names})
        return Decision(context, own([event] if names else []))

    return decide
