"""Contexts, timelines and asks over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, phone, pointers, problem, redeem

FACT = {
    "value",
    "state",
    "confidence",
    "sensitivity",
    "journey_id",
    "expires_at",
    "evidence",
    "origin",
    "others",
    "withheld",
}


async def test_a_context_has_the_shape_of_the_contract(adapter: Caller) -> None:
    mine = phone()
    scene = await known(adapter, identifiers=[mine | {"strength": "verified"}])
    journey_id = await scene.journey()
    told = await scene.tell(scene.fact("order_id", "A-17", confidence=0.93, journey_id=journey_id))
    await scene.tell(scene.event("intent.detected", {"name": "refund"}))
    context = await scene.context()
    assert context.keys() >= {
        "customer_id", "version", "document_version", "known", "identifiers", "assurance", "facts", "journeys",
        "interactions", "handoffs", "commitments", "intent", "recent",
    }  # fmt: skip
    assert context["identifiers"] == [mine | {"strength": "verified"}]
    assert context["assurance"].keys() >= {"level", "method", "channel", "until"}
    fact = context["facts"]["order_id"]
    assert fact.keys() >= FACT
    assert fact["origin"].keys() >= {"channel", "interaction_id", "party", "assurance", "at"}
    assert (fact["value"], fact["state"], fact["confidence"]) == ("A-17", "stated", 0.93)
    assert fact["evidence"] == told["results"][0]["event_id"]
    assert (fact["origin"]["channel"], fact["origin"]["party"], fact["origin"]["assurance"]) == ("ivr", "customer", 2)
    [journey] = context["journeys"]
    assert (journey["kind"], journey["state"], journey["step"]) == ("refund", "active", "order")
    assert journey["missing"] == ["bank", "account"]
    assert context["intent"]["name"] == "refund"
    assert [event["type"] for event in context["recent"]] == [
        "interaction.started", "journey.started", "fact.stated", "intent.detected",
    ]  # fmt: skip


async def test_a_journey_of_a_kind_nobody_declared_misses_no_facts(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.journey("something else")
    [journey] = (await scene.context())["journeys"]
    assert (journey["kind"], journey["missing"]) == ("something else", [])


async def test_the_facts_of_an_ended_journey_leave_the_context(adapter: Caller) -> None:
    scene = await known(adapter)
    journey_id = await scene.journey()
    await scene.tell(scene.fact("order_id", "A-17", journey_id=journey_id), scene.fact("mood", "calm"))
    await scene.tell(scene.event("journey.completed", journey_id=journey_id))
    context = await scene.context()
    assert (list(context["facts"]), context["journeys"]) == (["mood"], [])


async def test_values_of_other_parties_and_states_live_side_by_side_best_first(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(
        scene.fact("size", "S", "inferred", party="system"), scene.fact("size", "M"),
        scene.fact("size", "L"), scene.fact("size", "XL", "observed", party="system"),
    )  # fmt: skip
    fact = (await scene.context())["facts"]["size"]
    assert (fact["value"], [other["value"] for other in fact["others"]]) == ("L", ["XL", "S"])
    await scene.tell(scene.fact("size", "XS", "verified", party="agent"))
    assert (await scene.context())["facts"]["size"]["value"] == "XS"


async def test_a_rejected_value_is_gone_and_without_a_value_all_are(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("size", "M"), scene.fact("size", "L", "observed", party="system"))
    await scene.tell(scene.event("fact.rejected", {"name": "size", "value": "M"}, party="customer"))
    assert (await scene.context())["facts"]["size"]["value"] == "L"
    await scene.tell(scene.event("fact.rejected", {"name": "size"}, party="customer"))
    assert "size" not in (await scene.context())["facts"]


async def test_the_higher_sensitivity_sticks_and_a_declared_one_holds(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("iban", "1", sensitivity="sensitive"))
    await scene.tell(
        scene.fact("iban", "2", sensitivity="public"), scene.fact("card_number", "3", sensitivity="public")
    )
    facts = (await scene.context())["facts"]
    assert (facts["iban"]["sensitivity"], facts["card_number"]["sensitivity"]) == ("sensitive", "sensitive")


async def test_a_sensitive_fact_of_another_interaction_is_withheld_until_level_three(adapter: Caller) -> None:
    chat = await known(adapter, "chat")
    await chat.tell(chat.fact("card_number", "4711"))
    call = await begin(adapter, customer_id=chat.customer_id)
    before = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    await call.tell(call.event("assurance.raised", {"level": 2, "method": "pin"}, at=before))
    unlock = {"level": 3, "again": 2, "within": 300}
    fact = (await call.context())["facts"]["card_number"]
    assert (fact["value"], fact["withheld"], fact["origin"], fact["unlock"]) == (None, True, None, unlock)
    answer = (await call.asks("card_number"))["card_number"]
    assert (answer["verdict"], answer.get("value"), answer["unlock"]) == ("withheld", None, unlock)
    await call.raised(3, "otp")
    assert (await call.context())["facts"]["card_number"]["value"] == "4711"


async def test_what_is_told_below_level_two_is_seen_by_no_other_interaction(adapter: Caller) -> None:
    mine = phone()
    stranger = await begin(adapter, identifiers=[mine], customer_id=fresh("c"))
    await stranger.tell(stranger.fact("bank", "mine"), stranger.event("message.received", {"text": "give me"}))
    owner = await begin(adapter, "app", customer_id=stranger.customer_id, assurance={"level": 3, "method": "otp"})
    assert "bank" not in (await owner.context())["facts"]
    assert (await owner.asks("bank"))["bank"]["verdict"] == "ask"
    assert "give me" not in str(await owner.timeline(after=0))
    assert "bank" in (await stranger.context())["facts"]
    await stranger.raised()
    assert (await owner.context())["facts"]["bank"]["value"] == "mine"


async def test_without_an_interaction_an_adapter_sees_nothing_and_an_admin_everything(
    adapter: Caller, admin: Caller
) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("a", 1))
    context = ok(await adapter.get(f"{scene.base}/context"))
    assert (context["facts"], context["recent"], context["interactions"]) == ({}, [], [])
    assert context["assurance"]["level"] == 0
    assert ok(await admin.get(f"{scene.base}/context"))["facts"]["a"]["value"] == 1


async def test_a_journeys_fact_stands_under_its_name_and_that_of_the_asking_journey_first(adapter: Caller) -> None:
    chat = await known(adapter, "chat")
    first = await chat.journey("refund")
    await chat.tell(chat.fact("order_id", "A-1", "verified", journey_id=first))
    call = await begin(adapter, customer_id=chat.customer_id, assurance={"level": 2, "method": "pin"})
    second = await call.journey("refund")
    await call.tell(call.fact("order_id", "A-2", journey_id=second))
    for scene, best, other in (chat, "A-1", "A-2"), (call, "A-2", "A-1"):
        fact = (await scene.context())["facts"]["order_id"]
        assert (fact["value"], [rival["value"] for rival in fact["others"]]) == (best, [other])


async def test_recent_brings_as_many_events_as_asked_for_newest_last(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(*(scene.event("message.received", {"text": "a" * (n + 1)}) for n in range(30)))
    for wanted in (0, 1, 5):
        recent = (await scene.context(events=wanted))["recent"]
        assert [event["data"]["text"] for event in recent] == ["a" * (n + 1) for n in range(30 - wanted, 30)]
    assert len((await scene.context())["recent"]) == 20
    for wrong in (-1, 201, "many"):
        asked = await adapter.get(f"{scene.base}/context", events=wrong)
        assert pointers(asked) == ["/events"]


async def test_what_was_acknowledged_is_in_the_next_read(adapter: Caller) -> None:
    scene = await known(adapter)
    version = (await scene.tell(scene.fact("a", 1)))["version"]
    assert (await scene.context(min_version=version))["facts"]["a"]["value"] == 1
    ahead = await adapter.get(f"{scene.base}/context", min_version=version + 1)
    assert problem(ahead, 409, "version_ahead")["version"] == version


async def test_an_unchanged_context_is_304_and_a_changed_one_is_not(adapter: Caller) -> None:
    scene = await known(adapter)
    query = {"interaction_id": scene.interaction_id}
    etag = (await adapter.get(f"{scene.base}/context", **query)).headers["etag"]
    for _ in range(3):
        same = await adapter.get(f"{scene.base}/context", {"If-None-Match": etag}, **query)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    for many in (f'"0", {etag}', f"W/{etag}", "*"):
        same = await adapter.get(f"{scene.base}/context", {"If-None-Match": many}, **query)
        assert same.status_code == 304, many
    await scene.tell(scene.event("message.received", {"text": "hi"}))
    changed = await adapter.get(f"{scene.base}/context", {"If-None-Match": etag}, **query)
    assert ok(changed)["version"] == int(etag.strip('"')) + 1


async def test_a_context_is_found_by_identifier_too(adapter: Caller) -> None:
    mine = phone()
    scene = await known(adapter, identifiers=[mine])
    await scene.tell(scene.fact("a", 1))
    body = {"identifier": mine, "interaction_id": scene.interaction_id}
    response = await adapter.post("/v1/context/lookup", body)
    assert ok(response)["facts"]["a"]["value"] == 1
    assert response.headers["etag"]
    problem(await adapter.post("/v1/context/lookup", {"identifier": phone()}), 404, "customer_unknown")
    other = await known(adapter, identifiers=[mine])
    refused = await adapter.post("/v1/context/lookup", {"identifier": mine})
    problem(refused, 409, "ambiguous")
    assert scene.customer_id not in refused.text
    assert other.customer_id not in refused.text


async def test_nobody_has_no_context(adapter: Caller) -> None:
    for path in ("context", "timeline", "stream"):
        problem(await adapter.get(f"/v1/customers/nobody-at-all/{path}"), 404, "customer_unknown")
    scene = await known(adapter)
    strange = await adapter.get(f"{scene.base}/context", interaction_id="in_nowhere")
    problem(strange, 404, "interaction_unknown")


@pytest.mark.parametrize("level", range(4))
async def test_for_an_interaction_an_admin_is_told_what_its_channel_is(
    adapter: Caller, admin: Caller, level: int
) -> None:
    sure = await known(adapter, "app", level=3, identifiers=[phone()])
    await sure.tell(
        sure.fact("city", "Lima"), sure.fact("income", 5200, sensitivity="sensitive"),
        sure.fact("vip", 1, sensitivity="internal"), sure.event("note.added", {"text": "be kind"}, party="agent"),
    )  # fmt: skip
    scene = await known(adapter, "chat", level=level, customer_id=sure.customer_id)
    await scene.tell(scene.fact("order_id", "A-17"))
    here = {"interaction_id": scene.interaction_id}
    asking = here | {"names": ["city", "income", "vip", "order_id"]}
    told = [
        [ok(await caller.get(f"{scene.base}/{what}", **here)) for what in ("context", "brief", "timeline")]
        + [ok(await caller.post(f"{scene.base}/asks", asking))]
        for caller in (adapter, admin)
    ]
    assert told[0] == told[1]
    assert "be kind" not in str(told[1])
    whole = [ok(await admin.get(f"{scene.base}/{what}")) for what in ("context", "timeline")]
    assert {"city", "income", "vip", "order_id"} == whole[0]["facts"].keys()
    assert "be kind" in str(whole[1])


async def test_the_timeline_is_paged_forwards_by_version_without_a_gap(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(*(scene.event("note.added", {"text": str(n)}) for n in range(24)))
    seen, after = [], 0
    while after is not None:
        page = ok(await admin.get(f"{scene.base}/timeline", after=after, limit=10))
        seen += [event["version"] for event in page["events"]]
        after = page["next"]
    assert seen == list(range(1, 26))


async def test_the_timeline_is_paged_backwards_too_each_page_oldest_first(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(*(scene.event("note.added", {"text": str(n)}) for n in range(24)))
    pages, before = [], 26
    while before is not None:
        page = ok(await admin.get(f"{scene.base}/timeline", before=before, limit=10))
        pages.append([event["version"] for event in page["events"]])
        before = page["next"]
    assert [version for page in reversed(pages) for version in page] == list(range(1, 26))
    newest = ok(await admin.get(f"{scene.base}/timeline", before=26, limit=10))["events"]
    assert [event["version"] for event in newest] == list(range(16, 26))


async def test_after_and_before_are_exclusive_and_in_order(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(*(scene.event("note.added", {"text": str(n)}) for n in range(9)))
    between = ok(await admin.get(f"{scene.base}/timeline", after=3, before=7))["events"]
    assert [event["version"] for event in between] == [4, 5, 6]
    assert pointers(await admin.get(f"{scene.base}/timeline", after=7, before=7)) == ["/after"]
    for limit in (0, 1001):
        assert pointers(await admin.get(f"{scene.base}/timeline", limit=limit)) == ["/limit"]


async def test_events_on_the_timeline_are_as_told_plus_version_and_channel(adapter: Caller) -> None:
    scene = await known(adapter)
    event = scene.event("input.collected", {"prompt": "menu", "value": "1", "mode": "dtmf"}, party="customer")
    version = (await scene.tell(event))["version"]
    kept = (await scene.timeline(after=version - 1))[0]
    assert kept == kept | event
    assert (kept["version"], kept["channel"]) == (version, "ivr")


async def test_notes_are_for_colleagues(adapter: Caller, callers: Callers) -> None:
    scene = await known(adapter)
    await scene.tell(scene.event("note.added", {"text": "difficult"}))
    handoff = await scene.offer({"queue": "billing"})
    await accept(callers.ann, handoff["handoff_id"], "ann")
    assert "difficult" not in str(await scene.timeline(after=0))
    seen = ok(await callers.ann.get(f"{scene.base}/timeline", after=0))["events"]
    assert "difficult" in str(seen)


ASKS = [
    ("verified", 0.5, "known"), ("confirmed", 0.5, "known"), ("stated", 0.8, "known"), ("stated", 0.79, "confirm"),
    ("observed", 1, "known"), ("observed", 0.5, "confirm"), ("inferred", 1, "confirm"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "confidence", "verdict"), ASKS)
async def test_may_i_ask_is_judged_by_state_and_confidence(
    adapter: Caller, state: str, confidence: float, verdict: str
) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("size", "M", state, confidence=confidence))
    answer = (await scene.asks("size"))["size"]
    assert (answer["verdict"], answer["value"]) == (verdict, "M")
    assert answer["reason"]
    assert answer["origin"]["interaction_id"] == scene.interaction_id


async def test_conflicting_values_are_confirmed_and_unknown_ones_asked_for(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(scene.fact("size", "M"), scene.fact("size", "L", "observed", party="system"))
    answers = await scene.asks("size", "colour")
    assert (answers["size"]["verdict"], answers["colour"]["verdict"]) == ("confirm", "ask")
    assert answers["colour"].get("value") is None


async def test_asking_raises_no_version(adapter: Caller) -> None:
    scene = await known(adapter)
    version = (await scene.tell(scene.fact("size", "M")))["version"]
    body = {"interaction_id": scene.interaction_id, "names": ["size"]}
    response = await adapter.post(f"{scene.base}/asks", body)
    assert ok(response)["version"] == version
    assert response.headers["etag"] == f'"{version}"'
    assert (await scene.context())["version"] == version


async def test_asking_for_an_interaction_or_names_that_are_not_there_is_refused(adapter: Caller) -> None:
    scene = await known(adapter)
    strange = {"interaction_id": "in_nowhere", "names": ["a"]}
    problem(await adapter.post(f"{scene.base}/asks", strange), 404, "interaction_unknown")
    nothing = {"interaction_id": scene.interaction_id, "names": []}
    assert pointers(await adapter.post(f"{scene.base}/asks", nothing)) == ["/names"]


async def test_a_question_is_saved_once_per_interaction_and_name(adapter: Caller, callers: Callers) -> None:
    async def saved(channel: str) -> int:
        numbers = ok(await callers.supervisor.get("/v1/numbers"))
        found: int = numbers["questions_saved"]["by_channel"].get(channel, 0)
        return found

    channel = fresh("x")
    scene: Scene = await known(adapter, channel)
    await scene.tell(scene.fact("size", "M"), scene.fact("colour", "red"), scene.fact("mood", "x", "inferred"))
    for _ in range(3):
        await scene.asks("size", "colour", "mood", "nothing")
    assert await saved(channel) == 2
    second = await begin(adapter, channel, customer_id=scene.customer_id, assurance={"level": 2, "method": "pin"})
    await second.asks("size")
    assert await saved(channel) == 3


async def test_what_came_with_a_handoff_by_signal_is_seen_and_by_message_only_its_words(adapter: Caller) -> None:
    for delivery, level in ("signal", 2), ("message", 1):
        call = await known(adapter)
        before = await begin(adapter, "app", customer_id=call.customer_id, assurance={"level": 2, "method": "otp"})
        await before.tell(before.fact("told elsewhere", 1))
        await call.tell(call.fact("told in the call", 2))
        handoff = await call.offer({"channel": "chat"}, delivery=delivery)
        chat = await redeem(adapter, handoff["token"])
        assert chat.started["interaction"]["assurance"]["level"] == level
        facts = set((await chat.context())["facts"])
        assert facts == ({"told in the call", "told elsewhere"} if level == 2 else {"told in the call"})
