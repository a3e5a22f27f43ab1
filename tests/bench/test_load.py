"""What a load came to, and the ratios between two of them."""

from __future__ import annotations

from itertools import count

import pytest

from tests.bench.cycles import cpu_ratio, in_turn, rates, ratio
from tests.bench.load import Load, enough, percentile
from tests.bench.overload import Flood, Reply
from tests.bench.running import Used


def a_load(rate: float, cpu_ms: float = 1.0) -> Load:
    """Return a load of a hundred cycles at some rate, each of which took so much of the server's CPU."""
    return Load(100 / rate, [n / 1000 for n in range(1, 101)], Used(cpu_ms / 10, 0.02, 300, 200))


def test_a_load_says_its_rate_its_times_and_what_each_cycle_used() -> None:
    load = a_load(50, cpu_ms=2)
    assert (load.rate, load.cpu_ms, load.redis_ms, load.commands, load.trips) == pytest.approx((50, 2, 0.2, 3, 2))
    assert (load.percentile(0.5), load.percentile(0.99)) == pytest.approx((50, 99))


def test_a_percentile_is_a_value_that_was_there() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile([3, 1, 2], 0.99) == 2
    assert percentile([3, 1, 2], 1) == 3
    assert percentile([7], 0.01) == 7


def test_ratios_are_taken_within_a_round_so_that_a_slow_round_is_slow_for_both() -> None:
    loads = {"ours": [a_load(80), a_load(8), a_load(800)], "theirs": [a_load(10), a_load(1), a_load(400, 4)]}
    assert ratio(loads, "ours", "theirs") == pytest.approx(8)
    assert cpu_ratio(loads, "ours", "theirs") == pytest.approx(1)
    assert rates(loads) == pytest.approx({"ours": 80, "theirs": 10})


async def test_samples_are_taken_in_turn_and_every_second_round_backwards() -> None:
    taken: list[str] = []

    async def sample(name: str) -> Load:
        taken.append(name)
        return a_load(1)

    loads = await in_turn(3, {name: lambda name=name: sample(name) for name in "AB"})  # type: ignore[misc]
    assert taken == ["A", "B", "B", "A", "A", "B"]
    assert {name: len(of) for name, of in loads.items()} == {"A": 3, "B": 3}


def test_as_many_customers_are_on_each_connection() -> None:
    assert enough(a_load(1000), 4, 20, 16) == 192
    assert enough(a_load(10), 4, 20, 16) == 16


def test_what_was_used_is_what_came_since() -> None:
    assert Used(5, 4, 30, 20).since(Used(2, 3, 10, 5)) == Used(3, 1, 20, 15)


def test_of_a_flood_only_what_was_done_in_time_counts_as_done() -> None:
    times = count(1)
    replies = [Reply(200, 0.1), Reply(201, 2.6), Reply(429, next(times) / 1000), Reply(200, 2.5)]
    flood = Flood(replies, 2)
    assert flood.goodput == 1
    assert flood.of(lambda status: status == 429) == [1.0]
    assert flood.of(lambda status: status == 503) == [0.0]
