"""Handoffs through the hub: one winner, tokens and codes, and what a repeated call comes to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ctxhub.errors import (
    AlreadyOffered,
    AlreadyUsed,
    Forbidden,
    HandoffUnknown,
    HeldByAnother,
    Invalid,
    JourneyUnknown,
    Lapsed,
    StaleFence,
    TooMany,
    WrongState,
)
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import Principal
from ctxhub.hub.secrets import Secrets
from ctxhub.model.handoff import Target
from ctxhub.model.interaction import HandoffHint, Start
from ctxhub.store.contexts import Who
from tests.hub.scenes import WHO, an_operation, begin, context_of, in_one, offer, tell, told_of
from tests.support import ACME, ADAPTER, DESK, LEASE, MINUTE, NOON, SECOND, Clock, a_phone, a_start

OTHER = Principal(tenant="other", name="x", role="agent")


def by_token(handoff: dict[str, Any], external_id: str = "w1", **more: Any) -> Start:
    return a_start(external_id, handoff=HandoffHint(token=handoff["token"]), **more)


def by_code(code: str, external_id: str = "w1", phone: str = "+8613800138000", **more: Any) -> Start:
    return a_start(external_id, handoff=HandoffHint(code=code), identifiers=[a_phone(phone)], **more)


class TestAccepting:
    """Forty desks reach for one offer."""

    async def test_one_wins_and_the_others_hear_who(self, hub: Hub) -> None:
        handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]

        async def reaches(agent: str) -> str | None:
            try:
                await hub.handoffs.accept(DESK, handoff_id, agent)
            except HeldByAnother as held:
                return f"{held.ids['held_by']} until {held.ids['until']}"
            return None

        found = await asyncio.gather(*(reaches(f"agent-{n}") for n in range(40)))
        winner = (await context_of(hub)).handoffs[handoff_id].agent_id
        assert found.count(None) == 1
        assert {heard for heard in found if heard} == {f"{winner} until {NOON + LEASE}"}
        assert (await told_of(hub)).count("handoff.accepted") == 1

    async def test_the_same_agent_again_gets_the_same_answer_with_the_present_context(self, hub: Hub) -> None:
        interaction_id = await in_one(hub, level=2)
        handoff_id = (await offer(hub, interaction_id))["handoff_id"]
        first = await hub.handoffs.accept(DESK, handoff_id, "ann")
        await tell(hub, "fact.stated", interaction_id, "e1", name="city", value="Xi'an")
        again = await hub.handoffs.accept(DESK, handoff_id, "ann")
        assert (first["fence"], again["fence"]) == (2, 2)
        assert (first["context"]["facts"], list(again["context"]["facts"])) == ({}, ["city"])

    async def test_a_message_with_the_fence_prolongs_the_lease(self, hub: Hub, clock: Clock) -> None:
        interaction_id = await in_one(hub)
        handoff_id = (await offer(hub, interaction_id))["handoff_id"]
        await hub.handoffs.accept(DESK, handoff_id, "ann")
        for minutes in range(3):
            clock.move(10 * MINUTE)
            await tell(hub, "message.sent", interaction_id, f"m{minutes}", text="x", party="agent", fence=2)
        await hub.wake(WHO)
        assert (await hub.handoffs.get(DESK, handoff_id)).handoff.state == "accepted"
        clock.move(LEASE)
        assert (await hub.handoffs.get(DESK, handoff_id)).handoff.state == "offered"

    @pytest.mark.parametrize("call", ["accept", "decline", "complete", "renew", "receipt", "give_back"])
    async def test_a_key_of_one_agent_speaks_for_no_other(self, hub: Hub, call: str) -> None:
        ann = Principal(tenant=ACME, name="ann", role="agent", agent="ann")
        handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]
        more: dict[str, tuple[Any, ...]] = {"decline": ("x",), "complete": (2, None), "renew": (2,),
                                            "give_back": (2, None, None, None)}  # fmt: skip
        with pytest.raises(Forbidden):
            await getattr(hub.handoffs, call)(ann, handoff_id, "bob", *more.get(call, ()))

    async def test_a_handoff_of_another_tenant_is_not_there(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub))
        for work in (
            hub.handoffs.get(OTHER, handoff["handoff_id"]),
            hub.handoffs.accept(OTHER, handoff["handoff_id"], "ann"),
            hub.handoffs.by_token(OTHER, handoff["token"]),
        ):
            with pytest.raises(HandoffUnknown):
                await work


class TestRepeating:
    """A repeated call takes effect once."""

    async def test_an_offer_with_its_key_is_one_offer_with_one_token(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        first = await offer(hub, interaction_id, keyed="k1")
        again = await offer(hub, interaction_id, keyed="k1")
        assert (again["handoff_id"], again["token"]) == (first["handoff_id"], first["token"])
        with pytest.raises(AlreadyOffered):
            await offer(hub, interaction_id, keyed="k2")

    async def test_a_return_is_made_once_until_nobody_took_it(self, hub: Hub, clock: Clock) -> None:
        handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]
        await hub.handoffs.accept(DESK, handoff_id, "ann")

        async def gives_back() -> str:
            answer = await hub.handoffs.give_back(DESK, handoff_id, "ann", 2, Target(queue="loans"), None, None)
            return str(answer["offered"]["handoff_id"])

        first = await gives_back()
        assert await gives_back() == first
        await hub.handoffs.cancel(DESK, first)
        second = await gives_back()
        assert second != first
        assert (await hub.handoffs.get(DESK, second)).handoff.state == "offered"

    async def test_only_whoever_gave_it_back_hears_again_what_was_offered(self, hub: Hub) -> None:
        handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]
        await hub.handoffs.accept(DESK, handoff_id, "ann")
        await hub.handoffs.give_back(DESK, handoff_id, "ann", 2, None, None, None)
        with pytest.raises(WrongState):
            await hub.handoffs.give_back(DESK, handoff_id, "bob", 2, None, None, None)

    async def test_a_completion_with_its_key_may_be_told_after_all_is_over(self, hub: Hub) -> None:
        handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]
        await hub.handoffs.accept(DESK, handoff_id, "ann")
        for _ in range(2):
            request = Request(operation=an_operation("k1"))
            done = await hub.handoffs.complete(DESK, handoff_id, "ann", 2, "solved", request)
            assert done.handoff.state == "completed"

    async def test_a_journey_out_of_sight_is_not_handed_on(self, hub: Hub) -> None:
        mine, other = await in_one(hub, "x1", 1), await in_one(hub, "x2", 1)
        await tell(hub, "journey.started", mine, "e1", kind="refund", journey_id="jr_1")
        with pytest.raises(JourneyUnknown):
            await offer(hub, other, journey_id="jr_1")


class TestTokens:
    """A token brings its customer in."""

    async def test_twenty_who_redeem_it_at_once_one_does_and_the_others_are_nobody_we_know(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub, level=2), to={"channel": "chat"})
        found = await asyncio.gather(*(hub.interactions.start(ADAPTER, by_token(handoff, f"w{n}")) for n in range(20)))
        in_ = [answer for answer, _, _ in found if answer["customer_id"] == "c42"]
        out = [answer for answer, _, _ in found if answer["customer_id"] != "c42"]
        assert (len(in_), len(out)) == (1, 19)
        assert {answer["handoff_problem"]["code"] for answer in out} == {"used"}
        assert len((await context_of(hub)).interactions) == 2

    async def test_refused_it_leaves_nothing_behind(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub), to={"channel": "chat"})
        await hub.interactions.redeem(ADAPTER, by_token(handoff, "w1"))
        with pytest.raises(AlreadyUsed):
            await hub.interactions.redeem(ADAPTER, by_token(handoff, "w2"))
        assert await hub.lookups.external(ACME, "chat", "w2") is None

    async def test_the_same_comer_again_gets_the_same_answer(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub), to={"channel": "chat"})
        first, _ = await hub.interactions.redeem(ADAPTER, by_token(handoff))
        again, _ = await hub.interactions.redeem(ADAPTER, by_token(handoff))
        assert again["interaction"] == first["interaction"]
        assert (await told_of(hub)).count("handoff.accepted") == 1

    async def test_lapsed_it_says_so(self, hub: Hub, clock: Clock) -> None:
        handoff = await offer(hub, await in_one(hub), to={"channel": "chat"}, expires_in=60)
        clock.move(MINUTE)
        with pytest.raises(Lapsed):
            await hub.interactions.redeem(ADAPTER, by_token(handoff))

    @pytest.mark.parametrize("token", ["x", "", "00", "é" * 20, "ho_00" + "0" * 20, "*" * 24])
    async def test_whatever_else_comes_stands_for_nothing(self, hub: Hub, token: str) -> None:
        start = a_start("w1").but(handoff=HandoffHint.model_construct(token=token))
        with pytest.raises((HandoffUnknown, Invalid)):
            await hub.interactions.redeem(ADAPTER, start)

    async def test_it_is_short_opaque_and_fits_a_link(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub), to={"channel": "chat"})
        assert len(handoff["token"]) <= 30
        assert set(handoff["token"]) <= set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
        assert handoff["link"] == f"https://ctx.test/chat/acme/#{handoff['token']}"
        assert bytes.fromhex(handoff["uui"].removeprefix("00").split(";")[0]).decode() == handoff["token"]

    async def test_another_master_key_makes_other_tokens(self, hub: Hub) -> None:
        one, two = (Secrets(key, hub.server.keys) for key in (b"one", b"two"))
        handoff_id = one.handoff_id(ACME, "c42", "seed")
        assert one.token(handoff_id) != two.token(handoff_id)
        assert one.code(handoff_id) != two.code(handoff_id)


class TestCodes:
    """A code is bound to the customer's own phones and accounts, and tried a few times only."""

    async def offered(self, hub: Hub, **more: Any) -> str:
        interaction_id = (await begin(hub, level=2, identifiers=[a_phone()]))["interaction"]["interaction_id"]
        return str((await offer(hub, interaction_id, to={"channel": "ivr"}, **more))["code"])

    async def test_without_a_phone_or_account_there_is_none(self, hub: Hub) -> None:
        assert (await offer(hub, await in_one(hub)))["code"] is None

    async def test_with_the_customer_s_own_phone_it_brings_in_at_level_1(self, hub: Hub) -> None:
        code = await self.offered(hub)
        answer, _ = await hub.interactions.redeem(ADAPTER, by_code(code, channel="ivr"))
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c42", 1)

    async def test_with_another_s_phone_it_stands_for_nothing(self, hub: Hub) -> None:
        code = await self.offered(hub)
        await begin(hub, "y1", customer_id="c7", identifiers=[a_phone("+8613900139000")])
        with pytest.raises(HandoffUnknown):
            await hub.interactions.redeem(ADAPTER, by_code(code, phone="+8613900139000", channel="ivr"))

    async def test_it_is_tried_five_times_in_an_interaction(self, hub: Hub) -> None:
        code = await self.offered(hub)
        for _ in range(5):
            with pytest.raises(HandoffUnknown):
                await hub.interactions.redeem(ADAPTER, by_code("00000000", channel="ivr"))
        with pytest.raises(TooMany) as refusal:
            await hub.interactions.redeem(ADAPTER, by_code(code, channel="ivr"))
        assert refusal.value.ids["retry_after"] > 0

    async def test_and_ten_times_an_hour_for_an_identifier(self, hub: Hub) -> None:
        code = await self.offered(hub)
        for number in range(10):
            with pytest.raises(HandoffUnknown):
                await hub.interactions.redeem(ADAPTER, by_code("00000000", f"w{number}", channel="ivr"))
        with pytest.raises(TooMany):
            await hub.interactions.redeem(ADAPTER, by_code(code, "w99", channel="ivr"))

    async def test_it_needs_an_identifier(self, hub: Hub) -> None:
        with pytest.raises(Invalid):
            await hub.interactions.redeem(ADAPTER, a_start("w1", handoff=HandoffHint(code="12345678")))


