"""What the telephone menu is told: by the operator once, by each tenant in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ctxhub.client import Hook, SecurePrompt, hook_at
from ctxhub_ivr.signature import Secrets

_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s#]+$")]
_Sip = Annotated[str, StringConstraints(pattern=r"^sips?:[^\s@]+@[^\s@]+$")]
_Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[0-9A-Za-z]{2,8})*$")]


@dataclass(frozen=True)
class IvrSettings:
    """What the operator decides: the address the platform reaches us at, the secrets by name, how long we may take."""

    public_url: str
    environ: Mapping[str, str] = field(repr=False)
    deadline: float = 3.0
    hook_deadline: float = 2.5


class IvrChannel(BaseModel):
    """The tenant's `channels.ivr`; secrets stand in it by the name of an environment variable."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    auth_token_env: str | None = None
    shared_keys: dict[str, str] = {}
    language: _Language | None = None
    queue: Annotated[str, Field(min_length=1, max_length=200)] = "default"
    sip_target: _Sip | None = None
    workflow_sid: str | None = None
    pin_hook: _Url | None = None
    pin_hook_secret_env: str | None = None
    #: By fact: questions whose answers are secret.
    prompts: dict[str, SecurePrompt] = {}
    sms_hook: _Url | None = None
    sms_hook_secret_env: str | None = None
    sms: bool = False
    chat_link: _Url | None = None
    #: Whether every caller is offered to go on where he was, before the menu.
    continuation: bool = False
    #: Whether callers who wait in a queue of the platform may have a link to the chat sent.
    link_while_waiting: bool = False
    #: Read by the hub's numbers: whether this channel tells what it asks.
    instrumented: bool | None = None

    @classmethod
    def unknown_in(cls, declared: Mapping[str, Any]) -> list[str]:
        """List the settings that nobody here knows: most likely misspelt."""
        return sorted(declared.keys() - cls.model_fields.keys())

    def secrets(self, environ: Mapping[str, str]) -> Secrets:
        """Return what webhooks may be signed with, as far as the variables are set."""
        keys = {key: environ[name] for key, name in self.shared_keys.items() if environ.get(name)}
        return Secrets(environ.get(self.auth_token_env or "") or None, keys)


def pin_hook(channel: IvrChannel, environ: Mapping[str, str]) -> Hook | None:
    """Return who checks PINs, or None: a PIN never goes out unsigned."""
    hook = hook_at(channel.pin_hook, channel.pin_hook_secret_env, environ)
    return hook if hook and hook.secret else None


def sms_hook(channel: IvrChannel, environ: Mapping[str, str]) -> Hook | None:
    """Return who sends text messages; unsigned only where no secret is named."""
    return hook_at(channel.sms_hook, channel.sms_hook_secret_env, environ)
