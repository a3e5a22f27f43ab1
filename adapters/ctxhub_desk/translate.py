"""From the hub's values to what the page shows: rows, groups, entries, labels. Pure.

What a person reads in the interface is worded by the page itself; here stand only the labels that the tenant gave to
facts, steps and journeys, and the question put to the customer, which follow the customer's language, not the agent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from ctxhub.client import (
    AgentView,
    Answer,
    Assurance,
    Callback,
    Commitment,
    ContextView,
    Event,
    FactLine,
    FactView,
    HandoffView,
    Holder,
    Identifier,
    InteractionView,
    JourneyView,
    ListedInteraction,
    Origin,
    PresenceState,
    Risk,
    Step,
    Suggestion,
    Target,
    Tenant,
    Unlock,
)

#: Channels on which an agent speaks aloud, so that a message reports what was said.
SPOKEN = frozenset({"ivr", "voice"})

#: By what an agent is on the line, whoever has the call.
_ANSWERED = ("call.answered", "call.conferenced")

_QUESTION = {"en": "May I ask for this: {label}?", "zh": "请问您的“{label}”是？"}


class Shown(BaseModel, frozen=True):
    """A value on its way to the page."""


class AttemptShown(Shown):
    """What came of one attempt to call back."""

    at: datetime
    outcome: str


class CallbackShown(Shown):
    """A callback on its card: which attempt comes next, or is being made, until when, and what came of those before."""

    phase: str
    attempt: int
    of: int
    until: datetime
    made: list[AttemptShown]


class OfferShown(Shown):
    """A handoff as its card shows it; `chained`: it follows another one; `prefers`: who has the customer already."""

    handoff_id: str
    customer_id: str
    interaction_id: str
    channel: str | None
    reason: str
    note: str | None
    step: str | None
    state: str
    to: Target
    mode: str
    kind: str
    skills: tuple[str, ...]
    priority: int
    waiting_since: datetime
    offered_at: datetime
    expires_at: datetime | None
    agent_id: str | None
    suggested: Suggestion | None
    chained: bool
    prefers: str | None = None
    callback: CallbackShown | None = None


class CallShown(Shown):
    """A call at an agent's phone: whether it rings, he talks, or has nothing to do with it any more; `role` as what."""

    interaction_id: str | None
    customer_id: str | None
    channel: str | None
    at: datetime
    state: Literal["ringing", "talking", "over"]
    role: str | None


class WorkHandoff(OfferShown):
    """The handoff that an agent works on; `mine` while that agent holds it, and only then with its fence."""

    mine: bool
    fence: int | None
    lease_ends: datetime | None
    receipt_at: datetime | None
    outcome: str | None


class PresenceShown(Shown):
    """Whether the agent is there for work; `routed` where his queue suggests to agents, so that it matters."""

    state: PresenceState
    reason: str | None
    routed: bool


class CustomerShown(Shown):
    """Who it is, and how surely."""

    customer_id: str
    known: bool
    identifiers: list[Identifier]
    assurance: Assurance


class InteractionShown(Shown):
    """The interaction that is being worked on; `spoken` where the agent talks aloud, `risks` what warns of it."""

    interaction_id: str
    channel: str
    touchpoint: str | None
    language: str | None
    state: str
    holder: Holder
    fence: int
    started_at: datetime
    risks: list[Risk]
    spoken: bool


class Rival(Shown):
    """Another living value of a fact."""

    value: Any
    state: str
    confidence: float
    origin: Origin | None


class FactRow(Shown):
    """One fact as a row; name and journey together say which one it is.

    `masked` stands for a value that the caller is not cleared for; `unlock` says what would clear it.
    """

    name: str
    label: str
    value: Any
    journey_id: str | None
    state: str
    confidence: float
    origin: Origin | None
    others: list[Rival]
    withheld: bool
    masked: str | None = None
    unlock: Unlock | None = None


class Askable(Shown):
    """A fact that can be asked for, and how to ask in the customer's language."""

    name: str
    label: str
    question: str


