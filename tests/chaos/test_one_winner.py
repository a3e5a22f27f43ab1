"""Forty desks reach for one offer: exactly one has it, and the floor."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ctxhub.client import ContextHub, HeldByAnother, OfferRequest, Start, Target
from tests.chaos.running import FULL, KillableHub

pytestmark = pytest.mark.chaos
DESKS, TIMES = 40, 50 if FULL else 8


async def _reach(hub: ContextHub, handoff_id: str, agent: str) -> str | None:
    """Reach for a handoff; return who one is if one has it."""
    try:
        taken = await hub.handoffs.accept(handoff_id, agent)
    except HeldByAnother:
        return None
    return taken.handoff.agent_id


async def test_forty_desks_reach_and_one_wins_each_time(tmp_path: Path, redis_url: str) -> None:
    hubs = [KillableHub(tmp_path / f"hub{n}", redis_url, durability="fast").start() for n in range(2)]
    clients = [hub.client() for hub in hubs]
    try:
        for time in range(TIMES):
            started = await clients[0].interactions.start(
                Start(channel="chat", external_id=f"one-{time}", customer_id=f"one-{time}")
            )
            here = started.interaction.interaction_id
            offer = OfferRequest(
                customer_id=f"one-{time}", interaction_id=here, reason="help", to=Target(queue="cards")
            )  # fmt: skip
            handoff_id = (await clients[0].handoffs.offer(offer)).handoff.handoff_id
            reached = await asyncio.gather(*[_reach(clients[n % 2], handoff_id, f"a{n}") for n in range(DESKS)])
            winners = [agent for agent in reached if agent is not None]
            context = await clients[1].contexts.read(f"one-{time}")
            assert len(winners) == 1
            assert [(i.holder.id, i.fence) for i in context.interactions] == [(winners[0], 2)]
    finally:
        for client in clients:
            await client.aclose()
        for hub in hubs:
            hub.stop()
