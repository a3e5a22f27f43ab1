"""A call under a warning of fraud: channels are answered to the byte as without one, and whom it concerns is warned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.acd.listening import listening
from tests.api.following import following
from tests.api.living import Callers, settings_for
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, phone
from tests.api.test_level_one import OF_ITS_OWN, said_to

#: What only whoever was warned may show, and what was told elsewhere by whom the number leads to.
OF_THE_WARNING = ("risk", "sim_swap", "attestation")
TOLD_ELSEWHERE = ("order-of-the-customer", "card-of-the-customer", "city-of-the-customer", "words-of-the-customer")
ITS_OWN = OF_ITS_OWN | {
    "handoff_id", "root_id", "token", "uui", "offered_at", "waiting_since", "expires_at", "journey_id", "updated_at",
    "ended_at", "final_at",
}  # fmt: skip
WARNED = ("attestation", "mid-call")


@pytest.fixture(scope="module")
async def callers(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> AsyncIterator[Callers]:
    """Callers of a hub of their own, whose streams end with it."""
    settings = settings_for(tmp_path_factory.mktemp("unnoticed"), redis_url)
    async with listening(settings) as url, httpx.AsyncClient(base_url=url, timeout=10) as http:
        yield await Callers(http).make()


async def a_customer(adapter: Caller) -> dict[str, Any]:
    """The number of a customer of whom there is something to tell."""
    number = phone()
    app = await known(adapter, "app", level=3, identifiers=[number | {"strength": "verified"}])
    order, card, city, words = TOLD_ELSEWHERE
    refund = await app.journey("refund")
    await app.tell(
        app.fact("order_id", order, journey_id=refund), app.fact("card_number", card), app.fact("city", city),
        app.event("message.received", {"text": words}),
    )  # fmt: skip
    return number


async def calls(adapter: Caller, number: dict[str, Any], warned: str | None) -> Scene:
    """A call from the number, with a warning or without one."""
    result = "failed" if warned == "attestation" else "passed"
    claim = {"identifiers": [number], "assurance": {"level": 1, "method": "ani"}}
    call = await begin(adapter, "ivr", **claim, attestation={"result": result, "level": "A"})
    if warned == "mid-call":
        await call.tell(call.event("risk.flagged", {"kind": "sim_swap", "level": "high"}))
    return call


def bare(said: Any) -> Any:
    """An answer without times and ids."""
    if isinstance(said, dict):
        return {key: bare(value) for key, value in said.items() if key not in ITS_OWN}
    return [bare(each) for each in said] if isinstance(said, list) else said


async def all_that_a_channel_gets(call: Scene, queue: str) -> dict[str, Any]:
    """Everything that a channel is answered in a call that tries the PIN and ends at a human."""
    adapter = call.caller
    got = {"before": await said_to(call)}
    got["told"] = await call.tell(call.fact("city", "Xi'an"), call.event("message.received", {"text": "it is me"}))
    got["proven"] = await call.tell(call.event("assurance.raised", {"level": 2, "method": "pin"}))
    handoff = await call.offer({"queue": queue}, note="the caller is in a hurry")
    got["offered"] = handoff
    got["handoff"] = ok(await adapter.get(f"/v1/handoffs/{handoff['handoff_id']}"))
    got["waiting"] = ok(await adapter.get("/v1/handoffs", queue=queue, state="offered"))
    got["queue"] = ok(await adapter.get(f"/v1/queues/{queue}"))
    listed = ok(await adapter.get("/v1/interactions", channel="ivr"))["interactions"]
    got["listed"] = [one for one in listed if one["interaction_id"] == call.interaction_id]
    got["lookup"] = ok(await adapter.post("/v1/handoffs/lookup", {"token": handoff["token"]}))
    got["cancelled"] = ok(await adapter.post(f"/v1/handoffs/{handoff['handoff_id']}/cancel"))
    got["ended"] = await call.end()
    return got


@pytest.mark.parametrize("warned", WARNED)
async def test_a_channel_is_answered_alike_with_a_warning_and_without_save_that_links_and_codes_stop(
    callers: Callers, warned: str
) -> None:
    queue, found, made = fresh("q"), [], []
    for how in (None, warned):
        call = await calls(callers.adapter, await a_customer(callers.adapter), how)
        got = await all_that_a_channel_gets(call, queue)
        made.append([bool(got["offered"].pop(name)) for name in ("link", "code")])
        found.append(bare(got))
    assert found[0] == found[1]
    assert made == [[True, True], [False, False]]


@pytest.mark.parametrize("warned", WARNED)
async def test_the_fraud_queue_hears_of_it_and_no_channel_does(callers: Callers, warned: str) -> None:
    number = await a_customer(callers.adapter)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(following(caller, f"/v1/{place}/stream"))
            for caller, place in (
                (callers.supervisor, "queues/fraud"), (callers.agent, "queues/fraud"),
                (callers.adapter, "queues/fraud"), (callers.adapter, "channels/ivr"),
            )
        ]  # fmt: skip
        for stream in opened:
            await stream.until("snapshot")
        call = await calls(callers.adapter, number, warned)
        for stream in opened[:2]:
            flagged = await stream.until("risk.flagged", call.interaction_id)
            assert flagged.data["data"]["queue"] == "fraud"
            assert not [told for told in TOLD_ELSEWHERE if told in str(stream.heard)]
        own = await stack.enter_async_context(
            following(callers.adapter, f"{call.base}/stream", interaction_id=call.interaction_id, after=0)
        )
        await call.offer({"queue": "fraud"})
        await call.end()
        for stream, last in (
            (opened[2], "handoff.offered"),
            (opened[3], "interaction.ended"),
            (own, "interaction.ended"),
        ):
            await stream.until(last, call.interaction_id)
            assert not [word for word in OF_THE_WARNING if word in str(stream.heard)]


@pytest.mark.parametrize("warned", WARNED)
async def test_who_takes_the_call_is_shown_nothing_of_the_customer_wherever_the_call_stands(
    callers: Callers, warned: str
) -> None:
    queue = fresh("q")
    call = await calls(callers.adapter, await a_customer(callers.adapter), warned)
    await call.raised()
    async with following(callers.ann, f"/v1/queues/{queue}/stream") as stream:
        await stream.until("snapshot")
        handoff = await call.offer({"queue": queue}, note="the caller is in a hurry")
        await stream.until("handoff.offered", handoff["handoff_id"])
        shown: list[Any] = [heard.data for heard in stream.heard]
    async with following(callers.ann, f"/v1/queues/{queue}/stream") as stream:
        shown.append((await stream.until("snapshot")).data)
    for caller in (callers.ann, callers.supervisor):
        shown.append(ok(await caller.get("/v1/handoffs", queue=queue, state="offered")))
        shown.append(ok(await caller.get(f"/v1/handoffs/{handoff['handoff_id']}")))
    assert "the caller is in a hurry" in str(shown[-2])
    shown.append(await accept(callers.ann, handoff["handoff_id"], "ann"))
    asking = {"interaction_id": call.interaction_id}
    for place in ("context", "brief", "timeline"):
        shown.append(ok(await callers.ann.get(f"{call.base}/{place}", **asking)))
    masked = shown[-4]["context"]["facts"]
    assert {masked[name]["value"] for name in ("order_id", "card_number", "city")} & set(TOLD_ELSEWHERE) == set()
    assert [(told, where) for where, said in enumerate(shown) for told in TOLD_ELSEWHERE if told in str(said)] == []
    assert "attestation_failed" in str(shown[-4]) or "sim_swap" in str(shown[-4])


async def test_without_a_warning_who_takes_the_call_of_whom_the_pin_proved_is_shown_it(callers: Callers) -> None:
    call = await calls(callers.adapter, await a_customer(callers.adapter), None)
    await call.raised()
    handoff = await call.offer({"queue": fresh("q")})
    shown = await accept(callers.ann, handoff["handoff_id"], "ann")
    assert "order-of-the-customer" in str(shown["context"]["facts"])
