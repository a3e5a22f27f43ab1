"""What was archived of an interaction before it moved is gone from the archive too, once its customer is forgotten."""

from __future__ import annotations

from ctxhub.archive import Row
from ctxhub.hub.hub import Hub
from ctxhub.store.codec import FORGOTTEN, event_from
from ctxhub.store.contexts import Who
from tests.archive.scenes import archive_of, archived, forgotten
from tests.hub.scenes import begin
from tests.hub.test_emptying import CANARY, HOME, OTHER, told_before
from tests.support import Clock


async def told_in_archive(hub: Hub, who: Who) -> list[str]:
    """What the archive has of a timeline, each event in full."""
    found = await archive_of(hub).entries(Row(*who), 1, 1000)
    return [repr(event_from(entry, version)) for version, entry in found]


async def test_archived_and_released_before_it_is_emptied_there(hub: Hub, clock: Clock) -> None:
    old, interaction_id = await told_before(hub)
    await begin(hub, "x1", level=2)
    await hub.interactions.identify(old, interaction_id, "c42", None)
    await archived(hub)
    await forgotten(hub, clock, old)
    assert any(CANARY in event for event in await told_in_archive(hub, old))
    await hub.customers.forget(HOME)
    left = await told_in_archive(hub, old)
    assert not [event for event in left if CANARY in event]
    assert len([event for event in left if FORGOTTEN in event]) >= 6
    assert any(OTHER in event for event in left)
    await archived(hub)
    assert not [event for event in await told_in_archive(hub, old) if CANARY in event]
