"""An export is of one person: all that was told of it wherever it stands, and nothing of anybody else."""

from __future__ import annotations

from typing import Any

import orjson

from ctxhub.hub.changes import Decision
from ctxhub.hub.hub import Hub
from ctxhub.store.contexts import Who
from tests.hub.scenes import begin, in_one, tell
from tests.hub.test_emptying import CANARY, HOME, OTHER, told_before
from tests.support import ACME

ELSE = Who(ACME, "c7")


async def export(hub: Hub, who: Who) -> dict[str, Any]:
    """The whole of an export, which has to say that it is whole."""
    found: dict[str, Any] = orjson.loads(b"".join([piece async for piece in hub.persons.export(who)]))
    assert found["complete"]
    assert found["events"] == len(found["timeline"])
    return found


async def words(hub: Hub, who: Who) -> set[str]:
    """Which of the words in question an export has."""
    text = orjson.dumps((await export(hub, who))["timeline"]).decode()
    return {word for word in (CANARY, OTHER, "after", "before") if word in text}


async def test_what_was_told_before_an_interaction_came_is_in_its_home_s_export_alone(hub: Hub) -> None:
    old, interaction_id = await told_before(hub)
    await begin(hub, "x1", level=2)
    await hub.interactions.identify(old, interaction_id, "c42", None)
    assert await words(hub, HOME) == {CANARY}
    assert await words(hub, old) == {OTHER}
    told = (await export(hub, HOME))["timeline"]
    assert [event["at"] for event in told] == sorted(event["at"] for event in told)
    assert {event.get("customer_id") for event in told} == {None, old.customer_id}
    left = (await export(hub, old))["timeline"]
    assert not any(event.get("interaction_id") == interaction_id for event in left)


async def test_it_is_so_over_two_places_and_long_after_it_ended(hub: Hub) -> None:
    old, interaction_id = await told_before(hub)
    for number, who in enumerate((ELSE, HOME)):
        await begin(hub, f"x{number}", level=2, customer_id=who.customer_id)
    await hub.interactions.identify(old, interaction_id, "c7", None)
    await tell(hub, "message.received", interaction_id, "m6", ELSE, text="after")
    await hub.interactions.identify(ELSE, interaction_id, "c42", None)
    await hub.changes.change(HOME, lambda present: _without(present, interaction_id))
    assert await words(hub, HOME) == {CANARY, "after"}
    assert await words(hub, ELSE) == set()
    assert await words(hub, old) == {OTHER}


def _without(present: Any, interaction_id: str) -> Any:
    """The decision that lets an interaction leave the document, as time does."""
    kept = {key: found for key, found in present.known.interactions.items() if key != interaction_id}
    return Decision(present.known.but(interactions=kept))


async def test_who_was_merged_is_in_the_export_with_all_that_had_come_to_it(hub: Hub) -> None:
    old, interaction_id = await told_before(hub)
    mine = await in_one(hub, "x1", level=2)
    its = await in_one(hub, "x2", level=2, customer_id="c7")
    await tell(hub, "message.received", its, "m7", ELSE, text="before")
    await hub.interactions.identify(old, interaction_id, "c7", None)
    await hub.merging.merge(HOME, "c7")
    await tell(hub, "message.received", mine, "m8", HOME, text="after")
    assert await words(hub, HOME) == {CANARY, "after", "before"}
    assert await words(hub, old) == {OTHER}


async def test_what_left_after_a_merge_is_in_the_export_no_more(hub: Hub) -> None:
    old, interaction_id = await told_before(hub)
    await begin(hub, "x1", level=2)
    await begin(hub, "x2", level=2, customer_id="c7")
    await begin(hub, "x3", level=2, customer_id="c1")
    await hub.interactions.identify(old, interaction_id, "c7", None)
    await hub.merging.merge(HOME, "c7")
    await hub.interactions.identify(HOME, interaction_id, "c1", None)
    assert await words(hub, HOME) == set()
    assert await words(hub, Who(ACME, "c1")) == {CANARY}


async def test_who_is_parted_again_has_its_own_words_alone(hub: Hub) -> None:
    mine = await in_one(hub, "x1", level=2)
    its = await in_one(hub, "x2", level=2, customer_id="c7")
    await tell(hub, "message.received", its, "m7", ELSE, text="before")
    merge = await hub.merging.merge(HOME, "c7")
    await tell(hub, "message.received", its, "m8", HOME, text="after")
    await tell(hub, "message.received", mine, "m9", HOME, text=OTHER)
    await hub.merging.unmerge(HOME, merge.merge_id)
    assert await words(hub, HOME) == {OTHER}
    assert await words(hub, ELSE) == {"before", "after"}
