"""Calls: whatever a telephone system tells, in whatever order, the customer has one agent, one place and one record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ctxhub.errors import Unavailable
from ctxhub.model import call as calls
from ctxhub.model import calling, lapsing, merging, moving
from ctxhub.model import handoff as handoffs
from ctxhub.model.call import NO_CALL, Course
from ctxhub.model.calling import BY_AGENT, BY_HOLDER
from ctxhub.model.context import Context
from ctxhub.model.continuing import Rules, go_on
from ctxhub.model.event import Event, Ref
from ctxhub.model.tenant import QueueSpec, Tenant
from tests.model.scenes import an_offer
from tests.support import (
    GRACE,
    HOUR,
    LEASE,
    MINUTE,
    NOON,
    PATIENCE,
    SECOND,
    an_event,
    an_interaction,
    started,
    telling,
    with_one,
)

CALL = {"system": "acd", "kind": "call", "id": "0078"}
TENANT = Tenant.model_validate({"tenant": "acme", "queues": {"cards": {}, "second": {}}})


def waiting(channel: str = "ivr", refs: list[Ref] | None = None, **more: Any) -> Context:
    """A customer on the phone who waits in a queue that the telephone system routes."""
    context = with_one(2, channel=channel, refs=refs or [])
    request = an_offer({"queue": "cards"}, **more)
    return handoffs.offer(context, request, "ho_1", NOON, GRACE, (), TENANT).context


def with_one_offered(channel: str) -> Context:
    """A customer whom the hub offers to a queue."""
    context = with_one(2, channel=channel)
    return handoffs.offer(context, an_offer({"queue": "cards"}), "ho_1", NOON, GRACE, ()).context


def told(context: Context, *reports: Event) -> Context:
    """The context after some reports."""
    return telling(context, *reports, tenant=TENANT).context


def say(verb: str, agent_id: str | None = None, after: float = 0, **more: Any) -> Event:
    """A report, so many seconds after noon."""
    about = {"agent_id": agent_id} if agent_id else {}
    type_ = verb if "." in verb else f"call.{verb}"
    ref = more.pop("ref", CALL)
    return an_event(type_, at=NOON + SECOND * after, **about, **more, **({"ref": ref} if ref else {}))


def own(verb: str, agent_id: str | None = None, after: float = 0, *marks: str, **more: Any) -> Event:
    """A report under an agent's key."""
    return say(verb, agent_id, after, **more).but(marks=[BY_AGENT, *marks])


def course(context: Context) -> Course:
    """What the reports of a call come to."""
    return (an_interaction(context).call or NO_CALL).course


def holder(context: Context) -> str | None:
    """The agent who has the floor."""
    floor = an_interaction(context).holder
    return floor.id if floor.party == "agent" else None


def at_last(context: Context, after: timedelta) -> Context:
    """The context after nobody has said anything for a time."""
    return lapsing.lapse(context, {}, PATIENCE, NOON + after).context


CALLS = [
    ("whoever answers first holds the call", [("answered", "ann", 1)], {"ann": "holder"}),
    ("an answer that nothing explains", [("answered", "ann", 1), ("answered", "bob", 2)],
     {"ann": "holder", "bob": "consulted"}),
    ("a transfer told late", [("answered", "bob", 9), ("answered", "ann", 1), ("transferred", "bob", 5)],
     {"bob": "holder"}),
    ("held, and so answered", [("held", "ann", 3)], {"ann": "holder"}),
    ("joined without having been consulted", [("answered", "ann", 1), ("conferenced", "bob", 2)],
     {"ann": "holder", "bob": "joined"}),
    ("the holder leaves whoever was joined first",
     [("answered", "ann", 1), ("consulted", "bob", 2), ("answered", "bob", 3), ("conferenced", "cat", 4),
      ("ended", "ann", 5)], {"bob": "consulted", "cat": "holder"}),
    ("whoever is consulted while the holder leaves", [("answered", "ann", 1), ("consulted", "bob", 2),
     ("ended", "ann", 5), ("answered", "bob", 6)], {"bob": "holder"}),
    ("back again after having left", [("answered", "ann", 1), ("transferred", "bob", 20), ("answered", "bob", 25),
     ("transferred", "ann", 60), ("answered", "ann", 70)], {"ann": "holder"}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "reports", "roles"), CALLS, ids=[said for said, _, _ in CALLS])
