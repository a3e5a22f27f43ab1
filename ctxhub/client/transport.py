"""The one place that sends: deadline, retries, the way to a customer's new home, problems turned into errors.

Every call may be repeated: it reads, or its events have ids of their own, or it carries an Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import random
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from ctxhub.client.away import Away
from ctxhub.client.tracing import here
from ctxhub.errors import CtxhubError, Invalid, OutcomeUnknown, TooMany, Unauthenticated, Unavailable, from_problem
from ctxhub.model.number_format import Formats
from ctxhub.model.value import Value

V = TypeVar("V", bound=Value)
#: Returns the headers that say on whose behalf a call is made.
Introduces = Callable[[], Mapping[str, str]]

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_SHARE_OF_A_TRY = 0.6  # of the time left: a reply that is lost leaves time for another try
_MOST_MOVES = 5
_KEEP_ALIVE = 4.0  # less than servers keep an idle connection, or a call meets one that is just being closed
_MOST_CONNECTIONS = 200
_FIT_FOR_A_HEADER = re.compile(r"[!-~]+")
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Pauses:
    """Random pauses that grow, so that many who failed together don't come back together."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next(self) -> float:
        """Return how many seconds to pause now."""
        pause = self._next * random.uniform(0.5, 1)
        self._next = min(2 * self._next, self._longest)
        return pause

    def begin_anew(self) -> None:
        """Make the next pause a short one again."""
        self._next = self._first


