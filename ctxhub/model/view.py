"""Contexts as shown: what a reader's sight leaves of the document, in the shapes of the contract."""

from __future__ import annotations

from datetime import datetime

from ctxhub.model.context import Context, ContextView
from ctxhub.model.customer import NOBODY, Assurance
from ctxhub.model.disclosure import Sight, facts_in_sight, intent_in_sight, missing
from ctxhub.model.fact import SHARED_FROM as SHARED
from ctxhub.model.fact import Fact, FactLine, FactView, line
from ctxhub.model.handoff import HandoffView
from ctxhub.model.handoff import view as handoff_view
from ctxhub.model.interaction import Interaction, InteractionView, Waiting
from ctxhub.model.interaction import view as interaction_view
from ctxhub.model.journey import Journey, JourneyView, Offer, ReasonCode, agent_elsewhere, worker, worth
from ctxhub.model.tenant import Tenant

Groups = dict[tuple[str, str | None], list[Fact]]

#: From this importance on, that alone is a reason to offer a journey.
IMPORTANT = 4


def context_view(
    context: Context, seen: Sight, tenant: Tenant, now: datetime, interaction_id: str | None = None
) -> ContextView:
    """Show a context; versions and recent events are put in by whoever read them."""
    groups = facts_in_sight(context, seen, now)
    return ContextView.model_construct(
        customer_id=context.customer_id,
        version=0,
        document_version=0,
        known=context.known,
        identifiers=list(context.identifiers) if seen.everything or seen.level >= SHARED else [],
        assurance=_assurance(context, seen, now, interaction_id),
        facts=_facts(groups, seen),
        journeys=[_journey(context, j, seen, groups, tenant, now) for j in _in_sight(context, seen)],
        interactions=interactions_in_sight(context, seen, now),
        handoffs=_handoffs(context, seen),
        commitments=[c for c in context.commitments.values() if seen.sees(c.origin)],
        intent=intent_in_sight(context, seen),
        steering={"known": context.known, "journeys": _steering(context), "language": _language(context)},
        recent=[],
    )


def _assurance(context: Context, seen: Sight, now: datetime, interaction_id: str | None) -> Assurance:
    """Show the asking interaction's assurance; without one, the surest of all open ones to who sees everything."""
    if interaction_id is not None:
        return context.interaction(interaction_id).assurance.at(now)
    levels = [i.assurance.at(now) for i in context.interactions.values() if i.is_open and i.interaction_id]
    visible = seen.everything or bool(seen.lineage)
    return max(levels, key=lambda assurance: assurance.level, default=NOBODY) if visible else NOBODY


def _facts(groups: Groups, seen: Sight) -> dict[str, FactView]:
    """Show each name once: the asking interaction's journey first, then the best; the rest under `others`."""
    by_name: dict[str, list[Fact]] = {}
    for (name, journey_id), facts in groups.items():
        before = by_name.get(name, [])
        first = journey_id is not None and journey_id == seen.journey_id
        by_name[name] = facts + before if first else _best_first(before, facts, seen)
    return {name: _fact(facts, seen) for name, facts in by_name.items()}


def _best_first(before: list[Fact], facts: list[Fact], seen: Sight) -> list[Fact]:
    """Put two groups of one name in order; what belongs to the asking interaction's journey stays in front."""
    if not before or before[0].journey_id == seen.journey_id is not None:
        return before + facts
    return sorted(before + facts, key=lambda fact: fact.rank)


def _fact(facts: list[Fact], seen: Sight) -> FactView:
    """Show the best value with its living rivals, or that it is withheld."""
    best = facts[0]
    if not seen.may_show(best):
        return FactView(
            state=best.state, confidence=best.confidence, sensitivity=best.sensitivity,
            journey_id=best.journey_id, withheld=True,
        )  # fmt: skip
    rivals: list[FactLine] = [line(fact) for fact in facts[1:] if fact.value != best.value and seen.may_show(fact)]
    return FactView.model_construct(**dict(line(best)), others=rivals, withheld=False)


def _in_sight(context: Context, seen: Sight) -> list[Journey]:
    """Return the journeys in sight."""
    return [journey for journey in context.journeys.values() if seen.sees_journey(journey)]


def _journey(
    context: Context, journey: Journey, seen: Sight, groups: Groups, tenant: Tenant, now: datetime
) -> JourneyView:
    """Show a journey with the facts still to ask, and who is at work on it in an interaction in sight."""
    shown = {name: getattr(journey, name) for name in JourneyView.model_fields if name not in ("missing", "worker")}
    busy = worker(context, journey.journey_id, lambda interaction: _sees_interaction(interaction, seen, now))
    return JourneyView.model_construct(**shown, missing=missing(journey, groups, tenant), worker=busy)


