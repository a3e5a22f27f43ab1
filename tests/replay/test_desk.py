"""Agents do as the desk's page does; each customer gets the agent who took them, whoever that is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Any, cast

import httpx
import pytest

from ctxhub.replay.chat import Listening
from ctxhub.replay.desk import Agent, Floor
from ctxhub.replay.ivr import PlayFailed
from ctxhub.replay.pages import Work


class Desk:
    """The other side: a queue of handoffs, and what was said to whom."""

    def __init__(self, *waiting: str, refuses: tuple[str, ...] = (), already: bool = False) -> None:
        self.waiting = list(waiting)
        self.said: dict[str, str] = {}
        self.questions: list[dict[str, Any]] = []
        self.looked: list[str] = []
        self.completed: list[str] = []
        self._refuses = refuses
        self._already = already

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/desk/api/")
        body = json.loads(request.content) if request.content else {}
        assert request.method == "GET" or request.headers["x-ctxhub-desk"] == "1"
        if path == "login":
            return httpx.Response(200, headers={"Set-Cookie": f"ctxhub_desk={body['agent_id']}; Path=/desk"}, json={})
        assert request.headers["cookie"].startswith("ctxhub_desk=agent-")
        return self._answer(path, body)

    def _answer(self, path: str, body: dict[str, Any]) -> httpx.Response:
        noun, _, rest = path.partition("/")
        of, _, deed = rest.partition("/")
        if noun == "queue":
            return httpx.Response(200, json={"queue": "people", "offers": [{"handoff_id": h} for h in self.waiting]})
        if deed == "accept":
            return self._accept(of)
        if noun == "handoffs":
            (self.completed if deed == "complete" else self.looked).append(of)
            return httpx.Response(200, json=a_work(of, "looked again"))
        if deed == "questions":
            self.questions.append(body)
            return httpx.Response(200, json={"sent": not self._already, "already": [{"name": "s.a"}]})
        self.said[of] = body["text"]
        return httpx.Response(200, json={"version": 1})

    def _accept(self, handoff_id: str) -> httpx.Response:
        self.waiting.remove(handoff_id)
        refused = handoff_id in self._refuses
        return httpx.Response(409 if refused else 200, json={} if refused else a_work(handoff_id, "accepted"))

    def client(self) -> httpx.AsyncClient:
        """The way to it."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


def a_work(handoff_id: str, value: str) -> dict[str, Any]:
    """What the page gets about a customer."""
    handoff = {"handoff_id": handoff_id, "customer_id": f"c-{handoff_id}", "interaction_id": "in_1", "fence": 2}
    return {"handoff": handoff, "facts": [{"name": "s.a", "value": value}], "missing": []}


class Ear(Listening):
    """A customer's chat, in which whatever the desk says to that customer is heard."""

    def __init__(self, desk: Desk, customer_id: str) -> None:
        self._desk = desk
        self._customer_id = customer_id

    async def hear_any(self, texts: Collection[str]) -> str:
        """Wait for an agent's hello."""
        async with asyncio.timeout(5):
            while (said := self._desk.said.get(self._customer_id)) not in texts:
                await asyncio.sleep(0.001)
        return cast(str, said)


async def logged_in(desk: Desk) -> Agent:
    """An agent at this desk."""
    agent = Agent(desk.client(), "http://hub.example", "agent-1")
    await agent.log_in("key")
    return agent


async def test_who_waits_longest_is_taken_and_nobody_where_nobody_waits() -> None:
    agent = await logged_in(Desk("h1", "h2"))
    taken = [await agent.take_next() for _ in range(3)]
    assert [work and work.handoff.handoff_id for work in taken] == ["h1", "h2", None]


async def test_an_agent_who_comes_second_takes_nobody() -> None:
    assert await (await logged_in(Desk("h1", refuses=("h1",)))).take_next() is None


async def test_a_long_question_is_put_in_parts_that_the_page_takes() -> None:
    desk = Desk("h1")
    agent = await logged_in(desk)
    work = cast(Work, await agent.take_next())
    names = [f"s.{n}" for n in range(45)]
    await agent.ask(work, names, "May I have these once more?")
    assert [len(question["names"]) for question in desk.questions] == [20, 20, 5]
    assert len({question["event_id"] for question in desk.questions}) == 3
    assert {question["fence"] for question in desk.questions} == {2}


async def test_a_page_that_knows_what_it_does_not_show_ends_the_play() -> None:
    agent = await logged_in(Desk("h1", already=True))
    with pytest.raises(PlayFailed, match="does not show what it says was told before"):
        await agent.ask(cast(Work, await agent.take_next()), ["s.a"], "?")


async def test_a_desk_that_refuses_ends_the_play() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"code": "unauthenticated"})

    agent = Agent(httpx.AsyncClient(transport=httpx.MockTransport(refuse)), "http://hub.example", "agent-1")
    with pytest.raises(PlayFailed, match="the desk answers 401 to login"):
        await agent.log_in("guessed")


async def test_customers_and_agents_find_each_other_by_hello() -> None:
    desk = Desk("h1", "h2", "h3", refuses=("h2",))
    floor = Floor(desk.client(), "http://hub.example", "key")
    async with floor.at_work():
        ears = [Ear(desk, "c-h3"), Ear(desk, "c-h1")]
        (one, last), (other, first) = await asyncio.gather(*(floor.meet(ear) for ear in ears))
    assert (last.handoff.handoff_id, first.handoff.handoff_id) == ("h3", "h1")
    assert one is not other
    assert desk.looked == []


async def test_who_was_taken_before_asking_sees_the_page_as_it_is_by_then() -> None:
    desk = Desk("early", "asks")
    floor = Floor(desk.client(), "http://hub.example", "key")
    async with floor.at_work():
        await floor.meet(Ear(desk, "c-asks"))
        _, work = await floor.meet(Ear(desk, "c-early"))
    assert (desk.looked, work.values) == (["early"], {"s.a": ("looked again",)})


async def test_an_agent_who_is_through_takes_the_next_customer() -> None:
    desk = Desk("h1")
    floor = Floor(desk.client(), "http://hub.example", "key")
    async with floor.at_work():
        agent, work = await floor.meet(Ear(desk, "c-h1"))
        await agent.complete(work)
        floor.release(agent)
        desk.waiting.append("h2")
        again, _ = await floor.meet(Ear(desk, "c-h2"))
    assert again is agent
    assert desk.completed == ["h1"]


async def test_a_desk_that_lets_nobody_in_is_not_stormed() -> None:
    tried: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        tried.append(request.url.path)
        return httpx.Response(401, json={})

    floor = Floor(httpx.AsyncClient(transport=httpx.MockTransport(refuse)), "http://hub.example", "guessed")
    async with floor.at_work():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(floor.meet(Ear(Desk(), "c-h1")), 0.2)
    assert 1 <= len(tried) <= 10
