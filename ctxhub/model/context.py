"""The context: all that the hub knows about a customer now, as one frozen value."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from ctxhub.errors import HandoffUnknown, InteractionUnknown, JourneyUnknown
from ctxhub.model.commitment import Commitment
from ctxhub.model.consent import Consent, ConsentView
from ctxhub.model.customer import Assurance, Identifier, with_identifiers
from ctxhub.model.event import Event
from ctxhub.model.fact import SHARED_FROM, Fact, FactView
from ctxhub.model.handoff import Handoff, HandoffView
from ctxhub.model.interaction import Intent, Interaction, InteractionView
from ctxhub.model.journey import Journey, JourneyView, Offer
from ctxhub.model.source import SourceState
from ctxhub.model.value import CustomerId, Id, Instant, Name, Text, Value

KEEP_ENDED = timedelta(days=30)
KEEP_FINAL = timedelta(hours=24)
MOST_ENDED = 100


class Move(Value):
    """An interaction on its way to another customer; kept until both sides have it.

    Where nobody knows yet who that is (`known`), `identifiers` are what leads there from now on.
    """

    interaction_id: str
    to: CustomerId
    at: Instant
    assurance: Assurance | None = None
    known: bool = True
    identifiers: tuple[Identifier, ...] = ()
    reason: Name | None = None


class Hold(Value):
    """A legal hold: as long as it lasts nothing of the customer is erased or lapses; why, since when, and by whom."""

    reason: Text
    at: Instant
    by: Name


MergeState = Literal["begun", "adopted", "done", "undoing"]


class Merge(Value):
    """Another customer who is this one now, what leads here by that, and the merges it had taken in before."""

    merge_id: Id
    source: CustomerId
    at: Instant
    state: MergeState = "begun"
    identifiers: tuple[Identifier, ...] = ()
    inner: tuple[Id, ...] = ()

    @property
    def is_under_way(self) -> bool:
        """Tell whether it is neither done nor undone."""
        return self.state != "done"


class LastServed(Value):
    """Which agent had a customer last, kept when the handoff itself is long over."""

    agent_id: Id
    at: Instant


class Frozen(Value):
    """Says of a customer that it is another one now, by which merge; all else stays as it was."""

    merge_id: Id
    to: CustomerId


class Context(Value):
    """All that the hub knows about one customer; a change of it is a pure function that returns a `Change`.

    At `review_at` the time of something that was told is over; all of it was looked at last at
    `reviewed_at`, under the tenant's times that are known by `reviewed_under`.
    """

    customer_id: CustomerId
    known: bool = False
    created_at: Instant
    identifiers: tuple[Identifier, ...] = ()
    facts: tuple[Fact, ...] = ()
    journeys: dict[str, Journey] = {}
    interactions: dict[str, Interaction] = {}
    handoffs: dict[str, Handoff] = {}
    commitments: dict[str, Commitment] = {}
    consents: tuple[Consent, ...] = ()
    moves: dict[str, Move] = {}
    moved: dict[str, CustomerId] = {}
    hold: Hold | None = None
    review_at: Instant | None = None
    reviewed_under: Id | None = None
    reviewed_at: Instant | None = None
    merges: dict[str, Merge] = {}
    served: LastServed | None = None
    frozen: Frozen | None = None

    @property
    def named_by(self) -> tuple[Identifier, ...]:
        """All by which it was ever named: its own identifiers, and those of the customers merged into it."""
        merged = [identifier for merge in self.merges.values() for identifier in merge.identifiers]
        return with_identifiers(self.identifiers, merged) if merged else self.identifiers

    @property
    def leading(self) -> tuple[Identifier, ...]:
        """What leads here: all by which it was named, but what was only claimed below level 2 of somebody known."""
        return tuple(identifier for identifier in self.named_by if identifier.leads)

    @property
    def told_outside(self) -> Context:
        """It as it may be told outside the hub, whole but for what cards could be tried against."""
        merges = {
            key: merge.but(identifiers=tuple(one.shown for one in merge.identifiers))
            for key, merge in self.merges.items()
        }
        return self._with(identifiers=tuple(one.shown for one in self.identifiers), merges=merges)

    @property
    def is_proven(self) -> bool:
        """Tell whether anything is known of it that somebody told at level 2 or more."""
        return (
            any(interaction.proven >= SHARED_FROM for interaction in self.interactions.values())
            or any(identifier.unsure is None for identifier in self.named_by)
            or any(fact.origin.assurance >= SHARED_FROM for fact in self.facts)
        )

    @property
    def is_joining(self) -> bool:
        """Tell whether another customer is on its way here, by a merge that has begun."""
        return any(merge.state == "begun" for merge in self.merges.values())

    @property
    def is_undoing(self) -> bool:
        """Tell whether a merge is being undone: until that is over, nothing else is decided."""
        return any(merge.state == "undoing" for merge in self.merges.values())

    @property
    def leaving(self) -> frozenset[str]:
        """The interactions that are on their way to another customer: moved, or of a merge that is being undone."""
        undone = {merge_id for merge_id, merge in self.merges.items() if merge.state == "undoing"}
        parting = {k for k, i in self.interactions.items() if undone.intersection(i.adopted[-1:])} if undone else ()
        return frozenset((*self.moves, *parting))

    def interaction(self, interaction_id: str) -> Interaction:
        """Return an interaction; `InteractionUnknown` where there is none."""
        found = self.interactions.get(interaction_id)
        if found is None:
            raise InteractionUnknown(
                f"customer {self.customer_id} has no interaction {interaction_id}", interaction_id=interaction_id
            )
        return found

    def handoff(self, handoff_id: str) -> Handoff:
        """Return a handoff; `HandoffUnknown` where there is none."""
        found = self.handoffs.get(handoff_id)
        if found is None:
            raise HandoffUnknown(f"there is no handoff {handoff_id}", handoff_id=handoff_id)
        return found

    def journey(self, journey_id: str) -> Journey:
        """Return a journey; `JourneyUnknown` where there is none."""
        found = self.journeys.get(journey_id)
        if found is None:
            raise JourneyUnknown(f"there is no open journey {journey_id}", journey_id=journey_id)
        return found

    def with_interaction(self, interaction: Interaction) -> Context:
        """Return the context with an interaction put in its place."""
        return self._with(interactions=self.interactions | {interaction.interaction_id: interaction})

    def with_handoff(self, handoff: Handoff) -> Context:
        """Return the context with a handoff put in its place."""
        return self._with(handoffs=self.handoffs | {handoff.handoff_id: handoff})

    def with_journey(self, journey: Journey) -> Context:
        """Return the context with a journey put in its place."""
        return self._with(journeys=self.journeys | {journey.journey_id: journey})

    def with_facts(self, facts: Iterable[Fact]) -> Context:
        """Return the context with these facts and no others."""
        return self._with(facts=tuple(facts))

    def open_offer(self, interaction_id: str) -> Handoff | None:
        """Return the interaction's open offer, if there is one; a link, a callback or a message beside it is none."""
        mine = (h for h in self.handoffs.values() if h.interaction_id == interaction_id and h.state == "offered")
        return next((h for h in mine if h.place_of is None and h.callback is None and h.kind != "message"), None)

    def held_handoff(self, interaction_id: str) -> Handoff | None:
        """Return the accepted handoff whose holder has the interaction's floor, if there is one."""
        mine = (h for h in self.handoffs.values() if h.interaction_id == interaction_id)
        return next((handoff for handoff in mine if handoff.has_floor), None)

    def pruned(self, now: datetime) -> Context:
        """Return the context without what has lapsed or is long over; what a handoff or a move needs stays."""
        needed = {h.interaction_id for h in self.handoffs.values() if not h.is_final} | self.moves.keys()
        ended = [i for i in self.interactions.values() if not i.is_open]
        stale = {i.interaction_id for i in ended if i.ended_at and now - i.ended_at > KEEP_ENDED}
        gone = (stale | _surplus(ended, now)) - needed
        over = {k for k, h in self.handoffs.items() if h.final_at and now - h.final_at > KEEP_FINAL}
        return self._with(
            facts=tuple(fact for fact in self.facts if fact.lives(now) and fact.origin.scope not in gone),
            consents=tuple(c for c in self.consents if c.lives(now) and c.origin.scope not in gone),
            interactions={k: i for k, i in self.interactions.items() if k not in gone},
            handoffs={k: h for k, h in self.handoffs.items() if k not in over},
            identifiers=tuple(
                i for i in self.identifiers if i.leads or _is_told_in(i, self.interactions.keys() - gone)
            ),
            served=_last_served(self.served, [self.handoffs[k] for k in over]),
        )

    def _with(self, **changes: Any) -> Context:
        """Return the context with some fields changed."""
        return self.but(**changes)


