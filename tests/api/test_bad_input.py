"""Whatever comes in gets the status and code of the contract, naming field and remedy; nothing is half written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.responses import JSONResponse, Response
from starlette.types import Message
from structlog.testing import capture_logs

from ctxhub.api.calls import JsonRequest
from ctxhub.api.problems import guarded
from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, begin, fresh, known, ok, phone, pointers, problem, start_body

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}


class Untouched:
    """Makes sure that what was refused has left nothing behind."""

    def __init__(self, scene: Scene, admin: Caller) -> None:
        self._scene = scene
        self._admin = admin

    async def __aenter__(self) -> Scene:
        self._before = await self._all()
        return self._scene

    async def __aexit__(self, *_: object) -> None:
        assert await self._all() == self._before

    async def _all(self) -> tuple[Any, ...]:
        path = f"{self._scene.base}/context"
        return ok(await self._admin.get(path)), await self._scene.all_told(self._admin)


@pytest.fixture
async def untouched(adapter: Caller, admin: Caller) -> Untouched:
    """A customer who must come out of it as before."""
    scene = await known(adapter)
    await scene.tell(scene.fact("order_id", "A-17"))
    return Untouched(scene, admin)


def nested(depth: int) -> Any:
    """A value nested so deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD_BODIES = [
    (b"", 400, "malformed"),
    (b"null", 422, "invalid"),
    (b"[]", 422, "invalid"),
    (b"5", 422, "invalid"),
    (b'"events"', 422, "invalid"),
    (b"{", 400, "malformed"),
    (b"{'events': []}", 400, "malformed"),
    (b'{"events": [}', 400, "malformed"),
    (b'{"events": NaN}', 400, "malformed"),
    (b'{"events": Infinity}', 400, "malformed"),
    (b'{"events": [1,]}', 400, "malformed"),
    (b'{"events": 1} {"events": 2}', 400, "malformed"),
    (b'{"events": "\xff\xfe"}', 400, "malformed"),
    (b'{"events": "\xed\xa0\x80"}', 400, "malformed"),
    (b'{"events": "\\ud800"}', 400, "malformed"),
    (b'{"events": "\\udc00\\ud800"}', 400, "malformed"),
    (b'\xef\xbb\xbf{"events": []}', 400, "malformed"),
    (b'{"events": []}'.decode().encode("utf-16"), 400, "malformed"),
    (b'{"events": "\x00"}', 400, "malformed"),
    (b"[" * 100_000, 400, "malformed"),
    (b'{"events":' * 50_000, 400, "malformed"),
    (b"\x1f\x8b\x08\x00", 400, "malformed"),
]


@pytest.mark.parametrize("path", ["/v1/customers/{}/events", "/v1/interactions", "/v1/handoffs"])
@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES)
async def test_what_is_no_json_object_is_refused(
    untouched: Untouched, path: str, body: bytes, status: int, code: str
) -> None:
    async with untouched as scene:
        where = path.format(scene.customer_id)
        problem(await scene.caller.call("POST", where, JSON, content=body), status, code)


@pytest.mark.parametrize("declared", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ""])
@pytest.mark.parametrize("path", ["/v1/customers/{}/events", "/v1/interactions"])
async def test_a_body_that_is_not_declared_as_json_is_415(untouched: Untouched, path: str, declared: str) -> None:
    async with untouched as scene:
        body = orjson.dumps({"events": [scene.fact("a", 1)]})
        response = await scene.caller.call(
            "POST", path.format(scene.customer_id), {"Content-Type": declared}, content=body
        )
        problem(response, 415, "wrong_media_type")


@pytest.mark.parametrize(
    "declared", ["application/json; charset=utf-8", "application/merge-patch+json", "Application/JSON"]
)
async def test_json_may_be_declared_in_other_words(adapter: Caller, declared: str) -> None:
    body = orjson.dumps(start_body())
    ok(await adapter.call("POST", "/v1/interactions", {"Content-Type": declared}, content=body), 201)


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    """A body without a length."""
    for start in range(0, len(body), 64 * 1024):
        yield body[start : start + 64 * 1024]


