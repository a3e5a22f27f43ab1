"""One process that serves: uvicorn, told how to begin, how to say that it is ready, and how to end in time."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import structlog
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from ctxhub import log as logging_setup
from ctxhub.client import Stopping
from ctxhub.errors import CtxhubError
from ctxhub.garbage import settle
from ctxhub.heads import BoundedHeads
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.embedded import EmbeddedServer

__all__ = ["BACKLOG", "AppFactory", "HubServer", "end_without_fail", "load", "work"]

log = structlog.get_logger(__name__)

BACKLOG = 2048

# Each less than the next, and all less than the five seconds that a hub has after SIGTERM.
_REQUESTS_FINISH_WITHIN = 2
_SERVING_ENDS_WITHIN = 2.5
_GONE_AT_LAST = 4.7

_KEEP_ALIVE = 65  # longer than clients keep an idle connection: the one who may send should be the one who closes
_FIRST_READY_POLL = 0.01
_LONGEST_READY_POLL = 1.0
_NOT_READY_WARNING = 5.0

App = Callable[..., Any]
AppFactory = Callable[[Settings, Stopping], App]


def work() -> int:
    """Serve as one worker of several: orders come in on stdin, `ready` or `refused …` goes out on stdout."""
    report = _take_over_stdout()
    settings_json, app_factory, listener = json.load(sys.stdin)
    settings = Settings.model_validate_json(settings_json)
    logging_setup.configure(settings.log_level, settings.log_format)
    stopping = Stopping()
    try:
        app = load(app_factory)(settings, stopping)
        server = HubServer(app, stopping, on_ready=lambda: report("ready"), proxies=settings.trusted_proxies)
        server.run(sockets=[socket.socket(fileno=listener)])
    except CannotStart as error:
        report(f"refused {error}")
        return 1
    return 0


class HubServer(uvicorn.Server):
    """Serves until told to stop, and then tells the streams, which uvicorn would wait for in vain."""

    def __init__(
        self, app: App, stopping: Stopping, on_ready: Callable[[], None], embedded: EmbeddedServer | None = None,
        proxies: str | None = None,
    ) -> None:  # fmt: skip
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=BoundedHeads,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=proxies is not None,
            forwarded_allow_ips=proxies or "",
            backlog=BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_REQUESTS_FINISH_WITHIN,
        )
        config.load()
        config.lifespan_class = _Lifespan
        super().__init__(config)
        self._stopping = stopping
        self._on_ready = on_ready
        self._embedded = embedded
        self._announcement: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: streams say goodbye, requests finish; whatever hangs is cut."""
        self.should_exit = True
        self._stopping.set()
        end_without_fail()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and from then on look out for the first healthy answer."""
        try:
            await super().startup(sockets)
        except SystemExit:
            assert isinstance(self.lifespan, _Lifespan)
            raise self.lifespan.refusal from None
        finally:
            gc.enable()
        self._announcement = asyncio.create_task(self._announce())

    async def on_tick(self, counter: int) -> bool:
        """Between requests, see to it that the embedded server runs."""
        if self._embedded is not None:
            self._embedded.revive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop within bounds, whatever the app does on its way out."""
        log.info("serving.stopped", pid=os.getpid(), connections=len(self.server_state.connections))
        if self._announcement is not None:
            self._announcement.cancel()
        try:
            async with asyncio.timeout(_SERVING_ENDS_WITHIN):
                await super().shutdown(sockets)
        except TimeoutError:
            log.warning("shutdown.cut", after=_SERVING_ENDS_WITHIN)

    async def _announce(self) -> None:
        """Tell once that this process is ready; tell the log meanwhile that it takes long."""
        warn_at = time.monotonic() + _NOT_READY_WARNING
        pause = _FIRST_READY_POLL
        while not await _answers_ready(self.config.loaded_app, self.lifespan.state):
            if time.monotonic() > warn_at:
                log.warning("readiness.delayed", remedy="/health/ready says what is missing")
                warn_at = time.monotonic() + _NOT_READY_WARNING
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_READY_POLL)
        settle()
        log.info("serving.started", pid=os.getpid())
        self._on_ready()


class _Lifespan(LifespanOn):
    """Lets the app start and end, and keeps why it would not, for one line instead of a traceback."""

    refusal = CannotStart("the hub failed to start: the log says why")

    async def main(self) -> None:
        """Run the app's own start and end."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.config.loaded_app(scope, self.receive, self.send)
        except CannotStart as refusal:
            self.refusal = refusal
            self.error_occurred = True
        except CtxhubError as error:
            self.refusal = CannotStart(f"{error.detail}: `ctxhub doctor` says more")
            self.error_occurred = True
        except Exception:  # whatever it is, the start is refused and the log says why
            self.error_occurred = True
            log.exception("lifespan.failed")
        finally:
            self.startup_event.set()
            self.shutdown_event.set()

    async def send(self, message: Any) -> None:
        """Take what the app says of its start or end; the exception that follows says more than its text."""
        await super().send({"type": message["type"]})


async def _answers_ready(app: App, state: dict[str, Any]) -> bool:
    """Ask this process itself: through the shared socket any worker might answer."""
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    with suppress(Exception):  # not ready, whatever the reason; the app logs its own
        await app(_ready_request(state), receive, send)
    return statuses == [200]


def _ready_request(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/health/ready",
        "raw_path": b"/health/ready",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": state.copy(),
    }


def load(app_factory: str) -> AppFactory:
    """Find the function that makes the app, given as `module:function`; garbage is looked for once it has started."""
    gc.disable()  # what is made from here on stays: a tenth of a start went into looking through it
    module, _, name = app_factory.partition(":")
    factory: AppFactory = getattr(importlib.import_module(module), name)
    return factory


def _take_over_stdout() -> Callable[[str], None]:
    """Keep stdout for reports to the supervisor; what anybody prints goes to stderr."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def report(line: str) -> None:
        with suppress(BrokenPipeError):
            print(line, file=channel, flush=True)

    return report


def end_without_fail() -> None:
    """Whatever hangs from now on, the process is gone in time; what it started goes with it."""
    last_resort = threading.Timer(_GONE_AT_LAST, os._exit, [1])
    last_resort.daemon = True
    last_resort.start()
