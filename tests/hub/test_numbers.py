"""Numbers are exact: each event is counted once, whoever relays it and however often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ctxhub.hub.hub import Hub
from ctxhub.hub.numbers import DEFINITIONS, Counting
from ctxhub.hub.tenants import Tenants
from ctxhub.model.disclosure import Reader
from ctxhub.model.interaction import HandoffHint
from ctxhub.model.metric import Metric
from ctxhub.model.tenant import Tenant
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, eventually, in_one, offer, tell
from tests.support import ACME, ADAPTER, DESK, HOUR, MINUTE, SECOND, TENANT, Clock, a_start, ways

TODAY = date(2026, 11, 22)


async def relayed(*hubs: Hub) -> None:
    """Let hubs take leases and tell on until nothing is left."""
    for hub in hubs:
        await hub.relay._keep_leases()
    await asyncio.gather(*(hub.relay._drain() for hub in hubs))


async def numbers(hub: Hub) -> dict[str, Any]:
    found = await hub.numbers.over(ACME, TODAY, TODAY)
    for shown in found["handoffs"]["times"].values():
        for quantile in ("p50", "p90", "p95"):
            del shown[quantile]
    return {name: found[name] for name in found if name in DEFINITIONS}


async def a_story(hub: Hub, number: int = 1) -> None:
    """A customer says something, is asked again, goes on in the chat and ends with an agent who waited a minute."""
    who = Who(ACME, f"c{number}")
    call = await in_one(hub, f"CA{number}", 2, channel="ivr", customer_id=who.customer_id)
    await tell(hub, "fact.stated", call, "f1", who, name="city", value="Xi'an")
    await tell(hub, "fact.stated", call, "f2", who, name="order_id", value="A-17")
    journey = (await tell(hub, "journey.started", call, "j1", who, kind="refund"))["results"][0]["journey_id"]
    await tell(hub, "commitment.made", call, "p1", who, what="call back", owner="cards", due_at="2026-11-23T12:00:00Z",
               commitment_id="cm_1")  # fmt: skip
    link = await offer(hub, call, who, to={"channel": "chat"})
    token = HandoffHint(token=link["token"])
    answer, _ = await hub.interactions.redeem(ADAPTER, a_start(f"w{number}", handoff=token))
    chat = answer["interaction"]["interaction_id"]
    await hub.asks.ask(who, Reader(), chat, ["city", "street"], None)
    for _ in range(2):
        await tell(hub, "question.asked", chat, "q1", who, names=["city", "street"])
    await tell(hub, "journey.resumed", chat, "j2", who, journey_id=journey)
    await tell(hub, "journey.completed", chat, "j3", who, journey_id=journey)
    await tell(hub, "commitment.kept", chat, "p2", who, commitment_id="cm_1")
    await tell(hub, "message.sent", chat, "m1", who, party="bot", text="x", fence=9, delivered=True)
    handoff = await offer(hub, chat, who)
    hub.ways.clock.move(MINUTE)  # type: ignore[attr-defined]
    await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
    hub.ways.clock.move(2 * SECOND)  # type: ignore[attr-defined]
    await hub.handoffs.receipt(DESK, handoff["handoff_id"], "ann")
    hub.ways.clock.move(28 * SECOND)  # type: ignore[attr-defined]
    await hub.handoffs.complete(DESK, handoff["handoff_id"], "ann", 2, None)


ONE = {
    "repeats": {
        "total": 1, "by_channel": {"chat": 1, "ivr": None}, "by_fact": {"city": 1}, "by_hop": {"ivr>chat": 1},
        "by_fact_and_hop": [{"fact": "city", "from": "ivr", "to": "chat", "repeats": 1}],
        "instrumented": {"chat": True, "desk": False, "ivr": False},
    },
    "questions_asked": {"total": 2, "by_channel": {"chat": 2}, "by_purpose": {"ask": 2}},
    "questions_saved": {"total": 1, "by_channel": {"chat": 1}},
    "facts_carried": {"total": 4, "by_channel": {"chat": 2, "desk": 2}, "by_hop": {"ivr>chat": 2, "chat>desk": 2}},
    "hops": [
        {"from": "chat", "to": "desk", "by": "handoff", "hops": 1, "known": 1, "repeated": None},
        {"from": "ivr", "to": "chat", "by": "handoff", "hops": 1, "known": 1, "repeated": 1},
    ],
    "handoffs": {
        "by_state": {"offered": 2, "accepted": 2, "shown": 1, "completed": 1},
        "waited_seconds": 60.0,
        "times": {
            "accept": {"n": 1, "mean": 60.0, "up_to": {"60": 1}},
            "handle": {"n": 1, "mean": 30.0, "up_to": {"30": 1}},
            "context": {"n": 1, "mean": 2.0, "up_to": {"2": 1}},
        },
    },
    "commitments": {"by_state": {"made": 1, "kept": 1}},
    "journeys": {"by_kind": {"refund": {"started": 1, "completed": 1}}},
    "resume": {"offered": 1, "taken": 1, "declined": 0},
    "out_of_turn": {"total": 1, "by_channel": {"chat": 1}},
}  # fmt: skip


def times(value: Any, factor: int, name: str = "") -> Any:
    if isinstance(value, dict):
        return {name: times(inner, factor, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [times(inner, factor) for inner in value]
    return value if isinstance(value, bool | str | None) or name == "mean" else value * factor


async def test_one_story_is_counted_as_it_was(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    assert await numbers(hub) == ONE


async def test_relayed_again_and_by_several_at_once_nothing_is_counted_twice(
    hub: Hub, server: Server, clock: Clock
) -> None:
    others = [Hub(server, ways(clock)) for _ in range(3)]
    for number in range(5):
        await a_story(hub, number)
        await relayed(hub, *others)
    await relayed(*others, hub)
    assert await numbers(hub) == times(ONE, 5)


async def test_a_relay_that_lost_its_lease_on_the_way_counts_nothing(hub: Hub, server: Server, clock: Clock) -> None:
    await a_story(hub)
    await hub.relay._keep_leases()
    clock.move(MINUTE)
    other = Hub(server, ways(clock))
    await other.relay._keep_leases()
    await hub.relay._drain()
    assert (await numbers(hub))["repeats"]["total"] == 0
    await relayed(other)
    assert await numbers(hub) == ONE


async def test_after_counting_the_outbox_is_almost_empty(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    assert await hub.backlog() <= 1


async def test_questions_saved_are_counted_once_per_interaction_and_name_over_all_processes(
    hub: Hub, server: Server, clock: Clock
) -> None:
    interaction_id = await in_one(hub)
    await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an")
    for asking in (hub, hub, Hub(server, ways(clock))):
        await asking.asks.ask(WHO, Reader(), interaction_id, ["city"], None)
    assert (await numbers(hub))["questions_saved"]["total"] == 1


async def test_asking_is_a_read(hub: Hub) -> None:
    interaction_id = await in_one(hub)
    found = await hub.asks.ask(WHO, Reader(), interaction_id, ["city"], None)
    assert (found.version, found.answers[0].verdict) == (1, "ask")
    assert (await hub.changes.contexts.load(WHO)).version == 1


async def test_days_and_tenants_are_apart(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    yesterday = await hub.numbers.over(ACME, date(2026, 11, 21), date(2026, 11, 21))
    elsewhere = await hub.numbers.over("other", TODAY, TODAY)
    assert yesterday["repeats"]["total"] == elsewhere["repeats"]["total"] == 0
    both = await hub.numbers.over(ACME, date(2026, 11, 21), TODAY)
    assert both["repeats"]["total"] == 1


async def test_each_number_says_what_it_means(hub: Hub) -> None:
    found = await hub.numbers.over(ACME, TODAY, TODAY)
    about = {"from", "to", "time_zone", "channel", "metrics", "definitions"}
    assert found["definitions"].keys() == found.keys() - about
    assert found["definitions"] == DEFINITIONS


@pytest.mark.parametrize("type_", ["message.received", "fact.stated", "x.seen", "interaction.ended"])
def test_what_is_no_number_is_not_counted(type_: str) -> None:
    event = {"type": type_, "data": {"repeats": ["a"], "carried": 3, "agent_id": "x"}, "at": "2026-11-22T12:00:00.000Z"}
    assert Counting(Tenants(None)).tallies([(WHO, event)]) == []


@pytest.fixture
async def following(hub: Hub) -> AsyncIterator[Hub]:
    """A hub at work."""
    async with hub.working():
        yield hub


async def test_a_hub_at_work_counts_by_itself(following: Hub) -> None:
    await a_story(following)

    async def counted() -> bool:
        return await numbers(following) == ONE

    await eventually(counted)


# Places that tell what they ask, and those that don't


def declares(folder: Path, **more: Any) -> None:
    """Let acme declare more."""
    shown = TENANT.model_dump(mode="json", exclude={"tenant"}) | more
    (folder / f"{ACME}.yaml").write_text(json.dumps(shown), encoding="utf-8")


async def metric(hub: Hub, id_: str, tenant: str = ACME) -> Metric:
    return await hub.numbers.metric(tenant, id_, TODAY, TODAY)


async def test_a_place_that_never_tells_what_it_asks_has_no_repeats_and_not_none(hub: Hub) -> None:
    call = await in_one(hub, "CA1", 2, channel="ivr")
    await tell(hub, "fact.stated", call, "f1", name="city", value="Xi'an")
    await hub.handoffs.accept(DESK, (await offer(hub, call))["handoff_id"], "ann")
    await relayed(hub)
    found = await numbers(hub)
    assert found["repeats"]["instrumented"] == {"desk": False, "ivr": False}
    assert found["repeats"]["by_channel"] == {"ivr": None}
    assert [hop["repeated"] for hop in found["hops"]] == [None]
    assert (await metric(hub, "rqr.handoff")).status == "not_instrumented"


@pytest.mark.parametrize(("declared", "status", "left_out"), [(True, "too_few", 0), (False, "not_instrumented", 0)])
async def test_a_tenant_may_declare_it(
    server: Server, clock: Clock, tenants_folder: Path, declared: bool, status: str, left_out: int
) -> None:
    declares(tenants_folder, channels={"desk": {"instrumented": declared}})
    hub = Hub(server, ways(clock, tenants=tenants_folder))
    call = await in_one(hub, "CA1", 2, channel="ivr")
    await tell(hub, "fact.stated", call, "f1", name="city", value="Xi'an")
    await hub.handoffs.accept(DESK, (await offer(hub, call))["handoff_id"], "ann")
    await relayed(hub)
    assert (await numbers(hub))["repeats"]["instrumented"]["desk"] is declared
    found = await metric(hub, "rqr.handoff")
    assert (found.status, found.left_out) == (status, left_out)


async def test_days_are_the_tenant_s_own(server: Server, clock: Clock, tenants_folder: Path) -> None:
    declares(tenants_folder, timezone="Asia/Shanghai")
    hub = Hub(server, ways(clock, tenants=tenants_folder))
    clock.move(5 * HOUR)  # 17:00 in UTC is one o'clock of the next day in Shanghai
    call = await in_one(hub, "CA1", 2, channel="ivr")
    await tell(hub, "fact.stated", call, "f1", name="city", value="Xi'an")
    await hub.asks.ask(WHO, Reader(), call, ["city"], None)
    await tell(hub, "question.asked", call, "q1", names=["city"])
    await relayed(hub)
    assert hub.numbers.today(ACME) == date(2026, 11, 23)
    here = await hub.numbers.over(ACME, date(2026, 11, 23), date(2026, 11, 23))
    assert (here["repeats"]["total"], here["questions_saved"]["total"], here["time_zone"]) == (1, 1, "Asia/Shanghai")
    assert (await hub.numbers.over(ACME, TODAY, TODAY))["repeats"]["total"] == 0


async def test_what_is_learned_of_a_hop_later_counts_on_the_day_of_the_hop(hub: Hub, clock: Clock) -> None:
    clock.move(12 * HOUR - MINUTE)
    call = await in_one(hub, "CA1", 2, channel="ivr")
    await tell(hub, "fact.stated", call, "f1", name="city", value="Xi'an")
    await hub.handoffs.accept(DESK, (await offer(hub, call))["handoff_id"], "ann")
    clock.move(2 * MINUTE)
    await tell(hub, "question.asked", call, "q1", party="agent", names=["city"])
    await relayed(hub)
    yesterday = await hub.numbers.over(ACME, TODAY, TODAY)
    assert [(hop["known"], hop["repeated"]) for hop in yesterday["hops"]] == [(1, 1)]
    today = await hub.numbers.over(ACME, date(2026, 11, 23), date(2026, 11, 23))
    assert (today["hops"], today["repeats"]["total"]) == ([], 1)


async def test_of_one_channel_only_that_channel_is_counted(hub: Hub) -> None:
    await a_story(hub)
    await relayed(hub)
    found = await hub.numbers.over(ACME, TODAY, TODAY, "ivr")
    assert (found["channel"], found["repeats"]["total"]) == ("ivr", 0)
    assert found["handoffs"]["by_state"] == {"accepted": 1, "offered": 1}
    assert found["journeys"] == {"by_kind": {"refund": {"started": 1}}}
    assert (await hub.numbers.over(ACME, TODAY, TODAY, "chat"))["repeats"]["total"] == 1


async def test_of_two_tenants_each_has_its_own(hub: Hub) -> None:
    await a_story(hub)
    other = ADAPTER.but(tenant="other")
    answer, _, _ = await hub.interactions.start(other, a_start("x1", customer_id="c1"))
    await tell(hub, "question.asked", answer["interaction"]["interaction_id"], "q1", Who("other", "c1"), names=["a"])
    await relayed(hub)
    assert await numbers(hub) == ONE
    found = await hub.numbers.over("other", TODAY, TODAY)
    assert (found["questions_asked"]["total"], found["hops"], found["handoffs"]["by_state"]) == (1, [], {})


async def test_a_journey_offered_often_counts_once_for_each_interaction(hub: Hub, server: Server, clock: Clock) -> None:
    call = await in_one(hub, "CA1", 2, channel="ivr")
    journey = (await tell(hub, "journey.started", call, "j1", kind="refund"))["results"][0]["journey_id"]
    chat = ""
    for again in (hub, hub, Hub(server, ways(clock))):
        chat = await in_one(again, "w1", 2)
    for number in range(2):
        await tell(hub, "journey.declined", chat, f"d{number}", journey_id=journey)
    await relayed(hub)
    assert (await numbers(hub))["resume"] == {"offered": 1, "taken": 0, "declined": 1}


async def test_an_offer_that_came_back_is_decided_once(hub: Hub, clock: Clock) -> None:
    chat = await in_one(hub, "CA1", 2, channel="chat")
    handoff = await offer(hub, chat)
    await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
    clock.move(16 * MINUTE)
    await hub.wake(WHO)
    await hub.handoffs.accept(DESK, handoff["handoff_id"], "bob")
    await relayed(hub)
    found = await metric(hub, "handoff.accept")
    assert (found.numerator, found.n) == (1, 1)
    assert (await numbers(hub))["handoffs"]["by_state"]["accepted"] == 2


@pytest.mark.parametrize(
    ("late", "how", "kept"), [(False, "kept", (1, 1)), (True, "kept", (0, 1)), (True, "broken", (0, 1))]
)
async def test_a_promise_comes_out_once(hub: Hub, clock: Clock, late: bool, how: str, kept: tuple[int, int]) -> None:
    call = await in_one(hub, "CA1", 2, channel="ivr")
    due = (clock() + 10 * MINUTE).isoformat()
    await tell(hub, "commitment.made", call, "p1", what="call back", owner="ann", due_at=due, commitment_id="cm_1")
    clock.move(20 * MINUTE if late else MINUTE)
    await hub.wake(WHO)
    await tell(hub, f"commitment.{how}", call, "p2", commitment_id="cm_1")
    await relayed(hub)
    found = await metric(hub, "promise.kept")
    assert (found.numerator, found.n) == kept


@pytest.mark.parametrize("said", ["yes", 1, [], {}])
def test_whether_a_channel_tells_what_it_asks_is_said_plainly(said: Any) -> None:
    with pytest.raises(ValidationError, match="instrumented is true or false"):
        Tenant.model_validate({"tenant": ACME, "channels": {"ivr": {"instrumented": said, "queue": "cards"}}})