@pytest.mark.parametrize("path", ["/v1/customers/{}/events", "/v1/interactions", "/v1/handoffs", "/v1/tickets"])
async def test_a_body_over_one_mebibyte_is_413_whether_its_length_is_told_or_not(
    untouched: Untouched, path: str
) -> None:
    async with untouched as scene:
        where, big = path.format(scene.customer_id), b'{"events": "' + b"a" * MIB + b'"}'
        problem(await scene.caller.call("POST", where, JSON, content=big), 413, "too_large")
        problem(await scene.caller.call("POST", where, JSON, content=in_chunks(big)), 413, "too_large")


async def test_a_body_in_chunks_under_the_limit_is_fine(adapter: Caller) -> None:
    scene = await known(adapter)
    body = orjson.dumps({"events": [scene.event("x.bulk", {"text": "a" * 60_000}) for _ in range(10)]})
    ok(await adapter.call("POST", f"{scene.base}/events", JSON, content=in_chunks(body)))


@pytest.mark.parametrize("size", [65_537, 300 * 1024])
@pytest.mark.parametrize(
    ("type_", "field", "rest"),
    [
        ("message.received", "text", {}),
        ("note.added", "text", {}),
        ("fact.stated", "value", {"name": "a"}),
        ("input.collected", "value", {"prompt": "a", "mode": "speech"}),
        ("journey.suspended", "reason", {}),
    ],
)
async def test_a_text_over_64_kib_is_refused_where_it_stands(
    untouched: Untouched, type_: str, field: str, rest: dict[str, Any], size: int
) -> None:
    async with untouched as scene:
        refused = await scene.try_tell(scene.event(type_, rest | {field: "a" * size}, journey_id=None))
        assert f"/events/0/data/{field}" in pointers(refused)


async def test_a_text_of_64_kib_is_taken_whole(adapter: Caller) -> None:
    scene = await known(adapter)
    for text in ("a" * 65_536, "订" * 21_845):
        version = (await scene.tell(scene.event("message.received", {"text": text})))["version"]
        assert (await scene.timeline(after=version - 1))[0]["data"]["text"] == text
    assert pointers(await scene.try_tell(scene.event("message.received", {"text": "订" * 21_846})))


async def test_free_data_has_a_limit_too(untouched: Untouched) -> None:
    async with untouched as scene:
        refused = await scene.try_tell(scene.event("x.bulk", {"text": "a" * 200_000}))
        assert pointers(refused) == ["/events/0/data"]


UNKNOWN = {"colour": "red"}


