"""How surely a customer is known goes along with her, as old as it is, and falls by time, by word and by warning."""

from __future__ import annotations

from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, begin, fresh, redeem

LOGIN = {"level": 2, "method": "login"}


async def assurance(scene: Scene) -> tuple[int, str | None]:
    found = (await scene.context())["assurance"]
    return found["level"], found["method"]


async def test_logged_in_two_minutes_ago_she_need_not_prove_it_again_on_the_phone(
    clock: Clock, callers: Callers, adapter: Caller
) -> None:
    # She has told her card in the branch; in the app she logs in and begins a refund.
    branch = await begin(adapter, "store", customer_id=fresh("c"), assurance={"level": 3, "method": "passport"})
    await branch.tell(branch.fact("card_number", "6222021234567731"))
    app = await begin(adapter, "app", customer_id=branch.customer_id, assurance=LOGIN)
    await app.journey("refund")
    logged_in = clock.now
    clock.move(minutes=2)

    # She taps "call us": the app's token comes along in the call's signalling, and the menu knows her by it.
    call = await redeem(adapter, (await app.offer({"channel": "ivr"}))["token"], "ivr")
    assert await assurance(call) == (2, "handoff:login")
    assert [offer["kind"] for offer in call.started["resume"]] == ["refund"]
    assert (await call.asks("card_number"))["card_number"]["verdict"] == "known"

    # It is as old as the login, not as the call: what is sensitive is held back from five minutes after that.
    clock.now = logged_in
    clock.move(minutes=5)
    answer = (await call.asks("card_number"))["card_number"]
    assert (answer["verdict"], answer["unlock"]["again"]) == ("withheld", 2)
    assert await assurance(call) == (2, "handoff:login")

    # A PIN now opens it again; at the end of its time all of it is gone.
    await call.raised()
    assert (await call.context())["facts"]["card_number"]["value"] == "6222021234567731"
    clock.move(minutes=31)
    assert (await assurance(call))[0] == 0
    assert "card_number" not in (await call.context())["facts"]


async def test_what_was_revoked_is_carried_no_more(adapter: Caller) -> None:
    app = await begin(adapter, "app", customer_id=fresh("c"), assurance=LOGIN)
    token = (await app.offer({"channel": "ivr"}))["token"]
    await app.tell(app.event("assurance.revoked", {"reason": "logged out"}))
    assert (await assurance(await redeem(adapter, token, "ivr")))[0] == 0


async def test_a_reader_who_holds_a_version_is_told_when_its_proof_is_no_longer_new(
    clock: Clock, adapter: Caller
) -> None:
    app = await begin(adapter, "app", customer_id=fresh("c"), assurance={"level": 3, "method": "otp"})
    await app.tell(app.fact("card_number", "6222021234567731"))
    call = await begin(adapter, "ivr", customer_id=app.customer_id, assurance={"level": 2, "method": "pin"})
    path = f"{call.base}/context"
    first = await adapter.get(path, interaction_id=call.interaction_id)
    held = {"If-None-Match": first.headers["etag"]}
    assert (await adapter.get(path, held, interaction_id=call.interaction_id)).status_code == 304
    clock.move(minutes=5)
    later = await adapter.get(path, held, interaction_id=call.interaction_id)
    assert later.status_code == 200
    assert later.json()["facts"]["card_number"]["withheld"]
