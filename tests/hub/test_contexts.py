"""Contexts and timelines as their readers may see them, made once while nothing in them changes."""

from __future__ import annotations

import orjson
import pytest

from ctxhub.errors import CustomerUnknown, Forbidden, VersionAhead
from ctxhub.hub.hub import Hub
from ctxhub.model.disclosure import Reader
from ctxhub.model.view import context_view
from ctxhub.store.contexts import Who
from tests.hub.scenes import WHO, begin, in_one, tell
from tests.support import ACME, HOUR, MINUTE, SECOND, TENANT, Clock

EVERYTHING = Reader(role="admin")


async def test_a_read_shows_what_was_written_just_now(hub: Hub) -> None:
    interaction_id = await in_one(hub, level=2)
    for number in range(5):
        told = await tell(hub, "fact.stated", interaction_id, f"f{number}", name="n", value=number)
        shown = await hub.contexts.read(WHO, Reader(interaction_id=interaction_id), min_version=told["version"])
        assert (shown.value["facts"]["n"]["value"], shown.version) == (number, told["version"])
        await tell(hub, "message.received", interaction_id, f"m{number}", text=str(number))
        shown = await hub.contexts.read(WHO, Reader(interaction_id=interaction_id))
        assert (shown.version, shown.document_version) == (2 * number + 3, 2 * number + 2)
        assert shown.value["recent"][-1]["data"] == {"text": str(number)}


async def test_a_version_that_is_not_there_yet_is_refused(hub: Hub) -> None:
    await begin(hub)
    with pytest.raises(VersionAhead) as refusal:
        await hub.contexts.read(WHO, EVERYTHING, min_version=2)
    assert refusal.value.ids == {"version": 1}


async def test_a_customer_who_is_not_there_is_unknown(hub: Hub) -> None:
    for work in (hub.contexts.read(WHO, EVERYTHING), hub.contexts.timeline(WHO, EVERYTHING, None, None, 100)):
        with pytest.raises(CustomerUnknown):
            await work


async def test_remembered_or_not_it_is_what_the_rules_show(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an", expires_in=90)
    reader = Reader(interaction_id=interaction_id)
    for span in (0 * SECOND, SECOND, 40 * SECOND, MINUTE, 40 * MINUTE, 2 * HOUR):
        clock.move(span)
        shown = await hub.contexts.read(WHO, reader)
        seen, context, _ = await hub.contexts.sight(WHO, reader)
        view = context_view(context, seen, TENANT, clock(), interaction_id)
        expected = orjson.loads(view.model_dump_json(exclude={"version", "document_version", "recent"}))
        assert {name: shown.value[name] for name in expected} == expected


async def test_a_read_says_that_something_has_lapsed_since_it_was_written(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an", expires_in=30)
    for span, lapsed in ((29 * SECOND, False), (SECOND, True), (HOUR, True)):
        clock.move(span)
        assert (await hub.contexts.read(WHO, Reader(interaction_id=interaction_id))).lapsed is lapsed


async def test_what_is_shown_again_is_the_same_object_while_nothing_happens_or_lapses(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an", expires_in=30)
    reader = Reader(interaction_id=interaction_id)
    await hub.contexts.read(WHO, reader)
    shown = await hub.contexts.read(WHO, reader)
    assert await hub.contexts.read(WHO, reader) is shown
    assert (await hub.contexts.read(WHO, reader, events=1)).value["recent"][0]["event_id"] == "f1"
    clock.move(30 * SECOND)
    lapsed = await hub.contexts.read(WHO, reader)
    assert (shown.lapsed, lapsed.lapsed) == (False, True)
    assert ("city" in shown.value["facts"], "city" in lapsed.value["facts"]) == (True, False)
    await tell(hub, "message.received", interaction_id, "m1", text="hello")
    assert (await hub.contexts.read(WHO, reader)).version == shown.version + 1


async def test_a_view_is_the_same_object_while_nothing_happens_or_lapses(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an", expires_in=30)
    reader = Reader(interaction_id=interaction_id)
    await hub.contexts.view(WHO, reader, 60)
    viewed = await hub.contexts.view(WHO, reader, 60)
    assert await hub.contexts.view(WHO, reader, 60) is viewed
    assert len((await hub.contexts.view(WHO, reader, 1)).events) == 1
    clock.move(30 * SECOND)
    lapsed = await hub.contexts.view(WHO, reader, 60)
    assert ("city" in viewed.view.facts, "city" in lapsed.view.facts) == (True, False)
    hub.contexts.drop(WHO)
    assert await hub.contexts.view(WHO, reader, 60) is not lapsed


async def test_nothing_shown_is_held_of_who_is_dropped(hub: Hub) -> None:
    reader = Reader(interaction_id=await in_one(hub, level=2))
    await hub.contexts.read(WHO, reader)
    shown = await hub.contexts.read(WHO, reader)
    hub.contexts.drop(WHO)
    assert await hub.contexts.read(WHO, reader) is not shown


async def test_each_reader_has_a_view_of_his_own(hub: Hub) -> None:
    surely, barely = await in_one(hub, "x1", 2), await in_one(hub, "x2", 1)
    await tell(hub, "fact.stated", surely, "f1", name="city", value="Xi'an")
    for interaction_id, names in ((surely, ["city"]), (barely, []), (surely, ["city"])):
        shown = await hub.contexts.read(WHO, Reader(interaction_id=interaction_id))
        assert list(shown.value["facts"]) == names
    assert list((await hub.contexts.read(WHO, EVERYTHING)).value["facts"]) == ["city"]
    assert (await hub.contexts.read(WHO, Reader())).value["facts"] == {}
    with pytest.raises(Forbidden):
        await hub.contexts.read(WHO, Reader(role="agent", agent_id="ann"))


async def test_recent_events_and_the_timeline_are_what_the_reader_may_see(hub: Hub) -> None:
    surely, barely = await in_one(hub, "x1", 2), await in_one(hub, "x2", 1)
    await tell(hub, "message.received", surely, "m1", text="one")
    await tell(hub, "message.received", barely, "m2", text="two")
    await tell(hub, "note.added", surely, "n1", text="for colleagues")

    async def seen(reader: Reader) -> list[str]:
        told, _, _ = await hub.contexts.timeline(WHO, reader, None, None, 100)
        recent = (await hub.contexts.read(WHO, reader)).value["recent"]
        assert [event["event_id"] for event in recent] == [event["event_id"] for event in told]
        return [event["event_id"] for event in told if not event["event_id"].startswith("in_")]

    assert await seen(Reader(interaction_id=surely)) == ["m1"]
    assert await seen(Reader(interaction_id=barely)) == ["m2"]
    assert await seen(EVERYTHING) == ["m1", "m2", "n1"]


async def test_another_tenant_s_customer_of_the_same_id_is_another(hub: Hub) -> None:
    interaction_id = await in_one(hub, level=2)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an")
    with pytest.raises(CustomerUnknown):
        await hub.contexts.read(Who("other", "c42"), EVERYTHING)
    assert Who(ACME, "c42") == WHO
