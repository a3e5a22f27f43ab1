"""Retaining: what a tenant's file gives a time is taken out when that is over: facts, and words wherever they stand.

The timelines of those who were merged into a customer are looked at with its own, and what holds these holds those.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from ctxhub.hub.changes import Changes, Decision, Present, Request, own
from ctxhub.hub.entries import Entries
from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.model.retention import (
    Retention,
    is_needed,
    is_value,
    kind_of,
    live_work,
    retired,
    with_review,
    without_old_words,
)
from ctxhub.model.telling import derived_id
from ctxhub.model.words import said_in
from ctxhub.store.atrest import AtRest
from ctxhub.store.codec import event_from, without_words
from ctxhub.store.contexts import Who, moved_to

log = structlog.get_logger()
_MERGED = Request(joining=True)
_AGAIN = timedelta(minutes=1)


class _Said(NamedTuple):
    """An event that says something: on whose timeline, and what decides about its time."""

    who: Who
    version: int
    entry: bytes
    event: dict[str, Any]

    def end(self, retention: Retention, tasks: _Tasks) -> datetime | None:
        """Return when its time is over."""
        type_, data = self.event["type"], self.event["data"]
        named = self.event.get("journey_id")
        kinds = [tasks.kinds.get(named or "")] if named or is_value(type_, data) else tasks.of_talk(self.event)
        return retention.end_of(type_, data, datetime.fromisoformat(self.event["at"]), kinds)


class _Tasks:
    """The journeys that timelines tell of: their kinds, and which of them each interaction was about."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self._talks: dict[str, set[str]] = {}
        self._offers: dict[str, str] = {}

    def know(self, context: Context) -> None:
        """Take in what a context has."""
        self.kinds |= {journey_id: kind_of(context, journey_id) or "" for journey_id in context.journeys}

    def follow(self, context: Context, event: dict[str, Any]) -> None:
        """Take in what an event tells; whoever came by a handoff is about what that was about."""
        data, talk, about = event["data"], event.get("interaction_id"), event.get("journey_id")
        handoff_id = data.get("handoff_id") if event["type"].startswith("handoff.") else None
        if event["type"].startswith("journey.") and "kind" in data:
            about = journey_of(context, event)
            self.kinds[about] = data["kind"]
        if event["type"] == "handoff.offered" and about:
            self._offers[handoff_id or ""] = about
        about = about or self._offers.get(handoff_id or "")
        if talk and about:
            self._talks.setdefault(talk, set()).add(about)

    def of_talk(self, event: dict[str, Any]) -> list[str | None]:
        """Return the kinds of all journeys that an event's interaction was about."""
        return [self.kinds.get(journey_id) for journey_id in self._talks.get(event.get("interaction_id") or "", ())]


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
        """Take out every value and word whose time is over; its event stays. Says when the next one's is."""
        now, retention, live = self._changes.clock(), self._retention(who.tenant), live_work(context)
        merged = [pair async for pair in self._merged(who, context)] if retention.is_declared else []
        said, last = await self._said([*merged, (who, context)])
        timed = [(each, end) for each, tasks in said for end in (each.end(retention, tasks),) if end is not None]
        free = [(each, end) for each, end in timed if is_value(each.event["type"], each.event["data"])
                or not is_needed(each.event, live)]  # fmt: skip
        over = [each for each, end in free if end <= now]
        done = await self._blank(over)
        for source, theirs in merged:
            words = _words_among(each for each in over if each.who == source)
            await self._changes.change(source, _cleared(retention, live, theirs, words), _MERGED)
        if retention.is_declared:
            for one in (*(source for source, _ in merged), who):
                await self._entries.drop_aside(one, now - retention.shortest)
        # Also of words that live work needs: it may be done before their time is over.
        following = min((end for _, end in timed if end > now), default=None)
        await self._changes.change(who, _reviewed(retention, following, last, live, _words_among(over)))
        if done:
            await self._at_rest.note_erasure()
            log.info("customer.reviewed", tenant=who.tenant, customer=who.customer_id, values=done)

    async def _merged(self, who: Who, context: Context) -> AsyncIterator[tuple[Who, Context]]:
        """Yield those who are a customer now, and those who were these before; none that is under a hold of its own."""
        for merge in context.merges.values():
            source = Who(who.tenant, merge.source)
            theirs = (await self._changes.contexts.wherever(source)).context
            if theirs is None or theirs.frozen is None or theirs.frozen.merge_id != merge.merge_id or theirs.hold:
                continue
            async for inner in self._merged(source, theirs):
                yield inner
            yield source, theirs

    async def _said(self, timelines: list[tuple[Who, Context]]) -> tuple[list[tuple[_Said, _Tasks]], int]:
        """Return every event of some timelines that says something, and the last version of the last of them."""
        said, tasks, last = list[tuple[_Said, _Tasks]](), _Tasks(), 0
        for who, context in timelines:
            tasks.know(context)
            async for version, entry in self._entries.of(who):
                event, last = event_from(entry, version), version
                tasks.follow(context, event)
                if said_in(event["type"], event["data"]):
                    said.append((_Said(who, version, entry, event), tasks))
        return said, last

    async def _blank(self, over: list[_Said]) -> int:
        """Take values and words out of entries, in Redis and in the archive; return how many entries were changed."""
        done = 0
        for who in dict.fromkeys(each.who for each in over):
            theirs = [(each.version, each.entry) for each in over if each.who == who]
            done += await self._entries.replace(who, [(n, entry, without_words(entry)) for n, entry in theirs])
        return done


