"""Hops: from where to where, with how many facts, and who asked again after it."""

from __future__ import annotations

from typing import Any

import pytest

from ctxhub.model import handoff as handoffs
from ctxhub.model import interaction as interactions
from ctxhub.model.context import Context
from ctxhub.model.counting import FAMILIES, counted
from ctxhub.model.event import Change
from ctxhub.model.handoff import OfferRequest
from ctxhub.model.hop import Hop
from tests.support import (
    GRACE,
    HOUR,
    LEASE,
    MINUTE,
    NOON,
    a_context,
    a_fact,
    a_start,
    after,
    an_event,
    an_interaction,
    started,
    telling,
    with_one,
)  # fmt: skip

LATER = NOON + MINUTE


def offered(context: Context, handoff_id: str = "ho_1", **to: Any) -> Context:
    """The context with an offer of `in_1`."""
    request = OfferRequest.model_validate({"customer_id": "c42", "interaction_id": "in_1", "reason": "help",
                                           "to": to or {"queue": "cards"}})  # fmt: skip
    return handoffs.offer(context, request, handoff_id, NOON, GRACE, ()).context


def accepted(context: Context, agent: str = "ann", handoff_id: str = "ho_1") -> Change:
    """What an agent's acceptance comes to."""
    return handoffs.accept(context, handoff_id, agent, LATER, LEASE)


def begun(context: Context, channel: str = "chat", level: int = 2, **via: Any) -> Change:
    """What another interaction, `in_2`, comes to."""
    return interactions.start(context, a_start("x2", level, channel=channel), "in_2", LATER, **via)


def told(change: Change, type_: str) -> dict[str, Any]:
    """The data of a change's event."""
    return next(event.data for event in change.events if event.type == type_)


class TestByHandoff:
    def test_to_an_agent_it_leads_to_the_desk_with_what_the_bot_knew(self) -> None:
        data = told(accepted(offered(after(with_one(2), a_fact("Xi'an")))), "handoff.accepted")
        assert data["hop"] == {"from": "chat", "to": "desk", "by": "handoff"}
        assert (data["carried"], data["had"]) == (1, 1)

    def test_from_agent_to_agent_it_is_a_transfer(self) -> None:
        context = offered(accepted(offered(with_one(2))).context, "ho_2")
        change = accepted(context, "bob", "ho_2")
        assert told(change, "handoff.accepted")["hop"] == {"from": "desk", "to": "desk", "by": "transfer"}
        assert told(change, "handoff.transferred")["to_party"] == "agent"

    def test_from_an_agent_to_a_bot_it_is_a_return(self) -> None:
        change = handoffs.offer(
            accepted(offered(with_one(2))).context,
            OfferRequest.model_validate({"customer_id": "c42", "interaction_id": "in_1", "reason": "back",
                                         "to": {"bot": "b"}}), "ho_2", LATER, GRACE, (),
        )  # fmt: skip
        assert told(change, "handoff.accepted")["hop"] == {"from": "desk", "to": "chat", "by": "return"}
        assert told(change, "handoff.transferred")["to_party"] == "bot"

    def test_to_another_channel_it_is_told_as_the_interaction_begins(self) -> None:
        context = offered(after(with_one(2, channel="ivr"), a_fact("Xi'an")), channel="chat")
        change = begun(context, via=context.handoff("ho_1"), level=0)
        data = told(change, "interaction.started")
        assert data["hop"] == {"from": "ivr", "to": "chat", "by": "handoff"}
        assert (data["carried"], data["had"]) == (1, 1)

    def test_the_end_of_an_agent_s_work_tells_whose_it_was_and_how_long_it_took(self) -> None:
        context = accepted(offered(with_one(2))).context
        change = handoffs.complete(context, "ho_1", "ann", 2, "resolved", LATER + 90 * (MINUTE / 60))
        assert (change.events[0].data["agent_id"], change.events[0].data["handled"]) == ("ann", 90.0)
        assert an_interaction(change.context).hop is None

    def test_the_receipt_tells_how_long_it_took(self) -> None:
        change = handoffs.shown(accepted(offered(with_one(2))).context, "ho_1", "ann", LATER + MINUTE / 60)
        assert change.events[0].data["after"] == 1.0