class StepShown(Shown):
    """One step of a journey."""

    step: str
    label: str


class ClaimShown(Shown):
    """Who does a step now that must not be done twice, until when; the fence is for who claimed it."""

    step: str
    label: str
    by: str
    until: datetime
    fence: int | None


class JourneyShown(Shown):
    """A journey with what it still needs; `once` is its step where that must not be done twice, `claim` who does it."""

    journey_id: str
    kind: str
    label: str
    state: str
    step: str | None
    current: bool
    missing: list[Askable]
    steps: list[StepShown]
    once: StepShown | None = None
    claim: ClaimShown | None = None


class CommitmentShown(Shown):
    """What we said we would do; `state` says whether it is due soon or overdue."""

    what: str
    owner: str
    due_at: datetime
    state: str


class Entry(Shown):
    """One event on the timeline; `label` is that of the fact it is about, `customer_id` whose timeline it stands on."""

    event_id: str
    version: int | None
    type: str
    at: datetime
    party: str
    channel: str | None
    journey_id: str | None
    label: str | None
    data: dict[str, Any]
    marks: list[str]
    customer_id: str | None = None


class Work(Shown):
    """All that an agent sees of one handoff; `degraded` says why it is only what was seen before, at `as_of`.

    `transfer` is the offer by which somebody else may take over.
    """

    handoff: WorkHandoff
    transfer: OfferShown | None
    customer: CustomerShown
    interaction: InteractionShown | None
    facts: list[FactRow]
    missing: list[str]
    journeys: list[JourneyShown]
    path: list[str]
    intent: str | None
    commitments: list[CommitmentShown]
    recent: list[Entry]
    version: int
    as_of: datetime | None = None
    degraded: str | None = None


class Beside(Shown):
    """All that an agent sees of a customer who is none of his work."""

    customer: CustomerShown
    facts: list[FactRow]
    missing: list[str]
    journeys: list[JourneyShown]
    path: list[str]
    commitments: list[CommitmentShown]
    recent: list[Entry]
    version: int


class Already(Shown):
    """A fact that was told before, as a warning shows it."""

    name: str
    label: str
    verdict: str
    value: Any
    origin: Origin | None
    reason: str


def spoken_by(say: dict[str, str], language: str, otherwise: str) -> str:
    """Return the sentence in a language or its nearest relative, else `otherwise`."""
    short = language.split("-")[0].lower()
    exact = say.get(language) or say.get(short)
    return exact or next((text for tag, text in say.items() if tag.split("-")[0].lower() == short), otherwise)


def fact_label(tenant: Tenant, name: str, language: str) -> str:
    """Return what the tenant calls a fact; its bare name where it says nothing."""
    spec = tenant.facts.get(name)
    return spoken_by(spec.say, language, name) if spec else name


def askable(tenant: Tenant, name: str, language: str, speak: str) -> Askable:
    """Return a fact with the question for it: labelled for the agent, worded for the customer."""
    wording = spoken_by(_QUESTION, speak, _QUESTION["en"])
    question = wording.format(label=fact_label(tenant, name, speak))
    return Askable(name=name, label=fact_label(tenant, name, language), question=question)


def all_askable(tenant: Tenant, language: str, speak: str) -> list[Askable]:
    """Return every fact that the tenant declared, by itself or for a journey, each once."""
    needed = [name for kind in tenant.journeys for name in kind.needs]
    return [askable(tenant, name, language, speak) for name in dict.fromkeys([*tenant.facts, *needed])]


def offer(handoff: HandoffView) -> OfferShown:
    """Show a handoff as a card."""
    return OfferShown(**_offer_fields(handoff))


def call(event: Event, agent_id: str) -> CallShown:
    """Show what a report of a call means for an agent."""
    is_his = event.data.get("agent_id") == agent_id and event.type != "call.ended"
    talks = event.type in _ANSWERED or event.data.get("holder") == agent_id
    return CallShown(
        interaction_id=event.interaction_id, customer_id=event.customer_id, channel=event.channel, at=event.at,
        state="over" if not is_his else "talking" if talks else "ringing", role=event.data.get("role"),
    )  # fmt: skip


