"""Puts the pieces together: the only module that knows them all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

import ctxhub_app
import ctxhub_chat
import ctxhub_desk
import ctxhub_ivr
import httpx
import structlog
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ctxhub import __version__
from ctxhub.api.admission import Admission
from ctxhub.api.app import create_api, description
from ctxhub.api.auth import Issuer, Tokens
from ctxhub.api.hot import Hot
from ctxhub.api.problems import Borders
from ctxhub.api.source import PASSED_ON
from ctxhub.api.traced import Traced
from ctxhub.archive import Archive
from ctxhub.client import ContextHub, Hubs, SpoolFile, Stopping, Unknown
from ctxhub.errors import HandoffUnknown, Unavailable
from ctxhub.hub.declarations import Checks
from ctxhub.hub.hub import Hub, Ways
from ctxhub.hub.keys import Came, Principal
from ctxhub.hub.limits import Rates
from ctxhub.hub.masterkeys import DerivedKeys, GivenKeys, KeysFile
from ctxhub.hub.tenants import DEFAULT
from ctxhub.model.inward import allowed_of, is_address
from ctxhub.model.lapsing import Patience
from ctxhub.model.lease import Keeping
from ctxhub.settings import CannotStart, Settings, address_of
from ctxhub.store.checkup import examine
from ctxhub.store.codec import FORMAT
from ctxhub.store.redis import Server, connected
from ctxhub.store.sealing import KeyProvider, Sealing, is_offered, proof_of

if TYPE_CHECKING:
    from ctxhub.tracing import Tracing

log = structlog.get_logger()

#: What a tenant declares of these channels is checked as its file is read.
CHANNELS: Checks = {"app": ctxhub_app.check_channel}

_IN_PROCESS = "http://ctxhub.invalid"
#: The mounted adapters by their paths: at the other end of some are customers.
_PASSING_ON = {"/desk/": False, "/ivr/": False, "/chat/": True, "/app/": True, "/r/": True}
_came: ContextVar[Came | None] = ContextVar("_came", default=None)
_OF_THE_DEADLINE = 0.9  # is for the work; the rest is for the answer to get out in time
_MOST_BEFORE = 16  # workers that an earlier start may have had


def create_app(settings: Settings, stopping: Stopping, ways: Ways | None = None) -> ASGIApp:
    """Return the whole hub as one application: API, adapters, desk; `ways` may bring another clock than the usual."""
    hubs = MountedHubs(settings, stopping)
    tracing = tracing_of(settings)
    app = create_api(_lifespan(settings, stopping, hubs, replace(ways or ways_of(settings), tracing=tracing)))
    app.state.description = description
    app.state.answers_within = settings.deadline.total_seconds() * _OF_THE_DEADLINE
    for adapter in _adapters(settings, hubs):
        app.include_router(adapter, include_in_schema=False)
    whole = Borders(_PassingOn(Admission(Hot(app), settings.most_at_once)))
    hubs.app = whole if tracing is None else Traced(whole, tracing)
    return _for_pages_of(settings, hubs.app)


class _PassingOn:
    """Remembers from where a mounted adapter is called for as long as that is answered, and whether by customers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        came = _came_to_an_adapter(scope)
        if came is None:
            await self._app(scope, receive, send)
            return
        token = _came.set(came)
        try:
            await self._app(scope, receive, send)
        finally:
            _came.reset(token)


def _came_to_an_adapter(scope: Scope) -> Came | None:
    """Return from where a call came that a mounted adapter answers; None for any other."""
    client = scope.get("client") if scope["type"] == "http" else None
    if not client or not scope["path"].startswith(tuple(_PASSING_ON)) or not is_address(client[0]):
        return None
    return Came(client[0], next(theirs for path, theirs in _PASSING_ON.items() if scope["path"].startswith(path)))


def _for_pages_of(settings: Settings, app: ASGIApp) -> ASGIApp:
    """Let the pages of the origins that are set call from browsers; of no others, and never with cookies."""
    if settings.cors is None:
        return app
    return CORSMiddleware(
        app,
        allow_origins=settings.cors.split(","),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "Last-Event-ID",
            "X-Ctxhub-Agent",
        ],
        expose_headers=["ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"],
    )


