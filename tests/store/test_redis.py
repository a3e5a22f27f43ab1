"""The connection: scripts that come back, one call for many, and faults that say what the caller can do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from redis import Redis, exceptions

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.settings import Settings
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.embedded import embedded_server
from ctxhub.store.redis import SCRIPTS, Answering, Server, connected
from tests.store.scenes import WHO, an_append, born
from tests.support import ACME, KEEP, NOON


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own, which its tests may freeze, fill and turn into a replica."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("faults"), durability="fast")) as server:
        yield server.url


class TestScripts:
    """One file, one atomic step, its contract on top."""

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_each_says_what_it_takes_and_what_it_returns(self, name: str) -> None:
        head = files("ctxhub.store").joinpath(f"lua/{name}.lua").read_text().split("\nlocal")[0]
        assert head.startswith("-- ")
        assert all(word in head for word in ("-- KEYS", "-- ARGV", "-- Returns"))

    def test_each_file_is_run_and_each_that_is_run_is_a_file(self) -> None:
        found = {path.name.removesuffix(".lua") for path in files("ctxhub.store").joinpath("lua").iterdir()}
        assert found == set(SCRIPTS)

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_no_script_spells_a_key(self, name: str) -> None:
        text = files("ctxhub.store").joinpath(f"lua/{name}.lua").read_text()
        called = re.findall(r"redis\.call\('[A-Z]+', ([^,)]+)", text)
        assert called
        assert "ctxhub:" not in text
        assert not [key for key in called if key.startswith(("'", '"')) or ".." in key]

    async def test_a_server_that_lost_them_gets_them_again(self, kept: Contexts, redis: Redis) -> None:
        await born(kept)
        redis.script_flush()
        found = await asyncio.gather(*(kept.append(WHO, [an_append(f"e{n}")], NOON) for n in range(2, 12)))
        assert sorted(outcome.versions[0] for outcome in found) == list(range(2, 12))

    async def test_so_it_does_in_the_middle_of_many(self, server: Server, redis: Redis) -> None:
        redis.script_flush()
        keys = [server.keys.of_partition(partition, "relay") for partition in ("00", "01", "02")]
        calls = [([key], ["ann", 0, 1000]) for key in keys]
        assert await server.run_many("lease", calls) == [1, 1, 1]


class TestFaults:
    """What the caller can do about it."""

    @pytest.mark.parametrize("url", ["unix://{folder}/none.sock", "redis://127.0.0.1:1"])
    async def test_where_nothing_listens_nothing_was_decided(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(Unavailable) as refusal:
            async with connected(url.format(folder=tmp_path), 8):
                pass
        assert not isinstance(refusal.value, OutcomeUnknown)

    @pytest.mark.parametrize(
        ("said", "error"),
        [
            ("Error 111 connecting to 127.0.0.1:6379. Connection refused.", Unavailable),
            ("Timeout connecting to server", Unavailable),
            ("No connection available.", Unavailable),
            ("Error 32 while writing to socket. Broken pipe.", OutcomeUnknown),
            ("Connection closed by server.", OutcomeUnknown),
            ("Timeout reading from 127.0.0.1:6379", OutcomeUnknown),
        ],
    )
    def test_a_write_of_which_something_was_sent_may_have_happened(self, said: str, error: type[Unavailable]) -> None:
        for kind in (exceptions.ConnectionError, exceptions.TimeoutError):
            with pytest.raises(Unavailable) as refusal, Answering(writes=True):
                raise kind(said)
            assert type(refusal.value) is error

    @pytest.mark.parametrize(
        ("trouble", "mended"),
        [
            ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
            ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
            ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ],
    )
    async def test_a_server_that_can_t_write_just_now_decided_nothing(
        self, own: str, trouble: str, mended: str
    ) -> None:
        async with connected(own, 8) as server:
            kept, who = Contexts(server, KEEP), Who(ACME, f"c{len(trouble)}")
            await born(kept, who=who)
            with Redis.from_url(own) as redis:
                redis.execute_command(*trouble.split())
                try:
                    with pytest.raises(Unavailable) as refusal:
                        await kept.append(who, [an_append("e2")], NOON)
                finally:
                    redis.execute_command(*mended.split())
            assert not isinstance(refusal.value, OutcomeUnknown)
            assert (await kept.append(who, [an_append("e2")], NOON)).versions == [2]

    async def test_a_frozen_server_is_given_up_in_time_and_a_write_to_it_may_have_happened(self, own: str) -> None:
        async with connected(own, 8, socket_timeout=0.3) as server:
            kept, who = Contexts(server, KEEP), Who(ACME, "c-frozen")
            await born(kept, who=who)
            with Redis.from_url(own) as redis:
                redis.client_pause(1000, all=True)
            began = asyncio.get_running_loop().time()
            with pytest.raises(OutcomeUnknown):
                await kept.append(who, [an_append("e2")], NOON)
            with pytest.raises(Unavailable) as refusal:
                await kept.load(who)
            assert not isinstance(refusal.value, OutcomeUnknown)
            assert asyncio.get_running_loop().time() - began < 0.9
            await _until(lambda: kept.load(who))
            assert (await kept.append(who, [an_append("e2")], NOON)).versions == [2]


class TestJoining:
    """What is asked within one turn of the loop goes out together, and each gets its own answer."""

    async def test_each_gets_its_own_answer(self, server: Server) -> None:
        async def echo(number: int) -> int:
            return int(await server.call("ECHO", number))

        assert await asyncio.gather(*(echo(n) for n in range(2000))) == list(range(2000))

    async def test_who_gives_up_takes_nobody_s_answer_away(self, server: Server) -> None:
        asked = [asyncio.create_task(server.call("ECHO", n)) for n in range(100)]
        await asyncio.sleep(0)
        for task in asked[::2]:
            task.cancel()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [int(answer) for answer in found[1::2] if isinstance(answer, bytes)] == list(range(1, 100, 2))
        assert int(await server.call("ECHO", 7)) == 7

    async def test_a_refusal_of_one_concerns_it_alone(self, server: Server) -> None:
        await server.call("SET", "ctxhub:test", "text")
        asked = [server.call("INCR", "ctxhub:test"), *(server.call("ECHO", n) for n in range(3))]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found[0], Exception)
        assert found[1:] == [b"0", b"1", b"2"]

    async def test_a_lost_connection_fails_what_was_under_way_and_the_next_call_works(
        self, server: Server, redis: Redis
    ) -> None:
        await server.call("PING")
        redis.client_kill_filter(_type="normal", skipme=True)
        outcomes = [await _tried(server) for _ in range(10)]
        assert outcomes[-1] == b"PONG"


async def _tried(server: Server) -> object:
    """The answer to a ping, or the fault."""
    try:
        return await server.call("PING")
    except Unavailable as error:
        return error


async def _until(work: Callable[[], Awaitable[object]], within: float = 5) -> None:
    """Try until it is available again."""
    async with asyncio.timeout(within):
        while True:
            try:
                await work()
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return
