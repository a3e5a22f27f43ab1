"""A key bound to a channel works in interactions of that channel alone; all other keys go on as they were."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, problem, start_body


@pytest.fixture(scope="module")
async def chat(admin: Caller) -> Caller:
    """An adapter bound to the chat and its page."""
    body = {"name": fresh("k"), "role": "adapter", "channels": ["chat", "web"]}
    return Caller(admin.http, ok(await admin.post("/v1/keys", body), 201)["key"])


def seen_by(caller: Caller, scene: Scene) -> Scene:
    """The same interaction in another's hands."""
    return Scene(caller, scene.started)


def message(scene: Scene, **more: Any) -> dict[str, Any]:
    """What the customer says."""
    return scene.event("message.received", {"text": "hello"}, **more)


Call = Callable[[Scene], Awaitable[httpx.Response]]
CALLS: dict[str, Call] = {
    "append": lambda s: s.try_tell(message(s)),
    "append a part of a number": lambda s: s.try_tell(
        s.event("input.collected", {"prompt": "n", "value": "12", "mode": "dtmf"})
    ),
    "append among others": lambda s: s.try_tell(message(s, interaction_id=None), message(s)),
    "decide": lambda s: s.try_tell(s.fact("order_id", "A-17")),
    "decide by condition": lambda s: s.try_tell(message(s), if_match="*"),
    "raise": lambda s: s.try_tell(s.event("assurance.raised", {"level": 2, "method": "pin"})),
    "end": lambda s: s.caller.post(f"{s.place}/end", {}),
    "refs": lambda s: s.caller.call("PUT", f"{s.place}/refs", json={"refs": [REF]}),
    "identify": lambda s: s.caller.post(f"{s.place}/identify", {"customer_id": fresh("c")}),
    "asks": lambda s: s.caller.post(f"{s.base}/asks", {"interaction_id": s.interaction_id, "names": ["order_id"]}),
    "context": lambda s: s.caller.get(f"{s.base}/context", interaction_id=s.interaction_id),
    "brief": lambda s: s.caller.get(f"{s.base}/brief", interaction_id=s.interaction_id),
    "timeline": lambda s: s.caller.get(f"{s.base}/timeline", interaction_id=s.interaction_id),
    "whole timeline": lambda s: s.caller.get(f"{s.base}/timeline/whole", interaction_id=s.interaction_id),
    "offer": lambda s: s.try_offer({"queue": "cards"}),
    "start again": lambda s: s.caller.post("/v1/interactions", again(s)),
    "list": lambda s: s.caller.get("/v1/interactions", channel=s.started["interaction"]["channel"]),
}
REF = {"system": "acd", "kind": "call", "id": fresh("call")}


def again(scene: Scene) -> dict[str, Any]:
    """The start of the same interaction, said to be one of the chat."""
    interaction = scene.started["interaction"]
    return start_body("chat", system=interaction["system"], external_id=interaction["external_id"])


@pytest.mark.parametrize("name", CALLS)
async def test_another_channels_interaction_is_refused_and_its_own_is_not(
    name: str, chat: Caller, adapter: Caller, admin: Caller
) -> None:
    call = await known(adapter, "ivr")
    before = (await call.context())["version"]
    refusal = problem(await CALLS[name](seen_by(chat, call)), 403, "forbidden")
    assert (refusal["channel"], refusal["detail"]) == ("ivr", "this key is for other channels")
    assert (await call.context())["version"] == before
    own = await known(chat, "chat")
    assert (await CALLS[name](own)).status_code < 300
    assert (await CALLS[name](seen_by(adapter, await known(adapter, "ivr")))).status_code < 300


async def test_an_interaction_that_ended_is_its_channels_still(chat: Caller, adapter: Caller) -> None:
    call = await known(adapter, "ivr")
    late = message(call, at=call.started["interaction"]["started_at"])
    await call.end()
    problem(await seen_by(chat, call).try_tell(late), 403, "forbidden")
    await call.tell(late)


async def test_one_that_moved_is_refused_at_its_new_home(chat: Caller, adapter: Caller) -> None:
    call = await known(adapter, "ivr")
    ok(await adapter.post(f"{call.place}/identify", {"customer_id": fresh("c")}))
    problem(await chat.post(f"{call.place}/end", {}), 403, "forbidden")
    problem(await chat.post("/v1/interactions", again(call)), 403, "forbidden")


async def test_a_stream_for_another_channels_interaction_is_not_opened(chat: Caller, adapter: Caller) -> None:
    call = await known(adapter, "ivr")
    opened = await chat.get(f"{call.base}/stream", interaction_id=call.interaction_id)
    problem(opened, 403, "forbidden")


async def test_a_call_is_not_found_by_its_name_elsewhere(chat: Caller, adapter: Caller) -> None:
    ref = REF | {"id": fresh("call")}
    await begin(adapter, "ivr", refs=[ref])
    problem(await chat.post("/v1/interactions/lookup", {"ref": ref}), 403, "forbidden")
    ok(await adapter.post("/v1/interactions/lookup", {"ref": ref}))


async def test_a_handoff_is_not_taken_or_taken_back_for_another_channel(chat: Caller, adapter: Caller) -> None:
    handoff = await (await known(adapter, "ivr")).offer({"queue": "cards"})
    place = f"/v1/handoffs/{handoff['handoff_id']}"
    problem(await chat.post(f"{place}/accept", {"agent_id": "ann"}), 403, "forbidden")
    problem(await chat.post(f"{place}/cancel"), 403, "forbidden")
    await accept(adapter, handoff["handoff_id"], "ann")
    returned = {"agent_id": "ann", "fence": 2, "note": "done"}
    problem(await chat.post(f"{place}/return", returned), 403, "forbidden")


async def test_what_a_customer_hands_over_to_the_channel_is_its_own(chat: Caller, adapter: Caller) -> None:
    call = await known(adapter, "ivr")
    await call.tell(call.fact("order_id", "A-17"))
    token = (await call.offer({"channel": "chat"}))["token"]
    came = Scene(chat, ok(await chat.post("/v1/handoffs/redeem", start_body("chat", token=token))))
    assert (await came.context())["facts"]["order_id"]["value"] == "A-17"
    problem(await seen_by(chat, call).try_tell(message(call)), 403, "forbidden")


async def test_what_belongs_to_no_interaction_is_told_as_before(chat: Caller, adapter: Caller) -> None:
    call = await known(adapter, "ivr")
    await seen_by(chat, call).tell(message(call, interaction_id=None))
