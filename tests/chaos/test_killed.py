"""Hub and embedded server are killed under load, again and again: nothing acknowledged is missing or doubled."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxhub.client import (
    AssuranceClaim,
    ContextHub,
    CtxhubError,
    OfferRequest,
    OutcomeUnknown,
    Start,
    Target,
    Telling,
    Unavailable,
    told,
)
from tests.chaos.running import FULL, Books, KillableHub, whole_timeline

pytestmark = pytest.mark.chaos
KILLS = 5 if FULL else 2
WRITERS = 6


async def _tell_until_kept(hub: ContextHub, customer_id: str, event: Telling) -> tuple[str, int]:
    """Tell an event, with the same id as often as it takes."""
    while True:
        try:
            kept = await hub.events.tell(customer_id, event)
            return kept.results[0].event_id, kept.results[0].version
        except (Unavailable, OutcomeUnknown):
            await asyncio.sleep(0.05)


async def _write(hub: ContextHub, books: Books, customer_id: str, here: str, over: asyncio.Event) -> None:
    """Tell messages and facts until told to stop."""
    n = 0
    while not over.is_set():
        n += 1
        said = told("message.received", event_id=f"m{n}", interaction_id=here, text=f"message {n}")
        stated = told(
            "fact.stated", event_id=f"f{n}", interaction_id=here, party="customer", name=f"n{n % 7}", value=n
        )  # fmt: skip
        books.note([await _tell_until_kept(hub, customer_id, stated if n % 5 == 0 else said)])


async def _follow(hub: ContextHub, customer_id: str, seen: list[int]) -> None:
    """Follow a customer from the beginning, through every restart."""
    async for fed in hub.feeds.customer(customer_id, after=0):
        if fed.event is not None and fed.event.version is not None:
            seen.append(fed.event.version)


def _alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_hub_killed_under_load_keeps_all_it_acknowledged(tmp_path: Path) -> None:
    hub = KillableHub(tmp_path / "data").start()
    client, books, over = hub.client(), [Books() for _ in range(WRITERS)], asyncio.Event()
    seen: list[int] = []
    claim = AssuranceClaim(level=2, method="pin")
    heres = []
    for n in range(WRITERS):
        started = await client.interactions.start(
            Start(channel="chat", external_id=f"k{n}", customer_id=f"k{n}", assurance=claim)
        )
        heres.append(started.interaction.interaction_id)
    offer = OfferRequest(customer_id="k0", interaction_id=heres[0], reason="help", to=Target(queue="q"), expires_in=4)
    handoff_id = (await client.handoffs.offer(offer)).handoff.handoff_id
    writers = [
        asyncio.create_task(_write(client, books[n], f"k{n}", heres[n], over)) for n in range(WRITERS)
    ]  # fmt: skip
    follower = asyncio.create_task(_follow(client, "k1", seen))
    killed: list[int] = []
    try:
        for _ in range(KILLS):
            before = sum(len(book.acknowledged) for book in books)
            while sum(len(book.acknowledged) for book in books) < before + 60:
                await asyncio.sleep(0.02)
            killed += [*hub.children()]
            await asyncio.to_thread(hub.kill)
            await asyncio.to_thread(hub.start)
        over.set()
        await asyncio.gather(*writers)
        faults = [book.faults(await whole_timeline(client, f"k{n}")) for n, book in enumerate(books)]
        last = (await client.contexts.read("k1")).version
        await _until(lambda: bool(seen) and seen[-1] >= last, 10)
        state = await _state_within(client, handoff_id, "expired", 10)
    finally:
        over.set()
        for task in (*writers, follower):
            task.cancel()
        await client.aclose()
        took = hub.stop()
    assert faults == [[] for _ in range(WRITERS)]
    assert seen == list(range(1, last + 1))
    assert state == "expired"
    assert took < 5
    assert not [pid for pid in killed if _alive(pid) and os.getpgid(pid)]


async def _until(condition: Callable[[], bool], most: float) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(most):
        while not condition():
            await asyncio.sleep(0.02)


async def _state_within(client: ContextHub, handoff_id: str, wanted: str, most: float) -> str:
    """Return a handoff's state once it is the one wanted, or what it is in the end."""
    end = asyncio.get_running_loop().time() + most
    state = ""
    while state != wanted and asyncio.get_running_loop().time() < end:
        try:
            state = (await client.handoffs.get(handoff_id)).state
        except CtxhubError:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.05)
    return state


async def test_an_offer_expires_within_two_seconds_of_its_time_though_its_hub_was_killed(tmp_path: Path) -> None:
    hub = KillableHub(tmp_path / "data").start()
    client = hub.client()
    try:
        started = await client.interactions.start(Start(channel="chat", external_id="t", customer_id="t"))
        here = started.interaction.interaction_id
        offer = OfferRequest(customer_id="t", interaction_id=here, reason="help", to=Target(queue="q"), expires_in=1)
        handoff_id = (await client.handoffs.offer(offer)).handoff.handoff_id
        await asyncio.to_thread(hub.kill)
        await asyncio.to_thread(hub.start)
        began, state = asyncio.get_running_loop().time(), ""
        while state != "handoff.expired":
            events = await whole_timeline(client, "t")
            state = events[-1].type
            assert asyncio.get_running_loop().time() - began < 4, "the timer did not fire"
            await asyncio.sleep(0.05)
        assert (await client.handoffs.get(handoff_id)).state == "expired"
    finally:
        await client.aclose()
        hub.stop()
