"""How code reads here, as far as a machine can tell."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Callable, Iterator

from tests.house.house import ROOT, kept_files, modules

ALL = sorted(modules().values())
VAGUE = {"utils", "util", "common", "base", "core", "manager", "managers", "helpers", "helper", "misc", "repository"}
LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
_NAMES = ("/" + "work/", "/" + "root/", "py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.org")
ELSEWHERE = re.compile("|".join(_NAMES))
Function = ast.FunctionDef | ast.AsyncFunctionDef
Defined = Function | ast.ClassDef


def defined(tree: ast.AST, inside: tuple[str, ...] = ()) -> Iterator[tuple[str, Defined]]:
    """Yield every function and class of a tree with its full name; what is inside functions is theirs alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ".".join((*inside, node.name)), node
            if isinstance(node, ast.ClassDef):
                yield from defined(node, (*inside, node.name))
        elif not isinstance(node, ast.expr):
            yield from defined(node, inside)


def functions(tree: ast.AST) -> list[Function]:
    """Return every function of a tree, however deep."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_public(name: str) -> bool:
    """Tell whether every part of a name is public."""
    return not any(part.startswith("_") for part in name.split("."))


def bare_parameters(function: Function) -> list[str]:
    """Return the parameters of a function that have no type; `self` and `cls` need none."""
    spelled = function.args
    every = [*spelled.posonlyargs, *spelled.args, *spelled.kwonlyargs, spelled.vararg, spelled.kwarg]
    return [arg.arg for arg in every if arg and arg.annotation is None and arg.arg not in ("self", "cls")]


def test_every_module_says_what_belongs_in_it() -> None:
    assert [str(module) for module in ALL if not ast.get_docstring(module.tree)] == []


def test_what_is_public_promises_something() -> None:
    public = [(module, name, node) for module in ALL for name, node in defined(module.tree) if is_public(name)]
    assert [f"{module}: {name}" for module, name, node in public if not ast.get_docstring(node)] == []


def test_every_function_has_types() -> None:
    every = [(module, function) for module in ALL for function in functions(module.tree)]
    bare = [(module, f) for module, f in every if f.returns is None or bare_parameters(f)]
    assert [f"{module}:{function.lineno}: {function.name}" for module, function in bare] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(module) for module in ALL if VAGUE & set(module.name.split("."))] == []


def test_functions_are_short() -> None:
    lengths = [len(ast.unparse(node).splitlines()) for module in ALL for node in functions(module.tree)]
    assert statistics.median(lengths) <= 8
    assert statistics.quantiles(lengths, n=10)[-1] <= 20


def test_nothing_is_put_off_and_no_file_speaks_of_one_machine(need: Callable[[str], str]) -> None:
    need("git")
    kept = [(path.relative_to(ROOT).as_posix(), path.read_bytes()) for path in kept_files()]
    assert len(kept) > 100
    assert [line for name, content in kept for line in _unwanted(name, content)] == []


def _unwanted(name: str, content: bytes) -> list[str]:
    """List the lines of a file that put something off, or name one machine's paths or a registry."""
    lines = [] if b"\0" in content else content.decode("utf-8").splitlines()
    numbered = enumerate(lines, 1)
    return [f"{name}:{n}: {line[:80]}" for n, line in numbered if LATER.search(line) or ELSEWHERE.search(line)]


def test_what_is_unwanted_would_be_seen() -> None:
    lines = ["# TO" + "DO later", "see /" + "work/x", "https://py" + "pi.org/simple", "a todo list of homework/"]
    assert [place[:3] for place in _unwanted("a", "\n".join(lines).encode())] == ["a:1", "a:2", "a:3"]


def test_what_is_silent_or_bare_would_be_seen() -> None:
    tree = ast.parse("class A:\n  def say(self, x, *y: int) -> None: ...\n  def _hush(self): ...\ndef f(): ...")
    assert [name for name, node in defined(tree) if not ast.get_docstring(node)] == ["A", "A.say", "A._hush", "f"]
    assert [bare_parameters(function) for function in functions(tree)] in ([["x"], [], []], [[], ["x"], []])
