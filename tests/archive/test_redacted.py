"""Parts of a card number that the archive had already are gone from there too, once the number was told whole."""

from __future__ import annotations

from ctxhub.hub.hub import Hub
from tests.archive.scenes import archived, forgotten
from tests.hub.scenes import WHO, in_one, tell
from tests.support import Clock


async def test_parts_that_were_archived_are_written_over(hub: Hub, clock: Clock) -> None:
    place = await in_one(hub)
    await tell(hub, "message.received", place, "m1", text="it is 49297248")
    await archived(hub)
    await tell(hub, "message.received", place, "m2", text="12467731")
    await forgotten(hub, clock)
    kept = await hub.changes.contexts.timeline(WHO, 0, None, 1000)
    texts = [event["data"]["text"] for event in kept if event["type"] == "message.received"]
    assert texts == ["it is ••••", "•••• 7731"]
    assert (await tell(hub, "message.received", place, "m1", text="it is 49297248"))["results"][0]["duplicate"]
