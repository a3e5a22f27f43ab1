"""A report complains of all that is not as it should be, and of nothing else; table and JSON say the same."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from ctxhub.replay.dialogues import Dialogue
from ctxhub.replay.ivr import Person
from ctxhub.replay.judge import Judged, Knowledge, Outcome
from ctxhub.replay.play import Played
from ctxhub.replay.progress import progress_of
from ctxhub.replay.report import Report, show, write

NO_STORY = cast(Any, None)


def a_dialogue(told: bool = True) -> Dialogue:
    """A fact in the first third, another one in the second: three facts on two hops."""
    turns = [{"speaker": "customer", "text": "…", "informs": {f"s.{n}": str(n)} if told else {}} for n in range(3)]
    return Dialogue.model_validate({"id": "d1", "lang": "en", "turns": turns})


def played(
    knowledge: Knowledge, *outcomes: Outcome, told: bool = True, failure: str | None = None, hops: int = 2
) -> Played:
    """A dialogue that was played, with what became of its three facts."""
    facts = [Judged("s.0", "0", outcomes[0]), Judged("s.0", "0", outcomes[1]), Judged("s.1", "1", outcomes[2])]
    judged = (facts[:1], facts[1:])[:hops] if told else ([], [])
    person = Person("+12125550100", "en", None)
    return Played(a_dialogue(told), person, knowledge, judged, failure, 0.5, NO_STORY)


CARRIED = played("on", "carried", "carried", "carried")
AGAIN = played("off", "asked again", "asked again", "asked again")


def test_all_carried_and_all_asked_again_without_knowledge_is_as_it_should_be() -> None:
    report = Report([CARRIED, AGAIN], hub_repeats=3, seconds=1)
    assert report.complaints() == []
    assert (report.told, report.repeats) == (3, 3)


@pytest.mark.parametrize("outcome", ["lost", "wrong", "asked again"])
def test_one_fact_that_is_not_carried_is_complained_of(outcome: Outcome) -> None:
    report = Report([CARRIED, played("on", "carried", "carried", outcome), AGAIN], hub_repeats=3, seconds=1)
    (complaint,) = report.complaints()
    assert f"1 {outcome}" in complaint
    assert "chat → desk" in complaint


@pytest.mark.parametrize("outcome", ["lost", "wrong", "carried"])
def test_without_knowledge_every_fact_must_be_seen_to_be_asked_again(outcome: Outcome) -> None:
    report = Report([CARRIED, played("off", outcome, "asked again", "asked again")], hub_repeats=3, seconds=1)
    assert report.complaints() == ["without knowledge the judge saw 2 repeats, not the 3 that there are"]


@pytest.mark.parametrize("counted", [0, 2, 4])
def test_the_hub_must_have_counted_every_repeat_itself(counted: int) -> None:
    complaints = Report([CARRIED, AGAIN], hub_repeats=counted, seconds=1).complaints()
    assert complaints == [f"without knowledge the hub counted {counted} repeats, not the 3 that there are"]


def test_a_play_that_broke_off_is_complained_of_and_its_facts_still_count_as_told() -> None:
    broken = played("off", "asked again", "asked again", "asked again", failure="the chat answers 500", hops=1)
    complaints = Report([CARRIED, broken], hub_repeats=1, seconds=1).complaints()
    assert complaints[0] == "1 plays broke off"
    assert len(complaints) == 3


def test_where_nothing_was_told_nothing_was_shown() -> None:
    silent = [played(k, "lost", "lost", "lost", told=False) for k in ("on", "off")]
    assert Report(silent, hub_repeats=0, seconds=1).complaints() == ["no fact was there to be judged on both hops"]


def test_what_is_shown_names_each_failure_with_its_dialogue_and_fact() -> None:
    wrong = played("on", "carried", "carried", "wrong")
    broken = played("off", "asked again", "asked again", "asked again", failure="the desk answers 500", hops=1)
    text = StringIO()
    show(Report([wrong, broken], hub_repeats=1, seconds=1), Console(file=text, width=120))
    assert "d1 (knowledge on, no PIN) chat → desk: s.1 = 1 is wrong" in text.getvalue()
    assert "d1 (knowledge off, no PIN) broke off: the desk answers 500" in text.getvalue()
    assert "NOT AS IT SHOULD BE" in text.getvalue()


def test_the_json_holds_table_repeats_and_every_dialogue(tmp_path: Path) -> None:
    write(Report([CARRIED, AGAIN], hub_repeats=3, seconds=1.26), tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert (content["ok"], content["complaints"], content["seconds"]) == (True, [], 1.3)
    assert content["repeats"] == {"facts_times_hops": 3, "judge": 3, "hub": 3}
    assert [(row["knowledge"], row["hop"], row["facts"]) for row in content["table"]] == [
        ("on", 1, 1),
        ("on", 2, 2),
        ("off", 1, 1),
        ("off", 2, 2),
    ]
    one = content["dialogues"][0]
    assert (one["id"], one["verified"], one["failure"]) == ("d1", False, None)
    assert one["hops"][1]["facts"][1] == {"name": "s.1", "told": "1", "outcome": "carried", "shown": []}


def test_a_log_gets_a_line_now_and_then_and_a_terminal_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctxhub.replay.progress._LINE_EVERY", 0.0)
    log, screen = StringIO(), StringIO()
    with progress_of(2, Console(file=log)) as progress:
        progress(CARRIED)
        progress(AGAIN)
    with progress_of(2, Console(file=screen, force_terminal=True)) as progress:
        progress(CARRIED)
    assert log.getvalue() == "1 of 2 plays\n2 of 2 plays\n"
    assert "1/2" in screen.getvalue()
