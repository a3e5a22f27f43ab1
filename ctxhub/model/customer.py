"""Who the customer is: identifiers that lead there, and how surely that is known now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ctxhub.model.clearance import JUST_NOW
from ctxhub.model.value import Channel, ExternalId, Id, Instant, Level, Name, Value

Strength = Literal["claimed", "verified"]
MOST_IDENTIFIERS = 128
IdentifierType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


#: A card by its number, and by what its issuer calls it.
CARD, CARD_REF = "card", "card_ref"


def _is_none(value: object) -> bool:
    """Tell whether there is nothing to show."""
    return value is None


class Identifier(Value):
    """What leads to a customer, such as a phone number; in its normal form.

    The hub notes which channel and system named it first, and when it was first and last seen as an interaction began.
    Of a card `value` is its number as it is shown, `index` stands for the number itself, `ref` is the issuer's name.
    """

    type: IdentifierType
    value: ExternalId
    strength: Strength = "claimed"
    source: Annotated[Name | None, Field(exclude_if=_is_none)] = None
    first_seen: Annotated[Instant | None, Field(exclude_if=_is_none)] = None
    last_seen: Annotated[Instant | None, Field(exclude_if=_is_none)] = None
    index: Annotated[str | None, Field(pattern="^[0-9a-f]{32}$", exclude_if=_is_none)] = None
    ref: Annotated[Id | None, Field(exclude_if=_is_none)] = None

    @property
    def what(self) -> tuple[str, str]:
        """Type and value, of a card its index; without the strength."""
        return (self.type, self.index or self.value)

    @property
    def plain(self) -> Identifier:
        """It without where it came from and when it was seen."""
        return self.but(source=None, first_seen=None, last_seen=None)

    def seen(self, source: str, now: datetime) -> Identifier:
        """Return it as seen just now, whatever its bringer says of when and where."""
        return self.but(source=source, first_seen=now, last_seen=now)

    def joined(self, other: Identifier) -> Identifier:
        """Return it with what the same identifier says elsewhere: verified outlasts claimed, and the first source."""
        strength: Strength = "verified" if "verified" in (self.strength, other.strength) else "claimed"
        firsts = [at for at in (self.first_seen, other.first_seen) if at is not None]
        lasts = [at for at in (self.last_seen, other.last_seen) if at is not None]
        return self.but(
            strength=strength,
            source=self.source or other.source,
            first_seen=min(firsts, default=None),
            last_seen=max(lasts, default=None),
        )


class Assurance(Value):
    """How surely the customer is known in an interaction: 0 nobody, 1 claimed, 2 verified, 3 two factors.

    `raised_at` is when the customer proved it, wherever that was: a handoff carries it along.
    """

    level: Level = 0
    method: Name | None = None
    channel: Channel | None = None
    until: Instant | None = None
    raised_at: Instant | None = None

    def at(self, now: datetime) -> Assurance:
        """Return what is left of it at an instant: lapsed assurance is none."""
        return NOBODY if self.until is not None and now >= self.until else self

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether it was proven just now."""
        return self.raised_at is not None and now - self.raised_at < JUST_NOW

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
        by_what[identifier.what] = known.joined(identifier) if known else identifier
    return tuple(by_what.values())


def has_room(held: tuple[Identifier, ...], identifier: Identifier) -> bool:
    """Tell whether an identifier is held already, or one more may be."""
    return len(held) < MOST_IDENTIFIERS or any(one.what == identifier.what for one in held)
