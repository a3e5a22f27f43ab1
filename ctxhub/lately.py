"""What was kept lately, and no more of it than may be."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Key = TypeVar("Key")
Kept = TypeVar("Kept")


class Lately(OrderedDict[Key, Kept]):
    """A dict of so many entries at `most`: what was kept, or used, longest ago makes room for what comes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: Key, kept: Kept) -> None:
        """Keep something, in place of what was kept under its key."""
        self[key] = kept
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)

    def use(self, key: Key) -> Kept | None:
        """Return what is kept under a key, which counts as used now; None where there is nothing."""
        if key in self:
            self.move_to_end(key)
        return self.get(key)
