"""A hub in this process whose keys and tokens go by a clock in hand."""

from __future__ import annotations

import time
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from ctxhub.api.auth import Issuer, Tokens


class Times:
    """A clock for keys and tokens that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def trust(app: ASGIApp, issuer: Issuer) -> Times:
    """Let a living application take the tokens of an issuer, with nothing read yet; return the clock it goes by."""
    times, inner = Times(), _under_its_guards(app)
    inner.state.tokens = Tokens(issuer, inner.state.hub.tenants, times, times)
    return times


def _under_its_guards(app: Any) -> FastAPI:
    """Return the application that holds the state; what guards it stands around it."""
    return app if isinstance(app, FastAPI) else _under_its_guards(app._app)
