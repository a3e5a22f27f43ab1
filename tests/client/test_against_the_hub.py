"""A customer's story over a real hub: said to the telephone menu, carried to the chat, finished by an agent."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

import httpx
import pytest

from ctxhub.client import (
    Accepted,
    AlreadyOffered,
    AlreadyUsed,
    AssuranceClaim,
    ContextHub,
    CustomerUnknown,
    EventIdReused,
    Fed,
    Forbidden,
    HandoffUnknown,
    HeldByAnother,
    IdempotencyKeyReused,
    Identifier,
    InteractionView,
    Invalid,
    NotTheHolder,
    Offered,
    OfferRequest,
    Ref,
    StaleFence,
    Start,
    Started,
    Target,
    Telling,
    Unauthenticated,
    Unavailable,
    VersionAhead,
    WrongState,
    told,
)
from tests.client.running import ADMIN_KEY, RunningHub
from tests.client.wire import Asked, Line, Script, answer, lose_the_reply, wire


def fresh(prefix: str) -> str:
    """An id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class Call(NamedTuple):
    """A call to the telephone menu, whose customer has logged in and wants a refund."""

    customer_id: str
    interaction: InteractionView
    journey_id: str

    def fact(self, name: str, value: object) -> Telling:
        """The customer states a fact of the journey."""
        return told(
            "fact.stated",
            interaction_id=self.interaction.interaction_id,
            journey_id=self.journey_id,
            party="customer",
            name=name,
            value=value,
        )

    def offer(self, to: Target) -> OfferRequest:
        """The offer to hand the customer on."""
        return OfferRequest(
            customer_id=self.customer_id,
            interaction_id=self.interaction.interaction_id,
            journey_id=self.journey_id,
            reason="asked for it",
            to=to,
        )


async def called(channel: ContextHub) -> Call:
    """Somebody calls, proves who it is, and wants a refund."""
    started = await channel.interactions.start(
        Start(
            channel="ivr",
            system="twilio",
            external_id=fresh("CA"),
            customer_id=fresh("c"),
            assurance=AssuranceClaim(level=2, method="pin"),
        )
    )
    interaction_id = started.interaction.interaction_id
    begun = await channel.events.tell(
        started.customer_id, told("journey.started", interaction_id=interaction_id, kind="refund")
    )
    journey_id = begun.results[0].journey_id
    assert journey_id is not None
    return Call(started.customer_id, started.interaction, journey_id)


async def took(count: int, feed: AsyncGenerator[Fed, None], *types: str) -> list[Fed]:
    """Take so many of some types from a feed."""
    taken: list[Fed] = []
    async with asyncio.timeout(20), aclosing(feed):
        async for fed in feed:
            taken += [fed] if fed.type in types else []
            if len(taken) == count:
                break
    return taken


async def test_said_to_the_menu_known_to_the_chat_finished_by_an_agent(channel: ContextHub, ann: ContextHub) -> None:
    call = await called(channel)
    await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    to_chat = await channel.handoffs.offer(call.offer(Target(channel="chat")))
    chat = await redeemed_in_chat(channel, to_chat)

    [known, unknown] = await channel.asks.may_i_ask(
        call.customer_id, chat.interaction.interaction_id, ["order_id", "bank"], journey_id=call.journey_id
    )
    assert (known.verdict, known.value) == ("known", "A-17")
    assert unknown.verdict == "ask"

    queue = fresh("queue")
    offered = await channel.handoffs.offer(
        call.offer(Target(queue=queue)).but(interaction_id=chat.interaction.interaction_id)
    )
    accepted = await ann.handoffs.accept(offered.handoff.handoff_id, "ann")
    assert accepted.context.facts["order_id"].value == "A-17"
    await the_floor_is_anns(channel, ann, call, accepted)

    returned = await ann.handoffs.give_back(
        accepted.handoff.handoff_id, "ann", accepted.fence, note="go on with the payout", step="payout"
    )
    assert returned.handoff.state == "returned"
    assert (returned.offered.parent_id, returned.offered.step) == (accepted.handoff.handoff_id, "payout")
    context = await channel.contexts.read(call.customer_id, interaction_id=chat.interaction.interaction_id)
    assert [journey.step for journey in context.journeys] == ["payout"]
    ended = await channel.interactions.end(call.customer_id, chat.interaction.interaction_id, outcome="resolved")
    assert ended.state == "ended"


