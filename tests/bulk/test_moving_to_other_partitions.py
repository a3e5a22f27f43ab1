"""All that a hub has is taken out and put back with another number of partitions; nobody outside can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctxhub.bulk.exporting import Exporter
from ctxhub.bulk.shape import CustomerLine
from ctxhub.errors import CustomerUnknown, EventIdReused
from ctxhub.hub.hub import Hub
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Ref
from ctxhub.model.interaction import HandoffHint
from ctxhub.settings import CannotStart
from ctxhub.store.contexts import Who
from ctxhub.store.outbox import Outbox
from ctxhub.store.whole import Whole
from tests.bulk.scenes import EVERYTHING, exported, head_of, hub_with, on_disk, put_back
from tests.hub.scenes import begin, in_one, offer, tell
from tests.support import ACME, ADAPTER, ADMIN, DAY, DESK, MINUTE, Clock, a_phone, a_start, leaks

PEOPLE = [f"c{number}" for number in range(12)]
QUEUES = ("cards", "loans")
LED_HOME = ("contexts", "timelines", "identifiers", "externals", "refs", "handoffs", "lists")


class World:
    """What was done on a hub, to be found again."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.handoffs: list[str] = []
        self.fences: dict[str, int] = {}


async def a_busy_day(hub: Hub, clock: Clock) -> World:
    """Calls, chats, facts, handoffs in every state, names of other systems, counters and a key."""
    world = World()
    await hub.keyring.found(hub.ways.master_key)
    await hub.keys.create(ACME, "desk", "agent", "ann")
    for number, customer_id in enumerate(PEOPLE):
        clock.move(timedelta(seconds=7))
        await _a_customer(hub, world, number, customer_id)
    await hub.interactions.start(ADAPTER, a_start("stranger", identifiers=[a_phone("+8613900000099")]))
    return world


async def _a_customer(hub: Hub, world: World, number: int, customer_id: str) -> None:
    who = Who(ACME, customer_id)
    refs = [Ref(system="acd", id=f"acd-{number}")]
    call = await in_one(hub, f"CA{number}", 2, channel="ivr", customer_id=customer_id, refs=refs,
                        identifiers=[a_phone(f"+861380000{number:04}")])  # fmt: skip
    await tell(hub, "fact.stated", call, "f1", who, name="city", value="Xi'an")
    await tell(hub, "message.received", call, "m1", who, text=f"您好 {number}")
    await tell(hub, "journey.started", call, "j1", who, kind="refund", keyed=f"k{number}")
    await hub.asks.ask(who, Reader(), call, ["city"], None)
    if number % 3 == 0:
        handoff = await offer(hub, call, who, to={"queue": QUEUES[number % 2]}, keyed=f"o{number}", expires_in=3600)
        world.handoffs.append(handoff["handoff_id"])
        if number % 2:
            accepted = await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
            world.fences[handoff["handoff_id"]] = accepted["fence"]
    if number % 3 == 1:
        handoff = await offer(hub, call, who, to={"channel": "chat"}, expires_in=3600)
        world.handoffs.append(handoff["handoff_id"])
        world.tokens[handoff["handoff_id"]] = handoff["token"]


