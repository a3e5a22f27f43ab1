"""Two channels at once: who has the customer already."""

from __future__ import annotations

from ctxhub.model.context import Context
from ctxhub.model.elsewhere import holder_elsewhere
from ctxhub.model.handoff import OfferRequest, Target, accept, complete, offer
from ctxhub.model.interaction import end
from tests.support import GRACE, LEASE, MINUTE, NOON, an_interaction, started, with_one


def in_two() -> Context:
    """A customer in a call and in a chat."""
    return started(with_one(2, channel="ivr"), "in_2", 2)


def with_agent(context: Context, agent_id: str = "a7", interaction_id: str = "in_1") -> Context:
    """The context after an agent took an interaction."""
    request = OfferRequest(customer_id="c42", interaction_id=interaction_id, reason="help", to=Target(queue="cards"))
    waiting = offer(context, request, f"ho_{interaction_id}", NOON, GRACE, ()).context
    return accept(waiting, f"ho_{interaction_id}", agent_id, NOON, LEASE).context


def test_the_agent_of_another_open_interaction_has_the_customer() -> None:
    context = with_agent(in_two())
    assert holder_elsewhere(context, "in_2") == "a7"
    assert holder_elsewhere(context, "in_1") is None


def test_nobody_has_one_who_only_waits_or_whose_agent_is_done() -> None:
    assert holder_elsewhere(in_two(), "in_2") is None
    held = with_agent(in_two())
    fence = an_interaction(held).fence
    assert holder_elsewhere(complete(held, "ho_in_1", "a7", fence, None, NOON + MINUTE).context, "in_2") is None


def test_an_agent_who_wraps_up_after_the_customer_has_gone_has_nobody() -> None:
    assert holder_elsewhere(end(with_agent(in_two()), "in_1", NOON + MINUTE).context, "in_2") is None
