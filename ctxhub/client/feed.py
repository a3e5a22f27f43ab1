"""Feeds: what happens, as it happens; they reconnect by themselves and go on after the last event seen."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent
from pydantic import Field, ValidationError

from ctxhub.client.transport import Pauses, Transport, asked_wait, segment
from ctxhub.errors import CtxhubError, Forbidden, Invalid, Lapsed, Moved, Unauthenticated, Unknown
from ctxhub.model.event import Event
from ctxhub.model.value import Value

__all__ = ["Fed", "Feeds"]

log = logging.getLogger(__name__)

#: The hub sends a comment every 15 seconds; after this many without a byte the connection is taken for dead.
LONGEST_SILENCE = 40.0

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_STEADY_AFTER = 5.0
_REMEMBERED = 1000
_VERSION = re.compile("[0-9]{1,15}")
_HOPELESS = (Unauthenticated, Forbidden, Unknown, Lapsed, Invalid)


class Fed(Value):
    """What a feed brings: an event, or `ready`, `snapshot`, `reset` (read anew: something is missing), `bye`."""

    id: str = ""
    type: str
    event: Event | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class _Place:
    """How far a feed has come; what is told at least once is known by its ids."""

    def __init__(self, path: str, after: int | str | None) -> None:
        self.path = path
        self.last = None if after is None else str(after)
        self.moved: Moved | None = None
        self._seen: dict[tuple[str, ...], None] = {}

    def takes(self, fed: Fed) -> bool:
        """Go on to what was fed; tell whether it is new."""
        if fed.type == "reset":
            self._begin_anew(self._mark(fed))
            return True
        if fed.type == "ready":
            self.last = self.last or self._mark(fed) or None
            return True
        is_new = self._is_new(fed)
        self.last = self._mark(fed) or self.last if is_new else self.last
        return is_new

    def move(self, moved: Moved) -> None:
        """Go on at the customer's new home, where versions are others."""
        if "location" not in moved.ids:
            raise moved
        self.path = moved.ids["location"]
        self.moved = moved
        self._begin_anew("")

    def _begin_anew(self, last: str) -> None:
        """Forget what was seen: the hub goes on from elsewhere."""
        self.last = last or None
        self._seen.clear()

    def _mark(self, fed: Fed) -> str:
        """Return what to go on after; empty where it has no mark of its own."""
        return fed.id

    def _is_new(self, fed: Fed) -> bool:
        """Tell whether it is not among the last events seen."""
        customer_id, event_id = fed.data.get("customer_id"), fed.data.get("event_id")
        if not isinstance(event_id, str):
            return True
        mark = (fed.type, str(customer_id), event_id)
        if mark in self._seen:
            return False
        self._seen[mark] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True


class _PlaceByVersion(_Place):
    """How far a customer's feed has come: no version is fed twice."""

    def _mark(self, fed: Fed) -> str:
        version = fed.data.get("version")
        return str(version) if type(version) is int else fed.id

    def _is_new(self, fed: Fed) -> bool:
        version, last = fed.data.get("version"), self.last or ""
        return type(version) is not int or not _VERSION.fullmatch(last) or version > int(last)


class Feeds:
    """Following what happens; a feed ends when its consumer stops, or with the hub's connections.

    Stop by leaving `async with aclosing(hub.feeds.customer(…)) as feed`, and the connection is closed at once.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def customer(
        self, customer_id: str, *, after: int | None = None, interaction_id: str | None = None
    ) -> AsyncGenerator[Fed, None]:
        """Follow a customer from now, or after a version; each event once, in order, none left out unannounced."""
        place = _PlaceByVersion(f"/v1/customers/{segment(customer_id)}/stream", after)
        return self._follow(place, {"interaction_id": interaction_id})

    def queue(self, queue: str, *, after: str | None = None) -> AsyncGenerator[Fed, None]:
        """Follow a queue; first comes a `snapshot` of the handoffs that wait, and again after each reconnect."""
        return self._follow(_Place(f"/v1/queues/{segment(queue)}/stream", after), {})

    def channel(self, channel: str, *, after: str | None = None) -> AsyncGenerator[Fed, None]:
        """Follow what a channel must deliver to its customers; after a long gap an event may come again."""
        return self._follow(_Place(f"/v1/channels/{segment(channel)}/stream", after), {})

    def agent(self, agent_id: str, *, after: str | None = None) -> AsyncGenerator[Fed, None]:
        """Follow what is suggested or offered to an agent; with his own key he is there for as long as he follows."""
        return self._follow(_Place(f"/v1/agents/{segment(agent_id)}/stream", after), {})

    async def _follow(self, place: _Place, params: dict[str, Any]) -> AsyncGenerator[Fed, None]:
        """Feed from one connection after another."""
        pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        while not self._transport.is_closed:
            opened_at, wait = _now(), 0.0
            try:
                async with aclosing(self._connection(place, params)) as feds:
                    async for fed in feds:
                        yield fed
            except Moved as moved:
                place.move(moved)
            except _HOPELESS:
                raise
            except (httpx.RequestError, TimeoutError, CtxhubError) as error:
                log.info("feed.broken path=%s after=%s error=%r", place.path, place.last, error)
                wait = asked_wait(error) or 0.0
            if _now() - opened_at > _STEADY_AFTER:
                pauses.begin_anew()
            await asyncio.sleep(wait + pauses.next())

    async def _connection(self, place: _Place, params: dict[str, Any]) -> AsyncGenerator[Fed, None]:
        """Feed from one connection, until it breaks or the hub says `bye`."""
        async with self._transport.stream(place.path, params, place.last, LONGEST_SILENCE) as response:
            if place.moved:  # told once we are there, so that whoever reads anew now misses nothing
                yield Fed(type="reset", data={"customer_id": place.moved.ids.get("customer_id")})
                place.moved = None
            async with aclosing(EventSource(response).aiter_sse()) as events:
                async for event in events:
                    fed = _fed(event)
                    if fed is None or not place.takes(fed):
                        continue
                    yield fed
                    if fed.type == "bye":
                        return


def _fed(event: ServerSentEvent) -> Fed | None:
    """Read what came; None for the blank line after a comment, which httpx-sse takes for an event."""
    if not event.data and event.event == "message":
        return None
    data = _object(event.data)
    return Fed(id=event.id, type=event.event, event=_event(data), data=data)


def _object(text: str) -> dict[str, Any]:
    """Read a JSON object; anything else counts as an empty one."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):  # the latter is how deep nesting ends
        return {}
    return data if isinstance(data, dict) else {}


def _event(data: dict[str, Any]) -> Event | None:
    """Read an event of the timeline, where it is one."""
    try:
        return Event.model_validate(data, extra="ignore")
    except ValidationError:
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
