"""What another system routes: the handoff lives as long as its call, and follows what the telephone reports."""

from __future__ import annotations

from typing import Any

from tests.acd.scenes import Switch, a_call, a_waiting_call, an_answered_call, ref_of
from tests.api.following import following
from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, fresh, ok, pointers, problem, redeem


async def test_who_waits_on_the_phone_has_no_deadline_and_who_waits_in_the_chat_has_one(callers: Callers) -> None:
    call = await a_call(callers)
    offered = await call.offer(expires_in=60, priority=5, skills=["cards"])
    assert (offered["routing"], offered["expires_at"]) == ("external", None)
    assert (offered["priority"], offered["skills"], offered["position"]) == (5, ["cards"], None)
    assert offered["waiting_since"] is not None
    chat = await a_call(callers, channel="chat", system="web")
    assert (await chat.offer())["routing"] == "hub"
    undeclared = await a_call(callers)
    assert (await undeclared.offer({"queue": "anywhere"}))["expires_at"] is not None


async def elsewhere(callers: Callers, handoff_id: str) -> dict[str, Any]:
    """The link to the chat for whoever waits by a handoff."""
    path = f"/v1/handoffs/{handoff_id}/elsewhere"
    found: dict[str, Any] = ok(await callers.adapter.post(path, {"channel": "chat"}), 201)["handoff"]
    return found


async def test_a_call_that_another_system_routes_keeps_its_own_place_and_that_is_said(
    callers: Callers, switch: Switch
) -> None:
    call = await a_waiting_call(callers)
    link = await elsewhere(callers, call.handoff_id)
    assert link["place_kept"] is False
    chat = await redeem(callers.adapter, link["token"])
    assert (chat.started["place_kept"], chat.started.get("place")) == (False, None)
    await switch.tell(call.ucid, "answered", "ann")
    assert [one["state"] for one in (await call.look())["handoffs"] if one["to"] == {"queue": "hotline"}] == [
        "accepted"
    ]
    waits_for_ann = await a_waiting_call(callers)
    await switch.tell(waits_for_ann.ucid, "answered", "bob")
    await switch.tell(waits_for_ann.ucid, "transferred", "ann")
    [offered] = [one for one in (await waits_for_ann.look())["handoffs"] if one["to"] == {"agent": "ann"}]
    assert (await elsewhere(callers, offered["handoff_id"]))["place_kept"] is False


async def test_an_hour_of_silence_ends_nothing_and_four_hours_mean_that_the_customer_has_left(
    callers: Callers, clock: Clock
) -> None:
    call = await a_waiting_call(callers)
    clock.move(hours=1)
    assert (await call.handoff())["state"] == "offered"
    clock.move(hours=3, seconds=1)
    assert (await call.handoff())["state"] == "left"


async def test_position_and_wait_are_what_the_router_told_last_whenever_that_arrives(
    callers: Callers, switch: Switch
) -> None:
    call = await a_waiting_call(callers)
    await switch.note(call.ucid, "queued", after=30, position=1, expected_wait=40)
    await switch.note(call.ucid, "queued", after=10, position=3, expected_wait=240)
    await switch.send()
    shown = await call.handoff()
    assert (shown["position"], shown["expected_wait"]) == (1, 40)


async def test_the_screen_pops_at_alerting_before_anybody_has_answered(callers: Callers, switch: Switch) -> None:
    call = await a_waiting_call(callers)
    problem(await callers.bob.get(f"{(await a_call(callers)).scene.base}/context"), 403, "forbidden")
    async with following(callers.agent, "/v1/queues/hotline/stream") as desk:
        await desk.until("snapshot")
        await switch.tell(call.ucid, "alerting", "bob")
        rung = await desk.until("call.alerting", call.scene.customer_id)
    assert rung.data["data"]["agent_id"] == "bob"
    assert (await call.look(callers.bob))["facts"]["order_id"]["value"] == "A-17"
    assert await call.holder() is None


async def test_who_is_rung_consulted_or_given_a_call_hears_it_on_his_own_stream_though_nothing_was_offered(
    callers: Callers, switch: Switch
) -> None:
    call = await a_call(callers)
    async with following(callers.bob, "/v1/agents/bob/stream") as own:
        await own.until("snapshot")
        await switch.tell(call.ucid, "alerting", "bob")
        rung = await own.until("call.alerting", call.scene.customer_id)
        assert (rung.data["interaction_id"], rung.data["data"]["agent_id"]) == (call.scene.interaction_id, "bob")
        assert (await call.look(callers.bob))["facts"]["order_id"]["value"] == "A-17"
        await switch.tell(call.ucid, "ended", "bob")
        await own.until("call.ended", call.scene.customer_id)
        other = await an_answered_call(callers, switch)
        for verb, type_ in (("consulted", "call.consulted"), ("transferred", "call.transferred")):
            await switch.tell(other.ucid, verb, "bob")
            await own.until(type_, other.scene.customer_id)
        await switch.tell(other.ucid, "ended")
        over = await own.until("call.ended", other.scene.customer_id)
        assert [leg["agent_id"] for leg in over.data["data"]["legs"]] == ["bob"]


