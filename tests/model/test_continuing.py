"""A place in a queue: one customer has one, and takes it along where that can be."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

from ctxhub.model.context import Context
from ctxhub.model.continuing import Moved, Rules, dropped, go_on
from ctxhub.model.handoff import FINAL, Handoff, OfferRequest, Target, accept, lapse, offer
from ctxhub.model.lapsing import end
from ctxhub.model.tenant import QueueSpec
from tests.support import GRACE, LEASE, MINUTE, NOON, PLAIN, an_interaction, started, with_one

KEPT = PLAIN.but(queues={"cards": QueueSpec(continue_elsewhere="chats"), "phone": QueueSpec(routing="external")})


def waiting(queue: str = "cards") -> Context:
    """A call that waits, and a chat of the same customer."""
    request = OfferRequest(customer_id="c42", interaction_id="in_1", reason="help", to=Target(queue=queue))
    context = offer(started(with_one(1, channel="ivr"), "in_2", 1), request, "ho_1", NOON, GRACE, ()).context
    return context.with_interaction(an_interaction(context).but(ani="a number"))


def going_on(context: Context, to: str = "in_2", at: datetime = NOON + MINUTE, of: str = "ho_1") -> Moved:
    return go_on(context, of, to, f"ho_{to}", Rules(KEPT, GRACE, at))


def places(context: Context) -> list[Handoff]:
    """Where the customer waits or is served."""
    return [handoff for handoff in context.handoffs.values() if handoff.state not in FINAL]


def test_the_place_moves_and_the_old_one_is_left_once() -> None:
    change, new = going_on(waiting())
    old, there = change.context.handoff("ho_1"), change.context.handoff(str(new))
    assert (old.state, old.went_on_as) == ("left", new)
    assert (there.waiting_since, there.parent_id, there.to) == (NOON, "ho_1", Target(queue="chats"))
    assert [event.type for event in change.events] == ["handoff.left", "handoff.offered"]
    again = started(change.context, "in_3", 1)
    assert going_on(again, "in_3").handoff_id is None


def test_an_external_queue_keeps_no_place_unless_it_says_so() -> None:
    assert going_on(waiting("phone")).handoff_id is None
    says_so = KEPT.but(queues={"phone": QueueSpec(routing="external", keeps_place=True)})
    assert go_on(waiting("phone"), "ho_1", "in_2", "ho_2", Rules(says_so, GRACE, NOON)).handoff_id == "ho_2"


def test_a_place_that_was_answered_or_is_over_is_not_taken() -> None:
    answered = accept(waiting(), "ho_1", "ann", NOON, LEASE).context
    assert going_on(answered).handoff_id is None
    expired = lapse(waiting(), "ho_1", NOON + LEASE).context
    assert going_on(expired, at=NOON + LEASE).handoff_id is None


def test_whoever_waits_already_takes_no_second_place() -> None:
    request = OfferRequest(customer_id="c42", interaction_id="in_2", reason="help", to=Target(queue="other"))
    both = offer(waiting(), request, "ho_2", NOON, GRACE, ()).context
    assert going_on(both).handoff_id is None


@pytest.mark.parametrize(("after", "found"), [(GRACE, True), (GRACE + MINUTE, False)])
def test_a_call_that_was_cut_off_is_known_by_its_number_for_the_grace_time(after: object, found: bool) -> None:
    left = started(end(waiting(), "in_1", NOON).context, "in_3", 1, channel="ivr")
    now = NOON + after  # type: ignore[operator]
    calling = left.interaction("in_3")
    place = dropped(left, calling.but(ani="a number"), Rules(KEPT, GRACE, now))
    assert (place is not None) is found
    assert dropped(left, calling.but(ani="another"), Rules(KEPT, GRACE, now)) is None
    assert dropped(left, calling, Rules(KEPT, GRACE, now)) is None


def test_whatever_happens_a_customer_has_at_most_one_place_and_since_the_beginning() -> None:
    for seed in range(300):
        chance, context, at = random.Random(seed), waiting(), NOON
        for step in range(chance.randint(1, 8)):
            at += chance.choice([MINUTE, 4 * MINUTE])
            of = chance.choice(list(context.handoffs))
            name = f"in_{step + 3}"
            if chance.random() < 0.3:
                context = end(context, chance.choice(list(context.interactions)), at).context
            elif chance.random() < 0.1 and context.handoff(of).state == "offered":
                context = accept(context, of, "ann", at, LEASE).context
            else:
                context = started(context, name, 1, now=at)
                context = going_on(context, name, at, of).change.context
            assert len(places(context)) <= 1, seed
            assert all(handoff.waiting_since == NOON for handoff in context.handoffs.values()), seed
            chained = [handoff.went_on_as for handoff in context.handoffs.values() if handoff.went_on_as]
            assert len(chained) == len(set(chained)) == len(context.handoffs) - 1, seed