@dataclass(frozen=True)
class _Call:
    """One call, the same whenever it is sent again."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False

    def failed(self, detail: str, **ids: Any) -> Unavailable:
        """Return the error for a call that was sent and not answered by the hub."""
        return (OutcomeUnknown if self.changes else Unavailable)(detail, **ids)


class _Connections:
    """The connections to one hub, shared by all keys; streams have their own, since each keeps one to itself."""

    def __init__(self, url: str, stream_url: str, transport: httpx.AsyncBaseTransport | None) -> None:
        self.calls = httpx.AsyncClient(
            base_url=_address(url),
            limits=httpx.Limits(
                max_connections=_MOST_CONNECTIONS,
                max_keepalive_connections=_MOST_CONNECTIONS,
                keepalive_expiry=_KEEP_ALIVE,
            ),
            transport=transport,
            trust_env=not _is_near(url),
        )
        self._stream_url = _address(stream_url)
        self.are_closed = False

    @cached_property
    def streams(self) -> httpx.AsyncClient:
        """The client for streams, made when the first one is opened."""
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        near = _is_near(str(self._stream_url))
        return httpx.AsyncClient(base_url=self._stream_url, limits=unlimited, trust_env=not near)

    async def aclose(self) -> None:
        """Close them all; streams end."""
        self.are_closed = True
        await self.calls.aclose()
        if "streams" in self.__dict__:
            await self.streams.aclose()


class Transport:
    """Sends calls under one key, and gets an answer or an error of the tree within the timeout."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float,
        tries: int,
        transport: httpx.AsyncBaseTransport | None = None,
        stream_url: str | None = None,
        breaks: bool = False,
        introduces: Introduces | None = None,
    ) -> None:
        self.url = url
        self.away = Away(breaks=breaks)
        self.formats: Formats | None = None  # as long as nobody has read the tenant's declarations
        self._connections = _Connections(url, stream_url or url, transport)
        self._key = key
        self._agent_id: str | None = None
        self._introduces = introduces
        self._timeout = timeout
        self._tries = max(1, tries)

    def under(self, key: str, agent_id: str | None = None) -> Transport:
        """Return the same transport, on the same connections, with another key, and for whom that calls."""
        other = copy(self)
        other._key = key
        other._agent_id = agent_id
        other.formats = None  # it may be another tenant's
        return other

    @property
    def key(self) -> str:
        """The key that it sends under."""
        return self._key

    @property
    def is_closed(self) -> bool:
        """Tell whether `aclose` was called."""
        return self._connections.are_closed

    async def aclose(self) -> None:
        """Close the connections, for all keys."""
        await self._connections.aclose()

    async def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, etag: str | None = None
    ) -> httpx.Response:
        """Read; with an `etag`, 304 says that nothing has changed since."""
        return await self._send(_Call("GET", path, given(params), headers=given({"If-None-Match": etag})))

    async def ask(self, path: str, body: Any) -> httpx.Response:
        """Read by POST, as is done where the question must not stand in a URL."""
        return await self._send(_Call("POST", path, body=written(body), headers={"Content-Type": "application/json"}))

    async def change(
        self, method: str, path: str, body: Any, *, key: str | None = None, if_version: int | None = None
    ) -> httpx.Response:
        """Write once, however often it must be sent; without a `key` it gets one of its own."""
        return await self.tell(method, path, body, key=key or uuid.uuid4().hex, if_version=if_version)

    async def tell(
        self, method: str, path: str, body: Any, *, key: str | None = None, if_version: int | None = None
    ) -> httpx.Response:
        """Write what is recognised the second time by ids of its own, even without a `key`."""
        match = None if if_version is None else f'"{if_version}"'
        headers = {"Content-Type": "application/json", "Idempotency-Key": fit(key), "If-Match": match}
        return await self._send(_Call(method, path, body=written(body), headers=given(headers), changes=True))

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, Any], last: str | None, silence: float
    ) -> AsyncIterator[httpx.Response]:
        """Open a stream after the event `last`; it breaks after so many seconds without a byte."""
        client = self._connections.streams
        headers = given({"Accept": "text/event-stream", "Cache-Control": "no-store", "Last-Event-ID": fit(last)})
        limits = httpx.Timeout(self._timeout, read=silence)
        request = client.build_request("GET", path, params=given(params), headers=self._signed(headers), timeout=limits)
        with self._watched():
            async with asyncio.timeout(self._timeout):
                response = await client.send(request, stream=True)
        try:
            await _refuse_problem(response)
            yield response
        finally:
            await response.aclose()

    async def _send(self, call: _Call) -> httpx.Response:
        """Send a call until it is answered, refused, or out of time; not at all while the hub is known to be away."""
        self.away.admit()
        ends_at = _now() + self._timeout
        pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        doubt: OutcomeUnknown | None = None
        tries_left = self._tries
        while True:
            tries_left -= 1
            try:
                with self._watched():
                    return await self._try(call, (ends_at - _now()) * (_SHARE_OF_A_TRY if tries_left else 1))
            except (Unavailable, TooMany) as error:
                doubt = error if isinstance(error, OutcomeUnknown) else doubt
                pause = _pause_after(error, pauses)
                if not tries_left or pause is None or _now() + pause >= ends_at:
                    final = doubt or error  # what may have happened stays in doubt, whatever came after
                    raise final from final.__cause__
            await asyncio.sleep(pause)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Note what becomes of a call: any answer shows that the hub is there."""
        began = _now()
        try:
            yield
        except asyncio.CancelledError:
            self.away.gave_up(_now() - began)
            raise
        except (Unavailable, httpx.RequestError, TimeoutError) as error:
            self.away.failed(error)
            raise
        except CtxhubError:
            self.away.worked()
            raise
        self.away.worked()

    async def _try(self, call: _Call, seconds: float) -> httpx.Response:
        """Send a call once, and after it to where the customer has moved."""
        try:
            async with asyncio.timeout(seconds):
                response = await self._follow(call, httpx.Timeout(seconds, connect=seconds / 2, pool=seconds / 2))
        except _NEVER_SENT as error:
            raise Unavailable(f"the hub can't be reached: {error or type(error).__name__}") from error
        except (httpx.RequestError, TimeoutError) as error:
            raise call.failed(f"the hub did not answer: {error or type(error).__name__}") from error
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        raise _error_of(response, call)

    async def _follow(self, call: _Call, limits: httpx.Timeout) -> httpx.Response:
        """Send a call, and again as long as the answer is that it has moved."""
        client = self._connections.calls
        response = await self._send_once(client, call, limits)
        for _ in range(_MOST_MOVES):
            location = new_home(response)
            if location is None:
                break
            response = await self._send_once(client, replace(call, path=location, params={}), limits)
        return response

    async def _send_once(self, client: httpx.AsyncClient, call: _Call, limits: httpx.Timeout) -> httpx.Response:
        """Send exactly one request."""
        return await client.request(
            call.method,
            call.path,
            params=call.params or None,
            content=call.body,
            headers=self._signed(call.headers),
            timeout=limits,
        )

    def _signed(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Add the key, and the span that the call is made in; a key that no header can carry is not valid either."""
        if _FIT_FOR_A_HEADER.fullmatch(self._key) is None:
            raise Unauthenticated("a key consists of visible ASCII characters")
        introduced = self._introduces() if self._introduces is not None else {}
        if self._agent_id:
            introduced = {**introduced, "X-Ctxhub-Agent": quote(self._agent_id, errors="surrogatepass")}
        return {**headers, **here(), **introduced, "Authorization": f"Bearer {self._key}"}


