"""Who the customer is: identifiers that lead there, and how surely that is known now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ctxhub.model.value import Channel, Id, Instant, Level, Name, Value

Strength = Literal["claimed", "verified"]
IdentifierType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Identifier(Value):
    """What leads to a customer, such as a phone number; in its normal form."""

    type: IdentifierType
    value: Annotated[Id, Field(max_length=256)]
    strength: Strength = "claimed"

    @property
    def what(self) -> tuple[str, str]:
        """Type and value, without the strength."""
        return (self.type, self.value)


class Assurance(Value):
    """How surely the customer is known in an interaction: 0 nobody, 1 claimed, 2 verified, 3 two factors."""

    level: Level = 0
    method: Name | None = None
    channel: Channel | None = None
    until: Instant | None = None

    def at(self, now: datetime) -> Assurance:
        """Return what is left of it at an instant: lapsed assurance is none."""
        return NOBODY if self.until is not None and now >= self.until else self

    def outlasts(self, other: Assurance, now: datetime) -> bool:
        """Tell whether it is surer than another at an instant, or as sure and for longer."""
        mine, others = self.at(now), other.at(now)
        longer = self.until is None or (others.until is not None and self.until > others.until)
        return mine.level > others.level or (mine.level == others.level > 0 and longer)


class AssuranceClaim(Value):
    """What a channel asserts as an interaction begins."""

    level: Level = 0
    method: Name | None = None
    expires_in: Annotated[int, Field(gt=0, le=86_400, strict=True)] = 1800


NOBODY = Assurance()


def with_identifiers(held: tuple[Identifier, ...], more: list[Identifier]) -> tuple[Identifier, ...]:
    """Return the identifiers with more of them; verified outlasts claimed."""
    by_what = {identifier.what: identifier for identifier in held}
    for identifier in more:
        known = by_what.get(identifier.what)
        if known is None or known.strength == "claimed":
            by_what[identifier.what] = identifier
    return tuple(by_what.values())
