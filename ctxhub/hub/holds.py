"""Legal holds: as long as one lasts, nothing of a customer is erased, and no value is taken out for its age."""

from __future__ import annotations

from typing import Any

from ctxhub.hub.changes import PLAIN, Changes, Decision, Present, Request, own
from ctxhub.model.context import Hold
from ctxhub.model.event import Event
from ctxhub.store.contexts import Who


class Holds:
    """Begins and ends holds."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def begin(self, who: Who, reason: str, by: str, request: Request = PLAIN) -> tuple[dict[str, Any], int]:
        """Hold a customer; one that is held already stays held for the first reason."""

        def decide(present: Present) -> Decision:
            context = present.known
            if context.hold is not None:
                return Decision(context)
            held = context.but(hold=Hold(reason=reason, at=present.now, by=by))
            return Decision(held, own([_event("held", by, present)]))

        committed = await self._changes.change(who, decide, request)
        hold = committed.context.hold
        return {"hold": hold.model_dump(mode="json") if hold is not None else None}, committed.version

    async def end(self, who: Who, by: str, request: Request = PLAIN) -> tuple[dict[str, Any], int]:
        """Let a customer go; what its retention asks for is due at once."""

        def decide(present: Present) -> Decision:
            context = present.known
            if context.hold is None:
                return Decision(context)
            return Decision(context.but(hold=None), own([_event("released", by, present)]))

        committed = await self._changes.change(who, decide, request)
        return {"hold": None}, committed.version


def _event(verb: str, by: str, present: Present) -> Event:
    """Return the event that tells of a hold, without its reason: channels read the timeline too."""
    event_id = f"customer:{verb}:{present.version}"
    return Event(event_id=event_id, type=f"customer.{verb}", at=present.now, assurance=2, data={"by": by})