async def test_unknown_fields_are_refused_everywhere_save_in_free_data(untouched: Untouched) -> None:
    async with untouched as scene:
        caller, names = scene.caller, {"customer_id": scene.customer_id, "interaction_id": scene.interaction_id}
        offer = names | {"reason": "a", "to": {"queue": "q"}}
        tries = {
            "/colour": [
                await caller.post("/v1/interactions", start_body() | UNKNOWN),
                await caller.post("/v1/handoffs", offer | UNKNOWN),
                await caller.post(f"{scene.base}/events", {"events": [scene.fact("a", 1)]} | UNKNOWN),
                await caller.post(f"{scene.base}/asks", {"interaction_id": "a", "names": ["a"]} | UNKNOWN),
                await caller.post(f"{scene.place}/end", UNKNOWN),
                await caller.post("/v1/context/lookup", {"identifier": phone()} | UNKNOWN),
                await caller.post("/v1/tickets", {"for": "/v1/queues/q/stream"} | UNKNOWN),
            ],
            "/events/0/colour": [await scene.try_tell(scene.fact("a", 1) | UNKNOWN)],
            "/events/0/data/colour": [await scene.try_tell(scene.event("note.added", {"text": "a"} | UNKNOWN))],
            "/identifiers/0/colour": [
                await caller.post("/v1/interactions", start_body(identifiers=[phone() | UNKNOWN]))
            ],
            "/assurance/colour": [await caller.post("/v1/interactions", start_body(assurance=UNKNOWN))],
            "/refs/0/colour": [
                await caller.post("/v1/interactions", start_body(refs=[{"system": "a", "id": "b"} | UNKNOWN]))
            ],
            "/to/colour": [await caller.post("/v1/handoffs", offer | {"to": {"queue": "q"} | UNKNOWN})],
        }
        for pointer, responses in tries.items():
            for response in responses:
                assert pointer in pointers(response), response.text


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("channel", 5), ("channel", "No Channel"), ("channel", None), ("external_id", 5), ("external_id", ""),
        ("external_id", "a" * 257), ("external_id", "a\u0000"), ("system", ["a"]), ("direction", "sideways"),
        ("touchpoint", {"a": 1}), ("language", "klingon!"), ("refs", {"system": "a"}), ("identifiers", "phone"),
        ("customer_id", 42), ("assurance", 2), ("assurance", {"level": 9}), ("assurance", {"level": -1}),
        ("assurance", {"level": 1, "expires_in": 0}), ("handoff", "token"), ("party", "nobody"),
    ],
)  # fmt: skip
async def test_a_start_with_a_wrong_field_names_it(adapter: Caller, field: str, wrong: Any) -> None:
    refused = await adapter.post("/v1/interactions", start_body() | {field: wrong})
    assert all(pointer.startswith(f"/{field}") for pointer in pointers(refused))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("event_id", 5), ("event_id", ""), ("event_id", "a" * 129), ("event_id", "a\u0000"), ("event_id", None),
        ("type", 5), ("interaction_id", 5), ("interaction_id", "in\u0000"), ("journey_id", []), ("party", "ghost"),
        ("at", "noon"), ("at", "2026-11-22T10:00:00"), ("at", "2026-13-01T00:00:00Z"), ("at", {}), ("at", 10**30),
        ("at", "0001-01-01T00:00:00+14:00"), ("at", "9999-12-31T23:59:59-14:00"), ("at", ""), ("at", -(10**15)),
        ("data", []), ("data", "text"), ("data", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("type_", ["fact.stated", "note.added"])
async def test_an_event_with_a_wrong_field_names_it(untouched: Untouched, type_: str, field: str, wrong: Any) -> None:
    data = {"name": "a", "value": 1} if type_ == "fact.stated" else {"text": "a"}
    async with untouched as scene:
        content = orjson.dumps({"events": [scene.event(type_, data) | {field: wrong}]}) if wrong != 10**30 else None
        content = content or b'{"events": [{"event_id": "e", "type": "x.a", "at": 1e30}]}'
        refused = await scene.caller.call("POST", f"{scene.base}/events", JSON, content=content)
        assert all(pointer.startswith(f"/events/0/{field}") for pointer in pointers(refused))


@pytest.mark.parametrize(
    ("identifier", "detail"),
    [
        ({"type": "card", "value": "4111"}, "a card's value is its whole number"),
        ({"type": "email", "value": "call me"}, "this is no e-mail address"),
        ({"type": "account", "value": "a\n1"}, "control characters are not allowed"),
        ({"type": "account", "value": "a" * 10_240}, "String should have at most 256 characters"),
    ],
)
async def test_an_identifier_that_is_none_is_named_where_it_stands_and_in_plain_words(
    adapter: Caller, identifier: dict[str, str], detail: str
) -> None:
    named = await known(adapter)
    for response, pointer in (
        (await adapter.post("/v1/customers/lookup", {"identifier": identifier}), "/identifier/value"),
        (await adapter.post("/v1/interactions", start_body(identifiers=[phone(), identifier])), "/identifiers/1/value"),
        (await adapter.post(f"{named.base}/identifiers", identifier), "/value"),
    ):
        (fault,) = problem(response, 422, "invalid")["errors"]
        assert fault["pointer"] == pointer
        assert fault["detail"].startswith(detail)


async def test_a_due_time_at_the_edge_of_the_calendar_is_refused_or_kept(untouched: Untouched) -> None:
    async with untouched as scene:
        for due in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
            promise = scene.event("commitment.made", {"what": "a", "owner": "b", "due_at": due})
            assert pointers(await scene.try_tell(promise)) == ["/events/0/data/due_at"]


@pytest.mark.parametrize(
    "number", ["9007199254740993", "18446744073709551615", "-9223372036854775808", "1e308", "0.1", "-0.0", "1e-300"]
)
async def test_a_number_that_can_be_written_again_comes_back_the_same(adapter: Caller, number: str) -> None:
    scene = await known(adapter)
    told = orjson.dumps({"events": [scene.fact("a", 0)]}).replace(b'"value":0', f'"value":{number}'.encode())
    ok(await adapter.call("POST", f"{scene.base}/events", JSON, content=told))
    assert (await scene.context())["facts"]["a"]["value"] == orjson.loads(number)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400])
