"""Events: what commutes is appended in one step, all else is decided on the context."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from ctxhub.errors import CustomerUnknown, Invalid
from ctxhub.hub import asserting
from ctxhub.hub.changes import Changes, Committed, Decision, Present, Request, fresh, own
from ctxhub.hub.keys import Principal
from ctxhub.hub.never_kept import NeverKept, Watched, are_parts, counted, marked, watched
from ctxhub.hub.reported import Reported
from ctxhub.hub.tenants import Tenants
from ctxhub.metrics import EVENTS, OUT_OF_TURN, REPEATS
from ctxhub.model.as_kept import must_be_no_card
from ctxhub.model.calling import BY_AGENT, BY_HOLDER, by_name, head
from ctxhub.model.context import Context
from ctxhub.model.event import FREE_TYPE, Event, Telling, checked_data, default_party
from ctxhub.model.never_kept import cleaned
from ctxhub.model.number_format import Formats
from ctxhub.model.split_number import LOOK_BACK
from ctxhub.model.telling import Scene, derived_id, level_without_interaction, stamped, tell
from ctxhub.model.tenant import Tenant
from ctxhub.store.codec import SENSITIVE, fingerprint, is_secret
from ctxhub.store.contexts import Appended, Contexts, Loaded, NotOpen, Outcome, Raced, Who, pause, reused

AHEAD = timedelta(minutes=5)
BACK = timedelta(days=30)
_NOTHING_NEW: dict[str, Any] = {"version": 0, "results": [], "etag": 0}
Prints = list[tuple[Event, str]]


class Events:
    """Takes what channels tell."""

    def __init__(self, changes: Changes, tenants: Tenants, never_kept: NeverKept, reported: Reported) -> None:
        self._reported = reported
        self._changes = changes
        self._tenants = tenants
        self._never_kept = never_kept

    async def tell(
        self, who: Who, tellings: list[Telling], request: Request, caller: Principal | None = None,
        was: Sequence[str] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """Keep what was told, all or nothing; a repeated event gets its first version and changes nothing.

        Without a `caller` it is the hub itself that tells. `was` names the customers to whom the teller came first and
        who are this one now: what was told there is not told again.
        """
        now = self._changes.clock()
        formats = self._never_kept.formats(who.tenant)
        told = [_checked(telling, number, now, formats) for number, telling in enumerate(tellings)]
        tenant = self._tenants.of(who.tenant)
        told = [(_as_declared(event, tenant), print_) for event, print_ in told]
        if caller is not None:
            asserting.events(caller, [event for event, _ in told])
            told = [(_by(caller, event), print_) for event, print_ in told]
        known = await self._told_there(who, told, was) if was else {}
        rest = [(event, print_) for event, print_ in told if event.event_id not in known]
        answer = await self._kept(who, rest, now, request, caller) if rest else _NOTHING_NEW
        return _with_known(told, answer, known) if known else answer

    async def _kept(
        self, who: Who, told: Prints, now: datetime, request: Request, caller: Principal | None
    ) -> dict[str, Any]:
        """Append where that is enough, else decide; what is sealed needs the key that stands beside the context."""
        alone = request.if_match is None and all(event.commutes and not is_secret(event) for event, _ in told)
        # Of what is told outside any interaction only the context notes when its time is over.
        if self._tenants.of(who.tenant).retention.is_declared:
            alone = alone and all(event.interaction_id is not None for event, _ in told)
        if alone and await self._has_floor(who, told, caller):
            try:
                return await self._append_watched(who, told, now, request, caller)
            except NotOpen:
                pass  # only the context tells whether silence closed it, or it happened before the end
        return await self._decide(who, told, request, caller)

    async def _has_floor(self, who: Who, told: Prints, caller: Principal | None) -> bool:
        """Tell whether an agent's key has the fences it speaks with; which of them stand is for the script to judge.

        The script knows fences, not whose they are. Each is one holder's for ever, so that looking before is enough.
        """
        spoken = [event for event, _ in told if _speaks(event)] if caller is not None and caller.agent else []
        if caller is None or not spoken:
            return True
        context = (await self._changes.contexts.load(who)).context
        return context is not None and all(_has_fence(context, event, caller.agent) for event in spoken)

    async def _told_there(self, who: Who, told: Prints, was: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return, of what was told to those who are this customer now, the result of the first time."""
        ids, known = [event.event_id for event, _ in told], dict[str, dict[str, Any]]()
        for other in (Who(who.tenant, customer_id) for customer_id in was):
            try:
                loaded = await self._changes.contexts.wherever(other, 0, ids)
                leads = await _leads(self._changes.contexts, other, loaded, {who.customer_id, *was})
            except CustomerUnknown:
                continue
            fresh(told, loaded.seen if leads else [None] * len(told))
            seen = zip(ids, loaded.seen, strict=True) if leads else ()
            again = {key: before[0] for key, before in seen if before is not None}
            known |= {key: {"event_id": key, "version": n, "duplicate": True} for key, n in again.items()}
        return known

    async def _append_watched(
        self, who: Who, told: Prints, now: datetime, request: Request, caller: Principal | None
    ) -> dict[str, Any]:
        """Append; what may be a part of a card number only after a look at the newest events, and right behind them."""
        if not are_parts(told):
            return await self._append(who, told, now, request, caller)
        attempt = 0
        while True:
            loaded = await self._changes.contexts.load(who, LOOK_BACK)
            seen = watched(loaded.recent, told, self._never_kept.formats(who.tenant))
            if seen.redactions:
                return await self._decide(who, told, request, caller)
            try:
                return await self._append(who, seen.told, now, request, caller, loaded.version)
            except Raced:
                attempt += 1
                await pause(attempt)

    async def _append(
        self, who: Who, told: Prints, now: datetime, request: Request, caller: Principal | None, on: int | None = None
    ) -> dict[str, Any]:
        """Append in one round trip."""
        appended = [_appended(event, print_) for event, print_ in told]
        channels = caller.channels if caller is not None else ()
        outcome = await self._changes.contexts.append(who, appended, now, request.operation, on, channels)
        return _appended_answer(told, outcome)

    async def _decide(self, who: Who, told: Prints, request: Request, caller: Principal | None) -> dict[str, Any]:
        """Decide on the context and commit."""
        tenant = self._tenants.of(who.tenant)
        looks_back = LOOK_BACK if are_parts(told) else 0
        led = await self._reported.led(who, [event for event, _ in told])

        def decide(present: Present) -> Decision:
            new = _once_each(fresh(told, present.seen))
            seen = watched(present.recent, new, tenant.formats) if looks_back else Watched(new, [], [])
            context = seen.clean(present.known)
            new = [(_found(context, event, led), print_) for event, print_ in seen.told]
            _must_speak(caller, context, new)
            new = [(_by_holder(caller, context, event), print_) for event, print_ in new]
            scene = Scene(tenant, present.now, self._reported.handoff_ids(who), caller.agent if caller else None)
            change = tell(context, [event for event, _ in new], scene)
            prints = {event.event_id: print_ for event, print_ in new}
            events = [(event, prints[event.event_id]) if event.event_id in prints else own([event])[0]
                      for event in [*change.events, *_placed(context, seen.redactions, present.now)]]  # fmt: skip
            record = {"flags": "".join("1" if known else "0" for known in present.seen)}
            lookups = self._reported.lookups(who, present.known, change.context)
            heard = _heard(change.events, prints.keys())
            return Decision(change.context, events, heard, record, lookups, anew=seen.anew)

        ids = [event.event_id for event, _ in told]
        operation = request.operation
        committed = await self._changes.change(
            who, decide, Request(request.if_match, operation, ids, recent=looks_back)
        )
        await self._reported.name(who, [event for event, _ in told], committed.context)
        return _decided_answer(told, committed, await self._found_before(who, told, committed))

    async def _found_before(self, who: Who, told: Prints, committed: Committed) -> dict[str, str]:
        """Return, of repeated events that found a journey or began one, which it was the first time."""
        new = {event.event_id for event in committed.events}
        again = [
            (event.event_id, known[0])
            for (event, _), known in zip(told, committed.seen, strict=True)
            if known is not None and _finds(event) and event.event_id not in new
        ]
        spans = await self._changes.contexts.spans([(who, version, version) for _, version in again]) if again else []
        return {e: kept["journey_id"] for (e, _), span in zip(again, spans, strict=True) for kept in span}


