"""The Redis that a command works on, and the settings in force."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server, running_server
from ctxhub.store.redis import Server, connected


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings in force: the environment, and over it what the command line says."""
    given = {name: value for name, value in vars(arguments).items() if name in Settings.model_fields}
    return Settings.from_env(os.environ, **given)


@contextmanager
def with_redis(settings: Settings) -> Iterator[Settings]:
    """Settings that name a Redis: the operator's, that of the hub on this folder, or one started for the moment."""
    settings = settings.with_secrets()
    url = settings.redis_url or running_server(settings.data)
    if url is not None:
        yield settings.with_redis(url) if settings.redis_url is None else settings
        return
    with embedded_server(settings) as server:
        yield settings.with_redis(server.url)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Server]:
    """The Redis that the settings name, wherever that is."""
    assert settings.redis_url is not None
    async with connected(
        settings.redis_url,
        settings.partitions,
        socket_timeout=settings.socket_timeout.total_seconds(),
        connect_timeout=settings.connect_timeout.total_seconds(),
        replicas=settings.replicas_awaited,
    ) as server:
        yield server
