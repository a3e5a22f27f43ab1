"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.bench.figure import number

Cell = str | float


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table; numbers stand with as many places as one can believe."""
    lines = [list(header), ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    """Write one cell, which may not break its table."""
    return cell.replace("|", "\\|") if isinstance(cell, str) else number(cell)
