"""Running one adapter in a process of its own, against a hub elsewhere."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from ctxhub.client.hub import ContextHub
from ctxhub.client.hubs import Hubs, Stopping
from ctxhub.client.sealed import own_secret
from ctxhub.client.spool import SpoolFile
from ctxhub.errors import Unknown
from ctxhub.garbage import settle
from ctxhub.model.value import TenantId

__all__ = ["Alone", "MakeRouter", "serve_alone"]

_REQUESTS_FINISH_WITHIN = 2
_KEEP_ALIVE = 65  # longer than clients keep an idle connection: the one who may send should be the one who closes
_MOST_KEYS = 1000
#: FastAPI would tell the paths of requests, which name customers, to whatever else makes spans in this process.
_UNTOLD: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_MOST_PROCESSES = 16
_SECRETS = ("key", "spool_secret")


class Alone(BaseModel):
    """What an adapter is told when it runs alone; each field is also the environment variable `CTXHUB_<FIELD>`."""

    model_config = ConfigDict(frozen=True)

    url: str = Field("http://127.0.0.1:8080", description="The hub's address.")
    key: str = Field(min_length=1, repr=False, description="The adapter's own key; never given on the command line.")
    tenant: TenantId = Field("default", description="The key's tenant.")
    public_url: str | None = Field(None, description="Where the channel and customers reach the adapter.")
    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8081, description="The port to listen on; 0 takes a free one.")
    data: Path = Field(Path("ctxhub-data"), description="The folder for what the adapter keeps while the hub is away.")
    spool: Literal["on", "off"] = Field("on", description="Whether it keeps anything; off: it writes no file.")
    spool_secret: SecretStr | None = Field(
        None, description="What seals that; unset: made at first start in <data>/spool.key. Not on the command line."
    )

    @property
    def base_url(self) -> str:
        """The address that links and signatures are built from: the public one, else the one listened on."""
        return (self.public_url or f"http://{_reachable(self.host)}:{self.port}").rstrip("/")


#: Builds an adapter's routes, from the hub and from what it is told when it runs alone.
MakeRouter = Callable[[Hubs, Alone], APIRouter]


def serve_alone(name: str, make_router: MakeRouter, argv: Sequence[str] | None = None) -> int:
    """Serve one adapter until told to stop; the exit code.

    Prints `<name> ready http://host:port` when it answers. On SIGTERM its streams are told and it is gone within 5 s.
    """
    try:
        alone = _told(name, argv, os.environ)
        listener = _listening(alone)
        alone = alone.model_copy(update={"port": listener.getsockname()[1]})
        hub = ContextHub(alone.url, alone.key, spool=_spool(name, alone))
    except (ValueError, OSError) as error:
        print(f"{name} can't start: {_in_one_line(error)}", file=sys.stderr)
        return 2
    stopping = Stopping()
    app = _app(hub, make_router(_OneHub(hub, alone.tenant, stopping), alone))
    _Server(app, stopping, ready=f"{name} ready http://{_reachable(alone.host)}:{alone.port}").run([listener])
    return 0


class _OneHub:
    """The hubs of an adapter that runs alone: one tenant's."""

    def __init__(self, hub: ContextHub, tenant: str, stopping: Stopping) -> None:
        self._hub = hub
        self._tenant = tenant
        self._stopping = stopping
        self._with_key = lru_cache(_MOST_KEYS)(hub.with_key)

    @property
    def stopping(self) -> Stopping:
        """Set when the server is going down."""
        return self._stopping

    def of(self, tenant: str) -> ContextHub:
        """Return the hub under the adapter's own key; other tenants are unknown here."""
        if tenant != self._tenant:
            raise Unknown(f"there is no tenant {tenant} here", tenant=tenant)
        return self._hub

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        """Return the hub under somebody's own key."""
        return self._with_key(key, agent_id)

    def tenants(self) -> list[str]:
        """Return the one tenant."""
        return [self._tenant]

    async def of_token(self, token: str) -> str:
        """Return the one tenant: another's tokens are unknown to its hub."""
        return self._tenant


class _Server(uvicorn.Server):
    """Serves until told to stop, and then tells the streams, which uvicorn would wait for in vain."""

    def __init__(self, app: FastAPI, stopping: Stopping, ready: str) -> None:
        config = uvicorn.Config(
            app,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_REQUESTS_FINISH_WITHIN,
        )
        super().__init__(config)
        self._stopping = stopping
        self._ready = ready

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: streams say goodbye, requests finish; being asked is no failure."""
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        settle()
        print(self._ready, flush=True)


def _spool(name: str, alone: Alone) -> SpoolFile | None:
    """Return where the adapter keeps what it can't tell; several processes of it share the folder."""
    if alone.spool == "off":
        return None
    secret = alone.spool_secret or own_secret(alone.data / "spool.key")
    path = alone.data / "spool" / name
    return SpoolFile(path, secret.get_secret_value(), of=alone.tenant, processes=_MOST_PROCESSES)


async def _metrics() -> Response:
    """Say what is counted, for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _app(hub: ContextHub, router: APIRouter) -> FastAPI:
    """Mount an adapter's routes, and `/metrics`; the hub's connections are closed when serving ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with hub:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, telemetry=_UNTOLD)
    app.include_router(router)
    app.add_api_route("/metrics", _metrics)
    return app


def _told(name: str, argv: Sequence[str] | None, environ: Mapping[str, str]) -> Alone:
    """Read what the adapter is told: by the environment, or rather by the command line."""
    parser = argparse.ArgumentParser(prog=name, description="Serves one channel, against a hub elsewhere.")
    for field, info in Alone.model_fields.items():
        if field not in _SECRETS:
            parser.add_argument(f"--{field.replace('_', '-')}", help=f"{info.description} CTXHUB_{field.upper()}")
    given: dict[str, Any] = {field: environ.get(f"CTXHUB_{field.upper()}") for field in Alone.model_fields}
    given |= {field: value for field, value in vars(parser.parse_args(argv)).items() if value is not None}
    return Alone.model_validate({field: value for field, value in given.items() if value})


def _listening(alone: Alone) -> socket.socket:
    family = socket.AF_INET6 if ":" in alone.host else socket.AF_INET
    return socket.create_server((alone.host, alone.port), family=family)


def _reachable(host: str) -> str:
    """Write a host as a URL wants it; a wildcard becomes one that can be connected to."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{reachable}]" if ":" in reachable else reachable


def _in_one_line(error: Exception) -> str:
    """Say which variable is wrong and why; values are not repeated, for one is a secret."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"CTXHUB_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
