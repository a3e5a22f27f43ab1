"""What an operator does on the command line, as the audit trail tells it."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ctxhub.model.audit import Entry, text_of

if TYPE_CHECKING:
    from ctxhub.hub.hub import Hub


def by_operator(deed: str, about: Mapping[str, Any]) -> Entry:
    """Return the line of what was done by whoever has the hub's own secrets."""
    by = getpass.getuser()
    return Entry(at=datetime.now(UTC), action=deed, by=by, role="operator", about=dict(about), source="command line")


async def tell(
    hub: Hub, deed: str, about: Mapping[str, Any], tenant: str | None = None, customer_id: str | None = None
) -> None:  # fmt: skip
    """Note what an operator does of a customer, or of a tenant; what concerns all stands in the trail of each."""
    entry = by_operator(deed, about)
    for name in [tenant] if tenant else sorted({*hub.tenants.names(), *await hub.audit.tenants()}):
        customer = hub.audit.pseudonym(name, customer_id) if customer_id else None
        await hub.audit.note(name, text_of(entry.but(customer=customer)))
