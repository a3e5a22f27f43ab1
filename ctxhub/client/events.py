"""Events: all that happens is told the same way."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from ctxhub.client.never_kept import events_without
from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.event import Party, Telling
from ctxhub.model.value import Value

__all__ = ["Events", "Result", "Told", "told"]


class Result(Value):
    """What became of one event; `repeat` names what was asked again though known."""

    event_id: str
    version: int
    duplicate: bool = False
    journey_id: str | None = None
    commitment_id: str | None = None
    repeat: list[str] | None = None


class Told(Value):
    """What became of events told together: all of them are kept, the highest version is `version`.

    `kept` is what a spool says: the hub is away, and they are told later; then there are no versions yet.
    """

    version: int
    results: list[Result]
    kept: bool = False


class Events:
    """Telling the hub what happens."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def tell(
        self, customer_id: str, *events: Telling, key: str | None = None, if_version: int | None = None
    ) -> Told:
        """Tell 1 to 100 events, all or nothing; one told before keeps its first version.

        With `if_version` they are told only if the document has not changed since; else `Changed`.
        """
        path = f"/v1/customers/{segment(customer_id)}/events"
        body = {"events": await events_without(self._transport, events)}
        return read(Told, await self._transport.tell("POST", path, body, key=key, if_version=if_version))


def told(
    type: str,  # noqa: A002 - the field's name in every event
    /,
    *,
    interaction_id: str | None = None,
    party: Party | None = None,
    journey_id: str | None = None,
    event_id: str | None = None,
    at: datetime | None = None,
    **data: Any,
) -> Telling:
    """Make an event to tell; what is not named here is its data.

    Give an `event_id` that is the same whenever the same thing is told, and it takes effect once.
    """
    named = {"interaction_id": interaction_id, "party": party, "journey_id": journey_id, "at": at}
    return Telling(event_id=event_id or uuid.uuid4().hex, type=type, data=data, **given(named))
