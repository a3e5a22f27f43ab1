"""A hub without its guards, to measure what they cost: whoever calls is the admin, is shown all, and leaves no trace.

No key is looked at, nothing is masked or withheld, and, with `CTXHUB_AUDIT=off`, nothing is noted. Everything else is
the same: server, routes, limits, headers, metrics, store. `python -m tests.bench.bare --port N --data FOLDER` runs it.
"""

from __future__ import annotations

import os
import sys

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from ctxhub.client import Stopping
from ctxhub.hub.keys import Principal
from ctxhub.server import create_app
from ctxhub.serving import serve
from ctxhub.settings import Settings

_ANYBODY = Principal(tenant="default", name="anybody", role="admin")


async def _anybody(_: str) -> Principal:
    """Return the admin, whatever key is brought."""
    return _ANYBODY


class Bare:
    """Passes all requests on to a hub that takes every key for the admin's."""

    def __init__(self, app: ASGIApp, whole: FastAPI) -> None:
        self._app = app
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            self._whole.state.hub.keys.principal = _anybody
        await self._app(scope, receive, send)


def create_bare_app(settings: Settings, stopping: Stopping) -> ASGIApp:
    """Return the hub with its guards taken off."""
    app = inner = create_app(settings, stopping)
    while not isinstance(inner, FastAPI):
        inner = inner._app  # type: ignore[attr-defined]
    return Bare(app, inner)


if __name__ == "__main__":
    given = dict(zip([name.removeprefix("--") for name in sys.argv[1::2]], sys.argv[2::2], strict=True))
    sys.exit(serve(Settings.from_env(os.environ, **given), "tests.bench.bare:create_bare_app"))