async def test_an_agent_who_does_not_hold_a_call_rings_nobody_by_what_he_tells(
    callers: Callers, switch: Switch
) -> None:
    call, other = await a_waiting_call(callers), await a_call(callers)
    own_word = call.scene.event("call.alerting", {"agent_id": "bob", "ref": ref_of(call.ucid)})
    async with following(callers.bob, "/v1/agents/bob/stream") as own:
        await own.until("snapshot")
        ok(await callers.agent.post(f"{call.scene.base}/events", {"events": [own_word]}))
        await switch.tell(other.ucid, "alerting", "bob")
        assert (await own.until("call.alerting")).data["customer_id"] == other.scene.customer_id


async def test_what_rings_at_an_agent_now_is_listed_to_him_alone_and_no_more_once_another_has_answered(
    callers: Callers, switch: Switch
) -> None:
    first, second = await a_waiting_call(callers), await a_call(callers)
    calls = [(call.scene.customer_id, call.scene.interaction_id) for call in (first, second)]

    async def listed(caller: Caller, agent_id: str = "bob", **more: str) -> list[tuple[str, str, str]]:
        """Which of the two is listed, and how it is at the agent's phone."""
        found = ok(await caller.get("/v1/interactions", agent_id=agent_id, **more))["interactions"]
        here = [one for one in found if (one["customer_id"], one["interaction_id"]) in calls]
        legs = [(one, leg) for one in here for leg in one["legs"] if leg["agent_id"] == agent_id]
        return [(one["customer_id"], one["interaction_id"], leg["state"]) for one, leg in legs]

    assert await listed(callers.bob) == []
    for call in (first, second):
        await switch.tell(call.ucid, "alerting", "bob")
    own_word = first.scene.event("call.alerting", {"agent_id": "cat", "ref": ref_of(first.ucid)})
    ok(await callers.agent.post(f"{first.scene.base}/events", {"events": [own_word]}))
    assert await listed(callers.supervisor, "cat") == [], "by his own word nobody is rung"
    assert await listed(callers.bob) == [(*call, "alerting") for call in calls]
    assert await listed(callers.bob, channel="ivr") == await listed(callers.supervisor) == await listed(callers.bob)
    assert await listed(callers.bob, channel="chat") == await listed(callers.bob, state="ended") == []
    problem(await callers.ann.get("/v1/interactions", agent_id="bob"), 403, "forbidden")
    assert await listed(callers.ann, "ann") == []
    await switch.tell(first.ucid, "answered", "ann")
    await switch.tell(first.ucid, "ended", "bob")
    assert await listed(callers.bob) == [(*calls[1], "alerting")]
    assert await listed(callers.ann, "ann") == [(*calls[0], "talking")]
    await switch.tell(second.ucid, "ended")
    assert await listed(callers.bob) == []


async def test_a_list_of_interactions_is_of_a_channel_or_of_an_agent(callers: Callers) -> None:
    assert pointers(await callers.adapter.get("/v1/interactions")) == ["/channel"]


async def test_every_leg_of_the_call_may_come_with_its_token_or_only_its_name(callers: Callers, switch: Switch) -> None:
    call = await a_waiting_call(callers)
    for brought in ({"token": call.token}, {"refs": [ref_of(call.ucid)]}):
        leg = await switch.arrive(fresh("leg"), **brought)
        assert leg["customer_id"] == call.scene.customer_id
        assert leg["handoff"]["handoff_id"] == call.handoff_id
        assert leg["context"]["facts"]["order_id"]["value"] == "A-17"
    answered = await switch.arrive(fresh("leg"), token=call.token, agent_id="ann")
    assert (answered["handoff"]["state"], answered["handoff"]["agent_id"]) == ("accepted", "ann")
    late = await switch.arrive(fresh("leg"), token=call.token)
    assert late["context"]["facts"]["order_id"]["value"] == "A-17"
    await switch.tell(call.ucid, "ended")
    refused = await switch.order("arrive", leg=fresh("leg"), token=call.token)
    assert "ok" in refused or refused["refused"] == 410


