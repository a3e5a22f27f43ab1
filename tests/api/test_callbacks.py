"""Callbacks over HTTP: promised with a window, dialled by exactly one, and told what came of each attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.api.living import Callers, Clock, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, fresh, known, ok, phone, pointers, problem

OFFICE = {"timezone": "Asia/Shanghai", "hours": {day: ["08:30-18:00"] for day in ("mon", "tue", "wed")}}
SHUT = OFFICE | {"closed": [{"from": "2026-01-01T00:00", "until": "2028-01-01T00:00"}]}
TENANT = {
    "default_region": "CN",
    "journeys": [{"kind": "refund", "steps": [{"step": "order", "facts": ["order_id"]}]}],
    "calendars": {"office": OFFICE, "shut": SHUT},
    "queues": {
        "always": {"callback": {"attempts": 2, "pause": 600, "window": 3600}},
        "cards": {"hours": "office", "alternatives": [{"kind": "callback"}]},
        "never": {"hours": "shut"},
    },
    "policies": {"calls_a_day": 2},
}
#: A Sunday at noon in Shanghai; the office opens on Monday at half past eight.
SUNDAY = datetime.fromisoformat("2027-01-10T04:00:00+00:00")
MONDAY = datetime.fromisoformat("2027-01-11T00:30:00+00:00")
ALWAYS, CARDS = {"queue": "always"}, {"queue": "cards"}


@pytest.fixture(scope="module")
def wall() -> Clock:
    """The hub's clock: it stands still until a test moves it."""
    return Clock()


@pytest.fixture
def clock(wall: Clock) -> Clock:
    """The clock on a Sunday at noon."""
    wall.now = SUNDAY
    return wall


@pytest.fixture(scope="module")
async def staff(wall: Clock, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callers]:
    """A caller of each role, to a hub on a server on which no other hub's clock counts."""
    folder = tmp_path_factory.mktemp("callbacks")
    with embedded_server(Settings(data=folder / "server", durability="fast")) as server:
        settings = settings_for(folder / "hub", server.url, timer_tick=timedelta(milliseconds=50))
        path = folder / "hub" / "tenants" / "default.yaml"
        path.write_text(yaml.safe_dump(TENANT), encoding="utf-8")
        wall.now = SUNDAY
        async with living(settings, wall) as app, http_to(app) as http:
            yield await Callers(http).make()


async def someone(staff: Callers, clock: Clock, **more: Any) -> Scene:
    """A customer with a telephone of the customer's own, in a chat."""
    assert clock.now == SUNDAY
    return await known(staff.adapter, "chat", **{"identifiers": [phone() | {"strength": "verified"}]} | more)


async def promised(scene: Scene, to: dict[str, Any] = ALWAYS, **callback: Any) -> dict[str, Any]:
    """A callback that has to be promised."""
    return await scene.offer(to, kind="callback", callback=callback)


async def try_promise(scene: Scene, to: dict[str, Any] = ALWAYS, **callback: Any) -> Any:
    """A callback, whatever comes of it."""
    return await scene.try_offer(to, kind="callback", callback=callback)


def path(handoff: dict[str, Any], verb: str) -> str:
    """Where something is done to a callback."""
    return f"/v1/handoffs/{handoff['handoff_id']}/{verb}"


async def stands(staff: Callers, handoff: dict[str, Any]) -> dict[str, Any]:
    """A callback as it stands now."""
    return dict(ok(await staff.admin.get(f"/v1/handoffs/{handoff['handoff_id']}"))["handoff"])


async def due(staff: Callers, handoff: dict[str, Any]) -> None:
    """Wait until a callback is due: a timer says so."""
    async with asyncio.timeout(10):
        while (await stands(staff, handoff))["callback"]["phase"] != "due":
            await asyncio.sleep(0.02)


