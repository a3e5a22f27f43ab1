"""The report: a page with every figure beside its target, and the plots, in one folder.

Where the folder has a page already, what stands there stays up to `## Figures`; what was measured follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bench.figure import Figure
from tests.bench.part import Part
from tests.bench.table import table

FIGURES = "## Figures"
_PAGE = "README.md"


def figures_of(parts: Sequence[Part]) -> list[Figure]:
    """Return the figures of all parts."""
    return [figure for part in parts for figure in part.figures]


def verdicts(parts: Sequence[Part]) -> str:
    """Return all figures beside their targets."""
    return table(("", "reached", "target", ""), [figure.row for figure in figures_of(parts)])


def page(parts: Sequence[Part], about: Sequence[tuple[str, str]], absent: Sequence[str], before: str = "") -> str:
    """Return the page; `before` is the page as it stands."""
    head = before.partition(FIGURES)[0].rstrip() or "# Performance"
    pieces = [head, FIGURES, table(("", ""), about), *absent, "### Targets", verdicts(parts)]
    pieces += [part.text() for part in parts]
    return "\n\n".join(pieces) + "\n"


def written(folder: Path, parts: Sequence[Part], about: Sequence[tuple[str, str]], absent: Sequence[str]) -> Path:
    """Write the page and its plots; plots that are not drawn any more go."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _PAGE
    before = path.read_text("utf-8") if path.exists() else ""
    for old in folder.glob("*.svg"):
        old.unlink()
    for plot in (plot for part in parts for plot in part.plots):
        (folder / f"{plot.name}.svg").write_text(plot.svg, "utf-8")
    path.write_text(page(parts, about, absent, before), "utf-8")
    return path
