"""The page's requests, against a hub that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ctxhub.client import ContextHub, told
from tests.adapters.desk.conftest import ADMIN_KEY

Comes = Callable[..., Awaitable[Any]]
SitsDown = Callable[..., Awaitable[httpx.AsyncClient]]


FIELDS = {
    "login": {"key", "agent_id", "queue"}, "messages": {"interaction_id", "fence", "text", "event_id"},
    "questions": {"interaction_id", "fence", "text", "names", "event_id"},
    "facts": {"interaction_id", "name", "value", "how", "event_id"}, "notes": {"interaction_id", "text", "event_id"},
    "decline": {"reason"}, "renew": {"fence"}, "complete": {"fence", "outcome"}, "return": {"fence", "note", "step"},
    "transfer": {"fence", "to", "reason", "note", "event_id"},
    "reveal": {"interaction_id", "names", "reason"}, "access": {"reason", "minutes"},
}  # fmt: skip


VERBS = ("decline", "renew", "complete", "return", "transfer")


async def accepted(desk: httpx.AsyncClient, customer: Any, **params: Any) -> dict[str, Any]:
    """Accept a customer's handoff and return the work view."""
    answer = await desk.post(f"handoffs/{customer.handoff.handoff_id}/accept", json={}, params=params)
    assert answer.status_code == 200, answer.text
    work: dict[str, Any] = answer.json()
    return work


