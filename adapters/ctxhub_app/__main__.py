"""`python -m ctxhub_app`: the app's adapter in a process of its own, against a hub elsewhere."""

from __future__ import annotations

import os
import sys

from ctxhub.client.alone import Alone, serve_alone
from ctxhub_app.server import router
from ctxhub_app.settings import AppSettings


def _settings(alone: Alone) -> AppSettings:
    """Seal sessions by the adapter's key, which all processes that serve one app have."""
    return AppSettings(secret=alone.key, public_url=alone.base_url, environ=os.environ)


if __name__ == "__main__":
    sys.exit(serve_alone("ctxhub_app", lambda hubs, alone: router(hubs, _settings(alone))))
