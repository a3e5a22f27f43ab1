"""Ten dialogues in a real Chromium: panel and desk show a person what the judge reads from their requests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from ctxhub import demo
from ctxhub.replay.dialogues import Dialogue
from ctxhub.replay.ivr import LOCALES, Call, Person
from ctxhub.replay.play import House
from ctxhub.replay.run import cast
from ctxhub.replay.stage import set_up
from ctxhub.replay.tenants import QUEUE

pytestmark = pytest.mark.browser

DIALOGUES = demo.samples()[:10]
SCREEN = ViewportSize(width=1280, height=900)
A_PERSON = {"en": "Talk to a person", "zh": "转人工"}
SKIP = {"en": "Skip this", "zh": "跳过"}
MOST_QUESTIONS = 8


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    """The channels of a tenant whose hub tells what it knows."""
    async with set_up(DIALOGUES, None, 1) as stage:
        yield stage.houses["on"]


@pytest.mark.parametrize("number", range(len(DIALOGUES)))
async def test_a_person_sees_all_that_was_told_before(chromium: Browser, house: House, number: int) -> None:
    dialogue = DIALOGUES[number]
    person = next(part.person for part in cast([*DIALOGUES[:number], dialogue]) if part.dialogue is dialogue)
    told = dialogue.told_before(1)
    context = await chromium.new_context(viewport=SCREEN, locale=LOCALES[person.lang])
    try:
        chat, desk = await context.new_page(), await context.new_page()
        await chat.goto(await call_and_get_a_link(dialogue, person, house))
        await expect(chat.locator("main[data-ready]")).to_be_attached()
        assert await facts_on(chat) == labelled(told, person, house)
        told |= await tell_more(chat, dialogue, person, told)
        assert await facts_on(chat) == labelled(told, person, house)
        await chat.get_by_role("button", name=A_PERSON[person.lang]).click()
        await expect(chat.locator("main[data-status=waiting]")).to_be_attached()
        await sit_down(desk, house, f"agent-{number}")
        await desk.locator("[data-offer] [data-act=accept]").first.click()
        await expect(desk.locator("main[data-handoff]")).to_be_visible()
        assert await facts_on(desk) == labelled(told, person, house)
        missing = [await gap.get_attribute("data-missing") for gap in await desk.locator("[data-missing]").all()]
        assert not told.keys() & set(missing)
    finally:
        await context.close()


async def call_and_get_a_link(dialogue: Dialogue, person: Person, house: House) -> str:
    """Play the first part by telephone; gives the link that came as a text message."""
    house.systems.enrol(person)
    root = f"{house.url}/ivr/twilio/{house.tenant}"
    call = Call(house.http, root, house.webhook_token, person, house.words[person.lang])
    await call.tell(dialogue.parts[0])
    await call.hang_up()
    link = house.systems.take_link(person.phone)
    assert link is not None
    return link


async def facts_on(page: Page) -> dict[str, str]:
    """Read what a person sees beside each label, on the chat's panel or at the desk."""
    seen = {}
    for row in await page.locator("li[data-fact]").all():
        label, value = row.locator("> .label"), row.locator("> .value")
        await expect(label).to_be_visible()
        await expect(value).to_be_visible()
        assert await row.locator("[data-other]").count() == 0
        seen[(await label.inner_text()).strip()] = (await value.inner_text()).strip()
    return seen


async def tell_more(chat: Page, dialogue: Dialogue, person: Person, told: dict[str, str]) -> dict[str, str]:
    """Answer what the bot asks, as far as the second part does, and skip the rest; it asks for nothing told before."""
    facts, answered = dialogue.parts[1].facts, dict[str, str]()
    for _ in range(MOST_QUESTIONS):
        said = await chat.locator(".message").count()
        name = await chat.locator("main").get_attribute("data-asks")
        if not name:
            break
        assert name not in told.keys() | answered.keys()
        if name in facts:
            await chat.get_by_role("textbox").fill(facts[name])
            await chat.keyboard.press("Enter")
            answered[name] = facts[name]
        else:
            await chat.get_by_role("button", name=SKIP[person.lang]).click()
        await expect(chat.locator(".message.bot").last).to_be_visible()
        await expect(chat.locator(".message")).to_have_count(said + 2)
        await expect(chat.locator("main")).not_to_have_attribute("data-asks", name)
    return answered


async def sit_down(desk: Page, house: House, agent_id: str) -> None:
    """Log in at the desk."""
    await desk.goto(f"{house.url}/desk/")
    for field, value in (("agent_id", agent_id), ("key", house.floor.key), ("queue", QUEUE)):
        await desk.locator(f"input[name={field}]").fill(value)
    await desk.locator("button[type=submit]").click()


def labelled(facts: dict[str, str], person: Person, house: House) -> dict[str, str]:
    """Return facts by what they are called in the person's language."""
    return {house.words[person.lang].facts[name]: value for name, value in facts.items()}
