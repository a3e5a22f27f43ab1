"""Each test is of one part of the run, and the run tells of each what it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.house.house import ROOT
from tests.parts import BEFORE_TESTS, BEGAN_AT, IN_ALL, PARTS, part_of

FILES = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
GOOD = """
import pytest

def test_good(record_property):
    record_property("ran", "twenty rounds")

def test_left_out():
    pytest.skip("not today")
"""
BAD = """
import pytest

@pytest.fixture
def broken():
    yield
    raise ValueError

def test_bad():
    assert False

def test_bad_afterwards(broken):
    pass
"""
HANGS = """
import os, signal, time

def test_hangs():
    time.sleep(2)  # until it is known that it runs
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(5)
"""


def test_each_file_of_tests_is_of_a_part() -> None:
    assert [path for path in FILES if part_of(path) is None] == []


def test_what_a_part_names_is_named_once_and_is_there() -> None:
    named = Counter(start for part in PARTS.values() for start in part.paths)
    assert {start: times for start, times in named.items() if times > 1} == {}
    assert [start for start in named if not any(path.startswith(start) for path in FILES)] == []
    assert set(PARTS) == {part_of(path) for path in FILES}


def test_a_file_is_of_the_part_that_names_most_of_its_path() -> None:
    paths = ("tests/chaos/test_killed.py", "tests/chaos/test_failover.py", "tests/test_cli.py", "tests/new/test_it.py")
    assert [part_of(path) for path in paths] == ["chaos", "many", "api", None]


def test_all_parts_fit_into_the_time_of_the_whole() -> None:
    shares = re.findall(r"^within (\d+) ", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert sum(map(int, shares)) == BEFORE_TESTS
    assert BEFORE_TESTS + sum(part.minutes for part in PARTS.values()) <= IN_ALL


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Tests of three parts and of none."""
    contents = {"chaos/test_a.py": GOOD, "model/test_b.py": BAD, "hub/test_c.py": GOOD, "new/test_d.py": GOOD}
    for path, content in contents.items():
        (tmp_path / "tests" / path).parent.mkdir(parents=True)
        (tmp_path / "tests" / path).write_text(content)
    (tmp_path / "pytest.ini").touch()
    return tmp_path


def run(project: Path, *options: str, minutes_ago: float | None = None) -> tuple[int, list[str]]:
    """Run a project's tests as `make test` does; its exit status and what it printed from the parts on."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CI"))}
    if minutes_ago is not None:
        environ[BEGAN_AT] = str(time.time() - 60 * minutes_ago)
    environ |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.parts", *options]
    ran = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False, timeout=100)
    lines = ran.stdout.splitlines()
    started = [n for n, line in enumerate(lines) if re.fullmatch("=+ parts =+", line)]
    return ran.returncode, [line.strip() for line in lines[started[0] if started else 0 :]]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_tells_of_each_part_what_it_was_whichever_process_it_was_in(project: Path, processes: str) -> None:
    status, lines = run(project, "-n", processes, "--part", "all", minutes_ago=10)
    assert status == 1
    rows = [line for line in lines if re.match(r"(model|hub|chaos|\?) ", line)]
    assert [line.split()[:5] for line in rows] == [
        ["model", "2", "1", "2", "0"], ["hub", "2", "1", "0", "1"], ["chaos", "2", "1", "0", "1"],
        ["?", "2", "1", "0", "1"],
    ]  # fmt: skip
    for line, part in zip(rows, (PARTS["model"], PARTS["hub"], PARTS["chaos"]), strict=False):
        assert re.search(rf"\d\.\d of {part.minutes:g} +{part.what}$", line)
    assert "no part names them" in rows[3]
    assert lines.count("ran twenty rounds") == 3
    assert [line for line in lines if re.fullmatch(r"in all, .*: 1\d\.\d of 35 minutes", line)]
    assert re.match(r"=+ 1 failed, 4 passed, 3 skipped, 1 error in ", lines[-1])


@pytest.mark.parametrize(("minutes", "status"), [(10.0, 0), (36.0, 1)])
def test_a_run_that_takes_longer_than_all_parts_may_fails(project: Path, minutes: float, status: int) -> None:
    failed, lines = run(project, "--part", "hub", minutes_ago=minutes)
    assert failed == status
    assert any(line.endswith("which is too long: FAILED") for line in lines) == bool(status)
    assert re.match("=+ 1 passed, 1 skipped in ", lines[-1])


def test_a_run_that_is_broken_off_names_the_test_that_it_hung_in(project: Path) -> None:
    (project / "tests" / "hub" / "test_c.py").write_text(HANGS)
    status, lines = run(project, "-n", "1", "--part", "hub")
    assert status == pytest.ExitCode.INTERRUPTED
    assert "still running when all was broken off: tests/hub/test_c.py::test_hangs" in lines


def test_of_one_part_no_other_file_is_even_read(project: Path) -> None:
    (project / "tests" / "model" / "test_b.py").write_text("raise ValueError")
    status, lines = run(project, "--part", "chaos")
    assert status == 0
    assert [line.split()[0] for line in lines[1:4]] == ["part", "chaos", "ran"]
    assert run(project, "--part", "nonsense")[0] == pytest.ExitCode.USAGE_ERROR
