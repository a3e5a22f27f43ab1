"""The machine of the model against a hub whose Redis forgets everybody at once: the same contexts and timelines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from redis import Redis

from ctxhub.archive import Archive
from ctxhub.hub.hub import Hub
from ctxhub.metrics import RELEASED
from ctxhub.model.lease import Keeping, is_pinned
from ctxhub.store.redis import connected
from tests.archive.scenes import archived, archivist_of, is_in_redis
from tests.hub.mirrored import WHO, Mirrored
from tests.model.machine import PROFILE
from tests.model.world import CUSTOMER
from tests.support import Clock, ways

AT_ONCE = Keeping(timedelta(0), timedelta(0))


class Forgetting(Mirrored):
    """The same customer twice; between any two steps Redis forgets all that nobody works with."""

    def begin(self) -> None:
        """Begin with nobody, here and in the archive."""
        self.redis.flushall()
        self.runner.run(archived(self.hub))
        if self.runner.run(self.hub.changes.contexts.load(WHO)).context is not None:
            self.runner.run(self.hub.customers.forget(WHO))
        super().begin()
        self.runner.run(archived(self.hub))

    def do(self, name: str, *args: Any, **more: Any) -> bool:
        """Do it, and let Redis forget."""
        done = super().do(name, *args, **more)
        self.runner.run(self._forget())
        return done

    async def _forget(self) -> None:
        await archived(self.hub)
        await archivist_of(self.hub).release(self.hub._outbox.partitions)

    @invariant()
    def redis_has_only_live_work(self) -> None:
        """After each step Redis has forgotten whoever is not worked with."""
        context = self.runner.run(self.hub.changes.contexts.peek(WHO)).context
        assert context is None or is_pinned(context) or not is_in_redis(self.redis, CUSTOMER)

    @invariant()
    def both_are_the_same(self) -> None:
        """What is read is just what the pure one has."""
        loaded = self.runner.run(self.hub.changes.contexts.load(WHO))
        assert loaded.context == self.world.context
        assert loaded.activities == self.world.activities
        assert loaded.version == len(self.world.timeline)
        self.runner.run(self._forget())


@pytest.fixture
def machine(redis_url: str, tenants_folder: Path, tmp_path: Path) -> Iterator[type[Forgetting]]:
    """The machine, before the tests' own server and a file, on a loop of its own."""
    with asyncio.Runner() as runner, Redis.from_url(redis_url, decode_responses=True) as redis:
        redis.flushall()
        stack = AsyncExitStack()
        connection = runner.run(stack.enter_async_context(connected(redis_url, partitions=8)))
        clock = Clock()
        archive = Archive(f"sqlite:///{tmp_path / 'archive.db'}", read_within=10)
        hub = Hub(connection, ways(clock, tenants=tenants_folder, keeping=AT_ONCE), archive)
        here = {"server": connection, "redis": redis, "runner": runner, "hub": hub, "hub_clock": clock}
        yield type("Here", (Forgetting,), here)
        runner.run(archive.aclose())
        runner.run(stack.aclose())


@pytest.mark.timeout(900)
def test_with_an_archive_it_is_as_if_redis_forgot_nothing(machine: type[Forgetting]) -> None:
    before = RELEASED._value.get()
    run_state_machine_as_test(
        machine, settings=settings(PROFILE, max_examples=PROFILE.max_examples // 20, stateful_step_count=30)
    )
    assert RELEASED._value.get() - before > 100
