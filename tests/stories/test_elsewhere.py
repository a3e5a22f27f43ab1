"""Going on elsewhere: from the phone's queue to the chat and back, from the app to the phone, cut off and back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, accept, begin, fresh, ok, phone, problem, redeem, start_body
from tests.stories.test_waiting import line, state

#: Who routes the queue; an ACD that keeps no place says so.
HUB, EXTERNAL = "desks", "phone"


async def a_call(adapter: Caller, mine: dict[str, str] | None = None, **more: Any) -> Scene:
    """A call from a number of its own."""
    level = {"level": 1, "method": "ani"}
    return await begin(adapter, "ivr", identifiers=[mine or phone()], assurance=level, **more)


async def elsewhere(caller: Caller, handoff: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The way on that a waiting customer is offered."""
    body = {"channel": "chat"} | more
    found: dict[str, Any] = ok(await caller.post(f"/v1/handoffs/{handoff['handoff_id']}/elsewhere", body), 201)
    return found["handoff"]


async def test_phone_queue_to_chat_keeps_the_place(callers: Callers, adapter: Caller, clock: Clock) -> None:
    call = await a_call(adapter)
    await call.tell(call.fact("bank", "my bank"))
    first = await call.offer({"queue": "billing"}, expires_in=3600, priority=3, skills=["zh"], note="angry")
    clock.move(minutes=4)
    other = await (await a_call(adapter)).offer({"queue": "billing"}, expires_in=3600, priority=3)
    link = await elsewhere(adapter, first)
    assert (link["place_kept"], link["state"], link["delivery"]) == (True, "offered", "message")
    assert await state(callers.supervisor, first["handoff_id"]) == "offered"
    clock.move(minutes=1)
    chat = await redeem(adapter, link["token"])
    assert chat.started["place_kept"] is True
    assert chat.started["interaction"]["assurance"]["level"] == 1
    there = chat.started["place"]
    kept = ("waiting_since", "priority", "skills", "reason", "root_id")
    assert {name: there[name] for name in kept} == {name: first[name] for name in kept}
    assert (there["interaction_id"], there["parent_id"], there["state"]) == (
        chat.interaction_id, first["handoff_id"], "offered",
    )  # fmt: skip
    assert await state(callers.supervisor, first["handoff_id"]) == "left"
    waiting = await line(callers, "billing")
    assert waiting.index(there["handoff_id"]) < waiting.index(other["handoff_id"])
    assert first["handoff_id"] not in waiting
    taken = await accept(callers.ann, there["handoff_id"], "ann")
    assert taken["context"]["facts"]["bank"]["value"] == "my bank"
    assert taken["interaction"]["channel"] == "chat"


