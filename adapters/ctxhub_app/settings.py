"""What the app's adapter is told: by the operator once, by each tenant in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ctxhub.client import Hook, SecurePrompt, Tenant, hook_at

log = structlog.get_logger()

_SHORTEST_KEY = 32
_Env = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][0-9A-Za-z_]{0,99}$")]
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s#]+$", max_length=2000)]
_Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[0-9A-Za-z]{2,8})*$")]
_Queue = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Number = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()-]{1,30}$")]
_DeepLink = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://[0-9A-Za-z._~/?=&%-]*$", max_length=500)]
_AppleId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{10}\.[0-9A-Za-z.-]{1,155}$")]
_Package = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][0-9A-Za-z_]*(\.[A-Za-z][0-9A-Za-z_]*)+$", max_length=255)
]
_Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{2}(:[0-9A-F]{2}){31}$")]
_NEVER_LINKED = ("javascript:", "data:", "vbscript:", "file:")


@dataclass(frozen=True)
class AppSettings:
    """What the operator decides.

    `secret` seals sessions: the same for all processes that serve one app. `deadline` is how many seconds a request
    may take before the app gets a degraded answer; `session_lasts`, how long a session is good without a new one.
    """

    secret: str = field(repr=False)
    public_url: str
    environ: Mapping[str, str] = field(repr=False)
    deadline: float = 4.0
    hook_deadline: float = 3.0
    session_lasts: timedelta = timedelta(hours=12)

    @property
    def is_secure(self) -> bool:
        """Tell whether browsers come over https only."""
        return self.public_url.startswith("https://")


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoginChannel(_Declared):
    """How customers prove who they are: by an assertion that the company signs, or by a hook that it answers."""

    key_envs: Annotated[list[_Env], Field(max_length=8)] = []
    audience: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    issuer: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    hook: _Url | None = None
    hook_secret_env: _Env | None = None
    lasts: Annotated[int, Field(ge=60, le=86_400, strict=True)] = 1800

    @model_validator(mode="after")
    def _whole(self) -> LoginChannel:
        """Refuse a half of a way: an assertion that is for anybody, a proof that would go out unsigned."""
        if self.key_envs and self.audience is None:
            raise ValueError("key_envs need an audience: assertions made for somebody else must not count here")
        if self.hook is not None and self.hook_secret_env is None:
            raise ValueError("hook needs hook_secret_env: a proof never goes out unsigned")
        return self


class AppleApps(_Declared):
    """The apps for iOS that may open resume links: team and bundle, `ABCDE12345.com.example.app`."""

    app_ids: Annotated[list[_AppleId], Field(min_length=1, max_length=50)]


class AndroidApp(_Declared):
    """An app for Android that may open resume links, and the certificates it is signed with (SHA-256)."""

    package: _Package
    fingerprints: Annotated[list[_Fingerprint], Field(min_length=1, max_length=20)]


class AppChannel(_Declared):
    """The tenant's `channels.app`; secrets stand in it by the name of an environment variable."""

    title: dict[_Language, Annotated[str, Field(min_length=1, max_length=80)]] = {}
    queue: _Queue = "service"
    dial: _Number | None = None
    chat: bool = True
    instrumented: bool = True
    link: Annotated[str, Field(max_length=2000)] | None = None
    deep_link: _DeepLink | None = None
    login: LoginChannel = LoginChannel()
    #: By fact: questions whose answers are secret.
    prompts: Annotated[dict[str, SecurePrompt], Field(max_length=50)] = {}
    apple: AppleApps | None = None
    android: Annotated[list[AndroidApp], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _harmless(self) -> AppChannel:
        """Refuse a deep link that a browser would run."""
        if self.deep_link is not None and self.deep_link.startswith(_NEVER_LINKED):
            raise ValueError("deep_link is the scheme of an app, such as acmebank://r/")
        return self


def check_channel(declared: Mapping[str, Any]) -> None:
    """Refuse a `channels.app` with a fault; pydantic's error says where."""
    AppChannel.model_validate(declared)


def channel_of(tenant: Tenant) -> AppChannel:
    """Return a tenant's `channels.app`; one with a fault, which a hub of ours would not load, lets nobody log in."""
    try:
        return AppChannel.model_validate(tenant.channels.get("app") or {})
    except ValidationError as error:
        faults = [".".join(str(part) for part in fault["loc"]) for fault in error.errors()]
        log.error("app.settings_refused", tenant=tenant.tenant, faults=faults)
        return AppChannel()


def login_hook(login: LoginChannel, environ: Mapping[str, str]) -> Hook | None:
    """Return who checks proofs, or None where nobody does or the secret is not set."""
    return hook_at(login.hook, login.hook_secret_env, environ) if login.hook_secret_env else None


def login_keys(login: LoginChannel, environ: Mapping[str, str]) -> list[str]:
    """Return the keys that assertions may be signed with: those that are set, and long enough to keep a secret."""
    keys = [environ.get(name, "") for name in login.key_envs]
    return [key for key in keys if len(key.encode()) >= _SHORTEST_KEY]
