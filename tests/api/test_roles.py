"""Who may do what: every route for every role, from the description, so that no route is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from ctxhub.model.scope import NEEDS_NONE, scope_of
from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, fresh, known, ok, phone, problem, start_body

ROLES = ("adapter", "agent", "supervisor", "admin")
ANYBODY = ("adapter", "agent", "supervisor")

#: Which roles beside `admin` each call is for; None where no key is needed.
MAY: dict[tuple[str, str], tuple[str, ...] | None] = {
    ("GET", "/health/live"): None,
    ("GET", "/health/ready"): None,
    ("GET", "/metrics"): None,
    ("POST", "/v1/interactions"): ("adapter",),
    ("POST", "/v1/handoffs/redeem"): ("adapter",),
    ("POST", "/v1/interactions/lookup"): ("adapter", "agent"),
    ("GET", "/v1/interactions"): ANYBODY,
    ("PUT", "/v1/customers/{customer_id}/interactions/{interaction_id}/refs"): ("adapter", "agent"),
    ("POST", "/v1/customers/{customer_id}/interactions/{interaction_id}/end"): ("adapter", "agent"),
    ("POST", "/v1/customers/{customer_id}/interactions/{interaction_id}/identify"): ("adapter", "agent"),
    ("POST", "/v1/customers/{customer_id}/events"): ("adapter", "agent"),
    ("GET", "/v1/customers/{customer_id}/context"): ANYBODY,
    ("GET", "/v1/customers/{customer_id}/brief"): ANYBODY,
    ("POST", "/v1/context/lookup"): ANYBODY,
    ("GET", "/v1/customers/{customer_id}/timeline"): ANYBODY,
    ("POST", "/v1/customers/{customer_id}/asks"): ("adapter", "agent"),
    ("POST", "/v1/customers/{customer_id}/reveal"): ("agent",),
    ("GET", "/v1/commitments"): ("agent", "supervisor"),
    ("POST", "/v1/handoffs"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/lookup"): ("adapter", "agent"),
    ("GET", "/v1/handoffs"): ANYBODY,
    ("GET", "/v1/handoffs/{handoff_id}"): ANYBODY,
    ("POST", "/v1/handoffs/{handoff_id}/accept"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/dial"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/attempts"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/decline"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/cancel"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/complete"): ("adapter", "agent"),
    ("PUT", "/v1/handoffs/{handoff_id}/draft"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/return"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/renew"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/receipt"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/elsewhere"): ("adapter", "agent"),
    ("POST", "/v1/handoffs/{handoff_id}/announce"): ("adapter", "agent"),
    ("POST", "/v1/customers/{customer_id}/interactions/{interaction_id}/continue"): ("adapter",),
    ("POST", "/v1/customers/{customer_id}/journeys/{journey_id}/claim"): ("adapter", "agent"),
    ("GET", "/v1/queues/{queue}"): ANYBODY,
    ("PUT", "/v1/agents/{agent_id}/presence"): ("agent", "supervisor"),
    ("GET", "/v1/agents/{agent_id}/presence"): ("agent", "supervisor"),
    ("GET", "/v1/agents"): ("supervisor",),
    ("GET", "/v1/agents/{agent_id}/stream"): ("agent", "supervisor"),
    ("POST", "/v1/customers/lookup"): ("adapter", "agent"),
    ("POST", "/v1/customers/{customer_id}/identifiers"): ("adapter", "agent"),
    ("DELETE", "/v1/customers/{customer_id}/identifiers"): ("adapter", "agent"),
    ("DELETE", "/v1/customers/{customer_id}"): (),
    ("GET", "/v1/customers/{customer_id}/export"): (),
    ("POST", "/v1/customers/{customer_id}/hold"): ("supervisor",),
    ("DELETE", "/v1/customers/{customer_id}/hold"): ("supervisor",),
    ("POST", "/v1/customers/{customer_id}/merge"): ("supervisor",),
    ("POST", "/v1/customers/{customer_id}/unmerge"): ("supervisor",),
    ("GET", "/v1/customers/{customer_id}/timeline/whole"): ANYBODY,
    ("POST", "/v1/customers/{customer_id}/access"): ("agent", "supervisor"),
    ("GET", "/v1/audit"): ("supervisor",),
    ("GET", "/v1/audit/report"): ("supervisor",),
    ("GET", "/v1/tenant"): ANYBODY,
    ("POST", "/v1/keys"): (),
    ("GET", "/v1/keys"): (),
    ("POST", "/v1/keys/{name}/rotate"): (),
    ("DELETE", "/v1/keys/{name}"): (),
    ("GET", "/v1/webhooks"): (),
    ("GET", "/v1/webhooks/{name}/{state}"): (),
    ("POST", "/v1/webhooks/{name}/redrive"): (),
    ("GET", "/v1/numbers"): ("supervisor",),
    ("POST", "/v1/tickets"): ANYBODY,
    ("GET", "/v1/customers/{customer_id}/stream"): ANYBODY,
    ("GET", "/v1/queues/{queue}/stream"): ANYBODY,
    ("GET", "/v1/channels/{channel}/stream"): ("adapter", "supervisor"),
}


class Call(NamedTuple):
    """One call that would succeed with the right key."""

    method: str
    path: str
    body: Any = None
    query: dict[str, Any] = {}


def good_body(path: str, scene: Scene, token: str) -> Any:
    """A body that the route accepts."""
    held = {"agent_id": "ann", "fence": 1}
    names = {"customer_id": scene.customer_id, "interaction_id": scene.interaction_id}
    return {
        "/v1/interactions": start_body(),
        "/v1/handoffs/redeem": start_body("chat", token=token),
        "/v1/interactions/lookup": {"ref": {"system": "ivr", "id": scene.started["interaction"]["external_id"]}},
        "/v1/customers/{customer_id}/interactions/{interaction_id}/refs": {"refs": [{"system": "acd", "id": "1"}]},
        "/v1/customers/{customer_id}/interactions/{interaction_id}/end": {},
        "/v1/customers/{customer_id}/interactions/{interaction_id}/identify": {"customer_id": scene.customer_id},
        "/v1/customers/{customer_id}/events": {"events": [scene.fact("a", 1)]},
        "/v1/context/lookup": {"identifier": phone()},
        "/v1/customers/{customer_id}/asks": {"interaction_id": scene.interaction_id, "names": ["a"]},
        "/v1/customers/{customer_id}/reveal": {
            "interaction_id": scene.interaction_id,
            "names": ["a"],
            "reason": "to check",
            "agent_id": "ann",
        },
        "/v1/handoffs": names | {"reason": "a", "to": {"queue": "billing"}},
        "/v1/handoffs/lookup": {"token": token},
        "/v1/agents/{agent_id}/presence": {"state": "available"},
        "/v1/handoffs/{handoff_id}/accept": {"agent_id": "ann"},
        "/v1/handoffs/{handoff_id}/decline": {"agent_id": "ann", "reason": "a"},
        "/v1/handoffs/{handoff_id}/attempts": {"attempt": 1, "outcome": "busy"},
        "/v1/handoffs/{handoff_id}/complete": held,
        "/v1/handoffs/{handoff_id}/draft": held | {"draft": {"text": "a"}},
        "/v1/handoffs/{handoff_id}/return": held | {"note": "a"},
        "/v1/handoffs/{handoff_id}/renew": held,
        "/v1/handoffs/{handoff_id}/receipt": {"agent_id": "ann"},
        "/v1/handoffs/{handoff_id}/elsewhere": {"channel": "chat"},
        "/v1/handoffs/{handoff_id}/announce": {},
        "/v1/customers/{customer_id}/journeys/{journey_id}/claim": {"step": "payout", "by": "app"},
        "/v1/customers/lookup": {"identifier": phone()},
        "/v1/customers/{customer_id}/identifiers": phone(),
        "/v1/customers/{customer_id}/hold": {"reason": "a"},
        "/v1/customers/{customer_id}/merge": {"from": fresh("c"), "preview": True},
        "/v1/customers/{customer_id}/unmerge": {"merge_id": "mg_1"},
        "/v1/customers/{customer_id}/access": {"reason": "a letter came"},
        "/v1/keys": {"name": fresh("k"), "role": "agent"},
        "/v1/keys/{name}/rotate": {},
        "/v1/tickets": {"for": "/v1/queues/billing/stream"},
    }.get(path)


QUERIES = {"/v1/interactions": {"channel": "ivr"}, "/v1/handoffs": {"queue": "billing"}}


def spelt(path: str, scene: Scene, handoff_id: str) -> str:
    """A route's path, filled in."""
    return path.format(
        customer_id=scene.customer_id, interaction_id=scene.interaction_id, handoff_id=handoff_id, queue="billing",
        journey_id="jr_1", channel="chat", name="nobody's", agent_id="ann", state="dead",
    )  # fmt: skip


