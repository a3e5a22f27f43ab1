"""Callbacks: promised, due, dialled, and brought to one end, with the promise kept or broken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxhub.errors import AlreadyOffered, DoNotCall, Invalid, NotPossibleThen, Refused, WrongState
from ctxhub.model import handoff as handoffs
from ctxhub.model import interaction as interactions
from ctxhub.model import lapsing
from ctxhub.model.callback import AskedCallback, Callback, Number
from ctxhub.model.calling_back import Said, Scene, attempted, dialled, missed, promised, reviewed
from ctxhub.model.context import Context
from ctxhub.model.disclosure import sight_of
from ctxhub.model.event import Change
from ctxhub.model.handoff import FINAL, Handoff, OfferRequest
from ctxhub.model.interaction import HandoffHint
from ctxhub.model.tenant import Tenant
from ctxhub.model.view import offers
from tests.support import DAY, GRACE, HOUR, LEASE, MINUTE, NOON, PATIENCE, a_start, after, an_event, started, with_one

REF = "ref-of-a-phone"
#: Noon in UTC is eight in the evening in Shanghai, on a Sunday: cards opens half past midnight.
OPENS = NOON + timedelta(hours=12, minutes=30)
SHANGHAI = Tenant.model_validate(
    {
        "tenant": "acme",
        "calendars": {"office": {"timezone": "Asia/Shanghai",
                                 "hours": {day: ["08:30-18:00"] for day in ("mon", "tue")}}},
        "queues": {"always": {},
                   "cards": {"hours": "office", "callback": {"attempts": 2, "pause": 600, "window": 3600}}},
        "policies": {"calls_a_day": 3},
    }
)  # fmt: skip


def scene(now: datetime = NOON, refs: tuple[str, ...] = (REF,), tenant: Tenant = SHANGHAI) -> Scene:
    """The clock, the tenant, and the numbers that the customer has."""
    return Scene(tenant, refs, now)


def promising(
    context: Context, queue: str = "cards", handoff_id: str = "ho_1", interaction_id: str = "in_1",
    now: datetime = NOON, journey_id: str | None = None, **asked: Any,
) -> Change:  # fmt: skip
    """What promising a callback comes to."""
    request = OfferRequest.model_validate(
        {"customer_id": "c42", "interaction_id": interaction_id, "reason": "after hours", "to": {"queue": queue},
         "kind": "callback", "callback": asked, "journey_id": journey_id}
    )  # fmt: skip
    offered = handoffs.offer(context, request, handoff_id, now, GRACE, ("bound",))
    wanted = AskedCallback.model_validate(asked)
    return promised(offered, handoff_id, wanted, Number(ref=REF), scene(now))


def due(**asked: Any) -> Context:
    """A customer whose callback has become due as the queue opened."""
    return reviewed(promising(with_one(level=2), **asked).context, "ho_1", scene(OPENS)).context


def the(context: Context, handoff_id: str = "ho_1") -> Handoff:
    return context.handoffs[handoff_id]


def call(context: Context) -> Callback:
    found = the(context).callback
    assert found is not None
    return found


def said(context: Context, number: int, outcome: Any, now: datetime, **more: Any) -> Change:
    """What telling an attempt comes to."""
    return attempted(context, "ho_1", Said(number, outcome, **more), scene(now))


def types(change: Change) -> list[str]:
    return [event.type for event in change.events]


def test_after_hours_it_is_promised_for_the_next_opening_and_waits_in_no_line_until_then() -> None:
    change = promising(with_one(level=2))
    callback = call(change.context)
    assert (callback.from_, callback.until, callback.changes_at) == (OPENS, OPENS + HOUR, OPENS)
    assert (the(change.context).waits_in, the(change.context).state) == (None, "offered")
    assert types(change) == ["handoff.offered", "commitment.made"]
    [promise] = change.context.commitments.values()
    assert (promise.owner, promise.queue, promise.due_at) == ("cards", "cards", OPENS + HOUR)
    assert change.events[0].data["callback"]["number"] == {"type": "phone", "ref": REF}


def test_what_a_telephone_brings_along_proves_nothing_of_who_answers_it() -> None:
    context = promising(with_one(level=2)).context
    assert the(context).delivery == "message"
    start = a_start("out", channel="voice", direction="outbound", handoff=HandoffHint(token="t"))
    reached = interactions.start(context, start, "in_out", OPENS, the(context)).context
    assert reached.interactions["in_out"].level(OPENS) <= 1
    assert "in_1" in reached.interactions["in_out"].lineage


def test_it_becomes_due_as_the_queue_opens_and_not_before() -> None:
    context = promising(with_one(level=2)).context
    assert reviewed(context, "ho_1", scene(OPENS - MINUTE)) == Change(context, [])
    change = reviewed(context, "ho_1", scene(OPENS))
    assert types(change) == ["callback.due"]
    told = change.events[0].data
    assert (told["attempt"], told["of"], told["queue"], told["number"]["ref"]) == (1, 2, "cards", REF)
    assert the(change.context).waits_in == "queue:cards"


def test_a_timer_wakes_it() -> None:
    context = lapsing.end(promising(with_one(level=2)).context, "in_1", NOON).context
    assert lapsing.next_due(context, {}, PATIENCE) == OPENS


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"until": NOON - HOUR}, Invalid),
        ({"from": NOON + HOUR, "until": NOON + HOUR}, Invalid),
        ({"until": NOON + 61 * DAY}, Invalid),
        ({"until": NOON + HOUR}, NotPossibleThen),
        ({"from": NOON + HOUR, "until": OPENS}, NotPossibleThen),
    ],
)
def test_a_window_in_which_nobody_is_there_is_not_promised(asked: dict[str, Any], refused: type[Exception]) -> None:
    with pytest.raises(refused):
        promising(with_one(level=2), **asked)


def test_the_refusal_says_from_when_it_is_possible() -> None:
    with pytest.raises(NotPossibleThen) as refusal:
        promising(with_one(level=2), until=NOON + HOUR)
    assert refusal.value.ids["possible_from"] == "2026-11-23T00:30:00.000Z"


def test_who_does_not_want_to_be_called_is_promised_nothing() -> None:
    for verb in ("denied", "withdrawn"):
        context = after(with_one(level=2), an_event(f"consent.{verb}", purpose="calls"))
        with pytest.raises(DoNotCall):
            promising(context)


def test_a_no_that_comes_later_withdraws_it_before_anybody_dials() -> None:
    no = an_event("consent.withdrawn", purpose="calls", at=NOON + HOUR)
    context = after(promising(with_one(level=2)).context, no)
    change = reviewed(context, "ho_1", scene(OPENS))
    assert (the(change.context).state, the(change.context).outcome) == ("cancelled", "do_not_call")
    assert types(change) == ["handoff.cancelled", "commitment.broken"]
    with pytest.raises(DoNotCall):
        dialled(after(due(), an_event("consent.withdrawn", purpose="calls", at=OPENS)), "ho_1", scene(OPENS))


def test_a_number_that_is_the_customer_s_no_longer_is_not_called() -> None:
    change = reviewed(promising(with_one(level=2)).context, "ho_1", scene(OPENS, refs=()))
    assert (the(change.context).state, the(change.context).outcome) == ("cancelled", "number_gone")


def test_a_closing_declared_later_makes_it_wait_until_that_is_over() -> None:
    closed = {"office": SHANGHAI.calendars["office"].model_dump(mode="json")
              | {"closed": [{"from": OPENS.isoformat(), "until": (OPENS + HOUR / 2).isoformat()}]}}  # fmt: skip
    typhoon = Tenant.model_validate(SHANGHAI.model_dump(mode="json") | {"calendars": closed})
    change = reviewed(promising(with_one(level=2)).context, "ho_1", scene(OPENS, tenant=typhoon))
    assert (change.events, call(change.context).changes_at) == ([], OPENS + HOUR / 2)
    back = reviewed(due(), "ho_1", scene(OPENS + MINUTE, tenant=typhoon)).context
    assert (call(back).phase, the(back).waits_in) == ("waiting", None)


def test_who_is_on_the_telephone_with_us_is_not_called_meanwhile() -> None:
    talking = started(promising(with_one(level=2)).context, "in_2", channel="ivr", now=OPENS)
    change = reviewed(talking, "ho_1", scene(OPENS))
    assert (change.events, call(change.context).changes_at) == ([], OPENS + 5 * MINUTE)


def test_one_dialler_gets_the_attempt_and_silence_about_it_counts_as_failed() -> None:
    with pytest.raises(WrongState, match="waiting"):
        dialled(promising(with_one(level=2)).context, "ho_1", scene())
    claimed = dialled(due(), "ho_1", scene(OPENS)).context
    with pytest.raises(WrongState, match="dialling"):
        dialled(claimed, "ho_1", scene(OPENS))
    with pytest.raises(WrongState, match="dialling"):
        handoffs.accept(claimed, "ho_1", "ann", OPENS, LEASE)
    assert reviewed(claimed, "ho_1", scene(OPENS + 9 * MINUTE)).events == []
    change = reviewed(claimed, "ho_1", scene(OPENS + 10 * MINUTE))
    assert [event.data["outcome"] for event in change.events] == ["failed"]
    assert call(change.context).changes_at == OPENS + 20 * MINUTE


def test_answered_it_is_done_and_the_promise_kept() -> None:
    change = said(dialled(due(), "ho_1", scene(OPENS)).context, 1, "answered", OPENS + MINUTE, agent_id="ann")
    assert types(change) == ["callback.attempted", "handoff.completed", "commitment.kept"]
    assert (the(change.context).state, the(change.context).agent_id) == ("completed", "ann")
    assert change.context.commitments == {}
    assert said(change.context, 1, "answered", OPENS + HOUR) == Change(change.context, [])
    with pytest.raises(WrongState):
        said(change.context, 1, "busy", OPENS + HOUR)
    with pytest.raises(WrongState):
        said(change.context, 2, "busy", OPENS + HOUR)


def test_not_reached_it_is_tried_again_after_a_pause_until_the_attempts_are_used_up() -> None:
    once = said(dialled(due(), "ho_1", scene(OPENS)).context, 1, "no_answer", OPENS + MINUTE).context
    assert (call(once).phase, call(once).changes_at, the(once).waits_in) == ("waiting", OPENS + 11 * MINUTE, None)
    again = reviewed(once, "ho_1", scene(OPENS + 11 * MINUTE))
    assert again.events[0].data["attempt"] == 2
    change = said(again.context, 2, "busy", OPENS + 12 * MINUTE)
    assert types(change) == ["callback.attempted", "handoff.expired", "commitment.broken"]
    assert change.events[-1].data["reason"] == "attempts_exhausted"


def test_when_no_further_attempt_fits_into_the_window_it_has_ended() -> None:
    late = OPENS + 55 * MINUTE
    change = said(due(), 1, "busy", late)
    assert (the(change.context).state, the(change.context).outcome) == ("expired", "window_over")


def test_a_window_that_passes_breaks_the_promise() -> None:
    change = lapsing.lapse(due(), {}, PATIENCE, OPENS + HOUR)
    assert [event.type for event in change.events if "silence" not in str(event.data)][-1] == "commitment.broken"
    assert the(change.context).state == "expired"


def test_a_customer_who_does_not_want_it_any_more_ends_it() -> None:
    change = said(due(), 1, "refused", OPENS)
    assert (the(change.context).state, change.events[-1].type) == ("cancelled", "commitment.broken")


def test_an_agent_may_take_it_and_dial_and_it_goes_back_into_line_unreached() -> None:
    taken = handoffs.accept(due(), "ho_1", "ann", OPENS, LEASE).context
    assert the(taken).state == "accepted"
    back = said(taken, 1, "no_answer", OPENS + MINUTE).context
    assert (the(back).state, the(back).agent_id, the(back).lease_ends) == ("offered", None, None)
    assert back.interactions["in_1"].holder.party == "bot"
    left = lapsing.lapse(taken, {}, PATIENCE, OPENS + LEASE).context
    assert (the(left).state, the(left).expires_at) == ("offered", OPENS + HOUR)


def test_nobody_is_called_oftener_than_the_policy_says() -> None:
    context = promising(with_one(level=2), queue="always", attempts=10, until=NOON + 3 * DAY).context
    now = NOON
    for number in (1, 2, 3):
        context = reviewed(context, "ho_1", scene(now)).context
        assert call(context).phase == "due"
        context = said(context, number, "busy", now).context
        now += 30 * MINUTE
    context = reviewed(context, "ho_1", scene(now)).context
    assert (call(context).phase, call(context).changes_at) == ("waiting", NOON + DAY)
    assert call(reviewed(context, "ho_1", scene(NOON + DAY)).context).phase == "due"


def test_other_outbound_calls_count_as_well() -> None:
    context = with_one(level=2)
    for number in range(3):
        context = started(context, f"out_{number}", channel="voice", direction="outbound", now=NOON)
        context = lapsing.end(context, f"out_{number}", NOON).context
    with pytest.raises(NotPossibleThen) as refusal:
        promising(context, queue="always", until=NOON + HOUR)
    assert refusal.value.ids["possible_from"] == "2026-11-23T12:00:00.000Z"


def test_the_same_is_promised_once_and_the_chat_may_still_ask_for_a_person() -> None:
    context = promising(with_one(level=2)).context
    with pytest.raises(AlreadyOffered):
        promising(context, handoff_id="ho_2")
    live = OfferRequest.model_validate(
        {"customer_id": "c42", "interaction_id": "in_1", "reason": "help", "to": {"queue": "cards"}}
    )
    assert handoffs.offer(context, live, "ho_3", NOON, GRACE, ()).context.open_offer("in_1") is not None


@pytest.mark.parametrize(
    "more",
    [{"kind": "live"}, {"to": {"agent": "ann"}}, {"to": {"channel": "chat"}}, {"fallback": {"queue": "always"}}],
)
def test_only_a_queue_calls_back(more: dict[str, Any]) -> None:
    said = {"customer_id": "c42", "interaction_id": "in_1", "reason": "help", "to": {"queue": "cards"}}
    with pytest.raises(ValueError, match="goes with"):
        OfferRequest.model_validate(said | {"kind": "callback", "callback": {}} | more)


def returning(context: Context, now: datetime, direction: str = "inbound") -> list[tuple[str, str]]:
    """The journeys worth resuming for the customer who calls, with the reason's code."""
    context = started(context, "in_back", level=2, channel="voice", now=now, direction=direction)
    interaction = context.interactions["in_back"]
    found = offers(context, sight_of(interaction, now), interaction, SHANGHAI, now)
    return [(offer.kind, offer.reason_code) for offer in found]


