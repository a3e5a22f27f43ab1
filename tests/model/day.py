"""A day of a contact centre, played from a seed: who comes when, who works when, who answers, and what routing does.

Time is handed from event to event; nothing sleeps. After each round of routing the day looks whether somebody who could
help stands idle beside somebody who waits, and whether whoever was idle longest was asked.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import NamedTuple

from ctxhub.model.routing import Agent, Choice, Suggesting, Suggestion, Waits, Weights, fits, parts, still_rings
from tests.support import HOUR, MINUTE, NOON, SECOND

MIDNIGHT = NOON - 12 * HOUR
RULES = {"cards": Suggesting(weights=Weights(), insist=45), "loans": Suggesting(weights=Weights(), insist=45, ring=15)}
GIVES_UP = 15 * MINUTE
#: Customers of each hour of the day, and shifts as (first hour, hours, agents).
BY_HOUR = (4, 2, 2, 2, 3, 8, 20, 45, 90, 120, 130, 120, 100, 110, 125, 130, 120, 100, 80, 60, 45, 30, 18, 9)
SHIFTS = ((0, 8, 2), (6, 8, 7), (8, 8, 14), (10, 8, 8), (14, 8, 8), (16, 8, 4))
Router = Callable[[Iterable[Waits], Iterable[Agent], Mapping[str, Suggesting], datetime], list[Choice]]


class Seen(NamedTuple):
    """What the day came to: how long each waited until somebody took it, who gave up, and what was wrong."""

    waited: dict[str, timedelta]
    gave_up: dict[str, timedelta]
    wrong: list[str]
    asked: int
    unanswered: int


@dataclass
class Day:
    """One day under one router."""

    router: Router
    seed: int
    busy: float = 1.0
    hours: int = 24
    waiting: dict[str, Waits] = field(default_factory=dict)
    staff: dict[str, Agent] = field(default_factory=dict)
    waited: dict[str, timedelta] = field(default_factory=dict)
    gave_up: dict[str, timedelta] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    asked: int = 0
    unanswered: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.due: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self.turn = count()

    def at(self, when: datetime, happens: Callable[[datetime], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self.due, (when, next(self.turn), happens))

    def play(self) -> Seen:
        """Play until nothing is left to happen."""
        self._hire()
        self._invite()
        while self.due:
            now, _, happens = heapq.heappop(self.due)
            happens(now)
            while self.due and self.due[0][0] == now:
                heapq.heappop(self.due)[2](now)
            self._route(now)
        return Seen(self.waited, self.gave_up, self.wrong, self.asked, self.unanswered)

    def _hire(self) -> None:
        """Let agents come and go by their shifts; what one still has when the shift ends he finishes."""
        for first, hours, number in SHIFTS:
            for n in range(number):
                agent = self._agent(f"a{first:02}-{n:02}", n)
                self.at(MIDNIGHT + first * HOUR, partial(self._comes, agent))
                self.at(MIDNIGHT + (first + hours) * HOUR, partial(self._goes, agent.agent_id))

    def _agent(self, agent_id: str, n: int) -> Agent:
        """An agent: of each shift the first two can do all, the others one queue or both, and some of the rest."""
        both = frozenset({"cards", "loans"})
        queues = both if n < 2 else self.dice.choice([both, frozenset({"cards"}), frozenset({"loans"})])
        skills = both | {"business"} if n < 2 else queues | set(self.dice.sample(["business"], self.dice.randint(0, 1)))
        languages = frozenset({"zh", "en"} if n < 2 else {self.dice.choice(["zh", "zh", "en"])})
        return Agent(agent_id, queues, frozenset(skills), languages, {"chat": self.dice.randint(2, 4), "voice": 1})

    def _invite(self) -> None:
        """Let customers come by the hour."""
        hours = [hour for hour, many in enumerate(BY_HOUR[: self.hours]) for _ in range(round(many * self.busy))]
        for number, hour in enumerate(hours):
            came = MIDNIGHT + hour * HOUR + self.dice.randrange(3600) * SECOND
            self.at(came, partial(self._arrives, f"h{number:05}"))

    def _arrives(self, handoff_id: str, now: datetime) -> None:
        """A customer waits, until somebody takes him or he has waited too long."""
        queue = self.dice.choice(["cards", "cards", "loans"])
        self.waiting[handoff_id] = Waits(
            handoff_id, queue, self.dice.choice(["chat", "chat", "chat", "voice"]), now, frozenset({queue}),
            frozenset({"business"} if self.dice.random() < 0.15 else ()), self.dice.choice(["zh", "zh", "en", None]),
            self.dice.choice([0, 0, 0, 40]),
        )  # fmt: skip
        self.at(now + RULES[queue].insist * SECOND, lambda _: None)
        self.at(now + GIVES_UP, lambda now: self._gives_up(handoff_id, now))

    def _comes(self, agent: Agent, now: datetime) -> None:
        """An agent is there."""
        self.staff[agent.agent_id] = replace(agent, since=now, idle_since=now)

    def _goes(self, agent_id: str, now: datetime) -> None:
        """An agent takes no more."""
        self.staff[agent_id] = replace(self.staff[agent_id], is_available=False, queues=frozenset())

    def _gives_up(self, handoff_id: str, now: datetime) -> None:
        """A customer goes where the fallback leads."""
        waits = self.waiting.pop(handoff_id, None)
        if waits is not None:
            self.gave_up[handoff_id] = now - waits.waiting_since
            self._let_go(waits)

    def _let_go(self, waits: Waits) -> None:
        """What rang rings no more."""
        if waits.suggestion is not None and waits.suggestion.agent_id in self.staff:
            self.staff[waits.suggestion.agent_id] = self.staff[waits.suggestion.agent_id].without(waits.handoff_id)

    def _route(self, now: datetime) -> None:
        """Let the router work, look at what it did, and let those who are asked answer or not."""
        choices = self.router(self.waiting.values(), list(self.staff.values()), RULES, now)
        for choice in choices:
            self._look(choice, now)
            self._suggest(choice, now)
        self._look_for_idle(now)

    def _look(self, choice: Choice, now: datetime) -> None:
        """Note a choice of somebody who can't, or by which somebody alike who was idle longer is passed over."""
        waits = self.waiting[choice.handoff_id]
        if choice.agent_id is None:
            return
        taken, spec = self.staff[choice.agent_id].without(waits.handoff_id), RULES[waits.queue]
        if not fits(taken, waits, spec, now):
            self.wrong.append(f"{now}: {choice.agent_id} can not take {waits.handoff_id}")
        points = _beside_idle(waits, taken, now)
        for other in self.staff.values():
            alike = not (other.work or taken.work) and other.idle_since < taken.idle_since
            if alike and fits(other, waits, spec, now) and _beside_idle(waits, other, now) >= points:
                self.wrong.append(f"{now}: {other.agent_id} was idle longer than {choice.agent_id}")

    def _suggest(self, choice: Choice, now: datetime) -> None:
        """Let a handoff ring; who is asked takes it within seconds, declines, or does not hear it."""
        waits = self.waiting[choice.handoff_id]
        self._let_go(waits)
        rang = waits.suggestion
        number = (rang.number if rang else 0) + 1
        rings = (rang.rings if rang else 0) + (choice.agent_id is not None)
        suggestion = Suggestion(
            number=number, queue=choice.queue, agent_id=choice.agent_id, at=now, until=choice.until, rings=rings
        )
        self.waiting[choice.handoff_id] = waits._replace(suggestion=suggestion)
        if choice.agent_id is None:
            return
        self.asked += 1
        self.staff[choice.agent_id] = self.staff[choice.agent_id].with_work(choice.handoff_id, waits.channel)
        mood, answers_at = self.dice.random(), now + self.dice.randint(2, 12) * SECOND
        answer = self._takes if mood < 0.92 else self._declines if mood < 0.95 else None
        if answer is not None:
            self.at(answers_at, lambda now: answer(choice.handoff_id, suggestion, now))
        self.at(choice.until, lambda now: self._rang_out(choice.handoff_id, suggestion, now))

    def _stands(self, handoff_id: str, suggestion: Suggestion) -> Waits | None:
        """Return a handoff if it is still suggested so."""
        waits = self.waiting.get(handoff_id)
        return waits if waits is not None and waits.suggestion == suggestion else None

    def _takes(self, handoff_id: str, suggestion: Suggestion, now: datetime) -> None:
        """An agent takes what rings, and is done with it some minutes later."""
        waits = self._stands(handoff_id, suggestion)
        if waits is None:
            return
        del self.waiting[handoff_id]
        agent_id = suggestion.agent_id or ""
        self.waited[handoff_id] = now - waits.waiting_since
        if self.staff[agent_id].load > 1:
            self.wrong.append(f"{now}: {agent_id} has more than he can take")
        self.at(now + self.dice.randint(90, 540) * SECOND, lambda now: self._is_done(agent_id, handoff_id, now))

    def _is_done(self, agent_id: str, handoff_id: str, now: datetime) -> None:
        """An agent is done with something."""
        agent = self.staff[agent_id].without(handoff_id)
        self.staff[agent_id] = agent if agent.work else replace(agent, idle_since=now)

    def _declines(self, handoff_id: str, suggestion: Suggestion, now: datetime) -> None:
        """An agent passes."""
        waits = self._stands(handoff_id, suggestion)
        if waits is not None and suggestion.agent_id is not None:
            self._let_go(waits)
            self.waiting[handoff_id] = waits._replace(passed=waits.passed | {suggestion.agent_id})

    def _rang_out(self, handoff_id: str, suggestion: Suggestion, now: datetime) -> None:
        """Who did not answer is away, and back two minutes later."""
        waits, agent = self._stands(handoff_id, suggestion), self.staff[suggestion.agent_id or ""]
        if waits is None or agent.agent_id in waits.passed:
            return
        self.unanswered += 1
        self._let_go(waits)
        self.staff[agent.agent_id] = replace(self.staff[agent.agent_id], is_available=False)
        self.at(now + 2 * MINUTE, lambda now: self._is_back(agent.agent_id, now))

    def _is_back(self, agent_id: str, now: datetime) -> None:
        """An agent is there again, unless his shift has ended meanwhile."""
        agent = self.staff[agent_id]
        if agent.queues:
            self.staff[agent_id] = replace(agent, is_available=True, since=now, idle_since=max(now, agent.idle_since))

    def _look_for_idle(self, now: datetime) -> None:
        """Note whoever could help somebody who waits, and is not asked."""
        for waits in self.waiting.values():
            if still_rings(waits, self.staff, now):
                continue
            idle = [a.agent_id for a in self.staff.values() if fits(a, waits, RULES[waits.queue], now)]
            if idle:
                self.wrong.append(f"{now}: {', '.join(idle)} idle beside {waits.handoff_id}")


def _beside_idle(waits: Waits, agent: Agent, now: datetime) -> int:
    """Return what speaks for an agent beside how long he has been idle."""
    return sum(part for why, part in parts(waits, agent, RULES[waits.queue], now) if why != "idle")


def share(spans: Iterable[timedelta], of: float) -> timedelta:
    """Return within what span so many of them lie."""
    ordered = sorted(spans)
    return ordered[min(len(ordered) - 1, int(len(ordered) * of))]
