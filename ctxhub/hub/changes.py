"""One way to change a context: load, let lapse what has lapsed, decide purely, commit once, or begin again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from ctxhub.errors import Changed, CustomerUnknown, Lapsed, Merged, OutcomeUnknown, Unavailable
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Event
from ctxhub.model.lapsing import Patience, lapse, next_due, with_activity
from ctxhub.model.lease import Keeping, lease_ends
from ctxhub.model.retention import KEPT_FOR_EVER, Retention, looked_at_anew, with_review
from ctxhub.model.telling import without_words
from ctxhub.model.trace import came_from, noted
from ctxhub.store.contexts import (
    LEFT_ALONE,
    LIVE,
    Contexts,
    Lease,
    Loaded,
    Operation,
    Plan,
    Who,
    must_be_live,
    pause,
    reused,
)

if TYPE_CHECKING:
    from ctxhub.tracing import Tracing

Clock = Callable[[], datetime]
#: What leads to a customer follows a change, by what it was and what it is; the last are those that lead there already.
Follow = Callable[[Who, Context | None, Context, Sequence[Identifier]], Awaitable[None]]
OWN = "hub"
#: The fingerprint of an event whose content is not kept: any is taken for the same.
NOT_KEPT = "*"


class Decision(NamedTuple):
    """What a decision comes to: a context, its events with fingerprints, and who was heard in which interaction.

    `anew` are events of the timeline with other data, to be written over what stands there.
    """

    context: Context
    events: Sequence[tuple[Event, str]] = ()
    heard: dict[str, str] = {}
    record: dict[str, Any] = {}
    lookups: Sequence[tuple[str, str]] = ()
    state: str = LIVE
    anew: Sequence[dict[str, Any]] = ()


class Present(NamedTuple):
    """What a decision is made on."""

    context: Context | None
    version: int
    seen: list[tuple[int, str] | None]
    now: datetime
    has_lapsed: bool = False
    recent: Sequence[dict[str, Any]] = ()

    @property
    def known(self) -> Context:
        """The context of a customer who must be there."""
        if self.has_lapsed:
            raise Lapsed("the context has expired")
        if self.context is None:
            raise CustomerUnknown("there is no such customer")
        return self.context


class Committed(NamedTuple):
    """What stands after a change: the context, its versions, and what a repeated operation did the first time."""

    context: Context
    version: int
    document_version: int
    replayed: dict[str, Any] | None
    seen: list[tuple[int, str] | None]
    events: list[Event]
    before: Context | None = None

    def version_of(self, event_id: str) -> int:
        """Return the version that an event of this change got."""
        ids = [event.event_id for event in self.events]
        return self.version - len(ids) + 1 + ids.index(event_id)


@dataclass(frozen=True)
class Request:
    """What comes with a change beside the decision: If-Match, Idempotency-Key, and the event ids it is about.

    A `joining` one is a step of a merge: it may change one who is another customer now, or whose merge is being undone.
    A decision that wants to know the newest events, as many as `recent`, holds only if none came after them; one of a
    router only while its fence stands. Identifiers that were `led` to the customer before are not linked once more.
    """

    if_match: int | None = None
    operation: Operation | None = None
    event_ids: Sequence[str] = field(default_factory=tuple)
    joining: bool = False
    recent: int = 0
    router_fence: int | None = None
    led: Sequence[Identifier] = ()


PLAIN = Request()


class Changes:
    """Changes contexts, one at a time for each customer in this process, and safely against all others."""

    def __init__(
        self, contexts: Contexts, clock: Clock, patience: Patience, deadline: timedelta, keeping: Keeping | None = None,
        retention: Callable[[str], Retention] = lambda _: KEPT_FOR_EVER, tracing: Tracing | None = None,
        follow: Follow | None = None,
    ) -> None:  # fmt: skip
        self.contexts = contexts
        self._tracing = tracing
        self._follow = follow
        self._retention = retention
        self._keeping = keeping
        self.clock = clock
        self.patience = patience
        self._deadline = deadline.total_seconds()

    async def change(self, who: Who, decide: Callable[[Present], Decision], request: Request = PLAIN) -> Committed:
        """Apply a decision to a customer's context; nothing is written where it refuses or changes nothing."""
        try:
            async with asyncio.timeout(self._deadline), self.contexts.turn(who):
                committed = await self._until_committed(who, decide, request)
        except TimeoutError as error:
            # It may have struck while a commit was under way.
            raise OutcomeUnknown("too many write to this customer at once", customer_id=who.customer_id) from error
        if self._follow is not None and committed.events:
            await self._follow(who, committed.before, committed.context, request.led)
        return committed

    async def change_at_home(
        self, who: Who, decide: Callable[[Present], Decision], request: Request = PLAIN
    ) -> tuple[Who, Committed]:
        """Apply a decision to a customer's context, or to that of the one it is now; return whose it was."""
        try:
            return who, await self.change(who, decide, request)
        except Merged as merged:
            return await self.change_at_home(Who(who.tenant, merged.ids["customer_id"]), decide, request)

    async def known(self, who: Who) -> Context | None:
        """Return the context of a customer, or of the one it is now; None for somebody new."""
        return (await self.contexts.load(await self.contexts.home(who))).context

    async def _until_committed(self, who: Who, decide: Callable[[Present], Decision], request: Request) -> Committed:
        """Load, decide and commit until nobody came between."""
        attempt = 0
        while True:
            done = await self._once(who, decide, request)
            if done is not None:
                return done
            attempt += 1
            await pause(attempt)

    async def _once(self, who: Who, decide: Callable[[Present], Decision], request: Request) -> Committed | None:
        """Load, decide and commit; None if somebody came between."""
        now = self.clock()
        load = self.contexts.wherever if request.joining else self.contexts.load
        loaded = await load(who, request.recent, request.event_ids, request.operation)
        if loaded.record is not None and loaded.context is not None:
            record = orjson.loads(loaded.record)
            return Committed(loaded.context, loaded.version, loaded.document_version, record, loaded.seen, [])
        _must_be_open(loaded, request)
        before, lapsed = self._lapsed(loaded, now)
        _match(who, request, loaded)
        decision = decide(Present(before, loaded.version, loaded.seen, now, loaded.has_lapsed, loaded.recent))
        events = [*((event, OWN) for event in lapsed), *decision.events]
        events = [(_as_kept(decision.context, event, print_), print_) for event, print_ in events]
        told_now = (event for event, _ in events)
        retention = self._retention(who.tenant)
        reviewed = looked_at_anew(loaded.context, with_review(decision.context, told_now, retention), retention, now)
        decision = decision._replace(context=reviewed)
        decision = self._traced(before, decision)
        unchanged = loaded.context is not None and decision.context is before and not (events or decision.heard)
        is_repeat = loaded.state != LIVE and not request.joining
        if loaded.context is not None and unchanged and (request.operation is None or is_repeat):
            await self.contexts.confirm(who)  # what makes it unnecessary may be known to one server alone
            return Committed(before or loaded.context, loaded.version, loaded.document_version, None, loaded.seen, [])
        if is_repeat:
            must_be_live(who, loaded.state)
        plan = self._plan(loaded, decision, events, request, now)
        versions = await self.contexts.commit(who, loaded, plan, now, request.operation)
        told = [event for event, _ in events]
        if versions and self._tracing is not None:
            self._tracing.follow(came_from(before, decision.context))
        return Committed(decision.context, *versions, None, loaded.seen, told, loaded.context) if versions else None

    def _traced(self, before: Context | None, decision: Decision) -> Decision:
        """Return a decision whose new interactions and handoffs name the present span, if there is one."""
        span = self._tracing.here() if self._tracing is not None else None
        return decision if span is None else decision._replace(context=noted(before, decision.context, span))

    def _lapsed(self, loaded: Loaded, now: datetime) -> tuple[Context | None, list[Event]]:
        """Return the context without what has lapsed, and the events that tell of it."""
        if loaded.context is None:
            return None, []
        active = with_activity(loaded.context, loaded.activities, self.patience)
        change = lapse(active, loaded.activities, self.patience, now)
        untouched = not change.events and change.context == loaded.context
        return (loaded.context, []) if untouched else (change.context, change.events)

    def next_due(self, loaded: Loaded, context: Context) -> datetime | None:
        """Return when something of a customer lapses next."""
        active = with_activity(context, loaded.activities, self.patience)
        return next_due(active, loaded.activities, self.patience)

    def _lease(self, context: Context, now: datetime) -> Lease:
        """Return until when Redis keeps a context of which somebody was heard just now."""
        return LEFT_ALONE if self._keeping is None else Lease(lease_ends(context, now, self._keeping))

    def _plan(
        self, loaded: Loaded, decision: Decision, events: Sequence[tuple[Event, str]], request: Request,
        now: datetime,
    ) -> Plan:  # fmt: skip
        """Return what to write; a document that did not change is left alone."""
        unchanged = loaded.context is not None and decision.context is loaded.context
        operation = request.operation
        record = f"{operation.fingerprint} {orjson.dumps(decision.record).decode()}" if operation else ""
        return Plan(
            context=None if unchanged else decision.context,
            events=events,
            heard=decision.heard,
            due=next_due(decision.context, loaded.activities, self.patience),
            lease=self._lease(decision.context, now),
            record=record,
            lookups=decision.lookups,
            state=decision.state,
            proves_version=request.recent > 0,
            anew=decision.anew,
            router_fence=request.router_fence,
        )


