"""Who may see what: one function decides for contexts, asks, timelines and streams alike.

Below level 2 an interaction sees its own words and what came with its own handoff; from level 2 on also what is
shared, that is what was told at level 2 or more. What is told below level 2 is seen by nobody else's interaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ctxhub.errors import Forbidden, JourneyUnknown, Moved, Unavailable
from ctxhub.model.clearance import Disclosure, Item, ReadingFor, Standing, disclosed
from ctxhub.model.event import Sensitivity
from ctxhub.model.fact import SHARED_FROM, Answer, Fact, Origin, Verdict, latest_of_each_voice, verdict
from ctxhub.model.masking import mask
from ctxhub.model.value import Channel, Id, Level, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.call import Leg
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff
    from ctxhub.model.interaction import Intent, Interaction
    from ctxhub.model.journey import Journey
    from ctxhub.model.tenant import Tenant

Role = Literal["adapter", "agent", "supervisor", "admin"]

WRAPPED_UP_HOURS = 24
#: Events for colleagues alone: no channel hears of them, nor does its caller.
FOR_COLLEAGUES = (
    "note.added", "risk.flagged", "risk.cleared", "fact.revealed", "handoff.suggested", "handoff.opened"
)  # fmt: skip
_GLASS = "access.granted"
_HELPING = ("consulted", "joined")
_NONE: Mapping[str, Level] = MappingProxyType({})


class Reader(Value):
    """Who reads, for which interaction, of which channels and queues (empty: any), why; `granted`: broke the glass."""

    role: Role = "adapter"
    interaction_id: Id | None = None
    agent_id: Id | None = None
    purpose: ReadingFor = "service"
    granted: bool = False
    channels: frozenset[Channel] = frozenset()
    queues: frozenset[Name] = frozenset()


class Sight(NamedTuple):
    """What a reader may see: everything, or the words of some interactions and, by level, what is shared.

    Of the interactions in `kin` only the journeys are in sight, not the words; of those that turned out to be
    somebody else's (`away`), nothing. `fresh` says that the level was proven just now; `masks` that values which the
    level does not clear are shown masked. `names` has the levels that the tenant set for facts, `guarded` those for
    open journeys by their kind, `unknown` the highest of any kind.
    """

    everything: bool = False
    level: int = 0
    lineage: frozenset[str] = frozenset()
    journey_id: str | None = None
    internal: bool = False
    kin: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()
    fresh: bool = False
    masks: bool = False
    purpose: ReadingFor = "service"
    names: Mapping[str, Level] = _NONE
    guarded: Mapping[str, Level] = _NONE
    unknown: Level = 0

    @property
    def standing(self) -> Standing:
        """How the reader stands before the table of disclosure."""
        return Standing(self.level, self.fresh, self.internal, self.everything, self.purpose)

    def sees(self, origin: Origin) -> bool:
        """Tell whether something from this origin is in sight at all."""
        own = origin.interaction_id is not None and origin.interaction_id in self.lineage
        return self.everything or own or (self.level >= SHARED_FROM and origin.assurance >= SHARED_FROM)

    def of(self, fact: Fact) -> Disclosure:
        """Return what the reader gets of a fact, and what would clear the rest."""
        origin = fact.origin
        own = origin.interaction_id is not None and origin.interaction_id in self.lineage
        shared = origin.assurance >= SHARED_FROM
        return disclosed(self._item(fact.sensitivity, fact.name, fact.journey_id, own, shared), self.standing)

    def may_show(self, fact: Fact) -> bool:
        """Tell whether a fact in sight may be shown, and not just that there is one."""
        return self.of(fact).outcome == "shown"

    def _item(self, sensitivity: Sensitivity, name: str, journey_id: str | None, own: bool, shared: bool) -> Item:
        """Return a value as the table of disclosure looks at it."""
        return Item(sensitivity, own, shared, self.names.get(name), self._guard(journey_id))

    def _guard(self, journey_id: str | None) -> Level | None:
        """Return the level from which a journey is in sight; one that is over may have been of any kind."""
        return None if journey_id is None else self.guarded.get(journey_id, self.unknown)

    def clears_journey(self, journey_id: str | None) -> bool:
        """Tell whether the level is enough for what belongs to a journey."""
        return self.everything or self.level >= (self._guard(journey_id) or 0)

    def sees_journey(self, journey: Journey) -> bool:
        """Tell whether a journey is in sight: by origin, or since it came along with the handoff."""
        came_along = journey.journey_id == self.journey_id or journey.origin.interaction_id in self.kin
        if came_along or journey.origin.interaction_id in self.lineage:
            return True
        return self.sees(journey.origin) and self.clears_journey(journey.journey_id)

    def sees_told(self, type_: str, interaction_id: str | None, assurance: int) -> bool:
        """Tell whether an event is in sight; some are for colleagues alone, broken glass is for supervisors."""
        if (type_ in FOR_COLLEAGUES and not self.internal) or (type_ == _GLASS and not self.everything):
            return False
        own = self.everything or interaction_id in self.lineage
        if not own and interaction_id in self.away:
            return False
        return own or (self.level >= SHARED_FROM and assurance >= SHARED_FROM)

    def told(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event of the timeline as far as it is in sight: a value held back is left out, and said to be."""
        interaction_id = event.get("interaction_id")
        if not self.sees_told(event["type"], interaction_id, event["assurance"]):
            return None
        own = interaction_id in self.lineage
        if not own and self.unknown and not self.clears_journey(event.get("journey_id")):
            return None
        if "value" not in event["data"]:
            return event
        return self._with_value(event, own)

    def _with_value(self, event: dict[str, Any], own: bool) -> dict[str, Any] | None:
        """Return an event in sight with its value as far as that is the reader's."""
        data = event["data"]
        shared = event["assurance"] >= SHARED_FROM
        item = self._item(
            sensitivity_of(event["type"], data), data.get("name", ""), event.get("journey_id"), own, shared
        )
        outcome, unlock = disclosed(item, self.standing)
        if outcome == "shown":
            return event
        if outcome == "unseen":
            return None
        rest = {name: value for name, value in data.items() if name != "value"}
        rest |= {"withheld": True} | ({"unlock": unlock.model_dump()} if unlock else {})
        if outcome == "masked" and event["type"].startswith("fact."):
            rest["masked"] = mask(data["value"])
        return event | {"data": rest}


