"""Events over HTTP: every type and its data, all or nothing, and each once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.scenes import Caller, Scene, begin, fresh, known, ok, pointers, problem

LATER = "2031-05-01T10:00:00.000Z"

GOOD_DATA: dict[str, dict[str, Any]] = {
    "message.received": {"text": "hello", "content_type": "text/plain", "attachments": [{"url": "x"}]},
    "message.sent": {"text": "hello", "delivered": True},
    "message.delivered": {"of": "m1"},
    "message.failed": {"of": "m1", "reason": "unreachable"},
    "input.collected": {"prompt": "menu", "value": "1", "mode": "dtmf"},
    "intent.detected": {"name": "refund", "confidence": 0.9},
    "fact.stated": {"name": "order_id", "value": "A-17", "confidence": 0.9, "sensitivity": "public", "expires_in": 60},
    "fact.observed": {"name": "page", "value": {"path": "/help"}},
    "fact.inferred": {"name": "mood", "value": "angry"},
    "fact.confirmed": {"name": "order_id", "value": "A-17"},
    "fact.verified": {"name": "birthday", "value": "1990-01-01"},
    "fact.rejected": {"name": "order_id"},
    "question.asked": {"names": ["order_id"], "purpose": "confirm"},
    "journey.started": {"kind": "refund"},
    "assurance.raised": {"level": 2, "method": "otp", "expires_in": 600},
    "assurance.revoked": {"reason": "another voice"},
    "risk.flagged": {"kind": "sim swap", "level": "high"},
    "commitment.made": {"what": "call back", "owner": "billing", "due_at": LATER},
    "note.added": {"text": "be kind"},
    "x.survey": {"anything": [1, None, {"at": "all"}]},
    **{
        f"call.{verb}": {"ref": {"system": "acd", "kind": "call", "id": "7"}, "agent_id": "ann", "reason": "busy"}
        for verb in ("alerting", "answered", "held", "retrieved", "consulted", "conferenced", "transferred", "ended")
    },
    **{f"recording.{verb}": {} for verb in ("started", "paused", "resumed", "stopped")},
}

BAD_DATA = [
    ("message.received", {}, "/text"),
    ("message.received", {"text": 5}, "/text"),
    ("message.received", {"text": "a", "colour": "red"}, "/colour"),
    ("message.sent", {"text": "a", "fence": "one"}, "/fence"),
    ("message.delivered", {}, "/of"),
    ("input.collected", {"prompt": "menu", "value": "1", "mode": "smoke"}, "/mode"),
    ("intent.detected", {"name": "refund", "confidence": 1.5}, "/confidence"),
    ("fact.stated", {"name": "order_id"}, "/value"),
    ("fact.stated", {"name": "", "value": 1}, "/name"),
    ("fact.stated", {"name": "a" * 201, "value": 1}, "/name"),
    ("fact.stated", {"name": "a\u0000b", "value": 1}, "/name"),
    ("fact.stated", {"name": "a", "value": 1, "sensitivity": "secret"}, "/sensitivity"),
    ("fact.stated", {"name": "a", "value": 1, "expires_in": 0}, "/expires_in"),
    ("fact.rejected", {"value": 1}, "/name"),
    ("question.asked", {"names": []}, "/names"),
    ("question.asked", {"names": ["a"], "purpose": "gossip"}, "/purpose"),
    ("journey.started", {}, "/kind"),
    ("assurance.raised", {"level": 4, "method": "otp"}, "/level"),
    ("assurance.raised", {"level": 2}, "/method"),
    ("risk.flagged", {"kind": "a", "level": "huge"}, "/level"),
    ("commitment.made", {"what": "a", "owner": "b", "due_at": "tomorrow"}, "/due_at"),
    ("commitment.made", {"what": "a", "owner": "b", "due_at": "2031-05-01T10:00:00"}, "/due_at"),
    ("commitment.kept", {}, "/commitment_id"),
    ("call.answered", {"ref": {"system": "acd"}}, "/ref/id"),
    ("note.added", {}, "/text"),
]


@pytest.mark.parametrize("type_", GOOD_DATA)
async def test_every_type_is_taken_and_stands_on_the_timeline_as_told(
    adapter: Caller, admin: Caller, type_: str
) -> None:
    scene = await known(adapter)
    told = await scene.tell(scene.event(type_, GOOD_DATA[type_]))
    [last] = [event for event in await scene.all_told(admin) if event["version"] == told["version"]]
    assert last["type"] == type_
    assert last["channel"] == "ivr"
    assert last["data"] == last["data"] | GOOD_DATA[type_]


@pytest.mark.parametrize(("type_", "data", "where"), BAD_DATA)
async def test_data_that_does_not_fit_its_type_is_refused_where_it_does_not(
    adapter: Caller, type_: str, data: dict[str, Any], where: str
) -> None:
    scene = await known(adapter)
    assert f"/events/0/data{where}" in pointers(await scene.try_tell(scene.event(type_, data)))


@pytest.mark.parametrize(
    "type_", ["interaction.started", "handoff.accepted", "identity.linked", "nothing", "x.", "fact."]
)
async def test_the_hubs_own_types_and_unknown_ones_can_not_be_told(adapter: Caller, type_: str) -> None:
    scene = await known(adapter)
    assert pointers(await scene.try_tell(scene.event(type_, {}))) == ["/events/0/type"]


@pytest.mark.parametrize("verb", ["advanced", "suspended", "resumed", "declined", "completed", "abandoned"])
async def test_what_happens_to_a_journey_names_the_journey(adapter: Caller, verb: str) -> None:
    scene = await known(adapter)
    data = {"step": "payout"} if verb == "advanced" else {}
    assert pointers(await scene.try_tell(scene.event(f"journey.{verb}", data))) == ["/events/0/journey_id"]
    strange = scene.event(f"journey.{verb}", data, journey_id="jr_nobody")
    problem(await scene.try_tell(strange), 404, "journey_unknown")
    journey_id = await scene.journey()
    await scene.tell(scene.event(f"journey.{verb}", data, journey_id=journey_id))


async def test_the_highest_version_of_the_events_comes_back_with_each_ones_own(adapter: Caller) -> None:
    scene = await known(adapter)
    before = (await scene.context())["version"]
    response = await scene.try_tell(scene.fact("a", 1), scene.event("note.added", {"text": "b"}), scene.fact("c", 3))
    told = ok(response)
    assert [result["version"] for result in told["results"]] == [before + 1, before + 2, before + 3]
    assert told["version"] == before + 3
    assert response.headers["etag"] == f'"{before + 3}"'


@pytest.mark.parametrize("type_", ["message.received", "fact.stated"])
async def test_a_repeated_event_gets_its_first_version_and_changes_nothing(
    adapter: Caller, admin: Caller, type_: str
) -> None:
    scene = await known(adapter)
    event = scene.event(type_, GOOD_DATA[type_])
    first = (await scene.tell(event))["results"][0]
    await scene.tell(scene.event("note.added", {"text": "in between"}))
    again = await scene.tell(event)
    assert first["duplicate"] is False
    assert again["results"][0] == first | {"duplicate": True}
    assert again["version"] == first["version"]
    assert [event["event_id"] for event in await scene.all_told(admin)].count(event["event_id"]) == 1


@pytest.mark.parametrize("type_", ["message.received", "fact.stated"])
async def test_one_event_id_does_not_stand_for_two_contents(adapter: Caller, type_: str) -> None:
    scene = await known(adapter)
    event = scene.event(type_, GOOD_DATA[type_])
    version = (await scene.tell(event))["version"]
    other = event | {"party": "agent"}
    refused = problem(await scene.try_tell(scene.event("note.added", {"text": "a"}), other), 422, "event_id_reused")
    assert refused["event_id"] == event["event_id"]
    assert (await scene.context())["version"] == version


@pytest.mark.parametrize("type_", ["message.received", "fact.stated"])
async def test_an_event_may_stand_twice_in_one_request_but_not_with_two_contents(adapter: Caller, type_: str) -> None:
    scene = await known(adapter)
    event = scene.event(type_, GOOD_DATA[type_])
    first, second = (await scene.tell(event, event))["results"]
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["version"] == second["version"]
    other = scene.event(type_, GOOD_DATA[type_])
    twice = await scene.try_tell(other, other | {"party": "agent"})
    problem(twice, 422, "event_id_reused")


@pytest.mark.parametrize("bad", [{"type": "no.such"}, {"data": {}}, {"at": "yesterday"}, {"colour": "red"}])
@pytest.mark.parametrize("good", ["message.received", "fact.stated"])
async def test_one_bad_event_keeps_all_the_others_out(adapter: Caller, good: str, bad: dict[str, Any]) -> None:
    scene = await known(adapter)
    before = (await scene.context())["version"]
    fine = [scene.event(good, GOOD_DATA[good]) for _ in range(3)]
    refused = await scene.try_tell(*fine, scene.event("fact.stated", {"name": "a", "value": 1}) | bad)
    assert all(pointer.startswith("/events/3/") for pointer in pointers(refused))
    assert (await scene.context())["version"] == before


async def test_a_refusal_in_the_middle_of_a_request_leaves_nothing_behind(adapter: Caller) -> None:
    scene = await known(adapter)
    before = await scene.context()
    refused = await scene.try_tell(scene.fact("a", 1), scene.event("message.sent", {"text": "hi"}, party="bot"))
    problem(refused, 409, "not_the_holder")
    assert await scene.context() == before


@pytest.mark.parametrize(("count", "fits"), [(0, False), (1, True), (100, True), (101, False)])
async def test_a_request_brings_one_to_a_hundred_events(adapter: Caller, count: int, fits: bool) -> None:
    scene = await known(adapter)
    response = await scene.try_tell(*(scene.event("note.added", {"text": str(n)}) for n in range(count)))
    assert response.status_code == (200 if fits else 422)
    assert fits or pointers(response) == ["/events"]


async def test_a_time_lies_at_most_five_minutes_ahead_or_thirty_days_back(adapter: Caller) -> None:
    scene = await known(adapter)
    now = datetime.now(UTC)
    for ahead in (timedelta(minutes=4), -timedelta(days=29)):
        await scene.tell(scene.fact("a", 1, at=(now + ahead).isoformat()))
    for ahead in (timedelta(minutes=6), -timedelta(days=31), timedelta(days=3650), -timedelta(days=3650)):
        refused = await scene.try_tell(scene.fact("a", 1, at=(now + ahead).isoformat()))
        assert pointers(refused) == ["/events/0/at"]


async def test_times_come_back_in_utc(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    at = datetime.now(UTC).replace(microsecond=123_000)
    told = await scene.tell(scene.event("note.added", {"text": "a"}, at=at.isoformat().replace("+00:00", "Z")))
    [event] = [event for event in await scene.all_told(admin) if event["version"] == told["version"]]
    assert event["at"] == at.strftime("%Y-%m-%dT%H:%M:%S.123Z")


@pytest.mark.parametrize("type_", ["message.received", "fact.stated"])
async def test_after_the_end_only_what_happened_before_it_is_taken(adapter: Caller, type_: str) -> None:
    scene = await known(adapter)
    ended = await scene.end()
    late = scene.event(type_, GOOD_DATA[type_])
    refused = problem(await scene.try_tell(late), 409, "interaction_ended")
    assert (refused["state"], refused["interaction_id"]) == ("ended", scene.interaction_id)
    before = datetime.fromisoformat(ended["interaction"]["ended_at"]) - timedelta(milliseconds=1)
    await scene.tell(late | {"at": before.isoformat()})


async def test_events_of_somebody_unknown_find_nobody(adapter: Caller) -> None:
    body = {"events": [{"event_id": "e", "type": "note.added", "data": {"text": "a"}}]}
    for event in body["events"], [{"event_id": "e", "type": "fact.stated", "data": {"name": "a", "value": 1}}]:
        refused = await adapter.post(f"/v1/customers/{fresh('nobody')}/events", {"events": event})
        problem(refused, 404, "customer_unknown")


@pytest.mark.parametrize("type_", ["message.received", "fact.stated"])
async def test_an_interaction_of_somebody_else_is_not_found(adapter: Caller, type_: str) -> None:
    mine, another = await known(adapter), await known(adapter)
    event = mine.event(type_, GOOD_DATA[type_], interaction_id=another.interaction_id)
    problem(await mine.try_tell(event), 404, "interaction_unknown")


async def test_a_bot_speaks_only_with_the_present_fence(adapter: Caller) -> None:
    scene = await begin(adapter)
    words = {"text": "How can I help?"}
    for fence in ({}, {"fence": 2}):
        refused = problem(await scene.try_tell(scene.event("message.sent", words | fence)), 409, "not_the_holder")
        assert refused["fence"] == 1
        assert refused["holder"]["party"] == "bot"
    await scene.tell(scene.event("message.sent", words | {"fence": 1}))


async def test_what_was_already_said_is_kept_and_marked_where_it_was_out_of_turn(
    adapter: Caller, admin: Caller
) -> None:
    scene = await known(adapter)
    in_turn = await scene.tell(scene.event("message.sent", {"text": "a", "delivered": True}, party="bot"))
    out = await scene.tell(scene.event("message.sent", {"text": "b", "delivered": True}, party="agent"))
    stale = await scene.tell(scene.event("message.sent", {"text": "c", "delivered": True, "fence": 7}, party="bot"))
    marks = {event["version"]: event.get("marks") for event in await scene.all_told(admin)}
    assert [marks[told["version"]] for told in (in_turn, out, stale)] == [None, ["out_of_turn"], ["out_of_turn"]]


async def test_a_notice_of_the_system_needs_no_floor(adapter: Caller) -> None:
    scene = await begin(adapter)
    await scene.tell(scene.event("message.sent", {"text": "This call is recorded."}, party="system"))


async def test_an_ask_for_what_is_known_is_a_repeat_and_the_result_says_so(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("order_id", "A-17"), scene.fact("mood", "angry", "inferred"))
    asked = await scene.tell(scene.event("question.asked", {"names": ["order_id", "mood", "bank"]}))
    assert asked["results"][0]["repeat"] == ["order_id"]
    for purpose in ("confirm", "step_up", "conflict", "expired", "regulatory"):
        asked = await scene.tell(scene.event("question.asked", {"names": ["order_id"], "purpose": purpose}))
        assert not asked["results"][0].get("repeat")


async def test_a_journey_gets_an_id_of_its_own_or_the_one_it_is_given(adapter: Caller) -> None:
    scene = await known(adapter)
    event = scene.event("journey.started", {"kind": "refund"})
    first, again = await scene.tell(event), await scene.tell(event)
    assert first["results"][0]["journey_id"] == again["results"][0]["journey_id"]
    given = await scene.tell(scene.event("journey.started", {"kind": "move", "journey_id": "jr_mine"}))
    assert given["results"][0]["journey_id"] == "jr_mine"
    twice = scene.event("journey.started", {"kind": "move", "journey_id": "jr_mine"})
    problem(await scene.try_tell(twice), 409, "wrong_state")


async def test_a_promise_is_open_until_it_is_kept_or_broken(adapter: Caller) -> None:
    scene = await known(adapter)
    made = await scene.tell(scene.event("commitment.made", GOOD_DATA["commitment.made"]))
    commitment_id = made["results"][0]["commitment_id"]
    [promise] = (await scene.context())["commitments"]
    assert (promise["commitment_id"], promise["due_at"]) == (commitment_id, LATER)
    await scene.tell(scene.event("commitment.kept", {"commitment_id": commitment_id}))
    assert (await scene.context())["commitments"] == []
    broken = scene.event("commitment.broken", {"commitment_id": commitment_id})
    problem(await scene.try_tell(broken), 404, "commitment_unknown")


async def test_racing_writers_lose_nothing(adapter: Caller) -> None:
    scene = await known(adapter)
    before = (await scene.context())["version"]
    facts = [scene.fact(f"fact {n}", n) for n in range(20)]
    notes = [scene.event("note.added", {"text": str(n)}) for n in range(20)]
    told = await asyncio.gather(*(scene.tell(event) for pair in zip(facts, notes, strict=True) for event in pair))
    assert sorted(each["version"] for each in told) == list(range(before + 1, before + 41))
    assert len((await scene.context())["facts"]) == 20


async def test_two_contents_of_one_event_id_at_once_leave_exactly_one(adapter: Caller) -> None:
    scene = await known(adapter)
    event_id = fresh("ev")
    tries = [scene.fact("order_id", value, event_id=event_id) for value in range(8)]
    answers = await asyncio.gather(*(scene.try_tell(event) for event in tries))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 7
    [winner] = [tried["data"]["value"] for tried, answer in zip(tries, answers, strict=True) if answer.is_success]
    assert (await scene.context())["facts"]["order_id"]["value"] == winner


async def test_names_are_any_text_without_control_characters(adapter: Caller) -> None:
    scene: Scene = await known(adapter)
    names = ["a.b.c", "/etc/~0/x~1y", "订单号", "🧾", "with space", '"quoted"', "a" * 200, "$where", "__proto__"]
    await scene.tell(*(scene.fact(name, number) for number, name in enumerate(names)))
    facts = (await scene.context())["facts"]
    assert {name: fact["value"] for name, fact in facts.items()} == {name: n for n, name in enumerate(names)}
    assert set(await scene.asks(*names)) == set(names)
