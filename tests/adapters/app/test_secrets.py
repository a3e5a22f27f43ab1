"""Secret answers in the app: checked by the tenant's hook, told by their result, and found nowhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from playwright.async_api import Browser, expect

from ctxhub.client import ContextHub
from tests.adapters.ivr.conftest import Company, systems
from tests.adapters.ivr.conftest import company as bank_hook
from tests.adapters.ivr.serving import HOOK_SECRET
from tests.conftest import Many
from tests.many import environ_of

from .conftest import KEY, TENANT, App, assertion, environ, running

__all__ = ["bank_hook", "systems"]

PROMPTS = {"sms_code": ("otp", "HOOK"), "locked": ("pin", "NOT_SET")}


class Bank(NamedTuple):
    """A hub whose app asks for a one-time code, and for a PIN that nobody can check."""

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
    login = 'hook: "HOOK",\n            hook_secret_env: APP_HOOK_SECRET'
    declared = yaml.safe_load(TENANT.replace(login, "lasts: 600"))
    declared["channels"]["app"].pop("android")
    declared["channels"]["app"]["prompts"] = {
        name: {"secure": kind, "hook": f"{systems.url}/secure", "hook_secret_env": env}
        for name, (kind, env) in PROMPTS.items()
    }
    steps = [{"step": "proof", "facts": [*PROMPTS, "city"], "say": {"en": "proof", "zh": "核验"}}]
    declared["journeys"] = [{"kind": "lost_card", "say": {"en": "A lost card", "zh": "挂失"}, "steps": steps}]
    (folder / "tenants").mkdir()
    (folder / "tenants" / "default.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    ours = {"CTXHUB_ADMIN_KEY": KEY, "CTXHUB_DURABILITY": "fast", "CTXHUB_TENANTS": str(folder / "tenants")}
    ours |= environ() | {"HOOK": HOOK_SECRET, "CTXHUB_LOG_LEVEL": "debug"} | environ_of(many())
    command = ["ctxhub", "serve", "--port", "0", "--data", str(folder / "data")]
    with running(command, ours, folder / "log") as (_, url):
        yield Bank(url, folder)


@pytest.fixture
async def app(bank: Bank, somebody: str) -> AsyncIterator[App]:
    """A customer's app, logged in, with the form of a lost card open."""
    async with httpx.AsyncClient(base_url=bank.url, timeout=10) as http:
        app = App(http)
        await app.open(somebody)
        yield app


async def a_lost_card(app: App) -> str:
    """Begin with a lost card, and see which rows of its form are secret."""
    journey_id: str = (await app.does("journeys", kind="lost_card"))["journey_id"]
    form = (await app.does(f"journeys/{journey_id}/form"))["form"]
    assert {row["name"]: row["secure"] for row in form} == {"sms_code": "otp", "locked": "pin", "city": None}
    return journey_id


async def everything(bank: Bank, app: App, customer_id: str) -> tuple[list[Any], str]:
    """Return the events of a customer, and all that anybody can read of them."""
    async with ContextHub(bank.url, KEY) as hub:
        events = (await hub.contexts.timeline(customer_id, limit=1000)).events
        context = await hub.contexts.read(customer_id)
    texts = [event.model_dump_json() for event in events]
    return events, "\n".join([*texts, context.model_dump_json(), json.dumps(await app.home())])


async def test_a_code_goes_to_the_hook_and_only_its_result_is_told(
    bank: Bank, app: App, somebody: str, bank_hook: Company
) -> None:
    bank_hook.pins["86420931"] = {"outcome": "accepted"}
    journey_id = await a_lost_card(app)
    given = {"op_id": "s1", "journey_id": journey_id, "name": "sms_code", "secret": "86420931"}
    for _ in range(2):  # sent again it is not checked again: such a code is good once
        assert app.kept(await app.post("secrets", **given))["outcome"] == "accepted"
    (asked,) = bank_hook.asked
    assert (asked["customer_id"], asked["prompt"], asked["secure"]) == (somebody, "sms_code", "otp")
    events, texts = await everything(bank, app, somebody)
    assert [e.data["name"] for e in events if e.type == "fact.verified"] == ["sms_code"]
    assert "otp" in [e.data["method"] for e in events if e.type == "assurance.raised"]
    assert "lost_card" in texts
    assert "86420931" not in texts
    assert not bank.keeps("86420931")