def test_roles_are_what_the_reports_come_to(
    said: str, reports: list[tuple[str, str, float]], roles: dict[str, str]
) -> None:
    context = told(waiting(), *(say(verb, agent, after) for verb, agent, after in reports))
    assert {leg.agent_id: leg.role for leg in course(context).live if leg.talks} == roles


@pytest.mark.parametrize("at", [0.5, 3])
def test_an_end_within_ten_seconds_ends_the_leg_also_before_its_answer(at: float) -> None:
    context = told(waiting(), say("alerting", "ann", 0), say("answered", "ann", 6), say("ended", "ann", at))
    assert course(context).over
    assert [leg.state for leg in course(context).legs] == ["ended"]
    [handoff] = context.handoffs.values()
    assert (handoff.state, handoff.agent_id, handoff.wrap_up_since is not None) == ("accepted", "ann", True)


def test_an_end_long_before_an_answer_is_that_of_another_leg() -> None:
    context = told(waiting(), say("alerting", "ann", 0), say("ended", "ann", 5), say("answered", "ann", 40))
    assert course(context).holder == "ann"


def test_what_is_ended_by_its_own_name_is_only_that_leg() -> None:
    second = CALL | {"id": "0079"}
    asked = [say("consulted", "bob", 2, ref=second), say("answered", "bob", 3, ref=second)]
    context = told(waiting(), say("answered", "ann", 1), *asked, say("ended", None, 9, ref=second))
    assert (course(context).holder, course(context).over) == ("ann", False)
    assert course(told(context, say("ended", None, 20))).over


KNOWN_AS = [Ref.model_validate(CALL)]


def test_a_name_that_the_call_had_from_the_start_is_that_of_no_leg() -> None:
    beside = say("answered", "ann", 1, ref=None), say("consulted", "bob", 2)
    assert course(told(waiting(refs=KNOWN_AS), *beside, say("ended", None, 9))).over


def test_the_end_of_a_leg_of_which_nobody_told_yet_does_not_end_the_call() -> None:
    second = CALL | {"id": "0079"}
    context = told(waiting(refs=KNOWN_AS), say("ended", None, 9, ref=second))
    assert [one.state for one in context.handoffs.values()] == ["offered"]
    asked = told(context, say("answered", "ann", 1), say("consulted", "bob", 2, ref=second))
    assert [(leg.agent_id, leg.is_live) for leg in course(asked).legs] == [("ann", True), ("bob", False)]


def test_the_end_of_a_leg_told_twice_under_two_names_does_not_end_the_call() -> None:
    second = CALL | {"id": "0079"}
    asked = [say("consulted", "bob", 2, ref=second), say("answered", "bob", 3, ref=second)]
    context = told(waiting(refs=KNOWN_AS), say("answered", "ann", 1), *asked, say("ended", "bob", 8))
    assert course(told(context, say("ended", None, 9, ref=second))).holder == "ann"


def test_a_leg_of_which_its_agent_came_back_as_the_holder_does_not_end_the_call() -> None:
    second = CALL | {"id": "0079"}
    asked = [say("consulted", "ann", 20, ref=second), say("ended", None, 30, ref=second)]
    context = told(waiting(refs=KNOWN_AS), say("answered", "ann", 1), say("transferred", "bob", 60), *asked)
    assert [(one.to.agent, one.state) for one in context.handoffs.values()] == [(None, "accepted"), ("bob", "offered")]


