"""One place sends: within its deadline, again where that is safe, and every problem is an error of the tree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ctxhub import errors
from ctxhub.client import (
    ContextHub,
    CtxhubError,
    HeldByAnother,
    Invalid,
    Moved,
    OfferRequest,
    OutcomeUnknown,
    Start,
    Target,
    TooMany,
    Unauthenticated,
    Unavailable,
    told,
)
from tests.client.wire import Script, Wire, answer, in_turn, lose_the_reply, say_nothing, wire

QUEUE = {"queue": "billing", "waiting": 3}
TOLD = {"version": 7, "results": [{"event_id": "e1", "version": 7, "duplicate": False}]}

Do = Callable[[ContextHub], Coroutine[Any, Any, Any]]


def problem(error: CtxhubError) -> dict[str, Any]:
    """The problem document that the API makes of an error."""
    return {
        "type": f"https://ctxhub.example/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "remedy": error.remedy,
        **error.ids,
    }


@asynccontextmanager
async def serving(script: Script, **options: Any) -> AsyncIterator[tuple[Wire, ContextHub]]:
    """A server with a script, and a hub's client for it."""
    async with wire(script) as server, ContextHub(server.url, "ctx_key", **options) as hub:
        yield server, hub


async def read(hub: ContextHub) -> Any:
    return await hub.queues.show("billing")


async def tell(hub: ContextHub) -> Any:
    return await hub.events.tell("c42", told("note.added", event_id="e1", text="hello"))


async def offer(hub: ContextHub) -> Any:
    request = OfferRequest(customer_id="c42", interaction_id="in_1", reason="asked", to=Target(queue="billing"))
    return await hub.handoffs.offer(request)


@pytest.mark.parametrize("error", list(errors.every_error()), ids=lambda error: error.__name__)
async def test_every_problem_comes_back_as_the_error_it_was(error: type[CtxhubError]) -> None:
    sent = error("so it is", handoff_id="ho_1", agent_id=None, errors=[{"pointer": "/a", "detail": "b"}])
    async with serving(answer(error.status, problem(sent)), tries=1) as (_, hub):
        with pytest.raises(error) as caught:
            await read(hub)
    assert type(caught.value) is error
    assert (caught.value.detail, caught.value.ids) == (sent.detail, sent.ids)


@pytest.mark.parametrize("do", [read, tell, offer])
async def test_a_call_whose_reply_was_lost_is_sent_again_unchanged(do: Do) -> None:
    answers: dict[Do, Any] = {read: QUEUE, tell: TOLD, offer: problem(HeldByAnother("ann has it"))}
    status = 409 if do is offer else 200
    async with serving(in_turn(lose_the_reply, answer(status, answers[do]))) as (server, hub):
        if do is offer:
            with pytest.raises(HeldByAnother):
                await do(hub)
        else:
            await do(hub)
    first, second = server.asked
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    assert first.headers == second.headers
    assert ("idempotency-key" in first.headers) is (do is offer)  # events have ids of their own


async def test_two_offers_have_two_idempotency_keys() -> None:
    async with serving(answer(409, problem(HeldByAnother("ann has it")))) as (server, hub):
        for _ in range(2):
            with pytest.raises(HeldByAnother):
                await offer(hub)
    keys = [asked.headers["idempotency-key"] for asked in server.asked]
    assert len(set(keys)) == 2


async def test_a_key_given_by_the_caller_is_the_one_that_is_sent() -> None:
    async with serving(answer(200, TOLD)) as (server, hub):
        await hub.events.tell("c42", told("note.added", text="hello"), key="k-1", if_version=6)
    assert server.asked[0].headers["idempotency-key"] == "k-1"
    assert server.asked[0].headers["if-match"] == '"6"'


async def test_an_unavailable_hub_is_asked_again_after_the_time_it_asks_for() -> None:
    away = answer(503, problem(Unavailable("Redis does not answer")), retry_after="0.2")
    async with serving(in_turn(away, answer(200, QUEUE))) as (server, hub):
        began = time.monotonic()
        assert (await read(hub)).waiting == 3
    assert time.monotonic() - began >= 0.2
    assert len(server.asked) == 2


async def test_a_wait_longer_than_the_deadline_is_not_begun() -> None:
    away = answer(503, problem(Unavailable("Redis does not answer")), retry_after="30")
    async with serving(away, timeout=20.0) as (server, hub):
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await read(hub)
    assert time.monotonic() - began < 10.0
    assert len(server.asked) == 1
    assert caught.value.ids["retry_after"] == 30


