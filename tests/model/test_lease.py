"""Until when a context is kept: hours when nothing is left to do, days when something is, always while it goes on."""

from __future__ import annotations

import pytest

from ctxhub.model import lapsing
from ctxhub.model.context import Context, Move
from ctxhub.model.handoff import Handoff, Target
from ctxhub.model.interaction import Holder
from ctxhub.model.lease import Keeping, is_pinned, is_unfinished, last_contact, lease_ends
from tests.support import DAY, HOUR, MINUTE, NOON, a_context, a_fact, after, an_event, started, with_one

KEEPING = Keeping(6 * HOUR, 14 * DAY)


def ended(context: Context) -> Context:
    """The context after its interaction has ended."""
    return lapsing.end(context, "in_1", NOON + MINUTE).context


def test_somebody_of_whom_nothing_is_left_to_do_is_kept_for_hours() -> None:
    assert lease_ends(ended(with_one()), NOON, KEEPING) == NOON + 6 * HOUR


def test_the_last_contact_counts_not_the_end_of_the_interaction() -> None:
    assert lease_ends(ended(with_one()), NOON + DAY, KEEPING) == NOON + DAY + 6 * HOUR


def test_an_interaction_that_goes_on_pins() -> None:
    assert lease_ends(with_one(), NOON, KEEPING) is None


def test_an_open_journey_is_kept_for_days() -> None:
    context = after(with_one(level=2), an_event("journey.started", kind="refund"))
    assert is_pinned(context)
    assert lease_ends(ended(context), NOON, KEEPING) == NOON + 14 * DAY


def test_a_journey_that_is_done_is_not() -> None:
    context = after(with_one(level=2), an_event("journey.started", kind="refund", event_id="e1", journey_id="jr_1"))
    context = after(context, an_event("journey.completed", event_id="e2", journey_id=next(iter(context.journeys))))
    assert not is_unfinished(context)
    assert lease_ends(ended(context), NOON, KEEPING) == NOON + 6 * HOUR


def test_a_promise_is_kept_for_days_and_pins_nothing() -> None:
    due_at = (NOON + 40 * DAY).isoformat()
    context = after(with_one(level=2), an_event("commitment.made", what="call back", owner="cards", due_at=due_at))
    assert lease_ends(ended(context), NOON, KEEPING) == NOON + 14 * DAY


def test_a_move_under_way_pins() -> None:
    context = ended(with_one()).but(moves={"in_1": Move(interaction_id="in_1", to="c7", at=NOON)})
    assert lease_ends(context, NOON, KEEPING) is None


@pytest.mark.parametrize("state", ["offered", "accepted"])
def test_a_handoff_that_waits_or_is_held_pins_even_without_an_open_interaction(state: str) -> None:
    handoff = Handoff(
        handoff_id="ho_1", state=state, interaction_id="in_1", reason="help", to=Target(queue="cards"), root_id="ho_1",
        offered_by=Holder(party="bot"), offered_at=NOON, waiting_since=NOON, expires_at=NOON + MINUTE,
    )  # fmt: skip
    context = ended(with_one()).with_handoff(handoff)
    assert lease_ends(context, NOON, KEEPING) is None
    assert lease_ends(context.with_handoff(handoff.but(state="expired")), NOON, KEEPING) == NOON + 6 * HOUR


def test_where_no_contact_was_noted_the_document_tells_of_one() -> None:
    assert last_contact(a_context()) == NOON - DAY
    assert last_contact(started(a_context(), now=NOON)) == NOON
    assert last_contact(ended(with_one())) == NOON + MINUTE
    told = after(with_one(level=2), a_fact("Bern", at=NOON + HOUR), now=NOON + HOUR)
    assert last_contact(told) == NOON + HOUR
