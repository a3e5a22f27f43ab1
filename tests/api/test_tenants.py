"""Nothing crosses from tenant to tenant: every route is tried with another tenant's ids, and answers as if of nobody's.

Whoever adds a route adds a row: a call of `/v1` to `MAY` in `test_roles.py`, any other to `BESIDE` here.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from tests.api.crossing import mixed, namesakes
from tests.api.living import Callers
from tests.api.scenes import Scene, begin, fresh, known, ok, phone, problem, start_body
from tests.api.test_roles import MAY, QUERIES, good_body, spelt

MIXED = int(os.environ.get("CTXHUB_MIXED_CALLS", "2000"))

Who = Literal["anybody", "session", "signature", "token"]

#: What is served beside the API, and who may have it: `anybody`, since it is the same for all or begins a session;
#: whoever has a `session` of that adapter's own, a `signature` of the telephone platform's, or a handoff's `token`.
BESIDE: dict[tuple[str, str], Who] = {
    ("GET", "/.well-known/apple-app-site-association"): "anybody",
    ("GET", "/.well-known/assetlinks.json"): "anybody",
    ("GET", "/docs"): "anybody",
    ("GET", "/docs/guides"): "anybody",
    ("GET", "/docs/guides/{name:path}"): "anybody",
    ("GET", "/docs/style.css"): "anybody",
    ("GET", "/llms.txt"): "anybody",
    ("GET", "/llms-full.txt"): "anybody",
    ("GET", "/openapi.json"): "anybody",
    ("GET", "/app/{tenant}/"): "anybody",
    ("GET", "/app/{tenant}/app.css"): "anybody",
    ("GET", "/app/{tenant}/app.js"): "anybody",
    ("POST", "/app/{tenant}/sessions"): "anybody",
    ("POST", "/app/{tenant}/elsewhere"): "session",
    ("POST", "/app/{tenant}/facts"): "session",
    ("GET", "/app/{tenant}/home"): "session",
    ("POST", "/app/{tenant}/human"): "session",
    ("POST", "/app/{tenant}/human/cancel"): "session",
    ("GET", "/app/{tenant}/journeys"): "session",
    ("POST", "/app/{tenant}/journeys"): "session",
    ("POST", "/app/{tenant}/journeys/{journey_id}"): "session",
    ("POST", "/app/{tenant}/journeys/{journey_id}/form"): "session",
    ("POST", "/app/{tenant}/leave"): "session",
    ("POST", "/app/{tenant}/login"): "session",
    ("POST", "/app/{tenant}/messages"): "session",
    ("POST", "/app/{tenant}/resume"): "session",
    ("POST", "/app/{tenant}/secrets"): "session",
    ("GET", "/app/{tenant}/stream"): "session",
    ("GET", "/chat/{tenant}/"): "anybody",
    ("GET", "/chat/{tenant}/chat.css"): "anybody",
    ("GET", "/chat/{tenant}/chat.js"): "anybody",
    ("GET", "/chat/{tenant}/widget.js"): "anybody",
    ("POST", "/chat/{tenant}/sessions"): "anybody",
    ("POST", "/chat/{tenant}/messages"): "session",
    ("POST", "/chat/{tenant}/secrets"): "session",
    ("GET", "/chat/{tenant}/stream"): "session",
    ("GET", "/desk"): "anybody",
    ("GET", "/desk/"): "anybody",
    ("GET", "/desk/overview"): "anybody",
    ("GET", "/desk/static/{name}"): "anybody",
    ("POST", "/desk/api/login"): "anybody",
    ("POST", "/desk/api/logout"): "anybody",
    ("GET", "/desk/api/session"): "anybody",
    ("GET", "/desk/api/customers/{customer_id}"): "session",
    ("POST", "/desk/api/customers/{customer_id}/access"): "session",
    ("GET", "/desk/api/customers/{customer_id}/brief"): "session",
    ("POST", "/desk/api/customers/{customer_id}/facts"): "session",
    ("POST", "/desk/api/customers/{customer_id}/journeys/{journey_id}/claim"): "session",
    ("POST", "/desk/api/customers/{customer_id}/journeys/{journey_id}/done"): "session",
    ("POST", "/desk/api/customers/{customer_id}/messages"): "session",
    ("POST", "/desk/api/customers/{customer_id}/notes"): "session",
    ("POST", "/desk/api/customers/{customer_id}/questions"): "session",
    ("POST", "/desk/api/customers/{customer_id}/reveal"): "session",
    ("GET", "/desk/api/customers/{customer_id}/stream"): "session",
    ("GET", "/desk/api/customers/{customer_id}/timeline"): "session",
    ("GET", "/desk/api/facts"): "session",
    ("GET", "/desk/api/handoffs/{handoff_id}"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/accept"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/attempts"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/cancel"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/complete"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/decline"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/dial"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/receipt"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/renew"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/return"): "session",
    ("POST", "/desk/api/handoffs/{handoff_id}/transfer"): "session",
    ("GET", "/desk/api/held"): "session",
    ("GET", "/desk/api/calls"): "session",
    ("GET", "/desk/api/overview"): "session",
    ("GET", "/desk/api/presence"): "session",
    ("POST", "/desk/api/presence"): "session",
    ("GET", "/desk/api/queue"): "session",
    ("GET", "/desk/api/queue/stream"): "session",
    ("GET", "/desk/api/queues"): "session",
    ("POST", "/ivr/twilio/{tenant}/{step}"): "signature",
    ("GET", "/r/{token}"): "token",
    ("POST", "/r/{token}"): "token",
}
#: What a stranger is answered: 401 or, by the chat, 403 without a session, 403 without a signature, 404 with a token
#: that is nobody's.
STRANGERS = {"session": (401, 403), "signature": (403,), "token": (404,)}
#: A session that the chat never gave to anybody; it goes by the body, not by a cookie.
MADE_UP = {"session": "x" * 40}
SAID = {"/chat/{tenant}/messages": {"text": "a"}, "/chat/{tenant}/secrets": {"secret": "a"}}


def framework_of(app: ASGIApp) -> FastAPI:
    """The application behind its borders."""
    while not isinstance(app, FastAPI):
        app = app._app  # type: ignore[attr-defined]
    return app


def every_route(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Every route, with those of the routers that were included."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from every_route(included.routes) if included is not None else [route]


def routes_of(app: ASGIApp) -> set[tuple[str, str]]:
    """Every route that there is, in the description or not."""
    routes = [route for route in every_route(framework_of(app).routes) if isinstance(route, Route)]
    return {(method, route.path) for route in routes for method in (route.methods or ()) if method != "HEAD"}


def test_every_route_of_the_app_has_a_row(app: ASGIApp) -> None:
    assert routes_of(app) == {*MAY, *BESIDE}


def test_a_new_route_would_be_seen() -> None:
    for new in (("GET", "/v1/everything"), ("POST", "/desk/api/everything"), ("PUT", "/desk/api/presence")):
        assert new not in {*MAY, *BESIDE}


@pytest.mark.parametrize(("method", "path"), [route for route, who in BESIDE.items() if who != "anybody"])
async def test_a_stranger_is_turned_away_beside_the_api_too(http: httpx.AsyncClient, method: str, path: str) -> None:
    names = {"customer_id": "c1", "handoff_id": "ho_1", "journey_id": "jr_1", "token": "x" * 24, "step": "voice"}
    made_up = MADE_UP if path.startswith("/chat/") else {}
    message = made_up | {"message_id": "m1"} | SAID[path] if path in SAID else made_up
    said = {"json": message} if method == "POST" else {"params": made_up}
    where = path.format(tenant="default", **names)
    response = await http.request(method, where, headers={"X-Ctxhub-Desk": "1"}, **said)
    assert response.status_code in STRANGERS[BESIDE[method, path]], response.text


class Nowhere(Scene):
    """What looks like a customer, an interaction, a handoff and a token of somebody's, and is nobody's."""

    def __init__(self, like: Scene, handoff_id: str, token: str) -> None:
        self.customer_id = like.customer_id + "-not"
        self.interaction_id = f"in_{secrets.token_hex(10)}"
        self.started = {"interaction": {"external_id": fresh("nowhere")}}
        self.handoff_id = handoff_id[:-20] + secrets.token_hex(10)
        self.token = token[:-22] + "A" * 22


NAMING = [
    route
    for route in MAY
    if "{customer_id}" in route[1]
    or "{handoff_id}" in route[1]
    or route[1] in ("/v1/handoffs/redeem", "/v1/handoffs/lookup", "/v1/interactions/lookup")
    or route == ("POST", "/v1/handoffs")
]


def without_ids(response: httpx.Response, *ids: str) -> bytes:
    """An answer's bytes without the ids that were asked for."""
    content = response.content
    for name in ids:
        content = content.replace(name.encode(), b"ID")
    return content


