"""Every setting of the hub: read once from `CTXHUB_*`, then handed down as one frozen value.

Beside it stands what a start needs before anything runs: the two secrets that the hub makes itself.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from ctxhub.addresses import Address
from ctxhub.model.inward import allowed_of

__all__ = [
    "CannotStart",
    "SettingLine",
    "Settings",
    "address_of",
    "describe_settings",
    "load_or_make_secret",
    "written",
]

Channel = str
_PREFIX = "CTXHUB_"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SPAN_REMEDY = "write a length of time such as 30, 500ms, 30s, 15min, 4h or 30d"
_SHORTEST_MASTER_KEY = 16
ROLES = ("adapter", "agent", "supervisor", "admin")
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")


class CannotStart(Exception):
    """The hub can't start as things stand; the message is one line and names the remedy."""


def _span(value: Any) -> Any:
    """Read `15min` as a length of time; a bare number is seconds, ISO 8601 is left to pydantic."""
    if isinstance(value, timedelta):
        return value
    found = _SPAN.fullmatch(str(value).strip())
    if found is None:
        return value
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2] or "s"])


def _more_than_nothing(span: timedelta) -> timedelta:
    """Refuse a length of time that is zero or less."""
    if span <= timedelta():
        raise ValueError("it must be longer than nothing")
    return span


Span = Annotated[timedelta, BeforeValidator(_span), AfterValidator(_more_than_nothing)]


def _silences() -> dict[Channel, timedelta]:
    """The silence that ends an interaction, unless set otherwise."""
    return {"voice": timedelta(hours=4), "ivr": timedelta(hours=4), "default": timedelta(minutes=30)}


def _claims() -> dict[str, str]:
    """Which claim says what of its bearer, unless set otherwise."""
    return {"tenant": "tenant", "role": "roles", "queues": "queues", "skills": "skills"}


def _roles() -> dict[str, str]:
    """Which of an issuer's roles is which of ours, unless set otherwise: those that are called the same."""
    return {role: role for role in ROLES}


