"""Routing: to which agent a waiting handoff is suggested, by the weights that its queue declares, and why.

Points are whole numbers, and ties have a rule of their own, so that the order of what comes in decides nothing.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StrictBool

from ctxhub.model.value import Channel, Id, Instant, Language, Name, Value

_SECOND, _MINUTE, _HOUR, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_UNITS = ((_DAY, "days", "天"), (_HOUR, "h", "小时"), (_MINUTE, "min", "分钟"), (_SECOND, "s", "秒"))
_TEN_MINUTES = timedelta(minutes=10)
_FULL = 1000
#: So long who served a customer counts as who did so last.
REMEMBERED = timedelta(days=30)

Weight = Annotated[int, Field(ge=0, le=1000, strict=True)]
Capacity = dict[Channel, Annotated[int, Field(ge=0, le=100, strict=True)]]


class Weights(Value):
    """How much each thing counts: each at most once, but `waiting` once for every ten minutes, without end.

    `skill` and `language`: whether the agent has what the customer needs; `served`: whether the agent is with this
    customer now or was so last; `idle`: how long the agent has had nothing to do, an hour counting in full.
    """

    skill: Weight = 40
    language: Weight = 40
    served: Weight = 20
    idle: Weight = 10
    priority: Weight = 50
    waiting: Weight = 20


class Suggesting(Value):
    """How a queue suggests whoever waits to one agent after another; without `weights` it suggests to nobody.

    An agent has `ring` seconds; after `rings` of them the whole queue may take it. Skills and languages are a must for
    the first `insist` seconds of waiting. Where it is `exclusive` nobody else may accept while it rings. Who speaks
    none of its `languages` is taken to speak the first.
    """

    weights: Weights | None = None
    ring: Annotated[int, Field(ge=1, le=600, strict=True)] = 20
    rings: Annotated[int, Field(ge=1, le=50, strict=True)] = 3
    insist: Annotated[int, Field(ge=0, le=86_400, strict=True)] = 60
    exclusive: StrictBool = False
    languages: list[Language] = Field([], max_length=50)


class AgentSpec(Value):
    """What an agent can do: skills, languages, queues, and how many at once of each channel, one unless said."""

    skills: list[Name] = Field([], max_length=200)
    languages: list[Language] = Field([], max_length=50)
    queues: list[Name] = Field([], max_length=200)
    capacity: Capacity = {}


Why = Literal[
    "skill", "lacks_skill", "language", "lacks_language", "served", "with_now", "beyond_capacity", "idle", "priority",
    "waiting",
]  # fmt: skip


class Reason(Value):
    """One reason for a suggestion, in words of each language that we speak."""

    why: Why
    say: dict[Language, str]


class Suggestion(Value):
    """Whom a handoff is suggested to, why, and until when; without an agent the whole queue may take it.

    `number` counts what became of the handoff so, `rings` the agents who were asked since it came into the queue, with
    `lapses` so many lapsed leases before.
    """

    number: int
    queue: Name
    agent_id: Id | None = None
    reasons: tuple[Reason, ...] = ()
    at: Instant
    until: Instant
    exclusive: bool = False
    rings: int = 0
    lapses: int = 0


class Served(NamedTuple):
    """When an agent had a customer, or that he has him now."""

    at: datetime
    is_now: bool = False


class Waits(NamedTuple):
    """A handoff that waits in a queue, as far as routing asks.

    `with_now` is the agent who has the customer in another channel now: to whom one more than fits is still suggested.
    """

    handoff_id: str
    queue: str
    channel: str
    waiting_since: datetime
    must: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    language: str | None = None
    priority: int = 0
    served: Mapping[str, Served] = {}
    with_now: str | None = None
    passed: frozenset[str] = frozenset()
    suggestion: Suggestion | None = None


@dataclass(frozen=True)
class Agent:
    """An agent as routing sees him: what he can do, since when he is there and idle, and what he has or rings for him.

    `work` is the channel of each handoff, by its id.
    """

    agent_id: str
    queues: frozenset[str] = frozenset()
    skills: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    capacity: Mapping[str, int] = field(default_factory=dict)
    is_available: bool = True
    since: datetime = datetime.min
    idle_since: datetime = datetime.min
    work: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def load(self) -> Fraction:
        """How much of him is taken: four chats of four, or one call of one, are all of him."""
        return sum((self._share(channel) for channel in self.work.values()), Fraction(0))

    def _share(self, channel: str) -> Fraction:
        """Return how much of him one handoff of a channel takes; of a channel that he does not serve, all."""
        return Fraction(1, self.capacity.get(channel, 1) or 1)

    def has_room(self, handoff_id: str, channel: str, beyond: bool = False) -> bool:
        """Tell whether he can take a handoff beside all else that he has; `beyond` that he may have one too many."""
        if self.capacity.get(channel, 1) == 0:
            return False
        load = self.without(handoff_id).load
        return load + self._share(channel) <= 1 or (beyond and load <= 1)

    def with_work(self, handoff_id: str, channel: str) -> Agent:
        """Return him with one handoff more."""
        return replace(self, work={**self.work, handoff_id: channel})

    def without(self, handoff_id: str) -> Agent:
        """Return him without a handoff."""
        if handoff_id not in self.work:
            return self
        return replace(self, work={known: channel for known, channel in self.work.items() if known != handoff_id})


class Choice(NamedTuple):
    """To whom a handoff is suggested next, and why; None lets the whole queue take it."""

    handoff_id: str
    queue: str
    agent_id: str | None
    reasons: tuple[Reason, ...]
    until: datetime
    exclusive: bool


class _Pair(NamedTuple):
    """A handoff and an agent for it, best first when sorted."""

    points: int
    waiting_since: datetime
    handoff_id: str
    load: Fraction
    idle_since: datetime
    agent_id: str


#: What makes up an agent's points for all who ask for the same.
_OF_AGENTS = ("skill", "language", "idle")


class _Place(NamedTuple):
    """Where an agent stands among those good for what is asked for, best first when sorted."""

    points: int
    load: Fraction
    idle_since: datetime
    agent_id: str


def main_language(tag: str) -> str:
    """Return a language without its region and script."""
    return tag.split("-")[0].lower()


def route(
    waiting: Iterable[Waits], agents: Iterable[Agent], queues: Mapping[str, Suggesting], now: datetime
) -> list[Choice]:
    """Return to whom waiting handoffs are suggested now; those that ring at somebody able are left to ring."""
    staff = {agent.agent_id: agent for agent in agents}
    ours = [waits for waits in waiting if queues[waits.queue].weights is not None]
    open_ = {waits.handoff_id: waits for waits in ours if not still_rings(waits, staff, now)}
    for waits in open_.values():
        before = staff.get(waits.suggestion.agent_id or "") if waits.suggestion else None
        if before is not None:
            staff[before.agent_id] = before.without(waits.handoff_id)
    chosen = list(_chosen(open_, staff, queues, now))
    left = sorted(open_.keys() - {choice.handoff_id for choice in chosen})
    return chosen + [_for_all(open_[handoff_id], now) for handoff_id in left if _rang(open_[handoff_id])]


def still_rings(waits: Waits, staff: Mapping[str, Agent], now: datetime) -> bool:
    """Tell whether a handoff rings at an agent who can still take it."""
    ringing = waits.suggestion
    if ringing is None or ringing.agent_id is None or now >= ringing.until or ringing.queue != waits.queue:
        return False
    agent = staff.get(ringing.agent_id)
    return agent is not None and _can_take(agent, waits)


def _rang(waits: Waits) -> bool:
    """Tell whether a handoff rang at an agent last, so that the queue must hear that it no longer does."""
    return waits.suggestion is not None and waits.suggestion.agent_id is not None


def _can_take(agent: Agent, waits: Waits) -> bool:
    """Tell whether an agent may be given a handoff: there, of its queue, with all that this asks, and with room."""
    return (
        agent.is_available
        and waits.queue in agent.queues
        and waits.must <= agent.skills
        and agent.agent_id not in waits.passed
        and agent.has_room(waits.handoff_id, waits.channel, beyond=waits.with_now == agent.agent_id)
    )


def fits(agent: Agent, waits: Waits, spec: Suggesting, now: datetime) -> bool:
    """Tell whether a handoff may be suggested to an agent now; who let it ring is asked again when he comes back."""
    before = waits.suggestion
    let_ring = before is not None and before.agent_id == agent.agent_id and now >= before.until
    if not _can_take(agent, waits) or (let_ring and before is not None and agent.since <= before.at):
        return False
    return _has_all(agent, waits) or now - waits.waiting_since >= timedelta(seconds=spec.insist)


def _has_all(agent: Agent, waits: Waits) -> bool:
    """Tell whether an agent has all skills that are wanted, and the language."""
    return waits.wanted <= agent.skills and _speaks(agent, waits)


def _speaks(agent: Agent, waits: Waits) -> bool:
    """Tell whether an agent speaks with a customer, as far as it is known what either of them speaks."""
    return waits.language is None or not agent.languages or waits.language in agent.languages


def _chosen(
    open_: Mapping[str, Waits], staff: dict[str, Agent], queues: Mapping[str, Suggesting], now: datetime
) -> Iterator[Choice]:
    """Yield the best pair of all, then the best of what is left, until nobody is left for anybody.

    Whoever gets something is idle no more and has less room. So a pair gets worse with time and never better, and one
    that comes first is looked at again only where its agent has got something since.
    """
    bench = _Bench(open_, staff, queues, now)
    line = [pair for waits in open_.values() if (pair := bench.best(waits)) is not None]
    heapify(line)
    while line:
        first = heappop(line)
        waits, agent = open_[first.handoff_id], staff[first.agent_id]
        if agent.load != first.load:
            again = bench.best(waits)
            if again is not None:
                heappush(line, again)
            continue
        yield _choice(waits, agent, queues[waits.queue], now)
        staff[agent.agent_id] = agent.with_work(waits.handoff_id, waits.channel)


class _Demand(NamedTuple):
    """What a handoff asks for, as far as many ask for the same."""

    queue: str
    channel: str
    must: frozenset[str]
    wanted: frozenset[str]
    language: str | None
    insists: bool


class _Bench:
    """Agents in the order in which they are good for what is asked for, kept for all handoffs that ask for the same."""

    def __init__(
        self, open_: Mapping[str, Waits], staff: Mapping[str, Agent], queues: Mapping[str, Suggesting], now: datetime
    ) -> None:
        self._staff = staff
        self._queues = queues
        self._now = now
        self._lines: dict[_Demand, list[_Place]] = {}
        having = [(name, agent.agent_id) for agent in staff.values() for name in agent.work if name in open_]
        self._having: dict[str, list[str]] = {}
        for name, agent_id in having:
            self._having.setdefault(name, []).append(agent_id)

    def best(self, waits: Waits) -> _Pair | None:
        """Return the best agent for a handoff, if there is one.

        That is the first of those who are good for what it asks for, or one who served the customer, or has him now:
        what he gets for that is not in the order.
        """
        spec = self._queues[waits.queue]
        known = [self._staff[name] for name in (*waits.served, waits.with_now, *self._having.get(waits.handoff_id, ()))
                 if name in self._staff]  # fmt: skip
        found = [agent for agent in known if fits(agent, waits, spec, self._now)]
        first = self._first(waits, spec)
        pairs = [_pair(waits, agent, spec, self._now) for agent in (*found, *([first] if first else []))]
        return min(pairs, default=None)

    def _first(self, waits: Waits, spec: Suggesting) -> Agent | None:
        """Return the first agent in order who fits."""
        insists = self._now - waits.waiting_since < timedelta(seconds=spec.insist)
        demand = _Demand(waits.queue, waits.channel, waits.must, waits.wanted, waits.language, insists)
        if demand not in self._lines:
            able = (self._place(waits, agent, spec) for agent in self._staff.values())
            self._lines[demand] = sorted(place for place in able if place is not None)
        line, at = self._lines[demand], 0
        while at < len(line):
            agent = self._staff[line[at].agent_id]
            if agent.load != line[at].load:  # he has got something since: his place is further behind
                del line[at]
                if (place := self._place(waits, agent, spec)) is not None:
                    insort(line, place)
                continue
            if fits(agent, waits, spec, self._now):
                return agent
            at += 1
        return None

    def _place(self, waits: Waits, agent: Agent, spec: Suggesting) -> _Place | None:
        """Return where an agent stands among those good for what is asked for; None for one who can't take it."""
        plain = waits._replace(handoff_id="", passed=frozenset(), suggestion=None, served={}, with_now=None)
        if not fits(agent, plain, spec, self._now):
            return None
        points = sum(part for why, part in parts(plain, agent, spec, self._now) if why in _OF_AGENTS)
        return _Place(-points, agent.load, agent.idle_since, agent.agent_id)