async def redeemed_in_chat(channel: ContextHub, offered: Offered) -> Started:
    """The customer follows the link into the chat, which then knows what the menu was told."""
    assert offered.handoff.token is not None
    looked = await channel.handoffs.lookup(offered.handoff.token)
    assert (looked.handoff_id, looked.state) == (offered.handoff.handoff_id, "offered")
    visit = Start(channel="chat", external_id=fresh("visit"))
    chat = await channel.handoffs.redeem(visit, token=offered.handoff.token)
    again = await channel.handoffs.redeem(visit, token=offered.handoff.token)
    assert again.interaction.interaction_id == chat.interaction.interaction_id
    with pytest.raises(AlreadyUsed):
        await channel.handoffs.redeem(Start(channel="chat", external_id=fresh("visit")), token=offered.handoff.token)
    assert chat.handoff is not None
    assert chat.handoff.state == "accepted"
    assert chat.context.facts["order_id"].value == "A-17"
    assert [journey.missing for journey in chat.context.journeys] == [["bank", "account"]]
    return chat


async def the_floor_is_anns(channel: ContextHub, ann: ContextHub, call: Call, accepted: Accepted) -> None:
    """Ann may speak, the bot may not; she says that she was shown what is known."""
    interaction_id = accepted.interaction.interaction_id
    assert (accepted.interaction.holder.party, accepted.interaction.holder.id) == ("agent", "ann")
    word = told("message.sent", interaction_id=interaction_id, party="bot", text="hello", fence=accepted.fence - 1)
    with pytest.raises(NotTheHolder):
        await channel.events.tell(call.customer_id, word)
    word = told("message.sent", interaction_id=interaction_id, party="agent", text="hello", fence=accepted.fence)
    await ann.events.tell(call.customer_id, word)
    assert (await ann.handoffs.receipt(accepted.handoff.handoff_id, "ann")).receipt_at is not None
    assert (await ann.handoffs.renew(accepted.handoff.handoff_id, "ann", accepted.fence)).lease_ends is not None
    with pytest.raises(StaleFence):
        await ann.handoffs.complete(accepted.handoff.handoff_id, "ann", accepted.fence - 1, "resolved")


async def test_a_handoff_is_offered_listed_completed(channel: ContextHub, ann: ContextHub) -> None:
    call, queue = await called(channel), fresh("queue")
    offered = await channel.handoffs.offer(call.offer(Target(queue=queue)))
    handoff_id = offered.handoff.handoff_id
    assert offered.handoff.code is None or len(offered.handoff.code) == 8
    assert [waiting.handoff_id for waiting in await ann.handoffs.list(queue=queue)] == [handoff_id]
    assert (await ann.queues.show(queue)).waiting == 1
    with pytest.raises(AlreadyOffered):
        await channel.handoffs.offer(call.offer(Target(queue=queue)))
    accepted = await ann.handoffs.accept(handoff_id, "ann")
    assert (await ann.handoffs.accept(handoff_id, "ann")).fence == accepted.fence
    done = await ann.handoffs.complete(handoff_id, "ann", accepted.fence, "resolved")
    assert (done.state, done.outcome) == ("completed", "resolved")
    with pytest.raises(WrongState):
        await ann.handoffs.give_back(handoff_id, "ann", accepted.fence, note="too late")


async def test_one_of_two_agents_gets_a_handoff(channel: ContextHub, ann: ContextHub) -> None:
    call = await called(channel)
    offered = await channel.handoffs.offer(call.offer(Target(queue=fresh("queue"))))
    bob = channel.with_key(ADMIN_KEY)
    handoff_id = offered.handoff.handoff_id
    both = (ann.handoffs.accept(handoff_id, "ann"), bob.handoffs.accept(handoff_id, "bob"))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert {type(result) for result in results} == {Accepted, HeldByAnother}


async def test_an_offer_is_declined_and_cancelled(channel: ContextHub, ann: ContextHub) -> None:
    call, queue = await called(channel), fresh("queue")
    offered = await channel.handoffs.offer(call.offer(Target(queue=queue)))
    declined = await ann.handoffs.decline(offered.handoff.handoff_id, "ann", "lunch")
    assert declined.state == "offered"
    assert (await channel.handoffs.cancel(offered.handoff.handoff_id)).state == "cancelled"
    assert (await channel.handoffs.get(offered.handoff.handoff_id)).state == "cancelled"
    assert await ann.handoffs.list(queue=queue) == []


