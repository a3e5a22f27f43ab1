"""Questions whose answers are secret: the tenant's hook checks them, and its result is all that anybody else gets."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ctxhub.model.never_kept import cleaned

__all__ = ["Hook", "HookFailed", "Secure", "SecureAnswer", "SecureKind", "SecurePrompt", "SignedHooks", "hook_at",
           "secure_prompts", "signed_headers"]  # fmt: skip

SecureKind = Literal["pan", "pin", "otp"]


class HookFailed(Exception):
    """The tenant's system did not answer as agreed; the message never holds what was sent."""


class SecurePrompt(BaseModel):
    """A question whose answer never leaves the adapter: who checks it, for the result alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secure: SecureKind
    hook: Annotated[str, StringConstraints(pattern=r"^https?://[^\s#]+$")]
    hook_secret_env: str


def _no_number(ref: str) -> str:
    """Refuse a reference that is the card number itself."""
    if cleaned(ref).findings:
        raise ValueError("a reference is not the number")
    return ref


class SecureAnswer(BaseModel):
    """What the tenant says about something keyed in secret: all of it that anybody else ever gets."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    outcome: Literal["accepted", "refused"]
    customer_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z._@-]{1,128}$")] | None = None
    card_ref: Annotated[str, Field(pattern=r"^[!-~]{1,128}$"), AfterValidator(_no_number)] | None = None
    last4: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None

    @property
    def result(self) -> dict[str, str]:
        """What is told of it."""
        return self.model_dump(exclude_none=True)

    @property
    def shown(self) -> str:
        """What stands for it as a fact."""
        return f"•••• {self.last4}" if self.last4 else self.card_ref or self.outcome


@dataclass(frozen=True)
class Hook:
    """An address of the tenant's that we call, and the secret that we sign with, if there is one."""

    url: str
    secret: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Secure:
    """What is asked for in secret, and who checks it; None where that is not set up, so that nothing can be taken."""

    kind: SecureKind
    hook: Hook | None


@dataclass(frozen=True)
class SignedHooks:
    """Calls the tenant's hooks, within a deadline in seconds; `now` gives the time in seconds."""

    deadline: float
    now: Callable[[], float]
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def check(self, hook: Hook, message_id: str, asked: Mapping[str, Any]) -> SecureAnswer:
        """Have checked what was keyed in secret; `HookFailed` when nobody can."""
        answer = await self.post(hook, message_id, asked)
        try:
            return SecureAnswer.model_validate_json(answer.content)
        except ValidationError:
            # The cause is dropped: it would repeat what the other side sent, which may hold what was keyed.
            raise HookFailed("the hook's answer is not as agreed") from None

    async def post(self, hook: Hook, message_id: str, payload: Mapping[str, Any]) -> httpx.Response:
        """Send a signed message and return what came back; `HookFailed` for anything but success."""
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
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


def secure_prompts(prompts: Mapping[str, SecurePrompt], environ: Mapping[str, str]) -> dict[str, Secure]:
    """Return the questions whose answers are secret, by fact; none goes out unsigned."""
    return {
        name: Secure(prompt.secure, hook_at(prompt.hook, prompt.hook_secret_env, environ))
        for name, prompt in prompts.items()
    }


def hook_at(url: str | None, secret_env: str | None, environ: Mapping[str, str]) -> Hook | None:
    """Return a hook, unless it has no address or its secret is named but not set."""
    secret = environ.get(secret_env) if secret_env else None
    if url is None or (secret_env and not secret):
        return None
    return Hook(url, _secret_bytes(secret) if secret else None)


def _secret_bytes(secret: str) -> bytes:
    """Read a secret as Standard Webhooks write it: bytes behind `whsec_`, else the text itself."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return secret.encode()