def test_the_end_of_the_holders_own_leg_ends_what_nobody_else_is_in() -> None:
    second = CALL | {"id": "0079"}
    context = told(waiting(refs=KNOWN_AS), say("answered", "ann", 1, ref=second), say("ended", None, 9, ref=second))
    assert (course(context).over, course(context).said, an_interaction(context).is_open) == (True, False, False)


def test_an_answer_that_only_the_desk_told_ends_with_the_end_that_its_clock_puts_before_it() -> None:
    context = told(waiting(), say("answered", "ann", 1), say("ended", "ann", 20), say("ended", "ann", 60))
    assert course(told(context, say("answered", "ann", 66, ref=None).but(marks=[BY_AGENT]))).holder is None


def test_whoever_listens_at_once_after_having_left_does_listen() -> None:
    given = told(waiting(), say("answered", "ann", 1), say("answered", "bob", 2), say("transferred", "bob", 9))
    back = say("answered", "ann", 20, ref=None, role="monitoring").but(marks=[BY_AGENT])
    roles = {leg.agent_id: leg.role for leg in course(told(given, say("ended", "ann", 15), back)).live}
    assert roles == {"bob": "holder", "ann": "monitoring"}


def test_a_hold_told_by_a_clock_ahead_is_not_that_of_the_next_leg_which_only_rings() -> None:
    given = told(
        waiting(), say("answered", "ann", 1), say("held", "ann", 50), say("transferred", None, 56, queue="second")
    )
    ringing = told(given, say("ended", "ann", 57), say("alerting", "ann", 60))
    late = say("retrieved", "ann", 62, ref=None).but(marks=[BY_AGENT])
    assert course(told(ringing, late)).holder is None
    assert course(told(ringing, late, say("answered", "ann", 70))).holder == "ann"


def test_an_answer_that_the_desk_tells_by_a_clock_of_its_own_after_the_end_is_no_second_one() -> None:
    context = told(waiting(), say("alerting", "ann", 0), say("answered", "ann", 2), say("ended", "ann", 6))
    by_desk = say("answered", "ann", 9, ref=None).but(marks=[BY_AGENT])
    assert course(told(context, by_desk)).holder is None


def test_a_transfer_told_before_the_answer_leads_to_where_the_customer_waits_and_since_when() -> None:
    context = told(waiting(), say("transferred", None, 60, queue="second"))
    known = told(context, say("answered", "ann", 5), say("ended", "ann", 61), say("recording.stopped", None, 100))
    held, there = known.handoffs.values()
    assert (held.agent_id, held.state, there.state, there.to.queue) == ("ann", "accepted", "offered", "second")
    assert there.waiting_since == NOON + MINUTE


def test_an_offer_explains_no_answer_that_was_before_it() -> None:
    given = told(waiting(), say("answered", "ann", 1), say("transferred", "bob", 60))
    known = told(given, say("answered", "bob", 20), say("ended", "bob", 30))
    assert [(leg.agent_id, leg.role) for leg in course(known).legs[:2]] == [("ann", "holder"), ("bob", "consulted")]


def test_who_had_the_call_for_a_moment_only_has_had_it_also_if_its_end_is_told_first() -> None:
    context = told(waiting(), say("ended", "ann", 9), say("answered", "ann", 5))
    [handoff] = context.handoffs.values()
    assert (handoff.agent_id, handoff.state, handoff.wrap_up_since is not None) == ("ann", "accepted", True)
    assert not an_interaction(context).is_open


def test_who_gave_a_call_away_may_be_the_one_who_answers_it() -> None:
    given = told(waiting(), say("answered", "ann", 1), say("transferred", None, 20, queue="second"))
    again = told(given, say("ended", "ann", 21), say("alerting", "ann", 60), say("answered", "ann", 70))
    assert [(one.agent_id, one.state) for one in again.handoffs.values()] == [
        ("ann", "transferred"),
        ("ann", "accepted"),
    ]
    assert holder(again) == "ann"


UNANSWERED = (
    say("answered", "ann", 1), say("transferred", "cat", 20), say("ended", "ann", 21), say("ended", "cat", 40),
)  # fmt: skip


