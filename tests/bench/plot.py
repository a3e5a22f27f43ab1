"""Plots as plain SVG: bars, and lines over a logarithmic axis. They need no other host and tell what they show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.bench.figure import number

_WIDTH, _LEFT, _RIGHT, _TOP = 760, 190, 90, 56
_BAR, _HEIGHT = 26, 380
_COLOURS = ("#0b57b7", "#a3261c", "#0b6b3a", "#8a5a00", "#6a3fa0", "#565f6b")
_STYLE = """<style>
  .paper { fill: #fff; stroke: #d9dde3; }
  .grid { stroke: #d9dde3; }
  text { fill: #1b1f24; font-family: system-ui, sans-serif; font-size: 13px; }
  .title { font-size: 15px; font-weight: 600; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
</style>"""


class Plot(NamedTuple):
    """A picture: the name of its file, its title, and the SVG."""

    name: str
    title: str
    svg: str


def bars(name: str, title: str, values: dict[str, float]) -> Plot:
    """Return horizontal bars, one for each value."""
    most = max(values.values(), default=0) or 1
    room = _WIDTH - _LEFT - _RIGHT
    drawn = []
    for at, (label, value) in enumerate(values.items()):
        y, long = _TOP + at * _BAR, value / most * room
        drawn += [
            _text(_LEFT - 8, y + 15, label, "end"),
            f'<rect x="{_LEFT}" y="{y + 2}" width="{long:.1f}" height="{_BAR - 8}" fill="{_COLOURS[0]}"/>',
            _text(_LEFT + long + 6, y + 15, number(value)),
        ]
    said = ", ".join(f"{label} {number(value)}" for label, value in values.items())
    return Plot(name, title, _svg(title, said, _TOP + len(values) * _BAR + 16, drawn))


def lines(name: str, title: str, across: str, series: dict[str, dict[int, float]]) -> Plot:
    """Return a line for each series; both axes are logarithmic, so that a ratio looks alike everywhere."""
    xs = sorted({x for line in series.values() for x in line})
    ys = [y for line in series.values() for y in line.values() if y > 0]
    low, high = _decades(ys)
    drawn = [part for x in xs for part in _mark(x, xs)]
    for power in range(low, high + 1):
        y = _up(10**power, low, high)
        drawn += [f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
                  _text(_LEFT - 8, y + 4, f"{10**power:,}" if power >= 0 else f"{10.0**power:g}", "end")]  # fmt: skip
    for at, (label, line) in enumerate(series.items()):
        drawn += _drawn(label, line, _COLOURS[at % len(_COLOURS)], at, xs, (low, high))
    drawn.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 14, across, "middle"))
    said = "; ".join(f"{label}: {', '.join(f'{number(y)} at {x:,}' for x, y in line.items())}"
                     for label, line in series.items())  # fmt: skip
    return Plot(name, title, _svg(title, said, _HEIGHT, drawn))


def _drawn(
    label: str, line: dict[int, float], colour: str, at: int, xs: Sequence[int], decades: tuple[int, int]
) -> list[str]:
    """Return one line with its points and its entry in the legend."""
    points = [(_along(x, xs), _up(y, *decades)) for x, y in sorted(line.items()) if y > 0]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    y = _TOP + 10 + at * 20
    legend = f'<rect x="12" y="{y - 9}" width="12" height="4" fill="{colour}"/>'
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, legend,
            _text(30, y - 3, label)]  # fmt: skip


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten between which all values lie."""
    if not values:
        return 0, 1
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def _along(x: int, xs: Sequence[int]) -> float:
    """Return where a value lies on the axis across."""
    wide = math.log(xs[-1] / xs[0]) or 1
    return _LEFT + 20 + math.log(x / xs[0]) / wide * (_WIDTH - _LEFT - _RIGHT - 40)


def _up(y: float, low: int, high: int) -> float:
    """Return where a value lies on the axis up."""
    bottom = _HEIGHT - 58
    return bottom - (math.log10(y) - low) / (high - low) * (bottom - _TOP)


def _mark(x: int, xs: Sequence[int]) -> list[str]:
    """Return the label of one place on the axis across."""
    return [_text(_along(x, xs), _HEIGHT - 36, f"{x:,}", "middle")]


def _text(x: float, y: float, said: str, kind: str = "") -> str:
    """Return a text."""
    place = f' class="{kind}"' if kind else ""
    return f'<text{place} x="{x:.1f}" y="{y:.1f}">{escape(said)}</text>'


def _svg(title: str, said: str, height: int, drawn: Sequence[str]) -> str:
    """Return the picture."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
    head += f'height="{height}" role="img" aria-labelledby="title desc">'
    named = f'<title id="title">{escape(title)}</title>\n<desc id="desc">{escape(said)}</desc>'
    paper = f'<rect class="paper" x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return "\n".join([head, named, _STYLE, paper, _text(16, 26, title, "title"), *drawn, "</svg>"]) + "\n"
