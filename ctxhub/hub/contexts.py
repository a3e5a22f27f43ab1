"""Contexts and timelines as their readers may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from ctxhub.errors import Forbidden, VersionAhead
from ctxhub.hub.access import Access
from ctxhub.hub.changes import Changes
from ctxhub.hub.tenants import Tenants
from ctxhub.hub.timelines import Timelines
from ctxhub.lately import Lately
from ctxhub.model.clearance import JUST_NOW, PROVEN_AGAIN
from ctxhub.model.context import Context, ContextView
from ctxhub.model.disclosure import Reader, Sight, sight
from ctxhub.model.lapsing import lapse, next_due, with_activity
from ctxhub.model.tenant import Tenant
from ctxhub.model.view import context_view
from ctxhub.store.contexts import Heard, Loaded, Noting, Who

Kept = TypeVar("Kept")
_NEWEST = 20
_REMEMBERED = 4096
_ANSWERED = 1024
_VIEWED = 256
_AT_MOST = timedelta(seconds=60)
_PUT_IN = {"version", "document_version", "recent"}


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Shown:
    """A context as JSON, with its versions; `lapsed` says that something has lapsed without raising them."""

    json: bytes
    version: int
    document_version: int
    lapsed: bool

    @property
    def value(self) -> dict[str, Any]:
        """The context as a plain dict."""
        shown: dict[str, Any] = orjson.loads(self.json)
        return shown


class _Seen(NamedTuple):
    """A view that was made before: of which commit and declarations, until when it holds, with which sight."""

    commit: str
    tenant: Tenant
    until: datetime
    lapsed: bool
    sight: Sight
    json: bytes


class _Answered(NamedTuple, Generic[Kept]):
    """What was shown last of a view: of which reading of Redis, with how many events asked for."""

    seen: _Seen
    loaded: Loaded
    events: int
    shown: Kept


class Viewed(NamedTuple):
    """A context and its newest events as one reader may see them; `since` is when this version can first be read.

    `lapsed` says that something has lapsed without raising the version.
    """

    view: ContextView
    events: list[dict[str, Any]]
    since: datetime | None
    lapsed: bool


class Opened(NamedTuple):
    """A context as an interaction is shown it, and what of which present context it may see: all of one reading."""

    shown: Shown
    sight: Sight
    context: Context


class Contexts:
    """Reads contexts: one round trip, and of a context seen before only what is new."""

    def __init__(self, changes: Changes, tenants: Tenants, timelines: Timelines, access: Access) -> None:
        self._changes = changes
        self._timelines = timelines
        self._access = access
        self._tenants = tenants
        self._seen = Lately[tuple[Who, Reader], _Seen](_REMEMBERED)
        self._answered = Lately[tuple[Who, Reader], _Answered[Shown]](_ANSWERED)
        self._viewed = Lately[tuple[Who, Reader], _Answered[Viewed]](_VIEWED)

    async def read(self, who: Who, reader: Reader, events: int = _NEWEST, min_version: int | None = None) -> Shown:
        """Return the context as the reader may see it now; while that is the same, the same object."""
        now = self._changes.clock()
        loaded, context = await self._changes.contexts.existing(who, events)
        _refuse_ahead(loaded, min_version)
        before = self._answered.get((who, reader))
        if before is not None and self._is_as_before(before, who, loaded, events, now):
            return before.shown
        try:
            seen = self._view(who, reader, loaded, context, now)
        except Forbidden as refusal:
            reader = await self._access.granted(who, reader, refusal)
            seen = self._view(who, reader, loaded, context, now)
        return await self._shown(who, reader, loaded, context, seen, events)

    async def open(self, who: Who, reader: Reader) -> Opened:
        """Return the context as the interaction of a reader may see it now, and what that rests on; one round trip."""
        now = self._changes.clock()
        loaded, context = await self._changes.contexts.existing(who, _NEWEST)
        seen = self._view(who, reader, loaded, context, now)
        shown = await self._shown(who, reader, loaded, context, seen, _NEWEST)
        return Opened(shown, seen.sight, self.present(loaded, context, now))

    async def again(self, who: Who, reader: Reader, events: int, shown: Shown, noting: Noting) -> Shown | None:
        """Return the context as `read` does, noted in the same step; None where neither was done.

        It is done while of what the reader was `shown` last nothing but events can be another.
        """
        now, before = self._changes.clock(), self._answered.get((who, reader))
        if before is None or before.shown is not shown or before.events != events:
            return None
        commit, tenant = before.loaded.commit, self._tenants.of(who.tenant)
        if not _holds(before.seen, commit, tenant, now):
            return None
        loaded = await self._changes.contexts.again(who, events, commit, noting)
        if loaded is None or loaded.context is None:
            return None
        if loaded is before.loaded:
            return before.shown
        return await self._shown(who, reader, loaded, loaded.context, before.seen, events)

    async def _shown(
        self, who: Who, reader: Reader, loaded: Loaded, context: Context, seen: _Seen, events: int
    ) -> Shown:
        """Return what a view and the newest events come to, and keep it where they alone tell it."""
        told = await self._timelines.recent(who, context, loaded.recent, events)
        head = {"version": loaded.version, "document_version": loaded.document_version}
        json = orjson.dumps(head | {"recent": in_sight(seen.sight, told)})[:-1] + b"," + seen.json[1:]
        shown = Shown(json, loaded.version, loaded.document_version, seen.lapsed)
        if told is loaded.recent:  # of others' timelines a reading says nothing
            self._answered.keep((who, reader), _Answered(seen, loaded, events, shown))
        return shown

    async def view(self, who: Who, reader: Reader, events: int, min_version: int | None = None) -> Viewed:
        """Return the context as values, for whoever tells of it in words of their own; one round trip."""
        now, tenant = self._changes.clock(), self._tenants.of(who.tenant)
        loaded, context = await self._changes.contexts.existing(who, events)
        _refuse_ahead(loaded, min_version)
        before = self._viewed.get((who, reader))
        if before is not None and self._is_as_before(before, who, loaded, events, now):
            return before.shown
        present = self.present(loaded, context, now)
        sees, access = await self._seeing(who, present, reader, now)
        view = context_view(present, sees, tenant, now, reader.interaction_id).but(
            version=loaded.version, document_version=loaded.document_version
        )
        since = datetime.fromisoformat(loaded.recent[-1]["at"]) if loaded.recent else None
        told = await self._timelines.recent(who, context, loaded.recent, events)
        viewed = Viewed(view, in_sight(sees, told), since, _has_lapsed(context, present, now))
        if told is loaded.recent and not access.granted:
            until = self._holds_until(loaded, context, now)
            seen = _Seen(loaded.commit, tenant, until, viewed.lapsed, sees, b"")
            self._viewed.keep((who, reader), _Answered(seen, loaded, events, viewed))
        return viewed

    def _is_as_before(self, before: _Answered[Any], who: Who, loaded: Loaded, events: int, now: datetime) -> bool:
        """Tell whether what was shown is what would be shown now."""
        same = before.loaded is loaded and before.events == events
        return same and _holds(before.seen, loaded.commit, self._tenants.of(who.tenant), now)

    def _view(self, who: Who, reader: Reader, loaded: Loaded, context: Context, now: datetime) -> _Seen:
        """Return the view of a document, made once while nothing in it lapses."""
        tenant = self._tenants.of(who.tenant)
        key = (who, reader)
        known = self._seen.use(key)
        if known is not None and _holds(known, loaded.commit, tenant, now):
            return known
        present = self.present(loaded, context, now)
        seen = sight(present, reader, tenant, now)
        view = context_view(present, seen, tenant, now, reader.interaction_id)
        json = view.model_dump_json(exclude=_PUT_IN).encode()
        until, lapsed = self._holds_until(loaded, context, now), _has_lapsed(context, present, now)
        fresh = _Seen(loaded.commit, tenant, until, lapsed, seen, json)
        self._seen.keep(key, fresh)
        return fresh

    def drop(self, who: Who) -> None:
        """Hold no view of a customer any more."""
        every: tuple[Lately[tuple[Who, Reader], Any], ...] = (self._seen, self._answered, self._viewed)
        for held in every:
            for key in [key for key in held if key[0] == who]:
                del held[key]

    def present(self, loaded: Loaded | Heard, context: Context, now: datetime) -> Context:
        """Return the context without what has lapsed by now."""
        active = with_activity(context, loaded.activities, self._changes.patience)
        return lapse(active, loaded.activities, self._changes.patience, now).context

    def _holds_until(self, loaded: Loaded, context: Context, now: datetime) -> datetime:
        """Return until when nothing shown lapses by itself."""
        due = next_due(context, loaded.activities, self._changes.patience)
        facts = [fact.expires_at for fact in context.facts if fact.expires_at and fact.expires_at > now]
        surely = [i.assurance.until for i in context.interactions.values() if i.assurance.until]
        ends = [due] if due else []
        stale = [raised + JUST_NOW for raised in _proven(context)]
        stale += [journey.claim.until for journey in context.journeys.values() if journey.claim]
        return min([now + _AT_MOST, *ends, *facts, *(until for until in [*surely, *stale] if until > now)])

    async def timeline(
        self, who: Who, reader: Reader, after: int | None, before: int | None, limit: int
    ) -> tuple[list[dict[str, Any]], int | None, int]:
        """Return events in sight between two versions, where to go on, and the present version."""
        loaded, context = await self._changes.contexts.existing(who)
        seen = await self._sight(who, context, reader, self._changes.clock())
        back = after is None and before is not None
        start = max(0, (before or 0) - 1 - limit) if back else after or 0
        events = await self._changes.contexts.timeline(who, start, before, limit)
        more = (start + 1 if start else None) if back else _on(events, limit, before, loaded.version)
        return in_sight(seen, events), more, loaded.version

    async def whole(
        self, who: Who, reader: Reader, after: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None, int]:
        """Return events in sight of all timelines that are this customer's, where to go on, and the present version."""
        loaded, context = await self._changes.contexts.existing(who)
        seen = await self._sight(who, context, reader, self._changes.clock())
        events, more = await self._timelines.page(who, context, after, limit)
        return in_sight(seen, events), more, loaded.version

    async def _sight(self, who: Who, context: Context, reader: Reader, now: datetime) -> Sight:
        """Return what a reader may see; an agent who has nothing to do with the customer may have broken the glass."""
        return (await self._seeing(who, context, reader, now))[0]

    async def _seeing(self, who: Who, context: Context, reader: Reader, now: datetime) -> tuple[Sight, Reader]:
        """Return what a reader may see, and as whom: who broke the glass is `granted` it."""
        tenant = self._tenants.of(who.tenant)
        try:
            return sight(context, reader, tenant, now), reader
        except Forbidden as refusal:
            reader = await self._access.granted(who, reader, refusal)
            return sight(context, reader, tenant, now), reader

    async def sees(self, who: Who, context: Context, reader: Reader) -> Sight:
        """Return what a reader may see now of a context at hand."""
        return await self._sight(who, context, reader, self._changes.clock())

    def seen(self, who: Who, context: Context, reader: Reader, now: datetime) -> Sight:
        """Return what the interaction of a reader sees of a context at hand, whoever reads."""
        return sight(context, reader.but(role="adapter"), self._tenants.of(who.tenant), now)

    def lets_in(self, who: Who, context: Context, reader: Reader, now: datetime) -> bool:
        """Tell whether a reader may see something of a context at hand; broken glass does not count."""
        try:
            sight(context, reader, self._tenants.of(who.tenant), now)
        except Forbidden:
            return False
        return True

    async def sight(self, who: Who, reader: Reader) -> tuple[Sight, Context, int]:
        """Return what a reader may see now, of which context, at which version."""
        loaded, context = await self._changes.contexts.existing(who)
        now = self._changes.clock()
        seen = await self._sight(who, context, reader, now)
        return seen, self.present(loaded, context, now), loaded.version