@asynccontextmanager
async def following(desk: httpx.AsyncClient, path: str, **given: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Follow a stream of the desk as a browser does."""
    async with desk.stream("GET", path, **given) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line and name in ("id", "event", "data"):
            event[name] = json.loads(value) if name == "data" else value
        if not line and "event" in event:
            yield event
            event = {}


async def until(events: AsyncIterator[dict[str, Any]], *names: str) -> dict[str, Any]:
    """Return the next event of one of these names."""
    async with asyncio.timeout(10):
        async for event in events:
            if event["event"] in names:
                return event
    raise AssertionError(f"the stream ended without {names}")


# Presence, and what is suggested


async def test_who_is_there_is_suggested_a_customer_with_reasons_as_long_as_the_queue_is_followed(
    sits_down: SitsDown, comes: Comes
) -> None:
    desk = await sits_down("bea", "suggesting")  # who holds nothing, and so has room
    before = (await desk.get("presence")).json()
    assert before == {"state": "offline", "reason": None, "routed": True}
    async with following(desk, "queue/stream") as events:
        assert (await desk.post("presence", json={"state": "available"})).json()["state"] == "available"
        customer = await comes("suggesting")
        while True:
            offers = (await until(events, "snapshot", "change"))["data"]["offers"]
            mine = [o["suggested"] for o in offers if o["handoff_id"] == customer.handoff.handoff_id and o["suggested"]]
            if mine:
                break
        assert mine[0]["agent_id"] == "bea"
        assert {"why", "say"} == mine[0]["reasons"][0].keys()
    await accepted(desk, customer)
    assert (await desk.post("presence", json={"state": "offline"})).json()["state"] == "offline"


async def test_presence_does_not_matter_where_the_queue_does_not_suggest(sits_down: SitsDown) -> None:
    desk = await sits_down("ann", "default")
    assert (await desk.get("presence")).json()["routed"] is False
    assert (await desk.post("presence", json={"state": "asleep"})).status_code == 422


# The way in


async def test_a_bad_key_stays_outside(running: Any) -> None:
    async with httpx.AsyncClient(base_url=f"{running.url}/desk/api/", headers={"X-Ctxhub-Desk": "1"}) as desk:
        answer = await desk.post("login", json={"key": "guessed", "agent_id": "ann", "queue": "default"})
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthenticated"
        assert not desk.cookies


async def test_a_desks_key_seats_whoever_is_named_at_his_own_work(running: Any, comes: Comes) -> None:
    customer = await comes()
    async with httpx.AsyncClient(base_url=running.url, headers={"X-Ctxhub-Desk": "1"}) as desk:
        admin = {"Authorization": f"Bearer {running.admin_key}"}
        made = await desk.post("/v1/keys", json={"name": "a-desk", "role": "agent"}, headers=admin)
        login = {"key": made.json()["key"], "agent_id": "ann", "queue": customer.queue}
        assert (await desk.post("/desk/api/login", json=login)).status_code == 200
        place = f"/desk/api/handoffs/{customer.handoff.handoff_id}"
        await desk.post(f"{place}/accept")
        assert (await desk.get(place)).json()["facts"]
        await desk.post("/desk/api/login", json=login | {"agent_id": "bob"})
        assert (await desk.get(place)).status_code == 403


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(running: Any) -> None:
    async with httpx.AsyncClient(base_url=f"{running.url}/desk/api/", headers={"X-Ctxhub-Desk": "1"}) as desk:
        key = running.key_of("ann")
        answer = await desk.post("login", json={"key": key, "agent_id": "ann", "queue": "default"})
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Path=/desk", "SameSite=strict"} <= set(cookie.split("; "))
    assert key not in cookie
    assert key not in answer.text


async def test_nobody_asks_anything_before_logging_in(running: Any) -> None:
    async with httpx.AsyncClient(base_url=f"{running.url}/desk/api/") as desk:
        for path in ("queue", "queue/stream", "held", "handoffs/ho_1", "facts", "customers/c1/timeline"):
            answer = await desk.get(path, params={"interaction_id": "in_1"})
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_write_from_another_page_is_refused(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    del desk.headers["X-Ctxhub-Desk"]
    answer = await desk.post(f"handoffs/{customer.handoff.handoff_id}/accept", json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    (offer,) = (await desk.get("queue")).json()["offers"]
    assert offer["state"] == "offered"


async def test_logging_out_forgets_the_agent(sits_down: SitsDown) -> None:
    desk = await sits_down("ann", "default")
    assert (await desk.get("session")).json() == {"agent_id": "ann", "queue": "default", "supervisor": False}
    assert (await desk.post("logout", json={})).status_code == 204
    assert (await desk.get("session")).json() is None


async def test_a_key_bound_to_another_agent_seats_nobody(running: Any, sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    login = {"key": running.key_of("ann"), "agent_id": "bob", "queue": customer.queue}
    answer = await desk.post("login", json=login)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


# The queue


async def test_an_offer_shows_what_the_agent_decides_by(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes(priority=7)
    desk = await sits_down("ann", customer.queue)
    (offer,) = (await desk.get("queue")).json()["offers"]
    shown = {name: offer[name] for name in ("handoff_id", "channel", "reason", "note", "priority", "chained")}
    assert shown == {
        "handoff_id": customer.handoff.handoff_id, "channel": "chat", "reason": "asked for a person",
        "note": "wants to travel soon", "priority": 7, "chained": False,
    }  # fmt: skip


async def test_the_queue_is_followed_from_a_snapshot_through_every_change(sits_down: SitsDown, comes: Comes) -> None:
    first = await comes()
    desk = await sits_down("ann", first.queue)
    async with following(desk, "queue/stream") as events:
        snapshot = await until(events, "snapshot")
        assert [offer["handoff_id"] for offer in snapshot["data"]["offers"]] == [first.handoff.handoff_id]
        second = await comes(first.queue)
        change = await until(events, "change")
        assert (change["data"]["type"], change["data"]["handoff_id"]) == ("handoff.offered", second.handoff.handoff_id)
        assert len(change["data"]["offers"]) == 2
        await accepted(desk, first)
        change = await until(events, "change")
        assert [offer["handoff_id"] for offer in change["data"]["offers"]] == [second.handoff.handoff_id]


async def test_whose_phone_rings_is_told_before_anybody_answers(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    first = await comes()
    desk = await sits_down("ann", first.queue)

    async def ring() -> None:
        """Ring until the desk, which follows two feeds, follows the agent's too."""
        while True:
            rings = told("call.alerting", interaction_id=first.interaction.interaction_id, agent_id="ann")
            await channels.events.tell(first.customer_id, rings)
            await asyncio.sleep(0.3)

    async with following(desk, "queue/stream") as events:
        await until(events, "snapshot")
        ringing = asyncio.create_task(ring())
        heard = (await until(events, "call"))["data"]
        ringing.cancel()
    over = told("call.ended", interaction_id=first.interaction.interaction_id, agent_id="ann")
    await channels.events.tell(first.customer_id, over)
    assert (heard["customer_id"], heard["interaction_id"], heard["state"]) == (
        first.customer_id, first.interaction.interaction_id, "ringing"
    )  # fmt: skip


async def test_one_agent_wins_and_the_other_is_told_who_has_it(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desks = [await sits_down(agent, customer.queue) for agent in ("ann", "bob")]
    path = f"handoffs/{customer.handoff.handoff_id}/accept"
    answers = await asyncio.gather(*(desk.post(path, json={}) for desk in desks))
    (lost,) = [answer for answer in answers if answer.status_code == 409]
    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert lost.json()["code"] == "held_by_another"
    assert lost.json()["held_by"] == won.json()["handoff"]["agent_id"]
    assert lost.json()["until"]


async def test_what_an_agent_declines_stays_on_offer_for_the_others(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    answer = await desk.post(f"handoffs/{customer.handoff.handoff_id}/decline", json={"reason": "busy"})
    assert answer.json()["handoff"]["state"] == "offered"
    bob = await sits_down("bob", customer.queue)
    assert (await accepted(bob, customer))["handoff"]["agent_id"] == "bob"


# The work view


async def test_everything_told_on_the_phone_stands_there_with_its_origin(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    work = await accepted(await sits_down("ann", customer.queue), customer)
    facts = {fact["name"]: fact for fact in work["facts"]}
    fact = facts["from_city"]
    assert (fact["label"], fact["value"], fact["state"]) == ("departure city", "San Diego", "stated")
    assert fact["journey_id"] == customer.journey_id
    assert (fact["origin"]["channel"], fact["origin"]["party"]) == ("ivr", "customer")
    assert fact["origin"]["at"]
    assert work["missing"] == ["travel_date", "adults.count"]
    assert work["handoff"]["mine"]
    assert work["path"] == ["ivr", "chat"]


async def test_what_needs_a_surer_identification_is_masked(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    work = await accepted(await sits_down("ann", customer.queue), customer)
    (card,) = [fact for fact in work["facts"] if fact["name"] == "card_number"]
    assert card["withheld"]
    assert (card["value"], card["masked"]) == (None, "••••7731")
    assert card["unlock"] == {"level": 3, "again": None, "within": None}
    assert "4929" not in json.dumps(work)


async def test_a_masked_value_is_revealed_for_a_reason_that_the_timeline_keeps(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    await accepted(desk, customer)
    answer = await desk.post(f"customers/{customer.customer_id}/reveal", json=a_reveal(customer))
    assert answer.headers["cache-control"] == "no-store"
    (fact,) = answer.json()["facts"]
    assert (fact["name"], fact["value"], fact["journey_id"]) == (
        "card_number", "4929 0000 0000 7731", customer.journey_id,
    )  # fmt: skip
    events = (await channels.contexts.timeline(customer.customer_id)).events
    (traced,) = [event for event in events if event.type == "fact.revealed"]
    assert traced.data == {"names": ["card_number"], "agent_id": "ann", "reason": "to block the card"}
    seen = await desk.get(f"handoffs/{customer.handoff.handoff_id}")
    assert "4929" not in seen.text  # what was revealed is not part of the view, nor of what is kept of it


@pytest.mark.parametrize(("change", "pointer"), [({"reason": " "}, "/reason"), ({"names": []}, "/names")])
async def test_without_a_reason_or_a_name_nothing_is_revealed(
    sits_down: SitsDown, comes: Comes, change: dict[str, Any], pointer: str
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    await accepted(desk, customer)
    answer = await desk.post(f"customers/{customer.customer_id}/reveal", json=a_reveal(customer) | change)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_only_who_holds_the_interaction_may_reveal(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    await accepted(await sits_down("ann", customer.queue), customer)
    bob = await sits_down("bob", customer.queue)
    answer = await bob.post(f"customers/{customer.customer_id}/reveal", json=a_reveal(customer))
    assert answer.status_code == 403
    assert "4929" not in answer.text


async def test_under_a_warning_of_fraud_the_agent_is_warned_and_nothing_is_revealed(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    assert work["interaction"]["risks"] == []
    flagged = told("risk.flagged", interaction_id=customer.interaction.interaction_id, kind="sim_swap", level="high")
    await channels.events.tell(customer.customer_id, flagged)
    work = (await desk.get(f"handoffs/{customer.handoff.handoff_id}")).json()
    assert [(risk["kind"], risk["level"]) for risk in work["interaction"]["risks"]] == [("sim_swap", "high")]
    assert work["customer"]["assurance"]["level"] == 0
    answer = await desk.post(f"customers/{customer.customer_id}/reveal", json=a_reveal(customer))
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def a_reveal(customer: Any) -> dict[str, Any]:
    """What an agent asks to read, and why."""
    about = {"interaction_id": customer.interaction.interaction_id, "names": ["card_number"]}
    return about | {"reason": "to block the card"}


# Beside the work


async def test_a_refused_handoff_says_whose_it_is_so_that_a_reason_can_be_given(
    sits_down: SitsDown, comes: Comes
) -> None:
    customer = await comes()
    await accepted(await sits_down("ann", customer.queue), customer)
    refused = await (await sits_down("bob", customer.queue)).get(f"handoffs/{customer.handoff.handoff_id}")
    assert (refused.status_code, refused.json()["customer_id"]) == (403, customer.customer_id)
    elsewhere = await (await sits_down("bob", "another-queue")).get(f"handoffs/{customer.handoff.handoff_id}")
    assert (elsewhere.status_code, "customer_id" in elsewhere.json()) == (403, False)


async def test_a_customer_beside_the_work_is_opened_by_a_reason_alone(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    await accepted(await sits_down("ann", customer.queue), customer)
    bob = await sits_down("bob", customer.queue)
    path = f"customers/{customer.customer_id}"
    refused = await bob.get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    short = await bob.post(f"{path}/access", json={"reason": "why"})
    assert (short.status_code, short.json()["errors"][0]["pointer"]) == (422, "/reason")
    assert (await bob.get(path)).status_code == 403
    opened = await bob.post(f"{path}/access", json={"reason": "complaint by letter", "minutes": 5})
    assert (opened.status_code, opened.json()["agent_id"]) == (201, "bob")
    shown = (await bob.get(path)).json()
    assert {fact["name"]: fact["value"] for fact in shown["facts"]}["from_city"] == "San Diego"
    events = (await channels.contexts.timeline(customer.customer_id)).events
    (traced,) = [event for event in events if event.type == "access.granted"]
    assert (traced.data["agent_id"], traced.data["reason"]) == ("bob", "complaint by letter")


async def test_nobody_opens_a_customer_whom_the_hub_does_not_know(sits_down: SitsDown) -> None:
    desk = await sits_down("ann", "default")
    assert (await desk.get("customers/nobody-9")).status_code == 404


async def test_labels_come_in_the_agents_language(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes(language="zh-CN")
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer, lang="zh")
    assert work["journeys"][0]["label"] == "火车票"
    assert work["facts"][0]["label"] == "出发城市"
    assert (await desk.get("facts", params={"lang": "en", "speak": "zh-CN"})).json()[0]["question"].startswith("请问")


async def test_another_agent_sees_nothing_of_it(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    await accepted(await sits_down("ann", customer.queue), customer)
    bob = await sits_down("bob", customer.queue)
    assert (await bob.get(f"handoffs/{customer.handoff.handoff_id}")).status_code == 403


async def test_after_a_reload_an_agent_finds_what_he_holds(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    (card,) = (await desk.get("held")).json()["held"]
    assert (card["handoff_id"], card["fence"]) == (customer.handoff.handoff_id, work["handoff"]["fence"])
    again = (await desk.get(f"handoffs/{customer.handoff.handoff_id}")).json()
    assert again["handoff"] == work["handoff"]
    assert again["facts"] == work["facts"]


async def test_the_receipt_says_that_the_agent_was_shown_the_context(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    assert (await accepted(desk, customer))["handoff"]["receipt_at"] is None
    await desk.post(f"handoffs/{customer.handoff.handoff_id}/receipt", json={})
    assert (await desk.get(f"handoffs/{customer.handoff.handoff_id}")).json()["handoff"]["receipt_at"]


# What the agent does


async def test_an_answer_reaches_the_customers_channel_once(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    said = {"interaction_id": customer.interaction.interaction_id, "fence": work["handoff"]["fence"], "event_id": "m1"}
    for _ in range(2):
        answer = await desk.post(f"customers/{customer.customer_id}/messages", json=said | {"text": "Hello 你好 <b>"})
        assert answer.status_code == 200, answer.text
    page = await channels.contexts.timeline(customer.customer_id)
    sent = [event for event in page.events if event.type == "message.sent"]
    assert [(event.party, event.data["text"]) for event in sent] == [("agent", "Hello 你好 <b>")]


async def test_what_was_said_aloud_is_reported_and_needs_no_floor(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    await accepted(desk, customer)
    said = {"interaction_id": customer.interaction.interaction_id, "fence": 0, "text": "good day", "spoken": True}
    assert (await desk.post(f"customers/{customer.customer_id}/messages", json=said)).status_code == 200
    (sent,) = [e for e in (await channels.contexts.timeline(customer.customer_id)).events if e.type == "message.sent"]
    assert sent.data == {"text": "good day", "delivered": True}


async def test_who_lost_the_floor_says_nothing(sits_down: SitsDown, comes: Comes, channels: ContextHub) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    fence = (await accepted(desk, customer))["handoff"]["fence"]
    said = {"interaction_id": customer.interaction.interaction_id, "fence": fence - 1, "text": "too late"}
    answer = await desk.post(f"customers/{customer.customer_id}/messages", json=said)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_the_holder")


async def test_what_was_told_before_is_said_instead_of_asked(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    question = {
        "interaction_id": customer.interaction.interaction_id, "fence": work["handoff"]["fence"],
        "journey_id": customer.journey_id, "names": ["from_city"], "text": "Where from?", "event_id": "q1",
    }  # fmt: skip
    path = f"customers/{customer.customer_id}/questions"
    before = (await desk.post(path, json=question)).json()
    assert before["sent"] is False
    (already,) = before["already"]
    assert (already["label"], already["verdict"], already["value"]) == ("departure city", "known", "San Diego")
    assert already["origin"]["channel"] == "ivr"
    events = (await channels.contexts.timeline(customer.customer_id)).events
    assert not [event for event in events if event.type in ("question.asked", "message.sent")]
    anyway = (await desk.post(path, json=question | {"anyway": True})).json()
    assert (anyway["sent"], anyway["repeat"]) == (True, ["from_city"])


async def test_what_is_missing_is_asked_in_words_and_noted_as_a_question(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    gap = work["journeys"][0]["missing"][0]
    question = {
        "interaction_id": customer.interaction.interaction_id, "fence": work["handoff"]["fence"],
        "journey_id": customer.journey_id, "names": [gap["name"]], "text": gap["question"],
    }  # fmt: skip
    answer = (await desk.post(f"customers/{customer.customer_id}/questions", json=question)).json()
    assert (answer["sent"], answer["repeat"]) == (True, [])
    events = (await channels.contexts.timeline(customer.customer_id)).events
    told_ = [(event.type, event.party) for event in events[-2:]]
    assert told_ == [("question.asked", "agent"), ("message.sent", "agent")]


async def test_a_fact_that_the_agent_adds_is_no_longer_missing(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    await accepted(desk, customer)
    fact = {"interaction_id": customer.interaction.interaction_id, "journey_id": customer.journey_id}
    path = f"customers/{customer.customer_id}/facts"
    await desk.post(path, json=fact | {"name": "travel_date", "value": "8 March", "how": "stated"})
    answer = await desk.post(path, json=fact | {"name": "to_city", "value": "Fremont", "how": "confirmed"})
    version = answer.json()["version"]
    work = (await desk.get(f"handoffs/{customer.handoff.handoff_id}", params={"min_version": version})).json()
    facts = {fact["name"]: fact for fact in work["facts"]}
    assert work["missing"] == ["adults.count"]
    assert (facts["travel_date"]["value"], facts["travel_date"]["origin"]["party"]) == ("8 March", "agent")
    assert (facts["to_city"]["value"], facts["to_city"]["state"]) == ("Fremont", "confirmed")
    assert [other["value"] for other in facts["to_city"]["others"]] == ["Fresno"]


async def test_the_conversation_is_followed_live_and_goes_on_where_it_stopped(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    interaction_id = customer.interaction.interaction_id
    path, query = (
        f"customers/{customer.customer_id}/stream",
        {"interaction_id": interaction_id, "after": work["version"]},
    )
    async with following(desk, path, params=query) as events:
        await until(events, "ready")
        await channels.events.tell(
            customer.customer_id, told("message.received", interaction_id=interaction_id, text="one")
        )
        first = await until(events, "event")
    assert first["data"]["data"]["text"] == "one"
    await channels.events.tell(
        customer.customer_id, told("message.received", interaction_id=interaction_id, text="two")
    )
    async with following(desk, path, params=query, headers={"Last-Event-ID": first["id"]}) as events:
        second = await until(events, "event")
    assert second["data"]["data"]["text"] == "two"


async def test_completing_lets_go_of_it(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    fence = (await accepted(desk, customer))["handoff"]["fence"]
    path = f"handoffs/{customer.handoff.handoff_id}"
    await desk.post(f"customers/{customer.customer_id}/notes", json={
        "interaction_id": customer.interaction.interaction_id, "text": "all done",
    })  # fmt: skip
    answer = await desk.post(f"{path}/complete", json={"fence": fence, "outcome": "resolved"})
    assert answer.json()["handoff"]["state"] == "completed"
    after = (await desk.get(path)).json()
    assert (after["handoff"]["mine"], after["handoff"]["outcome"]) == (False, "resolved")
    assert after["interaction"]["holder"]["party"] == "bot"
    assert "all done" in [entry["data"].get("text") for entry in after["recent"] if entry["type"] == "note.added"]


async def test_returning_gives_the_bot_the_floor_at_the_step_with_a_note(
    sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    fence = (await accepted(desk, customer))["handoff"]["fence"]
    given = {"fence": fence, "note": "ask for the date", "step": "travel"}
    answer = await desk.post(f"handoffs/{customer.handoff.handoff_id}/return", json=given)
    assert answer.json()["handoff"]["state"] == "returned"
    context = await channels.contexts.read(customer.customer_id)
    (journey,) = context.journeys
    holders = {i.channel: i.holder.party for i in context.interactions}
    assert (journey.step, holders["chat"]) == ("travel", "bot")


def onward(work: dict[str, Any], queue: str, event_id: str = "t1", **more: Any) -> dict[str, Any]:
    """What the page sends to hand a customer on."""
    said = {"to": {"queue": queue}, "reason": "needs a refund", "note": "route is settled; refund the first ticket"}
    return said | {"fence": work["handoff"]["fence"], "event_id": event_id} | more


async def test_a_customer_handed_on_stays_with_the_agent_until_somebody_takes_over(
    sits_down: SitsDown, comes: Comes
) -> None:
    customer = await comes()
    ann, bob = await sits_down("ann", customer.queue), await sits_down("bob", f"{customer.queue}-refunds")
    held = await accepted(ann, customer)
    place = f"handoffs/{customer.handoff.handoff_id}"
    sent = onward(held, f"{customer.queue}-refunds")
    answers = [await ann.post(f"{place}/transfer", json=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["handoff"]["handoff_id"] == answers[1].json()["handoff"]["handoff_id"]
    work = (await ann.get(place)).json()
    assert (work["handoff"]["mine"], work["transfer"]["to"]["queue"]) == (True, f"{customer.queue}-refunds")
    (offered,) = (await bob.get("queue")).json()["offers"]
    assert (offered["reason"], offered["note"], offered["chained"]) == (sent["reason"], sent["note"], True)
    said = {
        "interaction_id": customer.interaction.interaction_id,
        "fence": sent["fence"],
        "text": "One moment, please.",
    }
    assert (await ann.post(f"customers/{customer.customer_id}/messages", json=said)).status_code == 200
    taken = await bob.post(f"handoffs/{offered['handoff_id']}/accept", json={})
    assert {fact["name"] for fact in taken.json()["facts"]} >= {"from_city", "to_city"}
    after = (await ann.get(place)).json()["handoff"]
    assert (after["state"], after["mine"]) == ("transferred", False)
    assert (await ann.post(f"customers/{customer.customer_id}/messages", json=said | {"event_id": "late"})).json()[
        "code"
    ] == "not_the_holder"


async def test_an_offer_to_hand_on_can_be_taken_back_and_the_agent_goes_on(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    ann = await sits_down("ann", customer.queue)
    held = await accepted(ann, customer)
    place = f"handoffs/{customer.handoff.handoff_id}"
    offered = (await ann.post(f"{place}/transfer", json=onward(held, "elsewhere"))).json()["handoff"]
    again = await ann.post(f"{place}/transfer", json=onward(held, "elsewhere", "t2"))
    assert (again.status_code, again.json()["code"]) == (409, "already_offered")
    back = await ann.post(f"handoffs/{offered['handoff_id']}/cancel", json={})
    assert back.json()["handoff"]["state"] == "cancelled"
    work = (await ann.get(place)).json()
    assert (work["transfer"], work["handoff"]["mine"]) == (None, True)
    stale = await ann.post(f"{place}/transfer", json=onward(held, "elsewhere", "t3", fence=1))
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_fence")


async def test_what_is_offered_to_an_agent_by_name_stands_at_his_desk_alone_and_is_his_after_a_reload(
    sits_down: SitsDown, comes: Comes
) -> None:
    customer = await comes()
    ann, bob, carl = [await sits_down(who, customer.queue) for who in ("ann", "bob", "carl")]
    held = await accepted(ann, customer)
    place = f"handoffs/{customer.handoff.handoff_id}/transfer"
    for to in ({}, {"queue": "x", "agent": "bob"}):
        assert (await ann.post(place, json=onward(held, "", to=to))).status_code == 422
    async with following(bob, "queue/stream") as events:
        await until(events, "snapshot")
        offered = (await ann.post(place, json=onward(held, "", to={"agent": "bob"}))).json()["handoff"]
        while offered["handoff_id"] not in [o["handoff_id"] for o in (await until(events, "change"))["data"]["offers"]]:
            continue
    assert [o["handoff_id"] for o in (await bob.get("queue")).json()["offers"]] == [offered["handoff_id"]]
    assert (await carl.get("queue")).json()["offers"] == []
    assert (await carl.post(f"handoffs/{offered['handoff_id']}/accept", json={})).status_code == 403
    await bob.post(f"handoffs/{offered['handoff_id']}/accept", json={})
    assert [o["handoff_id"] for o in (await bob.get("held")).json()["held"]] == [offered["handoff_id"]]
    assert (await ann.get("held")).json()["held"] == []


async def test_the_other_queues_of_a_tenant_can_be_chosen_from(sits_down: SitsDown) -> None:
    assert (await (await sits_down("ann", "default")).get("queues")).json() == {"queues": ["suggesting"]}
    assert (await (await sits_down("ann", "suggesting")).get("queues")).json() == {"queues": []}


async def test_renewing_holds_it_longer(sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    handoff = (await accepted(desk, customer))["handoff"]
    answer = await desk.post(f"handoffs/{handoff['handoff_id']}/renew", json={"fence": handoff["fence"]})
    assert answer.json()["lease_ends"] > handoff["lease_ends"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("messages", {"interaction_id": "in_1", "fence": 1}, "/text"),
        ("messages", {"interaction_id": "in_1", "fence": 1, "text": "x", "also": 1}, "/also"),
        ("questions", {"interaction_id": "in_1", "fence": 1, "text": "x", "names": []}, "/names"),
        ("facts", {"interaction_id": "in_1", "name": "x", "value": 1, "how": "guessed"}, "/how"),
    ],
)
async def test_a_faulty_request_is_told_which_field(
    sits_down: SitsDown, path: str, body: dict[str, Any], pointer: str
) -> None:
    desk = await sits_down("ann", "default")
    answer = await desk.post(f"customers/c1/{path}", json=body)
    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


async def test_nothing_that_is_sent_is_a_fault_of_ours(running: Any, sits_down: SitsDown, comes: Comes) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    await accepted(desk, customer)
    said = {"interaction_id": customer.interaction.interaction_id, "fence": 2, "name": "x", "how": "stated"}
    odd = ["\ud800", "\x00", "..", "a/b", "客户", "x" * 300, {"deep": [None]}, -1, None, True]
    bodies = [{"key": value, "agent_id": value, "queue": value} for value in odd]
    bodies += [said | {"text": value, "value": value, "event_id": value, "names": [value]} for value in odd]
    bodies += [{"fence": value, "note": value, "outcome": value, "reason": value, "step": value} for value in odd]
    bodies += [{"fence": 2, "to": {"queue": value}, "reason": value, "note": "x", "event_id": value} for value in odd]
    bodies += [{"fence": 2, "to": {"agent": value}, "reason": "x", "note": value} for value in odd]
    paths = [f"customers/{customer.customer_id}/{noun}" for noun in ("messages", "questions", "facts", "notes")]
    paths += [f"handoffs/{customer.handoff.handoff_id}/{verb}" for verb in FIELDS if verb in VERBS]
    for path in [*paths, "login"]:
        for body in bodies:
            only = {name: value for name, value in body.items() if name in FIELDS[path.rpartition("/")[2]]}
            answer = await desk.post(path, content=json.dumps(only), headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (path, only, answer.text)
    for path in (
        "handoffs/%00",
        "handoffs/..%2f..",
        "customers/%E5%AE%A2/timeline?interaction_id=%00",
        "handoffs/x?lang=fr",
    ):
        assert 400 <= (await desk.get(path)).status_code < 500, path
    for content in (b"", b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"fence": NaN}'):
        answer = await desk.post(paths[0], content=content, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, content[:20]


# The end of a server, of a key, and a desk of its own


async def test_a_stopping_server_says_goodbye_and_who_comes_back_misses_nothing(
    running: Any, sits_down: SitsDown, comes: Comes, channels: ContextHub
) -> None:
    customer = await comes()
    desk = await sits_down("ann", customer.queue)
    work = await accepted(desk, customer)
    about = {"interaction_id": customer.interaction.interaction_id}
    path, query = f"customers/{customer.customer_id}/stream", about | {"after": work["version"]}
    async with following(desk, path, params=query) as events, following(desk, "queue/stream") as queue:
        await until(events, "ready")
        await until(queue, "snapshot")
        await channels.events.tell(customer.customer_id, told("message.received", **about, text="before"))
        last = await until(events, "event")
        running.stop()
        assert (await until(events, "bye"))["event"] == "bye"
        assert (await until(queue, "bye"))["event"] == "bye"
    running.start()
    await channels.events.tell(customer.customer_id, told("message.received", **about, text="after"))
    async with following(desk, path, params=query, headers={"Last-Event-ID": last["id"]}) as events:
        assert (await until(events, "event"))["data"]["data"]["text"] == "after"


async def test_a_revoked_key_is_out(running: Any, sits_down: SitsDown) -> None:
    desk = await sits_down("carl", "default")
    running.revoke("carl")
    async with asyncio.timeout(10):
        while (answer := await desk.get("queue")).is_success:
            await asyncio.sleep(0.1)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_the_desk_runs_in_a_process_of_its_own(running: Any, comes: Comes) -> None:
    customer = await comes()
    with running.alone() as url:
        async with httpx.AsyncClient(base_url=f"{url}/desk/api/", headers={"X-Ctxhub-Desk": "1"}) as desk:
            login = {"key": running.key_of("ann"), "agent_id": "ann", "queue": customer.queue}
            assert (await desk.post("login", json=login)).status_code == 200
            async with following(desk, "queue/stream") as events:
                (offer,) = (await until(events, "snapshot"))["data"]["offers"]
            assert offer["handoff_id"] == customer.handoff.handoff_id
            assert (await accepted(desk, customer))["missing"] == ["travel_date", "adults.count"]


# The page


async def test_the_page_forbids_everything_from_elsewhere(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as anybody:
        page = await anybody.get("/desk/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        again = await anybody.get("/desk/", headers={"If-None-Match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_desk_without_its_slash_leads_to_the_page(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as anybody:
        answer = await anybody.get("/desk")
    assert (answer.status_code, answer.headers["location"]) == (308, "/desk/")


@pytest.mark.parametrize("name", ["nothing.js", "..%2fserver.py", "server.py"])
async def test_only_the_pages_own_files_are_served(running: Any, name: str) -> None:
    async with httpx.AsyncClient(base_url=running.url) as anybody:
        assert (await anybody.get(f"/desk/static/{name}")).status_code == 404


async def test_the_trail_says_from_where_an_agent_looked_behind_a_proxy_and_by_stream_too(
    comes: Comes, sits_down: SitsDown, running: Any
) -> None:
    customer = await comes("somewhere")
    desk = await sits_down("agent.somewhere", "somewhere")
    desk.headers["X-Forwarded-For"] = "198.51.100.1, 203.0.113.9"
    await accepted(desk, customer)
    about = {"interaction_id": customer.interaction.interaction_id}
    async with following(desk, f"customers/{customer.customer_id}/stream", params=about) as events:
        await anext(events)
    asked = {"agent_id": "agent.somewhere", "customer_id": customer.customer_id}
    by_key = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=running.url, headers=by_key) as http:
        lines = (await http.get("/v1/audit", params=asked)).json()["lines"]
    assert {"handoff.accepted", "stream.opened"} <= {line["action"] for line in lines}
    assert {line["source"] for line in lines} == {"203.0.113.9"}