async def test_where_another_staff_writes_the_place_is_kept_in_their_queue_and_a_call_comes_back_to_the_first(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    mine = phone()
    call = await a_call(adapter, mine)
    first = await call.offer({"queue": HUB}, expires_in=3600)
    chat = await redeem(adapter, (await elsewhere(adapter, first))["token"])
    there = chat.started["place"]
    assert (there["to"], there["waiting_since"]) == ({"queue": "chats"}, first["waiting_since"])
    clock.move(minutes=2)
    back = await elsewhere(adapter, there, channel="ivr", announce=True)
    assert back["dial"]["number"] == "+864008001234"
    assert back["dial"]["post_dial"] == f",,{back['code']}#"
    again = await a_call(adapter, mine)
    assert again.started["place"]["waiting_since"] == first["waiting_since"]
    assert again.started["place"]["root_id"] == first["root_id"]
    assert await state(callers.supervisor, there["handoff_id"]) == "left"


async def test_where_the_acd_keeps_no_place_that_is_said_and_the_call_keeps_its_own(
    callers: Callers, adapter: Caller
) -> None:
    call = await a_call(adapter)
    first = await call.offer({"queue": EXTERNAL}, expires_in=3600)
    link = await elsewhere(adapter, first)
    assert link["place_kept"] is False
    chat = await redeem(adapter, link["token"])
    assert (chat.started["place_kept"], chat.started.get("place")) == (False, None)
    assert await state(callers.supervisor, first["handoff_id"]) == "offered"


@pytest.mark.parametrize("routing", [HUB, EXTERNAL])
async def test_the_agent_answers_just_as_the_customer_goes_on_in_the_chat_and_there_is_one_place(
    callers: Callers, adapter: Caller, routing: str
) -> None:
    for _ in range(10):
        call = await a_call(adapter)
        first = await call.offer({"queue": routing}, expires_in=3600)
        link = await elsewhere(adapter, first)
        path = f"/v1/handoffs/{first['handoff_id']}/accept"
        answered, gone_on = await asyncio.gather(
            callers.ann.post(path, {"agent_id": "ann"}),
            adapter.post("/v1/handoffs/redeem", start_body("chat", token=link["token"])),
        )
        there = ok(gone_on)
        listed = await line(callers, "chats") + await line(callers, routing)
        mine = [h for h in (first["handoff_id"], (there.get("place") or {}).get("handoff_id")) if h in listed]
        assert len(mine) + answered.is_success == 1
        assert answered.is_success != bool(there["place_kept"])


async def test_of_two_who_open_the_link_one_has_the_place(callers: Callers, adapter: Caller) -> None:
    for _ in range(10):
        first = await (await a_call(adapter)).offer({"queue": HUB}, expires_in=3600)
        link = await elsewhere(adapter, first)
        bodies = [start_body("chat", token=link["token"]) for _ in range(2)]
        answers = await asyncio.gather(*(adapter.post("/v1/handoffs/redeem", body) for body in bodies))
        [won] = [answer for answer in answers if answer.is_success]
        [lost] = [answer for answer in answers if not answer.is_success]
        assert ok(won)["place_kept"] is True
        problem(lost, 409, "used")


async def test_a_link_opened_after_hanging_up_still_has_the_place_for_ten_minutes(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    for minutes, kept in ((9, True), (11, False)):
        call = await a_call(adapter)
        first = await call.offer({"queue": HUB}, expires_in=3600)
        link = await elsewhere(adapter, first)
        await call.end()
        clock.move(minutes=minutes)
        chat = await redeem(adapter, link["token"])
        assert chat.started["place_kept"] is kept
        assert await state(callers.supervisor, first["handoff_id"]) == "left"


async def test_an_app_user_calls_in_by_the_apps_token_and_is_asked_no_pin_again(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    app = await begin(adapter, "app", customer_id=fresh("c"), assurance={"level": 2, "method": "login"})
    await app.tell(app.fact("bank", "my bank"))
    clock.move(minutes=2)
    offered = await app.offer({"channel": "ivr"})
    assert offered["dial"] == {"number": "+864008001234", "post_dial": None}
    call = await begin(adapter, "ivr", handoff={"token": offered["token"]})
    assert call.customer_id == app.customer_id
    assert call.started["interaction"]["assurance"]["level"] == 2
    assert (await call.asks("bank"))["bank"]["verdict"] == "known"
    assert [other["interaction_id"] for other in call.started["live"]] == [app.interaction_id]


async def announced(adapter: Caller, mine: dict[str, str], **more: Any) -> tuple[Scene, dict[str, Any]]:
    """An app whose user says that a call from this number comes now."""
    app = await begin(
        adapter, "app", customer_id=fresh("c"), identifiers=[mine], assurance={"level": 2, "method": "login"}
    )
    await app.tell(app.fact("bank", "my bank"))
    return app, await app.offer({"channel": "ivr"}, announce=True, note="she said her bank", **more)


async def test_an_announced_call_finds_its_context_within_two_minutes_and_hears_nothing_of_it(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    for seconds, found in ((119, True), (121, False)):
        mine = phone()
        app, offered = await announced(adapter, mine)
        clock.move(seconds=seconds)
        call = await a_call(adapter, mine)
        assert call.customer_id == app.customer_id
        assert (call.started.get("handoff") or {}).get("handoff_id") == (offered["handoff_id"] if found else None)
        assert await state(callers.supervisor, offered["handoff_id"]) == ("accepted" if found else "offered")
        assert call.started["interaction"]["assurance"]["level"] == 1
        assert "my bank" not in str([call.started, await call.context(), await call.timeline(after=0)])
        assert "she said" not in str(call.started)
        assert (await call.asks("bank"))["bank"]["verdict"] == "ask"
        await call.raised()
        assert (await call.asks("bank"))["bank"]["verdict"] == "known"


async def test_family_phone_gives_nothing_of_anybody(callers: Callers, adapter: Caller) -> None:
    shared = phone()
    (ann, hers), (bob, his) = await announced(adapter, shared), await announced(adapter, shared)
    call = await a_call(adapter, shared)
    assert call.started["ambiguous"] is True
    assert call.started["find_out"]
    assert call.customer_id not in (ann.customer_id, bob.customer_id)
    assert call.started.get("handoff") is None
    assert not {"my bank", ann.customer_id, bob.customer_id} & set(str(call.started).replace("'", " ").split())
    for offered in (hers, his):
        assert await state(callers.supervisor, offered["handoff_id"]) == "offered"


async def test_a_number_that_turns_out_to_be_shared_meanwhile_finds_nothing(adapter: Caller) -> None:
    shared = phone()
    await announced(adapter, shared)
    await begin(adapter, "app", customer_id=fresh("c"), identifiers=[shared], assurance={"level": 2, "method": "a"})
    assert (await a_call(adapter, shared)).started.get("handoff") is None


async def test_a_call_whose_number_is_forged_or_that_is_warned_of_finds_nothing(adapter: Caller) -> None:
    mine = phone()
    _, offered = await announced(adapter, mine)
    forged = await a_call(adapter, mine, attestation={"result": "failed"})
    assert forged.started.get("handoff") is None
    app, _ = await announced(adapter, other := phone())
    await app.tell(app.event("risk.flagged", {"kind": "sim_swap"}))
    assert (await a_call(adapter, other)).started.get("handoff") is None
    assert (await a_call(adapter, mine)).started["handoff"]["handoff_id"] == offered["handoff_id"]


async def test_somebody_elses_number_can_not_be_announced(callers: Callers, adapter: Caller) -> None:
    victims = phone()
    owner = await begin(
        adapter, "app", customer_id=fresh("c"), identifiers=[victims], assurance={"level": 2, "method": "login"}
    )
    thief, offered = await announced(adapter, phone())
    answers = [
        ok(await adapter.post(f"/v1/handoffs/{offered['handoff_id']}/announce", {"identifiers": [number]}))
        for number in (victims, phone())
    ]
    assert answers[0] == answers[1]
    for number in (victims, phone()):
        call = await a_call(adapter, number)
        assert call.started.get("handoff") is None
        assert call.customer_id != thief.customer_id
    assert (await a_call(adapter, victims)).customer_id == owner.customer_id


async def go_on(call: Scene) -> dict[str, Any]:
    """What a caller gets who says: go on where I was."""
    return ok(await call.caller.post(f"{call.place}/continue"))


@pytest.mark.parametrize("routing", [HUB, EXTERNAL])
async def test_dropped_in_the_queue_and_back(callers: Callers, adapter: Caller, clock: Clock, routing: str) -> None:
    mine = phone()
    call = await a_call(adapter, mine)
    first = await call.offer({"queue": routing}, expires_in=3600, priority=7)
    clock.move(minutes=3)
    await call.end()
    clock.move(minutes=2)
    stranger = await a_call(adapter)
    assert await go_on(stranger) == {"place_kept": False, "handoff": None, "queue": None}
    back = await a_call(adapter, mine)
    got = await go_on(back)
    if routing == EXTERNAL:
        assert got["place_kept"] is False
        return
    assert got["place_kept"] is True
    assert (got["handoff"]["waiting_since"], got["handoff"]["priority"]) == (first["waiting_since"], 7)
    assert got["handoff"]["token"]
    assert (await go_on(back))["handoff"]["handoff_id"] == got["handoff"]["handoff_id"]
    third = await a_call(adapter, mine)
    assert (await go_on(third))["place_kept"] is False
    assert [h for h in await line(callers, routing) if h in (first["handoff_id"], got["handoff"]["handoff_id"])] == [
        got["handoff"]["handoff_id"]
    ]


async def test_nobody_else_goes_on_and_nobody_after_ten_minutes(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    mine, second = phone(), phone()
    customer = fresh("c")
    call = await begin(adapter, "ivr", customer_id=customer, identifiers=[mine], assurance={"level": 1, "method": "a"})
    await call.offer({"queue": HUB}, expires_in=3600)
    await begin(adapter, "app", customer_id=customer, identifiers=[second], assurance={"level": 2, "method": "a"})
    await call.end()
    refused = [
        await go_on(await a_call(adapter, second)),
        await go_on(await begin(adapter, "ivr")),
        await go_on(await a_call(adapter, mine, attestation={"result": "failed"})),
    ]
    clock.move(minutes=10, seconds=1)
    refused.append(await go_on(await a_call(adapter, mine)))
    assert refused == [{"place_kept": False, "handoff": None, "queue": None}] * 4


async def test_below_level_2_a_channel_learns_of_no_other_and_of_no_agent(callers: Callers, adapter: Caller) -> None:
    mine, customer = phone(), fresh("c")
    call = await begin(
        adapter, "ivr", customer_id=customer, identifiers=[mine], assurance={"level": 2, "method": "pin"}
    )
    handoff = await call.offer({"queue": "billing"}, expires_in=3600)
    await accept(callers.ann, handoff["handoff_id"], "ann")
    stranger = await a_call(adapter, mine)
    answer = ok(await stranger.try_offer({"queue": "cards"}), 201)
    assert (answer["live"], answer["handoff"]["prefers"], stranger.started["live"]) == ([], None, [])


async def test_a_link_opened_again_by_the_same_chat_as_after_a_lost_answer_finds_the_same_place(
    callers: Callers, adapter: Caller
) -> None:
    first = await (await a_call(adapter)).offer({"queue": HUB}, expires_in=3600)
    body = start_body("chat", token=(await elsewhere(adapter, first))["token"])
    before = ok(await adapter.post("/v1/handoffs/redeem", body))
    again = ok(await adapter.post("/v1/handoffs/redeem", body))
    assert again["place"]["handoff_id"] == before["place"]["handoff_id"]
    assert again["place_kept"] is True
    assert (await line(callers, "chats")).count(again["place"]["handoff_id"]) == 1
