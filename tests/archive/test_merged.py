"""Who is another customer now lives on in the archive too, and comes back from there to be itself again."""

from __future__ import annotations

import pytest
from redis import Redis

from ctxhub.errors import CustomerUnknown, Merged
from ctxhub.hub.hub import Hub
from ctxhub.model.disclosure import Reader
from ctxhub.store.contexts import Who
from tests.archive.scenes import a_talk, archived, forgotten, is_in_redis
from tests.hub.scenes import WHO, context_of, tell
from tests.model.test_merging import as_never_linked
from tests.support import ACME, Clock, a_phone

C2 = Who(ACME, "c2")
NUMBER = "+8613900139000"
EVERYTHING = Reader(role="admin")


async def joined(hub: Hub) -> str:
    """Two who talked and were merged; the merge."""
    await a_talk(hub, identifiers=[a_phone()])
    await a_talk(hub, external_id="x2", who=C2, identifiers=[a_phone(NUMBER)])
    return (await hub.merging.merge(WHO, "c2")).merge_id or ""


async def test_forgotten_by_redis_the_old_id_still_leads_home(hub: Hub, clock: Clock, redis: Redis) -> None:
    await joined(hub)
    await forgotten(hub, clock, WHO)
    assert not is_in_redis(redis, "c2")
    assert not is_in_redis(redis)
    with pytest.raises(Merged) as refusal:
        await tell(hub, "message.received", None, "late", C2, text="hello")
    assert refusal.value.ids["customer_id"] == "c42"
    assert await hub.customers.lookup(ACME, a_phone(NUMBER)) == WHO


async def test_the_whole_timeline_is_read_from_both(hub: Hub, clock: Clock) -> None:
    await joined(hub)
    before = (await hub.contexts.whole(WHO, EVERYTHING, None, 100))[0]
    await forgotten(hub, clock, WHO)
    after = (await hub.contexts.whole(WHO, EVERYTHING, None, 100))[0]
    assert {"c42", "c2"} == {event["customer_id"] for event in before}
    assert [event for event in after if event in before] == before


async def test_a_merge_is_undone_long_after_both_were_forgotten(hub: Hub, clock: Clock) -> None:
    merge_id = await joined(hub)
    await forgotten(hub, clock, WHO)
    await hub.merging.unmerge(WHO, merge_id)
    own, theirs = as_never_linked(await context_of(hub)), as_never_linked(await context_of(hub, C2))
    assert [fact.evidence for fact in own.facts] == ["x1-city"]
    assert [fact.evidence for fact in theirs.facts] == ["x2-city"]
    await forgotten(hub, clock, WHO, C2)
    assert await hub.customers.lookup(ACME, a_phone(NUMBER)) == C2
    assert await hub.customers.lookup(ACME, a_phone()) == WHO


async def test_forgotten_on_request_both_are_erased_in_the_archive_too(hub: Hub, clock: Clock, redis: Redis) -> None:
    await joined(hub)
    await archived(hub)
    await hub.customers.forget(WHO)
    await archived(hub)
    for who in (WHO, C2):
        with pytest.raises(CustomerUnknown):
            await context_of(hub, who)
        assert not is_in_redis(redis, f"{who.customer_id}:context")
