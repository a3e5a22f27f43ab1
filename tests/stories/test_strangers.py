"""Somebody else's phone: whoever is not surely known hears nothing, and can leave nothing behind for the owner."""

from __future__ import annotations

import pytest

from ctxhub.model.value import rfc3339
from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, accept, begin, fresh, ok, phone, redeem

SECRET = "6222-0000-1111"


async def owner_with_a_secret(adapter: Caller, mine: dict[str, str]) -> Scene:
    """The owner has a journey, a promise, an intent and words on the phone's number."""
    owner = await begin(
        adapter, "app", customer_id=fresh("c"), identifiers=[mine], assurance={"level": 3, "method": "otp"}
    )
    refund = await owner.journey("refund")
    await owner.tell(
        owner.fact("account", SECRET, journey_id=refund),
        owner.fact("mood", SECRET),
        owner.event("message.received", {"text": SECRET}),
        owner.event("intent.detected", {"name": SECRET}),
        owner.event("commitment.made", {"what": SECRET, "owner": "us", "due_at": "2036-01-01T00:00:00Z"}),
    )
    return owner


async def test_a_caller_number_alone_discloses_nothing(callers: Callers, adapter: Caller) -> None:
    mine = phone()
    owner = await owner_with_a_secret(adapter, mine)
    call = await begin(adapter, "ivr", identifiers=[mine])
    assert call.customer_id == owner.customer_id
    heard = [
        call.started, await call.context(), await call.timeline(after=0),
        await call.asks("account", "mood"),
        ok(await adapter.post("/v1/context/lookup", {"identifier": mine})),
        ok(await adapter.post("/v1/context/lookup", {"identifier": mine, "interaction_id": call.interaction_id})),
        await call.tell(call.event("question.asked", {"names": ["account"]})),
    ]  # fmt: skip
    assert SECRET not in str(heard)
    assert owner.interaction_id not in str(heard)
    assert {each["verdict"] for each in (await call.asks("account", "mood")).values()} == {"ask"}


async def test_a_human_sees_no_more_than_the_call_has_proved(callers: Callers, adapter: Caller) -> None:
    mine = phone()
    await owner_with_a_secret(adapter, mine)
    call = await begin(adapter, "ivr", identifiers=[mine])
    handoff = await call.offer({"queue": "billing"})
    taken = await accept(callers.ann, handoff["handoff_id"], "ann")
    assert SECRET not in str(taken)
    assert taken["context"]["assurance"]["level"] == 1
    await call.raised()
    assert SECRET in str(ok(await callers.ann.get(f"{call.base}/context", interaction_id=call.interaction_id)))


async def test_a_strangers_link_carries_the_strangers_words_only(adapter: Caller) -> None:
    mine = phone()
    await owner_with_a_secret(adapter, mine)
    call = await begin(adapter, "ivr", identifiers=[mine])
    await call.tell(call.fact("bank", "my bank"))
    link = await call.offer({"channel": "chat"})
    chat = await redeem(adapter, link["token"])
    assert SECRET not in str(chat.started)
    assert chat.started["context"]["facts"]["bank"]["value"] == "my bank"
    assert chat.started["interaction"]["assurance"]["level"] == 1


async def test_a_journey_that_is_not_in_sight_can_not_be_offered_into_sight(adapter: Caller) -> None:
    mine = phone()
    owner = await owner_with_a_secret(adapter, mine)
    journey_id = (await owner.context())["journeys"][0]["journey_id"]
    call = await begin(adapter, "ivr", identifiers=[mine])
    refused = await call.try_offer({"channel": "chat"}, journey_id=journey_id)
    assert refused.status_code == 404
    told = await call.try_tell(call.fact("bank", "mine", journey_id=journey_id))
    assert told.status_code == 404


async def test_what_a_stranger_says_does_not_become_the_owners(adapter: Caller) -> None:
    mine = phone()
    owner = await owner_with_a_secret(adapter, mine)
    before = await owner.context()
    call = await begin(adapter, "ivr", identifiers=[mine])
    await call.tell(
        call.fact("mood", "stolen"), call.fact("payout", "to the thief", "confirmed"),
        call.event("fact.rejected", {"name": "mood"}, party="customer"),
        call.event("intent.detected", {"name": "steal"}),
    )  # fmt: skip
    await call.journey("refund")
    after = await owner.context()
    for part in ("facts", "journeys", "intent", "commitments"):
        assert after[part] == before[part]


