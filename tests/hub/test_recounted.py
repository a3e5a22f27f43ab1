"""Whatever happens, and however often the relay is killed on the way: numbers are what a plain recount comes to.

The recount knows nothing of hops or marks: it reads the timelines from the beginning and keeps who has the floor.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from ctxhub.errors import CtxhubError
from ctxhub.hub import relay
from ctxhub.hub.hub import Hub
from ctxhub.model.disclosure import Reader
from ctxhub.model.interaction import HandoffHint
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import in_one, offer, tell
from tests.support import ACME, ADAPTER, DESK, MINUTE, SECOND, Clock, a_start, ways

WHOS = [Who(ACME, "c1"), Who(ACME, "c2")]
NAMES = ["city", "order_id", "date"]
AGENTS = ["ann", "bob"]
STEPS = 60


class Life:
    """Two customers who come, say, are asked, and are handed about, as chance has it."""

    def __init__(self, hub: Hub, clock: Clock, chance: random.Random) -> None:
        self.hub, self.clock, self.chance = hub, clock, chance
        self.interactions: list[tuple[Who, str]] = []
        self.handoffs: list[tuple[Who, dict[str, Any]]] = []
        self.saved: set[tuple[Who, str, str]] = set()
        self.number = 0

    async def step(self) -> None:
        """Let one thing happen; what the hub refuses has not happened."""
        self.number += 1
        deeds: list[Callable[[], Awaitable[Any]]] = [
            self.start, self.state, self.state, self.ask, self.ask, self.ask, self.offer, self.offer, self.accept,
            self.accept, self.redeem, self.complete, self.decline, self.cancel, self.give_back, self.end, self.raise_,
            self.receipt, self.may_ask,
        ]  # fmt: skip
        with suppress(CtxhubError):
            await self.chance.choice(deeds)()
        self.clock.move(self.chance.choice([SECOND, 20 * SECOND, 3 * MINUTE, 12 * MINUTE]))

    def somewhere(self) -> tuple[Who, str]:
        return self.chance.choice(self.interactions[-4:])

    def handed(self) -> tuple[Who, dict[str, Any]]:
        return self.chance.choice(self.handoffs[-3:])

    async def start(self) -> None:
        who = self.chance.choice(WHOS)
        channel, level = self.chance.choice(["ivr", "chat", "app"]), self.chance.choice([0, 1, 2, 2])
        begun = await in_one(self.hub, f"x{self.number}", level, channel=channel, customer_id=who.customer_id)
        self.interactions.append((who, begun))

    async def state(self) -> None:
        who, here = self.somewhere()
        await tell(self.hub, "fact.stated", here, f"e{self.number}", who, name=self.chance.choice(NAMES), value="v")

    async def ask(self) -> None:
        who, here = self.somewhere()
        party, names = self.chance.choice(["bot", "agent"]), self.chance.sample(NAMES, 2)
        purpose = self.chance.choice(["ask", "ask", "confirm"])
        await tell(self.hub, "question.asked", here, f"e{self.number}", who, party=party, names=names, purpose=purpose)

    async def may_ask(self) -> None:
        who, here = self.somewhere()
        found = await self.hub.asks.ask(who, Reader(), here, NAMES, None)
        self.saved |= {(who, here, answer.name) for answer in found.answers if answer.verdict == "known"}

    async def offer(self) -> None:
        who, here = self.somewhere()
        to = self.chance.choice([{"queue": "cards"}, {"agent": "ann"}, {"channel": "chat"}, {"bot": "helper"}])
        more = {"fallback": {"queue": "late"}} if self.chance.random() < 0.3 else {}
        self.handoffs.append((who, await offer(self.hub, here, who, to=to, **more)))

    async def accept(self) -> None:
        await self.hub.handoffs.accept(DESK, self.handed()[1]["handoff_id"], self.chance.choice(AGENTS))

    async def redeem(self) -> None:
        who, handoff = self.handed()
        token = HandoffHint(token=handoff["token"])
        channel = self.chance.choice(["chat", "app"])
        known = f"x{self.chance.randrange(self.number)}" if self.chance.random() < 0.3 else f"x{self.number}"
        answer, _ = await self.hub.interactions.redeem(ADAPTER, a_start(known, channel=channel, handoff=token))
        self.interactions.append((who, answer["interaction"]["interaction_id"]))

    async def held(self) -> tuple[str, str, int]:
        handoff = (await self.hub.handoffs.get(DESK, self.handed()[1]["handoff_id"])).handoff
        return handoff.handoff_id, handoff.agent_id or "ann", handoff.fence or 0

    async def complete(self) -> None:
        await self.hub.handoffs.complete(DESK, *await self.held(), self.chance.choice(["resolved", "odd", None]))

    async def give_back(self) -> None:
        handoff_id, agent, fence = await self.held()
        await self.hub.handoffs.give_back(DESK, handoff_id, agent, fence, None, None, None)

    async def receipt(self) -> None:
        handoff_id, agent, _ = await self.held()
        await self.hub.handoffs.receipt(DESK, handoff_id, agent)

    async def decline(self) -> None:
        await self.hub.handoffs.decline(DESK, self.handed()[1]["handoff_id"], "ann", "busy")

    async def cancel(self) -> None:
        await self.hub.handoffs.cancel(DESK, self.handed()[1]["handoff_id"])

    async def end(self) -> None:
        who, here = self.somewhere()
        await self.hub.interactions.end(who, here, None, None)

    async def raise_(self) -> None:
        who, here = self.somewhere()
        await tell(self.hub, "assurance.raised", here, f"e{self.number}", who, level=2, method="pin")


async def killed(hub: Hub, chance: random.Random) -> None:
    """Let a relay work, and kill it wherever it is after a few turns of the loop."""
    work = asyncio.create_task(_relaying(hub))
    for _ in range(chance.randrange(60)):
        await asyncio.sleep(0)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def _relaying(hub: Hub) -> None:
    await hub.relay._keep_leases()
    await hub.relay._drain()


@pytest.mark.parametrize("seed", range(12))
async def test_numbers_are_what_a_recount_comes_to(
    seed: int, hub: Hub, server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "AT_ONCE", 3)
    chance = random.Random(seed)
    hubs = [hub, Hub(server, ways(clock)), Hub(server, ways(clock))]
    life = Life(hub, clock, chance)
    first = hub.numbers.today(ACME)
    await life.start()
    await life.offer()
    for _ in range(STEPS):
        await life.step()
        if chance.random() < 0.3:
            await killed(chance.choice(hubs), chance)
    clock.move(3 * SECOND)  # whoever holds a lease has lost it
    await _relaying(hubs[-1])
    timelines = [await hub.changes.contexts.timeline(who, 0, None, 10_000) for who in WHOS]
    events = [event | {"whose": who.customer_id} for who, told in zip(WHOS, timelines, strict=True) for event in told]
    again = Recount()
    for event in events:
        again.count(event)
    told = again.found(len(life.saved))
    found = await hub.numbers.over(ACME, first, hub.numbers.today(ACME))
    assert shown(found) == told
    assert told["states"]["offered"] > 0


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """What the numbers say, in the shape of the recount."""
    by_id = {metric["id"]: metric for metric in found["metrics"]}
    repeats, handoffs = found["repeats"], found["handoffs"]
    return {
        "repeats": Counter({(r["fact"], r["from"], r["to"]): r["repeats"] for r in repeats["by_fact_and_hop"]}),
        "asked": Counter(found["questions_asked"]["by_purpose"]),
        "saved": found["questions_saved"]["total"],
        "states": Counter(handoffs["by_state"]),
        "hops": Counter({(h["from"], h["to"], h["by"]): h["hops"] for h in found["hops"]}),
        "known": +Counter({(h["from"], h["to"], h["by"]): h["known"] for h in found["hops"]}),
        "repeated": +Counter({(h["from"], h["to"], h["by"]): h["repeated"] or 0 for h in found["hops"]}),
        "accepted": (by_id["handoff.accept"]["numerator"], by_id["handoff.accept"]["n"]),
        "waits": (handoffs["times"]["accept"]["n"], handoffs["times"]["accept"]["mean"] or 0),
        "handled": (handoffs["times"]["handle"]["n"], handoffs["times"]["handle"]["mean"] or 0),
        "receipts": handoffs["times"]["context"]["n"],
        "transfers": by_id["transfer.rate"]["numerator"],
    }


class Floor:
    """Who has the floor of an interaction in a recount, how he got it, and what he asked again."""

    def __init__(self, channel: str, customer: str) -> None:
        self.channel, self.customer = channel, customer
        self.party = "bot"
        self.hop: tuple[str, str, str] | None = None
        self.counts = False
        self.again: set[str] = set()
        self.ended_at: datetime | None = None

    @property
    def place(self) -> str:
        return "desk" if self.party == "agent" else self.channel

    def passes(self, party: str) -> tuple[str, str, str]:
        """Let the floor pass to somebody; return the hop."""
        before = self.place
        by = "handoff" if self.party == "bot" else "transfer" if party == "agent" else "return"
        self.party, self.again, self.hop, self.counts = party, set(), None, False
        return before, self.place, by

    def was_here(self, at: datetime) -> bool:
        """Tell whether the customer was here just before."""
        return self.ended_at is None or at - self.ended_at <= 30 * MINUTE


class Waiting:
    """A handoff in a recount."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.on = event["interaction_id"]
        self.to = next(iter(event["data"]["to"]))
        self.since = datetime.fromisoformat(event["data"]["waiting_since"])
        self.accepted_at: datetime | None = None
        self.agent: str | None = None
        self.decided = False


