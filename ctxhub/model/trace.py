"""Traces: in which span a step of a customer's way was done, so that the span of the next step can link to it.

A span is named as W3C's Trace Context writes it: `00-<trace>-<span>-<flags>`, 55 characters, none of which says
anything of the customer. It stands in interactions and handoffs, and only where spans are made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import AfterValidator

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff

_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


class SpanName(NamedTuple):
    """Which span of which trace, and whether it is kept."""

    trace_id: int
    span_id: int
    is_sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{_SAMPLED if self.is_sampled else 0:02x}"


class Link(NamedTuple):
    """A step before: the kind of thing it made, that thing's id, and the span in which it was done."""

    kind: str
    id: str
    span: str


def span_named(traceparent: str) -> SpanName | None:
    """Return the span that a header names; None where it names none. Later versions may say more after it."""
    found = _FORM.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[5]):
        return None
    return SpanName(int(found[2], 16), int(found[3], 16), bool(int(found[4], 16) & _SAMPLED))


def _names_a_span(text: str) -> str:
    """Refuse what is not written the way that we write it."""
    named = span_named(text)
    if named is None or str(named) != text:
        raise ValueError("a span is written 00-<32 hex digits>-<16 hex digits>-<00 or 01>")
    return text


Span = Annotated[str, AfterValidator(_names_a_span)]


def noted(before: Context | None, after: Context, span: str) -> Context:
    """Return a context in which what is new, interactions and handoffs, names the span that made it."""
    known_interactions = before.interactions if before else {}
    known_handoffs = before.handoffs if before else {}
    for interaction in after.interactions.values():
        if interaction.interaction_id not in known_interactions and interaction.span is None:
            after = after.with_interaction(interaction.but(span=span))
    for handoff in after.handoffs.values():
        if handoff.handoff_id not in known_handoffs and handoff.span is None:
            after = after.with_handoff(handoff.but(span=span))
    return after


def came_from(before: Context | None, after: Context) -> list[Link]:
    """Return what a change goes on from.

    Whoever offers goes on from the beginning of the interaction; whoever takes, redeems or ends a handoff, from its
    offer.
    """
    known = before.handoffs if before else {}
    links = []
    for handoff in after.handoffs.values():
        was = known.get(handoff.handoff_id)
        interaction = after.interactions.get(handoff.interaction_id)
        if was is None and interaction is not None and interaction.span is not None:
            links.append(Link("interaction", interaction.interaction_id, interaction.span))
        elif was is not None and handoff.span is not None and _step(was) != _step(handoff):
            links.append(Link("handoff", handoff.handoff_id, handoff.span))
    return links


def _step(handoff: Handoff) -> tuple[str, int, int]:
    """Return how far a handoff has come."""
    return handoff.state, len(handoff.joined), handoff.lapses
