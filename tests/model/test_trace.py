"""Spans in the context: written as W3C writes them or not at all, by whatever is new, and by nothing twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context
from ctxhub.model.handoff import OfferRequest, Target
from ctxhub.model.trace import came_from, noted, span_named
from tests.support import NOON, SECOND, an_interaction, started, with_one

FIRST, SECOND_SPAN = (f"00-{'ab' * 16}-{n:016x}-01" for n in (1, 2))
GRACE = timedelta(minutes=10)


def offered(context: Context) -> Context:
    """The context with its interaction on offer to a queue."""
    request = OfferRequest(customer_id="c42", interaction_id="in_1", reason="help", to=Target(queue="cards"))
    return handoffs.offer(context, request, "ho_1", NOON, GRACE, ()).context


@pytest.mark.parametrize(
    "text",
    [
        "", "00", FIRST + "-more", FIRST.upper(), " " + FIRST, FIRST + "\n", "ff" + FIRST[2:], FIRST.replace("-", "_"),
        f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f"00-{'1' * 31}-{'1' * 16}-01",
    ],
)  # fmt: skip
def test_what_names_no_span_is_none(text: str) -> None:
    assert span_named(text) is None


def test_a_later_version_may_say_more() -> None:
    named = span_named("cc" + FIRST[2:] + "-what-comes-later")
    assert named is not None
    assert str(named) == FIRST


@pytest.mark.parametrize("bad", ["cc" + FIRST[2:], FIRST[:-2] + "03", "x" * 1000, FIRST + "-+8613712345670"])
def test_only_our_own_way_of_writing_is_kept(bad: str) -> None:
    interaction = an_interaction(with_one())
    with pytest.raises(ValidationError):
        type(interaction).model_validate_json(interaction.but(span=bad).model_dump_json())


def test_what_is_new_names_its_span_and_what_was_there_keeps_its_own() -> None:
    before = noted(None, with_one(), FIRST)
    assert before.interactions["in_1"].span == FIRST
    after = noted(before, offered(started(before, "in_2")), SECOND_SPAN)
    assert [i.span for i in after.interactions.values()] == [FIRST, SECOND_SPAN]
    assert after.handoffs["ho_1"].span == SECOND_SPAN


def test_a_context_with_nothing_new_is_the_same() -> None:
    context = offered(with_one())
    assert noted(context, context, FIRST) is context


def test_an_offer_goes_on_from_the_start_and_what_becomes_of_it_from_the_offer() -> None:
    call = noted(None, with_one(), FIRST)
    waiting = noted(call, offered(call), SECOND_SPAN)
    assert [(link.kind, link.id, link.span) for link in came_from(call, waiting)] == [("interaction", "in_1", FIRST)]
    taken = handoffs.accept(waiting, "ho_1", "ann", NOON + SECOND, GRACE).context
    assert [(link.kind, link.id, link.span) for link in came_from(waiting, taken)] == [("handoff", "ho_1", SECOND_SPAN)]
    assert came_from(taken, taken.but(known=False)) == []


def test_where_no_spans_were_made_there_is_nothing_to_go_on_from() -> None:
    call = with_one()
    waiting = offered(call)
    assert came_from(call, waiting) == []
    assert came_from(waiting, handoffs.accept(waiting, "ho_1", "ann", NOON, GRACE).context) == []