def _refuse_ahead(loaded: Loaded, min_version: int | None) -> None:
    """Refuse to answer with less than the reader knows of."""
    if min_version is not None and min_version > loaded.version:
        raise VersionAhead(f"the hub has version {loaded.version}", version=loaded.version)


def _on(events: list[dict[str, Any]], limit: int, before: int | None, version: int) -> int | None:
    """Return after which version to go on, or None at the end."""
    last = int(events[-1]["version"]) if events else 0
    return last if len(events) == limit and last < min(version, (before or version + 1) - 1) else None


def _holds(seen: _Seen, commit: str, tenant: Tenant, now: datetime) -> bool:
    """Tell whether a view made before is still right."""
    return seen.commit == commit and seen.tenant is tenant and now < seen.until


def _has_lapsed(context: Context, present: Context, now: datetime) -> bool:
    """Tell whether something in a document has lapsed since it was written."""
    surely = [i.assurance.until for i in context.interactions.values() if i.is_open and i.assurance.until]
    stale = any(raised + JUST_NOW <= now for raised in _proven(context))
    return _standing(context) != _standing(present) or any(until <= now for until in surely) or stale


def _proven(context: Context) -> list[datetime]:
    """Return when customers proved who they are whose proof, while it is new, clears what is sensitive."""
    if not any(fact.sensitivity == "sensitive" for fact in context.facts):
        return []
    levels = [i.assurance for i in context.interactions.values() if i.is_open and i.assurance.level == PROVEN_AGAIN]
    return [assurance.raised_at for assurance in levels if assurance.raised_at]


def _standing(context: Context) -> tuple[Any, ...]:
    """Return of a context what time alone may change."""
    handoffs = {key: (handoff.state, handoff.to) for key, handoff in context.handoffs.items()}
    journeys = {key: (journey.state, journey.owner) for key, journey in context.journeys.items()}
    promises = {key: promise.state for key, promise in context.commitments.items()}
    open_ = {key: i.state for key, i in context.interactions.items()}
    return handoffs, open_, journeys, promises, len(context.facts)


def in_sight(seen: Sight, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events of a timeline as far as they are in sight."""
    shown = (seen.told(event) for event in events)
    return [event for event in shown if event is not None]
