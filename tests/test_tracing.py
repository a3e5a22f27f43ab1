"""Spans as a real collector gets them: a tree for each request, links from channel to channel, nobody's name."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from redis import Redis
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from ctxhub.client import ContextHub, Stopping
from ctxhub.model.trace import Link
from ctxhub.server import create_app
from ctxhub.settings import CannotStart, Settings
from ctxhub.tracing import MOST_LINKS, Tracing
from tests.api.living import ADMIN_KEY, TENANT, Callers, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, redeem
from tests.collecting import Collector, Seen, collecting
from tests.hub.receiving import SECRET, Receiver, receiving, saying

PHONE = "+8613712345670"
NAME = "Zhang Weiwei"
VALUE = "the blue one with wheels"
NOBODY = "a-key-of-nobodys"
OFFER, REDEEM = "POST /v1/handoffs", "POST /v1/handoffs/redeem"
ACCEPT, COMPLETE = "POST /v1/handoffs/{handoff_id}/accept", "POST /v1/handoffs/{handoff_id}/complete"
START, TELL = "POST /v1/interactions", "POST /v1/customers/{customer_id}/events"
CONTEXT, STREAM = "GET /v1/customers/{customer_id}/context", "GET /v1/customers/{customer_id}/stream"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Watched:
    """A hub, and the collector that it sends its spans to."""

    app: ASGIApp
    http: httpx.AsyncClient
    callers: Callers
    collector: Collector

    async def settled(self) -> Collector:
        """The collector, once it has every span of the calls so far: they come in the order in which they end."""
        mark = secrets.token_hex(16)
        await self.callers.admin.get("/v1/keys", headers={"traceparent": f"00-{mark}-{'1' * 16}-01"})
        while mark not in {span.trace_id for span in self.collector.spans}:
            await asyncio.sleep(0.01)
        self.collector.spans = [span for span in self.collector.spans if span.trace_id != mark]
        return self.collector


@pytest.fixture(scope="module")
async def running(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """A hub for all tests of this file, with a source and a webhook declared that nothing leads to yet."""
    folder = tmp_path_factory.mktemp("traced")
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        patch.setenv("HOOK_SECRET", SECRET)
        async with receiving() as crm, receiving() as hook:
            crm.answer, hook.answer = saying("200 OK", orjson.dumps({"facts": {"segment": "gold"}})), saying("500 Oh")
            settings = settings_for(folder, redis_url, traces=collector.url, webhook_allow="127.0.0.1")
            _declare(folder, crm, hook)
            async with living(settings) as app, http_to(app) as http:
                yield Watched(app, http, await Callers(http).make(), collector)


def _declare(folder: Path, crm: Receiver, hook: Receiver) -> None:
    """Let a tenant have a source for what begins in a store, and a webhook for who is taken there."""
    there = {"secret": "HOOK_SECRET"}
    crm_ = there | {"url": crm.url, "facts": ["segment"], "deadline_ms": 2000, "good_for": 60, "channels": ["store"]}
    more = {"sources": {"crm": crm_}, "webhooks": {"crm": there | {"url": hook.url, "events": ["journey.started"]}}}
    text = TENANT + "\n".join(f"{name}: {json.dumps(said)}" for name, said in more.items())
    (folder / "tenants" / "default.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def hub(running: Watched) -> Watched:
    running.collector.begin_anew()
    return running


async def a_way(callers: Callers) -> Scene:
    """A customer's way: called, sent on to the chat, from there to an agent, who finishes it."""
    call = await begin(
        callers.adapter, "ivr", customer_id=fresh("c"), assurance={"level": 2, "method": "pin"},
        identifiers=[{"type": "phone", "value": PHONE, "strength": "verified"}],
    )  # fmt: skip
    await call.tell(call.fact("full_name", NAME), call.fact("card_number", VALUE, sensitivity="sensitive"))
    link = await call.offer({"channel": "chat"}, note=VALUE)
    chat = await redeem(callers.adapter, link["token"])
    waiting = await chat.offer({"queue": "billing"})
    taken = await accept(callers.ann, waiting["handoff_id"], "ann")
    done = {"agent_id": "ann", "fence": taken["fence"]}
    ok(await callers.ann.post(f"/v1/handoffs/{waiting['handoff_id']}/complete", done))
    return call


def only(collector: Collector, name: str) -> Seen:
    [span] = collector.of(name)
    return span


async def test_a_customers_way_can_be_followed_by_links_from_channel_to_channel(hub: Watched) -> None:
    await a_way(hub.callers)
    told = await hub.settled()
    call, [away, on] = only(told, START), told.of(OFFER)
    chat, agent, end = only(told, REDEEM), only(told, ACCEPT), only(told, COMPLETE)
    assert set(away.links) == {call.named}
    assert set(chat.links) == {away.named}
    assert set(on.links) == {chat.named}
    assert set(agent.links) == {on.named}
    assert set(end.links) == {on.named}
    assert [list(span.links[before.named]) for span, before in ((away, call), (chat, away))] == [
        ["ctxhub.interaction.id"],
        ["ctxhub.handoff.id"],
    ]
    assert len({span.trace_id for span in (call, away, chat, on, agent, end)}) == 6


