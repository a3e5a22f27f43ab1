"""What each column of a table means: said in a file, on the command line, or by the column's own name."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError

from ctxhub.bulk.record import Fault, Incoming, IncomingFact, Told, checked
from ctxhub.model.customer import Identifier, Strength
from ctxhub.model.event import Sensitivity, faults
from ctxhub.model.value import Name, Value
from ctxhub.settings import CannotStart, Span

#: Columns that need no saying what they mean.
_PLAIN = ("customer_id", "at")
_IDENTIFIERS = ("phone", "email", "account", "wechat")
_TRUE = frozenset(("true", "yes", "y", "1", "是"))
_FALSE = frozenset(("false", "no", "n", "0", "否"))
_FORMS = "customer_id, at, ignore, identifier:TYPE, identifier:TYPE:verified, fact:NAME or fact:NAME:verified"


class Column(Value):
    """What one column means; exactly one of the first four is said."""

    customer_id: Literal[True] | None = None
    at: Literal[True] | None = None
    identifier: str | None = None
    fact: Name | None = None
    strength: Strength = "claimed"
    state: Told = "observed"
    sensitivity: Sensitivity = "personal"
    expires_in: Span | None = None
    reads: Literal["text", "number", "yes or no"] = "text"
    split: str | None = None


class Meanings(Value):
    """A mapping's file: what the columns mean, which system they come from, and where its clocks stand."""

    columns: dict[str, Column | str] = {}
    source: Name | None = None
    timezone: str | None = None


def read_meanings(path: Path) -> Meanings:
    """Read a mapping's file; what is wrong with it is said at once."""
    try:
        return Meanings.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except OSError as error:
        raise CannotStart(f"{path} can't be read ({error.strerror}): name a mapping's file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CannotStart(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{fault['pointer'] or 'all of it'}: {fault['detail']}" for fault in faults(error))
        raise CannotStart(f"{path}: {found}") from error


def said(words: Sequence[str]) -> dict[str, Column | str]:
    """Read what the command line says, as COLUMN=MEANING."""
    pairs = [word.rpartition("=") for word in words]
    for word, (column, _, meaning) in zip(words, pairs, strict=True):
        if not column or not meaning:
            raise CannotStart(f"--map {word}: write COLUMN=MEANING; a meaning is {_FORMS}")
    return {column: meaning for column, _, meaning in pairs}


def understood(header: Sequence[str], meanings: Dictionary[str, Column | str]) -> list[Column | None]:
    """Return what each column of a header means, None for one left out; whatever is not clear is refused."""
    _must_be_a_header(header)
    missing = [name for name in meanings if name not in header]
    if missing:
        raise CannotStart(f"the file has no column {missing[0]!r}: its columns are {', '.join(header)}")
    columns = [_column(name, meanings.get(name, name), name in meanings) for name in header]
    if not any(column and (column.customer_id or column.identifier) for column in columns):
        raise CannotStart("no column says who it is: map one to customer_id or to an identifier")
    return columns


def _must_be_a_header(header: Sequence[str]) -> None:
    """Refuse a first line that can't be a header."""
    if not any(name.strip() for name in header):
        raise CannotStart("the first line is empty: it must name the columns")
    twice = [name for number, name in enumerate(header) if name in header[:number]]
    if twice or not all(header):
        named = f"{twice[0]!r} stands twice" if twice else "one has no name"
        raise CannotStart(f"the first line must name the columns, each once: {named}")


def _column(name: str, meaning: Column | str, is_said: bool) -> Column | None:
    """Return what one column means."""
    if isinstance(meaning, Column):
        _must_be_one(name, meaning)
        return meaning
    if meaning == "ignore":
        return None
    kind, _, rest = meaning.partition(":")
    if meaning in _PLAIN:
        return Column.model_validate({meaning: True})
    if meaning in _IDENTIFIERS:
        return Column(identifier=meaning)
    if kind in ("identifier", "fact") and rest:
        return _spelled(name, kind, rest)
    if is_said:
        raise CannotStart(f"column {name!r}: {meaning!r} is no meaning; write {_FORMS}")
    remedy = f"add --map '{name}=fact:{name}', or --map '{name}=ignore' to leave it out"
    raise CannotStart(f"column {name!r} is not mapped (or the file has no header): {remedy}")


def _spelled(name: str, kind: str, rest: str) -> Column:
    """Read `identifier:phone:verified` and the like."""
    what, _, how = rest.partition(":")
    more = {("strength" if kind == "identifier" else "state"): how} if how else {}
    try:
        column = Column.model_validate({kind: what} | more)
        if column.identifier:
            Identifier(type=column.identifier, value="x")
    except ValidationError as error:
        raise CannotStart(f"column {name!r}: {faults(error)[0]['detail']}; write {_FORMS}") from error
    return column


