"""A machine that knows nothing of the hub but its description: it calls whatever that allows, and checks what comes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from tests.api.living import ADMIN_KEY, http_to

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection,
]  # fmt: skip
BASE = "http://hub.test"
#: What is refused for its state, its reader or its target is refused well too.
_CONFIG = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "410", "412", "413", "415", "422", "429", "431"]
"""


class Machine:
    """Makes calls of operations, the same in every run, and checks each answer against the description."""

    def __init__(self, app: ASGIApp, description: dict[str, Any], examples: int) -> None:
        self._app = app
        self._examples = examples
        # Every call brings the key; who may do what without it is another test's.
        keyed = {name: said for name, said in description.items() if name != "security"}
        self._schema = openapi.from_dict(keyed, config=SchemathesisConfig.from_str(_CONFIG))
        self._made: dict[tuple[str, str, GenerationMode], list[Case[Any]]] = {}

    def cases(self, path: str, method: str, mode: GenerationMode = GenerationMode.POSITIVE) -> list[Case[Any]]:
        """Some calls of an operation: such as are allowed, or such as are not."""
        if (path, method, mode) not in self._made:
            self._made[path, method, mode] = list(self._generated(path, method, mode))
        return self._made[path, method, mode]

    def _generated(self, path: str, method: str, mode: GenerationMode) -> list[Case[Any]]:
        found: list[Case[Any]] = []

        @seed(20261128)
        @settings(max_examples=self._examples, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=self._schema[path][method].as_strategy(generation_mode=mode))
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
