"""The house as it stands: its modules, what each imports, and every file that is kept."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Module(NamedTuple):
    """One file of code: its dotted name, where it stands, and its tree."""

    name: str
    path: Path
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


@cache
def modules() -> dict[str, Module]:
    """Every module of ctxhub and of the adapters, by name."""
    read = [_read(path, ROOT) for path in (ROOT / "ctxhub").rglob("*.py")]
    read += [_read(path, ROOT / "adapters") for path in (ROOT / "adapters").glob("ctxhub_*/**/*.py")]
    return {module.name: module for module in read}


def _read(path: Path, place: Path) -> Module:
    """Read one file."""
    parts = path.relative_to(place).with_suffix("").parts
    named = parts[:-1] if parts[-1] == "__init__" else parts
    return Module(".".join(named), path, ast.parse(path.read_text(encoding="utf-8")))


def imports(module: Module, only_run: bool = False) -> set[str]:
    """Return the modules that one names in its imports, anywhere in it; those for the type checker only if wanted."""
    skipped = _for_types(module.tree) if only_run else set()
    found = [node for node in ast.walk(module.tree) if node not in skipped]
    return {name for node in found for name in _named(node)}


def _for_types(tree: ast.Module) -> set[ast.AST]:
    """Return what stands under `if TYPE_CHECKING`."""
    under = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {inner for node in under for statement in node.body for inner in ast.walk(statement)}


def _named(node: ast.AST) -> Iterator[str]:
    """Yield the modules of one import statement; a name imported from a package may be a module of it."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        inside = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name if name in modules() else node.module for name in inside)


def kept_files() -> list[Path]:
    """Return every file that is under version control and still there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in (ROOT / name for name in listed.split("\0") if name) if path.is_file()]
