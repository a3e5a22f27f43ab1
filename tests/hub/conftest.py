"""What tests of the hub may ask for: a hub on the tests' own server, its clock in hand; no key may leak."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from ctxhub.hub.hub import Hub
from tests.support import clock, hub, no_key_leaks, server, tenants_folder

__all__ = ["clock", "hub", "no_key_leaks", "server", "tenants_folder"]


@pytest.fixture(autouse=True)
def _leaks_no_key(no_key_leaks: None) -> None:
    """Check after each test."""


@pytest.fixture
def redis(redis_url: str, hub: Hub) -> Iterator[Redis]:
    """A plain client, to look at what really stands there."""
    with Redis.from_url(redis_url, decode_responses=True, encoding_errors="replace") as client:
        yield client
