"""What a person sees: the stand-in page and the pages behind resume links, in a real browser."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect
from playwright.async_api import Page as Tab

from ctxhub.client import ContextHub, told

from .conftest import PINS, Caller, Company
from .test_app import Agent

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 780}
DESKTOP = {"width": 1200, "height": 800}
#: Best practices and WCAG 2.2 AA, all that axe knows of.
EVERYTHING: dict[str, Any] = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Seen:
    """A browser's tab, and all that must not happen in it."""

    def __init__(self, tab: Tab, origin: str) -> None:
        self.tab = tab
        self.origin = origin
        self.faults: list[str] = []
        self.addresses: list[str] = []
        tab.on("console", self._heard)
        tab.on("pageerror", lambda error: self.faults.append(str(error)))
        tab.on("request", lambda request: self.addresses.append(request.url))

    def _heard(self, line: Any) -> None:
        """Note what the browser complains of; that nobody is logged in yet is no fault."""
        if line.type in ("error", "warning") and "401" not in line.text:
            self.faults.append(line.text)

    @property
    def foreign(self) -> list[str]:
        """Requests that went elsewhere."""
        return [url for url in self.addresses if not url.startswith((self.origin, "data:"))]

    async def open(self, path: str = "/app/default/") -> None:
        """Go to a page."""
        await self.tab.goto(self.origin + path)

    async def logs_in(self, account: str, account_label: str = "Customer number", pin: str = "PIN") -> None:
        """Type a customer number and its PIN, and press Enter."""
        await self.tab.get_by_label(account_label).fill(account)
        await self.tab.get_by_label(pin).fill(PINS[account])
        await self.tab.keyboard.press("Enter")
        await expect(self.tab.locator("#login-part")).to_be_hidden()

    def card(self, text: str) -> Any:
        """Return the card of a journey."""
        return self.tab.locator("#matters li", has_text=text)

    async def status(self, status: str) -> None:
        """Wait until the visit is in this status."""
        await expect(self.tab.locator("main")).to_have_attribute("data-status", status)

    async def must_be_for_everybody(self) -> None:
        """Check what axe knows of, and that nothing sticks out."""
        width = self.tab.viewport_size["width"] if self.tab.viewport_size else 0
        assert await self.tab.evaluate("document.documentElement.scrollWidth") <= width
        found = (await Axe().run(self.tab, options=EVERYTHING)).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


@asynccontextmanager
async def looking(browser: Browser, origin: str, **like: Any) -> AsyncIterator[Seen]:
    """A fresh browser whose user sees the app, and in which nothing may go wrong."""
    context = await browser.new_context(**{"viewport": PHONE, "locale": "en-US"} | like)
    try:
        seen = Seen(await context.new_page(), origin)
        yield seen
        assert seen.faults == []
        assert seen.foreign == []
    finally:
        await context.close()


@pytest.fixture
async def anna(company: ContextHub, hook: Company) -> str:
    """A customer with a PIN, of whom nothing is left of earlier tests."""
    for interaction in [one for one in await company.interactions.list(channel="app") if one.customer_id == "c-anna"]:
        await company.interactions.end("c-anna", interaction.interaction_id)
    view = await started(company, "c-anna")
    at = view.interaction.interaction_id
    gone = [
        told("journey.abandoned", interaction_id=at, journey_id=journey.journey_id, party="customer")
        for journey in view.context.journeys
    ]
    kept = [
        told("commitment.kept", interaction_id=at, party="agent", commitment_id=promise.commitment_id)
        for promise in view.context.commitments
    ]
    if gone or kept:
        await company.events.tell("c-anna", *gone, *kept)
    for live in [view.interaction, *view.live]:
        await company.interactions.end("c-anna", live.interaction_id)
    return "c-anna"


async def started(company: ContextHub, customer_id: str) -> Any:
    """An interaction of the company's own, to look at everything."""
    from ctxhub.client import AssuranceClaim, Start

    proof = AssuranceClaim(level=3, method="branch")
    return await company.interactions.start(
        Start(channel="store", external_id=secrets.token_hex(8), customer_id=customer_id, assurance=proof)
    )


