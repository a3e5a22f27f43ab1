"""What is kept for a time goes when that is over: facts, and values on the timeline; under a hold nothing does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctxhub.errors import OnHold
from ctxhub.hub.hub import Hub
from ctxhub.hub.masterkeys import DerivedKeys
from ctxhub.model.retention import Retention, retired, with_review
from ctxhub.store.codec import context_from
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing
from tests.hub.scenes import WHO, context_of, due_in, in_one, tell
from tests.support import ACME, DAY, HOUR, MASTER_KEY, NOON, TENANT, Clock, a_context, a_fact, after, started, ways

DECLARED = {"journeys": {"refund": 2}, "sensitivity": {"sensitive": 1, "personal": 10}}


@pytest.fixture
def tenants_folder(tmp_path: Path) -> Path:
    """The file of acme, which keeps what is sensitive for a day."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    declared = TENANT.but(retention=Retention.model_validate(DECLARED))
    (folder / f"{ACME}.yaml").write_text(declared.model_dump_json(exclude={"tenant"}), encoding="utf-8")
    return folder


async def values(hub: Hub) -> dict[str, Any]:
    """The values on the timeline by event, None where one was taken out."""
    told = await hub.changes.contexts.timeline(WHO, 0, None, 1000)
    return {event["event_id"]: event["data"].get("value") for event in told if event["type"].startswith("fact.s")}


async def facts(hub: Hub) -> dict[str, Any]:
    """The facts of the document as it is kept."""
    return {fact.name: fact.value for fact in (await context_of(hub)).facts}


async def test_a_value_is_taken_out_when_its_time_is_over_and_its_event_stays(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "card", name="card_number", value="6225")
    await tell(hub, "fact.stated", interaction_id, "city", name="city", value="Bern")
    await hub.interactions.end(WHO, interaction_id, None, None)
    assert await due_in(hub, clock) == DAY
    before = len(await hub.changes.contexts.timeline(WHO, 0))
    clock.move(DAY)
    await hub.wake(WHO)
    assert (await facts(hub), await values(hub)) == ({"city": "Bern"}, {"card": None, "city": "Bern"})
    told = await hub.changes.contexts.timeline(WHO, 0)
    assert (told[-1]["type"], told[-1]["data"], len(told)) == ("fact.retired", {"names": ["card_number"]}, before + 1)
    assert [event["marks"] for event in told if event["event_id"] == "card"] == [["retired"]]
    assert await due_in(hub, clock) == 9 * DAY
    clock.move(9 * DAY)
    await hub.wake(WHO)
    assert (await facts(hub), await values(hub)) == ({}, {"card": None, "city": None})


async def test_the_kind_of_a_journey_counts_also_when_it_is_long_over(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    begun = await tell(hub, "journey.started", interaction_id, "j", kind="refund")
    journey_id = begun["results"][0]["journey_id"]
    await tell(hub, "fact.stated", interaction_id, "order", journey_id=journey_id, name="order_id", value="A-17")
    await tell(hub, "journey.completed", interaction_id, "done", journey_id=journey_id)
    await hub.interactions.end(WHO, interaction_id, None, None)
    assert (await facts(hub), await values(hub)) == ({}, {"order": "A-17"})
    clock.move(2 * DAY)
    await hub.wake(WHO)
    assert await values(hub) == {"order": None}


async def test_a_value_that_another_replaced_has_a_time_of_its_own(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "first", name="card_number", value="1")
    clock.move(HOUR)
    await tell(hub, "fact.stated", interaction_id, "second", name="card_number", value="2")
    await hub.interactions.end(WHO, interaction_id, None, None)
    clock.move(23 * HOUR)
    await hub.wake(WHO)
    assert (await facts(hub), await values(hub)) == ({"card_number": "2"}, {"first": None, "second": "2"})


async def test_under_a_hold_nothing_goes_and_nobody_is_forgotten(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "card", name="card_number", value="6225")
    await hub.interactions.end(WHO, interaction_id, None, None)
    held, _ = await hub.holds.begin(WHO, "a case in court", "ann")
    assert held["hold"]["reason"] == "a case in court"
    assert (await hub.holds.begin(WHO, "another", "bob"))[0] == held
    clock.move(3 * DAY)
    await hub.wake(WHO)
    assert await values(hub) == {"card": "6225"}
    with pytest.raises(OnHold) as refused:
        await hub.customers.forget(WHO)
    assert refused.value.ids["state"] == "held"
    told = await hub.changes.contexts.timeline(WHO, 0)
    assert "court" not in repr(told)  # channels read it too
    await hub.holds.end(WHO, "ann")
    assert await due_in(hub, clock) <= timedelta()
    await hub.wake(WHO)
    assert await values(hub) == {"card": None}
    await hub.customers.forget(WHO)


async def test_what_is_taken_out_is_taken_out_of_what_stands_there(hub: Hub, server: Server, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "city", name="city", value="Bern", sensitivity="personal")
    await hub.interactions.end(WHO, interaction_id, None, None)
    clock.move(10 * DAY)
    await hub.wake(WHO)
    fresh = Hub(server, ways(clock))
    assert await values(fresh) == {"city": None}
    keys = hub.changes.contexts.keys(WHO)
    document = await server.call("GET", keys.document)
    key = (await server.call("HGET", keys.context, "key") or b"").decode()
    opener = Sealing(DerivedKeys(MASTER_KEY)).opener(*WHO, key)
    assert "Bern" not in context_from(document, opener).model_dump_json()
    assert (await server.call("HGET", server.keys.founding, "erasures")) == b"1"  # the files are written anew for it


async def test_without_declarations_everything_stays(server: Server, clock: Clock) -> None:
    hub = Hub(server, ways(clock))
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "card", name="card", value="6225", sensitivity="sensitive")
    await hub.interactions.end(WHO, interaction_id, None, None)
    clock.move(20 * DAY)
    await hub.wake(WHO)
    assert await facts(hub) == {"card": "6225"}


class TestRules:
    """The rules on plain values."""

    def test_the_shorter_of_two_times_counts(self) -> None:
        keeps = Retention(journeys={"refund": 2}, sensitivity={"sensitive": 5})
        assert keeps.ends(NOON, "sensitive", "refund") == NOON + 2 * DAY
        assert keeps.ends(NOON, "sensitive", None) == NOON + 5 * DAY
        assert keeps.ends(NOON, "personal", "complaint") is None

    def test_a_fact_goes_at_its_end_and_not_before(self) -> None:
        keeps = Retention(sensitivity={"personal": 1})
        context = after(started(a_context(), level=2), a_fact("Bern"))
        assert retired(context, keeps, NOON + DAY - timedelta(milliseconds=1)) == (context, [])
        left, names = retired(context, keeps, NOON + DAY)
        assert (left.facts, names) == ((), ["city"])

    def test_the_first_end_is_the_time_to_look(self) -> None:
        keeps = Retention(sensitivity={"personal": 1})
        context = after(started(a_context(), level=2), a_fact("Bern"))
        event = a_fact("Rome", at=NOON - HOUR)
        assert with_review(context, [event], keeps).review_at == NOON + DAY - HOUR
        assert with_review(context, [], Retention()) is context


async def test_a_customer_that_is_not_there_is_not_reviewed(hub: Hub) -> None:
    await hub.wake(Who(ACME, "nobody"))
