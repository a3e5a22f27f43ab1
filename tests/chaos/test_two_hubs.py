"""Two hubs on one server: twins that race get one answer, and facts that all write come to one value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.api.scenes import Caller, Scene, known, ok
from tests.chaos.running import FULL, KEY, Books, KillableHub

pytestmark = pytest.mark.chaos
TWINS = 100 if FULL else 10
WRITERS, FACTS = 8, 50 if FULL else 6


@pytest.fixture(scope="module")
async def two_hubs(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> AsyncIterator[list[Caller]]:
    """An admin's way to each of two hubs."""
    folder = tmp_path_factory.mktemp("two-hubs")
    hubs = [KillableHub(folder / str(n) / "data", redis_url, durability="fast") for n in range(2)]
    async with AsyncExitStack() as stack:
        callers = []
        for n, hub in enumerate(hubs):
            (folder / str(n)).mkdir()
            stack.push_async_callback(asyncio.to_thread, (await asyncio.to_thread(hub.start)).stop)
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=hub.url, timeout=10))
            callers.append(Caller(http, KEY))
        yield callers


async def test_twins_at_two_hubs_get_one_answer(two_hubs: list[Caller]) -> None:
    for n in range(TWINS):
        scene = await known(two_hubs[0])
        other = Scene(two_hubs[1], scene.started)
        both = (scene, other, scene, other)
        offers = await asyncio.gather(*(each.try_offer({"queue": "cards"}, f"twin-{n}") for each in both))
        assert len({ok(offer, 201)["handoff"]["handoff_id"] for offer in offers}) == 1
        event = scene.fact("a", n)
        told = await asyncio.gather(*(each.tell(event) for each in both))
        assert len({each["version"] for each in told}) == 1
        assert sorted(each["results"][0]["duplicate"] for each in told) == [False, True, True, True]


async def test_facts_that_all_write_come_to_the_value_told_last(two_hubs: list[Caller]) -> None:
    scene, books = await known(two_hubs[0]), Books()

    async def write(number: int) -> None:
        mine = Scene(two_hubs[number % 2], scene.started)
        for n in range(FACTS):
            for event in (mine.fact(f"shared {n % 3}", f"{chr(97 + number)}/{'x' * n}"), mine.event("x.between", {})):
                books.note([(event["event_id"], (await mine.tell(event))["version"])])

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    told = await scene.all_told(two_hubs[1])
    assert [event["version"] for event in told] == list(range(1, len(told) + 1))
    assert {event["event_id"]: event["version"] for event in told[1:]} == books.acknowledged
    facts = (await scene.context())["facts"]
    assert {name: fact["value"] for name, fact in facts.items()} == told_last(told)


def told_last(told: list[dict[str, Any]]) -> dict[str, Any]:
    """What facts come to, by the timeline."""
    facts = sorted((e for e in told if e["type"] == "fact.stated"), key=lambda e: (e["at"], e["version"]))
    return {event["data"]["name"]: event["data"]["value"] for event in facts}
