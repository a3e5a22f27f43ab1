"""Figures: what was reached, what was aimed at, and whether that is met."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One figure with its target, such as `>= 0.5`; what has no target, or none on this machine, is only shown."""

    what: str
    reached: float
    target: str = ""
    unjudged: str = ""

    @property
    def is_met(self) -> bool:
        """Tell whether the target, if there is one to be judged by, is met."""
        if not self.target or self.unjudged:
            return True
        sign, bound = self.target.split()
        return self.reached >= float(bound) if sign == ">=" else self.reached <= float(bound)

    @property
    def verdict(self) -> str:
        """Say it in a word."""
        if not self.target:
            return ""
        return self.unjudged or ("met" if self.is_met else "MISSED")

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Return it as a row of a table."""
        return self.what, number(self.reached), self.target.replace(">=", "≥").replace("<=", "≤"), self.verdict


def number(value: float) -> str:
    """Write a number with as many places as one can believe."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
