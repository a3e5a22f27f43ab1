"""The context: all that the hub knows about a customer now, as one frozen value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from ctxhub.errors import HandoffUnknown, InteractionUnknown, JourneyUnknown
from ctxhub.model.commitment import Commitment
from ctxhub.model.customer import Assurance, Identifier
from ctxhub.model.event import Event
from ctxhub.model.fact import Fact, FactView
from ctxhub.model.handoff import Handoff, HandoffView
from ctxhub.model.interaction import Intent, Interaction, InteractionView
from ctxhub.model.journey import Journey, JourneyView, Offer
from ctxhub.model.value import CustomerId, Instant, Value

KEEP_ENDED = timedelta(days=30)
KEEP_FINAL = timedelta(hours=24)
MOST_ENDED = 100


class Move(Value):
    """An interaction on its way to another customer; kept until both sides have it."""

    interaction_id: str
    to: CustomerId
    at: Instant
    assurance: Assurance | None = None


class Context(Value):
    """All that the hub knows about one customer; a change of it is a pure function that returns a `Change`."""

    customer_id: CustomerId
    known: bool = False
    created_at: Instant
    identifiers: tuple[Identifier, ...] = ()
    facts: tuple[Fact, ...] = ()
    journeys: dict[str, Journey] = {}
    interactions: dict[str, Interaction] = {}
    handoffs: dict[str, Handoff] = {}
    commitments: dict[str, Commitment] = {}
    moves: dict[str, Move] = {}
    moved: dict[str, CustomerId] = {}

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
        """Return the interaction's open offer, if there is one."""
        mine = (h for h in self.handoffs.values() if h.interaction_id == interaction_id)
        return next((handoff for handoff in mine if handoff.state == "offered"), None)

    def held_handoff(self, interaction_id: str) -> Handoff | None:
        """Return the accepted handoff whose holder has the interaction's floor, if there is one."""
        mine = (h for h in self.handoffs.values() if h.interaction_id == interaction_id)
        return next((handoff for handoff in mine if handoff.state == "accepted" and handoff.redeemed is None), None)

    def pruned(self, now: datetime) -> Context:
        """Return the context without what has lapsed or is long over; what a handoff or a move needs stays."""
        needed = {h.interaction_id for h in self.handoffs.values() if not h.is_final} | self.moves.keys()
        ended = [i for i in self.interactions.values() if not i.is_open]
        stale = {i.interaction_id for i in ended if i.ended_at and now - i.ended_at > KEEP_ENDED}
        surplus = sorted(ended, key=lambda i: i.ended_at or now)[: max(0, len(ended) - MOST_ENDED)]
        gone = (stale | {i.interaction_id for i in surplus}) - needed
        return self._with(
            facts=tuple(fact for fact in self.facts if fact.lives(now) and fact.origin.scope not in gone),
            interactions={k: i for k, i in self.interactions.items() if k not in gone},
            handoffs={k: h for k, h in self.handoffs.items() if not (h.final_at and now - h.final_at > KEEP_FINAL)},
        )

    def _with(self, **changes: Any) -> Context:
        """Return the context with some fields changed."""
        return self.model_copy(update=changes)


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
    intent: Intent | None = None
    steering: dict[str, Any] = {}
    recent: list[Event] = []


class Started(Value):
    """The answer to a start: everything a channel needs to go on."""

    interaction: InteractionView
    customer_id: CustomerId
    known: bool
    ambiguous: bool = False
    context: ContextView
    resume: list[Offer] = []
    live: list[InteractionView] = []
    handoff_problem: dict[str, Any] | None = None
    handoff: HandoffView | None = None
