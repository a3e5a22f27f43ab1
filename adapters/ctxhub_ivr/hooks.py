"""What the tenant's own systems do for a call: check a PIN, send a text message. Nothing said here is logged."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctxhub_ivr.settings import Hook


class HookFailed(Exception):
    """The tenant's system did not answer as agreed; the message never holds what was sent."""


class PinAnswer(BaseModel):
    """What the tenant says about a PIN."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    ok: bool
    customer_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z._@-]{1,128}$")] | None = None
    level: Annotated[int, Field(ge=2, le=3)] = 2


@dataclass(frozen=True)
class Hooks:
    """Calls hooks; `now` gives the time in seconds."""

    deadline: float
    now: Callable[[], float]
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def check_pin(self, hook: Hook, message_id: str, *, call_sid: str, phone: str | None, pin: str) -> PinAnswer:
        """Ask whether the PIN is right; `HookFailed` when nobody can tell."""
        answer = await self._post(hook, message_id, {"call_sid": call_sid, "phone": phone, "pin": pin})
        try:
            return PinAnswer.model_validate_json(answer.content)
        except ValidationError:
            # The cause is dropped: it would repeat what the other side sent, which may hold the PIN.
            raise HookFailed("the PIN hook's answer is not as agreed") from None

    async def send_sms(self, hook: Hook, message_id: str, *, to: str, link: str, text: str) -> None:
        """Have a text message sent; `HookFailed` when it was not taken."""
        await self._post(hook, message_id, {"to": to, "link": link, "text": text})

    async def _post(self, hook: Hook, message_id: str, payload: dict[str, Any]) -> httpx.Response:
        body = json.dumps(payload, ensure_ascii=False).encode()
        headers = signed_headers(hook.secret, message_id, int(self.now()), body)
        try:
            async with asyncio.timeout(self.deadline), httpx.AsyncClient(verify=self.tls) as client:
                answer = await client.post(hook.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise HookFailed(f"the hook can't be reached ({type(error).__name__})") from None
        if not answer.is_success:
            raise HookFailed(f"the hook answered {answer.status_code}")
        return answer


def signed_headers(secret: bytes | None, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Sign a body by Standard Webhooks; a message that is repeated keeps its id."""
    headers = {"content-type": "application/json", "webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if secret is None:
        return headers
    mac = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, sha256)
    return headers | {"webhook-signature": f"v1,{base64.b64encode(mac.digest()).decode()}"}
