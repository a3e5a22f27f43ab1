"""Importers in processes of their own: one process keeps one core busy, and an import may have more of them."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import NamedTuple

import uvloop

from ctxhub import log
from ctxhub.bulk.importing import Importer, Numbered, Outcome
from ctxhub.hub.hub import Hub
from ctxhub.server import opened, ways_of
from ctxhub.settings import CannotStart, Settings

#: Nobody is on the line: answers may take longer than for a channel.
_ANSWER_WITHIN = timedelta(seconds=20)
_LOOKED_AFTER_EVERY = 0.5
_RARELY = 10_000


class Errand(NamedTuple):
    """What an importer needs to know beside the lines: where to bring them, whose they are, and when it was so."""

    settings: str
    tenant: str
    source: str
    at: datetime
    parent: int


@asynccontextmanager
async def patient_hub(settings: Settings) -> AsyncIterator[Hub]:
    """A hub on the Redis of the settings that neither listens nor relays; it must be the one founded there."""
    patient = settings.model_copy(update={"socket_timeout": max(settings.socket_timeout, _ANSWER_WITHIN)})
    async with opened(patient, replace(ways_of(patient), deadline=3 * _ANSWER_WITHIN)) as hub:
        yield hub


def _collect_rarely() -> None:
    """Look for circles of garbage less often, and not in what stands already: looking takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(_RARELY, 50, 1000)


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Collect rarely for as long as the block lasts."""
    before = gc.get_threshold()
    _collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class Beside:
    """Brings batches in by several processes; they end with this one, whatever ends it."""

    def __init__(self, processes: int, errand: Errand) -> None:
        self.ahead = processes
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (errand,))

    async def bring(self, batch: Sequence[Numbered]) -> list[Outcome]:
        """Bring a batch in, in one of the processes."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _bring, batch)
        except BrokenProcessPool as error:
            raise CannotStart("a process of the import was ended; go on with --resume") from error

    def close(self) -> None:
        """Let the processes end."""
        self._pool.shutdown(cancel_futures=True)


class _Here:
    """What one of the processes works with, from its beginning to its end."""

    def __init__(self, errand: Errand) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._opened = patient_hub(Settings.model_validate_json(errand.settings))
        hub = self._runner.run(self._opened.__aenter__())
        self._importer = Importer(hub, errand.tenant, errand.source, errand.at, dry=False)

    def bring(self, batch: Sequence[Numbered]) -> list[Outcome]:
        """Bring a batch in."""
        return self._runner.run(self._importer.bring(batch))


_here: list[_Here] = []


def _begin(errand: Errand) -> None:
    """Begin one of the processes: Ctrl-C is for the first one, whose end is the end of all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(errand.parent,), daemon=True).start()
    log.configure("warning", "console")
    _collect_rarely()
    _here.append(_Here(errand))


def _end_with(parent: int) -> None:
    """End this process when the one that started it has gone."""
    while os.getppid() == parent:
        time.sleep(_LOOKED_AFTER_EVERY)
    os._exit(1)


def _bring(batch: Sequence[Numbered]) -> list[Outcome]:
    """Bring a batch in, in this process."""
    return _here[0].bring(batch)
