"""Who the customer is: identifiers that lead there, and how surely that is known now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field, StrictBool

from ctxhub.model.clearance import JUST_NOW
from ctxhub.model.value import Channel, ExternalId, Id, Instant, Level, Name, Value

Strength = Literal["claimed", "verified"]
#: How surely an identifier leads somewhere: whispered is what was only claimed below level 2.
Standing = Literal["whispered", "claimed", "verified"]
MOST_IDENTIFIERS = 128
_STANDINGS = get_args(Standing)
_MOST_TOLD_IN = 16
IdentifierType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


#: A card by its number, and by what its issuer calls it.
CARD, CARD_REF = "card", "card_ref"


def _is_none(value: object) -> bool:
    """Tell whether there is nothing to show."""
    return value is None


class Unsure(Value):
    """Says of an identifier that it was only ever claimed below level 2: in which interactions.

    It `leads` to the customer all the same where nothing surer was known of that customer as it was claimed.
    """

    told_in: tuple[Id, ...] = ()
    leads: StrictBool = False


class Identifier(Value):
    """What leads to a customer, such as a phone number; in its normal form.

    The hub notes which channel and system named it first, and when it was first and last seen as an interaction began.
    Of a card `value` is its number as it is shown, `index` stands for the number itself, `ref` is the issuer's name.
    What is `unsure` is nobody else's to see.
    """

    type: IdentifierType
    value: ExternalId
    strength: Strength = "claimed"
    source: Annotated[Name | None, Field(exclude_if=_is_none)] = None
    first_seen: Annotated[Instant | None, Field(exclude_if=_is_none)] = None
    last_seen: Annotated[Instant | None, Field(exclude_if=_is_none)] = None
    index: Annotated[str | None, Field(pattern="^[0-9a-f]{32}$", exclude_if=_is_none)] = None
    ref: Annotated[Id | None, Field(exclude_if=_is_none)] = None
    unsure: Annotated[Unsure | None, Field(exclude_if=_is_none)] = None

    @property
    def what(self) -> tuple[str, str]:
        """Type and value, of a card its index; without the strength."""
        return (self.type, self.index or self.value)

    @property
    def leads(self) -> bool:
        """Tell whether the customer is found by it."""
        return self.unsure is None or self.unsure.leads

    def is_told_in(self, interaction_id: str) -> bool:
        """Tell whether it is an interaction's own."""
        return self.unsure is not None and interaction_id in self.unsure.told_in

    @property
    def standing(self) -> Standing:
        """How surely it leads to the customer."""
        return self.strength if self.unsure is None else "whispered"

    @property
    def shown(self) -> Identifier:
        """It as it is told outside the hub: who had a card's index could try numbers against it."""
        return self.but(index=None)

    @property
    def plain(self) -> Identifier:
        """It as it is told to most: without where it came from and when it was seen, too."""
        return self.but(index=None, source=None, first_seen=None, last_seen=None)

    def seen(self, source: str, now: datetime) -> Identifier:
        """Return it as seen just now, whatever its bringer says of when and where."""
        return self.but(source=source, first_seen=now, last_seen=now)

    def joined(self, other: Identifier) -> Identifier:
        """Return it with what the same identifier says elsewhere: what is surer outlasts, and the first source."""
        strength: Strength = "verified" if "verified" in (self.strength, other.strength) else "claimed"
        firsts = [at for at in (self.first_seen, other.first_seen) if at is not None]
        lasts = [at for at in (self.last_seen, other.last_seen) if at is not None]
        return self.but(
            strength=strength,
            source=self.source or other.source,
            first_seen=min(firsts, default=None),
            last_seen=max(lasts, default=None),
            unsure=_both_unsure(self.unsure, other.unsure),
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


def with_room(held: tuple[Identifier, ...], more: Sequence[Identifier]) -> tuple[Identifier, ...]:
    """Return the identifiers with more of them, at most so many: a surer one takes the place of one less sure.

    That is of the least sure the one seen longest ago; without one that is less sure, one more is left out.
    """
    here = {one.what for one in held}
    known, fresh = [one for one in more if one.what in here], [one for one in more if one.what not in here]
    held = with_identifiers(held, known)
    for one in fresh:
        if len(held) < MOST_IDENTIFIERS:
            held = with_identifiers(held, [one])
            continue
        weakest = min(held, key=_staying)
        if _STANDINGS.index(weakest.standing) < _STANDINGS.index(one.standing):
            held = with_identifiers(tuple(other for other in held if other is not weakest), [one])
    return held


def _staying(identifier: Identifier) -> tuple[int, float]:
    """Sort key, by which what goes first comes first: how sure it is, and when it was seen last."""
    seen = identifier.last_seen.timestamp() if identifier.last_seen else 0.0
    return _STANDINGS.index(identifier.standing), seen


def made_sure(held: tuple[Identifier, ...], interaction_id: str) -> tuple[Identifier, ...]:
    """Return the identifiers, of which those claimed in an interaction are sure: its customer was verified in it."""
    if not any(one.is_told_in(interaction_id) for one in held):
        return held
    return tuple(one.but(unsure=None) if one.is_told_in(interaction_id) else one for one in held)


def _both_unsure(one: Unsure | None, other: Unsure | None) -> Unsure | None:
    """Return what is left of two doubts: none where one of them is none."""
    if one is None or other is None:
        return None
    told_in = tuple(dict.fromkeys((*one.told_in, *other.told_in)))[-_MOST_TOLD_IN:]
    return Unsure(told_in=told_in, leads=one.leads or other.leads)