def journey_of(context: Context, event: dict[str, Any]) -> str:
    """Return which journey an event is about; one that began without a name got a derived one."""
    named: str | None = event["data"].get("journey_id") or event.get("journey_id")
    at = datetime.fromisoformat(event["at"])
    return named or derived_id("jr", context, Event(event_id=event["event_id"], type=event["type"], at=at))


def _words_among(over: Iterable[_Said]) -> int:
    """Return how many of some events said words, and not a fact's value."""
    return sum(not is_value(each.event["type"], each.event["data"]) for each in over)


def _cleared(
    retention: Retention, live: frozenset[str], theirs: Context, words: int
) -> Callable[[Present], Decision]:  # fmt: skip
    """Return the decision that clears the document that one who was merged left behind."""

    def decide(present: Present) -> Decision:
        context = present.known
        if context.frozen is None or context.frozen != theirs.frozen:
            return Decision(context)
        left, names = retired(context, retention, present.now)
        left = without_old_words(left, retention, present.now, live)
        told = own([*_of_facts(names, present), *_of_words(words, present)])
        return Decision(left, told, state=moved_to(context.frozen.to))

    return decide


def _reviewed(
    retention: Retention, following: datetime | None, last: int, live: frozenset[str], words: int
) -> Callable[[Present], Decision]:
    """Return the decision that lets go of what is over, and says when to look again: soon, if more was told since."""

    def decide(present: Present) -> Decision:
        context, names = retired(present.known, retention, present.now)
        context = without_old_words(context, retention, present.now, live | live_work(context))
        again = following if present.version == last else present.now + _AGAIN
        under = retention.print if retention.is_declared else None
        context = context.but(review_at=again, reviewed_under=under, reviewed_at=present.now if under else None)
        context = with_review(context, [], retention)
        return Decision(context, own([*_of_facts(names, present), *_of_words(words, present)]))

    return decide


def _of_facts(names: list[str], present: Present) -> list[Event]:
    """Return the event that tells which facts went, if any did."""
    event_id = f"fact:retired:{present.version}"
    event = Event(event_id=event_id, type="fact.retired", at=present.now, assurance=2, data={"names": names})
    return [event] if names else []


def _of_words(count: int, present: Present) -> list[Event]:
    """Return the event that tells that words went, if any did: whoever holds a timeline reads it anew."""
    event_id = f"words:retired:{present.version}"
    event = Event(event_id=event_id, type="words.retired", at=present.now, assurance=2, data={"events": count})
    return [event] if count else []
