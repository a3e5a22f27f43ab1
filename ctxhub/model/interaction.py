"""Interactions: one call, chat, visit or thread on one channel, from start to end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ctxhub.errors import Moved, NotTheHolder, Unavailable
from ctxhub.model.call import Call, Leg, Recording
from ctxhub.model.consent import is_refused
from ctxhub.model.customer import NOBODY, Assurance, AssuranceClaim, Identifier
from ctxhub.model.disclosure import sight_of
from ctxhub.model.event import Change, Event, Party, Ref
from ctxhub.model.hop import Hop, landed, place, switch
from ctxhub.model.hop import carried as carried_facts
from ctxhub.model.risk import Attestation, Risk, cap, flagged, of_attestation
from ctxhub.model.trace import Span
from ctxhub.model.value import Channel, CustomerId, ExternalId, Id, Instant, Language, Level, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff

LONGEST_REF = 128
Outcome = Literal["resolved", "unresolved", "abandoned"]


class Holder(Value):
    """Who may speak to the customer now."""

    party: Party
    id: Id | None = None


class Intent(Value):
    """What the customer seems to want, and how that is known."""

    name: Name
    confidence: float = 1.0
    interaction_id: Id | None = None
    evidence: Id | None = None
    at: Instant | None = None
    assurance: Level = 0


class Interaction(Value):
    """One call, chat, visit or thread; `lineage` names the interactions whose handoffs led here.

    `shared_intent` is what the customer wanted when last known at level 2, where `intent` was told below it.
    `repeats` remembers, as fence and name, which repeats were counted under which holder; `hop` how the holder came.
    `heard_at` is when it was last heard of, where silence has ended it. `adopted` names the merges that brought it here
    and `told_at` the customers on whose timelines its events stand that were told before it came; those in `taken_for`
    turned out to be somebody else. Of one that is `unkept` no words are kept. `ani` is the number calling, under a key.
    `call` is what the telephone system reported; where only that says that it is over, it goes on again as soon as a
    later report says otherwise. `span` is that of its start, where spans are made. What was proven before `revoked_at`
    counts no more, whenever it is told.
    """

    interaction_id: Id
    channel: Channel
    system: Id
    external_id: ExternalId
    direction: Literal["inbound", "outbound"] = "inbound"
    touchpoint: Name | None = None
    language: Language | None = None
    refs: tuple[Ref, ...] = ()
    state: Literal["open", "ended"] = "open"
    holder: Holder
    fence: int = 1
    journey_id: Id | None = None
    intent: Intent | None = None
    shared_intent: Intent | None = None
    declined: tuple[Id, ...] = ()
    resumed: tuple[Id, ...] = ()
    repeats: tuple[str, ...] = ()
    hop: Hop | None = None
    assurance: Assurance = NOBODY
    revoked_at: Instant | None = None
    risks: tuple[Risk, ...] = ()
    handoff_id: Id | None = None
    lineage: tuple[Id, ...] = ()
    started_at: Instant
    ended_at: Instant | None = None
    ended_by: Literal["channel", "silence", "call"] | None = None
    call: Call | None = None
    heard_at: Instant | None = None
    outcome: Outcome | None = None
    disposition: Name | None = None
    reopened: int = 0
    moves: int = 0
    adopted: tuple[Id, ...] = ()
    told_at: tuple[CustomerId, ...] = ()
    taken_for: tuple[CustomerId, ...] = ()
    unkept: bool = False
    ani: Id | None = None
    span: Span | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it goes on."""
        return self.state == "open"

    def is_held_by(self, agent_id: str | None) -> bool:
        """Tell whether an agent may have the floor: also where none is named, or none by name holds it."""
        return agent_id is None or (self.holder.party == "agent" and self.holder.id in (None, agent_id))

    def level(self, now: datetime) -> Level:
        """Return how surely the customer is known in it at an instant, as far as no warning caps that."""
        return min(self.assurance.at(now).level, cap(self.risks))

    @property
    def proven(self) -> Level:
        """How surely the customer is known in it until that lapses, as far as no warning caps that."""
        return min(self.assurance.level, cap(self.risks))

    @property
    def is_suspect(self) -> bool:
        """Tell whether a warning caps what it discloses."""
        return cap(self.risks) < 2

    def assurance_for(self, internal: bool, now: datetime) -> Assurance:
        """Return the assurance as shown: to a colleague what is left of it, to a channel what it has asserted itself.

        A channel that saw it fall would ask its caller for proof again, who then would know.
        """
        left = self.assurance.at(now)
        return left.but(level=self.level(now)) if internal and self.risks else left


