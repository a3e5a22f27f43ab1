"""Bodies: whole before anything of ours looks at them, bounded in length and in time.

Whoever sends one in pieces keeps nobody waiting: no call is in hand before its body is there, and what has come of the
unfinished ones is bounded together.
"""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from ctxhub.errors import Busy, TooLarge, TooSlow

MAX_BODY = 1024 * 1024
WITHIN = 20.0
MOST_UNFINISHED = 64 * MAX_BODY


class Bodies:
    """Waits for bodies; `within` so many seconds each is whole, and at most so many bytes of all wait for the rest."""

    def __init__(self, within: float = WITHIN, most: int = MOST_UNFINISHED) -> None:
        self._within = within
        self._most = most
        self._unfinished = 0

    async def whole(self, receive: Receive) -> Receive:
        """Return what brings a body in one piece; `TooLarge`, `TooSlow` or `Busy` where that is not to be."""
        try:
            async with asyncio.timeout(self._within):
                message = await receive()
                if message.get("more_body"):
                    message = await self._joined(message, receive)
        except TimeoutError as error:
            raise TooSlow(f"a body is whole within {self._within:g} s") from error
        _must_fit(len(message.get("body", b"")))
        return _again(message, receive)

    async def _joined(self, message: Message, receive: Receive) -> Message:
        """Return the last message with all of the body; whoever goes away meanwhile sends a last one too."""
        body = bytearray()
        try:
            while True:
                part = message.get("body", b"")
                body += part
                self._unfinished += len(part)
                _must_fit(len(body))
                if not message.get("more_body"):
                    return {**message, "body": bytes(body)}
                if self._unfinished > self._most:
                    raise Busy("too much waits here for the rest of its body")
                message = await receive()
        finally:
            self._unfinished -= len(body)


def _must_fit(length: int) -> None:
    """Refuse a body that is over the limit."""
    if length > MAX_BODY:
        raise TooLarge(f"a body has at most {MAX_BODY} bytes")


def _again(message: Message, receive: Receive) -> Receive:
    """Return a receive that begins with a message."""
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
