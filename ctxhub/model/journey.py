"""Journeys: tasks the customer wants done, across interactions."""

from __future__ import annotations

from typing import Literal

from ctxhub.model.fact import Origin
from ctxhub.model.value import Id, Instant, Name, Value

JourneyState = Literal["active", "suspended", "completed", "abandoned"]


class Journey(Value):
    """A task and where it stands; `origin` says under which assurance it is shared."""

    journey_id: Id
    kind: Name
    state: JourneyState = "active"
    step: Name | None = None
    owner: Id | None = None
    origin: Origin
    updated_at: Instant

    @property
    def is_open(self) -> bool:
        """Tell whether there is still something to do."""
        return self.state in ("active", "suspended")


class JourneyView(Value):
    """A journey as shown, with the facts still to ask in the order of its steps."""

    journey_id: Id
    kind: Name
    state: JourneyState
    step: Name | None = None
    missing: list[Name] = []
    owner: Id | None = None
    updated_at: Instant


class Offer(JourneyView):
    """A journey worth resuming, and why."""

    reason: str
