"""`ctxhub serve`: run hub, adapters and desk."""

from __future__ import annotations

import argparse

from ctxhub.commands.places import settings_of
from ctxhub.serving import serve


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    return serve(settings_of(arguments))
