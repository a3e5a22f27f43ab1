"""Callbacks in a hub: numbers by reference, timers, and the customer's own word."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis

from ctxhub.errors import DoNotCall, Forbidden, HandoffUnknown, Invalid, WrongState
from ctxhub.hub import tenants
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import Principal
from ctxhub.model.callback import AttemptSaid
from ctxhub.store.contexts import Who
from tests.hub.scenes import WHO, context_of, in_one, offer, tell, told_of
from tests.support import ACME, ADAPTER, HOUR, MINUTE, NOON, Clock, a_phone

MORNING = NOON + timedelta(hours=12, minutes=30)
PHONE = "+8613800138000"
DECLARED = {
    "default_region": "CN",
    "calendars": {"office": {"timezone": "Asia/Shanghai", "hours": {"mon": ["08:30-18:00"]}}},
    "queues": {"cards": {"hours": "office"}},
}


@pytest.fixture
def tenants_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of tenants' files; it is looked at whenever anybody asks."""
    monkeypatch.setattr(tenants, "LOOK_EVERY", 0)
    (tmp_path / f"{ACME}.yaml").write_text(yaml.safe_dump(DECLARED), encoding="utf-8")
    return tmp_path


async def promised(hub: Hub, number: Any = None, **more: Any) -> dict[str, Any]:
    """A callback for the morning, promised in a call that has ended."""
    at = await in_one(hub, level=2, identifiers=[a_phone(PHONE, "verified"), a_phone("+8613900139000")])
    callback: dict[str, Any] = {} if number is None else {"number": number}
    return await offer(hub, at, kind="callback", callback=callback | more)


async def test_a_verified_number_is_called_unless_another_is_named(hub: Hub, clock: Clock) -> None:
    handoff = await promised(hub)
    clock.now = MORNING
    assert (await hub.callbacks.dial(ADAPTER, handoff["handoff_id"]))["number"] == PHONE


async def test_one_that_is_named_is_called_and_it_stands_nowhere_but_among_the_identifiers(
    hub: Hub, clock: Clock
) -> None:
    handoff = await promised(hub, {"value": "139 0013 9000"})
    assert "13900139000" not in str(handoff)
    for event in await hub.changes.contexts.timeline(WHO, 0, None, 100):
        assert "13900139000" not in str(event)
    clock.now = MORNING
    assert (await hub.callbacks.dial(ADAPTER, handoff["handoff_id"]))["number"] == "+8613900139000"


async def test_a_reference_names_it_as_well_and_what_is_not_the_customer_s_own_is_refused(hub: Hub) -> None:
    first = await promised(hub)
    await hub.handoffs.cancel(ADAPTER, first["handoff_id"])
    assert (await promised(hub, {"ref": first["callback"]["number"]["ref"]}))["state"] == "offered"
    for stranger in ({"value": "+8613700137000"}, {"ref": "of somebody else"}):
        with pytest.raises(Invalid):
            await promised(hub, stranger)


async def test_the_timer_makes_it_due_once_and_lists_it(hub: Hub, clock: Clock, redis: Redis) -> None:
    handoff = await promised(hub)
    assert await hub.handoffs.waiting(ACME, "cards", "offered") == []
    clock.now = MORNING
    await hub.wake(WHO)
    await hub.wake(WHO)
    assert (await told_of(hub)).count("callback.due") == 1
    [listed] = await hub.handoffs.waiting(ACME, "cards", "offered")
    assert listed.handoff_id == handoff["handoff_id"]
    due_next = [score for _, score in redis.zscan_iter(hub.server.keys.customer(*WHO).due)]
    assert due_next
    assert min(due_next) > clock.now.timestamp() * 1000, "woken for nothing again and again it would never rest"


async def test_a_no_to_calls_is_heeded_at_the_offer_and_as_it_becomes_due(hub: Hub, clock: Clock) -> None:
    handoff = await promised(hub)
    at = await in_one(hub, "x2", level=2)
    await tell(hub, "consent.withdrawn", at, "no", purpose="calls")
    with pytest.raises(DoNotCall):
        await offer(hub, at, kind="callback", callback={})
    clock.now = MORNING
    await hub.wake(WHO)
    assert (await context_of(hub)).handoffs[handoff["handoff_id"]].outcome == "do_not_call"
    assert (await told_of(hub))[-2:] == ["handoff.cancelled", "commitment.broken"]


async def test_whoever_has_dialled_and_tells_nothing_has_failed_and_the_next_attempt_waits(
    hub: Hub, clock: Clock
) -> None:
    handoff = await promised(hub)
    clock.now = MORNING
    await hub.callbacks.dial(ADAPTER, handoff["handoff_id"])
    clock.move(10 * MINUTE)
    await hub.wake(WHO)
    callback = (await context_of(hub)).handoffs[handoff["handoff_id"]].callback
    assert callback is not None
    assert ([made.outcome for made in callback.made], callback.changes_at) == (["failed"], clock.now + HOUR / 2)


async def test_a_call_is_opened_for_an_answer_alone_and_once(hub: Hub, clock: Clock) -> None:
    handoff_id = (await promised(hub))["handoff_id"]
    clock.now = MORNING
    await hub.wake(WHO)
    busy = AttemptSaid(attempt=1, outcome="busy", external_id="out-1")
    assert (await hub.callbacks.attempted(ADAPTER, handoff_id, busy))["interaction"] is None
    clock.move(HOUR / 2)
    await hub.wake(WHO)
    answered = AttemptSaid(attempt=2, outcome="answered", external_id="out-2")
    opened = [(await hub.callbacks.attempted(ADAPTER, handoff_id, answered))["interaction"] for _ in range(2)]
    assert opened[0]["direction"] == "outbound"
    assert opened[0] == opened[1]
    late = AttemptSaid(attempt=3, outcome="answered", external_id="out-3")
    with pytest.raises(WrongState):
        await hub.callbacks.attempted(ADAPTER, handoff_id, late)
    assert await hub.lookups.external(ACME, "voice", "out-3") is None


async def test_only_who_serves_the_queue_dials(hub: Hub, clock: Clock) -> None:
    handoff_id = (await promised(hub))["handoff_id"]
    clock.now = MORNING
    elsewhere = Principal(tenant=ACME, name="loans", role="adapter", queues=frozenset({"loans"}))
    with pytest.raises(Forbidden):
        await hub.callbacks.dial(elsewhere, handoff_id)
    with pytest.raises(HandoffUnknown):
        await hub.callbacks.dial(Principal(tenant="other", name="x", role="adapter"), handoff_id)


async def test_what_is_no_callback_has_no_attempts(hub: Hub) -> None:
    plain = await offer(hub, await in_one(hub))
    with pytest.raises(WrongState, match="no callback"):
        await hub.callbacks.dial(ADAPTER, plain["handoff_id"])


async def test_it_goes_along_to_whom_its_interaction_really_is(hub: Hub, clock: Clock) -> None:
    handoff_id = (await promised(hub))["handoff_id"]
    at = (await context_of(hub)).handoffs[handoff_id].interaction_id
    await hub.interactions.identify(WHO, at, "c43", None)
    home = await context_of(hub, Who(ACME, "c43"))
    assert (handoff_id in home.handoffs, len(home.commitments)) == (True, 1)
    assert (await context_of(hub)).commitments == {}
