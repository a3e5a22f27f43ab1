"""Sentinels that name another server: the hub follows, and acknowledges only what a replica has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.settings import Settings
from ctxhub.store.checkup import examine
from ctxhub.store.contexts import Contexts, Operation, Who
from ctxhub.store.feed import Bell, Hints
from ctxhub.store.redis import Server, connected
from tests.many import PASSWORD, Guarded, Process, data_server, guarded, until
from tests.store.scenes import WHO, an_append, born
from tests.support import ACME, KEEP, NOON

PATIENCE = 0.4


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A primary with two replicas, all with a password, and three Sentinels."""
    with guarded(tmp_path_factory.mktemp("guarded"), password=PASSWORD) as found:
        yield found


@pytest.fixture
async def server(sentinels: Guarded) -> AsyncIterator[Server]:
    """What the Sentinels watch over, empty, as ctxhub calls it; a replica must have what is written."""
    await asyncio.to_thread(until, sentinels.is_whole, "not whole")
    sentinels.primary().said("FLUSHALL")
    async with connected(sentinels.url, 8, socket_timeout=2 * PATIENCE, replicas=1) as server:
        yield server


@contextmanager
def frozen(processes: list[Process]) -> Iterator[None]:
    """Let some servers stand still for as long as the block lasts."""
    for process in processes:
        process.freeze()
    try:
        yield
    finally:
        for process in processes:
            process.thaw()


def replicas(sentinels: Guarded) -> list[Process]:
    """The servers that follow."""
    primary = sentinels.primary()
    return [server for server in sentinels.servers if server is not primary]


async def test_it_is_called_where_the_sentinels_say(server: Server, sentinels: Guarded) -> None:
    await server.call("SET", "ctxhub:{01}:ticket:a", "1", writes=True)
    assert sentinels.primary().said("GET", "ctxhub:{01}:ticket:a") == "1"
    assert [b"role:master" in info for info in await server.everywhere("INFO", "replication")] == [True]


class TestConfirming:
    """A write that no replica has is not acknowledged, however it is sent, and neither is its repetition."""

    async def test_no_write_is(self, server: Server, sentinels: Guarded) -> None:
        with frozen(replicas(sentinels)):
            calls = [
                server.call("SET", "ctxhub:{01}:ticket:b", "1", writes=True),
                server.pipeline(("SET", "ctxhub:{01}:ticket:c", "1"), writes=True),
                server.run("lease", ["ctxhub:{01}:relay"], ["ann", 0, 1000]),
                server.run_many("lease", [(["ctxhub:{02}:relay"], ["ann", 0, 1000])]),
            ]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(answer) for answer in found] == [OutcomeUnknown] * 4
            assert await server.call("GET", "ctxhub:{01}:ticket:b") == b"1"

    async def test_what_is_repeated_is_confirmed_anew(self, server: Server, sentinels: Guarded) -> None:
        kept, who, request = Contexts(server, KEEP), Who(ACME, "c-again"), Operation("d" * 32, "f" * 32)
        await born(kept, who=who)
        with frozen(replicas(sentinels)):
            for _ in range(3):  # each lane, and a lane that has written nothing yet
                with pytest.raises(OutcomeUnknown):
                    await kept.append(who, [an_append("e2")], NOON, request)
            with pytest.raises(OutcomeUnknown):
                await kept.append(who, [an_append("e2")], NOON)
            with pytest.raises(OutcomeUnknown):
                await kept.load(who, 0, ["e2"])
            assert (await kept.load(who)).version == 2
        assert (await kept.append(who, [an_append("e2")], NOON, request)).versions == [2]

    async def test_nobody_is_made_by_confirming(self, server: Server) -> None:
        await server.confirm("ctxhub:{01}:acme:nobody:context")
        assert await server.call("EXISTS", "ctxhub:{01}:acme:nobody:context") == 0


