"""What an operator does on the command line, as the audit trail tells it."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ctxhub.model.audit import Entry


def by_operator(deed: str, about: Mapping[str, Any]) -> Entry:
    """Return the line of what was done by whoever has the hub's own secrets."""
    by = getpass.getuser()
    return Entry(at=datetime.now(UTC), action=deed, by=by, role="operator", about=dict(about), source="command line")
