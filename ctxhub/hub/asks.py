"""May I ask? Answers a channel before it asks its customer, and counts the questions it need not ask."""

from __future__ import annotations

from collections import OrderedDict

from ctxhub.hub.changes import Clock
from ctxhub.hub.contexts import Contexts
from ctxhub.metrics import QUESTIONS_SAVED
from ctxhub.model.disclosure import Reader, answers
from ctxhub.model.fact import Answer
from ctxhub.model.interaction import find
from ctxhub.model.value import Value
from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists

SAVED = "saved"
_REMEMBERED = 20_000


class Asked(Value):
    """The answers, and the version they stand on."""

    answers: list[Answer]
    version: int


class Asks:
    """Says of each name whether it is known, to be confirmed, to be asked, or withheld."""

    def __init__(self, contexts: Contexts, lists: Lists, clock: Clock) -> None:
        self._contexts = contexts
        self._lists = lists
        self._clock = clock
        self._counted: OrderedDict[tuple[Who, str, str], None] = OrderedDict()

    async def ask(
        self, who: Who, reader: Reader, interaction_id: str, names: list[str], journey_id: str | None
    ) -> Asked:
        """Answer for an interaction; what it is told is counted as saved, once per interaction and name."""
        asking = reader.but(interaction_id=interaction_id)
        seen, context, version = await self._contexts.sight(who, asking)
        channel = find(context, interaction_id).channel
        judged = answers(context, seen, names, journey_id, self._clock())
        known = [answer.name for answer in judged if answer.verdict == "known"]
        await self._count(who, interaction_id, channel, known)
        return Asked.model_construct(answers=judged, version=version)

    async def _count(self, who: Who, interaction_id: str, channel: str, names: list[str]) -> None:
        """Count questions saved; those this process counted before need no second call."""
        new = [name for name in names if (who, interaction_id, name) not in self._counted]
        if not new:
            return
        counter = "\x1f".join((SAVED, channel))
        counted = await self._lists.count_saved(who, interaction_id, new, self._clock().date(), counter)
        QUESTIONS_SAVED.labels(channel).inc(counted)
        for name in new:
            self._counted[who, interaction_id, name] = None
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
