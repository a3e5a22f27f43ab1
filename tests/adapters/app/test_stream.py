"""What comes down to an app as it happens, over a real server."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from httpx_sse import EventSource, ServerSentEvent

from ctxhub.client import ContextHub, told

from .conftest import App
from .test_app import Agent


class Down:
    """A stream that is being read."""

    def __init__(self, events: AsyncIterator[ServerSentEvent]) -> None:
        self._events = events
        self.last = ""

    async def until(self, name: str, **fields: Any) -> dict[str, Any]:
        """Read on to an event of this name with these fields."""
        async for event in self._events:
            self.last = event.id or self.last
            data: dict[str, Any] = json.loads(event.data or "{}")  # the pause before reconnecting has no data
            if data and event.event == name and fields.items() <= data.items():
                return data
        raise AssertionError(f"the stream ended before {name} {fields}")


@asynccontextmanager
async def down(app: App, last: str = "", query: str = "") -> AsyncIterator[Down]:
    """Open the stream of a visit."""
    headers = app.bearer | ({"Last-Event-ID": last} if last else {})
    async with app.http.stream("GET", f"{app.at}stream{query}", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Down(EventSource(response).aiter_sse())


async def test_everything_comes_first_and_then_what_happens(app: App, somebody: str) -> None:
    await app.open(somebody)
    async with down(app) as stream:
        home = await stream.until("home")
        assert home["journeys"] == []
        await app.does("journeys", kind="address_change")
        home = await stream.until("home")
        assert [journey["label"] for journey in home["journeys"]] == ["A new address"]


async def test_progress_made_on_another_channel_is_seen(app: App, company: ContextHub, somebody: str) -> None:
    await app.open(somebody)
    begun = await app.does("journeys", kind="card_blocked")
    async with down(app) as stream:
        await stream.until("home")
        advanced = told(
            "journey.advanced", event_id=secrets.token_hex(8), journey_id=begun["journey_id"], party="system",
            step="decision",
        )  # fmt: skip
        await company.events.tell(somebody, advanced)
        home = await stream.until("home")
        assert (home["journeys"][0]["number"], home["journeys"][0]["percent"]) == (3, 67)


async def test_a_person_who_takes_over_is_seen_and_heard(app: App, company: ContextHub, somebody: str) -> None:
    await app.open(somebody)
    async with down(app) as stream:
        await stream.until("home")
        line = (await app.does("human"))["line"]
        await stream.until("handoff", handoff_id=line["handoff_id"], state="offered")
        agent = Agent(company, line["handoff_id"])
        await agent.accept()
        await stream.until("handoff", state="accepted")
        await agent.say("Hello, this is Ann.")
        said = await stream.until("message", party="agent")
        assert said["text"] == "Hello, this is Ann."


async def test_a_notice_comes_through(app: App, company: ContextHub, somebody: str) -> None:
    home = await app.open(somebody)
    [mine] = [one for one in await company.interactions.list(channel="app") if one.customer_id == somebody]
    async with down(app, str(home["version"])) as stream:
        notice = told(
            "message.sent", interaction_id=mine.interaction_id, party="system", text="Your card is on its way."
        )  # fmt: skip
        await company.events.tell(somebody, notice)
        assert (await stream.until("message", party="system"))["text"] == "Your card is on its way."


async def test_whoever_was_cut_off_goes_on_where_it_was_and_misses_nothing(
    app: App, company: ContextHub, somebody: str
) -> None:
    await app.open(somebody)
    line = (await app.does("human"))["line"]
    agent = Agent(company, line["handoff_id"])
    await agent.accept()
    async with down(app) as stream:
        await agent.say("One")
        await stream.until("message", text="One")
        last = stream.last
    await agent.say("Two")
    await agent.say("Three")
    heard = []
    async with down(app, last) as stream:
        for _ in range(2):
            heard.append((await stream.until("message"))["text"])
    assert heard == ["Two", "Three"]


async def test_nothing_of_other_visits_comes_down_as_a_message(app: App, company: ContextHub, somebody: str) -> None:
    await app.open(somebody)
    other = App(app.http)
    await other.open(somebody)
    line = (await other.does("human"))["line"]
    agent = Agent(company, line["handoff_id"])
    async with down(app) as stream:
        home = await stream.until("home")
        [elsewhere] = home["elsewhere"]
        assert (elsewhere["channel"], elsewhere["status"]) == ("app", "waiting")
        assert elsewhere["line"]["handoff_id"] == line["handoff_id"]
        await agent.accept()
        await agent.say("This is for the other one.")
        await company.events.tell(somebody, told("fact.stated", party="system", name="city", value="Porto"))
        home = await stream.until("home")
        while "city" not in {fact["name"] for fact in home["facts"]}:
            home = await stream.until("home")
        assert home["elsewhere"][0]["status"] == "agent"
        assert home["messages"] == []


async def test_the_stream_speaks_the_language_of_its_address(app: App, somebody: str) -> None:
    await app.open(somebody)
    async with down(app, query="?lang=zh") as stream:
        assert (await stream.until("home"))["lang"] == "zh"
