"""Words whose time is over are nowhere: whoever reads every byte of the server and of the archive finds none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, select

from ctxhub.archive import Row
from ctxhub.archive.tables import metadata
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.model.event import Telling
from ctxhub.model.handoff import Draft
from ctxhub.store.contexts import Who
from tests.archive.scenes import archive_of, archived, forgotten
from tests.hub.scenes import WHO, context_of, in_one, offer
from tests.hub.test_words_retained import declare
from tests.stories.test_forgotten import everything_on, found_in
from tests.support import ACME, DAY, DESK, HOUR, TENANT, Clock

C2 = Who(ACME, "c2")
MARK = "canary-gone-{}"


@pytest.fixture
def tenants_folder(tmp_path: Path) -> Path:
    """The file of acme, which keeps words for five days, and some for less."""
    return declare(tmp_path / "tenants", TENANT, sensitivity={"sensitive": 2, "personal": 6}, words=5)


def words(of: int) -> list[Telling]:
    """All that can be told in words."""
    mark, journey = MARK.format(of), f"jr_{of}"
    told: list[tuple[str, dict[str, Any]]] = [
        ("message.received", {"text": f"I am {mark}", "attachments": [{"name": mark}]}),
        ("message.sent", {"text": f"hello {mark}", "delivered": True}),
        ("input.collected", {"prompt": "order", "value": mark, "mode": "speech"}),
        ("input.collected", {"prompt": "pass", "value": mark, "mode": "speech", "sensitivity": "sensitive"}),
        ("intent.detected", {"name": mark}),
        ("fact.stated", {"name": "city", "value": mark}),
        ("fact.stated", {"name": "card_number", "value": mark, "sensitivity": "sensitive"}),
        ("note.added", {"text": mark}),
        ("journey.started", {"kind": "refund", "journey_id": journey}),
        ("commitment.made", {"what": mark, "owner": "cards", "due_at": "2027-01-01T12:00:00Z",
                             "commitment_id": f"cm_{of}"}),
        ("commitment.broken", {"commitment_id": f"cm_{of}", "reason": mark}),
        ("risk.flagged", {"kind": "voice", "level": "low"}),
        ("risk.cleared", {"kind": "voice", "reason": mark}),
        ("x.acme.survey", {"answer": {"text": mark}}),
        ("journey.abandoned", {"reason": mark}),
    ]  # fmt: skip
    left = {"journey.abandoned": journey}
    return [
        Telling(event_id=f"{of}-{n}", type=type_, interaction_id="here", journey_id=left.get(type_), data=data)
        for n, (type_, data) in enumerate(told)
    ]


async def everything_said(hub: Hub, who: Who, of: int) -> tuple[list[Telling], dict[str, Any]]:
    """Have somebody, a bot and an agent say all that can be said in words; return what was told, and the answer."""
    mark = MARK.format(of)
    talk = await in_one(hub, f"x{of}", level=2, customer_id=who.customer_id)
    told = [telling.but(interaction_id=talk) for telling in words(of)]
    answer = await hub.events.tell(who, told, Request())
    handoff_id = (await offer(hub, talk, who, note=mark, say=mark))["handoff_id"]
    taken = (await hub.handoffs.accept(DESK, handoff_id, "ann"))["handoff"]
    await hub.handoffs.draft(DESK, handoff_id, "ann", taken["fence"], Draft(text=mark))
    await hub.handoffs.complete(DESK, handoff_id, "ann", taken["fence"], mark)
    await hub.interactions.end(who, talk, None, None)
    return told, answer


def archive_bytes(url: str) -> Iterator[bytes]:
    """Yield every value that an archive holds."""
    driver = {"postgresql": "postgresql+psycopg"}
    engine = create_engine(make_url(url).set(drivername=driver.get(made := make_url(url).drivername, made)))
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                yield from (value for value in row if isinstance(value, bytes))
                yield from (value.encode() for value in row if isinstance(value, str))
    engine.dispose()


async def test_nothing_that_was_said_is_left_to_read_when_its_time_is_over(
    hub: Hub, clock: Clock, redis_url: str, archive_url: str
) -> None:
    batches = [await everything_said(hub, who, of) for of, who in enumerate((WHO, C2))]
    await hub.merging.merge(WHO, "c2")
    await archived(hub)
    marks = {MARK.format(of).encode() for of in range(2)}
    assert found_in(everything_on(redis_url)) == marks
    assert found_in(archive_bytes(archive_url)) == marks
    versions = [len(await hub.changes.contexts.timeline(who, 0, None, 1000)) for who in (WHO, C2)]

    clock.move(6 * DAY + HOUR)
    await hub.wake(WHO)
    await archived(hub)
    assert found_in(everything_on(redis_url)) == set()
    assert found_in(archive_bytes(archive_url)) == set()
    for who, before in zip((WHO, C2), versions, strict=True):
        told = await hub.changes.contexts.timeline(who, 0, None, 1000)
        assert [event["version"] for event in told] == list(range(1, len(told) + 1))
        assert len(told) >= before

    for told, answer in batches:
        again = await hub.events.tell(WHO, told, Request(), was=["c2"])
        assert [(one["event_id"], one["version"], one["duplicate"]) for one in again["results"]] == [
            (first["event_id"], first["version"], True) for first in answer["results"]
        ]
    assert found_in(everything_on(redis_url)) == set()


async def test_it_goes_also_of_those_whom_only_the_archive_has(hub: Hub, clock: Clock, archive_url: str) -> None:
    for of, who in enumerate((WHO, C2)):
        await everything_said(hub, who, of)
    merge = await hub.merging.merge(WHO, "c2")
    await archive_of(hub).set_aside(Row(*C2), [(99, b"d" * 9, b"2 chat  canary-gone-1")], 0)
    await forgotten(hub, clock, WHO)
    clock.move(6 * DAY + HOUR)
    assert await hub._outbox.due(hub._outbox.partitions, clock()) == [WHO]
    await hub.wake(WHO)
    await archived(hub)
    assert found_in(archive_bytes(archive_url)) == set()
    await hub.merging.unmerge(WHO, merge.merge_id or "")
    for who in (WHO, C2):
        assert "canary" not in (await context_of(hub, who)).model_dump_json()