def routes(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every route of the description."""
    for path, operations in description["paths"].items():
        for method in operations:
            yield method.upper(), path


def callers_of(callers: Callers) -> dict[str, Caller]:
    """One caller of each role."""
    return {role: getattr(callers, role) for role in ROLES}


async def stage(callers: Callers) -> tuple[Scene, str, str]:
    """A customer with an open offer: its scene, the handoff's id, and a token."""
    scene = await known(callers.adapter)
    handoff = await scene.offer({"queue": "billing"})
    return scene, handoff["handoff_id"], handoff["token"]


async def test_every_route_of_the_description_is_listed_here(http: httpx.AsyncClient) -> None:
    assert set(routes(ok(await http.get("/openapi.json")))) == set(MAY)


@pytest.mark.parametrize(("method", "path"), [route for route, roles in MAY.items() if roles is not None])
async def test_who_may_not_is_refused_and_whoever_may_is_not(callers: Callers, method: str, path: str) -> None:
    allowed = MAY[method, path]
    assert allowed is not None
    for role, caller in callers_of(callers).items():
        may = role in (*allowed, "admin")
        if may and path.endswith("/stream"):
            continue  # an open stream does not end by itself; tests of streams open them
        scene, handoff_id, token = await stage(callers)
        body = good_body(path, scene, token)
        response = await caller.call(
            method, spelt(path, scene, handoff_id), params=QUERIES.get(path) if method == "GET" else None,
            **({"json": body} if method != "GET" and body is not None else {}),
        )  # fmt: skip
        if may:
            assert response.status_code not in {401, 403, *range(500, 600)}, (role, response.text)
        else:
            problem(response, 403, "forbidden")


@pytest.mark.parametrize(("method", "path"), [route for route, roles in MAY.items() if roles is not None])
async def test_without_a_valid_key_there_is_no_answer(
    callers: Callers, http: httpx.AsyncClient, method: str, path: str
) -> None:
    scene, handoff_id, _ = await stage(callers)
    where = spelt(path, scene, handoff_id)
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic abc"},
        {"Authorization": "Bearer "},
    ):
        response = await http.request(method, where, headers=headers)
        problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", [path for (_, path), roles in MAY.items() if roles is None])
