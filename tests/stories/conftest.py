"""A hub whose clock the stories move, on a server of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.api.living import Callers, Clock, http_to, living, settings_for
from tests.api.scenes import Caller
from tests.conftest import Many

SOON = timedelta(milliseconds=100)


@pytest.fixture(scope="session")
def story_url(many: Many, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis on which no other hub's clock counts: one server, or as many as CTXHUB_TESTS_ON asks for."""
    servers = many()
    if servers:
        yield servers.url
        return
    with embedded_server(Settings(data=tmp_path_factory.mktemp("story-server"), durability="fast")) as server:
        yield server.url


@pytest.fixture(scope="session")
def clock() -> Clock:
    """The hub's clock: it stands still until a story moves it."""
    return Clock()


@pytest.fixture(scope="session")
async def callers(story_url: str, clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callers]:
    """A caller of each role."""
    settings = settings_for(tmp_path_factory.mktemp("story"), story_url, timer_tick=SOON, relay_lease=3 * SOON)
    async with living(settings, clock) as app, http_to(app) as http:
        yield await Callers(http).make()


@pytest.fixture(scope="session")
def adapter(callers: Callers) -> Caller:
    """Every channel's adapter."""
    return callers.adapter
