"""What a key may be narrowed to: one scope for each family of routes."""

from __future__ import annotations

from typing import Literal, get_args

Scope = Literal[
    "audit",
    "commitments",
    "context:read",
    "events:write",
    "handoffs",
    "identity",
    "interactions",
    "keys",
    "numbers",
    "tenant:read",
    "webhooks",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: The family of what stands after `/v1/customers/{customer_id}/`.
_OF_A_CUSTOMER: dict[str, Scope] = {
    "access": "context:read",
    "asks": "context:read",
    "brief": "context:read",
    "context": "context:read",
    "events": "events:write",
    "export": "identity",
    "hold": "identity",
    "identifiers": "identity",
    "interactions": "interactions",
    "journeys": "events:write",
    "merge": "identity",
    "reveal": "context:read",
    "stream": "context:read",
    "timeline": "context:read",
    "unmerge": "identity",
}
#: The family of what stands after `/v1/`.
_OF_A_TENANT: dict[str, Scope] = {
    "agents": "handoffs",
    "audit": "audit",
    "channels": "handoffs",
    "commitments": "commitments",
    "context": "context:read",
    "customers": "identity",
    "handoffs": "handoffs",
    "interactions": "interactions",
    "keys": "keys",
    "numbers": "numbers",
    "queues": "handoffs",
    "tenant": "tenant:read",
    "webhooks": "webhooks",
}
#: A ticket is worth what its maker's key is worth, which is looked at when it is used.
NEEDS_NONE = ("tickets",)


def scope_of(route: str) -> Scope | None:
    """Return the scope that a route, named by its template, asks of a key that has scopes; None where none would do."""
    parts = [*route.split("/"), "", "", ""]
    return _OF_A_CUSTOMER.get(parts[4], _OF_A_TENANT.get(parts[2])) if parts[1] == "v1" else None


def is_within(scopes: frozenset[str], route: str) -> bool:
    """Tell whether a route is within a key's scopes; a route of no family is only for keys without."""
    return not scopes or scope_of(route) in scopes or route.split("/")[2:3] == list(NEEDS_NONE)
