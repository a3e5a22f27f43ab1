"""A call from ring to hang-up: hold, consult, conference, transfer, back to the menu, wrapping up; in any weather."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acd.scenes import Call, Switch, a_call, a_waiting_call, an_answered_call, ref_of
from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, accept, fresh, known, ok, problem


@pytest.mark.parametrize("weather", ["fair", "twice", "shuffled", "retried"])
async def test_consult_and_conference(callers: Callers, switch: Switch, weather: str) -> None:
    call = await a_waiting_call(callers)
    await switch.note(call.ucid, "alerting", "ann", after=1)
    await switch.note(call.ucid, "answered", "ann", after=2)
    await switch.note(call.ucid, "held", "ann", after=20)
    await switch.note(call.ucid, "consulted", "bob", after=21)
    await switch.note(call.ucid, "answered", "bob", after=25)
    await switch.send(weather)
    assert await call.roles() == {"ann": "holder", "bob": "consulted"}
    assert await call.holder() == "ann"
    assert (await call.look(callers.bob))["facts"]["order_id"]["value"] == "A-17"
    fence = (await call.interaction())["fence"]
    aside = call.scene.event("message.sent", {"text": "hello", "fence": fence - 1}, party="agent")
    problem(await call.scene.try_tell(aside), 409, "not_the_holder")
    await switch.note(call.ucid, "retrieved", "ann", after=50)
    await switch.note(call.ucid, "conferenced", "bob", after=51)
    await switch.send(weather)
    assert await call.roles() == {"ann": "holder", "bob": "joined"}
    await switch.note(call.ucid, "ended", "bob", after=90)
    await switch.send(weather)
    assert (await call.look(callers.bob))["facts"]["order_id"]["value"] == "A-17"
    assert await call.holder() == "ann"
    await switch.note(call.ucid, "ended", after=100)
    await switch.send(weather)
    assert (await call.interaction())["state"] == "ended"
    assert await call.states() == ["accepted"]
    assert await _legs(call) == {"ann": ("holder", 98.0), "bob": ("joined", 65.0)}


async def _legs(call: Call) -> dict[str, tuple[str, float]]:
    """As what each agent took part, and for how long, as the timeline tells."""
    legs = [leg for event in await call.timeline() for leg in event["data"].get("legs", [])]
    return {leg["agent_id"]: (leg["role"], leg["seconds"]) for leg in legs}


async def test_who_was_consulted_reads_for_a_day_and_can_not_make_it_two(
    callers: Callers, switch: Switch, clock: Clock
) -> None:
    call = await an_answered_call(callers, switch)
    await switch.tell(call.ucid, "consulted", "bob")
    await switch.tell(call.ucid, "ended", "bob")
    clock.move(hours=23)
    assert (await call.look(callers.bob))["facts"]["order_id"]["value"] == "A-17"
    own = call.scene.event("call.consulted", {"agent_id": "bob"}) | {"at": clock().isoformat()}
    ok(await callers.bob.post(f"{call.scene.base}/events", {"events": [own]}))
    clock.move(hours=2)
    problem(await callers.bob.get(f"{call.scene.base}/context"), 403, "forbidden")
    kept = next(event for event in await call.timeline() if event["event_id"] == own["event_id"])
    assert kept["marks"] == ["by_agent"]
    problem(await callers.bob.post(f"{call.scene.base}/events", {"events": [own]}), 403, "forbidden")
    await switch.tell(call.ucid, "consulted", "bob")
    assert (await call.look(callers.bob))["interactions"]


async def test_who_wrapped_up_reads_for_a_day_and_can_not_make_it_two_by_saying_that_he_is_on_the_line(
    callers: Callers, clock: Clock
) -> None:
    chat = await known(callers.adapter, "chat")
    offered = await chat.offer({"queue": "second"})
    held = await accept(callers.ann, offered["handoff_id"], "ann")
    done = {"agent_id": "ann", "fence": held["fence"], "outcome": "resolved"}
    ok(await callers.ann.post(f"/v1/handoffs/{offered['handoff_id']}/complete", done))
    for _ in range(6):
        clock.move(hours=3, minutes=50)
        await chat.tell(chat.event("message.received", {"text": "still here"}, party="customer"))
    ok(await callers.ann.get(f"{chat.base}/context", interaction_id=chat.interaction_id))
    for verb in ("alerting", "answered", "transferred", "answered"):
        own = chat.event(f"call.{verb}", {"agent_id": "ann"}) | {"at": clock().isoformat()}
        ok(await callers.ann.post(f"{chat.base}/events", {"events": [own]}))
    clock.move(hours=2)
    problem(await callers.ann.get(f"{chat.base}/context"), 403, "forbidden")


async def test_who_is_consulted_through_the_desk_reads_along_and_takes_nothing(
    callers: Callers, switch: Switch
) -> None:
    call = await an_answered_call(callers, switch)
    asked = await call.offer({"agent": "bob"}, mode="consult")
    await switch.tell(call.ucid, "answered", "bob")
    assert await call.roles() == {"ann": "holder", "bob": "consulted"}
    assert (await call.handoff())["state"] == "accepted"
    assert await call.holder() == "ann"
    await switch.tell(call.ucid, "ended", "bob")
    assert (await call.handoff(asked["handoff_id"]))["state"] == "completed"
    assert await call.states() == ["accepted", "completed"]


async def test_a_warm_transfer_is_a_handoff_of_its_own_and_ends_the_one_before(
    callers: Callers, switch: Switch
) -> None:
    call = await an_answered_call(callers, switch)
    for number, (verb, agent) in enumerate([("consulted", "bob"), ("answered", "bob"), ("transferred", "bob")]):
        await switch.note(call.ucid, verb, agent, after=10 + number)
    await switch.note(call.ucid, "ended", "ann", after=14)
    await switch.send("shuffled", seed=3)
    assert await call.holder() == "bob"
    assert await call.states() == ["transferred", "accepted"]
    [_, taken] = [e for e in await call.timeline() if e["type"] == "handoff.accepted"]
    child = await call.handoff(taken["data"]["handoff_id"])
    assert (child["parent_id"], child["root_id"]) == (call.handoff_id, call.handoff_id)
    found = ok(await callers.bob.post(f"/v1/handoffs/{child['handoff_id']}/accept", {"agent_id": "bob"}))
    assert found["context"]["facts"]["order_id"]["value"] == "A-17"


async def test_a_cold_transfer_to_a_queue_waits_there_until_somebody_answers(callers: Callers, switch: Switch) -> None:
    call = await an_answered_call(callers, switch)
    await switch.note(call.ucid, "ended", "ann", after=11)
    await switch.note(call.ucid, "transferred", after=10, queue="second")
    await switch.send()
    listed = ok(await callers.supervisor.get("/v1/handoffs", queue="second"))["handoffs"]
    assert call.scene.customer_id in [handoff["customer_id"] for handoff in listed]
    await switch.tell(call.ucid, "answered", "cat", after=30)
    assert await call.holder() == "cat"
    assert await call.states() == ["transferred", "accepted"]


async def test_a_call_that_nobody_answered_waits_in_the_queue_it_was_given_to_next(
    callers: Callers, switch: Switch
) -> None:
    call = await an_answered_call(callers, switch)
    await switch.note(call.ucid, "transferred", "bob", after=10)
    await switch.note(call.ucid, "ended", "ann", after=11)
    await switch.send()
    [*_, offered] = [event["data"] for event in await call.timeline() if event["type"] == "handoff.offered"]
    assert offered["to"] == {"agent": "bob"}
    await switch.note(call.ucid, "ended", "bob", after=30)
    await switch.note(call.ucid, "transferred", after=31, queue="second")
    await switch.send()
    listed = ok(await callers.supervisor.get("/v1/handoffs", queue="second"))["handoffs"]
    [there] = [handoff for handoff in listed if handoff["customer_id"] == call.scene.customer_id]
    assert there["handoff_id"] == offered["handoff_id"]
    assert there["waiting_since"] == offered["waiting_since"]
    await switch.tell(call.ucid, "answered", "cat", after=60)
    assert await call.holder() == "cat"
    assert await call.states() == ["transferred", "accepted"]


async def test_an_overflow_takes_what_the_hub_offered_along_to_the_queue_where_the_call_went(
    callers: Callers, switch: Switch
) -> None:
    call = await an_answered_call(callers, switch)
    offered = await call.offer({"queue": "second"}, note="wants the money back")
    await switch.note(call.ucid, "ended", "ann", after=2)
    await switch.note(call.ucid, "transferred", after=40, queue="hotline")
    await switch.send()
    for queue, waits in (("second", False), ("hotline", True)):
        listed = ok(await callers.supervisor.get("/v1/handoffs", queue=queue))["handoffs"]
        assert (offered["handoff_id"] in [handoff["handoff_id"] for handoff in listed]) is waits
    await switch.tell(call.ucid, "answered", "cat", after=60)
    taken = await call.handoff(offered["handoff_id"])
    assert (taken["agent_id"], taken["waiting_since"], taken["note"]) == (
        "cat", offered["waiting_since"], "wants the money back"
    )  # fmt: skip
    assert await call.states() == ["transferred", "accepted"]


async def test_the_desk_transfers_and_whoever_answers_takes_that_offer(callers: Callers, switch: Switch) -> None:
    call = await an_answered_call(callers, switch)
    offered = await call.offer({"queue": "second"}, note="wants the money back")
    await switch.tell(call.ucid, "answered", "cat", after=5)
    assert (await call.handoff(offered["handoff_id"]))["agent_id"] == await call.holder() == "cat"
    assert await call.states() == ["transferred", "accepted"]


async def test_second_line_and_back_to_the_bot_which_goes_on_at_a_step_with_a_sentence(
    callers: Callers, switch: Switch
) -> None:
    call = await a_call(callers)
    begun = await call.scene.tell(call.scene.event("journey.started", {"kind": "refund"}))
    journey_id = begun["results"][0]["journey_id"]
    await call.offer(journey_id=journey_id)
    await switch.tell(call.ucid, "answered", "ann")
    second = await call.offer({"queue": "second"}, journey_id=journey_id)
    await switch.tell(call.ucid, "answered", "bob", after=5)
    fence = (await call.handoff(second["handoff_id"]))["fence"]
    back = {"agent_id": "bob", "fence": fence, "to": {"bot": "menu"}, "step": "payout", "note": "order is right"}
    answer = ok(await callers.bob.post(f"/v1/handoffs/{second['handoff_id']}/return", back | {"say": "Where to?"}))
    assert (answer["offered"]["state"], answer["offered"]["say"]) == ("accepted", "Where to?")
    assert await call.states() == ["transferred", "returned", "accepted"]
    steps = [journey["step"] for journey in (await call.look())["journeys"]]
    assert (await call.holder(), steps) == (None, ["payout"])

    await call.offer({"queue": "hotline"})
    await switch.tell(call.ucid, "answered", "cat", after=60)
    assert await call.holder() == "cat"
    first = await call.offer({"previous": True})
    assert first["to"] == {"agent": "ann"}
    await switch.tell(call.ucid, "answered", "ann", after=90)
    assert await call.holder() == "ann"
    assert await call.states() == ["transferred", "returned", "transferred", "transferred", "accepted"]
    chain = [event["data"]["handoff_id"] for event in await call.timeline() if event["type"] == "handoff.offered"]
    assert {(await call.handoff(one))["root_id"] for one in chain} == {chain[0]}


async def test_the_switch_itself_gives_a_call_back_to_the_menu(callers: Callers, switch: Switch) -> None:
    call = await an_answered_call(callers, switch)
    await switch.tell(call.ucid, "transferred", bot="menu", say="One moment.", after=5)
    await switch.tell(call.ucid, "ended", "ann", after=6)
    shown = await call.interaction()
    assert (shown["state"], shown["holder"]) == ("open", {"party": "bot", "id": "menu"})
    assert await call.states() == ["returned", "accepted"]


async def test_the_owners_deputy_stands_in(callers: Callers) -> None:
    call = await a_call(callers)
    begun = await call.scene.tell(call.scene.event("journey.started", {"kind": "claim"}))
    offered = await call.offer({"owner_of": begun["results"][0]["journey_id"]}, expires_in=60)
    assert (offered["to"], offered["fallback"]) == ({"agent": "ann"}, {"agent": "bob"})
    ok(await callers.ann.post(f"/v1/handoffs/{call.handoff_id}/decline", {"agent_id": "ann"}))
    assert (await call.handoff())["to"] == {"agent": "bob"}


async def test_after_the_customer_has_gone_the_agent_wraps_up_with_a_draft_that_is_kept_here(
    callers: Callers, switch: Switch, clock: Clock
) -> None:
    call = await an_answered_call(callers, switch)
    path, held = f"/v1/handoffs/{call.handoff_id}", {"agent_id": "ann", "fence": 2}
    await switch.tell(call.ucid, "ended")
    wrapping = await call.handoff()
    assert (wrapping["state"], wrapping["wrap_up_since"] is not None) == ("accepted", True)
    clock.move(minutes=20)
    draft = {"draft": {"text": "letter follows", "disposition": "letter"}}
    ok(await callers.ann.call("PUT", f"{path}/draft", json=held | draft))
    clock.move(minutes=20)
    assert (await call.handoff())["draft"]["text"] == "letter follows"
    assert ok(await callers.adapter.get(path))["handoff"]["draft"] is None
    wrong = problem(await callers.ann.post(f"{path}/complete", held | {"disposition": "gone"}), 422, "invalid")
    assert wrong["errors"] == [
        {"pointer": "/disposition", "detail": "'gone' is none of this queue's: solved, letter, called back"}
    ]
    done = ok(await callers.ann.post(f"{path}/complete", held | {"outcome": "resolved", "disposition": "letter"}))
    assert (done["handoff"]["state"], done["handoff"]["disposition"]) == ("completed", "letter")
    told = next(event for event in await call.timeline() if event["type"] == "handoff.completed")
    assert (told["data"]["disposition"], told["data"]["wrap_up"]) == ("letter", 2400.0)


async def test_a_channel_that_ends_what_an_agent_holds_names_one_of_the_queues_codes(
    callers: Callers, switch: Switch
) -> None:
    call = await an_answered_call(callers, switch)
    wrong = problem(await callers.adapter.post(f"{call.scene.place}/end", {"disposition": "gone"}), 422, "invalid")
    assert [fault["pointer"] for fault in wrong["errors"]] == ["/disposition"]
    assert (await call.handoff())["state"] == "accepted"
    ended = await call.scene.end(disposition="solved")
    assert ended["interaction"]["state"] == "ended"
    assert (await call.scene.end(disposition="gone"))["version"] == ended["version"]


async def test_a_wrap_up_that_nobody_ends_ends_and_its_draft_stands_on_the_timeline(
    callers: Callers, switch: Switch, clock: Clock
) -> None:
    call = await an_answered_call(callers, switch)
    draft = {"agent_id": "ann", "fence": 2, "draft": {"text": "letter follows"}}
    ok(await callers.ann.call("PUT", f"/v1/handoffs/{call.handoff_id}/draft", json=draft))
    await switch.tell(call.ucid, "ended")
    clock.move(minutes=31)
    assert (await call.handoff())["state"] == "completed"
    await switch.tell(call.ucid, "recording.stopped")
    told = next(event for event in await call.timeline() if event["type"] == "handoff.completed")
    assert told["data"]["draft"] == {"text": "letter follows"}


async def test_an_end_in_so_many_words_counts_also_where_all_else_was_lost(callers: Callers, switch: Switch) -> None:
    call = await a_waiting_call(callers)
    await switch.note(call.ucid, "answered", "ann", after=1)
    await switch.note(call.ucid, "held", "ann", after=2)
    await switch.note(call.ucid, "ended", after=9)
    await switch.send("lossy", lost=["call.answered"])
    assert await call.states() == ["accepted"]
    assert (await call.handoff())["agent_id"] == "ann"
    assert (await call.interaction())["state"] == "ended"


async def test_what_comes_after_the_end_is_taken_and_wakes_nothing(callers: Callers, switch: Switch) -> None:
    call = await an_answered_call(callers, switch)
    await switch.tell(call.ucid, "ended", after=10)
    await switch.tell(call.ucid, "held", "ann", after=60)
    await switch.tell(call.ucid, "answered", "bob", after=70)
    assert ((await call.interaction())["state"], await call.roles()) == ("ended", {})
    late = [event for event in await call.timeline() if "after_the_end" in event.get("marks", [])]
    assert [event["type"] for event in late] == ["call.held", "call.answered"]
    assert await call.states() == ["accepted"]


@pytest.mark.parametrize("skew", [-10, 10])
async def test_clocks_ten_seconds_apart_lose_nobody(callers: Callers, switch: Switch, skew: int) -> None:
    call = await a_waiting_call(callers)
    await switch.order("clock", skew=skew)
    await switch.note(call.ucid, "answered", "ann", after=1)
    await switch.note(call.ucid, "ended", "ann", after=6)
    await switch.order("clock", skew=0)
    await switch.note(call.ucid, "ended", after=6)
    await switch.send("shuffled")
    assert (await call.interaction())["state"] == "ended"
    assert {(await call.handoff())["agent_id"], *(await _served(call))} >= {"ann"}


async def _served(call: Call) -> list[Any]:
    """Who accepted a handoff of a call."""
    return [e["data"].get("agent_id") for e in await call.timeline() if e["type"] == "handoff.accepted"]


async def test_a_call_that_was_never_announced_goes_straight_to_the_agent(callers: Callers, switch: Switch) -> None:
    direct = await switch.arrive(fresh("leg"), identifiers=[{"type": "phone", "value": "+8613800138077"}])
    event = {
        "event_id": fresh("ev"),
        "type": "call.answered",
        "interaction_id": direct["interaction"]["interaction_id"],
    }
    told = {"events": [event | {"data": {"agent_id": "ann"}}]}
    ok(await callers.adapter.post(f"/v1/customers/{direct['customer_id']}/events", told))
    shown = ok(await callers.ann.get(f"/v1/customers/{direct['customer_id']}/context"))
    assert [handoff["agent_id"] for handoff in shown["handoffs"]] == ["ann"]


async def test_a_spoofed_number_brings_an_agent_but_discloses_nothing(callers: Callers, switch: Switch) -> None:
    phone = {"type": "phone", "value": f"+8613{int(fresh('n').split('-')[-1]):09}"}
    known = await a_call(callers, identifiers=[phone | {"strength": "verified"}])
    spoofed = await a_call(callers, level=0, identifiers=[phone], attestation={"result": "failed"})
    assert spoofed.scene.customer_id == known.scene.customer_id
    await spoofed.offer()
    await switch.tell(spoofed.ucid, "answered", "bob")
    place = f"{known.scene.base}/context"
    shown = ok(await callers.bob.get(place, interaction_id=spoofed.scene.interaction_id))
    assert shown["assurance"]["level"] < 2
    names = {event["interaction_id"] for event in shown["recent"]}
    assert known.scene.interaction_id not in names
    leg = await switch.arrive(fresh("leg"), token=spoofed.token)
    assert leg["context"]["assurance"]["level"] < 2


async def test_an_unknown_number_becomes_known_in_the_middle_of_the_call(callers: Callers, switch: Switch) -> None:
    known = await a_call(callers)
    call = await a_waiting_call(callers, level=0, identifiers=[{"type": "phone", "value": "+8613800138088"}])
    leg = await switch.arrive(fresh("leg"), token=call.token, agent_id="ann")
    body = {"customer_id": known.scene.customer_id, "assurance": {"level": 2, "method": "otp"}, "reason": "verified"}
    ok(await callers.adapter.post(f"{call.scene.place}/identify", body))
    assert call.scene.customer_id != known.scene.customer_id
    await switch.tell(call.ucid, "consulted", "bob", after=20)
    await switch.tell(call.ucid, "answered", "bob", after=22)
    assert (await call.holder(), await call.roles()) == ("ann", {"ann": "holder", "bob": "consulted"})
    found = ok(await callers.ann.get(f"{known.scene.base}/context"))
    assert found["facts"]["order_id"]["value"] == "A-17"
    assert (await call.handoff())["customer_id"] == known.scene.customer_id
    moved = await switch.find(leg["interaction"]["external_id"])
    assert moved["ok"]["customer_id"] == known.scene.customer_id
    await switch.tell(call.ucid, "ended", after=60)
    assert (await call.handoff())["state"] == "accepted"


async def test_a_report_that_names_only_its_call_is_sent_after_a_call_that_turned_out_to_be_somebody_elses(
    callers: Callers, switch: Switch
) -> None:
    call = await a_waiting_call(callers, level=0, identifiers=[{"type": "phone", "value": "+8613800138089"}])
    first = f"{call.scene.base}/events"
    report = {"type": "call.answered", "data": {"ref": ref_of(call.ucid), "agent_id": "ann"}}
    ok(await callers.adapter.post(first, {"events": [report | {"event_id": fresh("ev")}]}))
    assert await call.holder() == "ann", "told while it is here"
    home = fresh("c")
    ok(await callers.adapter.post(f"{call.scene.place}/identify", {"customer_id": home, "reason": "verified"}))
    late = {"events": [report | {"event_id": fresh("ev"), "type": "call.ended"}]}
    assert problem(await callers.adapter.post(first, late), 308, "moved")["customer_id"] == home
    ok(await callers.adapter.post(f"/v1/customers/{home}/events", late))
    assert await call.roles() == {}
    unheard = {"events": [report | {"event_id": fresh("ev"), "data": {"ref": ref_of(fresh("ucid"))}}]}
    ok(await callers.adapter.post(first, unheard))


async def test_a_key_of_other_channels_tells_nothing_of_a_call_by_its_name_alone(callers: Callers) -> None:
    call = await a_waiting_call(callers)
    body = {"name": fresh("key"), "role": "adapter", "channels": ["chat"]}
    chat = Caller(callers.admin.http, ok(await callers.admin.post("/v1/keys", body), 201)["key"])
    report = {"event_id": fresh("ev"), "type": "call.answered", "data": {"ref": ref_of(call.ucid), "agent_id": "ann"}}
    problem(await chat.post(f"{call.scene.base}/events", {"events": [report]}), 403, "forbidden")
    assert await call.holder() is None


async def test_a_bot_that_got_the_customer_back_ends_with_a_disposition_of_its_own(
    callers: Callers, switch: Switch
) -> None:
    call = await an_answered_call(callers, switch)
    held = {"agent_id": "ann", "fence": 2, "note": "asks for the balance alone"}
    back = ok(await callers.ann.post(f"/v1/handoffs/{call.handoff_id}/return", held))
    assert (back["offered"]["to"], (await call.interaction())["holder"]["party"]) == ({"bot": "bot"}, "bot")
    ended = await call.scene.end(disposition="told by the menu", outcome="resolved")
    assert (ended["interaction"]["state"], ended["interaction"]["holder"]["party"]) == ("ended", "bot")
    told = next(event for event in await call.timeline() if event["type"] == "interaction.ended")
    assert (told["data"]["disposition"], told["data"]["outcome"]) == ("told by the menu", "resolved")
    assert await call.states() == ["returned", "completed"]
