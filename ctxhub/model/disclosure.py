"""Who may see what: one function decides for contexts, asks, timelines and streams alike.

Below level 2 an interaction sees its own words and what came with its own handoff; from level 2 on also what is
shared, that is what was told at level 2 or more. What is told below level 2 is seen by nobody else's interaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ctxhub.errors import Forbidden, JourneyUnknown, Moved, Unavailable
from ctxhub.model.event import Sensitivity
from ctxhub.model.fact import SHARED_FROM, Answer, Fact, Origin, latest_of_each_voice, verdict
from ctxhub.model.value import Id, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff
    from ctxhub.model.interaction import Intent, Interaction
    from ctxhub.model.journey import Journey
    from ctxhub.model.tenant import Tenant

Role = Literal["adapter", "agent", "supervisor", "admin"]

WRAPPED_UP_HOURS = 24
_LEVEL_FOR: dict[Sensitivity, int] = {"public": 2, "internal": 4, "personal": 2, "sensitive": 3}


class Reader(Value):
    """Who reads, and for which interaction."""

    role: Role = "adapter"
    interaction_id: Id | None = None
    agent_id: Id | None = None


class Sight(NamedTuple):
    """What a reader may see: everything, or the words of some interactions and, by level, what is shared.

    Of the interactions in `kin` only the journeys are in sight, not the words.
    """

    everything: bool = False
    level: int = 0
    lineage: frozenset[str] = frozenset()
    journey_id: str | None = None
    internal: bool = False
    kin: frozenset[str] = frozenset()

    def sees(self, origin: Origin) -> bool:
        """Tell whether something from this origin is in sight at all."""
        own = origin.interaction_id is not None and origin.interaction_id in self.lineage
        return self.everything or own or (self.level >= SHARED_FROM and origin.assurance >= SHARED_FROM)

    def may_show(self, fact: Fact) -> bool:
        """Tell whether a fact in sight may be shown, and not just that there is one."""
        own = fact.origin.interaction_id is not None and fact.origin.interaction_id in self.lineage
        return self.everything or own or self._is_enough_for(fact.sensitivity)

    def sees_journey(self, journey: Journey) -> bool:
        """Tell whether a journey is in sight: by origin, or since it came along with the handoff."""
        came_along = journey.journey_id == self.journey_id or journey.origin.interaction_id in self.kin
        return self.sees(journey.origin) or came_along

    def sees_told(self, type_: str, interaction_id: str | None, assurance: int) -> bool:
        """Tell whether an event on the timeline is in sight; notes are for colleagues."""
        if type_ == "note.added" and not self.internal:
            return False
        own = self.everything or interaction_id in self.lineage
        return own or (self.level >= SHARED_FROM and assurance >= SHARED_FROM)

    def told(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event of the timeline as far as it is in sight: a value held back is left out, and said to be."""
        if not self.sees_told(event["type"], event.get("interaction_id"), event["assurance"]):
            return None
        if self.everything or event.get("interaction_id") in self.lineage or "value" not in event["data"]:
            return event
        if self._is_enough_for(_sensitivity_of(event)):
            return event
        rest = {name: value for name, value in event["data"].items() if name != "value"}
        return event | {"data": rest | {"withheld": True}}

    def _is_enough_for(self, sensitivity: Sensitivity) -> bool:
        """Tell whether the level, or being a colleague, allows this sensitivity to be shown."""
        return self.level >= _LEVEL_FOR[sensitivity] or (self.internal and sensitivity == "internal")


def _sensitivity_of(event: dict[str, Any]) -> Sensitivity:
    """Return how sensitive an event's value is; what was keyed in at a prompt may be anything."""
    if not event["type"].startswith("fact."):
        return "sensitive"
    sensitivity: Sensitivity = event["data"].get("sensitivity", "personal")
    return sensitivity


NOTHING = Sight()
EVERYTHING = Sight(everything=True, level=3, internal=True)


def sight(context: Context, reader: Reader, tenant: Tenant, now: datetime) -> Sight:
    """Return what a reader may see now; `Forbidden` for an agent who has nothing to do with the customer.

    Raises `Moved` for an interaction that went to another customer.
    """
    if reader.interaction_id in context.moved:
        home = context.moved[reader.interaction_id]
        raise Moved(f"interaction {reader.interaction_id} is at customer {home} now", customer_id=home)
    if reader.role in ("admin", "supervisor") and reader.interaction_id is None:
        return EVERYTHING
    if reader.role == "agent":
        return _sight_of_agent(context, reader, tenant, now)
    if reader.interaction_id is None:
        return NOTHING
    interaction = context.interaction(reader.interaction_id)
    if tenant.policies.knowledge == "off":
        return _without_knowledge(interaction, frozenset({interaction.interaction_id}))
    return sight_of(interaction, now)


def _without_knowledge(interaction: Interaction, lineage: frozenset[str], internal: bool = False) -> Sight:
    """Return what is left to the control group: the tasks at hand, so that the same is asked, and no facts."""
    kin = frozenset({interaction.interaction_id, *interaction.lineage})
    return Sight(lineage=lineage, journey_id=interaction.journey_id, internal=internal, kin=kin)


def sight_of(interaction: Interaction, now: datetime, internal: bool = False) -> Sight:
    """Return what an interaction may see: by its level, its own words, and what came with its own handoff."""
    lineage = frozenset({interaction.interaction_id, *interaction.lineage})
    return Sight(False, interaction.level(now), lineage, interaction.journey_id, internal)