@pytest.mark.parametrize("type_", ["x.number", "fact.stated"])
async def test_a_number_without_bounds_is_refused(untouched: Untouched, type_: str, number: str) -> None:
    async with untouched as scene:
        told = orjson.dumps({"events": [scene.event(type_, {"name": "a", "value": 0})]})
        content = told.replace(b'"value":0', f'"value":{number}'.encode())
        refused = await scene.caller.call("POST", f"{scene.base}/events", JSON, content=content)
        assert refused.status_code in (400, 422), refused.text


@pytest.mark.parametrize("fence", [10**30, -(10**30), 1.5, True, "one", 2**63, -1])
async def test_a_fence_that_nobody_gave_out_is_refused(untouched: Untouched, fence: Any) -> None:
    async with untouched as scene:
        words = orjson.dumps({"events": [scene.event("message.sent", {"text": "a", "fence": 0}, party="bot")]})
        spelt = str(fence).lower() if isinstance(fence, bool | int | float) else f'"{fence}"'
        content = words.replace(b'"fence":0', f'"fence":{spelt}'.encode())
        refused = await scene.caller.call("POST", f"{scene.base}/events", JSON, content=content)
        assert refused.status_code in (409, 422), refused.text


async def test_a_huge_fence_in_a_report_is_refused_or_kept_but_no_fault(adapter: Caller) -> None:
    scene = await known(adapter)
    for fence in (b"1e30", b"1" + b"0" * 30, b"-1e30", b"9223372036854775808"):
        words = scene.event("message.sent", {"text": "a", "delivered": True, "fence": 0}, party="bot")
        content = orjson.dumps({"events": [words]}).replace(b'"fence":0', b'"fence":' + fence)
        told = await adapter.call("POST", f"{scene.base}/events", JSON, content=content)
        assert told.status_code in (200, 422), told.text


@pytest.mark.parametrize("depth", [30, 200, 253, 254, 255, 300, 500, 1000, 1023, 1025, 5000])
@pytest.mark.parametrize("type_", ["x.deep", "fact.stated", "input.collected", "message.received"])
async def test_nesting_is_kept_or_refused_but_no_fault(adapter: Caller, admin: Caller, type_: str, depth: int) -> None:
    scene = await known(adapter)
    shallow: dict[str, dict[str, Any]] = {
        "x.deep": {"value": 0}, "fact.stated": {"name": "a", "value": 0},
        "message.received": {"text": "", "attachments": [{"a": 0}]},
        "input.collected": {"prompt": "a", "value": 0, "mode": "click"},
    }  # fmt: skip
    data = shallow[type_]
    body = orjson.dumps({"events": [scene.event(type_, data)]})
    deep = b"[" * depth + b"1" + b"]" * depth
    content = body.replace(b'"a":0', b'"a":' + deep).replace(b'"value":0', b'"value":' + deep)
    response = await adapter.call("POST", f"{scene.base}/events", JSON, content=content)
    assert response.status_code in (200, 400, 422), response.text
    if response.is_success:
        assert depth <= 253
        assert (await scene.all_told(admin))[-1]["data"].keys() == data.keys()
        await scene.context()
    else:
        assert depth > 30
        assert response.json()["errors"] if response.status_code == 422 else True


