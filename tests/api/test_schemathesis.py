"""Schemathesis by its own runner against a hub that listens: the whole description, with all checks, stateful too.

Here its cases are many and shallow, and its state machine goes wherever the links of the description lead;
`test_as_described.py` goes deeper, since most steps there are ones that may succeed.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import Bundle, MultipleResults, initialize, multiple
from schemathesis import openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import EnsureResourceAvailability, UseAfterFree

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.acd.listening import listening
from tests.api.living import ADMIN_KEY, settings_for
from tests.api.scenes import fresh, start_body

EXAMPLES = int(os.environ.get("CTXHUB_EXAMPLES", "5"))
SCENARIOS = int(os.environ.get("CTXHUB_SCENARIOS", "6"))
STEPS = 30
SEED = "20261128"
_SCENARIOS = settings(
    max_examples=5, stateful_step_count=STEPS, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
#: What is refused for its state, its reader or its target is refused well too; what a stream sends has no end; what a
#: body names may be made up, though the path says nothing of it; to read `…/{name}/redrive` is to read a state that
#: there is not.
CONFIG = f"""
headers = {{ Authorization = "Bearer {ADMIN_KEY}" }}
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "410", "412", "413", "415", "422", "429", "431"]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "403", "404", "409", "410", "412", "413", "422", "429"]
[[operations]]
include-path-regex = "/stream$"
enabled = false
[[operations]]
include-path-regex = "/(redeem|lookup)$"
checks.ensure_resource_availability.enabled = false
[[operations]]
include-path = "/v1/webhooks/{{name}}/redrive"
phases.coverage.unexpected-methods = ["PUT", "PATCH", "DELETE"]
"""


FORGETTING = "DELETE /v1/customers/{customer_id}"
#: Whoever is named there and unknown is a new customer.
NAMING = ("POST /v1/interactions", "POST /v1/customers/{customer_id}/interactions/{interaction_id}/identify")


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where a hub listens whose keys and customers nobody else needs."""
    folder = tmp_path_factory.mktemp("schemathesis")
    with embedded_server(Settings(data=folder, durability="fast")) as server:
        async with listening(settings_for(folder / "hub", server.url)) as url:
            yield url


@pytest.mark.timeout(900)
async def test_its_own_runner_finds_nothing_with_all_checks(
    url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    run = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), "run", f"{url}/openapi.json", "--checks=all", "--no-color",
        f"--max-examples={EXAMPLES}", f"--seed={SEED}", "--generation-database=none", "--continue-on-failure",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = (await run.communicate())[0].decode()
    assert run.returncode == 0, said
    cases = re.search(r"(\d+) generated", said)
    assert cases is not None
    assert int(cases[1]) > 2000, said
    record_property("calls", int(cases[1]))
    print(f"{int(cases[1]):,} calls made up, {EXAMPLES} examples of each operation")
    assert all(f"✅ {phase}" in said for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")), said


class Following:
    """What its state machine met, and what was wrong with it."""

    def __init__(self, url: str, description: dict[str, Any]) -> None:
        self.met: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        schema = openapi.from_dict(description, config=SchemathesisConfig.from_str(CONFIG))
        self._machine = self._beginning(schema.exclude(path_regex="/stream$"), url)

    def _beginning(self, schema: BaseSchema, url: str) -> Any:
        """Its state machine, begun by a customer who comes and is handed over: what it makes up leads nowhere yet."""
        following = self

        class Machine(schema.as_state_machine()):  # type: ignore[misc]
            """Every answer is checked, and what is wrong is noted, so that nothing is played again."""

            forgot = came_again = False

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"base_url": url}

            @initialize(target=Bundle("catch_all"))
            def begins(self) -> MultipleResults[StepOutput]:
                came = {"customer_id": fresh("c"), "assurance": {"level": 2, "method": "pin"}}
                begun = self._said("/v1/interactions", start_body("chat", **came))
                here = begun.response.json()
                whose = {"customer_id": here["customer_id"], "interaction_id": here["interaction"]["interaction_id"]}
                offered = self._said("/v1/handoffs", whose | {"reason": "help", "to": {"queue": "billing"}})
                return multiple(begun, offered)

            def _said(self, path: str, body: dict[str, Any]) -> StepOutput:
                key = {"Authorization": f"Bearer {ADMIN_KEY}"}
                case = schema[path]["POST"].Case(body=body, headers=key, media_type="application/json")
                self.recorder.record_case(case=case)
                return self.step(StepInput.initial(case))

            def after_call(self, response: Any, case: Any) -> None:
                super().after_call(response, case)
                went_well = response.status_code < 300
                self.came_again = self.came_again or (self.forgot and case.operation.label in NAMING and went_well)
                self.forgot = self.forgot or (case.operation.label == FORGETTING and went_well)
                following.met[case.operation.label, response.status_code] += 1

            def validate_response(self, response: Any, case: Any, *more: Any, **said: Any) -> None:
                try:
                    super().validate_response(response, case, *more, **said)
                except FailureGroup as failures:
                    following.wrong += [
                        str(failure) for failure in failures.exceptions if not self._went_along(failure)
                    ]

            def _went_along(self, failure: Exception) -> bool:
                """Whether it is about what went with a forgotten customer, or about one who came again."""
                went = self.forgot and isinstance(failure, EnsureResourceAvailability)
                return went or (self.came_again and isinstance(failure, UseAfterFree))

        return Machine

    def run(self, number: int) -> None:
        """Play a few scenarios, the same in every run as far as the hub's ids allow it."""
        self._machine._hypothesis_internal_use_seed = number
        # Scenarios are to be alike wherever they begin alike, and what the hub makes up never is.
        with suppress(Flaky):
            self._machine.run(settings=_SCENARIOS)


@pytest.mark.timeout(900)
async def test_its_state_machine_finds_nothing_wherever_the_links_lead(url: str) -> None:
    async with httpx.AsyncClient() as http:
        description = (await http.get(f"{url}/openapi.json")).json()
    following = Following(url, description)
    for number in range(SCENARIOS):
        await asyncio.to_thread(following.run, number)
    assert following.wrong == []
    went_well = {call for call, status in following.met if status < 300}
    assert len(went_well) > 20, sorted(following.met.items())
    assert {"POST /v1/interactions", "POST /v1/handoffs", "GET /v1/customers/{customer_id}/context"} <= went_well
