"""A chat while the hub is away: what is written is kept, told later once and in order, and never asked again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ctxhub_chat.chat import Chat, now
from ctxhub_chat.secrets import Secrets
from ctxhub_chat.server import ChatSettings, router
from ctxhub_chat.sessions import Session, unseal
from ctxhub_chat.translate import Arriving
from fastapi import FastAPI

from ctxhub.client import ContextHub, Event, SignedHooks, SpoolFile, Tenant, told
from tests.chaos.running import KEY as HUB_KEY
from tests.chaos.running import KillableHub
from tests.client.spooling import quick
from tests.support import IMPATIENT, PATIENT

from .conftest import KEY, TENANT, Page, running
from .test_server import Cable, OneHub
from .test_stream import listening

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("quick")
AWAY = "I can't look anything up just now."


class KeptPage(Page):
    """A page of a chat that keeps what it can't tell."""

    def __init__(self, http: httpx.AsyncClient, hub: ContextHub, cable: Cable) -> None:
        super().__init__(http)
        self.hub = hub
        self.cable = cable
        self.marks: list[tuple[int, str | None]] = []

    def _kept(self, response: httpx.Response) -> dict[str, Any]:
        assert response.status_code in (200, 202), response.text
        self.marks.append((response.status_code, response.headers.get("X-Ctxhub-Degraded")))
        answer: dict[str, Any] = response.json()
        self.session = answer["session"]
        return answer

    async def hub_is_back(self) -> None:
        """Mend the cable, and wait until all that waited is told."""
        self.cable.is_cut = self.cable.is_slow = False
        async with asyncio.timeout(10):
            await self.hub.spool.drained()

    async def timeline(self) -> list[Event]:
        """What the hub has of the chat."""
        session = self.unsealed()
        page = await self.hub.contexts.timeline(session.customer_id, after=0, limit=1000)
        return [event for event in page.events if event.interaction_id == session.interaction_id]

    def unsealed(self) -> Session:
        """Look into the session."""
        return unseal(b"sealing", self.session, "default", now())


@pytest.fixture
async def page(hub_url: str, tmp_path: Path) -> AsyncIterator[KeptPage]:
    """A page at the end of a cable, of a chat with a spool."""
    async with a_page(hub_url, tmp_path / "spool") as page:
        yield page


@asynccontextmanager
async def a_page(hub_url: str, path: Path, patience: float = PATIENT) -> AsyncIterator[KeptPage]:
    cable, app = Cable(), FastAPI()
    file = SpoolFile(path, "a secret", of="default")
    async with ContextHub(hub_url, KEY, transport=cable, timeout=patience, tries=2, spool=file) as hub:
        app.include_router(router(OneHub(hub), ChatSettings(secret="sealing", deadline=3 * patience)))
        async with httpx.AsyncClient(base_url="http://chat", transport=httpx.ASGITransport(app=app)) as http:
            yield KeptPage(http, hub, cable)


def said(answer: dict[str, Any]) -> list[str]:
    return [message["text"] for message in answer["messages"] if message["party"] == "bot"]


async def test_a_message_is_kept_and_the_page_told_so(page: KeptPage) -> None:
    await page.open()
    page.cable.is_cut = True
    answer = await page.say("a train ticket")
    assert (answer["degraded"], answer["kept"]) == (True, True)
    assert [line.split(" Please")[0] for line in said(answer)] == [AWAY]
    assert page.marks[-1] == (202, "away")
    again = await page.say("from San Diego")
    assert [message["id"] for message in again["messages"]] == [message["id"] for message in answer["messages"]]
    await page.hub_is_back()


async def test_what_was_written_meanwhile_is_told_once_and_is_not_asked_again(page: KeptPage) -> None:
    await page.open()
    assert (await page.say("a train ticket"))["asks"] == "from_city"
    page.cable.is_cut = True
    await page.say("San Diego")
    await page.say("I am in a hurry", facts={"to_city": "Los Angeles"})
    await page.hub_is_back()
    answer = await page.say("thanks", facts={})
    assert {row["name"]: row["value"] for row in answer["facts"]} == {
        "from_city": "San Diego", "to_city": "Los Angeles",
    }  # fmt: skip
    assert answer["asks"] == "travel_date"
    timeline = await page.timeline()
    received = [event.data["text"] for event in timeline if event.type == "message.received"]
    assert received == ["a train ticket", "San Diego", "I am in a hurry", "thanks"]
    assert [line.split(" Please")[0] for line in sent(timeline)].count(AWAY) == 1
    asked = [name for event in timeline if event.type == "question.asked" for name in event.data["names"]]
    assert asked.count("from_city") == 1
    assert "to_city" not in asked
    assert not any(event.data.get("repeats") for event in timeline)