async def with_a_promise(company: ContextHub, caller: Caller, what: str, hours: float) -> None:
    """Promise something on the phone."""
    due = datetime.now(UTC) + timedelta(hours=hours)
    await company.events.tell(
        caller.customer_id,
        told(
            "commitment.made", interaction_id=caller.interaction_id, party="bot", journey_id=caller.journey_id,
            what=what, owner="cards", due_at=due.isoformat(),
        ),
    )  # fmt: skip


async def test_a_customer_logs_in_and_goes_on_where_the_phone_left_off(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str
) -> None:
    caller = await Caller.of(company, anna, country="Portugal")
    await with_a_promise(company, caller, "We call you back", 5)
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        card = seen.card("A blocked card")
        await expect(card.locator("progress")).to_have_attribute("aria-label", "A blocked card: Step 1 of 3")
        await expect(card).to_contain_text("Still needed: last four digits of your card, number of your identity card")
        await expect(seen.tab.locator("#promises li")).to_contain_text("We call you back")
        await expect(seen.tab.locator("#elsewhere li")).to_contain_text("phone menu")
        await card.get_by_role("button", name="Go on").click()
        form = seen.tab.locator("#form-part")
        await expect(form.locator("dl.known")).to_contain_text("Portugal")
        assert [await box.get_attribute("name") for box in await form.locator("input").all()] == ["card_last4"]
        await form.get_by_label("last four digits of your card").fill("4242")
        await seen.tab.keyboard.press("Enter")
        await expect(form).to_be_hidden()
        await expect(seen.card("Step 2 of 3 · proof of identity")).to_be_visible()
        await expect(seen.tab.locator('[data-fact="card_last4"]')).to_contain_text("4242")
        await seen.tab.reload()
        await expect(seen.card("Step 2 of 3")).to_be_visible()
        assert "ctxhub_app" not in await seen.tab.evaluate("document.cookie")


async def test_what_happens_elsewhere_is_seen_at_once(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str
) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        await expect(seen.tab.locator("#no-matters")).to_be_visible()
        caller = await Caller.of(company, anna, country="Portugal")
        await expect(seen.card("A blocked card")).to_be_visible()
        await with_a_promise(company, caller, "A new card is sent", 48)
        await expect(seen.tab.locator("#promises li")).to_contain_text("A new card is sent")


async def test_a_card_that_changes_under_a_pressed_button_still_gets_the_click(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str
) -> None:
    caller = await Caller.of(company, anna, country="Portugal")
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        card = seen.card("A blocked card")
        await card.get_by_role("button", name="Go on").hover()
        await seen.tab.mouse.down()
        await caller.says(card_last4="4242")
        await expect(seen.tab.locator('[data-fact="card_last4"]')).to_contain_text("4242")
        await seen.tab.mouse.up()
        await expect(seen.tab.locator("#form-part")).to_be_visible()
        await expect(card).not_to_contain_text("last four digits of your card")


async def test_a_person_is_asked_for_awaited_and_talked_to(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str
) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        await seen.tab.get_by_role("button", name="Talk to a person").click()
        await seen.status("waiting")
        await expect(seen.tab.locator("#line")).to_contain_text("Waiting for a colleague · You are ")
        waiting = await company.handoffs.list(queue="people")
        agent = Agent(company, next(one.handoff_id for one in waiting if one.customer_id == anna))
        await agent.accept()
        await seen.status("agent")
        await agent.say("Hello, this is Ann.")
        await expect(seen.tab.locator(".message.agent")).to_have_text("Colleague Hello, this is Ann.")
        await seen.tab.get_by_label("Your message").fill("Hello Ann!")
        await seen.tab.keyboard.press("Enter")
        await expect(seen.tab.locator(".message.customer")).to_have_text("You Hello Ann!")
        await expect(seen.tab.locator(".message")).to_have_count(4)


async def test_the_chat_goes_on_with_everything_said(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str
) -> None:
    await Caller.of(company, anna, country="Portugal")
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        await expect(seen.tab.get_by_role("link", name="Call us +49 30 123456")).to_have_attribute(
            "href", "tel:+4930123456"
        )
        await seen.card("A blocked card").get_by_role("button", name="Go on").click()
        await seen.tab.get_by_role("button", name="Go on in the chat").click()
        await expect(seen.tab.locator(".message.bot", has_text="country: Portugal")).to_be_visible()
        await expect(seen.tab.locator('main[data-asks="card_last4"]')).to_be_attached()


