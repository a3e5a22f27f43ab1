"""Whatever happens between a channel and its hub: what was told arrives once, in order, or stands among the refused."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from starlette.types import ASGIApp

from ctxhub.client import ContextHub, InUse, Start, told
from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.api.living import ADMIN_KEY, living, settings_for
from tests.client.spooling import Mood, Way, a_start, client, events, quick, said

__all__ = ["quick"]

CALLERS = 3


class ChannelAndHub(RuleBasedStateMachine):
    """A channel with a few callers, and a way to the hub on which everything happens."""

    runner: ClassVar[asyncio.Runner]
    app: ClassVar[ASGIApp]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool"))
        self.way = Way(self.app)
        self.starts = [a_start() for _ in range(CALLERS)]
        self.told: dict[int, list[str]] = {n: [] for n in range(CALLERS)}
        self.faulty: list[str] = []
        self.ended: set[int] = set()
        self.file = self.folder / "spool"
        self.hub = self._open()

    def _open(self) -> ContextHub:
        hub = client(self.way, ADMIN_KEY, self.file)
        self.runner.run(hub.open())
        return hub

    @rule(mood=st.sampled_from(["here", "gone", "unavailable", "loses answers", "busy"]))
    def the_way_changes(self, mood: Mood) -> None:
        self.way.mood = mood

    @rule(n=st.integers(0, CALLERS - 1), count=st.integers(1, 3), now=st.booleans())
    def a_caller_says_something(self, n: int, count: int, now: bool) -> None:
        if n in self.ended:
            return
        words = [said(f"caller {n}, {len(self.told[n]) + k}") for k in range(count)]
        self.runner.run(self.hub.spool.tell(self.starts[n], *words, now=now))
        self.told[n] += [word.event_id for word in words]

    @rule(n=st.integers(0, CALLERS - 1))
    def something_faulty_is_told_between_two_sentences(self, n: int) -> None:
        if n in self.ended:
            return
        before, after = said("before"), said("after")
        faulty = told("fact.stated", name="without_a_value")
        self.runner.run(self.hub.spool.tell(self.starts[n], before, faulty, after, now=False))
        self.told[n] += [before.event_id, after.event_id]
        self.faulty.append(faulty.event_id)

    @rule(n=st.integers(0, CALLERS - 1))
    def a_caller_hangs_up(self, n: int) -> None:
        self.runner.run(self.hub.spool.end(self.starts[n]))
        self.ended.add(n)

    @rule()
    def some_time_passes(self) -> None:
        self.runner.run(asyncio.sleep(0.005))

    @rule(n=st.integers(0, CALLERS - 1), share=st.floats(0, 0.99), lost_power=st.booleans())
    def the_channel_crashes_while_it_writes(self, n: int, share: float, lost_power: bool) -> None:
        """Kill it in the middle of an entry, before anybody was told that it is kept."""
        mood, self.way.mood = self.way.mood, "gone"
        before = self.file.read_bytes()
        self.runner.run(self.hub.spool.tell(self.starts[n], said("never kept"), now=False))
        after = self.file.read_bytes()
        self.runner.run(self.hub.aclose())
        written = after[len(before) :] if after.startswith(before) else b""
        unfinished = written[: int(share * len(written))]
        self.file.write_bytes(before + (b"\0" * len(unfinished) if lost_power else unfinished))
        self.way.mood = mood
        self.hub = self._open()

    @rule()
    def another_process_wants_the_same_spool(self) -> None:
        other = client(self.way, ADMIN_KEY, self.file)
        with pytest.raises(InUse):
            self.runner.run(other.open())
        self.runner.run(other.aclose())

    @invariant()
    def nothing_said_stands_in_the_file(self) -> None:
        assert b"caller" not in self.file.read_bytes()

    def teardown(self) -> None:
        self.way.mood = "here"
        self.runner.run(self._settled())
        shutil.rmtree(self.folder)

    async def _settled(self) -> None:
        """Let the hub be back for good, and compare."""
        async with asyncio.timeout(30):
            await self.hub.spool.drained()
        for n, start in enumerate(self.starts):
            assert await self._kept(start) == self.told[n]
        refused = [event["event_id"] for one in await self.hub.spool.refused() for event in one.write["events"]]
        assert refused == self.faulty
        await self.hub.aclose()

    async def _kept(self, start: Start) -> list[str]:
        begun = await self.hub.interactions.start(start)
        timeline = await events(self.hub, begun.customer_id)
        return [event.event_id for event in timeline if event.type == "message.received"]


@pytest.fixture
def machine(tmp_path: Path, quick: None) -> Iterator[type[ChannelAndHub]]:
    """The machine before a real hub, on a loop of its own."""
    with (
        embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server,
        asyncio.Runner() as runner,
    ):
        stack = AsyncExitStack()
        app = runner.run(stack.enter_async_context(living(settings_for(tmp_path / "hub", server.url))))
        yield type("Here", (ChannelAndHub,), {"runner": runner, "app": app})
        runner.run(stack.aclose())


def test_what_was_told_arrives_once_and_in_order_or_stands_among_the_refused(machine: type[ChannelAndHub]) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=checks)
    )
