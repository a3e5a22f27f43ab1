"""Merging and parting over HTTP: previews, refusals, what the old id answers, and odd input."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, fresh, known, ok, phone, pointers, problem


async def two(adapter: Caller) -> tuple[Scene, Scene]:
    """Two customers in a call each; both said where they live."""
    one, other = await known(adapter, identifiers=[phone()]), await known(adapter, identifiers=[phone()])
    await one.tell(one.fact("city", "Xi'an"))
    await other.tell(other.fact("city", "Lhasa"))
    return one, other


async def merged(callers: Callers, one: Scene, other: Scene, **more: Any) -> dict[str, Any]:
    """The answer of a merge that has to be done."""
    return ok(await callers.supervisor.post(f"{one.base}/merge", {"from": other.customer_id} | more))


def _known_of(context: dict[str, Any]) -> dict[str, Any]:
    """What a context says, apart from its versions."""
    return {name: value for name, value in context.items() if "version" not in name}


async def test_a_preview_changes_nothing_and_tells_no_value(callers: Callers, adapter: Caller) -> None:
    one, other = await two(adapter)
    before = [await scene.context() for scene in (one, other)]
    answer = await callers.supervisor.post(f"{one.base}/merge", {"from": other.customer_id, "preview": True})
    shown = ok(answer)
    assert (shown["merge_id"], shown["preview"]["facts"]) == (None, ["city"])
    assert "different_values" in {conflict["kind"] for conflict in shown["preview"]["conflicts"]}
    assert "Lhasa" not in answer.text
    assert [await scene.context() for scene in (one, other)] == before


async def test_a_merged_id_answers_reads_with_its_new_home_and_without_a_problem(
    callers: Callers, adapter: Caller, admin: Caller
) -> None:
    one, other = await two(adapter)
    await merged(callers, one, other)
    for path in ("context", "timeline", "timeline/whole", "brief", "stream"):
        answer = await admin.get(f"{other.base}/{path}", **({"view": "agent"} if path == "brief" else {}))
        assert answer.status_code == 308
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["location"].startswith(f"{one.base}/{path}")
        assert answer.json() == {"customer_id": one.customer_id, "merged": other.customer_id}


async def test_a_write_to_a_merged_id_is_sent_on_and_done_there(callers: Callers, adapter: Caller) -> None:
    one, other = await two(adapter)
    await merged(callers, one, other)
    told = other.fact("city", "Harbin")
    answer = await other.try_tell(told)
    assert problem(answer, 308, "merged")["customer_id"] == one.customer_id
    ok(await adapter.post(answer.headers["location"], {"events": [told]}))
    query = {"interaction_id": other.interaction_id}
    assert ok(await adapter.get(f"{one.base}/context", **query))["facts"]["city"]["value"] == "Harbin"


async def test_who_offers_by_the_old_id_is_served(callers: Callers, adapter: Caller) -> None:
    one, other = await two(adapter)
    await merged(callers, one, other)
    handoff = await other.offer({"queue": "billing"})
    assert handoff["customer_id"] == one.customer_id


async def test_undone_each_is_itself_and_the_old_id_is_good_again(
    callers: Callers, adapter: Caller, admin: Caller
) -> None:
    one, other = await two(adapter)
    before = [_known_of(await scene.context(events=0)) for scene in (one, other)]
    merge_id = (await merged(callers, one, other))["merge_id"]
    undone = ok(await callers.supervisor.post(f"{one.base}/unmerge", {"merge_id": merge_id}))
    assert (undone["customer_id"], undone["from"]) == (one.customer_id, other.customer_id)
    after = [await scene.context(events=0) for scene in (one, other)]
    for was, now in zip(before, after, strict=True):
        assert {k: v for k, v in now.items() if "version" not in k} == {
            k: v for k, v in was.items() if "version" not in k
        }
    assert [e["type"] for e in await other.all_told(admin)][-2:] == ["identity.merged", "identity.unmerged"]
    problem(await callers.supervisor.post(f"{one.base}/unmerge", {"merge_id": merge_id}), 404, "merge_unknown")


async def test_the_whole_timeline_runs_through_both(callers: Callers, adapter: Caller, admin: Caller) -> None:
    one, other = await two(adapter)
    await merged(callers, one, other)
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = ok(await admin.get(f"{one.base}/timeline/whole", **query))
        found += page["events"]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert len(found) == len({(event["customer_id"], event["version"]) for event in found})
    assert {event["customer_id"] for event in found} == {one.customer_id, other.customer_id}
    own = [event["version"] for event in found if event["customer_id"] == one.customer_id]
    assert own == sorted(own)
    for mark in ("x", "1", "1.2.3", "1.-2", "9" * 40):
        assert pointers(await admin.get(f"{one.base}/timeline/whole", after=mark)) == ["/after"]


class TestRefused:
    """Odd input, and merges that make no sense."""

    async def test_with_itself(self, callers: Callers, adapter: Caller) -> None:
        one = await known(adapter)
        answer = await callers.supervisor.post(f"{one.base}/merge", {"from": one.customer_id})
        assert pointers(answer) == ["/from"]

    @pytest.mark.parametrize(
        "body",
        [{}, {"from": 1}, {"from": ""}, {"from": "a b"}, {"from": "c" * 129}, {"from": "c1", "preview": "yes"},
         {"from": "c1", "into": "c2"}, {"source": "c1"}, []],
    )  # fmt: skip
    async def test_by_its_fields(self, callers: Callers, adapter: Caller, body: Any) -> None:
        one = await known(adapter)
        problem(await callers.supervisor.post(f"{one.base}/merge", body), 422, "invalid")

    async def test_in_a_circle_and_twice_over(self, callers: Callers, adapter: Caller) -> None:
        one, other = await two(adapter)
        third = await known(adapter)
        await merged(callers, one, other)
        back = await callers.supervisor.post(f"{other.base}/merge", {"from": one.customer_id})
        assert problem(back, 308, "merged")["customer_id"] == one.customer_id
        again = await callers.supervisor.post(back.headers["location"], {"from": one.customer_id})
        assert pointers(again) == ["/from"]
        elsewhere = await callers.supervisor.post(f"{third.base}/merge", {"from": other.customer_id})
        assert problem(elsewhere, 409, "wrong_state")["customer_id"] == one.customer_id

    async def test_of_nobody_and_into_nobody(self, callers: Callers, adapter: Caller) -> None:
        one, nobody = await known(adapter), fresh("c")
        problem(await callers.supervisor.post(f"{one.base}/merge", {"from": nobody}), 404, "customer_unknown")
        answer = await callers.supervisor.post(f"/v1/customers/{nobody}/merge", {"from": one.customer_id})
        problem(answer, 404, "customer_unknown")

    async def test_of_another_tenants_customer(self, callers: Callers, adapter: Caller) -> None:
        one, theirs = await known(adapter), await known(callers.other_adapter)
        problem(await callers.admin.post(f"{one.base}/merge", {"from": theirs.customer_id}), 404, "customer_unknown")

    async def test_of_two_accounts_unless_an_admin_insists(self, callers: Callers, adapter: Caller) -> None:
        def account() -> dict[str, Any]:
            return {"type": "account", "value": fresh("A"), "strength": "verified"}

        one, other = await known(adapter, identifiers=[account()]), await known(adapter, identifiers=[account()])
        body = {"from": other.customer_id}
        problem(await callers.supervisor.post(f"{one.base}/merge", body), 409, "verified_apart")
        problem(await callers.supervisor.post(f"{one.base}/merge", body | {"force": True}), 403, "forbidden")
        assert ok(await callers.admin.post(f"{one.base}/merge", body | {"force": True}))["merge_id"]

    async def test_on_an_older_document_than_the_present_one(self, callers: Callers, adapter: Caller) -> None:
        one, other = await two(adapter)
        await one.tell(one.fact("a", 1))
        body = {"from": other.customer_id}
        problem(await callers.supervisor.post(f"{one.base}/merge", body, if_match='"1"'), 412, "changed")

    async def test_the_same_request_again_is_the_same_merge(self, callers: Callers, adapter: Caller) -> None:
        one, other = await two(adapter)
        body, key = {"from": other.customer_id}, fresh("k")
        first = ok(await callers.supervisor.post(f"{one.base}/merge", body, idempotency_key=key))
        again = ok(await callers.supervisor.post(f"{one.base}/merge", body, idempotency_key=key))
        assert first["merge_id"] == again["merge_id"]


async def test_a_merge_while_an_agent_holds_the_call_takes_nothing_away(
    callers: Callers, adapter: Caller, desk: Caller
) -> None:
    one, other = await two(adapter)
    handoff = await other.offer({"queue": "billing"})
    taken = ok(await desk.post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "ann"}))
    await merged(callers, one, other)
    done = {"agent_id": "ann", "fence": taken["fence"], "outcome": "done"}
    ended = ok(await desk.post(f"/v1/handoffs/{handoff['handoff_id']}/complete", done))
    assert (ended["handoff"]["state"], ended["handoff"]["customer_id"]) == ("completed", one.customer_id)
