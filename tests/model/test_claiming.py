"""Claims: one worker has a step, for a while, and never one that the journey has left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ctxhub.errors import AtWork, ClaimedByAnother, JourneyUnknown, StaleFence, WrongState
from ctxhub.model.claiming import ClaimRequest, claim, standing
from ctxhub.model.context import Context
from ctxhub.model.disclosure import EVERYTHING
from ctxhub.model.handoff import at_step
from ctxhub.model.tenant import Kind, Step
from ctxhub.model.view import context_view
from tests.support import MINUTE, NOON, SECOND, TENANT, after, an_event, with_one


def at_payout() -> Context:
    """A refund that has come to its payout."""
    begun = after(with_one(2), an_event("journey.started", kind="refund", journey_id="jr_1"), tenant=TENANT)
    return on(begun, "journey.advanced", step="payout")


def on(context: Context, type_: str, at: datetime = NOON, **data: Any) -> Context:
    """The context after something happened to the refund."""
    return after(context, an_event(type_, at=at, journey_id="jr_1", **data), tenant=TENANT)


def claimed(context: Context, by: str = "app", at: datetime = NOON, step: str = "payout", span: int = 60) -> Context:
    """The context after a worker claimed a step."""
    return claim(context, context.journey("jr_1"), ClaimRequest(step=step, by=by, for_seconds=span), at).context


def fence_of(context: Context) -> int:
    found = context.journey("jr_1").claim
    assert found is not None
    return found.fence


def test_a_second_worker_is_told_who_has_the_step_and_until_when() -> None:
    held = claimed(at_payout())
    with pytest.raises(ClaimedByAnother) as refused:
        claimed(held, by="ivr", at=NOON + 59 * SECOND)
    assert (refused.value.ids["by"], refused.value.ids["until"]) == ("app", NOON + MINUTE)


def test_after_it_has_lapsed_the_next_one_has_it_with_a_higher_fence() -> None:
    held = claimed(at_payout())
    taken = claimed(held, by="ivr", at=NOON + MINUTE)
    assert (fence_of(held), fence_of(taken)) == (1, 2)


def test_the_same_worker_again_has_it_for_longer_under_the_same_fence_and_nothing_is_told() -> None:
    held = claimed(at_payout())
    change = claim(held, held.journey("jr_1"), ClaimRequest(step="payout", by="app"), NOON + 30 * SECOND)
    again = change.context.journey("jr_1").claim
    assert again is not None
    assert (again.fence, again.until, change.events) == (1, NOON + 90 * SECOND, [])


def test_a_step_that_was_done_can_not_be_claimed_a_second_time() -> None:
    done = on(claimed(at_payout()), "journey.advanced", step="sent")
    assert done.journey("jr_1").claim is None
    with pytest.raises(WrongState, match="stands at sent"):
        claimed(done, by="ivr")


def test_a_step_to_which_the_journey_has_not_come_can_not_be_claimed() -> None:
    with pytest.raises(WrongState):
        claimed(at_payout(), step="sent")


def test_a_finished_journey_has_no_steps_left() -> None:
    with pytest.raises(JourneyUnknown):
        claimed(on(claimed(at_payout()), "journey.completed"))


def test_work_under_a_claim_that_another_has_by_now_is_refused() -> None:
    taken = claimed(claimed(at_payout()), by="ivr", at=NOON + MINUTE)
    with pytest.raises(StaleFence):
        on(taken, "journey.advanced", at=NOON + MINUTE, step="sent", fence=1)
    assert on(taken, "journey.advanced", at=NOON + MINUTE, step="sent", fence=2).journey("jr_1").step == "sent"


def test_from_a_step_that_may_be_done_again_whoever_names_no_fence_is_not_held_up() -> None:
    assert on(claimed(at_payout()), "journey.advanced", step="sent").journey("jr_1").step == "sent"


BANK = TENANT.model_copy(update={"journeys": [Kind(kind="refund", steps=[
    Step(step="order"), Step(step="payout", once=True), Step(step="sent"),
])]})  # fmt: skip


def once(context: Context, type_: str, **data: Any) -> Context:
    """The context after something happened to the refund of a bank whose payout must not be done twice."""
    return after(context, an_event(type_, journey_id="jr_1", **data), tenant=BANK)


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("journey.advanced", {"step": "sent"}),
        ("journey.advanced", {"step": "order"}),
        ("journey.advanced", {"step": "sent", "party": "agent"}),
        ("journey.completed", {}),
        ("journey.abandoned", {}),
    ],
)
def test_from_what_must_not_be_done_twice_its_worker_alone_goes_on(type_: str, data: dict[str, Any]) -> None:
    held = claimed(at_payout())
    with pytest.raises(AtWork) as refused:
        once(held, type_, **data)
    assert (refused.value.ids["by"], refused.value.ids["until"]) == ("app", NOON + MINUTE)
    with pytest.raises(StaleFence):
        once(held, type_, **data, fence=2)
    gone_on = once(held, type_, **data, fence=1)
    assert [journey.claim for journey in gone_on.journeys.values()] in ([None], [])


def test_what_leaves_the_step_where_it_is_or_was_done_already_is_not_held_up() -> None:
    held = claimed(at_payout())
    for type_, data in (("journey.advanced", {"step": "payout"}), ("journey.resumed", {}), ("journey.suspended", {})):
        assert fence_of(once(held, type_, **data)) == 1
    assert once(held, "journey.advanced", step="sent", happened=True).journey("jr_1").done == ("payout",)
    assert after(held, an_event("journey.advanced", at=NOON + MINUTE, journey_id="jr_1", step="sent"), tenant=BANK,
                 now=NOON + MINUTE).journey("jr_1").step == "sent"  # fmt: skip


@pytest.mark.parametrize("to", ["sent", "somewhere else"])
@pytest.mark.parametrize("is_claimed", [True, False])
def test_what_was_done_is_not_claimed_again_although_the_journey_came_back(to: str, is_claimed: bool) -> None:
    context, fence = (claimed(at_payout()), {"fence": 1}) if is_claimed else (at_payout(), {})
    back = once(once(context, "journey.advanced", step=to, **fence), "journey.advanced", step="payout")
    assert back.journey("jr_1").done == ("payout",)
    with pytest.raises(WrongState, match="was done already"):
        claimed(back, by="ivr")
    assert once(back, "journey.advanced", step="sent").journey("jr_1").done == ("payout",)


def test_what_its_worker_did_is_done_although_a_return_had_moved_the_journey_on_meanwhile() -> None:
    moved = at_step(claimed(at_payout()), "jr_1", "order", NOON)
    with pytest.raises(AtWork):
        once(moved, "journey.advanced", step="sent")
    assert once(moved, "journey.advanced", step="sent", fence=1).journey("jr_1").done == ("payout",)


def test_whoever_goes_back_to_an_earlier_step_has_not_done_it() -> None:
    back = once(once(at_payout(), "journey.advanced", step="order"), "journey.advanced", step="payout")
    assert fence_of(claimed(back)) == 1


def test_a_claim_is_shown_as_long_as_it_stands() -> None:
    held = claimed(at_payout())
    for at, shown in ((NOON + 59 * SECOND, "app"), (NOON + MINUTE, None)):
        [journey] = context_view(held, EVERYTHING, TENANT, at).journeys
        assert (journey.claim.by if journey.claim else None) == shown
        assert (standing(held.journey("jr_1").claim, at) is not None) is (shown is not None)
