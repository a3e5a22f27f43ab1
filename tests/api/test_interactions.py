"""Starting, finding, naming, ending and moving interactions over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, phone, pointers, problem, start_body

INTERACTION = {
    "interaction_id", "channel", "system", "external_id", "refs", "state", "holder", "fence", "journey_id",
    "assurance", "started_at", "ended_at",
}  # fmt: skip


async def test_a_start_brings_back_everything_a_channel_needs(adapter: Caller) -> None:
    body = start_body(
        system="twilio-main", direction="inbound", touchpoint="main-menu", language="zh-CN", party="bot",
        refs=[{"system": "acd", "kind": "call", "id": fresh("acd")}], identifiers=[phone()],
        assurance={"level": 1, "method": "ani", "expires_in": 1800},
    )  # fmt: skip
    response = await adapter.post("/v1/interactions", body)
    started = ok(response, 201)
    assert started.keys() >= {"interaction", "customer_id", "known", "ambiguous", "context", "resume", "live"}
    assert started.get("handoff_problem") is None
    interaction = started["interaction"]
    assert interaction.keys() >= INTERACTION
    assert (interaction["state"], interaction["fence"], interaction["holder"]["party"]) == ("open", 1, "bot")
    assert (interaction["assurance"]["level"], interaction["assurance"]["method"]) == (1, "ani")
    assert interaction["refs"] == body["refs"]
    assert (started["known"], started["ambiguous"]) == (False, False)
    assert response.headers["etag"] == f'"{started["context"]["version"]}"'


async def test_only_channel_and_external_id_are_needed(adapter: Caller) -> None:
    scene = await begin(adapter, "chat")
    assert scene.started["interaction"]["system"] == "chat"
    for missing in ("channel", "external_id"):
        body = start_body()
        del body[missing]
        assert pointers(await adapter.post("/v1/interactions", body)) == [f"/{missing}"]


async def test_the_same_system_and_external_id_is_the_same_interaction_also_when_ended(adapter: Caller) -> None:
    body = start_body(customer_id=fresh("c"))
    scene = Scene(adapter, ok(await adapter.post("/v1/interactions", body), 201))
    again = ok(await adapter.post("/v1/interactions", body), 200)
    assert again["interaction"] == scene.started["interaction"]
    await scene.end(outcome="resolved")
    ended = ok(await adapter.post("/v1/interactions", body), 200)["interaction"]
    assert (ended["interaction_id"], ended["state"]) == (scene.interaction_id, "ended")
    assert ended["ended_at"] is not None


async def test_another_system_with_the_same_external_id_is_another_interaction(adapter: Caller) -> None:
    body = start_body()
    first = ok(await adapter.post("/v1/interactions", body | {"system": "a"}), 201)
    second = ok(await adapter.post("/v1/interactions", body | {"system": "b"}), 201)
    assert first["interaction"]["interaction_id"] != second["interaction"]["interaction_id"]


async def test_racing_starts_of_one_external_id_begin_it_once(adapter: Caller) -> None:
    body = start_body(identifiers=[phone()])
    answers = await asyncio.gather(*(adapter.post("/v1/interactions", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    found = {(a.json()["customer_id"], a.json()["interaction"]["interaction_id"]) for a in answers}
    assert len(found) == 1


async def test_two_first_calls_of_one_phone_at_once_are_one_customer(adapter: Caller) -> None:
    for _ in range(10):
        mine = phone()
        first, second = await asyncio.gather(begin(adapter, identifiers=[mine]), begin(adapter, identifiers=[mine]))
        assert first.customer_id == second.customer_id
        assert first.interaction_id != second.interaction_id
        found = ok(await adapter.post("/v1/customers/lookup", {"identifier": mine}))
        assert found["customer_id"] == first.customer_id


async def test_a_named_customer_is_created_when_new_and_counts_as_known(adapter: Caller) -> None:
    customer_id = fresh("Ärger".replace("Ä", "A")) + "@x._y"
    scene = await begin(adapter, customer_id=customer_id)
    assert (scene.customer_id, scene.started["known"]) == (customer_id, True)


@pytest.mark.parametrize("customer_id", ["", "a" * 129, "a/b", "a b", "客户", "a\u0000", "a:b", "a%2Fb", "a\n"])
async def test_a_customer_id_has_letters_digits_and_four_marks_only(adapter: Caller, customer_id: str) -> None:
    refused = await adapter.post("/v1/interactions", start_body(customer_id=customer_id))
    assert pointers(refused) == ["/customer_id"]


async def test_a_name_goes_before_identifiers_and_verified_before_claimed(adapter: Caller) -> None:
    strong, weak = phone(), phone()
    owner = await begin(adapter, customer_id=fresh("c"), identifiers=[strong | {"strength": "verified"}])
    other = await begin(adapter, customer_id=fresh("c"), identifiers=[weak | {"strength": "claimed"}])
    both = [weak | {"strength": "claimed"}, strong | {"strength": "verified"}]
    assert (await begin(adapter, identifiers=both)).customer_id == owner.customer_id
    named = await begin(adapter, identifiers=both, customer_id=other.customer_id)
    assert named.customer_id == other.customer_id


async def test_an_identifier_that_leads_to_several_customers_picks_none(adapter: Caller) -> None:
    shared = phone()
    owners = [await begin(adapter, customer_id=fresh("c"), identifiers=[shared]) for _ in range(2)]
    assert (await begin(adapter, identifiers=[shared])).started["ambiguous"] is True
    for owner in owners:
        await owner.raised()
    await owners[0].tell(owners[0].fact("order_id", "A-17"))
    scene = await begin(adapter, identifiers=[shared])
    assert scene.started["ambiguous"] is True
    assert scene.customer_id not in {owner.customer_id for owner in owners}
    said = str(scene.started)
    assert all(owner.customer_id not in said and owner.interaction_id not in said for owner in owners)
    assert "A-17" not in said
    assert (scene.started["live"], scene.started["resume"]) == ([], [])


async def test_below_level_two_a_caller_sees_steering_only(adapter: Caller) -> None:
    mine = phone()
    chat = await begin(adapter, "chat", identifiers=[mine], customer_id=fresh("c"), language="zh")
    await chat.raised()
    await chat.journey("refund")
    await chat.tell(chat.fact("order_id", "A-17"))
    started = (await begin(adapter, identifiers=[mine])).started
    assert started["customer_id"] == chat.customer_id
    context = started["context"]
    assert (context["facts"], context["journeys"], context["identifiers"], context["recent"][:-1]) == ({}, [], [], [])
    assert (started["resume"], started["live"]) == ([], [])
    assert context["steering"] == {"known": True, "journeys": ["refund"], "language": "zh"}


async def test_from_level_two_on_the_journeys_worth_resuming_come_back_best_first(adapter: Caller) -> None:
    chat = await known(adapter, "chat")
    await chat.journey("move")
    refund = await chat.journey("refund")
    await chat.tell(chat.fact("order_id", "A-17", journey_id=refund))
    sure = {"level": 2, "method": "pin"}
    call = await begin(adapter, customer_id=chat.customer_id, assurance=sure)
    assert [offer["kind"] for offer in call.started["resume"]] == ["refund", "move"]
    assert call.started["resume"][0]["missing"] == ["bank", "account"]
    assert all(offer["reason"] for offer in call.started["resume"])
    assert [other["interaction_id"] for other in call.started["live"]] == [chat.interaction_id]


async def test_a_bad_handoff_never_refuses_the_call(adapter: Caller) -> None:
    for handoff in ({"token": "nonsense"}, {"code": "12345678"}, {}):
        started = ok(await adapter.post("/v1/interactions", start_body(handoff=handoff)), 201)
        assert (started.get("handoff_problem") is not None) == bool(handoff)
    scene = await known(adapter)
    token = (await scene.offer({"queue": "billing"}))["token"]
    await scene.end()
    started = ok(await adapter.post("/v1/interactions", start_body(handoff={"token": token})), 201)
    assert started["handoff_problem"]["code"] == "expired"


async def test_a_handoff_says_who_it_is_before_all_else(adapter: Caller) -> None:
    scene, other = await known(adapter), await known(adapter)
    handoff = await scene.offer({"channel": "chat"})
    body = start_body("chat", customer_id=other.customer_id, handoff={"token": handoff["token"]})
    started = ok(await adapter.post("/v1/interactions", body), 201)
    assert started["customer_id"] == scene.customer_id
    assert started["handoff"]["state"] == "accepted"


async def test_an_interaction_is_found_by_any_of_its_other_names(adapter: Caller) -> None:
    names = [
        {"system": "acd", "kind": "call", "id": fresh("r")},
        {"system": "recorder", "kind": "recording", "id": fresh("r")},
    ]
    scene = await begin(adapter, refs=names[:1])
    response = await adapter.call("PUT", f"{scene.place}/refs", json={"refs": names[1:]})
    assert ok(response)["interaction"]["refs"] == names
    assert response.headers["etag"]
    for ref in [*names, {"system": "ivr", "kind": "call", "id": scene.started["interaction"]["external_id"]}]:
        found = ok(await adapter.post("/v1/interactions/lookup", {"ref": ref}))
        assert (found["customer_id"], found["interaction"]["interaction_id"]) == (
            scene.customer_id,
            scene.interaction_id,
        )
    strange = {"ref": {"system": "acd", "kind": "call", "id": fresh("r")}}
    problem(await adapter.post("/v1/interactions/lookup", strange), 404, "interaction_unknown")


async def test_the_same_refs_again_change_nothing(adapter: Caller) -> None:
    scene = await begin(adapter)
    body = {"refs": [{"system": "acd", "kind": "case", "id": fresh("r")}]}
    first = await adapter.call("PUT", f"{scene.place}/refs", json=body)
    again = await adapter.call("PUT", f"{scene.place}/refs", json=body)
    assert ok(first) == ok(again)
    assert first.headers["etag"] == again.headers["etag"]


async def test_the_open_interactions_of_a_channel_are_listed_oldest_first(callers: Callers, adapter: Caller) -> None:
    channel = fresh("x")
    scenes = [await begin(adapter, channel) for _ in range(3)]
    listed = ok(await callers.supervisor.get("/v1/interactions", channel=channel, state="open"))["interactions"]
    assert [i["interaction_id"] for i in listed] == [scene.interaction_id for scene in scenes]
    await scenes[0].end()
    listed = ok(await callers.supervisor.get("/v1/interactions", channel=channel))["interactions"]
    assert [i["interaction_id"] for i in listed] == [scene.interaction_id for scene in scenes[1:]]


async def test_an_end_says_how_and_again_changes_nothing(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    ended = await scene.end(outcome="resolved", disposition="refunded")
    assert ended["interaction"]["state"] == "ended"
    assert (await scene.end(outcome="abandoned"))["version"] == ended["version"]
    last = (await scene.all_told(admin))[-1]
    assert last["type"] == "interaction.ended"
    assert (last["data"]["outcome"], last["data"]["disposition"]) == ("resolved", "refunded")
    assert pointers(await adapter.post(f"{scene.place}/end", {"outcome": "fine"})) == ["/outcome"]


async def test_interactions_that_are_not_there_can_not_be_ended_named_or_moved(adapter: Caller) -> None:
    scene = await begin(adapter)
    nowhere = f"{scene.base}/interactions/in_nowhere"
    refs = {"refs": [{"system": "acd", "id": "1"}]}
    problem(await adapter.post(f"{nowhere}/end", {}), 404, "interaction_unknown")
    problem(await adapter.call("PUT", f"{nowhere}/refs", json=refs), 404, "interaction_unknown")
    problem(await adapter.post(f"{nowhere}/identify", {"customer_id": "c1"}), 404, "interaction_unknown")
    problem(await adapter.post("/v1/customers/nobody-at-all/interactions/in_1/end", {}), 404, "customer_unknown")


class Moved:
    """A caller who turns out to be somebody else: an interaction with all that belongs to it, moved."""

    def __init__(self, scene: Scene, home: str) -> None:
        self.scene = scene
        self.home = home
        self.journey_id = ""
        self.handoff: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}


async def moved(adapter: Caller, **more: Any) -> Moved:
    """Tell a journey, two facts and an offer, and then who it really is."""
    scene = await begin(adapter, identifiers=[phone()])
    case = Moved(scene, fresh("c"))
    case.journey_id = await scene.journey("refund")
    await scene.tell(scene.fact("order_id", "A-17", journey_id=case.journey_id), scene.fact("mood", "calm"))
    case.handoff = await scene.offer({"queue": "billing"})
    claim = {"assurance": {"level": 2, "method": "pin"}, "reason": "verified"}
    case.answer = ok(await adapter.post(f"{scene.place}/identify", {"customer_id": case.home} | claim | more))
    return case


async def test_identify_moves_the_interaction_with_all_that_belongs_to_it(adapter: Caller) -> None:
    case = await moved(adapter)
    assert case.answer["customer_id"] == case.home
    assert case.answer["interaction"]["assurance"]["level"] == 2
    asking = {"interaction_id": case.scene.interaction_id}
    context = ok(await adapter.get(f"/v1/customers/{case.home}/context", **asking))
    assert context["version"] == case.answer["version"]
    assert {name: fact["value"] for name, fact in context["facts"].items()} == {"order_id": "A-17", "mood": "calm"}
    assert [journey["journey_id"] for journey in context["journeys"]] == [case.journey_id]
    assert [handoff["handoff_id"] for handoff in context["handoffs"]] == [case.handoff["handoff_id"]]


async def test_identify_moves_nothing_else(adapter: Caller) -> None:
    home = await known(adapter, "chat")
    other = await begin(adapter, identifiers=[phone()], customer_id=fresh("c"))
    await other.raised()
    await other.tell(other.fact("colour", "red"))
    wrong = await begin(adapter, customer_id=other.customer_id)
    ok(await adapter.post(f"{wrong.place}/identify", {"customer_id": home.customer_id, "reason": "not_this_customer"}))
    assert "colour" in (await other.context())["facts"]
    assert "colour" not in (await home.context())["facts"]


async def test_fence_and_token_stay_good_across_a_move(adapter: Caller, desk: Caller) -> None:
    case = await moved(adapter)
    assert case.answer["interaction"]["fence"] == 1
    words = case.scene.event("message.sent", {"text": "hi", "fence": 1}, party="bot")
    ok(await adapter.post(f"/v1/customers/{case.home}/events", {"events": [words]}))
    looked = ok(await adapter.post("/v1/handoffs/lookup", {"token": case.handoff["token"]}))["handoff"]
    assert (looked["customer_id"], looked["state"]) == (case.home, "offered")
    accepted = ok(await desk.post(f"/v1/handoffs/{case.handoff['handoff_id']}/accept", {"agent_id": "ann"}))
    assert accepted["context"]["customer_id"] == case.home


async def test_the_old_place_of_a_moved_interaction_points_to_the_new_one(adapter: Caller) -> None:
    case = await moved(adapter)
    scene, query = case.scene, {"interaction_id": case.scene.interaction_id}
    offer = {
        "customer_id": scene.customer_id,
        "interaction_id": scene.interaction_id,
        "reason": "a",
        "to": {"queue": "q"},
    }
    asked = {"interaction_id": scene.interaction_id, "names": ["a"]}
    answers = {
        "context": await adapter.get(f"{scene.base}/context", **query),
        "timeline": await adapter.get(f"{scene.base}/timeline", **query),
        "stream": await adapter.get(f"{scene.base}/stream", **query),
        "asks": await adapter.post(f"{scene.base}/asks", asked),
        "events": await scene.try_tell(scene.fact("a", 1)),
        "append": await scene.try_tell(scene.event("message.received", {"text": "a"})),
        "end": await adapter.post(f"{scene.place}/end", {}),
        "identify": await adapter.post(f"{scene.place}/identify", {"customer_id": fresh("c")}),
        "offer": await adapter.post("/v1/handoffs", offer),
    }
    for what, answer in answers.items():
        refused = problem(answer, 308, "moved")
        assert refused["customer_id"] == case.home, what
        if what != "offer":
            assert answer.headers["location"].startswith(f"/v1/customers/{case.home}/"), what
    where = answers["context"].headers["location"]
    assert ok(await adapter.get(where))["customer_id"] == case.home


async def test_identify_again_is_the_same_answer(adapter: Caller) -> None:
    case = await moved(adapter)
    again = await adapter.post(f"/v1/customers/{case.home}/interactions/{case.scene.interaction_id}/identify",
                               {"customer_id": case.home})  # fmt: skip
    assert ok(again) == case.answer


async def test_identify_finds_the_customer_by_identifiers_too(adapter: Caller) -> None:
    mine = phone()
    owner = await begin(adapter, customer_id=fresh("c"), identifiers=[mine | {"strength": "verified"}])
    scene = await begin(adapter)
    found = ok(await adapter.post(f"{scene.place}/identify", {"identifiers": [mine]}))
    assert found["customer_id"] == owner.customer_id
    nobody = await adapter.post(f"{(await begin(adapter)).place}/identify", {"identifiers": [phone()]})
    problem(nobody, 404, "customer_unknown")
    assert pointers(await adapter.post(f"{(await begin(adapter)).place}/identify", {})) == [""]


async def test_who_is_not_the_customer_is_somebody_new(adapter: Caller) -> None:
    mine = phone()
    owner = await known(adapter, "app", identifiers=[mine | {"strength": "verified"}])
    call = await begin(adapter, identifiers=[mine])
    assert call.customer_id == owner.customer_id
    moved = ok(await adapter.post(f"{call.place}/identify", {"reason": "not_this_customer"}))
    there = await Scene(adapter, moved).context()
    assert (there["known"], there["identifiers"], moved["interaction"]["assurance"]["level"]) == (False, [], 0)
    assert moved["customer_id"] != owner.customer_id
    account = {"type": "account", "value": fresh("A")}
    unheard = {"reason": "not_this_customer", "identifiers": [account]}
    again = ok(await adapter.post(f"{Scene(adapter, moved).place}/identify", unheard))
    found = ok(await adapter.post("/v1/customers/lookup", {"identifier": account}))
    assert found["customer_id"] == again["customer_id"] != moved["customer_id"]


async def test_the_next_call_of_a_number_finds_whom_it_was_identified_as(adapter: Caller) -> None:
    mine = phone()
    scene = await begin(adapter, identifiers=[mine])
    home = fresh("c")
    ok(await adapter.post(f"{scene.place}/identify", {"customer_id": home, "assurance": {"level": 2, "method": "pin"}}))
    assert (await begin(adapter, identifiers=[mine])).customer_id == home


async def test_an_agent_finds_interactions_of_his_own_work_alone(callers: Callers) -> None:
    channel = fresh("chan")
    mine, strangers = [await known(callers.adapter, channel) for _ in range(2)]
    await accept(callers.ann, (await mine.offer({"queue": "billing"}))["handoff_id"], "ann")

    async def listed(caller: Caller) -> list[str]:
        found = ok(await caller.get("/v1/interactions", channel=channel))["interactions"]
        return [interaction["customer_id"] for interaction in found]

    assert await listed(callers.ann) == [mine.customer_id]
    assert await listed(callers.supervisor) == [mine.customer_id, strangers.customer_id]
    own, other = [
        {"ref": {"system": channel, "id": s.started["interaction"]["external_id"]}} for s in (mine, strangers)
    ]
    assert ok(await callers.ann.post("/v1/interactions/lookup", own))["customer_id"] == mine.customer_id
    problem(await callers.ann.post("/v1/interactions/lookup", other), 403, "forbidden")
    ok(await callers.adapter.post("/v1/interactions/lookup", other))