def _adapters(settings: Settings, hubs: Hubs) -> list[APIRouter]:
    """Return the routes of every adapter; what seals their sessions is derived from the master key."""
    url = settings.base_url
    app = ctxhub_app.AppSettings(secret=_derived(settings, "app"), public_url=url, environ=os.environ)
    chat = ctxhub_chat.ChatSettings(secret=_derived(settings, "chat"), environ=os.environ)
    desk = ctxhub_desk.DeskSettings(secret=SecretStr(_derived(settings, "desk")), public_url=url)
    ivr = ctxhub_ivr.IvrSettings(public_url=url, environ=os.environ)
    return [
        ctxhub_ivr.router(hubs, ivr),
        ctxhub_chat.router(hubs, chat),
        ctxhub_app.router(hubs, app),
        ctxhub_desk.router(hubs, desk),
    ]


def _derived(settings: Settings, purpose: str) -> str:
    """Return a secret for one purpose, the same in every process of the hub."""
    return hmac.new(_master_key(settings), purpose.encode(), hashlib.sha256).hexdigest()


def _master_key(settings: Settings) -> bytes:
    """Return the master key, which a start has made where none was given."""
    if settings.master_key is None:
        raise CannotStart("there is no master key")
    return settings.master_key.get_secret_value().encode()


def ways_of(settings: Settings) -> Ways:
    """Return how the hub works, from its settings."""
    return Ways(
        master_key=_master_key(settings),
        public_url=settings.base_url,
        patience=Patience(settings.lease, settings.grace, settings.silence_of, settings.offer_expires),
        keep=settings.keep,
        deadline=settings.deadline,
        tick=settings.timer_tick,
        relay_lease=settings.relay_lease,
        tenants=settings.tenants,
        checks=CHANNELS,
        keeping=Keeping(settings.keep_closed, settings.keep_open),
        sealing=sealing_of(settings),
        forget_within=settings.forget_within,
        rates=Rates(settings.limit_key, settings.limit_customer, settings.limit_lookup),
        audit=settings.audit == "on",
        audit_keep=settings.audit_keep,
        audit_keep_addresses=settings.audit_keep_addresses,
        anchors=settings.data / "audit",
        environ=os.environ,
        webhook_allow=allowed_of(settings.webhook_allow or ""),
    )


def tracing_of(settings: Settings) -> Tracing | None:
    """Return what makes spans, where the settings say so; only then is anything of it imported."""
    if settings.traces is None:
        return None
    try:
        made: Tracing = import_module("ctxhub.tracing").Tracing(settings.traces)
    except ImportError as error:
        raise CannotStart(f"CTXHUB_TRACES needs {error.name}: install ctxhub[otel]") from error
    except ValueError as error:
        raise CannotStart(f"an OTEL_* variable can't be read: {error}") from error
    return made


def sealing_of(settings: Settings) -> Sealing:
    """Return what seals sensitive values, with the master keys that the settings lead to."""
    if not is_offered(settings.sealing):
        raise CannotStart(f"the cryptography of this machine has no {settings.sealing}: set CTXHUB_SEALING=aes-256-gcm")
    return Sealing(_master_keys(settings), settings.sealing)


def _master_keys(settings: Settings) -> KeyProvider:
    """Return where the epochs' master keys come from."""
    if settings.sealing_keys is not None:
        return GivenKeys(settings.sealing_keys.get_secret_value())
    if settings.sealing_keys_file is not None:
        return KeysFile.made(settings.sealing_keys_file)
    return DerivedKeys(_master_key(settings))


@asynccontextmanager
async def connection(settings: Settings, tracing: Tracing | None = None) -> AsyncIterator[Server]:
    """Connect to the Redis of the settings for as long as the block lasts."""
    if settings.redis_url is None:
        raise CannotStart("there is no Redis to connect to")
    async with connected(
        settings.redis_url,
        settings.partitions,
        connections=settings.redis_connections,
        socket_timeout=settings.socket_timeout.total_seconds(),
        connect_timeout=settings.connect_timeout.total_seconds(),
        replicas=settings.replicas_awaited,
        tracing=tracing,
    ) as server:
        yield server