class Settings(BaseModel):
    """What the operator decided; every field is also the environment variable `CTXHUB_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis_url: str | None = Field(
        default=None,
        description="The Redis or Valkey to use: redis://host:port, rediss:// with TLS, or unix://; "
        "redis+sentinel://host:port,host:port/name or redis+cluster://host:port,host:port, with TLS rediss+…. "
        "Unset: the hub starts its own.",
    )
    data: Path = Field(
        default=Path("ctxhub-data"),
        description="The folder for what the hub keeps itself: its own server's data, the keys it makes.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address under which customers and channels reach the hub; links and signatures are built "
        "from it. Unset: host and port.",
    )
    durability: Literal["fast", "replicated", "safe"] = Field(
        default="safe",
        description="What an acknowledged write survives. fast: a killed process; replicated: the loss of one Redis; "
        "safe: a power cut as well, and with Sentinels or a cluster the loss of one Redis.",
    )
    redis_unfit: Literal["refuse", "warn"] = Field(
        default="refuse",
        description="What a start does on a Redis that forgets customers when memory runs short, is too old, or has "
        "another application's keys: refuse, or warn and go on.",
    )
    tenants: Path | None = Field(
        default=None,
        description="The folder of the tenants' files, <tenant>.yaml. Unset: one tenant, `default`, as it comes.",
    )
    master_key: SecretStr | None = Field(
        default=None,
        description="The secret that tokens, codes and look-up keys are derived from; the same for all hubs on one "
        "Redis. Unset: made at first start in <data>/master.key.",
    )
    sealing: Literal["aes-256-gcm", "sm4-gcm"] = Field(
        default="aes-256-gcm",
        description="With what values of sensitive facts are sealed from now on; what was sealed otherwise stays "
        "readable.",
    )
    sealing_keys_file: Path | None = Field(
        default=None,
        description="The file of the epochs' master keys, under which every customer's data key is wrapped; the same "
        "for all hubs on one Redis. Unset: <data>/sealing.keys, made at first start; where CTXHUB_MASTER_KEY is set "
        "and there is no such file, one epoch derived from that, which can't be destroyed.",
    )
    sealing_keys: SecretStr | None = Field(
        default=None,
        description="The epochs' master keys themselves instead of a file: 2:<base64>,1:<base64>, the present one "
        "first, each 32 bytes.",
    )
    admin_key: SecretStr | None = Field(
        default=None,
        description="The first API key: role admin, tenant default. Unset: made at first start in <data>/admin.key.",
    )
    partitions: int = Field(
        default=64,
        ge=1,
        le=16384,
        description="Into how many parts customers are divided. Fixed at first start.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    trusted_proxies: str | None = Field(
        default=None,
        description="The proxies in front of the hub, as addresses or networks with commas between them: 10.0.0.7 or "
        "10.0.0.0/24. What they say in X-Forwarded-For is where a call came from, as the audit trail notes it; of "
        "nobody else is it believed. Unset: none.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="How many processes serve.")
    socket_timeout: Span = Field(
        default=timedelta(seconds=1), description="How long one command to Redis may take to be answered."
    )
    connect_timeout: Span = Field(
        default=timedelta(milliseconds=300), description="How long connecting to Redis may take."
    )
    deadline: Span = Field(
        default=timedelta(seconds=2.5),
        description="Within how long every call of the API is answered, whatever Redis does: 503 where it could not be "
        "done by then. A stream has begun by then.",
    )
    most_at_once: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="How many calls one process has in hand at once; more are refused at once with 429 busy.",
    )
    redis_connections: int = Field(
        default=32, ge=2, le=10_000, description="The most connections to Redis that one process holds."
    )
    archive: str | None = Field(
        default=None,
        description="Where timelines and contexts live on when Redis forgets them: sqlite:////path/to/file, "
        "postgresql://user@host/database, or off. Unset: <data>/archive.db where the hub starts its own server; off "
        "where CTXHUB_REDIS_URL names one, since all hubs on one Redis share one archive.",
    )
    keep: Span = Field(
        default=timedelta(days=30),
        description="How long a customer's context is kept after the last write where there is no archive.",
    )
    keep_closed: Span = Field(
        default=timedelta(hours=6),
        description="How long Redis keeps a customer after the last contact when nothing is left to do; then only the "
        "archive does.",
    )
    keep_open: Span = Field(
        default=timedelta(days=14),
        description="The same while a journey is open or something is promised. Interactions that go on, and "
        "handoffs that wait or are held, are kept in any case.",
    )
    forget_within: Span = Field(
        default=timedelta(seconds=60),
        description="How soon after an erasure the append-only file of Redis and the file of the archive are written "
        "anew, without what was erased. All erasures meanwhile cost one rewrite.",
    )
    audit: Literal["on", "off"] = Field(
        default="on",
        description="Whether every read of a customer, and every change of identity, assurance, disclosure and keys, "
        "leaves a line in the audit trail. Off is for measuring what it costs.",
    )
    audit_keep: Span = Field(default=timedelta(days=400), description="How long the audit trail is kept.")
    audit_keep_addresses: Span = Field(
        default=timedelta(days=30),
        description="How long it is kept beside the trail from where customers called, after a customer's last call.",
    )
    lease: Span = Field(
        default=timedelta(minutes=15),
        description="How long an accepted handoff is held without a sign of life; a phone call as long as it goes on.",
    )
    grace: Span = Field(
        default=timedelta(minutes=10), description="How long a customer who left while waiting may come back."
    )
    offer_expires: Span = Field(
        default=timedelta(seconds=300), description="How long a handoff is offered, unless its offer says otherwise."
    )
    silence: dict[Channel, Span] = Field(
        default_factory=_silences,
        validate_default=True,
        description="The silence that ends an interaction, by channel: `chat=30min,voice=4h,default=30min`. "
        "What is not named stays as it comes.",
    )
    timer_tick: Span = Field(default=timedelta(milliseconds=500), description="How often due times are looked at.")
    relay_lease: Span = Field(
        default=timedelta(seconds=1.5), description="How long one process keeps a partition's outbox to itself."
    )
    jwt_issuer: str | None = Field(
        default=None,
        description="Whose bearer tokens (JWT, RFC 9068) are taken beside API keys, as `iss` says it. Unset: nobody's.",
    )
    jwt_audience: str | None = Field(default=None, description="Whom those tokens must be for, as `aud` says it.")
    jwt_jwks: str | None = Field(
        default=None, description="Where the issuer's public keys are: https://..., http:// on loopback, or a file."
    )
    jwt_algorithms: str = Field(
        default="RS256,ES256,EdDSA", description="Which signatures count, by their names in JOSE; asymmetric ones only."
    )
    jwt_claims: dict[str, str] = Field(
        default_factory=_claims,
        validate_default=True,
        description="Which claim says what: `tenant=org,role=groups`. What is not named stays as it comes.",
    )
    jwt_roles: dict[str, str] = Field(
        default_factory=_roles,
        validate_default=True,
        description="Which of the issuer's roles is which of ours: `cc-lead=supervisor`. What is not named stays.",
    )
    limit_key: int = Field(
        default=5000, ge=0, description="The most calls a second by one key that one process answers; 0: no limit."
    )
    limit_customer: int = Field(
        default=1000, ge=0, description="The most calls a second about one customer in one process; 0: no limit."
    )
    limit_lookup: int = Field(
        default=6000,
        ge=0,
        description="The most identifiers a minute that one key may look up, on all hubs together; 0: no limit.",
    )
    cors: str | None = Field(
        default=None,
        description="The origins whose pages may call the API from a browser, separated by commas. Unset: none.",
    )
    webhook_allow: str | None = Field(
        default=None,
        description="Hosts, addresses and networks, separated by commas, that webhooks and sources may call although "
        "they are inward, and by plain HTTP: `crm.internal,10.1.0.0/16`. Unset: none.",
    )
    traces: str | None = Field(
        default=None,
        description="Where spans of requests are sent: an OpenTelemetry collector that takes OTLP over HTTP, such as "
        "http://collector:4318; `otel`: where OTEL_EXPORTER_OTLP_ENDPOINT says. Needs `ctxhub[otel]`. Unset: none are "
        "made.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important log line that is written."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="How log lines look: json for machines, console for eyes."
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **overrides: Any) -> Self:
        """Read the settings; empty variables count as unset, an override that is None as not given."""
        given = {name: environ[_variable(name)] for name in cls.model_fields if environ.get(_variable(name))}
        given |= {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise CannotStart("; ".join(_complaints(error))) from None

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, url: str | None) -> str | None:
        if url is not None:
            Address.of(url)
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _named_one_by_one(cls, named: str | None) -> str | None:
        try:
            networks = [ip_network(part.strip(), strict=False) for part in named.split(",")] if named else []
        except ValueError as error:
            raise ValueError("write addresses or networks with commas between them, such as 10.0.0.0/24") from error
        return ",".join(str(network) for network in networks) or None

    @field_validator("archive")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is not None and url != "off" and not re.match(r"(sqlite|postgresql)(\+\w+)?://", url):
            raise ValueError("write sqlite:////path/to/file, postgresql://user@host/database, or off")
        return url

    @field_validator("traces")
    @classmethod
    def _a_collector(cls, where: str | None) -> str | None:
        parts = urlsplit(where or "")
        if where not in (None, "otel") and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query):
            raise ValueError("write the collector's whole address, such as http://collector:4318, or otel")
        return where

    @field_validator("jwt_jwks")
    @classmethod
    def _safe_to_fetch(cls, where: str | None) -> str | None:
        parts = urlsplit(where or "")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("write https://...: keys that come over plain http may be anybody's")
        return where

    @field_validator("jwt_algorithms")
    @classmethod
    def _asymmetric_only(cls, names: str) -> str:
        if not set(names.split(",")) <= set(ASYMMETRIC):
            raise ValueError(f"write some of {', '.join(ASYMMETRIC)}, with commas between them")
        return names

    @field_validator("jwt_claims", "jwt_roles", mode="before")
    @classmethod
    def _add_to_the_usual_names(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        pairs = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        return (_claims() if info.field_name == "jwt_claims" else _roles()) | pairs

    @field_validator("jwt_roles")
    @classmethod
    def _roles_there_are(cls, roles: dict[str, str]) -> dict[str, str]:
        if not set(roles.values()) <= set(ROLES):
            raise ValueError(f"write theirs=ours pairs, where ours is one of {', '.join(ROLES)}")
        return roles

    @field_validator("cors")
    @classmethod
    def _origins_by_name(cls, origins: str | None) -> str | None:
        if not all(
            re.fullmatch(r"https?://[0-9A-Za-z.:\[\]-]+", origin) for origin in (origins or "http://a").split(",")
        ):
            raise ValueError("write origins such as https://app.example.com, with commas between them; * is none")
        return origins

    @field_validator("webhook_allow")
    @classmethod
    def _hosts_or_networks(cls, text: str | None) -> str | None:
        try:
            allowed_of(text or "")
        except ValueError as error:
            raise ValueError(f"write host names, addresses and networks such as 10.1.0.0/16: {error}") from error
        return text

    @model_validator(mode="after")
    def _whole_issuer(self) -> Self:
        if len({bool(self.jwt_issuer), bool(self.jwt_audience), bool(self.jwt_jwks)}) > 1:
            raise ValueError("CTXHUB_JWT_ISSUER, CTXHUB_JWT_AUDIENCE and CTXHUB_JWT_JWKS go together: set all three")
        return self

    @field_validator("public_url")
    @classmethod
    def _whole_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError("write the whole address, such as https://ctx.example.com")
        return url.rstrip("/")

    @field_validator("master_key")
    @classmethod
    def _hard_to_guess(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < _SHORTEST_MASTER_KEY:
            raise ValueError(f"use at least {_SHORTEST_MASTER_KEY} characters, such as `openssl rand -hex 32` prints")
        return key

    @field_validator("admin_key")
    @classmethod
    def _fit_for_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and re.fullmatch(r"[!-~]+", key.get_secret_value()) is None:
            raise ValueError("a key travels in a header: use visible ASCII characters without spaces")
        return key

    @field_validator("silence", mode="before")
    @classmethod
    def _add_to_the_usual_silences(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(channel.strip() and span for channel, _, span in pairs):
            raise ValueError("write channel=time pairs, such as chat=30min,voice=4h")
        return _silences() | {channel.strip(): _span(span) for channel, _, span in pairs}

    @field_serializer("master_key", "admin_key", "sealing_keys", when_used="json")
    def _keep_secret(self, key: SecretStr | None, info: FieldSerializationInfo) -> str | None:
        """Secrets leave only when asked for by `handed_down`."""
        if key is None:
            return None
        return key.get_secret_value() if info.context == "handed down" else str(key)

    @property
    def base_url(self) -> str:
        """The address to build links from: the public one, else the one listened on."""
        return self.public_url or f"http://{address_of(self.host, self.port)}"

    def silence_of(self, channel: Channel) -> timedelta:
        """Tell after how much silence an interaction on this channel counts as ended."""
        return self.silence.get(channel) or self.silence.get("default") or _silences()["default"]

    @property
    def replicas_awaited(self) -> int:
        """How many replicas must have a write before it is acknowledged."""
        if self.durability == "safe":
            return int(self.redis_url is not None and Address.of(self.redis_url).kind != "alone")
        return int(self.durability == "replicated")

    @property
    def archive_url(self) -> str | None:
        """The archive's address; None where there is none."""
        if self.archive is not None:
            return None if self.archive == "off" else self.archive
        return f"sqlite:///{self.data.absolute() / 'archive.db'}" if self.redis_url is None else None

    def with_redis(self, url: str) -> Self:
        """The same settings with a Redis that the hub itself has started: the archive stays what it is."""
        return self.model_copy(update={"redis_url": url, "archive": self.archive_url or "off"})

    def with_secrets(self) -> Self:
        """The same settings with all secrets in place, made in the data folder where none were given."""
        return self.model_copy(
            update={
                "sealing_keys_file": self.epochs_file,
                "master_key": self.master_key or load_or_make_secret(self.data / "master.key"),
                "admin_key": self.admin_key or load_or_make_secret(self.data / "admin.key"),
            }
        )

    @property
    def epochs_file(self) -> Path | None:
        """The file of epochs; None where the keys come from elsewhere."""
        if self.sealing_keys is not None or self.sealing_keys_file is not None:
            return self.sealing_keys_file
        own = self.data / "sealing.keys"
        return own if self.master_key is None or own.exists() else None

    def handed_down(self) -> str:
        """All settings as JSON, secrets in clear: for another process of the same hub, never for a log."""
        return self.model_dump_json(context="handed down")