class TestQueues:
    """What is listed right after an offer is there."""

    async def test_who_waits_is_listed_first_in_line_first_and_no_more_once_taken(self, hub: Hub, clock: Clock) -> None:
        ids = []
        for number in range(3):
            who = Who(ACME, f"c{number}")
            handoff = await offer(hub, await in_one(hub, f"x{number}", customer_id=who.customer_id), who)
            ids.append(handoff["handoff_id"])
            assert len(await hub.handoffs.waiting(ACME, "cards", "offered")) == number + 1
            clock.move(SECOND)
        await hub.handoffs.accept(DESK, ids[0], "ann")
        assert [h.handoff_id for h in await hub.handoffs.waiting(ACME, "cards", "offered")] == ids[1:]
        assert [h.handoff_id for h in await hub.handoffs.waiting(ACME, "cards", "accepted")] == ids[:1]
        assert (await hub.queues.show(ACME, "cards")).waiting == 2
        assert await hub.handoffs.waiting("other", "cards", "offered") == []

    async def test_a_list_never_shows_a_secret(self, hub: Hub) -> None:
        await offer(hub, await in_one(hub, identifiers=[a_phone()]))
        [waiting] = await hub.handoffs.waiting(ACME, "cards", "offered")
        assert (waiting.token, waiting.code, waiting.uui, waiting.link) == (None, None, None, None)


async def test_whoever_comes_back_within_the_grace_keeps_his_place(hub: Hub, clock: Clock) -> None:
    interaction_id = await in_one(hub)
    await offer(hub, interaction_id)
    await hub.interactions.end(WHO, interaction_id, None, None)
    clock.move(5 * MINUTE)
    handoff = await offer(hub, await in_one(hub, "x2"))
    assert handoff["waiting_since"] == "2026-11-22T12:00:00.000Z"


async def test_a_stale_fence_moves_nothing(hub: Hub, clock: Clock) -> None:
    handoff_id = (await offer(hub, await in_one(hub)))["handoff_id"]
    await hub.handoffs.accept(DESK, handoff_id, "ann")
    clock.move(LEASE)
    await hub.handoffs.accept(DESK, handoff_id, "ann")
    for work in (
        hub.handoffs.complete(DESK, handoff_id, "ann", 2, None),
        hub.handoffs.renew(DESK, handoff_id, "ann", 2),
        hub.handoffs.give_back(DESK, handoff_id, "ann", 2, None, None, None),
    ):
        with pytest.raises(StaleFence):
            await work
