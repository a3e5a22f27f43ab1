"""The desk while the hub is away: what was seen stays in sight, what is written is kept and sent on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from ctxhub.client import ContextHub, Event

from .conftest import HEADERS, Comes, Customer, Opens, RunningHub, log_in

MARK = "X-Ctxhub-Degraded"


@asynccontextmanager
async def sat_down(url: str, running: RunningHub, customer: Customer) -> AsyncIterator[httpx.AsyncClient]:
    """Let ann take a customer at a desk of its own."""
    async with httpx.AsyncClient(base_url=f"{url}/desk/api/", headers=HEADERS, timeout=20) as desk:
        login = {"key": running.key_of("ann"), "agent_id": "ann", "queue": customer.queue}
        assert (await desk.post("login", json=login)).status_code == 200
        assert (await desk.post(f"handoffs/{customer.handoff.handoff_id}/accept")).status_code == 200
        yield desk


async def timeline(hub: ContextHub, customer: Customer) -> list[Event]:
    return (await hub.contexts.timeline(customer.customer_id, after=0, limit=1000)).events


async def told_within(hub: ContextHub, customer: Customer, event_id: str) -> list[Event]:
    """Return the timeline once something is on it."""
    async with asyncio.timeout(20):
        while True:
            events = await timeline(hub, customer)
            if any(event.event_id == event_id for event in events):
                return events
            await asyncio.sleep(0.05)


async def test_what_an_agent_writes_meanwhile_is_kept_and_told_as_the_agents_own(
    running: RunningHub, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    with running.alone() as url:
        async with sat_down(url, running, customer) as desk:
            before = (await desk.get(f"handoffs/{customer.handoff.handoff_id}")).json()
            assert (before["degraded"], before["as_of"]) == (None, None)
            running.stop(signal.SIGKILL)
            try:
                about: dict[str, Any] = {"interaction_id": customer.interaction.interaction_id}
                path = f"customers/{customer.customer_id}"
                note = await desk.post(f"{path}/notes", json=about | {"text": "call back", "event_id": "n1"})
                assert (note.status_code, note.headers[MARK]) == (202, "away")
                assert note.json() == {"version": None, "event_id": "n1", "kept": True}
                fact = about | {"name": "travel_date", "value": "8 March", "how": "stated", "event_id": "f1"}
                assert (await desk.post(f"{path}/facts", json=fact)).status_code == 202
                words = about | {"text": "One moment.", "fence": before["handoff"]["fence"], "event_id": "m1"}
                assert (await desk.post(f"{path}/messages", json=words)).status_code == 202
                seen = await desk.get(f"handoffs/{customer.handoff.handoff_id}")
                assert (seen.status_code, seen.headers[MARK]) == (200, "away")
                assert seen.json()["facts"] == before["facts"]
                assert seen.json()["as_of"] is not None
                refused = await desk.post(
                    f"handoffs/{customer.handoff.handoff_id}/complete", json={"fence": 2, "outcome": "resolved"}
                )
                assert (refused.status_code, refused.headers[MARK]) == (503, "away")
            finally:
                running.start()
            events = await told_within(channels, customer, "m1")
    order = [event.event_id for event in events if event.event_id in ("n1", "f1", "m1")]
    assert order == ["n1", "f1", "m1"]
    assert {event.party for event in events if event.event_id in order} == {"agent"}


async def test_a_frozen_hub_does_not_hold_the_desk_up(running: RunningHub, comes: Comes) -> None:
    customer = await comes()
    with running.alone() as url:
        async with sat_down(url, running, customer) as desk:
            path = f"handoffs/{customer.handoff.handoff_id}"
            await desk.get(path)
            os.kill(running.pid, signal.SIGSTOP)
            try:
                seen = await desk.get(path)
                assert (seen.status_code, seen.headers[MARK], seen.json()["degraded"]) == (200, "slow", "slow")
                waiting = await desk.get("queue")
                assert (waiting.status_code, waiting.headers[MARK]) == (503, "slow")
            finally:
                os.kill(running.pid, signal.SIGCONT)


async def test_another_agent_does_not_see_what_the_first_one_saw(running: RunningHub, comes: Comes) -> None:
    customer = await comes()
    with running.alone() as url:
        async with (
            sat_down(url, running, customer),
            httpx.AsyncClient(base_url=f"{url}/desk/api/", headers=HEADERS, timeout=20) as other,
        ):
            login = {"key": running.key_of("bob"), "agent_id": "bob", "queue": customer.queue}
            assert (await other.post("login", json=login)).status_code == 200
            running.stop(signal.SIGKILL)
            try:
                assert (await other.get(f"handoffs/{customer.handoff.handoff_id}")).status_code == 503
            finally:
                running.start()


@pytest.mark.timeout(120)
async def test_the_page_says_how_old_it_is_and_takes_notes_all_the_same(
    running: RunningHub, comes: Comes, channels: ContextHub, opens: Opens
) -> None:
    customer = await comes()
    with running.alone() as url:
        page = await opens(url=url)
        await log_in(page, "ann", running.key_of("ann"), customer.queue)
        await page.locator(f"[data-offer='{customer.handoff.handoff_id}']").get_by_role("button").first.click()
        await expect(page.locator("main[data-handoff]")).to_be_visible()
        running.stop(signal.SIGKILL)
        try:
            await expect(page.locator("#banner")).to_contain_text("What you see is from", timeout=20_000)
            await expect(page.locator("[data-act=complete]")).to_be_disabled()
            await page.locator("[data-act=note]").click()
            await page.locator("dialog textarea").fill("call back on Monday")
            await page.locator("dialog button[type=submit]").click()
            await expect(page.locator("#notices")).to_contain_text("Kept", timeout=10_000)
        finally:
            running.start()
        await expect(page.locator("#banner")).to_be_hidden(timeout=30_000)
        async with asyncio.timeout(20):
            while not any(
                event.data.get("text") == "call back on Monday" for event in await timeline(channels, customer)
            ):
                await asyncio.sleep(0.05)
