"""What an agent sees and does, in a real Chromium."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, Route, expect

from ctxhub.client import ContextHub, told

pytestmark = pytest.mark.browser

Comes = Callable[..., Awaitable[Any]]
Opens = Callable[..., Awaitable[Page]]


async def accept(page: Page, customer: Any) -> None:
    """Accept a customer's handoff by mouse, and wait until the facts are painted."""
    await page.locator(f"[data-offer='{customer.handoff.handoff_id}'] [data-act=accept]").click()
    await expect(page.locator(f"main[data-handoff='{customer.handoff.handoff_id}']")).to_be_visible()


def fact(page: Page, name: str) -> Any:
    return page.locator(f"[data-fact='{name}']")


# The way in


async def test_a_bad_key_is_told_and_the_agent_may_try_again(opens: Opens, running: Any) -> None:
    page = await opens()
    await page.get_by_label("Agent id").fill("ann")
    await page.get_by_label("Agent key").fill("guessed")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_have_text("This key is not valid.")
    await page.get_by_label("Agent key").fill(running.key_of("ann"))
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("#link")).to_have_text("Live")


async def test_the_key_is_nowhere_in_the_page_after_logging_in(opens: Opens, running: Any) -> None:
    page = await opens("ann")
    kept = await page.evaluate("() => JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert running.key_of("ann") not in kept + await page.content()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Agent key")).to_be_empty()


# The queue


async def test_an_agent_says_that_he_is_there_and_sees_what_is_suggested_to_him_and_why(
    opens: Opens, comes: Comes
) -> None:
    page = await opens("vera", "suggesting")  # who holds nothing, and so has room
    await page.get_by_label("You are").select_option("available")
    customer = await comes("suggesting")
    card = page.locator(f"[data-offer='{customer.handoff.handoff_id}']")
    await expect(card.locator(".suggested")).to_contain_text("Suggested to you because: ")
    await accept(page, customer)
    await page.get_by_label("You are").select_option("offline")
    await expect(page.get_by_label("You are")).to_have_value("offline")


async def test_an_offer_appears_by_itself_and_is_announced(opens: Opens, comes: Comes) -> None:
    page = await opens("ann", "live-queue")
    await expect(page.get_by_text("Nobody is waiting.")).to_be_visible()
    customer = await comes("live-queue")
    offer = page.locator(f"[data-offer='{customer.handoff.handoff_id}']")
    await expect(offer).to_contain_text("asked for a person")
    await expect(page.locator("#announced")).to_contain_text("New: asked for a person, by Chat")
    await expect(page).to_have_title("(1) ctxhub desk")