async def test_each_request_is_a_span_by_its_route_with_the_scripts_that_it_ran(hub: Watched) -> None:
    await a_way(hub.callers)
    told = await hub.settled()
    call, tell = only(told, START), only(told, TELL)
    assert (call.kind, call.parent_id) == ("server", "")
    assert call.attributes == {
        "http.request.method": "POST", "url.scheme": "http", "http.route": "/v1/interactions",
        "http.response.status_code": 201,
    }  # fmt: skip
    assert {"EVALSHA load", "EVALSHA commit"} <= told.below(call)
    assert told.below(tell) & {"EVALSHA append", "EVALSHA commit"}
    script = next(span for span in told.of("EVALSHA commit") if span.parent_id == call.span_id)
    assert script.kind == "client"
    assert script.attributes == {
        "db.system.name": "redis", "db.operation.name": "EVALSHA", "db.stored_procedure.name": "commit",
    }  # fmt: skip
    assert not any(span.failed for span in told.spans)
    assert {span.kind for span in told.spans if not span.parent_id} == {"server"}  # nothing of what goes on beside


async def test_a_span_names_nobody_and_nothing_that_was_said(hub: Watched) -> None:
    call = await a_way(hub.callers)
    nobody = Caller(hub.http, NOBODY)
    await nobody.get(f"/v1/customers/{PHONE}/context", headers={"user-agent": NAME}, interaction_id=NAME)
    await nobody.get(f"/{NAME}", headers={"traceparent": NAME, "tracestate": f"crm={PHONE[1:]}"})
    told = await hub.settled()
    said = b"".join(told.raw)
    assert told.of(CONTEXT)
    for secret in (PHONE, PHONE[3:], NAME, VALUE, call.customer_id, ADMIN_KEY, NOBODY):
        assert secret.encode() not in said
    assert told.makers == {"ctxhub"}
    assert {one["service.name"] for one in told.resources} == {"ctxhub"}
    allowed = {"http.request.method", "http.route", "http.response.status_code", "url.scheme", "db.system.name",
               "db.operation.name", "db.stored_procedure.name", "db.operation.batch.size"}  # fmt: skip
    assert {name for span in told.spans for name in span.attributes} <= allowed


async def test_what_is_kept_of_spans_is_shown_to_nobody(hub: Watched, redis_url: str) -> None:
    call = await a_way(hub.callers)
    admin, told = hub.callers.admin, await hub.settled()
    assert told.spans
    places = ("context", "timeline", "timeline/whole")
    shown = [await admin.get(f"{call.base}/{place}") for place in places]
    assert {answer.status_code for answer in shown} == {200}
    assert not [span for span in told.spans for answer in shown if span.span_id in answer.text]


async def test_a_callers_span_is_the_parent_and_what_names_none_begins_a_trace(hub: Watched) -> None:
    odd = ["00-" + "0" * 32 + CALLER[35:], CALLER + "-more", CALLER.upper()]
    left_out = CALLER[:-2] + "00"
    for traceparent in [CALLER, "cc" + CALLER[2:] + "-more", left_out, *odd]:
        ok(await hub.callers.supervisor.get("/v1/queues/billing", headers={"traceparent": traceparent}))
    honoured, later, *anew = (await hub.settled()).of("GET /v1/queues/{queue}")
    assert {(span.trace_id, span.parent_id) for span in (honoured, later)} == {(CALLER[3:35], CALLER[36:52])}
    assert [span.parent_id for span in anew] == ["", "", ""]


async def test_the_sdk_sends_the_active_span_on(hub: Watched) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a channel")
    key = hub.callers.supervisor.key
    async with ContextHub("http://hub.test", key, transport=httpx.ASGITransport(app=hub.app)) as sdk:
        with tracer.start_as_current_span("a turn of the dialogue") as span:
            await sdk.queues.show("billing")
        await sdk.queues.show("billing")
    inside, outside = (await hub.settled()).of("GET /v1/queues/{queue}")
    at = span.get_span_context()
    assert (inside.trace_id, inside.parent_id) == (f"{at.trace_id:032x}", f"{at.span_id:016x}")
    assert outside.parent_id == ""


async def test_what_a_channels_page_asks_the_hub_stands_below_it(hub: Watched) -> None:
    login = {"key": hub.callers.ann.key, "agent_id": "ann", "queue": "billing"}
    ok(await hub.http.post("/desk/api/login", json=login, headers={"X-Ctxhub-Desk": "1"}))
    told = await hub.settled()
    assert "GET /v1/handoffs" in told.below(only(told, "POST /desk/api/login"))