async def test_health_and_metrics_need_no_key(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 200


async def test_a_key_bound_to_an_agent_speaks_for_no_other(callers: Callers) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"queue": "billing"})
    path = f"/v1/handoffs/{handoff['handoff_id']}"
    held = {"agent_id": "ann", "fence": 2}
    bodies: dict[str, dict[str, Any]] = {
        "accept": {"agent_id": "ann"}, "decline": {"agent_id": "ann", "reason": "a"}, "complete": held,
        "return": held | {"note": "a"}, "renew": held, "receipt": {"agent_id": "ann"},
    }  # fmt: skip
    for verb, body in bodies.items():
        problem(await callers.bob.post(f"{path}/{verb}", body), 403, "forbidden")
    await accept(callers.ann, handoff["handoff_id"], "ann")


async def test_an_agent_sees_what_is_held_offered_or_wrapped_up_and_nothing_else(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.fact("order_id", "A-17"))
    reads = [f"{scene.base}/context", f"{scene.base}/timeline"]

    async def seen(caller: Caller) -> set[int]:
        return {(await caller.get(path)).status_code for path in reads}

    assert await seen(callers.ann) == {403}
    handoff = await scene.offer({"agent": "ann"})
    assert (await seen(callers.ann), await seen(callers.bob)) == ({200}, {403})
    fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
    assert (await seen(callers.ann), await seen(callers.bob)) == ({200}, {403})
    ok(await callers.ann.post(f"/v1/handoffs/{handoff['handoff_id']}/complete", {"agent_id": "ann", "fence": fence}))
    assert (await seen(callers.ann), await seen(callers.bob)) == ({200}, {403})


async def test_an_agents_events_asks_and_ends_are_of_what_the_agent_holds_too(callers: Callers) -> None:
    scene = await known(callers.adapter)
    stranger = Scene(callers.ann, scene.started)
    asked = {"interaction_id": scene.interaction_id, "names": ["a"]}
    offer = {
        "customer_id": scene.customer_id,
        "interaction_id": scene.interaction_id,
        "reason": "a",
        "to": {"queue": "q"},
    }
    tries = [
        await stranger.try_tell(stranger.fact("a", 1)),
        await stranger.try_tell(stranger.event("note.added", {"text": "a"})),
        await callers.ann.post(f"{scene.base}/asks", asked),
        await callers.ann.post(f"{scene.place}/end", {}),
        await callers.ann.post(f"{scene.place}/identify", {"customer_id": fresh("c")}),
        await callers.ann.call("PUT", f"{scene.place}/refs", json={"refs": [{"system": "acd", "id": "1"}]}),
        await callers.ann.post(f"{scene.base}/identifiers", phone()),
        await callers.ann.call("DELETE", f"{scene.base}/identifiers", json=phone()),
        await callers.ann.post("/v1/handoffs", offer),
    ]
    for response in tries:
        problem(response, 403, "forbidden")
    handoff = await scene.offer({"queue": "billing"})
    await accept(callers.ann, handoff["handoff_id"], "ann")
    await stranger.tell(stranger.fact("a", 1, party="agent"), stranger.event("note.added", {"text": "a"}))
    ok(await callers.ann.post(f"{scene.base}/asks", asked))
    ok(await callers.ann.post("/v1/handoffs", offer), 201)


