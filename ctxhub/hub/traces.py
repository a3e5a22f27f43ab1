"""Traces: where a customer left something beside its own keys, as its timeline and document tell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ctxhub.model.context import Context


class Elsewhere(NamedTuple):
    """A copy that another system has, by its own name for it."""

    system: str
    kind: str
    id: str


@dataclass
class Traces:
    """What is found of one customer, gathered event by event."""

    interactions: set[tuple[str, str]] = field(default_factory=set)
    handoffs: set[str] = field(default_factory=set)
    feeds: set[str] = field(default_factory=set)
    elsewhere: set[Elsewhere] = field(default_factory=set)
    came_from: dict[str, set[str]] = field(default_factory=dict)
    _told_at: dict[str, set[str]] = field(default_factory=dict)
    _left: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, context: Context) -> Traces:
        """Return what a document tells."""
        traces = cls(handoffs=set(context.handoffs))
        for interaction in context.interactions.values():
            traces._interaction(interaction.system, interaction.external_id)
            traces.feeds.add(f"channel:{interaction.channel}")
            traces.elsewhere |= {Elsewhere(ref.system, ref.kind, ref.id) for ref in interaction.refs}
            for other in interaction.told_at:
                traces._told_at.setdefault(other, set()).add(interaction.interaction_id)
        return traces

    @property
    def left(self) -> set[str]:
        """The interactions that left this timeline, and did not come again."""
        return self._left

    @property
    def here(self) -> set[str]:
        """The interactions that came, and did not leave again."""
        return {came for ids in self.came_from.values() for came in ids} - self._left

    def told_before(self) -> dict[str, set[str]]:
        """Return on whose timelines which interactions were told of before they came."""
        others = self.came_from.keys() | self._told_at.keys()
        return {other: self.came_from.get(other, set()) | self._told_at.get(other, set()) for other in others}

    def told_elsewhere(self, gone: Collection[str]) -> dict[str, set[str]]:
        """Return on whose timelines which interactions were told of before they came, without what is gone again."""
        left = self._left.union(gone)
        return {other: ids - left for other, ids in self.told_before().items() if ids - left}

    def add(self, event: dict[str, Any], customer_id: str) -> None:
        """Gather what an event of the customer's timeline tells."""
        data = event["data"]
        if event.get("channel"):
            self.feeds.add(f"channel:{event['channel']}")
        self.feeds |= {f"queue:{data[name]}" for name in ("queue", "from_queue") if isinstance(data.get(name), str)}
        if event["type"] == "interaction.started":
            self._interaction(data["system"], data["external_id"])
        if event["type"] == "interaction.referred":
            self.elsewhere |= {Elsewhere(ref["system"], ref["kind"], ref["id"]) for ref in data["refs"]}
        if event["type"].startswith("handoff.") and "handoff_id" in data:
            self.handoffs.add(data["handoff_id"])
        if event["type"] == "interaction.moved":
            self._moved(event["interaction_id"], data["from"], data["to"] == customer_id)
        self._ref(event["type"], data)

    def _moved(self, interaction_id: str, source: str, comes: bool) -> None:
        """Note that an interaction came, or that it left."""
        if comes:
            self.came_from.setdefault(source, set()).add(interaction_id)
            self._left.discard(interaction_id)
        else:
            self._left.add(interaction_id)

    def _interaction(self, system: str, external_id: str) -> None:
        """Note an interaction by its own system's name, where that has a copy of it."""
        self.interactions.add((system, external_id))
        self.elsewhere.add(Elsewhere(system, "interaction", external_id))

    def _ref(self, type_: str, data: dict[str, Any]) -> None:
        """Note what a call or a recording is called elsewhere."""
        ref = data.get("ref") if type_.startswith(("call.", "recording.")) else None
        if isinstance(ref, dict):
            self.elsewhere.add(Elsewhere(ref["system"], ref.get("kind", "call"), ref["id"]))
