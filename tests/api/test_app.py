"""The description of the API, and what a machine that reads it finds."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ctxhub.errors import every_error
from tests.api.scenes import Caller, ok


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
            refusals = {status: said for status, said in operation["responses"].items() if not status.startswith("2")}
            assert refusals.keys() >= {"422", "503"}, where
            assert "default" not in refusals, where
            assert {said["$ref"] for said in refusals.values()} == {
                f"#/components/responses/Answer{s}" for s in refusals
            }


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