def _sight_of_agent(context: Context, reader: Reader, tenant: Tenant, now: datetime) -> Sight:
    """Return what an agent may see: for what he holds, was offered, or wrapped up within 24 hours."""
    handoff = _work_of(context, reader, now)
    if handoff is None or handoff.interaction_id not in context.interactions:
        raise Forbidden(f"agent {reader.agent_id} neither holds nor was offered anything of this customer")
    interaction = context.interactions[handoff.interaction_id]
    if tenant.policies.knowledge == "off":
        return _without_knowledge(interaction, frozenset(), internal=True)
    return sight_of(interaction, now, internal=True)


def _work_of(context: Context, reader: Reader, now: datetime) -> Handoff | None:
    """Return the handoff that lets an agent in, the one held now first."""
    wanted = [h for h in context.handoffs.values() if reader.interaction_id in (None, h.interaction_id)]
    mine = [handoff for handoff in wanted if _concerns(handoff, reader.agent_id, now)]
    return max(mine, key=lambda h: (h.state == "accepted", h.accepted_at or h.offered_at), default=None)


def _concerns(handoff: Handoff, agent_id: str | None, now: datetime) -> bool:
    """Tell whether an agent holds it, may take it, or wrapped it up within 24 hours."""
    if handoff.state == "offered":
        return handoff.to.agent in (None, agent_id) and handoff.to.channel is None
    recent = handoff.final_at is None or (now - handoff.final_at).total_seconds() < WRAPPED_UP_HOURS * 3600
    return recent and handoff.agent_id is not None and (agent_id is None or handoff.agent_id == agent_id)


def facts_in_sight(context: Context, seen: Sight, now: datetime) -> dict[tuple[str, str | None], list[Fact]]:
    """Return the living values in sight by name and journey, best first."""
    groups: dict[tuple[str, str | None], list[Fact]] = {}
    for fact in context.facts:
        if fact.lives(now) and seen.sees(fact.origin):
            groups.setdefault((fact.name, fact.journey_id), []).append(fact)
    _spread_rejections(groups)
    standing = {key: latest_of_each_voice(facts) for key, facts in groups.items()}
    return {key: facts for key, facts in standing.items() if facts}


def _spread_rejections(groups: dict[tuple[str, str | None], list[Fact]]) -> None:
    """Let a rejection without a journey count in every journey's group of its name."""
    for (name, journey_id), facts in list(groups.items()):
        marks = [fact for fact in facts if journey_id is None and fact.state == "rejected"]
        for key in (key for key in groups if marks and key[0] == name and key[1] is not None):
            groups[key] = groups[key] + marks


def values(
    groups: dict[tuple[str, str | None], list[Fact]], name: str, journey_id: str | None, only: bool
) -> list[Fact]:
    """Return the values of a name for a journey: its own, else the customer's, else (unless `only`) any journey's."""
    found = groups.get((name, journey_id)) or groups.get((name, None))
    if found or only:
        return found or []
    return next((facts for key, facts in groups.items() if key[0] == name), [])


def answers(context: Context, seen: Sight, names: list[str], journey_id: str | None, now: datetime) -> list[Answer]:
    """Say of each name whether it may be asked."""
    groups = facts_in_sight(context, seen, now)
    journey = journey_id or seen.journey_id
    return [_answer(name, values(groups, name, journey, journey_id is not None), seen) for name in names]


def _answer(name: str, found: list[Fact], seen: Sight) -> Answer:
    """Say of one name whether it may be asked."""
    if found and not seen.may_show(found[0]):
        return Answer(name=name, verdict="withheld", reason="a higher level of assurance would show it")
    judged, reason = verdict([fact for fact in found if seen.may_show(fact)])
    if judged == "ask":
        return Answer(name=name, verdict="ask", reason=reason)
    return Answer(name=name, verdict=judged, value=found[0].value, origin=found[0].origin, reason=reason)


def missing(journey: Journey, groups: dict[tuple[str, str | None], list[Fact]], tenant: Tenant) -> list[str]:
    """Return the facts that a journey still needs, in the order of its steps."""
    return [name for name in tenant.kind(journey.kind).needs if not values(groups, name, journey.journey_id, True)]


def touchable(context: Context, seen: Sight, journey_id: str) -> Journey:
    """Return a journey in sight; `JourneyUnknown` where there is none, or it is not the teller's to touch."""
    journey = context.journey(journey_id)
    if not seen.sees_journey(journey):
        raise JourneyUnknown(f"there is no open journey {journey_id}", journey_id=journey_id)
    if journey.origin.interaction_id in context.moves:
        raise Unavailable(f"journey {journey_id} is moving to another customer", retry_after=1)
    return journey


def intent_in_sight(context: Context, seen: Sight) -> Intent | None:
    """Return the latest intent that the reader may know of."""
    noted = [intent for i in context.interactions.values() for intent in (i.shared_intent, i.intent)]
    told = [intent for intent in noted if intent is not None and _sees_intent(seen, intent)]
    return max(told, key=lambda intent: intent.at or context.created_at, default=None)


def _sees_intent(seen: Sight, intent: Intent) -> bool:
    """Tell whether an intent is in sight."""
    own = intent.interaction_id in seen.lineage
    return seen.everything or own or (seen.level >= SHARED_FROM and intent.assurance >= SHARED_FROM)