class TestStarting:
    """What keeps a hub from starting is told with its remedy."""

    @pytest.mark.parametrize(
        ("harm", "says"),
        [
            (lambda url: url.replace("/hub", "/nub"), "watch over no 'nub'"),
            (lambda url: url.replace("%20", "-"), "mend user and password in CTXHUB_REDIS_URL"),
        ],
    )
    async def test_a_wrong_name_or_password(self, sentinels: Guarded, harm: object, says: str) -> None:
        assert callable(harm)
        with pytest.raises(Unavailable, match=says):
            async with connected(harm(sentinels.url), 8):
                pass

    async def test_a_server_that_is_no_sentinel(self, tmp_path: Path) -> None:
        alone = data_server(tmp_path).start()
        try:
            with pytest.raises(Unavailable, match="is no Sentinel"):
                async with connected(f"redis+sentinel://127.0.0.1:{alone.port}/hub", 8):
                    pass
        finally:
            alone.close()

    async def test_no_sentinel_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ctxhub.store.sentinel._FOUND_WITHIN", 0.2)
        with pytest.raises(Unavailable, match="no Sentinel answers"):
            async with connected("redis+sentinel://127.0.0.1:1/hub", 8):
                pass

    def test_the_doctor_looks_at_sentinels_and_successors(self, sentinels: Guarded) -> None:
        until(sentinels.is_whole, "not whole")
        findings = examine(sentinels.url, Settings(durability="safe"))
        assert {one.name: one.found for one in findings if one.verdict != "good"} == {}
        replica = replicas(sentinels)[0]
        replica.said("CONFIG", "SET", "appendfsync", "everysec")
        findings = examine(sentinels.url, Settings(durability="safe"))
        replica.said("CONFIG", "SET", "appendfsync", "always")
        assert [one.name for one in findings if one.verdict == "bad"] == [
            f"replica 127.0.0.1:{replica.port} appendfsync"
        ]

    def test_the_doctor_finds_too_few_sentinels_and_some_in_the_wrong_place(self, sentinels: Guarded) -> None:
        url = f"redis+sentinel://localhost:{sentinels.sentinels[0].port},localhost:1/hub"
        findings = {one.name: one for one in examine(url.replace("//", "//:x@"), Settings(durability="safe"))}
        assert findings["sentinels"].verdict == findings["sentinels beside data"].verdict == "bad"


async def test_another_server_that_takes_over_is_followed_and_listened_to(server: Server, sentinels: Guarded) -> None:
    before, hints = sentinels.primary(), Hints(server)
    listening = asyncio.create_task(hints.listen())
    async with hints.following("acme\nc7") as bell:
        await heard(server, bell)
        sentinels.sentinels[0].said("SENTINEL", "FAILOVER", sentinels.name)
        await asyncio.to_thread(until, lambda: sentinels.primary() is not before, "no failover")
        await heard(server, bell)
    listening.cancel()
    assert sentinels.primary().said("GET", "ctxhub:{03}:ticket:a") == "1"


async def test_so_it_is_with_redis_7(need: Callable[[str], str], tmp_path: Path) -> None:
    with guarded(tmp_path, password=PASSWORD, program=need("redis-server")) as found:
        looked = await asyncio.to_thread(examine, found.url, Settings(durability="safe"))
        assert {one.name: one.found for one in looked if one.verdict != "good"} == {}
        async with connected(found.url, 8, replicas=1) as server:
            kept, before = Contexts(server, KEEP), found.primary()
            await born(kept)
            found.sentinels[0].said("SENTINEL", "FAILOVER", found.name)
            await asyncio.to_thread(until, lambda: found.primary() is not before, "no failover")
            appended: list[int] = []
            async with asyncio.timeout(15):
                while not appended:
                    with suppress(Unavailable):
                        appended = (await kept.append(WHO, [an_append("e2")], NOON)).versions
                    await asyncio.sleep(0.05)
            assert appended == [2]


async def heard(server: Server, bell: Bell) -> None:
    """Write and hint until it is heard."""
    async with asyncio.timeout(10):
        rung = asyncio.create_task(bell.wait(60))
        while not rung.done():
            with suppress(Unavailable):
                hint = ("PUBLISH", "ctxhub:{03}:hints", "acme\nc7\n1")
                await server.pipeline(("SET", "ctxhub:{03}:ticket:a", "1"), hint, writes=True)
            await asyncio.sleep(0.05)
