"""A part of the report: what was measured, in tables and pictures, and the figures that have targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.figure import Figure
from tests.bench.plot import Plot
from tests.bench.table import Cell, table


class Part(NamedTuple):
    """One part; `note` says how it was measured."""

    title: str
    note: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    figures: Sequence[Figure] = ()
    plots: Sequence[Plot] = ()

    def text(self) -> str:
        """Return it as Markdown; its pictures lie beside the page."""
        pieces = [f"### {self.title}", self.note]
        pieces += [table(self.header, self.rows)] if self.rows else []
        pieces += [f"![{plot.title}]({plot.name}.svg)" for plot in self.plots]
        return "\n\n".join(pieces)
