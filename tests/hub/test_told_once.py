"""Whatever is sent again to whoever was merged meanwhile: nothing is told twice, and nothing lost."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from ctxhub.errors import EventIdReused, Moved
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.model.event import Telling
from ctxhub.store.contexts import Who
from tests.hub.scenes import in_one
from tests.support import ACME, SECOND, Clock

WHOS = [Who(ACME, name) for name in ("c1", "c2", "c3")]
STEPS = 30


def an_event(event_id: str, interaction_id: str, kind: int) -> Telling:
    """A message, which is appended, or a fact, which is decided."""
    said: tuple[str, dict[str, Any]] = ("message.received", {"text": event_id})
    stated: tuple[str, dict[str, Any]] = ("fact.stated", {"name": event_id, "value": "so"})
    type_, data = (said, stated)[kind]
    return Telling(event_id=event_id, type=type_, interaction_id=interaction_id, data=data)


async def sent(hub: Hub, who: Who, events: list[Telling], was: tuple[str, ...] = ()) -> dict[str, Any]:
    """Tell it as a client does that follows a 308 with what that says."""
    try:
        return await hub.events.tell(who, events, Request(), was=was)
    except Moved as moved:
        home = Who(who.tenant, moved.ids["customer_id"])
        return await sent(hub, home, events, (*was, who.customer_id))


async def times(hub: Hub) -> Counter[str]:
    """How often each event stands on any timeline."""
    timelines = [await hub.changes.contexts.timeline(who, 0, None, 1000) for who in WHOS]
    told = [event for events in timelines for event in events if event["type"] in ("message.received", "fact.stated")]
    return Counter(event["event_id"] for event in told)


class Channels:
    """One channel for each customer, which keeps the id it knows, and sends what it is not sure of again."""

    def __init__(self, hub: Hub, random: Random, clock: Clock) -> None:
        self.hub, self.random, self.clock = hub, random, clock
        self.places: list[str] = []
        self.told: list[list[Telling]] = [[], [], []]

    async def step(self, number: int) -> None:
        """Do something at random."""
        self.clock.move(SECOND)
        await self.random.choice([self.tell] * 9 + [self.merge])(number)

    async def tell(self, number: int) -> None:
        """Send a batch of what was told and what is new, in any order."""
        at = self.random.randrange(3)
        new = [an_event(f"e{number}-{n}", self.places[at], self.random.randrange(2)) for n in range(2)]
        again = self.random.sample(self.told[at], min(len(self.told[at]), 3))
        batch = self.random.sample(new + again, len(new + again))
        answer = await sent(self.hub, WHOS[at], batch)
        known = {event.event_id for event in again}
        assert [(one["event_id"], one["duplicate"]) for one in answer["results"]] == [
            (event.event_id, event.event_id in known) for event in batch
        ]
        self.told[at] += new

    async def merge(self, _: int) -> None:
        """Let two be one."""
        home, source = [await self.hub.changes.contexts.home(who) for who in self.random.sample(WHOS, 2)]
        if home != source:
            await self.hub.merging.merge(home, source.customer_id)


@pytest.mark.parametrize("seed", range(12))
async def test_of_random_batches_each_event_is_told_exactly_once(hub: Hub, clock: Clock, seed: int) -> None:
    channels = Channels(hub, Random(seed), clock)
    for who in WHOS:
        channels.places.append(await in_one(hub, who.customer_id, 2, customer_id=who.customer_id))
    for number in range(STEPS):
        await channels.step(number)
    assert await times(hub) == {event.event_id: 1 for told in channels.told for event in told}


async def test_without_the_old_name_it_would_be_told_twice(hub: Hub) -> None:
    place = await in_one(hub, "x2", 2, customer_id="c2")
    await in_one(hub, "x1", 2, customer_id="c1")
    await sent(hub, WHOS[1], [an_event("e1", place, 0)])
    await hub.merging.merge(WHOS[0], "c2")
    await hub.events.tell(WHOS[0], [an_event("e1", place, 0), an_event("e2", place, 0)], Request())
    assert (await times(hub))["e1"] == 2


async def test_an_id_of_the_old_one_stands_for_no_other_content(hub: Hub) -> None:
    place = await in_one(hub, "x2", 2, customer_id="c2")
    await in_one(hub, "x1", 2, customer_id="c1")
    await sent(hub, WHOS[1], [an_event("e1", place, 0)])
    await hub.merging.merge(WHOS[0], "c2")
    with pytest.raises(EventIdReused):
        await sent(hub, WHOS[1], [an_event("e1", place, 1), an_event("e2", place, 0)])


async def test_who_never_was_this_customer_has_no_say(hub: Hub) -> None:
    place = await in_one(hub, "x2", 2, customer_id="c2")
    other = await in_one(hub, "x3", 2, customer_id="c3")
    await sent(hub, WHOS[1], [an_event("e1", place, 0)])
    told = await hub.events.tell(WHOS[2], [an_event("e1", other, 0)], Request(), was=("c2", "c9"))
    assert not told["results"][0]["duplicate"]
