"""Routes of API keys: making, listing, replacing and revoking them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from ctxhub.api.calls import Admin, HubHere, Route, answer
from ctxhub.errors import Forbidden
from ctxhub.hub.keys import OVERLAP, Principal
from ctxhub.hub.tenants import DEFAULT
from ctxhub.model.disclosure import Role
from ctxhub.model.scope import Scope
from ctxhub.model.value import Channel, Id, Instant, Level, Name, TenantId, Value

router = APIRouter(prefix="/v1", tags=["tenant"], route_class=Route)

_LONGEST_OVERLAP = 30 * 86400
_TWICE_IS_ONCE = Field(json_schema_extra={"uniqueItems": False})
_OF = Annotated[TenantId | None, Query(description="Whose key; unset: the caller's tenant's.")]
_NAME = Annotated[Name, Path(description="The key's name.")]


class KeyBody(Value):
    """A key to be made: for the caller's tenant, or, by the default tenant's admin, for any.

    `level` is the highest assurance that it may assert, `methods` how; without them it may by any.
    """

    name: Name
    role: Role
    agent: Id | None = None
    tenant: TenantId | None = None
    scopes: Annotated[frozenset[Scope], _TWICE_IS_ONCE] = frozenset()
    channels: Annotated[frozenset[Channel], _TWICE_IS_ONCE] = frozenset()
    queues: Annotated[frozenset[Name], _TWICE_IS_ONCE] = frozenset()
    level: Level = 3
    methods: Annotated[list[Name], Field(max_length=32)] | None = None
    expires_at: Instant | None = None


class RotateBody(Value):
    """How many seconds the key before stays valid."""

    overlap: Annotated[int, Field(ge=0, le=_LONGEST_OVERLAP)] = round(OVERLAP.total_seconds())


class Key(Value):
    """A new key; it is shown this once."""

    key_id: str
    key: str


class KeyShown(Value):
    """A key as it is listed: everything but the key."""

    tenant: TenantId
    name: Name
    role: Role
    agent: Id | None
    scopes: frozenset[Scope] | None
    channels: frozenset[Channel] | None
    queues: frozenset[Name] | None
    level: Level | None
    methods: list[Name] | None
    key_id: str
    created_at: Instant
    expires_at: Instant | None
    last_used: Instant | None


class KeysShown(Value):
    """All keys of a tenant, by name."""

    keys: list[KeyShown]


def _whose(caller: Principal, tenant: str | None) -> str:
    """Return the tenant whose keys are meant; those of others are for the default tenant's admin."""
    if tenant not in (None, caller.tenant) and caller.tenant != DEFAULT:
        raise Forbidden("only the default tenant's admin makes keys for other tenants")
    return tenant or caller.tenant


@router.post("/keys", response_model=Key, status_code=201)
async def make_key(body: KeyBody, hub: HubHere, caller: Admin) -> Response:
    """Make a key that may no more than the caller's; it is shown this once."""
    body = hub.never_kept.said(caller.tenant, body)
    parts = ("scopes", "channels", "queues", "level", "methods")
    narrowed: dict[str, Any] = {part: getattr(body, part) for part in parts}
    tenant = _whose(caller, body.tenant)
    made = await hub.keys.create(tenant, body.name, body.role, body.agent, body.expires_at, caller, **narrowed)
    return answer(made._asdict(), status=201)


@router.get("/keys", response_model=KeysShown)
async def list_keys(hub: HubHere, caller: Admin, tenant: _OF = None) -> Response:
    """List keys, with their ids, which stand in them after `ctx_`, and when each was last used."""
    return answer({"keys": await hub.keys.list(_whose(caller, tenant))})


@router.post("/keys/{name}/rotate", response_model=Key, status_code=201)
async def rotate_key(name: _NAME, body: RotateBody, hub: HubHere, caller: Admin, tenant: _OF = None) -> Response:
    """Make a new key in a key's place; the one before stays valid for the overlap."""
    made = await hub.keys.rotate(_whose(caller, tenant), name, timedelta(seconds=body.overlap), caller)
    return answer(made._asdict(), status=201)


@router.delete("/keys/{name}", status_code=204)
async def revoke_key(name: _NAME, hub: HubHere, caller: Admin, tenant: _OF = None) -> Response:
    """Let a key no longer be valid; within two seconds no process takes it."""
    await hub.keys.revoke(_whose(caller, tenant), name)
    return Response(status_code=204)
