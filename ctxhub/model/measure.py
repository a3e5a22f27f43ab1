"""Measures: sums along dimensions, shares with their interval, and durations told by fixed bounds.

Durations are counted into buckets that never change, so that those of any days, partitions and processes add up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from ctxhub.model.value import Value

#: Upper bounds of durations, in seconds; what is longer falls behind the last.
BOUNDS = (
    1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200,
    14_400, 28_800, 86_400,
)  # fmt: skip
BEYOND = "inf"
_Z95 = 1.959963984540054


def bucket(seconds: float) -> str:
    """Return the bucket of a duration, named by its upper bound."""
    place = bisect_left(BOUNDS, seconds)
    return str(BOUNDS[place]) if place < len(BOUNDS) else BEYOND


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval (Wilson's) of a share; all of it where nothing was seen."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = hits / n, _Z95 * _Z95
    middle = share + z2 / (2 * n)
    spread = _Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = (middle - spread) / (1 + z2 / n), (middle + spread) / (1 + z2 / n)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


class Times(Value):
    """Durations in seconds: how many, their mean, and below which bound how many lie."""

    n: int
    total: float
    buckets: dict[str, int]

    @property
    def mean(self) -> float | None:
        """Their mean; None where there are none."""
        return self.total / self.n if self.n else None

    def quantile(self, share: float) -> float | None:
        """Return below which duration this share lies, estimated within its bucket; None where there are none.

        Behind the last bound nothing can be estimated: then the last bound is returned, which is too little.
        """
        left, low = share * self.n, 0.0
        for bound in BOUNDS:
            here = self.buckets.get(str(bound), 0)
            if here and left <= here:
                return low + (bound - low) * left / here
            left, low = left - here, float(bound)
        return float(BOUNDS[-1]) if self.n else None

    def shown(self) -> dict[str, Any]:
        """Show them."""
        named = {"mean": self.mean, "p50": self.quantile(0.5), "p90": self.quantile(0.9), "p95": self.quantile(0.95)}
        rounded = {name: None if value is None else round(value, 3) for name, value in named.items()}
        return {"n": self.n, **rounded, "up_to": {key: self.buckets[key] for key in _in_order(self.buckets)}}


def _in_order(buckets: Mapping[str, int]) -> list[str]:
    """Return the names of buckets from the shortest durations to the longest."""
    return sorted(buckets, key=float)


Counter = tuple[str, ...]


class Totals:
    """Counters added up over days and partitions; each is a family and its dimensions."""

    def __init__(self, counters: Mapping[Counter, int]) -> None:
        self._families: dict[str, dict[Counter, int]] = {}
        for (family, *dimensions), amount in counters.items():
            self._families.setdefault(family, {})[tuple(dimensions)] = amount

    def sum(self, family: str, *wanted: str | Iterable[str] | None) -> int:
        """Return the sum of a family, of those counters whose dimensions are as wanted; None stands for any."""
        found = self._families.get(family, {})
        return sum(amount for dimensions, amount in found.items() if _fits(dimensions, wanted))

    def by(self, family: str, *places: int) -> dict[Counter, int]:
        """Return the sums of a family along some of its dimensions, in order."""
        sums: dict[Counter, int] = {}
        for dimensions, amount in self._families.get(family, {}).items():
            key = tuple(dimensions[place] if place < len(dimensions) else "" for place in places)
            sums[key] = sums.get(key, 0) + amount
        return dict(sorted(sums.items()))

    def times(self, what: str) -> Times:
        """Return the durations of a kind."""
        found = {up_to: n for (name, up_to), n in self.by("time", 0, 2).items() if name == what}
        return Times(n=sum(found.values()), total=self.sum("time_ms", what) / 1000, buckets=found)

    def only(self, channel: str, places: Mapping[str, int]) -> Totals:
        """Return what was counted on one channel; `places` says which dimension of a family is the channel."""
        kept = {
            (family, *dimensions): amount
            for family, counters in self._families.items()
            for dimensions, amount in counters.items()
            if dimensions[places[family] : places[family] + 1] == (channel,)
        }
        return Totals(kept)


def _fits(dimensions: Counter, wanted: tuple[str | Iterable[str] | None, ...]) -> bool:
    """Tell whether the dimensions of a counter are as wanted."""
    pairs = zip(dimensions, wanted, strict=False)
    return all(one is None or here == one or (not isinstance(one, str) and here in one) for here, one in pairs)