def sensitivity_of(type_: str, data: Mapping[str, Any]) -> Sensitivity:
    """Return how sensitive what an event says is; what was keyed in at a prompt may be anything."""
    if type_ in FOR_COLLEAGUES or type_ == _GLASS:
        return "internal"
    if not type_.startswith("fact."):
        return "sensitive" if "value" in data else "personal"
    sensitivity: Sensitivity = data.get("sensitivity", "personal")
    return sensitivity


NOTHING = Sight()
EVERYTHING = Sight(everything=True, level=3, internal=True)


def sight(context: Context, reader: Reader, tenant: Tenant, now: datetime) -> Sight:
    """Return what a reader may see now; `Forbidden` for an agent who has nothing to do with the customer.

    So it is for an interaction of a channel that is not the reader's. Raises `Moved` for one that went elsewhere.
    """
    if reader.interaction_id in context.moved:
        home = context.moved[reader.interaction_id]
        raise Moved(f"interaction {reader.interaction_id} is at customer {home} now", customer_id=home)
    _must_be_of(context, reader)
    seen = under(_sight(context, reader, tenant, now), context, tenant)._replace(purpose=reader.purpose)
    return seen._replace(away=frozenset(context.moved)) if context.moved else seen


def _must_be_of(context: Context, reader: Reader) -> None:
    """Refuse a reader for an interaction of a channel that is not his."""
    interaction = context.interactions.get(reader.interaction_id or "")
    if reader.channels and interaction is not None and interaction.channel not in reader.channels:
        raise Forbidden("this key is for other channels", channel=interaction.channel)


