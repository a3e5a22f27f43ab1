"""Errors as problem documents (RFC 9457), and the borders that every request passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ctxhub.api.bodies import MAX_BODY, Bodies
from ctxhub.errors import (
    CtxhubError,
    Forbidden,
    HeadersTooLarge,
    Invalid,
    Malformed,
    Merged,
    Moved,
    TooLarge,
    TooSlow,
    Unauthenticated,
    Unavailable,
    Unknown,
    WrongMediaType,
)
from ctxhub.metrics import REQUEST_SECONDS, REQUESTS
from ctxhub.model.event import in_words
from ctxhub.model.never_kept import cleaned, cleaned_text
from ctxhub.model.value import rfc3339

log = structlog.get_logger()
PROBLEM = "application/problem+json"
_RETRY_AFTER = 1
READS = {"GET", "HEAD"}
JSON = "application/json"
#: What may repeat a part of the request.
_MAY_ECHO = ("detail", "errors")
MAX_QUERY = 8 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
_SAFE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_PRIVATE = (b"cache-control", b"no-store")
#: What is not a page is never shown in a frame and runs nothing, whatever a browser takes it for.
_NO_PAGE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_BODIES = {"POST", "PUT", "PATCH", "DELETE"}


def problem_response(error: CtxhubError, request: Request | None = None) -> Response:
    """Turn an error into its problem document, with the headers that go with it.

    Whoever reads of a customer who is another one now is sent there, which is no problem.
    """
    if isinstance(error, Merged) and request is not None:
        if not request.path_params.get("customer_id"):
            return problem_response(Unavailable(f"{error.detail}: a merge is under way", **error.ids))
        if request.method in READS:
            return Response(orjson.dumps(error.ids), error.status, _headers(error, request), JSON)
    told = {k: v for k, v in error.ids.items() if v is not None and k != "policy"}
    shown = {k: rfc3339(v) if isinstance(v, datetime) else v for k, v in told.items()}
    body = {
        "type": f"urn:ctxhub:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "remedy": error.remedy,
        **shown,
    }
    body |= {name: cleaned(body[name]).value for name in _MAY_ECHO if name in body}
    headers = _headers(error, request)
    return Response(orjson.dumps(body, default=str), error.status, headers, PROBLEM)


def _headers(error: CtxhubError, request: Request | None) -> dict[str, str]:
    """Return what the caller needs beside the document."""
    if isinstance(error, Unavailable) or error.status == 429:
        return {"Retry-After": str(error.ids.get("retry_after", _RETRY_AFTER))} | _rate_limit(error)
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Moved) and request is not None:
        return {"Location": _new_home(request, error)}
    if isinstance(error, TooSlow):
        return {"Connection": "close"}
    return {"ETag": f'"{error.ids["version"]}"'} if error.status == 412 else {}


def _rate_limit(error: CtxhubError) -> dict[str, str]:
    """Return which limit was met, as draft-ietf-httpapi-ratelimit-headers spells it."""
    if "policy" not in error.ids:
        return {}
    name, most, window = error.ids["policy"]
    left = f'"{name}";r=0;t={error.ids["retry_after"]}'
    return {"RateLimit-Policy": f'"{name}";q={most};w={window}', "RateLimit": left}


def _new_home(request: Request, error: Moved) -> str:
    """Return the same address at the customer to whom it moved; what is told there says to whom it was told first."""
    old = request.path_params.get("customer_id", "")
    path = request.url.path.replace(f"/customers/{old}", f"/customers/{error.ids['customer_id']}", 1)
    came = [f"was={quote(old, safe='')}"] if request.method == "POST" and path.endswith("/events") else []
    query = "&".join([*filter(None, [request.url.query]), *came])
    return f"{path}?{query}" if query else path


def install(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Let every error of the app become a problem document; one about a method names all that go, from its routes."""
    app.state.allow = _allow(route for route in routes if isinstance(route, Route))
    app.add_exception_handler(CtxhubError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _not_routed)


def _allow(routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """Return what is said at each path of the methods that go there."""
    methods: dict[str, set[str]] = {}
    for route in routes:
        methods.setdefault(route.path, set()).update(route.methods or ())
    return {path: {"Allow": ", ".join(sorted(allowed))} for path, allowed in methods.items()}


async def _refused(request: Request, error: Exception) -> Response:
    """Answer one of our own errors."""
    assert isinstance(error, CtxhubError)
    if error.status >= 500:
        log.warning("request.not_done", code=error.code, reason=error.detail)
    return problem_response(error, request)


async def _not_valid(request: Request, error: Exception) -> Response:
    """Answer a request whose fields have faults, each with its JSON pointer."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(fault["type"] == "json_invalid" or _is_missing_body(fault) for fault in found):
        return problem_response(Malformed("the body is not JSON in UTF-8"))
    faults = [{"pointer": _pointer(fault["loc"]), "detail": in_words(fault["msg"])} for fault in found]
    return problem_response(Invalid(f"{faults[0]['pointer']}: {faults[0]['detail']}", errors=faults))


def _is_missing_body(fault: Any) -> bool:
    """Tell whether there was no body at all."""
    return bool(fault["type"] == "missing" and tuple(fault["loc"]) == ("body",))


def _pointer(path: tuple[Any, ...]) -> str:
    """Spell where a fault is: a JSON pointer into the body, or the parameter's name."""
    inside = path[1:] if path and path[0] in ("body", "query", "path") else path
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in inside)


