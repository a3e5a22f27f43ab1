"""What the tenant's own systems do for a call: check a PIN, send a text message. Nothing said here is logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctxhub.client import Hook, HookFailed, SecureAnswer, SignedHooks

_NAMES_NOBODY = (
    "the PIN hook says `ok` without `customer_id`: it must name whose PIN it is, "
    "since the tenant's file declares types of identifiers"
)


class PinAnswer(BaseModel):
    """What the tenant says about a PIN."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    ok: bool
    customer_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z._@-]{1,128}$")] | None = None
    level: Annotated[int, Field(ge=2, le=3)] = 2


@dataclass(frozen=True)
class Hooks(SignedHooks):
    """Calls hooks; `now` gives the time in seconds."""

    async def check_pin(
        self, hook: Hook, message_id: str, *, call_sid: str, phone: str | None, pin: str, claimed: str | None = None
    ) -> PinAnswer:
        """Ask whether the PIN is right; `HookFailed` when nobody can tell, or whose it is though one was `claimed`."""
        whose = {"customer_id": claimed} if claimed else {}
        answer = await self.post(hook, message_id, {"call_sid": call_sid, "phone": phone, "pin": pin} | whose)
        try:
            found = PinAnswer.model_validate_json(answer.content)
        except ValidationError:
            # The cause is dropped: it would repeat what the other side sent, which may hold the PIN.
            raise HookFailed("the PIN hook's answer is not as agreed") from None
        if found.ok and claimed and found.customer_id is None:
            raise HookFailed(_NAMES_NOBODY)
        return found

    async def check_secure(
        self, hook: Hook, message_id: str, *, call_sid: str, phone: str | None, prompt: str, kind: str, keyed: str
    ) -> SecureAnswer:
        """Have checked what was keyed in secret; `HookFailed` when nobody can."""
        asked = {"call_sid": call_sid, "phone": phone, "prompt": prompt, "secure": kind, "keyed": keyed}
        return await self.check(hook, message_id, asked)

    async def send_sms(self, hook: Hook, message_id: str, *, to: str, link: str, text: str) -> None:
        """Have a text message sent; `HookFailed` when it was not taken."""
        await self.post(hook, message_id, {"to": to, "link": link, "text": text})
