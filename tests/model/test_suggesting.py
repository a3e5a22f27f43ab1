"""Suggesting: nothing changes but whom a handoff is suggested to; what was read too long ago changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ctxhub.errors import WrongState
from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context
from ctxhub.model.event import Change
from ctxhub.model.handoff import OfferRequest
from ctxhub.model.lapsing import end
from ctxhub.model.routing import Choice
from ctxhub.model.suggesting import suggest, waits
from ctxhub.model.tenant import QueueSpec
from ctxhub.store.indexes import entries
from tests.support import GRACE, HOUR, LEASE, NOON, SECOND, started, with_one

LATER = NOON + 20 * SECOND
SPEC = QueueSpec.model_validate({"weights": {}, "skills": ["cards"], "languages": ["en", "zh"]})


def offered(**more: Any) -> Context:
    """A customer who waits in the queue `cards`."""
    usual: dict[str, Any] = {"customer_id": "c42", "interaction_id": "in_1", "reason": "help", "to": {"queue": "cards"}}
    context = with_one(**more.pop("interaction", {}))
    return handoffs.offer(context, OfferRequest.model_validate(usual | more), "ho_1", NOON, GRACE, ()).context


def to(agent_id: str | None, queue: str = "cards", exclusive: bool = False, until: Any = LATER) -> Choice:
    """A choice as routing makes it."""
    return Choice("ho_1", queue, agent_id, (), until, exclusive)


def after(*changes: Choice, context: Context | None = None) -> Context:
    """The context after some suggestions, one after another."""
    context = context or offered()
    for seen, choice in enumerate(changes):
        context = suggest(context, choice, seen, NOON).context
    return context


def test_it_stays_on_offer_in_its_queue_and_says_whom_it_is_suggested_to() -> None:
    before = offered()
    context, [event] = suggest(before, to("ann"), 0, NOON)
    handoff = context.handoffs["ho_1"]
    assert handoff.but(suggested=None) == before.handoffs["ho_1"]
    assert (event.event_id, event.type, event.data["from_agent"]) == ("ho_1:suggested:1", "handoff.suggested", None)
    assert ("waiting:queue:cards", "c42\nho_1") in entries(context)
    assert ("work:ringing", "c42\nho_1\nchat\nann") in entries(context)


@pytest.mark.parametrize(
    ("context", "choice", "seen"),
    [
        (offered(), to("ann", queue="loans"), 0),
        (offered(), to("ann"), 1),
        (after(to("bob")), to("ann"), 0),
        (handoffs.accept(offered(), "ho_1", "zoe", NOON, LEASE).context, to("ann"), 0),
        (handoffs.cancel(offered(), "ho_1", NOON).context, to("ann"), 0),
        (with_one(), to("ann"), 0),
    ],
)
def test_what_is_not_as_it_was_read_is_left_as_it_is(context: Context, choice: Choice, seen: int) -> None:
    assert suggest(context, choice, seen, NOON) == Change(context, [])


def test_who_was_asked_is_counted_and_opening_counts_nobody() -> None:
    context = after(to("ann"), to("bob"), to(None), to("ann"))
    suggested = context.handoffs["ho_1"].suggested
    assert suggested is not None
    assert (suggested.number, suggested.rings) == (4, 3)


def test_it_rings_until_it_is_over_declined_or_taken() -> None:
    context = after(to("ann"))
    handoff = context.handoffs["ho_1"]
    assert handoff.rings(LATER - SECOND) is not None
    assert handoff.rings(LATER) is None
    declined = handoffs.decline(context, "ho_1", "ann", "busy", NOON).context
    taken = handoffs.accept(context, "ho_1", "ann", NOON, LEASE).context
    for left in (declined, taken):
        assert left.handoffs["ho_1"].rings(NOON) is None
        assert not [place for place, _ in entries(left) if place == "work:ringing"]


def test_what_is_suggested_to_one_alone_nobody_else_takes_while_it_rings() -> None:
    context = after(to("ann", exclusive=True))
    with pytest.raises(WrongState) as refusal:
        handoffs.accept(context, "ho_1", "bob", LATER - SECOND, LEASE)
    assert (refusal.value.ids["suggested_to"], refusal.value.ids["until"]) == ("ann", LATER)
    for agent_id, at in (("ann", NOON), ("bob", LATER)):
        assert handoffs.accept(context, "ho_1", agent_id, at, LEASE).context.handoffs["ho_1"].agent_id == agent_id


@pytest.mark.parametrize(("spoken", "wanted"), [("zh-CN", "zh"), ("EN", "en"), ("fr", "en"), (None, "en")])
def test_who_speaks_none_of_the_queue_s_languages_is_taken_to_speak_the_first(spoken: str | None, wanted: str) -> None:
    context = offered(interaction={"language": spoken})
    assert waits(context, context.handoffs["ho_1"], SPEC, NOON).language == wanted


def test_what_the_queue_asks_for_is_a_must_and_what_the_handoff_asks_for_is_wanted() -> None:
    context = offered(skills=["cards", "loans"], priority=7)
    found = waits(context, context.handoffs["ho_1"], SPEC, NOON)
    assert (found.must, found.wanted, found.priority) == (frozenset({"cards"}), frozenset({"loans"}), 7)


def test_who_has_the_customer_in_another_channel_is_named_until_that_is_over() -> None:
    here = handoffs.accept(offered(), "ho_1", "ann", NOON, LEASE).context
    request = {"customer_id": "c42", "interaction_id": "in_2", "reason": "help", "to": {"queue": "cards"}}
    both = handoffs.offer(
        started(here, "in_2", 1, channel="chat"), OfferRequest.model_validate(request), "ho_2", NOON, GRACE, ()
    ).context
    assert waits(both, both.handoffs["ho_2"], SPEC, NOON).with_now == "ann"
    over = end(both, "in_1", NOON).context
    assert waits(over, over.handoffs["ho_2"], SPEC, NOON).with_now is None
    given_on = handoffs.offer(
        here, OfferRequest.model_validate(request | {"interaction_id": "in_1"}), "ho_2", NOON, GRACE, ()
    ).context
    assert waits(given_on, given_on.handoffs["ho_2"], SPEC, NOON).with_now is None


def test_who_served_a_customer_is_forgotten_after_a_month() -> None:
    context = handoffs.accept(offered(), "ho_1", "ann", NOON, LEASE).context
    done = handoffs.complete(context, "ho_1", "ann", 2, "done", NOON).context.pruned(NOON + 25 * HOUR)
    assert done.handoffs == {}
    again = handoffs.offer(
        done, OfferRequest.model_validate({"customer_id": "c42", "interaction_id": "in_1", "reason": "x",
                                           "to": {"queue": "cards"}}), "ho_2", NOON + 26 * HOUR, GRACE, (),
    ).context  # fmt: skip
    for span, known in ((timedelta(days=29), {"ann"}), (timedelta(days=31), set())):
        assert set(waits(again, again.handoffs["ho_2"], SPEC, NOON + span).served) == known