def _found(context: Context, event: Event, led: dict[str, str]) -> Event:
    """Return a report that names only its call with its interaction, also where that has gone to another customer.

    `led` is where the names of calls lead.
    """
    found = by_name(context, event) if event.event_id in led else event
    went = led.get(event.event_id) if found.interaction_id is None else None
    return event.but(interaction_id=went) if went in context.moved else found


def _must_speak(caller: Principal | None, context: Context, new: Prints) -> None:
    """Refuse a key that tells of an interaction of a channel that is not its own."""
    if caller is None:
        return
    for event, _ in new:
        caller.must_speak_in(context, event.interaction_id)


async def _leads(contexts: Contexts, other: Who, loaded: Loaded, to: set[str]) -> bool:
    """Tell whether a customer is one of these now, or an interaction of it went there."""
    if loaded.context is None:
        return False
    return not to.isdisjoint(loaded.context.moved.values()) or await contexts.home(other) != other


def _with_known(told: Prints, answer: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the answer of what was new together with what had been told elsewhere, in the order in which it came."""
    new = iter(answer["results"])
    results = [known.get(event.event_id) or next(new) for event, _ in told]
    version = answer["version"] or max(result["version"] for result in results)
    return {"version": version, "results": results, "etag": answer["etag"] or version}


def _by(caller: Principal, event: Event) -> Event:
    """Return an event with the mark of an agent's key where it is about a call: nobody lets himself in that way."""
    own = caller.role == "agent" and event.type.startswith("call.")
    return event.but(marks=[*event.marks, BY_AGENT]) if own else event


def _by_holder(caller: Principal | None, context: Context, event: Event) -> Event:
    """Return what an agent tells of a call with a mark where that agent has the floor of it."""
    interaction = context.interactions.get(event.interaction_id or "")
    holder = head(context, interaction).holder if interaction is not None else None
    if caller is None or holder is None or holder.party != "agent" or BY_AGENT not in event.marks:
        return event
    return event.but(marks=[*event.marks, BY_HOLDER]) if caller.agent in (None, holder.id) else event


def _finds(event: Event) -> bool:
    """Tell whether an event goes on with an open journey rather than begin another."""
    return event.type == "journey.started" and bool(event.data.get("find"))


def _placed(context: Context, redactions: list[Event], now: datetime) -> list[Event]:
    """Return the hub's own events with the channel and the assurance of their interaction."""
    return [stamped(context, event, now) for event in redactions]


def _checked(telling: Telling, number: int, now: datetime, formats: Formats = ()) -> tuple[Event, str]:
    """Return a told event, checked and without what is never kept, with the fingerprint of what it says then."""
    pointer = f"/events/{number}"
    at = telling.at or now
    if at > now + AHEAD:
        raise Invalid.field(f"{pointer}/at", "lies more than 5 minutes ahead")
    if at < now - BACK:
        raise Invalid.field(f"{pointer}/at", "lies more than 30 days back")
    event = Event.trusted(
        event_id=telling.event_id,
        type=telling.type,
        at=at,
        interaction_id=telling.interaction_id,
        journey_id=telling.journey_id,
        party=telling.party or default_party(telling.type),
        data=checked_data(telling.type, telling.data, pointer),
    )
    _must_name(telling, pointer)
    if FREE_TYPE.match(telling.type):
        must_be_no_card("type", telling.type, f"{pointer}/type", formats)
    clean = cleaned(event.data, formats)
    if clean.findings:
        counted(clean.findings)
        event = marked(event.but(data=clean.value))
        telling = telling.but(data=clean.value)
    # Whoever tells it again, perhaps out of a spool, may not know any more that no time was named at first.
    said = telling.model_dump(mode="json", exclude_none=True, exclude={"event_id", "at"})
    return event, fingerprint(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))


