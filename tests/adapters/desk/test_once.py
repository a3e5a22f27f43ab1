"""What exactly one does, and once, at the desk in a real Chromium: calling back, and steps not to be done twice."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, expect

from ctxhub.client import (
    AskedCallback,
    AssuranceClaim,
    ClaimRequest,
    ContextHub,
    HandoffView,
    Identifier,
    OfferRequest,
    Start,
    Target,
    told,
)

pytestmark = pytest.mark.browser

Comes = Callable[..., Awaitable[Any]]
Opens = Callable[..., Awaitable[Page]]
At = Callable[..., Awaitable[Any]]


async def promised(hub: ContextHub, queue: str) -> HandoffView:
    """A customer who asked in the chat to be called back, and has left it."""
    name = secrets.token_hex(4)
    phone = Identifier(type="phone", value=f"+1415555{secrets.randbelow(10**4):04}", strength="verified")
    start = Start(channel="chat", external_id=f"chat-{name}", customer_id=f"back-{name}", identifiers=[phone],
                  assurance=AssuranceClaim(level=2, method="pin"))  # fmt: skip
    chat = (await hub.interactions.start(start)).interaction
    said = told("fact.stated", interaction_id=chat.interaction_id, party="customer", name="from_city", value="Lyon")
    await hub.events.tell(f"back-{name}", said)
    request = OfferRequest(
        customer_id=f"back-{name}", interaction_id=chat.interaction_id, reason="asked to be called back",
        to=Target(queue=queue), kind="callback", callback=AskedCallback(attempts=2),
    )  # fmt: skip
    handoff = (await hub.handoffs.offer(request)).handoff
    await hub.interactions.end(f"back-{name}", chat.interaction_id)
    return handoff


async def number_of(hub: ContextHub, handoff: HandoffView) -> str:
    """The customer's number, as the company has it."""
    [phone] = (await hub.contexts.read(handoff.customer_id)).identifiers
    return phone.value


async def test_an_agent_calls_back_with_all_that_was_said_and_tells_what_came_of_it(
    opens: Opens, channels: ContextHub
) -> None:
    handoff = await promised(channels, "calls-1")
    page = await opens("ann", "calls-1")
    card = page.locator(f"[data-offer='{handoff.handoff_id}']")
    await expect(card).to_contain_text("attempt 1 of 2")
    await expect(card.locator("[data-act=accept]")).to_have_count(0)
    number = await number_of(channels, handoff)
    assert number not in await page.content()
    await card.get_by_role("button", name="Call").click()
    main = page.locator(f"main[data-handoff='{handoff.handoff_id}']")
    await expect(main.locator(".number")).to_have_text(number)
    await expect(main.locator(".number")).to_have_attribute("href", f"tel:{number}")
    await expect(main.locator(".number")).to_be_focused()
    await expect(main.locator("[data-fact='from_city']")).to_contain_text("Lyon")
    assert (await Axe().run(page)).violations_count == 0
    await main.get_by_role("button", name="No answer").click()
    await expect(page.locator("#notices")).to_contain_text("Noted. It comes again if another attempt is left.")
    assert number not in await page.content()
    stands = await channels.handoffs.get(handoff.handoff_id)
    assert (stands.state, stands.agent_id) == ("offered", None)
    assert stands.callback is not None
    assert [made.outcome for made in stands.callback.made] == ["no_answer"]


