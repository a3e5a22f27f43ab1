"""From where a call came: the address at its other end, or the one that an adapter mounted beside the hub passes on."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import Request

from ctxhub.hub.hub import Hub

__all__ = ["PASSED_ON", "Source", "source_of"]

#: The header by which an adapter passes on from where a call came; worth nothing without the hub's own seal.
PASSED_ON = "X-Ctxhub-From"
_LONGEST = 64
_PASSED_ON = PASSED_ON.lower().encode()


class Source(NamedTuple):
    """From where a call came; and where an adapter passes on a customer's, the customer's address, to be forgotten."""

    address: str | None
    customers: str | None = None


def source_of(hub: Hub, request: Request) -> Source:
    """Return from where a call came."""
    for name, said in request.scope["headers"]:
        if name == _PASSED_ON:
            came = hub.keys.introduced_from(said.decode("latin-1"))
            if came is None:
                break
            return Source(_peer(request), came.address) if came.is_customers else Source(came.address)
    return Source(_peer(request))


def _peer(request: Request) -> str | None:
    """Return the address at the other end."""
    client = request.scope.get("client")
    return str(client[0])[:_LONGEST] if client else None
