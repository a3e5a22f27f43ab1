"""Tokens of an identity provider that is not ours: `oidc-provider` issues them, a hub reads its keys over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from ctxhub.api.auth import COOLDOWN, FRESH_FOR, KEPT_FOR, Issuer
from ctxhub.store.embedded import EmbeddedServer
from tests.api.living import http_to, living, settings_for
from tests.api.scenes import Caller, Scene, fresh, ok, problem
from tests.client.running import RunningHub
from tests.interop.held import Times, trust
from tests.interop.issuing import AUDIENCE, RunningIssuer


@pytest.fixture(scope="module")
def hub(issuer: RunningIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub in a process of its own, which takes the provider's tokens."""
    named = {"ISSUER": issuer.url, "AUDIENCE": AUDIENCE, "JWKS": issuer.jwks}
    environ = {f"CTXHUB_JWT_{name}": value for name, value in named.items()}
    hub = RunningHub(tmp_path_factory.mktemp("hub"), environ)
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
async def http(hub: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=hub.url, timeout=30, trust_env=False) as http:
        yield http


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What stands in a token: its header and its claims."""
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return head, claims


async def test_a_customer_is_handed_from_a_channel_to_an_agent_by_the_providers_tokens(
    issuer: RunningIssuer, http: httpx.AsyncClient
) -> None:
    channel, ann = Caller(http, await issuer.token("channels")), Caller(http, await issuer.token("ann"))
    assert read(channel.key)[0] == {"alg": "RS256", "typ": "at+jwt", "kid": "first"}
    body = {"channel": "chat", "external_id": fresh("chat")}
    scene = Scene(channel, ok(await channel.post("/v1/interactions", body), 201))
    await scene.tell(scene.fact("order_id", "A-17"))
    handoff = await scene.offer({"queue": "billing"})
    accept = f"/v1/handoffs/{handoff['handoff_id']}/accept"
    problem(await ann.post(accept, {"agent_id": "bob"}), 403, "forbidden")
    assert ok(await ann.post(accept, {"agent_id": "ann"}))["handoff"]["state"] == "accepted"


async def test_a_token_of_the_provider_for_another_audience_is_refused(
    issuer: RunningIssuer, http: httpx.AsyncClient
) -> None:
    ok(await Caller(http, await issuer.token("channels")).get("/v1/tenant"))
    other = await issuer.token("channels", "https://other.example.com")
    assert read(other)[1]["aud"] == "https://other.example.com"
    found = problem(await Caller(http, other).get("/v1/tenant"), 401, "unauthenticated")
    assert found["detail"] == "the token is not valid"


async def test_a_token_of_a_tenant_that_is_not_declared_is_refused(
    issuer: RunningIssuer, http: httpx.AsyncClient
) -> None:
    problem(await Caller(http, await issuer.token("stranger")).get("/v1/tenant"), 401, "unauthenticated")


async def test_a_scope_that_the_provider_granted_narrows_the_token(
    issuer: RunningIssuer, http: httpx.AsyncClient
) -> None:
    narrow = Caller(http, await issuer.token("channels", scope="interactions"))
    body = {"channel": "chat", "external_id": fresh("chat")}
    ok(await narrow.post("/v1/interactions", body), 201)
    problem(await narrow.get("/v1/tenant"), 403, "forbidden")


class Stage(NamedTuple):
    """A hub whose clock for tokens the test holds, and the way there."""

    http: httpx.AsyncClient
    times: Times

    async def status(self, token: str) -> int:
        """Return what comes of a call with a token."""
        return (await Caller(self.http, token).get("/v1/tenant")).status_code


@pytest.fixture
async def stage(own_issuer: RunningIssuer, interop_server: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Stage]:
    """A hub in this process; it takes the provider's tokens by a clock in hand."""
    own_issuer.start("first", "RS256")
    settings = settings_for(
        tmp_path, interop_server.url, jwt_issuer=own_issuer.url, jwt_audience=AUDIENCE, jwt_jwks=own_issuer.jwks
    )
    trusted = Issuer.of(settings)
    assert trusted is not None
    async with living(settings) as app, http_to(app) as http:
        yield Stage(http, trust(app, trusted))


async def test_a_token_of_the_provider_is_refused_once_it_has_expired(own_issuer: RunningIssuer, stage: Stage) -> None:
    token = await own_issuer.token("channels")
    assert await stage.status(token) == 200
    stage.times.now += 3600 - 60
    assert await stage.status(token) == 200
    stage.times.now += 120
    assert await stage.status(token) == 401


async def test_a_key_rotated_at_the_provider_is_known_after_one_refresh(
    own_issuer: RunningIssuer, stage: Stage
) -> None:
    before = await own_issuer.token("channels")
    assert await stage.status(before) == 200
    own_issuer.start("second", "ES256")
    after = await own_issuer.token("channels")
    assert read(after)[0]["kid"] == "second"
    assert await stage.status(after) == 401  # the set was read just now
    stage.times.now += COOLDOWN
    assert await stage.status(after) == 200
    stage.times.now += KEPT_FOR
    assert await stage.status(before) == 401


async def test_a_provider_that_goes_away_ends_nothing_that_is_cached(own_issuer: RunningIssuer, stage: Stage) -> None:
    used, unused = await own_issuer.token("channels"), await own_issuer.token("ann")
    assert await stage.status(used) == 200
    own_issuer.stop()
    stage.times.now += max(FRESH_FOR, KEPT_FOR) + 1
    assert [await stage.status(token) for token in (used, unused)] == [200, 200]
    stage.times.now += FRESH_FOR
    assert await stage.status(unused) == 200