def calls(listed: Iterable[ListedInteraction], agent_id: str) -> list[CallShown]:
    """Show the calls that ring at an agent's phone now or have him on the line."""
    mine = [(one, leg) for one in listed for leg in one.legs if leg.agent_id == agent_id and leg.is_live]
    return [
        CallShown(
            interaction_id=one.interaction_id, customer_id=one.customer_id, channel=one.channel,
            at=(leg.answered_at if leg.talks else None) or leg.began_at or one.started_at,
            state="talking" if leg.talks else "ringing", role=leg.role,
        )
        for one, leg in mine
    ]  # fmt: skip


def presence(view: AgentView, tenant: Tenant, queue: str) -> PresenceShown:
    """Show whether an agent is there for work."""
    return PresenceShown(state=view.state, reason=view.reason, routed=queue in tenant.suggesting)


def offers(waiting: Iterable[HandoffView]) -> list[OfferShown]:
    """Show those that still wait: the urgent ones first, then who waits longest."""
    cards = [offer(handoff) for handoff in waiting if handoff.state == "offered"]
    return sorted(cards, key=lambda card: (-card.priority, card.waiting_since, card.handoff_id))


def held(accepted: Iterable[HandoffView], agent_id: str) -> list[WorkHandoff]:
    """Show those that an agent holds, oldest first."""
    shown = [_held(handoff, agent_id, None) for handoff in accepted]
    return sorted((card for card in shown if card.mine), key=lambda card: card.offered_at)


def work(
    handoff: HandoffView, context: ContextView, tenant: Tenant, agent_id: str, language: str, fence: int | None = None
) -> Work:
    """Show a handoff with the context that came along."""
    interaction = _interaction(context, handoff.interaction_id)
    speak = (interaction and interaction.language) or language
    current = handoff.journey_id or (interaction.journey_id if interaction else None)
    journeys = _journeys(context, current, tenant, language, speak, agent_id)
    return Work(
        handoff=_held(handoff, agent_id, fence),
        transfer=_transfer(handoff, context),
        customer=_customer(context),
        interaction=_interaction_shown(interaction),
        facts=list(fact_rows(context.facts, tenant, language, journeys)),
        missing=_missing(journeys),
        journeys=journeys,
        path=_path(context, handoff.channel),
        intent=context.intent.name if context.intent else None,
        commitments=[_promise(promise) for promise in context.commitments],
        recent=entries(context.recent, tenant, language),
        version=context.version,
    )


def beside(context: ContextView, tenant: Tenant, language: str) -> Beside:
    """Show a customer whom no handoff brought here."""
    journeys = _journeys(context, None, tenant, language, language)
    return Beside(
        customer=_customer(context),
        facts=list(fact_rows(context.facts, tenant, language, journeys)),
        missing=_missing(journeys),
        journeys=journeys,
        path=_path(context, None),
        commitments=[_promise(promise) for promise in context.commitments],
        recent=entries(context.recent, tenant, language),
        version=context.version,
    )


def _transfer(handoff: HandoffView, context: ContextView) -> OfferShown | None:
    """Show the offer by which somebody else may take over what an agent holds."""
    after = (h for h in context.handoffs if h.parent_id == handoff.handoff_id and h.state == "offered")
    return next((offer(h) for h in after if h.kind == "live" and (h.to.queue or h.to.agent)), None)


def _missing(journeys: Iterable[JourneyShown]) -> list[str]:
    """Return what is still to ask, each name once."""
    return list(dict.fromkeys(fact.name for journey in journeys for fact in journey.missing))


def fact_rows(
    facts: dict[str, FactView], tenant: Tenant, language: str, journeys: list[JourneyShown]
) -> Iterator[FactRow]:
    """Yield a row for each fact, journey by journey, step by step; a name that two journeys hold has a row in each."""
    rows = [row for name, fact in facts.items() for row in _rows_of(name, fact, fact_label(tenant, name, language))]
    places = {journey.journey_id: (place, tenant.kind(journey.kind).needs) for place, journey in enumerate(journeys)}
    yield from sorted(rows, key=lambda row: _place(row.name, *places.get(row.journey_id or "", (len(journeys), []))))