@pytest.mark.parametrize(
    ("headers", "requests"), [({}, 1), ({"retry_after": "0"}, 2), ({"retry_after": "Wed, 01 Jan 2020 00:00:00 GMT"}, 2)]
)
async def test_too_many_tries_are_repeated_only_where_the_hub_says_when(headers: Any, requests: int) -> None:
    enough = answer(429, problem(TooMany("enough")), **headers)
    async with serving(enough, tries=2) as (server, hub):
        with pytest.raises(TooMany):
            await read(hub)
    assert len(server.asked) == requests


async def test_a_refusal_is_not_repeated() -> None:
    async with serving(answer(409, problem(HeldByAnother("ann has it", agent_id="ann")))) as (server, hub):
        with pytest.raises(HeldByAnother, match="ann has it") as caught:
            await hub.handoffs.accept("ho_1", "bob")
    assert caught.value.ids["agent_id"] == "ann"
    assert len(server.asked) == 1


@pytest.mark.parametrize(("do", "error"), [(read, Unavailable), (tell, OutcomeUnknown), (offer, OutcomeUnknown)])
async def test_silence_ends_at_the_deadline_and_only_a_write_stays_in_doubt(do: Do, error: type[CtxhubError]) -> None:
    async with serving(say_nothing, timeout=1.5) as (_, hub):
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await do(hub)
    assert type(caught.value) is error
    assert 1.4 <= time.monotonic() - began < 6.0


async def test_one_try_without_an_answer_leaves_time_for_another() -> None:
    async with serving(in_turn(say_nothing, answer(200, QUEUE)), timeout=2.0) as (server, hub):
        assert (await read(hub)).waiting == 3
    assert len(server.asked) == 2


@pytest.mark.parametrize("do", [read, tell, offer])
async def test_where_nobody_listens_nothing_is_in_doubt(do: Do) -> None:
    async with wire(answer()) as server:
        nowhere = server.url
    async with ContextHub(nowhere, "ctx_key", timeout=1.0) as hub:
        with pytest.raises(Unavailable) as caught:
            await do(hub)
    assert type(caught.value) is Unavailable


async def test_a_write_once_in_doubt_stays_in_doubt() -> None:
    away = answer(503, problem(Unavailable("Redis does not answer")))
    async with serving(in_turn(lose_the_reply, away), tries=2) as (_, hub):
        with pytest.raises(OutcomeUnknown):
            await offer(hub)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_proxys_error_page_leaves_a_write_in_doubt(status: int) -> None:
    page = answer(status, b"<html>Bad gateway</html>")
    async with serving(page, tries=1) as (_, hub):
        with pytest.raises(Unavailable) as read_error:
            await read(hub)
        with pytest.raises(OutcomeUnknown):
            await offer(hub)
    assert type(read_error.value) is Unavailable


async def test_a_customer_who_moved_is_followed_with_the_same_request() -> None:
    moved = answer(308, problem(Moved("c42 is c7 now", customer_id="c7")), location="/v1/customers/c7/events")
    async with serving(in_turn(moved, answer(200, TOLD))) as (server, hub):
        assert (await hub.events.tell("c42", told("note.added", text="hello"), key="k-1")).version == 7
    first, second = server.asked
    assert second.target == "/v1/customers/c7/events"
    assert (first.method, first.body, first.headers) == (second.method, second.body, second.headers)


async def test_a_question_goes_along_to_the_new_home() -> None:
    moved = answer(308, problem(Moved("c42 is c7 now")), location="/v1/customers/c7/timeline?limit=5")
    async with serving(in_turn(moved, answer(200, {"events": []}))) as (server, hub):
        await hub.contexts.timeline("c42", limit=5)
    assert server.asked[1].target == "/v1/customers/c7/timeline?limit=5"


async def test_the_key_is_never_sent_to_another_host() -> None:
    async with wire(answer(200, QUEUE)) as other:
        moved = answer(308, problem(Moved("elsewhere")), location=f"{other.url}/v1/queues/billing")
        async with serving(in_turn(moved, answer(200, QUEUE))) as (server, hub):
            await read(hub)
        assert other.asked == []
    assert len(server.asked) == 2


async def test_moving_in_a_circle_ends_as_moved() -> None:
    circle = answer(308, problem(Moved("round and round")), location="/v1/queues/billing")
    async with serving(circle) as (server, hub):
        with pytest.raises(Moved):
            await read(hub)
    assert len(server.asked) < 10


