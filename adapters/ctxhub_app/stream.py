"""What goes down to the app as it happens, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel

from ctxhub.client import CtxhubError, Event, Fed, Stopping, TooMany, Unavailable, why
from ctxhub_app import translate
from ctxhub_app.sessions import Session
from ctxhub_app.visit import Visit

COMMENT_EVERY = 15.0
SETTLES_AFTER = 0.05
_RECONNECT_AFTER_MS = 1000
_HANDOFF = "handoff."
_CHANGES_HOME = ("fact.", "journey.", "commitment.", "interaction.", "identity.", "assurance.", _HANDOFF)

Sealing = Callable[[Session], str]


async def down(visit: Visit, stopping: Stopping, last: int | None, sealed: Sealing) -> AsyncIterator[str]:
    """Follow a visit: all that the app shows first, or what came after `last`; ends with `bye` at shutdown."""
    yield f"retry: {_RECONNECT_AFTER_MS}\n\n"
    try:
        async with aclosing(_followed(visit, stopping, last, sealed)) as events:
            async for event in events:
                yield event
    except (Unavailable, TooMany) as error:
        yield written("degraded", {"why": why(error)})
    except CtxhubError as error:
        yield written("gone", {"code": error.code})
    if stopping.is_set():
        yield written("bye", {})


async def _followed(visit: Visit, stopping: Stopping, last: int | None, sealed: Sealing) -> AsyncGenerator[str, None]:
    """Follow a visit until the server goes down."""
    if last is None:
        home = (await visit.everything()).home
        last = home.version
        yield written("home", home, str(last))
    else:
        await visit.look()  # a visit that is gone is told of at once, not once something happens
    customer_id, at = visit.session.customer_id, visit.session.interaction_id
    async with aclosing(visit.hub.feeds.customer(customer_id, after=last, interaction_id=at)) as feed:
        follower = _Follower(visit, sealed)
        async with aclosing(paced(feed, stopping)) as pace:  # it waits for the feed, which can't be closed meanwhile
            async for fed in pace:
                for event in await follower.events(fed):
                    yield event


class _Follower:
    """Turns what a visit's feed brings into what its app needs to know."""

    def __init__(self, visit: Visit, sealed: Sealing) -> None:
        self._visit = visit
        self._sealed = sealed
        self._is_stale = False
        self._last_id = ""

    async def events(self, fed: Fed | None) -> list[str]:
        """Return what goes down for what was fed; None is a pause, in which the app learns where things stand."""
        if fed is None:
            return await self._in_a_pause()
        if fed.type == "reset":
            return await self._anew()
        self._last_id = fed.id or self._last_id
        self._is_stale = self._is_stale or fed.type.startswith(_CHANGES_HOME)
        return [] if fed.event is None else self._of_this_visit(fed.event, fed.id)

    def _of_this_visit(self, event: Event, mark: str) -> list[str]:
        """Return a message, a notice, or what becomes of a handoff, of this visit."""
        if event.interaction_id != self._visit.session.interaction_id:
            return []
        shown = translate.shown(event, self._visit.session.lang)
        message = [written("message", shown, mark)] if shown else []
        if not event.type.startswith(_HANDOFF):
            return message
        state = {"handoff_id": event.data.get("handoff_id"), "state": event.type.removeprefix(_HANDOFF)}
        return [*message, written("handoff", state, mark)]

    async def _in_a_pause(self) -> list[str]:
        """Tell where everything stands, if that has changed; else that the connection lives."""
        if not self._is_stale:
            return [": still here\n\n"]
        self._is_stale = False
        return [written("home", (await self._visit.everything()).home, self._last_id)]

    async def _anew(self) -> list[str]:
        """Tell everything again: something is missing, or the customer has moved and the app needs a new session."""
        before = self._visit.session
        home = (await self._visit.everything()).home
        moved = self._visit.session.customer_id != before.customer_id
        new = [written("session", {"session": self._sealed(self._visit.session)})] if moved else []
        return [*new, written("home", home, str(home.version))]


async def paced(feed: AsyncGenerator[Fed, None], stopping: Stopping) -> AsyncGenerator[Fed | None, None]:
    """Yield what is fed until the server goes down; None once it settles after that, and whenever it is long quiet."""
    fed, stop = asyncio.ensure_future(anext(feed)), asyncio.ensure_future(stopping.wait())
    patience = COMMENT_EVERY
    try:
        while not stopping.is_set():
            done, _ = await asyncio.wait({fed, stop}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if fed in done:
                yield fed.result()
                fed = asyncio.ensure_future(anext(feed))
            elif not done:
                yield None
            patience = SETTLES_AFTER if done else COMMENT_EVERY
    except StopAsyncIteration:
        return
    finally:
        fed.cancel()
        stop.cancel()
        await asyncio.gather(fed, stop, return_exceptions=True)


def written(name: str, data: BaseModel | dict[str, Any], event_id: str = "") -> str:
    """Write one server-sent event."""
    text = data.model_dump_json(by_alias=True) if isinstance(data, BaseModel) else json.dumps(data)
    return (f"id: {event_id}\n" if event_id else "") + f"event: {name}\ndata: {text}\n\n"
