"""Contexts as shown: what a reader's sight leaves of the document, in the shapes of the contract."""

from __future__ import annotations

from datetime import datetime

from ctxhub.model.calling_back import missed
from ctxhub.model.claiming import standing as standing_claim
from ctxhub.model.commitment import Commitment
from ctxhub.model.consent import ConsentView, is_refused, standing
from ctxhub.model.consent import view as consent_view
from ctxhub.model.context import Context, ContextView
from ctxhub.model.customer import NOBODY, Assurance, Identifier
from ctxhub.model.disclosure import Sight, facts_in_sight, intent_in_sight, masked_in_sight, missing
from ctxhub.model.fact import SHARED_FROM as SHARED
from ctxhub.model.fact import Fact, FactLine, FactView, line
from ctxhub.model.handoff import HandoffView, without_notes
from ctxhub.model.handoff import view as handoff_view
from ctxhub.model.interaction import Interaction, InteractionView, Waiting
from ctxhub.model.interaction import view as interaction_view
from ctxhub.model.journey import Journey, JourneyView, Offer, ReasonCode, agent_elsewhere, worker, worth
from ctxhub.model.masking import mask
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
        identifiers=identifiers_in_sight(context, seen),
        assurance=_assurance(context, seen, now, interaction_id),
        facts=_facts(groups, seen) | _masked(groups, masked_in_sight(context, seen, now), seen),
        journeys=[_journey(context, j, seen, groups, tenant, now) for j in _in_sight(context, seen)],
        interactions=interactions_in_sight(context, seen, now),
        handoffs=_handoffs(context, seen),
        commitments=[c for c in context.commitments.values() if _sees_promise(c, seen)],
        consents=_consents(context, seen, now, interaction_id),
        intent=intent_in_sight(context, seen),
        steering={
            "known": context.known,
            "journeys": [] if is_refused(context, "profiling", interaction_id, now) else _steering(context, now),
            "language": _language(context),
        },
        recent=[],
    )


def identifiers_in_sight(context: Context, seen: Sight, said: Identifier | None = None) -> list[Identifier]:
    """Show what leads to the customer; where from, when it was seen, and what is unsure only to who sees everything.

    Below level 2 that is nothing, save what the reader `said` just now, as it was said: what is held of it, and whether
    it is, would tell of the customer.
    """
    if seen.everything:
        return [identifier.shown for identifier in context.named_by]
    shared = [one for one in context.named_by if one.unsure is None] if seen.level >= SHARED else []
    own = [] if said is None or said.what in {one.what for one in shared} else [said]
    return [one.plain for one in (*shared, *own)]


def _sees_promise(promise: Commitment, seen: Sight) -> bool:
    """Tell whether a promise is in sight: by origin, and where its journey is."""
    own = promise.origin.interaction_id in seen.lineage
    return seen.sees(promise.origin) and (own or seen.clears_journey(promise.journey_id))


def _assurance(context: Context, seen: Sight, now: datetime, interaction_id: str | None) -> Assurance:
    """Show the asking interaction's assurance; without one, the surest of all open ones to who sees everything."""
    if interaction_id is not None:
        return context.interaction(interaction_id).assurance_for(seen.internal, now)
    open_ = [interaction for interaction in context.interactions.values() if interaction.is_open]
    levels = [interaction.assurance_for(seen.internal, now) for interaction in open_]
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


def _masked(groups: Groups, hidden: Groups, seen: Sight) -> dict[str, FactView]:
    """Show with a mask what an agent's caller is not cleared for; a name in sight stands for itself."""
    in_sight = {name for name, _ in groups}
    return {name: shown for name, shown in _facts(hidden, seen).items() if name not in in_sight}


def _fact(facts: list[Fact], seen: Sight) -> FactView:
    """Show the best value with its living rivals, or that it is held back and what would unlock it."""
    best = facts[0]
    outcome, unlock = seen.of(best)
    if outcome != "shown":
        return FactView(
            state=best.state, confidence=best.confidence, sensitivity=best.sensitivity, journey_id=best.journey_id,
            withheld=True, masked=mask(best.value) if outcome == "masked" else None, unlock=unlock,
        )  # fmt: skip
    rivals: list[FactLine] = [line(fact) for fact in facts[1:] if fact.value != best.value and seen.may_show(fact)]
    return FactView.model_construct(**dict(line(best)), others=rivals, withheld=False, masked=None, unlock=None)


def _in_sight(context: Context, seen: Sight) -> list[Journey]:
    """Return the journeys in sight."""
    return [journey for journey in context.journeys.values() if seen.sees_journey(journey)]