def interactions_in_sight(context: Context, seen: Sight, now: datetime) -> list[InteractionView]:
    """Show the open interactions in sight, and those ended that the reader came from."""
    return [_interaction(context, i, now) for i in context.interactions.values() if _sees_interaction(i, seen, now)]


def _interaction(context: Context, interaction: Interaction, now: datetime) -> InteractionView:
    """Show an interaction, and where it waits for a human."""
    shown, offer = interaction_view(interaction, now), context.open_offer(interaction.interaction_id)
    if offer is None or (offer.to.queue is None and offer.to.agent is None):
        return shown
    return shown.but(waits=Waiting(handoff_id=offer.handoff_id, queue=offer.to.queue, since=offer.waiting_since))


def _sees_interaction(interaction: Interaction, seen: Sight, now: datetime) -> bool:
    """Tell whether an interaction is in sight."""
    if interaction.interaction_id in seen.lineage:
        return True
    surely = seen.level >= SHARED and interaction.level(now) >= SHARED
    return interaction.is_open and (seen.everything or surely)


def _handoffs(context: Context, seen: Sight) -> list[HandoffView]:
    """Show the open handoffs of the interactions in sight."""
    shown = []
    for handoff in context.handoffs.values():
        if handoff.is_final or not (seen.everything or handoff.interaction_id in seen.lineage):
            continue
        interaction = context.interactions.get(handoff.interaction_id)
        shown.append(handoff_view(handoff, context.customer_id, interaction.channel if interaction else None))
    return shown


def _steering(context: Context) -> list[str]:
    """Return the kinds of open journeys that are shared: fit to steer menus, not to be turned into words."""
    shared = [j for j in context.journeys.values() if j.is_open and j.origin.scope is None]
    return list(dict.fromkeys(journey.kind for journey in shared))


def _language(context: Context) -> str | None:
    """Return the language that the customer used last at level 2 or more."""
    spoken = [i for i in context.interactions.values() if i.language and i.assurance.level >= SHARED]
    return max(spoken, key=lambda i: i.started_at).language if spoken else None


def offers(context: Context, seen: Sight, interaction: Interaction, tenant: Tenant, now: datetime) -> list[Offer]:
    """Return the journeys worth resuming, best first: the one that was handed over, then by what they are `worth`.

    What was declined in the interaction is not offered again, and to a bot not what an agent works on elsewhere.
    """
    groups = facts_in_sight(context, seen, now)
    open_ = [journey for journey in _in_sight(context, seen) if journey.is_open]
    wanted = [journey for journey in open_ if _is_wanted(context, journey, interaction)]

    def rank(journey: Journey) -> tuple[bool, float, datetime]:
        weight = worth(tenant.kind(journey.kind).importance, now - journey.updated_at)
        return journey.journey_id == interaction.journey_id, weight, journey.updated_at

    ranked = sorted(wanted, key=rank, reverse=True)
    return [_offer(_journey(context, j, seen, groups, tenant, now), j, interaction, tenant) for j in ranked]


def _is_wanted(context: Context, journey: Journey, interaction: Interaction) -> bool:
    """Tell whether a journey may be offered in an interaction."""
    if journey.journey_id in interaction.declined:
        return False
    return interaction.holder.party != "bot" or agent_elsewhere(context, journey.journey_id, interaction) is None


def _offer(shown: JourneyView, journey: Journey, interaction: Interaction, tenant: Tenant) -> Offer:
    """Show a journey worth resuming, and why."""
    code = _reason(journey, interaction, tenant)
    return Offer.model_construct(**dict(shown), reason=_in_words(code, journey), reason_code=code)


def _reason(journey: Journey, interaction: Interaction, tenant: Tenant) -> ReasonCode:
    """Say as a code why a journey is worth resuming."""
    if journey.journey_id == interaction.journey_id:
        return "handed_over" if interaction.handoff_id else "at_hand"
    if tenant.kind(journey.kind).importance >= IMPORTANT:
        return "important"
    return "resting" if journey.state == "suspended" else "recent"


def _in_words(code: ReasonCode, journey: Journey) -> str:
    """Say in words why a journey is worth resuming."""
    since = f"{journey.state} since {journey.rested_at or journey.updated_at:%Y-%m-%d %H:%M}"
    words = {"handed_over": "came with the handoff", "at_hand": "what this interaction is about"}
    return words.get(code, f"important; {since}" if code == "important" else since)


def live(context: Context, seen: Sight, interaction_id: str, now: datetime) -> list[InteractionView]:
    """Return the customer's other open interactions, as far as they are in sight."""
    shown = interactions_in_sight(context, seen, now)
    return [other for other in shown if other.state == "open" and other.interaction_id != interaction_id]
