"""An adapter runs in a process of its own: it says when it is ready, and is gone soon after it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.client.wire import answer, say_nothing, wire

ROOT = Path(__file__).parents[2]

ADAPTER = """
import asyncio
import sys
from fastapi import APIRouter, Form, Response
from fastapi.responses import StreamingResponse
from ctxhub.client import Hubs, Unavailable, Unknown
from ctxhub.client.alone import Alone, serve_alone


def make_router(hubs: Hubs, alone: Alone) -> APIRouter:
    routes = APIRouter()

    @routes.get("/toy/{tenant}/queue")
    async def queue(tenant: str):
        try:
            return await hubs.of(tenant).queues.show("billing")
        except Unknown as error:
            return Response(error.code, error.status)

    @routes.post("/toy/mine")
    async def mine(key: str = Form()):
        assert hubs.with_key(key) is hubs.with_key(key)
        return await hubs.with_key(key).queues.show("billing")

    @routes.get("/toy/links")
    async def links():
        return {"base_url": alone.base_url, "shown": repr(alone)}

    @routes.get("/toy/stream")
    async def stream():
        async def words():
            yield "event: ready\\n\\n"
            await hubs.stopping.wait()
            yield "event: bye\\n\\n"
        return StreamingResponse(words(), media_type="text/event-stream")

    @routes.get("/toy/deaf")
    async def deaf():
        async def words():
            yield "event: ready\\n\\n"
            await asyncio.Event().wait()
        return StreamingResponse(words(), media_type="text/event-stream")

    return routes


sys.exit(serve_alone("toy", make_router))
"""


class Child:
    """The adapter's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ready = ""

    @property
    def url(self) -> str:
        """Where it says that it listens."""
        return self.ready.split()[-1]

    async def stop(self) -> tuple[int, float]:
        """Tell it to stop; its exit code, and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 10), time.monotonic() - began


@asynccontextmanager
async def adapter(folder: Path, *args: str, **environ: str) -> AsyncIterator[Child]:
    """Run the adapter; it is killed in the end if it has not gone by itself."""
    script = folder / "toy.py"
    script.write_text(ADAPTER)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        *args,
        env=_without_ours(os.environ) | {"PYTHONPATH": str(ROOT)} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    child = Child(process)
    try:
        assert process.stdout is not None
        child.ready = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def _told(hub_url: str, **environ: str) -> AsyncIterator[Child]:
    """Run the adapter with all that it must be told."""
    told = {"CTXHUB_URL": hub_url, "CTXHUB_KEY": "toy_key", "CTXHUB_TENANT": "acme", "CTXHUB_PORT": "0"}
    with TemporaryDirectory() as folder:
        told = told | {"CTXHUB_DATA": f"{folder}/data"} | environ
        async with adapter(Path(folder), **told) as child:
            yield child


@asynccontextmanager
async def _stream(url: str) -> AsyncIterator[AsyncIterator[str]]:
    """Read a stream as a browser does."""
    async with httpx.AsyncClient() as browser, browser.stream("GET", url) as stream:
        yield stream.aiter_text()


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("CTXHUB_")}


async def test_it_serves_its_routes_against_the_hub_it_is_told() -> None:
    queue = {"queue": "billing", "waiting": 3}
    async with wire(answer(200, queue)) as hub, _told(hub.url) as child, httpx.AsyncClient() as browser:
        shown = await browser.get(f"{child.url}/toy/acme/queue")
        assert shown.json()["waiting"] == 3
        assert (await browser.get(f"{child.url}/toy/other/queue")).status_code == 404
        await browser.post(f"{child.url}/toy/mine", data={"key": "ann_key"})
    assert [asked.headers["authorization"] for asked in hub.asked] == ["Bearer toy_key", "Bearer ann_key"]


async def test_links_are_built_from_where_it_listens_unless_told_otherwise() -> None:
    async with _told("http://127.0.0.1:9") as child, httpx.AsyncClient() as browser:
        links = (await browser.get(f"{child.url}/toy/links")).json()
    assert links["base_url"] == child.url
    assert "toy_key" not in links["shown"]
    async with _told("http://127.0.0.1:9", CTXHUB_PUBLIC_URL="https://ctx.example.com/") as child:
        links = httpx.get(f"{child.url}/toy/links").json()
    assert links["base_url"] == "https://ctx.example.com"


async def test_told_to_stop_it_tells_its_streams_and_goes_at_once() -> None:
    async with _told("http://127.0.0.1:9") as child, _stream(f"{child.url}/toy/stream") as words:
        assert "ready" in await anext(words)
        code, seconds = await child.stop()
        assert "bye" in await anext(words)
    assert (code, seconds < 3.0) == (0, True)


async def test_a_stream_that_does_not_listen_is_cut() -> None:
    async with _told("http://127.0.0.1:9") as child, _stream(f"{child.url}/toy/deaf") as words:
        assert "ready" in await anext(words)
        _, seconds = await child.stop()
    assert seconds < 5.0


async def test_a_call_to_a_silent_hub_does_not_keep_it() -> None:
    async with wire(say_nothing) as hub, _told(hub.url) as child, httpx.AsyncClient(timeout=30) as browser:
        call = asyncio.create_task(browser.get(f"{child.url}/toy/acme/queue"))
        await hub.until(lambda w: len(w.asked) == 1)
        _, seconds = await child.stop()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert seconds < 5.0


@pytest.mark.parametrize(
    ("environ", "args", "complaint"),
    [
        ({}, [], "CTXHUB_KEY"),
        ({"CTXHUB_KEY": "k", "CTXHUB_TENANT": "No Such"}, [], "CTXHUB_TENANT"),
        ({"CTXHUB_KEY": "k"}, ["--url", "ctx.example.com"], "ctx.example.com"),
        ({"CTXHUB_KEY": "k", "CTXHUB_PORT": "70000"}, [], "CTXHUB_PORT"),
        ({"CTXHUB_KEY": "k"}, ["--host", "203.0.113.1"], "assign"),
    ],
)
async def test_what_it_can_not_start_with_is_said_in_one_line(
    tmp_path: Path, environ: dict[str, str], args: list[str], complaint: str
) -> None:
    async with adapter(tmp_path, *args, **environ) as child:
        assert child.process.stderr is not None
        said = (await child.process.stderr.read()).decode()
        assert await asyncio.wait_for(child.process.wait(), 10) == 2
    assert child.ready == ""
    assert said.startswith("toy can't start: ")
    assert complaint in said
    assert said.count("\n") == 1
