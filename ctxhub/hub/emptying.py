"""Emptying: what other customers' timelines tell of interactions that went on to whoever is forgotten now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import structlog

from ctxhub.errors import CtxhubError
from ctxhub.hub.entries import Entries
from ctxhub.hub.retaining import journey_of
from ctxhub.model.context import Context
from ctxhub.store.codec import emptied, event_from
from ctxhub.store.contexts import Who
from ctxhub.store.forgetting import Found

log = structlog.get_logger()


class _Telling(NamedTuple):
    """What one timeline tells of some interactions: as changes that empty it, and where else they were told of."""

    changes: list[tuple[int, bytes, bytes]]
    came_from: dict[str, set[str]]


class Emptying:
    """Empties the events of interactions on the timelines where these were told of before they moved away."""

    def __init__(self, entries: Entries, found: Callable[[Who], Awaitable[Found | None]]) -> None:
        self._entries = entries
        self._found = found

    async def leave(self, who: Who, told: Mapping[str, set[str]]) -> int:
        """Empty what is told of interactions, given by the other customers where that is; return how many events."""
        waiting = [(other, frozenset(ids)) for other, ids in sorted(told.items())]
        seen, count = set[tuple[str, frozenset[str]]](), 0
        while waiting:
            place = waiting.pop()
            if place in seen or place[0] == who.customer_id:
                continue
            seen.add(place)
            telling = await self._telling(Who(who.tenant, place[0]), place[1])
            await self._entries.replace(Who(who.tenant, place[0]), telling.changes)
            count += len({version for version, _, _ in telling.changes})
            waiting += [(other, frozenset(ids)) for other, ids in telling.came_from.items()]
        return count

    async def _telling(self, other: Who, interactions: frozenset[str]) -> _Telling:
        """Read what a timeline tells of interactions; of one under a legal hold, or gone, nothing."""
        telling, journeys = _Telling([], {}), set[str]()
        context = await self._context(other)
        if context is None:
            return telling
        async for version, entry in self._entries.of(other):
            event = event_from(entry, version)
            if not _is_of(event, interactions, journeys):
                continue
            telling.changes.append((version, entry, emptied(entry)))
            if event["type"] == "journey.started":
                journeys.add(journey_of(context, event))
            if event["type"] == "interaction.moved" and event["data"]["from"] != other.customer_id:
                telling.came_from.setdefault(event["data"]["from"], set()).add(event["interaction_id"])
        return telling

    async def _context(self, other: Who) -> Context | None:
        """Return the context of a customer whose timeline may be changed, without what is sealed in it."""
        try:
            found = await self._found(other)
        except CtxhubError as error:
            log.info("customer.timeline_left", reason=error.detail)
            return None
        is_free = found is not None and not found.has_begun and found.context.hold is None
        return found.context if found is not None and is_free else None


def _is_of(event: dict[str, Any], interactions: frozenset[str], journeys: set[str]) -> bool:
    """Tell whether an event is of one of the interactions, or of a journey that began in one."""
    return event.get("interaction_id") in interactions or event.get("journey_id") in journeys