def _pair(waits: Waits, agent: Agent, spec: Suggesting, now: datetime) -> _Pair:
    """Return a handoff and an agent with their points."""
    points = sum(part for _, part in parts(waits, agent, spec, now))
    return _Pair(-points, waits.waiting_since, waits.handoff_id, agent.load, agent.idle_since, agent.agent_id)


def parts(waits: Waits, agent: Agent, spec: Suggesting, now: datetime) -> list[tuple[Why, int]]:
    """Return what makes up the points of a pair: each weight by how far it holds, in thousandths."""
    weights = spec.weights or Weights()
    served = waits.served.get(agent.agent_id)
    return [
        ("skill", weights.skill * _share(len(waits.wanted & agent.skills), len(waits.wanted))),
        ("language", weights.language * _FULL * _speaks(agent, waits)),
        ("served", weights.served * _FULL * (served is not None)),
        ("idle", weights.idle * _share(min(idle(agent, now), _HOUR) // _SECOND, _HOUR // _SECOND)),
        ("priority", weights.priority * waits.priority * (_FULL // 100)),
        ("waiting", weights.waiting * _share((now - waits.waiting_since) // _SECOND, _TEN_MINUTES // _SECOND)),
    ]


def _share(part: int, whole: int) -> int:
    """Return a share in thousandths; all of nothing is all."""
    return _FULL * part // whole if whole else _FULL


def idle(agent: Agent, now: datetime) -> timedelta:
    """Return how long an agent has had nothing to do."""
    return timedelta(0) if agent.work else max(now - agent.idle_since, timedelta(0))


def _choice(waits: Waits, agent: Agent, spec: Suggesting, now: datetime) -> Choice:
    """Return a suggestion to an agent; once enough have let it ring it is nobody's alone."""
    reasons = tuple(Reason(why=why, say={"en": en, "zh": zh}) for why, en, zh in _reasons(waits, agent, now))
    until = now + timedelta(seconds=spec.ring)
    exclusive = spec.exclusive and asked(waits) < spec.rings
    return Choice(waits.handoff_id, waits.queue, agent.agent_id, reasons, until, exclusive)


def asked(waits: Waits) -> int:
    """Return how many agents were asked since a handoff came into its queue."""
    before = waits.suggestion
    return before.rings if before is not None and before.queue == waits.queue else 0


def _for_all(waits: Waits, now: datetime) -> Choice:
    """Return that the whole queue may take a handoff."""
    return Choice(waits.handoff_id, waits.queue, None, (), now, False)


def _reasons(waits: Waits, agent: Agent, now: datetime) -> Iterator[tuple[Why, str, str]]:
    """Yield why an agent was chosen, in English and Chinese."""
    yield from _of_skills(waits, agent)
    yield from _of_language(waits, agent)
    served = waits.served.get(agent.agent_id)
    if served is not None and served.is_now:
        yield "with_now", "is with this customer now", "正在服务该客户"
    elif served is not None:
        yield "served", f"served this customer {_ago(now - served.at)}", f"{_ago_zh(now - served.at)}服务过该客户"
    if not agent.has_room(waits.handoff_id, waits.channel):
        yield "beyond_capacity", "one more than fits, for the same customer", "同一客户，超出容量多接一件"
    if not agent.work:
        yield "idle", f"idle {_span(idle(agent, now))}", f"已空闲{_span_zh(idle(agent, now))}"
    if waits.priority:
        yield "priority", f"priority {waits.priority}", f"优先级 {waits.priority}"
    waited = now - waits.waiting_since
    if waited >= _MINUTE:
        yield "waiting", f"the customer waits {_span(waited)}", f"客户已等待{_span_zh(waited)}"


def _of_skills(waits: Waits, agent: Agent) -> Iterator[tuple[Why, str, str]]:
    """Yield which wanted skills an agent has, and which he lacks."""
    has, lacks = sorted((waits.must | waits.wanted) & agent.skills), sorted(waits.wanted - agent.skills)
    if has:
        yield "skill", f"has {_skills(has)}", f"具备技能 {'、'.join(has)}"
    if lacks:
        names = "、".join(lacks)
        yield "lacks_skill", f"lacks {_skills(lacks)}: nobody else came in time", f"缺少技能 {names}，未等到他人"


def _of_language(waits: Waits, agent: Agent) -> Iterator[tuple[Why, str, str]]:
    """Yield whether an agent speaks with the customer."""
    if waits.language in agent.languages:
        yield "language", f"speaks {waits.language}", f"会说 {waits.language}"
    elif not _speaks(agent, waits):
        en = f"does not speak {waits.language}: nobody else came in time"
        yield "lacks_language", en, f"不会说 {waits.language}，未等到他人"


def _skills(names: list[str]) -> str:
    """Spell skills."""
    return f"skill{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _span(span: timedelta) -> str:
    """Spell how long something has gone on."""
    return next(f"{span // unit} {name}" for unit, name, _ in _UNITS if span >= unit or unit == _SECOND)


def _span_zh(span: timedelta) -> str:
    """Spell how long something has gone on, in Chinese."""
    return next(f" {span // unit} {name}" for unit, _, name in _UNITS if span >= unit or unit == _SECOND)


def _ago(span: timedelta) -> str:
    """Spell how long ago something was."""
    return "yesterday" if _DAY <= span < 2 * _DAY else f"{_span(span)} ago"


def _ago_zh(span: timedelta) -> str:
    """Spell how long ago something was, in Chinese."""
    return "昨天" if _DAY <= span < 2 * _DAY else f"{_span_zh(span).strip()}前"
