"""What a person sees: the page and the widget in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, expect
from playwright.async_api import Page as Tab

from ctxhub.client import ContextHub
from tests.chaos.running import KEY as HUB_KEY
from tests.chaos.running import KillableHub

from .conftest import TENANT, Caller, running, until
from .test_chat import Agent

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 780}
DESKTOP = {"width": 1200, "height": 800}
#: Best practices and WCAG 2.2 AA, all that axe knows of.
EVERYTHING: dict[str, Any] = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Seen:
    """A browser's tab, and all that must not happen in it."""

    def __init__(self, tab: Tab, origin: str, *also: str) -> None:
        self.tab = tab
        self.origin = origin
        self.own = (origin, "data:", *also)
        self.faults: list[str] = []
        self.addresses: list[str] = []
        tab.on("console", lambda line: self.faults.append(line.text) if line.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: self.faults.append(str(error)))
        tab.on("request", lambda request: self.addresses.append(request.url))

    @property
    def foreign(self) -> list[str]:
        """Requests that went elsewhere."""
        return [url for url in self.addresses if not url.startswith(self.own)]

    async def open(self, path: str = "") -> None:
        """Go to the chat and wait until it has begun."""
        await self.tab.goto(f"{self.origin}/chat/default/{path}")
        await expect(self.tab.locator("main[data-ready]")).to_be_attached()

    async def say(self, text: str) -> None:
        """Write something and press Enter."""
        await self.tab.get_by_role("textbox").fill(text)
        await self.tab.keyboard.press("Enter")

    def bubble(self, party: str, text: str) -> Locator:
        """Return the message of a party with this text in it."""
        return self.tab.locator(f".message.{party}", has_text=text)

    async def asks(self, name: str) -> None:
        """Wait until the bot asks for this fact."""
        await expect(self.tab.locator("main")).to_have_attribute("data-asks", name)

    async def is_with(self, status: str) -> None:
        """Wait until the chat is with the bot, waiting, or with a person."""
        await expect(self.tab.locator("main")).to_have_attribute("data-status", status)

    async def panel(self) -> dict[str, str]:
        """Return what the panel shows."""
        rows = await self.tab.locator("#facts li").all()
        return {str(await r.get_attribute("data-fact")): str(await r.locator(".value").text_content()) for r in rows}


@asynccontextmanager
async def looking(browser: Browser, origin: str, *also: str, **like: Any) -> AsyncIterator[Seen]:
    """A fresh browser whose user sees the chat, and in which nothing may go wrong."""
    context = await browser.new_context(**{"viewport": DESKTOP, "locale": "en-US"} | like)
    try:
        seen = Seen(await context.new_page(), origin, *also)
        yield seen
        assert seen.faults == []
        assert seen.foreign == []
    finally:
        await context.close()


