"""What every test may ask for: a real server on a socket of its own, and the outside tools."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running server for this test process, on a unix socket, its append-only file synced every second."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("data"), durability="fast")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(valkey: EmbeddedServer) -> str:
    """The address of the tests' own server."""
    return valkey.url


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """Find an outside tool by name: where it is missing the test is skipped, but fails when CI=true."""

    def find(tool: str) -> str:
        path = shutil.which(tool)
        if path is not None:
            return path
        message = f"{tool} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)

    return find
