"""Time is ours: what lapses by itself, in which order, and when the next thing does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ctxhub.model import lapsing, moving
from ctxhub.model.context import Context
from ctxhub.model.lapsing import Activities, Activity
from tests.model.scenes import held, offered, state, the
from tests.support import HOUR, LEASE, MINUTE, NOON, PATIENCE, a_context, a_fact, after, an_interaction, with_one


def due(context: Context, activities: Activities | None = None) -> datetime | None:
    heard = activities or {}
    return lapsing.next_due(lapsing.with_activity(context, heard, PATIENCE), heard, PATIENCE)


def test_of_a_customer_without_anything_open_nothing_is_due() -> None:
    assert due(a_context()) is None
    assert due(lapsing.end(with_one(), "in_1", NOON).context) is None


def test_the_earliest_thing_is_due_first() -> None:
    context = with_one(channel="voice")
    assert due(context) == NOON + 4 * HOUR
    assert due(offered(context, expires_in=60)) == NOON + MINUTE
    assert due(held(context)) == NOON + 4 * HOUR
    assert due(held(with_one())) == NOON + LEASE


@pytest.mark.parametrize("channel", ["ivr", "voice"])
def test_a_lease_that_runs_out_on_the_telephone_ends_with_the_call(channel: str) -> None:
    heard = {"in_1": Activity(NOON + MINUTE)}
    context = held(with_one(channel=channel))
    going_on = lapsing.lapse(context, heard, PATIENCE, NOON + HOUR)
    assert (state(going_on.context), going_on.events) == ("accepted", [])
    assert (the(going_on.context).agent_id, the(going_on.context).lease_ends) == ("ann", NOON + MINUTE + 4 * HOUR)
    assert an_interaction(going_on.context).holder.id == "ann"
    over = lapsing.lapse(going_on.context, heard, PATIENCE, NOON + MINUTE + 4 * HOUR)
    assert [event.type for event in over.events] == ["interaction.ended"]
    assert the(over.context).wrap_up_since == NOON + MINUTE + 4 * HOUR
    assert due(over.context) == NOON + 31 * MINUTE + 4 * HOUR
    done = lapsing.lapse(over.context, heard, PATIENCE, NOON + 31 * MINUTE + 4 * HOUR)
    assert (state(done.context), the(done.context).outcome) == ("completed", "lease lapsed")


def test_who_hangs_up_after_the_lease_is_wrapped_up_in_peace() -> None:
    gone = lapsing.end(held(with_one(channel="voice")), "in_1", NOON + HOUR).context
    assert (state(gone), the(gone).lease_ends) == ("accepted", NOON + HOUR + 30 * MINUTE)
    again = lapsing.end(gone, "in_1", NOON + HOUR + MINUTE).context
    assert the(again).lease_ends == NOON + HOUR + 30 * MINUTE


def test_what_somebody_else_waits_for_on_the_telephone_is_offered_until_he_has_it() -> None:
    given = offered(held(with_one(channel="voice")), handoff_id="ho_2", expires_in=86_400)
    later = lapsing.lapse(given, {}, PATIENCE, NOON + HOUR).context
    assert (state(later), state(later, "ho_2"), an_interaction(later).holder.id) == ("accepted", "offered", "ann")


def test_what_was_heard_since_delays_silence() -> None:
    assert due(with_one(), {"in_1": Activity(NOON + MINUTE)}) == NOON + 31 * MINUTE


def test_what_a_holder_said_since_prolongs_the_lease() -> None:
    spoke = {"in_1": Activity(NOON + 10 * MINUTE, NOON + 10 * MINUTE)}
    assert due(held(with_one()), spoke) == NOON + 10 * MINUTE + LEASE
    active = lapsing.with_activity(held(with_one()), spoke, PATIENCE)
    assert the(lapsing.lapse(active, spoke, PATIENCE, NOON + LEASE).context).lease_ends == NOON + 10 * MINUTE + LEASE


def test_what_a_holder_said_before_does_not_shorten_a_lease() -> None:
    spoke = {"in_1": Activity(NOON, NOON - MINUTE)}
    assert the(lapsing.with_activity(held(with_one()), spoke, PATIENCE)).lease_ends == NOON + LEASE


def test_a_move_is_due_at_once_and_what_moves_does_not_fall_silent() -> None:
    context = moving.depart(with_one(), "in_1", "c7", NOON + MINUTE, None).context
    assert due(context) == NOON + MINUTE
    change = lapsing.lapse(context, {}, PATIENCE, NOON + 10 * HOUR)
    assert (change.events, an_interaction(change.context).is_open) == ([], True)


def test_nothing_lapses_before_its_time_and_then_everything_does() -> None:
    context = held(after(with_one(), a_fact(1, expires_in=60)))
    assert lapsing.lapse(context, {}, PATIENCE, NOON + MINUTE - timedelta(milliseconds=1)) == (context, [])
    change = lapsing.lapse(context, {}, PATIENCE, NOON + HOUR)
    assert [event.type for event in change.events] == ["handoff.lapsed", "handoff.expired", "interaction.ended"]
    assert (change.context.facts, state(change.context)) == ((), "expired")


def test_lapsing_again_at_the_same_time_changes_nothing() -> None:
    context = lapsing.lapse(held(with_one()), {}, PATIENCE, NOON + HOUR).context
    assert lapsing.lapse(context, {}, PATIENCE, NOON + HOUR) == (context, [])


def test_a_day_after_its_end_a_handoff_leaves_the_context() -> None:
    context = lapsing.end(offered(with_one()), "in_1", NOON).context
    assert "ho_1" in context.pruned(NOON + timedelta(days=1)).handoffs
    assert context.pruned(NOON + timedelta(days=1, milliseconds=1)).handoffs == {}