def places(context: Context) -> list[tuple[str, dict[str, Any], str | None, float]]:
    """What became of each handoff, where it went, who had it, and how many seconds after noon its wait began."""
    return [
        (one.state, one.to.model_dump(), one.agent_id, (one.waiting_since - NOON).total_seconds())
        for one in context.handoffs.values()
    ]


def test_a_call_that_nobody_answered_waits_where_it_was_given_next_and_keeps_its_place() -> None:
    there = told(waiting(), *UNANSWERED, say("transferred", None, 45, queue="second"))
    assert places(there)[1:] == [("offered", {"queue": "second"}, None, 20)]
    again = told(there, say("transferred", "dan", 80))
    assert places(again)[1:] == [("offered", {"agent": "dan"}, None, 20)]
    assert holder(told(again, say("answered", "dan", 90))) == "dan"
    ahead = waiting()
    for report in (*UNANSWERED, say("transferred", None, 45, queue="second")):
        ahead = telling(ahead, report, now=report.at - 5 * SECOND, tenant=TENANT).context
    assert places(ahead)[1:] == [("offered", {"queue": "second"}, None, 15)]


OVERFLOWED = (say("alerting", "ann", 20), say("ended", "ann", 40), say("transferred", None, 45, queue="second"))


def test_what_the_hub_offered_follows_the_call_where_it_went_unanswered_and_keeps_its_place() -> None:
    there = told(waiting(), *OVERFLOWED)
    assert places(there) == [("offered", {"queue": "second"}, None, 0)]
    for again in (told(there, say("transferred", "dan", 80)), told(there, say("transferred", "dan", 46))):
        assert places(again) == [("offered", {"agent": "dan"}, None, 0)]
        answered = told(again, say("answered", "dan", 90))
        assert (holder(answered), places(answered)) == ("dan", [("accepted", {"agent": "dan"}, "dan", 0)])
    menu = told(there, say("transferred", None, 80, bot="menu", step="payout"))
    assert (an_interaction(menu).holder.party, places(menu)) == ("bot", [("accepted", {"bot": "menu"}, None, 0)])
    gone = told(there, say("ended", after=60))
    offer = an_offer({"queue": "cards"}, interaction_id="in_2")
    back = handoffs.offer(started(gone, "in_2", 2), offer, "ho_2", NOON + 2 * MINUTE, GRACE, (), TENANT).context
    assert back.handoffs["ho_2"].waiting_since == NOON


def test_what_the_hub_offered_stays_where_that_put_it_unless_the_call_went_on_since_to_a_place_it_knows() -> None:
    at_cards = [("offered", {"queue": "cards"}, None, 0)]
    assert places(told(waiting(), say("transferred", None, 5, queue="vdn-8001"))) == at_cards, "another name for it"
    assert places(told(waiting(), say("transferred", None, -20, queue="second"))) == at_cards, "before it was offered"
    by_hub = telling(with_one_offered("ivr"), say("transferred", None, 5, queue="second"), tenant=TENANT).context
    assert places(by_hub) == at_cards, "the hub finds the agent"


def test_whoever_answered_before_an_overflow_has_had_the_call_also_if_that_is_told_last() -> None:
    for transferred in (45, 5):  # by a clock, this late or this soon after the offer
        passed = told(waiting(), say("transferred", None, transferred, queue="second"), say("ended", "ann", 46))
        late = told(passed, say("answered", "ann", transferred - 2))
        by_ann, there = places(late)
        assert (by_ann[2:], there[:3]) == (("ann", 0), ("offered", {"queue": "second"}, None))


