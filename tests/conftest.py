"""What every test may ask for: a real server on a socket of its own, and the outside tools."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.async_api import Browser, async_playwright

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.many import Grid, Guarded, grid, guarded

gc.disable()  # until all tests are found: nothing of what is made meanwhile goes away again


def pytest_configure(config: pytest.Config) -> None:
    """Let servers that tests run in threads choose their pauses by chance, also while Hypothesis draws beside them."""
    config.addinivalue_line("filterwarnings", "ignore:Do not use the `random` module inside strategies")


def pytest_collection_finish() -> None:
    """Leave tests and modules out of every later search for garbage, which halves what those cost."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running server for this test process, on a unix socket, its append-only file synced every second."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("data"), durability="fast")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(valkey: EmbeddedServer) -> str:
    """The address of the tests' own server."""
    return valkey.url


Many = Callable[[], Guarded | Grid | None]


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    """Start what CTXHUB_TESTS_ON asks for, `sentinel` or `cluster`, anew with each call; None where it is not set."""
    asked = os.environ.get("CTXHUB_TESTS_ON")
    with ExitStack() as stack:

        def start() -> Guarded | Grid | None:
            folder = tmp_path_factory.mktemp("many")
            match asked:
                case "sentinel":
                    return stack.enter_context(guarded(folder))
                case "cluster":
                    return stack.enter_context(grid(folder))
                case None:
                    return None
                case _:
                    raise ValueError(f"CTXHUB_TESTS_ON is {asked}: it may be sentinel or cluster")

        yield start


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


@pytest.fixture(scope="session")
async def chromium(need: Callable[[str], str]) -> AsyncIterator[Browser]:
    """A real Chromium for this test process, in its build without windows, which needs a third less of the machine."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=need("chromium-headless-shell"))
        yield browser
        await browser.close()
