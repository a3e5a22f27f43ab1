"""What is taken out for its age is taken out of the archive too, also of whom only the archive has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctxhub.archive import Row
from ctxhub.hub.hub import Hub
from ctxhub.model.retention import Retention
from ctxhub.store.codec import event_from
from tests.archive.scenes import a_talk, archive_of, archived, forgotten
from tests.hub.scenes import WHO
from tests.support import ACME, DAY, TENANT, Clock


@pytest.fixture
def tenants_folder(tmp_path: Path) -> Path:
    """The file of acme, which keeps what is personal for five days."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    declared = TENANT.but(retention=Retention.model_validate({"sensitivity": {"personal": 5}}))
    (folder / f"{ACME}.yaml").write_text(declared.model_dump_json(exclude={"tenant"}), encoding="utf-8")
    return folder


async def archived_values(hub: Hub) -> list[object]:
    """The values that the archive has of facts that were stated."""
    entries = await archive_of(hub).entries(Row(*WHO), 1, 1000)
    told = [event_from(entry, version) for version, entry in entries]
    return [event["data"].get("value") for event in told if event["type"] == "fact.stated"]


async def test_a_value_goes_from_redis_and_archive_alike(hub: Hub, clock: Clock) -> None:
    await a_talk(hub)
    await archived(hub)
    assert await archived_values(hub) == ["Bern"]
    clock.move(5 * DAY)
    await hub.wake(WHO)
    await hub.wake(WHO)
    assert await archived_values(hub) == [None]
    await archived(hub)
    told = await hub.changes.contexts.timeline(WHO, 0)
    assert [event["data"].get("value") for event in told if event["type"] == "fact.stated"] == [None]
    assert [event["version"] for event in told] == list(range(1, len(told) + 1))


async def test_whom_only_the_archive_has_is_brought_back_for_it(hub: Hub, clock: Clock) -> None:
    await a_talk(hub)
    await forgotten(hub, clock)
    clock.move(5 * DAY)
    assert await hub._outbox.due(hub._outbox.partitions, clock()) == [WHO]  # though Redis has nothing else of it
    await hub.wake(WHO)
    assert await archived_values(hub) == [None]


async def test_an_export_reaches_back_into_the_archive(hub: Hub, clock: Clock) -> None:
    await a_talk(hub, messages=300)
    before = await hub.changes.contexts.timeline(WHO, 0, None, 1000)
    await forgotten(hub, clock)
    whole = b"".join([piece async for piece in hub.persons.export(WHO)])
    assert whole.count(b'"event_id"') >= len(before)
    assert b'"complete":true' in whole
    assert all(event["event_id"].encode() in whole for event in before)
