"""Shares with their interval, durations in fixed buckets, and sums along dimensions."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.model.measure import BEYOND, BOUNDS, Times, Totals, bucket, wilson

seconds = st.lists(st.floats(0, 86_400, allow_nan=False), min_size=1, max_size=60)


def times_of(durations: list[float]) -> Times:
    """Durations as they are counted one by one."""
    buckets: dict[str, int] = {}
    for duration in durations:
        buckets[bucket(duration)] = buckets.get(bucket(duration), 0) + 1
    return Times(n=len(durations), total=sum(durations), buckets=buckets)


class TestWilson:
    @pytest.mark.parametrize(
        ("hits", "n", "low", "high"),
        [  # Newcombe, Two-sided confidence intervals for the single proportion, 1998, method 3
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
            (5, 10, 0.2366, 0.7634),
        ],
    )
    def test_it_is_as_published(self, hits: int, n: int, low: float, high: float) -> None:
        assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)

    def test_of_nothing_it_says_nothing(self) -> None:
        assert wilson(0, 0) == (0.0, 1.0)

    @given(st.integers(1, 10_000), st.floats(0, 1))
    def test_it_holds_the_share_and_mirrors(self, n: int, share: float) -> None:
        hits = round(n * share)
        low, high = wilson(hits, n)
        assert 0 <= low <= hits / n <= high <= 1
        mirrored_low, mirrored_high = wilson(n - hits, n)
        assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low))


class TestTimes:
    @pytest.mark.parametrize(
        ("duration", "named"), [(0, "1"), (1, "1"), (1.001, "2"), (60, "60"), (61, "90"), (86_401, BEYOND)]
    )
    def test_a_duration_falls_below_its_bound_or_on_it(self, duration: float, named: str) -> None:
        assert bucket(duration) == named

    @given(seconds, seconds)
    def test_buckets_of_two_days_add_up_to_those_of_both(self, one: list[float], other: list[float]) -> None:
        both, first, second = times_of(one + other), times_of(one), times_of(other)
        added = {key: first.buckets.get(key, 0) + second.buckets.get(key, 0) for key in both.buckets}
        assert (both.n, both.buckets) == (first.n + second.n, added)

    @given(seconds, st.sampled_from([0.5, 0.9, 0.95]))
    def test_a_quantile_lies_in_the_bucket_of_the_true_one(self, durations: list[float], share: float) -> None:
        rank = max(1, -(-len(durations) * round(share * 100) // 100))
        true = sorted(durations)[rank - 1]
        found = times_of(durations).quantile(share)
        assert found is not None
        assert bucket(found) == bucket(true) or found == pytest.approx(float(_below(bucket(true))))

    def test_the_mean_is_exact(self) -> None:
        assert times_of([1.5, 2.5, 100]).mean == statistics.mean([1.5, 2.5, 100])

    def test_of_none_there_is_neither_mean_nor_quantile(self) -> None:
        assert times_of([]).shown() == {"n": 0, "mean": None, "p50": None, "p90": None, "p95": None, "up_to": {}}

    def test_behind_the_last_bound_a_quantile_is_the_last_bound(self) -> None:
        assert times_of([10_000_000]).quantile(0.5) == BOUNDS[-1]

    def test_buckets_are_shown_from_short_to_long(self) -> None:
        assert list(times_of([90_000, 100, 2, 0.5]).shown()["up_to"]) == ["1", "2", "120", "inf"]


def _below(named: str) -> int:
    """The bound below a bucket."""
    place = BOUNDS.index(int(named))
    return BOUNDS[place - 1] if place else 0


class TestTotals:
    counted = Totals({("hops", "chat", "ivr", "chat"): 2, ("hops", "chat", "chat", "desk"): 3, ("saved", "ivr"): 5})

    def test_sums_are_of_what_is_wanted_and_none_stands_for_any(self) -> None:
        assert self.counted.sum("hops") == 5
        assert self.counted.sum("hops", None, "ivr") == 2
        assert self.counted.sum("hops", "chat", None, {"desk", "chat"}) == 5
        assert self.counted.sum("hops", None, None, frozenset()) == 0
        assert self.counted.sum("nothing") == 0

    def test_sums_along_dimensions_come_in_order(self) -> None:
        assert self.counted.by("hops", 1, 2) == {("chat", "desk"): 3, ("ivr", "chat"): 2}
        assert self.counted.by("hops", 0) == {("chat",): 5}

    def test_of_one_channel_nothing_else_is_left(self) -> None:
        only = self.counted.only("chat", {"hops": 0, "saved": 0})
        assert (only.sum("hops"), only.sum("saved")) == (5, 0)
