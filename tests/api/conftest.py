"""One hub in this process for all tests of the API; each takes customers of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.types import ASGIApp

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import Caller


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that no other test empties."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("api-server"), durability="fast")) as server:
        yield server


@pytest.fixture(scope="session")
async def app(api_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ASGIApp]:
    """The application, alive."""
    async with living(settings_for(tmp_path_factory.mktemp("api"), api_server.url)) as app:
        yield app


@pytest.fixture(scope="session")
async def http(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with http_to(app) as http:
        yield http


@pytest.fixture(scope="session")
async def callers(http: httpx.AsyncClient) -> Callers:
    """A caller of each role."""
    return await Callers(http).make()


@pytest.fixture(scope="session")
def adapter(callers: Callers) -> Caller:
    """A channel's adapter."""
    return callers.adapter


@pytest.fixture(scope="session")
def desk(callers: Callers) -> Caller:
    """A desk whose key speaks for any agent."""
    return callers.agent


@pytest.fixture(scope="session")
def admin(callers: Callers) -> Caller:
    """Who may do everything."""
    return callers.admin
