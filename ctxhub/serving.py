"""Running the hub: the folder's lock, the embedded server, the listening socket, the workers, and their end.

The process the operator started serves itself if one worker is wanted; else it starts several on the socket it
listens on, starts again what crashes, and passes signals on. Whatever it starts dies with it. Told to stop, all is
gone within five seconds: streams are told at once, requests may finish, the embedded server goes last.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client import multiprocess

from ctxhub import log as logging_setup
from ctxhub.client import Stopping
from ctxhub.metrics import WORKERS_FOLDER
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.embedded import EmbeddedServer, die_with_parent, embedded_server, hold_lock
from ctxhub.worker import BACKLOG, HubServer, end_without_fail, load

__all__ = ["APP_FACTORY", "serve"]

log = structlog.get_logger(__name__)

APP_FACTORY = "ctxhub.server:create_app"

_WORKERS_GONE_WITHIN = 3.0
_PORT_FREE_WITHIN = 1.0
_PORT_POLL = 0.01
_TEND_SERVER_EVERY = 0.25
_FIRST_RESTART_PAUSE = 0.1
_LONGEST_RESTART_PAUSE = 5.0
_STEADY_AFTER = 30.0


def serve(settings: Settings, app_factory: str = APP_FACTORY) -> int:
    """Run the hub until it is told to stop; the exit code. `app_factory` is `module:function`."""
    logging_setup.configure(settings.log_level, settings.log_format)
    with ExitStack() as stack:
        _leave_on_signals()
        settings = settings.with_secrets()
        server = None
        if settings.redis_url is None:
            server = stack.enter_context(embedded_server(settings))
            settings = settings.with_redis(server.url)
        stack.callback(_ignore_signals)  # once serving has ended, the rest is not to be interrupted
        listener = stack.enter_context(_listening(settings))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        if settings.workers == 1:
            return _serve_here(settings, app_factory, listener, server)
        folder = stack.enter_context(_metrics_folder(settings.data))
        return asyncio.run(_Supervisor(settings, app_factory, listener, server, folder).run())


def _serve_here(settings: Settings, app_factory: str, listener: socket.socket, server: EmbeddedServer | None) -> int:
    """Serve in this very process."""
    stopping = Stopping()
    app = load(app_factory)(settings, stopping)
    serving = HubServer(
        app, stopping, on_ready=lambda: _print_ready(settings), embedded=server, proxies=settings.trusted_proxies
    )
    serving.run(sockets=[listener])
    return 0


class _Supervisor:
    """Keeps the workers and the embedded server running until a signal comes."""

    def __init__(
        self, settings: Settings, app_factory: str, listener: socket.socket, server: EmbeddedServer | None, folder: Path
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._embedded = server
        self._metrics_folder = folder
        self._orders = json.dumps([settings.handed_down(), app_factory, listener.fileno()]).encode()
        self._awaited = set(range(settings.workers))
        self._tasks: list[asyncio.Task[None]] = []
        self._running: set[_Worker] = set()

    async def run(self) -> int:
        """Watch until told to stop; the exit code."""
        for told in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(told, self._stop)
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks = [group.create_task(self._keep_worker(n)) for n in range(self._settings.workers)]
                self._tasks.append(group.create_task(self._tend_server()))
        except* CannotStart as refusals:
            raise CannotStart(str(refusals.exceptions[0])) from None
        finally:
            await asyncio.gather(*(worker.end() for worker in self._running))
        return 0

    def _stop(self) -> None:
        """Begin to stop; each task ends what it keeps."""
        end_without_fail()
        for task in self._tasks:
            task.cancel()

    async def _keep_worker(self, number: int) -> None:
        """Run one worker, and another one whenever it ends, after pauses that grow while it keeps failing."""
        pause = _FIRST_RESTART_PAUSE
        while True:
            started_at = time.monotonic()
            worker = await self._start_worker()
            await self._hear(number, worker)
            exit_code = await worker.exit_code()
            self._running.discard(worker)
            await worker.end()
            multiprocess.mark_process_dead(worker.pid, str(self._metrics_folder))  # type: ignore[no-untyped-call]
            log.error("worker.died", pid=worker.pid, exit_code=exit_code)
            if time.monotonic() - started_at > _STEADY_AFTER:
                pause = _FIRST_RESTART_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, _LONGEST_RESTART_PAUSE)

    async def _start_worker(self) -> _Worker:
        """A worker process that runs until it ends by itself or the supervisor does."""
        _, worker = await asyncio.get_running_loop().subprocess_exec(
            _Worker,
            *(sys.executable, "-P", "-c", "import sys; from ctxhub.worker import work; sys.exit(work())"),
            stderr=None,
            env=os.environ | {WORKERS_FOLDER: str(self._metrics_folder), "PYTHONPATH": os.pathsep.join(sys.path)},
            pass_fds=[self._listener.fileno()],
            process_group=0,  # Ctrl-C goes to the supervisor alone, which passes it on
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        self._running.add(worker)
        worker.give(self._orders)
        return worker

    async def _hear(self, number: int, worker: _Worker) -> None:
        """Wait for a worker's report; the last of the first ones makes the hub ready, none of them stops it."""
        word, _, reason = (await worker.report()).partition(" ")
        if number not in self._awaited:  # one that replaces another: the hub runs, whatever becomes of it
            return
        if word != "ready":
            raise CannotStart(reason or "a worker ended before it was ready: the log says why")
        self._awaited.discard(number)
        if not self._awaited:
            _print_ready(self._settings)

    async def _tend_server(self) -> None:
        while self._embedded is not None:
            self._embedded.revive()
            await asyncio.sleep(_TEND_SERVER_EVERY)