async def test_of_two_agents_one_gets_it_and_the_other_reads_who(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    pages = [await opens(agent, customer.queue) for agent in ("ann", "bob")]
    buttons = [page.locator("[data-act=accept]") for page in pages]
    for button in buttons:
        await expect(button).to_be_enabled()
    await asyncio.gather(*(button.evaluate("button => button.click()") for button in buttons))
    work = [page.locator("main[data-handoff]") for page in pages]
    lost = [page.locator("#notices .warn") for page in pages]
    await expect(work[0].or_(lost[0])).to_be_visible()
    await expect(work[1].or_(lost[1])).to_be_visible()
    held = [await place.count() for place in work]
    assert sorted(held) == [0, 1]
    winner, loser = ("ann", lost[1]) if held[0] else ("bob", lost[0])
    await expect(loser).to_contain_text(f"Taken by {winner}, until")
    await expect(pages[held.index(0)].get_by_text("Nobody is waiting.")).to_be_visible()


async def test_what_one_declines_stands_last_and_can_still_be_accepted(opens: Opens, comes: Comes) -> None:
    first = await comes()
    second = await comes(first.queue)
    page = await opens("ann", first.queue)
    await page.locator(f"[data-offer='{first.handoff.handoff_id}'] [data-act=decline]").click()
    await page.get_by_role("dialog").get_by_role("button", name="Decline").click()
    await expect(page.locator("[data-offer]").first).to_have_attribute("data-offer", second.handoff.handoff_id)
    await expect(page.locator("[data-offer]").last).to_contain_text("declined by you")
    await accept(page, first)


async def test_the_offer_whose_call_rings_at_my_phone_stands_first(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    first = await comes()
    second = await comes(first.queue)
    page = await opens("ann", first.queue)
    await expect(page.locator("[data-offer]").last).to_have_attribute("data-offer", second.handoff.handoff_id)
    at_ann: dict[str, Any] = {"interaction_id": second.interaction.interaction_id, "agent_id": "ann"}
    await channels.events.tell(second.customer_id, told("call.alerting", **at_ann))
    await expect(page.locator("[data-offer]").first).to_have_attribute("data-offer", second.handoff.handoff_id)
    await expect(page.locator("[data-offer]").first).to_contain_text("rings at your phone")
    await channels.events.tell(second.customer_id, told("call.ended", **at_ann))
    await expect(page.locator(".offer").get_by_text("rings at your phone")).to_have_count(0)


async def test_a_call_that_rings_at_my_phone_without_an_offer_shows_a_card_that_opens_who_calls(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("bob", "another-queue")

    async def happens(verb: str, agent: str) -> None:
        report = told(f"call.{verb}", interaction_id=customer.interaction.interaction_id, agent_id=agent)
        await channels.events.tell(customer.customer_id, report)

    card = page.locator(f"[data-call='{customer.interaction.interaction_id}']")
    await happens("answered", "ann")
    await happens("consulted", "bob")
    await expect(card).to_contain_text("rings at your phone")
    await expect(card).to_contain_text("asked for your advice")
    await happens("answered", "bob")
    await expect(card).to_contain_text("you are on the line")
    await card.get_by_role("button", name="Open").click()
    await expect(page.locator(f"main[data-customer='{customer.customer_id}']")).to_be_visible()
    await expect(fact(page, "from_city").locator(".value")).to_have_text("San Diego")
    await happens("ended", "bob")
    await expect(card).to_have_count(0)
    await expect(page.get_by_text("Calls at your phone")).to_be_hidden()
    await channels.interactions.end(customer.customer_id, customer.interaction.interaction_id)


async def test_what_rings_at_my_phone_is_there_again_after_a_reload_and_gone_where_another_answered_meanwhile(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    first, second = await comes(), await comes()

    async def happens(customer: Any, verb: str, agent: str) -> None:
        report = told(f"call.{verb}", interaction_id=customer.interaction.interaction_id, agent_id=agent)
        await channels.events.tell(customer.customer_id, report)

    def card(on: Page, customer: Any) -> Any:
        return on.locator(f"[data-call='{customer.interaction.interaction_id}']")

    page, other = await opens("rik", "a-quiet-queue"), await opens("sue", "a-quiet-queue")
    await happens(first, "alerting", "rik")
    await happens(second, "alerting", "rik")
    await happens(second, "alerting", "sue")
    for customer in (first, second):
        await expect(card(page, customer)).to_contain_text("rings at your phone")
    await page.reload()
    for customer in (first, second):
        await expect(card(page, customer)).to_contain_text("rings at your phone")
        await expect(card(page, customer).locator(".told")).to_contain_text("Departure city: San Diego")
    await expect(page.locator("#announced")).to_have_text("A call rings at your phone, by Chat.")
    await other.reload()
    await expect(card(other, second)).to_be_visible()
    await expect(card(other, first)).to_have_count(0)
    desk = page.url
    await page.goto("about:blank")
    await page.clock.install()
    await happens(first, "answered", "sue")
    await happens(first, "ended", "rik")
    await page.goto(desk)
    await expect(card(page, second)).to_be_visible()
    await expect(card(page, first)).to_have_count(0)
    await card(page, second).get_by_role("button", name="Open").click()
    await expect(page.locator(".strip")).to_contain_text("This call is at your phone: opened for reading until")
    await channels.interactions.end(second.customer_id, second.interaction.interaction_id)
    await page.clock.run_for(11_000)
    await expect(card(page, second)).to_have_count(0)
    await expect(page.get_by_text("Calls at your phone")).to_be_hidden()


async def test_what_the_hub_answered_before_another_call_rang_takes_no_card_away_and_who_talks_is_seldom_asked_for(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    first, second = await comes(), await comes()
    page = await opens("tom", "a-quiet-queue")
    cards = page.locator("[data-call]")
    asked: list[str] = []

    async def happens(customer: Any, verb: str) -> None:
        report = told(f"call.{verb}", interaction_id=customer.interaction.interaction_id, agent_id="tom")
        await channels.events.tell(customer.customer_id, report)

    async def goes_on(milliseconds: int, *, asks: bool = True) -> None:
        """Let the page ask once, and wait for all of its answers."""
        async with page.expect_response("**/api/presence", timeout=5000), AsyncExitStack() as stack:
            if asks:
                await stack.enter_async_context(page.expect_response("**/api/calls"))
            await page.clock.fast_forward(milliseconds)

    async def overtaken(route: Route) -> None:
        answer = await route.fetch()
        await happens(second, "alerting")
        await expect(cards).to_have_count(2)
        await route.fulfill(response=answer)

    await happens(first, "alerting")
    await expect(cards).to_have_count(1)
    await page.clock.install()
    await page.route("**/api/calls", overtaken, times=1)
    await goes_on(11_000)
    await page.evaluate("() => fetch('api/queue').then((answer) => answer.text())")
    await expect(cards).to_have_count(2)
    await page.route("**/api/calls", lambda route: route.fulfill(status=500, json={}), times=1)
    await goes_on(11_000)
    await expect(cards).to_have_count(2)
    for customer in (first, second):
        await happens(customer, "answered")
    await expect(cards.get_by_text("you are on the line")).to_have_count(2)
    await goes_on(61_000)
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    await goes_on(30_000, asks=False)
    assert "queue" in asked
    assert "calls" not in asked
    for customer in (first, second):
        await channels.interactions.end(customer.customer_id, customer.interaction.interaction_id)
    await goes_on(61_000)
    await expect(cards).to_have_count(0)


async def test_in_a_narrow_window_what_is_opened_from_below_is_shown_from_its_top_and_the_keys_go_down_the_page(
    opens: Opens, comes: Comes
) -> None:
    customers = [await comes("narrow-queue") for _ in range(3)]
    page = await opens("ann", "narrow-queue", wide=400)
    await expect(page.locator(".told")).to_have_count(3)
    assert await page.evaluate("() => { scrollTo(0, 9999); return scrollY; }") > 0
    await accept(page, customers[-1])
    await expect(page.locator("main h1")).to_be_in_viewport()
    await page.locator("main .deeds-bar button").last.focus()
    await page.keyboard.press("Tab")
    await expect(page.locator("aside :focus")).to_have_count(1)


async def test_a_card_that_changes_under_a_pressed_button_still_gets_the_click(opens: Opens, comes: Comes) -> None:
    page = await opens("ann", "pressed-queue")
    pressed = asyncio.Event()

    async def tell_late(route: Route) -> None:
        await pressed.wait()
        await route.continue_()

    await page.route("**/brief?**", tell_late)
    customer = await comes("pressed-queue")
    await page.locator(f"[data-offer='{customer.handoff.handoff_id}'] [data-act=accept]").hover()
    await page.mouse.down()
    async with page.expect_response("**/brief?**") as answer:
        pressed.set()
    await (await answer.value).finished()
    await page.evaluate("() => new Promise((drawn) => setTimeout(drawn, 100))")
    await page.mouse.up()
    await expect(page.locator(f"main[data-handoff='{customer.handoff.handoff_id}']")).to_be_visible()


# The facts


async def test_an_agent_reads_what_was_told_where_by_whom_and_what_is_missing(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    row = fact(page, "from_city")
    await expect(row).to_have_attribute("data-journey", customer.journey_id)
    await expect(row.locator("> .label")).to_have_text("departure city")
    await expect(row.locator("> .value")).to_have_text("San Diego")
    await expect(row.locator("> .origin")).to_contain_text(re.compile("IVR customer · .* · told"))
    await expect(fact(page, "card_number").locator(".value.masked")).to_have_text("••••7731")
    await expect(fact(page, "card_number")).to_contain_text("Shown from level 3: ask for a second proof.")
    missing = page.locator("[data-missing]")
    assert [await gap.get_attribute("data-missing") for gap in await missing.all()] == ["travel_date", "adults.count"]
    await expect(page.locator(".assurance")).to_contain_text("Level 2: verified · by pin")
    await expect(page.locator(".floor")).to_have_text("You have the floor; the bot is silent")


async def test_a_masked_value_is_revealed_by_keyboard_for_a_reason_and_hidden_again(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.clock.install()
    button = page.get_by_role("button", name="Reveal card number")
    await button.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Your name, the time and your reason are kept.")
    await expect(dialog.get_by_label("Why?")).to_be_focused()
    await dialog.get_by_role("button", name="Reveal").click()
    await expect(dialog).to_be_visible()  # without a reason there is nothing to send
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(button).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_label("Why?")).to_be_focused()
    for _ in range(8):  # round and round, by way of the browser's own bar, never into the page behind
        await page.keyboard.press("Tab")
        assert await page.evaluate(
            "() => [document.body, ...document.querySelectorAll('dialog *')].includes(document.activeElement)"
        )
    await dialog.get_by_label("Why?").fill("to block the card")
    await dialog.get_by_role("button", name="Reveal").click()
    value = fact(page, "card_number").locator(".cover")
    await expect(value).to_have_text("4929 0000 0000 7731")
    await expect(fact(page, "card_number")).to_contain_text("hidden again in")
    await expect(page.locator("[data-type='fact.revealed']")).to_contain_text(
        "card number revealed to ann: to block the card"
    )
    assert "4929" not in await kept_by_the_browser(page)
    await page.clock.fast_forward(31_000)
    await expect(value).to_have_text("••••7731")
    assert "4929" not in await page.content()
    events = (await channels.contexts.timeline(customer.customer_id)).events
    assert [event.data["reason"] for event in events if event.type == "fact.revealed"] == ["to block the card"]


async def test_a_revealed_value_is_gone_at_once_where_the_agent_hides_it_or_looks_elsewhere(
    opens: Opens, comes: Comes
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    value = fact(page, "card_number").locator(".cover")
    for hide in (
        "() => document.querySelector('.till button').click()",
        "() => document.dispatchEvent(new Event('visibilitychange'))",
    ):
        await page.get_by_role("button", name="Reveal card number").click()
        await page.get_by_role("dialog").get_by_label("Why?").fill("to block the card")
        await page.get_by_role("dialog").get_by_role("button", name="Reveal").click()
        await expect(value).to_have_text("4929 0000 0000 7731")
        await page.evaluate(hide)
        await expect(value).to_have_text("••••7731")


async def kept_by_the_browser(page: Page) -> str:
    """Return all that a page can leave behind in its browser."""
    kept: str = await page.evaluate(
        """async () => {
            const names = await caches.keys();
            const bases = await indexedDB.databases();
            const kept = [document.cookie, {...localStorage}, {...sessionStorage}];
            return JSON.stringify([...kept, names, bases, location.href]);
        }"""
    )
    return kept


async def test_a_warning_of_fraud_comes_live_to_the_agent_and_the_customer_notices_nothing(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await expect(page.locator(".fraud")).to_have_count(0)
    flagged = told("risk.flagged", interaction_id=customer.interaction.interaction_id, kind="sim_swap", level="high")
    before = (await channels.contexts.read(customer.customer_id)).version
    await channels.events.tell(customer.customer_id, flagged)
    await expect(page.locator("#notices .warn")).to_have_text("Possible fraud")
    await expect(page.locator(".strip .fraud")).to_contain_text("Do not promise anything, do not read anything out.")
    await expect(page.locator(".strip .fraud")).to_have_attribute("data-risk", "sim_swap")
    await expect(fact(page, "card_number")).to_contain_text("Held back as long as the warning stands.")
    await expect(page.get_by_role("button", name="Reveal card number")).to_have_count(0)
    since = (await channels.contexts.timeline(customer.customer_id, after=before)).events
    beside = {"handoff.shown"}  # the receipt of what was accepted before, which may come late
    assert [event.type for event in since if event.type not in beside] == ["risk.flagged"]  # nothing for the customer
    await channels.events.tell(customer.customer_id, told("risk.cleared", reason="she called back", kind="sim_swap"))
    await expect(page.locator(".fraud")).to_have_count(0)
    await expect(page.get_by_role("button", name="Reveal card number")).to_be_visible()


# Beside the work


async def test_a_customer_who_is_none_of_the_agents_work_is_opened_with_a_reason_for_a_while(
    opens: Opens, comes: Comes, running: Any
) -> None:
    customer = await comes()
    await accept(await opens("ann", customer.queue), customer)
    page = await opens("bob", customer.queue)
    await page.get_by_label("Customer id").fill(customer.customer_id)
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading")).to_have_text("This customer is not part of your work")
    await expect(dialog.get_by_label("Customer id")).to_have_value(customer.customer_id)
    await expect(dialog.get_by_label("Why?")).to_be_focused()
    await page.keyboard.type("complaint by letter")
    await dialog.get_by_label("For how long?").select_option("5")
    await dialog.get_by_role("button", name="Open").click()
    shown = page.locator(f"main[data-customer='{customer.customer_id}']")
    await expect(shown).to_contain_text("None of your work: opened for reading until")
    await expect(fact(page, "from_city").locator("> .value")).to_have_text("San Diego")
    await expect(shown.locator("[data-type='access.granted']")).to_contain_text("Opened to bob: complaint by letter")
    await expect(shown.get_by_role("button")).to_have_text(["Leave"])  # to be read, not worked on
    assert await violations(page) == []
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", name="No handoff is open.")).to_be_visible()


async def test_what_was_opened_closes_when_its_time_is_over(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    await accept(await opens("ann", customer.queue), customer)
    page = await opens("bob", customer.queue)
    await page.clock.install()
    await page.evaluate("(id) => { location.hash = id; }", customer.handoff.handoff_id)
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Customer id")).to_have_value(customer.customer_id)
    await dialog.get_by_label("Why?").fill("complaint by letter")
    await dialog.get_by_label("For how long?").select_option("5")
    await dialog.get_by_role("button", name="Open").click()
    await expect(page.locator("main[data-customer]")).to_be_visible()
    await page.clock.fast_forward(301_000)
    await expect(page.get_by_text("The time to look is over.")).to_be_visible()
    await expect(page.locator("main[data-customer]")).to_have_count(0)


async def test_the_customer_is_told_in_brief_and_each_line_leads_to_its_evidence(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    card = page.locator("[data-offer]").filter(has_text=customer.customer_id)
    await expect(card.locator(".told")).to_contain_text("Came about: a train ticket.")
    await accept(page, customer)
    brief = page.locator(".brief")
    await expect(brief.locator("li").first).to_have_text("Came about: a train ticket.")
    await expect(brief).to_contain_text("Still to ask: travel date and travellers.")
    line = page.get_by_role("button", name="Departure city: San Diego, says the customer (phone menu")
    evidence = await brief.locator("li", has=line).get_attribute("data-evidence")
    await line.click()
    pointed = page.locator(".talk .pointed")
    await expect(pointed).to_have_attribute("data-event", str(evidence))
    await expect(pointed).to_be_in_viewport()
    await expect(pointed).to_be_focused()
    row = told("fact.stated", interaction_id=customer.interaction.interaction_id, name="travel_date",
               journey_id=customer.journey_id, value="2026-12-01")  # fmt: skip
    await channels.events.tell(customer.customer_id, row)
    await expect(brief).to_contain_text("Travel date: 1 December 2026, says the customer.")
    await expect(brief).to_contain_text("Still to ask: travellers.")


async def test_a_promise_that_is_late_is_marked(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    due = datetime.now(UTC) - timedelta(hours=3)
    promise = told("commitment.made", interaction_id=customer.interaction.interaction_id, party="agent",
                   what="a refund", owner="tickets", due_at=due.isoformat())  # fmt: skip
    await channels.events.tell(customer.customer_id, promise)
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await expect(page.locator(".strip [data-promise=overdue]")).to_contain_text("a refund, by tickets")
    await expect(page.locator(".strip [data-promise=overdue] .badge")).to_have_text("overdue")
    await expect(page.locator(".brief [data-about=promised]")).to_have_text("Overdue, for 3 hours: a refund (tickets).")


async def test_evidence_from_long_before_is_brought_in(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    here = customer.interaction.interaction_id
    for _ in range(3):
        chatter = [told("message.received", interaction_id=here, text=f"and another thing {n}") for n in range(80)]
        await channels.events.tell(customer.customer_id, *chatter)
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    line = page.locator(".brief").get_by_role("button", name="Departure city: San Diego")
    await line.click()
    await expect(page.locator(".talk .pointed")).to_have_attribute("data-type", "fact.stated")


async def test_the_receipt_is_sent_once_the_facts_are_painted(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    assert (await channels.handoffs.get(customer.handoff.handoff_id)).receipt_at is None
    await accept(page, customer)
    await expect(page.locator("main[data-receipt=sent]")).to_be_visible()
    assert (await channels.handoffs.get(customer.handoff.handoff_id)).receipt_at


async def test_a_conflict_shows_both_values_and_the_agent_settles_it(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    observed = told(
        "fact.observed", interaction_id=customer.interaction.interaction_id, journey_id=customer.journey_id,
        party="bot", name="to_city", value="Fremont", confidence=0.6,
    )  # fmt: skip
    await channels.events.tell(customer.customer_id, observed)
    row = fact(page, "to_city")
    await expect(row.locator("[data-other] .value")).to_have_text("Fremont")
    await expect(row).to_contain_text("values differ")
    await row.get_by_role("button", name="This is right: Fremont").click()
    await expect(row.locator("> .value")).to_have_text("Fremont")
    await expect(row).to_have_attribute("data-state", "confirmed")


async def test_what_the_agent_adds_is_no_longer_missing(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_role("button", name="Add a fact").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Which fact?").fill("travel date")
    await dialog.get_by_label("Value").fill("8 March")
    await dialog.get_by_role("button", name="Save").click()
    await expect(fact(page, "travel_date").locator("> .value")).to_have_text("8 March")
    await expect(fact(page, "travel_date").locator("> .origin")).to_contain_text("agent")
    await expect(page.locator("[data-missing=travel_date]")).to_have_count(0)


# The conversation


async def test_customer_and_agent_talk_and_text_stays_text(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    words = "<img src=x onerror=alert(1)> 你好 & <b>bold</b>"
    received = told("message.received", interaction_id=customer.interaction.interaction_id, text=words)
    await channels.events.tell(customer.customer_id, received)
    await expect(page.locator(".said.customer .text").last).to_have_text(words)
    answer = page.get_by_label("Your answer to the customer")
    await answer.fill("Good day <i>")
    await answer.press("Enter")
    await expect(page.locator(".said.agent .text")).to_have_text("Good day <i>")
    await expect(answer).to_be_empty()
    sent = [e for e in (await channels.contexts.timeline(customer.customer_id)).events if e.type == "message.sent"]
    assert [(event.party, event.data["text"]) for event in sent] == [("agent", "Good day <i>")]


async def test_what_was_said_long_before_is_brought_in_unasked_and_more_on_request(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    about = {"interaction_id": customer.interaction.interaction_id}
    for _ in range(2):
        await channels.events.tell(
            customer.customer_id, *[told("x.seen", **about, page=number) for number in range(60)]
        )
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    earlier = page.get_by_role("button", name="Show earlier")
    await expect(page.locator("[data-type='handoff.accepted']")).to_be_visible()
    await expect(page.get_by_text("I want a person, please.")).to_have_count(0)
    await earlier.click()
    await expect(page.get_by_text("I want a person, please.")).to_be_visible()
    await expect(earlier).to_be_hidden()


async def test_asking_for_what_was_told_warns_gently_and_can_become_a_read_back(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_role("button", name="Ask for a fact").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Which fact?").fill("departure city")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog.get_by_role("alert")).to_contain_text(
        "Already told: departure city = San Diego (IVR, customer,"
    )
    await dialog.get_by_role("button", name="Ask to confirm").click()
    await expect(dialog.get_by_label("In which words?")).to_have_value(re.compile("departure city is San Diego"))
    await dialog.get_by_role("button", name="Send").click()
    await expect(page.locator(".said.agent .text")).to_contain_text("departure city is San Diego")
    asked = [e for e in (await channels.contexts.timeline(customer.customer_id)).events if e.type == "question.asked"]
    assert [event.data["purpose"] for event in asked] == ["confirm"]


async def test_what_is_missing_is_asked_with_one_click_and_a_look(opens: Opens, comes: Comes) -> None:
    customer = await comes(language="zh-CN")
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_role("button", name="Ask for travel date").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("In which words?")).to_have_value("请问您的“出行日期”是？")
    await dialog.get_by_role("button", name="Send").click()
    await expect(page.locator(".said.agent .text")).to_have_text("请问您的“出行日期”是？")
    await expect(page.locator("[data-type='question.asked']")).to_contain_text("Asked for travel date")


# The end


async def test_completing_with_an_outcome_and_a_note(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_role("button", name="Complete").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("How did it end?").select_option("unresolved")
    await dialog.get_by_label("A note for whoever comes next").fill("call back tomorrow")
    await dialog.get_by_role("button", name="Complete").click()
    await expect(page.get_by_role("heading", name="No handoff is open.")).to_be_visible()
    handoff = await channels.handoffs.get(customer.handoff.handoff_id)
    assert (handoff.state, handoff.outcome) == ("completed", "unresolved")
    notes = [e for e in (await channels.contexts.timeline(customer.customer_id)).events if e.type == "note.added"]
    assert [note.data["text"] for note in notes] == ["call back tomorrow"]


async def test_returning_to_the_bot_at_a_step(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_role("button", name="Back to the bot").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Where shall the bot go on?").select_option(label="the journey")
    await dialog.get_by_label("What does the bot need to know?").fill("ask for the date")
    await dialog.get_by_role("button", name="Back to the bot").click()
    await expect(page.get_by_text("Given back to the bot.")).to_be_visible()
    assert (await channels.handoffs.get(customer.handoff.handoff_id)).state == "returned"
    (journey,) = (await channels.contexts.read(customer.customer_id)).journeys
    assert journey.step == "travel"


async def test_a_customer_is_handed_on_with_all_that_is_known_and_kept_until_somebody_takes_over(
    opens: Opens, comes: Comes
) -> None:
    customer = await comes()
    ann, bob = await opens("ann", customer.queue), await opens("bob", f"{customer.queue}-refunds")
    await accept(ann, customer)
    await ann.keyboard.press("t")
    dialog = ann.get_by_role("dialog")
    await expect(dialog.locator("datalist option[value=suggesting]")).to_be_attached()
    await dialog.get_by_label("Name of the queue").fill(f"{customer.queue}-refunds")
    await dialog.get_by_label("Reason").fill("needs a refund")
    await dialog.get_by_label("What was done, and what comes next?").fill("the route is settled")
    await dialog.get_by_role("button", name="Hand on").click()
    pending = ann.locator("[data-transfer]")
    await expect(pending).to_contain_text(f"Offered to {customer.queue}-refunds: you have the customer until")
    await expect(ann.get_by_role("button", name="Send")).to_be_enabled()
    offer = bob.locator("[data-offer]")
    await expect(offer).to_contain_text("needs a refund")
    await expect(offer).to_contain_text("the route is settled")
    await offer.locator("[data-act=accept]").click()
    await expect(fact(bob, "from_city").locator("> .value")).to_have_text("San Diego")
    await expect(ann.get_by_text("Somebody else has taken over.")).to_be_visible()
    await expect(pending).to_have_count(0)
    await expect(ann.get_by_role("button", name="Send")).to_be_disabled()


async def test_a_colleague_is_offered_a_customer_by_name_whatever_queue_he_follows(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    ann, bert = await opens("ann", customer.queue), await opens("bert", "another-queue")
    await accept(ann, customer)
    await ann.locator("[data-act=transfer]").click()
    dialog = ann.get_by_role("dialog")
    await dialog.locator("[name=kind]").select_option("agent")
    for label, words in (("Name of the queue", "bert"), ("Reason", "you know her"), ("What was done", "the route")):
        await dialog.get_by_label(label).fill(words)
    await dialog.get_by_role("button", name="Hand on").click()
    offer = bert.locator(f"[data-offer]:has-text('{customer.customer_id}')")
    await expect(offer).to_contain_text("for you by name")
    await offer.locator("[data-act=accept]").click()
    await expect(ann.get_by_text("Somebody else has taken over.")).to_be_visible()
    await bert.goto(bert.url.partition("#")[0])
    await expect(bert.locator("[data-held]")).to_contain_text(customer.customer_id)


async def test_who_hands_a_customer_on_may_take_that_back_also_after_a_reload(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue, locale="zh-CN")
    await accept(page, customer)
    await page.get_by_role("button", name="转接", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("队列名称").fill("no-such-desk")
    await dialog.get_by_label("原因").fill("退款")
    await dialog.get_by_label("已办事项和下一步").fill("路线已确认")
    await dialog.get_by_role("button", name="转接", exact=True).click()
    await expect(page.locator("[data-transfer]")).to_be_visible()
    await page.reload()
    await page.locator("[data-act=take-back]").click()
    await expect(page.get_by_text("已撤回")).to_be_visible()
    await expect(page.locator("[data-transfer]")).to_have_count(0)
    await expect(page.get_by_text("无人接手")).to_have_count(0)
    assert await channels.handoffs.list(queue="no-such-desk") == []
    assert (await channels.handoffs.get(customer.handoff.handoff_id)).state == "accepted"


async def test_when_nobody_takes_over_the_agent_is_told_to_go_on(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.locator("[data-act=transfer]").click()
    dialog = page.get_by_role("dialog")
    for label, words in (("Name of the queue", "nobody-home"), ("Reason", "refund"), ("What was done", "the route")):
        await dialog.get_by_label(label).fill(words)
    await dialog.get_by_role("button", name="Hand on").click()
    await expect(page.locator("[data-transfer]")).to_be_visible()
    (waiting,) = await channels.handoffs.list(queue="nobody-home")
    await channels.handoffs.cancel(waiting.handoff_id)
    await expect(page.get_by_text("Nobody took over: you go on with the customer.")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()


async def test_a_second_window_learns_that_the_work_is_over(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    here = await opens("ann", customer.queue)
    await accept(here, customer)
    there = await opens("ann", customer.queue)
    await there.locator(f"[data-held='{customer.handoff.handoff_id}'] button").click()
    await expect(there.locator(".floor.mine")).to_be_visible()
    await here.locator("[data-act=complete]").click()
    await here.get_by_role("dialog").get_by_role("button", name="Complete").click()
    await expect(there.get_by_text("You no longer hold this handoff (completed).")).to_be_visible()
    await expect(there.get_by_role("button", name="Send")).to_be_disabled()


async def test_a_reload_finds_the_open_work_again(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.reload()
    await expect(fact(page, "from_city").locator("> .value")).to_have_text("San Diego")
    await expect(page.locator(f"[data-held='{customer.handoff.handoff_id}']")).to_be_visible()


async def test_who_was_let_go_is_back_at_the_login(opens: Opens, running: Any) -> None:
    page = await opens("dora")
    running.revoke("dora")
    await expect(page.get_by_role("alert").filter(has_text="You were logged out.")).to_be_visible(timeout=15_000)
    await expect(page.get_by_label("Agent key")).to_be_visible()


# Keys


async def test_a_whole_handoff_by_keyboard_alone(opens: Opens, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await expect(page.locator("[data-offer]")).to_be_visible()
    await page.keyboard.press("a")
    await expect(page.locator("main[data-handoff]")).to_be_visible()
    await page.keyboard.press("m")
    await expect(page.get_by_label("Your answer to the customer")).to_be_focused()
    await page.keyboard.type("dawn at noon? wait")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.agent .text")).to_have_text("dawn at noon? wait")
    await page.keyboard.press("Escape")
    await page.keyboard.press("n")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("w")
    await expect(page.get_by_label("How did it end?")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="No handoff is open.")).to_be_visible()
    assert (await channels.handoffs.get(customer.handoff.handoff_id)).state == "completed"


async def test_a_key_counts_in_the_very_moment_in_which_a_dialog_closes(
    opens: Opens, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_role("heading", level=1).focus()
    await page.keyboard.press("n")
    await expect(page.get_by_role("dialog")).to_be_visible()
    received = told("message.received", interaction_id=customer.interaction.interaction_id, text="are you there?")
    await channels.events.tell(customer.customer_id, received)
    await expect(page.locator(".said.customer .text").last).to_have_text("are you there?")  # all is drawn anew
    had = await page.evaluate(
        """() => {
            document.querySelector("h1").replaceWith(document.querySelector("h1").cloneNode(true));
            document.querySelector("dialog").close();
            const had = document.activeElement;
            had.dispatchEvent(new KeyboardEvent("keydown", { key: "w", bubbles: true }));
            return had.tagName;
        }"""
    )
    assert had == "TEXTAREA"
    await expect(page.get_by_label("How did it end?")).to_be_focused()


async def test_single_keys_can_be_switched_off(opens: Opens, comes: Comes) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await expect(page.locator("[data-offer]")).to_be_visible()
    await page.keyboard.press("?")
    await page.get_by_role("dialog").get_by_role("checkbox").uncheck()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("d")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator("main[data-handoff]")).to_have_count(0)


# The hub away


async def test_the_page_says_when_the_hub_is_away_and_goes_on_when_it_is_back(
    opens: Opens, comes: Comes, running: Any, channels: ContextHub
) -> None:
    customer = await comes()
    page = await opens("ann", customer.queue)
    await accept(page, customer)
    await page.get_by_label("Your answer to the customer").fill("a draft that stays")
    running.stop()
    try:
        await expect(page.locator("#banner")).to_contain_text("The hub can't be reached", timeout=10_000)
        await page.get_by_role("button", name="Send").click()  # the desk itself is gone: nobody can keep it
        await expect(page.locator("#notices .warn").last).to_contain_text("Nothing is lost: try again.")
        await expect(page.get_by_label("Your answer to the customer")).to_have_value("a draft that stays")
        await expect(fact(page, "from_city").locator("> .value")).to_have_text("San Diego")
    finally:
        running.start()
    await expect(page.locator("#link")).to_have_text("Live", timeout=10_000)
    await expect(page.locator("#banner")).to_be_hidden()
    await page.get_by_label("Your answer to the customer").press("Enter")
    await expect(page.locator(".said.agent .text")).to_have_text("a draft that stays")
    received = told("message.received", interaction_id=customer.interaction.interaction_id, text="there you are")
    await channels.events.tell(customer.customer_id, received)
    await expect(page.locator(".said.customer .text").last).to_have_text("there you are")


# For everybody


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_every_screen_is_accessible(
    opens: Opens, comes: Comes, running: Any, channels: ContextHub, locale: str, theme: str
) -> None:
    customer = await comes(language=locale)
    another = await comes(customer.queue, priority=3, skills=["travel"])
    page = await opens(locale=locale, color_scheme=theme)
    await expect(page.locator("form")).to_be_visible()
    assert await violations(page) == []
    await page.locator("[name=agent_id]").fill("ann")
    await page.locator("[name=key]").fill(running.key_of("ann"))
    await page.locator("[name=queue]").fill(customer.queue)
    await page.locator("button[type=submit]").click()
    await expect(page.locator(f"[data-offer='{another.handoff.handoff_id}']")).to_be_visible()
    assert await violations(page) == []
    await accept(page, customer)
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if locale == "zh-CN" else "en")
    assert await violations(page) == []
    for act in ("ask", "fact", "note", "transfer", "return", "complete"):
        await page.locator(f"[data-act={act}]").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await violations(page) == [], act
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    await fact(page, "card_number").locator(".deeds button").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    flagged = told("risk.flagged", interaction_id=customer.interaction.interaction_id, kind="sim_swap", level="high")
    await channels.events.tell(customer.customer_id, flagged)
    await expect(page.locator(".fraud")).to_be_visible()
    assert await violations(page) == []
    await page.keyboard.press("?")
    assert await violations(page) == []


async def violations(page: Page) -> list[str]:
    """Return what axe finds fault with, by rule and place."""
    # A colour half-way through its animation is nobody's colour.
    await page.evaluate("() => document.getAnimations().forEach((animation) => animation.finish())")
    found = await Axe().run(page)
    assert len(found.response["passes"]) > 15
    return [f"{rule['id']}: {node['target']}" for rule in found.response["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_phone_shows_everything_without_scrolling_sideways(opens: Opens, comes: Comes, language: str) -> None:
    long = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 2
    customer = await comes(language=language, reason=long, note=long)
    page = await opens("ann", customer.queue, wide=390)
    await expect(page.locator("[data-offer]")).to_be_visible()
    assert await sideways(page) <= 390
    await accept(page, customer)
    await page.get_by_label("Your answer to the customer").fill(long)
    await page.get_by_label("Your answer to the customer").press("Enter")
    await expect(page.locator(".said.agent .text")).to_have_text(long)
    assert await sideways(page) <= 390
    await page.locator("[data-act=ask]").click()
    assert await sideways(page) <= 390


async def sideways(page: Page) -> int:
    width: int = await page.evaluate("() => document.documentElement.scrollWidth")
    return width


async def test_language_and_theme_are_remembered(opens: Opens) -> None:
    page = await opens("ann")
    await page.locator("[data-act=language]").click()
    await expect(page.get_by_role("heading", name="等待中")).to_be_visible()
    await page.locator("[data-act=theme]").click()
    theme = await page.locator("html").get_attribute("data-theme")
    await page.reload()
    await expect(page.get_by_role("heading", name="等待中")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("data-theme", theme or "")


async def test_the_first_load_is_small(opens: Opens) -> None:
    page = await opens()
    sizes = await page.evaluate(
        "() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".map((entry) => entry.decodedBodySize)"
    )
    assert len(sizes) > 5
    assert sum(sizes) <= 100 * 1024