async def test_what_is_told_twice_takes_effect_once(channel: ContextHub) -> None:
    call = await called(channel)
    fact = call.fact("order_id", "A-17")
    first = await channel.events.tell(call.customer_id, fact)
    again = await channel.events.tell(call.customer_id, fact)
    assert (again.results[0].duplicate, again.results[0].version) == (True, first.results[0].version)
    with pytest.raises(EventIdReused):
        await channel.events.tell(call.customer_id, fact.but(data={"name": "order_id", "value": "B-18"}))


async def test_an_offer_sent_again_with_its_key_is_the_same_offer(channel: ContextHub) -> None:
    call, key = await called(channel), fresh("key")
    request = call.offer(Target(queue=fresh("queue")))
    first = await channel.handoffs.offer(request, key=key)
    again = await channel.handoffs.offer(request, key=key)
    assert (again.handoff.handoff_id, again.handoff.token) == (first.handoff.handoff_id, first.handoff.token)
    with pytest.raises(IdempotencyKeyReused):
        await channel.handoffs.offer(request.but(reason="another"), key=key)


async def test_asking_for_what_is_known_is_noticed(channel: ContextHub) -> None:
    call = await called(channel)
    await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    asked = told(
        "question.asked",
        interaction_id=call.interaction.interaction_id,
        journey_id=call.journey_id,
        names=["order_id", "bank"],
    )
    assert (await channel.events.tell(call.customer_id, asked)).results[0].repeat == ["order_id"]


async def test_an_interaction_is_found_by_its_refs_and_in_its_channel(channel: ContextHub) -> None:
    call, ref = await called(channel), Ref(system="acd", kind="call", id=fresh("call"))
    shown = await channel.interactions.add_refs(call.customer_id, call.interaction.interaction_id, [ref])
    assert ref in shown.refs
    found = await channel.interactions.lookup(ref)
    assert (found.customer_id, found.interaction.interaction_id) == (call.customer_id, call.interaction.interaction_id)
    listed = await channel.interactions.list(channel="ivr")
    assert call.interaction.interaction_id in [one.interaction_id for one in listed]


async def test_an_interaction_moves_to_whom_it_really_is(channel: ContextHub) -> None:
    phone = Identifier(type="phone", value=f"+86138{uuid.uuid4().int % 10**8:08}", strength="claimed")
    started = await channel.interactions.start(
        Start(channel="ivr", external_id=fresh("CA"), identifiers=[phone], assurance=AssuranceClaim(level=1))
    )
    interaction_id, home = started.interaction.interaction_id, fresh("c")
    moved = await channel.interactions.identify(
        started.customer_id, interaction_id, to=home, assurance=AssuranceClaim(level=2, method="pin")
    )
    assert (moved.customer_id, moved.interaction.interaction_id) == (home, interaction_id)
    word = told("message.received", interaction_id=interaction_id, party="customer", text="it is me")
    kept = await channel.events.tell(started.customer_id, word)  # the old place shows the way
    events = (await channel.contexts.timeline(home, after=kept.version - 1, interaction_id=interaction_id)).events
    assert [event.event_id for event in events] == [word.event_id]


async def test_a_customer_is_found_by_an_identifier(channel: ContextHub) -> None:
    call = await called(channel)
    account = Identifier(type="account", value=fresh("acc"), strength="verified")
    admin = channel.with_key(ADMIN_KEY)
    await admin.customers.add_identifier(call.customer_id, account)
    assert (await admin.customers.lookup(account)).customer_id == call.customer_id
    context = await admin.contexts.lookup(account)
    assert (context.customer_id, account in context.identifiers) == (call.customer_id, True)
    await admin.customers.remove_identifier(call.customer_id, account)
    with pytest.raises(CustomerUnknown):
        await admin.customers.lookup(account)


async def test_a_customer_is_forgotten_by_an_admin_alone_and_the_receipt_says_what_is_gone(channel: ContextHub) -> None:
    call = await called(channel)
    with pytest.raises(Forbidden):
        await channel.customers.forget(call.customer_id)
    receipt = await channel.with_key(ADMIN_KEY).customers.forget(call.customer_id)
    assert (receipt["customer_id"], receipt["erased"]["interactions"]) == (call.customer_id, 1)
    with pytest.raises(CustomerUnknown):
        await channel.contexts.read(call.customer_id)


async def test_a_context_is_read_by_version(channel: ContextHub) -> None:
    call = await called(channel)
    kept = await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    here = call.interaction.interaction_id
    context = await channel.contexts.read(call.customer_id, interaction_id=here, min_version=kept.version)
    assert context.version >= kept.version
    with pytest.raises(VersionAhead):
        await channel.contexts.read(call.customer_id, min_version=context.version + 1)


