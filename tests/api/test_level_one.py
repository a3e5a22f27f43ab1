"""Level 1 neither shows nor says anything of the person, not even that there is one: the same answers."""

from __future__ import annotations

from typing import Any

from tests.api.scenes import Caller, Scene, begin, known, ok, phone

#: What the contract lets an adapter have for steering alone, and what is another's each time by its nature.
STEERING = {"known", "steering"}
OF_ITS_OWN = {
    "customer_id", "interaction_id", "external_id", "started_at", "version", "document_version", "at", "event_id",
    "until", "raised_at", "evidence", "etag",
}  # fmt: skip


async def a_rich_customer(adapter: Caller) -> dict[str, Any]:
    """The number of a customer of whom there is much to tell."""
    number = phone()
    app = await known(adapter, "app", level=3, identifiers=[number | {"strength": "verified"}], language="zh-CN")
    refund = await app.journey("refund")
    await app.tell(
        app.fact("order_id", "A-17", journey_id=refund), app.fact("card_number", "4711"), app.fact("city", "Xi'an"),
        app.fact("greeting", "Ms Li", sensitivity="public"), app.fact("vip", 1, sensitivity="internal"),
        app.event("intent.detected", {"name": "refund"}), app.event("message.received", {"text": "where is my money"}),
        app.event("commitment.made", {"what": "call", "owner": "billing", "due_at": "2030-01-01T00:00:00Z"}),
    )  # fmt: skip
    await app.offer({"queue": "billing"}, note="be kind")
    return number


def without_ids(said: Any) -> Any:
    """An answer without what is the call's own, or for steering alone."""
    if isinstance(said, dict):
        rest = {key: value for key, value in said.items() if key not in STEERING | OF_ITS_OWN}
        return {key: without_ids(value) for key, value in rest.items()}
    return [without_ids(each) for each in said] if isinstance(said, list) else said


async def calls(adapter: Caller, number: dict[str, Any]) -> Scene:
    """A call from a number, which is a claim and no more."""
    claim = {"identifiers": [number], "assurance": {"level": 1, "method": "ani"}}
    return await begin(adapter, "ivr", **claim, attestation={"result": "passed", "level": "A"})


NAMES = ("order_id", "card_number", "city", "greeting", "vip", "nothing")


async def said_to(scene: Scene) -> dict[str, Any]:
    """Everything that a channel can learn for its caller."""
    reading = {"interaction_id": scene.interaction_id}
    briefs = [await scene.caller.get(f"{scene.base}/brief", view=view, **reading) for view in ("ivr", "bot", "agent")]
    again = {"channel": "ivr", "external_id": scene.started["interaction"]["external_id"]}
    return {
        "start": scene.started,
        "again": ok(await scene.caller.post("/v1/interactions", again)),
        "context": await scene.context(),
        "asks": await scene.asks(*NAMES),
        "briefs": [ok(brief) for brief in briefs],
        "timeline": await scene.timeline(),
        "quality": await scene.context(purpose="quality"),
    }


async def test_all_that_can_be_said_to_a_caller_is_the_same_whether_the_number_leads_to_somebody_or_not(
    adapter: Caller,
) -> None:
    match = await said_to(await calls(adapter, await a_rich_customer(adapter)))
    no_match = await said_to(await calls(adapter, phone()))
    assert without_ids(match) == without_ids(no_match)
    assert {answer["verdict"] for answer in match["asks"].values()} == {"ask"}


async def test_at_level_2_the_same_comparison_finds_a_difference(adapter: Caller) -> None:
    match, no_match = await calls(adapter, await a_rich_customer(adapter)), await calls(adapter, phone())
    found = [without_ids(await said_to(await scene.raised())) for scene in (match, no_match)]
    assert found[0] != found[1]


async def test_what_she_tells_meanwhile_is_answered_alike(adapter: Caller) -> None:
    answers = []
    for number in (await a_rich_customer(adapter), phone()):
        scene = await calls(adapter, number)
        told = await scene.tell(
            scene.fact("order_id", "B-1"), scene.event("journey.started", {"kind": "refund", "find": True}),
            scene.event("question.asked", {"names": list(NAMES)}), scene.event("intent.detected", {"name": "refund"}),
        )  # fmt: skip
        keys = [sorted(result) for result in told["results"]]
        answers.append((keys, without_ids(await scene.context()), await scene.asks("city")))
    (keys, first, asks), (other_keys, second, other_asks) = answers
    for view in (first, second):
        for journey in view["journeys"]:
            journey.pop("journey_id")
            journey.pop("updated_at")
        _drop_told_ids(view)
    assert (keys, first, asks) == (other_keys, second, other_asks)


def _drop_told_ids(said: Any) -> None:
    """Take out ids of journeys and instants, which are each call's own."""
    if isinstance(said, dict):
        for key in ("journey_id", "updated_at", "since"):
            said.pop(key, None)
    for each in said.values() if isinstance(said, dict) else said if isinstance(said, list) else ():
        _drop_told_ids(each)
