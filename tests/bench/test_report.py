"""The page keeps what people wrote and replaces what was measured; its plots are whole."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tests.bench.figure import Figure
from tests.bench.part import Part
from tests.bench.plot import Plot, bars, lines
from tests.bench.report import page, written
from tests.docs.reading import ROOT

ABOUT = [("machine", "two cores")]
_SVG = {"svg": "http://www.w3.org/2000/svg"}


def a_part(plot: str = "cycles") -> Part:
    """Return a part with everything in it."""
    figures = [Figure("reads", 0.6, ">= 0.5"), Figure("memory", 8, "<= 7")]
    return Part("Reads", "How.", ("", "reads/s"), [("ours", 3.0)], figures, [bars(plot, "Reads", {"ours": 3})])


def test_the_page_keeps_its_words_and_says_what_was_met_and_what_was_missed() -> None:
    first = page([a_part()], ABOUT, ["Absent: rasa, no wheel"], "# Performance\n\nWords.\n\n## Figures\n\nOld.\n")
    assert first.startswith("# Performance\n\nWords.\n\n## Figures\n")
    assert "Old." not in first
    for line in ("| machine | two cores |", "| reads | 0.60 | ≥ 0.5 | met |", "| memory | 8.00 | ≤ 7 | MISSED |",
                 "| ours | 3.00 |", "![Reads](cycles.svg)", "Absent: rasa, no wheel"):  # fmt: skip
        assert line in first.splitlines()
    assert page([a_part()], ABOUT, ["Absent: rasa, no wheel"], first) == first


def test_plots_lie_beside_the_page_and_none_that_is_old(tmp_path: Path) -> None:
    written(tmp_path, [a_part("old")], ABOUT, [])
    path = written(tmp_path, [a_part("new")], ABOUT, [])
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "new.svg"}
    assert path.read_text("utf-8").startswith("# Performance\n\n## Figures\n")


def test_the_page_of_the_docs_ends_with_what_is_measured() -> None:
    text = (ROOT / "docs" / "reference" / "performance" / "README.md").read_text("utf-8")
    assert text.count("\n## Figures\n") == 1


def whole(plot: Plot) -> ElementTree.Element:
    """Return a plot's tree, which says what it shows."""
    root = ElementTree.fromstring(plot.svg)
    assert root.findtext("svg:title", namespaces=_SVG) == plot.title
    return root


def test_a_bar_is_as_long_as_its_value() -> None:
    root = whole(bars("b", "A < B", {"ours & theirs": 40.0, "floor": 80.0, "nobody": 0.0}))
    found = [float(bar.attrib["width"]) for bar in root.findall("svg:rect", _SVG) if "fill" in bar.attrib]
    assert found[0] * 2 == found[1]
    assert found[2] == 0
    assert root.findtext("svg:desc", namespaces=_SVG) == "ours & theirs 40.0, floor 80.0, nobody 0.00"


def test_lines_go_across_by_logarithms_and_a_higher_value_stands_higher() -> None:
    root = whole(lines("l", "Growth", "messages", {"ours": {1: 100.0, 10: 1000.0, 100: 10.0}, "other": {10: 5.0}}))
    [ours, other] = [line.attrib["points"].split() for line in root.findall("svg:polyline", _SVG)]
    (x1, y1), (x2, y2), (x3, y3) = (tuple(map(float, point.split(","))) for point in ours)
    assert round(x2 - x1, 1) == round(x3 - x2, 1)
    assert y2 < y1 < y3
    assert [float(point.split(",")[0]) for point in other] == [x2]


def test_one_value_alone_can_be_drawn() -> None:
    whole(lines("l", "Growth", "messages", {"ours": {20: 7.0}}))
    whole(bars("b", "None", {}))
