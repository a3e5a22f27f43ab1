"""A lean HTTP client, so that what is measured is the server: one connection, requests made once, answers read bare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_WITHOUT_BODY = (204, 304)


class Answer(NamedTuple):
    """What came back: the status, the head as it was sent, the body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Return a header that must be there."""
        line = self.head.lower().index(f"\r\n{name}:".encode()) + len(name) + 3
        return self.head[line : self.head.index(b"\r\n", line)].decode().strip()


class Connection(asyncio.Protocol):
    """One kept-alive HTTP connection, which carries one request at a time."""

    def __init__(self, port: int, key: str = "") -> None:
        self._port = port
        self._got = b""
        self._waiting: asyncio.Future[Answer] | None = None
        self._gone: BaseException | None = None
        self._transport: asyncio.Transport
        self.key = key

    def speak_with(self, key: str) -> None:
        """Bring another key from now on."""
        self.key = key

    async def __aenter__(self) -> Connection:
        """Connect."""
        self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        self._transport.close()

    async def renew(self) -> None:
        """Connect anew: a server hangs up on whoever was silent for long."""
        self._transport.close()
        while self._gone is None:
            await asyncio.sleep(0)
        self._gone, self._got = None, b""
        await self.__aenter__()

    def data_received(self, data: bytes) -> None:
        """Read on; an answer is whole as soon as its body is."""
        self._got = self._got + data if self._got else data
        head_ends = self._got.find(_HEAD_ENDS)
        if head_ends < 0:
            return
        status = int(self._got[9:12])
        whole = head_ends + 4 + _length(self._got, head_ends, status)
        if len(self._got) < whole:
            return
        answer = Answer(status, self._got[: head_ends + 2], self._got[head_ends + 4 : whole])
        self._got = self._got[whole:]
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and whoever comes later."""
        self._gone = exc or ConnectionResetError("the server closed the connection")
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(self._gone)

    def request(self, method: str, path: str, body: Any = None, more: str = "") -> bytes:
        """Return a request as it goes over the wire; `more` are further lines of its head."""
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.key}\r\n{more}"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    async def send(self, request: bytes) -> Answer:
        """Send a request and return its answer, whatever it says."""
        if self._gone is not None:
            raise self._gone
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    async def fetch(self, request: bytes, status: int = 200) -> Answer:
        """Send a request whose answer must have this status."""
        answer = await self.send(request)
        if answer.status != status:
            raise RuntimeError(f"{request[:100]!r}: {answer.status} {answer.body[:200]!r}")
        return answer

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return its JSON; anything but a 2xx fails."""
        return _taken(await self.send(self.request(method, path, body)), f"{method} {path}")

    async def insist(self, method: str, path: str, body: Any) -> Any:
        """Send what may be said again until it is taken, as a channel does; for what is not measured."""
        while (answer := await self.send(self.request(method, path, body))).status in (429, 503):
            await asyncio.sleep(0.2)
        return _taken(answer, f"{method} {path}")


def _length(got: bytes, head_ends: int, status: int) -> int:
    """Return how long a body is, as its head says."""
    if status in _WITHOUT_BODY:
        return 0
    at = got.lower().find(_LENGTH, 0, head_ends) if _LENGTH not in got else got.find(_LENGTH)
    if at < 0:
        raise RuntimeError(f"an answer without a length: {got[:head_ends]!r}")
    at += len(_LENGTH)
    return int(got[at : got.find(b"\r", at)])


def _taken(answer: Answer, what: str) -> Any:
    """Return the JSON of an answer that has to be a 2xx."""
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{what}: {answer.status} {answer.body[:200]!r}")
    return json.loads(answer.body)


Cycle = Callable[[int], Awaitable[None]]
Begin = Callable[[Connection, str], Awaitable[Cycle]]


class BeginAfter(Protocol):
    """How a customer begins who has said so much already."""

    def __call__(self, connection: Connection, name: str, history: int = 0) -> Awaitable[Cycle]:
        """Return the cycle of a customer."""