class SettingLine(NamedTuple):
    """One setting as the reference shows it."""

    variable: str
    default: str
    meaning: str


def describe_settings() -> Iterator[SettingLine]:
    """List every setting with its default and what it means, in the order of the class."""
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        yield SettingLine(_variable(name), written(default), field.description or "")


def written(value: Any) -> str:
    """Write a setting's value the way its variable takes it; a secret is masked, what is unset is empty."""
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return _written_span(value)
    if isinstance(value, dict):
        return ",".join(f"{name}={written(part)}" for name, part in value.items())
    return str(value)


def address_of(host: str, port: int) -> str:
    """Join host and port the way a URL wants them; a wildcard host becomes one that can be connected to."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"


def load_or_make_secret(path: Path) -> SecretStr:
    """Read a secret of the hub's own, making it if there is none; refused if others could read it."""
    try:
        if not path.exists():
            _make_secret(path)
        _refuse_if_others_may_read(path)
        secret = path.read_text("ascii").strip()
    except OSError as error:
        raise CannotStart(f"{path} can't be used ({error.strerror}): mend its rights, or set CTXHUB_DATA") from error
    if not secret:
        raise CannotStart(f"{path} is empty: put the secret back, or remove the file to have a new one made")
    return SecretStr(secret)


def _make_secret(path: Path) -> None:
    """Write a new secret in one step: whoever comes second finds the first one's, whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # O_EXCL and 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(name)


def _refuse_if_others_may_read(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise CannotStart(f"{path} can be read by others: run `chmod 600 {path}`, and replace it if they did")


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


def _complaints(error: ValidationError) -> Iterator[str]:
    """Say for each bad value which variable holds it and what to write instead; keys and passwords are not repeated."""
    for fault in error.errors(include_url=False):
        if not fault["loc"]:
            yield _remedy(fault["type"], fault["msg"])
            continue
        name = str(fault["loc"][0])
        where = "".join(f"[{part}]" for part in fault["loc"][1:])
        shown = "" if name.endswith(("_key", "_keys", "_url", "archive", "traces")) else f" is {fault['input']!r}"
        yield f"{_variable(name)}{where}{shown}: {_remedy(fault['type'], fault['msg'])}"


def _remedy(kind: str, message: str) -> str:
    if kind.startswith("time_delta"):
        return _SPAN_REMEDY
    return message.removeprefix("Value error, ")


def _written_span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit in ("d", "h", "min", "s"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:g}ms"
