"""Handoffs over HTTP: the whole state machine, tokens and codes, queues."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import (
    Caller,
    Scene,
    accept,
    begin,
    fresh,
    known,
    ok,
    phone,
    pointers,
    problem,
    redeem,
    start_body,
)

QUEUE = {"queue": "billing"}


async def act(caller: Caller, handoff: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
    """Do something to a handoff that has to work."""
    return ok(await caller.post(f"/v1/handoffs/{handoff['handoff_id']}/{verb}", body or None))


async def state(caller: Caller, handoff: dict[str, Any]) -> str:
    """A handoff's present state."""
    found: str = ok(await caller.get(f"/v1/handoffs/{handoff['handoff_id']}"))["handoff"]["state"]
    return found


async def queue_of(caller: Caller, queue: str, state: str = "offered") -> list[str]:
    """Who stands in a queue, first in line first."""
    listed = ok(await caller.get("/v1/handoffs", queue=queue, state=state))["handoffs"]
    return [handoff["handoff_id"] for handoff in listed]


async def test_an_offer_carries_what_lets_the_customer_go_on_elsewhere(adapter: Caller) -> None:
    scene = await known(adapter, identifiers=[phone()])
    response = await scene.try_offer(QUEUE, expires_in=300)
    answer = ok(response, 201)
    handoff = answer["handoff"]
    assert (handoff["state"], handoff["to"], handoff["parent_id"]) == ("offered", QUEUE, None)
    assert handoff["root_id"] == handoff["handoff_id"]
    assert re.fullmatch("[0-9A-Za-z_-]{22,30}", handoff["token"])
    assert re.fullmatch("[0-9]{8}", handoff["code"])
    assert bytes.fromhex(handoff["uui"][2:].partition(";")[0]).decode() == handoff["token"]
    assert handoff["link"].endswith(handoff["token"])
    assert handoff["waiting_since"] < handoff["expires_at"]
    assert response.headers["etag"] == f'"{handoff["version"]}"'
    assert answer["queue"].keys() >= {"open", "opens_at", "waiting", "expected_wait", "alternatives"}
    assert answer["queue"]["waiting"] >= 1


async def test_only_the_offer_shows_its_secrets(adapter: Caller, desk: Caller) -> None:
    scene = await known(adapter, identifiers=[phone()])
    handoff = await scene.offer(QUEUE)
    later = [
        ok(await adapter.get(f"/v1/handoffs/{handoff['handoff_id']}")),
        ok(await desk.get("/v1/handoffs", queue="billing")),
        await scene.context(),
        await scene.timeline(after=0),
        await accept(desk, handoff["handoff_id"], "ann"),
    ]
    assert all(handoff["token"] not in str(each) and f"'{handoff['code']}'" not in str(each) for each in later)


async def test_without_a_phone_or_account_there_is_no_code(adapter: Caller) -> None:
    assert (await (await known(adapter)).offer(QUEUE))["code"] is None


@pytest.mark.parametrize(
    "to", [{}, {"queue": "a", "agent": "b"}, {"queue": ""}, {"previous": False}, {"channel": "No Channel"}, {"moon": 1}]
)
async def test_an_offer_goes_to_exactly_one_place(adapter: Caller, to: dict[str, Any]) -> None:
    refused = await (await known(adapter)).try_offer(to)
    assert all(pointer.startswith("/to") for pointer in pointers(refused))


async def test_an_offer_of_what_is_not_there_is_not_found(adapter: Caller) -> None:
    scene = await known(adapter)
    body = {"customer_id": scene.customer_id, "interaction_id": scene.interaction_id, "reason": "a", "to": QUEUE}
    wrong = [
        ({"customer_id": "nobody-at-all"}, "customer_unknown"),
        ({"interaction_id": "in_nowhere"}, "interaction_unknown"),
        ({"journey_id": "jr_nothing"}, "journey_unknown"),
    ]
    for change, code in wrong:
        problem(await adapter.post("/v1/handoffs", body | change), 404, code)


