"""What the pages tell a reader to type does what they say it does."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from ctxhub import cli
from ctxhub.settings import describe_settings
from tests.docs.conftest import Reader
from tests.docs.reading import ROOT, Block, blocks, commands, pages

WALKS = [page for page in pages() if any(block.language == "sh" for block in blocks(page))]
_SAID = re.compile("…")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WALKS, ids=named)
def test_every_command_of_a_page_runs_as_written_and_prints_what_the_page_says(page: Path, reader: Reader) -> None:
    walk = [block for block in blocks(page) if block.language in ("sh", "output")]
    script = "\n".join(_typed(block) for block in walk)
    ran = reader.types(script)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{(reader.folder / 'log').read_text()[-2000:]}"
    said = ran.stdout.split("\x1e")
    promised = [block.text for block in walk if block.language == "output"]
    assert len(said) == len(promised) + 1
    for text, printed in zip(promised, said, strict=False):
        assert re.search(_pattern(text), printed, re.DOTALL), (
            f"{named(page)} promises\n{text}\nbut it printed\n{printed}"
        )


def _typed(block: Block) -> str:
    """Return what is typed for a block; where the page shows what was printed, a mark is printed."""
    return block.text if block.language == "sh" else "printf '\\036'"


def _pattern(text: str) -> str:
    """Return what output must look like: as shown, line after line, `…` for whatever is left out."""
    return r"\s*.*?".join(_SAID.sub(".*?", re.escape(line)) for line in text.splitlines())


def test_the_walks_are_found() -> None:
    assert {"README.md", "docs/how-to/run.md", "docs/how-to/connect-an-ivr.md"} <= {named(page) for page in WALKS}


PYTHON = [
    (page, n, code) for page in pages() for n, code in enumerate(b for b in blocks(page) if b.language == "python")
]
PRINTING = [(page, code, printed) for page in pages() for code, printed in pairwise(blocks(page))
            if printed.language == "printed"]  # fmt: skip


@pytest.mark.parametrize(("page", "n", "code"), PYTHON, ids=lambda part: named(part) if isinstance(part, Path) else "")
def test_python_on_a_page_can_be_read(page: Path, n: int, code: Block) -> None:
    compile(code.text, f"{named(page)}:{n}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    ("page", "code", "printed"), PRINTING, ids=lambda part: named(part) if isinstance(part, Path) else ""
)
def test_python_on_a_page_prints_what_the_page_says(page: Path, code: Block, printed: Block, tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    ran = subprocess.run(
        [sys.executable, "-c", code.text],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(_pattern(printed.text), ran.stdout, re.DOTALL), ran.stdout


def test_python_that_prints_is_found() -> None:
    assert "docs/how-to/write-an-adapter.md" in {named(page) for page, _, _ in PRINTING}


PROMPTED = [(page, command) for page in pages() for command in commands(page)]


@pytest.mark.parametrize(("page", "command"), PROMPTED, ids=lambda part: part if isinstance(part, str) else named(part))
def test_every_command_that_starts_something_exists(page: Path, command: str) -> None:
    words = shlex.split(command)
    given = [word for word in words if re.match(r"[A-Z_]+=", word)]
    program, *arguments = [word for word in words if word not in given]
    known = {line.variable for line in describe_settings()} | {
        "TWILIO_AUTH_TOKEN",
        "CTXHUB_KEY",
        "APP_LOGIN_KEY",
        "ARGS",
    }
    assert {word.split("=")[0] for word in given} <= known
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    if program == "python":
        assert (ROOT / "docs" / "examples" / arguments[0]).is_file()
        return
    assert program == "ctxhub"
    cli._parser().parse_args(arguments)


def test_the_readme_names_every_command_and_no_other() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`ctxhub (\w+)", rows)) == set(_subcommands(cli._parser())) - {"demo"}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)`", rows)) <= targets


def _subcommands(parser: argparse.ArgumentParser) -> list[str]:
    """Return what may follow `ctxhub`."""
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return list(actions[0].choices)