class Waiting(Value):
    """Where an interaction waits for a human; without a queue it is for one agent."""

    handoff_id: Id
    queue: Name | None = None
    since: Instant


class InteractionView(Value):
    """An interaction as shown; what warns of it, in `risks`, to colleagues only."""

    interaction_id: Id
    channel: Channel
    system: Id
    external_id: ExternalId
    direction: str = "inbound"
    touchpoint: Name | None = None
    language: Language | None = None
    refs: tuple[Ref, ...] = ()
    state: Literal["open", "ended"]
    holder: Holder
    fence: int
    journey_id: Id | None = None
    assurance: Assurance
    started_at: Instant
    ended_at: Instant | None = None
    waits: Waiting | None = None
    legs: tuple[Leg, ...] = ()
    recording: Recording | None = None
    risks: tuple[Risk, ...] = ()


class HandoffHint(Value):
    """The token or code that brought the customer here."""

    token: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    code: Annotated[str, Field(min_length=1, max_length=16)] | None = None


class Start(Value):
    """What a channel knows as an interaction begins; `dnis` is the number called.

    With `agent_id` it is the leg of an agent who has answered.
    """

    channel: Channel
    external_id: ExternalId
    system: Id | None = None
    direction: Literal["inbound", "outbound"] = "inbound"
    touchpoint: Name | None = None
    language: Language | None = None
    refs: list[Ref] = Field([], max_length=32)
    identifiers: list[Identifier] = Field([], max_length=64)
    customer_id: CustomerId | None = None
    assurance: AssuranceClaim | None = None
    attestation: Attestation | None = None
    handoff: HandoffHint | None = None
    dnis: Annotated[Id, Field(max_length=64)] | None = None
    party: Party = "bot"
    agent_id: Id | None = None

    @property
    def of_system(self) -> str:
        """The system that gave the external id: the channel's name unless said otherwise."""
        return self.system or self.channel

    @property
    def level(self) -> Level:
        """How surely the channel says that the customer is known."""
        return self.assurance.level if self.assurance else 0

    @property
    def holder(self) -> Holder:
        """Whoever has the floor as it begins."""
        return Holder(party="agent", id=self.agent_id) if self.agent_id else Holder(party=self.party)

    @property
    def own_ref(self) -> Ref | None:
        """Its own name, as other systems would name it."""
        return call_named(self.of_system, self.external_id)


def call_named(system: str, external_id: str) -> Ref | None:
    """Return a call's own name as other systems would name it; None where it is too long for that."""
    return Ref(system=system, kind="call", id=external_id) if len(external_id) <= LONGEST_REF else None


def view(interaction: Interaction, now: datetime, internal: bool = False) -> InteractionView:
    """Show an interaction, with the assurance that is left, and to colleagues what warns of it."""
    # What is taken out stands in the context's handoffs, and in the call's course.
    names = InteractionView.model_fields.keys() - {"waits", "legs", "recording"}
    shown: dict[str, Any] = {name: getattr(interaction, name) for name in names}
    if interaction.call is not None:
        shown |= {"legs": interaction.call.course.legs, "recording": interaction.call.course.recording}
    warned = interaction.risks if internal else ()
    return InteractionView.model_construct(
        **shown | {"assurance": interaction.assurance_for(internal, now), "risks": warned}
    )


def find(context: Context, interaction_id: str) -> Interaction:
    """Return an interaction; `Moved` where it went to another customer."""
    if interaction_id in context.moved:
        home = context.moved[interaction_id]
        raise Moved(f"interaction {interaction_id} is at customer {home} now", customer_id=home)
    if interaction_id in context.moves:
        raise Unavailable(f"interaction {interaction_id} is moving to another customer", retry_after=1)
    if interaction_id not in context.interactions and context.is_joining:
        raise Unavailable(f"interaction {interaction_id} may be on its way here, by a merge", retry_after=1)
    return context.interaction(interaction_id)


