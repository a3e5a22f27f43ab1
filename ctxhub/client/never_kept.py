"""The filter in front of everything that leaves a channel: spool, log and hub get nothing that is never kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from ctxhub.client.transport import Transport, read
from ctxhub.errors import CtxhubError
from ctxhub.model.as_kept import AsKept, as_card
from ctxhub.model.customer import CARD, Identifier
from ctxhub.model.event import Telling
from ctxhub.model.interaction import Start
from ctxhub.model.never_kept import cleaned
from ctxhub.model.number_format import Formats
from ctxhub.model.tenant import Tenant
from ctxhub.model.value import Value

__all__ = ["as_spooled", "events_without", "fields_without", "start_without", "without"]

AnyValue = TypeVar("AnyValue", bound=Value)
_ASKED_WITHIN = 1.0


async def without(transport: Transport, value: Any) -> Any:
    """Return any JSON without what is never kept; numbers in the tenant's formats stay, as far as these are known."""
    clean = cleaned(value, transport.formats or ())
    if clean.findings and transport.formats is None:
        transport.formats = await _formats(transport)
        clean = cleaned(value, transport.formats or ())
    return clean.value


async def _formats(transport: Transport) -> Any:
    """Return the tenant's formats; None while the hub is away, so that they are asked for again."""
    try:
        async with asyncio.timeout(_ASKED_WITHIN):
            return read(Tenant, await transport.get("/v1/tenant")).formats
    except (CtxhubError, TimeoutError):
        return None


async def events_without(transport: Transport, events: Sequence[Telling]) -> list[Telling]:
    """Return events without what is never kept."""
    return [await fields_without(transport, event, "data") for event in events]


async def fields_without(transport: Transport, value: AnyValue, *fields: str) -> AnyValue:
    """Return a value with some of its fields cleaned; the same one where there was nothing."""
    said = {name: getattr(value, name) for name in fields if getattr(value, name) is not None}
    clean = await without(transport, said)
    changed = {name: kept for name, kept in clean.items() if kept is not said[name] and kept != said[name]}
    return value.but(**changed) if changed else value


async def start_without(transport: Transport, start: Start) -> Start:
    """Return a start without what is never kept, its card numbers as cards; `Invalid` where a name holds one."""
    walk = AsKept(transport.formats or (), _for_the_hub)
    clean = walk.of(start)
    if walk.findings and transport.formats is None:
        transport.formats = await _formats(transport)
        clean = AsKept(transport.formats or (), _for_the_hub).of(start)
    return clean


def _for_the_hub(identifier: Identifier) -> Identifier:
    """Return an identifier in which a card number stands as it is: only the hub can hide that and find it again."""
    return identifier


def as_spooled(start: Start, formats: Formats = ()) -> Start:
    """Return a start as it may stand in a file: without card numbers, which only the hub can make unreadable."""
    judged = [as_card(identifier, formats) for identifier in start.identifiers]
    rest = [identifier for identifier in judged if identifier is not None and identifier.type != CARD]
    return start if len(rest) == len(start.identifiers) else start.but(identifiers=rest)
