"""Numbers lent to offers: never one to two at once, back when the offer is over, and always another way in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ctxhub.hub.hub import Hub
from ctxhub.model.dialling import DialSpec
from ctxhub.model.interaction import Start
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import begin, context_of, offer
from tests.support import ACME, ADAPTER, DESK, MINUTE, SECOND, TENANT, Clock, a_phone, a_start, ways

POOL = [f"+86400800{number:04}" for number in range(3)]
MAIN = "+864008009999"


@pytest.fixture
async def hub(server: Server, clock: Clock, tenants_folder: Path) -> Hub:
    """A hub whose tenant lends three numbers."""
    dial = DialSpec(number=MAIN, pool=POOL)
    declared = TENANT.but(dial=dial).model_dump_json(exclude={"tenant"})
    (tenants_folder / f"{ACME}.yaml").write_text(declared, encoding="utf-8")
    return Hub(server, ways(clock, tenants=tenants_folder))


async def to_the_phone(hub: Hub, name: str, phone: str | None = None, **more: Any) -> dict[str, Any]:
    """The offer of an app's user to go on by telephone."""
    identifiers = [a_phone(phone or f"+86138{abs(hash(name)) % 10**8:08}")]
    started = await begin(hub, f"app-{name}", 2, channel="app", customer_id=name, identifiers=identifiers)
    interaction_id = started["interaction"]["interaction_id"]
    return await offer(hub, interaction_id, Who(ACME, name), to={"channel": "ivr"}, **more)


async def called(hub: Hub, number: str | None, external_id: str, phone: str | None = None, **more: Any) -> Any:
    """A call to a number."""
    identifiers = [a_phone(phone)] if phone else []
    request: Start = a_start(external_id, channel="ivr", dnis=number, identifiers=identifiers, **more)
    return (await hub.interactions.start(ADAPTER, request))[0]


def number_of(handoff: dict[str, Any]) -> str:
    return str(handoff["dial"]["number"])


async def test_twenty_at_once_get_three_numbers_and_the_others_a_code(hub: Hub) -> None:
    offers = await asyncio.gather(*(to_the_phone(hub, f"c{number}") for number in range(20)))
    lent = [number_of(handoff) for handoff in offers if number_of(handoff) != MAIN]
    assert sorted(lent) == POOL
    rest = [handoff for handoff in offers if number_of(handoff) == MAIN]
    assert all(handoff["dial"]["post_dial"] == f",,{handoff['code']}#" for handoff in rest)
    assert len(rest) == 17


async def test_the_number_called_finds_the_offer_and_its_words_stay_where_they_were(hub: Hub) -> None:
    handoff = await to_the_phone(hub, "c1")
    call = await called(hub, number_of(handoff).replace("+86", "tel:+86-"), "ca-1")
    assert call["handoff"]["handoff_id"] == handoff["handoff_id"]
    assert call["customer_id"] == "c1"
    assert call["interaction"]["assurance"]["level"] == 0
    context = await context_of(hub, Who(ACME, "c1"))
    assert context.interaction(call["interaction"]["interaction_id"]).lineage == ()
    assert (await called(hub, number_of(handoff), "ca-2"))["customer_id"] != "c1"


async def test_a_stranger_who_calls_a_lent_number_with_somebody_elses_phone_finds_nothing(hub: Hub) -> None:
    handoff = await to_the_phone(hub, "c1")
    await to_the_phone(hub, "c2", "+8613900000002")
    call = await called(hub, number_of(handoff), "ca-1", "+8613900000002")
    assert (call["customer_id"], call.get("handoff")) == ("c2", None)


async def test_whoever_comes_by_a_lent_number_leaves_no_number_behind(hub: Hub) -> None:
    handoff = await to_the_phone(hub, "c1", "+8613800000001")
    call = await called(hub, number_of(handoff), "ca-1", "+8613911111111")
    assert call["customer_id"] == "c1"
    assert [one.value for one in (await context_of(hub, Who(ACME, "c1"))).identifiers] == ["+8613800000001"]


