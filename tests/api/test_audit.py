"""The audit trail over HTTP: every route has its line, and the question of who saw what is answered."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from ctxhub.api.app import create_api, description
from ctxhub.api.audited import AUDITED, WITHOUT_A_LINE
from ctxhub.api.source import PASSED_ON
from ctxhub.hub.keys import Came, Keys
from ctxhub.store.embedded import EmbeddedServer
from ctxhub.store.keyring import Keyring
from tests.api.living import MASTER_KEY, Callers, http_to, living, settings_for
from tests.api.scenes import Caller, accept, begin, fresh, known, ok, phone, problem

RAISED = {"types": ["assurance.raised"], "changes": [{"type": "assurance.raised", "level": 2, "method": "otp"}]}
ABOUT_CUSTOMERS = ("/customers", "/context", "/interactions", "/handoffs", "/keys", "/commitments", "/stream", "/audit")


def routes() -> set[tuple[str, str]]:
    paths = description(create_api(lambda _: nullcontext()))["paths"]
    return {(method.upper(), path) for path, operations in paths.items() for method in operations}


async def lines(supervisor: Caller, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(await supervisor.get("/v1/audit", limit=1000, **query))["lines"]
    return found


async def lines_of_key(reader: Caller, name: str) -> list[dict[str, Any]]:
    """What the trail says of one key, in order; whatever else the tests before have left in it."""
    actions = ("key.created", "key.rotated", "key.revoked")
    found = [line for action in actions for line in await lines(reader, action=action)]
    return sorted((line for line in found if line["about"].get("name") == name), key=lambda line: int(line["sequence"]))


def test_every_route_about_customers_or_keys_leaves_a_line_or_says_why_not() -> None:
    concerned = {route for route in routes() if any(part in route[1] for part in ABOUT_CUSTOMERS)}
    assert len(concerned) > 25
    assert concerned - AUDITED.keys() - WITHOUT_A_LINE == set()


def test_a_route_without_a_line_would_be_seen() -> None:
    assert ("GET", "/v1/customers/{customer_id}/secrets") not in AUDITED.keys() | WITHOUT_A_LINE


async def test_what_an_agent_saw_of_a_customer_at_a_time_is_answered(callers: Callers) -> None:
    scene = await known(callers.adapter, level=1)
    surer = await known(callers.adapter, "app", level=3, customer_id=scene.customer_id)
    await surer.tell(surer.fact("income", 5200, sensitivity="sensitive"))
    await scene.tell(scene.fact("order_id", "A-17"))
    handoff = await scene.offer({"queue": "cards"})
    await accept(callers.ann, handoff["handoff_id"], "ann")
    context = ok(await callers.ann.get(f"{scene.base}/context"))
    found = await lines(callers.supervisor, customer_id=scene.customer_id, agent_id="ann")
    assert [line["action"] for line in found] == ["handoff.accepted", "context.read"]
    seen = found[-1]
    assert (seen["by"], seen["role"], seen["version"]) == ("ann", "agent", context["version"])
    assert seen["shown"] == ["order_id"]
    assert seen["withheld"] + seen["masked"] == ["income"]
    at_that_time = await lines(callers.supervisor, customer_id=scene.customer_id, agent_id="ann", at=seen["at"])
    assert at_that_time[-1]["sequence"] == seen["sequence"]
    assert "A-17" not in str(found)


async def test_a_machines_read_leaves_a_line_with_version_and_level(callers: Callers) -> None:
    scene = await known(callers.adapter)
    context = await scene.context()
    found = await lines(callers.supervisor, customer_id=scene.customer_id)
    assert [line["action"] for line in found] == ["interaction.started", "context.read"]
    assert (found[-1]["version"], found[-1]["level"]) == (context["version"], 2)
    assert found[-1]["interaction_id"] == scene.interaction_id


async def test_an_answer_of_not_modified_leaves_a_line_too(callers: Callers) -> None:
    scene = await known(callers.adapter)
    path = f"{scene.base}/context"
    query = {"interaction_id": scene.interaction_id}
    etag = (await callers.adapter.get(path, **query)).headers["etag"]
    assert (await callers.adapter.get(path, {"If-None-Match": etag}, **query)).status_code == 304
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="context.read")
    assert len(found) == 2


async def test_each_of_many_same_reads_leaves_its_own_line(callers: Callers) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"queue": "cards"})
    await accept(callers.ann, handoff["handoff_id"], "ann")
    reads = [(callers.adapter, {"interaction_id": scene.interaction_id}), (callers.ann, {}), (callers.supervisor, {})]
    for turn in range(2):
        await scene.tell(scene.fact(f"fact_{turn}", turn))
        for caller, query in reads * 3:
            ok(await caller.get(f"{scene.base}/context", **query))
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="context.read")
    by = [line["by"] for line in found]
    assert by == [by[0], "ann", by[2]] * 6
    versions = sorted({line["version"] for line in found})
    assert [line["version"] for line in found] == [versions[0]] * 9 + [versions[1]] * 9
    named = [line.get("shown") for line in found if line["by"] == "ann"]
    assert named == [["fact_0"]] * 3 + [["fact_0", "fact_1"]] * 3
    assert len({line["at"] for line in found}) > 9


async def test_what_is_read_between_messages_is_noted_at_its_version_and_by_what_was_answered(callers: Callers) -> None:
    scene = await known(callers.adapter)
    path, query, tag = f"{scene.base}/context", {"interaction_id": scene.interaction_id}, ""
    read: list[tuple[int, bool]] = []
    for turn in range(6):
        if turn % 3 == 0:
            await scene.tell(scene.event("message.received", {"text": f"hello {turn}"}))
        for holds in (turn > 0, True, False):
            sent = {"If-None-Match": tag} if holds else {}
            answer = await callers.adapter.get(path, sent, **query)
            assert answer.status_code == (304 if holds and answer.headers["etag"] == tag else 200)
            tag = answer.headers["etag"]
            read.append((int(tag.strip('"')), answer.status_code == 200))
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="context.read")
    assert [(line["version"], line.get("level") == 2) for line in found] == read
    assert len({version for version, _ in read}) == 2
    assert {len(line["source"]) > 0 for line in found} == {True}


async def test_a_rise_of_assurance_leaves_a_line_and_a_message_does_not(callers: Callers) -> None:
    scene = await known(callers.adapter, level=1)
    await scene.tell(scene.event("message.received", {"text": "hello"}))
    await scene.raised(2, "otp")
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="events.told")
    assert [line["about"] for line in found] == [RAISED]


async def test_a_refusal_leaves_a_line(callers: Callers) -> None:
    scene = await known(callers.adapter)
    problem(await callers.bob.get(f"{scene.base}/context"), 403, "forbidden")
    found = await lines(callers.supervisor, customer_id=scene.customer_id, agent_id="bob")
    assert [(line["outcome"], line["about"]["code"]) for line in found] == [("refused", "forbidden")]


async def test_a_look_up_that_finds_nobody_leaves_a_line(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await accept(callers.ann, (await scene.offer({"queue": "billing"}))["handoff_id"], "ann")
    tries = {
        "customer.looked_up": await callers.ann.post("/v1/customers/lookup", {"identifier": phone()}),
        "context.read": await callers.ann.post("/v1/context/lookup", {"identifier": phone()}),
    }
    for action, response in tries.items():
        problem(response, 404, "customer_unknown")
        found = (await lines(callers.supervisor, action=action, agent_id="ann"))[-1]
        assert (found["outcome"], found["about"]) == ("done", {"code": "customer_unknown"})


async def test_nobody_looks_up_an_identifier_for_a_customer_who_is_not_his_work(callers: Callers) -> None:
    scene, known_by = await known(callers.adapter), phone()
    await known(callers.adapter, identifiers=[known_by | {"strength": "verified"}])
    for identifier in (known_by, phone()):
        body = {"identifiers": [identifier]}
        problem(await callers.bob.post(f"{scene.place}/identify", body), 403, "forbidden")


async def test_a_new_key_leaves_a_line_that_says_which_and_what_it_may(callers: Callers) -> None:
    said = {"name": fresh("key"), "role": "adapter", "channels": ["chat"], "level": 2}
    made = ok(await callers.admin.post("/v1/keys", said), 201)
    rotated = ok(await callers.admin.post(f"/v1/keys/{said['name']}/rotate", {"overlap": 60}), 201)
    assert (await callers.admin.call("DELETE", f"/v1/keys/{said['name']}")).status_code == 204
    found = await lines_of_key(callers.supervisor, said["name"])
    assert [(line["action"], line["by"], line["about"]) for line in found] == [
        ("key.created", "admin", said | {"key_id": made["key_id"]}),
        ("key.rotated", "admin", {"name": said["name"], "overlap": 60, "key_id": rotated["key_id"]}),
        ("key.revoked", "admin", {"name": said["name"]}),
    ]
    assert made["key"] not in str(found)


async def test_a_key_for_another_tenant_leaves_a_line_in_the_trail_of_each(callers: Callers) -> None:
    name, other = fresh("key"), "other"
    ok(await callers.admin.post("/v1/keys", {"name": name, "role": "admin", "tenant": other}), 201)
    revoked = await callers.admin.call("DELETE", f"/v1/keys/{name}", params={"tenant": other})
    assert revoked.status_code == 204
    for reader in (callers.other_admin, callers.admin):
        found = await lines_of_key(reader, name)
        assert [(line["action"], line["about"]["tenant"]) for line in found] == [
            ("key.created", other), ("key.revoked", other),
        ]  # fmt: skip
    theirs = await lines_of_key(callers.other_admin, name)
    assert {line["about"]["by_tenant"] for line in theirs} == {"default"}


async def test_a_merge_is_found_by_either_customer_and_says_who_the_other_was(callers: Callers) -> None:
    one, other = await known(callers.adapter), await known(callers.adapter)
    body = {"from": other.customer_id}
    ok(await callers.supervisor.post(f"{one.base}/merge", body | {"preview": True}))
    merge_id = ok(await callers.supervisor.post(f"{one.base}/merge", body))["merge_id"]
    ok(await callers.supervisor.post(f"{one.base}/unmerge", {"merge_id": merge_id}))
    for scene in (one, other):
        found = [line for line in await lines(callers.supervisor, customer_id=scene.customer_id) if line["about"]]
        merges = [line for line in found if line["action"].startswith("identity.")]
        assert [(line["action"], line["about"].get("merge_id")) for line in merges] == [
            ("identity.merged", None), ("identity.merged", merge_id), ("identity.unmerged", merge_id),
        ]  # fmt: skip
        assert len({line["about"]["from"] for line in merges} | {line["customer"] for line in merges}) == 2
        assert other.customer_id not in str(found)


async def test_who_an_interaction_went_to_is_said_and_found(callers: Callers) -> None:
    stranger, home = await begin(callers.adapter), await known(callers.adapter)
    claim = {"level": 2, "method": "pin"}
    ok(await callers.adapter.post(f"{stranger.place}/identify", {"customer_id": home.customer_id, "assurance": claim}))
    (at_home,) = await lines(callers.supervisor, customer_id=home.customer_id, action="interaction.identified")
    (here,) = await lines(callers.supervisor, customer_id=stranger.customer_id, action="interaction.identified")
    assert at_home == here
    started = await lines(callers.supervisor, customer_id=home.customer_id, action="interaction.started")
    assert here["about"] == claim | {"to": started[0]["customer"]}


async def test_a_link_says_its_type_and_nothing_of_its_value(callers: Callers) -> None:
    scene = await known(callers.adapter, identifiers=[phone()])
    mine = phone() | {"strength": "verified"}
    ok(await callers.adapter.post(f"{scene.base}/identifiers", mine))
    ok(await callers.adapter.call("DELETE", f"{scene.base}/identifiers", json=mine))
    found = await lines(callers.supervisor, customer_id=scene.customer_id)
    assert [(line["action"], line["about"]) for line in found] == [
        ("interaction.started", {"types": ["phone"], "level": 2, "method": "pin"}),
        ("identity.linked", {"type": "phone", "strength": "verified"}),
        ("identity.unlinked", {"type": "phone", "strength": "verified"}),
    ]
    assert mine["value"] not in str(found)


async def test_the_trail_of_another_tenant_is_not_in_reach(callers: Callers) -> None:
    scene = await known(callers.adapter)
    assert await lines(callers.other_admin, customer_id=scene.customer_id) == []


async def test_the_line_outlives_the_customer(callers: Callers) -> None:
    scene = await known(callers.adapter)
    ok(await callers.admin.call("DELETE", scene.base))
    found = await lines(callers.supervisor, customer_id=scene.customer_id)
    assert [line["action"] for line in found] == ["interaction.started", "customer.forgotten"]
    assert scene.customer_id not in str(found)


async def test_an_agent_may_break_the_glass_with_a_reason(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.fact("order_id", "A-17"))
    problem(await callers.bob.get(f"{scene.base}/context"), 403, "forbidden")
    granted = await callers.bob.post(f"{scene.base}/access", {"reason": "complaint by letter, no call"})
    assert ok(granted, 201)["agent_id"] == "bob"
    assert ok(await callers.bob.get(f"{scene.base}/context"))["facts"]["order_id"]["value"] == "A-17"
    problem(await callers.ann.get(f"{scene.base}/context"), 403, "forbidden")
    report = ok(await callers.supervisor.get("/v1/audit/report"))
    mine = [line for line in report["broken_glass"] if line["interaction_id"] is None and line["agent_id"] == "bob"]
    assert mine[-1]["reason"] == "complaint by letter, no call"
    assert [event["type"] for event in await scene.all_told(callers.admin)][-1] == "access.granted"
    assert "access.granted" not in [event["type"] for event in await scene.timeline()]


async def test_glass_can_only_be_broken_so_often(callers: Callers) -> None:
    scene = await known(callers.adapter)
    body = {"reason": "looking for a celebrity", "agent_id": fresh("agent")}
    for _ in range(5):
        ok(await callers.agent.post(f"{scene.base}/access", body), 201)
    problem(await callers.agent.post(f"{scene.base}/access", body), 429, "too_many")


@pytest.mark.parametrize(
    "body", [{}, {"reason": "short"}, {"reason": "x" * 501}, {"reason": "long enough", "minutes": 61}]
)
async def test_glass_is_not_broken_without_a_reason_or_for_long(callers: Callers, body: dict[str, Any]) -> None:
    scene = await known(callers.adapter)
    problem(await callers.bob.post(f"{scene.base}/access", body), 422, "invalid")
    problem(await callers.bob.get(f"{scene.base}/context"), 403, "forbidden")


async def test_a_type_spelled_with_escapes_leaves_its_line_all_the_same(callers: Callers) -> None:
    scene = await known(callers.adapter, level=1)
    event = json.dumps({"events": [scene.event("assurance.raised", {"level": 2, "method": "otp"})]})
    body = event.replace('"assurance.raised"', '"\\u0061ssurance.raised"')
    headers = {"Content-Type": "application/json"}
    ok(await callers.adapter.call("POST", f"{scene.base}/events", headers, content=body))
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="events.told")
    assert [line["about"] for line in found] == [RAISED]


async def test_a_context_that_a_refusal_shows_leaves_a_line(callers: Callers) -> None:
    scene = await known(callers.adapter)
    await scene.journey()
    refused = await scene.try_tell(scene.fact("order_id", "A-17"), if_match='"1"')
    assert problem(refused, 412, "changed")["context"]["customer_id"] == scene.customer_id
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="context.read")
    assert [line["version"] for line in found] == [2]


async def test_a_list_leaves_a_line_that_names_to_whom_it_led(callers: Callers) -> None:
    channel, queue = fresh("chan"), fresh("queue")
    scene = await known(callers.adapter, channel)
    await accept(callers.ann, (await scene.offer({"queue": queue}))["handoff_id"], "ann")
    ok(await callers.ann.get("/v1/interactions", channel=channel))
    ok(await callers.supervisor.get("/v1/handoffs", queue=queue, state="accepted"))
    found = await lines(callers.supervisor, customer_id=scene.customer_id)
    listed = [(line["action"], line["by"]) for line in found if line["action"].endswith(".listed")]
    assert listed == [("interactions.listed", "ann"), ("handoffs.listed", "supervisor")]


async def test_customers_in_lists_count_among_those_at_whom_an_agent_looks(
    api_server: EmbeddedServer, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, api_server.url)
    (tmp_path / "tenants" / "default.yaml").write_text("policies: {customers_in_ten_minutes: 2}", encoding="utf-8")
    async with living(settings) as app, http_to(app) as http:
        callers = Callers(http)
        name, channel = fresh("agent"), fresh("chan")
        made = ok(await callers.admin.post("/v1/keys", {"name": name, "role": "agent", "agent": name}), 201)
        agent = Caller(http, made["key"])
        for expected in (200, 200, 429):
            scene = await known(callers.admin, channel)
            await accept(agent, (await scene.offer({"queue": "billing"}))["handoff_id"], name)
            assert (await agent.get("/v1/interactions", channel=channel)).status_code == expected
        made = ok(await callers.admin.post("/v1/keys", {"name": fresh("desk"), "role": "agent"}), 201)
        desk, read = Caller(http, made["key"]), []
        for named in ({"X-Ctxhub-Agent": fresh("agent")}, {}):
            for _ in range(3):
                scene = await known(callers.admin)
                await scene.offer({"queue": "billing"})
                read.append((await desk.get(f"{scene.base}/context", named)).status_code)
        assert read == [200, 200, 429, 200, 200, 200], "a desk's key looks as the agent whom it names"


async def test_from_where_a_call_came_is_believed_of_the_hubs_own_adapters_alone(callers: Callers) -> None:
    scene = await known(callers.adapter)
    path, query = f"{scene.base}/context", {"interaction_id": scene.interaction_id}
    passed_on = Keys(cast("Keyring", None), MASTER_KEY.encode()).introduced(Came("203.0.113.9"))
    for said in (None, passed_on, passed_on, "203.0.113.9", passed_on.replace("203", "198"), "203.0.113.9 x"):
        ok(await callers.adapter.get(path, {PASSED_ON: said} if said else {}, **query))
    found = await lines(callers.supervisor, customer_id=scene.customer_id, action="context.read")
    near = found[0]["source"]
    assert [line["source"] for line in found] == [near, "203.0.113.9", "203.0.113.9", near, near, near]


async def test_what_a_person_saw_is_named_whichever_way_it_was_read_and_what_for(callers: Callers) -> None:
    scene = await known(callers.adapter, level=1)
    surer = await known(callers.adapter, "app", level=3, customer_id=scene.customer_id)
    await surer.tell(surer.fact("income", 5200, sensitivity="sensitive"))
    await scene.tell(scene.fact("order_id", "A-17"))
    await accept(callers.ann, (await scene.offer({"queue": "cards"}))["handoff_id"], "ann")
    read = ok(await callers.ann.get(f"{scene.base}/brief", view="agent"))
    whole = ok(await callers.ann.get(f"{scene.base}/context"))
    etag = {"If-None-Match": f'"{read["version"]}"'}
    for path, query in (
        ("brief", {"view": "agent"}), ("timeline", {}), ("timeline/whole", {}), ("context", {}),
        ("context", {"purpose": "quality"}),
    ):  # fmt: skip
        held = etag if path in ("brief", "context") else {}
        answer = await callers.ann.get(f"{scene.base}/{path}", held, **query)
        assert answer.status_code == (304 if held else 200), answer.text
    found = await lines(callers.supervisor, customer_id=scene.customer_id, agent_id="ann")
    seen = [(line["action"], line["shown"], line["masked"] + line["withheld"], line["about"]) for line in found[1:]]
    assert seen[0][1:3] == seen[2][1:3]
    assert "order_id" in seen[0][1]
    assert seen[1] == seen[5]
    assert seen[3:] == [
        ("timeline.read", ["order_id"], [], {}),
        ("timeline.read", ["order_id"], [], {}),
        ("context.read", ["order_id"], ["income"], {}),
        ("context.read", ["order_id"], ["income"], {"purpose": "quality"}),
    ]
    levels = [line["level"] for line in found if line["action"] == "context.read"]
    assert levels == [whole["assurance"]["level"]] * 3