async def test_assurance_runs_out_and_with_it_what_is_shown(adapter: Caller, clock: Clock) -> None:
    mine = phone()
    owner = await owner_with_a_secret(adapter, mine)
    call = await begin(adapter, "ivr", identifiers=[mine], assurance={"level": 2, "method": "pin", "expires_in": 600})
    query = {"interaction_id": call.interaction_id}
    response = await adapter.get(f"{call.base}/context", **query)
    assert SECRET in response.text
    clock.move(seconds=601)
    stale = await adapter.get(f"{call.base}/context", {"If-None-Match": response.headers["etag"]}, **query)
    assert SECRET not in str(ok(stale))
    assert (await call.asks("mood"))["mood"]["verdict"] == "ask"
    await call.tell(call.event("assurance.revoked", {"reason": "another voice"}))
    assert owner.interaction_id not in str(await call.context())


async def test_who_it_really_is_takes_only_what_is_theirs(adapter: Caller) -> None:
    mine = phone()
    owner = await owner_with_a_secret(adapter, mine)
    call = await begin(adapter, "ivr", identifiers=[mine])
    await call.tell(call.fact("bank", "my bank"))
    me = fresh("somebody-else")
    body = {"customer_id": me, "reason": "not_this_customer", "assurance": {"level": 2, "method": "pin"}}
    ok(await adapter.post(f"{call.place}/identify", body))
    home = ok(await adapter.get(f"/v1/customers/{me}/context", interaction_id=call.interaction_id))
    assert SECRET not in str(home)
    assert home["facts"]["bank"]["value"] == "my bank"
    assert "bank" not in (await owner.context())["facts"]


async def a_chat_that_proved_its_own_mail(adapter: Caller) -> Scene:
    """Somebody nobody knows, who has proven a mail address of their own and wants money."""
    mail = {"type": "email", "value": f"{fresh('me')}@evil.example", "strength": "verified"}
    chat = await begin(adapter, "chat", identifiers=[mail], assurance={"level": 2, "method": "otp"})
    await chat.tell(chat.fact("bank", "the bank of somebody else"))
    return chat


@pytest.mark.parametrize("way", ["by number", "by name", "by a key of level 1", "by a link"])
async def test_what_a_stranger_proved_of_themselves_opens_nobody_elses_door(
    callers: Callers, adapter: Caller, way: str
) -> None:
    mine = phone()
    owner = await owner_with_a_secret(adapter, mine)
    before = (await owner.context())["identifiers"]
    chat = await a_chat_that_proved_its_own_mail(adapter)
    if way == "by number":
        moved = ok(await adapter.post(f"{chat.place}/identify", {"identifiers": [mine]}))
    elif way == "by name":
        moved = ok(await adapter.post(f"{chat.place}/identify", {"customer_id": owner.customer_id}))
    elif way == "by a key of level 1":
        key = ok(await callers.admin.post("/v1/keys", {"name": fresh("key"), "role": "adapter", "level": 1}), 201)[
            "key"
        ]
        moved = ok(await Caller(adapter.http, key).post(f"{chat.place}/identify", {"customer_id": owner.customer_id}))
    else:
        token = (await owner.offer({"channel": "chat"}, delivery="message"))["token"]
        body = {"channel": "chat", "external_id": chat.started["interaction"]["external_id"], "token": token}
        moved = ok(await adapter.post("/v1/handoffs/redeem", body))
    assert (moved["customer_id"], moved["interaction"]["assurance"]["level"]) == (owner.customer_id, 1)
    seen = await Scene(adapter, moved).context()
    assert seen["facts"].get("bank", {}).get("value") == "the bank of somebody else"
    if way != "by a link":  # which brings along what was said where it was made
        assert SECRET not in str(seen)
    here = await owner.context()
    assert ("bank" in here["facts"], here["identifiers"]) == (False, before)


async def test_a_proof_told_late_undoes_no_revocation(adapter: Caller, clock: Clock) -> None:
    owner = await owner_with_a_secret(adapter, phone())
    call = await begin(adapter, "ivr", customer_id=owner.customer_id, assurance={"level": 2, "method": "pin"})
    kept = call.event("assurance.raised", {"level": 2, "method": "pin"}, at=rfc3339(clock()))
    clock.move(minutes=1)
    await call.tell(call.event("assurance.revoked", {"reason": "stolen phone"}))
    await call.tell(kept)
    assert SECRET not in str(await call.context())
    await call.raised()
    assert SECRET in str(await call.context())