def test_a_call_whose_place_has_gone_on_in_a_chat_waits_nowhere_when_it_is_given_on_unanswered() -> None:
    keeps = TENANT.but(queues={"cards": QueueSpec(keeps_place=True), "second": QueueSpec()})
    both = started(waiting(), "in_2", 2)
    chat = go_on(both, "ho_1", "in_2", "ho_2", Rules(keeps, GRACE, NOON)).change.context
    assert [one.state for one in chat.handoffs.values()] == ["left", "offered"]
    passed = told(chat, *OVERFLOWED)
    assert [(one.state, one.interaction_id) for one in passed.handoffs.values()] == [
        ("left", "in_1"),
        ("offered", "in_2"),
    ]
    answered = told(passed, say("answered", "cat", 60))
    *_, place, call = answered.handoffs.values()
    assert (place.state, call.state, call.agent_id, call.waiting_since) == ("left", "accepted", "cat", NOON)
    menu = told(chat, say("transferred", None, 45, bot="menu"))
    assert (an_interaction(menu).holder.id, menu.handoffs["ho_2"].state) == ("menu", "offered")


THIRD = say("queued", None, 5, queue="cards", position=3, expected_wait=100)


def stands(context: Context) -> tuple[int | None, int | None]:
    """Where the last offer stands in its queue, and how long that takes."""
    last = list(context.handoffs.values())[-1]
    return last.position, last.expected_wait


def test_a_place_in_one_queue_is_none_in_the_next() -> None:
    assert stands(told(waiting(), THIRD)) == (3, 100)
    answered = (THIRD, say("answered", "ann", 20))
    given = told(waiting(), *answered, say("transferred", None, 30, queue="second"), say("alerting", "bob", 40))
    assert stands(given) == (None, None)
    assert stands(told(given, say("queued", None, 50, position=1, expected_wait=10))) == (1, 10)
    offer, held = an_offer({"queue": "second"}), told(waiting(), *answered)
    by_desk = handoffs.offer(held, offer, "ho_2", NOON + MINUTE, GRACE, (), TENANT).context
    assert stands(told(by_desk, say("held", "ann", 65))) == (None, None)
    assert stands(told(waiting(), THIRD, *OVERFLOWED, say("alerting", "bob", 50))) == (None, None)
    late = told(given, say("queued", None, 8, queue="cards", position=2, expected_wait=80))
    assert stands(late) == (None, None)


def test_a_place_told_before_an_offer_counts_for_its_own_queue_or_if_clocks_may_lie_apart() -> None:
    def offered_at(seconds: float) -> Context:
        return handoffs.offer(told(with_one(2, channel="ivr"), THIRD), an_offer({"queue": "cards"}), "ho_1",
                              NOON + SECOND * seconds, GRACE, (), TENANT).context  # fmt: skip

    assert stands(told(offered_at(60), say("alerting", "ann", 70))) == (3, 100)
    unnamed = say("queued", None, 70, position=2, expected_wait=60)
    assert stands(told(offered_at(78), unnamed)) == (2, 60)
    assert stands(told(offered_at(90), unnamed)) == (None, None)


def test_a_call_that_nobody_answered_goes_on_with_the_menu_it_was_given_back_to() -> None:
    change = telling(told(waiting(), *UNANSWERED), say("transferred", None, 45, bot="menu", say="On."), tenant=TENANT)
    assert places(change.context) == [
        ("returned", {"queue": "cards"}, "ann", 0),
        ("accepted", {"bot": "menu"}, None, 20),
    ]
    floor = an_interaction(change.context).holder
    assert (floor.party, floor.id) == ("bot", "menu")
    assert [event.type for event in change.events[1:]] == ["handoff.rerouted", "handoff.accepted", "handoff.returned"]
    assert change.events[2].data["say"] == "On."


def test_whoever_answered_before_a_call_was_passed_on_has_had_it_also_if_that_is_told_last() -> None:
    passed = (*UNANSWERED, say("ended", "bob", 150), say("transferred", None, 145, queue="second"))
    by_bob = [("accepted", {"queue": "second"}, "bob", 20), ("offered", {"queue": "second"}, None, 145)]
    assert places(told(waiting(), *passed, say("answered", "bob", 60)))[1:] == by_bob
    by_cat = [(state, to, agent and "cat", since) for state, to, agent, since in by_bob]
    assert places(told(waiting(), *passed, say("answered", "cat", 25)))[1:] == by_cat
    for late in (own("answered", "bob", 60), own("answered", "cat", 25)):
        assert places(told(waiting(), *passed, late))[1:] == [("offered", {"queue": "second"}, None, 20)], (
            "his own word"
        )


