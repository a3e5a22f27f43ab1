"""Commitments: what we said we would do, by whom and until when."""

from __future__ import annotations

from typing import Literal

from ctxhub.model.fact import Origin
from ctxhub.model.value import Id, Instant, Name, Text, Value


class Commitment(Value):
    """A promise; one that was kept or broken leaves the context and stays on the timeline."""

    commitment_id: Id
    what: Text
    owner: Name
    due_at: Instant
    state: Literal["open"] = "open"
    journey_id: Id | None = None
    evidence: Id
    origin: Origin