class _Worker(asyncio.SubprocessProtocol):
    """A worker as the supervisor sees it: the orders given, the one line reported, the exit code."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0
        self._said = b""
        self._reported: asyncio.Future[str] = loop.create_future()
        self._ended: asyncio.Future[int | None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It has begun to run."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._process = transport
        self.pid = transport.get_pid()

    def give(self, orders: bytes) -> None:
        """Hand it its orders: by a pipe, for they hold secrets."""
        pipe = self._process.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        pipe.write(orders)
        pipe.write_eof()

    async def report(self) -> str:
        """The line it reported; empty if it ended without one."""
        return await asyncio.shield(self._reported)

    async def exit_code(self) -> int | None:
        """Its exit code, once it has ended."""
        return await asyncio.shield(self._ended)

    async def end(self) -> None:
        """End it if it still runs, asked first, then forced; nothing of it is left open."""
        if not self._ended.done():
            await self._end_process()
        self._process.close()

    async def _end_process(self) -> None:
        self._process.terminate()
        ended, _ = await asyncio.wait([self._ended], timeout=_WORKERS_GONE_WITHIN)
        if not ended:
            log.warning("worker.cut", pid=self.pid, after=_WORKERS_GONE_WITHIN)
            self._process.kill()
            await asyncio.wait([self._ended])

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It reports; only the first line matters."""
        self._said += data
        if b"\n" in self._said:
            self._settle_report()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It can report no more."""
        if fd == 1:
            self._settle_report()

    def process_exited(self) -> None:
        """It has ended."""
        if not self._ended.done():
            self._ended.set_result(self._process.get_returncode())

    def _settle_report(self) -> None:
        if not self._reported.done():
            self._reported.set_result(self._said.partition(b"\n")[0].decode(errors="replace"))


@contextmanager
def _metrics_folder(data: Path) -> Iterator[Path]:
    """A fresh folder for the workers' numbers; those of hubs that are gone are wiped."""
    root = data.absolute() / "metrics"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        with open(root / "lock", "ab") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            _wipe_folders_of_the_gone(root)
            folder = Path(tempfile.mkdtemp(dir=root))
            hold_lock(stack.enter_context(open(folder / "lock", "ab")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _wipe_folders_of_the_gone(root: Path) -> None:
    for lock in root.glob("*/lock"):
        with open(lock, "ab") as file:
            if hold_lock(file):
                shutil.rmtree(lock.parent, ignore_errors=True)


def _listening(settings: Settings) -> socket.socket:
    """The socket to listen on; of a hub killed just now the port may take a moment to get free."""
    give_up_at = time.monotonic() + _PORT_FREE_WITHIN
    while True:
        try:
            return _bound(settings.host, settings.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up_at:
                raise CannotStart(_why_not_listening(settings, error)) from error
        time.sleep(_PORT_POLL)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _why_not_listening(settings: Settings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {settings.port} on {settings.host} is taken: stop what listens there, or choose another with "
            "--port or CTXHUB_PORT (0 takes a free one)"
        )
    return f"can't listen on {settings.host} port {settings.port} ({error.strerror}): choose others with --host, --port"


def _leave_on_signals() -> None:
    """Before serving has begun, a signal ends what was started so far and then the process."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)


def _leave(sig: int, frame: FrameType | None) -> None:
    _ignore_signals()
    end_without_fail()
    raise SystemExit(0)


def _ignore_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _print_ready(settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    with suppress(BrokenPipeError):
        print(f"ctxhub ready http://{host}:{settings.port}", flush=True)
