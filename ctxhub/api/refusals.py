"""How each call may be answered beside well: told from what its route takes and does, so that nobody keeps a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from ctxhub.errors import CtxhubError, every_error

PROBLEM = "application/problem+json"
_BODIES = {"POST", "PUT", "PATCH", "DELETE"}
_TEXT = {"type": "string"}
_SECONDS = {"description": "How many seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
_HEADERS: dict[int, dict[str, Any]] = {
    304: {"ETag": {"description": "The version that the caller holds.", "schema": _TEXT}},
    308: {"Location": {"description": "The same call at where it lives now.", "required": True, "schema": _TEXT}},
    401: {"WWW-Authenticate": {"description": "How to bring a key.", "required": True, "schema": _TEXT}},
    412: {"ETag": {"description": "The present version.", "required": True, "schema": _TEXT}},
    429: {
        "Retry-After": _SECONDS,
        "RateLimit": {"description": "Which limit was met, where it is one of calls.", "schema": _TEXT},
        "RateLimit-Policy": {"description": "How many calls in how many seconds that limit allows.", "schema": _TEXT},
    },
    503: {"Retry-After": _SECONDS},
}


class Does(NamedTuple):
    """What of a route decides how it may be refused."""

    is_ours: bool
    may_carry: bool
    takes_body: bool
    names_customer: bool
    names_anything: bool
    has_state: bool
    holds_conditions: bool
    knows_versions: bool


def does(route: APIRoute) -> Does:
    """Look at a route: its path, its methods, what it takes, and which steps its function calls."""
    steps = set(route.endpoint.__code__.co_names)
    names_customer = "{customer_id}" in route.path
    holds_conditions = "conditions_of" in steps
    finds = "{handoff_id}" in route.path or route.path.endswith("/lookup")
    return Does(
        is_ours=route.path.startswith("/v1/"),
        may_carry=bool(_methods(route) & _BODIES),
        takes_body=route.body_field is not None,
        names_customer=names_customer,
        names_anything="{" in route.path or holds_conditions or finds,
        has_state=names_customer or holds_conditions or finds,
        holds_conditions=holds_conditions,
        knows_versions=bool(steps & {"context_answer", "is_held"}),
    )


def _methods(route: APIRoute) -> set[str]:
    """Return the methods of a route."""
    return route.methods or set()


#: When a status may come. What the borders refuse may come of any call.
WHEN: dict[int, Callable[[Does], bool]] = {
    304: lambda route: route.knows_versions,
    308: lambda route: route.names_customer,
    400: lambda route: route.takes_body,
    401: lambda route: route.is_ours,
    403: lambda route: route.is_ours,
    404: lambda route: route.names_anything,
    408: lambda route: route.may_carry,
    409: lambda route: route.has_state,
    410: lambda route: route.has_state,
    412: lambda route: route.holds_conditions,
    413: lambda route: route.may_carry,
    415: lambda route: route.may_carry and route.is_ours,
    422: lambda route: True,
    429: lambda route: route.is_ours,
    431: lambda route: True,
    503: lambda route: True,
}


def describe(document: dict[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Put every refusal into an OpenAPI document, each described once and named where it may come."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _problem_schema()
    components["responses"] = {_name(status): _response(status) for status in WHEN}
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in _methods(route):
                _with_refusals(document["paths"][route.path_format][method.lower()], does(route))


def _with_refusals(operation: dict[str, Any], route: Does) -> None:
    """Say of one operation how it may be refused."""
    operation["responses"].pop("422", None)
    for status, may_come in WHEN.items():
        if may_come(route):
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}


def _name(status: int) -> str:
    """Return what the answer of a status is called among the components."""
    return f"Answer{status}"


def _response(status: int) -> dict[str, Any]:
    """Describe what comes with a status."""
    if status == 304:
        return {"description": "The caller holds this version already.", "headers": _HEADERS[304]}
    errors = [error for error in every_error() if error.status == status]
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": [error.code for error in errors]}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    found: dict[str, Any] = {"description": f"{errors[0].title}.", "content": {PROBLEM: {"schema": schema}}}
    if status == 308:
        # Who only reads is sent on, which is no problem.
        found["content"]["application/json"] = {"schema": {"type": "object", "properties": {"customer_id": _TEXT}}}
    return found | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _problem_schema() -> dict[str, Any]:
    """Describe problem documents, with every code that there is."""
    codes = [error.code for error in every_error() if error is not CtxhubError]
    fault = {"type": "object", "properties": {"pointer": _TEXT, "detail": _TEXT}}
    return {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "remedy"],
        "properties": {
            "type": _TEXT | {"format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "code": _TEXT | {"enum": codes},
            "detail": _TEXT,
            "remedy": _TEXT,
            "errors": {"type": "array", "items": fault},
        },
    }
