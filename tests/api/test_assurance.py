"""What a key may assert, wherever assurance is asserted; and what a network's attestation is worth."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, phone, problem, redeem, start_body


async def a_key(callers: Callers, level: int, methods: list[str] | None = None, role: str = "adapter") -> Caller:
    """A key that may assert no more than this."""
    body = {"name": fresh("key"), "role": role, "level": level, "methods": methods}
    return Caller(callers.admin.http, ok(await callers.admin.post("/v1/keys", body), 201)["key"])


def verified() -> dict[str, Any]:
    return phone() | {"strength": "verified"}


PIN = {"level": 2, "method": "pin"}


class TestCaps:
    """A key asserts up to its level, by its methods, and is told what it may."""

    async def refused(self, caller: Caller, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return problem(await caller.post(path, body), 403, "assurance_not_allowed")

    async def test_a_start_and_a_redeem_assert_no_more_than_the_key_may(self, callers: Callers) -> None:
        low = await a_key(callers, 1)
        token = (await (await begin(callers.adapter)).offer({"channel": "chat"}))["token"]
        for more in ({"assurance": PIN}, {"identifiers": [verified()]}):
            found = await self.refused(low, "/v1/interactions", start_body(**more))
            assert (found["highest_level"], found.get("methods")) == (1, None)
            await self.refused(low, "/v1/handoffs/redeem", start_body("chat", token=token, **more))
        await begin(low, identifiers=[phone()], assurance={"level": 1, "method": "ani"})

    async def test_an_event_asserts_no_more_than_the_key_may(self, callers: Callers) -> None:
        scene = await begin(await a_key(callers, 1), customer_id=fresh("c"))
        path = f"{scene.base}/events"
        for event in (scene.event("assurance.raised", PIN), scene.fact("city", "Xi'an", "verified")):
            await self.refused(scene.caller, path, {"events": [scene.fact("seen", 1), event]})
        assert (await scene.context())["facts"] == {}, "all or nothing"

    async def test_identifying_and_linking_assert_no_more_than_the_key_may(self, callers: Callers) -> None:
        scene = await begin(await a_key(callers, 1), customer_id=fresh("c"))
        for body in ({"customer_id": fresh("c"), "assurance": PIN}, {"identifiers": [verified()]}):
            await self.refused(scene.caller, f"{scene.place}/identify", body)
        await self.refused(scene.caller, f"{scene.base}/identifiers", verified())

    async def test_a_key_asserts_by_its_methods_alone(self, callers: Callers) -> None:
        caller = await a_key(callers, 2, ["pin"])
        scene = await begin(caller, customer_id=fresh("c"), assurance=PIN)
        for data in ({"level": 2, "method": "otp"}, {"level": 3, "method": "pin"}):
            found = await self.refused(
                caller, f"{scene.base}/events", {"events": [scene.event("assurance.raised", data)]}
            )
            assert (found["highest_level"], found["methods"]) == (2, ["pin"])
        unnamed = start_body(assurance={"level": 2})
        await self.refused(caller, "/v1/interactions", unnamed)

    @pytest.mark.parametrize("method", ["ani", "cookie", "attestation", "identifier"])
    async def test_a_claim_proves_nobody_whoever_asserts_it(self, adapter: Caller, method: str) -> None:
        await self.refused(adapter, "/v1/interactions", start_body(assurance={"level": 2, "method": method}))
        await begin(adapter, assurance={"level": 1, "method": method})

    async def test_what_a_handoff_carries_was_asserted_by_another_and_is_not_bounded(self, callers: Callers) -> None:
        app = await known(callers.adapter, "app")
        token = (await app.offer({"channel": "ivr"}))["token"]
        call = await redeem(await a_key(callers, 1), token, "ivr")
        assert call.started["interaction"]["assurance"]["level"] == 2


class TestAttestation:
    """An attestation proves a line, not a person."""

    async def begun(self, adapter: Caller, result: str) -> Scene:
        return await begin(
            adapter, customer_id=fresh("c"), identifiers=[phone()], attestation={"result": result, "level": "A"}
        )

    @pytest.mark.parametrize("result", ["passed", "none", "failed"])
    async def test_it_never_raises_above_a_claim(self, adapter: Caller, result: str) -> None:
        scene = await self.begun(adapter, result)
        assert scene.started["interaction"]["assurance"]["level"] == 1

    async def test_one_that_failed_is_a_warning_and_caps_what_a_pin_would_open(
        self, adapter: Caller, admin: Caller
    ) -> None:
        scene = await self.begun(adapter, "failed")
        flags = [event["data"] for event in await scene.all_told(admin) if event["type"] == "risk.flagged"]
        assert flags == [{"kind": "attestation_failed", "level": "medium", "queue": "fraud"}]
        app = await begin(adapter, "app", customer_id=scene.customer_id, assurance={"level": 2, "method": "login"})
        await app.tell(app.fact("order_id", "A-17"))
        await scene.raised()
        assert "order_id" not in (await scene.context())["facts"]

    async def test_one_that_passed_warns_of_nothing(self, adapter: Caller, admin: Caller) -> None:
        scene = await self.begun(adapter, "passed")
        assert not [event for event in await scene.all_told(admin) if event["type"] == "risk.flagged"]


class TestReveals:
    """An agent who has the interaction reads what was masked, with a reason and a trace."""

    async def held(self, callers: Callers, level: int = 1) -> Scene:
        """An interaction at a low level that ann holds, of a customer who has told her number elsewhere."""
        app = await known(callers.adapter, "app", level=3)
        await app.tell(app.fact("callback", "+8613800138031"), app.fact("card_number", "6222021234567731"))
        call = await begin(callers.adapter, customer_id=app.customer_id, assurance={"level": level, "method": "otp"})
        await accept(callers.ann, (await call.offer({"queue": "billing"}))["handoff_id"], "ann")
        return call

    async def try_reveal(self, caller: Caller, scene: Scene, *names: str, **more: Any) -> Any:
        body = {"interaction_id": scene.interaction_id, "names": list(names), "reason": "caller can't recall it"}
        return await caller.post(f"{scene.base}/reveal", body | more)

    async def test_an_agent_sees_masks_and_what_would_clear_them(self, callers: Callers) -> None:
        scene = await self.held(callers)
        shown = ok(await callers.ann.get(f"{scene.base}/context", interaction_id=scene.interaction_id))
        facts = {
            name: (fact["value"], fact["masked"], fact["unlock"]["level"]) for name, fact in shown["facts"].items()
        }
        assert facts == {"callback": (None, "••••31", 2), "card_number": (None, "••••7731", 3)}
        assert "38031" not in str(shown)

    async def test_a_reveal_is_told_with_names_and_reason_and_without_values(self, callers: Callers) -> None:
        scene = await self.held(callers)
        revealed = ok(await self.try_reveal(callers.ann, scene, "callback", "nothing"))
        assert [(fact["name"], fact["value"]) for fact in revealed["facts"]] == [("callback", "+8613800138031")]
        [event] = [each for each in await scene.all_told(callers.admin) if each["type"] == "fact.revealed"]
        assert event["data"] == {"names": ["callback"], "agent_id": "ann", "reason": "caller can't recall it"}
        assert not [each for each in await scene.timeline() if each["type"] == "fact.revealed"], "for colleagues"

    async def test_only_who_holds_it_reveals_and_never_without_a_reason(self, callers: Callers) -> None:
        scene = await self.held(callers)
        problem(await self.try_reveal(callers.bob, scene, "callback"), 403, "forbidden")
        problem(await self.try_reveal(callers.adapter, scene, "callback"), 403, "forbidden")
        problem(await self.try_reveal(callers.agent, scene, "callback"), 422, "invalid")
        problem(await self.try_reveal(callers.ann, scene, "callback", reason="  "), 422, "invalid")
        assert not [each for each in await scene.all_told(callers.admin) if each["type"] == "fact.revealed"]

    async def test_a_repeated_reveal_with_the_same_key_leaves_one_trace(self, callers: Callers) -> None:
        scene = await self.held(callers)
        body = {"interaction_id": scene.interaction_id, "names": ["callback"], "reason": "to call back"}
        key = fresh("op")
        answers = [
            ok(await callers.ann.post(f"{scene.base}/reveal", body, idempotency_key=key))["facts"] for _ in range(2)
        ]
        assert answers[0] == answers[1] != []
        assert sum(each["type"] == "fact.revealed" for each in await scene.all_told(callers.admin)) == 1

    async def test_nothing_is_revealed_while_a_warning_stands(self, callers: Callers) -> None:
        scene = await self.held(callers)
        await scene.tell(scene.event("risk.flagged", {"kind": "sim_swap", "level": "high"}))
        refusal = problem(await self.try_reveal(callers.ann, scene, "callback"), 409, "wrong_state")
        assert refusal["state"] == "flagged"
