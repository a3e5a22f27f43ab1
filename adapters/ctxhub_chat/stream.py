"""What goes down to the page as it happens, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel

from ctxhub.client import Away, CtxhubError, Fed, Stopping, TooMany, Unavailable, why
from ctxhub_chat import translate
from ctxhub_chat.chat import Chat, Outcome
from ctxhub_chat.sessions import Session
from ctxhub_chat.translate import KEPT, TURN, Standing

COMMENT_EVERY = 15.0
SETTLES_AFTER = 0.03
_RECONNECT_AFTER_MS = 1000
_CHANGES_STANDING = ("fact.", "journey.", "handoff.", "interaction.", "identity.", "assurance.", TURN, KEPT)

Sealing = Callable[[Session], str]


async def down(chat: Chat, stopping: Stopping, last: int | None, sealed: Sealing) -> AsyncIterator[str]:
    """Follow a chat: a snapshot first, or what came after `last`; ends with `bye` when the server goes down."""
    yield f"retry: {_RECONNECT_AFTER_MS}\n\n"
    unbound = chat.session
    try:
        await chat.bind()
        if chat.session != unbound:
            yield written("session", {"session": sealed(chat.session)})
        async with aclosing(_followed(chat, stopping, last, sealed)) as events:
            async for event in events:
                yield event
    except (Unavailable, TooMany, TimeoutError) as error:
        yield written("degraded", {"why": why(error)})
    except CtxhubError as error:
        yield written("gone", {"code": error.code})
    if stopping.is_set():
        yield written("bye", {})


async def _followed(chat: Chat, stopping: Stopping, last: int | None, sealed: Sealing) -> AsyncGenerator[str, None]:
    """Follow a chat until the server goes down."""
    await chat.take_up()
    if last is None:
        outcome = await chat.everything()
        last = outcome.standing.version
        yield _snapshot(outcome)
    customer_id, at = chat.session.customer_id, chat.session.interaction_id
    async with aclosing(chat.hub.feeds.customer(customer_id, after=last, interaction_id=at)) as feed:
        follower = _Follower(chat, sealed)
        # It waits for the feed, which can't be closed meanwhile.
        async with aclosing(paced(feed, stopping, chat.hub.away)) as pace:
            async for fed in pace:
                for event in await follower.events(fed):
                    yield event


class _Follower:
    """Turns what a chat's feed brings into what its page needs to know."""

    def __init__(self, chat: Chat, sealed: Sealing) -> None:
        self._chat = chat
        self._sealed = sealed
        self._is_stale = False
        self._last_id = ""

    async def events(self, fed: Fed | None) -> list[str]:
        """Return what goes down for what was fed; None is a pause, in which the page learns where the chat stands."""
        if fed is None:
            return await self._in_a_pause()
        if fed.type == "reset":
            return await self._anew()
        if fed.type in ("degraded", "restored"):
            self._is_stale = True
            return [written(fed.type, fed.data)]
        self._last_id = fed.id or self._last_id
        self._is_stale = self._is_stale or fed.type.startswith(_CHANGES_STANDING)
        return self._message(fed)

    def _message(self, fed: Fed) -> list[str]:
        """Return a message or notice of this chat."""
        if fed.event is None or fed.event.interaction_id != self._chat.session.interaction_id:
            return []
        shown = translate.shown(fed.event, self._chat.session.lang)
        return [written("message", shown, fed.id)] if shown else []

    async def _in_a_pause(self) -> list[str]:
        """Tell where the chat stands, if that has changed; else that the connection lives."""
        if not self._is_stale or self._chat.hub.away.state != "here":
            return [": still here\n\n"]
        try:
            await self._chat.take_up()
            outcome = await self._chat.everything()
        except (Unavailable, TooMany):
            return [": still here\n\n"]  # what it missed is told once the hub is back
        self._is_stale = False
        return [written("context", Standing(**dict(outcome.standing)), self._last_id)]

    async def _anew(self) -> list[str]:
        """Tell everything again: something is missing, or the customer has moved and the page needs a new session."""
        before = self._chat.session
        outcome = await self._chat.everything()
        moved = self._chat.session.customer_id != before.customer_id
        new = [written("session", {"session": self._sealed(self._chat.session)})] if moved else []
        return [*new, _snapshot(outcome)]


async def paced(
    feed: AsyncGenerator[Fed, None], stopping: Stopping, away: Away | None = None
) -> AsyncGenerator[Fed | None, None]:
    """Yield what is fed until the server goes down; None once it settles after that, and whenever it is long quiet.

    In between `degraded` and `restored` say that the hub went `away` and came back.
    """
    away = away or Away()
    fed, stop = asyncio.ensure_future(anext(feed)), asyncio.ensure_future(stopping.wait())
    turned = asyncio.ensure_future(away.changed())
    patience = COMMENT_EVERY
    try:
        while not stopping.is_set():
            done, _ = await asyncio.wait({fed, stop, turned}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if turned in done:
                turned = asyncio.ensure_future(away.changed())
                yield _turned(away)
            if fed in done:
                yield fed.result()
                fed = asyncio.ensure_future(anext(feed))
            elif not done:
                yield None
            patience = SETTLES_AFTER if fed in done or done else COMMENT_EVERY
    except StopAsyncIteration:
        return
    finally:
        for waiting in (fed, stop, turned):
            waiting.cancel()
        await asyncio.gather(fed, stop, turned, return_exceptions=True)


def _turned(away: Away) -> Fed:
    """Return what is told as the hub goes or comes back."""
    return Fed(type="restored") if away.state == "here" else Fed(type="degraded", data={"why": away.state})


def written(name: str, data: BaseModel | dict[str, Any], event_id: str = "") -> str:
    """Write one server-sent event."""
    text = data.model_dump_json(by_alias=True) if isinstance(data, BaseModel) else json.dumps(data)
    return (f"id: {event_id}\n" if event_id else "") + f"event: {name}\ndata: {text}\n\n"


def _snapshot(outcome: Outcome) -> str:
    """Write the whole conversation and where it stands."""
    said = [message.model_dump(mode="json") for message in outcome.messages]
    where = outcome.standing.model_dump(mode="json", by_alias=True)
    return written("snapshot", where | {"messages": said}, str(outcome.standing.version))