def said(attempt: int, outcome: str, **more: Any) -> dict[str, Any]:
    """What came of an attempt."""
    return {"attempt": attempt, "outcome": outcome, **more}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def told(staff: Callers, scene: Scene) -> list[str]:
    """What was told of a customer."""
    return [event["type"] for event in await scene.all_told(staff.admin)]


# Promised


async def test_what_is_left_out_the_queue_says_and_the_number_is_a_reference(staff: Callers, clock: Clock) -> None:
    number = phone()
    scene = await someone(staff, clock, identifiers=[phone(), number | {"strength": "verified"}])
    handoff = await promised(scene)
    callback = handoff["callback"]
    assert (instant(callback["from"]), instant(callback["until"])) == (SUNDAY, SUNDAY + timedelta(hours=1))
    assert (callback["attempts"], callback["pause"], callback["made"]) == (2, 600, [])
    assert handoff["expires_at"] == callback["until"]
    assert handoff["delivery"] == "message", "who answers has proven nothing"
    (promise,) = (await scene.context())["commitments"]
    assert (promise["what"], promise["owner"], promise["due_at"]) == ("call back", "always", callback["until"])
    about = [event for event in await scene.all_told(staff.admin) if event["type"] != "interaction.started"]
    assert callback["number"]["ref"] in str(about)
    assert number["value"] not in f"{handoff} {about} {await stands(staff, handoff)}"


async def test_a_number_is_named_by_value_or_reference_and_has_to_be_the_customers_own(
    staff: Callers, clock: Clock
) -> None:
    second = phone()
    scene = await someone(staff, clock, identifiers=[phone() | {"strength": "verified"}, second])
    by_value = await promised(scene, number={"value": second["value"]})
    ref = by_value["callback"]["number"]["ref"]
    assert (ok(await staff.adapter.post(path(by_value, "dial"))))["number"] == second["value"]
    other = await known(staff.adapter, "chat", customer_id=scene.customer_id)
    by_ref = await promised(other, number={"ref": ref})
    assert by_ref["callback"]["number"] == {"type": "phone", "ref": ref}
    third = await known(staff.adapter, "chat", customer_id=scene.customer_id)
    for stranger in ({"value": phone()["value"]}, {"ref": "nobody's"}):
        assert pointers(await try_promise(third, number=stranger)) == ["/callback/number"]
    assert pointers(await try_promise(third, number={"value": "at home"})) == ["/callback/number/value"]


async def test_who_has_no_number_is_promised_no_call(staff: Callers, clock: Clock) -> None:
    scene = await known(staff.adapter, "chat")
    assert pointers(await try_promise(scene)) == ["/callback/number"]


@pytest.mark.parametrize(
    ("callback", "where"),
    [
        ({"until": "2027-01-10T03:00:00Z"}, "/callback/until"),
        ({"from": "2027-01-10T10:00:00Z", "until": "2027-01-10T09:00:00Z"}, "/callback/until"),
        ({"until": "2027-04-10T09:00:00Z"}, "/callback/until"),
        ({"until": "2027-01-10T09:00:00"}, "/callback/until"),
        ({"from": "tomorrow"}, "/callback/from"),
        ({"attempts": 0}, "/callback/attempts"),
        ({"attempts": "2"}, "/callback/attempts"),
        ({"number": {}}, "/callback/number"),
        ({"number": {"ref": "a", "value": "b"}}, "/callback/number"),
        ({"number": {"type": "email", "value": "b"}}, "/callback/number/type"),
        ({"pause": 60}, "/callback/pause"),
        ("soon", "/callback"),
    ],
)
async def test_a_window_that_can_t_be_is_refused_where_its_fault_is(
    staff: Callers, clock: Clock, callback: Any, where: str
) -> None:
    scene = await someone(staff, clock)
    assert pointers(await scene.try_offer(ALWAYS, kind="callback", callback=callback)) == [where]
    assert (await scene.context())["commitments"] == []


