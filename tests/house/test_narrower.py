"""Rules narrower than those of the layers: what the pure may not know, what hides, and what goes too deep."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.house.house import ROOT, Module, imports, modules

ALL = sorted(modules().values())
Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try)

#: Whose modules must not know which others, although their layer might.
NOT_FOR = [
    (r"ctxhub\.model(\..*)?", "os|time|random|secrets|asyncio|socket|threading|uuid|pathlib|structlog"),
    (r"ctxhub\.store\.(?!embedded$|checkup$|snapshot$).*", r"ctxhub\.settings"),
    (r"ctxhub\.(replay(\..*)?|demo)", r"ctxhub\.(hub|api|model|client)(\..*)?|ctxhub\.store(?!\.embedded$).*"),
]

#: Where a function imports something, and why.
HIDDEN = {
    "ctxhub.cli": "only two commands need the player, and all that it brings along",
    "ctxhub.model.official_days": "0.1 s and 11 MB, which only those need whose calendar names a country",
    "ctxhub.store.embedded": "where there is no wheel, the message says what to install instead",
}


@pytest.mark.parametrize(("who", "what"), NOT_FOR)
def test_some_know_less_than_their_layer_may(who: str, what: str) -> None:
    concerned = [module for module in ALL if re.fullmatch(who, module.name)]
    assert len(concerned) > 3
    found = [(module.name, name) for module in concerned for name in imports(module) if re.fullmatch(what, name)]
    assert found == []


def test_rules_are_told_the_time() -> None:
    asked = [module.name for module in ALL if module.name.startswith("ctxhub.model")
             and re.search(r"\b(now|utcnow|today)\(\w*\)", ast.unparse(module.tree))]  # fmt: skip
    assert asked == []


def test_no_function_hides_an_import_without_a_reason() -> None:
    assert {module.name for module in ALL if _hides(module)} <= HIDDEN.keys()


def _hides(module: Module) -> bool:
    """Tell whether a function of a module imports something."""
    functions = [node for node in ast.walk(module.tree) if isinstance(node, Function)]
    return any(isinstance(inner, ast.Import | ast.ImportFrom) for node in functions for inner in ast.walk(node))


def test_nesting_stops_early() -> None:
    deep = [f"{module.name}:{node.lineno} {node.name}" for module in ALL for node in ast.walk(module.tree)
            if isinstance(node, Function) and _depth(node) > 4]  # fmt: skip
    assert deep == []


def _depth(node: ast.AST) -> int:
    """Return how deep blocks lie in each other; `elif` lies beside its `if`, functions inside count by themselves."""
    inner = [child for child in ast.iter_child_nodes(node) if not isinstance(child, Function)]
    goes_on = isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
    depths = [_depth(child) - (1 if goes_on and child is node.orelse[0] else 0) for child in inner]
    return (1 if isinstance(node, BLOCKS) else 0) + max(depths, default=0)


def test_what_is_nested_too_deeply_would_be_seen() -> None:
    deep = "def f():\n  if a:\n    for b in c:\n      with d:\n        while e:\n          if g: pass"
    assert _depth(ast.parse(deep).body[0]) == 5
    flat = "def f():\n  if a: pass\n  elif b: pass\n  elif c: pass\n  else: pass"
    assert _depth(ast.parse(flat).body[0]) == 1


def test_nothing_is_caught_without_a_name() -> None:
    bare = [f"{module.name}:{node.lineno}" for module in ALL for node in ast.walk(module.tree)
            if isinstance(node, ast.ExceptHandler) and node.type is None]  # fmt: skip
    assert bare == []


@pytest.mark.parametrize("name", ["ctxhub.model.handoff", "ctxhub.model.disclosure", "ctxhub.model.context",
                                  "ctxhub.store.contexts", "ctxhub.client", "ctxhub.hub.hub"])  # fmt: skip
def test_each_can_be_imported_first(name: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, check=True, timeout=60)
