"""The whole of what happened to a customer: its own timeline, and what was told on others before it was all one.

After a merge that is the timeline of the other customer; of an interaction that turned out to be this customer's, what
was told of it where it began. Each stays as it is, under its own ids and versions; they are woven together by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ctxhub.errors import Invalid
from ctxhub.model.clearance import SHARED_FROM
from ctxhub.model.context import Context
from ctxhub.store.contexts import Contexts, Who

Events = list[dict[str, Any]]


class Passage(NamedTuple):
    """A timeline that belongs to a customer's: all of it, or what was told there of some interactions.

    What was told there of `claims` was proven for somebody else.
    """

    who: Who
    interactions: frozenset[str] | None = None
    claims: frozenset[str] = frozenset()

    def takes(self, event: dict[str, Any]) -> bool:
        """Tell whether an event of that timeline belongs here."""
        return self.interactions is None or event.get("interaction_id") in self.interactions

    def given(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event with whose timeline it stands on, no surer than it is of the customer to whom it belongs."""
        most = SHARED_FROM - 1 if event.get("interaction_id") in self.claims else event["assurance"]
        return event | {"customer_id": self.who.customer_id, "assurance": min(event["assurance"], most)}


@dataclass
class _Reading:
    """How far a passage has been read; `rest` is what was fetched and not given out, `full` that there may be more."""

    passage: Passage
    at: int
    rest: Events
    full: bool

    def skip(self) -> None:
        """Pass over what does not belong here."""
        while self.rest and not self.passage.takes(self.rest[0]):
            self.take()

    def take(self) -> dict[str, Any]:
        """Give out the next event, with whose timeline it stands on."""
        event = self.rest.pop(0)
        self.at = event["version"]
        return self.passage.given(event)

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left, here or beyond."""
        return not self.rest and not self.full


class Timelines:
    """Weaves timelines together."""

    def __init__(self, kept: Contexts) -> None:
        self._kept = kept

    async def passages(self, who: Who, context: Context) -> list[Passage]:
        """Return every timeline that belongs to a customer's, its own first."""
        whole = [who, *await self.merged(who, context)]
        told: dict[Who, set[str]] = {}
        claims: dict[Who, set[str]] = {}
        for interaction in context.interactions.values():
            for customer_id in interaction.told_at:
                told.setdefault(Who(who.tenant, customer_id), set()).add(interaction.interaction_id)
            for customer_id in interaction.taken_for:
                claims.setdefault(Who(who.tenant, customer_id), set()).add(interaction.interaction_id)
        partly = [
            Passage(other, frozenset(ids), frozenset(claims.get(other, ())))
            for other, ids in sorted(told.items())
            if other not in whole
        ]
        return [*map(Passage, whole), *partly]

    async def merged(self, who: Who, context: Context) -> list[Who]:
        """Return all who are this customer now, those merged into them after each."""
        found: list[Who] = []
        for merge in context.merges.values():
            source = Who(who.tenant, merge.source)
            loaded = await self._kept.wherever(source)
            if loaded.context is not None and loaded.context.frozen is not None:
                found += [source, *await self.merged(source, loaded.context)]
        return found

    async def page(self, who: Who, context: Context, after: str | None, limit: int) -> tuple[Events, str | None]:
        """Return some events of the whole, oldest first, and after which mark to go on."""
        passages = await self.passages(who, context)
        marks = _marks(after, len(passages))
        spans = [(passage.who, mark + 1, mark + limit) for passage, mark in zip(passages, marks, strict=True)]
        found = await self._kept.spans(spans)
        readings = [
            _Reading(passage, mark, events, len(events) == limit)
            for passage, mark, events in zip(passages, marks, found, strict=True)
        ]
        events = _woven(readings, limit)
        more = any(not reading.is_over for reading in readings)
        return events, ".".join(str(reading.at) for reading in readings) if more else None

    async def recent(self, who: Who, context: Context, own: Events, most: int) -> Events:
        """Return the newest events of the whole, newest last; `own` are the newest of the customer's own timeline."""
        merged = bool(context.merges)
        if not most or not (merged or (len(own) < most and any(i.told_at for i in context.interactions.values()))):
            return own
        others = (await self.passages(who, context))[1:]
        last = [(await self._kept.wherever(other.who)).version for other in others]
        spans = [(other.who, max(1, version - most + 1), version) for other, version in zip(others, last, strict=True)]
        found = await self._kept.spans(spans)
        readings = [_Reading(Passage(who), 0, list(own), False)]
        readings += [_Reading(other, 0, events, False) for other, events in zip(others, found, strict=True)]
        return _woven(readings, most * len(readings))[-most:]


def _woven(readings: Sequence[_Reading], limit: int) -> Events:
    """Give out events by time, each timeline in its own order, until one that goes on has to be fetched again."""
    events: Events = []
    while len(events) < limit:
        for reading in readings:
            reading.skip()
        if any(not reading.rest and reading.full for reading in readings):
            break
        ready = [reading for reading in readings if reading.rest]
        if not ready:
            break
        events.append(min(ready, key=lambda reading: str(reading.rest[0]["at"])).take())
    return events


def _marks(after: str | None, count: int) -> list[int]:
    """Read a mark: how far each timeline has been read."""
    parts = after.split(".") if after else ["0"] * count
    if len(parts) != count or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        raise Invalid.field("/after", "is `next` as the page before gave it; after a merge begin anew")
    return [int(part) for part in parts]