async def test_a_bound_agent_does_not_look_at_anothers_handoff(callers: Callers) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"queue": "billing"})
    path = f"/v1/handoffs/{handoff['handoff_id']}"
    assert (await callers.bob.get(path)).status_code == 200
    await accept(callers.ann, handoff["handoff_id"], "ann")
    assert (await callers.ann.get(path)).status_code == 200
    problem(await callers.bob.get(path), 403, "forbidden")
    mine = await (await known(callers.adapter)).offer({"agent": "ann"})
    problem(await callers.bob.get(f"/v1/handoffs/{mine['handoff_id']}"), 403, "forbidden")


def names_something_of_a_tenants(path: str) -> bool:
    """Whether a route names a customer, interaction, handoff or token."""
    by_body = ("/v1/handoffs", "/v1/handoffs/lookup", "/v1/handoffs/redeem", "/v1/interactions/lookup")
    return "{customer_id}" in path or "{handoff_id}" in path or path in by_body


OF_A_TENANT = [(method, path) for method, path in MAY if names_something_of_a_tenants(path)]


@pytest.mark.parametrize(("method", "path"), [route for route in OF_A_TENANT if route != ("GET", "/v1/handoffs")])
async def test_what_is_another_tenants_is_as_if_it_were_not_there(callers: Callers, method: str, path: str) -> None:
    scene, handoff_id, token = await stage(callers)

    async def refused(caller: Caller, whose: Scene, handoff: str, token: str) -> dict[str, Any]:
        body = good_body(path, whose, token) if method != "GET" else None
        said = {} if body is None else {"json": body}
        response = await caller.call(method, spelt(path, whose, handoff), **said)
        return problem(response, 404, str(response.json()["code"]))

    found = await refused(callers.other_admin, scene, handoff_id, token)
    nowhere = await refused(callers.admin, Nobody(), "ho_99" + "0" * 20, "x" * 24)
    assert (found["code"], found["title"], found["remedy"]) == (nowhere["code"], nowhere["title"], nowhere["remedy"])


async def test_another_tenants_queues_and_channels_are_lists_of_its_own(callers: Callers) -> None:
    _, handoff_id, _ = await stage(callers)
    listed = ok(await callers.other_admin.get("/v1/handoffs", queue="billing"))["handoffs"]
    assert handoff_id not in [handoff["handoff_id"] for handoff in listed]
    assert ok(await callers.other_admin.get("/v1/interactions", channel="ivr"))["interactions"] == []


class Nobody(Scene):
    """A customer that no tenant has."""

    def __init__(self) -> None:
        self.customer_id = "nobody-at-all"
        self.interaction_id = "in_nowhere"
        self.started = {"interaction": {"external_id": "nothing"}}


async def test_the_same_names_in_two_tenants_are_two_customers(callers: Callers) -> None:
    mine = phone()
    body = start_body(customer_id=fresh("c"), identifiers=[mine], assurance={"level": 2, "method": "pin"})
    here = Scene(callers.adapter, ok(await callers.adapter.post("/v1/interactions", body), 201))
    there = Scene(callers.other_adapter, ok(await callers.other_adapter.post("/v1/interactions", body), 201))
    assert here.interaction_id != there.interaction_id
    await here.tell(here.fact("order_id", "A-17"))
    assert (await there.context())["facts"] == {}
    event = there.event("message.received", {"text": "a"}, interaction_id=here.interaction_id)
    problem(await there.try_tell(event), 404, "interaction_unknown")
    offer = {
        "customer_id": there.customer_id,
        "interaction_id": here.interaction_id,
        "reason": "a",
        "to": {"queue": "q"},
    }
    problem(await callers.other_adapter.post("/v1/handoffs", offer), 404, "interaction_unknown")


async def test_a_token_of_another_tenant_brings_nobody_in(callers: Callers) -> None:
    token = (await (await known(callers.adapter)).offer({"channel": "chat"}))["token"]
    started = ok(await callers.other_adapter.post("/v1/interactions", start_body(handoff={"token": token})), 201)
    assert started["handoff_problem"]["code"] == "handoff_unknown"
    assert started["known"] is False


@pytest.mark.parametrize("route", [route for route, roles in MAY.items() if roles is not None])
def test_every_route_is_in_a_family_that_keys_can_be_narrowed_to(route: tuple[str, str]) -> None:
    path = route[1]
    assert scope_of(path) is not None or path.split("/")[2] in NEEDS_NONE
