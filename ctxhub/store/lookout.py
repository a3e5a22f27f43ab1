"""Looking out for servers that come and go: how often, and what many of them say at once."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from ctxhub.store.fuse import LeftInPeace
from ctxhub.store.joined import Command
from ctxhub.store.nodes import Node, Patience

log = structlog.get_logger(__name__)

#: How long one who is asked about the others may take: more would hold everybody up where one is frozen.
WITHIN = 0.35
_OFTEN = 5.0  # after something went wrong, in seconds
SHORT = Patience(4, WITHIN, WITHIN)


class Settled(str):
    """Why something can't be found, where waiting would change nothing."""


class Lookout(ABC):
    """Looks again and again where things are, at once when asked to; one look at a time for all who wait."""

    def __init__(self, every: float, least: float) -> None:
        self._every = every
        self._least = least
        self._asked = asyncio.Event()
        self._done = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._often_until = 0.0

    @abstractmethod
    async def looking(self) -> None:
        """Look once."""

    def watch(self) -> None:
        """Begin to look."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def look_soon(self) -> None:
        """Have it looked without waiting for it, and often for a while."""
        self._often_until = time.monotonic() + _OFTEN
        self._asked.set()

    async def look(self) -> None:
        """Return when it has been looked once more."""
        done = self._done
        self._asked.set()
        await done.wait()

    async def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._done.set()

    async def _watch(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every if time.monotonic() > self._often_until else self._least):
                    await self._asked.wait()
            self._asked.clear()
            done, self._done = self._done, asyncio.Event()
            try:
                await self.looking()
            except Exception as error:  # whatever a server says, the next look may find more
                log.warning("redis.not_found", reason=str(error))
            finally:
                done.set()
            await asyncio.sleep(self._least)


async def asked(nodes: Iterable[Node], commands: Sequence[Command]) -> list[tuple[Node, list[Any]]]:
    """Ask several servers the same at once; the answers and refusals of those who gave them in time."""
    tasks = {}
    for node in nodes:
        with suppress(LeftInPeace):
            tasks[asyncio.gather(*node.ask(commands), return_exceptions=True)] = node
    if not tasks:
        return []
    done, late = await asyncio.wait(tasks, timeout=WITHIN)
    for task in late:
        task.add_done_callback(_heard)
        task.cancel()
    return [(tasks[task], task.result()) for task in done]


def _heard(task: asyncio.Future[list[Any]]) -> None:
    """Hear what came of one who was given up, so that nobody says that it was never heard."""
    if not task.cancelled():
        task.exception()