async def test_a_whole_chat(chromium: Browser, hub_url: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.tab.get_by_role("button", name="a train ticket").click()
        for name, value in (("from_city", "San Diego"), ("to_city", "Fresno"), ("travel_date", "Monday")):
            await seen.asks(name)
            await seen.say(value)
        await seen.asks("seats")
        await seen.tab.get_by_role("button", name="Skip this").click()
        await expect(seen.bubble("bot", "Left for later: number of seats.")).to_be_visible()
        assert await seen.panel() == {"from_city": "San Diego", "to_city": "Fresno", "travel_date": "Monday"}
        asked = [await bubble.get_attribute("data-asks") for bubble in await seen.tab.locator("[data-asks].bot").all()]
        assert asked == ["from_city", "to_city", "travel_date", "seats"]


async def test_a_link_brings_along_what_was_said_on_the_phone(
    chromium: Browser, hub_url: str, company: ContextHub
) -> None:
    token = await (await Caller.of(company, from_city="San Diego", travel_date="8 March")).token()
    async with looking(chromium, hub_url) as seen:
        await seen.open(f"#{token}")
        await expect(seen.bubble("bot", "We already have:\ndeparture city: San Diego")).to_be_visible()
        assert await seen.panel() == {"from_city": "San Diego", "travel_date": "8 March"}
        await expect(seen.tab.locator('[data-fact="from_city"] .from')).to_have_text("You, by phone menu")
        await seen.asks("to_city")
        assert token not in seen.tab.url
        assert token not in "".join(seen.addresses)
        await seen.tab.reload()
        await seen.asks("to_city")
        assert await seen.panel() == {"from_city": "San Diego", "travel_date": "8 March"}
        await expect(seen.tab.locator(".message.bot")).to_have_count(2)


@pytest.mark.parametrize("token", ["%E0%A4%A", "A" * 100, "nowhere", "点击"])
async def test_a_link_that_leads_nowhere_still_opens_the_chat(chromium: Browser, hub_url: str, token: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open(f"#{token}")
        await seen.say("a hotel room")
        await seen.asks("city")
        await expect(seen.bubble("system", "That link can't be used any more")).to_be_visible()


async def test_a_person_takes_over_and_gives_back(chromium: Browser, hub_url: str, company: ContextHub) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.say("a train ticket")
        await seen.asks("from_city")
        await seen.tab.get_by_role("button", name="Talk to a person").click()
        await seen.is_with("waiting")
        await expect(seen.tab.locator("#status")).to_have_text("Waiting for a colleague")
        agent = Agent(company)
        await agent.accept()
        await seen.is_with("agent")
        await expect(seen.bubble("system", "A colleague has joined")).to_be_visible()
        await expect(seen.tab.locator("#replies button")).to_have_count(0)
        await agent.say("Hello, I am Ann.\nHow can I help?")
        await expect(seen.bubble("agent", "Hello, I am Ann.")).to_be_visible()
        await seen.say("Hello Ann")
        await expect(seen.tab.locator(".message.customer.waits")).to_have_count(0)
        await agent.give_back(step="passengers")
        await seen.asks("seats")
        await expect(seen.bubble("bot", "You are with the assistant again.")).to_be_visible()


async def test_markup_is_shown_as_what_it_is(chromium: Browser, hub_url: str, company: ContextHub) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    token = await (await Caller.of(company, from_city=markup)).token()
    async with looking(chromium, hub_url) as seen:
        await seen.open(f"#{token}")
        await seen.say(markup)
        await seen.asks("travel_date")
        await expect(seen.tab.locator("#log img, #log b, #facts img, #facts b")).to_have_count(0)
        assert await seen.panel() == {"from_city": markup, "to_city": markup}
        await expect(seen.bubble("customer", markup)).to_be_visible()


async def test_a_message_waits_for_the_connection(chromium: Browser, hub_url: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.tab.context.set_offline(True)
        await seen.say("a hotel room")
        await expect(seen.tab.locator(".unsent")).to_be_visible()
        await expect(seen.tab.locator("#trouble")).to_have_text("No connection. We keep trying.")
        await seen.tab.context.set_offline(False)
        await seen.tab.get_by_role("button", name="Send again").or_(seen.tab.locator('main[data-asks="city"]')).click()
        await seen.asks("city")
        await expect(seen.tab.locator(".unsent, .waits")).to_have_count(0)
        await expect(seen.tab.locator(".message.customer")).to_have_count(1)
        offline = [fault for fault in seen.faults if "ERR_INTERNET_DISCONNECTED" in fault]
        assert seen.faults == offline
        seen.faults.clear()


async def test_the_keyboard_is_enough(chromium: Browser, hub_url: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        names: list[str] = []
        for _ in range(8):
            await seen.tab.keyboard.press("Tab")
            names.append(await seen.tab.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert names[:2] == ["other-lang", "log"]
        assert [name for name in names if name in ("a train ticket", "text")] == ["a train ticket", "text"]
        await seen.tab.get_by_role("button", name="a hotel room").focus()
        await seen.tab.keyboard.press("Enter")
        await seen.asks("city")
        await expect(seen.tab.get_by_role("textbox")).to_be_focused()
        await seen.tab.keyboard.type("Paris")
        await seen.tab.keyboard.press("Shift+Enter")
        await seen.tab.keyboard.type("or Lyon")
        await seen.tab.keyboard.press("Enter")
        await seen.asks("nights")
        assert await seen.panel() == {"city": "Paris\nor Lyon"}


async def test_what_is_said_is_announced_and_who_said_it(chromium: Browser, hub_url: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.say("a hotel room")
        await seen.asks("city")
        log = seen.tab.get_by_role("log", name="Conversation")
        spoken = re.compile("Assistant.*You.*a hotel room.*Assistant.*Please tell me", re.DOTALL)
        await expect(log).to_contain_text(spoken)
        await expect(seen.tab.get_by_role("status").first).to_have_text("Assistant")


@pytest.mark.parametrize("lang", ["en-US", "zh-CN"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_nobody_is_shut_out(
    chromium: Browser, hub_url: str, company: ContextHub, lang: str, scheme: str, size: dict[str, int]
) -> None:
    token = await (await Caller.of(company, from_city="北京", to_city="W" * 120)).token()
    async with looking(chromium, hub_url, locale=lang, color_scheme=scheme, viewport=size) as seen:
        await seen.open(f"#{token}")
        await seen.say("x")
        await seen.asks("seats")
        await seen.say("agent")
        await seen.is_with("waiting")
        agent = Agent(company)
        await agent.accept()
        await agent.say("Hello! " * 20)
        await expect(seen.bubble("agent", "Hello!")).to_be_visible()
        if size is PHONE:
            await seen.tab.locator("summary").click()
        await expect(seen.tab.locator("#facts li").first).to_be_visible()
        assert await seen.tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
        await settled(seen.tab)
        found = (await Axe().run(seen.tab, options=EVERYTHING)).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


async def settled(tab: Tab) -> None:
    """Wait until nothing moves, for half-faded text has no contrast."""
    await tab.evaluate("Promise.all(document.getAnimations().filter((a) => a.effect.getTiming().iterations === 1)"
                       ".map((a) => a.finished.catch(() => null)))")  # fmt: skip


async def test_the_language_can_be_changed_in_the_middle(chromium: Browser, hub_url: str) -> None:
    async with looking(chromium, hub_url) as seen:
        await seen.open()
        await seen.say("a train ticket")
        await seen.asks("from_city")
        await seen.tab.get_by_role("link", name="中文").click()
        await expect(seen.tab.locator("html")).to_have_attribute("lang", "zh-CN")
        await seen.asks("from_city")
        await seen.say("旧金山")
        await expect(seen.bubble("bot", "请告诉我：目的地。")).to_be_visible()


# The widget in somebody's shop


async def test_a_shop_has_the_chat_in_a_corner_of_its_page(chromium: Browser, hub_url: str, shop: str) -> None:
    async with looking(chromium, hub_url, shop) as seen:
        await seen.tab.goto(f"{shop}/?{hub_url}/chat/default/widget.js")
        await seen.tab.get_by_role("button", name="Open the chat").click()
        chat = seen.tab.frame_locator("ctxhub-chat iframe")
        await chat.get_by_role("button", name="a hotel room").click()
        await expect(chat.locator('main[data-asks="city"]')).to_be_attached()
        await chat.get_by_role("textbox").press("Escape")
        await expect(seen.tab.locator("ctxhub-chat iframe")).to_be_hidden()
        await expect(seen.tab.get_by_role("button", name="Open the chat")).to_be_focused()
        await seen.tab.keyboard.press("Enter")
        await expect(chat.locator('main[data-asks="city"]')).to_be_visible()


async def test_the_widget_takes_a_language_and_a_token(
    chromium: Browser, hub_url: str, shop: str, company: ContextHub
) -> None:
    token = await (await Caller.of(company, from_city="北京")).token()
    async with looking(chromium, hub_url, shop) as seen:
        await seen.tab.goto(f"{shop}/")
        await seen.tab.evaluate(PUT_IN, {"lang": "zh", "token": token})
        await seen.tab.evaluate("(address) => import(address)", f"{hub_url}/chat/default/widget.js")
        chat = seen.tab.frame_locator("ctxhub-chat iframe")
        await expect(chat.locator(".message.bot", has_text="出发城市：北京")).to_be_visible()
        assert token not in "".join(seen.addresses)


async def test_a_site_that_the_tenant_does_not_name_may_not_frame_the_chat(
    chromium: Browser, hub_url: str, shop: str
) -> None:
    async with looking(chromium, hub_url, shop) as seen:
        await seen.tab.goto(f"{shop}/?{hub_url}/chat/other/widget.js")
        await seen.tab.get_by_role("button", name="Open the chat").click()
        await until(lambda: [fault for fault in seen.faults if "frame-ancestors" in fault])
        seen.faults.clear()


#: Puts the widget's element into a page.
PUT_IN = """(attributes) => {
  const chat = document.createElement("ctxhub-chat");
  for (const [name, value] of Object.entries(attributes)) chat.setAttribute(name, value);
  document.body.append(chat);
}"""


async def test_a_message_is_marked_as_kept_until_the_hub_is_back(chromium: Browser, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "default.yaml").write_text(TENANT, encoding="utf-8")
    hub = KillableHub(tmp_path / "hub", durability="fast", tenants=str(tmp_path / "tenants")).start()
    environ = {"CTXHUB_URL": hub.url, "CTXHUB_KEY": HUB_KEY, "CTXHUB_DATA": str(tmp_path / "chat")}
    with running(["ctxhub_chat", "--port", "0"], environ, tmp_path / "log") as (_, url):
        async with looking(chromium, url) as seen:
            await seen.open()
            await seen.say("a hotel room")
            await seen.asks("city")
            hub.kill()
            await seen.say("Paris")
            await expect(seen.bubble("customer", "Paris").locator(".kept")).to_be_visible()
            await expect(seen.bubble("bot", "I can't look anything up just now.")).to_have_count(1)
            hub.start()
            await seen.asks("nights")
            await expect(seen.tab.locator(".kept, .unsent, .waits")).to_have_count(0)
            assert (await seen.panel())["city"] == "Paris"
    hub.stop()
