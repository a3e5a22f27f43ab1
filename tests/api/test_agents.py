"""Agents over HTTP: presence told and read, within what a key allows, and a stream that keeps one there."""

from __future__ import annotations

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, fresh, ok, pointers, problem


async def test_an_agent_says_that_he_is_there_and_supervisors_see_it(callers: Callers) -> None:
    queue = fresh("q")
    said = ok(await callers.ann.call("PUT", "/v1/agents/ann/presence", json={
        "state": "busy", "reason": "training", "queues": [queue], "languages": ["zh"], "capacity": {"chat": 3},
    }))  # fmt: skip
    assert (said["state"], said["reason"]) == ("busy", "training")
    assert (said["queues"], said["languages"], said["capacity"]) == ([queue], ["zh"], {"chat": 3})
    [listed] = ok(await callers.supervisor.get("/v1/agents", queue=queue))["agents"]
    assert listed == ok(await callers.ann.get("/v1/agents/ann/presence")) | {"until": listed["until"]}
    assert [a["agent_id"] for a in ok(await callers.supervisor.get("/v1/agents"))["agents"]].count("ann") == 1


async def test_an_agent_of_whom_nothing_was_heard_is_offline(callers: Callers) -> None:
    shown = ok(await callers.supervisor.get(f"/v1/agents/{fresh('nobody')}/presence"))
    assert (shown["state"], shown["queues"], shown["held"], shown["ringing"]) == ("offline", [], [], [])


async def test_nobody_speaks_for_another(callers: Callers) -> None:
    problem(await callers.bob.call("PUT", "/v1/agents/ann/presence", json={"state": "available"}), 403, "forbidden")
    problem(await callers.bob.get("/v1/agents/ann/presence"), 403, "forbidden")
    problem(await callers.bob.get("/v1/agents/ann/stream"), 403, "forbidden")


async def test_what_is_said_in_one_tenant_is_not_heard_in_another(callers: Callers) -> None:
    queue = fresh("q")
    ok(await callers.ann.call("PUT", "/v1/agents/ann/presence", json={"state": "available", "queues": [queue]}))
    assert ok(await callers.other_admin.get("/v1/agents", queue=queue))["agents"] == []


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"state": "asleep"}, "/state"),
        ({"state": "available", "expires_in": 1}, "/expires_in"),
        ({"state": "available", "capacity": {"chat": -1}}, "/capacity/chat"),
        ({"state": "available", "mood": "good"}, "/mood"),
    ],
)
async def test_what_is_no_presence_is_refused(callers: Callers, wrong: dict[str, object], pointer: str) -> None:
    refused = await callers.ann.call("PUT", "/v1/agents/ann/presence", json=wrong)
    assert pointers(refused) == [pointer]


async def test_a_key_of_one_queue_neither_takes_nor_shows_another(callers: Callers) -> None:
    queue, name = fresh("q"), fresh("k")
    body = {"name": name, "role": "agent", "agent": name, "queues": [queue]}
    narrow = Caller(callers.admin.http, ok(await callers.admin.post("/v1/keys", body), 201)["key"])
    refused = await narrow.call("PUT", f"/v1/agents/{name}/presence", json={"state": "available", "queues": ["other"]})
    problem(refused, 403, "forbidden")
    said = ok(await narrow.call("PUT", f"/v1/agents/{name}/presence", json={"state": "available"}))
    assert said["queues"] == [queue]
