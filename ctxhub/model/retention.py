"""How long values are kept: the tenant's days for a sensitivity or a kind of journey, whichever end first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from ctxhub.model.context import Context
from ctxhub.model.event import Event, Sensitivity
from ctxhub.model.value import Name, Value

Days = Annotated[int, Field(ge=1, le=36_500, strict=True)]


class Retention(Value):
    """After how many days a value is taken out, by the kind of its journey and by its sensitivity; unnamed: never."""

    journeys: dict[Name, Days] = {}
    sensitivity: dict[Sensitivity, Days] = {}

    @property
    def is_declared(self) -> bool:
        """Tell whether anything ends at all."""
        return bool(self.journeys or self.sensitivity)

    def ends(self, told_at: datetime, sensitivity: str, kind: str | None) -> datetime | None:
        """Return when the time of a value is over; None for never."""
        named = [self.sensitivity.get(sensitivity), self.journeys.get(kind or "")]  # type: ignore[call-overload]
        days = [given for given in named if given is not None]
        return told_at + timedelta(days=min(days)) if days else None


KEPT_FOR_EVER = Retention()


def retired(context: Context, retention: Retention, now: datetime) -> tuple[Context, list[str]]:
    """Return the context without facts whose time is over, and their names; a legal hold keeps them all."""
    ends = dict(zip(context.facts, _ends(context, retention), strict=True)) if context.hold is None else {}
    over = [fact for fact, end in ends.items() if end is not None and end <= now]
    left = tuple(fact for fact in context.facts if fact not in over)
    return (context.but(facts=left) if over else context), sorted({fact.name for fact in over})


def with_review(context: Context, told: Iterable[Event], retention: Retention) -> Context:
    """Return the context with the time at which the first value it told must be taken out."""
    if not retention.is_declared:
        return context
    ends = [*_ends(context, retention), *(_end_of(context, event, retention) for event in told)]
    times = [end for end in (context.review_at, *ends) if end is not None]
    review_at = min(times, default=None)
    return context if review_at == context.review_at else context.but(review_at=review_at)


def _ends(context: Context, retention: Retention) -> list[datetime | None]:
    """Return when the time of each fact is over."""
    return [
        retention.ends(fact.origin.at, fact.sensitivity, kind_of(context, fact.journey_id)) for fact in context.facts
    ]


def _end_of(context: Context, event: Event, retention: Retention) -> datetime | None:
    """Return when the time of the value of an event is over."""
    if not event.type.startswith("fact.") or event.data.get("value") is None:
        return None
    sensitivity = event.data.get("sensitivity", "personal")
    return retention.ends(event.at, sensitivity, kind_of(context, event.journey_id))


def kind_of(context: Context, journey_id: str | None) -> str | None:
    """Return the kind of an open journey."""
    journey = context.journeys.get(journey_id or "")
    return journey.kind if journey is not None else None
