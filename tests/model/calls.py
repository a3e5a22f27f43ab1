"""Calls made up at random: what truly happens on the line, what is reported of it, and in which disorder that comes.

The line knows nothing of the model: who talks to the customer is written down as it happens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ctxhub.model.event import Event
from tests.support import NOON, SECOND, an_event

AGENTS = ("ann", "bob", "cat", "dan")
CALL = {"system": "acd", "kind": "call", "id": "0078"}


@dataclass
class Line:
    """One customer's call as it truly goes; `told` is what the telephone system says of it, in the true order."""

    random: random.Random
    now: datetime = NOON
    holder: str | None = None
    bot: bool = False
    over: bool = False
    roles: dict[str, str] = field(default_factory=dict)
    ringing: dict[str, str | None] = field(default_factory=dict)
    due: str | None = None
    served: list[str] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    def happen(self) -> None:
        """Let something happen that can happen now."""
        deeds = [self.ring] if not self.ringing else [self.answer, self.answer, self.give_up]
        if self.holder is not None:
            deeds += [self.hold, self.consult, self.watch, self.give_away, self.give_to_queue, self.give_to_bot]
            deeds += [self.leave, self.leave] if len(self.roles) > 1 else []
            deeds += [self.join, self.give_warm, self.part] if self._with("consulted") else []
        self.random.choice(deeds)()

    def say(self, verb: str, agent_id: str | None = None, **more: Any) -> None:
        """Report something, a moment after it happened."""
        self.now += SECOND * self.random.randint(1, 40)
        about = {"agent_id": agent_id} if agent_id else {}
        event_id = f"call-{len(self.told)}"
        self.told.append(an_event(f"call.{verb}", at=self.now, event_id=event_id, ref=CALL, **about, **more))

    def _free(self) -> str | None:
        free = [one for one in AGENTS if one not in self.roles and one not in self.ringing]
        return self.random.choice(free) if free else None

    def _with(self, role: str) -> list[str]:
        return [agent for agent, has in self.roles.items() if has == role]

    def ring(self) -> None:
        """The router rings somebody, where nobody has the customer."""
        agent = self._free()
        if agent is not None and self.holder is None:
            self.say("alerting", agent)
            self.ringing[agent] = "holder"

    def answer(self) -> None:
        """Whoever is rung answers."""
        agent, role = self.random.choice(list(self.ringing.items()))
        del self.ringing[agent]
        self.say("answered", agent, **({"role": "monitoring"} if role == "monitoring" else {}))
        self._comes(agent, role or "holder")

    def _comes(self, agent: str, role: str) -> None:
        self.roles[agent] = role
        if role == "holder" or (role in ("consulted", "joined") and self._left_alone()):
            self._holds(agent)

    def _left_alone(self) -> bool:
        return self.holder is None and not self.bot and self.due is None and "holder" not in self.ringing.values()

    def _holds(self, agent: str) -> None:
        self.roles[agent], self.holder, self.bot, self.due = "holder", agent, False, None
        self.served.append(agent)

    def give_up(self) -> None:
        """Whoever is rung does not answer."""
        agent = self.random.choice(list(self.ringing))
        del self.ringing[agent]
        self.say("ended", agent)

    def hold(self) -> None:
        """The customer is put on hold, and taken off it again."""
        self.say("held", self.holder)
        if self.random.random() < 0.8:
            self.say("retrieved", self.holder)

    def consult(self) -> None:
        """The holder asks somebody else."""
        agent = self._free()
        if agent is not None:
            self.say("consulted", agent)
            self.ringing[agent] = "consulted"

    def watch(self) -> None:
        """A supervisor listens in."""
        agent = self._free()
        if agent is not None:
            self.say("answered", agent, role="monitoring")
            self.roles[agent] = "monitoring"

    def join(self) -> None:
        """Whoever was consulted joins the customer."""
        agent = self.random.choice(self._with("consulted"))
        self.say("conferenced", agent)
        self.roles[agent] = "joined"

    def part(self) -> None:
        """Whoever was consulted leaves again."""
        agent = self.random.choice(self._with("consulted"))
        self.say("ended", agent)
        del self.roles[agent]

    def give_warm(self) -> None:
        """Whoever was consulted takes over."""
        agent, before = self.random.choice(self._with("consulted")), self.holder
        self.say("transferred", agent)
        self._goes(before)
        self._holds(agent)

    def give_away(self) -> None:
        """The holder transfers to somebody who has still to answer."""
        agent, before = self._free(), self.holder
        if agent is not None and len(self.roles) == 1 and not self.ringing:
            self.say("transferred", agent)
            self._goes(before)
            self.ringing[agent], self.due = "holder", agent

    def give_to_queue(self) -> None:
        """The holder transfers to a queue."""
        if len(self.roles) == 1 and not self.ringing:
            self.say("transferred", queue="second")
            self._goes(self.holder)
            self.due = "second"

    def give_to_bot(self) -> None:
        """The holder gives the customer back to the menu."""
        if len(self.roles) == 1 and not self.ringing:
            self.say("transferred", bot="menu", step="payout", say="Let us go on.")
            self._goes(self.holder)
            self.bot, self.due = True, "menu"

    def _goes(self, agent: str | None) -> None:
        if agent is not None:
            self.say("ended", agent)
            del self.roles[agent]
            self.holder = None

    def leave(self) -> None:
        """The holder leaves whoever else is there with the customer."""
        others = [*self._with("joined"), *self._with("consulted")]
        if others and self.holder is not None:
            self._goes(self.holder)
            self._holds(next(agent for agent in others))

    def hang_up(self) -> None:
        """The customer is gone."""
        self.say("ended")
        self.over, self.holder, self.bot = True, None, False
        self.roles, self.ringing = {}, {}


def a_call(seed: int, ends: bool = True, most: int = 12) -> Line:
    """A call at random."""
    line = Line(random.Random(seed))
    for _ in range(line.random.randint(1, most)):
        line.happen()
    if ends:
        line.hang_up()
    return line


def in_disorder(line: Line, lost: float = 0.0) -> list[Event]:
    """What arrives of what was told: some of it lost, some twice or under another name, all of it in any order."""
    kept = [event for event in line.told if line.random.random() >= lost]
    again = [event.but(event_id=f"{event.event_id}-again") for event in kept if line.random.random() < 0.2]
    arrived = [*kept, *again]
    if line.random.random() < 0.5:
        line.random.shuffle(arrived)
        return arrived
    late = {id(event): event.at + timedelta(seconds=line.random.randint(0, 90)) for event in arrived}
    return sorted(arrived, key=lambda event: late[id(event)])