def _sight(context: Context, reader: Reader, tenant: Tenant, now: datetime) -> Sight:
    """Return what a reader may see now by role and interaction."""
    if reader.purpose == "routing":
        return NOTHING
    if reader.granted or (reader.role in ("admin", "supervisor") and reader.interaction_id is None):
        return EVERYTHING
    if reader.role == "agent":
        return _sight_of_agent(context, reader, tenant, now)
    if reader.interaction_id is None:
        return NOTHING
    interaction, colleague = context.interaction(reader.interaction_id), reader.role == "supervisor"
    if tenant.policies.knowledge == "off":
        return _without_knowledge(interaction, frozenset({interaction.interaction_id}), internal=colleague)
    return sight_of(interaction, now, internal=colleague)._replace(masks=colleague)


def under(seen: Sight, context: Context, tenant: Tenant) -> Sight:
    """Return a sight under the levels that a tenant has set for facts and kinds of journeys."""
    names, kinds = tenant.disclosed_from
    if not names and not kinds:
        return seen
    guarded = {key: kinds.get(journey.kind, 0) for key, journey in context.journeys.items()}
    return seen._replace(names=names, guarded=guarded, unknown=max(kinds.values(), default=0))


def _without_knowledge(interaction: Interaction, lineage: frozenset[str], internal: bool = False) -> Sight:
    """Return what is left to the control group: the tasks at hand, so that the same is asked, and no facts."""
    kin = frozenset({interaction.interaction_id, *interaction.lineage})
    return Sight(lineage=lineage, journey_id=interaction.journey_id, internal=internal, kin=kin)


def sight_of(interaction: Interaction, now: datetime, internal: bool = False) -> Sight:
    """Return what an interaction may see: by its level, its own words, and what came with its own handoff."""
    lineage = frozenset({interaction.interaction_id, *interaction.lineage})
    fresh = interaction.assurance.is_fresh(now)
    return Sight(False, interaction.level(now), lineage, interaction.journey_id, internal, fresh=fresh)


def _sight_of_agent(context: Context, reader: Reader, tenant: Tenant, now: datetime) -> Sight:
    """Return what an agent may see: of what he holds, was offered, or within 24 hours wrapped up or helped with."""
    handoff = _work_of(context, reader, now)
    here = _on_the_line(context, reader, now) if handoff is None else handoff.interaction_id
    if here not in context.interactions:
        named = f"agent {reader.agent_id}" if reader.agent_id else "whoever names no agent (X-Ctxhub-Agent)"
        raise Forbidden(
            f"{named} neither holds nor was offered anything of this customer; "
            "whoever must read it all the same says why first, by POST …/access"
        )
    called = handoff.called if handoff is not None else None
    interaction = context.interactions.get(called or "", context.interactions[here])
    if tenant.policies.knowledge == "off":
        return _without_knowledge(interaction, frozenset(), internal=True)
    return sight_of(interaction, now, internal=True)._replace(masks=True)


def _work_of(context: Context, reader: Reader, now: datetime) -> Handoff | None:
    """Return the handoff that lets an agent in, the one held now first."""
    wanted = [h for h in context.handoffs.values() if reader.interaction_id in (None, h.interaction_id, h.called)]
    mine = [handoff for handoff in wanted if _concerns(handoff, reader, now)]
    return max(mine, key=lambda h: (h.state == "accepted", h.accepted_at or h.offered_at), default=None)


def _on_the_line(context: Context, reader: Reader, now: datetime) -> str:
    """Return the interaction whose call lets an agent in; empty where there is none."""
    wanted = [i for i in context.interactions.values() if reader.interaction_id in (None, i.interaction_id)]
    legs = [(i, leg) for i in wanted if i.call is not None for leg in i.call.attested.legs]
    mine = [i for i, leg in legs if leg.agent_id == reader.agent_id and _lets_in(leg, i, now)]
    return max(mine, key=lambda i: (i.is_open, i.started_at)).interaction_id if mine else ""