def test_a_call_given_on_by_whom_only_his_own_word_lets_in_waits_where_it_went() -> None:
    by_bob = (say("alerting", "bob", 50), own("answered", "bob", 60))
    there = told(waiting(), *UNANSWERED, *by_bob, say("transferred", None, 145, queue="second"))
    assert places(there)[1:] == [("offered", {"queue": "second"}, None, 20)]
    back = told(waiting(), *UNANSWERED, *by_bob, say("transferred", None, 145, bot="menu"))
    assert (an_interaction(back).holder.party, places(back)[1][:2]) == ("bot", ("accepted", {"bot": "menu"}))
    assert [one.agent_id for one in (*there.handoffs.values(), *back.handoffs.values())] == ["ann", None] * 2


def test_who_is_said_to_have_answered_by_whoever_has_the_floor_has_had_the_call() -> None:
    left = told(waiting(), *UNANSWERED, say("ended", "bob", 150))
    assert an_interaction(left).is_open
    over = told(left, own("answered", "bob", 60, BY_HOLDER))
    assert places(over)[1:] == [("accepted", {"agent": "cat"}, "bob", 20)]
    assert not an_interaction(over).is_open
    assert an_interaction(told(left, own("answered", "bob", 60))).is_open


def test_to_whom_a_call_was_given_has_had_it_also_if_another_says_that_he_had_it_after() -> None:
    given = told(waiting(), say("answered", "ann", 1), say("transferred", "cat", 20), say("ended", "ann", 21))
    left = told(given, own("consulted", "bob", 40), own("answered", "bob", 50), say("ended", "cat", 70))
    by_both = told(left, say("answered", "cat", 30))
    assert places(by_both)[1:] == [
        ("transferred", {"agent": "cat"}, "cat", 20),
        ("accepted", {"agent": "bob"}, "bob", 30),
    ]
    there = told(left, say("transferred", None, 80, queue="second"), say("answered", "cat", 30))
    assert places(there)[1:] == [
        ("accepted", {"queue": "second"}, "cat", 20),
        ("offered", {"queue": "second"}, None, 80),
    ]
    over = told(left, say("ended", "bob", 90), say("answered", "cat", 30))
    assert [agent for _, _, agent, _ in places(over)][:2] == ["ann", "cat"]
    assert not an_interaction(over).is_open


def test_to_whom_a_call_was_given_and_who_was_left_with_it_have_both_had_it() -> None:
    given = told(waiting(), say("answered", "ann", 1), say("transferred", "cat", 20), say("ended", "ann", 21))
    left = told(given, say("consulted", "bob", 40), say("answered", "bob", 50), say("ended", "cat", 70))
    there = told(left, say("transferred", None, 90, queue="second"), say("ended", "bob", 91))
    known = told(there, say("answered", "cat", 30))
    assert [(state, agent) for state, _, agent, _ in places(known)] == [
        ("transferred", "ann"), ("transferred", "cat"), ("accepted", "bob"), ("offered", None),
    ]  # fmt: skip


def test_whoever_talks_after_a_long_silence_has_the_floor_and_does_not_wrap_up() -> None:
    silent = at_last(told(waiting(), say("answered", "ann", 1)), 5 * HOUR)
    assert an_interaction(silent).ended_by == "silence"
    heard = told(silent, say("held", "ann", 5 * 3600 + 9))
    [handoff] = heard.handoffs.values()
    assert (holder(heard), handoff.state, handoff.wrap_up_since, handoff.lease_ends) == ("ann", "accepted", None, None)
    wrapped_up = at_last(silent, 6 * HOUR)
    assert [one.state for one in wrapped_up.handoffs.values()] == ["completed"]
    talking = told(wrapped_up, say("held", "ann", 6 * 3600 + 9))
    assert [one.state for one in talking.handoffs.values()] == ["completed", "accepted"]


