"""What an adapter may import is chosen, complete, and no more."""

from __future__ import annotations

import inspect
import typing
from types import ModuleType

import pytest
from pydantic import BaseModel

from ctxhub import client, errors
from ctxhub.client import ContextHub

NOUNS = ["asks", "contexts", "customers", "events", "feeds", "handoffs", "interactions", "queues", "tenants"]


def test_all_names_what_can_be_imported_and_nothing_else() -> None:
    public = {name for name, value in vars(client).items() if not (name[0] == "_" or isinstance(value, ModuleType))}
    assert set(client.__all__) == public
    assert len(client.__all__) == len(set(client.__all__))


def test_every_error_of_the_tree_can_be_caught_by_name() -> None:
    assert {error.__name__ for error in errors.every_error()} <= set(client.__all__)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_value_that_a_noun_takes_or_gives_can_be_imported(noun: str) -> None:
    kind = type(getattr(ContextHub("http://127.0.0.1:1", "key"), noun))
    calls = [call for name, call in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    assert calls
    for call in calls:
        for value in typing.get_type_hints(call).values():
            assert {named.__name__ for named in _values(value)} <= set(client.__all__), call.__qualname__


def _values(hint: object) -> set[type]:
    """Find the values named in a type, with the values that their fields name."""
    found: set[type] = set()
    pending = [hint]
    while pending:
        part = pending.pop()
        pending.extend(typing.get_args(part))
        if isinstance(part, type) and issubclass(part, BaseModel) and part not in found:
            found.add(part)
            pending.extend(field.annotation for field in part.model_fields.values())
    return found