def start(
    context: Context, request: Start, interaction_id: str, now: datetime, via: Handoff | None = None,
    fraud_queue: str | None = None,
) -> Change:  # fmt: skip
    """Begin an interaction; one that came by a handoff brings along its words, journey, assurance and warnings."""
    source = context.interactions.get(via.interaction_id) if via else None
    interaction = Interaction(
        interaction_id=interaction_id,
        channel=request.channel,
        system=request.of_system,
        external_id=request.external_id,
        direction=request.direction,
        touchpoint=request.touchpoint,
        language=request.language or (source.language if source else None),
        refs=tuple(request.refs),
        holder=request.holder,
        journey_id=via.journey_id if via else None,
        assurance=surest(_claimed(request, now), carried(via, source, now)),
        risks=source.risks if source else (),
        handoff_id=via.handoff_id if via else None,
        lineage=(source.interaction_id, *source.lineage) if source else (),
        started_at=now,
        adopted=source.adopted if source else (),
        unkept=is_refused(context, "keeping", source.interaction_id if source else None, now),
    )
    data: dict[str, Any] = {
        "system": interaction.system,
        "external_id": interaction.external_id,
        "direction": interaction.direction,
    }
    data |= {
        "touchpoint": interaction.touchpoint,
        "language": interaction.language,
        "handoff_id": interaction.handoff_id,
    }
    context = context.with_interaction(interaction)
    context, arrival = _arrival(context, interaction, source, now)
    event = happened(interaction, "started", beginning(interaction_id), now, data | arrival)
    return _attested(Change(context, [event]), request, interaction_id, now, fraud_queue)


def _attested(begun: Change, request: Start, interaction_id: str, now: datetime, fraud_queue: str | None) -> Change:
    """Warn of an interaction whose caller's number is not what the network attests."""
    warning = of_attestation(request.attestation, begun.context.interaction(interaction_id), now)
    if warning is None:
        return begun
    warned = flagged(begun.context, warning, fraud_queue)
    return Change(warned.context, begun.events + warned.events)


def _arrival(
    context: Context, interaction: Interaction, source: Interaction | None, now: datetime
) -> tuple[Context, dict[str, Any]]:
    """Note how the customer came to an interaction that begins; return also what its event tells of that."""
    if source is not None:
        return landed(context, interaction, _by_handoff(interaction, source, now), now, _had(context, source, now))
    hop = switch(context, interaction.interaction_id, interaction.channel, now)
    if hop is not None:
        return landed(context, interaction, hop, now)
    return context, {"carried": carried_facts(context, sight_of(interaction, now), now)}


def _by_handoff(interaction: Interaction, source: Interaction, now: datetime) -> Hop:
    """Return the hop of a customer whom a handoff brings from another interaction."""
    came_from = place(source.channel, source.holder.party)
    return Hop(came_from=came_from, to=interaction.channel, by="handoff", at=now)


def _had(context: Context, source: Interaction, now: datetime) -> int:
    """Return how many facts were in sight where the customer came from."""
    internal = source.holder.party == "agent"
    return carried_facts(context, sight_of(source, now, internal), now)


def arrive(context: Context, interaction_id: str, source: Interaction, now: datetime) -> tuple[Context, dict[str, Any]]:
    """Note that a handoff brought its customer to an interaction that had begun before."""
    interaction = context.interaction(interaction_id)
    return landed(context, interaction, _by_handoff(interaction, source, now), now, _had(context, source, now))


def beginning(interaction_id: str) -> str:
    """Return the id of the event that tells of an interaction's beginning."""
    return f"{interaction_id}:started"


def must_have_floor(interaction: Interaction, agent_id: str | None) -> None:
    """Refuse an agent what only the holder may do, while somebody else has the floor; nobody named is not refused."""
    if not interaction.is_held_by(agent_id):
        raise not_the_holder(interaction, f"{agent_id} does not have the floor")


def must_not_be_anothers(interaction: Interaction, agent_id: str | None) -> None:
    """Refuse an agent what would cut off another one who has the floor."""
    if interaction.is_open and interaction.holder.party == "agent":
        must_have_floor(interaction, agent_id)