async def _not_routed(request: Request, error: Exception) -> Response:
    """Answer what no route takes."""
    assert isinstance(error, HTTPException)
    kinds: dict[int, type[CtxhubError]] = {403: Forbidden, 404: Unknown, 413: TooLarge, 415: WrongMediaType}
    if error.status_code == 400:
        return problem_response(Malformed("the body is not JSON in UTF-8"))
    if error.status_code in kinds:
        return problem_response(kinds[error.status_code](f"{request.method} {request.url.path} is not there"))
    body = {
        "type": "about:blank",
        "title": str(error.detail),
        "status": error.status_code,
        "code": "method_not_allowed",
        "detail": cleaned_text(f"{request.method} {request.url.path} is not there"),
        "remedy": "Use a method that the header Allow names.",
    }
    path = getattr(request.scope.get("route"), "path", "")
    # Each method is a route of its own, and the router names the first that it meets.
    headers = dict(error.headers or {}) | request.app.state.allow.get(path, {})
    return Response(orjson.dumps(body), error.status_code, headers, PROBLEM)


class Borders:
    """Lets in whole bodies of JSON up to 1 MiB; counts and times every request; no fault comes out as a bare 500."""

    def __init__(self, app: ASGIApp, json_below: str = "/v1/", bodies: Bodies | None = None) -> None:
        self._app = app
        self._json_below = json_below
        self._bodies = bodies or Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is refused."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        watch = _Watch(send, scope["path"].startswith(self._json_below))
        try:
            receive = await self._let_in(scope, receive)
        except CtxhubError as refused:
            await problem_response(refused)(scope, receive, watch)
        else:
            await self._app(scope, receive, watch)
        finally:
            _counted(scope, watch.status, time.perf_counter() - began)

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        """Return what brings the body of a request; one that is not declared as it must be is refused unread."""
        _check_head(scope)
        if scope["method"] not in _BODIES:
            return receive
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise TooLarge(f"a body has at most {MAX_BODY} bytes")
        has_body = length != b"0" or b"transfer-encoding" in headers
        if has_body and scope["path"].startswith(self._json_below) and not _is_json(headers):
            raise WrongMediaType("the body is not declared as JSON")
        return await self._bodies.whole(receive)


class _Watch:
    """Sends on with the headers that every answer has, and notes the status."""

    def __init__(self, send: Send, is_data: bool) -> None:
        self._send = send
        self._safe = (*_SAFE, _PRIVATE, _NO_PAGE) if is_data else _SAFE
        self.status = 500

    async def __call__(self, message: Message) -> None:
        """Send a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            said = {name for name, _ in headers}
            message["headers"] = [*headers, *(header for header in self._safe if header[0] not in said)]
        await self._send(message)


def _check_head(scope: Scope) -> None:
    """Refuse a query or headers that are longer than anybody needs."""
    headers, length = scope["headers"], 0
    for name, said in headers:
        length += len(name) + len(said)
    if len(headers) > MAX_HEADERS or length > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"headers are at most {MAX_HEADERS}, and {MAX_HEADER_BYTES} bytes")
    if len(scope["query_string"]) > MAX_QUERY:
        raise Invalid(f"a query has at most {MAX_QUERY} bytes")


def _is_json(headers: dict[bytes, bytes]) -> bool:
    """Tell whether a body is declared as JSON."""
    declared = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    return declared == b"application/json" or declared.endswith(b"+json")


def _counted(scope: Scope, status: int, seconds: float) -> None:
    """Count and time one request by its route, never by its path, which names customers."""
    requests, lasted = _series(scope["method"], getattr(scope.get("route"), "path", "none"), status)
    requests.inc()
    lasted.observe(seconds)


@lru_cache(maxsize=2048)
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return what counts such requests, and what times them; to find them takes longer than to count."""
    return REQUESTS.labels(method, route, str(status)), REQUEST_SECONDS.labels(route)


AnyRequest = TypeVar("AnyRequest", bound=Request)


async def guarded(request: AnyRequest, handler: Callable[[AnyRequest], Awaitable[Response]]) -> Response:
    """Answer a fault of our own as unavailable, logged with its trace: what happened can't be told."""
    try:
        return await handler(request)
    except (CtxhubError, RequestValidationError, HTTPException, asyncio.CancelledError):
        raise
    except ClientDisconnect:
        return problem_response(Malformed("the caller went away before the body was whole"))
    except Exception:  # a caller is never shown a fault of ours
        log.exception("request.failed", route=getattr(request.scope.get("route"), "path", ""))
        return problem_response(Unavailable("the hub met a fault of its own; it is logged"))