@pytest.mark.parametrize("level", [0, 2])
async def test_a_number_leads_nobody_who_is_another_to_its_customer(hub: Hub, level: int) -> None:
    handoff = await to_the_phone(hub, "c1")
    mine = a_phone("+8613900000002", strength="verified")
    await begin(hub, "app-c2", 2, channel="app", customer_id="c2", identifiers=[mine])
    named = await called(hub, number_of(handoff), "ca-1", level=level, customer_id="c2")
    start = a_start("ca-2", level, channel="ivr", dnis=number_of(handoff), identifiers=[mine])
    proven = (await hub.interactions.start(ADAPTER, start))[0]
    for call, sure in ((named, level), (proven, level or 1)):
        assert (call["customer_id"], call["interaction"]["assurance"]["level"]) == ("c2", sure)
        assert "handoff" not in call
        assert "handoff_problem" not in call


@pytest.mark.parametrize("how", ["cancelled", "redeemed", "expired"])
async def test_a_number_comes_back_when_its_offer_is_over(hub: Hub, clock: Clock, how: str) -> None:
    lent = {number_of(await to_the_phone(hub, f"c{number}", expires_in=60)) for number in range(2)}
    handoff = await to_the_phone(hub, "c2", expires_in=60)
    assert lent | {number_of(handoff)} == set(POOL)
    if how == "cancelled":
        await hub.handoffs.cancel(DESK, handoff["handoff_id"])
    elif how == "redeemed":
        await called(hub, number_of(handoff), "ca-1")
    else:
        clock.move(MINUTE)
    assert number_of(await to_the_phone(hub, "c9")) in POOL


async def test_numbers_of_offers_that_ended_in_a_crash_are_taken_back_when_they_run_short(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    handoffs = [await to_the_phone(hub, f"c{number}") for number in range(3)]

    async def killed(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(hub.handoffs._dialling, "settled", killed)
        with pytest.raises(asyncio.CancelledError):
            await hub.handoffs.cancel(DESK, handoffs[1]["handoff_id"])
    assert number_of(await to_the_phone(hub, "c9")) == number_of(handoffs[1])
    assert number_of(await to_the_phone(hub, "c8")) == MAIN


async def test_a_repeated_offer_has_the_same_number(hub: Hub) -> None:
    started = await begin(hub, "app-1", 2, channel="app")
    interaction_id = started["interaction"]["interaction_id"]
    first = await offer(hub, interaction_id, to={"channel": "ivr"}, keyed="k1")
    assert number_of(await offer(hub, interaction_id, to={"channel": "ivr"}, keyed="k1")) == number_of(first)


async def test_an_announcement_made_twice_means_the_newest_offer(hub: Hub, clock: Clock) -> None:
    first = await to_the_phone(hub, "c1", "+8613800000001", announce=True)
    await hub.handoffs.cancel(DESK, first["handoff_id"])
    clock.move(SECOND)
    second = await to_the_phone(hub, "c1", "+8613800000001", announce=True)
    call = await called(hub, MAIN, "ca-1", "+8613800000001")
    assert call["handoff"]["handoff_id"] == second["handoff_id"]


async def test_a_call_that_began_before_is_not_moved_by_an_announcement(hub: Hub) -> None:
    begun = await called(hub, MAIN, "ca-1", "+8613800000001")
    await to_the_phone(hub, "c1", "+8613800000001", announce=True)
    again = await called(hub, MAIN, "ca-1", "+8613800000001")
    assert (again["customer_id"], again.get("handoff")) == (begun["customer_id"], None)


async def test_an_outbound_call_or_a_chat_is_found_by_no_number(hub: Hub) -> None:
    handoff = await to_the_phone(hub, "c1", "+8613800000001", announce=True)
    outbound = await called(hub, number_of(handoff), "ca-1", "+8613800000001", direction="outbound")
    chat = a_start("w1", channel="chat", dnis=number_of(handoff), identifiers=[a_phone("+8613800000001")])
    for started in (outbound, (await hub.interactions.start(ADAPTER, chat))[0]):
        assert started.get("handoff") is None
