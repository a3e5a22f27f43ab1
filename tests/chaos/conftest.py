"""Each file of faults begins with an empty server, whoever founded it before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.many import Grid, Guarded, grid, guarded


@pytest.fixture(scope="module", autouse=True)
def an_empty_server(redis_url: str) -> None:
    """Forget what other tests left, such as another number of partitions."""
    with Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A primary with two replicas, and three Sentinels."""
    with guarded(tmp_path_factory.mktemp("guarded")) as found:
        yield found


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """A cluster of three primaries with a replica each."""
    with grid(tmp_path_factory.mktemp("grid")) as found:
        yield found
