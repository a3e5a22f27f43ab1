"""Waiting for a human: dropped calls, two agents at once, agents who fall silent, offers nobody takes."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, problem, start_body


async def state(caller: Caller, handoff_id: str) -> str:
    """A handoff's state as it stands now."""
    found: str = ok(await caller.get(f"/v1/handoffs/{handoff_id}"))["handoff"]["state"]
    return found


async def line(callers: Callers, queue: str) -> list[str]:
    """Who waits in a queue."""
    listed = ok(await callers.supervisor.get("/v1/handoffs", queue=queue))["handoffs"]
    return [handoff["handoff_id"] for handoff in listed]


async def happened(scene: Scene, admin: Caller, type_: str) -> dict[str, Any]:
    """The event that a timer is to tell, once it has."""
    async with asyncio.timeout(5):
        while True:
            for event in await scene.all_told(admin):
                if event["type"] == type_:
                    return event
            await asyncio.sleep(0.02)


async def test_a_caller_who_drops_out_of_the_queue_and_is_back_in_three_minutes_keeps_the_place(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    queue = fresh("q")
    call = await known(adapter)
    first = await call.offer({"queue": queue}, expires_in=3600)
    clock.move(minutes=2)
    other = await (await known(adapter)).offer({"queue": queue}, expires_in=3600)
    await call.end(outcome="abandoned")
    assert await state(callers.supervisor, first["handoff_id"]) == "left"
    assert await line(callers, queue) == [other["handoff_id"]]
    clock.move(minutes=3)
    back = await begin(adapter, customer_id=call.customer_id, assurance={"level": 2, "method": "pin"})
    again = await back.offer({"queue": queue}, expires_in=3600)
    assert again["waiting_since"] == first["waiting_since"]
    assert await line(callers, queue) == [again["handoff_id"], other["handoff_id"]]


async def test_whoever_comes_back_after_the_grace_time_waits_anew(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    queue, call = fresh("q"), await known(adapter)
    first = await call.offer({"queue": queue})
    await call.end()
    clock.move(minutes=10, seconds=1)
    back = await begin(adapter, customer_id=call.customer_id, assurance={"level": 2, "method": "pin"})
    assert (await back.offer({"queue": queue}))["waiting_since"] > first["waiting_since"]


async def test_two_agents_reach_for_one_and_one_gets_it(callers: Callers, adapter: Caller) -> None:
    for _ in range(10):
        call = await known(adapter)
        path = f"/v1/handoffs/{(await call.offer({'queue': 'billing'}))['handoff_id']}/accept"
        ann, bob = await asyncio.gather(
            callers.ann.post(path, {"agent_id": "ann"}), callers.bob.post(path, {"agent_id": "bob"})
        )
        winner, loser = (ann, bob) if ann.is_success else (bob, ann)
        refused = problem(loser, 409, "held_by_another")
        held = ok(winner)["handoff"]
        assert (refused["held_by"], refused["until"]) == (held["agent_id"], held["lease_ends"])
        assert held["fence"] == 2


async def test_an_agent_who_falls_silent_loses_it_and_the_next_one_gets_the_next_fence(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    queue, chat = fresh("q"), await known(adapter, "chat")
    handoff = await chat.offer({"queue": queue})
    fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
    clock.move(minutes=15, seconds=1)
    assert await state(callers.supervisor, handoff["handoff_id"]) == "offered"
    assert (await happened(chat, callers.admin, "handoff.lapsed"))["data"]["agent_id"] == "ann"
    assert await line(callers, queue) == [handoff["handoff_id"]]
    taken = await accept(callers.bob, handoff["handoff_id"], "bob")
    assert taken["fence"] > fence
    late = {"agent_id": "ann", "fence": fence}
    refused = await callers.ann.post(f"/v1/handoffs/{handoff['handoff_id']}/complete", late)
    assert problem(refused, 409, "held_by_another")["held_by"] == "bob"
    words = chat.event("message.sent", {"text": "still me", "fence": fence}, party="agent")
    problem(await chat.try_tell(words), 409, "not_the_holder")


async def test_an_agent_who_goes_on_speaking_keeps_it(callers: Callers, adapter: Caller, clock: Clock) -> None:
    chat = await known(adapter, "chat")
    handoff = await chat.offer({"queue": "billing"})
    fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
    for _ in range(4):
        clock.move(minutes=10)
        await chat.tell(chat.event("message.sent", {"text": "one moment", "fence": fence}, party="agent"))
    assert await state(callers.ann, handoff["handoff_id"]) == "accepted"
    clock.move(minutes=10)
    ok(await callers.ann.post(f"/v1/handoffs/{handoff['handoff_id']}/renew", {"agent_id": "ann", "fence": fence}))
    clock.move(minutes=14)
    ok(await callers.ann.post(f"/v1/handoffs/{handoff['handoff_id']}/complete", {"agent_id": "ann", "fence": fence}))


async def test_an_offer_that_nobody_takes_goes_to_its_fallback_once_and_then_expires(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    first, second = fresh("q"), fresh("q")
    call = await known(adapter)
    handoff = await call.offer({"queue": first}, expires_in=60, fallback={"queue": second})
    clock.move(seconds=61)
    rerouted = await happened(call, callers.admin, "handoff.rerouted")
    assert rerouted["data"]["from_queue"] == first
    assert (await line(callers, first), await line(callers, second)) == ([], [handoff["handoff_id"]])
    shown = ok(await adapter.get(f"/v1/handoffs/{handoff['handoff_id']}"))["handoff"]
    assert (shown["state"], shown["to"], shown["waiting_since"]) == (
        "offered", {"queue": second}, handoff["waiting_since"],
    )  # fmt: skip
    clock.move(seconds=61)
    await happened(call, callers.admin, "handoff.expired")
    assert await state(adapter, handoff["handoff_id"]) == "expired"
    assert await line(callers, second) == []


async def test_what_has_expired_is_not_listed_accepted_or_redeemed_even_before_its_timer(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    for _ in range(3):
        queue = fresh("q")
        waiting = await (await known(adapter)).offer({"queue": queue}, expires_in=60)
        link = await (await known(adapter)).offer({"channel": "chat"}, expires_in=60)
        clock.move(seconds=60)
        assert await line(callers, queue) == []
        refused = await callers.ann.post(f"/v1/handoffs/{waiting['handoff_id']}/accept", {"agent_id": "ann"})
        assert problem(refused, 409, "wrong_state")["state"] == "expired"
        redeemed = await adapter.post("/v1/handoffs/redeem", start_body("chat", token=link["token"]))
        assert problem(redeemed, 410, "expired")["state"] == "expired"


async def test_a_return_after_the_lease_has_lapsed_is_refused_with_the_present_state(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    handoff = await (await known(adapter, "chat")).offer({"queue": "billing"})
    fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
    clock.move(minutes=16)
    path = f"/v1/handoffs/{handoff['handoff_id']}/return"
    refused = await callers.ann.post(path, {"agent_id": "ann", "fence": fence, "note": "a"})
    assert problem(refused, 409, "wrong_state")["state"] == "offered"


async def test_a_customer_who_hangs_up_on_an_agent_leaves_the_wrap_up_to_the_agent(
    callers: Callers, adapter: Caller
) -> None:
    call = await known(adapter)
    handoff = await call.offer({"queue": "billing"})
    fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
    await call.end()
    assert await state(callers.ann, handoff["handoff_id"]) == "accepted"
    done = {"agent_id": "ann", "fence": fence, "outcome": "refunded"}
    ok(await callers.ann.post(f"/v1/handoffs/{handoff['handoff_id']}/complete", done))
