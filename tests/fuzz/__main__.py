"""Tries every parser under atheris for a while, and says in a line of JSON each what came of it: `make fuzz`.

An input that broke something is tried again by `NAMED["texts"].tried(b"…")` of `tests.fuzz.parsers`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.mutating import LONGEST
from tests.fuzz.parser import Parser
from tests.fuzz.parsers import NAMED, PARSERS

MOST_GROWTH = 0.10
MOST_MEMORY_MB = 1024
LONGEST_SECONDS = 20
LOOK_EVERY = 0.5
#: What libFuzzer leaves behind of an input that broke something; of one that was only slow it leaves another name.
FAULTS = ("crash-", "timeout-", "oom-", "leak-")
_DONE = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)")


class Look(NamedTuple):
    """How many bytes of memory a process held, so many seconds after it began."""

    seconds: float
    held: int


def tried(parser: Parser, minutes: float) -> dict[str, Any]:
    """Try one parser in a process of its own; return what came of it."""
    with tempfile.TemporaryDirectory(prefix="ctxhub-fuzz-") as made:
        folder = Path(made)
        began = time.monotonic()
        looks, told = _run(_command(parser, folder, minutes), folder)
        crash = _crash(folder, told)
        memory = growth(looks)
        is_well = crash is None and memory["growth"] < MOST_GROWTH
        return {
            "name": parser.name,
            **reached(told),
            "seconds": round(time.monotonic() - began),
            **memory,
            "crashes": 0 if crash is None else 1,
            **({} if crash is None else {"crash": crash}),
            "is_well": is_well,
        }


def _command(parser: Parser, folder: Path, minutes: float) -> list[str]:
    """Write seeds and words into a folder; return how the process is called."""
    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, seed in enumerate(parser.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(f'"{_spelt(word)}"\n' for word in parser.words))
    options = {
        "max_total_time": round(minutes * 60),
        "rss_limit_mb": MOST_MEMORY_MB,
        "malloc_limit_mb": MOST_MEMORY_MB,
        "timeout": LONGEST_SECONDS,
        "max_len": LONGEST,
        "dict": words,
        "artifact_prefix": f"{folder}/",
    }
    said = [f"-{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "tests.fuzz.one", parser.name, *said, str(corpus)]


def _spelt(word: bytes) -> str:
    """Spell a word as libFuzzer reads it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def _run(command: list[str], folder: Path) -> tuple[list[Look], str]:
    """Run a process to its end; return how much memory it held once it had begun to try, and what it said."""
    began, looks = time.monotonic(), list[Look]()
    said, is_ready = folder / "said", False
    with said.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"TMPDIR": str(folder)})
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY)
                if not is_ready and b"INITED" not in said.read_bytes():
                    began = time.monotonic()
                    continue
                is_ready = True
                looks += _look(process.pid, time.monotonic() - began)
        finally:
            process.kill()
            process.wait()
    return looks, said.read_text("utf-8", "replace")


def _look(process: int, seconds: float) -> list[Look]:
    """Look at a process's memory; on what is not Linux there is nothing to see."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return []
    return [Look(seconds, pages * os.sysconf("SC_PAGE_SIZE"))] if pages else []


def growth(looks: list[Look]) -> dict[str, Any]:
    """Return the memory held at the start, after a third of the time and at the end, and by how much it grew since."""
    if not looks:
        return {"rss_start_mb": 0, "rss_warm_mb": 0, "rss_end_mb": 0, "growth": 0.0}
    warm = next(look for look in looks if look.seconds >= looks[-1].seconds / 3)
    start, end = looks[0].held, looks[-1].held
    megabytes = {"rss_start_mb": start, "rss_warm_mb": warm.held, "rss_end_mb": end}
    shown = {name: round(held / 2**20) for name, held in megabytes.items()}
    return shown | {"growth": round(end / warm.held - 1, 3)}


def reached(told: str) -> dict[str, int]:
    """Return how many inputs were tried, and what of the code they reached, as libFuzzer told last."""
    found = _DONE.findall(told)
    executions, coverage, features = map(int, found[-1]) if found else (0, 0, 0)
    return {"executions": executions, "coverage": coverage, "features": features}


def _crash(folder: Path, told: str) -> dict[str, Any] | None:
    """Return the input that broke something, and the last lines of what was said; also where it never began."""
    inputs = [path for path in folder.iterdir() if path.name.startswith(FAULTS)]
    if not inputs and "Done " in told:
        return None
    traceback = [line for line in told.partition("=== Uncaught Python exception: ===")[2].splitlines() if line.strip()]
    ours = next((n for n, line in enumerate(traceback) if line.startswith("==")), len(traceback))
    lines = traceback[:ours][-12:] or told.splitlines()[-12:]
    return {"kind": [path.name.partition("-")[0] for path in inputs], "input": _shown(inputs), "said": lines}


def _shown(inputs: list[Path]) -> str:
    """Return an input as Python spells it."""
    return repr(inputs[0].read_bytes()) if inputs else ""


def main() -> int:
    """Try what is asked for, one parser after the other."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("--minutes", type=float, default=10.0, help="for each parser")
    asked.add_argument("--only", nargs="+", choices=NAMED, help="these alone; `planted` is one that must fail")
    wanted = asked.parse_args()
    chosen = [NAMED[name] for name in wanted.only] if wanted.only else PARSERS
    is_well = True
    for parser in chosen:
        found = tried(parser, wanted.minutes)
        print(json.dumps(found, ensure_ascii=False), flush=True)
        is_well &= found["is_well"]
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
