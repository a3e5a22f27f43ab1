"""The tenant's own systems while dialogues are played: a gateway for text messages and a check of PINs.

They are a web server of the player's own, and take nothing that the hub has not signed.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from typing import Any

import uvicorn

from ctxhub.replay.ivr import Person

Message = MutableMapping[str, Any]
SMS, PIN = "/sms", "/pin"
_JSON = [(b"content-type", b"application/json")]


class Systems:
    """What the tenant's systems know: whose PIN is which, and which links were sent to whom."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._pins: dict[str, str] = {}
        self._links: dict[str, str] = {}

    def enrol(self, person: Person) -> None:
        """Know a customer's PIN, if there is one."""
        if person.pin:
            self._pins[person.phone] = person.pin

    def take_link(self, phone: str) -> str | None:
        """Read the last text message on this telephone, and remove it."""
        return self._links.pop(phone, None)

    async def __call__(self, scope: Mapping[str, Any], receive: Callable[[], Any], send: Callable[..., Any]) -> None:
        """Answer one request to a hook."""
        body = await _body(receive)
        status, answer = self._answer(scope["path"], _headers(scope), body)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        if not self._is_signed(headers, body):
            return 401, {"error": "not signed by the hub"}
        asked = json.loads(body)
        if path == SMS:
            self._links[asked["to"]] = asked["link"]
            return 202, {}
        if path == PIN:
            return 200, {"ok": self._pins.get(asked["phone"]) == asked["pin"]}
        return 404, {}

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Check a signature as Standard Webhooks define it."""
        signed = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
        expected = b"v1," + base64.b64encode(hmac.new(self._secret, signed, sha256).digest())
        given = headers.get("webhook-signature", "").encode().split()
        return any(hmac.compare_digest(signature, expected) for signature in given)


@asynccontextmanager
async def serving(systems: Systems) -> AsyncIterator[str]:
    """Serve the tenant's systems on a free port of this machine; gives their address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(systems, lifespan="off", log_config=None, access_log=False, ws="none")
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """A server that leaves signals to the player."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


async def _body(receive: Callable[[], Any]) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
