"""API keys over HTTP: listed, narrowed, replaced, revoked, each within its tenant."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, accept, fresh, known, ok, pointers, problem, start_body


async def made(admin: Caller, role: str = "adapter", **more: Any) -> Caller:
    """A caller with a key of its own."""
    return Caller(admin.http, ok(await admin.post("/v1/keys", {"name": fresh("k"), "role": role} | more), 201)["key"])


async def works(admin: Caller, key: dict[str, Any]) -> bool:
    """Whether a key opens anything; one that does not is refused as no key at all."""
    response = await Caller(admin.http, key["key"]).get("/v1/tenant")
    if response.status_code == 200:
        return True
    problem(response, 401, "unauthenticated")
    return False


async def test_keys_are_listed_with_what_narrows_them_and_without_themselves(admin: Caller) -> None:
    name = fresh("k")
    body = {"name": name, "role": "agent", "queues": ["cards"], "expires_at": "2099-01-01T01:00:00+01:00"}
    key = ok(await admin.post("/v1/keys", body), 201)
    answer = await admin.get("/v1/keys")
    listed = {shown["name"]: shown for shown in ok(answer)["keys"]}[name]
    assert (listed["key_id"], listed["queues"], listed["last_used"]) == (key["key_id"], ["cards"], None)
    assert listed["expires_at"].startswith("2099-01-01T00:00:00")
    assert await works(admin, key)
    assert {shown["name"]: shown for shown in ok(await admin.get("/v1/keys"))["keys"]}[name]["last_used"] is not None
    assert key["key"].removeprefix(f"ctx_{key['key_id']}_") not in answer.text


async def test_a_key_is_replaced_and_revoked(admin: Caller) -> None:
    name = fresh("k")
    first = ok(await admin.post("/v1/keys", {"name": name, "role": "agent"}), 201)
    second = ok(await admin.post(f"/v1/keys/{name}/rotate", {"overlap": 60}), 201)
    assert [await works(admin, key) for key in (first, second)] == [True, True]
    ends = {shown["key_id"]: shown["expires_at"] for shown in ok(await admin.get("/v1/keys"))["keys"]}
    assert ends[first["key_id"]] is not None
    assert ends[second["key_id"]] is None
    assert (await admin.call("DELETE", f"/v1/keys/{name}")).status_code == 204
    assert [await works(admin, key) for key in (first, second)] == [False, False]
    problem(await admin.call("DELETE", f"/v1/keys/{name}"), 404, "key_unknown")
    problem(await admin.post(f"/v1/keys/{name}/rotate", {}), 404, "key_unknown")


@pytest.mark.parametrize("overlap", [-1, 31 * 86400, "soon"])
async def test_an_overlap_is_neither_negative_nor_endless(admin: Caller, overlap: Any) -> None:
    assert pointers(await admin.post(f"/v1/keys/{fresh('k')}/rotate", {"overlap": overlap})) == ["/overlap"]


async def test_a_key_whose_end_is_over_opens_nothing(admin: Caller) -> None:
    over = await made(admin, expires_at="2026-01-01T00:00:00Z")
    problem(await over.get("/v1/tenant"), 401, "unauthenticated")


async def test_an_end_without_an_offset_is_refused(admin: Caller) -> None:
    naive = {"name": fresh("k"), "role": "agent", "expires_at": "2099-01-01T00:00:00"}
    assert pointers(await admin.post("/v1/keys", naive)) == ["/expires_at"]


async def test_only_the_default_tenants_admin_keeps_keys_of_others(callers: Callers) -> None:
    name = fresh("k")
    ok(await callers.admin.post("/v1/keys", {"name": name, "role": "agent", "tenant": "other"}), 201)
    assert name in [key["name"] for key in ok(await callers.other_admin.get("/v1/keys"))["keys"]]
    assert name not in [key["name"] for key in ok(await callers.admin.get("/v1/keys"))["keys"]]
    assert name in [key["name"] for key in ok(await callers.admin.get("/v1/keys", tenant="other"))["keys"]]
    ok(await callers.admin.post(f"/v1/keys/{name}/rotate?tenant=other", {}), 201)
    for method, path in (("GET", "/v1/keys"), ("DELETE", f"/v1/keys/{name}"), ("POST", f"/v1/keys/{name}/rotate")):
        said: dict[str, Any] = {"json": {}} if method == "POST" else {}
        problem(await callers.other_admin.call(method, f"{path}?tenant=default", **said), 403, "forbidden")
    assert (await callers.admin.call("DELETE", f"/v1/keys/{name}?tenant=other")).status_code == 204


async def test_a_narrowed_admin_makes_and_replaces_no_key_that_may_more(admin: Caller) -> None:
    narrow = await made(admin, "admin", scopes=["keys", "context:read"])
    problem(await narrow.post("/v1/keys", {"name": fresh("k"), "role": "admin"}), 403, "forbidden")
    wide = fresh("k")
    ok(await admin.post("/v1/keys", {"name": wide, "role": "admin"}), 201)
    problem(await narrow.post(f"/v1/keys/{wide}/rotate", {}), 403, "forbidden")
    within = {"name": fresh("k"), "role": "adapter", "scopes": ["context:read"]}
    ok(await narrow.post("/v1/keys", within), 201)


async def test_a_key_whose_scopes_leave_a_call_out_is_told_which_it_takes(admin: Caller) -> None:
    narrow = await made(admin, "admin", scopes=["context:read", "numbers"])
    refused = problem(await narrow.post("/v1/interactions", start_body()), 403, "forbidden")
    assert refused["detail"] == "this takes the scope interactions; the key's are context:read, numbers"


async def test_a_key_for_some_queues_does_nothing_to_a_handoff_of_another(admin: Caller, adapter: Caller) -> None:
    scene = await known(adapter)
    handoff_id = (await scene.offer({"queue": "billing"}))["handoff_id"]
    desk = await made(admin, "agent", queues=["cards"])
    place = f"/v1/handoffs/{handoff_id}"
    ann = {"agent_id": "ann"}
    for verb, body in (("accept", ann), ("decline", ann), ("receipt", ann), ("cancel", {})):
        problem(await desk.post(f"{place}/{verb}", body), 403, "forbidden")
    fence = (await accept(admin, handoff_id, "ann"))["fence"]
    for verb in ("renew", "complete", "return"):
        problem(await desk.post(f"{place}/{verb}", ann | {"fence": fence}), 403, "forbidden")
    ok(await (await made(admin, "agent", queues=["billing"])).post(f"{place}/return", ann | {"fence": fence}))


async def test_a_key_that_ends_makes_none_that_ends_later(admin: Caller) -> None:
    soon, later = "2098-01-01T00:00:00Z", "2098-01-01T00:00:01Z"
    short = await made(admin, "admin", expires_at=soon)
    assert problem(await short.post("/v1/keys", {"name": fresh("k"), "role": "agent"}), 403, "forbidden")["wider"] == [
        "expires_at"
    ]
    problem(await short.post("/v1/keys", {"name": fresh("k"), "role": "agent", "expires_at": later}), 403, "forbidden")
    ok(await short.post("/v1/keys", {"name": fresh("k"), "role": "agent", "expires_at": soon}), 201)
    lasting = fresh("k")
    ok(await admin.post("/v1/keys", {"name": lasting, "role": "agent"}), 201)
    problem(await short.post(f"/v1/keys/{lasting}/rotate", {}), 403, "forbidden")


async def test_a_desks_key_reads_as_the_agent_whom_it_names(callers: Callers, admin: Caller, adapter: Caller) -> None:
    desk, scene = await made(admin, "agent"), await known(adapter)
    handoff = await scene.offer({"queue": "billing"}, note="be kind")
    await accept(desk, handoff["handoff_id"], "陈 ann")
    reads = [f"{scene.base}/{part}" for part in ("context", "timeline", "brief", "timeline/whole")]
    for path in reads:
        problem(await desk.get(path, {"X-Ctxhub-Agent": "bob"}), 403, "forbidden")
        ok(await desk.get(path, {"X-Ctxhub-Agent": quote("陈 ann")}))
        ok(await desk.get(path))
    place = f"/v1/handoffs/{handoff['handoff_id']}"
    problem(await desk.get(place, {"X-Ctxhub-Agent": "bob"}), 403, "forbidden")
    assert ok(await desk.get(place, {"X-Ctxhub-Agent": quote("陈 ann")}))["handoff"]["note"] == "be kind"
    read = ok(await callers.supervisor.get("/v1/audit", customer_id=scene.customer_id, action="context.read"))["lines"]
    assert [line["agent_id"] for line in read if line["by"] == read[-1]["by"]] == ["bob", "陈 ann", None]


@pytest.mark.parametrize("named", ["bob", "%00", "x" * 300])
async def test_an_agents_own_key_speaks_in_no_other_name(callers: Callers, named: str) -> None:
    answer = await callers.ann.get("/v1/queues/billing", {"X-Ctxhub-Agent": named})
    problem(answer, *((403, "forbidden") if named == "bob" else (422, "invalid")))
    ok(await callers.ann.get("/v1/queues/billing", {"X-Ctxhub-Agent": "ann"}))
