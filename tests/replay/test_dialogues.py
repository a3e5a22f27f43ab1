"""Recorded dialogues are read as they are, split at the thirds, and refused by line number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ctxhub.replay.dialogues import BadFile, Dialogue, facts_by_service, read, service_of


def said(informs: dict[str, str] | None = None, intent: str | None = None, speaker: str = "customer") -> dict[str, Any]:
    """One turn as it is recorded."""
    return {"speaker": speaker, "text": "…", "informs": informs or {}, "requests": [], "intent": intent}


def a_dialogue(*turns: dict[str, Any]) -> dict[str, Any]:
    """One line of a file."""
    return {"id": "d1", "lang": "en", "services": [], "turns": list(turns)}


def a_file(folder: Path, *lines: Any, name: str = "d.jsonl") -> Path:
    """A file with these lines; what is not text is written as JSON."""
    path = folder / name
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz"])
def test_plain_and_packed_files_are_read_alike(tmp_path: Path, name: str) -> None:
    (dialogue,) = read(a_file(tmp_path, a_dialogue(said({"酒店.酒店设施-SPA": "是"})), "", name=name))
    assert dialogue.told_before(2) == {}
    assert dialogue.whole.facts == {"酒店.酒店设施-SPA": "是"}


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    path = a_file(tmp_path, a_dialogue(), a_dialogue(), "what stands behind the limit is not even looked at")
    assert len(read(path, limit=2)) == 2


def test_every_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    unnamed = a_dialogue(said()) | {"id": ""}
    path = a_file(tmp_path, a_dialogue(), "{", "", unnamed, a_dialogue(said({"a.b": ""})), "[]", a_dialogue())
    with pytest.raises(BadFile) as refusal:
        read(path)
    numbered = [line.split(": ", 1)[1] for line in str(refusal.value).splitlines()]
    assert [line.split(":")[0] for line in numbered] == ["line 2", "line 4", "line 5", "line 6"]
    assert "turns.0.informs.a.b" in numbered[2]


def test_a_line_that_is_not_utf_8_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(json.dumps(a_dialogue()).encode() + b'\n{"id": "\xff"}\n')
    with pytest.raises(BadFile, match="line 2"):
        read(path)


@pytest.mark.parametrize("speaker", ["agent", ""])
def test_a_speaker_is_the_customer_or_the_assistant(tmp_path: Path, speaker: str) -> None:
    with pytest.raises(BadFile, match=r"line 1: turns\.0\.speaker"):
        read(a_file(tmp_path, a_dialogue(said(speaker=speaker))))


def test_a_missing_a_broken_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"x" * 1000)[:-9])
    for path in (tmp_path / "none.jsonl", broken, a_file(tmp_path, "")):
        with pytest.raises(BadFile, match=path.name):
            read(path)


@pytest.mark.parametrize(
    ("turns", "sizes"), [(0, (0, 0, 0)), (1, (0, 0, 1)), (4, (1, 1, 2)), (6, (2, 2, 2)), (20, (6, 7, 7))]
)
def test_a_dialogue_is_split_at_one_and_two_thirds(turns: int, sizes: tuple[int, int, int]) -> None:
    parts = Dialogue.model_validate(a_dialogue(*[said({"s.n": str(n)}) for n in range(turns)])).parts
    assert tuple(len(part.turns) for part in parts) == sizes
    assert [turn.informs["s.n"] for part in parts for turn in part.turns] == [str(n) for n in range(turns)]


def test_a_later_value_replaces_an_earlier_one() -> None:
    dialogue = Dialogue.model_validate(
        a_dialogue(said({"s.a": "1", "s.b": "1"}), said({"s.a": "2"}), said({"s.a": "3", "s.c": "1"}))
    )
    assert dialogue.parts[0].facts == {"s.a": "1", "s.b": "1"}
    assert dialogue.told_before(1) == {"s.a": "1", "s.b": "1"}
    assert dialogue.told_before(2) == {"s.a": "2", "s.b": "1"}
    assert dialogue.whole.facts == {"s.a": "3", "s.b": "1", "s.c": "1"}


def test_what_an_assistant_says_is_no_fact_of_the_customer() -> None:
    dialogue = Dialogue.model_validate(a_dialogue(said({"s.a": "1"}, "t.Find", speaker="assistant")))
    assert (dialogue.whole.facts, dialogue.whole.services) == ({}, [])


def test_services_come_from_intents_and_facts_in_their_order() -> None:
    dialogue = Dialogue.model_validate(a_dialogue(said({"b.x": "1", "c.x": "1"}, intent="a.Find"), said({"b.y": "1"})))
    assert dialogue.whole.services == ["a", "b", "c"]
    assert facts_by_service([dialogue, dialogue]) == {"a": [], "b": ["b.x", "b.y"], "c": ["c.x"]}
    assert service_of("no dot") == "no dot"


def test_what_is_stated_most_often_stands_first() -> None:
    once = Dialogue.model_validate(a_dialogue(said({"a.x": "1"}), said({"a.x": "2"}), said({"a.y": "1"})))
    other = Dialogue.model_validate(a_dialogue(said({"a.z": "1", "a.y": "1"})))
    assert facts_by_service([once, other]) == {"a": ["a.y", "a.x", "a.z"]}
