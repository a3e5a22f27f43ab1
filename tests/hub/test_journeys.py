"""Two channels, one task: what must not be done twice is done by one worker at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from ctxhub.errors import AtWork, ClaimedByAnother, JourneyUnknown, WrongState
from ctxhub.hub.hub import Hub
from ctxhub.model.claiming import Claim, ClaimRequest
from tests.hub.scenes import WHO, begin, in_one, offer, tell, told_of
from tests.support import DESK, MINUTE, Clock


async def a_refund(hub: Hub, level: int = 2) -> tuple[str, str]:
    """A refund in the chat, at its first step; its interaction and its id."""
    chat = await in_one(hub, "chat-1", level)
    told = await tell(hub, "journey.started", chat, "e1", kind="refund", step="payout")
    return chat, str(told["results"][0]["journey_id"])


async def claim(hub: Hub, journey_id: str, by: str, interaction_id: str | None = None) -> Claim:
    """Claim the payout."""
    wanted = ClaimRequest(step="payout", by=by, interaction_id=interaction_id)
    return (await hub.journeys.claim(WHO, journey_id, wanted))[0]


async def test_of_twenty_channels_at_once_one_sends_the_money(hub: Hub, clock: Clock) -> None:
    _, refund = await a_refund(hub)
    sent: list[str] = []

    async def once_free(by: str) -> Claim:
        while True:
            with suppress(ClaimedByAnother):
                return await claim(hub, refund, by)

    async def pay(by: str) -> None:
        held = await once_free(by)
        sent.append(by)
        data = {"step": "sent", "fence": held.fence}
        await tell(hub, "journey.advanced", None, f"paid-{by}", journey_id=refund, **data)

    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(*(pay(f"w{number}") for number in range(20)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(sent) == 1
    assert [type(one) for one in refused] == [WrongState] * 19
    assert (await told_of(hub)).count("journey.claimed") == 1


async def test_a_worker_who_was_killed_gives_way_when_its_time_is_over(hub: Hub, clock: Clock) -> None:
    _, refund = await a_refund(hub)
    assert (await claim(hub, refund, "app")).fence == 1
    with pytest.raises(ClaimedByAnother):
        await claim(hub, refund, "ivr")
    clock.move(MINUTE)
    assert (await claim(hub, refund, "ivr")).fence == 2


async def test_a_bot_claims_nothing_that_an_agent_works_on_in_another_channel(hub: Hub) -> None:
    chat, refund = await a_refund(hub)
    call = (await begin(hub, "call-1", 2, channel="ivr"))["interaction"]["interaction_id"]
    await tell(hub, "journey.resumed", call, "e2", journey_id=refund)
    handoff = await offer(hub, call, journey_id=refund)
    await hub.handoffs.accept(DESK, handoff["handoff_id"], "a7")
    with pytest.raises(AtWork):
        await claim(hub, refund, "chat-bot", chat)
    assert (await claim(hub, refund, "a7", call)).by == "a7"


async def test_a_journey_out_of_sight_can_not_be_claimed(hub: Hub) -> None:
    _, refund = await a_refund(hub)
    stranger = await in_one(hub, "ivr-9", 1)
    with pytest.raises(JourneyUnknown):
        await claim(hub, refund, "ivr", stranger)
