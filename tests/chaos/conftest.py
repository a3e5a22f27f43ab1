"""Each file of faults begins with an empty server, whoever founded it before."""

from __future__ import annotations

import pytest
from redis import Redis


@pytest.fixture(scope="module", autouse=True)
def an_empty_server(redis_url: str) -> None:
    """Forget what other tests left, such as another number of partitions."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
