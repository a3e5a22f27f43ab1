"""The machine of the model, run against the store on a real server, gives the same contexts as the pure one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis

from ctxhub.hub.hub import Hub
from ctxhub.store.redis import connected
from tests.hub.mirrored import Mirrored
from tests.model.machine import PROFILE
from tests.support import Clock, ways


@pytest.fixture
def machine(redis_url: str, tenants_folder: Path) -> Iterator[type[Mirrored]]:
    """The machine, before the tests' own server, on a loop of its own."""
    with asyncio.Runner() as runner, Redis.from_url(redis_url, decode_responses=True) as redis:
        stack = AsyncExitStack()
        connection = runner.run(stack.enter_async_context(connected(redis_url, partitions=8)))
        clock = Clock()
        hub = Hub(connection, ways(clock, tenants=tenants_folder))
        here = {"server": connection, "redis": redis, "runner": runner, "hub": hub, "hub_clock": clock}
        yield type("Here", (Mirrored,), here)
        runner.run(stack.aclose())


@pytest.mark.timeout(900)
def test_the_store_gives_the_same_contexts_as_the_model(machine: type[Mirrored]) -> None:
    run_state_machine_as_test(machine, settings=settings(PROFILE, max_examples=PROFILE.max_examples // 4))
