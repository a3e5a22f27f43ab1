"""The fuse: when calls are let through to a server that does not answer."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from ctxhub.store.fuse import MOST_FAILURES, TRIED_EVERY, Fuse, LeftInPeace
from ctxhub.store.redis import Server, connected

COUNTER = "ctxhub:{00}:n"


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def fuse(clock: Time) -> Fuse:
    return Fuse(clock)


async def counted(server: Server) -> int:
    """Count once more as soon as the server is tried again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return int(await server.call("INCR", COUNTER, writes=True))
            except Unavailable:
                await asyncio.sleep(TRIED_EVERY)


def lets_through(fuse: Fuse) -> bool:
    try:
        fuse.check()
    except LeftInPeace:
        return False
    return True


def test_a_call_without_an_answer_in_time_blows_it(fuse: Fuse) -> None:
    fuse.failed(in_time=False)
    assert not lets_through(fuse)


def test_a_few_that_were_cut_off_do_not(fuse: Fuse) -> None:
    for _ in range(MOST_FAILURES - 1):
        fuse.failed(in_time=True)
    assert lets_through(fuse)
    fuse.failed(in_time=True)
    assert not lets_through(fuse)


def test_failures_count_only_in_a_row(fuse: Fuse) -> None:
    for _ in range(3 * MOST_FAILURES):
        fuse.failed(in_time=True)
        fuse.answered()
    assert lets_through(fuse)


def test_blown_it_lets_one_try_at_a_time(fuse: Fuse, clock: Time) -> None:
    fuse.failed(in_time=False)
    for _ in range(3):
        clock.now += TRIED_EVERY
        assert [lets_through(fuse) for _ in range(5)] == [True, False, False, False, False]


def test_a_try_that_went_well_mends_it(fuse: Fuse, clock: Time) -> None:
    fuse.failed(in_time=False)
    clock.now += TRIED_EVERY
    assert lets_through(fuse)
    fuse.answered()
    assert all(lets_through(fuse) for _ in range(5))


async def test_of_a_frozen_server_the_first_call_waits_and_the_next_are_refused_before_they_are_sent(
    tmp_path: Path,
) -> None:
    with embedded_server(Settings(data=tmp_path, durability="fast")) as valkey:
        async with connected(valkey.url, 4, socket_timeout=0.3) as server:
            assert valkey.pid is not None
            os.kill(valkey.pid, signal.SIGSTOP)
            try:
                with pytest.raises(OutcomeUnknown):
                    await server.call("INCR", COUNTER, writes=True)
                with pytest.raises(Unavailable, match="left in peace") as refused:
                    await server.call("INCR", COUNTER, writes=True)
                assert not isinstance(refused.value, OutcomeUnknown)
            finally:
                os.kill(valkey.pid, signal.SIGCONT)
            assert await counted(server) == 2
