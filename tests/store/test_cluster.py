"""A cluster that changes under the hub's hands: nothing is done twice, and what can't be done just now says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.settings import Settings
from ctxhub.store.checkup import examine
from ctxhub.store.cluster import slots_of
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server, connected
from tests.many import Grid, Process, data_server, grid, until
from tests.support import KEEP, MASTER_KEY

PARTITIONS = 64
EVERY = [f"{n:02}" for n in range(PARTITIONS)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """A cluster of three primaries with a replica each."""
    with grid(tmp_path_factory.mktemp("grid")) as found:
        yield found


@pytest.fixture
async def server(cluster: Grid) -> AsyncIterator[Server]:
    """The cluster, empty, as ctxhub calls it; replicas must have what is written."""
    for primary in cluster.primaries():
        primary.said("FLUSHALL")
    async with connected(cluster.url, PARTITIONS, replicas=1) as server:
        yield server


def key(partition: str, name: str = "relay") -> str:
    return f"ctxhub:{{{partition}}}:{name}"


def slot(partition: str) -> int:
    return int(key_slot(key(partition).encode()))


def lease(partition: str) -> tuple[list[str], list[Any]]:
    return [key(partition)], ["ann", 0, 1000]


def move(cluster: Grid, partition: str) -> tuple[Process, Process]:
    """Tell all servers that an empty slot has another home; from where, and to where."""
    source = cluster.of(slot(partition))
    target = next(one for one in cluster.primaries() if one is not source)
    node_id = target.said("CLUSTER", "MYID")
    for one in (target, source, *cluster.primaries()):
        one.said("CLUSTER", "SETSLOT", slot(partition), "NODE", node_id)
    return source, target


@contextmanager
def moving(cluster: Grid, partition: str) -> Iterator[tuple[Process, Process]]:
    """Let a slot be between two servers for as long as the block lasts; in the end its keys are where they were."""
    source = cluster.of(slot(partition))
    target = next(one for one in cluster.primaries() if one is not source)
    target.said("CLUSTER", "SETSLOT", slot(partition), "IMPORTING", source.said("CLUSTER", "MYID"))
    source.said("CLUSTER", "SETSLOT", slot(partition), "MIGRATING", target.said("CLUSTER", "MYID"))
    try:
        yield source, target
    finally:
        for one in (source, target):
            one.said("CLUSTER", "SETSLOT", slot(partition), "STABLE")


class TestSpreading:
    """Each command goes where its keys are."""

    async def test_answers_come_in_the_order_of_the_questions(self, server: Server) -> None:
        await server.pipeline(*[("SET", key(p, "ticket:a"), p) for p in EVERY], writes=True)
        found = await server.pipeline(*[("GET", key(p, "ticket:a")) for p in reversed(EVERY)])
        assert found == [p.encode() for p in reversed(EVERY)]

    async def test_scripts_run_where_their_keys_are(self, server: Server, cluster: Grid) -> None:
        assert await server.run_many("lease", [lease(p) for p in EVERY]) == [1] * PARTITIONS
        assert all(primary.said("DBSIZE") > 0 for primary in cluster.primaries())

    @pytest.mark.parametrize(
        "made_up", ["", "x", "A" * 32, "点击", "²" + "A" * 22, "ho_", "ho_x", "ho_" + "A" * 22, "99" + "A" * 22]
    )
    async def test_what_was_not_made_here_leads_nowhere_and_is_no_fault_of_the_cluster(
        self, server: Server, made_up: str
    ) -> None:
        lookups = Lookups(server, MASTER_KEY, KEEP)
        assert await lookups.token(made_up) is None
        assert await lookups.tenant_of(made_up) is None
        assert await lookups.handoff("acme", made_up) is None
        assert await lookups.handoff("acme", f"ho_{made_up}") is None

    async def test_a_scan_finds_all(self, server: Server) -> None:
        await server.run_many("lease", [lease(p) for p in EVERY])
        found = [name async for names in server.scan("ctxhub:*", 10) for name in names]
        assert sorted(found) == sorted(key(p).encode() for p in EVERY)

    async def test_everywhere_is_every_server_that_takes_writes(self, server: Server) -> None:
        infos = await server.everywhere("INFO", "replication")
        assert [b"role:master" in info for info in infos] == [True] * 3

    async def test_what_is_published_anywhere_is_heard(self, server: Server) -> None:
        for _ in range(3):
            async with server.hints() as subscription:
                await subscription.psubscribe(server.keys.hints_pattern)
                await subscription.get_message(timeout=2)
                for partition in EVERY[:6]:
                    await server.call("PUBLISH", key(partition, "hints"), partition)
                heard: set[str] = set()
                async with asyncio.timeout(20):
                    while heard != set(EVERY[:6]):
                        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=1)
                        heard |= {message["data"].decode()} if message else set()

    def test_what_has_no_key_goes_with_what_follows_it_and_alone_where_the_hub_s_own_is(self) -> None:
        home, there = slot("00"), slot("07")
        assert slots_of([("PING",)]) == [home]
        assert slots_of([("TIME",), ("XREVRANGE", key("07", "x"), "+", "-"), ("TIME",)]) == [there] * 3
        assert slots_of([("EVALSHA", "sha", 1, key("07")), ("HGET", key("00").encode(), "a")]) == [there, home]


class TestChanging:
    """Servers come and go, and slots move."""

    async def test_a_slot_that_moved_is_followed(self, server: Server, cluster: Grid) -> None:
        source, target = move(cluster, "07")
        assert await server.run("lease", *lease("07")) == 1
        assert target.said("EXISTS", key("07")) == 1
        assert target is not source

    async def test_a_key_that_is_on_its_way_is_asked_for_where_it_goes(self, server: Server, cluster: Grid) -> None:
        await server.call("SET", key("03", "ticket:a"), "stays", writes=True)
        with moving(cluster, "03") as (_, target):
            assert await server.call("GET", key("03", "ticket:a")) == b"stays"
            assert await server.run("lease", *lease("03")) == 1
            target.said("ASKING")
            assert target.said("DEL", key("03")) == 1

    async def test_what_is_divided_just_now_is_not_begun(self, server: Server, cluster: Grid) -> None:
        tries = key("05", "x:tries:0123456789abcdef")
        await server.call("SET", tries, "1", writes=True)
        with moving(cluster, "05"):
            with pytest.raises(Unavailable) as refusal:
                await server.call("EXISTS", tries, key("05"))
            assert not isinstance(refusal.value, OutcomeUnknown)
        assert await server.call("EXISTS", tries, key("05")) == 1

    async def test_scripts_lost_on_one_server_are_loaded_there_and_nothing_is_done_twice(
        self, server: Server, cluster: Grid
    ) -> None:
        cluster.primaries()[1].said("SCRIPT", "FLUSH")
        assert await server.run_many("lease", [lease(p) for p in EVERY]) == [1] * PARTITIONS

    async def test_a_slot_that_nobody_has_is_no_more_than_that(self, server: Server, cluster: Grid) -> None:
        owner = cluster.of(slot("11"))
        for one in cluster.servers:
            with suppress(Exception):
                one.said("CLUSTER", "DELSLOTS", slot("11"))
        try:
            with pytest.raises(Unavailable) as refusal:
                await server.run("lease", *lease("11"))
            assert not isinstance(refusal.value, OutcomeUnknown)
            with pytest.raises(OutcomeUnknown, match="a part of it"):
                await server.run_many("lease", [lease("11"), lease("12")])
            assert await server.run("lease", *lease("12")) == 1
            slots = examine(cluster.url, Settings())[0]
            assert (slots.name, slots.verdict, slots.stops) == ("slots", "bad", "always")
            assert "valkey-cli --cluster fix" in slots.remedy
        finally:
            owner.said("CLUSTER", "ADDSLOTS", slot("11"))
        await eventually(server, "11")

    async def test_a_replica_that_takes_over_in_good_order_is_hardly_noticed(
        self, server: Server, cluster: Grid
    ) -> None:
        await asyncio.to_thread(until, cluster.is_whole, "not whole")
        replica = next(one for one in cluster.servers if one.redis.info("replication")["role"] == "slave")
        done, over = 0, asyncio.Event()

        async def go_on() -> None:
            nonlocal done
            while not over.is_set():
                with suppress(Unavailable):
                    await server.run_many("lease", [lease(p) for p in EVERY])
                    done += 1
                await asyncio.sleep(0.01)

        going = asyncio.create_task(go_on())
        await asyncio.to_thread(cluster.take_over, replica)
        before = done
        async with asyncio.timeout(10):
            while done < before + 3:
                await asyncio.sleep(0.01)
        over.set()
        await going
        assert await server.run_many("lease", [lease(p) for p in EVERY]) == [1] * PARTITIONS


async def eventually(server: Server, partition: str) -> None:
    """Wait until a partition can be written again."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                await server.run("lease", *lease(partition))
                return
            await asyncio.sleep(0.05)


