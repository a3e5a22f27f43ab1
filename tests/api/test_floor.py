"""The floor is one agent's: whoever only reads along sees the fence, and can do nothing with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from tests.api.living import Callers
from tests.api.scenes import Scene, accept, fresh, known, ok, problem


class Beside(NamedTuple):
    """What ann holds, and where bob takes part without the floor."""

    scene: Scene
    handoff_id: str
    fence: int
    advice: str | None = None


async def _consulted_in_a_chat(callers: Callers) -> Beside:
    """Ann, who has the chat, asks bob for advice."""
    scene = await known(callers.adapter, "chat")
    held = await accept(callers.ann, (await scene.offer({"queue": "chats"}))["handoff_id"], "ann")
    asked = await Scene(callers.ann, scene.started).offer({"agent": "bob"}, mode="consult", fence=held["fence"])
    seen = await accept(callers.bob, asked["handoff_id"], "bob")
    assert seen["interaction"]["holder"] == {"party": "agent", "id": "ann"}
    return Beside(scene, held["handoff"]["handoff_id"], seen["interaction"]["fence"], asked["handoff_id"])


async def _on_a_call(callers: Callers, *reports: dict[str, str]) -> Beside:
    """Ann has answered a call, and bob takes part as reported."""
    scene = await known(callers.adapter)
    handoff_id = (await scene.offer({"queue": "phone"}))["handoff_id"]
    ref = {"system": "acd", "kind": "call", "id": fresh("ucid")}
    await scene.tell(scene.event("call.answered", {"ref": ref, "agent_id": "ann"}))
    for report in reports:
        said = {name: value for name, value in report.items() if name != "type"}
        await scene.tell(scene.event(report["type"], {"ref": ref, "agent_id": "bob"} | said))
    seen = ok(await callers.bob.get(f"{scene.base}/context"))["interactions"]
    return Beside(scene, handoff_id, next(i["fence"] for i in seen if i["interaction_id"] == scene.interaction_id))


async def _consulted_on_a_call(callers: Callers) -> Beside:
    """Ann asks bob on the telephone."""
    return await _on_a_call(callers, {"type": "call.consulted"}, {"type": "call.answered"})


async def _listening_in(callers: Callers) -> Beside:
    """Bob listens in on ann's call."""
    return await _on_a_call(callers, {"type": "call.answered", "role": "monitoring"})


WAYS = [_consulted_in_a_chat, _consulted_on_a_call, _listening_in]
Way = Callable[[Callers], Awaitable[Beside]]


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_reads_along_neither_speaks_nor_gives_the_customer_away(callers: Callers, way: Way) -> None:
    scene, handoff_id, fence, advice = await way(callers)
    mine = Scene(callers.bob, scene.started)
    for party in ("agent", "bot"):
        said = mine.event("message.sent", {"text": "this is bob", "fence": fence}, party=party)
        found = problem(await mine.try_tell(said), 409, "not_the_holder")
        assert found["holder"] == {"party": "agent", "id": "ann"}
    both = (mine.event("message.sent", {"text": "again", "fence": fence}, party="agent"), mine.fact("a", "b"))
    problem(await mine.try_tell(*both), 409, "not_the_holder")
    for more in ({"fence": fence}, {}, {"fence": fence, "mode": "consult"}):
        problem(await mine.try_offer({"queue": "billing"}, **more), 409, "not_the_holder")
    problem(await callers.bob.post(f"{scene.place}/end", {"outcome": "resolved"}), 409, "not_the_holder")
    held = {"agent_id": "bob", "fence": fence}
    for verb, body in (("complete", {}), ("return", {}), ("renew", {}), ("draft", {"draft": {"text": "mine"}})):
        method = "PUT" if verb == "draft" else "POST"
        path = f"/v1/handoffs/{handoff_id}/{verb}"
        problem(await callers.bob.call(method, path, json=held | body), 409, "held_by_another")
    if advice is not None:
        away = held | {"to": {"queue": "billing"}}
        problem(await callers.bob.post(f"/v1/handoffs/{advice}/return", away), 409, "not_the_holder")
        ok(await callers.bob.post(f"/v1/handoffs/{advice}/complete", held))
    shown = ok(await callers.admin.get(f"{scene.base}/context"))
    there = next(i for i in shown["interactions"] if i["interaction_id"] == scene.interaction_id)
    assert (there["holder"], there["fence"], there["state"]) == ({"party": "agent", "id": "ann"}, fence, "open")
    assert not [e for e in await scene.all_told(callers.admin) if e["data"].get("text") == "this is bob"]


@pytest.mark.parametrize("way", WAYS)
async def test_the_holder_and_a_key_bound_to_nobody_do_as_before(callers: Callers, way: Way) -> None:
    scene, handoff_id, fence, _ = await way(callers)
    for caller in (callers.ann, callers.agent, callers.adapter):
        await Scene(caller, scene.started).tell(
            scene.event("message.sent", {"text": "good day", "fence": fence}, party="agent")
        )
    given = await Scene(callers.ann, scene.started).offer({"queue": "billing"}, fence=fence)
    ok(await callers.ann.post(f"/v1/handoffs/{given['handoff_id']}/cancel"))
    ok(await callers.ann.post(f"/v1/handoffs/{handoff_id}/complete", {"agent_id": "ann", "fence": fence}))
    ok(await callers.ann.post(f"{scene.place}/end", {"outcome": "resolved"}))


async def test_what_an_agent_without_the_floor_has_said_is_marked(callers: Callers) -> None:
    scene, _, fence, _ = await _consulted_in_a_chat(callers)
    said: list[dict[str, Any]] = [
        scene.event("message.sent", {"text": "said already", "delivered": True} | more, party="agent")
        for more in ({}, {"fence": fence})
    ]
    for event in said:
        await Scene(callers.bob, scene.started).tell(event)
    told = {event["event_id"]: event.get("marks") for event in await scene.all_told(callers.admin)}
    assert [told[event["event_id"]] for event in said] == [["out_of_turn"], ["out_of_turn"]]
    again = await Scene(callers.bob, scene.started).tell(said[1])
    assert again["results"][0]["duplicate"]


async def test_an_agent_speaks_once_the_floor_is_his(callers: Callers) -> None:
    scene, _, fence, _ = await _consulted_in_a_chat(callers)
    given = await Scene(callers.ann, scene.started).offer({"agent": "bob"}, fence=fence)
    mine = await accept(callers.bob, given["handoff_id"], "bob")
    said = {"text": "now it is me", "fence": mine["fence"]}
    await Scene(callers.bob, scene.started).tell(scene.event("message.sent", said, party="agent"))
    late = scene.event("message.sent", {"text": "and me", "fence": mine["fence"]}, party="agent")
    problem(await Scene(callers.ann, scene.started).try_tell(late), 409, "not_the_holder")
