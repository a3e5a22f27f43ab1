"""A place in a queue: one customer has one, and takes it along where that can be."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

from ctxhub.model.context import Context
from ctxhub.model.continuing import Moved, Rules, dropped, go_on
from ctxhub.model.event import Change
from ctxhub.model.handoff import FINAL, Handoff, OfferRequest, Target, accept, lapse, offer, taken
from ctxhub.model.interaction import Holder
from ctxhub.model.lapsing import end
from ctxhub.model.tenant import QueueSpec
from tests.support import GRACE, LEASE, MINUTE, NOON, PLAIN, an_interaction, started, with_one

KEPT = PLAIN.but(queues={"cards": QueueSpec(continue_elsewhere="chats"), "phone": QueueSpec(routing="external")})


def waiting(queue: str = "cards", declared: bool = False) -> Context:
    """A call that waits, and a chat of the same customer; the hub routes, unless what is `declared` says otherwise."""
    request = OfferRequest(customer_id="c42", interaction_id="in_1", reason="help", to=Target(queue=queue))
    both = started(with_one(1, channel="ivr"), "in_2", 1)
    context = offer(both, request, "ho_1", NOON, GRACE, (), KEPT if declared else None).context
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


@pytest.mark.parametrize("queue", ["phone", "cards"])
def test_a_call_that_another_system_routes_keeps_no_place_unless_its_queue_says_so(queue: str) -> None:
    context = waiting(queue, declared=True)
    assert context.handoff("ho_1").is_external
    assert going_on(context).handoff_id is None
    for keeps in (True, False):
        says_so = KEPT.but(queues={queue: QueueSpec(keeps_place=keeps)})
        went = go_on(context, "ho_1", "in_2", "ho_2", Rules(says_so, GRACE, NOON))
        assert went.handoff_id == ("ho_2" if keeps else None)


def test_a_call_that_another_system_gave_to_an_agent_keeps_no_place() -> None:
    context = waiting(declared=True)
    given = context.with_handoff(context.handoff("ho_1").but(to=Target(agent="bob")))
    assert going_on(given).handoff_id is None
    by_the_hub = given.with_handoff(given.handoff("ho_1").but(routing="hub"))
    assert going_on(by_the_hub).handoff_id == "ho_in_2"


def answered(context: Context, agent_id: str = "ann") -> Change:
    """An agent takes the call by a handoff that is made of what the telephone system reports."""
    made = Handoff(
        handoff_id="ho_9", interaction_id="in_1", reason="answered", to=Target(agent=agent_id), routing="external",
        root_id="ho_9", offered_by=Holder(party="bot"), offered_at=NOON + LEASE, waiting_since=NOON + LEASE,
        expires_at=None,
    )  # fmt: skip
    return taken(context.with_handoff(made), made, Holder(party="agent", id=agent_id), NOON + LEASE)


def test_whoever_is_answered_on_the_phone_after_all_waits_no_more_in_the_chat_and_has_waited_all_the_time() -> None:
    went, place = going_on(waiting())
    change = answered(went.context)
    chat, call = change.context.handoff(str(place)), change.context.handoff("ho_9")
    assert (chat.state, chat.went_on_as) == ("left", "ho_9")
    assert (call.state, call.waiting_since) == ("accepted", NOON)
    assert [event.type for event in change.events] == ["handoff.accepted", "handoff.left"]
    assert [event.data["waited"] for event in change.events[:1]] == [LEASE.total_seconds()]
    assert places(change.context) == [call]
    again = started(change.context, "in_3", 1)
    assert going_on(again, "in_3", NOON + LEASE, str(place)).handoff_id is None


def test_that_holds_wherever_the_place_has_gone_since_and_not_for_one_that_was_answered() -> None:
    context = started(going_on(waiting()).change.context, "in_3", 1, channel="app")
    twice = going_on(context, "in_3", of="ho_in_2").change.context
    assert answered(twice).context.handoff("ho_in_3").state == "left"
    both = answered(accept(twice, "ho_in_3", "bob", NOON, LEASE).context).context
    assert [both.handoff(name).state for name in ("ho_in_3", "ho_9")] == ["accepted", "accepted"]


def test_a_place_that_was_answered_or_is_over_is_not_taken() -> None:
    accepted = accept(waiting(), "ho_1", "ann", NOON, LEASE).context
    assert going_on(accepted).handoff_id is None
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