def _must_be_one(name: str, column: Column) -> None:
    """Refuse a column that means nothing, or several things."""
    named = [column.customer_id, column.at, column.identifier, column.fact]
    if sum(part is not None for part in named) != 1:
        raise CannotStart(f"column {name!r}: say one of customer_id, at, identifier and fact")


class _Bad(Exception):
    """A cell that can't be read."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy


class Table(NamedTuple):
    """A table whose columns are understood."""

    header: list[str]
    columns: list[Column | None]
    zone: ZoneInfo | None
    told_at: datetime

    def read(self, cells: Sequence[str]) -> Incoming | list[Fault]:
        """Return what a row says about its customer, or everything that is wrong with it."""
        if len(cells) != len(self.header):
            problem = f"{len(cells)} columns, the header has {len(self.header)}"
            return [Fault("", problem, "put texts that hold the delimiter in quotes")]
        parts: dict[str, Any] = {}
        wrong: list[Fault] = []
        for name, column, cell in zip(self.header, self.columns, cells, strict=True):
            text = cell.strip()
            if column is None or not text:
                continue
            try:
                _put(parts, column, text, self.zone)
            except _Bad as bad:
                wrong.append(Fault(name, bad.problem, bad.remedy))
            except ValidationError as error:
                wrong += [Fault(name, fault["detail"], "mend the cell, or leave it empty") for fault in faults(error)]
        return wrong or self._whole(parts)

    def _whole(self, parts: dict[str, Any]) -> Incoming | list[Fault]:
        """Return a row's customer; one that does not say who it is, or is misspelled, is a fault."""
        naming = [
            name for name, c in zip(self.header, self.columns, strict=True) if c and (c.customer_id or c.identifier)
        ]
        try:
            at = parts.get("at", self.told_at)
            facts = tuple(fact.but(expires_at=at + span) if span else fact for fact, span in parts.get("facts", ()))
            return checked(Incoming.model_validate(parts | {"facts": facts}), ", ".join(naming))
        except ValidationError as error:
            where = next((name for name, c in zip(self.header, self.columns, strict=True) if c and c.customer_id), "")
            return [Fault(where, "that is no customer_id", "1 to 128 of 0-9 A-Z a-z . _ @ -") for _ in error.errors()]


def _put(parts: dict[str, Any], column: Column, text: str, zone: ZoneInfo | None) -> None:
    """Put what a cell says where it belongs."""
    if column.customer_id:
        parts["customer_id"] = text
    elif column.at:
        parts["at"] = _instant(text, zone)
    elif column.identifier:
        more = [Identifier(type=column.identifier, value=one, strength=column.strength) for one in _each(column, text)]
        parts["identifiers"] = (*parts.get("identifiers", ()), *more)
    else:
        parts["facts"] = (*parts.get("facts", ()), (_fact(column, text), column.expires_in))


def _each(column: Column, text: str) -> list[str]:
    """Return the values that a cell holds."""
    return [one.strip() for one in text.split(column.split) if one.strip()] if column.split else [text]


def _fact(column: Column, text: str) -> IncomingFact:
    """Return the fact that a cell tells."""
    values = [_value(column, one) for one in _each(column, text)]
    return IncomingFact(
        name=column.fact or "",
        value=values if column.split else values[0],
        state=column.state,
        sensitivity=column.sensitivity,
    )


def _value(column: Column, text: str) -> Any:
    """Return a cell's value as its column reads it."""
    if column.reads == "number":
        return _number(text)
    if column.reads == "yes or no":
        return _yes_or_no(text)
    return text


def _number(text: str) -> int | float:
    """Read a number."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number - number != 0:  # neither infinite nor no number at all
        raise _Bad("that is no number", "write it as 1234.5, without thousands' separators")
    return number


def _yes_or_no(text: str) -> bool:
    """Read a yes or a no."""
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise _Bad("that is neither yes nor no", "write yes or no, true or false, 1 or 0, 是 or 否")


def _instant(text: str, zone: ZoneInfo | None) -> datetime:
    """Read a time; one without an offset is taken in the declared zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _Bad("that is no time", "write it as 2026-11-22T10:00:00+08:00") from None
    if at.tzinfo is None and zone is None:
        raise _Bad("the time has no offset", "add one, or say --timezone Asia/Shanghai")
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
