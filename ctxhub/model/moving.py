"""Moving an interaction to whom it really is: with its words, journeys and handoffs, and nothing else.

Three steps, each of which may be repeated: the old place lets go of it (`depart`), the new home takes it in (`adopt`),
the old place forgets it and points to the new home (`release`).
"""

from __future__ import annotations

from datetime import datetime
from functools import reduce

from ctxhub.model.commitment import Commitment
from ctxhub.model.consent import Consent, said
from ctxhub.model.context import Context, Move
from ctxhub.model.customer import Assurance, Identifier, with_room
from ctxhub.model.event import Change
from ctxhub.model.fact import Fact, Origin, told
from ctxhub.model.handoff import Handoff, interaction_over
from ctxhub.model.interaction import Interaction, find, happened
from ctxhub.model.introducing import come_to
from ctxhub.model.journey import Journey
from ctxhub.model.telling import shared
from ctxhub.model.value import Value


class Bundle(Value):
    """What moves along with an interaction; of somebody nobody knew and who has no other also what leads there."""

    interaction: Interaction
    facts: tuple[Fact, ...] = ()
    journeys: dict[str, Journey] = {}
    handoffs: dict[str, Handoff] = {}
    commitments: dict[str, Commitment] = {}
    consents: tuple[Consent, ...] = ()
    identifiers: tuple[Identifier, ...] = ()


def depart(context: Context, interaction_id: str, to: str, now: datetime, assurance: Assurance | None) -> Change:
    """Let go of an interaction: from now on nobody writes to it here; while it moves it can't move elsewhere."""
    under_way = context.moves.get(interaction_id)
    if under_way is not None and under_way.to == to:
        return Change(context, [])
    find(context, interaction_id)
    move = Move(interaction_id=interaction_id, to=to, at=now, assurance=assurance)
    return Change(context.but(moves=context.moves | {interaction_id: move}), [])


def bundle(context: Context, interaction_id: str) -> Bundle:
    """Return what belongs to an interaction."""
    journeys = {k: j for k, j in context.journeys.items() if j.origin.interaction_id == interaction_id}
    staying = context.interactions.keys() - context.moves.keys() - {interaction_id}
    return Bundle(
        interaction=context.interaction(interaction_id),
        facts=tuple(f for f in context.facts if f.origin.interaction_id == interaction_id or f.journey_id in journeys),
        journeys=journeys,
        handoffs={k: h for k, h in context.handoffs.items() if h.interaction_id == interaction_id},
        commitments={k: c for k, c in context.commitments.items() if c.origin.interaction_id == interaction_id},
        consents=tuple(c for c in context.consents if c.origin.interaction_id == interaction_id),
        identifiers=() if context.known or staying else context.identifiers,
    )


def adopt(context: Context, moved: Bundle, move: Move, source: str, now: datetime) -> Change:
    """Take in an interaction; taking it in again changes nothing. What it said is shared from level 2 on."""
    interaction_id = move.interaction_id
    if interaction_id in context.interactions:
        return Change(context, [])
    told_at = tuple(dict.fromkeys((*moved.interaction.told_at, source)))
    interaction = moved.interaction.but(moves=moved.interaction.moves + 1, told_at=told_at, adopted=())
    if move.assurance is not None:
        interaction = interaction.but(assurance=move.assurance)
    facts = context.facts
    for fact in moved.facts:
        facts = told(facts, fact.but(origin=_for_good(fact.origin)))
    home = context.with_interaction(interaction).but(
        facts=facts,
        journeys=context.journeys | {k: j.but(origin=_for_good(j.origin)) for k, j in moved.journeys.items()},
        handoffs=context.handoffs | moved.handoffs,
        commitments=context.commitments | {k: c.but(origin=_for_good(c.origin)) for k, c in moved.commitments.items()},
        consents=reduce(said, [c.but(origin=_for_good(c.origin)) for c in moved.consents], context.consents),
        identifiers=with_room(context.identifiers, [come_to(context, identifier) for identifier in moved.identifiers]),
        moved={k: v for k, v in context.moved.items() if k != interaction_id},
    )
    data = {"from": source, "to": context.customer_id}
    event = happened(interaction, "moved", arrival(moved), now, data)
    return Change(shared(home, interaction_id, interaction.level(now)), [event])


def _for_good(origin: Origin) -> Origin:
    """Return an origin without the merges at its old place: what has moved is in none of them any more."""
    return origin.but(adopted=()) if origin.adopted else origin


def arrival(moved: Bundle) -> str:
    """Return the id of the event that tells of an interaction's arrival; each of its moves has another."""
    return f"{moved.interaction.interaction_id}:arrived:{moved.interaction.moves + 1}"


def stay(context: Context, interaction_id: str) -> Change:
    """Let an interaction stay that was to go to one who is this very customer now."""
    return Change(context.but(moves={k: m for k, m in context.moves.items() if k != interaction_id}), [])


def release(context: Context, interaction_id: str, now: datetime) -> Change:
    """Forget an interaction that has arrived elsewhere, and point there; what brought it here is done."""
    move = context.moves.get(interaction_id)
    if move is None:
        return Change(context, [])
    gone = bundle(context, interaction_id)
    left = context.but(
        interactions={k: i for k, i in context.interactions.items() if k != interaction_id},
        facts=tuple(fact for fact in context.facts if fact not in gone.facts),
        journeys={k: j for k, j in context.journeys.items() if k not in gone.journeys},
        handoffs={k: h for k, h in context.handoffs.items() if k not in gone.handoffs},
        commitments={k: c for k, c in context.commitments.items() if k not in gone.commitments},
        consents=tuple(consent for consent in context.consents if consent not in gone.consents),
        identifiers=() if gone.identifiers else context.identifiers,
        moves={k: m for k, m in context.moves.items() if k != interaction_id},
        moved=context.moved | {interaction_id: move.to},
    )
    event_id = f"{interaction_id}:left:{gone.interaction.moves + 1}"
    data = {"from": context.customer_id, "to": move.to}
    settled = interaction_over(left, interaction_id, now)
    return Change(settled.context, [happened(gone.interaction, "moved", event_id, now, data), *settled.events])
