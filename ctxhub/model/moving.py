"""Moving an interaction to whom it really is: with its words, journeys and handoffs, and nothing else.

Three steps, each of which may be repeated: the old place lets go of it (`depart`), the new home takes it in (`adopt`),
the old place forgets it and points to the new home (`release`).

What was proven at the old place was proven for somebody else. Unless the move itself asserts how surely the customer is
known, the interaction is a claim at its new home: it shows nothing, and what it said, however surely, stays with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial, reduce

from ctxhub.model.commitment import Commitment
from ctxhub.model.consent import Consent, said
from ctxhub.model.context import Context, Move
from ctxhub.model.customer import Assurance, Identifier, with_room
from ctxhub.model.event import Change
from ctxhub.model.fact import SHARED_FROM, Fact, Origin, told
from ctxhub.model.handoff import Handoff, interaction_over
from ctxhub.model.interaction import Intent, Interaction, find, happened
from ctxhub.model.introducing import come_to, told_in
from ctxhub.model.journey import Journey
from ctxhub.model.telling import shared
from ctxhub.model.value import Level, Value

CLAIMED: Level = 1


class Bundle(Value):
    """What moves along with an interaction.

    Of somebody nobody knew and who has no other also what leads there, where the move proves whose that is.
    """

    interaction: Interaction
    facts: tuple[Fact, ...] = ()
    journeys: dict[str, Journey] = {}
    handoffs: dict[str, Handoff] = {}
    commitments: dict[str, Commitment] = {}
    consents: tuple[Consent, ...] = ()
    identifiers: tuple[Identifier, ...] = ()


def depart(
    context: Context, interaction_id: str, to: str, now: datetime, assurance: Assurance | None,
    newcomer: Sequence[Identifier] | None = None, reason: str | None = None,
) -> Change:  # fmt: skip
    """Let go of an interaction: from now on nobody writes to it here; while it moves it can't move elsewhere.

    A `newcomer` is somebody nobody knows yet, named by what leads there.
    """
    under_way = context.moves.get(interaction_id)
    if under_way is not None and under_way.to == to:
        return Change(context, [])
    find(context, interaction_id)
    move = Move(
        interaction_id=interaction_id, to=to, at=now, assurance=assurance, reason=reason,
        known=newcomer is None, identifiers=tuple(newcomer or ()),
    )  # fmt: skip
    return Change(context.but(moves=context.moves | {interaction_id: move}), [])


def bundle(context: Context, interaction_id: str) -> Bundle:
    """Return what belongs to an interaction."""
    journeys = {k: j for k, j in context.journeys.items() if j.origin.interaction_id == interaction_id}
    staying = context.interactions.keys() - context.moves.keys() - {interaction_id}
    interaction = context.interaction(interaction_id)
    move = context.moves.get(interaction_id)
    proven = move is not None and _known_there(interaction, move).proven >= SHARED_FROM
    return Bundle(
        interaction=interaction,
        facts=tuple(f for f in context.facts if f.origin.interaction_id == interaction_id or f.journey_id in journeys),
        journeys=journeys,
        handoffs={k: h for k, h in context.handoffs.items() if h.interaction_id == interaction_id},
        commitments={k: c for k, c in context.commitments.items() if c.origin.interaction_id == interaction_id},
        consents=tuple(c for c in context.consents if c.origin.interaction_id == interaction_id),
        identifiers=() if context.known or staying or not proven else context.identifiers,
    )


def adopt(context: Context, moved: Bundle, move: Move, source: str, now: datetime) -> Change:
    """Take in an interaction; taking it in again changes nothing. What it said is shared from level 2 on."""
    interaction_id = move.interaction_id
    if interaction_id in context.interactions:
        return Change(context, [])
    interaction = _known_there(moved.interaction, move)
    level = interaction.level(now)
    told_at = tuple(dict.fromkeys((*interaction.told_at, source)))
    taken_for = tuple(dict.fromkeys((*interaction.taken_for, source)))
    interaction = interaction.but(
        moves=interaction.moves + 1, told_at=told_at, taken_for=taken_for, adopted=(),
        intent=_wanted(interaction.intent, level), shared_intent=None,
    )  # fmt: skip
    there = partial(_there, interaction_id, level)
    led = (*moved.identifiers, *_named(interaction, move, now))
    facts = context.facts
    for fact in moved.facts:
        facts = told(facts, fact.but(origin=there(fact.origin)))
    home = context.with_interaction(interaction).but(
        facts=facts,
        journeys=context.journeys | {k: j.but(origin=there(j.origin)) for k, j in moved.journeys.items()},
        handoffs=context.handoffs | {k: _carrying(h, level) for k, h in moved.handoffs.items()},
        commitments=context.commitments | {k: c.but(origin=there(c.origin)) for k, c in moved.commitments.items()},
        consents=reduce(said, [c.but(origin=there(c.origin)) for c in moved.consents], context.consents),
        identifiers=with_room(context.identifiers, [come_to(context, identifier) for identifier in led]),
        moved={k: v for k, v in context.moved.items() if k != interaction_id},
    )
    event = happened(interaction, "moved", arrival(moved), now, _told(move, source, context.customer_id))
    return Change(shared(home, interaction_id, level), [event])


def _known_there(interaction: Interaction, move: Move) -> Interaction:
    """Return an interaction as surely known as the move asserts; without that it is a claim, whatever was proven."""
    if move.assurance is not None:
        return interaction.but(assurance=move.assurance)
    before = interaction.assurance
    if before.level <= CLAIMED:
        return interaction
    return interaction.but(assurance=before.but(level=CLAIMED, method="identifier", raised_at=None))


def _there(interaction_id: str, level: Level, origin: Origin) -> Origin:
    """Return an origin at the new home: as sure as the interaction is there, and without the merges it was in before.

    What others told for one of its journeys they told of another customer; what nobody's interaction told is its own.
    """
    most = level if origin.interaction_id in (None, interaction_id) else min(level, CLAIMED)
    own = origin.interaction_id or interaction_id
    return origin.but(interaction_id=own, assurance=min(origin.assurance, most), adopted=())


def _wanted(intent: Intent | None, level: Level) -> Intent | None:
    """Return what the customer wants, as surely as that is known at the new home."""
    return None if intent is None else intent.but(assurance=min(intent.assurance, level))


def _carrying(handoff: Handoff, level: Level) -> Handoff:
    """Return a handoff that carries no more than is known at the new home."""
    return handoff.but(offered_level=min(handoff.offered_level, level))


def _named(interaction: Interaction, move: Move, now: datetime) -> list[Identifier]:
    """Return what leads to somebody nobody knows, as seen in the interaction that brings them."""
    source = f"{interaction.channel}/{interaction.system}"
    return [told_in(one, interaction.interaction_id).seen(source, now) for one in move.identifiers]


def _told(move: Move, source: str, to: str) -> dict[str, str | None]:
    """Return what both sides tell of a move."""
    return {"from": source, "to": to, "reason": move.reason}


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
    data = _told(move, context.customer_id, move.to)
    settled = interaction_over(left, interaction_id, now)
    return Change(settled.context, [happened(gone.interaction, "moved", event_id, now, data), *settled.events])
