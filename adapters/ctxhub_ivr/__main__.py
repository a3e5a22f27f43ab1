"""`python -m ctxhub_ivr`: the telephone menu in a process of its own, against a hub elsewhere."""

from __future__ import annotations

import os
import sys

import structlog
from fastapi import APIRouter

from ctxhub.client import Hubs
from ctxhub.client.alone import Alone, serve_alone
from ctxhub_ivr import IvrSettings, router


def _make_router(hubs: Hubs, alone: Alone) -> APIRouter:
    return router(hubs, IvrSettings(public_url=alone.base_url, environ=os.environ))


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the ready line
    sys.exit(serve_alone("ctxhub_ivr", _make_router))
