"""What the page follows: feeds of the hub as server-sent events, a sign of life between them, `bye` at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from ctxhub.client import ContextHub, CtxhubError, Fed, HandoffView, Stopping, Unavailable
from ctxhub_desk.translate import OfferShown, call, calls, entry, offers

#: Lets another moment pass before the browser comes back, so that a restart is not met by all desks at once.
_OPENING = "retry: 1500\n\n"
_SIGN_OF_LIFE = ": still here\n\n"

#: What a queue's feed tells without any change in who waits; `ready` has a snapshot behind it.
_NO_CHANGE = frozenset({"ready", "handoff.joined", "handoff.renewed", "handoff.shown"})
#: What is told of calls themselves; who waits changes by their handoffs.
_OF_A_CALL = "call."
#: What an agent's feed tells of offers to him by name.
_BY_NAME = frozenset({"handoff.offered", "handoff.rerouted"})
_OF_CALLS = (_OF_A_CALL, "recording.")

_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_HANDOFFS = TypeAdapter(list[HandoffView])

Frames = AsyncGenerator["Frame", None]


class Frame(NamedTuple):
    """One server-sent event; after the last one the stream ends, and a browser comes back by itself."""

    event: str
    data: Any
    id: str = ""
    is_last: bool = False

    def written(self) -> str:
        """Write it as it goes over the wire; JSON has no line breaks of its own."""
        place = f"id: {self.id}\n" if self.id else ""
        return f"{place}event: {self.event}\ndata: {_JSON.dump_json(self.data).decode()}\n\n"


AWAY = Frame("away", {})
BYE = Frame("bye", {})


async def queue_frames(hub: ContextHub, queue: str, agent_id: str, after: str | None) -> Frames:
    """Yield the whole list of waiting offers, first at once and then after every change, and what rings at the agent.

    One stream does both, since a browser has few connections. Meanwhile the agent is there: his own feed is a sign of
    life to the hub.
    """
    at_phone: asyncio.Queue[Frame] = asyncio.Queue()
    following = asyncio.ensure_future(_follow(hub, queue, agent_id, at_phone))
    frames = _offer_frames(hub, queue, agent_id, after)
    try:
        async for frame in _both(frames, at_phone):
            yield frame
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await frames.aclose()


async def _both(frames: Frames, at_phone: asyncio.Queue[Frame]) -> Frames:
    """Yield frames as they come, and calls between them, until the frames end."""
    upcoming, ringing = asyncio.ensure_future(anext(frames)), asyncio.ensure_future(at_phone.get())
    try:
        while True:
            await asyncio.wait({upcoming, ringing}, return_when=asyncio.FIRST_COMPLETED)
            if ringing.done():
                yield ringing.result()
                ringing = asyncio.ensure_future(at_phone.get())
            if upcoming.done():
                try:
                    frame = upcoming.result()
                except StopAsyncIteration:
                    return
                yield frame
                upcoming = asyncio.ensure_future(anext(frames))
    finally:
        upcoming.cancel()
        ringing.cancel()
        await asyncio.gather(upcoming, ringing, return_exceptions=True)


async def _follow(hub: ContextHub, queue: str, agent_id: str, frames: asyncio.Queue[Frame]) -> None:
    """Follow an agent's feed for calls, and what is offered to him by name; a key that may not is as if he did not.

    What rings already is asked for once the feed is open, so that nothing falls between the two.
    """
    with suppress(CtxhubError):
        async with aclosing(hub.feeds.agent(agent_id)) as feed:
            async for fed in feed:
                if fed.event is not None and fed.type.startswith(_OF_A_CALL):
                    frames.put_nowait(Frame("call", call(fed.event, agent_id)))
                if fed.type in _BY_NAME:
                    await _put_change(hub, queue, agent_id, fed, frames)
                if fed.type == "snapshot":
                    await _put_calls(hub, agent_id, frames)


async def _put_calls(hub: ContextHub, agent_id: str, frames: asyncio.Queue[Frame]) -> None:
    """Show what is at an agent's phone now; where the hub does not say, the page asks again."""
    with suppress(CtxhubError):
        frames.put_nowait(Frame("calls", {"calls": calls(await hub.interactions.list(agent_id=agent_id), agent_id)}))