async def test_ten_thousand_facts_end_in_context_full_with_what_fills_it(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    journey_id = await scene.journey("hoarding")
    told = 0
    for batch in range(100):
        facts = [scene.fact(f"fact {batch} {n}", "a" * 20, journey_id=journey_id) for n in range(100)]
        async with asyncio.timeout(20):
            response = await scene.try_tell(*facts)
        if not response.is_success:
            break
        told += 100
    refused = problem(response, 422, "context_full")
    assert refused["largest"]
    assert journey_id in str(refused["largest"]) or "fact" in str(refused["largest"])
    assert 100 < told < 10_000
    context = ok(await admin.get(f"{scene.base}/context"))
    assert len(context["facts"]) == told
    assert context["version"] == told + 2
    await scene.tell(scene.event("message.received", {"text": "still here"}))
    await scene.tell(scene.event("journey.completed", journey_id=journey_id))
    await scene.tell(scene.fact("room again", 1))


PLACES = ["context", "timeline", "stream", "events", "asks", "identifiers"]
STRANGE = [
    "%2F",
    "a%2Fb",
    "..%2F..%2Fetc",
    "%00",
    "a%00b",
    "%0A",
    "a" * 129,
    "a" * 4000,
    "%ED%A0%80",
    "%FF",
    "客户",
    "%25",
    "%20",
]


@pytest.mark.parametrize("customer_id", STRANGE)
async def test_a_customer_with_an_impossible_id_is_not_there(adapter: Caller, admin: Caller, customer_id: str) -> None:
    event = {"event_id": "e", "type": "note.added", "data": {"text": "a"}}
    bodies: dict[str, Any] = {
        "events": {"events": [event]}, "asks": {"interaction_id": "in_1", "names": ["a"]}, "identifiers": phone(),
    }  # fmt: skip
    for place in PLACES:
        path = f"/v1/customers/{customer_id}/{place}"
        response = await (adapter.post(path, bodies[place]) if place in bodies else admin.get(path))
        assert response.status_code in (404, 405), (path, response.text)
        assert response.json()["code"] in ("customer_unknown", "unknown", "method_not_allowed")
    gone = await admin.call("DELETE", f"/v1/customers/{customer_id}")
    assert gone.status_code in (404, 405), gone.text


@pytest.mark.parametrize("strange", STRANGE)
async def test_impossible_names_in_paths_are_not_there(adapter: Caller, admin: Caller, strange: str) -> None:
    scene = await known(adapter)
    for path in (
        f"/v1/handoffs/{strange}", f"{scene.base}/interactions/{strange}/end",
        f"{scene.base}/interactions/{strange}/refs", f"/v1/handoffs/{strange}/accept", f"/{strange}", f"/v1/{strange}",
    ):  # fmt: skip
        body = (
            {"agent_id": "ann"}
            if path.endswith("accept")
            else {"refs": [{"system": "a", "id": "b"}]}
            if path.endswith("refs")
            else {}
        )
        method = {"accept": "POST", "end": "POST", "refs": "PUT"}.get(path.rsplit("/", 1)[1], "GET")
        response = await admin.call(method, path, **({} if method == "GET" else {"json": body}))
        assert response.status_code in (307, 404, 405), (path, response.text)  # 307: without the slash at the end
    queue = await admin.get(f"/v1/queues/{strange}")
    assert queue.status_code in (200, 404, 422), queue.text


@pytest.mark.parametrize("strange", ["", "%00", "a%00b", "%0A", "a" * 129, "a" * 4000, "%ED%A0%80", "%FF", "客户"])
async def test_impossible_names_in_queries_are_refused_or_not_there(
    adapter: Caller, admin: Caller, strange: str
) -> None:
    scene = await known(adapter)
    for path in (
        f"{scene.base}/context?interaction_id={strange}", f"{scene.base}/timeline?interaction_id={strange}",
        f"{scene.base}/stream?interaction_id={strange}", f"{scene.base}/stream?ticket={strange or 'x'}",
        f"/v1/handoffs?queue={strange}&state={strange}", f"/v1/numbers?from={strange}",
        f"{scene.base}/timeline?after={strange}", f"{scene.base}/context?min_version={strange}",
        f"{scene.base}/stream?after={strange}x",
    ):  # fmt: skip
        response = await admin.get(path)
        assert response.status_code in (401, 404, 422), (path, response.text)
    listed = await admin.get(f"/v1/interactions?channel={strange}")
    assert listed.status_code in (200, 422), listed.text


@pytest.mark.parametrize("number", [-1, 10**16, 10**30, 10**400, "1e3", "0x10", " 1", "²", "१२"])
async def test_versions_that_can_not_be_are_refused(adapter: Caller, admin: Caller, number: Any) -> None:
    scene = await known(adapter)
    for query in ("timeline?after=", "timeline?before=", "context?min_version="):
        response = await admin.get(f"{scene.base}/{query}{number}")
        assert response.status_code in (200, 409, 422), response.text
    after = await admin.get(f"{scene.base}/stream?after={number}")
    assert pointers(after)[0] in ("Last-Event-ID", "/after")
    for header in ("²", "-1", "1-", "a", "9" * 30):
        response = await admin.get(f"{scene.base}/stream", {"Last-Event-ID": header.encode("latin-1")})
        assert pointers(response) == ["Last-Event-ID"]
        queue = await admin.get("/v1/queues/billing/stream", {"Last-Event-ID": header.encode("latin-1")})
        assert pointers(queue) == ["Last-Event-ID"]
    beyond = await admin.get("/v1/queues/billing/stream", {"Last-Event-ID": f"{'9' * 20}-{'9' * 20}"})
    assert pointers(beyond) == ["Last-Event-ID"]


async def test_what_is_not_there_and_what_does_not_go_is_said_as_a_problem(
    http: httpx.AsyncClient, adapter: Caller
) -> None:
    problem(await http.get("/nowhere"), 404, "unknown")
    problem(await http.get("/v1/nowhere"), 404, "unknown")
    goes = {
        ("GET", "/v1/context/lookup"): "POST",
        ("PATCH", "/v1/interactions"): "GET, POST",
        ("DELETE", "/v1/handoffs"): "GET, POST",
        ("PUT", "/v1/customers/c1/identifiers"): "DELETE, POST",
    }
    for (method, path), allowed in goes.items():
        refused = await adapter.call(method, path)
        assert problem(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == allowed


@pytest.mark.parametrize("key", ["", "a b", "é", "\u00ff" * 10, "a" * 10_000, "Bearer x", "\t"])
async def test_a_strange_key_is_no_key(http: httpx.AsyncClient, key: str) -> None:
    response = await http.get("/v1/tenant", headers={b"Authorization": f"Bearer {key}".encode("latin-1")})
    problem(response, 401, "unauthenticated")


async def test_ids_of_another_tenant_lead_nowhere(callers: Callers) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"channel": "chat"})
    other = callers.other_adapter
    problem(await other.post(f"/v1/handoffs/{handoff['handoff_id']}/cancel"), 404, "handoff_unknown")
    problem(await other.post("/v1/handoffs/redeem", start_body("chat", token=handoff["token"])), 404, "handoff_unknown")
    mine = phone()
    await begin(callers.adapter, identifiers=[mine], customer_id=fresh("c"))
    problem(await other.post("/v1/customers/lookup", {"identifier": mine}), 404, "customer_unknown")


async def test_a_caller_who_goes_before_the_body_is_whole_is_no_fault_of_ours() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def reads(request: JsonRequest) -> Response:
        return JSONResponse(await request.json())

    request = JsonRequest({"type": "http", "method": "POST", "path": "/", "headers": []}, gone)
    with capture_logs() as logged:
        answer = await guarded(request, reads)
    assert answer.status_code == 400
    assert logged == []
