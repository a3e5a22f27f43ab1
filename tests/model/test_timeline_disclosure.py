"""What is withheld from a context is withheld from its timeline too."""

from __future__ import annotations

from typing import Any

from ctxhub.model.disclosure import EVERYTHING, Sight

SECRET = {"type": "fact.stated", "interaction_id": "in_other", "assurance": 2,
          "data": {"name": "card_number", "value": "4111", "sensitivity": "sensitive"}}  # fmt: skip


def test_a_sensitive_value_is_left_out_of_the_timeline_below_its_level() -> None:
    shown = Sight(level=2, lineage=frozenset({"in_own"})).told(SECRET)
    assert shown is not None
    unlock = {"level": 3, "again": 2, "within": 300}
    assert shown["data"] == {"name": "card_number", "sensitivity": "sensitive", "withheld": True, "unlock": unlock}


def test_it_is_shown_at_its_level_in_ones_own_words_and_to_who_sees_everything() -> None:
    for seen in (Sight(level=3), Sight(level=1, lineage=frozenset({"in_other"})), EVERYTHING):
        assert seen.told(SECRET) == SECRET


def test_what_another_interaction_keyed_in_is_left_out_and_a_personal_fact_is_shown() -> None:
    keyed: dict[str, Any] = SECRET | {
        "type": "input.collected",
        "data": {"prompt": "pin", "value": "1", "mode": "dtmf"},
    }
    stated = SECRET | {"data": {"name": "city", "value": "Lyon"}}
    seen = Sight(level=2)
    assert "value" not in (seen.told(keyed) or {"data": {"value": ""}})["data"]
    assert seen.told(stated) == stated


def test_below_level_two_another_interaction_is_not_there_at_all() -> None:
    assert Sight(level=1, lineage=frozenset({"in_own"})).told(SECRET) is None
