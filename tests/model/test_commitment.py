"""Promises in time: warned before they are due, told once, and never lost."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ctxhub.errors import Invalid
from ctxhub.model import lapsing, moving
from ctxhub.model.commitment import warn_at
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event, checked_data
from ctxhub.model.tenant import Tenant
from tests.support import DAY, HOUR, MINUTE, NOON, PATIENCE, SECOND, TENANT, after, an_event, telling, with_one


def promising(due_at: datetime, owner: str = "service", **more: object) -> Event:
    return an_event(
        "commitment.made", what="call back", owner=owner, due_at=due_at.isoformat(), commitment_id="cm_1", **more
    )


def promised(due_at: datetime = NOON + DAY, level: int = 2, **more: object) -> Context:
    return after(with_one(level, channel="voice"), promising(due_at, **more), tenant=TENANT)


def by(context: Context, now: datetime) -> Change:
    return lapsing.lapse(context, {}, PATIENCE, now)


def told(change: Change) -> list[str]:
    return [event.type for event in change.events if event.type.startswith("commitment.")]


@pytest.mark.parametrize(
    ("span", "before", "warned"),
    [
        (DAY, HOUR, DAY - HOUR),
        (HOUR, HOUR, HOUR / 2),
        (10 * SECOND, HOUR, 5 * SECOND),
        (DAY, timedelta(0), DAY),
    ],
)
def test_it_is_due_soon_so_long_before_though_not_in_the_first_half_of_its_time(
    span: timedelta, before: timedelta, warned: timedelta
) -> None:
    assert warn_at(NOON, NOON + span, before) == NOON + warned


@pytest.mark.parametrize("span", [timedelta(0), -HOUR])
def test_one_that_has_no_time_at_all_is_not_warned_of(span: timedelta) -> None:
    assert warn_at(NOON, NOON + span, HOUR) is None


@pytest.mark.parametrize("what", ["", " \n"])
def test_a_promise_of_nothing_is_refused(what: str) -> None:
    with pytest.raises(Invalid):
        checked_data("commitment.made", {"what": what, "owner": "care", "due_at": NOON.isoformat()}, "")


def test_it_becomes_due_soon_then_overdue_and_stays_open() -> None:
    context = promised()
    assert by(context, NOON + 23 * HOUR - SECOND).context.commitments["cm_1"].state == "open"
    soon = by(context, NOON + 23 * HOUR)
    assert (told(soon), soon.context.commitments["cm_1"].state) == (["commitment.due_soon"], "due_soon")
    late = by(soon.context, NOON + DAY)
    assert (told(late), late.context.commitments["cm_1"].state) == (["commitment.overdue"], "overdue")
    assert told(by(late.context, NOON + 100 * DAY)) == []
    assert late.context.commitments["cm_1"].due_at == NOON + DAY


def test_a_hub_that_was_away_all_the_time_tells_both_with_the_times_they_happened() -> None:
    events = [event for event in by(promised(), NOON + 3 * DAY).events if event.type.startswith("commitment.")]
    assert [(event.type, event.at) for event in events] == [
        ("commitment.due_soon", NOON + 23 * HOUR), ("commitment.overdue", NOON + DAY),
    ]  # fmt: skip


def test_one_made_too_late_is_overdue_at_once_without_a_warning() -> None:
    assert told(by(promised(NOON - MINUTE), NOON)) == ["commitment.overdue"]


def test_what_time_tells_names_promise_owner_and_queue_and_has_the_same_id_whenever_it_is_noticed() -> None:
    times = (NOON + 23 * HOUR, NOON + 9 * DAY)
    early, late = (next(e for e in by(promised(), at).events if e.type == "commitment.due_soon") for at in times)
    assert (early.event_id, early.data) == (late.event_id, late.data)
    assert early.data == {
        "commitment_id": "cm_1", "what": "call back", "owner": "service", "queue": "service",
        "due_at": "2026-11-23T12:00:00.000Z",
    }  # fmt: skip


def test_an_owner_who_is_no_declared_queue_is_nobody_s_queue() -> None:
    assert promised(owner="ann").commitments["cm_1"].queue is None


@pytest.mark.parametrize("verb", ["kept", "broken"])
@pytest.mark.parametrize(("at", "late"), [(NOON + HOUR, False), (NOON + 2 * DAY, True)])
def test_its_end_tells_whose_it_was_and_whether_it_was_late(verb: str, at: datetime, late: bool) -> None:
    context = by(promised(), at).context
    event = an_event(f"commitment.{verb}", None, at, commitment_id="cm_1")
    change = telling(context, event, now=at, tenant=TENANT)
    assert change.context.commitments == {}
    assert (change.events[0].data["queue"], change.events[0].data["late"]) == ("service", late)


def test_after_its_end_time_tells_nothing_more() -> None:
    context = after(promised(), an_event("commitment.kept", commitment_id="cm_1"))
    assert told(by(context, NOON + 9 * DAY)) == []


def test_a_journey_that_ends_leaves_its_promises_open() -> None:
    context = after(with_one(2), an_event("journey.started", kind="refund", journey_id="jr_1"), tenant=TENANT)
    context = after(context, promising(NOON + DAY, journey_id="jr_1"), tenant=TENANT)
    context = after(context, an_event("journey.completed", journey_id="jr_1"), tenant=TENANT)
    assert context.commitments["cm_1"].journey_id == "jr_1"
    assert told(by(context, NOON + DAY)) == ["commitment.due_soon", "commitment.overdue"]


def test_the_tenant_says_how_long_before() -> None:
    tenant = Tenant.model_validate({"tenant": "acme", "policies": {"warn_before": 60}})
    context = after(with_one(2), promising(NOON + HOUR), tenant=tenant)
    assert context.commitments["cm_1"].warn_at == NOON + 59 * MINUTE


def test_while_its_interaction_moves_it_waits_and_goes_on_where_it_arrives() -> None:
    context = moving.depart(promised(), "in_1", "c7", NOON, None).context
    assert told(by(context, NOON + 2 * DAY)) == []
    assert lapsing.next_due(context, {}, PATIENCE) == NOON
