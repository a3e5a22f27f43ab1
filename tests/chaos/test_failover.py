"""The server that takes writes is lost: another takes its place, and nothing acknowledged is missing or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub.client import ContextHub
from tests.api.scenes import Patient, Scene, accept, known, ok, redeem
from tests.chaos.losing import IN_TIME, Losing, frozen, killed, running, slot_of
from tests.chaos.running import FULL, KEY
from tests.many import Grid, Guarded, grid, until

pytestmark = pytest.mark.chaos
GAP = 4.0 if FULL else 8.0  # a machine that is busy with other tests chooses late
STANDING_STILL = GAP + 1.0  # Sentinels count from their first ping without an answer, which they send once a second
KILLS, FREEZES, RACES = 30, 6, 10
FULL_ONLY = pytest.mark.skipif(not FULL, reason="minutes each; in the full run")
LONG = pytest.mark.timeout(1200)
BACK_AFTER = 1.5  # as whoever supervises a server starts it again; by then its replica has its place


async def again_and_again(
    load: Losing, times: int, is_whole: Callable[[], bool], lose: Callable[[int], Awaitable[Any]]
) -> None:
    """Lose a server under load, wait until all goes on and the lost one is back, and once more."""
    async with load.at_work():
        for n in range(times):
            await asyncio.to_thread(until, is_whole, "the lost one is not back", 30)
            await load.grown()
            await lose(n)
            await load.grown()


async def nothing_lost(what: str, http: httpx.AsyncClient, load: Losing, gap: float = GAP) -> None:
    """Make sure of it, and that nobody waited too long."""
    print(f"{what}: {load.told_of()}")
    assert await load.faults(http) == []
    assert load.refused > 0
    assert load.gap <= gap
    assert load.answer <= IN_TIME


@FULL_ONLY
@LONG
@pytest.mark.parametrize("durability", ["replicated", "safe"])
async def test_a_primary_that_is_killed_is_replaced(sentinels: Guarded, tmp_path: Path, durability: str) -> None:
    async with running(tmp_path, sentinels.url, durability) as (http, load):
        lose = lambda _: killed(sentinels.primary(), 4)  # noqa: E731
        await again_and_again(load, KILLS, sentinels.is_whole, lose)
        await nothing_lost(f"Sentinels, {durability}, {KILLS} times killed", http, load)


@FULL_ONLY
@LONG
async def test_a_primary_that_is_back_while_another_is_chosen_is_not_written_to(
    sentinels: Guarded, tmp_path: Path
) -> None:
    async with running(tmp_path, sentinels.url, "safe") as (http, load):
        await again_and_again(load, RACES, sentinels.is_whole, lambda _: killed(sentinels.primary(), BACK_AFTER))
        print(f"Sentinels, safe, {RACES} times killed and back after {BACK_AFTER} s: {load.told_of()}")
        assert await load.faults(http) == []
        assert load.answer <= IN_TIME


@FULL_ONLY
@LONG
async def test_a_primary_that_is_frozen_is_replaced_and_what_it_says_later_counts_for_nothing(
    sentinels: Guarded, tmp_path: Path
) -> None:
    async with running(tmp_path, sentinels.url, "safe") as (http, load):
        await again_and_again(load, FREEZES, sentinels.is_whole, lambda _: frozen(sentinels.primary(), 6))
        await nothing_lost(f"Sentinels, safe, {FREEZES} times frozen", http, load, STANDING_STILL)


@FULL_ONLY
@LONG
@pytest.mark.parametrize("durability", ["replicated", "safe"])
async def test_a_server_of_a_cluster_that_is_killed_is_replaced(cluster: Grid, tmp_path: Path, durability: str) -> None:
    async with running(tmp_path, cluster.url, durability) as (http, load):
        lose = lambda n: killed(cluster.primaries()[n % 3], BACK_AFTER)  # noqa: E731
        await again_and_again(load, KILLS, cluster.is_whole, lose)
        await nothing_lost(f"cluster, {durability}, {KILLS} times killed", http, load)


@FULL_ONLY
@LONG
async def test_a_server_of_a_cluster_that_is_frozen_is_replaced(cluster: Grid, tmp_path: Path) -> None:
    async with running(tmp_path, cluster.url, "safe") as (http, load):
        await again_and_again(load, FREEZES, cluster.is_whole, lambda n: frozen(cluster.primaries()[n % 3], 3))
        print(f"cluster, safe, {FREEZES} times frozen for 3 s: {load.told_of()}")
        assert await load.faults(http) == []
        assert load.answer <= IN_TIME


@FULL_ONLY
@LONG
@pytest.mark.parametrize("durability", ["fast", "safe"])
async def test_where_no_replica_is_waited_for_the_same_fault_loses_what_was_acknowledged(
    sentinels: Guarded, tmp_path: Path, durability: str
) -> None:
    await asyncio.to_thread(until, sentinels.is_whole, "not whole", 30)
    async with running(tmp_path, sentinels.url, durability) as (http, load):
        async with load.at_work():
            await load.grown()
            lost = sentinels.primary()
            for replica in sentinels.servers:
                if replica is not lost:
                    replica.said("REPLICAOF", "127.0.0.1", 1)  # cut off: what is written now, they never hear
            await asyncio.sleep(0.8)
            await killed(lost, 4)
            await load.grown()
        faults = await load.faults(http)
        print(f"Sentinels, {durability}, cut off for 0.8 s, then killed: {len(faults)} faults; {load.told_of()}")
        assert bool(faults) == (durability == "fast")


@FULL_ONLY
@LONG
async def test_with_two_replicas_each_a_server_of_a_cluster_may_stay_away(tmp_path: Path) -> None:
    with grid(tmp_path / "grid", replicas=2) as cluster:
        async with running(tmp_path, cluster.url, "safe") as (http, load):
            lose = lambda n: killed(cluster.primaries()[n % 3], 5)  # noqa: E731
            await again_and_again(load, KILLS // 3, cluster.is_whole, lose)
            await nothing_lost(f"cluster with two replicas each, safe, {KILLS // 3} times killed", http, load)


@pytest.mark.parametrize("kind", ["sentinels", "cluster"])
async def test_a_customer_is_handed_over_while_the_server_is_lost_under_load(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, record_property: Callable[[str, object], None]
) -> None:
    servers: Guarded | Grid = request.getfixturevalue(kind)
    await asyncio.to_thread(until, servers.is_whole, "not whole", 30)
    seen: list[int] = []
    async with running(tmp_path, servers.url, "safe") as (http, load), aclosing(sdk_of(http)) as sdk:
        call = await a_neighbour(http, load, servers)
        following = asyncio.create_task(follow(sdk, call.customer_id, seen))
        async with load.at_work():
            await load.grown()
            await handed_over(call, servers)
            await load.grown()
        last = int((await call.context())["version"])
        async with asyncio.timeout(15):
            while seen[-1:] != [last]:
                await asyncio.sleep(0.05)
        following.cancel()
        assert seen == list(range(1, last + 1))
        what = f"{kind}, safe, killed once while a customer is handed over"
        record_property("ran", f"{what}: {load.told_of()}")
        await nothing_lost(what, http, load)


async def a_neighbour(http: httpx.AsyncClient, load: Losing, servers: Guarded | Grid) -> Scene:
    """Somebody who calls, and whose server has customers of the load as well, who feel it when that is lost."""
    call = await known(Patient(http, KEY))
    if isinstance(servers, Grid):
        felt = [servers.of(slot_of(one.scene.customer_id)) for one in load.told]
        while servers.of(slot_of(call.customer_id)) not in felt:
            call = await known(Patient(http, KEY))
    return call


def sdk_of(http: httpx.AsyncClient) -> ContextHub:
    """A client with time enough to see a failover through."""
    return ContextHub(str(http.base_url), KEY, timeout=20, tries=100)


async def follow(hub: ContextHub, customer_id: str, seen: list[int]) -> None:
    """Note the version of everything that is told of a customer, through every fault."""
    async for fed in hub.feeds.customer(customer_id, after=0):
        if fed.event is not None and fed.event.version is not None:
            seen.append(fed.event.version)


async def handed_over(call: Scene, servers: Guarded | Grid) -> None:
    """A call, a link to the chat, an agent; as the call begins its server is lost, and comes back meanwhile."""
    caller = call.caller
    lost = servers.primary() if isinstance(servers, Guarded) else servers.of(slot_of(call.customer_id))
    back = asyncio.create_task(killed(lost, 4 if isinstance(servers, Guarded) else BACK_AFTER))
    await call.tell(call.fact("order_id", "A-17"), call.event("message.received", {"text": "here I am"}))
    link = await call.offer({"channel": "chat"}, idempotency_key="link", expires_in=900)
    chat = await redeem(caller, link["token"])
    assert (await chat.context())["facts"]["order_id"]["value"] == "A-17"
    waiting = await chat.offer({"queue": "billing"}, idempotency_key="wait")
    taken = await accept(caller, waiting["handoff_id"], "ann")
    done = {"agent_id": "ann", "fence": taken["fence"], "outcome": "refunded"}
    ok(await caller.post(f"/v1/handoffs/{waiting['handoff_id']}/complete", done))
    await back
