"""`python -m ctxhub_chat`: the chat in a process of its own, against a hub elsewhere."""

from __future__ import annotations

import os
import sys

from ctxhub.client.alone import Alone, serve_alone
from ctxhub_chat.server import ChatSettings, router


def _settings(alone: Alone) -> ChatSettings:
    """Seal sessions by the adapter's key, which all processes that serve one chat have."""
    return ChatSettings(secret=alone.key, environ=os.environ)


if __name__ == "__main__":
    sys.exit(serve_alone("ctxhub_chat", lambda hubs, alone: router(hubs, _settings(alone))))
