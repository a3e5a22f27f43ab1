"""Prove that the installed ctxhub is whole: every file of the sources is there, and what it offers can be imported.

Run by `make wheel` in a clean venv, from outside the sources, which it is told the folder of.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path


def shipped(sources: Path) -> Iterator[Path]:
    """The packages of the sources."""
    yield sources / "ctxhub"
    yield from sorted(path for path in (sources / "adapters").glob("ctxhub_*") if path.is_dir())


def lacking(package: Path) -> Iterator[str]:
    """The files of a package that are missing where it is installed, or differ."""
    installed = Path(str(files(package.name)))
    if installed.samefile(package):
        sys.exit(f"{package.name} was imported from the sources, not from the wheel")
    for file in sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        twin = installed / file.relative_to(package)
        if not twin.is_file() or twin.read_bytes() != file.read_bytes():
            yield f"{package.name}/{file.relative_to(package)}"


def lacking_guides(sources: Path) -> Iterator[str]:
    """The pages that every hub serves at /docs/guides/ and that are missing where it is installed, or differ."""
    guides = importlib.import_module("ctxhub.api.guides")
    for place in sorted(path for pattern in guides.SERVED for path in sources.glob(pattern) if path.is_file()):
        twin = guides.places().get(place.relative_to(sources).as_posix())
        if place.suffix in guides.KINDS and (twin is None or twin.read_bytes() != place.read_bytes()):
            yield f"guide {place.relative_to(sources)}"


def main() -> None:
    """Look at every package and at the guides, then start the command."""
    sources = Path(sys.argv[1]).resolve()
    packages = list(shipped(sources))
    for package in packages:
        importlib.import_module(package.name)
    missing = [name for package in packages for name in lacking(package)] + list(lacking_guides(sources))
    if missing:
        sys.exit("not in the wheel: " + ", ".join(missing))
    command = shutil.which("ctxhub", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit("the wheel brings no ctxhub command")
    subprocess.run([command, "--version"], check=True)
    print(f"the wheel is whole: {', '.join(package.name for package in packages)}")


if __name__ == "__main__":
    main()
