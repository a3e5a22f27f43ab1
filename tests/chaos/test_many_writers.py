"""Many write at once, through two hubs on one server: nothing is lost, and one wins what only one can have."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.api.listening import ListeningHub
from tests.api.scenes import Caller, Scene, known, ok, problem
from tests.chaos.conftest import running
from tests.chaos.ledger import Ledger, final_values

pytestmark = pytest.mark.chaos
MASTER_KEY = "one master key for both hubs"


@pytest.fixture
async def two_hubs(tmp_path: Path) -> AsyncIterator[list[Caller]]:
    """Two hubs on one server, as an admin reaches each."""
    with embedded_server(Settings(data=tmp_path / "server", durability="safe")) as server:
        shared = {"redis_url": server.url, "master_key": MASTER_KEY, "durability": "safe"}
        hubs = [ListeningHub(tmp_path / name, **shared) for name in ("first", "second")]
        async with running(*hubs) as callers:
            yield callers


async def write(ledger: Ledger, scene: Scene, caller: Caller, number: int, appends: int, facts: int) -> None:
    """One writer: messages, and changes of facts, some of them everybody's."""
    words = [scene.event("message.received", {"text": f"{number}/{n}"}) for n in range(appends)]
    names = [f"shared {n % 3}" if n % 2 else f"writer {number}" for n in range(facts)]
    told = [scene.fact(name, f"{number}/{n}") for n, name in enumerate(names)] + words
    random.Random(number).shuffle(told)
    for event in told:
        await ledger.tell(caller, scene.base, event)


async def test_eight_writers_in_two_hubs_lose_nothing(
    two_hubs: list[Caller], figure: Callable[[int, int], int]
) -> None:
    appends, facts = figure(30, 250), figure(8, 50)
    scene, ledger = await known(two_hubs[0]), Ledger()
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(write(ledger, scene, two_hubs[number % 2], number, appends, facts))
    assert len(ledger.acknowledged) == 8 * (appends + facts)
    for caller in two_hubs:
        told = await whole_timeline(scene, caller)
        assert ledger.faults(told) == []
        context = ok(await caller.get(f"{scene.base}/context"))
        assert context["version"] == 1 + 8 * (appends + facts)
        assert {name: fact["value"] for name, fact in context["facts"].items()} == final_values(told)


async def whole_timeline(scene: Scene, caller: Caller) -> list[dict[str, object]]:
    """A timeline, page by page."""
    told: list[dict[str, object]] = []
    after: int | None = 0
    while after is not None:
        page = ok(await caller.get(f"{scene.base}/timeline", after=after, limit=1000))
        told += page["events"]
        after = page["next"]
    return told


async def test_forty_desks_reach_for_one_offer_and_one_gets_it(
    two_hubs: list[Caller], figure: Callable[[int, int], int]
) -> None:
    for _ in range(figure(5, 50)):
        handoff = await (await known(two_hubs[0])).offer({"queue": "billing"})
        path = f"/v1/handoffs/{handoff['handoff_id']}/accept"
        desks = [two_hubs[n % 2].post(path, {"agent_id": f"agent-{n}"}) for n in range(40)]
        answers = await asyncio.gather(*desks)
        winners = [ok(answer) for answer in answers if answer.is_success]
        losers = [problem(answer, 409, "held_by_another") for answer in answers if not answer.is_success]
        assert (len(winners), len(losers)) == (1, 39)
        assert {loser["held_by"] for loser in losers} == {winners[0]["handoff"]["agent_id"]}
        shown = ok(await two_hubs[1].get(f"/v1/handoffs/{handoff['handoff_id']}"))["handoff"]
        assert (shown["agent_id"], shown["fence"]) == (winners[0]["handoff"]["agent_id"], 2)


async def test_twins_at_two_hubs_get_one_answer(two_hubs: list[Caller], figure: Callable[[int, int], int]) -> None:
    for n in range(figure(10, 100)):
        scene = await known(two_hubs[0])
        other = Scene(two_hubs[1], scene.started)
        key = f"twin-{n}"
        offers = await asyncio.gather(
            *(each.try_offer({"queue": "cards"}, key) for each in (scene, other, scene, other))
        )
        assert len({ok(offer, 201)["handoff"]["handoff_id"] for offer in offers}) == 1
        event = scene.fact("a", n)
        told = await asyncio.gather(*(each.tell(event) for each in (scene, other, scene, other)))
        assert len({each["version"] for each in told}) == 1
        assert sorted(each["results"][0]["duplicate"] for each in told) == [False, True, True, True]
