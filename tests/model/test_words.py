"""What counts as words, and what is left of an event without them."""

from __future__ import annotations

from typing import Any

import pytest

from ctxhub.model.event import TOLD
from ctxhub.model.words import retired_data, said_in

TOLD_AND_LEFT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("message.received", {"text": "I am ill", "attachments": [{"a": 1}], "fence": 1}, {"text": "", "fence": 1}),
    ("message.failed", {"of": "m1", "reason": "she hung up"}, {"of": "m1"}),
    ("input.collected", {"prompt": "order", "value": "17", "mode": "dtmf"}, {"prompt": "order", "mode": "dtmf"}),
    ("intent.detected", {"name": "divorce", "confidence": 1.0}, {"name": "", "confidence": 1.0}),
    ("fact.stated", {"name": "city", "value": "Bern"}, {"name": "city"}),
    ("fact.revealed", {"names": ["city"], "reason": "Mrs Wu asked"}, {"names": ["city"]}),
    ("journey.abandoned", {"kind": "refund", "reason": "too ill"}, {"kind": "refund"}),
    ("commitment.made", {"commitment_id": "cm", "what": "visit her"}, {"commitment_id": "cm", "what": ""}),
    ("commitment.broken", {"commitment_id": "cm", "reason": "he fell"}, {"commitment_id": "cm"}),
    ("call.transferred", {"queue": "cards", "say": "hello Mrs Wu"}, {"queue": "cards"}),
    ("risk.cleared", {"kind": "voice", "reason": "it was her son"}, {"kind": "voice"}),
    ("assurance.revoked", {"reason": "it was her son"}, {}),
    ("note.added", {"text": "hard of hearing"}, {"text": ""}),
    ("handoff.offered", {"reason": "help", "note": "hard of hearing", "say": "hi"}, {"reason": "help"}),
    ("handoff.completed", {"outcome": "she cried", "disposition": "solved"}, {"disposition": "solved"}),
    ("callback.attempted", {"outcome": "busy", "reason": "he is in hospital"}, {"outcome": "busy"}),
    ("access.granted", {"agent_id": "ann", "reason": "Mrs Wu wrote"}, {"agent_id": "ann"}),
    ("x.acme.visit", {"anything": {"at": "all"}}, {}),
]


@pytest.mark.parametrize(("type_", "told", "left"), TOLD_AND_LEFT, ids=[row[0] for row in TOLD_AND_LEFT])
def test_an_event_is_left_without_what_was_said(type_: str, told: dict[str, Any], left: dict[str, Any]) -> None:
    assert retired_data(type_, told) == left
    assert said_in(type_, left) == frozenset()


#: What told events say in ids, codes, levels and times alone; whoever adds a field says here that it is no word.
CODES = {
    "content_type", "fence", "delivered", "of", "prompt", "mode", "sensitivity", "name", "confidence", "expires_in",
    "source", "names", "purpose", "kind", "journey_id", "step", "find", "happened", "level", "method", "owner",
    "due_at", "commitment_id", "text_version", "ref", "agent_id", "role", "queue", "bot", "position", "expected_wait",
}  # fmt: skip


def test_every_field_that_can_be_told_is_words_or_a_code() -> None:
    for type_, kind in TOLD.items():
        told = dict.fromkeys(kind.model_fields, "something")
        assert told.keys() - said_in(type_, told) <= CODES, type_
