"""What all values of the model have in common, and the small types they are made of."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

MAX_TEXT_BYTES = 64 * 1024
#: Of a name that others have given, such as an identifier; constraints on top of an `Id` would not make it longer.
MOST_LETTERS = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Value(BaseModel):
    """A frozen value; fields that it does not know are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def trusted(cls, **fields: Any) -> Self:
        """Return a value of these fields, and of defaults for the others; they are trusted, not checked."""
        # What `model_construct` does, in a sixth of the time: it is done for each thing that is told or read.
        new = cls.__new__(cls)
        object.__setattr__(new, "__dict__", {**_blank(cls), **fields})
        object.__setattr__(new, "__pydantic_fields_set__", set(fields))
        object.__setattr__(new, "__pydantic_extra__", None)
        object.__setattr__(new, "__pydantic_private__", None)
        return new

    def but(self, **changes: Any) -> Self:
        """Return the same value with some fields changed; the changes are trusted, not checked."""
        # What `model_copy` does, without its detours: contexts are changed many times for each thing that is told.
        copy = self.__class__.__new__(self.__class__)
        object.__setattr__(copy, "__dict__", {**self.__dict__, **changes})
        object.__setattr__(copy, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        object.__setattr__(copy, "__pydantic_extra__", None)
        object.__setattr__(copy, "__pydantic_private__", None)
        return copy


@cache
def _blank(kind: type[Value]) -> dict[str, Any]:
    """Return the fields of a kind in their order, with their defaults; nothing changes those, values being frozen."""
    return {
        name: None if field.is_required() else field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
    }


def _as_written(at: Any) -> Any:
    """Refuse a time that is a number, since nobody can tell what it counts, nor from when."""
    if isinstance(at, int | float) or (isinstance(at, str) and at[4:5] != "-"):
        raise ValueError("a time is written as in RFC 3339, such as 2026-11-22T10:00:00Z")
    return at


def _as_utc(at: datetime) -> datetime:
    """Return the same instant in UTC, in milliseconds; a time without an offset is refused."""
    if at.tzinfo is None:
        raise ValueError("a time needs an offset, such as a trailing Z")
    try:
        return to_millis(at.astimezone(UTC))
    except OverflowError as error:
        raise ValueError("that time is not in the calendar of UTC") from error


def to_millis(at: datetime) -> datetime:
    """Return an instant without what is finer than milliseconds, so that it is the same once written and read."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def rfc3339(at: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_control(text: str) -> str:
    """Refuse control characters, which no name or id has."""
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text


def _fits(text: str) -> str:
    """Refuse texts over 64 KiB."""
    if len(text) > MAX_TEXT_BYTES // 4 and len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ValueError("a text has at most 64 KiB")
    return text


Instant = Annotated[
    datetime,
    BeforeValidator(_as_written),
    AfterValidator(_as_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
Text = Annotated[str, AfterValidator(_fits)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_control)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_without_control)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=MOST_LETTERS), AfterValidator(_without_control)]
CustomerId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z._@-]{1,128}$")]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Channel = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[0-9A-Za-z]{2,8})*$")]
Confidence = Annotated[float, Field(ge=0, le=1, strict=True)]
Level = Annotated[int, Field(ge=0, le=3, strict=True)]
Fence = Annotated[int, Field(ge=0, le=999_999, strict=True)]
