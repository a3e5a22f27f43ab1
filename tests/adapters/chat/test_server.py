"""The chat over HTTP: its page and files, and what it answers while the hub is away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from ctxhub_chat import ChatSettings, router
from fastapi import FastAPI

from ctxhub.client import ContextHub, Stopping
from tests.support import IMPATIENT, PATIENT

from .conftest import KEY, Page

ASSETS = {"chat.js": "text/javascript", "widget.js": "text/javascript", "chat.css": "text/css"}


class Cable(httpx.AsyncHTTPTransport):
    """The way to the hub, which somebody may trip over."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False
        self.answers_are_lost = False
        self.is_slow = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, if it gets through."""
        if self.is_cut:
            raise httpx.ConnectError("nobody there", request=request)
        if self.is_slow:
            await asyncio.Event().wait()
        response = await super().handle_async_request(request)
        if self.answers_are_lost and request.method == "POST":
            await response.aread()
            raise httpx.ReadError("cut off", request=request)
        return response


class OneHub:
    """The hubs of a chat that runs beside the hub."""

    def __init__(self, hub: ContextHub) -> None:
        self.stopping = Stopping()
        self._hub = hub

    def of(self, tenant: str) -> ContextHub:
        """Return the one hub there is."""
        return self._hub

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        """Return the hub under another key."""
        return self._hub.with_key(key, agent_id)


@asynccontextmanager
async def beside(hub_url: str, cable: Cable, patience: float = PATIENT) -> AsyncIterator[Page]:
    """A page of a chat that runs in a process of its own, at the end of a cable."""
    app = FastAPI()
    async with ContextHub(hub_url, KEY, transport=cable, timeout=patience, tries=2) as hub:
        app.include_router(router(OneHub(hub), ChatSettings(secret="sealing", deadline=2 * patience)))
        async with httpx.AsyncClient(base_url="http://chat", transport=httpx.ASGITransport(app=app)) as http:
            yield Page(http)


# The page and its files


async def test_the_page_takes_nothing_from_anywhere_else(http: httpx.AsyncClient, shop: str) -> None:
    answer = await http.get("/chat/default/")
    policy = answer.headers["content-security-policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'self' {shop}"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.findall(r"""(?:src|href)="?(?:https?:)?//""", answer.text)
    assert not re.findall(r"<script(?![^>]*(?:src=|application/json))|<style|style=|\son\w+=", answer.text)


@pytest.mark.parametrize(
    ("query", "accepted", "lang", "title"),
    [
        ("", "en-GB", "en", "Far Away Travel"),
        ("", "zh-CN,zh;q=0.9", "zh-CN", "远方旅行"),
        ("?lang=zh", "en", "zh-CN", "远方旅行"),
        ("?lang=%3Cscript%3E", "en", "en", "Far Away Travel"),
    ],
)
async def test_the_page_speaks_the_language_asked_for(
    http: httpx.AsyncClient, query: str, accepted: str, lang: str, title: str
) -> None:
    text = (await http.get(f"/chat/default/{query}", headers={"accept-language": accepted})).text
    assert f'<html lang="{lang}">' in text
    assert f"<h1>{title}</h1>" in text
    assert "$" not in text


@pytest.mark.parametrize("name", ASSETS)
async def test_files_are_sent_once(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/chat/default/{name}")
    assert answer.headers["content-type"].startswith(ASSETS[name])
    again = await http.get(f"/chat/default/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_other_files_are_not_served(http: httpx.AsyncClient) -> None:
    for name in ("index.html", "server.py", "static/chat.js", "..%2Fserver.py"):
        assert (await http.get(f"/chat/default/{name}")).status_code == 404


# While the hub is away


async def test_a_message_that_meets_no_hub_may_be_sent_again(hub_url: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as page:
        await page.open()
        cable.is_cut = True
        lost = await page.say("a hotel room", message_id="m")
        assert (lost["degraded"], lost["messages"][0]["party"], lost["session"]) == (True, "system", page.session)
        cable.is_cut = False
        again = await page.say("a hotel room", message_id="m")
        assert (again["degraded"], again["asks"]) == (False, "city")


async def test_a_message_whose_answer_is_lost_takes_effect_once(hub_url: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as page:
        await page.open()
        cable.answers_are_lost = True
        assert (await page.say("a hotel room", message_id="m"))["degraded"] is True
        cable.answers_are_lost = False
        answer = await page.say("a hotel room", message_id="m")
        assert (answer["asks"], answer["journey"]["kind"]) == ("city", "hotel")
        assert [message["party"] for message in (await page.open())["messages"]] == ["bot", "customer", "bot"]


async def test_a_hub_that_hangs_is_not_waited_for(hub_url: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable, IMPATIENT) as page:
        await page.open()
        cable.is_slow = True
        async with asyncio.timeout(10):
            assert (await page.say("hi"))["degraded"] is True


async def test_without_a_hub_the_page_comes_and_says_so(hub_url: str) -> None:
    cable = Cable()
    cable.is_cut = True
    async with beside(hub_url, cable) as page:
        answer = await page.http.get(page.at, headers={"accept-language": "zh"})
        assert (answer.status_code, "在线客服" in answer.text) == (200, True)
        opened = await page.open(lang="zh")
        assert (opened["degraded"], opened["session"], opened["lang"]) == (True, "", "zh")
        cable.is_cut = False
        assert (await page.open())["degraded"] is False


async def test_without_a_hub_a_stream_says_so_and_ends(hub_url: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as page:
        await page.open()
        cable.is_cut = True
        answer = await page.http.get(f"{page.at}stream", params={"session": page.session})
        assert answer.text.endswith('event: degraded\ndata: {"why": "away"}\n\n')


async def test_two_processes_that_get_one_message_answer_it_once(hub_url: str) -> None:
    async with beside(hub_url, Cable()) as one, beside(hub_url, Cable()) as other:
        await one.open()
        other.session, other.visit = one.session, one.visit
        for n in range(10):
            answers = await asyncio.gather(*(p.say("Why?", message_id=f"q{n}", facts={}) for p in (one, other) * 2))
            assert len({str(answer["messages"]) for answer in answers}) == 1
        said = [message for message in (await one.open())["messages"] if message["party"] == "bot"]
        assert len(said) == 11
