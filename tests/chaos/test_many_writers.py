"""Many write to one customer, in two hubs at once: all that was acknowledged is there, once, without a gap."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ctxhub.client import AssuranceClaim, ContextHub, Event, Start, told
from tests.chaos.running import FULL, Books, KillableHub, whole_timeline

pytestmark = pytest.mark.chaos
WRITERS, APPENDS, FACTS = 8, 2000 if FULL else 400, 400 if FULL else 80


async def _write(hub: ContextHub, books: Books, interaction_id: str, writer: int) -> None:
    """Append messages and state facts, each as many as this writer's share."""
    for n in range(APPENDS // WRITERS):
        message = told("message.received", event_id=f"m-{writer}-{n}", interaction_id=interaction_id, text=f"{n}")
        kept = await hub.events.tell("c42", message)
        books.note((result.event_id, result.version) for result in kept.results)
        if n % (APPENDS // FACTS) == 0:
            fact = told("fact.stated", event_id=f"f-{writer}-{n}", interaction_id=interaction_id,
                        party="customer", name=f"fact-{writer}-{n}", value=n)  # fmt: skip
            kept = await hub.events.tell("c42", fact)
            books.note((result.event_id, result.version) for result in kept.results)


async def test_eight_writers_in_two_hubs_lose_nothing(tmp_path: Path, redis_url: str) -> None:
    hubs = [KillableHub(tmp_path / f"hub{n}", redis_url, durability="fast").start() for n in range(2)]
    clients = [hub.client() for hub in hubs]
    books = Books()
    try:
        start = Start(
            channel="chat", external_id="w", customer_id="c42", assurance=AssuranceClaim(level=2, method="pin")
        )
        begun = (await clients[0].interactions.start(start)).interaction.interaction_id
        await asyncio.gather(*[_write(clients[n % 2], books, begun, n) for n in range(WRITERS)])
        timeline = await whole_timeline(clients[0], "c42")
        context = await clients[1].contexts.read("c42", interaction_id=begun)
    finally:
        for client in clients:
            await client.aclose()
        for hub in hubs:
            hub.stop()
    stated = [event_id for event_id in books.acknowledged if event_id.startswith("f-")]
    assert len(books.acknowledged) - len(stated) == APPENDS
    assert len(stated) >= FACTS
    assert books.faults(timeline) == []
    assert len(context.facts) == len(stated)


def test_the_books_see_a_loss_a_double_and_a_gap() -> None:
    at = "2026-11-22T10:00:00Z"

    def event(event_id: str, version: int) -> Event:
        return Event.model_validate({"event_id": event_id, "type": "x.y", "at": at, "version": version})

    books = Books({"a": 1, "b": 2, "c": 3})
    assert books.faults([event("a", 1), event("b", 2), event("c", 3)]) == []
    assert books.faults([event("a", 1), event("c", 3)]) == ["lost b", "versions have gaps"]
    assert books.faults([event("a", 1), event("b", 2), event("c", 3), event("b", 4)]) == ["doubled b", "moved b"]
