"""A copy of the data of the server that the hub brings along, taken while it runs or while it does not."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from ctxhub.settings import CannotStart
from ctxhub.store.embedded import own_data, running_server

__all__ = ["copy_server", "put_server_back"]

_FILES = "appendonlydir"
_REWRITTEN_WITHIN = 120.0
_POLL = 0.05


def copy_server(data: Path, into: Path) -> None:
    """Copy what the embedded server has written so far; nothing acknowledged before is missing."""
    url = running_server(data)
    if url is None:
        with own_data(data):
            _copy(data, into)
        return
    try:
        with Redis.from_url(url, decode_responses=True) as client, _not_rewriting(client):
            _copy(data, into)
    except RedisError as error:
        raise CannotStart(f"the hub's own server can't be copied: {error}") from error


def put_server_back(copied: Path, data: Path) -> None:
    """Put a copy where a server that is not running will find it; one that is there already is not overwritten."""
    there = data / "valkey" / _FILES
    if there.exists():
        raise CannotStart(f"{there} is there already: move it away, or name another folder with --data")
    there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(copied / _FILES, there)


def _copy(data: Path, into: Path) -> None:
    """Copy the append-only files; the last one may be cut short, which the server mends as it starts."""
    source = data / "valkey" / _FILES
    if not source.is_dir():
        raise CannotStart(f"{source} is not there: is {data} the data folder of a hub with a server of its own?")
    shutil.copytree(source, into / _FILES)


@contextmanager
def _not_rewriting(client: Redis) -> Iterator[None]:
    """Let the server begin no new set of files while the block lasts."""
    name = "auto-aof-rewrite-percentage"
    settings: Any = client.config_get(name)
    client.config_set(name, "0")
    try:
        _wait_for_rewrite(client)
        yield
    finally:
        client.config_set(name, settings[name])


def _wait_for_rewrite(client: Redis) -> None:
    """Wait until a rewrite that is under way has ended."""
    give_up_at = time.monotonic() + _REWRITTEN_WITHIN
    while True:
        info: Any = client.info("persistence")
        if not info["aof_rewrite_in_progress"] and not info.get("aof_rewrite_scheduled"):
            return
        if time.monotonic() > give_up_at:
            raise CannotStart("the hub's own server keeps rewriting its files: try again later")
        time.sleep(_POLL)
