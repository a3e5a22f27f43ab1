"""May I ask? Answers a channel before it asks its customer, and counts the questions it need not ask."""

from __future__ import annotations

from ctxhub.hub.changes import Clock
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.once import Once
from ctxhub.metrics import QUESTIONS_SAVED
from ctxhub.model.disclosure import Reader, answers
from ctxhub.model.fact import Answer
from ctxhub.model.held_card import with_cards
from ctxhub.model.interaction import find
from ctxhub.model.value import Value
from ctxhub.store.contexts import Who


class Asked(Value):
    """The answers, and the version they stand on."""

    answers: list[Answer]
    version: int


class Asks:
    """Says of each name whether it is known, to be confirmed, to be asked, or withheld."""

    def __init__(self, contexts: Contexts, once: Once, clock: Clock) -> None:
        self._contexts = contexts
        self._once = once
        self._clock = clock

    async def ask(
        self, who: Who, reader: Reader, interaction_id: str, names: list[str], journey_id: str | None
    ) -> Asked:
        """Answer for an interaction; what it is told is counted as saved, once per interaction and name."""
        asking = reader.but(interaction_id=interaction_id)
        seen, context, version = await self._contexts.sight(who, asking)
        channel = find(context, interaction_id).channel
        judged = with_cards(answers(context, seen, names, journey_id, self._clock()), context, seen)
        known = [answer.name for answer in judged if answer.verdict == "known"]
        QUESTIONS_SAVED.labels(channel).inc(await self._once.count(who, interaction_id, known, "saved", channel))
        return Asked.model_construct(answers=judged, version=version)