def _is_told_in(identifier: Identifier, left: Collection[str]) -> bool:
    """Tell whether an identifier was claimed outside interactions, or in one of those that are left."""
    told_in = identifier.unsure.told_in if identifier.unsure else ()
    return not told_in or any(interaction_id in left for interaction_id in told_in)


def _last_served(before: LastServed | None, over: list[Handoff]) -> LastServed | None:
    """Return which agent had the customer last, by what is known and by handoffs that are let go of."""
    had = [LastServed(agent_id=h.agent_id, at=h.final_at) for h in over if h.agent_id and h.final_at]
    return max([*([before] if before else []), *had], key=lambda served: (served.at, served.agent_id), default=None)


def _surplus(ended: list[Interaction], now: datetime) -> set[str]:
    """Return the oldest of too many ended interactions, counted for each customer that was merged by itself."""
    sides: dict[tuple[str, ...], list[Interaction]] = {}
    for interaction in ended:
        sides.setdefault(interaction.adopted, []).append(interaction)
    by_age = [sorted(side, key=lambda i: i.ended_at or now) for side in sides.values()]
    return {i.interaction_id for side in by_age for i in side[: max(0, len(side) - MOST_ENDED)]}


class ContextView(Value):
    """A context as shown to one reader."""

    customer_id: CustomerId
    version: int
    document_version: int
    known: bool
    identifiers: list[Identifier] = []
    assurance: Assurance
    facts: dict[str, FactView] = {}
    journeys: list[JourneyView] = []
    interactions: list[InteractionView] = []
    handoffs: list[HandoffView] = []
    commitments: list[Commitment] = []
    consents: dict[str, ConsentView] = {}
    intent: Intent | None = None
    steering: dict[str, Any] = {}
    recent: list[Event] = []


class SourceStanding(Value):
    """How a source stands that was asked as an interaction began."""

    source: Name
    state: SourceState


class Started(Value):
    """The answer to a start: everything a channel needs to go on.

    `place_kept` says of one who waited elsewhere whether waiting goes on here; `place` is the handoff that waits now.
    """

    interaction: InteractionView
    customer_id: CustomerId
    known: bool
    ambiguous: bool = False
    find_out: list[str] = []
    context: ContextView
    resume: list[Offer] = []
    live: list[InteractionView] = []
    handoff_problem: dict[str, Any] | None = None
    handoff: HandoffView | None = None
    place_kept: bool | None = None
    place: HandoffView | None = None
    sources: list[SourceStanding] = []
