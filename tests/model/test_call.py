"""Calls: whatever a telephone system tells, in whatever order, the customer has one agent, one place and one record."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ctxhub.model import call as calls
from ctxhub.model import calling, lapsing
from ctxhub.model import handoff as handoffs
from ctxhub.model.call import NO_CALL, Call, Course
from ctxhub.model.calling import BY_AGENT, BY_HOLDER
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event, Ref
from ctxhub.model.handoff import FINAL
from ctxhub.model.tenant import Tenant
from tests.model.calls import CALL, Line, a_call, in_disorder
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
    telling,
    with_one,
)

COUNT = int(os.environ.get("CTXHUB_CALLS", "400"))
FIRST = int(os.environ.get("CTXHUB_CALLS_FROM", "0"))
TENANT = Tenant.model_validate({"tenant": "acme", "queues": {"cards": {}, "second": {}}})


def waiting(channel: str = "ivr", **more: Any) -> Context:
    """A customer on the phone who waits in a queue that the telephone system routes."""
    context = with_one(2, channel=channel)
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
    return an_event(f"call.{verb}", at=NOON + SECOND * after, ref=more.pop("ref", CALL), **about, **more)


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


class Watch:
    """Looks at a context after every report: what must never be, and what must never change."""

    def __init__(self, line: Line, context: Context) -> None:
        self.line, self.context, self.fence = line, context, an_interaction(context).fence
        self.began = {key: one.waiting_since for key, one in context.handoffs.items()}
        self.final: dict[str, str] = {}
        self.came: set[str] = set()
        self.said_over = False

    def take(self, event: Event) -> None:
        """Take in one report, and look."""
        change = telling(self.context, event, tenant=TENANT)
        self.context = change.context
        verb, agent = event.type.removeprefix("call."), event.data.get("agent_id")
        if agent is not None and verb in ("answered", "held", "retrieved", "conferenced", "transferred"):
            self.came.add(agent)
        self.said_over = self.said_over or (verb == "ended" and agent is None)
        assert change.events[0].event_id == event.event_id, "a report was lost"
        self.look()

    def look(self) -> None:
        """See that nothing is as it must not be."""
        interaction, mine = an_interaction(self.context), list(self.context.handoffs.values())
        assert interaction.fence >= self.fence, "the fence fell"
        self.fence = interaction.fence
        assert sum(one.has_floor for one in mine) <= 1, "two hold the customer"
        assert sum(one.state == "offered" for one in mine) <= 1, "the customer waits in two places"
        assert holder(self.context) in {None, *self.came}, "somebody holds who never came"
        for one in mine:
            assert self.final.get(one.handoff_id, one.state) == one.state, "a final state changed"
            assert self.began.setdefault(one.handoff_id, one.waiting_since) == one.waiting_since, "the place was lost"
            if one.state in FINAL:
                self.final[one.handoff_id] = one.state
        assert self.said_over or mine[0].state not in ("left", "expired", "cancelled"), "the place was lost"

    def look_at_the_end(self) -> None:
        """See that what was told is what happened."""
        line, here = self.line, course(self.context)
        assert here.over == line.over, (here, line)
        assert here.holder == line.holder, (here.holder, line.holder)
        assert {leg.agent_id: leg.role for leg in here.live if leg.talks} == line.roles
        assert an_interaction(self.context).is_open != line.over
        if line.holder is not None:
            assert holder(self.context) == line.holder, "the wrong person has the floor"
            held = [one.agent_id for one in self.context.handoffs.values() if one.has_floor]
            assert held == [line.holder]
        if line.over and line.served:
            assert any(one.agent_id == line.served[-1] for one in self.context.handoffs.values()), "who served is lost"


def settled(context: Context) -> Context:
    """The context when silence has ended the call, and then the time to wrap up is over."""
    return at_last(at_last(context, timedelta(hours=20)), timedelta(hours=21))


def watched(seed: int, lost: float = 0.0) -> Watch:
    """A call at random, reported in disorder, and watched."""
    line = a_call(seed, ends=seed % 3 != 0)
    watch = Watch(line, waiting())
    for event in in_disorder(line, lost):
        watch.take(event)
    return watch


def seeds() -> range:
    """Which calls are played."""
    return range(FIRST, FIRST + COUNT)


def test_in_any_order_and_however_often_told_a_call_comes_to_what_truly_happened() -> None:
    for seed in seeds():
        watch = watched(seed)
        watch.look_at_the_end()
        left = settled(watch.context).handoffs.values()
        assert all(one.state in FINAL for one in left), seed


def test_whatever_is_lost_nobody_holds_who_never_came_and_every_handoff_ends_once() -> None:
    for seed in range(FIRST, FIRST + COUNT // 2):
        watch = watched(seed, lost=0.25)
        left = settled(watch.context).handoffs.values()
        assert all(one.state in FINAL for one in left), seed


def _by_arrival(self: Call, mark: calls.Mark) -> Call:
    """Note a report as a hub would that goes by the order of arrival."""
    return self if mark in self.marks else Call(marks=(*self.marks, mark))


FAULTS: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "reports are followed as they arrive": (Call, "noted", _by_arrival),
    "whoever is consulted takes the floor": (
        calls._Following, "_take_part", lambda self, at, role, offered: self._hold(at),
    ),
    "a call that seems to be over is never taken up again": (
        calling, "_going_on", lambda report: Change(report.context, []),
    ),
    "the floor stays with whoever came first": (
        calling, "_held", lambda report: Change(report.context, []),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_put_in_on_purpose_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, faulty = FAULTS[fault]
    monkeypatch.setattr(where, name, faulty)
    with pytest.raises(AssertionError):
        test_in_any_order_and_however_often_told_a_call_comes_to_what_truly_happened()


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


def own(verb: str, agent_id: str | None = None, after: float = 0, *marks: str, **more: Any) -> Event:
    """A report under an agent's key."""
    return say(verb, agent_id, after, **more).but(marks=[BY_AGENT, *marks])


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
