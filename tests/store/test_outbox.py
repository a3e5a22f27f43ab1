"""One relay at a time, and every write counted exactly once."""

from __future__ import annotations

import pytest

from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists
from ctxhub.store.outbox import Outbox, Tally, Written
from ctxhub.store.redis import Server
from tests.store.steps import C42, Steps, appended, committed
from tests.support import ACME, KEEP, NOON, SECOND

DAY = NOON.date()
SPAN = 5 * SECOND
HOME = "telling"


@pytest.fixture
def ann(server: Server) -> Outbox:
    """The outbox as one relay sees it."""
    return Outbox(server, "ann")


@pytest.fixture
def bob(server: Server) -> Outbox:
    """The outbox as another relay sees it."""
    return Outbox(server, "bob")


@pytest.fixture
async def place(server: Server) -> str:
    """The partition of a customer of whom three writes tell."""
    steps = Steps(server)
    await steps.commit(events=[committed("e1")])
    await steps.append(appended("e2"), appended("e3"))
    await steps.append(appended("e4"))
    return steps.keys.partition


async def written(outbox: Outbox, place: str, after: str = "0-0") -> list[Written]:
    """Return what was written in a partition after a cursor."""
    return (await outbox.written([place], [after], 100))[0]


async def counted(server: Server) -> dict[str, int]:
    """Return the counters of the day."""
    return await Lists(server, KEEP).numbers(ACME, [DAY])


async def test_a_lease_is_one_relays_until_it_ends(ann: Outbox, bob: Outbox) -> None:
    assert set((await ann.lease_all(NOON, SPAN)).values()) == {1}
    assert set((await bob.lease_all(NOON + SPAN - SECOND, SPAN)).values()) == {0}
    assert set((await ann.lease_all(NOON + SECOND, SPAN)).values()) == {1}
    assert set((await bob.lease_all(NOON + SPAN, SPAN)).values()) == {0}
    assert set((await bob.lease_all(NOON + SECOND + SPAN, SPAN)).values()) == {2}
    assert set((await ann.lease_all(NOON + SECOND + SPAN, SPAN)).values()) == {0}


async def test_a_lease_given_up_is_free_at_once_and_has_a_higher_fence(ann: Outbox, bob: Outbox) -> None:
    await ann.lease_all(NOON, SPAN, ["03"])
    await bob.lease_all(NOON, 0 * SPAN, ["03"])
    assert await bob.lease_all(NOON, SPAN, ["03"]) == {"03": 0}
    assert await ann.lease_all(NOON, 0 * SPAN, ["03"]) == {"03": 0}
    assert await bob.lease_all(NOON, SPAN, ["03"]) == {"03": 2}


async def test_every_write_is_noted_with_its_versions_in_order(ann: Outbox, place: str) -> None:
    noted = await written(ann, place)
    assert [(note.who, note.first, note.last) for note in noted] == [(C42, 1, 1), (C42, 2, 3), (C42, 4, 4)]
    assert await written(ann, place, noted[1].entry_id) == noted[2:]
    assert await ann.backlog() == 3


async def test_a_batch_is_counted_once_and_trimmed(server: Server, ann: Outbox, place: str) -> None:
    fence = (await ann.lease_all(NOON, SPAN))[place]
    last = (await written(ann, place))[-1].entry_id
    tallies = [Tally(ACME, DAY, "handoffs", 2), Tally(ACME, DAY, "handoffs", 1), Tally("other", DAY, "handoffs", 9)]
    assert await ann.advance(place, fence, HOME, ("0-0", last), tallies, [HOME])
    assert not await ann.advance(place, fence, HOME, ("0-0", last), tallies, [HOME])
    assert await counted(server) == {"handoffs": 3}
    assert await ann.cursors([place], HOME) == [last]
    assert await written(ann, place, last) == []
    assert await ann.backlog() <= 1


async def test_a_relay_that_lost_its_lease_counts_nothing(server: Server, ann: Outbox, bob: Outbox, place: str) -> None:
    stale = (await ann.lease_all(NOON, SPAN))[place]
    last = (await written(ann, place))[-1].entry_id
    await bob.lease_all(NOON + SPAN, SPAN)
    assert not await ann.advance(place, stale, HOME, ("0-0", last), [Tally(ACME, DAY, "handoffs", 1)], [HOME])
    assert await counted(server) == {}
    assert await ann.cursors([place], HOME) == ["0-0"]


async def test_a_relay_that_has_its_lease_again_is_still_refused_with_the_old_fence(
    ann: Outbox, bob: Outbox, place: str
) -> None:
    stale = (await ann.lease_all(NOON, SPAN))[place]
    await bob.lease_all(NOON + SPAN, SPAN)
    fresh = (await ann.lease_all(NOON + 2 * SPAN, SPAN))[place]
    last = (await written(ann, place))[-1].entry_id
    assert not await ann.advance(place, stale, HOME, ("0-0", last), [], [HOME])
    assert await ann.advance(place, fresh, HOME, ("0-0", last), [], [HOME])


async def test_what_the_slowest_consumer_has_not_read_is_kept(ann: Outbox, place: str) -> None:
    fence = (await ann.lease_all(NOON, SPAN))[place]
    noted = await written(ann, place)
    both = [HOME, "archive"]
    assert await ann.advance(place, fence, HOME, ("0-0", noted[-1].entry_id), [], both)
    assert await written(ann, place) == noted
    assert await ann.advance(place, fence, "archive", ("0-0", noted[1].entry_id), [], both)
    assert await written(ann, place) == noted[1:]


async def test_who_is_due_is_found_by_time(server: Server, ann: Outbox) -> None:
    for customer_id, at in (("c1", NOON), ("c2", NOON + SECOND), ("c3", NOON + 2 * SECOND)):
        await Steps(server, Who(ACME, customer_id)).commit(due=str(round(at.timestamp() * 1000)))
    due = await ann.due(ann.partitions, NOON + SECOND)
    assert {who.customer_id for who in due} == {"c1", "c2"}