async def shown(hub: Hub, world: World) -> dict[str, Any]:
    """All that a hub shows, and what stands behind it, whatever its partitions."""
    kept, lookups = hub.changes.contexts, hub.lookups
    whos = [Who(ACME, customer_id) for customer_id in PEOPLE]
    standing = await Whole(hub.server).customers(whos)
    lists = {
        place: await hub.handoffs._lists.members(ACME, place)
        for place in ("waiting:queue:cards", "waiting:queue:loans", "held:queue:cards", "held:queue:loans", "open:ivr")
    }
    return {
        "standing": [(s.who, s.head, s.known, s.saved, s.due, s.lease, s.until) for s in standing],
        "contexts": await kept.many(whos),
        "timelines": [await kept.timeline(who, 0, None, 1000) for who in whos],
        "views": [(await hub.contexts.read(who, ADMIN.reader())).json for who in whos],
        "queues": [(await hub.queues.show(ACME, queue)).waiting for queue in QUEUES],
        "lists": lists,
        "waiting": [
            [handoff.handoff_id for handoff in await hub.handoffs.waiting(ACME, queue, state)]
            for queue in QUEUES
            for state in ("offered", "accepted")
        ],
        "identifiers": await lookups.owners(ACME, [a_phone(f"+861380000{n:04}") for n in range(len(PEOPLE))]),
        "externals": [await lookups.external(ACME, "ivr", f"CA{n}") for n in range(len(PEOPLE))],
        "refs": [await lookups.ref(ACME, "acd", "call", f"acd-{n}") for n in range(len(PEOPLE))],
        "handoffs": [await lookups.handoff(ACME, handoff_id) for handoff_id in world.handoffs],
        "tokens": [await lookups.token(token) for token in world.tokens.values()],
        "due": sorted(await hub._outbox.due(hub._outbox.partitions, hub.ways.clock() + DAY, 1000)),
        "numbers": await hub.handoffs._lists.numbers(ACME, [hub.ways.clock().date()]),
        "feeds": [await hub.streams._feeds.after(ACME, f"queue:{queue}", "0") for queue in QUEUES],
        "keys": await hub.keyring.every(),
    }


@asynccontextmanager
async def moved(hub: Hub, redis_url: str, partitions: int, folder: Path, **ways: Any) -> AsyncIterator[Hub]:
    """The hub's content with another number of partitions."""
    path = on_disk(await exported(hub), folder / "all.jsonl")
    async with hub_with(redis_url, partitions, hub, **ways) as other:
        tally = await put_back(other, path)
        assert tally.refused == 0
        yield other


@pytest.mark.parametrize("partitions", [8, 3, 64, 200])
async def test_all_that_was_there_is_there_with_another_number_of_partitions(
    hub: Hub, clock: Clock, redis_url: str, tmp_path: Path, partitions: int
) -> None:
    world = await a_busy_day(hub, clock)
    await exported(hub)  # brings the outboxes to rest, so that numbers and feeds stand
    before = await shown(hub, world)
    assert before["numbers"]
    assert any(before["feeds"])
    assert all(before["tokens"])
    async with moved(hub, redis_url, partitions, tmp_path) as other:
        assert await shown(other, world) == before
        assert leaks(redis_url) == []


@pytest.mark.parametrize("partitions", [3, 200])
async def test_work_goes_on_after_the_move(
    hub: Hub, clock: Clock, redis_url: str, tmp_path: Path, partitions: int
) -> None:
    world = await a_busy_day(hub, clock)
    async with moved(hub, redis_url, partitions, tmp_path) as other:
        for number, (handoff_id, token) in enumerate(world.tokens.items()):
            start = a_start(f"w{number}", handoff=HandoffHint(token=token))
            answer, _ = await other.interactions.redeem(ADAPTER, start)
            assert answer["handoff"]["handoff_id"] == handoff_id
            assert answer["interaction"]["assurance"]["level"] == 2
        for handoff_id, fence in world.fences.items():
            done = await other.handoffs.complete(DESK, handoff_id, "ann", fence, None)
            assert done.handoff.state == "completed"
        assert (await begin(other, "CA0", channel="ivr"))["customer_id"] == "c0"
        fresh = await offer(other, await in_one(other, "new", customer_id="c2"), Who(ACME, "c2"))
        assert (await other.handoffs.accept(DESK, fresh["handoff_id"], "bob"))["fence"] > 1


async def test_what_was_told_or_keyed_before_the_move_is_known_after_it(
    hub: Hub, clock: Clock, redis_url: str, tmp_path: Path
) -> None:
    world = await a_busy_day(hub, clock)
    who = Who(ACME, "c0")
    call = (await begin(hub, "CA0", channel="ivr"))["interaction"]["interaction_id"]
    told = {"name": "city", "value": "Xi'an"}
    async with moved(hub, redis_url, 3, tmp_path) as other:
        version = (await other.changes.contexts.existing(who))[0].version
        again = await tell(other, "fact.stated", call, "f1", who, **told)
        assert again["results"] == [{"event_id": "f1", "version": 2, "duplicate": True}]
        with pytest.raises(EventIdReused):
            await tell(other, "fact.stated", call, "f1", who, **told | {"value": "Bern"})
        offered = await offer(other, call, who, to={"queue": "cards"}, keyed="o0", expires_in=3600)
        assert offered["handoff_id"] == world.handoffs[0]
        assert (await other.changes.contexts.existing(who))[0].version == version


