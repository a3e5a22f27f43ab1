"""A span of every request, named by its route and never by its path, which names customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from ctxhub.tracing import Tracing

#: Asked every few seconds by machines: nobody follows that.
_UNTOLD = ("/health/", "/metrics")
_GOES_ON = b"text/event-stream"


class Traced:
    """Passes on every request within a span of its own."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTOLD):
            await self._app(scope, receive, send)
            return
        with self._tracing.request(scope["method"], scope["scheme"], _traceparent(scope)) as told:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", None)
                    told.answered(message["status"], route, _goes_on(message))
                await send(message)

            await self._app(scope, receive, sent)


def _traceparent(scope: Scope) -> str | None:
    """Return the span that a caller names; two of them name none."""
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _goes_on(message: Message) -> bool:
    """Tell whether an answer that begins is a stream."""
    return any(name.lower() == b"content-type" and said.startswith(_GOES_ON) for name, said in message["headers"])
