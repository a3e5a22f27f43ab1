"""What an open stream showed stands in the trail: where it began, how far it was read, and where it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from redis import Redis
from starlette.types import ASGIApp, Message

from tests.api.living import Callers, Clock, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, accept, known, ok
from tests.hub.scenes import eventually


class Stage(NamedTuple):
    """A hub in this process whose clock the test holds."""

    app: ASGIApp
    callers: Callers
    clock: Clock


@pytest.fixture
async def stage(tmp_path: Path, redis_url: str) -> AsyncIterator[Stage]:
    """The hub, alive, on an empty server."""
    clock = Clock()
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    async with living(settings_for(tmp_path, redis_url), clock) as app, http_to(app) as http:
        yield Stage(app, await Callers(http).make(), clock)


class Follower:
    """Who follows a stream in this process, until it goes away."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.heard = b""

    async def receive(self) -> Message:
        """Nothing to say but goodbye."""
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Hear."""
        self.heard += message.get("body", b"")

    async def hears(self, said: str) -> None:
        """Wait until something has come."""

        async def has_come() -> bool:
            return f"{said}\n".encode() in self.heard

        await eventually(has_come, within=8)


@asynccontextmanager
async def followed(stage: Stage, caller: Caller, path: str, **query: str) -> AsyncIterator[Follower]:
    """Follow a stream for as long as the block lasts."""
    follower = Follower()
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "http_version": "1.1",
        "query_string": urlencode(query).encode(), "root_path": "", "scheme": "http", "server": ("hub.test", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"authorization", f"Bearer {caller.key}".encode())],
    }  # fmt: skip
    running = asyncio.create_task(stage.app(scope, follower.receive, follower.send))
    try:
        await follower.hears("event: ready")
        yield follower
    finally:
        follower.gone.set()
        await running


async def lines(stage: Stage, scene: Scene, **query: str) -> list[dict[str, Any]]:
    """What the trail says of streams of a customer."""
    found = await stage.callers.supervisor.get("/v1/audit", customer_id=scene.customer_id, **query)
    return [line for line in ok(found)["lines"] if line["action"].startswith("stream.")]


async def test_what_an_agent_saw_on_a_stream_is_answered_by_versions(stage: Stage) -> None:
    scene = await known(stage.callers.adapter)
    await accept(stage.callers.ann, (await scene.offer({"queue": "cards"}))["handoff_id"], "ann")
    async with followed(stage, stage.callers.ann, f"{scene.base}/stream", after="1") as stream:
        version = (await scene.tell(scene.fact("order_id", "A-17")))["version"]
        await stream.hears(f"id: {version}")
    opened, closed = await lines(stage, scene, agent_id="ann")
    assert (opened["action"], closed["action"]) == ("stream.opened", "stream.closed")
    assert opened["version"] < closed["version"] == version
    assert closed["about"] == {"first": "2", "last": str(version)}
    assert "A-17" not in str(closed)


async def test_how_far_an_open_stream_was_read_is_noted_every_few_minutes_and_not_for_each_event(stage: Stage) -> None:
    scene = await known(stage.callers.adapter)
    base = f"{scene.base}/stream"
    async with followed(stage, stage.callers.adapter, base, interaction_id=scene.interaction_id) as stream:
        for number in range(5):
            told = (await scene.tell(scene.fact(f"f{number}", "a")))["version"]
            await stream.hears(f"id: {told}")
        assert [line["action"] for line in await lines(stage, scene)] == ["stream.opened"]
        stage.clock.move(minutes=6)
        later = (await scene.tell(scene.fact("g", "a")))["version"]
        await stream.hears(f"id: {later}")
        _, read = await lines(stage, scene)
        assert (read["action"], read["version"]) == ("stream.read", later)
        assert read["about"] == {"first": str(told - 4), "last": str(later)}
    assert len(await lines(stage, scene)) == 2


async def test_a_stream_that_showed_nothing_is_opened_and_no_more(stage: Stage) -> None:
    scene = await known(stage.callers.adapter)
    base = f"{scene.base}/stream"
    async with followed(stage, stage.callers.adapter, base, interaction_id=scene.interaction_id):
        pass
    assert [line["action"] for line in await lines(stage, scene)] == ["stream.opened"]
