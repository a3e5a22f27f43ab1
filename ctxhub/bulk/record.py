"""What one line of an import says about one customer, and what may be wrong with it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import ValidationError

from ctxhub.errors import Invalid
from ctxhub.model.customer import Identifier
from ctxhub.model.event import JsonValue, Sensitivity, checked_data, faults
from ctxhub.model.value import CustomerId, Instant, Name, Value

_E164 = re.compile(r"^\+[1-9]\d{6,14}(;ext=\d{1,15})?$")
Told = Literal["verified", "observed"]


class Fault(NamedTuple):
    """One thing wrong with a line: in which column (or where in its JSON), what, and what to do about it."""

    column: str
    problem: str
    remedy: str


class IncomingFact(Value):
    """One fact as the company's own system has it."""

    name: Name
    value: JsonValue
    state: Told = "observed"
    sensitivity: Sensitivity = "personal"
    at: Instant | None = None
    expires_at: Instant | None = None


class Incoming(Value):
    """One customer: who it is, what leads there, and what is known; `at` is when it was so."""

    customer_id: CustomerId | None = None
    identifiers: tuple[Identifier, ...] = ()
    facts: tuple[IncomingFact, ...] = ()
    at: Instant | None = None

    @property
    def key(self) -> str:
        """Return what tells this customer from the others of the file."""
        return self.customer_id or "\n".join(("", *self.identifiers[0].what))


def read_json(text: bytes) -> Incoming | list[Fault]:
    """Read one JSON line, or say everything that is wrong with it."""
    try:
        incoming = Incoming.model_validate_json(text)
    except ValidationError as error:
        return [_fault(found["pointer"], found["detail"]) for found in faults(error)]
    return checked(incoming, "customer_id")


def _fault(pointer: str, detail: str) -> Fault:
    """Return what pydantic found as a fault of the line."""
    if pointer:
        return Fault(pointer, detail, "mend it: the shape of a line stands in docs/how-to/bulk.md")
    return Fault("", detail, "write one JSON object a line, in UTF-8")


def checked(incoming: Incoming, naming: str) -> Incoming | list[Fault]:
    """Return a line that can be brought in, or why it can't; `naming` is where it should say who it is."""
    if incoming.customer_id is None and not incoming.identifiers:
        return [Fault(naming, "nobody is named", "say who it is: a customer_id, or an identifier")]
    told = [(fact.name, fact.state) for fact in incoming.facts]
    twice = {name for number, (name, state) in enumerate(told) if (name, state) in told[:number]}
    wrong = [Fault(f"fact {name}", "it is told twice", "tell it once") for name in sorted(twice)]
    return [*wrong, *(fault for fact in incoming.facts for fault in _unfit(fact))] or incoming


def _unfit(fact: IncomingFact) -> list[Fault]:
    """Say what makes a value unfit for a fact; plain texts and numbers were looked at as they were read."""
    if not isinstance(fact.value, list | dict | float):
        return []
    try:
        json.dumps(fact.value, allow_nan=False)
    except ValueError:  # what JSON has no word for would be kept as null
        return [Fault(f"fact {fact.name}", "NaN and Infinity are no numbers of JSON", "mend it, or leave it out")]
    except RecursionError:  # told below
        pass
    try:
        checked_data(f"fact.{fact.state}", {"name": fact.name, "value": fact.value}, "")
    except Invalid as error:
        return [Fault(f"fact {fact.name}", error.detail, "tell it in simpler or smaller parts")]
    return []


def misshapen(identifier: Identifier, is_declared: bool) -> Fault | None:
    """Say what is wrong with an identifier in its normal form, if anything is."""
    if not is_declared:
        remedy = "mend its type, or declare it under `identifiers` in the tenant's file"
        return Fault(identifier.type, "the tenant declares no such type of identifiers", remedy)
    if identifier.type == "phone" and not _E164.match(identifier.value):
        remedy = "write it with its country code, or set `default_region` in the tenant's file"
        return Fault("phone", "that is no phone number", remedy)
    if identifier.type == "email" and not 0 < identifier.value.find("@") < len(identifier.value) - 1:
        return Fault("email", "that is no e-mail address", "write it as name@host")
    return None


def out_of_time(incoming: Incoming, told_at: datetime, latest: datetime, now: datetime) -> list[Fault]:
    """Say which times of a line can't be: what has not been yet, and what has lapsed already."""
    found = [(f"fact {fact.name}", fact.at or incoming.at or told_at, fact.expires_at) for fact in incoming.facts]
    ahead = [Fault(where, "its time lies ahead", "mend `at`, or the clock") for where, at, _ in found if at > latest]
    lapsed = [
        Fault(where, "it has lapsed already", "leave it out, or mend `expires_at`")
        for where, at, ends in found
        if ends is not None and ends <= max(at, now)
    ]
    return ahead + lapsed
