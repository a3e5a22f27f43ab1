"""What the harness is worth: with one safeguard taken out, it finds what is lost. All controls run with `full.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from ctxhub.client import OutcomeUnknown
from ctxhub.store.redis import connected
from tests.chaos.controls import ALONE, CONTROLS, controlled
from tests.chaos.world import Store, Wire

pytestmark = pytest.mark.chaos
QUICK = ["nothing recognises what is sent again; replies are lost", ALONE]


@pytest.mark.parametrize("name", QUICK)
async def test_without_a_safeguard_the_loss_is_found(name: str, tmp_path: Path) -> None:
    acknowledged, found = await controlled(name, tmp_path)
    assert acknowledged > 0
    assert CONTROLS[name].found <= {fault.kind for fault in found}


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[tuple[Store, Wire]]:
    """A Redis and the proxy before it."""
    store = Store(tmp_path / "redis")
    store.start()
    wire = Wire(tmp_path, store)
    yield store, wire
    wire.stop()
    store.kill()


async def test_a_client_that_tries_again_by_itself_does_it_twice_and_ours_does_not(apart: tuple[Store, Wire]) -> None:
    store, wire = apart
    async with Redis(unix_socket_path=str(wire.socket)) as usual, connected(f"unix://{wire.socket}", 8) as ours:
        await usual.ping()
        await asyncio.to_thread(wire.order, "lose once")
        with pytest.raises(OutcomeUnknown):
            await ours.call("INCR", "once", writes=True)
        await asyncio.to_thread(wire.order, "lose once")
        assert await usual.incr("twice") == 2
    assert store.call("GET", "once") == b"1"
