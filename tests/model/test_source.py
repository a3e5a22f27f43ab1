"""What a source may be asked by, and what of its answer is taken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ctxhub.model.source import SourceFact, SourceSpec, question, taken, told_facts
from tests.support import a_phone

SAID = {"url": "https://crm.example.com/ask", "secret": "CRM_SECRET", "facts": ["segment", "open_cases"]}
SECRET = bytes(range(32))


def spec(**more: Any) -> SourceSpec:
    """A declared source."""
    return SourceSpec.model_validate(SAID | more)


def test_a_list_of_names_is_enough() -> None:
    assert list(spec().facts) == ["segment", "open_cases"]
    assert (spec().deadline_ms, spec().channels) == (300, ["ivr", "voice"])


@pytest.mark.parametrize(
    "fault",
    [{"facts": []}, {"facts": {"a": {"type": "list"}}}, {"good_for": 0}, {"good_for": 86_401}, {"deadline_ms": 2001},
     {"on": []}, {"on": ["message.received"]}, {"by": "name"}, {"channels": []}, {"secret": None}],
)  # fmt: skip
def test_a_faulty_declaration_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**fault)


def test_an_identifier_is_told_by_its_digest_under_the_secret_alone() -> None:
    asked = question(spec(by="identifiers"), "c42", [a_phone()], SECRET)
    assert asked is not None
    assert "c42" not in str(asked)
    assert "138" not in asked["identifiers"][0].get("value", "")
    other = question(spec(by="identifiers"), "c42", [a_phone()], SECRET[::-1])
    assert other is not None
    assert asked["identifiers"] != other["identifiers"]
    assert len(asked["identifiers"][0]["digest"]) == 64


def test_without_an_identifier_of_the_declared_type_nothing_is_asked() -> None:
    assert question(spec(by="identifiers", identifiers=["email"]), "c42", [a_phone()], SECRET) is None


@pytest.mark.parametrize(
    ("fact", "value", "takes"),
    [
        ({}, "gold", True), ({}, 3, True), ({}, False, True), ({}, [], False), ({}, {}, False), ({}, None, False),
        ({}, " ", False), ({"type": "text"}, 3, False), ({"type": "text", "longest": 3}, "gold", False),
        ({"type": "number"}, True, False), ({"type": "number"}, 2.5, True), ({"type": "number"}, "2", False),
        ({"type": "yes_no"}, True, True), ({"type": "yes_no"}, 1, False),
        ({"one_of": ["gold"]}, "gold", True), ({"one_of": ["gold"]}, "tin", False),
    ],
)  # fmt: skip
def test_only_what_was_declared_is_taken(fact: dict[str, Any], value: Any, takes: bool) -> None:
    assert SourceFact.model_validate(fact).takes(value) is takes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["facts", "segment", "a"]), inner),
    max_leaves=10,
)


@given(JSON)
def test_whatever_is_answered_nothing_undeclared_is_taken(said: Any) -> None:
    answered = taken(spec(), said)
    assert answered is None or set(answered.facts) <= {"segment", "open_cases"}
    assert answered is None or all(isinstance(v, str | int | float | bool) for v in answered.facts.values())


def test_a_fact_says_where_it_came_from_and_for_how_long_it_is_good() -> None:
    ((event_id, data),) = told_facts("crm", spec(good_for=60), {"segment": "gold"}, "asked_1")
    assert event_id == "asked_1:segment"
    assert data == {"name": "segment", "value": "gold", "expires_in": 60, "source": "crm"}
