"""What goes down as it happens, from a hub that really runs."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from ctxhub_chat import stream

from ctxhub.client import ContextHub, Fed, Stopping, told

from .conftest import KEY, Caller, Page, running
from .test_chat import Agent


class Sent(NamedTuple):
    """One event of a stream."""

    id: str
    name: str
    data: dict[str, Any]


class Ear:
    """Listens to a stream, event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> Sent:
        """Return the next event."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line and "data" in fields:
                    return Sent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
                name, _, value = line.partition(": ")
                fields[name] = value
        raise EOFError("the stream has ended")

    async def until(self, name: str, **data: Any) -> Sent:
        """Return the next event of this name with this data."""
        while True:
            sent = await self.next()
            if sent.name == name and data.items() <= sent.data.items():
                return sent


@asynccontextmanager
async def listening(page: Page, **headers: str) -> AsyncIterator[Ear]:
    """Keep a chat's stream open."""
    request = page.http.stream("GET", f"{page.at}stream", params={"session": page.session}, headers=headers)
    async with request as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Ear(response)


async def test_first_comes_a_snapshot_of_everything(page: Page) -> None:
    await page.open()
    answer = await page.say("…", facts={"from_city": "SF"})
    async with listening(page) as ear:
        snapshot = await ear.until("snapshot")
    assert snapshot.data["facts"] == answer["facts"]
    assert [message["party"] for message in snapshot.data["messages"]] == ["bot", "customer", "bot"]
    assert (snapshot.data["asks"], snapshot.id) == ("to_city", str(snapshot.data["version"]))


async def test_what_is_answered_comes_down_too_under_the_same_id(page: Page) -> None:
    await page.open()
    async with listening(page) as ear:
        await ear.until("snapshot")
        answer = await page.say("a train ticket")
        heard = [await ear.until("message") for _ in range(2)]
        stands = await ear.until("context", asks="from_city")
    assert [sent.data["id"] for sent in heard] == ["m1", answer["messages"][0]["id"]]
    assert stands.data["journey"]["kind"] == "train_ticket"


async def test_facts_told_elsewhere_appear(page: Page, company: ContextHub) -> None:
    caller = await Caller.of(company, from_city="SF")
    await page.open(token=await caller.token())
    async with listening(page) as ear:
        await ear.until("snapshot")
        fact = told("fact.stated", interaction_id=caller.interaction_id, party="customer", name="diet", value="vegan")
        await company.events.tell(caller.customer_id, fact)
        stands = await ear.until("context")
    assert {fact["name"]: fact["value"] for fact in stands.data["facts"]} == {"from_city": "SF", "diet": "vegan"}