def test_what_was_told_before_the_silence_does_not_take_a_call_up_again() -> None:
    silent = at_last(told(waiting(), say("answered", "ann", 1)), 5 * HOUR)
    assert not an_interaction(told(silent, say("held", "ann", 30))).is_open


def test_who_was_said_to_have_a_call_by_who_had_the_floor_has_it_when_silence_is_over_whatever_was_told_meanwhile() -> (
    None
):
    silent = at_last(waiting(), 5 * HOUR)
    meanwhile = (say("answered", "ann", 30), say("ended", "ann", 60))
    by_holder, by_himself = own("answered", "cat", 140, BY_HOLDER), own("answered", "cat", 140)
    later = say("consulted", "bob", 5 * 60 * 60 + 10)
    assert holder(told(silent, by_holder, *meanwhile, later)) == "cat"
    alone = told(silent, by_himself, later)
    assert (an_interaction(alone).is_open, course(alone).holder, holder(alone)) == (True, "cat", None)


def test_a_system_that_hands_the_call_on_does_not_end_it() -> None:
    menu = {"system": "menu", "kind": "call", "id": "0078"}
    handed_on = told(waiting(), say("ended", None, 1, ref=menu, reason="transferred"))
    assert an_interaction(handed_on).is_open
    talking = told(handed_on, say("answered", "ann", 5))
    assert an_interaction(told(talking, say("ended", None, 9, ref=menu))).is_open
    assert not an_interaction(told(talking, say("ended", None, 9))).is_open


def test_an_answer_told_after_the_end_still_lets_its_agent_wrap_up() -> None:
    over = told(waiting(), say("ended", None, 60))
    assert [one.state for one in over.handoffs.values()] == ["left"]
    known = told(over, say("answered", "ann", 5))
    [left, late] = known.handoffs.values()
    assert (left.state, late.state, late.agent_id) == ("left", "accepted", "ann")
    assert late.wrap_up_since is not None
    assert not an_interaction(known).is_open


def test_who_only_says_himself_that_he_holds_a_call_gets_no_floor_by_that() -> None:
    context = told(with_one(2, channel="ivr"), own("answered", "ann", 5))
    assert (course(context).holder, holder(context), context.handoffs) == ("ann", None, {})
    for later in (own("retrieved", "ann", 30), own("transferred", "ann", 40), own("ended", None, 50)):
        context = told(context, later)
    assert context.handoffs == {}, "nor by giving it to himself, nor by wrapping up"
    assert holder(told(with_one(2, channel="ivr"), own("answered", "ann", 5), say("answered", "ann", 6))) == "ann"


def test_who_has_a_handoff_does_not_keep_it_without_a_lease_by_his_own_word() -> None:
    mine = handoffs.accept(with_one_offered("chat"), "ho_1", "ann", NOON, LEASE).context
    again = told(mine, own("answered", "ann", 5))
    assert again.handoffs["ho_1"].lease_ends == mine.handoffs["ho_1"].lease_ends == NOON + LEASE
    assert told(mine, say("answered", "ann", 5)).handoffs["ho_1"].lease_ends is None


def test_an_offer_that_waits_is_taken_by_ones_own_word_and_one_for_another_is_not() -> None:
    assert holder(told(waiting(), own("answered", "ann", 5))) == "ann"
    for_bob = handoffs.offer(with_one(2, channel="ivr"), an_offer({"agent": "bob"}), "ho_1", NOON, GRACE, (), TENANT)
    assert holder(told(for_bob.context, own("answered", "ann", 5))) is None
    assert holder(told(for_bob.context, own("answered", "bob", 5))) == "bob"


