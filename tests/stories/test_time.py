"""What time does by itself: facts lapse, silence closes and the next word opens again."""

from __future__ import annotations

import asyncio

from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, begin, fresh, known, ok, problem


async def ended_by_silence(scene: Scene, admin: Caller) -> None:
    """Wait until the hub has noticed."""
    async with asyncio.timeout(5):
        while all(event["type"] != "interaction.ended" for event in await scene.all_told(admin)):
            await asyncio.sleep(0.02)


async def test_a_fact_that_lapsed_is_neither_shown_nor_answered_nor_hidden_behind_an_etag(
    adapter: Caller, clock: Clock
) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("code", "4711", expires_in=60), scene.fact("name", "Li"))
    query = {"interaction_id": scene.interaction_id}
    response = await adapter.get(f"{scene.base}/context", **query)
    held = {"If-None-Match": response.headers["etag"]}
    assert (await adapter.get(f"{scene.base}/context", held, **query)).status_code == 304
    clock.move(seconds=59)
    assert (await scene.asks("code"))["code"]["verdict"] == "known"
    clock.move(seconds=1)
    assert list(ok(await adapter.get(f"{scene.base}/context", held, **query))["facts"]) == ["name"]
    assert (await scene.asks("code"))["code"]["verdict"] == "ask"
    clock.move(hours=1)
    assert list(ok(await adapter.get(f"{scene.base}/context", held, **query))["facts"]) == ["name"]


async def test_an_offer_that_expired_is_not_hidden_behind_an_etag(adapter: Caller, clock: Clock) -> None:
    scene = await known(adapter)
    await scene.offer({"queue": "billing"}, expires_in=60)
    query = {"interaction_id": scene.interaction_id}
    held = {"If-None-Match": (await adapter.get(f"{scene.base}/context", **query)).headers["etag"]}
    clock.move(seconds=61)
    assert ok(await adapter.get(f"{scene.base}/context", held, **query))["handoffs"] == []


async def test_silence_ends_a_chat_after_half_an_hour_and_a_call_after_four(
    callers: Callers, adapter: Caller, clock: Clock
) -> None:
    chat, call = await begin(adapter, "chat"), await begin(adapter, "ivr")

    async def open_now() -> list[bool]:
        states = [await scene.all_told(callers.admin) for scene in (chat, call)]
        return [all(event["type"] != "interaction.ended" for event in told) for told in states]

    async def until(expected: list[bool]) -> None:
        async with asyncio.timeout(5):
            while await open_now() != expected:
                await asyncio.sleep(0.02)

    clock.move(minutes=29)
    await chat.tell(chat.event("message.received", {"text": "still here"}))
    clock.move(minutes=29)
    assert await open_now() == [True, True]
    clock.move(minutes=2)
    await until([False, True])
    clock.move(hours=3, minutes=1)
    await until([False, False])


async def test_the_next_word_reopens_what_silence_had_closed(callers: Callers, adapter: Caller, clock: Clock) -> None:
    for type_, data in ("message.received", {"text": "hello?"}), ("fact.stated", {"name": "a", "value": 1}):
        chat = await begin(adapter, "chat", customer_id=fresh("c"), assurance={"level": 2, "method": "otp"})
        clock.move(minutes=31)
        await ended_by_silence(chat, callers.admin)
        key, event = fresh("key"), chat.event(type_, data)
        first = await chat.tell(event, idempotency_key=key)
        assert await chat.tell(event, idempotency_key=key) == first
        assert await chat.tell(event) == first | {"results": [first["results"][0] | {"duplicate": True}]}
        body = {"channel": "chat", "external_id": chat.started["interaction"]["external_id"]}
        assert ok(await adapter.post("/v1/interactions", body))["interaction"]["state"] == "open"
        told = [event["type"] for event in await chat.all_told(callers.admin)]
        assert told == ["interaction.started", "interaction.ended", "interaction.reopened", type_]


async def test_what_the_channel_has_ended_stays_ended(adapter: Caller, clock: Clock) -> None:
    chat = await begin(adapter, "chat")
    await chat.end()
    clock.move(minutes=1)
    problem(await chat.try_tell(chat.event("message.received", {"text": "hello?"})), 409, "interaction_ended")


async def test_timers_leave_the_versions_without_a_gap(callers: Callers, adapter: Caller, clock: Clock) -> None:
    scene = await known(adapter, "chat")
    await scene.offer({"queue": "billing"}, expires_in=60, fallback={"queue": "cards"})
    for _ in range(4):
        clock.move(minutes=10)
        await asyncio.sleep(0.25)  # long enough for the relay to look, whatever it may find
    told = await scene.all_told(callers.admin)
    assert [event["version"] for event in told] == list(range(1, len(told) + 1))
    ids = [event["event_id"] for event in told]
    assert len(ids) == len(set(ids))
    assert [event["type"] for event in told] == [
        "interaction.started", "handoff.offered", "handoff.rerouted", "handoff.expired", "interaction.ended",
    ]  # fmt: skip
