"""Persons: all that is known of one, whole and readable, as the law lets everybody ask for it.

That is what stands on the customer's own timeline, and what was told on others before it was all one: by whoever was
merged into it, and of interactions that turned out to be this customer's. What turned out to be somebody else's is
in that one's export, and no longer in this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from ctxhub.hub.changes import Changes
from ctxhub.hub.retaining import journey_of
from ctxhub.hub.timelines import Timelines
from ctxhub.hub.traces import Traces
from ctxhub.model.context import Context
from ctxhub.model.value import rfc3339
from ctxhub.store.codec import document_bytes
from ctxhub.store.contexts import Who

SCHEMA = "ctxhub.person/1"
_AT_ONCE = 500


@dataclass
class _Strand:
    """One timeline up to a version: all of it but what `went` elsewhere, or `only` what was told of some interactions.

    What belongs to a journey that began in an interaction goes where that goes.
    """

    who: Who
    context: Context
    version: int
    only: frozenset[str] | None = None
    went: frozenset[str] = frozenset()
    read: int = 0
    journeys: set[str] = field(default_factory=set)

    def takes(self, event: dict[str, Any]) -> bool:
        """Tell whether an event, the next of them, is this person's."""
        self.read += 1
        named = self.went if self.only is None else self.only
        is_named = event.get("interaction_id") in named or event.get("journey_id") in self.journeys
        if is_named and event["type"] == "journey.started":
            self.journeys.add(journey_of(self.context, event))
        return is_named is (self.only is not None)


class Persons:
    """Tells everything about one customer, however long its timelines are."""

    def __init__(self, changes: Changes, timelines: Timelines) -> None:
        self._changes = changes
        self._timelines = timelines

    async def export(self, who: Who) -> AsyncIterator[bytes]:
        """Yield one JSON object in pieces; `CustomerUnknown` before the first where there is nobody.

        It is all that was known at one version. What can't be read to its end says so: `complete` is false then.
        """
        loaded, context = await self._changes.contexts.existing(who)
        strands = await self._strands(_Strand(who, context, loaded.version))
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "exported_at": rfc3339(self._changes.clock()),
            "tenant": who.tenant,
            "customer_id": who.customer_id,
            "version": loaded.version,
            "context": orjson.loads(document_bytes(context.told_outside)),
        }
        yield orjson.dumps(head)[:-1] + b',"timeline":['
        traces, count = Traces.of(context), 0
        async for event in self._woven(who, strands):
            traces.add(event, who.customer_id)
            yield (b"," if count else b"") + orjson.dumps(event)
            count += 1
        elsewhere = [copy._asdict() for copy in sorted(traces.elsewhere)]
        complete = all(strand.read == strand.version for strand in strands)
        tail = {"copies_elsewhere": elsewhere, "events": count, "complete": complete}
        yield b"]," + orjson.dumps(tail)[1:]

    async def _strands(self, own: _Strand) -> list[_Strand]:
        """Return every timeline that tells of a customer, its own first."""
        strands = [own]
        for other in await self._timelines.merged(own.who, own.context):
            strands += [found] if (found := await self._strand(other)) is not None else []
        told: dict[str, set[str]] = {}
        left, came = set[str](), set[str](own.context.interactions)
        for strand in strands:
            traces = await self._traces(strand)
            left |= traces.left
            came |= traces.here
            _join(told, traces.told_before())
        went = frozenset(own.context.moved.keys() | left - came)
        for strand in strands:
            strand.went = went
        whole = {strand.who.customer_id for strand in strands}
        return strands + await self._partly({k: ids - went for k, ids in told.items()}, own.who.tenant, whole)

    async def _partly(self, told: dict[str, set[str]], tenant: str, whole: set[str]) -> list[_Strand]:
        """Return the timelines on which some interactions were told of, by whose these are; also before, elsewhere."""
        waiting = list(told.items())
        only: dict[str, set[str]] = {}
        while waiting:
            other, ids = waiting.pop()
            new = ids - only.get(other, set())
            strand = await self._strand(Who(tenant, other)) if new and other not in whole else None
            if strand is None:
                continue
            _join(only, {other: new})
            came_from = (await self._traces(strand)).came_from
            waiting += [(source, came & new) for source, came in came_from.items()]
        found = [(await self._strand(Who(tenant, other)), ids) for other, ids in sorted(only.items())]
        return [
            _Strand(strand.who, strand.context, strand.version, frozenset(ids))
            for strand, ids in found
            if strand is not None
        ]

    async def _strand(self, who: Who) -> _Strand | None:
        """Return the timeline of another customer; None of one who is gone."""
        loaded = await self._changes.contexts.wherever(who)
        return None if loaded.context is None else _Strand(who, loaded.context, loaded.version)

    async def _traces(self, strand: _Strand) -> Traces:
        """Return where interactions of a timeline came from and went to, also long ago."""
        traces = Traces.of(strand.context)
        async for event in self._events(strand):
            traces.add(event, strand.who.customer_id)
        return traces

    async def _events(self, strand: _Strand) -> AsyncIterator[dict[str, Any]]:
        """Yield a timeline's events up to its version, oldest first, those of the archive included."""
        for first in range(0, strand.version, _AT_ONCE):
            upto = min(first + _AT_ONCE, strand.version) + 1
            for event in await self._changes.contexts.timeline(strand.who, first, upto, _AT_ONCE):
                yield event

    async def _taken(self, strand: _Strand) -> AsyncIterator[dict[str, Any]]:
        """Yield what of a timeline is the person's."""
        async for event in self._events(strand):
            if strand.takes(event):
                yield event

    async def _woven(self, who: Who, strands: list[_Strand]) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of all by time, each timeline in its own order; those of another's say whose it is."""
        sources = [self._taken(strand) for strand in strands]
        heads = [await anext(source, None) for source in sources]
        while ready := [(head["at"], place) for place, head in enumerate(heads) if head is not None]:
            _, place = min(ready)
            event, other = heads[place], strands[place].who
            assert event is not None
            yield event if other == who else event | {"customer_id": other.customer_id}
            heads[place] = await anext(sources[place], None)


def _join(told: dict[str, set[str]], more: dict[str, set[str]]) -> None:
    """Add ids to those that are known, by whose they are."""
    for name, ids in more.items():
        told.setdefault(name, set()).update(ids)