def _place(name: str, journey: int, needs: list[str]) -> tuple[int, int]:
    """Return where a row stands: with its journey, in the order that the journey needs its facts."""
    return (journey, needs.index(name) if name in needs else len(needs))


def _rows_of(name: str, fact: FactView, label: str) -> Iterator[FactRow]:
    """Yield the fact itself, then its values in other journeys, which are no rivals to it but facts of their own."""
    by_journey: dict[str | None, list[FactLine]] = {fact.journey_id: [fact]}
    for line in fact.others:
        by_journey.setdefault(line.journey_id, []).append(line)
    for best, *rest in by_journey.values():
        yield FactRow(
            name=name, label=label, value=None if fact.withheld else best.value, journey_id=best.journey_id,
            state=best.state, confidence=best.confidence, origin=best.origin, others=[_rival(line) for line in rest],
            withheld=fact.withheld, masked=fact.masked, unlock=fact.unlock,
        )  # fmt: skip


def _rival(line: FactLine) -> Rival:
    """Show another value."""
    return Rival(value=line.value, state=line.state, confidence=line.confidence, origin=line.origin)


def entries(events: Iterable[Event], tenant: Tenant, language: str) -> list[Entry]:
    """Show events as entries of the timeline, oldest first."""
    return [entry(event, tenant, language) for event in events]


def entry(event: Event, tenant: Tenant, language: str) -> Entry:
    """Show one event."""
    return Entry(
        event_id=event.event_id, version=event.version, type=event.type, at=event.at, party=event.party,
        channel=event.channel, journey_id=event.journey_id, label=_entry_label(event, tenant, language),
        data=event.data, marks=event.marks, customer_id=event.customer_id,
    )  # fmt: skip


def _entry_label(event: Event, tenant: Tenant, language: str) -> str | None:
    """Return how that which an event is about is called: facts, questions and journeys have labels."""
    names = event.data.get("names") or [event.data.get("name")]
    if event.type.startswith("fact.") or event.type == "question.asked":
        return ", ".join(fact_label(tenant, str(name), language) for name in names)
    kind = event.data.get("kind")
    return kind_label(tenant, str(kind), language) if event.type == "journey.started" else None


def kind_label(tenant: Tenant, kind: str, language: str) -> str:
    """Return what the tenant calls a kind of journey."""
    return spoken_by(tenant.kind(kind).say, language, kind)


def told_before(answers: Iterable[Answer], tenant: Tenant, language: str) -> list[Already]:
    """Return what need not be asked, since it was told or is held back."""
    return [
        Already(
            name=answer.name, label=fact_label(tenant, answer.name, language), verdict=answer.verdict,
            value=answer.value, origin=answer.origin, reason=answer.reason,
        )
        for answer in answers if answer.verdict != "ask"
    ]  # fmt: skip


def _offer_fields(handoff: HandoffView) -> dict[str, Any]:
    """Return what card and work view have in common."""
    own = ("chained", "prefers", "callback")
    shared = {name: getattr(handoff, name) for name in OfferShown.model_fields if name not in own}
    prefers = handoff.prefers.agent if handoff.prefers else None
    called = _callback(handoff.callback) if handoff.callback else None
    return shared | {"chained": handoff.parent_id is not None, "prefers": prefers, "callback": called}


def _callback(callback: Callback) -> CallbackShown:
    """Show a callback without its number, which only whoever dials gets."""
    made = [AttemptShown(at=attempt.at, outcome=attempt.outcome) for attempt in callback.made]
    return CallbackShown(
        phase=callback.phase, attempt=callback.attempt, of=callback.attempts, until=callback.until, made=made
    )


