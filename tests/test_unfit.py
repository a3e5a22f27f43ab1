"""A Redis that will not do: the start is refused in one line that names the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.settings import CannotStart, Settings
from ctxhub.store.embedded import embedded_server
from ctxhub.testing import a_hub
from tests.many import data_server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own: the tests spoil it."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("unfit"), durability="fast")) as server:
        yield server.url


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    """The same server as an operator sees it, empty and well."""
    with Redis.from_url(url, decode_responses=True) as redis:
        redis.flushall()
        yield redis
        redis.execute_command("REPLICAOF", "NO", "ONE")
        redis.config_set("maxmemory-policy", "noeviction")


def refused(url: str, says: str, **more: str) -> None:
    with pytest.raises(CannotStart, match=says), a_hub(redis_url=url, archive="off", **more):
        pass


def test_one_that_evicts(url: str, redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    refused(url, "maxmemory-policy: allkeys-lru: CONFIG SET maxmemory-policy noeviction.*CTXHUB_REDIS_UNFIT=warn")


def test_one_with_another_application_s_keys(url: str, redis: Redis) -> None:
    redis.set("celery-task-meta-1", "x")
    refused(url, "other keys: such as 'celery-task-meta-1': give ctxhub a server or a database of its own")
    assert redis.dbsize() == 1


def test_one_that_takes_no_writes(url: str, redis: Redis) -> None:
    redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    refused(url, "role: slave: takes no writes: let CTXHUB_REDIS_URL name the primary", redis_unfit="warn")


def test_one_that_refuses_the_login(url: str, redis: Redis) -> None:
    refused(url.replace("unix://", "unix://nobody:wrong@"), "refuses the login.*CTXHUB_REDIS_URL")


def test_one_without_the_database_that_is_named(url: str, redis: Redis) -> None:
    refused(f"{url}?db=99", "no such database: let CTXHUB_REDIS_URL end in the number of one that it has")


def test_one_too_old_to_greet(tmp_path: Path) -> None:
    old = data_server(tmp_path / "old", "--rename-command", "HELLO", "")
    old.redis.connection_pool.connection_kwargs["protocol"] = 2
    try:
        old.start()
        refused(f"redis://127.0.0.1:{old.port}", "too old: let CTXHUB_REDIS_URL lead to Redis >= 7.0 or Valkey >= 7.2")
    finally:
        old.close()


def test_whoever_says_so_starts_all_the_same(url: str, redis: Redis) -> None:
    redis.set("celery-task-meta-1", "x")
    redis.config_set("maxmemory-policy", "allkeys-lru")
    with a_hub(redis_url=url, archive="off", redis_unfit="warn") as hub:
        assert hub.url


def test_one_that_is_well(url: str, redis: Redis, tmp_path: Path) -> None:
    with a_hub(redis_url=url, archive="off") as hub:
        assert hub.url
