"""A hub in a process of its own, and clients for it under each role's key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from ctxhub.client import ContextHub
from tests.client.running import RunningHub


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A running hub; tests share it, so each takes customers of its own."""
    hub = RunningHub(tmp_path_factory.mktemp("hub"))
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def adapter_key(running: RunningHub) -> str:
    """A channel's key."""
    return running.key("channels", "adapter")


@pytest.fixture(scope="session")
def ann_key(running: RunningHub) -> str:
    """The key of ann, an agent."""
    return running.key("ann", "agent", "ann")


@pytest.fixture
async def channel(running: RunningHub, adapter_key: str) -> AsyncIterator[ContextHub]:
    """The hub as a channel's adapter reaches it."""
    async with ContextHub(running.url, adapter_key) as hub:
        yield hub


@pytest.fixture
async def ann(channel: ContextHub, ann_key: str) -> ContextHub:
    """The hub as ann's desk reaches it."""
    return channel.with_key(ann_key)
