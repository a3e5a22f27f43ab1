"""A machine that knows nothing of the hub but its description: it calls whatever that allows, and checks what comes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from tests.api.living import ADMIN_KEY, http_to

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
BASE = "http://hub.test"


class Machine:
    """Makes calls of operations, the same in every run, and checks each answer against the description."""

    def __init__(self, app: ASGIApp, description: dict[str, Any], examples: int) -> None:
        self._app = app
        self._examples = examples
        # Every call brings the key; who may do what without it is another test's.
        keyed = {name: said for name, said in description.items() if name != "security"}
        self._schema = openapi.from_dict(keyed)
        self._made: dict[tuple[str, str], list[Case[Any]]] = {}

    def cases(self, path: str, method: str) -> list[Case[Any]]:
        """Some calls of an operation such as are allowed."""
        if (path, method) not in self._made:
            self._made[path, method] = list(self._generated(path, method))
        return self._made[path, method]

    def _generated(self, path: str, method: str) -> list[Case[Any]]:
        found: list[Case[Any]] = []

        @seed(20261128)
        @settings(max_examples=self._examples, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=self._schema[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
        def collect(case: Case[Any]) -> None:
            found.append(case)

        collect()
        return found

    async def call(self, case: Case[Any]) -> Any:
        """Call, check what comes, and return it."""
        said = case.as_transport_kwargs(base_url=BASE)
        key = {"Authorization": f"Bearer {ADMIN_KEY}"}
        kept = {name: said[name] for name in ("params", "json", "content") if said.get(name) is not None}
        if isinstance(said.get("data"), bytes | str):
            kept["content"] = said["data"]
        async with http_to(self._app) as http:
            response = await http.request(
                said["method"], said["url"], headers=dict(said["headers"] or {}) | key, **kept
            )
        case.validate_response(response, checks=CHECKS)
        return response
