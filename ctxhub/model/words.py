"""Words: what people said or wrote, by the names that the data of events gives it, and what is left without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctxhub.model.event import FREE_TYPE, TOLD

_WORDS = frozenset({"text", "value", "attachments", "note", "say", "what", "draft"})
_WORDS_OF = {"intent.detected": _WORDS | {"name"}, "handoff.completed": _WORDS | {"outcome"}}
#: What readers count on is left empty.
_EMPTY = {"text": "", "value": None, "what": "", "name": ""}
#: Of these the reason is somebody's own words; an offer's is a code.
_REASONED = frozenset(
    {type_ for type_, data in TOLD.items() if "reason" in data.model_fields}
    | {"handoff.declined", "callback.attempted", "fact.revealed", "access.granted"}
)
#: What is sealed is null where nobody opens it: a value is there as long as its name is.
_VALUE = "value"


def words_of(type_: str, data: Mapping[str, Any]) -> frozenset[str]:
    """Return the names under which an event holds words; what a channel's own type carries may be anything."""
    own = FREE_TYPE.match(type_) is not None
    return frozenset(data) if own else _WORDS_OF.get(type_, _WORDS) & data.keys()


def without(type_: str, data: Mapping[str, Any], words: frozenset[str]) -> dict[str, Any]:
    """Return an event's data without some of its words."""
    rest = {name: value for name, value in data.items() if name not in words}
    own = FREE_TYPE.match(type_) is not None
    return rest if own else rest | {name: empty for name, empty in _EMPTY.items() if name in words}


def said_in(type_: str, data: Mapping[str, Any]) -> frozenset[str]:
    """Return the names under which an event still says something: a fact's value, words, or a reason."""
    names = words_of(type_, data) | ({"reason"} & data.keys() if type_ in _REASONED else frozenset())
    return frozenset(name for name in names if name == _VALUE or data[name] not in (None, "", [], {}))


def retired_data(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's data once its time is over: without a value, and with words left empty."""
    left = without(type_, data, said_in(type_, data))
    left.pop(_VALUE, None)
    return left
