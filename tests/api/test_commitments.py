"""Promises over HTTP: listed for those who keep them, shown to the next channel; and journeys nobody does twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, pointers, problem


def due(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def promised(scene: Scene, seconds: int = 86_400, **more: Any) -> dict[str, Any]:
    said = {"what": "call back", "owner": "billing", "due_at": due(seconds)} | more
    told = await scene.tell(scene.event("commitment.made", said))
    return dict(told["results"][0])


async def mine(caller: Caller, scene: Scene, **query: Any) -> list[dict[str, Any]]:
    found = ok(await caller.get("/v1/commitments", limit=200, **query))["commitments"]
    return [one for one in found if one["customer_id"] == scene.customer_id]


@pytest.mark.parametrize("role", ["agent", "ann", "supervisor", "admin"])
async def test_a_promise_is_listed_for_whoever_must_keep_it(adapter: Caller, callers: Callers, role: str) -> None:
    scene = await known(adapter)
    made = await promised(scene)
    (one,) = await mine(getattr(callers, role), scene)
    assert one == {
        "commitment_id": made["commitment_id"], "customer_id": scene.customer_id, "state": "open",
        "what": "call back", "owner": "billing", "due_at": one["due_at"], "journey_id": None,
    }  # fmt: skip


async def test_by_state_and_owner(adapter: Caller, callers: Callers) -> None:
    scene, owner = await known(adapter), fresh("queue")
    late = await promised(scene, -5, owner=owner)
    await promised(scene, owner=owner)
    overdue = await mine(callers.supervisor, scene, state="overdue", owner=owner)
    assert [one["commitment_id"] for one in overdue] == [late["commitment_id"]]
    assert len(await mine(callers.supervisor, scene, owner=owner)) == 2
    assert await mine(callers.supervisor, scene, state="due_soon", owner=owner) == []


async def test_kept_it_is_no_longer_there(adapter: Caller, callers: Callers) -> None:
    scene = await known(adapter)
    made = await promised(scene)
    await scene.tell(scene.event("commitment.kept", {"commitment_id": made["commitment_id"]}))
    assert await mine(callers.supervisor, scene) == []


async def test_the_next_channel_is_shown_it_as_it_begins(adapter: Caller) -> None:
    scene = await known(adapter)
    await promised(scene, -5)
    other = await begin(
        adapter, customer_id=scene.customer_id, assurance={"level": 2, "method": "pin", "expires_in": 60}
    )
    (shown,) = other.started["context"]["commitments"]
    assert (shown["state"], shown["queue"], shown["what"]) == ("overdue", "billing", "call back")


async def test_another_tenant_sees_none(adapter: Caller, callers: Callers) -> None:
    scene = await known(adapter)
    await promised(scene)
    assert ok(await callers.other_admin.get("/v1/commitments"))["commitments"] == []


@pytest.mark.parametrize(
    ("query", "pointer"), [({"state": "late"}, "/state"), ({"limit": 0}, "/limit"), ({"owner": ""}, "/owner")]
)
async def test_a_list_that_makes_no_sense_is_refused(callers: Callers, query: dict[str, Any], pointer: str) -> None:
    assert pointers(await callers.supervisor.get("/v1/commitments", **query)) == [pointer]


@pytest.mark.parametrize("type_", ["commitment.due_soon", "commitment.overdue", "journey.escalated", "journey.delayed"])
async def test_what_only_time_tells_is_told_by_nobody_else(adapter: Caller, type_: str) -> None:
    scene = await known(adapter)
    assert pointers(await scene.try_tell(scene.event(type_, {"commitment_id": "cm_1"}))) == ["/events/0/type"]


async def test_a_journey_is_found_by_the_next_channel(adapter: Caller) -> None:
    scene = await known(adapter)
    journey_id = await scene.journey()
    other = await begin(adapter, customer_id=scene.customer_id, assurance={"level": 2, "method": "pin"})
    found = await other.tell(other.event("journey.started", {"kind": "refund", "find": True}))
    assert found["results"][0]["journey_id"] == journey_id
    assert (await other.context())["recent"][-1]["type"] == "journey.resumed"


async def test_a_bot_is_refused_what_an_agent_works_on_elsewhere_and_told_who(
    adapter: Caller, callers: Callers
) -> None:
    scene = await known(adapter)
    journey_id = await scene.journey()
    handoff = await scene.offer({"queue": "billing"})
    await accept(callers.ann, handoff["handoff_id"], "ann")
    chat = await begin(adapter, customer_id=scene.customer_id, assurance={"level": 2, "method": "pin"})
    step = chat.event("journey.advanced", {"step": "payout"}, journey_id=journey_id, party="bot")
    refused = problem(await chat.try_tell(step), 409, "at_work")
    assert refused["worker"] == (await chat.context())["journeys"][0]["worker"]
    assert (refused["worker"]["id"], refused["worker"]["interaction_id"]) == ("ann", scene.interaction_id)
    await chat.tell(step | {"data": {"step": "payout", "happened": True}})
