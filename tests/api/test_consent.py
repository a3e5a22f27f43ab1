"""Consent over HTTP: shown with its source, and heeded: no profiling, nothing kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.api.living import Callers
from tests.api.scenes import accept, begin, known, ok


async def test_a_consent_is_shown_with_who_said_it_where_and_when(callers: Callers) -> None:
    scene = await known(callers.adapter)
    told = scene.event("consent.granted", {"purpose": "recording", "text_version": "2026-03"})
    await scene.tell(told)
    shown = (await scene.context())["consents"]["recording"]
    assert (shown["state"], shown["text_version"], shown["evidence"]) == ("granted", "2026-03", told["event_id"])
    assert (shown["origin"]["channel"], shown["origin"]["party"]) == ("ivr", "customer")


async def test_without_profiling_nothing_is_offered_or_steered_by_history(callers: Callers) -> None:
    before = await known(callers.adapter)
    await before.journey("refund")
    again = await known(callers.adapter, "chat", customer_id=before.customer_id)
    assert [offer["kind"] for offer in again.started["resume"]] == ["refund"]
    assert again.started["context"]["steering"]["journeys"] == ["refund"]
    await again.tell(again.event("consent.denied", {"purpose": "profiling"}))
    later = await known(callers.adapter, "app", customer_id=before.customer_id)
    assert later.started["resume"] == []
    assert later.started["context"]["steering"]["journeys"] == []


async def test_without_profiling_what_was_handed_over_still_arrives(callers: Callers) -> None:
    scene = await known(callers.adapter)
    journey_id = await scene.journey("refund")
    await scene.tell(scene.event("consent.denied", {"purpose": "profiling"}))
    handoff = await scene.offer({"channel": "chat"}, journey_id=journey_id)
    came = await begin(callers.adapter, "chat", handoff={"token": handoff["token"]})
    assert [offer["journey_id"] for offer in came.started["resume"]] == [journey_id]


async def test_of_a_customer_who_wants_nothing_kept_no_word_is_stored_from_then_on(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.event("message.received", {"text": "said before"}))
    await scene.tell(scene.event("consent.denied", {"purpose": "keeping"}))
    await scene.tell(scene.event("message.received", {"text": "a secret word"}))
    await scene.tell(scene.event("input.collected", {"prompt": "pin", "value": "4711", "mode": "dtmf"}))
    await scene.tell(scene.fact("order_id", "A-17"))
    assert (await scene.context())["facts"]["order_id"]["value"] == "A-17"
    kept = await scene.all_told(callers.admin)
    assert "said before" in str(kept)
    assert not any(word in str(kept) for word in ("a secret word", "4711", "A-17"))
    assert [event["type"] for event in kept if "unkept" in event.get("marks", [])] == [
        "message.received", "input.collected", "fact.stated",
    ]  # fmt: skip
    await scene.end()
    context = ok(await callers.admin.get(f"{scene.base}/context"))
    assert "order_id" not in context["facts"]


async def test_neither_are_words_in_other_events_but_the_work_goes_on(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.event("consent.denied", {"purpose": "keeping"}))
    due_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await scene.tell(
        scene.event("intent.detected", {"name": "word-a"}),
        scene.event("x.seen", {"page": "word-b", "deep": ["word-c"]}),
        scene.event("commitment.made", {"what": "word-d", "owner": "billing", "due_at": due_at}),
    )
    handoff = await scene.offer({"queue": "billing"}, note="word-e", reason="a card is lost")
    mine = await accept(callers.agent, handoff["handoff_id"], "ann")
    assert (mine["handoff"]["note"], mine["handoff"]["reason"]) == ("word-e", "a card is lost")
    assert [promise["what"] for promise in mine["context"]["commitments"]] == ["word-d"]
    held, place = {"agent_id": "ann", "fence": mine["fence"]}, f"/v1/handoffs/{handoff['handoff_id']}"
    ok(await callers.agent.call("PUT", f"{place}/draft", json=held | {"draft": {"text": "word-f"}}))
    ok(await callers.agent.post(f"{place}/complete", held | {"outcome": "word-g", "disposition": "done"}))
    kept = {event["type"]: event for event in await scene.all_told(callers.admin)}
    assert not [letter for letter in "abcdefg" if f"word-{letter}" in str(kept)]
    assert kept["handoff.offered"]["data"]["reason"] == "a card is lost"
    assert kept["handoff.completed"]["data"]["disposition"] == "done"
    assert (kept["x.seen"]["data"], kept["intent.detected"]["data"]["name"]) == ({}, "")
    assert {"owner": "billing", "what": ""}.items() <= kept["commitment.made"]["data"].items()
    assert all(kept[type_]["marks"] == ["unkept"] for type_ in ("x.seen", "commitment.made", "handoff.offered"))
    await scene.end()
    exported = ok(await callers.admin.get(f"{scene.base}/export"))
    assert [letter for letter in "abcdefg" if f"word-{letter}" in str(exported)] == ["d"], "the promise is still open"


async def test_a_later_interaction_is_not_kept_either_until_it_is_allowed_again(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.event("consent.denied", {"purpose": "keeping"}))
    later = await known(callers.adapter, "chat", customer_id=scene.customer_id)
    await later.tell(later.event("message.received", {"text": "not to be kept"}))
    await later.tell(later.event("consent.granted", {"purpose": "keeping"}))
    await later.tell(later.event("message.received", {"text": "kept again"}))
    kept = str(await scene.all_told(callers.admin))
    assert "not to be kept" not in kept
    assert "kept again" in kept


async def test_words_told_twice_are_one_event_also_where_they_are_not_kept(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.event("consent.denied", {"purpose": "keeping"}))
    message = scene.event("message.received", {"text": "hello"})
    first, again = await scene.tell(message), await scene.tell(message)
    assert again["results"][0] == first["results"][0] | {"duplicate": True}
