"""A call as it truly goes, made up at random, and what the systems that take part in it tell.

The line knows nothing of the model: who talks to the customer is written down as it happens.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from ctxhub.model.call import SKEW
from ctxhub.model.calling import BY_AGENT, BY_HOLDER
from ctxhub.model.event import Event
from tests.support import HOUR, NOON, SECOND, an_event

AGENTS = ("ann", "bob", "cat", "dan")
ACD = "acd"
DESK = "desk"
MENU = "menu"
NAMES = {ACD: "0078", MENU: "m-1"}
#: So many hours of nothing a hub takes for the end of a call.
TOO_LONG = 5


class Told(NamedTuple):
    """A report, which number of happening it is about, and when that truly was."""

    event: Event
    number: int
    truly: datetime


class Name(NamedTuple):
    """How a system calls a call."""

    system: str = ACD
    id: str = NAMES[ACD]


OF_THE_ACD = Name()


@cache
def _template(type_: str, said: tuple[tuple[str, Any], ...]) -> Event:
    """Return a report as it is checked on its way in; the same words are checked once."""
    data = dict(said)
    ref = {"ref": {"system": data.pop("system"), "kind": "call", "id": data.pop("id")}} if "system" in data else {}
    return an_event(type_, **ref, **data)


@dataclass
class Line:
    """One customer's call as it truly goes; `told` is what is said of it, in the true order.

    `waits` says that it begins in a queue where the hub knows it. `apart` is by how many seconds the desk's clock is
    ahead of the telephone system's. `brief` and `longest` are the shortest and the longest time between
    two happenings, in seconds. `legs_have_names`
    of their own, whoever is consulted. `passes_on` says that the telephone system gives on what nobody answers.
    """

    random: random.Random
    interaction_id: str = "in_1"
    name: Name = OF_THE_ACD
    waits: bool = True
    apart: int = 0
    brief: int = 1
    longest: int = 40
    legs_have_names: bool = False
    passes_on: bool = False
    now: datetime = NOON
    holder: str | None = None
    bot: bool = False
    over: bool = False
    hung_up: bool = False
    silent_for: float = 0.0
    roles: dict[str, str] = field(default_factory=dict)
    ringing: dict[str, str | None] = field(default_factory=dict)
    due: str | None = None
    served: list[str] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def happen(self) -> None:
        """Let something happen that can happen now."""
        if self.passes_on and self._waits_there() and self.random.random() < 0.5:
            self.pass_on()
            return
        deeds = [self.answer] * 4 + [self.give_up] if self.ringing else [self.ring] * 4 + [self.pick_up] * 2
        if self.holder is not None:
            deeds = [self.answer] * 4 + [self.give_up] if self.ringing else [self.consult] * 4
            deeds += [self.hold, self.watch, self.give_away, self.give_to_queue, self.give_to_bot]
            deeds += [self.leave] * 3 if len(self.roles) > 1 else [self.drop_out]
            deeds += [self.join] * 3 + [self.give_warm] * 3 + [self.part] * 2 if self._with("consulted") else []
        if not self.over:
            deeds += [self.stand, self.record, self.be_silent][: self.random.randint(0, 3)]
        self.random.choice(deeds)()

    def say(self, verb: str, agent_id: str | None = None, by: str = ACD, name: Name | None = None, **more: Any) -> None:
        """Report something, a moment after it happened."""
        self.now += SECOND * self.random.randint(self.brief, self.longest)
        if by == ACD and verb in ("answered", "held", "retrieved") and self.apart and self.random.random() < 0.4:
            by = DESK
        said = more | ({"agent_id": agent_id} if agent_id else {})
        if by != DESK:
            said |= {"system": by, "id": NAMES[MENU]} if by == MENU else (name or self._name_of(agent_id))._asdict()
        type_ = verb if "." in verb else f"call.{verb}"
        event = _template(type_, tuple(sorted(said.items()))).but(
            event_id=f"{self.interaction_id}-{len(self.told)}",
            at=self.now + SECOND * self.apart if by == DESK else self.now,
            interaction_id=self.interaction_id,
            # The desk's word counts as that of whoever has the floor; a word that counts for nothing is another test's.
            marks=[BY_AGENT, BY_HOLDER] if by == DESK else [],
        )
        self.told.append(Told(event, len(self.told), self.now))

    def _name_of(self, agent_id: str | None) -> Name:
        """Return how the telephone system names what a report is about: whoever is beside the holder may have a leg."""
        beside = self.ringing.get(agent_id or "") == "consulted" or self.roles.get(agent_id or "") in (
            "consulted",
            "joined",
        )
        leg = f"-{agent_id}" if self.legs_have_names and beside else ""
        return Name(self.name.system, f"{self.name.id}{leg}")

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
            self._goes_on()

    def _goes_on(self) -> None:
        if self.over:
            self.kinds.add("seemed to be over, and went on")
        self.over = False

    def pick_up(self) -> None:
        """Somebody has the customer of whom nobody told before."""
        agent = self._free()
        if agent is not None and agent not in self.left_now() and self.holder is None and not self.ringing:
            self.say("answered", agent)
            self._goes_on()
            self._comes(agent, "holder")
            self.kinds.add("answered without having rung")

    def left_now(self) -> set[str | None]:
        """Whose legs ended so shortly before that, by clocks that lie apart, an answer may be that of the same leg."""
        lately = [one.event for one in self.told if self.now - one.truly <= SKEW and one.event.type == "call.ended"]
        return {event.data.get("agent_id") for event in lately}

    def answer(self) -> None:
        """Whoever is rung answers, and perhaps is told to have answered once more."""
        agent, role = self.random.choice(list(self.ringing.items()))
        self.say("answered", agent)
        del self.ringing[agent]
        self._comes(agent, role or "holder")
        if self.random.random() < 0.15:
            self.say("answered", agent)
            self.kinds.add("an agent answers twice")

    def _comes(self, agent: str, role: str) -> None:
        self.roles[agent] = role
        if role == "holder" or self._left_alone():
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
        self.kinds.add("rung, and not answered")

    def hold(self) -> None:
        """The customer is put on hold, and taken off it again."""
        self.say("held", self.holder)
        self.kinds.add("on hold")
        if self.random.random() < 0.8:
            self.say("retrieved", self.holder)

    def consult(self) -> None:
        """The holder asks somebody else."""
        agent = self._free()
        if agent is not None:
            self.ringing[agent] = "consulted"
            self.say("consulted", agent)
            self.kinds.add("consult")

    def watch(self) -> None:
        """A supervisor listens in."""
        agent = self._free()
        if agent is not None:
            self.say("answered", agent, role="monitoring")
            self.roles[agent] = "monitoring"
            self.kinds.add("monitoring")

    def join(self) -> None:
        """Whoever was consulted joins the customer."""
        agent = self.random.choice(self._with("consulted"))
        self.say("conferenced", agent)
        self.roles[agent] = "joined"
        self.kinds.add("conference")

    def part(self) -> None:
        """Whoever was consulted leaves again."""
        agent = self.random.choice(self._with("consulted"))
        name = self._name_of(agent)
        if name != self.name and self.random.random() < 0.5:
            self.say("ended", name=name)
            self.kinds.add("a leg's end is told by its own name")
        else:
            self.say("ended", agent)
        del self.roles[agent]

    def give_warm(self) -> None:
        """Whoever was consulted takes over."""
        agent, before = self.random.choice(self._with("consulted")), self.holder
        self.say("transferred", agent)
        self._goes(before)
        self._holds(agent)
        self.kinds.add("warm transfer")

    def give_away(self) -> None:
        """The holder transfers to somebody who has still to answer."""
        agent, before = self._free(), self.holder
        if agent is not None and len(self.roles) == 1 and not self.ringing:
            self.say("transferred", agent)
            self._goes(before)
            self.ringing[agent], self.due = "holder", agent
            self.kinds.add("cold transfer")

    def give_to_queue(self) -> None:
        """The holder transfers to a queue."""
        if len(self.roles) == 1 and not self.ringing:
            self.say("transferred", queue="second")
            self._goes(self.holder)
            self.due = "second"
            self.kinds.add("to a second queue")

    def _waits_there(self) -> bool:
        return self.holder is None and not self.bot and (self.due is not None or (self.waits and not self.served))

    def pass_on(self) -> None:
        """The telephone system gives on what nobody answered where it was given: to a queue, an agent or the menu."""
        for agent in list(self.ringing):
            del self.ringing[agent]
            self.say("ended", agent)
        if self.due is None:
            self.kinds.add("the hub's own offer is passed on")
        to = self.random.choice(["second", "third", "menu", self._free() or "second"])
        if to == "menu":
            self.say("transferred", bot="menu", step="payout", say="Let us go on.")
            self.bot = True
        elif to in AGENTS:
            self.say("transferred", to)
            self.ringing[to] = "holder"
        else:
            self.say("transferred", queue=to)
        self.due = to
        self.kinds.add("passed on before an answer")

    def give_to_bot(self) -> None:
        """The holder gives the customer back to the menu."""
        if len(self.roles) == 1 and not self.ringing:
            self.say("transferred", bot="menu", step="payout", say="Let us go on.")
            self._goes(self.holder)
            self.bot, self.due = True, "menu"
            self.kinds.add("back to the menu at a step")

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
            self._holds(others[0])
            self.kinds.add("the holder leaves the others")

    def drop_out(self) -> None:
        """The holder is cut off, and nobody is there: so the call seems to be over."""
        if len(self.roles) == 1 and not self.ringing:
            self._goes(self.holder)
            self.over = True

    def stand(self) -> None:
        """The router tells where the customer stands."""
        if self.holder is None and not self.bot:
            place = self.random.randint(1, 9)
            self.say("queued", queue=self.due or "cards", position=place, expected_wait=60 * place)
            self.kinds.add("a place in the queue is told")

    def record(self) -> None:
        """The recorder pauses, or goes on."""
        self.say(self.random.choice(["recording.started", "recording.paused", "recording.resumed"]))
        self.kinds.add("recorded")

    def be_silent(self) -> None:
        """For an hour nobody tells anything."""
        if self.silent_for < 2 and self.random.random() < 0.3:
            self.now += HOUR
            self.silent_for += 1
            self.kinds.add("silent for an hour")

    def be_silent_for_long(self) -> None:
        """For so long nobody tells anything that the hub takes it for the end."""
        self.now += TOO_LONG * HOUR
        self.silent_for = TOO_LONG
        self.kinds.add("silent for five hours")

    def menu_goes(self) -> None:
        """The menu's own part of the call ends, which goes on at the telephone system."""
        self.say("ended", by=MENU, reason="transferred")
        self.kinds.add("the menu's part ends")

    def hang_up(self) -> None:
        """The customer is gone."""
        self.say("ended")
        self.over, self.hung_up, self.holder, self.bot, self.due = True, True, None, False, None
        self.roles, self.ringing = {}, {}


def a_call(random_: random.Random, ends: bool, most: int = 12, **more: Any) -> Line:
    """A call at random."""
    line = Line(random_, **more)
    if random_.random() < 0.2:
        line.menu_goes()
    deeds = random_.randint(1, most)
    long_silence = random_.randrange(deeds) if random_.random() < 0.03 else None
    for number in range(deeds):
        if number == long_silence:
            line.be_silent_for_long()
        line.happen()
    if ends:
        line.hang_up()
    if not line.waits:
        line.kinds.add("never announced")
    return line
