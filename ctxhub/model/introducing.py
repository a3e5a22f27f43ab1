"""By what a customer is named as an interaction begins: what is only claimed in it stays its own until it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier, Unsure, with_room
from ctxhub.model.fact import SHARED_FROM
from ctxhub.model.interaction import Start


def doubted(identifier: Identifier, leads: bool) -> Identifier:
    """Return an identifier as it is before its interaction reached level 2: only what is verified is sure."""
    return identifier.but(unsure=None if identifier.strength == "verified" else Unsure(leads=leads))


def introduced(
    context: Context, request: Start, linked: Sequence[Identifier], interaction_id: str, now: datetime
) -> Context:
    """Return the context with who it is and what leads there; what it knows already stays as it is.

    What an interaction claims at level 2 or more is sure.
    """
    sure = context.interaction(interaction_id).level(now) >= SHARED_FROM
    merged = {held.what: held for merge in context.merges.values() for held in merge.identifiers}
    source = f"{request.channel}/{request.of_system}"
    fresh = [
        (one.but(unsure=None) if sure else told_in(one, interaction_id)).seen(source, now)
        for one in linked
        if one.what not in merged or (merged[one.what].unsure is not None and (sure or one.unsure is None))
    ]
    identifiers = with_room(context.identifiers, fresh)
    known = context.known or request.customer_id == context.customer_id
    if known == context.known and identifiers == context.identifiers:
        return context
    return context.but(identifiers=identifiers, known=known)


def come_to(context: Context, identifier: Identifier) -> Identifier:
    """Return an identifier as it comes to another customer: who is proven is not found by what is only claimed."""
    if identifier.unsure is None or not context.is_proven:
        return identifier
    return identifier.but(unsure=identifier.unsure.but(leads=False))


def told_in(identifier: Identifier, interaction_id: str) -> Identifier:
    """Return an identifier with the interaction in which it was claimed, where that is all it is."""
    if identifier.unsure is None:
        return identifier
    return identifier.but(unsure=identifier.unsure.but(told_in=(interaction_id,)))