async def test_the_number_is_there_again_after_a_reload_and_nobody_else_gets_it(
    opens: Opens, channels: ContextHub, sits_down: At
) -> None:
    handoff = await promised(channels, "calls-2")
    page = await opens("ann", "calls-2", locale="zh-CN")
    await page.get_by_role("button", name="拨打").click()
    number = page.locator(".number")
    await expect(number).to_have_text(await number_of(channels, handoff))
    await page.reload()
    await page.get_by_role("button", name="再次显示号码").click()
    await expect(number).to_have_text(await number_of(channels, handoff))
    bob = await sits_down("bob", "calls-2")
    refused = await bob.post(f"handoffs/{handoff.handoff_id}/dial", json={"attempt": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "held_by_another")
    await page.get_by_role("button", name="已接通").click()
    await expect(page.locator("#notices")).to_contain_text("已接通，承诺已兑现。")
    stands = await channels.handoffs.get(handoff.handoff_id)
    assert (stands.state, stands.outcome, stands.agent_id) == ("completed", "answered", "ann")
    events = (await channels.contexts.timeline(handoff.customer_id)).events
    assert [event.type for event in events].count("callback.dialled") == 1
    assert events[-1].type == "commitment.kept"


async def withdraws(hub: ContextHub, handoff: HandoffView, interaction_id: str) -> None:
    """The customer says no to calls."""
    no = told("consent.withdrawn", interaction_id=interaction_id, purpose="calls")
    await hub.events.tell(handoff.customer_id, no)


async def test_who_does_not_want_to_be_called_is_not_dialled_and_the_agent_reads_why(
    opens: Opens, channels: ContextHub
) -> None:
    handoff = await promised(channels, "calls-3")
    page = await opens("ann", "calls-3")
    await expect(page.get_by_role("button", name="Call")).to_be_visible()
    chat = Start(channel="chat", external_id=f"no-{handoff.handoff_id}", customer_id=handoff.customer_id,
                 assurance=AssuranceClaim(level=2, method="pin"))  # fmt: skip
    here = (await channels.interactions.start(chat)).interaction.interaction_id
    await withdraws(channels, handoff, here)
    await page.get_by_role("button", name="Call").click()
    await expect(page.locator("#notices")).to_contain_text("does not want to be called")
    await expect(page.locator(".number")).to_have_count(0)
    types = [event.type for event in (await channels.contexts.timeline(handoff.customer_id)).events]
    assert "callback.dialled" not in types


async def working(opens: Opens, comes: Comes, channels: ContextHub, **more: Any) -> tuple[Page, Any, str]:
    """An agent who works for a customer with a refund."""
    customer = await comes()
    begun = told("journey.started", interaction_id=customer.interaction.interaction_id, party="bot", kind="refund")
    journey_id = (await channels.events.tell(customer.customer_id, begun)).results[0].journey_id
    assert journey_id is not None
    page = await opens("ann", customer.queue, **more)
    await page.locator(f"[data-offer='{customer.handoff.handoff_id}'] [data-act=accept]").click()
    return page, customer, journey_id


async def test_a_step_that_must_not_be_done_twice_is_claimed_done_and_gone(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    page, customer, journey_id = await working(opens, comes, channels)
    step = page.locator(f"[data-once='{journey_id}']")
    await expect(step).to_contain_text("a refund: “the payout” must not be done twice.")
    await step.get_by_role("button", name="I do it now").click()
    await expect(step).to_contain_text("you do “the payout”, until ")
    seen = await channels.contexts.read(customer.customer_id)
    [claim] = [journey.claim for journey in seen.journeys if journey.journey_id == journey_id]
    assert claim is not None
    assert claim.by == "ann"
    assert (await Axe().run(page)).violations_count == 0
    await step.get_by_role("button", name="Done").click()
    await expect(page.locator("#notices")).to_contain_text("Done. Nobody does it again.")
    await expect(step).to_have_count(0)
    seen = await channels.contexts.read(customer.customer_id)
    [journey] = [journey for journey in seen.journeys if journey.journey_id == journey_id]
    assert (journey.step, journey.claim) == ("letter", None)


async def test_what_another_does_just_now_has_no_button_and_the_last_step_ends_the_journey(
    opens: Opens, comes: Comes, channels: ContextHub, sits_down: At
) -> None:
    page, customer, journey_id = await working(opens, comes, channels, locale="zh-CN")
    at = customer.interaction.interaction_id
    moved = told("journey.advanced", interaction_id=at, party="agent", journey_id=journey_id, step="gift")
    await channels.events.tell(customer.customer_id, moved)
    step = page.locator(f"[data-once='{journey_id}']")
    await expect(step).to_contain_text("“赠品”不能做两次")
    await channels.journeys.claim(customer.customer_id, journey_id, ClaimRequest(step="gift", by="the shop"))
    await expect(step).to_contain_text("the shop正在做“赠品”")
    await expect(step.get_by_role("button")).to_have_count(0)
    ann = await sits_down("ann", customer.queue)
    path = f"customers/{customer.customer_id}/journeys/{journey_id}"
    refused = await ann.post(f"{path}/claim", json={"interaction_id": at, "step": "gift"})
    assert (refused.status_code, refused.json()["code"], refused.json()["by"]) == (
        409, "claimed_by_another", "the shop",
    )  # fmt: skip
    body = {"interaction_id": at, "kind": "refund", "step": "gift"}
    stale = await ann.post(f"{path}/done", json=body | {"fence": 7})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_fence")
    done = await ann.post(f"{path}/done", json=body | {"fence": 1, "event_id": "the-gift-is-given"})
    assert done.status_code == 200
    types = [event.type for event in (await channels.contexts.timeline(customer.customer_id)).events]
    assert types[-1] == "journey.completed"
    await expect(step).to_have_count(0)
