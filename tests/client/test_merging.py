"""Whoever keeps an old id is served: reads, writes and feeds follow a merged customer to its new home, and back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ctxhub.client import (
    ContextHub,
    Fed,
    Identifier,
    MergeUnknown,
    OfferRequest,
    Start,
    Target,
    VerifiedApart,
    told,
)
from tests.client.running import ADMIN_KEY
from tests.client.test_against_the_hub import Call, called


@pytest.fixture
def admin(channel: ContextHub) -> ContextHub:
    """The hub as a supervisor's tool reaches it."""
    return channel.with_key(ADMIN_KEY)


async def two(channel: ContextHub) -> tuple[Call, Call]:
    """Two customers in a call each."""
    return await called(channel), await called(channel)


async def test_reads_and_writes_by_the_old_id_are_answered_from_the_new_home(
    channel: ContextHub, admin: ContextHub
) -> None:
    home, old = await two(channel)
    shown = await admin.customers.preview_merge(home.customer_id, old.customer_id)
    assert (shown.merge_id, shown.preview is not None) == (None, True)
    joined = await admin.customers.merge(home.customer_id, old.customer_id)
    assert (joined.customer_id, joined.source) == (home.customer_id, old.customer_id)
    here = old.interaction.interaction_id
    assert (await channel.contexts.read(old.customer_id, interaction_id=here)).customer_id == home.customer_id
    written = await channel.events.tell(old.customer_id, old.fact("order_id", "A-17"))
    seen = await channel.contexts.read(home.customer_id, interaction_id=here, min_version=written.version)
    assert seen.facts["order_id"].value == "A-17"
    (answer,) = await channel.asks.may_i_ask(old.customer_id, here, ["order_id"])
    assert answer.verdict == "known"
    offer = OfferRequest(customer_id=old.customer_id, interaction_id=here, reason="asked", to=Target(queue="billing"))
    assert (await channel.handoffs.offer(offer)).handoff.customer_id == home.customer_id


async def test_a_batch_of_old_and_new_by_the_old_id_is_told_once(channel: ContextHub, admin: ContextHub) -> None:
    home, old = await two(channel)
    known, new = old.fact("order_id", "A-17"), old.fact("city", "Bern")
    first = await channel.events.tell(old.customer_id, known)
    await admin.customers.merge(home.customer_id, old.customer_id)
    again = await channel.events.tell(old.customer_id, known, new)
    assert [(one.duplicate, one.event_id) for one in again.results] == [(True, known.event_id), (False, new.event_id)]
    assert again.results[0].version == first.version
    page = await admin.contexts.whole_timeline(home.customer_id, limit=100)
    assert [event.event_id for event in page.events].count(known.event_id) == 1


async def test_the_whole_timeline_names_whose_each_event_is(channel: ContextHub, admin: ContextHub) -> None:
    home, old = await two(channel)
    await admin.customers.merge(home.customer_id, old.customer_id)
    events, after = [], None
    while True:
        page = await admin.contexts.whole_timeline(home.customer_id, after=after, limit=2)
        events += page.events
        after = page.next
        if after is None:
            break
    assert {event.customer_id for event in events} == {home.customer_id, old.customer_id}


async def test_undone_the_ids_are_two_again(channel: ContextHub, admin: ContextHub) -> None:
    home, old = await two(channel)
    joined = await admin.customers.merge(home.customer_id, old.customer_id)
    parted = await admin.customers.unmerge(home.customer_id, joined.merge_id or "")
    assert parted.source == old.customer_id
    here = old.interaction.interaction_id
    assert (await channel.contexts.read(old.customer_id, interaction_id=here)).customer_id == old.customer_id
    # Who learned the home's id meanwhile finds the way back.
    assert (await channel.contexts.read(home.customer_id, interaction_id=here)).customer_id == old.customer_id
    with pytest.raises(MergeUnknown):
        await admin.customers.unmerge(home.customer_id, joined.merge_id or "")


async def test_a_feed_goes_on_at_the_new_home(channel: ContextHub, admin: ContextHub) -> None:
    home, old = await two(channel)
    here = old.interaction.interaction_id
    async with asyncio.timeout(20), aclosing(channel.feeds.customer(old.customer_id, interaction_id=here)) as feed:
        async for fed in feed:
            if fed.type == "ready":
                break
        await admin.customers.merge(home.customer_id, old.customer_id)
        word = told("message.received", interaction_id=here, event_id="after-the-merge", text="hello")
        await channel.events.tell(old.customer_id, word)
        said: list[Fed] = []
        async for fed in feed:
            said.append(fed)
            if fed.type == "ready":
                break
    assert [fed.type for fed in said if fed.type in ("bye", "reset")] == ["bye", "reset"]
    assert next(fed for fed in said if fed.type == "bye").data["customer_id"] == home.customer_id


async def test_two_accounts_are_two_people_until_an_admin_insists(channel: ContextHub, admin: ContextHub) -> None:
    calls = await two(channel)
    for call in calls:
        account = Identifier(type="account", value=f"A-{call.customer_id}", strength="verified")
        await channel.customers.add_identifier(call.customer_id, account)
    home, old = (call.customer_id for call in calls)
    with pytest.raises(VerifiedApart):
        await admin.customers.merge(home, old)
    await admin.customers.merge(home, old, force=True)
    again = await channel.interactions.start(Start(channel="chat", external_id=f"v-{old}", customer_id=old))
    assert again.customer_id == home
