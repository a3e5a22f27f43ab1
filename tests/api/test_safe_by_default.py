"""What is safe without anybody setting it: headers of every answer, limits, and no page of a strange origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from ctxhub.api.calls import MAX_DEPTH
from ctxhub.store.embedded import EmbeddedServer
from tests.api.living import ADMIN_KEY, http_to, living, settings_for
from tests.api.scenes import Caller, fresh, known, ok, phone, problem, start_body

ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
async def narrow(api_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    """An admin of a hub with small limits, and one origin whose pages may call it."""
    more = {"limit_key": 40, "limit_customer": 5, "limit_lookup": 3, "cors": ORIGIN}
    async with (
        living(settings_for(tmp_path_factory.mktemp("narrow"), api_server.url, **more)) as app,
        http_to(app) as http,
    ):
        yield Caller(http, ADMIN_KEY)


@pytest.mark.parametrize("path", ["/v1/tenant", "/v1/nowhere", "/health/live", "/docs", "/desk/", "/metrics"])
async def test_every_answer_has_the_headers_that_keep_browsers_from_guessing(
    http: httpx.AsyncClient, admin: Caller, path: str
) -> None:
    for response in (await http.get(path), await admin.get(path)):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "referrer-policy" in response.headers
        if path.startswith("/v1/"):
            assert response.headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("origin", [ORIGIN, "null", "http://127.0.0.1"])
async def test_no_page_of_another_origin_may_read_anything(admin: Caller, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for response in (await admin.get("/v1/tenant", asked), await admin.call("OPTIONS", "/v1/tenant", asked)):
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_only_pages_of_the_origins_set_may_read(narrow: Caller) -> None:
    allowed = await narrow.get("/v1/tenant", {"Origin": ORIGIN})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in allowed.headers
    for origin in ("https://evil.example.com", "null", ORIGIN + ".evil"):
        refused = await narrow.get("/v1/tenant", {"Origin": origin})
        assert "access-control-allow-origin" not in refused.headers


async def test_headers_and_queries_that_nobody_needs_are_refused(http: httpx.AsyncClient, admin: Caller) -> None:
    problem(await admin.get("/v1/tenant", {"X-A": "a" * 40_000}), 431, "headers_too_large")
    problem(await admin.get("/v1/tenant", {f"X-{n}": "a" for n in range(120)}), 431, "headers_too_large")
    problem(await admin.get("/v1/tenant", a="a" * 9000), 422, "invalid")


@pytest.mark.parametrize("path", ["/v1/interactions", "/v1/handoffs", "/v1/keys", "/v1/customers/c/events"])
async def test_a_body_that_is_nested_too_deep_is_refused_everywhere(admin: Caller, path: str) -> None:
    deep = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)
    json = {"Content-Type": "application/json"}
    problem(await admin.call("POST", path, json, content=f'{{"a": {deep}}}'), 400, "malformed")


async def test_a_customers_calls_over_the_limit_are_told_to_wait(narrow: Caller) -> None:
    path = f"/v1/customers/{fresh('c')}/context"
    answers = await asyncio.gather(*[narrow.get(path) for _ in range(12)])
    over = [answer for answer in answers if answer.status_code == 429]
    assert over
    assert {answer.status_code for answer in answers} == {404, 429}
    problem(over[0], 429, "too_many")
    assert over[0].headers["ratelimit-policy"] == '"customer";q=5;w=1'
    assert over[0].headers["ratelimit"] == '"customer";r=0;t=1'


async def test_a_keys_calls_over_the_limit_are_told_which_limit_and_how_long_to_wait(narrow: Caller) -> None:
    made = ok(await narrow.post("/v1/keys", {"name": fresh("k"), "role": "adapter"}), 201)
    busy = Caller(narrow.http, made["key"])  # of its own: whoever calls next is not to find the second used up
    answers = await asyncio.gather(*[busy.get("/v1/tenant") for _ in range(100)])
    over = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    problem(over[0], 429, "too_many")
    said = [over[0].headers[name] for name in ("ratelimit-policy", "ratelimit", "retry-after")]
    assert said == ['"key";q=40;w=1', '"key";r=0;t=1', "1"]


async def test_identifiers_can_not_be_tried_in_turn(narrow: Caller) -> None:
    made = ok(await narrow.post("/v1/keys", {"name": fresh("k"), "role": "adapter"}), 201)
    curious = Caller(narrow.http, made["key"])  # of its own: others have looked up by the first key within the minute
    answers = [await curious.post("/v1/customers/lookup", {"identifier": phone()}) for _ in range(3)]
    answers.append(await curious.post("/v1/context/lookup", {"identifier": phone()}))
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"lookup";q=3;w=60'


async def test_identifiers_can_not_be_tried_in_turn_as_those_of_a_caller_either(narrow: Caller) -> None:
    made = ok(await narrow.post("/v1/keys", {"name": fresh("k"), "role": "adapter"}), 201)
    scene = await known(Caller(narrow.http, made["key"]))
    answers = [await scene.caller.post(f"{scene.place}/identify", {"identifiers": [phone()]}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"lookup";q=3;w=60'


async def test_a_key_narrowed_to_scopes_channels_and_queues_does_no_more(
    http: httpx.AsyncClient, admin: Caller
) -> None:
    async def key(**narrowed: object) -> Caller:
        made = ok(await admin.post("/v1/keys", {"name": fresh("k"), "role": "adapter"} | narrowed), 201)
        return Caller(http, made["key"])

    scene = await known(admin)
    reading = await key(scopes=["context:read"])
    ok(await reading.get(f"{scene.base}/context"))
    problem(await reading.post(f"{scene.base}/events", {"events": [scene.fact("a", 1)]}), 403, "forbidden")
    problem(await reading.post("/v1/interactions", start_body()), 403, "forbidden")
    chat = await key(channels=["chat"])
    ok(await chat.post("/v1/interactions", start_body("chat")), 201)
    problem(await chat.post("/v1/interactions", start_body("ivr")), 403, "forbidden")
    problem(await chat.get("/v1/channels/ivr/stream"), 403, "forbidden")
    cards = await key(queues=["cards"])
    ok(await cards.get("/v1/queues/cards"))
    problem(await cards.get("/v1/queues/billing"), 403, "forbidden")


async def test_a_ticket_for_an_origin_is_worth_nothing_elsewhere(http: httpx.AsyncClient, admin: Caller) -> None:
    path = "/v1/queues/billing/stream"
    for origin in ("https://evil.example.com", "null", ""):
        ticket = ok(await admin.post("/v1/tickets", {"for": path, "origin": ORIGIN}), 201)["ticket"]
        headers = {"Origin": origin} if origin else {}
        problem(await http.get(path, params={"ticket": ticket}, headers=headers), 401, "unauthenticated")
