"""A Redis that says itself that it takes no calls just now: 503, nothing done twice, and it goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from redis.crc import key_slot

from tests.api.living import http_to, living, settings_for
from tests.api.scenes import Caller, Scene, known, ok, problem
from tests.many import Process, data_server, grid, state_of, until

ADMIN = "the-first-key"


@asynccontextmanager
async def somebody_at(url: str, folder: Path) -> AsyncIterator[Scene]:
    """A hub at a Redis, and a customer whom it knows."""
    async with living(settings_for(folder, url)) as app, http_to(app) as http:
        yield await known(Caller(http, ADMIN))


async def refused_until_mended(scene: Scene) -> set[str]:
    """Tell one thing again and again until it is taken; return what was said meanwhile, all of it 503."""
    event = scene.fact("city", "Bern")
    taken, said = await insisted(lambda: scene.try_tell(event))
    shown, _ = await insisted(lambda: scene.caller.get(f"{scene.base}/timeline", after=0))
    assert [one["version"] for one in shown["events"] if one["event_id"] == event["event_id"]] == [
        taken["results"][0]["version"]
    ]
    return said


async def insisted(call: Callable[[], Awaitable[httpx.Response]]) -> tuple[dict[str, Any], set[str]]:
    """Call until it is answered; return the answer, and what was said before; of what broke off nobody knows."""
    said = set()
    async with asyncio.timeout(20):
        while (answer := await call()).status_code != 200:
            said.add(answer.json()["detail"] if answer.json()["code"] == "outcome_unknown" else sentences(answer))
            await asyncio.sleep(0.05)
    return ok(answer), said


def sentences(answer: httpx.Response) -> str:
    """What a refusal says, which must be 503 `unavailable`."""
    told: str = problem(answer, 503, "unavailable")["detail"]
    return told


async def test_one_that_can_t_save_to_its_disk(tmp_path: Path) -> None:
    server = data_server(tmp_path / "server").start()
    try:
        async with somebody_at(f"redis://127.0.0.1:{server.port}", tmp_path) as scene:
            in_the_way = tmp_path / "server" / "dump.rdb"
            in_the_way.mkdir()
            await saved(server, "err")
            assert "MISCONF" in sentences(await scene.try_tell(scene.fact("city", "Bern")))
            in_the_way.rmdir()
            await saved(server, "ok")
            assert await refused_until_mended(scene) == set()
    finally:
        server.close()


async def saved(server: Process, how: str) -> None:
    """Have a server that must save do so, and wait until it has come to that end."""
    server.said("CONFIG", "SET", "save", "3600 1")
    server.said("BGSAVE")
    over: dict[str, Any] = {"rdb_bgsave_in_progress": 0, "rdb_last_bgsave_status": how}
    await asyncio.to_thread(until, lambda: over.items() <= server.redis.info("persistence").items(), "not saved")


async def test_one_that_is_still_loading(tmp_path: Path) -> None:
    server = data_server(tmp_path / "server", "--key-load-delay", "100").start()
    try:
        async with somebody_at(f"redis://127.0.0.1:{server.port}", tmp_path) as scene:
            with server.redis.pipeline(transaction=False) as much:
                for n in range(12_000):
                    much.set("ctxhub:{00}:ticket:much", n)
                much.execute()
            server.kill()
            starting = asyncio.create_task(asyncio.to_thread(server.start))
            said = await refused_until_mended(scene)
            await starting
            assert any("loading" in one.lower() for one in said), said
    finally:
        server.close()


async def test_a_cluster_that_lost_a_server_and_wants_all(tmp_path: Path) -> None:
    with grid(tmp_path / "grid", replicas=0, require_all=True) as cluster:
        async with somebody_at(cluster.url, tmp_path) as scene:
            [document] = [key for one in cluster.servers for key in one.redis.keys(f"*:{scene.customer_id}:document")]
            needed = {cluster.of(int(key_slot(key.encode()))).port for key in (document, "ctxhub:{00}:founding")}
            lost = next(one for one in cluster.servers if one.port not in needed)
            lost.kill()
            others = [one for one in cluster.servers if one is not lost]
            await asyncio.to_thread(until, lambda: {state_of(one) for one in others} == {"fail"}, "not down")
            assert "The cluster is down" in sentences(await scene.try_tell(scene.fact("city", "Bern")))
            starting = asyncio.create_task(asyncio.to_thread(lost.start))
            assert await refused_until_mended(scene)
            await starting
