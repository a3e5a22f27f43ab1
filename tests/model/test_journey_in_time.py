"""Journeys in time: they rest, lapse, are escalated and delayed; and who is at work on one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ctxhub.errors import AtWork, WrongState
from ctxhub.model import lapsing
from ctxhub.model.context import Context
from ctxhub.model.disclosure import Reader, sight, sight_of
from ctxhub.model.event import Change, Event
from ctxhub.model.handoff import Target, return_of
from ctxhub.model.interaction import Holder
from ctxhub.model.journey import Worker, worth
from ctxhub.model.lapsing import Activities, Activity
from ctxhub.model.tenant import Tenant
from ctxhub.model.view import context_view, offers
from tests.model.scenes import accepted, held, offered, offering
from tests.support import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    PATIENCE,
    SECOND,
    TENANT,
    a_fact,
    a_start,
    after,
    an_event,
    an_interaction,
    started,
    telling,
    with_one,
)

COMPLAINT = TENANT.kind("complaint")
REST, LAPSE = 10 * MINUTE, 2 * HOUR


def starting(
    kind: str = "complaint", journey_id: str = "jr_1", interaction_id: str | None = "in_1", **more: Any
) -> Event:
    return an_event("journey.started", interaction_id, kind=kind, journey_id=journey_id, **more)


def on(verb: str, interaction_id: str | None = "in_1", at: datetime = NOON + MINUTE, **more: Any) -> Event:
    return an_event(f"journey.{verb}", interaction_id, at, journey_id=more.pop("journey_id", "jr_1"), **more)


def begun(level: int = 2, channel: str = "voice", **more: Any) -> Context:
    return after(with_one(level, channel=channel), starting(**more), tenant=TENANT)


def by(context: Context, now: datetime, heard: Activities | None = None) -> Change:
    return lapsing.lapse(context, heard or {}, PATIENCE, now)


def told(change: Change) -> list[tuple[str, timedelta]]:
    return [(event.type, event.at - NOON) for event in change.events if event.type.startswith("journey.")]


class TestResting:
    """Of whom nobody hears."""

    def test_untouched_it_rests_and_having_rested_it_lapses_with_its_facts(self) -> None:
        context = after(begun(), a_fact("late", name="what_happened", journey_id="jr_1"), tenant=TENANT)
        assert told(by(context, NOON + REST - SECOND)) == [("journey.delayed", 5 * MINUTE)]
        resting = by(context, NOON + REST)
        assert resting.context.journeys["jr_1"].state == "suspended"
        assert resting.events[-1].data == {"kind": "complaint", "by": "hub", "reason": "rest"}
        lapsed = by(resting.context, NOON + REST + LAPSE)
        assert told(lapsed) == [("journey.escalated", HOUR), ("journey.abandoned", REST + LAPSE)]
        assert (lapsed.context.journeys, lapsed.context.facts) == ({}, ())
        assert lapsed.events[-1].data == {"kind": "complaint", "by": "hub", "reason": "lapsed"}

    def test_a_hub_that_was_away_tells_all_of_it_in_order(self) -> None:
        types = [type_ for type_, _ in told(by(begun(), NOON + 9 * DAY))]
        assert types == ["journey.delayed", "journey.suspended", "journey.escalated", "journey.abandoned"]

    def test_a_kind_that_says_nothing_of_time_never_rests(self) -> None:
        assert told(by(begun(kind="refund"), NOON + 300 * DAY)) == []

    def test_the_next_thing_is_due_when_it_happens(self) -> None:
        context = begun(channel="chat")
        for span in (5 * MINUTE, REST, 30 * MINUTE, HOUR, REST + LAPSE):  # in between silence ends the chat
            assert lapsing.next_due(context, {}, PATIENCE) == NOON + span
            context = by(context, NOON + span).context
        assert lapsing.next_due(context, {}, PATIENCE) is None

    def test_what_is_heard_in_an_interaction_about_it_keeps_it_from_resting(self) -> None:
        heard = {"in_1": Activity(NOON + 9 * MINUTE)}
        assert ("journey.suspended", REST) not in told(by(begun(), NOON + REST, heard))
        assert ("journey.suspended", 19 * MINUTE) in told(by(begun(), NOON + 19 * MINUTE, heard))

    def test_what_is_heard_elsewhere_does_not(self) -> None:
        context = started(begun(), "in_2", 2)
        heard = {"in_2": Activity(NOON + 9 * MINUTE)}
        assert ("journey.suspended", REST) in told(by(context, NOON + REST, heard))

    def test_it_rests_so_long_after_the_end_of_the_interaction_about_it(self) -> None:
        context = lapsing.end(begun(), "in_1", NOON + 9 * MINUTE).context
        assert ("journey.suspended", 19 * MINUTE) in told(by(context, NOON + 19 * MINUTE))

    def test_a_fact_told_of_it_at_level_2_touches_it(self) -> None:
        context = after(begun(), a_fact("x", name="what_happened", at=NOON + MINUTE, journey_id="jr_1"), tenant=TENANT)
        assert context.journeys["jr_1"].updated_at == NOON + MINUTE

    def test_told_of_below_level_2_nobody_else_can_tell(self) -> None:
        context = after(begun(1), a_fact("x", name="what_happened", at=NOON + MINUTE, journey_id="jr_1"), tenant=TENANT)
        assert context.journeys["jr_1"].updated_at == NOON

    def test_what_is_told_late_does_not_make_it_older(self) -> None:
        context = after(begun(), on("advanced", at=NOON - DAY, step="answered"), tenant=TENANT)
        assert context.journeys["jr_1"].updated_at == NOON

    @pytest.mark.parametrize("verb", ["resumed", "advanced"])
    def test_taken_up_again_it_is_active_and_may_rest_again(self, verb: str) -> None:
        data = {"step": "answered"} if verb == "advanced" else {}
        resting = by(begun(), NOON + REST).context
        context = after(resting, on(verb, at=NOON + HOUR / 2, **data), tenant=TENANT)
        journey = context.journeys["jr_1"]
        assert (journey.state, journey.rested_at) == ("active", None)
        again = by(context, NOON + HOUR / 2 + REST)
        ids = {event.event_id for event in again.events if event.type == "journey.suspended"}
        assert ids == {f"{by(begun(), NOON + REST).events[-1].event_id[:-1]}2"}

    def test_laid_aside_by_the_customer_it_lapses_from_then_on(self) -> None:
        context = after(begun(), on("suspended"), tenant=TENANT)
        assert ("journey.abandoned", MINUTE + LAPSE) in told(by(context, NOON + DAY))

    def test_begun_again_under_the_same_id_its_events_have_other_ids(self) -> None:
        first = by(begun(event_id="e1"), NOON + REST)
        ended = after(first.context, on("completed"), tenant=TENANT)
        again = by(after(ended, starting(event_id="e2"), tenant=TENANT), NOON + REST)
        assert not {event.event_id for event in first.events} & {event.event_id for event in again.events}


class TestPinned:
    """While somebody waits for an agent, or an agent works, nothing rests."""

    def test_while_it_waits_for_an_agent_it_does_not_rest(self) -> None:
        context = offered(begun(), expires_in=7200)
        assert "journey.suspended" not in dict(told(by(context, NOON + HOUR)))

    def test_while_an_agent_holds_it_it_does_not_rest(self) -> None:
        heard = {"in_1": Activity(NOON, NOON + HOUR)}
        context = lapsing.with_activity(held(begun()), heard, PATIENCE)
        assert "journey.suspended" not in dict(told(by(context, NOON + HOUR, heard)))

    def test_so_long_after_the_handoff_ended_it_rests(self) -> None:
        context = by(offered(begun(), expires_in=3600), NOON + HOUR).context
        assert context.journeys["jr_1"].state == "active"
        assert ("journey.suspended", HOUR + REST) in told(by(context, NOON + HOUR + REST))


class TestOwner:
    """Who is responsible."""

    def test_it_begins_with_its_kind_s_owner_and_shows_it(self) -> None:
        context = begun()
        view = context_view(context, sight(context, Reader(role="admin"), TENANT, NOON), TENANT, NOON)
        assert view.journeys[0].owner == "service"

    def test_a_step_may_have_an_owner_of_its_own(self) -> None:
        assert after(begun(), on("advanced", step="answered"), tenant=TENANT).journeys["jr_1"].owner == "back office"

    def test_escalated_it_changes_its_owner_and_tells_old_and_new_queue(self) -> None:
        change = by(after(begun(), on("advanced", step="answered"), tenant=TENANT), NOON + HOUR)
        raised = next(event for event in change.events if event.type == "journey.escalated")
        assert raised.data == {"kind": "complaint", "level": 1, "owner": "agent:ann", "from_queue": "back office"}
        assert change.context.journeys["jr_1"].owner == "agent:ann"

    def test_escalated_to_a_queue_it_names_the_queue(self) -> None:
        context = begun()
        kept = {"in_1": Activity(NOON + 3 * HOUR)}
        change = by(context, NOON + 3 * HOUR, kept)
        raised = [event.data for event in change.events if event.type == "journey.escalated"]
        assert [data["level"] for data in raised] == [1, 2]
        assert (raised[1]["owner"], raised[1]["queue"]) == ("board", "board")

    def test_a_step_does_not_take_it_down_again(self) -> None:
        context = by(begun(), NOON + HOUR, {"in_1": Activity(NOON + HOUR)}).context
        context = after(context, on("advanced", at=NOON + HOUR, step="answered"), tenant=TENANT)
        assert context.journeys["jr_1"].owner == "agent:ann"

    @pytest.mark.parametrize(
        ("now", "to"), [(NOON, {"queue": "service"}), (NOON + HOUR, {"agent": "ann"})]
    )  # fmt: skip
    def test_a_handoff_to_the_owner_goes_to_that_queue_or_agent(self, now: datetime, to: dict[str, str]) -> None:
        context = by(begun(), now, {"in_1": Activity(now)}).context
        change = offering(context, now=now, to={"owner_of": "jr_1"})
        assert change.context.handoffs["ho_1"].to == Target.model_validate(to)

    def test_one_without_an_owner_needs_a_fallback(self) -> None:
        context = begun(kind="refund")
        with pytest.raises(WrongState, match="nobody before"):
            offering(context, to={"owner_of": "jr_1"})
        change = offering(context, to={"owner_of": "jr_1"}, fallback={"queue": "cards"})
        assert change.context.handoffs["ho_1"].to.queue == "cards"


class TestDelay:
    """A step has its time."""

    def test_a_step_that_takes_too_long_is_told_once(self) -> None:
        change = by(begun(), NOON + 5 * MINUTE)
        assert told(change) == [("journey.delayed", 5 * MINUTE)]
        assert change.events[0].data == {"kind": "complaint", "step": "heard", "owner": "service", "queue": "service"}
        assert told(by(change.context, NOON + 6 * MINUTE)) == []

    def test_left_in_time_it_is_not(self) -> None:
        context = after(begun(), on("advanced", step="answered"), tenant=TENANT)
        assert told(by(context, NOON + 9 * MINUTE)) == []

    def test_come_to_again_at_the_same_step_it_has_no_more_time(self) -> None:
        context = after(begun(), on("advanced", step="heard"), tenant=TENANT)
        assert told(by(context, NOON + 5 * MINUTE)) == [("journey.delayed", 5 * MINUTE)]

    def test_given_back_at_a_step_no_time_runs(self) -> None:
        context = held(begun())
        back = return_of(context, "ho_1", "ho_2", None, "answered", None, NOON)
        assert back.step == "answered"


class TestFinding:
    """Found or started."""

    def found(self, context: Context, interaction_id: str = "in_1", kind: str = "complaint", **more: Any) -> Change:
        event = starting(kind, "jr_new", interaction_id, event_id="e9", find=True, **more)
        return telling(context, event, now=NOON, tenant=TENANT)

    def test_an_open_one_of_its_kind_goes_on_and_is_told_as_resumed(self) -> None:
        change = self.found(started(by(begun(), NOON + REST).context, "in_2", 2), "in_2")
        assert [(event.type, event.journey_id, event.data["found"]) for event in change.events] == [
            ("journey.resumed", "jr_1", True)
        ]
        assert change.context.journeys.keys() == {"jr_1"}
        assert change.context.journeys["jr_1"].state == "active"
        assert change.context.interactions["in_2"].journey_id == "jr_1"

    def test_where_none_is_open_it_begins(self) -> None:
        change = self.found(begun(kind="refund"))
        assert [(event.type, event.journey_id) for event in change.events] == [("journey.started", "jr_new")]

    def test_another_s_that_is_out_of_sight_is_not_found(self) -> None:
        context = started(begun(1), "in_2", 3)
        assert self.found(context, "in_2").context.journeys.keys() == {"jr_1", "jr_new"}

    def test_of_several_what_the_interaction_is_about_goes_on_else_the_freshest(self) -> None:
        context = after(begun(), starting(journey_id="jr_2", at=NOON + SECOND), tenant=TENANT)
        context = started(context, "in_2", 2)
        assert self.found(context, "in_2").events[0].journey_id == "jr_2"
        context = after(context, on("resumed", journey_id="jr_1"), tenant=TENANT)
        assert self.found(context, "in_1").events[0].journey_id == "jr_1"


class TestAtWork:
    """A bot and an agent do not work on it twice."""

    @staticmethod
    def twice(level: int = 2) -> Context:
        """An agent works on it in `in_1`; a bot has `in_2`."""
        return started(held(begun(level)), "in_2", 2)

    def shown(self, context: Context, reader: Reader) -> Worker | None:
        view = context_view(context, sight(context, reader, TENANT, NOON), TENANT, NOON, reader.interaction_id)
        return view.journeys[0].worker

    def test_whoever_has_the_floor_where_it_is_worked_on_is_shown(self) -> None:
        bot = Worker(party="bot", interaction_id="in_1", since=NOON)
        assert self.shown(begun(), Reader(interaction_id="in_1")) == bot
        agent = Worker(party="agent", id="ann", interaction_id="in_1", since=NOON)
        assert self.shown(self.twice(), Reader(interaction_id="in_2")) == agent

    def test_nobody_is_where_it_rests_with_nobody(self) -> None:
        context = lapsing.end(begun(), "in_1", NOON).context
        assert self.shown(context, Reader(role="admin")) is None

    def test_an_interaction_out_of_sight_shows_no_worker(self) -> None:
        context = started(begun(), "in_2", 1)
        about = context.with_interaction(an_interaction(context, "in_2").but(journey_id="jr_1"))
        gone = lapsing.end(about, "in_1", NOON).context
        assert self.shown(started(gone, "in_3", 2), Reader(interaction_id="in_3")) is None
        assert self.shown(gone, Reader(role="admin")) == Worker(party="bot", interaction_id="in_2", since=NOON)

    def test_an_agent_counts_before_a_bot(self) -> None:
        context = self.twice()
        both = context.with_interaction(
            an_interaction(context, "in_2").but(journey_id="jr_1", started_at=NOON + SECOND)
        )
        seen = self.shown(both, Reader(role="admin"))
        assert seen is not None
        assert seen.party == "agent"

    @pytest.mark.parametrize("verb", ["advanced", "resumed", "completed", "abandoned"])
    @pytest.mark.parametrize("party", ["bot", "customer", "system"])
    def test_a_bot_that_works_on_it_too_is_refused_with_who_does(self, verb: str, party: str) -> None:
        data = {"step": "answered"} if verb == "advanced" else {}
        with pytest.raises(AtWork) as refused:
            after(self.twice(), on(verb, "in_2", party=party, **data), tenant=TENANT)
        assert refused.value.ids["worker"]["id"] == "ann"
        assert refused.value.ids["journey_id"] == "jr_1"

    def test_one_that_finds_it_is_refused_and_one_that_starts_another_is_not(self) -> None:
        with pytest.raises(AtWork):
            after(self.twice(), starting(interaction_id="in_2", journey_id="jr_9", find=True), tenant=TENANT)
        assert after(self.twice(), starting(interaction_id="in_2", journey_id="jr_9"), tenant=TENANT).journeys["jr_9"]

    @pytest.mark.parametrize("verb", ["suspended", "declined"])
    def test_to_lay_it_aside_or_decline_it_is_no_work(self, verb: str) -> None:
        assert after(self.twice(), on(verb, "in_2", party="bot"), tenant=TENANT).journeys["jr_1"]

    def test_a_report_of_what_was_done_already_is_taken(self) -> None:
        before = on("completed", "in_2", at=NOON - SECOND, party="bot")
        assert after(self.twice(), before, now=NOON, tenant=TENANT).journeys == {}
        said = on("completed", "in_2", party="bot", happened=True)
        assert after(self.twice(), said, tenant=TENANT).journeys == {}

    def test_an_agent_is_never_refused(self) -> None:
        context = self.twice()
        assert after(context, on("completed", "in_2", party="agent"), tenant=TENANT).journeys == {}
        other = an_interaction(context, "in_2").but(holder=Holder(party="agent", id="bob"))
        assert after(context.with_interaction(other), on("completed", "in_2"), tenant=TENANT).journeys == {}

    def test_a_system_of_the_company_s_own_is_not_refused(self) -> None:
        assert after(self.twice(), on("completed", None, party="system"), tenant=TENANT).journeys == {}

    def test_in_the_agent_s_own_interaction_nothing_is_refused(self) -> None:
        assert after(held(begun()), on("completed", party="bot"), tenant=TENANT).journeys == {}

    def test_where_the_agent_s_interaction_led_work_goes_on(self) -> None:
        context = self.twice()
        led = an_interaction(context, "in_2").but(lineage=("in_1",))
        assert after(context.with_interaction(led), on("completed", "in_2", party="bot"), tenant=TENANT).journeys == {}

    def test_who_may_not_see_the_agent_s_interaction_learns_only_that_there_is_an_agent(self) -> None:
        context = started(held(begun()), "in_2", 1)
        mine = an_interaction(context, "in_2").but(journey_id="jr_1")
        with pytest.raises(AtWork) as refused:
            after(context.with_interaction(mine), on("completed", "in_2", party="bot"), tenant=TENANT)
        assert refused.value.ids["worker"] == {"party": "agent"}


class TestOffers:
    """What is worth resuming."""

    @staticmethod
    def offered(context: Context, interaction_id: str, now: datetime = NOON) -> list[tuple[str, str]]:
        here = an_interaction(context, interaction_id)
        found = offers(context, sight_of(here, now), here, TENANT, now)
        return [(offer.journey_id, offer.reason_code) for offer in found]

    def test_worth_is_importance_halved_each_day(self) -> None:
        assert (worth(4, timedelta(0)), worth(4, DAY), worth(4, -DAY)) == (4.0, 2.0, 4.0)
        assert worth(5, DAY) < worth(3, timedelta(0)) < worth(5, HOUR)

    def test_the_important_one_comes_before_the_fresher_one_until_it_is_old(self) -> None:
        context = begun(channel="chat")
        context = after(context, starting("refund", "jr_2", at=NOON + MINUTE), tenant=TENANT)
        assert self.offered(started(context, "in_2", 2), "in_2") == [("jr_1", "important"), ("jr_2", "recent")]
        later = after(context, on("resumed", journey_id="jr_2", at=NOON + 2 * DAY), tenant=TENANT)
        later = started(later, "in_3", 2, now=NOON + 2 * DAY)
        assert [id_ for id_, _ in self.offered(later, "in_3", NOON + 2 * DAY)] == ["jr_2", "jr_1"]

    def test_what_is_at_hand_or_was_handed_over_comes_first_and_says_so(self) -> None:
        context = after(begun(), starting("refund", "jr_2"), tenant=TENANT)
        assert self.offered(context, "in_1") == [("jr_2", "at_hand"), ("jr_1", "important")]
        arrived = an_interaction(started(context, "in_2", 2), "in_2").but(journey_id="jr_2", handoff_id="ho_1")
        assert self.offered(context.with_interaction(arrived), "in_2")[0] == ("jr_2", "handed_over")

    def test_one_that_rests_says_since_when(self) -> None:
        context = after(started(begun(kind="refund"), "in_2", 2), on("suspended"), tenant=TENANT)
        here = an_interaction(context, "in_2")
        (offer,) = offers(context, sight_of(here, NOON), here, TENANT, NOON)
        assert (offer.reason_code, offer.reason) == ("resting", "suspended since 2026-11-22 12:01")

    def test_a_bot_is_not_offered_what_an_agent_works_on_elsewhere(self) -> None:
        context = started(held(begun()), "in_2", 2)
        assert self.offered(context, "in_2") == []
        assert self.offered(lapsing.end(context, "in_1", NOON).context, "in_2") == [("jr_1", "important")]

    def test_one_declined_is_not_offered_again_in_that_interaction(self) -> None:
        context = after(started(begun(), "in_2", 2), on("declined", "in_2"), tenant=TENANT)
        assert self.offered(context, "in_2") == []
        assert self.offered(started(context, "in_3", 2), "in_3") == [("jr_1", "important")]


def test_what_a_kind_declares_stands_as_it_was_when_the_journey_began() -> None:
    journey = begun().journeys["jr_1"]
    assert (journey.rest, journey.lapse, journey.escalate) == (600, 7200, tuple(COMPLAINT.escalate))
    changed = Tenant(tenant="acme")
    assert by(after(begun(), a_fact("x"), tenant=changed), NOON + REST).context.journeys["jr_1"].state == "suspended"


def test_an_accepted_handoff_says_since_when_its_agent_is_at_work() -> None:
    context = accepted(offered(begun()), now=NOON + MINUTE)
    view = context_view(context, sight(context, Reader(role="admin"), TENANT, NOON), TENANT, NOON)
    assert view.journeys[0].worker is not None
    assert view.journeys[0].worker.since == NOON + MINUTE
    assert a_start().party == "bot"