def sent(timeline: list[Event]) -> list[str]:
    return [event.data["text"] for event in timeline if event.type == "message.sent"]


async def test_facts_have_the_time_at_which_they_were_said(page: KeptPage) -> None:
    await page.open()
    await page.say("a train ticket")
    page.cable.is_cut = True
    await page.say("San Diego")
    await page.hub_is_back()
    await page.say("hello?", facts={})
    timeline = await page.timeline()
    at = {
        event.type: event.at
        for event in timeline
        if event.data.get("text") == "San Diego" or event.type == "fact.stated"
    }
    assert at["fact.stated"] == at["x.chat.kept"] == at["message.received"]


async def test_a_chat_may_begin_while_the_hub_is_away(page: KeptPage) -> None:
    page.cable.is_cut = True
    opened = await page.open()
    assert (opened["degraded"], opened["kept"], opened["messages"]) == (True, True, [])
    assert not page.unsealed().is_begun
    await page.say("a train ticket")
    await page.say("to Los Angeles", facts={"to_city": "Los Angeles"})
    await page.hub_is_back()
    answer = await page.say("are you there?", facts={})
    assert page.unsealed().is_begun
    assert answer["journey"]["kind"] == "train_ticket"
    assert [row["name"] for row in answer["facts"]] == ["to_city"]
    assert answer["asks"] == "from_city"
    timeline = await page.timeline()
    assert [event.data["text"] for event in timeline if event.type == "message.received"] == [
        "a train ticket", "to Los Angeles", "are you there?",
    ]  # fmt: skip
    assert (await page.open())["degraded"] is False
    assert len([event for event in await page.timeline() if event.type == "interaction.started"]) == 1


async def test_the_next_process_goes_on_where_the_one_before_was_cut_off(hub_url: str, tmp_path: Path) -> None:
    async with a_page(hub_url, tmp_path / "spool") as first:
        await first.open()
        await first.say("a train ticket")
        first.cable.is_cut = True
        await first.say("San Diego")
    async with a_page(hub_url, tmp_path / "spool") as second:
        second.session, second.visit = first.session, first.visit
        second._sent = first._sent
        await second.hub_is_back()
        answer = await second.open()
        assert answer["asks"] == "to_city"
        assert "San Diego" in [row["value"] for row in answer["facts"]]


async def test_a_hub_that_hangs_is_not_waited_for_each_time(hub_url: str, tmp_path: Path) -> None:
    async with a_page(hub_url, tmp_path / "spool", IMPATIENT) as page:
        await page.open()
        page.cable.is_slow = True
        for _ in range(4):
            await page.say("hello", facts={})
        assert page.marks[-1] == (202, "slow")
        await page.hub_is_back()
        received = [event for event in await page.timeline() if event.type == "message.received"]
        assert [event.data["text"] for event in received] == ["hello"] * 4


async def test_a_message_that_was_kept_and_comes_again_takes_effect_once(page: KeptPage) -> None:
    await page.open()
    await page.say("a train ticket")
    page.cable.is_cut = True
    await page.say("San Diego", message_id="m7")
    await page.say("San Diego", message_id="m7")
    await page.hub_is_back()
    answer = await page.say("San Diego", message_id="m7")
    assert (answer["degraded"], answer["asks"]) == (False, "to_city")
    timeline = await page.timeline()
    assert [event.data["text"] for event in timeline if event.type == "message.received"][1:] == ["San Diego"]


async def test_while_a_person_has_the_floor_kept_messages_reach_the_person_and_no_bot_answers(page: KeptPage) -> None:
    await page.open()
    answer = await page.say("Talk to a person")
    assert answer["status"] == "waiting"
    [handoff] = [
        h for h in await page.hub.handoffs.list(queue="people") if h.customer_id == page.unsealed().customer_id
    ]
    accepted = await page.hub.handoffs.accept(handoff.handoff_id, "ann")
    page.cable.is_cut = True
    await page.say("my order is A-17", facts={"order": "A-17"})
    await page.hub_is_back()
    answer = await page.say("hello?", facts={})
    assert (answer["status"], said(answer)) == ("agent", [])
    timeline = await page.timeline()
    assert "my order is A-17" in [event.data.get("text") for event in timeline]
    assert [event.data["value"] for event in timeline if event.type == "fact.stated"] == ["A-17"]
    words = told("message.sent", interaction_id=accepted.interaction.interaction_id, party="agent", text="hi",
                 fence=accepted.fence)  # fmt: skip
    assert (await page.hub.events.tell(handoff.customer_id, words)).version > 0