def _must_be_open(loaded: Loaded, request: Request) -> None:
    """Refuse to decide anything while a merge is being undone."""
    if not request.joining and loaded.context is not None and loaded.context.is_undoing:
        raise Unavailable("a merge is being undone", customer_id=loaded.context.customer_id, retry_after=1)


def _match(who: Who, request: Request, loaded: Loaded) -> None:
    """Refuse a decision made on an older document than the present one."""
    wanted = request.if_match
    if wanted is not None and not loaded.document_version <= wanted <= loaded.version:
        raise Changed(
            f"the document changed at version {loaded.document_version}, you gave {wanted}",
            customer_id=who.customer_id,
            version=loaded.version,
            document_version=loaded.document_version,
        )


def _as_kept(context: Context, event: Event, print_: str) -> Event:
    """Return an event of the hub's own without words where none are to be kept; what was told was judged as told."""
    return without_words(context, event) if print_ == OWN else event


def own(events: Sequence[Event]) -> list[tuple[Event, str]]:
    """Return the hub's own events with their fingerprint."""
    return [(event, OWN) for event in events]


def fresh(prints: Sequence[tuple[Event, str]], seen: Sequence[tuple[int, str] | None]) -> list[tuple[Event, str]]:
    """Return the events that are new; `EventIdReused` where an id stands for another content."""
    for (event, fingerprint), known in zip(prints, seen, strict=True):
        if known is not None and known[1] not in (fingerprint, NOT_KEPT):
            raise reused(event.event_id)
    return [pair for pair, known in zip(prints, seen, strict=True) if known is None]