async def test_the_person_who_joins_speaks_and_leaves_is_followed(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("…", facts={"from_city": "SF"})
    async with listening(page) as ear:
        await page.say("Talk to a person")
        await ear.until("context", status="waiting")
        agent = Agent(company)
        await agent.accept()
        await ear.until("message", text="A colleague has joined")
        await ear.until("context", status="agent", asks=None)
        await agent.say("Hello, I am Ann.")
        assert (await ear.until("message", party="agent")).data["text"] == "Hello, I am Ann."
        await agent.give_back(step="passengers")
        await ear.until("message", text="The assistant has taken over again")
        back = await ear.until("message", party="bot")
        await ear.until("context", status="bot", asks="seats")
    assert back.data["text"].splitlines() == ["You are with the assistant again.", "Please tell me: number of seats."]


async def test_the_bot_begins_with_what_the_person_left_for_it_to_say(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("…", facts={"from_city": "SF"})
    await page.say("Talk to a person")
    agent = Agent(company)
    await agent.accept()
    async with listening(page) as ear:
        await ear.until("snapshot")
        await agent.give_back(step="passengers", say="Ann has sent you the timetable.")
        back = await ear.until("message", party="bot")
    assert back.data["text"].splitlines() == ["Ann has sent you the timetable.", "Please tell me: number of seats."]


async def test_two_pages_of_one_chat_hear_the_bot_take_up_once(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("Talk to a person")
    agent = Agent(company)
    await agent.accept()
    async with listening(page) as one, listening(page) as other:
        await one.until("snapshot")
        await other.until("snapshot")
        await agent.complete()
        heard = [await ear.until("message", party="bot") for ear in (one, other)]
        await one.until("context", status="bot")
    assert heard[0] == heard[1]
    texts = [message["text"] for message in (await page.open())["messages"]]
    assert len([text for text in texts if text.startswith("You are with the assistant again.")]) == 1


async def test_the_bot_takes_up_when_the_page_comes_back_later(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("Talk to a person")
    agent = Agent(company)
    await agent.accept()
    await agent.complete()
    async with listening(page) as ear:
        snapshot = await ear.until("snapshot")
    assert snapshot.data["messages"][-1]["text"].startswith("You are with the assistant again.")


async def test_when_the_call_for_a_person_comes_to_nothing_the_bot_says_so(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("a hotel room")
    async with listening(page) as ear:
        await page.say("Talk to a person")
        await ear.until("context", status="waiting")
        (handoff,) = [h for h in await company.handoffs.list(queue="people") if h.reason == "asked for a person"][-1:]
        await company.handoffs.cancel(handoff.handoff_id)
        said = await ear.until("message", party="bot", asks="city")
    assert said.data["text"].startswith("Sorry, nobody was free just now.")


async def test_a_stream_taken_up_again_misses_nothing_and_repeats_nothing(page: Page) -> None:
    await page.open()
    async with listening(page) as ear:
        last = await ear.until("snapshot")
    answer = await page.say("a train ticket")
    async with listening(page, **{"last-event-id": last.id}) as ear:
        first = await ear.next()
        second = await ear.next()
    assert [first.data["id"], second.data["id"]] == ["m1", answer["messages"][0]["id"]]


async def test_what_is_no_event_id_begins_with_a_snapshot(page: Page) -> None:
    await page.open()
    async with listening(page, **{"last-event-id": "x"}) as ear:
        assert (await ear.next()).name == "snapshot"


async def test_other_chats_of_the_customer_are_not_heard(http: httpx.AsyncClient) -> None:
    mine, other = Page(http), Page(http)
    await mine.open(visitor="one-browser-two-tabs")
    await other.open(visitor="one-browser-two-tabs")
    async with listening(mine) as ear:
        await ear.until("snapshot")
        await other.say("a hotel room")
        await other.say("Paris")
        await mine.say("a train ticket")
        heard = await ear.until("message", party="customer")
        stands = await ear.until("context", asks="from_city")
    assert (heard.data["text"], stands.data["facts"]) == ("a train ticket", [])


async def test_alone_it_serves_the_same_chat_and_says_goodbye_when_it_goes(hub_url: str, tmp_path: Path) -> None:
    environ = {"CTXHUB_URL": hub_url, "CTXHUB_KEY": KEY, "CTXHUB_TENANT": "default", "CTXHUB_DATA": str(tmp_path)}
    with running(["ctxhub_chat", "--port", "0"], environ, tmp_path / "log") as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            page = Page(http)
            await page.open()
            assert (await page.say("a train ticket"))["asks"] == "from_city"
            async with listening(page) as ear:
                await ear.until("snapshot")
                process.send_signal(signal.SIGTERM)
                await ear.until("bye")
        assert await asyncio.to_thread(process.wait, 5) == 0


# The pace


async def fed(*names: str) -> AsyncGenerator[Fed, None]:
    """A feed that brings these, then nothing more."""
    for name in names:
        yield Fed(type=name)
    await asyncio.Event().wait()


async def test_a_pause_is_told_once_after_each_burst() -> None:
    stopping, heard = Stopping(), []
    async for one in stream.paced(fed("a", "b"), stopping):
        heard.append(one.type if one else None)
        if one is None:
            stopping.set()
    assert heard == ["a", "b", None]


async def test_a_feed_that_ends_ends_the_stream() -> None:
    async def short() -> AsyncGenerator[Fed, None]:
        yield Fed(type="a")

    assert [one async for one in stream.paced(short(), Stopping()) if one] == [Fed(type="a")]


async def test_going_down_ends_a_silent_stream_at_once() -> None:
    stopping = Stopping()
    asyncio.get_running_loop().call_later(0.01, stopping.set)
    async with asyncio.timeout(2):
        assert [one async for one in stream.paced(fed(), stopping)] == []


async def test_a_comment_keeps_a_silent_stream_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "COMMENT_EVERY", 0.01)
    stopping = Stopping()
    async for one in stream.paced(fed(), stopping):
        assert one is None
        stopping.set()