async def _put_change(hub: ContextHub, queue: str, agent_id: str, fed: Fed, frames: asyncio.Queue[Frame]) -> None:
    """Show who waits once somebody waits for this very agent; where the hub does not say, the page asks again."""
    with suppress(CtxhubError):
        frames.put_nowait(await _change(hub, queue, agent_id, fed))


async def waiting(hub: ContextHub, queue: str, agent_id: str) -> list[OfferShown]:
    """Return what waits in a queue or for an agent by name."""
    of_queue, by_name = await asyncio.gather(hub.handoffs.list(queue=queue), hub.handoffs.list(agent_id=agent_id))
    return offers([*of_queue, *by_name])


async def _offer_frames(hub: ContextHub, queue: str, agent_id: str, after: str | None) -> Frames:
    """Yield the whole list of waiting offers after every change of a queue's feed."""
    async with aclosing(hub.feeds.queue(queue, after=after)) as feed:
        async for fed in feed:
            if _matters(fed.type):
                yield await _queue_frame(hub, queue, agent_id, fed)


def _matters(type_: str) -> bool:
    """Tell whether an event of a queue's feed changes what the desk shows."""
    return not (type_ in _NO_CHANGE or type_.startswith(_OF_CALLS))


async def _queue_frame(hub: ContextHub, queue: str, agent_id: str, fed: Fed) -> Frame:
    """Show what a queue's feed brings."""
    if fed.type == "bye":
        return AWAY
    if fed.type == "snapshot":
        of_queue, by_name = _HANDOFFS.validate_python(fed.data["handoffs"]), await hub.handoffs.list(agent_id=agent_id)
        return Frame("snapshot", {"offers": offers([*of_queue, *by_name])}, fed.id)
    return (await _change(hub, queue, agent_id, fed))._replace(id=fed.id)


async def _change(hub: ContextHub, queue: str, agent_id: str, fed: Fed) -> Frame:
    """Show who waits after something happened."""
    handoff_id = fed.event.data.get("handoff_id") if fed.event else None
    return Frame("change", {"type": fed.type, "handoff_id": handoff_id, "offers": await waiting(hub, queue, agent_id)})


async def customer_frames(
    hub: ContextHub, customer_id: str, interaction_id: str, after: int | None, language: str
) -> Frames:
    """Yield what happens to a customer, as far as the interaction may see it."""
    async with aclosing(hub.feeds.customer(customer_id, after=after, interaction_id=interaction_id)) as feed:
        async for fed in feed:
            yield await _customer_frame(hub, fed, language)


async def _customer_frame(hub: ContextHub, fed: Fed, language: str) -> Frame:
    """Show what a customer's feed brings."""
    if fed.event is not None:
        return Frame("event", entry(fed.event, await hub.tenants.read(), language), fed.id)
    return AWAY if fed.type == "bye" else Frame(fed.type, fed.data, fed.id)


async def followed(frames: Frames, stopping: Stopping, beat: timedelta) -> AsyncGenerator[str, None]:
    """Write frames as they come, a comment after each `beat` of silence, and `bye` at once when the server stops."""
    stop = asyncio.ensure_future(stopping.wait())
    upcoming = asyncio.ensure_future(_next(frames))
    yield _OPENING
    try:
        while not stop.done():
            await asyncio.wait({stop, upcoming}, timeout=beat.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                yield BYE.written() if stop.done() else _SIGN_OF_LIFE
                continue
            yield upcoming.result().written()
            if upcoming.result().is_last:
                return
            upcoming = asyncio.ensure_future(_next(frames))
    finally:
        stop.cancel()
        upcoming.cancel()
        await asyncio.gather(stop, upcoming, return_exceptions=True)
        await frames.aclose()


async def _next(frames: Frames) -> Frame:
    """Return the next frame, or a last one that says why there are no more."""
    try:
        return await anext(frames)
    except (StopAsyncIteration, Unavailable):
        return Frame("away", {}, is_last=True)
    except CtxhubError as error:
        return Frame("problem", {"status": error.status, "code": error.code, "detail": error.detail}, is_last=True)
