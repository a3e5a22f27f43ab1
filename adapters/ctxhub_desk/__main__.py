"""`python -m ctxhub_desk`: the desk in a process of its own, against a hub elsewhere."""

from __future__ import annotations

import os
import secrets
import sys

from pydantic import SecretStr

from ctxhub.client.alone import Alone, serve_alone
from ctxhub_desk.server import router
from ctxhub_desk.settings import DeskSettings


def _settings(alone: Alone) -> DeskSettings:
    """Seal cookies with the operator's secret; without one agents log in again after a restart."""
    secret = os.environ.get("CTXHUB_DESK_SECRET") or secrets.token_urlsafe(32)
    return DeskSettings(secret=SecretStr(secret), public_url=alone.base_url)


if __name__ == "__main__":
    sys.exit(serve_alone("ctxhub_desk", lambda hubs, alone: router(hubs, _settings(alone))))