async def test_a_context_that_has_not_changed_is_not_sent_again(channel: ContextHub) -> None:
    call = await called(channel)
    here = call.interaction.interaction_id
    seen = await channel.contexts.read(call.customer_id, interaction_id=here)
    assert await channel.contexts.read(call.customer_id, interaction_id=here, seen=seen) is seen
    await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    changed = await channel.contexts.read(call.customer_id, interaction_id=here, seen=seen)
    assert changed.facts["order_id"].value == "A-17"


async def test_a_customer_is_told_in_brief_to_each_audience(channel: ContextHub) -> None:
    call = await called(channel)
    kept = await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    here = call.interaction.interaction_id
    brief = await channel.contexts.brief(call.customer_id, interaction_id=here, lang="en", min_version=kept.version)
    [line] = [line for line in brief.lines if "A-17" in line.text]
    assert line.evidence == [kept.results[0].event_id]
    assert brief.version >= kept.version
    spoken = await channel.contexts.brief(call.customer_id, "ivr", interaction_id=here, lang="zh-CN", max_chars=4000)
    assert (spoken.view, spoken.language, spoken.dropped) == ("ivr", "zh", 0)
    assert any("A，1 7" in line.text for line in spoken.lines)
    with pytest.raises(Invalid):
        await channel.contexts.brief(call.customer_id, max_chars=10)


async def test_a_timeline_is_read_page_by_page(channel: ContextHub) -> None:
    call = await called(channel)
    kept = await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    here, versions, after = call.interaction.interaction_id, list[int | None](), 0
    while True:
        page = await channel.contexts.timeline(call.customer_id, after=after, limit=1, interaction_id=here)
        versions += [event.version for event in page.events]
        if page.next is None:
            break
        after = page.next
    assert versions == list(range(1, kept.version + 1))


async def test_the_tenant_tells_what_it_has_declared(channel: ContextHub) -> None:
    tenant = await channel.tenants.read()
    assert tenant.kind("refund").needs == ["order_id", "bank", "account"]
    assert tenant.facts["order_id"].say["zh"] == "订单号"
    assert tenant.channels["ivr"] == {"queue": "billing"}


async def test_the_numbers_come_with_their_definitions(channel: ContextHub) -> None:
    numbers = await channel.with_key(ADMIN_KEY).numbers()
    assert {"repeats", "questions_saved", "facts_carried", "handoffs", "definitions"} <= numbers.keys()


async def test_whatever_is_wrong_is_an_error_of_its_own(channel: ContextHub, ann: ContextHub) -> None:
    with pytest.raises(Unauthenticated):
        await channel.with_key("no-such-key").queues.show("billing")
    with pytest.raises(CustomerUnknown):
        await channel.contexts.read(fresh("nobody"))
    with pytest.raises(HandoffUnknown):
        await channel.handoffs.get("ho_nothing")
    with pytest.raises(Forbidden):
        await ann.handoffs.accept("ho_nothing", "bob")
    call = await called(channel)
    with pytest.raises(Invalid) as caught:
        await channel.events.tell(call.customer_id, told("fact.stated", name="order_id", valeu="A-17"))
    assert "/events/0/data/valeu" in [fault["pointer"] for fault in caught.value.ids["errors"]]


async def test_a_customers_feed_tells_all_from_a_version_on(channel: ContextHub) -> None:
    call = await called(channel)
    before = await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
    feed = channel.feeds.customer(
        call.customer_id, after=before.version, interaction_id=call.interaction.interaction_id
    )
    for number in range(3):
        await channel.events.tell(call.customer_id, call.fact("bank", f"bank {number}"))
    fed = await took(3, feed, "fact.stated")
    assert [one.event.version for one in fed if one.event] == [before.version + n for n in (1, 2, 3)]
    assert fed[0].data["data"]["value"] == "bank 0"


async def test_a_queues_feed_shows_who_waits_and_who_comes(channel: ContextHub, ann: ContextHub) -> None:
    queue, first, second = fresh("queue"), await called(channel), await called(channel)
    waiting = await channel.handoffs.offer(first.offer(Target(queue=queue)))
    async with asyncio.timeout(20), aclosing(ann.feeds.queue(queue)) as feed:
        async for fed in feed:
            if fed.type == "snapshot":
                shown = [one["handoff_id"] for one in fed.data["handoffs"]]
                assert shown == [waiting.handoff.handoff_id]
                await channel.handoffs.offer(second.offer(Target(queue=queue)))
            if fed.type == "handoff.offered" and fed.data["customer_id"] == second.customer_id:
                break


