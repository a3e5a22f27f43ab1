"""The word that the server is going down reaches everybody who waits for it, wherever it comes from."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from ctxhub.client import Stopping


async def _waiting(stopping: Stopping, how_many: int = 1) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(stopping.wait()) for _ in range(how_many)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


async def test_everybody_who_waits_is_woken() -> None:
    stopping = Stopping()
    tasks = await _waiting(stopping, 50)
    stopping.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert stopping.is_set()


async def test_whoever_comes_later_does_not_wait() -> None:
    stopping = Stopping()
    assert not stopping.is_set()
    stopping.set()
    stopping.set()
    await asyncio.wait_for(stopping.wait(), 5)


async def test_it_may_be_set_from_another_thread() -> None:
    stopping = Stopping()
    tasks = await _waiting(stopping)
    thread = threading.Thread(target=stopping.set)
    thread.start()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    thread.join()


async def test_it_may_be_set_from_a_signal_handler() -> None:
    stopping = Stopping()
    before = signal.signal(signal.SIGUSR1, lambda *_: stopping.set())
    try:
        tasks = await _waiting(stopping)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_whoever_gave_up_waiting_disturbs_nobody() -> None:
    stopping = Stopping()
    gone, there = await _waiting(stopping, 2)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    stopping.set()
    await asyncio.wait_for(there, 5)


def test_it_outlives_the_loops_that_waited_for_it() -> None:
    stopping = Stopping()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(stopping.wait())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    stopping.set()
    assert stopping.is_set()
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
