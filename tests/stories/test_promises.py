"""What we said we would do: told by whoever speaks to the customer next, and alarmed before it is too late."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from ctxhub.model.value import rfc3339
from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, begin, fresh, known, ok


async def promised(scene: Scene, clock: Clock, owner: str, **span: float) -> str:
    """We promise to call back within a span; the promise's id."""
    due_at = rfc3339(clock() + timedelta(**span))
    made = scene.event("commitment.made", {"what": "call back", "owner": owner, "due_at": due_at}, party="agent")
    found: str = (await scene.tell(made))["results"][0]["commitment_id"]
    return found


async def happened(scene: Scene, admin: Caller, type_: str) -> list[dict[str, Any]]:
    """The events that timers are to tell, once there is one."""
    async with asyncio.timeout(5):
        while not (found := [each for each in await scene.all_told(admin) if each["type"] == type_]):
            await asyncio.sleep(0.02)
        return found


async def states(scene: Scene) -> dict[str, str]:
    """The open promises as this interaction sees them, and how urgent they are."""
    return {each["commitment_id"]: each["state"] for each in (await scene.context())["commitments"]}


async def test_a_promise_about_to_be_broken_is_alarmed_before_it_is(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    call = await known(adapter)
    promise = await promised(call, clock, "billing", hours=8)
    await call.end(outcome="unresolved")

    # Hours later nobody has called back: the promise's owners are told while there is still time.
    clock.move(hours=7, minutes=5)
    [alarm] = await happened(call, callers.admin, "commitment.due_soon")
    assert alarm["data"]["commitment_id"] == promise
    listed = ok(await callers.supervisor.get("/v1/commitments", state="due_soon", owner="billing"))["commitments"]
    assert promise in [each["commitment_id"] for each in listed]

    # She is faster and asks in the app: the app knows, and says so unasked.
    app = await begin(adapter, "app", customer_id=call.customer_id, assurance={"level": 2, "method": "login"})
    assert [(each["commitment_id"], each["state"]) for each in app.started["context"]["commitments"]] == [
        (promise, "due_soon")
    ]
    brief = ok(await adapter.get(f"{app.base}/brief", interaction_id=app.interaction_id, view="bot", lang="en"))
    assert any("call back" in line["text"] for line in brief["lines"])

    # Kept in time: it leaves the context, is not alarmed again, and stays on the timeline.
    await app.tell(app.event("commitment.kept", {"commitment_id": promise}, party="agent"))
    assert await states(app) == {}
    clock.move(hours=2)
    later = await begin(adapter, "app", customer_id=call.customer_id, assurance={"level": 2, "method": "login"})
    types = [event["type"] for event in await later.all_told(callers.admin)]
    assert [types.count(f"commitment.{each}") for each in ("made", "due_soon", "overdue", "kept")] == [1, 1, 0, 1]


async def test_a_broken_promise_does_not_slip_out_of_sight(callers: Callers, adapter: Caller, clock: Clock) -> None:
    call = await known(adapter)
    promise = await promised(call, clock, fresh("nobody"), minutes=20)
    clock.move(minutes=21)
    assert len(await happened(call, callers.admin, "commitment.overdue")) == 1
    assert await states(call) == {promise: "overdue"}
    await call.tell(call.event("commitment.broken", {"commitment_id": promise}, party="agent"))
    assert await states(call) == {}
