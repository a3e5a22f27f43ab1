"""Li Na said it once: she begins in the IVR, goes on in chat, ends with a human, and is asked nothing twice."""

from __future__ import annotations

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, ok, phone, problem, redeem

PIN = {"level": 2, "method": "pin"}


async def told_so_far(scene: Scene, journey_id: str) -> dict[str, object]:
    """What a channel knows of a journey and need not ask."""
    facts = (await scene.context())["facts"]
    return {name: fact["value"] for name, fact in facts.items() if fact["journey_id"] == journey_id}


async def test_a_refund_begun_by_phone_goes_on_in_chat_and_ends_with_ann(callers: Callers, adapter: Caller) -> None:
    # She calls; her number alone says who she might be, her PIN says who she is.
    mine, li_na = phone(), fresh("li-na")
    call = await begin(adapter, "ivr", identifiers=[mine], customer_id=li_na, language="zh")
    await call.raised()
    refund = await call.journey("refund")
    assert (await call.asks("order_id", journey_id=refund))["order_id"]["verdict"] == "ask"
    await call.tell(
        call.event("question.asked", {"names": ["order_id"]}, journey_id=refund),
        call.event("input.collected", {"prompt": "order", "value": "17", "mode": "dtmf"}, party="customer"),
        call.fact("order_id", "A-17", confidence=0.93, journey_id=refund),
    )

    # The bank details are easier to type: a link goes out, and she hangs up.
    link = await call.offer({"channel": "chat"}, reason="easier to type", expires_in=900)
    await call.end(outcome="unresolved")

    # In chat the token says who she is and what she has said.
    chat = await redeem(adapter, link["token"], "chat")
    assert chat.customer_id == li_na
    assert chat.started["resume"][0]["journey_id"] == refund
    assert chat.started["resume"][0]["missing"] == ["bank", "account"]
    answers = await chat.asks("order_id", "bank", journey_id=refund)
    assert {name: answer["verdict"] for name, answer in answers.items()} == {"order_id": "known", "bank": "ask"}
    await chat.tell(chat.fact("bank", "ICBC", journey_id=refund), chat.event("message.received", {"text": "a human!"}))

    # A human it shall be: Ann finds all of it, and the bot is silent.
    waiting = await chat.offer({"queue": "billing"}, reason="asked for a human")
    taken = await accept(callers.ann, waiting["handoff_id"], "ann")
    ann = Scene(callers.ann, taken | {"customer_id": li_na})
    assert await told_so_far(ann, refund) == {"order_id": "A-17", "bank": "ICBC"}
    origin = taken["context"]["facts"]["order_id"]["origin"]
    assert (origin["channel"], origin["party"]) == ("ivr", "customer")
    too_late = chat.event("message.sent", {"text": "Which bank?", "fence": 1}, party="bot")
    problem(await chat.try_tell(too_late), 409, "not_the_holder")
    fence = taken["fence"]
    await ann.tell(
        ann.event("message.sent", {"text": "Your account number, please?", "fence": fence}, party="agent"),
        ann.event("question.asked", {"names": ["account"]}, party="agent", journey_id=refund),
    )
    await chat.tell(chat.fact("account", "6222", journey_id=refund))

    # Ann returns her to the bot at the step where the bot can finish alone.
    back = {"agent_id": "ann", "fence": fence, "step": "payout", "note": "pay out to ICBC"}
    returned = ok(await callers.ann.post(f"/v1/handoffs/{waiting['handoff_id']}/return", back))
    assert returned["handoff"]["state"] == "returned"
    context = await chat.context()
    [journey] = context["journeys"]
    assert (journey["step"], journey["missing"]) == ("payout", [])
    here = next(i for i in context["interactions"] if i["interaction_id"] == chat.interaction_id)
    assert here["holder"]["party"] == "bot"
    done = chat.event("message.sent", {"text": "Paid out.", "fence": here["fence"]}, party="bot")
    await chat.tell(done, chat.event("journey.completed", journey_id=refund))
    await chat.end(outcome="resolved")

    # Nothing was asked twice, and what the journey needed is no longer kept.
    told = await chat.all_told(callers.admin)
    asked = [event["data"] for event in told if event["type"] == "question.asked"]
    assert [each["names"] for each in asked] == [["order_id"], ["account"]]
    assert not any("repeats" in each for each in asked)
    assert (await chat.context())["facts"] == {}
    assert [event["version"] for event in told] == list(range(1, len(told) + 1))


async def test_a_bot_that_asks_again_is_found_out(callers: Callers, adapter: Caller) -> None:
    call = await begin(adapter, "ivr", customer_id=fresh("c"), assurance=PIN)
    await call.tell(call.fact("order_id", "A-17"))
    link = await call.offer({"channel": "chat"})
    chat = await redeem(adapter, link["token"])
    asked = await chat.tell(chat.event("question.asked", {"names": ["order_id"]}))
    assert asked["results"][0]["repeat"] == ["order_id"]


async def test_a_caller_who_comes_back_next_day_goes_on_where_she_was(adapter: Caller) -> None:
    first = await begin(adapter, "ivr", customer_id=fresh("c"), assurance=PIN)
    refund = await first.journey("refund")
    await first.tell(first.fact("order_id", "A-17", journey_id=refund))
    await first.tell(first.event("journey.suspended", journey_id=refund))
    await first.end(outcome="abandoned")
    second = await begin(adapter, "app", customer_id=first.customer_id, assurance=PIN)
    [offer] = second.started["resume"]
    assert (offer["journey_id"], offer["state"], offer["missing"]) == (refund, "suspended", ["bank", "account"])
    await second.tell(second.event("journey.resumed", journey_id=refund))
    assert (await second.asks("order_id"))["order_id"]["verdict"] == "known"


async def test_whoever_does_not_want_to_go_on_is_not_offered_it_again_in_this_call(adapter: Caller) -> None:
    first = await begin(adapter, "ivr", customer_id=fresh("c"), assurance=PIN)
    refund = await first.journey("refund")
    await first.end()
    second = await begin(adapter, "ivr", customer_id=first.customer_id, assurance=PIN)
    await second.tell(second.event("journey.declined", journey_id=refund))
    body = {"channel": "ivr", "external_id": second.started["interaction"]["external_id"]}
    assert ok(await adapter.post("/v1/interactions", body))["resume"] == []
    third = await begin(adapter, "ivr", customer_id=first.customer_id, assurance=PIN)
    assert [offer["journey_id"] for offer in third.started["resume"]] == [refund]
