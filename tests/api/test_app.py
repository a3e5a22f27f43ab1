"""The description of the API, and what a machine that reads it finds."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from ctxhub.errors import every_error
from tests.api.living import ADMIN_KEY, http_to
from tests.api.scenes import Caller, ok
from tests.api.test_roles import MAY

EXAMPLES = 12


@pytest.fixture(scope="session")
async def description(http: httpx.AsyncClient) -> dict[str, Any]:
    """The description as it is served."""
    return ok(await http.get("/openapi.json"))


async def test_the_description_is_valid_openapi_3_1(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(description).validate()


async def test_every_route_says_what_it_does_what_it_answers_and_how_it_refuses(description: dict[str, Any]) -> None:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}, where
            assert "422" not in operation["responses"], where


async def test_every_code_of_a_problem_is_described(description: dict[str, Any]) -> None:
    described = description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert set(described) >= {error.code for error in every_error()} - {"error"}
    assert len(described) == len(set(described))


async def test_examples_of_the_description_are_accepted(description: dict[str, Any], adapter: Caller) -> None:
    shown = 0
    for name, schema in description["components"]["schemas"].items():
        for example in schema.get("examples", []):
            shown += 1
            answer = await adapter.post(where_it_goes(description, name), example)
            assert answer.status_code in (200, 201, 404), (name, answer.text)
    assert shown >= 4


def where_it_goes(description: dict[str, Any], schema: str) -> str:
    """The route that takes a body of this schema, with a customer nobody knows."""
    wanted = {"$ref": f"#/components/schemas/{schema}"}
    for path, operations in description["paths"].items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {})
        if body.get("application/json", {}).get("schema") == wanted:
            return str(path).replace("{customer_id}", "nobody-at-all")
    raise AssertionError(f"no route takes {schema}")


async def test_the_page_of_the_api_needs_no_other_host(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/handoffs" in page.text
    fetched = re.findall(r'(?:src|href|action)\s*=\s*"([^"]*)"', page.text) + re.findall(r"url\(([^)]*)\)", page.text)
    assert not [where for where in fetched if re.match(r"(?:https?:)?//", where)]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for where in {where.partition("#")[0] for where in fetched if not where.startswith("data:")} - {""}:
        assert (await http.get(httpx.URL("http://hub.test/docs").join(where))).status_code == 200, where


@pytest.fixture(scope="session")
def machine(app: ASGIApp, description: dict[str, Any]) -> Machine:
    """A caller who knows nothing but the description."""
    return Machine(app, description)


class Machine:
    """Calls the hub with whatever its description allows, and checks what comes back against it."""

    def __init__(self, app: ASGIApp, description: dict[str, Any]) -> None:
        self._app = app
        self._schema = schemathesis.openapi.from_dict(description)

    def cases(self, path: str, method: str) -> list[schemathesis.Case[Any]]:
        """Some calls of an operation, the same in every run."""
        found: list[schemathesis.Case[Any]] = []

        @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=self._schema[path][method].as_strategy())
        def collect(case: schemathesis.Case[Any]) -> None:
            found.append(case)

        collect()
        return found

    async def call(self, case: schemathesis.Case[Any]) -> None:
        """Call, and check what comes."""
        said = case.as_transport_kwargs(base_url="http://hub.test")
        key = {"Authorization": f"Bearer {ADMIN_KEY}"}
        kept = {name: said[name] for name in ("params", "json", "content") if said.get(name) is not None}
        if isinstance(said.get("data"), bytes | str):
            kept["content"] = said["data"]
        async with http_to(self._app) as http:
            response = await http.request(
                said["method"], said["url"], headers=dict(said["headers"] or {}) | key, **kept
            )
        checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
        case.validate_response(response, checks=checks)


@pytest.mark.parametrize(("method", "path"), [route for route in MAY if not route[1].endswith("/stream")])
async def test_whatever_the_description_allows_is_answered_as_it_says(machine: Machine, method: str, path: str) -> None:
    cases = machine.cases(path, method)
    assert cases
    for case in cases:
        await machine.call(case)