def _journey(
    context: Context, journey: Journey, seen: Sight, groups: Groups, tenant: Tenant, now: datetime
) -> JourneyView:
    """Show a journey with the facts still to ask, and who is at work on it in an interaction in sight."""
    names = JourneyView.model_fields.keys() - {"missing", "worker", "claim"}
    shown = {name: getattr(journey, name) for name in names}
    busy = worker(context, journey.journey_id, lambda interaction: _sees_interaction(interaction, seen, now))
    return JourneyView.model_construct(
        **shown, missing=missing(journey, groups, tenant), worker=busy, claim=standing_claim(journey.claim, now)
    )


def interactions_in_sight(context: Context, seen: Sight, now: datetime) -> list[InteractionView]:
    """Show the open interactions in sight, and those ended that the reader came from."""
    found = [i for i in context.interactions.values() if _sees_interaction(i, seen, now)]
    return [_interaction(context, i, now, seen.internal) for i in found]


def _interaction(context: Context, interaction: Interaction, now: datetime, internal: bool) -> InteractionView:
    """Show an interaction, where it waits for a human, and to colleagues what warns of it."""
    shown, offer = interaction_view(interaction, now, internal), context.open_offer(interaction.interaction_id)
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
        found = handoff_view(handoff, context.customer_id, interaction.channel if interaction else None)
        shown.append(found if seen.internal else without_notes(found))
    return shown


def _consents(context: Context, seen: Sight, now: datetime, interaction_id: str | None) -> dict[str, ConsentView]:
    """Show the consents in sight, by purpose, the latest word of each."""
    counted = standing(context, interaction_id, now)
    return {purpose: consent_view(consent) for purpose, consent in counted.items() if seen.sees(consent.origin)}


def _steering(context: Context, now: datetime) -> list[str]:
    """Return the kinds of open journeys that are shared, first what we called about without reaching the customer.

    They are fit to steer menus, not to be turned into words.
    """
    shared = [j for j in context.journeys.values() if j.is_open and j.origin.scope is None]
    call = missed(context, now)
    shared.sort(key=lambda journey: call is None or journey.journey_id != call[0].journey_id)
    return list(dict.fromkeys(journey.kind for journey in shared))


def _language(context: Context) -> str | None:
    """Return the language that the customer used last at level 2 or more."""
    spoken = [i for i in context.interactions.values() if i.language and i.proven >= SHARED]
    return max(spoken, key=lambda i: i.started_at).language if spoken else None


def offers(context: Context, seen: Sight, interaction: Interaction, tenant: Tenant, now: datetime) -> list[Offer]:
    """Return the journeys worth resuming, best first: the one that was handed over, then by what they are `worth`.

    What was declined in the interaction is not offered again, and to a bot not what an agent works on elsewhere; to
    whom a warning of fraud concerns nothing is offered.
    """
    if interaction.is_suspect:
        return []
    if is_refused(context, "profiling", interaction.interaction_id, now):
        return _handed_over(context, seen, interaction, tenant, now)
    groups = facts_in_sight(context, seen, now)
    open_ = [journey for journey in _in_sight(context, seen) if journey.is_open]
    wanted = [journey for journey in open_ if _is_wanted(context, journey, interaction)]

    def rank(journey: Journey) -> tuple[bool, float, datetime]:
        weight = worth(tenant.kind(journey.kind).importance, now - journey.updated_at)
        return journey.journey_id == interaction.journey_id, weight, journey.updated_at

    ranked = sorted(wanted, key=rank, reverse=True)
    shown = [_offer(_journey(context, j, seen, groups, tenant, now), j, interaction, tenant) for j in ranked]
    return _returned_call_first(context, shown, interaction, now)


def _returned_call_first(context: Context, shown: list[Offer], interaction: Interaction, now: datetime) -> list[Offer]:
    """Put first what we called about within a day without reaching the customer, who is calling us now."""
    call = missed(context, now) if interaction.direction == "inbound" else None
    about = [offer for offer in shown if call and offer.journey_id == call[0].journey_id]
    if not about or call is None:
        return shown
    why = f"we called at {call[1].at:%Y-%m-%d %H:%M} and did not reach the customer"
    first = about[0].but(reason=why, reason_code="missed_call")
    return [first, *(offer for offer in shown if offer.journey_id != first.journey_id)]


def _handed_over(context: Context, seen: Sight, interaction: Interaction, tenant: Tenant, now: datetime) -> list[Offer]:
    """Return the one journey that the interaction is about: without a profile nothing else is offered by history."""
    journey = context.journeys.get(interaction.journey_id or "")
    if journey is None or not journey.is_open or not seen.sees_journey(journey):
        return []
    groups = facts_in_sight(context, seen, now)
    return [_offer(_journey(context, journey, seen, groups, tenant, now), journey, interaction, tenant)]


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
