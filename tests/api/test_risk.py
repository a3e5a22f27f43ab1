"""A warning of fraud: it caps at once and in silence, stops what could carry on, and warns whom it should."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, phone, problem, redeem

HIDDEN = ("risk", "sim_swap", "fraud")


async def suspected(adapter: Caller, level: str = "high", **more: Any) -> Scene:
    """A call at level 2 of a customer with a journey and a fact from the app, which is then flagged."""
    app = await known(adapter, "app", identifiers=[phone()])
    await app.journey("refund")
    await app.tell(app.fact("order_id", "A-17"))
    call = await begin(adapter, customer_id=app.customer_id, assurance={"level": 2, "method": "pin"})
    assert "order_id" in (await call.context())["facts"]
    assert call.started["resume"]
    await flag(call, level, **more)
    return call


async def flag(scene: Scene, level: str = "high", **more: Any) -> None:
    await scene.tell(scene.event("risk.flagged", {"kind": "sim_swap", "level": level}, **more))


async def again(scene: Scene) -> dict[str, Any]:
    """What a start answers that finds the interaction again."""
    interaction = scene.started["interaction"]
    body = {"channel": interaction["channel"], "external_id": interaction["external_id"]}
    return ok(await scene.caller.post("/v1/interactions", body))


@pytest.mark.parametrize("level", ["medium", "high"])
async def test_what_others_said_is_gone_at_once_and_one_s_own_words_stay(adapter: Caller, level: str) -> None:
    call = await suspected(adapter, level)
    await call.tell(call.fact("city", "Xi'an"))
    context = await call.context()
    assert list(context["facts"]) == ["city"]
    assert (context["journeys"], context["identifiers"]) == ([], [])
    assert (await call.asks("order_id"))["order_id"]["verdict"] == "ask"


async def test_a_low_warning_only_warns(adapter: Caller) -> None:
    call = await suspected(adapter, "low")
    assert "order_id" in (await call.context())["facts"]


async def test_no_channel_hears_of_it_in_any_answer(adapter: Caller) -> None:
    call = await suspected(adapter)
    said = [await call.context(), await call.timeline(after=0), await again(call), await call.asks("order_id")]
    said.append(ok(await adapter.get(f"{call.base}/brief", interaction_id=call.interaction_id)))
    said.append(ok(await adapter.get("/v1/interactions", channel="ivr")))
    shown = str(said).replace("'risks': []", "")
    assert not [word for word in HIDDEN if word in shown]
    level = (await again(call))["interaction"]["assurance"]["level"]
    assert level == 2, "a channel that saw it fall would ask for the PIN again, and the caller would know"


async def test_nothing_is_offered_and_no_link_or_code_is_made(adapter: Caller) -> None:
    call = await suspected(adapter)
    assert (await again(call))["resume"] == []
    offer = await call.offer({"channel": "app"}, delivery="message")
    assert (offer["code"], offer["link"]) == (None, None)
    assert offer["token"], "an offer is an offer: the caller notices nothing"


async def test_a_code_made_before_is_good_no_longer(adapter: Caller) -> None:
    number = phone()
    call = await known(adapter, identifiers=[number])
    code = (await call.offer({"channel": "chat"}))["code"]
    assert code
    await flag(call)
    body = {"channel": "chat", "external_id": fresh("ext"), "code": code, "identifiers": [number]}
    problem(await adapter.post("/v1/handoffs/redeem", body), 404, "handoff_unknown")


async def test_a_token_carries_the_warning_and_no_assurance(callers: Callers, adapter: Caller) -> None:
    call = await suspected(adapter)
    chat = await redeem(adapter, (await call.offer({"channel": "chat"}))["token"])
    assert chat.started["interaction"]["assurance"]["level"] == 0
    await chat.raised()
    assert "order_id" not in (await chat.context())["facts"]


async def test_proof_lifts_no_cap_until_the_warning_is_cleared(callers: Callers, adapter: Caller) -> None:
    call = await suspected(adapter)
    await call.raised(3, "otp")
    await call.tell(call.fact("city", "Xi'an"))
    assert "order_id" not in (await call.context())["facts"]
    other = await begin(adapter, "app", customer_id=call.customer_id, assurance={"level": 2, "method": "login"})
    assert "city" not in (await other.context())["facts"], "what is told under a warning is not shared"
    cleared = call.event("risk.cleared", {"reason": "called back"})
    problem(await call.try_tell(cleared), 403, "assurance_not_allowed")
    ok(await callers.admin.post(f"{call.base}/events", {"events": [cleared]}))
    assert "order_id" in (await call.context())["facts"]
    assert "city" in (await other.context())["facts"]


async def test_a_key_for_risk_review_clears_warnings(callers: Callers, adapter: Caller) -> None:
    body = {"name": fresh("fraud"), "role": "adapter", "level": 0, "methods": ["risk_review"]}
    engine = Caller(adapter.http, ok(await callers.admin.post("/v1/keys", body), 201)["key"])
    call = await suspected(adapter)
    event = call.event("risk.cleared", {"kind": "sim_swap", "reason": "false alarm"})
    ok(await engine.post(f"{call.base}/events", {"events": [event]}))
    assert "order_id" in (await call.context())["facts"]


async def test_without_an_interaction_all_open_ones_are_concerned(adapter: Caller) -> None:
    call = await suspected(adapter, interaction_id=None)
    assert "order_id" not in (await call.context())["facts"]


async def test_the_agent_is_warned(callers: Callers, adapter: Caller) -> None:
    call = await known(adapter)
    handoff = await call.offer({"queue": "billing"})
    await flag(call)
    taken = await accept(callers.ann, handoff["handoff_id"], "ann")
    shown = ok(await callers.ann.get(f"{call.base}/context", interaction_id=call.interaction_id))
    for interaction in (taken["interaction"], shown["interactions"][0]):
        assert [(risk["kind"], risk["level"]) for risk in interaction["risks"]] == [("sim_swap", "high")]
        assert interaction["assurance"]["level"] == 0
    timeline = ok(await callers.ann.get(f"{call.base}/timeline", after=0, interaction_id=call.interaction_id))
    assert "risk.flagged" in [event["type"] for event in timeline["events"]]