async def test_what_this_client_does_not_know_yet_is_left_out() -> None:
    grown = {"version": 7, "mood": "good", "results": [{"event_id": "e1", "version": 7, "weight": [1, 2]}]}
    async with serving(answer(200, grown)) as (_, hub):
        kept = await tell(hub)
    assert kept.results[0].version == 7


async def test_an_answer_that_makes_no_sense_says_where_it_came_from() -> None:
    async with serving(answer(200, {"waiting": "many"})) as (_, hub):
        with pytest.raises(CtxhubError, match="/v1/queues/billing"):
            await read(hub)


async def test_text_that_no_json_can_carry_is_refused_before_it_is_sent() -> None:
    async with serving(answer(200, TOLD)) as (server, hub):
        with pytest.raises(Invalid):
            await hub.events.tell("c42", told("message.received", text="half a smile: \ud83d"))
    assert server.asked == []


@pytest.mark.parametrize("key", ["", "ctx key", "键", "ctx\r\nX-Role: admin"])
async def test_a_key_that_no_header_carries_is_not_valid(key: str) -> None:
    async with serving(answer(200, QUEUE)) as (server, hub):
        with pytest.raises(Unauthenticated):
            await read(hub.with_key(key))
    assert server.asked == []


async def test_a_key_of_no_agents_own_calls_for_the_agent_named() -> None:
    async with serving(answer(200, QUEUE)) as (server, hub):
        await read(hub.with_key("a-desk", "陈 7"))
        await read(hub.with_key("a-desk"))
    assert [asked.headers.get("x-ctxhub-agent") for asked in server.asked] == ["%E9%99%88%207", None]


async def test_a_mark_that_no_header_carries_is_refused_before_it_is_sent() -> None:
    async with serving(answer(200, TOLD)) as (server, hub):
        with pytest.raises(Invalid):
            await hub.events.tell("c42", told("note.added", text="hello"), key="钥匙")
        with pytest.raises(Invalid):
            await anext(hub.feeds.queue("billing", after="1-7\r\nX-Role: admin"))
    assert server.asked == []


async def test_ids_of_any_kind_stay_one_segment_of_the_path() -> None:
    async with serving(answer(200, QUEUE)) as (server, hub):
        for queue in ["a/b", "..", "账单", "50% off?", "x#y", "\udc80"]:
            await hub.queues.show(queue)
        with pytest.raises(Invalid):
            await hub.queues.show("")
    targets = [asked.target.removeprefix("/v1/queues/") for asked in server.asked]
    assert targets == ["a%2Fb", "%2E%2E", "%E8%B4%A6%E5%8D%95", "50%25%20off%3F", "x%23y", "%ED%B2%80"]


async def test_a_hub_below_a_path_is_reached_there() -> None:
    moved = answer(308, problem(Moved("moved")), location="/ctx/v1/queues/other")
    async with (
        wire(in_turn(moved, answer(200, QUEUE))) as server,
        ContextHub(f"{server.url}/ctx/", "ctx_key") as hub,
    ):
        await read(hub)
    assert [asked.target for asked in server.asked] == ["/ctx/v1/queues/billing", "/ctx/v1/queues/other"]


async def test_another_key_goes_over_the_same_connection() -> None:
    async with serving(answer(200, QUEUE)) as (server, hub):
        await read(hub)
        await read(hub.with_key("ann_key"))
        assert server.open == 1
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer ctx_key", "Bearer ann_key"]


async def test_a_cancelled_call_is_over_at_once() -> None:
    async with serving(say_nothing, timeout=30.0) as (server, hub):
        call = asyncio.create_task(read(hub))
        await server.until(lambda w: len(w.asked) == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until(lambda w: w.open == 0)
    assert len(server.asked) == 1


async def test_no_proxy_stands_between_us_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(answer(502)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with serving(answer(200, QUEUE)) as (_, hub):
            await read(hub)
        assert proxy.asked == []


async def test_in_process_too_an_answer_comes_within_the_deadline() -> None:
    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    in_process = httpx.ASGITransport(hangs)
    async with ContextHub("http://hub", "ctx_key", transport=in_process, timeout=0.3) as hub:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await tell(hub)
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("url", ["", "ctx.example.com", "redis://ctx.example.com", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a hub"):
        ContextHub(url, "ctx_key")


async def test_only_what_was_said_is_sent() -> None:
    async with serving(answer(409, problem(HeldByAnother("ann has it")))) as (server, hub):
        with pytest.raises(HeldByAnother):
            await hub.interactions.start(Start(channel="ivr", external_id="CA1", touchpoint=None))
    assert server.asked[0].json == {"channel": "ivr", "external_id": "CA1"}
