"""If-Match and Idempotency-Key: what every write promises to whoever decides on what they saw, or asks twice."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.scenes import Caller, Scene, accept, fresh, known, ok, pointers, problem, start_body


async def changed_since(scene: Scene) -> int:
    """The version of a decision on a document that has changed since."""
    seen = (await scene.tell(scene.fact("a", 1)))["version"]
    await scene.tell(scene.fact("a", 2))
    return int(seen)


async def test_a_decision_holds_while_only_messages_came_in_between(adapter: Caller) -> None:
    scene = await known(adapter)
    decided = (await scene.tell(scene.fact("a", 1)))["version"]
    said = (await scene.tell(scene.event("message.received", {"text": "hm"})))["version"]
    for given in (f'"{decided}"', f'"{said}"', f'W/"{said}"', "*"):
        await scene.tell(scene.event("message.received", {"text": "hm"}), if_match=given)
    await scene.tell(scene.fact("b", 1), if_match=f'"{decided}"')


async def test_a_decision_on_a_document_that_changed_is_412_with_the_present_context(adapter: Caller) -> None:
    scene = await known(adapter)
    seen = await changed_since(scene)
    for event in (scene.fact("a", 3), scene.event("message.received", {"text": "hm"})):
        response = await scene.try_tell(event, if_match=f'"{seen}"')
        refused = problem(response, 412, "changed")
        assert refused["context"]["facts"]["a"]["value"] == 2
        assert refused["context"]["version"] == refused["version"] == seen + 1
        assert response.headers["etag"] == f'"{seen + 1}"'
    ahead = await scene.try_tell(scene.fact("a", 3), if_match=f'"{seen + 2}"')
    problem(ahead, 412, "changed")


async def every_write(scene: Scene, **headers: str) -> dict[str, httpx.Response]:
    """Try each kind of write."""
    caller, place = scene.caller, scene.place
    offer = {
        "customer_id": scene.customer_id,
        "interaction_id": scene.interaction_id,
        "reason": "a",
        "to": {"queue": "q"},
    }
    refs = {"refs": [{"system": "acd", "id": fresh("r")}]}
    spelt = {name.replace("_", "-"): value for name, value in headers.items()}
    mine = {"type": "account", "value": fresh("a")}
    again = start_body(external_id=scene.started["interaction"]["external_id"])
    return {
        "events": await scene.try_tell(scene.fact("a", 3), **headers),
        "offer": await caller.post("/v1/handoffs", offer, **headers),
        "refs": await caller.call("PUT", f"{place}/refs", spelt, json=refs),
        "identifiers": await caller.post(f"{scene.base}/identifiers", mine, **headers),
        "unlink": await caller.call("DELETE", f"{scene.base}/identifiers", spelt, json=mine),
        "identify": await caller.post(f"{place}/identify", {"customer_id": fresh("c")}, **headers),
        "start": await caller.post("/v1/interactions", again, **headers),
        "end": await caller.post(f"{place}/end", {}, **headers),
    }


async def test_every_write_honours_if_match(adapter: Caller) -> None:
    scene = await known(adapter)
    seen = await changed_since(scene)
    for what, response in (await every_write(scene, if_match=f'"{seen}"')).items():
        assert response.status_code == 412, (what, response.text)
        assert problem(response, 412, "changed")["context"]["customer_id"] == scene.customer_id


async def test_every_step_of_a_handoff_honours_if_match(adapter: Caller, desk: Caller) -> None:
    scene = await known(adapter)
    seen = await changed_since(scene)
    handoff = await scene.offer({"queue": "billing"})
    path, stale = f"/v1/handoffs/{handoff['handoff_id']}", {"if_match": f'"{seen}"'}
    problem(await desk.post(f"{path}/accept", {"agent_id": "ann"}, **stale), 412, "changed")
    problem(await desk.post(f"{path}/decline", {"agent_id": "ann", "reason": "a"}, **stale), 412, "changed")
    problem(await desk.post(f"{path}/cancel", **stale), 412, "changed")
    fence = (await accept(desk, handoff["handoff_id"], "ann"))["fence"]
    held: dict[str, Any] = {"agent_id": "ann", "fence": fence}
    for verb, body in (
        ("renew", held),
        ("complete", held),
        ("return", held | {"note": "a"}),
        ("receipt", {"agent_id": "ann"}),
    ):
        problem(await desk.post(f"{path}/{verb}", body, **stale), 412, "changed")


@pytest.mark.parametrize("wrong", ["seventeen", '"', "-1", '"1" "2"', "", "1" * 16])
async def test_if_match_is_a_version_in_quotes(adapter: Caller, wrong: str) -> None:
    scene = await known(adapter)
    assert pointers(await scene.try_tell(scene.fact("a", 1), if_match=wrong)) == ["If-Match"]


async def test_a_repeated_offer_gives_the_same_ids_and_changes_nothing(adapter: Caller) -> None:
    scene = await known(adapter)
    key = fresh("key")
    first = ok(await scene.try_offer({"queue": "billing"}, key), 201)["handoff"]
    await scene.tell(scene.fact("a", 1))
    response = await scene.try_offer({"queue": "billing"}, key)
    again = ok(response, 201)["handoff"]
    assert again | {"version": 0} == first | {"version": 0}
    assert again["token"] == first["token"]
    assert again["version"] == (await scene.context())["version"]


async def test_a_repeated_offer_shows_what_became_of_it(adapter: Caller) -> None:
    scene, key = await known(adapter), fresh("key")
    first = ok(await scene.try_offer({"queue": "billing"}, key), 201)["handoff"]
    ok(await adapter.post(f"/v1/handoffs/{first['handoff_id']}/cancel"))
    again = ok(await scene.try_offer({"queue": "billing"}, key), 201)["handoff"]
    assert (again["handoff_id"], again["state"]) == (first["handoff_id"], "cancelled")


async def test_a_key_does_not_stand_for_two_requests(adapter: Caller) -> None:
    scene, key = await known(adapter), fresh("key")
    ok(await scene.try_offer({"queue": "billing"}, key), 201)
    problem(await scene.try_offer({"queue": "cards"}, key), 422, "idempotency_key_reused")


@pytest.mark.parametrize("type_", ["message.received", "fact.stated"])
async def test_repeated_events_under_a_key_get_the_first_answer(adapter: Caller, type_: str) -> None:
    scene, key = await known(adapter), fresh("key")
    data = {"text": "a"} if type_ == "message.received" else {"name": "a", "value": 1}
    events = [scene.event(type_, data) for _ in range(3)]
    first = await scene.tell(*events, idempotency_key=key)
    await scene.tell(scene.fact("b", 1))
    assert await scene.tell(*events, idempotency_key=key) == first
    other = await scene.try_tell(scene.event(type_, data), idempotency_key=key)
    problem(other, 422, "idempotency_key_reused")


async def test_racing_twins_both_get_the_first_answer(adapter: Caller) -> None:
    for _ in range(5):
        scene, key = await known(adapter), fresh("key")
        answers = await asyncio.gather(*(scene.try_offer({"queue": "billing"}, key) for _ in range(4)))
        assert {ok(answer, 201)["handoff"]["handoff_id"] for answer in answers}.__len__() == 1
        event, key = scene.fact("a", 1), fresh("key")
        told = await asyncio.gather(*(scene.tell(event, idempotency_key=key) for _ in range(4)))
        assert all(each == told[0] for each in told)
        assert (await scene.context())["version"] == told[0]["version"]


async def test_a_refusal_is_not_remembered(adapter: Caller) -> None:
    scene, key = await known(adapter), fresh("key")
    first = await scene.offer({"queue": "billing"})
    problem(await scene.try_offer({"queue": "cards"}, key), 409, "already_offered")
    ok(await adapter.post(f"/v1/handoffs/{first['handoff_id']}/cancel"))
    assert ok(await scene.try_offer({"queue": "cards"}, key), 201)["handoff"]["state"] == "offered"


async def test_a_key_is_one_callers_own(adapter: Caller, admin: Caller) -> None:
    scene, key = await known(adapter), fresh("key")
    ok(await scene.try_offer({"queue": "billing"}, key), 201)
    another = Scene(admin, scene.started)
    problem(await another.try_offer({"queue": "billing"}, key), 409, "already_offered")


async def test_accepting_twice_under_a_key_is_one_acceptance(adapter: Caller, desk: Caller) -> None:
    handoff, key = await (await known(adapter)).offer({"queue": "billing"}), fresh("key")
    path = f"/v1/handoffs/{handoff['handoff_id']}/accept"
    first = ok(await desk.post(path, {"agent_id": "ann"}, idempotency_key=key))
    assert ok(await desk.post(path, {"agent_id": "ann"}, idempotency_key=key))["fence"] == first["fence"]
    problem(await desk.post(path, {"agent_id": "bob"}, idempotency_key=key), 422, "idempotency_key_reused")


async def test_a_key_of_what_changed_nothing_does_not_stand_for_another_request_either(
    adapter: Caller, desk: Caller
) -> None:
    handoff, key = await (await known(adapter)).offer({"queue": "billing"}), fresh("key")
    path = f"/v1/handoffs/{handoff['handoff_id']}/accept"
    ok(await desk.post(path, {"agent_id": "ann"}))
    ok(await desk.post(path, {"agent_id": "ann"}, idempotency_key=key))
    problem(await desk.post(path, {"agent_id": "bob"}, idempotency_key=key), 422, "idempotency_key_reused")


async def test_every_write_takes_a_key_once_for_one_request(adapter: Caller) -> None:
    first, second, key = await known(adapter), await known(adapter), fresh("key")
    for what, response in (await every_write(first, idempotency_key=key)).items():
        assert response.is_success or response.status_code == 308, (what, response.text)
    there = await every_write(second, idempotency_key=key)
    problem(there.pop("start"), 422, "idempotency_key_reused")
    for what, response in there.items():
        assert response.is_success or response.status_code == 308, (what, response.text)


async def test_a_start_under_a_key_stands_for_one_request(adapter: Caller) -> None:
    key, body = fresh("key"), start_body()
    first = ok(await adapter.post("/v1/interactions", body, idempotency_key=key), 201)
    again = await adapter.post("/v1/interactions", body, idempotency_key=key)
    assert again.is_success
    assert again.json()["interaction"] == first["interaction"]
    other = await adapter.post("/v1/interactions", start_body(), idempotency_key=key)
    problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("wrong", ["", "a" * 256, "a b", "a\tb"])
async def test_a_key_is_visible_ascii(adapter: Caller, wrong: str) -> None:
    scene = await known(adapter)
    assert pointers(await scene.try_tell(scene.fact("a", 1), idempotency_key=wrong)) == ["Idempotency-Key"]
