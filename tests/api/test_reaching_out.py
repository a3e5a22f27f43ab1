"""What a hub reaches out to while it starts and works: its own server, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import known, ok, phone

_WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "subprocess.Popen")


class Watch:
    """Notes what this process reaches for; Python never lets go of a hook, so that this one is switched."""

    def __init__(self) -> None:
        self.is_on = False
        self.found: list[tuple[str, Any]] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if self.is_on and event in _WATCHED:
            self.found.append((event, args[1] if event == "socket.connect" else args[0]))


@pytest.fixture(scope="module")
def only_watch() -> Watch:
    """The one hook of this process."""
    return Watch()


@pytest.fixture
def watch(only_watch: Watch) -> Iterator[Watch]:
    """A watch that is on for as long as the test lasts."""
    only_watch.found.clear()
    only_watch.is_on = True
    yield only_watch
    only_watch.is_on = False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server on which nobody has made a key yet."""
    with embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server:
        yield server


async def test_a_hub_starts_and_works_without_reaching_for_anything_but_its_server(
    server: EmbeddedServer, watch: Watch, tmp_path: Path
) -> None:
    async with living(settings_for(tmp_path / "hub", server.url)) as app, http_to(app) as http:
        callers = await Callers(http).make()
        scene = await known(callers.adapter, identifiers=[phone()])
        handoff = await scene.offer({"queue": "billing"})
        ok(await callers.agent.post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "ann"}))
        assert (await http.get("/docs")).status_code == 200
    assert {("socket.connect", str(server.socket))} == set(watch.found)


async def test_a_call_to_anywhere_else_would_be_seen(watch: Watch) -> None:
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.get("http://127.0.0.1:1/")
    assert ("socket.connect", ("127.0.0.1", 1)) in watch.found
