"""HTTP whose heads come to an end: bounded in length and in time, before anything of ours looks at them.

What is too long is answered with a problem document; who is too slow is hung up on.
"""

from __future__ import annotations

import asyncio
import json
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ctxhub.errors import HeadersTooLarge

__all__ = ["BoundedHeads"]

LONGEST_HEAD = 64 * 1024
#: A body has at most 1 MiB, but chunks of one byte take six; trailers are bounded by nothing else.
LONGEST_REST = 8 * 1024 * 1024
_DRAINED = 1024 * 1024


class BoundedHeads(HttpToolsProtocol):
    """One connection; `within` so many seconds a head is whole, and so long a refused sender is listened to."""

    within: ClassVar[float] = 20.0
    lingers: ClassVar[float] = 1.0

    _head = 0
    _rest = 0
    _refused = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._head, self._rest = 1, 0

    def on_headers_complete(self) -> None:
        """Count what comes behind the head."""
        self._head = 0
        self._expect_nothing()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read what came, as long as it is bounded."""
        if self._refused:
            self._drained(data)
            return
        if self._is_idle and self._deadline is None:
            self._expect_head()
        super().data_received(data)
        if self._head:
            self._head += len(data)
        else:
            self._rest += len(data)
        if self._head > LONGEST_HEAD:
            self._refuse()
        elif self._rest > LONGEST_REST:
            self.transport.close()

    @property
    def _is_idle(self) -> bool:
        """Tell whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        """Hang up unless a head is whole in time; bytes that trickle in prolong nothing."""
        self._deadline = self.loop.call_later(self.within, self.transport.close)

    def _expect_nothing(self) -> None:
        """Let the head be."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        """Say that the head is too long; an answer under way to the request before it is not broken into."""
        if not self._is_idle:
            self.transport.close()
            return
        self._refused = 1
        self._expect_nothing()
        self.transport.write(_refusal())
        # Closed at once, with bytes unread, the connection would be reset and the answer lost on its way.
        self.transport.write_eof()
        self._deadline = self.loop.call_later(self.lingers, self.transport.close)

    def _drained(self, data: bytes) -> None:
        """Read past what a refused sender still sends, up to a bound."""
        self._refused += len(data)
        if self._refused > _DRAINED:
            self.transport.close()


def _refusal() -> bytes:
    """Return the whole answer to a head that is too long."""
    error = HeadersTooLarge(f"what comes before a body has at most {LONGEST_HEAD} bytes")
    # Spelt here, since whoever only watches over workers should not have to load the whole API for it.
    told = {"type": f"urn:ctxhub:problem:{error.code}", "title": error.title, "status": error.status,
            "code": error.code, "detail": error.detail, "remedy": error.remedy}  # fmt: skip
    body = json.dumps(told).encode()
    lines = [
        "HTTP/1.1 431 Request Header Fields Too Large",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