async def test_a_channels_feed_brings_what_its_customers_must_be_told(channel: ContextHub, ann: ContextHub) -> None:
    call = await called(channel)
    offered = await channel.handoffs.offer(call.offer(Target(queue=fresh("queue"))))
    feed = asyncio.create_task(took(1, _of(channel.feeds.channel("ivr"), call.customer_id), "message.sent"))
    accepted = await ann.handoffs.accept(offered.handoff.handoff_id, "ann")
    word = told(
        "message.sent",
        interaction_id=call.interaction.interaction_id,
        party="agent",
        text="good day",
        fence=accepted.fence,
    )
    await ann.events.tell(call.customer_id, word)
    [fed] = await feed
    assert fed.data["event_id"] == word.event_id


async def _of(feed: AsyncGenerator[Fed, None], customer_id: str) -> AsyncGenerator[Fed, None]:
    """Only what concerns one customer: other tests share the channel."""
    async with aclosing(feed):
        async for fed in feed:
            if fed.data.get("customer_id") == customer_id:
                yield fed


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "killed"])
async def test_a_feed_goes_on_when_the_hub_is_started_again_under_load(
    channel: ContextHub, running: RunningHub, how: signal.Signals
) -> None:
    call = await called(channel)
    here = call.interaction.interaction_id
    feed = channel.feeds.customer(call.customer_id, after=0, interaction_id=here)
    following = asyncio.create_task(took(200, feed, "message.received"))
    acknowledged: list[str] = []
    telling = [asyncio.create_task(_say(channel, call, f"teller{n}", 50, acknowledged)) for n in range(4)]
    while len(acknowledged) < 20:
        await asyncio.sleep(0.001)
    await asyncio.to_thread(running.stop, how)
    assert len(acknowledged) < 200
    await asyncio.to_thread(running.start)
    await asyncio.gather(*telling)
    fed = [(one.event.version, one.event.event_id) for one in await following if one.event]
    page = await channel.contexts.timeline(call.customer_id, limit=1000, interaction_id=here)
    kept = [(event.version, event.event_id) for event in page.events if event.type == "message.received"]
    assert fed == kept
    assert sorted(event_id for _, event_id in kept) == sorted(acknowledged)


async def _say(channel: ContextHub, call: Call, teller: str, count: int, acknowledged: list[str]) -> None:
    """Say some words, each until it is acknowledged."""
    for number in range(count):
        word = told(
            "message.received",
            interaction_id=call.interaction.interaction_id,
            event_id=f"{teller}-{number}",
            text="hello",
        )
        while not await _is_acknowledged(channel, call, word):
            await asyncio.sleep(0.1)
        acknowledged.append(word.event_id)


async def _is_acknowledged(channel: ContextHub, call: Call, word: Telling) -> bool:
    try:
        await channel.events.tell(call.customer_id, word)
    except Unavailable:
        return False
    return True


async def test_replies_that_are_lost_cost_nothing_but_time(running: RunningHub, adapter_key: str) -> None:
    async with wire(_every_first_reply_is_lost(running.url)) as way, ContextHub(way.url, adapter_key) as channel:
        call = await called(channel)
        await channel.events.tell(call.customer_id, call.fact("order_id", "A-17"))
        offered = await channel.handoffs.offer(call.offer(Target(queue=fresh("queue"))))
        bob = channel.with_key(ADMIN_KEY)
        accepted = await bob.handoffs.accept(offered.handoff.handoff_id, "bob")
        await bob.handoffs.complete(offered.handoff.handoff_id, "bob", accepted.fence, "resolved")
        await channel.interactions.end(call.customer_id, call.interaction.interaction_id)
        page = await bob.contexts.timeline(call.customer_id)
    assert len(way.asked) == 2 * len({(asked.method, asked.target, asked.body) for asked in way.asked})
    types = [event.type for event in page.events]
    assert len(types) == len(set(types)), types


def _every_first_reply_is_lost(hub_url: str) -> Script:
    """Pass every request on to the hub, but lose the reply to each one that comes for the first time."""
    seen: set[tuple[str, str, bytes]] = set()

    async def script(asked: Asked, line: Line) -> None:
        async with httpx.AsyncClient() as hub:
            passed = {name: asked.headers[name] for name in asked.headers if name not in ("host", "content-length")}
            reply = await hub.request(asked.method, hub_url + asked.target, headers=passed, content=asked.body)
        what = (asked.method, asked.target, asked.body)
        await (answer(reply.status_code, reply.content) if what in seen else lose_the_reply)(asked, line)
        seen.add(what)

    return script
