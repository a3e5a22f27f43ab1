"""A day of routing: nobody waits without bound, and nobody who could help stands idle beside one who waits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

import pytest

from ctxhub.model.routing import Agent, Choice, Suggesting, Waits, route
from tests.model.day import BY_HOUR, GIVES_UP, Day, share
from tests.support import SECOND

DAYS = int(os.environ.get("CTXHUB_TEST_DAYS", "1"))


@pytest.mark.parametrize("seed", range(DAYS))
def test_on_a_day_with_enough_agents_everybody_is_taken_within_minutes_and_most_within_seconds(seed: int) -> None:
    seen = Day(route, seed).play()
    assert seen.wrong == []
    assert len(seen.waited) + len(seen.gave_up) == sum(BY_HOUR)
    assert len(seen.gave_up) <= 5
    assert share(seen.waited.values(), 0.5) <= 10 * SECOND
    assert share(seen.waited.values(), 0.99) <= 45 * SECOND
    assert max(seen.waited.values()) <= GIVES_UP
    assert seen.unanswered > 10


def test_on_a_day_with_too_few_agents_nobody_waits_for_ever_and_still_nobody_stands_idle() -> None:
    seen = Day(route, seed=7, busy=5, hours=8).play()
    assert seen.wrong == []
    assert len(seen.waited) + len(seen.gave_up) == len({*seen.waited, *seen.gave_up}) == 5 * sum(BY_HOUR[:8])
    assert seen.gave_up
    assert {*seen.gave_up.values()} == {GIVES_UP}
    assert max(seen.waited.values()) <= GIVES_UP


def deaf_to_idleness(
    waiting: Iterable[Waits], agents: Iterable[Agent], queues: Mapping[str, Suggesting], now: datetime
) -> list[Choice]:
    """A router for which all agents have been idle equally long."""
    return route(waiting, [replace(agent, idle_since=now) for agent in agents], queues, now)


def first_come_first_served(
    waiting: Iterable[Waits], agents: Iterable[Agent], queues: Mapping[str, Suggesting], now: datetime
) -> list[Choice]:
    """A router that only ever looks at whoever waits longest, though nobody may be there for him."""
    first = sorted(waiting, key=lambda waits: waits.waiting_since)[:1]
    return route(first, agents, queues, now)


def generous(
    waiting: Iterable[Waits], agents: Iterable[Agent], queues: Mapping[str, Suggesting], now: datetime
) -> list[Choice]:
    """A router that takes every agent to have room for ten more."""
    return route(waiting, [replace(agent, capacity={"chat": 40, "voice": 40}) for agent in agents], queues, now)


def test_a_router_that_ignores_idleness_is_found() -> None:
    wrong = Day(deaf_to_idleness, seed=0, hours=10).play().wrong
    assert any("was idle longer" in each for each in wrong)


def test_a_router_that_lets_the_first_hold_up_the_others_is_found() -> None:
    wrong = Day(first_come_first_served, seed=0, hours=10).play().wrong
    assert any("idle beside" in each for each in wrong)


def test_a_router_that_gives_more_than_one_can_take_is_found() -> None:
    wrong = Day(generous, seed=0, hours=10).play().wrong
    assert any("can not take" in each for each in wrong)
