"""What each part of a full run came to, kept in a file of its own: parts may be run one by one, and gone on with."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.history import Fault

#: The parts of a full run, in the order in which they are run.
PARTS = ("faults", "offers", "calls", "failovers", "controls")
FOLDER = Path(os.environ.get("CTXHUB_CHAOS_RESULTS", "build/chaos"))


@dataclass
class Row:
    """What one kind of fault came to."""

    times: int = 0
    writes: int = 0
    calls: int = 0
    recovered: list[float] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Result:
    """What one part came to: its rows by kind, what was counted, what was found of each control, how long it took.

    `commit` is what was run.
    """

    part: str
    rows: dict[str, Row] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    controls: dict[str, tuple[int, Counter[str]]] = field(default_factory=dict)
    minutes: float = 0.0
    busiest: float = 0.0  # the highest load average of one minute that was seen meanwhile
    commit: str = ""

    def row(self, kind: str) -> Row:
        """Return the row of a kind."""
        return self.rows.setdefault(kind, Row())

    def save(self, folder: Path = FOLDER) -> None:
        """Keep it; what was kept of the part before is gone."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{self.part}.new"
        said = vars(self) | {"rows": {kind: vars(row) for kind, row in self.rows.items()}}
        new.write_text(json.dumps(said, indent=1, ensure_ascii=False), "utf-8")
        new.replace(folder / f"{self.part}.json")


def kept(part: str, folder: Path = FOLDER) -> Result | None:
    """Return what is kept of a part; None where it was never run."""
    file = folder / f"{part}.json"
    if not file.exists():
        return None
    said = json.loads(file.read_text("utf-8"))
    rows = {
        kind: Row(**row | {"faults": [Fault(*fault) for fault in row["faults"]]})
        for kind, row in said.pop("rows").items()
    }
    controls = {name: (writes, Counter(found)) for name, (writes, found) in said.pop("controls").items()}
    return Result(**said | {"rows": rows, "controls": controls, "counts": Counter(said["counts"])})
