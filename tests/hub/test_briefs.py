"""Briefs of a hub: one round trip, what the context shows at that moment, and when the words are still the same."""

from __future__ import annotations

import pytest

from ctxhub.errors import InteractionUnknown
from ctxhub.hub.briefs import ToldBrief
from ctxhub.hub.hub import Hub
from ctxhub.metrics import REDIS_ROUND_TRIPS
from ctxhub.model.brief import Wanted
from ctxhub.model.disclosure import Reader
from tests.hub.scenes import WHO, in_one, offer, tell
from tests.support import HOUR, MINUTE, NOON, SECOND, Clock


def trips() -> float:
    """How many round trips this process has made."""
    return sum(s.value for metric in REDIS_ROUND_TRIPS.collect() for s in metric.samples if s.name.endswith("_total"))


async def told(hub: Hub, interaction_id: str | None = None, role: str = "adapter") -> ToldBrief:
    """The brief in English, for an interaction or for whoever sees everything."""
    reader = Reader(interaction_id=interaction_id) if interaction_id else Reader(role="admin")
    return await hub.briefs.read(WHO, reader, Wanted(lang="en", interaction_id=interaction_id))


def texts(found: ToldBrief) -> list[str]:
    return [line.text for line in found.brief.lines]


async def test_a_brief_takes_one_round_trip(hub: Hub) -> None:
    here = await in_one(hub, level=2)
    await tell(hub, "fact.stated", here, "f1", name="city", value="Fresno")
    taken = []
    for _ in range(5):  # the relay of another test's hub may be at work beside
        before = trips()
        await told(hub, here)
        taken.append(trips() - before)
    assert min(taken) == 1


async def test_what_was_acknowledged_is_in_the_next_brief(hub: Hub) -> None:
    here = await in_one(hub, level=2)
    for number, city in enumerate(("Fresno", "Lisboa")):
        kept = await tell(hub, "fact.stated", here, f"f{number}", name="city", value=city)
        found = await told(hub, here)
        assert found.brief.version == kept["version"]
        assert f"City: {city}, says the customer." in texts(found)


async def test_what_has_lapsed_is_not_told_though_nobody_has_written_since(hub: Hub, clock: Clock) -> None:
    here = await in_one(hub, level=2)
    await tell(hub, "fact.stated", here, "f1", name="city", value="Fresno", expires_in=60)
    assert "Fresno" in " ".join(texts(await told(hub, here)))
    clock.move(MINUTE)
    found = await told(hub, here)
    assert "Fresno" not in " ".join(texts(found))
    assert not found.is_as_before()


async def test_a_promise_turns_overdue_with_the_clock_alone(hub: Hub, clock: Clock) -> None:
    here = await in_one(hub, level=2)
    due = (NOON + 4 * HOUR).isoformat()
    await tell(hub, "commitment.made", here, "p1", what="call back", owner="cards", due_at=due, party="agent")
    assert "Promised within 4 hours: call back (cards)." in texts(await told(hub))
    clock.move(3 * HOUR + 30 * MINUTE)
    assert "Due soon, within 30 minutes: call back (cards)." in texts(await told(hub))
    clock.move(HOUR)
    found = await told(hub)
    assert "Overdue, for 30 minutes: call back (cards)." in texts(found)
    assert not found.is_as_before()


async def test_the_words_are_as_before_until_an_age_in_them_grows(hub: Hub, clock: Clock) -> None:
    here = await in_one(hub, level=2)
    await offer(hub, here)
    assert (await told(hub, here)).is_as_before()
    clock.move(30 * SECOND)
    assert (await told(hub, here)).is_as_before()
    clock.move(MINUTE)
    assert not (await told(hub, here)).is_as_before()


async def test_a_brief_for_an_interaction_that_is_not_there_is_refused(hub: Hub) -> None:
    await in_one(hub)
    with pytest.raises(InteractionUnknown):
        await told(hub, "in_nowhere")