@pytest.mark.parametrize(
    "more",
    [{"kind": "live"}, {"kind": "message"}, {"to": {"agent": "ann"}}, {"fallback": CARDS}],
)
async def test_a_window_goes_with_a_callback_to_a_queue_alone(
    staff: Callers, clock: Clock, more: dict[str, Any]
) -> None:
    scene = await someone(staff, clock)
    body = {"to": ALWAYS, "kind": "callback", "callback": {}} | more
    problem(await scene.try_offer(**body), 422, "invalid")


async def test_a_callback_that_says_no_more_is_one_by_the_terms_of_its_queue(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await scene.offer(CARDS, kind="callback")
    assert (handoff["callback"]["phase"], instant(handoff["callback"]["from"])) == ("waiting", MONDAY)
    (promise,) = (await scene.context())["commitments"]
    assert (promise["what"], promise["owner"]) == ("call back", "cards")
    for more in ({"to": {"agent": "ann"}}, {"to": CARDS, "fallback": ALWAYS}, {"to": {"channel": "chat"}}):
        refused = problem(await scene.try_offer(**{"kind": "callback"} | more), 422, "invalid")
        assert "`callback`" in refused["errors"][0]["detail"]
    unwilling = await someone(staff, clock)
    await unwilling.tell(unwilling.event("consent.denied", {"purpose": "calls"}, party="customer"))
    problem(await unwilling.try_offer(CARDS, kind="callback"), 409, "do_not_call")
    numberless = await known(staff.adapter, "chat")
    assert pointers(await numberless.try_offer(CARDS, kind="callback")) == ["/callback/number"]


# Messages, and what a bot may promise after hours


async def test_a_message_left_before_the_weekend_waits_without_its_customer_until_it_is_answered(
    staff: Callers, clock: Clock
) -> None:
    scene = await someone(staff, clock)
    left = await scene.offer(CARDS, kind="message", note="please write to me")
    assert instant(left["expires_at"]) == SUNDAY + timedelta(days=30)
    problem(await scene.try_offer(CARDS, kind="message"), 409, "already_offered")
    live = await scene.offer(CARDS)
    assert (await scene.context())["interactions"][0]["waits"]["handoff_id"] == live["handoff_id"]
    await scene.end()
    clock.move(days=9)
    listed = ok(await staff.supervisor.get("/v1/handoffs", queue="cards"))["handoffs"]
    (mine,) = [one for one in listed if one["customer_id"] == scene.customer_id]
    assert (mine["handoff_id"], mine["kind"], mine["state"]) == (left["handoff_id"], "message", "offered")
    taken = ok(await staff.ann.post(path(left, "accept"), {"agent_id": "ann"}))
    assert (taken["handoff"]["note"], taken["context"]["customer_id"]) == ("please write to me", scene.customer_id)
    clock.move(minutes=16)
    again = ok(await staff.bob.post(path(left, "accept"), {"agent_id": "bob"}))
    done = {"agent_id": "bob", "fence": again["fence"], "outcome": "answered by mail"}
    assert ok(await staff.bob.post(path(left, "complete"), done))["handoff"]["state"] == "completed"


async def test_a_message_has_the_deadline_that_is_asked_for_and_outlives_a_chat_in_which_it_is_taken(
    staff: Callers, clock: Clock
) -> None:
    async def state_of(handoff: dict[str, Any]) -> str:
        found: str = ok(await staff.admin.get(f"/v1/handoffs/{handoff['handoff_id']}"))["handoff"]["state"]
        return found

    scene = await someone(staff, clock)
    short = await scene.offer(CARDS, kind="message", expires_in=60)
    clock.move(minutes=1)
    assert await state_of(short) == "expired"
    left = await scene.offer(CARDS, kind="message")
    ok(await staff.ann.post(path(left, "accept"), {"agent_id": "ann"}))
    await scene.end()
    assert await state_of(left) == "accepted"
    clock.move(minutes=16)
    assert await state_of(left) == "offered"
    ok(await staff.adapter.post(path(left, "cancel")))


async def test_a_bot_promises_nothing_that_a_closed_queue_would_have_to_keep(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)

    def promise(owner: str, due_at: datetime, party: str = "bot") -> dict[str, Any]:
        told = {"what": "an agent calls you", "owner": owner, "due_at": due_at.isoformat()}
        return scene.event("commitment.made", told, party=party)

    for due_at in (SUNDAY + timedelta(hours=1), MONDAY):
        refused = problem(await scene.try_tell(promise("cards", due_at)), 409, "not_possible_then")
        assert (refused["queue"], instant(refused["possible_from"])) == ("cards", MONDAY)
    assert "possible_from" not in problem(await scene.try_tell(promise("never", MONDAY)), 409, "not_possible_then")
    assert (await scene.context())["commitments"] == []
    morning = MONDAY + timedelta(minutes=1)
    await scene.tell(promise("cards", morning), promise("always", SUNDAY + timedelta(hours=1)), promise("ann", MONDAY))
    await scene.tell(promise("cards", SUNDAY + timedelta(hours=1), party="agent"))
    clock.now = morning
    later = await known(staff.adapter, "chat")
    night = {"what": "an agent calls you", "owner": "cards", "due_at": (MONDAY + timedelta(hours=15)).isoformat()}
    await later.tell(later.event("commitment.made", night, party="bot"))


async def test_outside_opening_hours_the_next_hours_are_the_window_and_no_other_can_be_promised(
    staff: Callers, clock: Clock
) -> None:
    scene = await someone(staff, clock)
    queue = ok(await staff.adapter.get("/v1/queues/cards"))
    (alternative,) = queue["alternatives"]
    assert (queue["open"], instant(alternative["from"])) == (False, MONDAY)
    refused = await try_promise(scene, CARDS, until="2027-01-10T09:00:00Z")
    assert instant(problem(refused, 409, "not_possible_then")["possible_from"]) == MONDAY
    never = problem(await try_promise(scene, {"queue": "never"}), 409, "not_possible_then")
    assert "possible_from" not in never
    handoff = await promised(scene, CARDS)
    assert {name: handoff["callback"][name] for name in ("from", "until")} == {
        name: alternative[name] for name in ("from", "until")
    }
    refused = await staff.adapter.post(path(handoff, "dial"))
    assert instant(problem(refused, 409, "wrong_state")["until"]) == MONDAY
    listed = ok(await staff.adapter.get("/v1/handoffs", queue="cards"))["handoffs"]
    assert handoff["handoff_id"] not in {each["handoff_id"] for each in listed}


async def test_a_second_callback_about_the_same_is_refused_and_one_stands_beside_a_live_offer(
    staff: Callers, clock: Clock
) -> None:
    scene = await someone(staff, clock)
    live = await scene.offer(CARDS)
    first = await promised(scene)
    again = problem(await try_promise(scene), 409, "already_offered")
    assert again["handoff_id"] == first["handoff_id"]
    assert (await stands(staff, live))["state"] == "offered"
    ok(await staff.adapter.post(path(first, "cancel")))
    assert (await promised(scene))["state"] == "offered"


async def test_who_does_not_want_to_be_called_is_not_called(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    await scene.tell(scene.event("consent.withdrawn", {"purpose": "calls"}))
    problem(await staff.adapter.post(path(handoff, "dial")), 409, "do_not_call")
    now = await stands(staff, handoff)
    assert (now["state"], now["outcome"]) == ("cancelled", "do_not_call")
    problem(await try_promise(scene), 409, "do_not_call")
    assert (await told(staff, scene))[-2:] == ["handoff.cancelled", "commitment.broken"]


async def test_who_was_called_often_enough_today_is_not_called_again_before_tomorrow(
    staff: Callers, clock: Clock
) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    for attempt in (1, 2):
        ok(await staff.adapter.post(path(handoff, "dial")))
        ok(await staff.adapter.post(path(handoff, "attempts"), said(attempt, "busy")))
        clock.move(minutes=10)
    refused = problem(await try_promise(scene), 409, "not_possible_then")
    assert instant(refused["possible_from"]) == SUNDAY + timedelta(days=1)
    tomorrow = {"from": refused["possible_from"], "until": "2027-01-11T06:00:00Z"}
    assert (await promised(scene, **tomorrow))["callback"]["phase"] == "waiting"


async def test_an_offer_said_twice_under_one_key_is_one_callback(staff: Callers, clock: Clock) -> None:
    scene, key = await someone(staff, clock), fresh("key")
    offers = [await scene.offer(ALWAYS, idempotency_key=key, kind="callback", callback={}) for _ in range(2)]
    assert offers[0]["handoff_id"] == offers[1]["handoff_id"]
    reused = await scene.try_offer(ALWAYS, key, kind="callback", callback={"attempts": 1})
    problem(reused, 422, "idempotency_key_reused")
    assert (await told(staff, scene)).count("commitment.made") == 1


# Dialled


async def test_of_two_who_dial_at_once_one_gets_the_number(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    takes = await asyncio.gather(*(caller.post(path(handoff, "dial")) for caller in [staff.adapter, staff.ann] * 3))
    (taken,) = [response for response in takes if response.is_success]
    for other in takes:
        if other is not taken:
            assert problem(other, 409, "wrong_state")["state"] == "dialling"
    assert taken.json().keys() == {"handoff", "attempt", "number", "token", "uui"}
    assert (taken.json()["attempt"], taken.json()["handoff"]["callback"]["phase"]) == (1, "dialling")
    assert taken.headers["etag"] == f'"{taken.json()["handoff"]["version"]}"'
    assert (await told(staff, scene)).count("callback.dialled") == 1


async def test_who_dials_again_under_the_same_key_has_the_same_attempt_until_it_is_over(
    staff: Callers, clock: Clock
) -> None:
    scene, key = await someone(staff, clock), fresh("key")
    handoff = await promised(scene)
    taken = [ok(await staff.adapter.post(path(handoff, "dial"), idempotency_key=key)) for _ in range(2)]
    assert taken[0] == taken[1]
    ok(await staff.adapter.post(path(handoff, "attempts"), said(1, "no_answer")))
    over = await staff.adapter.post(path(handoff, "dial"), idempotency_key=key)
    assert problem(over, 409, "wrong_state")["state"] == "waiting"
    clock.move(minutes=10)
    await due(staff, handoff)
    assert ok(await staff.ann.post(path(handoff, "dial")))["attempt"] == 2
    late = await staff.adapter.post(path(handoff, "dial"), idempotency_key=key)
    assert problem(late, 409, "wrong_state")["state"] == "dialling", "the second attempt is somebody else's"


async def test_the_token_brings_the_call_its_context_at_level_one(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    journey = await scene.journey()
    await scene.tell(scene.fact("order_id", "A-17", journey_id=journey))
    handoff = await promised(scene)
    taken = ok(await staff.adapter.post(path(handoff, "dial")))
    body = {"channel": "voice", "system": "dialler", "external_id": fresh("out"), "direction": "outbound",
            "handoff": {"token": taken["token"]}}  # fmt: skip
    call = ok(await staff.adapter.post("/v1/interactions", body), 201)
    assert (call["customer_id"], call["interaction"]["direction"]) == (scene.customer_id, "outbound")
    assert call["interaction"]["journey_id"] == journey
    assert call["interaction"]["assurance"]["level"] <= 1
    answered = said(1, "answered", system="dialler", external_id=body["external_id"])
    reached = ok(await staff.adapter.post(path(handoff, "attempts"), answered))
    assert reached["interaction"]["interaction_id"] == call["interaction"]["interaction_id"]
    assert reached["handoff"]["state"] == "completed"


async def test_nobody_dials_outside_a_window_or_what_is_no_callback(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    later = await promised(scene, **{"from": "2027-01-10T05:00:00Z", "until": "2027-01-10T06:00:00Z"})
    early = problem(await staff.adapter.post(path(later, "dial")), 409, "wrong_state")
    assert (early["state"], early["until"]) == ("waiting", "2027-01-10T05:00:00.000Z")
    clock.now = instant("2027-01-10T06:00:00Z")
    over = problem(await staff.adapter.post(path(later, "dial")), 409, "wrong_state")
    assert over["state"] == "expired"
    assert (await told(staff, scene)).count("commitment.broken") == 1
    live = await (await known(staff.adapter)).offer(CARDS)
    for verb, body in (("dial", None), ("attempts", said(1, "busy"))):
        problem(await staff.adapter.post(path(live, verb), body), 409, "wrong_state")
        problem(await staff.adapter.post(f"/v1/handoffs/ho_nobody/{verb}", body), 404, "handoff_unknown")
        problem(await staff.other_adapter.post(path(live, verb), body), 404, "handoff_unknown")
        problem(await staff.supervisor.post(path(live, verb), body), 403, "forbidden")


async def test_whoever_decided_on_an_older_document_does_not_dial(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    version = handoff["version"]
    await scene.journey()
    problem(await staff.adapter.post(path(handoff, "dial"), if_match=f'"{version}"'), 412, "changed")
    assert (await stands(staff, handoff))["callback"]["phase"] != "dialling"


async def test_a_dialler_for_other_queues_gets_no_number(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    body = {"name": fresh("loans"), "role": "adapter", "queues": ["cards"]}
    elsewhere = Caller(staff.admin.http, ok(await staff.admin.post("/v1/keys", body), 201)["key"])
    problem(await elsewhere.post(path(handoff, "dial")), 403, "forbidden")
    problem(await elsewhere.post(path(handoff, "attempts"), said(1, "busy")), 403, "forbidden")
    assert (await stands(staff, handoff))["callback"]["made"] == []


async def test_it_is_dialled_for_whom_the_customer_is_now(staff: Callers, clock: Clock) -> None:
    scene, home = await someone(staff, clock), await someone(staff, clock)
    handoff = await promised(scene)
    ok(await staff.admin.post(f"{home.base}/merge", {"from": scene.customer_id}))
    taken = ok(await staff.adapter.post(path(handoff, "dial")))
    assert taken["handoff"]["customer_id"] == home.customer_id
    told_ = ok(await staff.adapter.post(path(handoff, "attempts"), said(1, "refused")))
    assert told_["handoff"]["state"] == "cancelled"


# Told


async def test_attempts_come_to_one_end_and_are_told_in_order_and_once(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    tell = path(handoff, "attempts")
    problem(await staff.adapter.post(tell, said(2, "busy")), 409, "wrong_state")
    ok(await staff.adapter.post(path(handoff, "dial")))
    for _ in range(2):
        shown = ok(await staff.adapter.post(tell, said(1, "no_answer", reason="rang out")))
        assert [(one["outcome"], one["reason"]) for one in shown["handoff"]["callback"]["made"]] == [
            ("no_answer", "rang out")
        ]
    assert problem(await staff.adapter.post(tell, said(1, "answered")), 409, "wrong_state")["attempts"] == 1
    early = problem(await staff.adapter.post(tell, said(2, "busy")), 409, "wrong_state")
    assert instant(early["until"]) == SUNDAY + timedelta(minutes=10)
    clock.move(minutes=10)
    await due(staff, handoff)
    ended = ok(await staff.adapter.post(tell, said(2, "busy")))
    assert (ended["handoff"]["state"], ended["handoff"]["outcome"], ended["interaction"]) == (
        "expired", "attempts_exhausted", None,
    )  # fmt: skip
    problem(await staff.adapter.post(path(handoff, "dial")), 409, "wrong_state")
    assert (await told(staff, scene)).count("callback.attempted") == 2


async def test_an_answer_opens_one_outbound_call_however_often_it_is_told(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    ok(await staff.ann.post(path(handoff, "dial")))
    answered = said(1, "answered", agent_id="ann", system="dialler", external_id=fresh("out"))
    at_once = [staff.ann.post(path(handoff, "attempts"), answered, idempotency_key="once") for _ in range(3)]
    answers = [ok(response) for response in await asyncio.gather(*at_once)]
    answers.append(ok(await staff.ann.post(path(handoff, "attempts"), answered)))
    assert len({answer["interaction"]["interaction_id"] for answer in answers}) == 1
    call = answers[0]["interaction"]
    assert (call["direction"], call["holder"]) == ("outbound", {"party": "agent", "id": "ann"})
    ok(await staff.ann.get(f"{scene.base}/context", interaction_id=call["interaction_id"]))
    kinds = await told(staff, scene)
    assert [kinds.count(one) for one in ("callback.attempted", "commitment.kept", "handoff.completed")] == [1, 1, 1]


async def test_what_an_agent_has_accepted_nobody_else_dials_or_tells_of(staff: Callers, clock: Clock) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    tell = path(handoff, "attempts")
    await due(staff, handoff)
    ok(await staff.ann.post(path(handoff, "accept"), {"agent_id": "ann"}))
    problem(await staff.bob.post(tell, said(1, "answered", agent_id="ann")), 403, "forbidden")
    held = problem(await staff.bob.post(tell, said(1, "answered", agent_id="bob")), 409, "held_by_another")
    assert held["held_by"] == "ann"
    problem(await staff.bob.post(tell, said(1, "answered")), 409, "held_by_another")
    for other in (staff.bob, staff.adapter):
        problem(await other.post(path(handoff, "dial")), 409, "held_by_another")
    assert ok(await staff.ann.post(path(handoff, "dial")))["attempt"] == 1
    back = ok(await staff.ann.post(tell, said(1, "busy")))
    assert (back["handoff"]["state"], back["handoff"]["agent_id"]) == ("offered", None)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/attempt", "/outcome"]),
        ({"attempt": 0, "outcome": "busy"}, ["/attempt"]),
        ({"attempt": True, "outcome": "busy"}, ["/attempt"]),
        ({"attempt": 11, "outcome": "busy"}, ["/attempt"]),
        ({"attempt": 1, "outcome": "asleep"}, ["/outcome"]),
        ({"attempt": 1, "outcome": "busy", "number": "+861380000"}, ["/number"]),
        ({"attempt": 1, "outcome": "answered", "external_id": ""}, ["/external_id"]),
        ({"attempt": 1, "outcome": "answered", "channel": "Not a channel", "external_id": "a"}, ["/channel"]),
        ([], [""]),
    ],
)
async def test_what_can_t_be_told_of_an_attempt_changes_nothing(
    staff: Callers, clock: Clock, body: Any, where: list[str]
) -> None:
    scene = await someone(staff, clock)
    handoff = await promised(scene)
    assert pointers(await staff.adapter.post(path(handoff, "attempts"), body)) == where
    assert (await stands(staff, handoff))["callback"]["made"] == []


async def test_an_attempt_under_a_key_of_another_is_refused(staff: Callers, clock: Clock) -> None:
    scene, key = await someone(staff, clock), fresh("key")
    handoff = await promised(scene)
    await due(staff, handoff)
    for _ in range(2):
        ok(await staff.adapter.post(path(handoff, "attempts"), said(1, "failed"), idempotency_key=key))
    reused = await staff.adapter.post(path(handoff, "attempts"), said(1, "busy"), idempotency_key=key)
    problem(reused, 422, "idempotency_key_reused")
