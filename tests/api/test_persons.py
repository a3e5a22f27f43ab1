"""What a person may ask for over HTTP: everything, as one document; and holds, which keep everybody from erasing."""

from __future__ import annotations

from tests.api.living import Callers
from tests.api.scenes import Caller, fresh, known, ok, phone, pointers, problem


async def test_an_export_has_every_event_and_the_whole_context(adapter: Caller, admin: Caller) -> None:
    mine = phone()
    ref = {"system": "recorder", "kind": "recording", "id": fresh("rec")}
    scene = await known(adapter, identifiers=[mine], refs=[ref])
    journey_id = await scene.journey()
    await scene.tell(
        scene.fact("card_number", "6225 0000"),
        scene.fact("order_id", "A-17", journey_id=journey_id),
        scene.event("message.received", {"text": "where is it?"}),
        scene.event("commitment.made", {"what": "we call back", "owner": "ann", "due_at": "2030-01-01T00:00:00Z"}),
    )
    await scene.offer({"queue": "billing"})
    answered = await admin.get(f"{scene.base}/export")
    person = ok(answered)
    assert (person["schema"], person["complete"], person["customer_id"]) == ("ctxhub.person/1", True, scene.customer_id)
    assert person["timeline"] == await scene.all_told(admin)
    assert person["events"] == person["version"] == len(person["timeline"])
    context = person["context"]
    assert {fact["name"]: fact["value"] for fact in context["facts"]} == {
        "card_number": "6225 0000",
        "order_id": "A-17",
    }
    assert [held["value"] for held in context["identifiers"]] == [mine["value"]]
    assert len(context["interactions"]) == len(context["handoffs"]) == len(context["commitments"]) == 1
    assert ref in person["copies_elsewhere"]
    assert answered.headers["cache-control"] == "no-store"


async def test_an_export_of_ten_megabytes_is_whole(adapter: Caller, admin: Caller) -> None:
    scene = await known(adapter)
    text = "12345678" * 7500  # 60 kB
    for _ in range(18):
        await scene.tell(*[scene.event("message.received", {"text": text}) for _ in range(10)])
    answered = await admin.get(f"{scene.base}/export")
    person = ok(answered)
    assert len(answered.content) > 10_000_000
    assert (person["complete"], person["events"]) == (True, 181)
    assert [event["version"] for event in person["timeline"]] == list(range(1, 182))


async def test_only_an_admin_exports_and_only_whom_it_has(callers: Callers, admin: Caller) -> None:
    scene = await known(callers.adapter)
    for caller in (callers.adapter, callers.agent, callers.supervisor):
        problem(await caller.get(f"{scene.base}/export"), 403, "forbidden")
    problem(await callers.other_admin.get(f"{scene.base}/export"), 404, "customer_unknown")
    problem(await admin.get("/v1/customers/nobody-at-all/export"), 404, "customer_unknown")


async def test_who_is_on_hold_is_not_forgotten_until_the_hold_ends(callers: Callers, admin: Caller) -> None:
    scene = await known(callers.adapter)
    await scene.tell(scene.fact("card_number", "6225"))
    held = ok(await callers.supervisor.post(f"{scene.base}/hold", {"reason": "a case in court"}))
    assert held["hold"]["reason"] == "a case in court"
    refused = problem(await admin.call("DELETE", scene.base), 409, "on_hold")
    assert (refused["state"], refused["by"]) == ("held", "supervisor")
    ok(await admin.get(f"{scene.base}/context"))
    assert ok(await callers.supervisor.call("DELETE", f"{scene.base}/hold")) == {"hold": None}
    receipt = ok(await admin.call("DELETE", scene.base))
    assert receipt["receipt_id"]
    assert [remains["where"] for remains in receipt["remains"]] == [
        "files of the server and the archive", "backups made before",
    ]  # fmt: skip


async def test_holds_are_for_supervisors_and_need_a_reason(callers: Callers) -> None:
    scene = await known(callers.adapter)
    for caller in (callers.adapter, callers.agent):
        problem(await caller.post(f"{scene.base}/hold", {"reason": "x"}), 403, "forbidden")
    assert pointers(await callers.supervisor.post(f"{scene.base}/hold", {})) == ["/reason"]
    problem(await callers.supervisor.post("/v1/customers/nobody/hold", {"reason": "x"}), 404, "customer_unknown")
    problem(await callers.other_admin.post(f"{scene.base}/hold", {"reason": "x"}), 404, "customer_unknown")
