"""What tests of bulk may ask for: a hub on the tests' own server, its clock in hand; no key may leak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.hub.hub import Hub
from tests.bulk.scenes import Bringing
from tests.support import clock, hub, no_key_leaks, server, tenants_folder

__all__ = ["clock", "hub", "no_key_leaks", "server", "tenants_folder"]


@pytest.fixture
def redis(redis_url: str, hub: Hub) -> Iterator[Redis]:
    """A plain client, to look at what really stands there."""
    with Redis.from_url(redis_url, decode_responses=True, encoding_errors="replace") as client:
        yield client


@pytest.fixture
def bringing(hub: Hub, tmp_path: Path) -> Bringing:
    """Imports into the hub."""
    return Bringing(hub, tmp_path)
