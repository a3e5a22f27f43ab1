"""What a supervisor sees: the numbers put together, and the page in a real Chromium."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from ctxhub_desk.assets import load_assets
from ctxhub_desk.overview import MOST_FACTS, days_of, matrix
from playwright.async_api import Page, expect

from ctxhub.client import ContextHub, Tenant, told
from tests.adapters.desk.conftest import ADMIN_KEY, HEADERS, RunningHub

TENANT = Tenant.model_validate(
    {"tenant": "acme", "facts": {"city": {"say": {"en": "city of departure", "zh": "出发城市"}}}}
)
Comes = Callable[..., Awaitable[Any]]
Opens = Callable[..., Awaitable[Page]]


def numbers(*repeats: tuple[str, str, str, int], hops: Any = (), instrumented: Any = None) -> dict[str, Any]:
    """As much of the numbers as the matrix is made of."""
    told_ = [{"fact": fact, "from": a, "to": b, "repeats": n} for fact, a, b, n in repeats]
    shown = [{"from": a, "to": b} for a, b in hops]
    return {"repeats": {"by_fact_and_hop": told_, "instrumented": instrumented or {}}, "hops": shown}


class TestMatrix:
    def test_facts_stand_in_order_of_their_repeats_with_the_tenant_s_own_words(self) -> None:
        found = matrix(
            numbers(("order", "ivr", "chat", 1), ("city", "ivr", "chat", 2), ("city", "", "ivr", 3)), TENANT, "zh"
        )
        assert [(row.label, row.total, row.repeats) for row in found.rows] == [
            ("出发城市", 5, [3, 2]),
            ("order", 1, [0, 1]),
        ]
        assert [(hop["from"], hop["to"]) for hop in found.hops] == [("", "ivr"), ("ivr", "chat")]

    def test_where_nobody_tells_what_is_asked_there_is_no_number(self) -> None:
        found = matrix(
            numbers(("city", "ivr", "chat", 2), hops=[("chat", "desk")], instrumented={"desk": False, "chat": True}),
            TENANT, "en",
        )  # fmt: skip
        assert found.rows[0].repeats == [None, 2]
        assert [hop["instrumented"] for hop in found.hops] == [False, True]

    def test_more_facts_than_fit_are_counted(self) -> None:
        found = matrix(numbers(*[(f"f{n}", "ivr", "chat", n + 1) for n in range(MOST_FACTS + 2)]), TENANT, "en")
        assert (len(found.rows), found.left_out, found.rows[0].fact) == (MOST_FACTS, 2, f"f{MOST_FACTS + 1}")


@pytest.mark.parametrize(("zone", "last"), [(None, date(2026, 11, 22)), ("Asia/Shanghai", date(2026, 11, 23))])
def test_days_end_with_today_where_the_tenant_is(zone: str | None, last: date) -> None:
    now = datetime(2026, 11, 22, 17, tzinfo=UTC)
    assert days_of(TENANT.but(timezone=zone), now, 7) == (last - timedelta(days=6), last)


def test_the_overview_s_words_are_the_same_in_both_languages_and_all_are_said() -> None:
    assets = {name: asset.content.decode() for name, asset in load_assets().items() if name.endswith(".js")}
    words = assets["overview_words.js"]
    en, zh = (dict(re.findall(r'^    (\w+): "(.*)",$', part, re.MULTILINE)) for part in words.split("  zh: {"))
    assert len(en) > 40
    assert en.keys() == zh.keys()
    for name, sentence in en.items():
        assert set(re.findall(r"\{\w+\}", sentence)) == set(re.findall(r"\{\w+\}", zh[name])), name
    scripts = assets["overview.js"] + assets["overview_parts.js"]
    said = set(re.findall(r'\bw\("(\w+)"', scripts))
    assert said <= en.keys()
    mentioned = said | set(re.findall(r'"(\w+)"', scripts))
    made = ("days_", "step_", "ok", "provisional", "too_few", "not_instrumented")
    assert {name for name in en if name not in mentioned and not name.startswith(made)} == set()


# Over HTTP


@pytest.fixture
async def supervising(running: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    """A supervisor at the desk."""
    async with httpx.AsyncClient(base_url=f"{running.url}/desk/api/", headers=HEADERS, timeout=10) as desk:
        login = {"key": ADMIN_KEY, "agent_id": "sue", "queue": "default"}
        assert (await desk.post("login", json=login)).json()["supervisor"] is True
        yield desk


async def test_an_agent_sees_no_overview(sits_down: Any) -> None:
    desk = await sits_down("ann", "default")
    assert (await desk.get("session")).json()["supervisor"] is False
    refused = await desk.get("overview")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_nobody_sees_it_without_logging_in(running: RunningHub) -> None:
    async with httpx.AsyncClient(base_url=f"{running.url}/desk/api/", headers=HEADERS) as desk:
        assert (await desk.get("overview")).status_code == 401


@pytest.mark.parametrize("query", [{"days": "0"}, {"days": "91"}, {"channel": "No"}, {"lang": "fr"}])
async def test_what_makes_no_sense_is_refused(supervising: httpx.AsyncClient, query: dict[str, str]) -> None:
    refused = await supervising.get("overview", params=query)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == f"/{next(iter(query))}"


async def test_it_brings_metrics_matrix_and_promises(supervising: httpx.AsyncClient) -> None:
    found = (await supervising.get("overview", params={"days": "7", "lang": "zh"})).json()
    assert {"window", "metrics", "matrix", "promises", "channels"} <= found.keys()
    assert found["metrics"][0]["name"] == "重复询问率"


# In a browser


async def a_busy_day(comes: Comes, channels: ContextHub) -> None:
    """A customer goes from the phone to the chat to an agent, is asked again, and is not called back."""
    customer = await comes()
    here = {"interaction_id": customer.interaction.interaction_id}
    asked = {"names": ["from_city"], "journey_id": customer.journey_id}
    await channels.events.tell(customer.customer_id, told("question.asked", party="bot", **here, **asked))
    accepted = await channels.handoffs.accept(customer.handoff.handoff_id, "ann")
    await channels.events.tell(customer.customer_id, told("question.asked", party="agent", **here, **asked))
    due = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    promise = told("commitment.made", party="agent", **here, what="call back about the refund", owner="ann", due_at=due)
    await channels.events.tell(customer.customer_id, promise)
    await channels.handoffs.complete(customer.handoff.handoff_id, "ann", accepted.fence, "resolved")


async def counted(channels: ContextHub) -> None:
    """Wait until the day is counted and its promise overdue, be there others or not."""
    async with asyncio.timeout(15):
        while True:
            found, late = await channels.numbers(), await channels.commitments.list(state="overdue")
            is_late = any(each.what == "call back about the refund" for each in late)
            if found["handoffs"]["by_state"].get("completed") and found["repeats"]["total"] >= 2 and is_late:
                return
            await asyncio.sleep(0.1)


@pytest.fixture
async def overview(
    opens: Opens, comes: Comes, channels: ContextHub, running: RunningHub
) -> Callable[..., Awaitable[Page]]:
    """The overview, opened as a supervisor does: by logging in at the desk and following the link."""
    await a_busy_day(comes, channels)
    await counted(channels)

    async def open_(**context: Any) -> Page:
        page = await opens(**context)
        await page.locator("[name=agent_id]").fill("sue")
        await page.locator("[name=key]").fill(ADMIN_KEY)
        await page.locator("button[type=submit]").click()
        await page.locator("[data-act=overview]").click()
        await expect(page.locator("main[data-read]")).to_be_visible()
        return page

    return open_


@pytest.mark.browser
async def test_a_supervisor_reads_where_customers_repeat_themselves(overview: Callable[..., Awaitable[Page]]) -> None:
    page = await overview()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    row = page.locator("[data-fact=from_city]")
    await expect(row.get_by_role("rowheader")).to_have_text("departure city")
    await expect(row.locator(".sum")).to_have_text(re.compile(r"[2-9]|\d\d"))
    await expect(page.get_by_role("columnheader", name="Chat → Desk")).to_be_visible()
    await expect(page.get_by_text("call back about the refund").first).to_be_visible()


@pytest.mark.browser
async def test_each_tile_says_how_sure_it_is_and_what_it_means(overview: Callable[..., Awaitable[Page]]) -> None:
    page = await overview()
    tile = page.locator("[data-metric='rqr.handoff']")
    await expect(tile.locator(".figure")).to_have_text(re.compile(r"\d+(\.\d)?%"))
    await expect(tile.locator(".status")).to_have_text(re.compile("too few|provisional"))  # as many as came so far
    await expect(tile.locator(".grounds")).to_contain_text(re.compile(r"\d+ of \d+; 95 %: \d"))
    definition = tile.get_by_text("Definition", exact=True)
    await definition.focus()
    await page.keyboard.press("Enter")
    await expect(tile.get_by_text("rqr.handoff v1")).to_be_visible()
    await expect(tile.get_by_text(re.compile("hops after which the receiver asked"))).to_be_visible()


@pytest.mark.browser
async def test_the_funnel_is_there_as_a_table_and_what_is_not_known_says_so(
    overview: Callable[..., Awaitable[Page]],
) -> None:
    page = await overview()
    await page.get_by_text("Show as table").click()
    await expect(page.get_by_role("row", name=re.compile(r"^accepted [1-9]"))).to_be_visible()
    await page.get_by_text("All numbers").click()
    row = page.get_by_role("row", name=re.compile("fcr.ops"))
    await expect(row).to_contain_text("not instrumented")
    await expect(row).to_contain_text("–")


@pytest.mark.browser
async def test_another_period_channel_and_language_are_shown_at_once(overview: Callable[..., Awaitable[Page]]) -> None:
    page = await overview()
    await page.get_by_label("Period").select_option("28")
    await expect(page.locator("main")).to_contain_text((datetime.now(UTC).date() - timedelta(days=27)).isoformat())
    await page.get_by_label("Channel").select_option("ivr")
    await expect(page.locator("[data-metric='rqr.handoff'] .status")).to_have_text(
        re.compile("too few|not instrumented")
    )
    await page.locator("[data-act=language]").click()
    await expect(page.locator("[data-metric='rqr.handoff'] h3")).to_contain_text("重复询问率")
    await expect(page).to_have_title("ctxhub · 总览")


@pytest.mark.browser
async def test_when_the_numbers_can_not_be_read_what_was_read_stays(overview: Callable[..., Awaitable[Page]]) -> None:
    page = await overview()
    await page.route("**/api/overview*", lambda route: route.abort())
    await page.locator("[data-act=refresh]").click()
    await expect(page.get_by_role("alert")).to_contain_text("The numbers can't be read just now")
    await expect(page.locator("[data-fact=from_city]")).to_be_visible()


@pytest.mark.browser
async def test_an_agent_who_finds_the_address_is_told_what_it_needs(opens: Opens, running: RunningHub) -> None:
    page = await opens("ann")
    await expect(page.locator("[data-act=overview]")).to_have_count(0)
    await page.goto(f"{running.url}/desk/overview")
    await expect(page.get_by_role("alert")).to_have_text("The overview needs a supervisor's key.")


@pytest.mark.browser
async def test_who_is_not_logged_in_comes_to_the_login(opens: Opens, running: RunningHub) -> None:
    page = await opens()
    await page.goto(f"{running.url}/desk/overview")
    await expect(page.locator("form.card")).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_it_is_accessible_and_fits_a_phone(
    overview: Callable[..., Awaitable[Page]], scheme: str, locale: str
) -> None:
    page = await overview(color_scheme=scheme, locale=locale, wide=1280)
    for details in await page.locator("details > summary").all():
        await details.click()
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    await page.set_viewport_size({"width": 390, "height": 844})
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