async def test_an_interaction_has_one_open_offer(adapter: Caller) -> None:
    scene = await known(adapter)
    handoff = await scene.offer(QUEUE)
    refused = problem(await scene.try_offer({"queue": "cards"}), 409, "already_offered")
    assert (refused["handoff_id"], refused["state"]) == (handoff["handoff_id"], "offered")
    await act(adapter, handoff, "cancel")
    await scene.offer({"queue": "cards"})


async def test_racing_offers_of_one_interaction_leave_one(adapter: Caller) -> None:
    scene = await known(adapter)
    answers = await asyncio.gather(*(scene.try_offer(QUEUE) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4


async def test_an_ended_interaction_is_not_offered_nor_one_whose_floor_has_moved(adapter: Caller) -> None:
    scene = await known(adapter)
    problem(await scene.try_offer(QUEUE, fence=7), 409, "stale_fence")
    await scene.end()
    problem(await scene.try_offer(QUEUE), 409, "interaction_ended")


async def test_accepting_brings_everything_an_agent_needs_and_moves_the_floor(adapter: Caller, desk: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("order_id", "A-17"))
    handoff = await scene.offer(QUEUE)
    accepted = await accept(desk, handoff["handoff_id"], "ann")
    assert accepted.keys() >= {"handoff", "interaction", "context", "fence"}
    assert (accepted["handoff"]["state"], accepted["handoff"]["agent_id"]) == ("accepted", "ann")
    assert accepted["interaction"]["holder"] == {"party": "agent", "id": "ann"}
    assert accepted["fence"] == accepted["interaction"]["fence"] == 2
    assert accepted["context"]["facts"]["order_id"]["value"] == "A-17"
    words = {"text": "hello"}
    problem(await scene.try_tell(scene.event("message.sent", words | {"fence": 1}, party="bot")), 409, "not_the_holder")
    await scene.tell(scene.event("message.sent", words | {"fence": 2}, party="agent"))


async def test_exactly_one_wins_and_the_others_hear_who_and_until_when(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    path = f"/v1/handoffs/{handoff['handoff_id']}/accept"
    answers = await asyncio.gather(*(desk.post(path, {"agent_id": f"agent-{n}"}) for n in range(20)))
    [winner] = [answer for answer in answers if answer.is_success]
    losers = [problem(answer, 409, "held_by_another") for answer in answers if answer is not winner]
    held = winner.json()["handoff"]
    assert len(losers) == 19
    assert {(loser["held_by"], loser["until"]) for loser in losers} == {(held["agent_id"], held["lease_ends"])}


async def test_the_same_agent_again_gets_the_same_answer_with_the_present_context(
    adapter: Caller, desk: Caller
) -> None:
    scene = await known(adapter)
    handoff = await scene.offer(QUEUE)
    first = await accept(desk, handoff["handoff_id"], "ann")
    await scene.tell(scene.fact("order_id", "A-17"))
    again = await accept(desk, handoff["handoff_id"], "ann")
    assert (again["fence"], again["interaction"]) == (first["fence"], first["interaction"])
    assert "order_id" in again["context"]["facts"]


async def test_only_the_agent_it_is_offered_to_may_take_it(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer({"agent": "ann"})
    refused = await desk.post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "bob"})
    problem(refused, 403, "forbidden")
    await accept(desk, handoff["handoff_id"], "ann")


async def test_completing_gives_the_floor_back_to_the_bot(adapter: Caller, desk: Caller) -> None:
    scene = await known(adapter)
    handoff = await scene.offer(QUEUE)
    fence = (await accept(desk, handoff["handoff_id"], "ann"))["fence"]
    done = await act(desk, handoff, "complete", agent_id="ann", fence=fence, outcome="refunded")
    assert (done["handoff"]["state"], done["handoff"]["outcome"]) == ("completed", "refunded")
    [interaction] = (await scene.context())["interactions"]
    assert (interaction["holder"]["party"], interaction["fence"]) == ("bot", 3)
    assert await act(desk, handoff, "complete", agent_id="ann", fence=fence, outcome="refunded") == done


async def test_what_needs_the_holder_needs_the_right_agent_and_fence(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    verbs: dict[str, dict[str, Any]] = {"complete": {}, "renew": {}, "return": {"note": "a"}}
    path = f"/v1/handoffs/{handoff['handoff_id']}"
    for verb, body in verbs.items():
        refused = await desk.post(f"{path}/{verb}", {"agent_id": "ann", "fence": 1} | body)
        assert problem(refused, 409, "wrong_state")["state"] == "offered"
    fence = (await accept(desk, handoff["handoff_id"], "ann"))["fence"]
    for verb, body in verbs.items():
        other = await desk.post(f"{path}/{verb}", {"agent_id": "bob", "fence": fence} | body)
        assert problem(other, 409, "held_by_another")["held_by"] == "ann"
        stale = await desk.post(f"{path}/{verb}", {"agent_id": "ann", "fence": fence - 1} | body)
        assert problem(stale, 409, "stale_fence")["fence"] == fence


async def test_declining_in_a_queue_keeps_it_offered_for_the_others(
    adapter: Caller, desk: Caller, admin: Caller
) -> None:
    scene = await known(adapter)
    handoff = await scene.offer(QUEUE)
    declined = await act(desk, handoff, "decline", agent_id="ann", reason="lunch")
    assert declined["handoff"]["state"] == "offered"
    assert "handoff.declined" in [event["type"] for event in await scene.all_told(admin)]
    await accept(desk, handoff["handoff_id"], "bob")


async def test_an_agent_who_declines_ends_it_or_sends_it_to_the_fallback(adapter: Caller, desk: Caller) -> None:
    alone = await (await known(adapter)).offer({"agent": "ann"})
    assert (await act(desk, alone, "decline", agent_id="ann", reason="lunch"))["handoff"]["state"] == "declined"
    queue = fresh("q")
    backed = await (await known(adapter)).offer({"agent": "ann"}, fallback={"queue": queue})
    declined = (await act(desk, backed, "decline", agent_id="ann", reason="lunch"))["handoff"]
    assert (declined["state"], declined["to"]) == ("offered", {"queue": queue})
    assert await queue_of(desk, queue) == [backed["handoff_id"]]


async def test_a_cancelled_offer_stays_cancelled(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    first = await act(adapter, handoff, "cancel")
    assert first["handoff"]["state"] == "cancelled"
    assert await act(adapter, handoff, "cancel") == first
    refused = await desk.post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "ann"})
    assert problem(refused, 409, "wrong_state")["state"] == "cancelled"


async def test_what_is_accepted_can_not_be_cancelled_or_declined(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    await accept(desk, handoff["handoff_id"], "ann")
    for verb, body in ("cancel", None), ("decline", {"agent_id": "ann", "reason": "no"}):
        refused = await desk.post(f"/v1/handoffs/{handoff['handoff_id']}/{verb}", body)
        assert problem(refused, 409, "wrong_state")["state"] == "accepted"


async def test_a_return_goes_back_to_the_bot_at_a_step(adapter: Caller, desk: Caller) -> None:
    scene = await known(adapter)
    journey_id = await scene.journey()
    handoff = await scene.offer(QUEUE)
    fence = (await accept(desk, handoff["handoff_id"], "ann"))["fence"]
    back = await act(desk, handoff, "return", agent_id="ann", fence=fence, step="payout", note="all clear")
    assert back["handoff"]["state"] == "returned"
    offered = back["offered"]
    assert (offered["state"], offered["parent_id"], offered["root_id"]) == (
        "accepted", handoff["handoff_id"], handoff["handoff_id"],
    )  # fmt: skip
    context = await scene.context()
    assert [(j["journey_id"], j["step"]) for j in context["journeys"]] == [(journey_id, "payout")]
    assert context["interactions"][0]["holder"]["party"] == "bot"
    assert await state(adapter, handoff) == "returned"


async def test_a_return_to_a_queue_ends_the_first_once_it_is_accepted(adapter: Caller, desk: Caller) -> None:
    scene, queue = await known(adapter), fresh("q")
    handoff = await scene.offer(QUEUE)
    fence = (await accept(desk, handoff["handoff_id"], "ann"))["fence"]
    said = {"agent_id": "ann", "fence": fence, "to": {"queue": queue}, "note": "not mine"}
    back = await act(desk, handoff, "return", **said)
    assert (back["handoff"]["state"], back["offered"]["state"]) == ("accepted", "offered")
    assert (await act(desk, handoff, "return", **said))["offered"]["handoff_id"] == back["offered"]["handoff_id"]
    await accept(desk, back["offered"]["handoff_id"], "bob")
    assert (await state(adapter, handoff), await state(adapter, back["offered"])) == ("returned", "accepted")


async def test_a_return_that_nobody_took_can_be_made_again(adapter: Caller, desk: Caller) -> None:
    scene, queue = await known(adapter), fresh("q")
    handoff = await scene.offer(QUEUE)
    fence = (await accept(desk, handoff["handoff_id"], "ann"))["fence"]
    said = {"agent_id": "ann", "fence": fence, "to": {"queue": queue}, "note": "not mine"}
    first = (await act(desk, handoff, "return", **said))["offered"]
    await act(desk, first, "cancel")
    second = (await act(desk, handoff, "return", **said))["offered"]
    assert second["state"] == "offered"
    assert await queue_of(desk, queue) == [second["handoff_id"]]


async def test_a_transfer_is_a_handoff_of_its_own_and_ends_its_parent(adapter: Caller, desk: Caller) -> None:
    scene = await known(adapter)
    first = await scene.offer(QUEUE)
    await accept(desk, first["handoff_id"], "ann")
    second = await scene.offer({"queue": "cards"})
    assert (second["parent_id"], second["root_id"]) == (first["handoff_id"], first["handoff_id"])
    assert await state(adapter, first) == "accepted"
    accepted = await accept(desk, second["handoff_id"], "bob")
    assert accepted["fence"] == 3
    assert (await state(adapter, first), await state(adapter, second)) == ("transferred", "accepted")
    late = await desk.post(f"/v1/handoffs/{first['handoff_id']}/complete", {"agent_id": "ann", "fence": 2})
    assert problem(late, 409, "wrong_state")["state"] == "transferred"


async def test_previous_and_owner_lead_to_the_agent_who_had_it_or_to_the_fallback(
    adapter: Caller, desk: Caller
) -> None:
    scene = await known(adapter)
    problem(await scene.try_offer({"previous": True}), 409, "wrong_state")
    fallen = await scene.offer({"previous": True}, fallback=QUEUE)
    assert fallen["to"] == QUEUE
    fence = (await accept(desk, fallen["handoff_id"], "ann"))["fence"]
    await act(desk, fallen, "complete", agent_id="ann", fence=fence)
    assert (await scene.offer({"previous": True}))["to"] == {"agent": "ann"}


async def test_a_bot_takes_an_offer_at_once(adapter: Caller) -> None:
    scene = await known(adapter)
    handoff = await scene.offer({"bot": "refund-bot"})
    assert handoff["state"] == "accepted"
    assert (await scene.context())["interactions"][0]["holder"] == {"party": "bot", "id": "refund-bot"}


async def test_renewing_holds_it_for_another_lease(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    accepted = await accept(desk, handoff["handoff_id"], "ann")
    renewed = await act(desk, handoff, "renew", agent_id="ann", fence=accepted["fence"])
    assert renewed["handoff"]["lease_ends"] > accepted["handoff"]["lease_ends"]


async def test_a_receipt_notes_when_the_context_was_shown_first(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    path = f"/v1/handoffs/{handoff['handoff_id']}/receipt"
    problem(await desk.post(path, {"agent_id": "ann"}), 409, "wrong_state")
    await accept(desk, handoff["handoff_id"], "ann")
    first = ok(await desk.post(path, {"agent_id": "ann"}))["handoff"]
    assert first["receipt_at"] is not None
    assert ok(await desk.post(path, {"agent_id": "ann"}))["handoff"]["receipt_at"] == first["receipt_at"]


async def test_whoever_hangs_up_while_waiting_has_left(adapter: Caller, desk: Caller) -> None:
    queue = fresh("q")
    scene = await known(adapter)
    handoff = await scene.offer({"queue": queue})
    await scene.end()
    assert await state(adapter, handoff) == "left"
    assert await queue_of(desk, queue) == []
    refused = await desk.post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "ann"})
    assert problem(refused, 409, "wrong_state")["state"] == "left"


async def test_a_queue_lists_exactly_who_waits_right_after_201(adapter: Caller, desk: Caller) -> None:
    queue = fresh("q")
    waiting = []
    for _ in range(5):
        waiting.append((await (await known(adapter)).offer({"queue": queue}))["handoff_id"])
        assert await queue_of(desk, queue) == waiting
        shown = ok(await desk.get(f"/v1/queues/{queue}"))
        assert (shown["queue"], shown["waiting"], shown["open"]) == (queue, len(waiting), True)
    taken = waiting.pop(2)
    await accept(desk, taken, "ann")
    assert await queue_of(desk, queue) == waiting
    assert await queue_of(desk, queue, "accepted") == [taken]


async def test_a_higher_priority_comes_first_in_line(adapter: Caller, desk: Caller) -> None:
    queue = fresh("q")
    first = await (await known(adapter)).offer({"queue": queue})
    urgent = await (await known(adapter)).offer({"queue": queue}, priority=9)
    assert await queue_of(desk, queue) == [urgent["handoff_id"], first["handoff_id"]]


@pytest.mark.parametrize("queue", ["账单", "a b", "a.b", "🧾", "q" * 200])
async def test_a_queue_may_have_any_name(adapter: Caller, desk: Caller, queue: str) -> None:
    handoff = await (await known(adapter)).offer({"queue": queue})
    assert handoff["handoff_id"] in await queue_of(desk, queue)
    assert ok(await desk.get(f"/v1/queues/{queue}"))["queue"] == queue
    await act(desk, handoff, "cancel")


async def test_handoffs_that_are_not_there_are_not_found(adapter: Caller, desk: Caller) -> None:
    for handoff_id in ("ho_nothing", "nothing", "ho_00" + "0" * 20, "ho_é", "ho_" + "9" * 3000):
        problem(await adapter.get(f"/v1/handoffs/{handoff_id}"), 404, "handoff_unknown")
        bodies: dict[str, dict[str, Any]] = {
            "accept": {}, "decline": {"reason": "a"}, "complete": {"fence": 1}, "return": {"fence": 1, "note": "a"},
            "renew": {"fence": 1}, "receipt": {},
        }  # fmt: skip
        for verb, body in bodies.items():
            refused = await desk.post(f"/v1/handoffs/{handoff_id}/{verb}", {"agent_id": "ann"} | body)
            problem(refused, 404, "handoff_unknown")
        problem(await adapter.post(f"/v1/handoffs/{handoff_id}/cancel"), 404, "handoff_unknown")


async def test_a_token_looks_without_using(adapter: Caller) -> None:
    handoff = await (await known(adapter)).offer({"channel": "chat"})
    for _ in range(2):
        looked = ok(await adapter.post("/v1/handoffs/lookup", {"token": handoff["token"]}))["handoff"]
        assert (looked["handoff_id"], looked["state"]) == (handoff["handoff_id"], "offered")
    await redeem(adapter, handoff["token"])
    for nonsense in ("nonsense", "é", "07" + "A" * 22, handoff["token"][:-1]):
        problem(await adapter.post("/v1/handoffs/lookup", {"token": nonsense}), 404, "handoff_unknown")


async def test_redeeming_begins_an_interaction_with_a_floor_of_its_own(adapter: Caller) -> None:
    call = await known(adapter)
    journey_id = await call.journey()
    await call.tell(call.fact("order_id", "A-17", journey_id=journey_id))
    handoff = await call.offer({"channel": "chat"})
    chat = await redeem(adapter, handoff["token"])
    started = chat.started
    assert started.keys() >= {"interaction", "customer_id", "known", "context", "resume", "live", "handoff"}
    assert chat.customer_id == call.customer_id
    assert chat.interaction_id != call.interaction_id
    assert (started["handoff"]["handoff_id"], started["handoff"]["state"]) == (handoff["handoff_id"], "accepted")
    assert started["interaction"]["journey_id"] == journey_id
    assert started["context"]["facts"]["order_id"]["value"] == "A-17"
    assert started["resume"][0]["journey_id"] == journey_id
    for scene in (call, chat):
        await scene.tell(scene.event("message.sent", {"text": "hi", "fence": 1}, party="bot"))


async def test_the_same_redeemer_gets_the_same_answer_and_another_hears_it_is_used(adapter: Caller) -> None:
    handoff = await (await known(adapter)).offer({"channel": "chat"})
    body = start_body("chat", token=handoff["token"])
    first = ok(await adapter.post("/v1/handoffs/redeem", body))
    again = ok(await adapter.post("/v1/handoffs/redeem", body))
    assert (again["interaction"], again["handoff"]) == (first["interaction"], first["handoff"])
    other = await adapter.post("/v1/handoffs/redeem", start_body("chat", token=handoff["token"]))
    problem(other, 409, "used")


async def test_racing_redeemers_leave_one(adapter: Caller) -> None:
    handoff = await (await known(adapter)).offer({"channel": "chat"})
    bodies = [start_body("chat", token=handoff["token"]) for _ in range(6)]
    answers = await asyncio.gather(*(adapter.post("/v1/handoffs/redeem", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_a_token_for_a_queue_joins_and_uses_nothing_up(adapter: Caller, desk: Caller) -> None:
    handoff = await (await known(adapter)).offer(QUEUE)
    first = await redeem(adapter, handoff["token"], "voice")
    second = await redeem(adapter, handoff["token"], "voice")
    assert first.interaction_id != second.interaction_id
    assert first.started["handoff"]["state"] == second.started["handoff"]["state"] == "offered"
    await accept(desk, handoff["handoff_id"], "ann")


async def test_a_token_that_leads_nowhere_any_more_says_why(adapter: Caller) -> None:
    problem(await adapter.post("/v1/handoffs/redeem", start_body("chat", token="nonsense")), 404, "handoff_unknown")
    assert pointers(await adapter.post("/v1/handoffs/redeem", start_body("chat"))) == ["/token"]
    handoff = await (await known(adapter)).offer({"channel": "chat"})
    await act(adapter, handoff, "cancel")
    refused = await adapter.post("/v1/handoffs/redeem", start_body("chat", token=handoff["token"]))
    assert problem(refused, 410, "expired")["state"] == "cancelled"


async def test_a_refused_token_leaves_no_interaction_behind(adapter: Caller) -> None:
    handoff = await (await known(adapter)).offer({"channel": "chat"})
    await redeem(adapter, handoff["token"])
    body = start_body("chat", token=handoff["token"], refs=[{"system": "web", "id": fresh("r")}])
    problem(await adapter.post("/v1/handoffs/redeem", body), 409, "used")
    problem(await adapter.post("/v1/interactions/lookup", {"ref": body["refs"][0]}), 404, "interaction_unknown")
    plain = {key: value for key, value in body.items() if key != "token"}
    started = ok(await adapter.post("/v1/interactions", plain), 201)
    assert started["known"] is False


async def test_a_bad_token_does_not_pull_a_running_interaction_to_its_customer(adapter: Caller) -> None:
    handoff = await (await known(adapter)).offer({"channel": "chat"})
    await redeem(adapter, handoff["token"])
    chat = await begin(adapter, "chat", customer_id=fresh("c"))
    external_id = chat.started["interaction"]["external_id"]
    again = start_body("chat", external_id=external_id, handoff={"token": handoff["token"]})
    answer = ok(await adapter.post("/v1/interactions", again))
    assert answer["customer_id"] == chat.customer_id
    assert answer["handoff_problem"]["code"] == "used"


async def test_a_code_brings_its_own_customer_in_at_level_one(adapter: Caller) -> None:
    mine = phone()
    call = await known(adapter, identifiers=[mine])
    await call.tell(call.fact("order_id", "A-17"))
    handoff = await call.offer({"channel": "chat"})
    body = start_body("chat", code=handoff["code"], identifiers=[mine])
    redeemed = ok(await adapter.post("/v1/handoffs/redeem", body))
    assert redeemed["customer_id"] == call.customer_id
    assert redeemed["interaction"]["assurance"]["level"] == 1
    assert redeemed["handoff"]["state"] == "accepted"


async def test_a_code_is_good_for_the_customers_own_phone_only(adapter: Caller) -> None:
    call = await known(adapter, identifiers=[phone()])
    handoff = await call.offer({"channel": "chat"})
    other = start_body("chat", code=handoff["code"], identifiers=[phone()])
    problem(await adapter.post("/v1/handoffs/redeem", other), 404, "handoff_unknown")
    nobody = start_body("chat", code=handoff["code"])
    assert pointers(await adapter.post("/v1/handoffs/redeem", nobody)) == ["/identifiers"]


async def test_a_code_may_be_tried_five_times_in_an_interaction_and_ten_times_for_an_identifier(
    adapter: Caller,
) -> None:
    mine = phone()
    handoff = await (await known(adapter, identifiers=[mine])).offer({"channel": "chat"})
    wrong = f"{(int(handoff['code']) + 1) % 10**8:08}"
    body = start_body("chat", code=wrong, identifiers=[mine])
    for _ in range(5):
        problem(await adapter.post("/v1/handoffs/redeem", body), 404, "handoff_unknown")
    refused = problem(await adapter.post("/v1/handoffs/redeem", body | {"code": handoff["code"]}), 429, "too_many")
    assert 0 < refused["retry_after"] <= 3600
    for _ in range(5):
        problem(
            await adapter.post("/v1/handoffs/redeem", start_body("chat", code=wrong, identifiers=[mine])),
            404,
            "handoff_unknown",
        )
    right = start_body("chat", code=handoff["code"], identifiers=[mine])
    problem(await adapter.post("/v1/handoffs/redeem", right), 429, "too_many")
    other = phone()
    fine = await (await known(adapter, identifiers=[other])).offer({"channel": "chat"})
    ok(await adapter.post("/v1/handoffs/redeem", start_body("chat", code=fine["code"], identifiers=[other])))


async def test_numbers_count_handoffs_by_what_became_of_them(adapter: Caller, callers: Callers) -> None:
    async def counted() -> dict[str, int]:
        numbers = ok(await callers.supervisor.get("/v1/numbers"))
        assert numbers["definitions"].keys() >= {"repeats", "questions_saved", "facts_carried", "handoffs"}
        by_state: dict[str, int] = numbers["handoffs"]["by_state"]
        return by_state

    before = (await counted()).get("declined", 0)
    handoff = await (await known(adapter)).offer({"agent": "ann"})
    await act(callers.ann, handoff, "decline", agent_id="ann", reason="lunch")
    async with asyncio.timeout(5):
        while (await counted()).get("declined", 0) == before:
            await asyncio.sleep(0.05)
    assert (await counted())["declined"] == before + 1


async def test_the_facts_an_agent_finds_are_counted_as_carried(adapter: Caller, callers: Callers) -> None:
    async def carried() -> int:
        numbers = ok(await callers.supervisor.get("/v1/numbers"))
        found: int = numbers["facts_carried"]["by_channel"].get("desk", 0)
        return found

    scene: Scene = await known(adapter)
    await scene.tell(*(scene.fact(f"f{n}", n) for n in range(7)))
    handoff = await scene.offer(QUEUE)
    before = await carried()
    await accept(callers.ann, handoff["handoff_id"], "ann")
    async with asyncio.timeout(5):
        while await carried() == before:
            await asyncio.sleep(0.05)
    assert await carried() == before + 7


async def test_an_agents_list_holds_who_waits_and_what_is_his_own(callers: Callers) -> None:
    queue = fresh("queue")
    waits, mine, bobs = [await (await known(callers.adapter)).offer({"queue": queue}, note="hm") for _ in range(3)]
    await accept(callers.ann, mine["handoff_id"], "ann")
    await accept(callers.bob, bobs["handoff_id"], "bob")

    async def listed(caller: Caller, state: str) -> set[str]:
        found = ok(await caller.get("/v1/handoffs", queue=queue, state=state))["handoffs"]
        return {handoff["handoff_id"] for handoff in found}

    assert await listed(callers.ann, "offered") == {waits["handoff_id"]}
    assert await listed(callers.ann, "accepted") == {mine["handoff_id"]}
    everybodys = {mine["handoff_id"], bobs["handoff_id"]}
    assert await listed(callers.supervisor, "accepted") == await listed(callers.adapter, "accepted") == everybodys


async def test_what_is_offered_to_an_agent_by_name_is_listed_by_that_name_and_to_no_other_agent(
    callers: Callers,
) -> None:
    ann = fresh("ann")
    first, second = [await (await known(callers.adapter)).offer({"agent": ann}, note="hm") for _ in range(2)]

    async def listed(caller: Caller, state: str) -> list[str]:
        found = ok(await caller.get("/v1/handoffs", agent_id=ann, state=state))["handoffs"]
        return [handoff["handoff_id"] for handoff in found]

    for caller in (callers.supervisor, callers.adapter):
        assert await listed(caller, "offered") == [first["handoff_id"], second["handoff_id"]]
    body = {"name": ann, "role": "agent", "agent": ann}
    herself = Caller(callers.ann.http, ok(await callers.admin.post("/v1/keys", body), 201)["key"])
    await accept(herself, second["handoff_id"], ann)
    assert await listed(herself, "offered") == [first["handoff_id"]]
    assert await listed(herself, "accepted") == [second["handoff_id"]]
    problem(await callers.bob.get("/v1/handoffs", agent_id=ann), 403, "forbidden")
    problem(await callers.bob.get("/v1/handoffs", agent_id=ann, state="accepted"), 403, "forbidden")


@pytest.mark.parametrize("of", [{}, {"queue": "billing", "agent_id": "ann"}])
async def test_handoffs_are_listed_of_a_queue_or_an_agent_and_not_of_both(callers: Callers, of: dict[str, str]) -> None:
    assert pointers(await callers.supervisor.get("/v1/handoffs", **of)) == ["/queue"]


async def test_a_refused_handoff_says_whose_it_is_for_who_has_a_reason_to_look(callers: Callers) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"queue": "billing"})
    await accept(callers.bob, handoff["handoff_id"], "bob")
    refused = problem(await callers.ann.get(f"/v1/handoffs/{handoff['handoff_id']}"), 403, "forbidden")
    assert (refused["customer_id"], refused["queue"]) == (scene.customer_id, "billing")


async def test_what_colleagues_note_for_each_other_no_channel_reads(callers: Callers) -> None:
    call = await known(callers.adapter)
    handoff = await call.offer({"queue": "billing"}, note="sounds angry")
    made = ok(await callers.admin.post("/v1/keys", {"name": fresh("k"), "role": "adapter", "channels": ["chat"]}), 201)
    place, chats = f"/v1/handoffs/{handoff['handoff_id']}", Caller(callers.admin.http, made["key"])
    for channel in (callers.adapter, chats):
        looked_up = await channel.post("/v1/handoffs/lookup", {"token": handoff["token"]})
        for answer in (await channel.get(place), looked_up):
            assert ok(answer)["handoff"]["note"] is None
    assert (await call.context())["handoffs"][0]["note"] is None
    for colleague in (callers.ann, callers.supervisor):
        assert ok(await colleague.get(place))["handoff"]["note"] == "sounds angry"
    joined = await redeem(callers.adapter, handoff["token"])
    assert joined.started["handoff"]["note"] is None
    fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
    back = await act(callers.ann, handoff, "return", agent_id="ann", fence=fence, note="only the date is missing")
    returned = f"/v1/handoffs/{back['offered']['handoff_id']}"
    assert ok(await callers.adapter.get(returned))["handoff"]["note"] == "only the date is missing"
    assert ok(await chats.get(returned))["handoff"]["note"] is None