async def test_what_falls_due_after_the_move_lapses(hub: Hub, clock: Clock, redis_url: str, tmp_path: Path) -> None:
    await a_busy_day(hub, clock)
    async with moved(hub, redis_url, 3, tmp_path) as other:
        assert len(await other.handoffs.waiting(ACME, "cards", "offered")) == 2
        clock.move(61 * MINUTE)
        for who in await other._outbox.due(other._outbox.partitions, clock(), 1000):
            await other.wake(who)
        expired = [
            context.handoffs for context in await other.changes.contexts.many([Who(ACME, "c0"), Who(ACME, "c6")])
        ]
        assert [handoff.state for handoffs in expired for handoff in handoffs.values()] == ["expired", "expired"]


class TestComingToRest:
    """What moves must stand still: no hub at work, nothing left to tell on."""

    async def test_a_hub_at_work_is_in_the_way_and_the_remedy_is_said(self, hub: Hub, clock: Clock) -> None:
        await hub.keyring.found(hub.ways.master_key)
        await Outbox(hub.server, "another hub").lease_all(clock(), timedelta(seconds=2))
        with pytest.raises(CannotStart, match=r"a hub is at work on this Redis: stop it.*--live"):
            await exported(hub)
        lines = await exported(hub, EVERYTHING._replace(live=True))
        assert not head_of(lines).still

    async def test_a_hub_that_died_is_not_in_the_way_once_its_lease_is_over(self, hub: Hub, clock: Clock) -> None:
        await hub.keyring.found(hub.ways.master_key)
        await Outbox(hub.server, "dead").lease_all(clock(), timedelta(seconds=2))
        clock.move(timedelta(seconds=3))
        assert head_of(await exported(hub)).still

    async def test_what_is_left_in_the_outboxes_is_told_on_first(self, hub: Hub, clock: Clock) -> None:
        await a_busy_day(hub, clock)
        assert await Whole(hub.server).undrained(["telling"]) > 0
        await exported(hub)
        assert await Whole(hub.server).undrained(["telling"]) == 0
        assert await hub.handoffs._lists.numbers(ACME, [clock().date()])

    async def test_a_write_meanwhile_is_noticed(self, hub: Hub, clock: Clock) -> None:
        await a_busy_day(hub, clock)

        async def disturbed() -> None:
            lines = Exporter(hub, EVERYTHING).lines()
            await anext(lines)
            await in_one(hub, "late", customer_id="c1")
            async for _ in lines:
                pass

        with pytest.raises(CannotStart, match="something was written meanwhile: stop every hub"):
            await disturbed()


class TestAnotherMasterKey:
    """Look-ups are sealed with the master key; with another one they are made anew from what is known."""

    async def test_identifiers_and_names_lead_home_and_handoffs_get_new_tokens(
        self, hub: Hub, clock: Clock, redis_url: str, tmp_path: Path
    ) -> None:
        world = await a_busy_day(hub, clock)
        expected = await shown(hub, world)
        async with moved(hub, redis_url, 3, tmp_path, master_key=b"quite another master key") as other:
            found = await shown(other, world)
            for same in LED_HOME:
                assert found[same] == expected[same], same
            assert found["tokens"] == [None] * len(world.tokens)
            for handoff_id in world.tokens:
                token = other.handoffs._secrets.token(handoff_id)
                assert (await other.handoffs.by_token(ADMIN, token)).handoff.handoff_id == handoff_id