def _as_declared(event: Event, tenant: Tenant) -> Event:
    """Return what was keyed at a prompt for a sensitive fact as no less sensitive than that."""
    if event.type != "input.collected" or tenant.sensitivity(event.data["prompt"]) != SENSITIVE:
        return event
    return event.but(data=event.data | {"sensitivity": SENSITIVE})


def _must_name(telling: Telling, pointer: str) -> None:
    """Refuse an event that does not name the journey or interaction it is about."""
    family, _, verb = telling.type.partition(".")
    if family == "journey" and verb != "started" and telling.journey_id is None:
        raise Invalid.field(f"{pointer}/journey_id", f"{telling.type} needs the journey it is about")
    if family == "assurance" and telling.interaction_id is None:
        raise Invalid.field(f"{pointer}/interaction_id", f"{telling.type} needs the interaction it is about")


def _speaks(event: Event) -> bool:
    """Tell whether an event needs the floor: somebody other than the customer says something."""
    return event.type == "message.sent" and event.party in ("bot", "agent") and event.interaction_id is not None


def _has_fence(context: Context, event: Event, agent_id: str | None) -> bool:
    """Tell whether the fence that an event brings is the present one, and an agent's."""
    interaction = context.interactions.get(event.interaction_id or "")
    return interaction is not None and event.data.get("fence") == interaction.fence and interaction.is_held_by(agent_id)


