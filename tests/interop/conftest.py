"""The provider's package, installed once, and providers made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.interop.issuing import RunningIssuer, install, running_issuer


@pytest.fixture(scope="session")
def package(need: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the provider's package; it stays in `CTXHUB_INTEROP_NODE` if that is set."""
    need("node")
    npm = need("npm")
    kept = os.environ.get("CTXHUB_INTEROP_NODE")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("node")
    fault = install(npm, folder)
    if fault and os.environ.get("CI") != "true":
        pytest.skip(f"oidc-provider can't be installed: {fault}")
    assert not fault
    return folder


@pytest.fixture(scope="module")
def issuer(package: Path) -> Iterator[RunningIssuer]:
    """A provider that stays as it is."""
    with running_issuer(package) as running:
        yield running


@pytest.fixture(scope="module")
def own_issuer(package: Path) -> Iterator[RunningIssuer]:
    """A provider that a test may stop, and start with another key."""
    with running_issuer(package) as running:
        yield running


@pytest.fixture(scope="session")
def interop_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that no other test empties."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("interop"), durability="fast")) as server:
        yield server
