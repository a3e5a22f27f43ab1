"""Forgetting: shut to everybody at once, erased step by step, and completed by whoever comes next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import Changed, CustomerUnknown, HandoffUnknown, IdempotencyKeyReused, Lapsed, Unreadable
from ctxhub.hub.changes import PLAIN, Decision, Request
from ctxhub.hub.forgetting import Forgetting
from ctxhub.hub.hub import Hub
from ctxhub.hub.streams import Told
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Ref
from ctxhub.store.contexts import Plan, Who
from ctxhub.store.forgetting import Erasing
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, a_stranger, an_operation, begin, context_of, eventually, in_one, offer, tell
from tests.support import ACME, ADAPTER, DESK, Clock, a_phone, ways

EVERYTHING = Reader(role="admin")
STEPS = ["_traces", "_leave_lookups", "_leave_feeds", "_leave_others"]


class Killed(BaseException):
    """The process ends here."""


def killed_at(monkeypatch: pytest.MonkeyPatch, owner: Any, step: str) -> None:
    """Let a process end as it comes to a step."""

    async def end(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(owner, step, end)


async def somebody(hub: Hub) -> tuple[str, dict[str, Any]]:
    """A customer who waits for an agent; the interaction and the handoff."""
    interaction_id = await in_one(hub, level=2, identifiers=[a_phone()], refs=[Ref(system="acd", id="7")])
    await tell(hub, "fact.stated", interaction_id, "card", keyed="k1", name="card_number", value="6225")
    return interaction_id, await offer(hub, interaction_id, keyed="k2")


def left_of(redis: Redis) -> set[str]:
    """What stands in Redis that is of nobody else."""
    names = {key.split(":", 2)[2] for key in redis.scan_iter()}
    return {name for name in names if "feed:" not in name} - {"outbox", "founding", "due"}


async def test_a_forgotten_handoff_is_gone_at_once_and_its_followers_are_told(hub: Hub) -> None:
    _, handoff = await somebody(hub)
    queue = hub.streams.queue(ACME, "cards", None)
    assert [(await anext(queue)).type, (await anext(queue)).type] == ["ready", "snapshot"]
    await hub.customers.forget(WHO)
    assert await hub.handoffs.waiting(ACME, "cards", "offered") == []
    with pytest.raises(HandoffUnknown):
        await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
    told = await anext(queue)
    while not told.type:
        told = await anext(queue)
    assert (told.type, told.data["data"]["handoff_id"]) == ("handoff.cancelled", handoff["handoff_id"])
    assert "c42" not in repr(told)


async def test_an_accepted_handoff_is_no_longer_its_agents(hub: Hub) -> None:
    interaction_id, handoff = await somebody(hub)
    taken = await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
    await hub.customers.forget(WHO)
    assert await hub.handoffs.waiting(ACME, "cards", "accepted") == []
    with pytest.raises(HandoffUnknown):
        await hub.handoffs.complete(DESK, handoff["handoff_id"], "ann", taken["fence"], "resolved")
    with pytest.raises(CustomerUnknown):
        await tell(hub, "message.sent", interaction_id, "m9", party="agent", text="hello?", fence=2)


async def test_whoever_follows_a_customer_is_told_that_it_is_over(hub: Hub) -> None:
    async with hub_at_work(hub):
        await somebody(hub)
        stream = hub.streams.customer(WHO, EVERYTHING, None)
        assert (await anext(stream)).type == "ready"
        await hub.customers.forget(WHO)
        with pytest.raises(CustomerUnknown, match="was forgotten"):
            await to_its_end(stream)


async def to_its_end(stream: AsyncIterator[Told]) -> None:
    """Follow a stream as long as it goes."""
    async for _ in stream:
        continue


async def test_every_process_drops_what_it_holds(hub: Hub, server: Server, clock: Clock) -> None:
    other = Hub(server, ways(clock))
    async with hub_at_work(other):
        await somebody(hub)
        await other.contexts.read(WHO, EVERYTHING)
        assert WHO in other.changes.contexts._parsed
        await hub.customers.forget(WHO)
        await eventually(lambda: holds_nothing(other))


async def holds_nothing(hub: Hub) -> bool:
    """Tell whether a process holds nothing of the customer."""
    return WHO not in hub.changes.contexts._parsed and not [key for key in hub.contexts._seen if key[0] == WHO]


def hub_at_work(hub: Hub) -> Any:
    """A hub that listens and relays for as long as the block lasts."""
    return hub.working()


@pytest.mark.parametrize("step", [*STEPS, "erase"])
async def test_killed_at_any_step_another_process_completes_it(
    hub: Hub, server: Server, clock: Clock, redis: Redis, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await somebody(hub)
    with monkeypatch.context() as patched:
        killed_at(patched, Erasing if step == "erase" else Forgetting, step)
        with pytest.raises(Killed):
            await hub.customers.forget(WHO)
    other = Hub(server, ways(clock))
    for work in (context_of(other), other.customers.forget(WHO), tell(other, "x.y", None, "e9")):
        with pytest.raises(CustomerUnknown):  # it is shut from the first moment on
            await work
    assert await other._outbox.due(other._outbox.partitions, clock()) == [WHO]
    await other.wake(WHO)
    assert left_of(redis) == set()
    assert await other._outbox.due(other._outbox.partitions, clock()) == []


async def test_what_is_being_decided_meanwhile_brings_nobody_back(hub: Hub, server: Server, clock: Clock) -> None:
    await somebody(hub)
    other = Hub(server, ways(clock))
    loaded, context = await other.changes.contexts.existing(WHO)
    await Erasing(server, hub.changes.contexts).begin(WHO, clock())
    assert await other.changes.contexts.commit(WHO, loaded, Plan(context.but(known=False)), clock(), None) is None
    with pytest.raises(CustomerUnknown):
        await other.changes.change(WHO, lambda present: Decision(present.known))
    assert await other.forgetting.complete(WHO)


async def test_forty_at_once_erase_a_customer_once(hub: Hub, server: Server, clock: Clock) -> None:
    await somebody(hub)
    hubs = [hub, Hub(server, ways(clock))]
    done = await asyncio.gather(*(hubs[n % 2].customers.forget(WHO) for n in range(40)), return_exceptions=True)
    receipts = [one for one in done if isinstance(one, dict)]
    assert len(receipts) >= 1
    assert {type(one) for one in done if not isinstance(one, dict)} <= {CustomerUnknown}
    with pytest.raises(CustomerUnknown):
        await context_of(hub)


async def test_the_receipt_counts_and_names_other_systems_and_tells_no_value(hub: Hub) -> None:
    interaction_id, _ = await somebody(hub)
    ref = {"system": "recorder", "kind": "recording", "id": "r-9"}
    await tell(hub, "recording.started", interaction_id, "rec", ref=ref)
    receipt = await hub.customers.forget(WHO)
    assert receipt["erased"] == {"events": 4, "facts": 1, "interactions": 1, "handoffs": 1, "identifiers": 1}
    assert receipt["beside"]["operations"] == 2
    assert ref in receipt["copies_elsewhere"]
    assert {"system": "acd", "kind": "call", "id": "7"} in receipt["copies_elsewhere"]
    assert receipt["receipt_id"].startswith("rc_")
    assert not any(value in repr(receipt) for value in ("6225", "13800138000"))


async def test_who_can_not_be_read_can_be_forgotten(hub: Hub, server: Server, clock: Clock, redis: Redis) -> None:
    await somebody(hub)
    redis.hset(hub.changes.contexts.keys(WHO).context, "key", "AAEAAQ==")
    other = Hub(server, ways(clock))
    with pytest.raises(Unreadable):
        await context_of(other)
    await other.wake(WHO)  # is left for a while, and disturbs nobody
    assert await other._outbox.due(other._outbox.partitions, clock()) == []
    await other.customers.forget(WHO)
    assert left_of(redis) == set()


async def test_an_older_version_is_not_erased(hub: Hub) -> None:
    await somebody(hub)
    with pytest.raises(Changed):
        await hub.customers.forget(WHO, Request(if_match=1))
    await hub.customers.forget(WHO, Request(if_match=3))


async def test_nobody_points_at_who_was_forgotten(hub: Hub) -> None:
    stranger = await hub.interactions.start(ADAPTER, a_stranger("x9", a_phone("+8613800138009")))
    source = Who(ACME, stranger[0]["customer_id"])
    interaction_id = stranger[0]["interaction"]["interaction_id"]
    await begin(hub, "x1", level=2)
    await hub.interactions.identify(source, interaction_id, to="c42", claim=None)
    assert (await context_of(hub, source)).moved == {interaction_id: "c42"}
    receipt = await hub.customers.forget(WHO)
    assert receipt["beside"]["pointers"] == 1
    assert (await context_of(hub, source)).moved == {}


async def test_records_of_an_idempotency_key_go_along(hub: Hub, redis: Redis) -> None:
    await somebody(hub)
    kept = [name for name in redis.scan_iter() if ":operation:" in name or ":start:" in name]
    assert len(kept) == 2
    await hub.customers.forget(WHO)
    assert not [name for name in redis.scan_iter() if ":operation" in name or ":start:" in name]


async def test_the_same_request_again_gets_the_same_receipt_and_nobody_else_reads_it(
    hub: Hub, server: Server, clock: Clock, redis: Redis
) -> None:
    await somebody(hub)
    request = Request(operation=an_operation("forget c42"))
    receipt = await hub.customers.forget(WHO, request)
    assert await Hub(server, ways(clock)).customers.forget(WHO, request) == receipt
    for other in (Request(operation=an_operation("another key")), PLAIN):
        with pytest.raises(CustomerUnknown):
            await hub.customers.forget(WHO, other)
    with pytest.raises(IdempotencyKeyReused):
        await hub.customers.forget(WHO, Request(operation=an_operation("forget c42", "something else")))
    (key,) = redis.keys("ctxhub:{*}:acme:receipt:*")
    assert WHO.customer_id not in key
    assert receipt["receipt_id"] not in redis.get(key)
    assert 0 < redis.ttl(key) <= 48 * 3600


@pytest.mark.parametrize("step", [*STEPS, "erase"])
async def test_a_receipt_is_there_though_whoever_erased_was_killed(
    hub: Hub, server: Server, clock: Clock, redis: Redis, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await somebody(hub)
    request = Request(operation=an_operation("forget c42"))
    with monkeypatch.context() as patched:
        killed_at(patched, Erasing if step == "erase" else Forgetting, step)
        with pytest.raises(Killed):
            await hub.customers.forget(WHO, request)
    other = Hub(server, ways(clock))
    receipt = await other.customers.forget(WHO, request)
    assert (receipt["customer_id"], receipt["erased"]["facts"]) == ("c42", 1)
    await other.wake(WHO)
    assert await other.customers.forget(WHO, request) == receipt
    assert {name.split(":")[1] for name in left_of(redis)} == {"receipt"}


async def test_twins_get_one_receipt(hub: Hub, server: Server, clock: Clock) -> None:
    await somebody(hub)
    request = Request(operation=an_operation("forget c42"))
    hubs = [hub, *(Hub(server, ways(clock)) for _ in range(2))]
    receipts = await asyncio.gather(*[each.customers.forget(WHO, request) for each in hubs * 3])
    assert len({receipt["receipt_id"] for receipt in receipts}) == 1


async def test_the_files_are_written_anew_once_for_all_who_were_erased(
    hub: Hub, redis: Redis, server: Server, clock: Clock
) -> None:
    for number in range(3):
        await begin(hub, f"x{number}", customer_id=f"c{number}")
        await hub.customers.forget(Who(ACME, f"c{number}"))
    before = base_of(redis)
    assert await hub.sweeping.sweep()
    after = base_of(redis)
    assert not await hub.sweeping.sweep()
    assert before != after == base_of(redis)


def base_of(redis: Redis) -> list[str]:
    """The files that an append-only file was written anew into."""
    folder = Path(str(redis.config_get("dir")["dir"])) / "appendonlydir"
    return sorted(path.name for path in folder.glob("*.base.*"))


async def test_whose_time_is_over_is_told_from_who_never_was(hub: Hub, redis: Redis) -> None:
    interaction_id, _ = await somebody(hub)
    keys = hub.changes.contexts.keys(WHO)
    redis.delete(keys.document, keys.timeline, keys.events)  # as its lifetime does
    works: list[Callable[[], Any]] = [
        lambda: hub.contexts.read(WHO, EVERYTHING),
        lambda: tell(hub, "fact.stated", interaction_id, "f9", name="city", value="Bern"),
        lambda: tell(hub, "message.received", interaction_id, "m9", text="hello"),
        lambda: hub.customers.add_identifier(WHO, a_phone("+8613800138001")),
    ]
    for work in works:
        with pytest.raises(Lapsed):
            await work()
    with pytest.raises(CustomerUnknown):
        await hub.contexts.read(Who(ACME, "never"), EVERYTHING)
    again = await begin(hub, "x2", level=2)
    assert again["context"]["version"] == 1


async def test_of_a_lapsed_customer_not_even_that_is_left_which_told_of_it(hub: Hub, redis: Redis) -> None:
    await somebody(hub)
    keys = hub.changes.contexts.keys(WHO)
    redis.delete(keys.document)
    with pytest.raises(CustomerUnknown):
        await hub.customers.forget(WHO)
    assert not redis.exists(keys.context, keys.timeline, keys.events, keys.operations)
