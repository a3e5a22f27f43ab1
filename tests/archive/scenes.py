"""A hub with an archive, in a word: someone who has gone home, and time that passes until Redis may forget."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ctxhub.archive import Archive
from ctxhub.hub.archivist import Archivist
from ctxhub.hub.hub import Hub
from ctxhub.store.contexts import Who
from tests.hub.scenes import WHO, in_one, tell
from tests.support import HOUR, MINUTE, Clock

CONSUMERS = ("telling", "archive")


def archivist_of(hub: Hub) -> Archivist:
    """The hub's archivist, which must be there."""
    assert hub.archivist is not None
    return hub.archivist


def archive_of(hub: Hub) -> Archive:
    """The hub's archive, which must be there."""
    assert hub.archiving is not None
    return hub.archiving.archive


async def archived(hub: Hub) -> None:
    """Let the archive get everything that is noted in the outboxes."""
    fences = await hub._outbox.lease_all(hub.ways.clock(), 10 * MINUTE)
    while await archivist_of(hub).archive(fences, CONSUMERS):
        continue


async def forgotten(hub: Hub, clock: Clock, *whos: Who) -> None:
    """Let so much time pass that Redis forgets customers, if only the archive has them."""
    clock.move(5 * HOUR)  # whatever goes on falls silent
    for who in whos or (WHO,):
        await hub.wake(who)
    await archived(hub)
    clock.move(7 * HOUR)
    await archivist_of(hub).release(hub._outbox.partitions)


async def a_talk(hub: Hub, messages: int = 3, external_id: str = "x1", who: Who = WHO, **more: Any) -> str:
    """Have somebody say something on one interaction, and a fact; return the interaction."""
    interaction_id = await in_one(hub, external_id, level=2, customer_id=who.customer_id, **more)
    for number in range(messages):
        await tell(hub, "message.received", interaction_id, f"{external_id}-m{number}", who=who, text=f"word {number}")
    await tell(hub, "fact.stated", interaction_id, f"{external_id}-city", who=who, name="city", value="Bern")
    return interaction_id


def is_in_redis(redis: Redis, customer_id: str = "c42") -> bool:
    """Tell whether Redis has anything of a customer."""
    return bool(list(redis.scan_iter(f"ctxhub:*:{customer_id}:*")))
