"""What tests of the store may ask for; the server is the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from ctxhub.hub.masterkeys import DerivedKeys
from ctxhub.store.contexts import Contexts
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing
from tests.support import KEEP, MASTER_KEY, clock, hub, no_key_leaks, server, tenants_folder

__all__ = ["clock", "hub", "no_key_leaks", "server", "tenants_folder"]


@pytest.fixture
def kept(server: Server) -> Contexts:
    """The contexts on the tests' own server."""
    return Contexts(server, KEEP, None, Sealing(DerivedKeys(MASTER_KEY)))


@pytest.fixture
def redis(redis_url: str, server: Server) -> Iterator[Redis]:
    """A plain client, to look at what really stands there."""
    with Redis.from_url(redis_url, decode_responses=True, encoding_errors="replace") as client:
        yield client