class Recount:
    """Counts again, event by event."""

    def __init__(self) -> None:
        self.floors: dict[str, Floor] = {}
        self.handoffs: dict[str, Waiting] = {}
        self.told: dict[str, Counter[Any]] = {
            name: Counter() for name in ("repeats", "asked", "states", "hops", "known", "repeated")
        }
        self.waits: list[timedelta] = []
        self.handled: list[timedelta] = []
        self.decided: list[str] = []
        self.receipts = self.transfers = 0

    def found(self, saved: int) -> dict[str, Any]:
        """What it came to."""
        return {name: +counts for name, counts in self.told.items()} | {
            "saved": saved, "accepted": (self.decided.count("accepted"), len(self.decided)),
            "waits": _mean(self.waits), "handled": _mean(self.handled), "receipts": self.receipts,
            "transfers": self.transfers,
        }  # fmt: skip

    def count(self, event: dict[str, Any]) -> None:
        """Count one event."""
        family, _, verb = event["type"].partition(".")
        at = datetime.fromisoformat(event["at"])
        if family == "interaction":
            self._interaction(event, verb, at)
        elif family == "question":
            self._question(event, self.floors[event["interaction_id"]])
        elif family == "handoff":
            self._handoff(event, verb, at)
        elif "hop" in event["data"]:
            self._surely(event["data"], self.floors[event["interaction_id"]])

    def _interaction(self, event: dict[str, Any], verb: str, at: datetime) -> None:
        """Begin an interaction, by a handoff, by a switch or out of nothing; end it, or take it up again."""
        here = event["interaction_id"]
        if verb in ("ended", "reopened"):
            self.floors[here].ended_at = at if verb == "ended" else None
        if verb != "started":
            return
        floor = self.floors.setdefault(here, Floor(event["channel"], event["whose"]))
        via = event["data"].get("handoff_id")
        others = [f for f in self.floors.values() if f.customer == floor.customer and f.channel != floor.channel]
        left = {other.place for other in others if other.was_here(at)}
        if via is not None:
            came_from = self.floors[self.handoffs[via].on].place
            self._lands(floor, (came_from, floor.channel, "handoff"), event["data"])
        elif event["assurance"] >= 2 and left:
            assert event["data"]["hop"]["from"] in left
            self._lands(floor, (event["data"]["hop"]["from"], floor.channel, "switch"), event["data"])

    def _lands(self, floor: Floor, hop: tuple[str, str, str], data: dict[str, Any]) -> None:
        """Note a hop and whether it brought anything."""
        floor.hop, floor.counts = hop, data["carried"] > 0
        self.told["hops"][hop] += 1
        self.told["known"][hop] += data["carried"] > 0

    def _surely(self, data: dict[str, Any], floor: Floor) -> None:
        """Note what is in sight only now that the customer is surely known, and a switch that only now is one."""
        hop = (data["hop"]["from"], data["hop"]["to"], data["hop"]["by"])
        assert floor.hop in (None, hop)
        assert not floor.counts
        self.told["hops"][hop] += floor.hop is None
        self.told["known"][hop] += data["carried"] > 0
        floor.hop, floor.counts = hop, data["carried"] > 0

    def _question(self, event: dict[str, Any], floor: Floor) -> None:
        """Count a question, and what of it was known and not yet asked again by whoever has the floor."""
        data = event["data"]
        self.told["asked"][data.get("purpose", "ask")] += len(set(data["names"]))
        asker = "desk" if event["party"] == "agent" else floor.channel
        new = set(data.get("repeats", ())) - floor.again
        for name in new:
            self.told["repeats"][name, floor.hop[0] if floor.hop else "", asker] += 1
        if data.get("repeats") and floor.hop and floor.counts:
            self.told["repeated"][floor.hop] += 1
            floor.counts = False
        floor.again |= new

    def _handoff(self, event: dict[str, Any], verb: str, at: datetime) -> None:
        """Count what happened to a handoff."""
        self.told["states"][verb] += 1
        data = event["data"]
        if verb == "offered":
            self.handoffs[data["handoff_id"]] = Waiting(event)
        handoff = self.handoffs[data["handoff_id"]]
        if verb == "rerouted":
            handoff.to = next(iter(data["to"]))
        self._decide(handoff, verb, data, at)
        if verb == "accepted" and "redeemed_by" not in data:
            handoff.accepted_at, handoff.agent = at, data.get("agent_id")
            floor = self.floors[handoff.on]
            self._lands(floor, floor.passes("agent" if handoff.agent else "bot"), data)
        elif verb in ("accepted", "joined") and "hop" in data:
            there = self.floors[data["redeemed_by"]]
            self._lands(there, (self.floors[handoff.on].place, there.channel, "handoff"), data)
        self._end(handoff, verb, data, at)

    def _decide(self, handoff: Waiting, verb: str, data: dict[str, Any], at: datetime) -> None:
        """Note what first became of an offer to a human."""
        over = verb in ("accepted", "declined", "expired", "cancelled", "left") and data.get("state") != "offered"
        if not over or handoff.decided:
            return
        handoff.decided = True
        if handoff.to in ("queue", "agent"):
            self.decided.append(verb)
        if verb == "accepted" and "agent_id" in data:
            self.waits.append(at - handoff.since)

    def _end(self, handoff: Waiting, verb: str, data: dict[str, Any], at: datetime) -> None:
        """Note receipts, leases that lapse, and agents' work that ends."""
        floor = self.floors[handoff.on]
        self.receipts += verb == "shown"
        if verb == "lapsed":
            handoff.accepted_at = handoff.agent = None
            floor.passes("bot")
        if verb not in ("completed", "returned", "transferred") or handoff.agent is None:
            return
        assert handoff.accepted_at is not None
        self.handled.append(at - handoff.accepted_at)
        child = self.handoffs.get(data.get("by", ""))
        self.transfers += verb == "transferred" and child is not None and child.to != "bot"
        if verb == "completed" and floor.ended_at is None:
            floor.passes("bot")


def _mean(spans: list[timedelta]) -> tuple[int, float]:
    """How many, and their mean in seconds."""
    return len(spans), round(sum(spans, timedelta()).total_seconds() / len(spans), 3) if spans else 0