def not_the_holder(interaction: Interaction, why: str) -> NotTheHolder:
    """Return the refusal of whoever does not have the floor, with who has it."""
    return NotTheHolder(
        why, interaction_id=interaction.interaction_id, fence=interaction.fence, holder=interaction.holder.model_dump()
    )


def happened(interaction: Interaction, verb: str, event_id: str, at: datetime, data: dict[str, Any]) -> Event:
    """Return the event that tells what became of an interaction."""
    return Event(
        event_id=event_id,
        type=f"interaction.{verb}",
        at=at,
        interaction_id=interaction.interaction_id,
        channel=interaction.channel,
        assurance=interaction.level(at),
        data={key: value for key, value in data.items() if value is not None},
    )


def _claimed(request: Start, now: datetime) -> Assurance:
    """Return the assurance that the channel asserts; an identifier alone is a claim."""
    claim = request.assurance or AssuranceClaim(level=1 if request.identifiers else 0, method="identifier")
    if claim.level == 0:
        return NOBODY
    until = now + timedelta(seconds=claim.expires_in)
    return Assurance(level=claim.level, method=claim.method, channel=request.channel, until=until, raised_at=now)


def carried(via: Handoff | None, source: Interaction | None, now: datetime) -> Assurance:
    """Return what a handoff carries: by signal the offering interaction's assurance, by message a claim at most."""
    if via is None or source is None:
        return NOBODY
    left = source.assurance.at(now)
    level = min(source.level(now), via.offered_level if via.delivery == "signal" else 1)
    return left.but(level=level, method=f"handoff:{left.method}" if left.method else "handoff") if level else NOBODY


def surest(a: Assurance, b: Assurance) -> Assurance:
    """Return the higher of two assurances."""
    return max(a, b, key=lambda assurance: assurance.level)


def end(
    context: Context,
    interaction_id: str,
    now: datetime,
    outcome: Outcome | None = None,
    disposition: str | None = None,
    by: Literal["channel", "silence", "call"] = "channel",
) -> Change:
    """End an interaction; ending it again changes nothing. Whoever waited in a queue for a human has left."""
    interaction = find(context, interaction_id)
    if not interaction.is_open:
        return Change(context, [])
    ended = interaction.but(state="ended", ended_at=now, ended_by=by, outcome=outcome, disposition=disposition)
    event_id = f"{interaction_id}:ended:{interaction.reopened}"
    data = {"by": by, "outcome": outcome, "disposition": disposition}
    if interaction.unkept:
        context = context.with_facts(f for f in context.facts if f.origin.interaction_id != interaction_id)
        ended = ended.but(intent=None, shared_intent=None)
    return Change(context.with_interaction(ended), [happened(interaction, "ended", event_id, now, data)])


def reopen(context: Context, interaction: Interaction, now: datetime) -> Change:
    """Take up again an interaction that silence had closed, or a report that turned out not to be the last."""
    again = interaction.but(state="open", ended_at=None, ended_by=None, reopened=interaction.reopened + 1)
    event_id = f"{interaction.interaction_id}:reopened:{again.reopened}"
    return Change(context.with_interaction(again), [happened(again, "reopened", event_id, now, {})])


def with_refs(context: Context, interaction_id: str, refs: list[Ref], now: datetime, op: str) -> Change:
    """Add other systems' names for an interaction; those it has already change nothing."""
    interaction = find(context, interaction_id)
    fresh = [ref for ref in dict.fromkeys(refs) if ref not in interaction.refs]
    if not fresh:
        return Change(context, [])
    data = {"refs": [ref.model_dump() for ref in fresh]}
    event = happened(interaction, "referred", f"{interaction_id}:referred:{op}", now, data)
    return Change(context.with_interaction(interaction.but(refs=interaction.refs + tuple(fresh))), [event])


def with_floor(context: Context, interaction: Interaction, holder: Holder) -> tuple[Context, Interaction]:
    """Give the floor to somebody; the fence rises each time. Whoever takes it by a handoff notes the hop after that."""
    moved = interaction.but(holder=holder, fence=interaction.fence + 1, hop=None)
    return context.with_interaction(moved), moved