async def test_calls_out_are_spans_by_host_and_lead_on(hub: Watched) -> None:
    shop = await known(hub.callers.adapter, "store")
    await shop.journey()
    while len((await hub.settled()).of("POST")) < 2:
        await asyncio.sleep(0.02)

    call = only(hub.collector, START)
    [asked] = [span for span in hub.collector.of("POST") if span.parent_id]
    [sent, *_] = [span for span in hub.collector.of("POST") if not span.parent_id]
    assert (asked.trace_id, asked.parent_id) == (call.trace_id, call.span_id)
    assert (asked.attributes["server.address"], asked.attributes["http.response.status_code"]) == ("127.0.0.1", 200)
    assert (sent.kind, sent.failed, sent.attributes["error.type"]) == ("client", True, "500")
    assert set(sent.attributes) == {
        "http.request.method", "server.address", "server.port", "http.response.status_code", "error.type",
    }  # fmt: skip


async def test_a_stream_is_told_as_it_begins_and_keeps_no_span_open(hub: Watched) -> None:
    scene, sent, over = await known(hub.callers.adapter), [], asyncio.Event()

    async def receive() -> Any:
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    streaming = asyncio.create_task(hub.app(_stream(scene.base, hub.callers.adapter.key), receive, send))
    while len(sent) < 2:
        await asyncio.sleep(0.01)
    stream = only(await hub.settled(), STREAM)  # while it goes on
    over.set()
    await streaming
    assert (sent[0]["status"], stream.attributes["http.response.status_code"]) == (200, 200)


def _stream(base: str, key: str) -> dict[str, Any]:
    """A call for a customer's stream."""
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"accept", b"text/event-stream")]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": f"{base}/stream", "raw_path": f"{base}/stream".encode(), "query_string": b"", "root_path": "",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "state": {},
    }  # fmt: skip


async def test_what_fails_says_so_in_a_word_and_the_log_names_the_span(hub: Watched, redis_url: str) -> None:
    scene = await known(hub.callers.adapter)
    with Redis.from_url(redis_url) as redis:
        [context] = redis.keys(f"*:{scene.customer_id}:context")
        redis.delete(context)
        redis.set(context, "no hash")
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            assert (await hub.callers.admin.get(f"{scene.base}/context")).status_code == 503
        redis.delete(context)
    failed = [span for span in (await hub.settled()).spans if span.failed]
    assert {span.attributes["error.type"] for span in failed} == {"503", "ResponseError"}
    span = only(hub.collector, CONTEXT)
    ids = {(line["trace_id"], line["span_id"]) for line in lines if line["event"].startswith("request.")}
    assert ids == {(span.trace_id, span.span_id)}


async def test_a_collector_that_takes_and_never_answers_harms_nobody(tmp_path: Path, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with living(settings_for(tmp_path, redis_url, traces=there)) as app, http_to(app) as http:
            await a_way(await Callers(http).make())
            ended = time.monotonic()
        assert time.monotonic() - ended < 2.5  # of the five seconds in which a hub is gone


async def test_nothing_is_told_unless_it_is_set(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Redis.from_url(redis_url) as redis, collecting() as collector:
        redis.flushall()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
        async with living(settings_for(tmp_path, redis_url)) as app, http_to(app) as http:
            await a_way(await Callers(http).make())
        assert collector.raw == []
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)


async def test_the_standard_variables_say_where_and_as_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "hub-of-the-bank")
        tracing = Tracing("otel")
        with tracing.request("GET", "https", None):
            pass
        await tracing.aclose()
    assert only(collector, "GET").attributes["url.scheme"] == "https"
    assert {one["service.name"] for one in collector.resources} == {"hub-of-the-bank"}


async def test_links_are_bounded_and_never_to_oneself() -> None:
    with collecting() as collector:
        tracing = Tracing(f"{collector.url}/v1/traces")
        steps = [Link("handoff", f"ho_{n}", f"{CALLER[:-5]}{n:02x}-01") for n in range(20)]
        with tracing.request("BREW", "http", None):
            here = tracing.here()
            assert here is not None
            tracing.follow([Link("handoff", "ho_self", here), *steps])
        assert tracing.here() is None
        await tracing.aclose()
    span = only(collector, "HTTP")
    assert span.attributes["http.request.method"] == "_OTHER"
    assert len(span.links) == MOST_LINKS
    assert "ho_self" not in str(span.links)


def test_a_start_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ctxhub.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(CannotStart, match=r"install ctxhub\[otel\]"):
        create_app(settings_for(tmp_path, "unix:///nowhere", traces="http://127.0.0.1:4318"), Stopping())


def test_a_start_with_a_standard_variable_that_is_none_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(CannotStart, match=r"an OTEL_\* variable can't be read: .*max_queue_size"):
        create_app(settings_for(tmp_path, "unix:///nowhere", traces="otel"), Stopping())


@pytest.mark.parametrize("bad", ["collector", "grpc://collector:4317", "http:///v1", "http://c/v1/traces?key=1"])
def test_an_address_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(CannotStart, match=r"^CTXHUB_TRACES: write the collector's whole address") as refused:
        Settings.from_env({"CTXHUB_TRACES": f"{bad}"})
    assert bad == "collector" or bad not in str(refused.value)