async def test_a_full_spool_lets_the_page_try_again(hub_url: str, tmp_path: Path) -> None:
    cable, app = Cable(), FastAPI()
    file = SpoolFile(tmp_path / "spool", "a secret", limit=1)
    async with ContextHub(hub_url, KEY, transport=cable, timeout=PATIENT, tries=1, spool=file) as hub:
        app.include_router(router(OneHub(hub), ChatSettings(secret="sealing", deadline=3 * PATIENT)))
        async with httpx.AsyncClient(base_url="http://chat", transport=httpx.ASGITransport(app=app)) as http:
            page = KeptPage(http, hub, cable)
            await page.open()
            cable.is_cut = True
            answer = await page.say("hello")
            assert (answer["degraded"], answer["kept"], answer["session"]) == (True, False, page.session)
            assert page.marks[-1] == (200, "away")


def test_a_kept_message_is_read_back_as_it_came() -> None:
    arriving = Arriving.model_validate(
        {"session": "s", "message_id": "m1", "text": "hi", "facts": {"a": 1}, "intent": {"name": "x"}}
    )
    assert arriving.message.facts == ((("a", 1, 1.0)),)
    secrets = Secrets(SignedHooks(1, lambda: 0), {})
    begun_away = Chat(None, Tenant(tenant="t"), Session("t", "", "", "en", "visit"), secrets)  # type: ignore[arg-type]
    assert begun_away.whose.external_id == "visit"  # type: ignore[union-attr]


# Processes that are killed and frozen


async def test_a_chat_of_its_own_tells_its_page_when_the_hub_is_killed_and_when_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "default.yaml").write_text(TENANT, encoding="utf-8")
    hub = KillableHub(tmp_path / "hub", durability="fast", tenants=str(tmp_path / "tenants")).start()
    environ = {"CTXHUB_URL": hub.url, "CTXHUB_KEY": HUB_KEY, "CTXHUB_DATA": str(tmp_path / "chat")}
    with running(["ctxhub_chat", "--port", "0"], environ, tmp_path / "log") as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            page = Page(http)
            await page.open()
            await page.say("a train ticket")
            async with listening(page) as ear:
                await ear.until("snapshot")
                hub.kill()
                assert (await ear.until("degraded")).data == {"why": "away"}
                kept = await page.post("San Diego")
                assert (kept.status_code, kept.headers["X-Ctxhub-Degraded"]) == (202, "away")
                hub.start()
                await ear.until("restored")
                answer = await ear.until("message", party="bot", asks="to_city")
            assert "San Diego" in answer.data["text"]
    async with hub.client() as company:
        [chat] = await company.interactions.list(channel="chat")
        timeline = (await company.contexts.timeline(chat.customer_id, after=0, limit=1000)).events
    hub.stop()
    assert [e.data["text"] for e in timeline if e.type == "message.received"] == ["a train ticket", "San Diego"]
    assert [e.data["value"] for e in timeline if e.type == "fact.stated"] == ["San Diego"]
    assert not any(event.data.get("repeats") for event in timeline)


async def test_mounted_in_the_hub_it_keeps_what_is_written_while_its_redis_is_frozen(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    hub = KillableHub(tmp_path / "hub", durability="fast").start()
    async with httpx.AsyncClient(base_url=hub.url, timeout=20) as http:
        page = Page(http)
        await page.open()
        servers = hub.children()
        for pid in servers:
            os.kill(pid, signal.SIGSTOP)
        try:
            kept = await page.post("hello", facts={})
            assert kept.status_code == 202
            assert kept.headers["X-Ctxhub-Degraded"] in ("away", "slow")
        finally:
            for pid in servers:
                os.kill(pid, signal.SIGCONT)
        async with hub.client() as company, asyncio.timeout(20):
            [chat] = await company.interactions.list(channel="chat")
            while True:
                timeline = (await company.contexts.timeline(chat.customer_id, after=0, limit=1000)).events
                said = [event.data["text"] for event in timeline if event.type == "message.received"]
                if said:
                    break
                await asyncio.sleep(0.05)
    hub.stop()
    assert said == ["hello"]