def headers_of(response: httpx.Response) -> dict[str, str]:
    """An answer's headers but for its length, which is the ids'."""
    return {name: said for name, said in response.headers.items() if name != "content-length"}


@pytest.mark.parametrize(("method", "path"), NAMING)
async def test_what_is_anothers_answers_to_the_byte_like_what_is_nobodys(
    callers: Callers, method: str, path: str
) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"queue": "billing"})
    nobody = Nowhere(scene, handoff["handoff_id"], handoff["token"])

    async def asked(whose: Scene, handoff_id: str, token: str) -> tuple[Any, ...]:
        body = good_body(path, whose, token) if method != "GET" else None
        said = {} if body is None else {"json": body}
        query = QUERIES.get(path) if method == "GET" else None
        response = await callers.other_admin.call(method, spelt(path, whose, handoff_id), params=query, **said)
        ids = (whose.customer_id, whose.interaction_id, handoff_id, token)
        return response.status_code, headers_of(response), without_ids(response, *ids)

    theirs = await asked(scene, handoff["handoff_id"], handoff["token"])
    assert theirs == await asked(nobody, nobody.handoff_id, nobody.token)
    assert theirs[0] == 404


async def test_identifiers_codes_and_keys_of_another_tenant_lead_nowhere(callers: Callers) -> None:
    mine = phone()
    scene = await begin(callers.adapter, identifiers=[mine], customer_id=fresh("c"))
    handoff = await (await known(callers.adapter, identifiers=[mine])).offer({"channel": "chat"})
    other = callers.other_admin
    for path in ("/v1/customers/lookup", "/v1/context/lookup"):
        theirs, nobodys = await other.post(path, {"identifier": mine}), await other.post(path, {"identifier": phone()})
        assert (theirs.status_code, theirs.content) == (nobodys.status_code, nobodys.content)
    coded = start_body("chat", code=handoff["code"], identifiers=[mine])
    problem(await other.post("/v1/handoffs/redeem", coded), 404, "handoff_unknown")
    assert ok(await other.post("/v1/interactions", start_body(identifiers=[mine])), 201)["known"] is False
    name = fresh("key")
    ok(await callers.admin.post("/v1/keys", {"name": name, "role": "adapter"}), 201)
    for method, path in (("DELETE", f"/v1/keys/{name}"), ("POST", f"/v1/keys/{name}/rotate")):
        body: dict[str, Any] = {"json": {}} if method == "POST" else {}
        problem(await other.call(method, path, **body), 404, "key_unknown")
        problem(await other.call(method, f"{path}?tenant=default", **body), 403, "forbidden")
    assert name not in (await other.get("/v1/keys")).text
    assert name in (await callers.admin.get("/v1/keys")).text
    assert scene.customer_id not in (await other.get("/v1/commitments")).text


async def test_a_ticket_opens_its_makers_stream_only(http: httpx.AsyncClient, callers: Callers) -> None:
    scene = await known(callers.adapter)
    path = f"{scene.base}/stream"
    ticket = ok(await callers.other_admin.post("/v1/tickets", {"for": path}), 201)["ticket"]
    problem(await http.get(path, params={"ticket": ticket}), 404, "customer_unknown")


async def test_metrics_name_no_customer_and_no_key(http: httpx.AsyncClient, callers: Callers) -> None:
    scene = await known(callers.adapter, identifiers=[phone()])
    await scene.tell(scene.fact("order_id", "A-17"))
    shown = (await http.get("/metrics")).text
    assert "ctxhub_requests_total" in shown
    for name in (scene.customer_id, scene.interaction_id, "A-17", callers.adapter.key):
        assert name not in shown


async def test_mixed_calls_half_of_them_cancelled_midway_are_never_answered_with_anothers_data(
    callers: Callers,
) -> None:
    came = await mixed(await namesakes(callers), MIXED)
    assert (came.wrong, came.failed) == ([], [])
    assert len(came.right) > MIXED // 3