def test_whoever_has_the_floor_gives_it_to_another_by_his_own_word() -> None:
    mine = told(waiting(), own("answered", "ann", 5))
    asked = told(mine, own("consulted", "bob", 20, BY_HOLDER), own("answered", "bob", 25))
    assert holder(asked) == "ann"
    assert holder(told(asked, own("transferred", None, 30, BY_HOLDER))) == "bob"
    assert holder(told(asked, own("transferred", None, 30))) == "ann"


def test_a_call_that_only_seemed_to_be_over_goes_on() -> None:
    context = told(waiting(), say("answered", "ann", 1), say("ended", "ann", 50))
    assert (an_interaction(context).state, course(context).said) == ("ended", False)
    again = told(context, say("alerting", "bob", 70))
    assert an_interaction(again).is_open
    assert holder(told(again, say("answered", "bob", 75))) == "bob"


def test_of_very_many_reports_those_are_left_out_that_later_ones_say_again() -> None:
    context = told(waiting(), say("answered", "ann", 1))
    for number in range(150):
        verb = "retrieved" if number % 2 else "held"
        context = told(context, say(verb, "ann", 2 + number))
    call = an_interaction(context).call
    assert call is not None
    assert len(call.marks) <= calls.MOST_MARKS
    assert (course(context).holder, course(context).legs[0].answered_at) == ("ann", NOON + SECOND)


def test_a_report_that_names_only_its_call_is_told_where_that_is() -> None:
    context = told(waiting(), say("answered", "ann", 1))
    unplaced = say("ended", None, 9).but(interaction_id=None)
    assert not an_interaction(told(context, unplaced)).is_open
    strange = say("ended", None, 9, ref=CALL | {"system": "pbx"}).but(interaction_id=None, event_id="other")
    assert an_interaction(told(context, strange)).is_open


def test_a_report_that_names_only_its_call_is_told_again_where_a_merge_may_bring_that() -> None:
    joining = merging.note(waiting(), "v7", "mg_1", NOON).context
    named = say("answered", "ann", 1, ref=CALL | {"id": "0079"}).but(interaction_id=None)
    with pytest.raises(Unavailable, match="0079"):
        told(joining, named)


def test_nothing_of_a_call_lapses_here_while_it_is_on_its_way_to_another_customer() -> None:
    over = told(waiting(), say("answered", "ann", 1), say("ended", None, 9))
    leaving = moving.depart(over, "in_1", "c43", NOON + MINUTE, None).context
    assert [one.state for one in at_last(leaving, HOUR).handoffs.values()] == ["accepted"]
    assert lapsing.next_due(leaving, {}, PATIENCE) == NOON + MINUTE


def test_a_call_lives_as_long_as_any_of_its_legs_is_heard_of() -> None:
    context = told(waiting(), say("answered", "ann", 1))
    silent = {"in_1": lapsing.Activity(NOON)}
    assert not an_interaction(lapsing.lapse(context, silent, PATIENCE, NOON + 5 * HOUR).context).is_open
    joined = handoffs.Redeemed(system="acd", external_id="leg", interaction_id="in_2")
    context = context.with_handoff(context.handoffs["ho_1"].but(joined=(joined,)))
    heard = silent | {"in_2": lapsing.Activity(NOON + 3 * HOUR)}
    assert an_interaction(lapsing.lapse(context, heard, PATIENCE, NOON + 5 * HOUR).context).is_open


def test_where_the_fallback_of_a_chat_is_a_queue_for_calls_only_the_hub_routes_that_too() -> None:
    context = waiting("chat", fallback={"queue": "second"}, expires_in=60)
    fallen = at_last(context, 2 * MINUTE).handoffs["ho_1"]
    assert (fallen.to.queue, fallen.routing, fallen.expires_at) == ("second", "hub", NOON + 2 * MINUTE)


def test_a_name_too_long_for_a_name_is_none() -> None:
    assert calling.own_ref(an_interaction(with_one()).but(external_id="x" * 129)) is None
    assert calling.own_ref(an_interaction(with_one())) == Ref(system="chat", id="in_1")
