"""The context as a whole: what is where, and what is not."""

from __future__ import annotations

import pytest

from ctxhub.errors import HandoffUnknown, InteractionUnknown, JourneyUnknown
from tests.model.scenes import held, offered
from tests.support import a_context, with_one


def test_what_is_not_there_is_refused_by_its_own_error_with_its_id() -> None:
    context = a_context()
    with pytest.raises(InteractionUnknown) as interaction:
        context.interaction("in_9")
    with pytest.raises(HandoffUnknown) as handoff:
        context.handoff("ho_9")
    with pytest.raises(JourneyUnknown) as journey:
        context.journey("jr_9")
    assert [error.value.ids for error in (interaction, handoff, journey)] == [
        {"interaction_id": "in_9"},
        {"handoff_id": "ho_9"},
        {"journey_id": "jr_9"},
    ]


def test_putting_something_in_its_place_changes_a_copy() -> None:
    context = with_one()
    changed = context.with_interaction(context.interaction("in_1").but(fence=7))
    assert (changed.interaction("in_1").fence, context.interaction("in_1").fence) == (7, 1)


def test_an_interaction_s_open_offer_and_its_held_handoff_are_found() -> None:
    waiting, taken = offered(with_one()), held(with_one())
    assert (waiting.open_offer("in_1") is not None, waiting.held_handoff("in_1")) == (True, None)
    assert (taken.open_offer("in_1"), taken.held_handoff("in_1") is not None) == (None, True)
    assert (waiting.open_offer("in_2"), taken.held_handoff("in_2")) == (None, None)