def _appended(event: Event, print_: str) -> Appended:
    """Return an event to append, with what the script must know of it."""
    fence = event.data.get("fence")
    spoken = ("" if fence is None else str(fence)) if _speaks(event) else "-"
    level = level_without_interaction(event.party) if event.interaction_id is None else 0
    return Appended(event, print_, spoken, bool(event.data.get("delivered")), level)


def _appended_answer(told: Prints, outcome: Outcome) -> dict[str, Any]:
    """Answer an append."""
    for (event, _), flag in zip(told, outcome.flags, strict=True):
        if flag != "1":
            EVENTS.labels(event.type.split(".")[0]).inc()
        if flag == "2":
            OUT_OF_TURN.labels(event.channel or "").inc()
    results = [
        {"event_id": event.event_id, "version": version, "duplicate": flag == "1"}
        for (event, _), version, flag in zip(told, outcome.versions, outcome.flags, strict=True)
    ]
    version = max(outcome.versions)
    return {"version": version, "results": results, "etag": max(version, outcome.version)}


def _once_each(prints: Prints) -> Prints:
    """Return the events of one request without repetitions inside it."""
    by_id: dict[str, tuple[Event, str]] = {}
    for event, print_ in prints:
        if event.event_id in by_id and by_id[event.event_id][1] != print_:
            raise reused(event.event_id)
        by_id.setdefault(event.event_id, (event, print_))
    return list(by_id.values())


def _heard(events: list[Event], told: Any) -> dict[str, str]:
    """Return in which interactions somebody told something, and where it was the holder who spoke."""
    heard: dict[str, str] = {}
    for event in events:
        if event.interaction_id is not None and event.event_id in told:
            holds = event.type == "message.sent" and "fence" in event.data and "out_of_turn" not in event.marks
            heard[event.interaction_id] = "h" if holds or heard.get(event.interaction_id) == "h" else "t"
    return heard


def _decided_answer(told: Prints, committed: Committed, found: dict[str, str]) -> dict[str, Any]:
    """Answer what was decided."""
    by_id = {event.event_id: event for event in committed.events}
    flags = committed.replayed["flags"] if committed.replayed else "1" * len(told)
    results = []
    for number, (event, _) in enumerate(told):
        kept = by_id.get(event.event_id)
        known = committed.seen[number]
        version = committed.version_of(event.event_id) if kept else known[0] if known else committed.version
        repeated_here = any(other.event_id == event.event_id for other, _ in told[:number])
        result = {
            "event_id": event.event_id,
            "version": version,
            "duplicate": repeated_here or not (kept or flags[number] != "1"),
        }
        learnt = _learnt(kept or event, kept is not None, committed)
        results.append(result | learnt | ({"journey_id": found[event.event_id]} if event.event_id in found else {}))
    highest = max(int(str(result["version"])) for result in results)
    return {"version": highest, "results": results, "etag": committed.version}


def _learnt(event: Event, is_new: bool, committed: Committed) -> dict[str, Any]:
    """Return what the teller learns beyond the version: a new journey's or promise's id, and repeats."""
    repeats = event.data.get("repeats")
    if is_new:
        EVENTS.labels(event.type.split(".")[0]).inc()
        REPEATS.labels(event.channel or "").inc(len(repeats or ()))
    if event.type == "journey.started" or (event.type == "journey.resumed" and event.data.get("found")):
        given = event.data.get("journey_id") or event.journey_id
        return {"journey_id": given or derived_id("jr", committed.context, event)}
    if event.type == "commitment.made":
        return {"commitment_id": event.data.get("commitment_id") or derived_id("cm", committed.context, event)}
    return {"repeat": repeats} if repeats else {}
