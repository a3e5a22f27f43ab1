"""What SECURITY.md claims can be looked up: every threat has a row, and every place and test it names is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.reading import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| T")]


def named(cell: str) -> list[str]:
    """What a cell names in code."""
    return re.findall(r"`([^`]+)`", cell)


def is_there(name: str) -> bool:
    """Whether a file, folder, or a test in a file, is there."""
    path, *inside = name.split("::")
    if not (ROOT / path).exists():
        return False
    text = (ROOT / path).read_text(encoding="utf-8") if inside else ""
    return all(re.search(rf"(?:def|class) {one}\b", text) for one in inside)


def single_tests(row: list[str]) -> list[str]:
    """The tests that a row names, each by its own name."""
    return [name for name in named(row[-1]) if "::" in name]


def test_every_threat_of_the_model_has_a_row() -> None:
    assert [row[0] for row in ROWS] == [f"T{number}" for number in range(1, 25)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_row_names_is_there(row: list[str]) -> None:
    _, threat, done, where, test = row
    assert threat
    assert done
    assert named(where)
    assert single_tests(row) == named(test) != [], "a row names its tests, and no file full of them"
    assert [name for name in named(where) + named(test) if not is_there(name)] == []


def test_every_test_that_is_named_anywhere_on_the_page_is_there() -> None:
    found = [name for name in named(TEXT) if "::" in name]
    assert len(found) >= len(ROWS)
    assert [name for name in found if not is_there(name)] == []


def test_what_makes_the_tests_try_more_is_read_by_them() -> None:
    section = TEXT.partition("## How much is tried")[2].partition("\n## ")[0]
    variables = {name.partition("=")[0] for name in named(section)}
    assert len(variables) > 5
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name in variables if f'environ.get("{name}"' not in tests] == []


def test_a_test_that_is_gone_would_be_seen() -> None:
    assert is_there("tests/docs/test_security.py::test_a_test_that_is_gone_would_be_seen")
    assert not is_there("tests/docs/test_security.py::test_nothing")
    assert not is_there("tests/docs/test_security.py::test_a_test_that_is_gone_would")
    assert not is_there("tests/docs/test_nothing.py")
