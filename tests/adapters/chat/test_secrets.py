"""Secret answers in the chat: checked by the tenant's hook, told by their result, and found nowhere."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from playwright.async_api import Browser, expect

from ctxhub.client import ContextHub
from tests.adapters.ivr.conftest import Company, company, systems
from tests.adapters.ivr.serving import HOOK_SECRET
from tests.conftest import Many
from tests.many import environ_of

from .conftest import KEY, TENANT, Page, running
from .test_page import looking

__all__ = ["company", "systems"]

PAN = "4929724812467731"


class Bank(NamedTuple):
    """A hub whose chat asks for a card number, a one-time code and a PIN that nobody can check."""

    url: str
    folder: Path

    def keeps(self, secret: str) -> bool:
        """Tell whether anything below its folder has a secret in it: data, append-only file, spool, log."""
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        assert len(files) > 3
        return any(secret.encode() in file.read_bytes() for file in files)


@pytest.fixture(scope="module")
def bank(many: Many, systems: Company, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """A bank, running."""
    folder = tmp_path_factory.mktemp("bank")
    declared = yaml.safe_load(TENANT)
    asked = {"card_number": ("pan", "HOOK"), "sms_code": ("otp", "HOOK"), "locked": ("pin", "NOT_SET")}
    declared["channels"]["chat"]["prompts"] = {
        name: {"secure": kind, "hook": f"{systems.url}/secure", "hook_secret_env": env}
        for name, (kind, env) in asked.items()
    }
    steps = [{"step": "which", "facts": [*asked, "city"]}]
    declared["journeys"] = [{"kind": "lost_card", "say": {"en": "a lost card", "zh": "挂失"}, "steps": steps}]
    (folder / "tenants").mkdir()
    (folder / "tenants" / "default.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    environ = {"CTXHUB_ADMIN_KEY": KEY, "CTXHUB_DURABILITY": "fast", "CTXHUB_TENANTS": str(folder / "tenants")}
    environ |= {"HOOK": HOOK_SECRET, "CTXHUB_LOG_LEVEL": "debug"} | environ_of(many())
    with running(["ctxhub", "serve", "--port", "0", "--data", str(folder / "data")], environ, folder / "log") as (
        _,
        url,
    ):
        yield Bank(url, folder)


class SecretPage(Page):
    """A page that also has the masked field."""

    async def key_in(self, secret: str) -> dict[str, Any]:
        """Answer what is asked for in secret."""
        return self._kept(await self.post_secret(secret))

    async def post_secret(self, secret: str) -> httpx.Response:
        """Send a secret answer."""
        body = {"session": self.session, "message_id": secrets.token_hex(8), "secret": secret}
        return await self.http.post(f"{self.at}secrets", json=body)


@pytest.fixture
async def customer(bank: Bank) -> AsyncIterator[SecretPage]:
    """A customer whom the bot asks for the card number."""
    async with httpx.AsyncClient(base_url=bank.url, timeout=10) as http:
        page = SecretPage(http)
        await page.open()
        answer = await page.say("a lost card")
        assert (answer["asks"], answer["secure"]) == ("card_number", "pan")
        yield page


async def told_of(bank: Bank, page: Page) -> tuple[list[Any], str]:
    """Return the events of a chat, and all that anybody can read of it."""
    async with ContextHub(bank.url, KEY) as hub:
        chats = await hub.interactions.list(channel="chat")
        texts, events = [], []
        for chat in chats:
            told = (await hub.contexts.timeline(chat.customer_id, limit=1000)).events
            texts += [event.model_dump_json() for event in told]
            events += told
            texts.append((await hub.contexts.read(chat.customer_id)).model_dump_json())
    return events, "\n".join(texts) + json.dumps(await page.open())


async def test_secret_answers_go_to_the_hook_and_only_their_result_is_told(
    bank: Bank, customer: SecretPage, company: Company
) -> None:
    company.pins[PAN] = {"outcome": "accepted", "card_ref": "tok_77", "last4": "7731"}
    company.pins["86420913"] = {"outcome": "accepted"}
    answer = await customer.key_in(PAN)
    assert (answer["asks"], answer["secure"]) == ("sms_code", "otp")
    assert [(fact["name"], fact["value"]) for fact in answer["facts"]] == [("card_number", "•••• 7731")]
    answer = await customer.key_in("86420913")
    assert (answer["asks"], answer["secure"]) == ("locked", "pin")
    assert [(asked["prompt"], asked["secure"], asked["keyed"]) for asked in company.asked] == [
        ("card_number", "pan", PAN), ("sms_code", "otp", "86420913"),
    ]  # fmt: skip
    events, everything = await told_of(bank, customer)
    results = {e.data["prompt"]: e.data["value"] for e in events if e.type == "input.collected"}
    assert results["card_number"] == {"outcome": "accepted", "card_ref": "tok_77", "last4": "7731"}
    assert results["sms_code"] == "•••"  # the filter in front of everything takes whatever a code's prompt brought
    assert [event.data["method"] for event in events if event.type == "assurance.raised"] == ["otp"]
    assert "a lost card" in everything  # what was said in words is there, so the search is no empty one
    for secret in (PAN, "86420913"):
        assert secret not in everything
        assert not bank.keeps(secret)


async def test_a_secret_that_comes_as_a_message_is_taken_for_one_however_often_it_comes(
    bank: Bank, customer: SecretPage, company: Company
) -> None:
    said = "it is 86420917"
    body = {"session": customer.session, "message_id": "m9", "text": said}
    answers = [await customer.http.post(f"{customer.at}messages", json=body) for _ in range(2)]
    assert [answer.json()["messages"][0]["text"].split("\n")[0] for answer in answers] == ["That was not right."] * 2
    assert [asked["keyed"] for asked in company.asked] == [said]
    answer = await customer.say("Talk to a person")
    assert answer["status"] == "waiting"  # what is no secret is heard as ever
    assert "86420917" not in (await told_of(bank, customer))[1]
    assert not bank.keeps("86420917")


async def test_what_is_refused_is_asked_for_once_more_and_then_left(customer: SecretPage, company: Company) -> None:
    assert (await customer.key_in("86420918"))["asks"] == "card_number"
    answer = await customer.key_in("86420918")
    assert (answer["asks"], answer["secure"]) == ("sms_code", "otp")


@pytest.mark.parametrize("broken", [(500, b"86420919"), (200, b"86420919"), (200, b'{"outcome": "86420919"}')])
async def test_where_nobody_can_check_it_it_is_dropped(
    bank: Bank, customer: SecretPage, company: Company, broken: tuple[int, bytes]
) -> None:
    company.broken["/secure"] = broken
    answer = await customer.key_in("86420919")
    assert answer["messages"][0]["text"].startswith("We can't check that just now")
    assert answer["asks"] == "sms_code"
    assert "86420919" not in (await told_of(bank, customer))[1]
    assert not bank.keeps("86420919")


async def test_without_a_secret_to_sign_with_nothing_goes_out(customer: SecretPage, company: Company) -> None:
    await customer.say("Skip this")
    assert (await customer.say("Skip this"))["asks"] == "locked"
    assert (await customer.key_in("86420920"))["asks"] == "city"
    assert company.asked == []


async def test_a_secret_that_nobody_asked_for_is_refused_without_being_quoted(
    bank: Bank, customer: SecretPage, company: Company
) -> None:
    for _ in range(3):
        await customer.say("Skip this")
    answer = await customer.post_secret("86420921")
    assert (answer.status_code, "86420921" in answer.text) == (422, False)
    long = await customer.post_secret("86420922" * 9)
    assert (long.status_code, "86420922" in long.text) == (422, False)
    assert not bank.keeps("8642092")


@pytest.mark.browser
async def test_the_page_masks_what_is_secret_and_shows_it_nowhere(
    chromium: Browser, bank: Bank, company: Company
) -> None:
    company.pins[PAN] = {"outcome": "accepted", "last4": "7731"}
    async with looking(chromium, bank.url) as seen:
        await seen.open()
        await seen.tab.get_by_role("button", name="a lost card").click()
        field = seen.tab.locator("#secret")
        await expect(field).to_be_visible()
        await expect(seen.tab.locator("#text")).to_be_hidden()
        assert await field.get_attribute("type") == "password"
        assert await field.get_attribute("autocomplete") == "off"
        await field.focus()
        await seen.tab.keyboard.type(PAN)
        await seen.tab.keyboard.press("Enter")
        await seen.asks("sms_code")
        await expect(seen.bubble("bot", "Thank you, that is right.")).to_be_visible()
        assert await field.get_attribute("autocomplete") == "one-time-code"
        await expect(field).to_be_empty()
        await expect(field).to_be_focused()
        kept = await seen.tab.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
        assert PAN not in kept + await seen.tab.content()
        for _ in range(2):
            await seen.tab.get_by_role("button", name="Skip this").click()
            await expect(
                seen.bubble("bot", "Left for later").or_(seen.bubble("bot", "we leave that"))
            ).not_to_have_count(0)
        await seen.asks("city")
        await expect(seen.tab.locator("#text")).to_be_visible()
        await expect(field).to_be_hidden()
