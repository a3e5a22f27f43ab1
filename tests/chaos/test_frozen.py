"""The server freezes: every answer still comes in time and says so; afterwards all is well."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.following import following
from tests.api.scenes import Caller, Scene, known, ok, phone, problem, start_body
from tests.chaos.running import FULL, KEY, Books, KillableHub, whole_timeline

pytestmark = pytest.mark.chaos
DEADLINE, IN_TIME = "2s", 3.0  # a machine that is busy with other tests may add to what the hub allows itself
ROUNDS = 4 if FULL else 1
SPARE = 3  # what the hub does by itself may fill a connection just then: nothing is sent after it, and all of it known


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[KillableHub, Caller]]:
    """A hub with a server of its own, and an admin's way to it."""
    hub = await asyncio.to_thread(KillableHub(folder / "data", deadline=DEADLINE).start)
    try:
        async with httpx.AsyncClient(base_url=hub.url, timeout=10, limits=httpx.Limits(max_connections=200)) as http:
            yield hub, Caller(http, KEY)
    finally:
        await asyncio.to_thread(hub.stop)


@contextmanager
def frozen(hub: KillableHub) -> Iterator[None]:
    """Freeze the hub's server for as long as the block lasts."""
    [server] = hub.children()
    os.kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, signal.SIGCONT)


def other_calls(caller: Caller, scene: Scene) -> list[Awaitable[httpx.Response]]:
    """Calls of all kinds, beside events."""
    asked = {"interaction_id": scene.interaction_id, "names": ["a"]}
    return [
        caller.get(f"{scene.base}/context"), caller.get(f"{scene.base}/timeline"), caller.get(f"{scene.base}/stream"),
        caller.get("/v1/queues/billing"), caller.get("/v1/handoffs", queue="billing"), caller.get("/v1/numbers"),
        caller.get("/v1/interactions", channel="ivr"), caller.get("/health/ready"),
        caller.post("/v1/customers/lookup", {"identifier": phone()}), caller.post(f"{scene.base}/asks", asked),
        caller.post("/v1/interactions", start_body()), scene.try_offer({"queue": "billing"}),
    ]  # fmt: skip


async def test_a_frozen_server_is_told_of_in_time_and_all_is_well_afterwards(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, caller), aclosing(hub.client()) as sdk:
        scene, books, unknown = await known(caller), Books(), 0
        for round_ in range(ROUNDS + SPARE):
            if round_ >= ROUNDS and unknown:
                break
            words = [scene.event("message.received", {"text": f"{'r' * round_}/{'n' * n}"}) for n in range(12)]
            events = words + [scene.fact(f"fact {n}", round_) for n in range(3)]
            # Connections stand, and the key is known, before it counts: else nothing is sent that could be unknown.
            await asyncio.gather(*(caller.get(f"{scene.base}/context") for _ in range(30)))
            with frozen(hub):
                calls = [*(scene.try_tell(event) for event in events), *other_calls(caller, scene)]
                answers = await asyncio.gather(*calls)
            codes = [checked(answer) for answer in answers]
            unknown += codes[: len(words)].count("outcome_unknown")
            books.note([await tell_again(scene, event) for event in events])
            assert books.faults(await whole_timeline(sdk, scene.customer_id)) == []
            await settled(scene)
        assert unknown


def checked(answer: httpx.Response) -> str:
    """Make sure that an answer came in time and says what to do; its code."""
    code = str(answer.json()["code"])
    assert code in ("unavailable", "outcome_unknown"), answer.text
    problem(answer, 503, code)
    assert answer.elapsed.total_seconds() < IN_TIME, answer.request.url
    return code


async def tell_again(scene: Scene, event: dict[str, Any]) -> tuple[str, int]:
    """Tell an event under its first id until it is kept, now that the server has thawed."""
    async with asyncio.timeout(10):
        while (response := await scene.try_tell(event)).status_code == 503:
            await asyncio.sleep(0.05)
    return event["event_id"], int(ok(response)["version"])


async def settled(scene: Scene) -> None:
    """Take back the offer of a round, if it came through in the end."""
    for handoff in (await scene.context())["handoffs"]:
        ok(await scene.caller.post(f"/v1/handoffs/{handoff['handoff_id']}/cancel"))


async def test_the_hub_lives_while_its_server_is_frozen(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, caller):
        with frozen(hub):
            for _ in range(3):
                answer = await caller.get("/health/live")
                assert answer.status_code == 200
                assert answer.elapsed.total_seconds() < 1
            problem(await caller.get("/health/ready"), 503, "unavailable")
        ok(await caller.get("/v1/tenant"))


async def test_a_stream_outlives_a_short_freeze_or_says_bye(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, caller):
        scene = await known(caller)
        told = scene.event("message.received", {"text": "after the freeze"})
        async with following(caller, f"{scene.base}/stream") as stream:
            await stream.until("ready")
            with frozen(hub):
                await asyncio.sleep(1.5)  # longer than the hub waits for one answer
            await tell_again(scene, told)
            heard = await stream.next()
        if heard.type == "bye":
            async with following(caller, f"{scene.base}/stream", "1") as stream:
                heard = await stream.until("message.received")
        assert heard.data["event_id"] == told["event_id"]
