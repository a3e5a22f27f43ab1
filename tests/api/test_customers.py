"""Customers, keys and the tenant's declarations over HTTP."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, phone, pointers, problem, start_body
from tests.model.cards import number


async def test_a_customer_is_found_by_an_identifier_in_any_spelling(adapter: Caller) -> None:
    digits = phone()["value"].removeprefix("+86")
    here = {"type": "phone", "value": f"{digits[:3]} {digits[3:]}"}
    scene = await begin(adapter, identifiers=[here], customer_id=fresh("c"))
    for spelt in (f"+86 {digits[:3]}-{digits[3:]}", digits):
        found = await adapter.post("/v1/customers/lookup", {"identifier": {"type": "phone", "value": spelt}})
        assert ok(found)["customer_id"] == scene.customer_id
    mail = {"type": "email", "value": f"{fresh('Ann')}@Example.COM"}
    await begin(adapter, identifiers=[mail], customer_id=scene.customer_id)
    lower = {"identifier": mail | {"value": mail["value"].lower()}}
    assert ok(await adapter.post("/v1/customers/lookup", lower))["customer_id"] == scene.customer_id


async def test_an_identifier_of_nobody_or_of_several_finds_none(adapter: Caller) -> None:
    problem(await adapter.post("/v1/customers/lookup", {"identifier": phone()}), 404, "customer_unknown")
    shared = phone()
    owners = [await begin(adapter, customer_id=fresh("c"), identifiers=[shared]) for _ in range(2)]
    refused = await adapter.post("/v1/customers/lookup", {"identifier": shared})
    problem(refused, 409, "ambiguous")
    assert all(owner.customer_id not in refused.text for owner in owners)
    verified = shared | {"strength": "verified"}
    ok(await adapter.post(f"{owners[1].base}/identifiers", verified))
    found = await adapter.post("/v1/customers/lookup", {"identifier": shared})
    assert ok(found)["customer_id"] == owners[1].customer_id


async def test_identifiers_come_and_go(adapter: Caller) -> None:
    scene, mine = await known(adapter), phone()
    linked = await adapter.post(f"{scene.base}/identifiers", mine)
    assert ok(linked)["identifiers"] == [mine | {"strength": "claimed"}]
    assert linked.headers["etag"]
    assert ok(await adapter.post("/v1/customers/lookup", {"identifier": mine}))["customer_id"] == scene.customer_id
    verified = ok(await adapter.post(f"{scene.base}/identifiers", mine | {"strength": "verified"}))["identifiers"]
    assert [held["strength"] for held in verified] == ["verified"]
    gone = await adapter.call("DELETE", f"{scene.base}/identifiers", json=mine)
    assert ok(gone)["identifiers"] == []
    problem(await adapter.post("/v1/customers/lookup", {"identifier": mine}), 404, "customer_unknown")


async def test_the_same_identifier_again_changes_nothing(adapter: Caller) -> None:
    scene, mine = await known(adapter), phone()
    first = await adapter.post(f"{scene.base}/identifiers", mine)
    again = await adapter.post(f"{scene.base}/identifiers", mine)
    assert (ok(again), again.headers["etag"]) == (ok(first), first.headers["etag"])


async def test_identifiers_have_a_type_a_value_and_a_strength(adapter: Caller) -> None:
    scene = await known(adapter)
    bad = {
        "/type": {"type": "No Type", "value": "a"}, "/value": {"type": "phone", "value": ""},
        "/strength": phone() | {"strength": "sure"}, "/colour": phone() | {"colour": "red"},
    }  # fmt: skip
    for where, body in bad.items():
        assert pointers(await adapter.post(f"{scene.base}/identifiers", body)) == [where]
    problem(await adapter.post("/v1/customers/nobody-at-all/identifiers", phone()), 404, "customer_unknown")


async def test_a_forgotten_customer_is_gone_with_all_that_led_there(adapter: Caller, admin: Caller) -> None:
    mine, ref = phone(), {"system": "acd", "kind": "call", "id": fresh("r")}
    scene = await known(adapter, identifiers=[mine], refs=[ref])
    await scene.tell(scene.fact("order_id", "A-17"))
    handoff = await scene.offer({"queue": "billing"})
    receipt = ok(await admin.call("DELETE", scene.base))
    assert receipt["customer_id"] == scene.customer_id
    assert receipt["erased"] == {"events": 3, "facts": 1, "interactions": 1, "handoffs": 1, "identifiers": 1}
    problem(await admin.get(f"{scene.base}/context"), 404, "customer_unknown")
    problem(await admin.get(f"{scene.base}/timeline"), 404, "customer_unknown")
    problem(await adapter.post("/v1/customers/lookup", {"identifier": mine}), 404, "customer_unknown")
    problem(await adapter.post("/v1/interactions/lookup", {"ref": ref}), 404, "interaction_unknown")
    problem(await adapter.get(f"/v1/handoffs/{handoff['handoff_id']}"), 404, "handoff_unknown")
    problem(await adapter.post("/v1/handoffs/lookup", {"token": handoff["token"]}), 404, "handoff_unknown")
    waiting = ok(await adapter.get("/v1/handoffs", queue="billing"))["handoffs"]
    assert handoff["handoff_id"] not in [each["handoff_id"] for each in waiting]
    problem(await admin.call("DELETE", scene.base), 404, "customer_unknown")


async def test_a_forgotten_customer_may_come_again_as_somebody_new(adapter: Caller, admin: Caller) -> None:
    body = start_body(customer_id=fresh("c"), identifiers=[phone()])
    first = ok(await adapter.post("/v1/interactions", body), 201)
    ok(await admin.call("DELETE", f"/v1/customers/{first['customer_id']}"))
    again = ok(await adapter.post("/v1/interactions", body), 201)
    assert again["context"]["version"] == 1


async def test_the_tenants_declarations_can_be_read(callers: Callers) -> None:
    declared = ok(await callers.agent.get("/v1/tenant"))
    assert [kind["kind"] for kind in declared["journeys"]] == ["refund"]
    assert declared["tenant"] == "default"
    assert ok(await callers.other_adapter.get("/v1/tenant"))["tenant"] == "other"


async def test_a_key_is_shown_once_and_works_at_once(admin: Caller, adapter: Caller, callers: Callers) -> None:
    made = ok(await admin.post("/v1/keys", {"name": fresh("k"), "role": "supervisor"}), 201)
    mine = Caller(admin.http, made["key"])
    ok(await mine.get("/v1/queues/billing"))
    name = fresh("k")
    ok(await admin.post("/v1/keys", {"name": name, "role": "agent", "agent": "cem"}), 201)
    assert pointers(await admin.post("/v1/keys", {"name": name, "role": "agent"})) == ["/name"]
    assert pointers(await admin.post("/v1/keys", {"name": fresh("k"), "role": "boss"})) == ["/role"]
    elsewhere = {"name": fresh("k"), "role": "adapter", "tenant": "default"}
    problem(await callers.other_admin.post("/v1/keys", elsewhere), 403, "forbidden")


@pytest.mark.parametrize(
    "value",
    ["a\x00b", "a\nb", "a\x85b", "\u200b\u200d\u2060", "   ", "", "x" * 257, "x" * 10_240, "ﷺ" * 60, "\ue000", 7, None,
     ["a"], {"a": 1}],
)  # fmt: skip
async def test_odd_identifiers_are_refused_with_the_place(adapter: Caller, value: Any) -> None:
    identifier = {"type": "account", "value": value}
    started = await adapter.post("/v1/interactions", start_body(identifiers=[phone(), identifier]))
    assert pointers(started) == ["/identifiers/1/value"]
    scene = await known(adapter)
    assert pointers(await adapter.post(f"{scene.base}/identifiers", identifier)) == ["/value"]
    assert pointers(await adapter.post("/v1/customers/lookup", {"identifier": identifier})) == ["/identifier/value"]


@pytest.mark.parametrize(
    "value", ["李雷-0078", "مشتري", "ผู้ซื้อ", "🂡🂢", "e\u0301", "‮evil", "' OR 1=1 --", "<script>", "ctxhub:{00}:keys"]
)
async def test_identifiers_in_any_script_are_kept_and_found(adapter: Caller, value: str) -> None:
    identifier = {"type": "account", "value": f"{value} {fresh('A')}", "strength": "verified"}
    scene = await known(adapter, identifiers=[identifier])
    found = ok(
        await adapter.post("/v1/customers/lookup", {"identifier": {"type": "account", "value": identifier["value"]}})
    )
    assert found["customer_id"] == scene.customer_id


async def test_a_caller_with_odd_numbers_is_still_served(adapter: Caller) -> None:
    for value in ("anonymous", "Restricted", "sip:unknown@unknown.invalid", "+", "﷽"):
        started = await adapter.post("/v1/interactions", start_body(identifiers=[{"type": "phone", "value": value}]))
        assert ok(started, 201)["ambiguous"] is False
    scene = await known(adapter)
    assert pointers(await adapter.post(f"{scene.base}/identifiers", {"type": "phone", "value": "anonymous"})) == [
        "/value"
    ]


async def test_a_customer_may_have_64_identifiers_at_once_and_not_65(adapter: Caller) -> None:
    many = [{"type": "club", "value": fresh("n")} for _ in range(65)]
    assert pointers(await adapter.post("/v1/interactions", start_body(identifiers=many))) == ["/identifiers"]
    scene = await known(adapter, identifiers=many[:64])
    assert len((await scene.context())["identifiers"]) == 64


async def test_no_answer_has_the_index_of_a_card(adapter: Caller, admin: Caller) -> None:
    card = {"type": "card", "value": number(Random(fresh("card")), "4", 16), "ref": fresh("tok")}
    scene = await known(adapter, identifiers=[card])
    answers = [
        await adapter.get(f"{scene.base}/context", interaction_id=scene.interaction_id),
        await admin.get(f"{scene.base}/context"),
        await admin.get(f"{scene.base}/export"),
        await adapter.post(f"{scene.base}/identifiers", phone() | {"interaction_id": scene.interaction_id}),
        await admin.call("DELETE", f"{scene.base}/identifiers", json=phone()),
    ]
    for found in (scene.started["context"], *(ok(answer) for answer in answers)):
        held = [one for one in found.get("context", found)["identifiers"] if one["type"] == "card"]
        assert [(one["value"], one.get("ref")) for one in held] == [(f"•••• {card['value'][-4:]}", card["ref"])]
        assert "index" not in str(held)
    assert ok(await adapter.post("/v1/customers/lookup", {"identifier": card}))["customer_id"] == scene.customer_id


async def test_a_channel_that_links_is_not_told_what_was_only_claimed_elsewhere(adapter: Caller, admin: Caller) -> None:
    scene, mail = await known(adapter), {"type": "email", "value": f"{fresh('who')}@else.example"}
    call = await known(adapter, level=1, customer_id=scene.customer_id, identifiers=[mail])
    linked = await adapter.post(f"{scene.base}/identifiers", phone() | {"interaction_id": scene.interaction_id})
    assert [one["type"] for one in ok(linked)["identifiers"]] == ["phone"]
    own = await adapter.post(f"{scene.base}/identifiers", mail | {"interaction_id": call.interaction_id})
    assert [one["type"] for one in ok(own)["identifiers"]] == ["email"]
    shown = ok(await admin.get(f"{scene.base}/context"))["identifiers"]
    assert [one.get("unsure", {}).get("told_in") for one in shown] == [[call.interaction_id], None]


ACCOUNT = {"type": "account", "strength": "verified"}


async def linked(caller: Caller, scene: Scene, one: dict[str, Any], at: Scene | None = None) -> list[dict[str, Any]]:
    """What whoever links is told of all that leads to a customer."""
    told_in = {"interaction_id": at.interaction_id} if at else {}
    found: list[dict[str, Any]] = ok(await caller.post(f"{scene.base}/identifiers", one | told_in))["identifiers"]
    return found


async def unlinked(caller: Caller, scene: Scene) -> list[dict[str, Any]]:
    """What whoever takes a number away is told of all that leads there still."""
    found: list[dict[str, Any]] = ok(await caller.call("DELETE", f"{scene.base}/identifiers", json=phone()))[
        "identifiers"
    ]
    return found


async def test_who_links_and_unlinks_is_told_what_his_context_shows_and_what_he_said(callers: Callers) -> None:
    adapter, account = callers.adapter, ACCOUNT | {"value": fresh("A")}
    sure = await known(adapter, identifiers=[account])
    low = await known(adapter, "chat", level=1, customer_id=sure.customer_id)
    for scene, shown in ((low, []), (sure, [account])):
        said = phone() | {"strength": "claimed"}
        assert await linked(adapter, sure, said, scene) == [*shown, said]
        assert (await scene.context())["identifiers"] == (shown and [account, said])
    held = [one for one in (await sure.context())["identifiers"] if one != account]
    assert await linked(adapter, sure, held[0]) == held[:1], "without an interaction a channel hears its own words"
    assert await unlinked(adapter, sure) == []
    for scene, shown in ((low, []), (sure, [account, *held])):
        await accept(callers.ann, (await scene.offer({"queue": "cards"}))["handoff_id"], "ann")
        context = ok(await callers.ann.get(f"{sure.base}/context", interaction_id=scene.interaction_id))
        assert context["identifiers"] == shown
        assert await linked(callers.ann, sure, held[0], scene) == (shown or held[:1])
    problem(await callers.supervisor.post(f"{sure.base}/identifiers", phone()), 403, "forbidden")
    everything = ok(await callers.supervisor.get(f"{sure.base}/context"))["identifiers"]
    assert await unlinked(callers.admin, sure) == everything
    assert [one["type"] for one in everything] == ["account", "phone", "phone"]


async def test_below_level_2_the_answer_does_not_say_whether_it_was_the_customers_already(adapter: Caller) -> None:
    number, other = phone(), phone()
    sure = await known(adapter, identifiers=[number | {"strength": "verified"}])
    low = await known(adapter, "chat", level=1, customer_id=sure.customer_id)
    for said in (number, other):
        assert await linked(adapter, sure, said, low) == [said | {"strength": "claimed"}]


async def test_an_agent_who_may_not_read_for_an_interaction_is_told_his_own_words_alone(callers: Callers) -> None:
    account = ACCOUNT | {"value": fresh("A")}
    mine = await known(callers.adapter, level=1)
    another = await known(callers.adapter, "app", customer_id=mine.customer_id, identifiers=[account])
    await accept(callers.ann, (await mine.offer({"queue": "cards"}))["handoff_id"], "ann")
    said = phone()
    assert await linked(callers.ann, mine, said, another) == [said | {"strength": "claimed"}]
    problem(await callers.ann.get(f"{mine.base}/context", interaction_id=another.interaction_id), 403, "forbidden")