def segment(text: str) -> str:
    """Write an id as one segment of a path."""
    if not text:
        raise Invalid("an id in a path can't be empty")
    if not text.strip("."):
        return "%2E" * len(text)  # or the path would be shortened by it
    return quote(text, safe="@", errors="surrogatepass")


def fit(text: str | None) -> str | None:
    """Return what is to travel in a header; refused if none can carry it."""
    if text is not None and _FIT_FOR_A_HEADER.fullmatch(text) is None:
        raise Invalid("a key or mark consists of visible ASCII characters")
    return text


def given(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in (fields or {}).items() if value is not None}


def written(body: Any) -> bytes:
    """Write a body as JSON: of values, what was set."""
    try:
        return _ANYTHING.dump_json(body, exclude_unset=True, exclude_none=True)
    except (PydanticSerializationError, UnicodeError) as error:
        raise Invalid(f"this can't be written as JSON in UTF-8: {error}") from error


def read(kind: type[V], response: httpx.Response) -> V:
    """Read an answer; fields that this client does not know yet are left out."""
    try:
        return kind.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        path = response.request.url.path
        raise CtxhubError(f"this client does not understand the hub's answer to {path}: {error}") from error


def new_home(response: httpx.Response) -> str | None:
    """Return where a customer has moved, as an address at the same hub: the key goes nowhere else."""
    location = response.headers.get("Location")
    if response.status_code != httpx.codes.PERMANENT_REDIRECT or not location:
        return None
    asked = response.request.url
    return str(asked.join(location).copy_with(scheme=asked.scheme, netloc=asked.netloc))


def asked_wait(error: Exception) -> float | None:
    """Return how many seconds the hub asks to wait, if it does."""
    wait = error.ids.get("retry_after") if isinstance(error, CtxhubError) else None
    return float(wait) if isinstance(wait, int | float) else None


async def _refuse_problem(response: httpx.Response) -> None:
    """Raise what a stream was answered instead of being opened."""
    if response.status_code == httpx.codes.OK:
        return
    await response.aread()
    raise _error_of(response, _Call("GET", response.request.url.path))


def _error_of(response: httpx.Response, call: _Call) -> CtxhubError:
    """Turn an answer that is not a success into its error; what came from a proxy leaves a write in doubt."""
    problem, wait = _problem(response), given({"retry_after": _retry_after(response)})
    if response.is_server_error and "code" not in problem:
        return call.failed(f"the way to the hub is disturbed: status {response.status_code}", **wait)
    return from_problem(response.status_code, wait | problem | given({"location": new_home(response)}))


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document; what is none counts as empty."""
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that Retry-After asks for, given as a number or as a date."""
    header = response.headers.get("Retry-After", "")
    if re.fullmatch(r"\d+(\.\d+)?", header):
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _pause_after(error: CtxhubError, pauses: Pauses) -> float | None:
    """Return how long to wait before the next try; None when there is no use in it."""
    wait = asked_wait(error)
    if wait is None and isinstance(error, TooMany):
        return None
    return (wait or 0.0) + pauses.next()


def _address(url: str) -> httpx.URL:
    """Check a hub's address before anything is sent there."""
    address = httpx.URL(url)
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError(f"{url!r} is no address of a hub: write it like https://ctx.example.com")
    return address


def _is_near(url: str) -> bool:
    """Tell whether an address is on this machine, where no proxy belongs in between."""
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _now() -> float:
    """Return the loop's own time, which no clock change disturbs."""
    return asyncio.get_running_loop().time()
