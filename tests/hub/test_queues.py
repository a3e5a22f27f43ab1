"""Queues as they are shown: open or not, how long it takes, and what else there is."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctxhub.hub import tenants
from ctxhub.hub.hub import Hub
from ctxhub.model.handoff import OfferRequest
from tests.hub.scenes import eventually, in_one, offer
from tests.support import ACME, DESK, HOUR, MINUTE, NOON, Clock

#: Noon in UTC is eight in the evening in Shanghai, on a Sunday.
OPENS = NOON + timedelta(hours=12, minutes=30)
DECLARED: dict[str, Any] = {
    "calendars": {"office": {"timezone": "Asia/Shanghai", "holidays": "CN",
                             "hours": {weekday: ["08:30-18:00"] for weekday in ("mon", "tue", "wed", "thu", "fri")}}},
    "queues": {
        "cards": {"hours": "office", "alternatives": [
            {"kind": "callback"}, {"kind": "message"}, {"kind": "channel", "channel": "chat", "queue": "always"},
            {"kind": "channel", "channel": "voice", "queue": "office too"}]},
        "office too": {"hours": "office"},
        "always": {"callback": {"window": 3600}, "alternatives": [{"kind": "callback"}]},
        "calls": {"routing": "external"},
    },
}  # fmt: skip


@pytest.fixture
def tenants_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of tenants' files; it is looked at whenever anybody asks."""
    monkeypatch.setattr(tenants, "LOOK_EVERY", 0)
    (tmp_path / f"{ACME}.yaml").write_text(yaml.safe_dump(DECLARED), encoding="utf-8")
    return tmp_path


async def shown(hub: Hub, queue: str) -> dict[str, Any]:
    """A queue as a channel reads it."""
    return (await hub.queues.show(ACME, queue)).model_dump(mode="json")


async def test_a_closed_queue_says_when_it_opens_and_what_is_possible_meanwhile(hub: Hub) -> None:
    found = await shown(hub, "cards")
    assert (found["open"], found["opens_at"]) == (False, "2026-11-23T00:30:00.000Z")
    assert [(one["kind"], one["channel"]) for one in found["alternatives"]] == [
        ("callback", None), ("message", None), ("channel", "chat"),
    ]  # fmt: skip
    assert (found["alternatives"][0]["from"], found["alternatives"][0]["until"]) == (
        "2026-11-23T00:30:00.000Z", "2026-11-23T02:30:00.000Z",
    )  # fmt: skip


async def test_an_open_one_offers_also_the_other_queue_that_is_open_now(hub: Hub, clock: Clock) -> None:
    clock.now = OPENS + HOUR
    found = await shown(hub, "cards")
    assert (found["open"], found["opens_at"]) == (True, None)
    assert [one["queue"] for one in found["alternatives"]] == [None, None, "always", "office too"]
    assert found["alternatives"][0]["from"] == "2026-11-23T01:30:00.000Z"


async def test_shortly_before_it_closes_a_callback_is_for_the_next_morning(hub: Hub, clock: Clock) -> None:
    clock.now = datetime.fromisoformat("2026-11-23T09:50:00Z")
    assert (await shown(hub, "cards"))["alternatives"][0]["from"] == "2026-11-24T00:30:00.000Z"


async def test_a_closing_added_to_the_file_counts_at_once_and_says_why(
    hub: Hub, clock: Clock, tenants_folder: Path
) -> None:
    clock.now = OPENS + HOUR
    assert (await shown(hub, "cards"))["open"]
    closed = [{"from": "2026-11-23T09:00", "until": "2026-11-23T12:00", "reason": "typhoon"}]
    office = DECLARED["calendars"]["office"] | {"closed": closed}
    text = yaml.safe_dump(DECLARED | {"calendars": {"office": office}})
    (tenants_folder / f"{ACME}.yaml").write_text(text, encoding="utf-8")
    found = await shown(hub, "cards")
    assert (found["open"], found["opens_at"], found["closed_for"]) == (False, "2026-11-23T04:00:00.000Z", "typhoon")


async def test_a_queue_without_hours_is_always_open(hub: Hub) -> None:
    found = await shown(hub, "always")
    assert (found["open"], found["opens_at"]) == (True, None)
    assert found["alternatives"][0]["until"] == "2026-11-22T13:00:00.000Z"


async def test_an_offer_to_a_closed_queue_is_made_and_says_so(hub: Hub) -> None:
    at = await in_one(hub)
    request = OfferRequest.model_validate(
        {"customer_id": "c42", "interaction_id": at, "reason": "help", "to": {"queue": "cards"}}
    )
    answer = await hub.handoffs.offer(DESK, request)
    assert answer["handoff"]["state"] == "offered"
    assert (answer["queue"]["open"], answer["queue"]["opens_at"]) == (False, "2026-11-23T00:30:00.000Z")


async def handled(hub: Hub, clock: Clock, queue: str, number: int, agent: str, span: timedelta) -> None:
    """An agent takes a customer of a queue, and is done after a while."""
    at = await in_one(hub, f"{queue}{number}")
    handoff_id = (await offer(hub, at, to={"queue": queue}))["handoff_id"]
    fence = (await hub.handoffs.accept(DESK, handoff_id, agent))["fence"]
    clock.move(span)
    await hub.handoffs.complete(DESK, handoff_id, agent, fence, "resolved")


async def waits(hub: Hub, queue: str) -> Any:
    """The wait that a queue estimates."""
    return (await shown(hub, queue))["expected_wait"]


@pytest.mark.parametrize(("queue", "measured"), [("always", True), ("calls", False)])
async def test_how_long_it_takes_is_measured_where_the_hub_routes(
    hub: Hub, clock: Clock, queue: str, measured: bool
) -> None:
    assert await waits(hub, queue) is None
    async with asyncio.TaskGroup() as group:
        relay = group.create_task(hub.relay.run())
        for number in range(5):
            await handled(hub, clock, queue, number, "ann" if number % 2 else "bob", 3 * MINUTE + number * MINUTE)
        if measured:
            await eventually(lambda: waits_for(hub, queue, 0))
            for number in range(5, 8):
                await offer(hub, await in_one(hub, f"{queue}{number}"), to={"queue": queue})
            assert await waits(hub, queue) == round(4 * 300 / 2), "4 × 5 minutes ÷ 2 agents"
            clock.move(2 * HOUR)
        assert await waits(hub, queue) is None, "after an hour nothing is known any more"
        relay.cancel()


async def waits_for(hub: Hub, queue: str, seconds: int) -> bool:
    """Tell whether a queue estimates so many seconds."""
    return bool(await waits(hub, queue) == seconds)
