"""Journeys: tasks the customer wants done, across interactions; who works on one, and what time makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from ctxhub.model.claiming import Claim
from ctxhub.model.event import Change, Event, Party, in_time
from ctxhub.model.fact import Origin
from ctxhub.model.value import Id, Instant, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff
    from ctxhub.model.interaction import Interaction

JourneyState = Literal["active", "suspended", "completed", "abandoned"]
ReasonCode = Literal["missed_call", "handed_over", "at_hand", "important", "resting", "recent"]
Span = Annotated[int, Field(gt=0, le=10 * 366 * 86_400, strict=True)]

#: How an owner is written that is one agent and not a queue.
AGENT = "agent:"
HALF_LIFE = timedelta(days=1)


class Escalation(Value):
    """Who becomes responsible, so many seconds after the journey began, if it is not done by then."""

    after: Span
    owner: Name


class Journey(Value):
    """A task and where it stands; `origin` says under which assurance it is shared.

    What its kind declares about time stands here as it was when the journey began. `done` are the steps that it
    has left behind and that must not be done twice.
    """

    journey_id: Id
    kind: Name
    state: JourneyState = "active"
    step: Name | None = None
    owner: Name | None = None
    origin: Origin
    updated_at: Instant
    evidence: Id | None = None
    rest: int | None = None
    lapse: int | None = None
    escalate: tuple[Escalation, ...] = ()
    level: int = 0
    rests: int = 0
    rested_at: Instant | None = None
    step_ends: Instant | None = None
    claim: Claim | None = None
    claims: int = 0
    done: tuple[Name, ...] = ()

    @property
    def is_open(self) -> bool:
        """Tell whether there is still something to do."""
        return self.state in ("active", "suspended")

    @property
    def queue(self) -> str | None:
        """The queue that is responsible; None where nobody is, or one agent."""
        return queue_of(self.owner)


class Worker(Value):
    """Who is at work on a journey now: whoever has the floor of an open interaction that is about it."""

    party: Party
    id: Id | None = None
    interaction_id: Id
    since: Instant


class JourneyView(Value):
    """A journey as shown, with the facts still to ask in the order of its steps, and who is at work on it.

    `claim` says whose the doing of its step is now, where that must not be done twice.
    """

    journey_id: Id
    kind: Name
    state: JourneyState
    step: Name | None = None
    missing: list[Name] = []
    owner: Name | None = None
    worker: Worker | None = None
    claim: Claim | None = None
    updated_at: Instant
    evidence: Id | None = None


class Offer(JourneyView):
    """A journey worth resuming, and why: as a code and in words."""

    reason: str
    reason_code: ReasonCode = "recent"


def queue_of(owner: str | None) -> str | None:
    """Return the queue that an owner is; None for one agent, or nobody."""
    return None if owner is None or owner.startswith(AGENT) else owner


def worth(importance: int, age: timedelta) -> float:
    """Return how much it is worth to offer a journey: its importance, halved for each day that nobody touched it."""
    return float(importance * 0.5 ** (max(age, timedelta(0)) / HALF_LIFE))


# Who works on it


def worker(context: Context, journey_id: str, among: Callable[[Interaction], bool] | None = None) -> Worker | None:
    """Return who is at work on a journey: an agent before a bot, then whoever began last."""
    about = [i for i in context.interactions.values() if i.is_open and i.journey_id == journey_id]
    found = [_worker(context, one) for one in about if among is None or among(one)]
    busy = [one for one in found if one.party in ("bot", "agent")]
    return max(busy, key=lambda one: (one.party == "agent", one.since), default=None)


def _worker(context: Context, interaction: Interaction) -> Worker:
    """Return whoever has the floor of an interaction, since it was accepted, else since the interaction began."""
    holder, held = interaction.holder, context.held_handoff(interaction.interaction_id)
    since = held.accepted_at if held and held.accepted_at else interaction.started_at
    return Worker(party=holder.party, id=holder.id, interaction_id=interaction.interaction_id, since=since)


def agent_elsewhere(context: Context, journey_id: str, interaction: Interaction) -> Worker | None:
    """Return the agent who is at work on a journey in another interaction.

    None where the interaction came by a handoff of that one: there the work was given on.
    """
    near = {interaction.interaction_id, *interaction.lineage}
    found = worker(context, journey_id, lambda other: other.interaction_id not in near)
    return found if found is not None and found.party == "agent" else None


# How it ends


def ended(context: Context, journey_id: str) -> Context:
    """Return the context without a journey and its facts; its promises stay, for they must still be kept."""
    interactions = {
        key: one.but(journey_id=None) if one.journey_id == journey_id else one
        for key, one in context.interactions.items()
    }
    return context.but(
        journeys={key: journey for key, journey in context.journeys.items() if key != journey_id},
        interactions=interactions,
        facts=tuple(fact for fact in context.facts if fact.journey_id != journey_id),
    )


# What time makes of it


class _Turn(NamedTuple):
    """What time makes of a journey next."""

    at: datetime
    what: Literal["escalated", "delayed", "rested", "lapsed"]


#: When each open interaction was last heard of.
Heard = Mapping[str, datetime]


def lapse(context: Context, journey_id: str, heard: Heard, now: datetime) -> Change:
    """Let a journey be escalated, delayed, rest and lapse, as far as its time has come."""
    events: list[Event] = []
    turn = _next(context, journey_id, heard)
    while turn is not None and turn.at <= now:
        context, more = _TURNS[turn.what](context, context.journeys[journey_id], turn.at)
        events += more
        turn = _next(context, journey_id, heard)
    return Change(context, events)


def next_due(context: Context, journey_id: str, heard: Heard) -> datetime | None:
    """Return when time makes something else of a journey."""
    turn = _next(context, journey_id, heard)
    return turn.at if turn else None


def _next(context: Context, journey_id: str, heard: Heard) -> _Turn | None:
    """Return what time makes of a journey next; one that is moving to another customer waits until it is there."""
    journey = context.journeys.get(journey_id)
    if journey is None or not journey.is_open or journey.origin.interaction_id in context.moves:
        return None
    turns = [_escalation(journey), _delay(journey), _silence(context, journey, heard)]
    return min((turn for turn in turns if turn is not None), default=None)


def _escalation(journey: Journey) -> _Turn | None:
    """Return when somebody else becomes responsible."""
    if journey.level >= len(journey.escalate):
        return None
    return _Turn(journey.origin.at + timedelta(seconds=journey.escalate[journey.level].after), "escalated")


def _delay(journey: Journey) -> _Turn | None:
    """Return when its step has taken too long."""
    return _Turn(journey.step_ends, "delayed") if journey.step_ends else None


def _silence(context: Context, journey: Journey, heard: Heard) -> _Turn | None:
    """Return when it rests, or having rested lapses; never while it waits for an agent, or an agent holds it."""
    patience = journey.rest if journey.state == "active" else journey.lapse
    about = [handoff for handoff in context.handoffs.values() if handoff.journey_id == journey.journey_id]
    if patience is None or any(_pins(handoff) for handoff in about):
        return None
    since = max(_touches(context, journey, heard, about))
    return _Turn(since + timedelta(seconds=patience), "rested" if journey.state == "active" else "lapsed")


def _pins(handoff: Handoff) -> bool:
    """Tell whether a handoff keeps its journey from resting."""
    return not handoff.is_final and (handoff.state == "offered" or handoff.agent_id is not None)


def _touches(context: Context, journey: Journey, heard: Heard, about: list[Handoff]) -> list[datetime]:
    """Return when a journey was touched: told of, rested, or somebody was there who was about it."""
    here = [one for one in context.interactions.values() if one.journey_id == journey.journey_id]
    there = [_heard(one, heard) for one in here]
    over = [handoff.final_at for handoff in about]
    return [at for at in (journey.updated_at, journey.rested_at, *there, *over) if at is not None]


def _heard(interaction: Interaction, heard: Heard) -> datetime | None:
    """Return when an interaction was last heard of; its end counts, unless it was silence that ended it."""
    if interaction.is_open:
        return heard.get(interaction.interaction_id, interaction.started_at)
    return interaction.heard_at or interaction.ended_at


def _told(journey: Journey, verb: str, mark: str, at: datetime, **data: Any) -> Event:
    """Return the event that tells what time has made of a journey."""
    return Event(
        event_id=in_time(journey.evidence or journey.journey_id, mark),
        type=f"journey.{verb}",
        at=at,
        interaction_id=journey.origin.interaction_id,
        journey_id=journey.journey_id,
        channel=journey.origin.channel,
        assurance=journey.origin.assurance,
        data={"kind": journey.kind} | {key: value for key, value in data.items() if value is not None},
    )


def _escalated(context: Context, journey: Journey, at: datetime) -> Change:
    """Make the next one responsible."""
    before = journey.owner
    raised = journey.but(level=journey.level + 1, owner=journey.escalate[journey.level].owner)
    told = _told(raised, "escalated", f"escalated:{raised.level}", at,
                 level=raised.level, owner=raised.owner, queue=raised.queue, from_queue=queue_of(before))  # fmt: skip
    return Change(context.with_journey(raised), [told])


def _delayed(context: Context, journey: Journey, at: datetime) -> Change:
    """Note that a step takes longer than it should."""
    told = _told(journey, "delayed", f"delayed:{at.timestamp():.3f}", at,
                 step=journey.step, owner=journey.owner, queue=journey.queue)  # fmt: skip
    return Change(context.with_journey(journey.but(step_ends=None)), [told])


def _rested(context: Context, journey: Journey, at: datetime) -> Change:
    """Let a journey rest of which nobody has heard for so long."""
    resting = journey.but(state="suspended", rested_at=at, rests=journey.rests + 1)
    told = _told(resting, "suspended", f"rested:{resting.rests}", at, by="hub", reason="rest")
    return Change(context.with_journey(resting), [told])


def _lapsed(context: Context, journey: Journey, at: datetime) -> Change:
    """Give up a journey that has rested for too long."""
    return Change(
        ended(context, journey.journey_id), [_told(journey, "abandoned", "lapsed", at, by="hub", reason="lapsed")]
    )


_TURNS: dict[str, Callable[[Context, Journey, datetime], Change]] = {
    "escalated": _escalated,
    "delayed": _delayed,
    "rested": _rested,
    "lapsed": _lapsed,
}
