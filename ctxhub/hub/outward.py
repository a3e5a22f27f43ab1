"""Calls out to other systems: only to addresses that are the internet's, never further than where they were sent.

An address is looked up, checked and then connected to as the very address that was checked, so that a name which leads
elsewhere a moment later leads nobody astray. TLS goes by the name. No redirect is followed, no proxy is asked, and no
more of an answer is read than is wanted.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import httpcore

from ctxhub.model.inward import NOWHERE, Allowed, is_inward
from ctxhub.model.webhook import retry_after

if TYPE_CHECKING:
    from ctxhub.tracing import Tracing

Resolve = Callable[[str, int], Awaitable[list[str]]]
_ODD = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError, OSError, ValueError)
_IDLE = 30.0
_CONNECTIONS = 256
_GLANCE = 1.0  # an answer's body is looked at so long: who has said 2xx has said enough
CLOUD_EVENT = "application/cloudevents+json; charset=utf-8"


class NotReached(Exception):
    """A call brought no answer; `reason` says in a word why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = self.in_a_word = reason


class Inward(httpcore.ConnectError):
    """A name led to an address that is not the internet's."""


class Bounds(NamedTuple):
    """How long a call may take in seconds, and how much of its answer is read; a `whole` one must not be longer."""

    within: float
    most: int
    whole: bool = False


class Answered(NamedTuple):
    """What came back: the status, how long we are to wait where it says so, and as much of the body as was read."""

    status: int
    retry_after: timedelta | None
    body: bytes


async def resolved(host: str, port: int) -> list[str]:
    """Return every address that a name leads to."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked; with `only_allowed`, to none but those that the operator allows."""

    def __init__(self, allowed: Allowed, resolve: Resolve, only_allowed: bool = False) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._only_allowed = only_allowed
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore calls it so
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the addresses of a host, all of which must be fit to be called."""
        addresses = await self._resolve(host, port)
        if not addresses or not all(self._may_call(host, address) for address in addresses):
            raise Inward("it leads to an address that is not the internet's")
        refusal: Exception = Inward("it leads nowhere")
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                refusal = error
        raise refusal

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore calls it so
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse to connect to a socket of this machine."""
        raise Inward("a socket of this machine is inward")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)

    def _may_call(self, host: str, address: str) -> bool:
        """Tell whether an address, to which a host's name leads, may be called."""
        if self._allowed.has_host(host) or self._allowed.has_address(address):
            return True
        return not self._only_allowed and not is_inward(address)


class Outward:
    """Posts to other systems, within bounds; plain HTTP only to whom the operator allows."""

    def __init__(
        self, allowed: Allowed = NOWHERE, resolve: Resolve = resolved, tls: ssl.SSLContext | None = None,
        tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self._tls = tls
        self._tracing = tracing
        self._pools = {
            "https": self._pool(CheckedNetwork(allowed, resolve)),
            "http": self._pool(CheckedNetwork(allowed, resolve, only_allowed=True)),
        }

    def _pool(self, network: CheckedNetwork) -> httpcore.AsyncConnectionPool:
        """Return connections over a network."""
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=network, max_connections=_CONNECTIONS, keepalive_expiry=_IDLE
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, bounds: Bounds, now: datetime) -> Answered:
        """Post, and return the answer within bounds; `NotReached` where there is none."""
        if self._tracing is None:
            return await self._tried(url, headers, body, bounds, now)
        with self._tracing.post(url) as (note, ours):
            got = await self._tried(url, {**headers, **ours}, body, bounds, now)
            note(got.status)
            return got

    async def _tried(
        self, url: str, headers: Mapping[str, str], body: bytes, bounds: Bounds, now: datetime
    ) -> Answered:
        """Post, and say in a word why there is no answer."""
        try:
            async with asyncio.timeout(bounds.within):
                return await self._posted(url, headers, body, bounds, now)
        except TimeoutError as error:
            raise NotReached("timeout") from error
        except Inward as error:
            raise NotReached("inward") from error
        except _ODD as error:
            raise NotReached(_reason(error)) from error

    async def _posted(
        self, url: str, headers: Mapping[str, str], body: bytes, bounds: Bounds, now: datetime
    ) -> Answered:
        """Post, and read what is wanted of the answer."""
        limits = dict.fromkeys(("connect", "read", "write", "pool"), bounds.within)
        pool = self._pools[url.partition(":")[0].lower()]
        usual = {"content-type": CLOUD_EVENT, "user-agent": "ctxhub", "accept": "application/json"}
        sent: list[tuple[bytes | str, bytes | str]] = [*(usual | dict(headers)).items()]
        async with pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": limits}) as answer:
            later = retry_after(_header(answer, b"retry-after"), now)
            read = await (_whole(answer, bounds.most) if bounds.whole else _glance(answer, bounds.most))
            return Answered(answer.status, later, read)

    async def aclose(self) -> None:
        """Let go of every connection."""
        for pool in self._pools.values():
            await pool.aclose()


async def _whole(answer: httpcore.Response, most: int) -> bytes:
    """Return a body that must not be longer than that."""
    read = b""
    async for part in answer.aiter_stream():
        read += part
        if len(read) > most:
            raise NotReached("too_long")
    return read


async def _glance(answer: httpcore.Response, most: int) -> bytes:
    """Return as much of a body as comes soon; whatever is wrong with it, the status stands."""
    read = b""
    try:
        async with asyncio.timeout(_GLANCE):
            async for part in answer.aiter_stream():
                read += part
                if len(read) > most:
                    break
    except (TimeoutError, *_ODD):
        pass
    return read[:most]


def _header(answer: httpcore.Response, name: bytes) -> str | None:
    """Return a header of an answer."""
    found: list[bytes] = [value for key, value in answer.headers if key.lower() == name]
    return found[0].decode("latin-1") if found else None


def _reason(error: BaseException) -> str:
    """Say in a word what kept a call from being answered."""
    causes: list[Any] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 10:
        causes.append(cause)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "tls"
    if isinstance(error, httpcore.TimeoutException):
        return "timeout"
    if isinstance(error, httpcore.ProtocolError):
        return "no_answer"
    return "unreachable" if isinstance(error, httpcore.ConnectError | OSError) else "broken_off"