def test_who_returns_our_missed_call_is_offered_that_first_and_told_why() -> None:
    begun = [an_event("journey.started", kind=kind, journey_id=kind, event_id=kind) for kind in ("refund", "address")]
    context = promising(after(with_one(level=2), *begun), journey_id="refund").context
    context = after(context, an_event("journey.advanced", step="x", journey_id="address", at=NOON + MINUTE))
    assert [kind for kind, _ in returning(context, OPENS)] == ["address", "refund"]
    context = said(reviewed(context, "ho_1", scene(OPENS)).context, 1, "no_answer", OPENS).context
    assert returning(context, OPENS + HOUR / 2)[0] == ("refund", "missed_call")
    assert returning(context, OPENS + HOUR / 2, "outbound")[0][0] == "address"
    assert missed(context, OPENS + DAY - MINUTE) is not None
    assert missed(context, OPENS + DAY) is None, "a day later it is no returned call any more"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["review", "dial", "accept", "cancel", "no", "answered", "busy", "no_answer", "failed",
                         "refused"]),
        st.integers(0, 40),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_it_has_one_end_and_the_promise_one_with_it(steps: list[tuple[str, int]]) -> None:
    first = promising(with_one(level=2))
    context, told, now = first.context, list(first.events), OPENS - 10 * MINUTE
    for step, minutes in [*steps, ("review", 400)]:
        now += minutes * MINUTE
        change = lapsing.lapse(context, {}, PATIENCE, now)
        context, told = change.context, told + change.events
        try:
            change = _stepped(context, step, now)
        except Refused:
            continue
        context, told = change.context, told + change.events
    names = [event.type for event in told]
    final = [name for name in names if name.removeprefix("handoff.") in FINAL]
    ends = [name for name in names if name in ("commitment.kept", "commitment.broken")]
    assert (len(final), len(ends), context.commitments) == (1, 1, {})
    assert (ends == ["commitment.kept"]) == call(context).is_kept
    assert len({event.event_id for event in told}) == len(told)
    assert len(call(context).made) <= 2


def _stepped(context: Context, step: str, now: datetime) -> Change:
    """What one step of anybody comes to."""
    if step == "review":
        return reviewed(context, "ho_1", scene(now))
    if step == "dial":
        return dialled(context, "ho_1", scene(now))
    if step == "accept":
        return handoffs.accept(context, "ho_1", "ann", now, LEASE)
    if step == "cancel":
        return handoffs.cancel(context, "ho_1", now)
    if step == "no":
        no = an_event("consent.denied", purpose="calls", at=now, interaction_id=None, party="system")
        return Change(after(context, no), [])
    return said(context, len(call(context).made) + 1, step, now)
