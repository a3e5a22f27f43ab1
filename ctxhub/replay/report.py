"""How a run went: whether all is as it should be, a table for eyes, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from ctxhub.replay.judge import Judged, Knowledge, Tally, tally
from ctxhub.replay.play import Played

_FEW = 5
_HOPS = {1: "ivr → chat", 2: "chat → desk"}


class Row(NamedTuple):
    """One line of the table."""

    knowledge: Knowledge
    lang: str
    hop: int
    tally: Tally


class Report(NamedTuple):
    """A whole run; `hub_repeats` are those that the hub itself counted while it was not allowed to tell."""

    played: list[Played]
    hub_repeats: int
    seconds: float

    @property
    def rows(self) -> list[Row]:
        """The outcomes by knowledge, language and hop."""
        keys = sorted({(p.knowledge, p.dialogue.lang) for p in self.played}, key=lambda key: (key[0] == "off", key[1]))
        return [Row(*key, hop, tally(self._judged(*key, hop))) for key in keys for hop in _HOPS]

    @property
    def told(self) -> int:
        """Facts times hops: of every dialogue, what was told before the first hop and what before the second."""
        control = (played.dialogue for played in self.played if played.knowledge == "off")
        return sum(len(dialogue.told_before(hop)) for dialogue in control for hop in _HOPS)

    @property
    def repeats(self) -> int:
        """What the judge saw asked again while the hub was not allowed to tell."""
        return sum(row.tally.asked_again for row in self.rows if row.knowledge == "off")

    def judged(self, knowledge: Knowledge, hop: int) -> int:
        """How many facts were judged on a hop."""
        return sum(row.tally.facts for row in self.rows if (row.knowledge, row.hop) == (knowledge, hop))

    def complaints(self) -> list[str]:
        """What is not as it should be; nothing where all is."""
        return list(self._complaints())

    def _judged(self, knowledge: str, lang: str, hop: int) -> Iterator[list[Judged]]:
        """Give what was judged on one hop, dialogue by dialogue."""
        for played in self.played:
            if (played.knowledge, played.dialogue.lang) == (knowledge, lang) and len(played.hops) >= hop:
                yield played.hops[hop - 1]

    def _complaints(self) -> Iterator[str]:
        broken = sum(played.failure is not None for played in self.played)
        if broken:
            yield f"{broken} plays broke off"
        for row in self.rows:
            lost, wrong, again = row.tally.lost, row.tally.wrong, row.tally.asked_again
            if row.knowledge == "on" and lost + wrong + again:
                yield f"{row.lang}, {_HOPS[row.hop]}: {lost} lost, {wrong} wrong, {again} asked again"
        if not self.judged("on", 1) or not self.judged("on", 2):
            yield "no fact was there to be judged on both hops"
        if self.repeats != self.told:
            yield f"without knowledge the judge saw {self.repeats} repeats, not the {self.told} that there are"
        if self.hub_repeats != self.told:
            yield f"without knowledge the hub counted {self.hub_repeats} repeats, not the {self.told} that there are"


def show(report: Report, console: Console) -> None:
    """Print the table, the repeats, and the first few things that went wrong."""
    console.print(_table(report))
    console.print(
        f"Knowledge off: {report.told} facts × hops; asked again by the judge's count {report.repeats}, "
        f"by the hub's own {report.hub_repeats}."
    )
    for line in list(_failures(report))[:_FEW]:
        console.print(line, markup=False, highlight=False)
    for complaint in report.complaints():
        console.print(f"NOT AS IT SHOULD BE: {complaint}", markup=False, style="bold red")
    console.print(f"{len(report.played)} plays in {report.seconds:.0f} s.", highlight=False)


def write(report: Report, path: Path) -> None:
    """Write everything as JSON."""
    complaints = report.complaints()
    content = {
        "ok": not complaints,
        "complaints": complaints,
        "seconds": round(report.seconds, 1),
        "table": [{"knowledge": r.knowledge, "lang": r.lang, "hop": r.hop} | r.tally._asdict() for r in report.rows],
        "repeats": {"facts_times_hops": report.told, "judge": report.repeats, "hub": report.hub_repeats},
        "dialogues": [_as_json(played) for played in report.played],
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _table(report: Report) -> Table:
    table = Table(title="What the next channel knew", title_justify="left")
    for title in ("knowledge", "language", "hop"):
        table.add_column(title)
    for title in ("dialogues", "facts", "carried", "lost", "wrong", "asked again"):
        table.add_column(title, justify="right")
    last = None
    for row in report.rows:
        table.add_section() if last not in (None, row.knowledge) else None
        table.add_row(row.knowledge, row.lang, _HOPS[row.hop], *(str(count) for count in row.tally))
        last = row.knowledge
    return table


def _failures(report: Report) -> Iterator[str]:
    """Say of each play what went wrong: why it broke off, and facts that are not as they should be."""
    for played in report.played:
        who = f"{played.dialogue.id} (knowledge {played.knowledge}, {'PIN' if played.person.pin else 'no PIN'})"
        if played.failure is not None:
            yield f"{who} broke off: {played.failure}"
        expected = "carried" if played.knowledge == "on" else "asked again"
        for hop, judged in enumerate(played.hops, start=1):
            for fact in judged:
                if fact.outcome != expected:
                    seen = f", shown: {' / '.join(fact.shown)}" if fact.shown else ""
                    yield f"{who} {_HOPS[hop]}: {fact.name} = {fact.told} is {fact.outcome}{seen}"


def _as_json(played: Played) -> dict[str, Any]:
    return {
        "id": played.dialogue.id,
        "lang": played.dialogue.lang,
        "knowledge": played.knowledge,
        "verified": played.person.pin is not None,
        "failure": played.failure,
        "seconds": round(played.seconds, 3),
        "hops": [
            {"hop": hop, "facts": [fact._asdict() for fact in judged]}
            for hop, judged in enumerate(played.hops, start=1)
        ],
    }
