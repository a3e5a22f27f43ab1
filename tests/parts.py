"""The parts of a run: which files are whose, what they prove, and how long that may take.

`make test` has pytest load this as a plugin (`-p tests.parts --part all`), which tells before the closing line what
each part ran; `make test PART=chaos` runs one of them alone. Parts run side by side, a file at a time, so that no
process waits for another: a part's time is that of its tests, divided by the number of processes.

A part over its budget is marked, and no more: other work on the machine makes any of them slow now and then. What fails
is a run of `.ci/run` that takes longer than all budgets together, `IN_ALL`.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

IN_ALL = 35.0
BEFORE_TESTS = 6.0  # outside tools, the environment and lint, each with its own share in `.ci/run`
BEGAN_AT = "CI_BEGAN_AT"
ALL = "all"


class Part(NamedTuple):
    """Some of the tests: what they prove, within how many minutes, and how the paths of their files begin."""

    what: str
    minutes: float
    paths: tuple[str, ...]


#: A file is of the part that names most of its path.
PARTS = {
    "rules": Part("rules of the house, files for deployment, the benchmarks' own arithmetic", 1,
                  ("tests/house/", "tests/deploy/", "tests/bench/")),
    "model": Part("what is decided in pure code; call histories at random; parsers", 1.5,
                  ("tests/model/", "tests/histories/", "tests/fuzz/")),
    "store": Part("Redis, archive, import and export, data of released versions", 3,
                  ("tests/store/", "tests/archive/", "tests/bulk/", "tests/upgrade/")),
    "hub": Part("the hub in process: handoffs, routing, timers, webhooks; a switch's lines", 1.5,
                ("tests/hub/", "tests/acd/")),
    "api": Part("HTTP as described, roles, streams; processes, settings, logs, traces", 5.5,
                ("tests/api/", "tests/interop/", "tests/test_")),
    "client": Part("the SDK and its spool", 1, ("tests/client/",)),
    "channels": Part("adapters and their pages in a browser; recorded dialogues", 6.5,
                     ("tests/adapters/", "tests/replay/")),
    "stories": Part("customers' stories over all channels", 1.5, ("tests/stories/",)),
    "many": Part("Sentinels and a cluster: stories, failover, resharding", 2.5,
                 ("tests/store/test_cluster.py", "tests/store/test_sentinel.py", "tests/store/test_replicas.py",
                  "tests/chaos/test_stories_on_many.py", "tests/chaos/test_failover.py",
                  "tests/chaos/test_failovers.py", "tests/chaos/test_resharding.py")),
    "lost": Part("replies lost, cut or late: what is sent again is done once, and answered in time", 1,
                 ("tests/chaos/test_controls.py", "tests/chaos/test_frozen.py", "tests/chaos/test_proxy.py",
                  "tests/chaos/test_slow.py", "tests/client/test_transport.py")),
    "chaos": Part("a minute of kills, full disks and freezes under load", 2, ("tests/chaos/",)),
    "docs": Part("every command, example and link of the pages", 2, ("tests/docs/",)),
}  # fmt: skip


def part_of(path: str) -> str | None:
    """Return whose a test's file is, by its path in the repository; None where no part names it."""
    named = [(len(start), name) for name, part in PARTS.items() for start in part.paths if path.startswith(start)]
    return max(named, default=(0, None))[1]


@dataclass
class Row:
    """What a part came to."""

    tests: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    ran: list[str] = field(default_factory=list)


class Parts:
    """Counts by part what is reported, from whichever process, and tells it in the end."""

    def __init__(self, began: float | None) -> None:
        self._began = began
        self._rows: dict[str | None, Row] = defaultdict(Row)
        self._processes: set[str] = set()
        self._running: set[str] = set()
        self._is_late = False

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a test runs."""
        self._running.add(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that it does not any more."""
        self._running.discard(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a report: a test has one for what comes before, one for itself, one for what comes after."""
        row = self._rows[part_of(report.nodeid)]
        row.tests.add(report.nodeid)
        row.seconds += report.duration
        self._processes.add(getattr(report, "worker_id", ""))
        if report.when == "call" or not report.passed:
            row.outcomes[report.outcome] += 1
        if report.when == "call":
            row.ran += [str(said) for name, said in report.user_properties if name == "ran"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that took longer than all budgets together."""
        self._is_late = self._began is not None and time.time() - self._began > IN_ALL * 60
        if self._is_late and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write a line for each part, and what its tests said that they did."""
        terminalreporter.section("parts")
        for line in self._lines():
            terminalreporter.line(line)

    def _lines(self) -> Iterator[str]:
        yield f"{'part':9} {'tests':>5} {'passed':>6} {'failed':>6} {'skipped':>7}  minutes of budget"
        for name in (*PARTS, None):
            if name in self._rows:
                yield from self._told(name, self._rows[name])
        yield from (f"still running when all was broken off: {nodeid}" for nodeid in sorted(self._running))
        if self._began is not None:
            took = (time.time() - self._began) / 60
            late = ", which is too long: FAILED" if self._is_late else ""
            yield f"in all, with outside tools and lint: {took:.1f} of {IN_ALL:g} minutes{late}"

    def _told(self, name: str | None, row: Row) -> Iterator[str]:
        part = PARTS[name] if name else Part("no part names them: see tests/parts.py", 0, ())
        minutes = row.seconds / 60 / len(self._processes)
        counts = [row.outcomes[outcome] for outcome in ("passed", "failed", "skipped")]
        passed, failed, skipped = counts
        over = "  OVER" if minutes > part.minutes else ""
        yield (
            f"{name or '?':9} {len(row.tests):5} {passed:6} {failed:6} {skipped:7} "
            f"{minutes:8.1f} of {part.minutes:<3g}{over:6}  {part.what}"
        )
        yield from (f"{'':9} ran {said}" for said in sorted(row.ran))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be of one part, or told by parts."""
    parser.addoption("--part", choices=[ALL, *PARTS], help="run this part of the tests, or all, and tell it by parts")


def pytest_configure(config: pytest.Config) -> None:
    """Count in the process that hears of everything."""
    if config.option.part and not hasattr(config, "workerinput"):
        began = os.environ.get(BEGAN_AT)
        config.pluginmanager.register(Parts(float(began) if began else None))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of other parts."""
    if config.option.part in (None, ALL) or not collection_path.is_file():
        return None
    return part_of(collection_path.relative_to(config.rootpath).as_posix()) != config.option.part or None
