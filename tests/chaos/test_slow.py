"""Redis is slow, not away: each reply comes late, none too late. Every answer is in time all the same, and says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.api.scenes import Caller, Scene, known, ok, phone, problem
from tests.chaos.running import KEY
from tests.chaos.world import World, a_world

pytestmark = pytest.mark.chaos
DEADLINE, IN_TIME = "2s", 2.5  # a machine that is busy with other tests may add to what the hub allows itself
BEGUN = ("redeemed", "new", "another")


class Call(NamedTuple):
    """One call, with a key under which it may be repeated where it writes."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    key: str | None = None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, deadline=DEADLINE) as found:
        yield found


@pytest.fixture
async def caller(world: World) -> AsyncIterator[Caller]:
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=world.hubs[0].url, trust_env=False, timeout=30, limits=limits) as http:
        yield Caller(http, KEY)


def start(external_id: str) -> dict[str, Any]:
    """Return how an interaction of somebody proven begins, by several identifiers."""
    identifiers = [phone(), {"type": "email", "value": f"{external_id}@example.com", "strength": "claimed"}]
    proven = {"level": 2, "method": "pin"}
    return {"channel": "chat", "external_id": external_id, "identifiers": identifiers, "assurance": proven}


def reads(scene: Scene) -> list[Call]:
    """Calls that change nothing."""
    paths = [f"{scene.base}/{name}" for name in ("context", "timeline", "brief?view=agent", "export", "stream")]
    paths += ["/v1/queues/q", "/v1/queues/q/stream", "/v1/handoffs?queue=q", "/v1/numbers", "/v1/agents", "/v1/keys"]
    paths += ["/v1/webhooks", "/v1/interactions?channel=chat&state=open", "/v1/audit", "/health/ready"]
    return [Call("GET", path) for path in paths]


async def writes(scene: Scene, other: Scene, third: Scene, fourth: Scene) -> list[Call]:
    """Calls of many steps, each with a key of its own."""
    offered = ok(await other.caller.post("/v1/handoffs", handed(other)), 201)["handoff"]
    accepted = ok(await third.caller.post("/v1/handoffs", handed(third)), 201)["handoff"]["handoff_id"]
    calls = [
        *(Call("POST", "/v1/interactions", start(name)) for name in BEGUN[1:]),
        Call("POST", "/v1/handoffs/redeem", {"channel": "chat", "external_id": BEGUN[0], "token": offered["token"]}),
        Call("POST", "/v1/handoffs", handed(scene)),
        Call("POST", f"/v1/handoffs/{accepted}/accept", {"agent_id": "ann"}),
        Call("POST", f"{scene.base}/asks", {"interaction_id": scene.interaction_id, "names": ["a"]}),
        Call("POST", f"{scene.base}/events", {"events": [scene.fact("colour", "red")]}),
        Call("POST", f"{third.base}/merge", {"from": fourth.customer_id}),
    ]  # fmt: skip
    return [call._replace(key=f"key-{number}") for number, call in enumerate(calls)]


def handed(scene: Scene) -> dict[str, Any]:
    """Return the offer of a customer to a queue."""
    who = {"customer_id": scene.customer_id, "interaction_id": scene.interaction_id}
    return who | {"reason": "wants a person", "to": {"queue": "q"}}


async def timed(caller: Caller, call: Call) -> tuple[httpx.Response, float]:
    """Make a call; return its answer, of a stream the head, and after how long it came."""
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Idempotency-Key": call.key} if call.key else {})
    began = time.monotonic()
    async with caller.http.stream(call.method, call.path, json=call.body, headers=headers) as response:
        seconds = time.monotonic() - began
        if not response.is_success or ("stream" not in call.path and "export" not in call.path):
            await response.aread()
    return response, seconds


def made(answer: httpx.Response) -> list[Any]:
    """Return the ids of what a call made, which are the same however often it is repeated."""
    told = answer.json()
    return [told.get(noun, {}).get(f"{noun}_id") for noun in ("interaction", "handoff")]


@pytest.mark.parametrize("delay", ["slow 300", "slow 600"])
async def test_every_answer_is_in_time_and_what_was_not_done_is_done_once_repeated(
    world: World, caller: Caller, delay: str
) -> None:
    scene, *others = [await known(caller) for _ in range(4)]
    told = await writes(scene, *others)
    world.wire.order(delay)
    calls = [*told, *reads(scene)]
    answers = await asyncio.gather(*(timed(caller, call) for call in calls))
    metrics, seconds = await timed(caller, Call("GET", "/metrics"))
    world.wire.order("heal")
    late = [(*call[:2], after) for call, (_, after) in zip(calls, answers, strict=True) if after > IN_TIME]
    assert late == []
    assert (metrics.status_code, seconds < IN_TIME) == (200, True)
    assert "ctxhub_requests" in metrics.text
    not_done = [(call, answer) for call, (answer, _) in zip(calls, answers, strict=True) if not answer.is_success]
    assert not_done
    for call, answer in not_done:
        problem(answer, 503, answer.json()["code"])
        assert answer.json()["code"] in (("unavailable",) if call.key is None else ("outcome_unknown", "unavailable"))
        assert int(answer.headers["Retry-After"]) >= 1
    first, second = [[(await timed(caller, call))[0] for call in told] for _ in range(2)]
    assert [(call.path, answer.text) for call, answer in zip(told, first, strict=True) if not answer.is_success] == []
    assert [made(answer) for answer in second] == [made(answer) for answer in first]
    chats = ok(await caller.get("/v1/interactions", channel="chat"))["interactions"]
    assert len(chats) == len(BEGUN)
