"""The machine of the model, run against the store on a real server: after every step both say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ctxhub.errors import CtxhubError
from ctxhub.hub.changes import Changes, Decision, Present, own
from ctxhub.hub.events import _appended
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.redis import Server, connected
from tests.model.machine import PROFILE, Customer, Step
from tests.model.world import CUSTOMER, World
from tests.support import KEEP, PATIENCE, Clock

Heard = dict[str, str] | Callable[[list[Event]], dict[str, str]] | None
SHORTER = settings(PROFILE, max_examples=40, stateful_step_count=40)
NUMBERS = count()


class StoredWorld(World):
    """A world whose every change is made on a real server first; both must agree on what is refused."""

    def __init__(self, clock: Clock, runner: asyncio.Runner, server: Server) -> None:
        super().__init__(clock)
        self._runner = runner
        self._first = self.context
        self._who = Who(f"tenant-{next(NUMBERS)}", CUSTOMER)
        self._changes = Changes(Contexts(server, KEEP), clock, PATIENCE, timedelta(seconds=10))
        self._reader = Contexts(server, KEEP)

    def _change(self, decide: Callable[[Context], Change], heard: Heard = None) -> None:
        """Decide on the server, then here."""

        def decided(present: Present) -> Decision:
            change = decide(present.context or self._first)
            spoke = heard(change.events) if callable(heard) else heard or {}
            return Decision(change.context, own(change.events), spoke)

        self._agreed(self._changes.change(self._who, decided), lambda: super(StoredWorld, self)._change(decide, heard))

    def _append(self, events: list[Event]) -> None:
        """Append on the server, then here."""
        appended = [_appended(event, "told") for event in events]
        stored = self._changes.contexts.append(self._who, appended, self.clock())
        self._agreed(stored, lambda: super(StoredWorld, self)._append(events))

    def _agreed(self, stored: Any, here: Callable[[], None]) -> None:
        """Do it there and here; both refuse alike, or say the same afterwards."""
        there = _refusal(lambda: self._runner.run(_awaited(stored)))
        mine = _refusal(here)
        assert type(there) is type(mine)
        if mine is not None:
            raise mine
        self._must_be_the_same()

    def _must_be_the_same(self) -> None:
        """Compare document, activity and timeline with what a reader without any memory finds."""
        loaded = self._runner.run(self._reader.load(self._who))
        assert loaded.context == self.context
        assert loaded.activities == self.activities
        assert loaded.version == len(self.timeline)
        told = self._runner.run(self._reader.timeline(self._who, 0, None, 1000))
        kept = [(each.event.event_id, each.event.assurance, each.event.marks) for each in self.timeline]
        assert [(event["event_id"], event["assurance"], event.get("marks", [])) for event in told] == kept


class Stored(Customer):
    """The customer of the model, kept on a server."""

    def __init__(self, runner: asyncio.Runner, server: Server) -> None:
        super().__init__()
        self.world = StoredWorld(self.clock, runner, server)
        self.step = Step(self.world)


async def _awaited(stored: Any) -> Any:
    """Return what was awaited."""
    return await stored


def _refusal(act: Callable[[], Any]) -> CtxhubError | None:
    """Return the refusal of an act, if there was one."""
    try:
        act()
    except CtxhubError as refusal:
        return refusal
    return None


def test_the_store_says_what_the_model_says_whatever_happens(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        server = runner.run(stack.enter_async_context(connected(redis_url, 64)))
        try:
            run_state_machine_as_test(lambda: Stored(runner, server), settings=SHORTER)
        finally:
            runner.run(_awaited(server.call("FLUSHALL", writes=True)))
            runner.run(stack.aclose())
