"""Each noun says to the hub what the contract says, and reads what the hub answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ctxhub.client import (
    AssuranceClaim,
    ClaimRequest,
    ContextHub,
    CustomerUnknown,
    Draft,
    HandoffHint,
    Identifier,
    OfferRequest,
    Ref,
    Start,
    Target,
    Telling,
    Unavailable,
    tenants,
    told,
)
from tests.client.wire import answer, in_turn, say_nothing, wire

AT = "2030-01-02T10:00:00.000Z"
PHONE = Identifier(type="phone", value="+8613800138000", strength="verified")
INTERACTION = {
    "interaction_id": "in_1",
    "channel": "ivr",
    "system": "twilio",
    "external_id": "CA1",
    "state": "open",
    "holder": {"party": "bot", "id": None},
    "fence": 1,
    "assurance": {"level": 1, "method": "ani", "channel": "ivr", "until": AT},
    "started_at": AT,
}
CONTEXT = {"customer_id": "c42", "version": 17, "document_version": 15, "known": True, "assurance": {"level": 1}}
STARTED = {"interaction": INTERACTION, "customer_id": "c42", "known": True, "context": CONTEXT}
HANDOFF = {
    "handoff_id": "ho_1",
    "state": "offered",
    "customer_id": "c42",
    "interaction_id": "in_1",
    "reason": "asked",
    "to": {"queue": "billing"},
    "mode": "cold",
    "kind": "live",
    "root_id": "ho_1",
    "offered_by": {"party": "bot"},
    "waiting_since": AT,
    "offered_at": AT,
    "expires_at": AT,
}
FOUND = {"customer_id": "c42", "interaction": INTERACTION}
HELD = {"handoff": HANDOFF, "interaction": INTERACTION, "context": CONTEXT, "fence": 2}
TOLD = {"version": 18, "results": [{"event_id": "e1", "version": 18, "duplicate": False, "repeat": ["order_id"]}]}
SHOWN = {"handoff": HANDOFF}
OFFER = OfferRequest(customer_id="c42", interaction_id="in_1", reason="asked", to=Target(previous=True), expires_in=300)
START = Start(channel="chat", external_id="v1", identifiers=[PHONE], assurance=AssuranceClaim(level=1))
FACT = Telling(event_id="e1", type="fact.rejected", party="customer", data={"name": "order_id", "value": None})
BOT = Target(bot="b1")

Say = Callable[[ContextHub], Awaitable[Any]]


def said(say: Say, method: str, target: str, body: Any, reply: Any) -> Any:
    """One call of the SDK, what must go over the wire for it, and what comes back."""
    return pytest.param(say, method, target, body, reply, id=f"{method} {target}")


SAID = [
    said(
        lambda h: h.interactions.start(START),
        "POST",
        "/v1/interactions",
        {
            "channel": "chat",
            "external_id": "v1",
            "identifiers": [{"type": "phone", "value": "+8613800138000", "strength": "verified"}],
            "assurance": {"level": 1},
        },
        STARTED,
    ),
    said(
        lambda h: h.interactions.lookup(Ref(system="acd", kind="call", id="0078")),
        "POST",
        "/v1/interactions/lookup",
        {"ref": {"system": "acd", "kind": "call", "id": "0078"}},
        FOUND,
    ),
    said(
        lambda h: h.interactions.add_refs("c42", "in_1", [Ref(system="acd", id="0078")]),
        "PUT",
        "/v1/customers/c42/interactions/in_1/refs",
        {"refs": [{"system": "acd", "id": "0078"}]},
        FOUND,
    ),
    said(
        lambda h: h.interactions.end("c42", "in_1", outcome="resolved"),
        "POST",
        "/v1/customers/c42/interactions/in_1/end",
        {"outcome": "resolved"},
        FOUND,
    ),
    said(
        lambda h: h.interactions.list(channel="ivr"),
        "GET",
        "/v1/interactions?channel=ivr&state=open",
        None,
        {"interactions": [INTERACTION | {"customer_id": "c42"}]},
    ),
    said(
        lambda h: h.interactions.identify("c42", "in_1", to="c7", assurance=AssuranceClaim(level=2, method="pin")),
        "POST",
        "/v1/customers/c42/interactions/in_1/identify",
        {"customer_id": "c7", "assurance": {"level": 2, "method": "pin"}, "reason": "verified"},
        FOUND | {"version": 3},
    ),
    said(
        lambda h: h.interactions.identify("c42", "in_1", identifiers=[PHONE], reason="not_this_customer"),
        "POST",
        "/v1/customers/c42/interactions/in_1/identify",
        {"identifiers": [PHONE.model_dump()], "reason": "not_this_customer"},
        FOUND | {"version": 3},
    ),
    said(
        lambda h: h.events.tell("c42", FACT),
        "POST",
        "/v1/customers/c42/events",
        {"events": [FACT.model_dump(exclude_unset=True)]},
        TOLD,
    ),
    said(
        lambda h: h.contexts.read("c42", interaction_id="in_1", events=5, min_version=17),
        "GET",
        "/v1/customers/c42/context?interaction_id=in_1&events=5&min_version=17",
        None,
        CONTEXT,
    ),
    said(
        lambda h: h.contexts.lookup(PHONE, interaction_id="in_1"),
        "POST",
        "/v1/context/lookup",
        {"identifier": {"type": "phone", "value": "+8613800138000"}, "interaction_id": "in_1"},
        CONTEXT,
    ),
    said(
        lambda h: h.contexts.timeline("c42", after=3, limit=50, interaction_id="in_1"),
        "GET",
        "/v1/customers/c42/timeline?after=3&limit=50&interaction_id=in_1",
        None,
        {"events": [], "next": None},
    ),
    said(
        lambda h: h.asks.may_i_ask("c42", "in_1", ["order_id"], journey_id="jr_1"),
        "POST",
        "/v1/customers/c42/asks",
        {"interaction_id": "in_1", "journey_id": "jr_1", "names": ["order_id"]},
        {"answers": [{"name": "order_id", "verdict": "ask", "reason": "nothing is known"}], "version": 17},
    ),
    said(
        lambda h: h.handoffs.offer(OFFER),
        "POST",
        "/v1/handoffs",
        {
            "customer_id": "c42",
            "interaction_id": "in_1",
            "reason": "asked",
            "to": {"previous": True},
            "expires_in": 300,
        },
        SHOWN | {"queue": {"queue": "billing"}},
    ),
    said(lambda h: h.handoffs.accept("ho_1", "ann"), "POST", "/v1/handoffs/ho_1/accept", {"agent_id": "ann"}, HELD),
    said(
        lambda h: h.handoffs.decline("ho_1", "ann", "busy"),
        "POST",
        "/v1/handoffs/ho_1/decline",
        {"agent_id": "ann", "reason": "busy"},
        SHOWN,
    ),
    said(lambda h: h.handoffs.cancel("ho_1"), "POST", "/v1/handoffs/ho_1/cancel", {}, SHOWN),
    said(
        lambda h: h.handoffs.complete("ho_1", "ann", 2, "resolved"),
        "POST",
        "/v1/handoffs/ho_1/complete",
        {"agent_id": "ann", "fence": 2, "outcome": "resolved"},
        SHOWN,
    ),
    said(
        lambda h: h.handoffs.give_back("ho_1", "ann", 2, note="go on", to=BOT, step="pay"),
        "POST",
        "/v1/handoffs/ho_1/return",
        {"agent_id": "ann", "fence": 2, "note": "go on", "to": {"bot": "b1"}, "step": "pay"},
        {"handoff": HANDOFF, "offered": HANDOFF},
    ),
    said(
        lambda h: h.handoffs.complete("ho_1", "ann", 2, "resolved", disposition="letter"),
        "POST",
        "/v1/handoffs/ho_1/complete",
        {"agent_id": "ann", "fence": 2, "outcome": "resolved", "disposition": "letter"},
        SHOWN,
    ),
    said(
        lambda h: h.handoffs.draft("ho_1", "ann", 2, Draft(text="letter follows")),
        "PUT",
        "/v1/handoffs/ho_1/draft",
        {"agent_id": "ann", "fence": 2, "draft": {"text": "letter follows"}},
        SHOWN,
    ),
    said(
        lambda h: h.handoffs.renew("ho_1", "ann", 2),
        "POST",
        "/v1/handoffs/ho_1/renew",
        {"agent_id": "ann", "fence": 2},
        SHOWN,
    ),
    said(lambda h: h.handoffs.receipt("ho_1", "ann"), "POST", "/v1/handoffs/ho_1/receipt", {"agent_id": "ann"}, SHOWN),
    said(
        lambda h: h.handoffs.redeem(Start(channel="chat", external_id="v1"), token="tok"),
        "POST",
        "/v1/handoffs/redeem",
        {"channel": "chat", "external_id": "v1", "token": "tok"},
        STARTED | {"handoff": HANDOFF},
    ),
    said(lambda h: h.handoffs.get("ho_1"), "GET", "/v1/handoffs/ho_1", None, SHOWN),
    said(
        lambda h: h.handoffs.list(queue="账单"),
        "GET",
        "/v1/handoffs?queue=%E8%B4%A6%E5%8D%95&state=offered",
        None,
        {"handoffs": [HANDOFF]},
    ),
    said(
        lambda h: h.handoffs.list(agent_id="ann", state="accepted"),
        "GET",
        "/v1/handoffs?agent_id=ann&state=accepted",
        None,
        {"handoffs": [HANDOFF]},
    ),
    said(lambda h: h.handoffs.lookup("tok"), "POST", "/v1/handoffs/lookup", {"token": "tok"}, SHOWN),
    said(
        lambda h: h.handoffs.elsewhere("ho_1", "chat"),
        "POST",
        "/v1/handoffs/ho_1/elsewhere",
        {"channel": "chat", "delivery": "message", "expires_in": 3600, "announce": False},
        {"handoff": HANDOFF | {"place_kept": True}, "queue": None},
    ),
    said(
        lambda h: h.handoffs.announce("ho_1", [PHONE]),
        "POST",
        "/v1/handoffs/ho_1/announce",
        {"identifiers": [{"type": "phone", "value": "+8613800138000", "strength": "verified"}]},
        {"handoff_id": "ho_1", "until": "2026-11-22T19:15:21.353Z"},
    ),
    said(
        lambda h: h.interactions.go_on("c42", "in_1"),
        "POST",
        "/v1/customers/c42/interactions/in_1/continue",
        {},
        {"place_kept": True, "handoff": HANDOFF, "queue": None},
    ),
    said(
        lambda h: h.journeys.claim("c42", "jr_1", ClaimRequest(step="payout", by="app")),
        "POST",
        "/v1/customers/c42/journeys/jr_1/claim",
        {"step": "payout", "by": "app"},
        {"claim": {"step": "payout", "by": "app", "fence": 1, "until": "2026-11-22T19:15:21.353Z"}},
    ),
    said(
        lambda h: h.commitments.list(state="overdue", owner="billing"),
        "GET",
        "/v1/commitments?state=overdue&owner=billing",
        None,
        {"commitments": []},
    ),
    said(lambda h: h.queues.show("billing"), "GET", "/v1/queues/billing", None, {"queue": "billing", "waiting": 2}),
    said(lambda h: h.tenants.read(), "GET", "/v1/tenant", None, {"tenant": "acme", "languages": ["zh"]}),
    said(
        lambda h: h.customers.lookup(PHONE),
        "POST",
        "/v1/customers/lookup",
        {"identifier": {"type": "phone", "value": "+8613800138000"}},
        {"customer_id": "c42"},
    ),
    said(
        lambda h: h.customers.add_identifier("c42", PHONE),
        "POST",
        "/v1/customers/c42/identifiers",
        PHONE.model_dump(),
        {"customer_id": "c42"},
    ),
    said(
        lambda h: h.customers.remove_identifier("c42", PHONE),
        "DELETE",
        "/v1/customers/c42/identifiers",
        {"type": "phone", "value": "+8613800138000"},
        {"customer_id": "c42"},
    ),
    said(lambda h: h.customers.forget("c42"), "DELETE", "/v1/customers/c42", {}, {"customer_id": "c42", "erased": {}}),
    said(lambda h: h.numbers(), "GET", "/v1/numbers", None, {"repeats": {"value": 0}}),
]


@pytest.mark.parametrize(("say", "method", "target", "body", "reply"), SAID)
async def test_a_call_says_what_the_contract_says(say: Say, method: str, target: str, body: Any, reply: Any) -> None:
    async with wire(answer(200, reply)) as server, ContextHub(server.url, "ctx_key") as hub:
        await say(hub)
    [asked] = server.asked
    assert (asked.method, asked.target, asked.json) == (method, target, body)
    assert asked.headers["authorization"] == "Bearer ctx_key"


async def test_a_context_that_has_not_changed_is_the_one_seen_before() -> None:
    replies = in_turn(answer(200, CONTEXT), answer(304), answer(200, CONTEXT | {"version": 18}))
    async with wire(replies) as server, ContextHub(server.url, "ctx_key") as hub:
        seen = await hub.contexts.read("c42")
        assert await hub.contexts.read("c42", seen=seen) is seen
        assert (await hub.contexts.read("c42", seen=seen)).version == 18
    assert [asked.headers.get("if-none-match") for asked in server.asked] == [None, '"17"', '"17"']


async def test_asking_for_nothing_asks_nobody() -> None:
    async with wire(answer(500)) as server, ContextHub(server.url, "ctx_key") as hub:
        assert await hub.asks.may_i_ask("c42", "in_1", []) == []
    assert server.asked == []


async def test_a_tenant_is_not_read_again_while_it_is_fresh() -> None:
    async with wire(answer(200, {"tenant": "acme"})) as server, ContextHub(server.url, "ctx_key") as hub:
        first = await hub.tenants.read()
        assert await hub.tenants.read() is first
    assert len(server.asked) == 1


async def test_nobody_waits_for_a_tenant_that_is_being_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = in_turn(answer(200, {"tenant": "acme"}), say_nothing)
    async with wire(replies) as server, ContextHub(server.url, "ctx_key", timeout=30.0) as hub:
        monkeypatch.setattr(tenants, "_FRESH_FOR", 0.0)
        first = await hub.tenants.read()
        monkeypatch.setattr(tenants, "_FRESH_FOR", 60.0)
        reading = asyncio.create_task(hub.tenants.read())
        await server.until(lambda w: len(w.asked) == 2)
        assert await asyncio.wait_for(hub.tenants.read(), 5) is first
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_tenant_is_read_anew_when_it_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_FRESH_FOR", 0.0)
    replies = in_turn(answer(200, {"tenant": "acme"}), answer(200, {"tenant": "acme", "default_region": "CN"}))
    async with wire(replies) as server, ContextHub(server.url, "ctx_key") as hub:
        assert (await hub.tenants.read()).default_region is None
        assert (await hub.tenants.read()).default_region == "CN"


async def test_while_the_hub_is_away_a_tenant_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_FRESH_FOR", 0.0)
    replies = in_turn(answer(503), answer(200, {"tenant": "acme"}), answer(503))
    async with wire(replies) as server, ContextHub(server.url, "ctx_key", tries=1) as hub:
        with pytest.raises(Unavailable):
            await hub.tenants.read()
        assert (await hub.tenants.read()).tenant == "acme"
        assert (await hub.tenants.read()).tenant == "acme"
    assert len(server.asked) == 3


async def test_a_start_says_what_became_of_its_handoff() -> None:
    reply = STARTED | {"handoff_problem": {"code": "expired", "status": 410}}
    async with wire(answer(201, reply)) as server, ContextHub(server.url, "ctx_key") as hub:
        started = await hub.interactions.start(
            Start(channel="chat", external_id="v1", handoff=HandoffHint(token="tok"))
        )
    assert server.asked[0].json["handoff"] == {"token": "tok"}
    assert started.handoff_problem == {"code": "expired", "status": 410}


async def test_nobody_behind_an_identifier_is_an_error_of_its_own() -> None:
    problem = {"code": "customer_unknown", "status": 404, "detail": "nobody"}
    async with wire(answer(404, problem)) as server, ContextHub(server.url, "ctx_key") as hub:
        with pytest.raises(CustomerUnknown):
            await hub.customers.lookup(PHONE)


def test_what_is_told_has_an_id_of_its_own_unless_it_is_given_one() -> None:
    first, second = told("note.added", text="a"), told("note.added", text="a")
    assert first.event_id != second.event_id
    assert told("note.added", event_id="CA1:3", text="a").event_id == "CA1:3"


def test_what_is_told_carries_the_rest_as_its_data() -> None:
    event = told(
        "fact.stated",
        interaction_id="in_1",
        party="customer",
        journey_id="jr_1",
        at=datetime(2030, 1, 2, tzinfo=UTC),
        name="order_id",
        value=None,
    )
    assert event.data == {"name": "order_id", "value": None}
    assert (event.interaction_id, event.party, event.journey_id) == ("in_1", "customer", "jr_1")
    assert "at" not in told("note.added", text="a").model_fields_set