def _lets_in(leg: Leg, interaction: Interaction, now: datetime) -> bool:
    """Tell whether an agent takes part in a call now, is being rung, or was consulted within 24 hours."""
    if leg.is_live and interaction.is_open:
        return True
    ended_at = leg.ended_at or interaction.ended_at
    return leg.role in _HELPING and ended_at is not None and _is_recent(ended_at, now)


def _concerns(handoff: Handoff, reader: Reader, now: datetime) -> bool:
    """Tell whether an agent holds it, may take it, or wrapped it up within 24 hours."""
    if handoff.state == "offered":
        serves = not reader.queues or handoff.to.queue is None or handoff.to.queue in reader.queues
        return serves and handoff.waits_in is not None and handoff.to.agent in (None, reader.agent_id)
    recent = handoff.final_at is None or _is_recent(handoff.final_at, now)
    return recent and handoff.agent_id is not None and reader.agent_id in (None, handoff.agent_id)


def _is_recent(ended_at: datetime, now: datetime) -> bool:
    """Tell whether somebody's part ended so lately that he may still look."""
    return (now - ended_at).total_seconds() < WRAPPED_UP_HOURS * 3600


def facts_in_sight(context: Context, seen: Sight, now: datetime) -> dict[tuple[str, str | None], list[Fact]]:
    """Return the living values in sight by name and journey, best first; what is masked below level 2 is not."""
    return _grouped(fact for fact in context.facts if fact.lives(now) and _is_seen(fact, seen))


def _is_seen(fact: Fact, seen: Sight) -> bool:
    """Tell whether a reader gets to know of a fact, and may go by it."""
    return seen.sees(fact.origin) and (seen.internal or fact.sensitivity != "internal")


def masked_in_sight(context: Context, seen: Sight, now: datetime) -> dict[tuple[str, str | None], list[Fact]]:
    """Return what an agent below level 2 is told of with a mask: what the customer shares, by name and journey."""
    if not seen.masks or seen.level >= SHARED_FROM:
        return {}
    hidden = [fact for fact in context.facts if fact.lives(now) and not _is_seen(fact, seen)]
    return _grouped(fact for fact in hidden if seen.of(fact).outcome != "unseen")


def _grouped(facts: Iterable[Fact]) -> dict[tuple[str, str | None], list[Fact]]:
    """Return values by name and journey, best first, without what was replaced or rejected."""
    groups: dict[tuple[str, str | None], list[Fact]] = {}
    for fact in facts:
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
    groups = _answered_from(context, seen, now)
    journey = journey_id or seen.journey_id
    return [_answer(name, values(groups, name, journey, journey_id is not None), seen) for name in names]


def _answered_from(context: Context, seen: Sight, now: datetime) -> dict[tuple[str, str | None], list[Fact]]:
    """Return the values that a reader is told of, as in the context: a name in sight stands for itself."""
    groups = facts_in_sight(context, seen, now)
    in_sight = {name for name, _ in groups}
    masked = masked_in_sight(context, seen, now)
    return groups | {key: facts for key, facts in masked.items() if key[0] not in in_sight}


def _answer(name: str, found: list[Fact], seen: Sight) -> Answer:
    """Say of one name whether it may be asked."""
    held_back = seen.of(found[0]) if found else None
    if held_back is not None and held_back.outcome in ("masked", "withheld"):
        return _withheld(name, found[0], held_back, seen)
    judged, reason = verdict([fact for fact in found if seen.may_show(fact)])
    if judged == "ask":
        return Answer(name=name, verdict="ask", reason=reason)
    return Answer(name=name, verdict=judged, value=found[0].value, origin=found[0].origin, reason=reason)


def _withheld(name: str, fact: Fact, held_back: Disclosure, seen: Sight) -> Answer:
    """Say of a name that there is a value, and what would clear it; below level 2 it is asked for all the same."""
    outcome, unlock = held_back
    reason = "a higher level of assurance would show it" if unlock else "it is not shown for this purpose"
    judged: Verdict = "withheld" if seen.level >= SHARED_FROM else "ask"
    masked = mask(fact.value) if outcome == "masked" else None
    return Answer(name=name, verdict=judged, reason=reason, unlock=unlock, masked=masked)


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
