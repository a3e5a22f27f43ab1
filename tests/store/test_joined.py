"""Commands that share a connection share nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis import Redis, exceptions
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.store.fuse import TRIED_EVERY, Fuse
from ctxhub.store.joined import MOST_AT_ONCE, Command, Joined, NotSent
from ctxhub.store.redis import SCRIPTS, Server, connected


@pytest.fixture
async def lane(redis_url: str) -> AsyncIterator[Joined]:
    """One lane over one connection."""
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=1, timeout=2, retry=Retry(NoBackoff(), 0))
    lane = Joined(pool, Fuse(), 2, 2)
    yield lane
    await lane.aclose()
    await pool.disconnect()


async def answer(lane: Joined, *command: str | int) -> object:
    """Send one command."""
    return await lane.ask([command])[0]


async def wait_until_it_blocks(redis: Redis, connection: int) -> None:
    """Return when a connection waits for something that does not come."""
    async with asyncio.timeout(5):
        while "b" not in redis.client_list(client_id=[str(connection)])[0]["flags"]:
            await asyncio.sleep(0.005)


async def test_500_concurrent_calls_get_each_its_own_answer(server: Server) -> None:
    answers = await asyncio.gather(*[server.call("ECHO", str(n)) for n in range(500)])
    assert answers == [str(n).encode() for n in range(500)]


async def test_more_than_fit_into_one_batch_are_answered_in_order(lane: Joined) -> None:
    commands: list[Command] = [("ECHO", n) for n in range(3 * MOST_AT_ONCE + 7)]
    answers = await asyncio.gather(*lane.ask(commands))
    assert answers == [str(n).encode() for n in range(len(commands))]


async def test_a_refused_command_concerns_itself_alone(server: Server, lane: Joined) -> None:
    await server.call("SET", "ctxhub:{00}:text", "x", writes=True)
    commands: list[Command] = [("ECHO", "before"), ("INCR", "ctxhub:{00}:text"), ("NO_SUCH",), ("ECHO", "after")]
    before, wrong, unknown, after = await asyncio.gather(*lane.ask(commands), return_exceptions=True)
    assert (before, after) == (b"before", b"after")
    assert isinstance(wrong, exceptions.ResponseError)
    assert isinstance(unknown, exceptions.ResponseError)


async def test_a_caller_who_gave_up_takes_nobodys_answer(lane: Joined) -> None:
    futures = lane.ask([("ECHO", n) for n in range(5)])
    futures[2].cancel()
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(answers.pop(2), asyncio.CancelledError)
    assert answers == [b"0", b"1", b"3", b"4"]
    assert await answer(lane, "ECHO", "next") == b"next"


async def test_a_killed_connection_fails_its_batch_and_the_next_one_works(redis_url: str, lane: Joined) -> None:
    connection = await answer(lane, "CLIENT", "ID")
    assert isinstance(connection, int)
    caught = lane.ask([("ECHO", "done"), ("BLPOP", "ctxhub:{00}:nothing", 0), ("ECHO", "never")])
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        await wait_until_it_blocks(redis, connection)
        late = lane.ask([("ECHO", "late")])
        redis.client_kill_filter(_id=str(connection))
    done, *lost = await asyncio.gather(*caught, return_exceptions=True)
    assert done == b"done"
    assert [type(fault) for fault in lost] == [exceptions.ConnectionError] * 2
    assert await late[0] == b"late"
    assert await answer(lane, "CLIENT", "ID") != connection


async def test_a_lane_that_closes_leaves_nobody_waiting(lane: Joined, redis_url: str) -> None:
    connection = await answer(lane, "CLIENT", "ID")
    assert isinstance(connection, int)
    stuck = lane.ask([("BLPOP", "ctxhub:{00}:nothing", 0)])
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        await wait_until_it_blocks(redis, connection)
    behind = lane.ask([("ECHO", "behind")])
    await lane.aclose()
    faults = await asyncio.gather(*stuck, *behind, return_exceptions=True)
    assert [type(fault) for fault in faults] == [exceptions.ConnectionError, NotSent]


async def test_a_closed_lane_sends_nothing_for_whoever_still_holds_on_to_it(lane: Joined, redis_url: str) -> None:
    await answer(lane, "ECHO", "open")
    await lane.aclose()
    with Redis.from_url(redis_url) as redis:
        before = redis.info("stats")["total_connections_received"]
        with pytest.raises(NotSent):
            await answer(lane, "ECHO", "closed")
        futures, reached = lane.ask_confirmed([("ECHO", "closed")])
        faults = await asyncio.gather(*futures, reached, return_exceptions=True)
        assert [type(fault) for fault in faults] == [NotSent, NotSent]
        assert redis.info("stats")["total_connections_received"] == before


async def test_what_is_asked_in_the_moment_in_which_a_lane_is_closed_ends_as_never_sent(lane: Joined) -> None:
    futures, reached = lane.ask_confirmed([("ECHO", "late")])
    await lane.aclose()
    async with asyncio.timeout(2):
        faults = await asyncio.gather(*futures, reached, return_exceptions=True)
    assert [type(fault) for fault in faults] == [NotSent, NotSent]


async def test_a_write_without_an_answer_has_an_unknown_outcome_and_a_read_none(redis_url: str) -> None:
    async with connected(redis_url, 8, socket_timeout=0.05) as server:
        with pytest.raises(OutcomeUnknown):
            await server.call("BLPOP", "ctxhub:{00}:nothing", 0, writes=True)
        await asyncio.sleep(TRIED_EVERY)
        with pytest.raises(Unavailable):
            await server.call("BLPOP", "ctxhub:{00}:nothing", 0)
        await asyncio.sleep(TRIED_EVERY)
        assert await server.call("ECHO", "well again") == b"well again"


async def test_a_server_that_lost_the_scripts_gets_them_again(server: Server) -> None:
    key = server.keys.lookup("acme", "tries", "ab" * 16)
    await server.call("SCRIPT", "FLUSH", writes=True)
    assert (await server.run("count_try", [key], [60_000]))[0] == 1
    assert set(await server.call("SCRIPT", "EXISTS", *server._shas.values())) == {1}
    assert len(server._shas) == len(SCRIPTS)


async def test_scripts_lost_before_a_pipeline_run_once_for_each_set_of_keys(server: Server) -> None:
    names = [server.keys.lookup("acme", "tries", f"{n:032x}") for n in range(20)]
    await server.call("SCRIPT", "FLUSH", writes=True)
    found = await server.run_many("count_try", [([name], [60_000]) for name in names])
    assert [count for count, _ in found] == [1] * 20


async def test_scripts_lost_under_many_callers_lose_no_call(server: Server) -> None:
    key = server.keys.lookup("acme", "tries", "ab" * 16)
    await server.call("SCRIPT", "FLUSH", writes=True)
    found = await asyncio.gather(*[server.run("count_try", [key], [60_000]) for _ in range(50)])
    assert sorted(count for count, _ in found) == list(range(1, 51))