async def test_wrong_answers_are_refused_and_after_three_the_hook_is_left_alone(app: App, bank_hook: Company) -> None:
    journey_id = await a_lost_card(app)
    for _ in range(5):
        answer = await app.does("secrets", journey_id=journey_id, name="sms_code", secret="86420932")
        assert answer["outcome"] == "refused"
    assert len(bank_hook.asked) == 3


async def test_a_hook_that_names_another_customer_has_refused(
    bank: Bank, app: App, somebody: str, bank_hook: Company
) -> None:
    bank_hook.pins["86420933"] = {"outcome": "accepted", "customer_id": "c-else"}
    journey_id = await a_lost_card(app)
    assert (await app.does("secrets", journey_id=journey_id, name="sms_code", secret="86420933"))[
        "outcome"
    ] == "refused"
    assert "c-else" not in (await everything(bank, app, somebody))[1]


async def test_where_nobody_can_check_it_it_is_dropped(bank: Bank, app: App, somebody: str, bank_hook: Company) -> None:
    journey_id = await a_lost_card(app)
    bank_hook.broken["/secure"] = (200, b'{"outcome": "86420934"}')
    for name in PROMPTS:
        answer = await app.does("secrets", journey_id=journey_id, name=name, secret="86420934")
        assert answer["outcome"] == "unchecked"
    assert "86420934" not in (await everything(bank, app, somebody))[1]
    assert not bank.keeps("86420934")


async def test_a_secret_among_ordinary_facts_is_refused_before_it_is_told_and_without_being_quoted(
    bank: Bank, app: App, somebody: str
) -> None:
    journey_id = await a_lost_card(app)
    facts = [{"name": "city", "value": "Bonn"}, {"name": "sms_code", "value": "86420935"}]
    refused = [
        await app.post("facts", op_id="f1", journey_id=journey_id, facts=facts),
        await app.post("secrets", op_id="f2", journey_id=journey_id, name="city", secret="86420935"),
        await app.post("secrets", op_id="f3", journey_id=journey_id, name="sms_code", secret="86420935" * 9),
    ]
    assert [(answer.status_code, "86420935" in answer.text) for answer in refused] == [(422, False)] * 3
    texts = (await everything(bank, app, somebody))[1]
    assert "Bonn" not in texts
    assert "86420935" not in texts
    assert not bank.keeps("86420935")


@pytest.mark.browser
async def test_the_page_masks_what_is_secret_and_leaves_it_nowhere(
    chromium: Browser, bank: Bank, somebody: str, bank_hook: Company
) -> None:
    bank_hook.pins["86420936"] = {"outcome": "accepted"}
    context = await chromium.new_context(locale="en-US")
    page = await context.new_page()
    opening = {"visit": "v" * 24, "login": {"assertion": assertion(somebody)}, "cookie": True}
    assert (await context.request.post(f"{bank.url}/app/default/sessions", data=opening)).ok
    await page.goto(f"{bank.url}/app/default/")
    await page.get_by_role("button", name="A lost card").click()
    code = page.locator("[name=sms_code]")
    await expect(code).to_have_attribute("type", "password")
    await expect(code).to_have_attribute("autocomplete", "one-time-code")
    await expect(page.locator("[name=locked]")).to_have_attribute("autocomplete", "off")
    await code.fill("86420936")
    await page.locator("[name=city]").fill("Bonn")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("[data-fact=city]")).to_contain_text("Bonn")
    kept = await page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    assert "86420936" not in kept + await page.content()
    assert [asked["keyed"] for asked in bank_hook.asked] == ["86420936"]
    await context.close()
