"""How many calls are in hand at once: beyond that the hub says at once that it is busy, rather than late to everybody.

A call is in hand from when its body is whole until its answer begins, so that streams, which last, count as long as
they are being opened only, and whoever never ends a body does not count at all.
Health, metrics and the pages of channels are always let in: a channel has to answer in its own protocol, and does so
without the hub where its own calls find no room.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ctxhub.api.problems import problem_response
from ctxhub.errors import Busy

_BELOW = "/v1/"


class Admission:
    """Passes on calls of the API, at most `most` at once; the others are refused without being looked at."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_BELOW):
            await self._app(scope, receive, send)
        elif self._in_hand >= self._most:
            await problem_response(Busy(f"{self._most} calls are in hand here"))(scope, receive, send)
        else:
            await self._served(scope, receive, send)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call that has found room, which is free again as soon as its answer begins."""
        self._in_hand += 1
        holds = True

        async def sent(message: Message) -> None:
            nonlocal holds
            if holds and message["type"] == "http.response.start":
                holds = False
                self._in_hand -= 1
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            if holds:
                self._in_hand -= 1