def _promise(promise: Commitment) -> CommitmentShown:
    """Show a promise."""
    return CommitmentShown(what=promise.what, owner=promise.owner, due_at=promise.due_at, state=promise.state)


def _held(handoff: HandoffView, agent_id: str, fence: int | None) -> WorkHandoff:
    """Show the handoff to one agent; its fence is for who holds it."""
    mine = handoff.state == "accepted" and handoff.agent_id == agent_id
    return WorkHandoff(
        **_offer_fields(handoff), mine=mine, fence=(fence or handoff.fence) if mine else None,
        lease_ends=handoff.lease_ends, receipt_at=handoff.receipt_at, outcome=handoff.outcome,
    )  # fmt: skip


def _customer(context: ContextView) -> CustomerShown:
    """Show who it is."""
    return CustomerShown(
        customer_id=context.customer_id, known=context.known, identifiers=context.identifiers,
        assurance=context.assurance,
    )  # fmt: skip


def _interaction(context: ContextView, interaction_id: str) -> InteractionView | None:
    """Return the interaction that is handed over, if it is in sight."""
    return next((i for i in context.interactions if i.interaction_id == interaction_id), None)


def _interaction_shown(interaction: InteractionView | None) -> InteractionShown | None:
    """Show the interaction that is handed over."""
    if interaction is None:
        return None
    shared = {name: getattr(interaction, name) for name in InteractionShown.model_fields if name != "spoken"}
    return InteractionShown(**shared, spoken=interaction.channel in SPOKEN)


def _journeys(
    context: ContextView, current: str | None, tenant: Tenant, language: str, speak: str, agent_id: str | None = None
) -> list[JourneyShown]:
    """Show the journeys, the one that is being worked on first, then the freshest."""
    freshest = sorted(context.journeys, key=lambda journey: journey.updated_at, reverse=True)
    shown = [
        _journey(journey, journey.journey_id == current, tenant, language, speak).model_copy(
            update={"claim": _claim(journey, tenant, language, agent_id)}
        )
        for journey in freshest
    ]
    return sorted(shown, key=lambda journey: not journey.current)


def _claim(journey: JourneyView, tenant: Tenant, language: str, agent_id: str | None) -> ClaimShown | None:
    """Show who does a journey's step; its fence to the agent who does."""
    claim = journey.claim
    if claim is None:
        return None
    label = spoken_by(tenant.kind(journey.kind).at(claim.step).say, language, claim.step)
    fence = claim.fence if claim.by == agent_id else None
    return ClaimShown(step=claim.step, label=label, by=claim.by, until=claim.until, fence=fence)


def step_after(tenant: Tenant, kind: str, step: str) -> str | None:
    """Return the step that comes after one, or None where that is the last."""
    names = [declared.step for declared in tenant.kind(kind).steps]
    later = names[names.index(step) + 1 :] if step in names else []
    return later[0] if later else None


def _journey(journey: JourneyView, current: bool, tenant: Tenant, language: str, speak: str) -> JourneyShown:
    """Show one journey."""
    steps = tenant.kind(journey.kind).steps
    here = next((step for step in steps if journey.step in (None, step.step)), None)
    return JourneyShown(
        journey_id=journey.journey_id, kind=journey.kind, label=kind_label(tenant, journey.kind, language),
        state=journey.state, step=journey.step, current=current,
        missing=[askable(tenant, name, language, speak) for name in journey.missing],
        steps=[_step(step, language) for step in steps],
        once=_step(here, language) if here is not None and here.once else None,
    )  # fmt: skip


def _step(step: Step, language: str) -> StepShown:
    """Show a step as the tenant calls it."""
    return StepShown(step=step.step, label=spoken_by(step.say, language, step.step))


def _path(context: ContextView, otherwise: str | None) -> list[str]:
    """Return the channels that the customer came by, oldest first, without repeating one after itself."""
    came = [i.channel for i in sorted(context.interactions, key=lambda i: i.started_at)]
    channels = came or ([otherwise] if otherwise else [])
    return [channel for before, channel in zip([None, *channels], channels, strict=False) if channel != before]
