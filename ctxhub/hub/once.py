"""Once: counts what an answer told, each thing once for each interaction, however often it is asked."""

from __future__ import annotations

from ctxhub.hub.changes import Clock
from ctxhub.hub.numbers import Counting, spelled
from ctxhub.lately import Lately
from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists

_REMEMBERED = 20_000


class Once:
    """Counts over all processes; what this one counted before needs no second call."""

    def __init__(self, lists: Lists, counting: Counting, clock: Clock) -> None:
        self._lists = lists
        self._counting = counting
        self._clock = clock
        self._counted = Lately[tuple[Who, str, str], None](_REMEMBERED)

    async def count(self, who: Who, interaction_id: str, names: list[str], *counter: str) -> int:
        """Count names that were not counted for the interaction yet; return how many were new."""
        new = [name for name in names if (who, interaction_id, name) not in self._counted]
        if not new:
            return 0
        day = self._counting.day(who.tenant, self._clock())
        counted = await self._lists.count_saved(who, interaction_id, new, day, spelled(counter))
        for name in new:
            self._counted.keep((who, interaction_id, name), None)
        return counted