async def test_an_agent_who_comes_with_the_token_after_a_transfer_gets_the_handoff_that_is_his(
    callers: Callers, switch: Switch, clock: Clock
) -> None:
    call = await an_answered_call(callers, switch)
    clock.move(seconds=20)
    await switch.tell(call.ucid, "transferred", queue="second")
    clock.move(seconds=20)
    leg = fresh("leg")
    for _ in range(2):
        came = await switch.arrive(leg, token=call.token, agent_id="bob")
        assert (came["handoff"]["agent_id"], came["handoff"]["to"]) == ("bob", {"queue": "second"})
        assert came["handoff"]["fence"] == (await call.interaction())["fence"]
    assert await call.holder() == "bob"
    note = {"agent_id": "bob", "fence": came["handoff"]["fence"], "draft": {"text": "wants a letter"}}
    ok(await callers.bob.call("PUT", f"/v1/handoffs/{came['handoff']['handoff_id']}/draft", json=note))
    unnamed = await switch.arrive(fresh("leg"), token=call.token)
    assert unnamed["handoff"]["handoff_id"] == call.handoff_id


async def test_after_four_hours_of_silence_a_look_up_says_what_the_handoff_says(
    callers: Callers, switch: Switch, clock: Clock
) -> None:
    call = await an_answered_call(callers, switch)
    clock.move(hours=4, seconds=1)
    shown, handoff = await call.interaction(), await call.handoff()
    assert (shown["state"], handoff["wrap_up_since"]) == ("ended", shown["ended_at"])


async def test_a_leg_that_names_its_call_does_not_take_the_name_away(callers: Callers, switch: Switch) -> None:
    call = await a_waiting_call(callers)
    leg = await switch.arrive(fresh("leg"), refs=[ref_of(call.ucid)])
    again = await switch.arrive(leg["interaction"]["external_id"], refs=[ref_of(call.ucid)])
    assert again["interaction"]["interaction_id"] == leg["interaction"]["interaction_id"]
    assert (await call.interaction())["interaction_id"] == call.scene.interaction_id
    own = await switch.find(leg["interaction"]["external_id"])
    assert own["ok"]["interaction"]["interaction_id"] == leg["interaction"]["interaction_id"]


async def test_a_name_of_another_call_leads_nowhere(callers: Callers, switch: Switch) -> None:
    call = await a_waiting_call(callers)
    stranger = await switch.arrive(fresh("leg"), refs=[ref_of(fresh("ucid"))])
    assert stranger["customer_id"] != call.scene.customer_id
    assert "order_id" not in stranger["context"]["facts"]


async def test_answered_twice_by_one_is_once_and_by_another_it_is_marked_and_not_lost(
    callers: Callers, switch: Switch
) -> None:
    call = await a_waiting_call(callers)
    for agent in ("ann", "ann", "bob"):
        await switch.note(call.ucid, "answered", agent, after={"ann": 1, "bob": 5}[agent])
    await switch.send("retried")
    assert (await call.handoff())["agent_id"] == await call.holder() == "ann"
    assert await call.roles() == {"ann": "holder", "bob": "consulted"}
    told = [event for event in await call.timeline() if event["type"] == "call.answered"]
    assert [(e["data"]["agent_id"], e.get("marks", [])) for e in told] == [
        ("ann", []),
        ("ann", []),
        ("bob", ["out_of_turn"]),
    ]
    again = await switch.arrive(fresh("leg"), token=call.token, agent_id="bob")
    assert again["handoff"]["agent_id"] == "ann"


async def test_who_is_dropped_in_the_queue_and_calls_again_keeps_the_place(
    callers: Callers, switch: Switch, clock: Clock
) -> None:
    call = await a_waiting_call(callers)
    waiting_since = (await call.handoff())["waiting_since"]
    clock.move(minutes=5)
    await switch.tell(call.ucid, "ended")
    assert (await call.handoff())["state"] == "left"
    clock.move(minutes=3)
    again = await a_call(callers, customer_id=call.scene.customer_id)
    assert (await again.offer())["waiting_since"] == waiting_since


async def test_a_call_is_found_by_every_name_and_the_same_number_of_another_system_is_another_call(
    callers: Callers, switch: Switch
) -> None:
    call, other = await a_waiting_call(callers), await a_call(callers)
    await switch.tell(call.ucid, "recording.started", ref={"system": "rec", "kind": "recording", "id": call.ucid})
    refs = {"refs": [{"system": "crm", "kind": "case", "id": call.ucid}]}
    ok(await callers.adapter.call("PUT", f"{other.scene.place}/refs", json=refs))
    names = [("acd", "call", call), ("rec", "recording", call), ("crm", "case", other)]
    for system, kind, whose in names:
        found = await switch.find(call.ucid, system=system, kind=kind)
        assert found["ok"]["interaction"]["interaction_id"] == whose.scene.interaction_id
    assert (await call.interaction())["recording"] == "on"
    assert (await switch.find(call.ucid, system="elsewhere"))["refused"] == 404


async def test_a_key_of_one_agent_can_not_say_that_another_answered(callers: Callers, switch: Switch) -> None:
    call = await an_answered_call(callers, switch)
    event = call.scene.event("call.answered", {"agent_id": "bob"})
    problem(await callers.ann.post(f"{call.scene.base}/events", {"events": [event]}), 403, "forbidden")
