"""Fixtures for pytest: `pytest_plugins = ["ctxhub.testing.plugin"]` in `conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctxhub.testing.live import LiveHub, Tenants, a_hub

__all__ = ["live_hub", "live_hub_tenants"]


@pytest.fixture(scope="session")
def live_hub_tenants() -> Tenants | None:
    """What the hub's tenants declare; a fixture of this name in your `conftest.py` takes its place."""
    return None


@pytest.fixture(scope="session")
def live_hub(live_hub_tenants: Tenants | None) -> Iterator[LiveHub]:
    """A whole hub, the same for all tests: let each have customers of its own."""
    with a_hub(live_hub_tenants) as hub:
        yield hub
