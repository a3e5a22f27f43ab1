"""Lists over all customers: exact right after a commit, merged over partitions, first in line first."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ctxhub.model import handoff as handoffs
from ctxhub.model import lapsing, moving
from ctxhub.model.call import Call, Mark
from ctxhub.model.context import Context
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.indexes import entries, entry_changes, millis, standing, standing_changes
from ctxhub.store.lists import Lists
from ctxhub.store.redis import Server
from tests.model.scenes import accepted, held, offered
from tests.store.scenes import WHO, plan
from tests.support import ACME, KEEP, LEASE, MINUTE, NOON, SECOND, a_context, started, with_one

pytestmark = pytest.mark.usefixtures("no_key_leaks")
DAY_ONE = date(2026, 11, 22)


@pytest.fixture
def lists(server: Server) -> Lists:
    return Lists(server, KEEP)


async def write(kept: Contexts, context: Context, event_id: str) -> None:
    who = Who(ACME, context.customer_id)
    assert await kept.commit(who, await kept.load(who), plan(context, event_id), NOON, None)


def a_caller(number: int, **more: object) -> Context:
    """Somebody who waits in the queue, called at his own second."""
    context = started(a_context(f"c{number}"), f"in_{number}")
    return offered(context, f"ho_{number}", NOON + number * SECOND, interaction_id=f"in_{number}", **more)


async def test_of_many_customers_in_many_partitions_the_first_in_line_comes_first(kept: Contexts, lists: Lists) -> None:
    for number in (7, 3, 9, 1, 5):
        await write(kept, a_caller(number), "e1")
    assert await lists.members(ACME, "waiting:queue:cards") == [(f"c{n}", f"ho_{n}") for n in (1, 3, 5, 7, 9)]
    assert await lists.members(ACME, "waiting:queue:cards", 2) == [("c1", "ho_1"), ("c3", "ho_3")]
    assert await lists.length(ACME, "waiting:queue:cards") == 5
    assert await lists.length("other", "waiting:queue:cards") == 0


async def test_the_urgent_come_first_then_who_waits_longest(kept: Contexts, lists: Lists) -> None:
    for number, priority in ((1, 0), (2, 5), (3, 5), (4, 100)):
        await write(kept, a_caller(number, priority=priority), "e1")
    assert [customer for customer, _ in await lists.members(ACME, "waiting:queue:cards")] == ["c4", "c2", "c3", "c1"]


async def test_lists_are_exact_after_every_step_of_a_handoff(kept: Contexts, lists: Lists) -> None:
    async def stand() -> dict[str, int]:
        places = ("waiting:queue:cards", "waiting:agent:ann", "held:queue:cards", "open:chat")
        return {place: n for place in places if (n := await lists.length(ACME, place))}

    context = with_one()
    await write(kept, context, "e1")
    assert await stand() == {"open:chat": 1}
    context = offered(context, expires_in=60, fallback={"agent": "ann"})
    await write(kept, context, "e2")
    assert await stand() == {"open:chat": 1, "waiting:queue:cards": 1}
    taken = accepted(context)
    await write(kept, taken, "e3")
    assert await stand() == {"open:chat": 1, "held:queue:cards": 1}
    await write(kept, handoffs.complete(taken, "ho_1", "ann", 2, None, NOON).context, "e4")
    assert await stand() == {"open:chat": 1}
    await write(kept, handoffs.lapse(context, "ho_1", NOON + MINUTE).context, "e5")
    assert await stand() == {"open:chat": 1, "waiting:agent:ann": 1}
    await write(kept, lapsing.end(context, "in_1", NOON).context, "e6")
    assert await stand() == {}


async def test_questions_saved_are_counted_once_per_interaction_and_name(lists: Lists) -> None:
    async def count(interaction_id: str, *names: str) -> int:
        return await lists.count_saved(WHO, interaction_id, names, DAY_ONE, "saved\x1fchat")

    assert [await count("in_1", "a", "b"), await count("in_1", "b", "c"), await count("in_2", "a")] == [2, 1, 1]
    assert await lists.numbers(ACME, [DAY_ONE]) == {"saved\x1fchat": 4}
    assert await lists.numbers(ACME, [DAY_ONE + timedelta(days=1)]) == {}


async def test_numbers_of_several_days_and_partitions_add_up(lists: Lists) -> None:
    days = [DAY_ONE, DAY_ONE + timedelta(days=1)]
    for number in range(20):
        await lists.count_saved(Who(ACME, f"c{number}"), "in_1", ["a"], days[number % 2], "saved\x1fchat")
    assert await lists.numbers(ACME, days) == {"saved\x1fchat": 20}
    assert await lists.numbers(ACME, days[:1]) == {"saved\x1fchat": 10}
    assert await lists.numbers("other", days) == {}


class TestIndexes:
    """What stands beside a context is derived from it."""

    def test_only_what_changed_is_written(self) -> None:
        context = offered(with_one())
        assert entry_changes(context, context) == []
        assert {change[0] for change in entry_changes(None, context)} == {"waiting:queue:cards", "open:chat"}
        taken = accepted(context)
        assert sorted(entry_changes(context, taken), key=str) == [
            ("held:queue:cards", "c42\nho_1", millis(NOON)), ("waiting:queue:cards", "c42\nho_1", None),
            ("work:held", "c42\nho_1\nchat\nann", millis(NOON)),
        ]  # fmt: skip

    def test_a_call_stands_with_those_at_whose_phones_it_is_and_not_by_their_own_word(self) -> None:
        marks = [Mark(at=NOON, verb="alerting", agent_id=agent, own=agent == "cat") for agent in ("ann", "bob", "cat")]
        marks.append(Mark(at=NOON + MINUTE, verb="ended", agent_id="bob"))
        context = with_one()
        rung = context.with_interaction(context.interactions["in_1"].but(call=Call(marks=tuple(marks))))
        assert entry_changes(context, rung) == [("calls:ann", "c42\nin_1", millis(NOON))]
        assert ("calls:ann", "c42\nin_1", None) in entry_changes(rung, lapsing.end(rung, "in_1", NOON).context)

    def test_an_ended_customer_stands_nowhere(self) -> None:
        context = lapsing.end(offered(with_one()), "in_1", NOON).context
        assert entries(context) == {}

    def test_a_standing_says_what_an_append_must_know(self) -> None:
        interaction = held(with_one(2)).interactions["in_1"]
        assert standing(interaction) == f"2 agent 2 {millis(NOON + 30 * MINUTE)} chat"
        assert standing(with_one().interactions["in_1"]) == "1 bot 0 0 chat"

    def test_ended_or_moving_an_interaction_stands_no_more(self) -> None:
        context = with_one()
        for gone in (
            lapsing.end(context, "in_1", NOON).context,
            moving.depart(context, "in_1", "c7", NOON, None).context,
        ):
            assert standing_changes(context, gone) == {"in_1": ""}
            assert standing_changes(None, gone) == {}

    def test_a_lease_is_not_part_of_it(self) -> None:
        context = held(with_one())
        renewed = handoffs.renew(context, "ho_1", "ann", 2, NOON + MINUTE, LEASE).context
        assert standing_changes(context, renewed) == {}
