"""Log lines, ours and those of the libraries: one way, on stderr, without what customers said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOGGED = """
import logging, sys
from pathlib import Path
import structlog
from ctxhub import log
log.configure(sys.argv[1], sys.argv[2])
ours, theirs = structlog.get_logger("ctxhub.test"), logging.getLogger("library")
structlog.contextvars.bind_contextvars(request="r1")
ours.debug("offer.looked_at")
ours.info("handoff.accepted", handoff="h1", path=Path("/data"))
theirs.warning("slow: %d ms", 12)
logging.getLogger("uvicorn.error").info("Started server process")
said = "my secret is 42"
try:
    raise ValueError("no such order")
except ValueError:
    ours.exception("order.missed")
    theirs.exception("unexpected")
if len(sys.argv) > 3:
    ours.info("order.missed", said=sys.argv[3], told={sys.argv[3]: [1]}, path=Path(sys.argv[3]))
    theirs.warning("odd input %r", sys.argv[3])
    try:
        int(sys.argv[3] + "x")
    except ValueError:
        ours.exception("order.missed")
        theirs.exception("unexpected")
"""


def logged(level: str, form: str, *said: str) -> list[str]:
    """The lines that a process writes to stderr, and nothing to stdout."""
    done = subprocess.run(
        [sys.executable, "-c", LOGGED, level, form, *said],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_each_line_is_one_event_with_its_values_and_its_time_in_utc() -> None:
    ours, theirs, *_ = map(json.loads, logged("info", "json"))
    assert ours["at"].endswith("Z")
    assert {name: ours[name] for name in ("event", "level", "handoff", "path", "request")} == {
        "event": "handoff.accepted",
        "level": "info",
        "handoff": "h1",
        "path": "/data",
        "request": "r1",
    }
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow: 12 ms", "warning", "library")
    assert theirs.keys() >= {"at", "request"}


def test_what_is_less_important_than_asked_for_is_left_out() -> None:
    assert len(logged("info", "json")) == 4
    assert len(logged("debug", "json")) == 5
    assert len(logged("error", "json")) == 2


def test_a_traceback_comes_without_the_values_that_customers_gave() -> None:
    for form in ("json", "console"):
        lines = "\n".join(logged("info", form))
        assert "no such order" in lines
        assert "my secret" not in lines


def test_a_card_number_is_in_no_line_and_no_traceback() -> None:
    for form in ("json", "console"):
        lines = "\n".join(logged("info", form, "4929724812467731"))
        assert "4929724812467731" not in lines
        assert lines.count("•••• 7731") >= 6


def test_for_eyes_an_event_is_text() -> None:
    first, *_ = logged("info", "console")
    assert "handoff.accepted" in first
    assert "handoff=h1" in first