class TestOneTenantOrCustomer:
    """Less than everything may be taken out of a hub at work; it brings along what leads to it."""

    async def test_a_tenant_s_customers_can_be_put_into_another_hub(
        self, hub: Hub, clock: Clock, redis_url: str, tmp_path: Path
    ) -> None:
        world = await a_busy_day(hub, clock)
        await hub.interactions.start(ADMIN.but(tenant="other"), a_start("o1", customer_id="theirs"))
        expected = await shown(hub, world)
        lines = await exported(hub, EVERYTHING._replace(tenant=ACME))
        async with hub_with(redis_url, 16, hub) as other:
            await put_back(other, on_disk(lines, tmp_path / "acme.jsonl.gz"))
            found = await shown(other, world)
            for same in (*LED_HOME, "tokens", "keys"):
                assert found[same] == expected[same], same
            with pytest.raises(CustomerUnknown):
                await other.changes.contexts.existing(Who("other", "theirs"))

    async def test_one_customer(self, hub: Hub, clock: Clock, redis_url: str, tmp_path: Path) -> None:
        await a_busy_day(hub, clock)
        who = Who(ACME, "c1")
        expected = await hub.changes.contexts.existing(who)
        lines = await exported(hub, EVERYTHING._replace(tenant=ACME, customer_id="c1", keys=False))
        assert [line.kind for line in lines] == ["head", "customer", *["event"] * expected[0].version, "end"]
        async with hub_with(redis_url, 16, hub) as other:
            await put_back(other, on_disk(lines, tmp_path / "one.jsonl"))
            assert await other.changes.contexts.existing(who) == expected

    async def test_one_customer_with_whoever_was_merged_into_it(self, hub: Hub, redis_url: str, tmp_path: Path) -> None:
        await hub.keyring.found(hub.ways.master_key)
        for number, customer_id in enumerate(("c1", "c2", "c3")):
            await in_one(hub, f"m{number}", 2, customer_id=customer_id)
        await hub.merging.merge(Who(ACME, "c2"), "c3")
        merge = await hub.merging.merge(Who(ACME, "c1"), "c2")
        lines = await exported(hub, EVERYTHING._replace(tenant=ACME, customer_id="c1", keys=False))
        assert [line.customer_id for line in lines if isinstance(line, CustomerLine)] == ["c1", "c2", "c3"]
        async with hub_with(redis_url, 16, hub) as other:
            await put_back(other, on_disk(lines, tmp_path / "one.jsonl"))
            await other.merging.unmerge(Who(ACME, "c1"), str(merge.merge_id))
            assert await other.changes.contexts.home(Who(ACME, "c3")) == Who(ACME, "c2")

    async def test_one_who_is_not_there(self, hub: Hub) -> None:
        await hub.keyring.found(hub.ways.master_key)
        with pytest.raises(CustomerUnknown, match="there is no customer nobody"):
            await exported(hub, EVERYTHING._replace(tenant=ACME, customer_id="nobody"))


async def test_a_merge_moves_along_and_can_still_be_undone(
    hub: Hub, redis_url: str, clock: Clock, tmp_path: Path
) -> None:
    await hub.keyring.found(hub.ways.master_key)
    c1, c2 = Who(ACME, "c1"), Who(ACME, "c2")
    for number, who in enumerate((c1, c2)):
        call = await in_one(hub, f"CA{number}", 2, customer_id=who.customer_id,
                            identifiers=[a_phone(f"+861380000000{number}")])  # fmt: skip
        await tell(hub, "fact.stated", call, f"f{number}", who, name="city", value=f"city {number}")
    merge_id = (await hub.merging.merge(c1, "c2")).merge_id or ""
    path = on_disk(await exported(hub), tmp_path / "all.jsonl")
    async with hub_with(redis_url, 5, hub) as fresh:
        tally = await put_back(fresh, path)
        assert (tally.customers, tally.refused) == (2, 0)
        assert await fresh.changes.contexts.home(c2) == c1
        assert await fresh.customers.lookup(ACME, a_phone("+8613800000001")) == c1
        await fresh.merging.unmerge(c1, merge_id)
        assert await fresh.customers.lookup(ACME, a_phone("+8613800000001")) == c2
        _, theirs = await fresh.changes.contexts.existing(c2)
        assert [fact.value for fact in theirs.facts] == ["city 1"]
