"""Whatever follows from an answer is answered as the description says: walks whose steps mostly succeed.

Schemathesis' own runner, which calls all that there is, is in `test_schemathesis.py`.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from typing import Any, NamedTuple

import httpx
import pytest
from schemathesis import Case
from starlette.types import ASGIApp

from tests.api.machine import Machine
from tests.api.scenes import fresh, ok

EXAMPLES = int(os.environ.get("CTXHUB_EXAMPLES", "6"))
WALKS = int(os.environ.get("CTXHUB_WALKS", "25"))
STEPS = 15


@pytest.fixture(scope="module")
async def description(http: httpx.AsyncClient) -> dict[str, Any]:
    """The description as it is served."""
    return ok(await http.get("/openapi.json"))


@pytest.fixture(scope="module")
def machine(app: ASGIApp, description: dict[str, Any]) -> Machine:
    """A caller who knows nothing but the description."""
    return Machine(app, description, EXAMPLES)


class Link(NamedTuple):
    """Where an answer leads on to, with what it and its request named."""

    method: str
    path: str
    parameters: dict[str, Any]
    body: dict[str, Any]


class Walk:
    """One customer's way through the calls: each is made of what the answers before named, and otherwise at random."""

    def __init__(self, machine: Machine, description: dict[str, Any], number: int) -> None:
        self._machine = machine
        self._document = description
        self._random = random.Random(number)
        self._links: list[Link] = []
        self.met: Counter[tuple[str, int]] = Counter()

    async def go(self) -> None:
        """Begin an interaction, and go on from there."""
        while not self._links:
            await self._step(Link("post", "/v1/interactions", {}, {"external_id": fresh("walk")}))
        for _ in range(STEPS):
            (link,) = self._random.choices(self._links, [self._weight(one) for one in self._links])
            await self._step(link)

    def _weight(self, link: Link) -> float:
        """How likely a step is taken next: handoffs and their course more often, and what ends everything seldom."""
        if link.method == "delete":
            return 0.05
        if link.path.endswith("/accept"):
            return 60
        if "fence" in link.body:
            return 200 if link.path.endswith("/complete") else 20
        return 6 if link.path.startswith("/v1/handoffs") else 1

    async def _step(self, link: Link) -> None:
        """Make one call; what its answer leads to can be done from now on."""
        case = self._case(link)
        response = await self._machine.call(case)
        self.met[f"{link.method.upper()} {link.path}", response.status_code] += 1
        described = self._document["paths"][link.path][link.method]["responses"].get(str(response.status_code), {})
        followed = [self._followed(said, case, response.json()) for said in described.get("links", {}).values()]
        self._links += [one for one in followed if not one.path.endswith("/stream")]  # a stream has no end

    def _case(self, link: Link) -> Case[Any]:
        """A call with what is known in its place, and the rest as it came; every other body is the example."""
        found = self._random.choice(self._machine.cases(link.path, link.method))
        body = found.body
        content = self._document["paths"][link.path][link.method].get("requestBody", {}).get("content", {})
        example = content.get("application/json", {}).get("example")
        if example is not None and (not isinstance(body, dict) or self._random.random() < 0.6):
            body = example
        if isinstance(body, dict):
            body = copy.deepcopy(body) | link.body
            for event in body.get("events", ()):
                self._told_here(event, link)
        parts: dict[str, dict[str, Any]] = {"path": dict(found.path_parameters), "query": dict(found.query)}
        for name, value in link.parameters.items():
            where, _, inner = name.partition(".")
            parts[where][inner] = value
        return found.operation.Case(
            path_parameters=parts["path"], query=parts["query"], headers=dict(found.headers), body=body,
            media_type=found.media_type,
        )  # fmt: skip

    def _told_here(self, event: Any, link: Link) -> None:
        """Let an event be of the interaction under way, most times."""
        here = next((one.body["interaction_id"] for one in self._links if "interaction_id" in one.body), None)
        if isinstance(event, dict) and here is not None and self._random.random() < 0.8:
            event |= {"interaction_id": here, "event_id": fresh("told")}

    def _followed(self, said: dict[str, Any], case: Case[Any], answer: Any) -> Link:
        """A link with its expressions read."""
        method, path = self._target(said["operationId"])
        parameters = {name: _read(text, case, answer) for name, text in said.get("parameters", {}).items()}
        body = {name: _read(text, case, answer) for name, text in said.get("requestBody", {}).items()}
        return Link(method, path, parameters, body)

    def _target(self, operation_id: str) -> tuple[str, str]:
        """The method and path of an operation."""
        return next(
            (method, path)
            for path, item in self._document["paths"].items()
            for method, operation in item.items()
            if operation["operationId"] == operation_id
        )


def _read(expression: str, case: Case[Any], answer: Any) -> Any:
    """What an expression of a link stands for."""
    where, _, pointer = expression.partition("#")
    found = answer if where == "$response.body" else case.body
    for part in pointer.strip("/").split("/"):
        found = found[part]
    return found


async def test_whatever_follows_from_an_answer_is_answered_as_the_description_says(
    machine: Machine, description: dict[str, Any]
) -> None:
    met: Counter[tuple[str, int]] = Counter()
    for number in range(WALKS):
        walk = Walk(machine, description, number)
        await walk.go()
        met += walk.met
    went_well = {call for call, status in met if status < 300}
    assert went_well >= {
        "POST /v1/interactions",
        "POST /v1/customers/{customer_id}/events",
        "GET /v1/customers/{customer_id}/context",
        "POST /v1/handoffs",
        "POST /v1/handoffs/{handoff_id}/accept",
        "POST /v1/handoffs/{handoff_id}/complete",
    }, sorted(met.items())


async def test_the_links_of_the_description_lead_to_calls_that_there_are(description: dict[str, Any]) -> None:
    there = {operation["operationId"] for item in description["paths"].values() for operation in item.values()}
    links = [
        link
        for item in description["paths"].values()
        for operation in item.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 40
    assert {link["operationId"] for link in links} <= there