class TestStarting:
    """What keeps a hub from starting is told with its remedy."""

    async def test_a_cluster_with_slots_that_nobody_has(self, tmp_path: Path, impatient: None) -> None:
        with grid(tmp_path, replicas=0) as found:
            found.servers[1].kill()
            with pytest.raises(Unavailable, match=f"127.0.0.1:{found.servers[1].port}.*start it"):
                async with connected(found.url, PARTITIONS):
                    pass

    async def test_a_server_that_is_of_no_cluster(self, alone_one: Process) -> None:
        with pytest.raises(Unavailable, match=f"of no cluster: write redis://127.0.0.1:{alone_one.port}"):
            async with connected(f"redis+cluster://127.0.0.1:{alone_one.port}", PARTITIONS):
                pass

    async def test_one_server_of_a_cluster_that_is_named_alone(self, cluster: Grid) -> None:
        with pytest.raises(Unavailable, match=r"begin with redis\+cluster://"):
            async with connected(f"redis://127.0.0.1:{cluster.servers[0].port}", PARTITIONS) as server:
                await server.run_many("lease", [lease(p) for p in EVERY])

    async def test_a_cluster_of_which_no_server_answers(self, impatient: None) -> None:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            async with connected("redis+cluster://127.0.0.1:1", PARTITIONS):
                pass

    def test_the_doctor_looks_at_every_server(self, cluster: Grid) -> None:
        until(cluster.is_whole, "not whole")
        findings = {one.name: one for one in examine(cluster.url, Settings(durability="safe"))}
        assert findings["slots"].verdict == "good"
        roles = [name for name in findings if name.endswith(" replicas")]
        assert len(roles) == 3
        assert {one.verdict for one in findings.values()} == {"good"}

    def test_the_doctor_looks_at_those_that_may_take_over(self, cluster: Grid) -> None:
        until(cluster.is_whole, "not whole")
        replica = next(one for one in cluster.servers if one.redis.info("replication")["role"] == "slave")
        replica.said("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            (found,) = [one for one in examine(cluster.url, Settings(durability="safe")) if one.verdict != "good"]
        finally:
            replica.said("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert (found.name, found.stops) == (f"replica 127.0.0.1:{replica.port} maxmemory-policy", "unless told")


async def test_redis_7_is_a_cluster_as_well(need: Callable[[str], str], tmp_path: Path) -> None:
    with grid(tmp_path, program=need("redis-server")) as found:
        looked = await asyncio.to_thread(examine, found.url, Settings(durability="safe"))
        assert {one.name: one.found for one in looked if one.verdict != "good"} == {}
        async with connected(found.url, PARTITIONS, replicas=1) as server:
            assert await server.run_many("lease", [lease(p) for p in EVERY]) == [1] * PARTITIONS
            with moving(found, "13"):
                assert await server.run("lease", *lease("13")) == 1
            replica = next(one for one in found.servers if one.redis.info("replication")["role"] == "slave")
            await asyncio.to_thread(found.take_over, replica)
            for partition in EVERY:
                await eventually(server, partition)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not wait at its start for what may come."""
    monkeypatch.setattr("ctxhub.store.cluster._WHOLE_WITHIN", 0.3)


@pytest.fixture
def alone_one(tmp_path: Path) -> Iterator[Process]:
    """A server that stands alone."""
    alone = data_server(tmp_path)
    yield alone.start()
    alone.close()
