"""Where an answer leads on to: OpenAPI links from the calls that begin something to all calls that go on with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Known = Mapping[str, str]

_BEGUN = {"customer_id": "$response.body#/customer_id", "interaction_id": "$response.body#/interaction/interaction_id"}
_OFFERED = {"handoff_id": "$response.body#/handoff/handoff_id"}

#: What an answer names that other calls ask for, and where it stands in it.
NAMES: dict[tuple[str, str], Known] = {
    ("post", "/v1/interactions"): _BEGUN,
    ("post", "/v1/handoffs/redeem"): _BEGUN,
    ("post", "/v1/handoffs"): _OFFERED | {"token": "$response.body#/handoff/token"},
    ("post", "/v1/handoffs/{handoff_id}/accept"): _OFFERED
    | {"fence": "$response.body#/fence", "agent_id": "$request.body#/agent_id"},
}


def lead_on(document: dict[str, Any]) -> None:
    """Put the links into an OpenAPI document: each call that is reached by what an answer names, with all of it."""
    for (method, path), known in NAMES.items():
        operation = document["paths"][path][method]
        links = dict(_links(document, known))
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                answer["links"] = links


def _links(document: dict[str, Any], known: Known) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a link to every operation whose path, query or body asks for what is known."""
    for item in document["paths"].values():
        for operation in item.values():
            parameters = dict(_asked_for(operation, known))
            body = {name: known[name] for name in _body_names(document, operation) if name in known}
            if (parameters or body) and _is_reached(operation, parameters):
                yield operation["operationId"], _link(operation, parameters, body)


def _asked_for(operation: dict[str, Any], known: Known) -> Iterator[tuple[str, str]]:
    """Yield the parameters of an operation that are known."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in known:
            yield f"{parameter['in']}.{parameter['name']}", known[parameter["name"]]


def _is_reached(operation: dict[str, Any], parameters: dict[str, str]) -> bool:
    """Tell whether nothing of the path is left open."""
    wanted = {f"path.{one['name']}" for one in operation.get("parameters", ()) if one["in"] == "path"}
    return wanted <= parameters.keys()


def _body_names(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the fields at the top of an operation's body."""
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    schema = document["components"]["schemas"].get(reference.rpartition("/")[2], {})
    yield from schema.get("properties", ())


def _link(operation: dict[str, Any], parameters: dict[str, str], body: dict[str, str]) -> dict[str, Any]:
    """Return one link."""
    found: dict[str, Any] = {"operationId": operation["operationId"]}
    return found | ({"parameters": parameters} if parameters else {}) | ({"requestBody": body} if body else {})