async def test_a_complaint_is_one_step_away(chromium: Browser, hub_url: str, anna: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        await seen.tab.get_by_role("button", name="A complaint").click()
        await expect(seen.card("A complaint")).to_be_visible()
        await seen.tab.get_by_role("button", name="Close").click()
        await expect(seen.tab.locator("#form-part")).to_be_hidden()


async def test_a_wrong_pin_is_told_and_nothing_is_shown(chromium: Browser, hub_url: str, anna: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.tab.get_by_label("Customer number").fill(anna)
        await seen.tab.get_by_label("PIN").fill("0000")
        await seen.tab.keyboard.press("Enter")
        await expect(seen.tab.get_by_role("alert")).to_have_text("That is not right. Please check both and try again.")
        await expect(seen.tab.locator("#matters-part")).to_be_hidden()
        await expect(seen.tab.get_by_label("PIN")).to_be_focused()


async def test_a_link_leads_to_the_page_and_a_login_shows_the_rest(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str
) -> None:
    token = await (await Caller.of(company, anna, country="Portugal")).token()
    async with looking(chromium, hub_url) as seen:
        await seen.open(f"/r/{token}")
        await expect(seen.tab.get_by_role("link", name="Open in the app")).to_have_attribute(
            "href", f"farbank://r/{token}"
        )
        await seen.must_be_for_everybody()
        await seen.tab.get_by_role("button", name="Go on").click()
        await seen.tab.wait_for_url("**/app/default/")
        await expect(seen.card("A matter that you began")).to_be_visible()
        await expect(seen.tab.get_by_text("Log in to see all that belongs to this.")).to_be_visible()
        await expect(seen.tab.locator("body")).not_to_contain_text("Portugal")
        await seen.logs_in(anna)
        await expect(seen.card("A blocked card")).to_be_visible()
        await expect(seen.tab.locator('[data-fact="country"]')).to_contain_text("Portugal")
        await seen.open(f"/r/{token}")
        await seen.tab.get_by_role("button", name="Go on").click()
        await expect(seen.card("A blocked card")).to_be_visible()


async def test_whoever_leaves_is_gone(chromium: Browser, hub_url: str, anna: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.logs_in(anna)
        await seen.tab.get_by_role("button", name="Leave").click()
        await expect(seen.tab.get_by_label("Customer number")).to_be_visible()
        await seen.tab.reload()
        await expect(seen.tab.get_by_label("Customer number")).to_be_visible()


@pytest.mark.parametrize(
    ("lang", "scheme", "size"),
    [("zh-CN", "light", PHONE), ("en-US", "dark", PHONE), ("zh-CN", "dark", DESKTOP), ("en-US", "light", DESKTOP)],
)
async def test_nobody_is_shut_out(
    chromium: Browser, hub_url: str, company: ContextHub, anna: str, tmp_path: Path,
    lang: str, scheme: str, size: dict[str, int],
) -> None:  # fmt: skip
    caller = await Caller.of(company, anna, country="葡萄牙", id_number="W" * 90)
    await with_a_promise(company, caller, "We call you back " + "x" * 60, 5)
    await with_a_promise(company, caller, "A new card", -0.01)
    async with looking(chromium, hub_url, locale=lang, color_scheme=scheme, viewport=size) as seen:
        await seen.open()
        await expect(seen.tab.locator("#login-part")).to_be_visible()
        await seen.must_be_for_everybody()
        zh = lang.startswith("zh")
        await seen.logs_in(anna, *(("客户号", "密码") if zh else ()))
        await seen.tab.get_by_role("button", name="转人工" if zh else "Talk to a person").click()
        await seen.status("waiting")
        await seen.tab.get_by_role("button", name="继续办理" if zh else "Go on", exact=True).click()
        await expect(seen.tab.locator("#form-part input")).to_be_visible()
        await seen.tab.evaluate("Promise.all(document.getAnimations().map((a) => a.finished.catch(() => null)))")
        await seen.must_be_for_everybody()
        await seen.tab.screenshot(path=tmp_path / f"{lang}-{scheme}-{size['width']}.png", full_page=True)
