"""What an issuer may answer instead of its keys, and what callers of the hub get then: an end in time, said clearly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.types import ASGIApp

from ctxhub.api.auth import COOLDOWN, FRESH_FOR, KEPT_FOR, LONGEST_READ, Issuer
from ctxhub.store.embedded import EmbeddedServer
from tests.api.living import http_to, living, settings_for
from tests.api.scenes import Caller, problem
from tests.interop.held import Times, trust

ISSUER, AUDIENCE = "https://login.example.com", "https://ctx.example.com"
KEY = RSAKey.generate_key(2048)
SET = json.dumps({"keys": [KEY.as_dict(private=False) | {"kid": "one"}]}).encode()

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(body: bytes, status: str = "200 OK", head: str = "", length: int | None = None) -> Answer:
    """An answer that comes at once; `length` is said in the head instead of the true one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = f"HTTP/1.1 {status}\r\ncontent-length: {len(body) if length is None else length}\r\n{head}\r\n"
        writer.write(said.encode() + body)
        await writer.drain()

    return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the caller goes."""
    await reader.read()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say a little again and again, so that no single read is slow, and never come to an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        try:
            await asyncio.wait_for(reader.read(1), 0.2)
            return
        except TimeoutError:
            continue


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say something that is no HTTP."""
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()


GOOD = saying(SET)
BAD: dict[str, Answer] = {
    "no JSON": saying(b"<html>come back later</html>"),
    "no text": saying(b"\xff\xfe\x00"),
    "JSON without end": saying(b"[" * 100_000),
    "no object": saying(b"[]"),
    "no list of keys": saying(b'{"keys": {"kid": "one"}}'),
    "keys that are none": saying(b'{"keys": [5, null, "one"]}'),
    "a key that can't be read": saying(b'{"keys": [{"kty": "RSA", "kid": "one", "e": "AQAB"}]}'),
    "no keys": saying(b'{"keys": []}'),
    "too much": saying(SET + b" " * 300_000),
    "half of it": saying(SET[:100], length=len(SET)),
    "elsewhere": saying(b"", "302 Found", "location: /good\r\n"),
    "elsewhere for good": saying(SET, "308 Permanent Redirect", "location: /good\r\n"),
    "a fault": saying(SET, "500 Internal Server Error"),
    "overloaded": saying(SET, "503 Service Unavailable", "retry-after: 3600\r\n"),
    "nothing there": saying(SET, "404 Not Found"),
    "no HTTP": no_http,
}
SLOW: dict[str, Answer] = {"silent": silent, "dripping": dripping}


class Web:
    """What answers in the issuer's place, and how often it was asked for what."""

    def __init__(self) -> None:
        self.answer = GOOD
        self.asked: list[str] = []
        self.url = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call; whoever follows a redirect gets the true keys."""
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        try:
            await (GOOD if path == "/good" else self.answer)(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def answering() -> AsyncIterator[Web]:
    """Something on loopback that answers as it is told."""
    web = Web()
    server = await asyncio.start_server(web.take, "127.0.0.1", 0)
    web.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    async with server:
        yield web


class Stage(NamedTuple):
    """A hub that knows no keys yet, what answers in the issuer's place, and the hub's clock for tokens."""

    http: httpx.AsyncClient
    web: Web
    times: Times

    async def call(self, kid: str = "one") -> httpx.Response:
        """Call the hub with a token that would hold, if its key were known."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "channels", "iat": now, "exp": now + 36_000,
            "tenant": "default", "roles": ["adapter"],
        }  # fmt: skip
        token = jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": kid}, claims, KEY)
        return await Caller(self.http, token).get("/v1/tenant")


@pytest.fixture(scope="module")
async def app(interop_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ASGIApp]:
    """A hub in this process."""
    async with living(settings_for(tmp_path_factory.mktemp("jwks"), interop_server.url)) as app:
        yield app


def issuer_at(where: str) -> Issuer:
    """The issuer, with its keys somewhere."""
    names = {"tenant": "tenant", "role": "roles", "queues": "queues", "skills": "skills"}
    return Issuer(ISSUER, AUDIENCE, where, ("RS256",), names, {"adapter": "adapter"})


@asynccontextmanager
async def staged(app: ASGIApp) -> AsyncIterator[Stage]:
    """The hub, with nothing read yet."""
    async with answering() as web, http_to(app) as http:
        yield Stage(http, web, trust(app, issuer_at(web.url)))


@pytest.fixture
async def stage(app: ASGIApp) -> AsyncIterator[Stage]:
    """The hub, with nothing read yet."""
    async with staged(app) as stage:
        yield stage


async def test_keys_that_are_served_well_let_a_token_in(stage: Stage) -> None:
    assert (await stage.call()).status_code == 200
    problem(await stage.call("unknown"), 401, "unauthenticated")
    assert stage.web.asked == ["/jwks"]


@pytest.mark.parametrize("kind", BAD)
async def test_without_keys_what_is_no_key_set_is_told_as_503_and_asked_for_again_after_a_cooldown(
    stage: Stage, kind: str
) -> None:
    stage.web.answer = BAD[kind]
    found = problem(await stage.call(), 503, "unavailable")
    assert "issuer" in found["detail"]
    assert "example.com" not in json.dumps(found), "where keys are is the operator's business"
    problem(await stage.call(), 503, "unavailable")
    assert stage.web.asked == ["/jwks"]
    stage.web.answer = GOOD
    stage.times.now += COOLDOWN
    assert (await stage.call()).status_code == 200


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "no keys"])
async def test_with_keys_what_is_no_key_set_ends_nothing_and_an_unknown_key_is_told_as_401(
    stage: Stage, kind: str
) -> None:
    assert (await stage.call()).status_code == 200
    stage.web.answer = BAD[kind]
    stage.times.now += max(FRESH_FOR, KEPT_FOR) + 1
    assert (await stage.call()).status_code == 200
    problem(await stage.call("unknown"), 401, "unauthenticated")
    assert stage.web.asked == ["/jwks", "/jwks"]


async def test_an_issuer_that_takes_all_its_keys_back_is_believed(stage: Stage) -> None:
    assert (await stage.call()).status_code == 200
    stage.web.answer = BAD["no keys"]
    stage.times.now += max(FRESH_FOR, KEPT_FOR) + 1
    problem(await stage.call(), 503, "unavailable")


@pytest.mark.parametrize("kind", SLOW)
async def test_a_slow_issuer_costs_every_waiting_caller_one_bounded_time(stage: Stage, kind: str) -> None:
    stage.web.answer = SLOW[kind]
    began_at = time.monotonic()
    for response in await asyncio.gather(*[stage.call() for _ in range(5)]):
        problem(response, 503, "unavailable")
    assert time.monotonic() - began_at < LONGEST_READ + 1.5
    assert stage.web.asked == ["/jwks"]
    problem(await stage.call(), 503, "unavailable")
    assert time.monotonic() - began_at < LONGEST_READ + 2


async def test_where_nobody_listens_is_told_as_503(app: ASGIApp) -> None:
    async with staged(app) as stage:
        pass
    async with http_to(app) as http:
        problem(await Stage(http, stage.web, trust(app, issuer_at(stage.web.url))).call(), 503, "unavailable")
