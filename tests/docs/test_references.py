"""What is written from the code is what the code says today."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from types import ModuleType
from typing import get_args

import pytest

from ctxhub.model.commitment import CommitmentState
from ctxhub.model.event import TOLD
from ctxhub.model.handoff import FINAL
from ctxhub.store.codec import FORGOTTEN
from tests.docs.reading import ROOT

_FOLDER = ROOT / "docs" / "reference"


def _generator() -> ModuleType:
    """Return the generator, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", _FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _generator()


@pytest.mark.parametrize("name", GENERATE.PAGES)
def test_a_reference_stands_as_the_code_would_have_it(name: str) -> None:
    written = (_FOLDER / name).read_text("utf-8")
    assert written == GENERATE.PAGES[name](), f"{name} is stale: run python docs/reference/generate.py"


def test_a_stale_reference_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GENERATE.PAGES, "errors.md", lambda: "something else")
    assert GENERATE.stale() == ["errors.md"]
    assert GENERATE.main(["--check"]) == 1


def test_a_cell_can_not_break_its_table() -> None:
    assert GENERATE.table(("a",), [("x | <b> `<c|d>`",)]).splitlines()[2] == "| x \\| &lt;b> `<c\\|d>` |"


def test_every_event_that_the_hub_tells_itself_is_described_and_no_other() -> None:
    assert set(GENERATE.OWN) == set(_told_by_the_code())


def _told_by_the_code() -> Iterator[str]:
    """Yield every type of event that model and hub tell: the verbs that stand in their calls, and the final states."""
    yield from (f"handoff.{state}" for state in FINAL)
    yield from (f"commitment.{state}" for state in get_args(CommitmentState) if state != "open")
    bringing = ast.parse((ROOT / "ctxhub" / "bulk" / "bringing.py").read_text("utf-8"))
    yield from (told for told in _constants(bringing) if told.startswith("identity."))
    never_kept = ast.parse((ROOT / "ctxhub" / "hub" / "never_kept.py").read_text("utf-8"))
    yield from (told for told in _constants(never_kept) if told == "event.redacted")
    yield FORGOTTEN
    for path in [*(ROOT / "ctxhub" / "model").glob("*.py"), *(ROOT / "ctxhub" / "hub").glob("*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            yield from _verbs(path.stem, call)
        if path.stem == "merging":
            yield from (told for told in _constants(tree) if told.startswith("identity."))
        if path.stem == "customers":
            yield from (f"identity.{verb}" for verb in _constants(tree) if verb in ("linked", "unlinked", "merged"))
        if path.stem == "suggesting":
            yield from (f"handoff.{verb}" for verb in _constants(tree) if verb in ("suggested", "opened"))
        if path.stem == "access":
            yield from (told for told in _constants(tree) if told == "access.granted")
        if path.stem == "holds":
            yield from (f"customer.{verb}" for verb in _constants(tree) if verb in ("held", "released"))
        if path.stem == "calling_back":
            yield from (told for told in _constants(tree) if told.startswith("callback."))
        if path.stem == "retaining":
            yield from (told for told in _constants(tree) if told in ("fact.retired", "words.retired"))
        if path.stem == "source":
            yield from (told for told in _constants(tree) if told in ("source.answered", "source.missed"))
        if path.stem == "revealing":
            yield from (type_ for type_ in _constants(tree) if type_.startswith("fact."))


#: Rules of a noun that stand in a file of their own.
_NOUNS = {"claiming": "journey"}


def _verbs(noun: str, call: ast.Call) -> Iterator[str]:
    """Yield the type that a call tells, where its verb stands in the call."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    place, of = {"happened": (1, "interaction"), "_event": (2, "handoff"), "_told": (1, "journey")}.get(name, (99, ""))
    if len(call.args) <= place or (name != "happened" and _NOUNS.get(noun, noun) != of):
        return
    verb = call.args[place]
    if isinstance(verb, ast.Constant) and f"{of}.{verb.value}" not in TOLD:
        yield f"{of}.{verb.value}"


def _constants(tree: ast.AST) -> Iterator[str]:
    """Yield every text in some code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
