"""Routes of customers and the tenant's declarations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from ctxhub.api.calls import (
    Admin,
    HubHere,
    Onlooker,
    Route,
    SearchingWorker,
    Worker,
    answer,
    conditions_of,
    who_of,
    worked_for,
)
from ctxhub.hub import asserting
from ctxhub.model.customer import Identifier
from ctxhub.model.tenant import Tenant
from ctxhub.model.value import CustomerId, Id, Value

router = APIRouter(prefix="/v1", tags=["customers"], route_class=Route)


class IdentifierBody(Value):
    """One identifier."""

    identifier: Identifier


class Linked(Identifier):
    """An identifier, and the interaction in which the customer claims it; without one it is the company's own word."""

    interaction_id: Id | None = None


class Customer(Value):
    """A customer's id."""

    customer_id: CustomerId


class Identifiers(Value):
    """What leads to a customer, as far as the caller's context shows it, and what he has just said."""

    identifiers: list[Identifier]


@router.post("/customers/lookup", response_model=Customer)
async def lookup(body: IdentifierBody, hub: HubHere, caller: SearchingWorker) -> Response:
    """Find a customer by an identifier; 409 without ids where it leads to several."""
    who = await hub.customers.lookup(caller.tenant, hub.never_kept.said(caller.tenant, body).identifier)
    return answer({"customer_id": who.customer_id})


@router.post("/customers/{customer_id}/identifiers", response_model=Identifiers)
async def add_identifier(customer_id: str, body: Linked, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Let an identifier lead to a customer; one that is claimed below level 2 stays its interaction's own."""
    asserting.identifiers(caller, [body])
    who, conditions = await worked_for(request, caller, customer_id), await conditions_of(request, caller)
    body = hub.never_kept.said(caller.tenant, body)
    named = Identifier(type=body.type, value=body.value, strength=body.strength, index=body.index, ref=body.ref)
    held, version = await hub.customers.add_identifier(who, named, conditions, body.interaction_id, caller)
    return answer({"identifiers": _written(held)}, version)


@router.delete("/customers/{customer_id}/identifiers", response_model=Identifiers)
async def remove_identifier(
    customer_id: str, body: Identifier, request: Request, hub: HubHere, caller: Worker
) -> Response:
    """Let an identifier no longer lead to a customer."""
    who, conditions = await worked_for(request, caller, customer_id), await conditions_of(request, caller)
    said = hub.never_kept.said(caller.tenant, body)
    held, version = await hub.customers.remove_identifier(who, said, conditions, caller)
    return answer({"identifiers": _written(held)}, version)


def _written(shown: list[Identifier]) -> list[dict[str, Any]]:
    """Write what leads to a customer."""
    return [identifier.model_dump(mode="json") for identifier in shown]


@router.delete("/customers/{customer_id}")
async def forget(customer_id: str, request: Request, hub: HubHere, caller: Admin) -> Response:
    """Erase a customer from the hub; answers with a receipt of what was erased."""
    conditions = await conditions_of(request, caller)
    return answer(await hub.customers.forget(who_of(caller, customer_id), conditions))


@router.get("/tenant", response_model=Tenant, tags=["tenant"])
async def tenant(hub: HubHere, caller: Onlooker) -> Response:
    """Read what the tenant declares, its agents for colleagues only; secrets stand in it by names of variables."""
    return answer(hub.tenants.of(caller.tenant).shown(caller.is_colleague).model_dump_json().encode())
