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
from ctxhub.model.interaction import Interaction, InteractionView
from ctxhub.model.interaction import view as interaction_view
from ctxhub.model.journey import Journey, JourneyView, Offer
from ctxhub.model.tenant import Tenant

Groups = dict[tuple[str, str | None], list[Fact]]


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
        journeys=[_journey(j, groups, tenant) for j in context.journeys.values() if seen.sees_journey(j)],
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


def _journey(journey: Journey, groups: Groups, tenant: Tenant) -> JourneyView:
    """Show a journey with the facts still to ask."""
    shown = {name: getattr(journey, name) for name in JourneyView.model_fields if name != "missing"}
    return JourneyView.model_construct(**shown, missing=missing(journey, groups, tenant))


def interactions_in_sight(context: Context, seen: Sight, now: datetime) -> list[InteractionView]:
    """Show the open interactions in sight, and those ended that the reader came from."""
    return [interaction_view(i, now) for i in context.interactions.values() if _sees_interaction(i, seen, now)]


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
    """Return the journeys worth resuming, best first: the one that was handed over, then the freshest."""
    groups = facts_in_sight(context, seen, now)
    open_ = [j for j in context.journeys.values() if j.is_open and seen.sees_journey(j)]
    wanted = [journey for journey in open_ if journey.journey_id not in interaction.declined]
    ranked = sorted(wanted, key=lambda j: (j.journey_id == interaction.journey_id, j.updated_at), reverse=True)
    return [_offer(journey, interaction, groups, tenant) for journey in ranked]


def _offer(journey: Journey, interaction: Interaction, groups: Groups, tenant: Tenant) -> Offer:
    """Show a journey worth resuming, and why."""
    handed = journey.journey_id == interaction.journey_id
    reason = "came with the handoff" if handed else f"{journey.state} since {journey.updated_at:%Y-%m-%d %H:%M}"
    return Offer.model_construct(**dict(_journey(journey, groups, tenant)), reason=reason)


def live(context: Context, seen: Sight, interaction_id: str, now: datetime) -> list[InteractionView]:
    """Return the customer's other open interactions, as far as they are in sight."""
    shown = interactions_in_sight(context, seen, now)
    return [other for other in shown if other.state == "open" and other.interaction_id != interaction_id]