def _lifespan(
    settings: Settings, stopping: Stopping, hubs: MountedHubs, ways: Ways
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what runs around the application's life."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if ways.tracing is not None:
                stack.push_async_callback(ways.tracing.aclose)
            await _must_fit(settings)
            hub = await stack.enter_async_context(opened(settings, ways))
            if settings.admin_key is not None:
                admin = Principal(tenant=DEFAULT, name="admin", role="admin")
                hub.keys.fix(settings.admin_key.get_secret_value(), admin)
            hubs.attach(hub)
            stack.push_async_callback(hubs.aclose)
            await stack.enter_async_context(hub.working())
            issuer = Issuer.of(settings)
            app.state.tokens = Tokens(issuer, hub.tenants) if issuer is not None else None
            app.state.hub = hub
            await hubs.send_what_was_kept()
            ending = asyncio.create_task(_end_streams(stopping, hub))
            stack.callback(ending.cancel)
            yield

    return lifespan


@asynccontextmanager
async def opened(settings: Settings, ways: Ways | None = None) -> AsyncIterator[Hub]:
    """Open a hub on the Redis and the archive of the settings, which must go together; it does not relay yet."""
    async with AsyncExitStack() as stack:
        ways = ways or ways_of(settings)
        server = await stack.enter_async_context(connection(settings, ways.tracing))
        archive = Archive(settings.archive_url) if settings.archive_url else None
        if archive is not None:
            stack.push_async_callback(archive.aclose)
        hub = Hub(server, ways, archive)
        await founded(hub, settings)
        yield hub


async def founded(hub: Hub, settings: Settings) -> None:
    """Refuse to start on a Redis that was founded with another master key, number of partitions, or archive."""
    partitions, same_key = await hub.keyring.found(hub.ways.master_key)
    if partitions != settings.partitions:
        raise CannotStart(f"this Redis was founded with {partitions} partitions: set CTXHUB_PARTITIONS={partitions}")
    if not same_key:
        raise CannotStart("this Redis was founded with another master key: set CTXHUB_MASTER_KEY to that one")
    await _must_open(hub)
    await _tell_of_newer(hub)
    if hub.archivist is None and await hub.keyring.archive(None):
        raise CannotStart(
            "an archive goes with this Redis: set CTXHUB_ARCHIVE to it; to give it up, run `ctxhub archive part` "
            "once, and whoever is only there is forgotten"
        )
    if hub.archivist is not None:
        with suppress(Unavailable):  # it says so itself; the hub goes on from Redis, and looks again
            await hub.archivist.must_belong_here()
            await hub.archivist.overtake()


async def _must_open(hub: Hub) -> None:
    """Refuse to start without the key under which this Redis seals."""
    masters = hub.sealing.provider.master_keys()
    epoch, proof = await hub.keyring.sealed_with(masters.present, proof_of(masters.by_epoch[masters.present]))
    held = hub.sealing.provider.master_keys(epoch).by_epoch.get(epoch)
    if held is None or proof_of(held) != proof:
        raise CannotStart(
            f"this Redis seals under an epoch {epoch} whose key is not here: bring sealing.keys of its hub into its "
            "place, or set CTXHUB_SEALING_KEYS_FILE to it; if it is lost for good, run `ctxhub epochs lost` once, and "
            "whatever it sealed is gone"
        )


async def _tell_of_newer(hub: Hub) -> None:
    """Say loudly that a newer version wrote here what this one can't read; an upgrade may have both side by side."""
    newest, version = await hub.keyring.keeps(FORMAT, __version__)
    if newest > FORMAT:
        remedy = f"install ctxhub {version} or newer: whom it wrote about is refused here with 503 written_by_newer"
        log.warning("format.unknown", format=newest, known=FORMAT, written_by=version, remedy=remedy)


async def _must_fit(settings: Settings) -> None:
    """Refuse to start on a Redis that can't do, and say loudly what it does not keep or show, as `doctor` does."""
    for finding in await asyncio.to_thread(examine, settings.redis_url or "", settings):
        if finding.verdict == "good":
            continue
        if finding.verdict == "unknown":
            log.warning("redis.unseen", what=finding.name, found=finding.found, remedy=finding.remedy)
            continue
        told = finding.stops == "unless told"
        if finding.stops == "always" or (told and settings.redis_unfit == "refuse"):
            what = f"this Redis will not do: {finding.name}: {finding.found}: {finding.remedy}"
            raise CannotStart(f"{what}; to start all the same set CTXHUB_REDIS_UNFIT=warn" if told else what)
        log.warning("redis.unfit", what=finding.name, found=finding.found, remedy=finding.remedy)


async def _end_streams(stopping: Stopping, hub: Hub) -> None:
    """Let every stream come to its end when the server goes down."""
    await stopping.wait()
    hub.hints.stop()


class MountedHubs:
    """The hub as its mounted adapters reach it: calls in process, streams over loopback."""

    def __init__(self, settings: Settings, stopping: Stopping) -> None:
        self.stopping = stopping
        self.app: ASGIApp | None = None
        self._settings = settings
        self._url = f"http://{address_of(settings.host, settings.port)}"
        self._hub: Hub | None = None
        self._by_tenant: dict[str, ContextHub] = {}

    def attach(self, hub: Hub) -> None:
        """Serve the adapters with this hub."""
        self._hub = hub

    def of(self, tenant: str) -> ContextHub:
        """Return the hub under the adapters' own key for a tenant; every process of this hub knows it."""
        assert self._hub is not None
        if tenant not in self._by_tenant:
            self._hub.tenants.declared(tenant)
            self._by_tenant[tenant] = self._client(tenant, self._hub.keys.of_mounted(tenant))
        return self._by_tenant[tenant]

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        """Return the hub under somebody's own key."""
        return self._any_client().with_key(key, agent_id)

    def tenants(self) -> list[str]:
        """Return the names of the tenants that are served here."""
        assert self._hub is not None
        return self._hub.tenants.names()

    async def of_token(self, token: str) -> str:
        """Return the tenant whose handoff a token stands for; `HandoffUnknown` where that is nobody's."""
        assert self._hub is not None
        tenant = await self._hub.lookups.tenant_of(token)
        if tenant is None:
            raise HandoffUnknown("the token stands for no handoff")
        return tenant

    def _any_client(self) -> ContextHub:
        """Return a client whose connections may be shared."""
        return self.of(DEFAULT)

    def _client(self, tenant: str, key: str) -> ContextHub:
        """Return a client that calls in process; streams can't."""
        assert self.app is not None
        transport = httpx.ASGITransport(app=self.app)
        return ContextHub(
            _IN_PROCESS, key, transport=transport, stream_url=self._url, spool=self._spool(tenant),
            introduces=self._introduces,
        )  # fmt: skip

    def _introduces(self) -> dict[str, str]:
        """Return the header that says from where came what is passed on just now."""
        came = _came.get()
        return {PASSED_ON: self._hub.keys.introduced(came)} if came and self._hub is not None else {}

    def _spool(self, tenant: str) -> SpoolFile:
        """Return where the adapters keep what they can't tell while Redis is away; each worker takes a file."""
        settings = self._settings
        return SpoolFile(
            settings.data / "spool" / tenant / "hub",
            _derived(settings, "spool"),
            of=tenant,
            sync=settings.durability == "safe",
            processes=max(settings.workers, _MOST_BEFORE),
        )

    async def send_what_was_kept(self) -> None:
        """Take up what the adapters kept before the last stop."""
        for folder in sorted((self._settings.data / "spool").glob("*/")):
            try:
                await self.of(folder.name).open()
            except Unknown:
                log.warning("spool.left", folder=str(folder), reason="no tenant of that name is declared")

    async def aclose(self) -> None:
        """Close every client."""
        for client in self._by_tenant.values():
            await client.aclose()
