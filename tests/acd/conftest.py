"""A hub that listens on loopback, with a clock that the tests move, and a telephone system in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx
import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.acd.listening import listening, switched_on
from tests.acd.scenes import TENANT, Switch
from tests.api.living import Callers, Clock, settings_for

SOON = timedelta(milliseconds=100)


@pytest.fixture(scope="session")
def acd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server on which no other hub's clock counts."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("acd-server"), durability="fast")) as server:
        yield server


@pytest.fixture(scope="session")
def clock() -> Clock:
    """The hub's clock: it stands still until a test moves it."""
    return Clock()


@pytest.fixture(scope="session")
async def url(acd_server: EmbeddedServer, clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the hub listens."""
    folder = tmp_path_factory.mktemp("acd")
    settings = settings_for(folder, acd_server.url, timer_tick=SOON, relay_lease=3 * SOON)
    (folder / "tenants" / "default.yaml").write_text(TENANT, encoding="utf-8")
    async with listening(settings, clock) as url:
        yield url


@pytest.fixture(scope="session")
async def callers(url: str) -> AsyncIterator[Callers]:
    """A caller of each role."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        yield await Callers(http).make()


@pytest.fixture
async def switch(url: str, callers: Callers, clock: Clock) -> AsyncIterator[Switch]:
    """A telephone system that has been switched on."""
    async with switched_on(url, callers.adapter.key, clock) as switch:
        yield switch