class TestBySwitch:
    def test_a_customer_surely_known_who_was_elsewhere_just_now_has_switched(self) -> None:
        change = begun(after(with_one(2, channel="ivr"), a_fact("Xi'an")))
        data = told(change, "interaction.started")
        assert (data["hop"], data["carried"]) == ({"from": "ivr", "to": "chat", "by": "switch"}, 1)
        assert "had" not in data

    @pytest.mark.parametrize(("ended", "switched"), [(MINUTE, True), (29 * MINUTE, True), (31 * MINUTE, False)])
    def test_for_thirty_minutes_after_the_end(self, ended: Any, switched: bool) -> None:
        context = interactions.end(with_one(2, channel="ivr"), "in_1", LATER - ended).context
        assert ("hop" in told(begun(context), "interaction.started")) is switched

    def test_who_comes_again_on_the_same_channel_has_not(self) -> None:
        assert "hop" not in told(begun(with_one(2, channel="chat")), "interaction.started")

    def test_who_is_not_surely_known_is_not_told_that_anybody_was_elsewhere(self) -> None:
        data = told(begun(after(with_one(2, channel="ivr"), a_fact("Xi'an")), level=1), "interaction.started")
        assert "hop" not in data
        assert data["carried"] == 0

    def test_it_is_told_as_soon_as_the_customer_proves_it(self) -> None:
        context = begun(after(with_one(2, channel="ivr"), a_fact("Xi'an")), level=1).context
        own = a_fact("new", name="street", interaction_id="in_2", at=LATER + MINUTE)
        raised = an_event("assurance.raised", "in_2", LATER + 2 * MINUTE, level=2, method="pin")
        data = telling(context, own, raised).events[-1].data
        assert data["hop"] == {"from": "ivr", "to": "chat", "by": "switch", "at": "2026-11-22T12:01:00.000Z"}
        assert data["carried"] == 1  # what was said only here came from nowhere

    def test_proved_again_it_is_not_told_again(self) -> None:
        context = begun(after(with_one(2, channel="ivr"), a_fact("Xi'an"))).context
        raised = an_event("assurance.raised", "in_2", LATER + 2 * MINUTE, level=3, method="otp")
        assert "hop" not in telling(context, raised).events[-1].data

    def test_what_a_handoff_by_message_could_not_show_is_told_late(self) -> None:
        context = after(started(a_context(), "in_0", 2, channel="app"), a_fact("Xi'an", interaction_id="in_0"))
        context = offered(started(context, "in_1", 2, channel="ivr"), channel="chat")
        via = context.handoff("ho_1").but(delivery="message")
        context = begun(context, via=via, level=0).context
        raised = an_event("assurance.raised", "in_2", LATER + MINUTE, level=2, method="pin")
        data = telling(context, raised).events[-1].data
        assert (data["hop"]["late"], data["carried"]) == (True, 1)


class TestAskedAgain:
    def asked(self, context: Context, *names: str) -> Change:
        return telling(context, an_event("question.asked", "in_1", LATER + MINUTE, names=list(names), party="agent"))

    def test_the_first_repeat_after_a_hop_is_marked_and_no_other(self) -> None:
        known = after(with_one(2), a_fact("Xi'an"), a_fact("A-17", name="order_id"))
        context, events = self.asked(accepted(offered(known)).context, "city")
        assert events[0].data["hop"] == {"from": "chat", "to": "desk", "by": "handoff",
                                         "at": "2026-11-22T12:01:00.000Z", "first": True}  # fmt: skip
        again = an_event("question.asked", "in_1", LATER + HOUR / 10, names=["order_id"], party="agent")
        assert "first" not in telling(context, again).events[0].data["hop"]

    def test_what_was_said_after_the_hop_is_no_fault_of_it(self) -> None:
        context = accepted(offered(with_one(2))).context
        context = after(context, a_fact("Xi'an", at=LATER))
        assert "first" not in self.asked(context, "city").events[0].data["hop"]

    def test_without_a_hop_none_is_told(self) -> None:
        assert "hop" not in self.asked(after(with_one(2), a_fact("Xi'an")), "city").events[0].data


def test_the_document_keeps_the_hop_and_whether_the_receiver_asked_again() -> None:
    context = accepted(offered(after(with_one(2), a_fact("Xi'an")))).context
    hop = an_interaction(context).hop
    assert hop == Hop(came_from="chat", to="desk", by="handoff", at=LATER, carried=1)
    asked = after(context, an_event("question.asked", "in_1", LATER, names=["city"], party="agent"))
    assert an_interaction(asked).hop == Hop(
        came_from="chat", to="desk", by="handoff", at=LATER, carried=1, repeated=True
    )  # fmt: skip


@pytest.mark.parametrize(
    "type_", ["x.seen", "message.received", "fact.stated", "note.added", "call.ended", "risk.flagged"]
)
def test_what_anybody_may_write_is_never_counted(type_: str) -> None:
    data = {"hop": {"from": "a"}, "repeats": ["a"], "handled": "long", "offer": "taken", "names": 3, "kind": "x"}
    assert list(counted({"type": type_, "data": data, "at": "2026-11-22T12:00:00.000Z", "channel": "chat"})) == []


def test_every_counter_stands_in_the_table_of_families_with_all_its_dimensions() -> None:
    events = [
        *accepted(offered(after(with_one(2), a_fact("Xi'an")))).events,
        *begun(after(with_one(2, channel="ivr"), a_fact("Xi'an"))).events,
    ]
    found = [count.counter for event in events for count in counted(event.model_dump(mode="json"))]
    assert len(found) > 10
    for family, *dimensions in found:
        assert len(dimensions) == len(FAMILIES[family].dimensions), family
