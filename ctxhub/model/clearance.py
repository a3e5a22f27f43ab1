"""The table of disclosure: what a reader gets of one value, and what would unlock the rest. Pure, and the only place.

What is in sight at all (told in the reader's own interaction, or shared since it was told at level 2) is decided
before, in `disclosure.py`; no entry of the table lets anybody see what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

from ctxhub.model.event import Sensitivity
from ctxhub.model.value import Level, Value

Outcome = Literal["shown", "masked", "withheld", "unseen"]
ReadingFor = Literal["service", "quality", "routing"]

SHARED_FROM = 2
JUST_NOW = timedelta(minutes=5)
#: What is sensitive needs level 3, or this level proven just now.
PROVEN_AGAIN = 2
_LEVEL_FOR: Mapping[Sensitivity, Level] = MappingProxyType({"public": 0, "personal": 2, "sensitive": 3, "internal": 0})


class Unlock(Value):
    """What would clear a value: a level, or where `again` is set that level proven within so many seconds."""

    level: Level
    again: Level | None = None
    within: int | None = None


class Disclosure(NamedTuple):
    """What a reader gets of a value, and what would clear the rest of it."""

    outcome: Outcome
    unlock: Unlock | None = None


class Item(NamedTuple):
    """One value in question: whether it is the reader's own to hear, and whether all of the customer shares it."""

    sensitivity: Sensitivity
    own: bool = False
    shared: bool = False
    name_from: Level | None = None
    kind_from: Level | None = None

    @property
    def level(self) -> Level:
        """The level that clears it: of its name, else of its journey's kind where that is higher, else the table's."""
        if self.name_from is not None:
            return self.name_from
        return max(_LEVEL_FOR[self.sensitivity], self.kind_from or 0)

    @property
    def clears_again(self) -> bool:
        """Tell whether the second level proven just now clears it too: not where the tenant has set a level."""
        return self.sensitivity == "sensitive" and self.name_from is None and (self.kind_from or 0) <= PROVEN_AGAIN

    @property
    def unlock(self) -> Unlock:
        """What would clear it."""
        if not self.clears_again:
            return Unlock(level=self.level)
        return Unlock(level=self.level, again=PROVEN_AGAIN, within=round(JUST_NOW.total_seconds()))


class Standing(NamedTuple):
    """How a reader stands: the level of the interaction it acts for, whether just proven, and what it reads as."""

    level: int = 0
    fresh: bool = False
    colleague: bool = False
    everything: bool = False
    purpose: ReadingFor = "service"

    def clears(self, item: Item) -> bool:
        """Tell whether the level is enough for a value."""
        return self.level >= item.level or (item.clears_again and self.fresh and self.level >= PROVEN_AGAIN)


# Each read of a timeline asks the same few questions over and over.
@lru_cache(maxsize=4096)
def disclosed(item: Item, by: Standing) -> Disclosure:
    """Decide what a reader gets of a value."""
    if not _is_in_sight(item, by):
        return Disclosure("unseen")
    if by.purpose == "quality" and item.sensitivity == "sensitive":
        return Disclosure("masked" if by.colleague else "withheld")
    if by.everything or item.sensitivity == "internal" or item.own or by.clears(item):
        return Disclosure("shown")
    return Disclosure("masked" if by.colleague else "withheld", item.unlock)


def _is_in_sight(item: Item, by: Standing) -> bool:
    """Tell whether a reader gets to know that there is such a value at all."""
    if by.purpose == "routing" or (item.sensitivity == "internal" and not by.colleague):
        return False
    return by.everything or item.own or (item.shared and (by.colleague or by.level >= SHARED_FROM))
