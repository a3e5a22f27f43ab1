"""What counts as carried, lost, wrong and asked again, judged from nothing but what a channel says or shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Outcome = Literal["carried", "lost", "wrong", "asked again"]
OUTCOMES: tuple[Outcome, ...] = ("carried", "lost", "wrong", "asked again")

#: The hub's knowledge: switched on, or off for the control.
Knowledge = Literal["on", "off"]


class Shown(NamedTuple):
    """What a channel let a person see or hear: every value beside each name, and the names it asked for."""

    values: Mapping[str, tuple[str, ...]]
    asked: frozenset[str] = frozenset()


class Judged(NamedTuple):
    """What became of one fact on one hop."""

    name: str
    told: str
    outcome: Outcome
    shown: tuple[str, ...] = ()


class Tally(NamedTuple):
    """How many facts came to what."""

    dialogues: int
    facts: int
    carried: int
    lost: int
    wrong: int
    asked_again: int


def judge(told: Mapping[str, str], shown: Shown) -> list[Judged]:
    """Judge each fact that the customer told before the hop.

    Asked for is asked again even where the value is shown; two values side by side are wrong even if one is right.
    """
    return [_judge_one(name, value, shown) for name, value in told.items()]


def tally(hops: Iterable[list[Judged]]) -> Tally:
    """Count the outcomes of one hop over several dialogues."""
    judged = list(hops)
    outcomes = Counter(fact.outcome for facts in judged for fact in facts)
    return Tally(len(judged), outcomes.total(), *(outcomes[outcome] for outcome in OUTCOMES))


def _judge_one(name: str, told: str, shown: Shown) -> Judged:
    values = shown.values.get(name, ())
    if name in shown.asked:
        return Judged(name, told, "asked again", values)
    if not values:
        return Judged(name, told, "lost")
    if set(values) != {told}:
        return Judged(name, told, "wrong", values)
    return Judged(name, told, "carried", values)
