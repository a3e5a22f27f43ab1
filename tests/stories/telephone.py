"""Two banks alike but for who routes their calls, customers who ring them up, and agents who answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import yaml

from tests.acd.scenes import Switch, ref_of
from tests.adapters.ivr.calling import Caller as Telephone
from tests.api.living import ADMIN_KEY, Clock
from tests.api.scenes import Caller, Scene, begin, fresh, ok, problem

#: By tenant: what each bank declares of the queues in which callers wait.
ROUTINGS = {"hub": "hub", "acd": "external"}
AGENTS = ("ann", "bob", "cat")
DIAL = "+864008001234"
OFFICE = {weekday: ["08:30-18:00"] for weekday in ("mon", "tue", "wed", "thu", "fri")}


def declared(routing: str) -> str:
    """What a bank declares."""
    spec = {"routing": ROUTINGS[routing]} | ({"weights": {}} if ROUTINGS[routing] == "hub" else {})
    skilled = {"queues": ["hotline", "second", "chats"], "capacity": {"ivr": 1, "chat": 2}}
    refund = [{"step": "order", "facts": ["order_id"]}, {"step": "payout", "facts": ["bank"]}]
    return yaml.safe_dump({
        "languages": ["en"],
        "default_region": "US",
        "journeys": [
            {"kind": "refund", "say": {"en": "a refund"}, "steps": refund},
            {"kind": "card_lost", "steps": [{"step": "block", "facts": ["last_seen"]}]},
        ],
        "facts": {"order_id": {"say": {"en": "order"}}, "bank": {"say": {"en": "bank"}}},
        "calendars": {"office": {"timezone": "Asia/Shanghai", "hours": OFFICE}},
        "queues": {
            "hotline": spec | {"keeps_place": True, "continue_elsewhere": "chats"},
            "second": spec,
            "chats": {"routing": "hub", "weights": {}},
            "cards": {"routing": ROUTINGS[routing], "hours": "office", "callback": {"attempts": 2, "pause": 600},
                             "alternatives": [{"kind": "callback"}, {"kind": "message"}]},
        },
        "agents": dict.fromkeys(AGENTS, skilled),
        "dial": {"number": DIAL},
        "channels": {"ivr": {"auth_token_env": "IVR_TOKEN", "queue": "hotline", "continuation": True,
                             "sms": True, "chat_link": "https://bank.example.com/chat", "link_while_waiting": True}},
    })  # fmt: skip


class Staff(NamedTuple):
    """The keys of a bank: its channels', three agents', and one that sees everything."""

    adapter: Caller
    admin: Caller
    ann: Caller
    bob: Caller
    cat: Caller

    @classmethod
    async def of(cls, http: httpx.AsyncClient, tenant: str) -> Staff:
        """Make them by the first key, as an operator does."""

        async def key(name: str, role: str, **more: str) -> Caller:
            body = {"name": name, "role": role, "tenant": tenant} | more
            return Caller(http, ok(await Caller(http, ADMIN_KEY).post("/v1/keys", body), 201)["key"])

        agents = [await key(name, "agent", agent=name) for name in AGENTS]
        return cls(await key("channels", "adapter"), await key("all", "admin"), *agents)

    def __call__(self, agent: str) -> Caller:
        """The key of an agent."""
        found: Caller = getattr(self, agent)
        return found


@dataclass
class Call:
    """A customer's call: the telephone in the hand, and its place in the hub once it rings there."""

    telephone: Telephone
    scene: Scene
    #: As the telephone system of the bank calls it, where there is one.
    leg: str = ""

    @property
    def says(self) -> list[str]:
        """What the customer heard last."""
        return self.telephone.now.says


@dataclass
class Bank:
    """A bank in which the hub routes: it suggests whoever waits to an agent who is there, and the agent takes it."""

    staff: Staff
    clock: Clock

    async def rings(self, phone: str | None = None, customer_id: str | None = None, **signalled: str) -> Call:
        """Somebody calls, and hears the welcome."""
        telephone = Telephone(self.staff.adapter.http, self.tenant, phone=phone)
        await telephone.dial(**signalled)
        return Call(telephone, await self._scene_of(telephone))

    @property
    def tenant(self) -> str:
        """Its name."""
        return "hub"

    async def in_line(self, call: Call) -> dict[str, Any]:
        """The customer asks for a human, and waits; the handoff."""
        await call.telephone.stay_silent()
        heard = await call.telephone.press("0")
        assert heard.says == ["We connect you now. What you have told us goes along."]
        return await self.waits(call)

    async def waits(self, call: Call) -> dict[str, Any]:
        """The handoff by which a call waits in the line."""
        [mine] = [one for one in await self.line() if one["interaction_id"] == call.scene.interaction_id]
        return mine

    async def line(self, queue: str = "hotline") -> list[dict[str, Any]]:
        """Who waits, first in line first."""
        listed: list[dict[str, Any]] = ok(await self.staff.admin.get("/v1/handoffs", queue=queue))["handoffs"]
        return listed

    async def answers(self, agent: str, call: Call, handoff: dict[str, Any]) -> dict[str, Any]:
        """The hub suggests the customer to the agent who is there, who takes her; what the desk shows."""
        return await self.takes(agent, handoff)

    async def takes(self, agent: str, handoff: dict[str, Any], *others: str) -> dict[str, Any]:
        """Agents are there, and the hub suggests to one of them who waits; what the desk shows once it is taken.

        `suggested` is what the hub had said before all of them were busy, when it may take that back.
        """
        for one in (agent, *others):
            await self.is_there(one)
        shown = (await self.suggested(handoff["handoff_id"]))["suggested"]
        assert (shown["agent_id"], bool(shown["reasons"])) == (agent, True)
        for one in (agent, *others):
            await self.is_there(one, "busy")
        return await self._takes(agent, handoff) | {"suggested": shown}

    async def is_known_to_hold(self, agent: str) -> None:
        """Wait until the router knows of an agent's work: it goes by lists that follow what happens."""
        async with asyncio.timeout(10):
            while not ok(await self.staff(agent).get(f"/v1/agents/{agent}/presence"))["held"]:
                await asyncio.sleep(0.02)

    async def is_there(self, agent: str, state: str = "available") -> None:
        """An agent says whether he is there for work."""
        body = {"state": state, "expires_in": 60}
        ok(await self.staff(agent).call("PUT", f"/v1/agents/{agent}/presence", json=body))

    async def suggested(self, handoff_id: str) -> dict[str, Any]:
        """A handoff once the hub has suggested it to an agent."""
        async with asyncio.timeout(10):
            while ((stands := await self.stands(handoff_id))["suggested"] or {}).get("agent_id") is None:
                await asyncio.sleep(0.02)
        return stands

    async def closes(self) -> None:
        """Nobody waits any more and no agent has work left, so that the next story begins with all of them free."""
        for queue in ("hotline", "second", "chats"):
            for one in await self.line(queue):
                ok(await self.staff.admin.post(f"/v1/handoffs/{one['handoff_id']}/cancel"))
        for agent in AGENTS:
            for handoff_id in ok(await self.staff(agent).get(f"/v1/agents/{agent}/presence"))["held"]:
                done = {"agent_id": agent, "fence": (await self.stands(handoff_id))["fence"], "outcome": "resolved"}
                ok(await self.staff(agent).post(f"/v1/handoffs/{handoff_id}/complete", done))

    async def connects(self, agent: str, call: Call, handoff: dict[str, Any]) -> bool:
        """Who routes gives an agent a call that has gone on elsewhere; False where that can't be any more."""
        path, body = f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": agent}
        problem(await self.staff(agent).post(path, body), 409, "wrong_state")
        return False

    async def consults(self, agent: str, call: Call, other: str) -> None:
        """An agent asks another one, while the customer holds the line."""
        asked = await self.offers(call, {"agent": other}, mode="consult")
        await self._takes(other, asked)

    async def confers(self, call: Call, other: str) -> None:
        """Whoever was asked speaks with the customer too."""
        await call.scene.tell(call.scene.event("call.conferenced", {"agent_id": other}))

    async def leaves(self, agent: str, call: Call) -> None:
        """Whoever was asked hangs up; the customer stays."""
        await call.scene.tell(call.scene.event("call.ended", {"agent_id": agent}))

    async def hangs_up(self, call: Call) -> None:
        """The customer hangs up, or is cut off."""
        await call.telephone.hang_up()

    async def dials(self, handoff_id: str) -> dict[str, Any]:
        """The dialler takes a callback that is due."""
        return ok(await self.staff.adapter.post(f"/v1/handoffs/{handoff_id}/dial"))

    async def reports(self, handoff_id: str, **came: Any) -> dict[str, Any]:
        """The dialler says what came of it."""
        return ok(await self.staff.adapter.post(f"/v1/handoffs/{handoff_id}/attempts", came))

    async def offers(self, call: Call, to: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The call is offered on."""
        return await call.scene.offer(to, **more)

    async def app(self, phone: str, **more: Any) -> Scene:
        """A customer, logged in in the app, whose number this is."""
        known = {"identifiers": [{"type": "phone", "value": phone, "strength": "verified"}]}
        level = {"assurance": {"level": 2, "method": "login"}}
        return await begin(self.staff.adapter, "app", **{"customer_id": fresh("c")} | known | level | more)

    async def desk(self, agent: str, call: Call) -> dict[str, Any]:
        """What an agent's desk shows of a call."""
        where = {"interaction_id": call.scene.interaction_id}
        return ok(await self.staff(agent).get(f"{call.scene.base}/context", **where))

    async def stands(self, handoff_id: str) -> dict[str, Any]:
        """A handoff as it stands."""
        found: dict[str, Any] = ok(await self.staff.admin.get(f"/v1/handoffs/{handoff_id}"))["handoff"]
        return found

    async def states(self, scene: Scene) -> list[str]:
        """How each handoff of a customer ended, in the order in which they were offered."""
        told = await scene.all_told(self.staff.admin)
        offered = [event["data"]["handoff_id"] for event in told if event["type"] == "handoff.offered"]
        return [(await self.stands(one))["state"] for one in offered]

    async def interaction(self, call: Call) -> dict[str, Any]:
        """The customer's call as it stands, wherever it is by now."""
        ref = ref_of(call.telephone.sid, "twilio")
        found = ok(await self.staff.admin.post("/v1/interactions/lookup", {"ref": ref}))
        shown: dict[str, Any] = found["interaction"]
        return shown

    async def floor(self, call: Call) -> dict[str, Any]:
        """Who has the floor."""
        holder: dict[str, Any] = (await self.interaction(call))["holder"]
        return holder

    async def _scene_of(self, telephone: Telephone) -> Scene:
        ref = ref_of(telephone.sid, "twilio")
        found = ok(await self.staff.admin.post("/v1/interactions/lookup", {"ref": ref}))
        start = {"channel": "ivr", "system": "twilio", "external_id": telephone.sid}
        assert found["interaction"]["external_id"] == telephone.sid
        return Scene(self.staff.adapter, ok(await self.staff.adapter.post("/v1/interactions", start)))

    async def _takes(self, agent: str, handoff: dict[str, Any]) -> dict[str, Any]:
        """An agent accepts a handoff, or opens again what is already the agent's."""
        return ok(await self.staff(agent).post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": agent}))


@dataclass
class BankWithAcd(Bank):
    """A bank whose telephone system routes: agents answer there, and the hub hears of it by events alone."""

    switch: Switch = field(kw_only=True)

    @property
    def tenant(self) -> str:
        """Its name."""
        return "acd"

    async def answers(self, agent: str, call: Call, handoff: dict[str, Any]) -> dict[str, Any]:
        """The telephone system rings at an agent, who answers; then the desk opens what has popped up."""
        await self._on_the_switch(call)
        await self.switch.tell(call.leg, "alerting", agent)
        await self.switch.tell(call.leg, "answered", agent)
        return await self._takes(agent, await self.stands(handoff["handoff_id"]))

    async def connects(self, agent: str, call: Call, handoff: dict[str, Any]) -> bool:
        """The telephone system, which knows nothing of any chat, connects the call all the same."""
        await self._on_the_switch(call)
        await self.switch.tell(call.leg, "alerting", agent)
        await self.switch.tell(call.leg, "answered", agent)
        return True

    async def consults(self, agent: str, call: Call, other: str) -> None:
        """An agent asks another one, while the customer is on hold."""
        for verb, whom in (("held", agent), ("consulted", other), ("answered", other)):
            await self.switch.tell(call.leg, verb, whom)

    async def confers(self, call: Call, other: str) -> None:
        """All three speak."""
        await self.switch.tell(call.leg, "conferenced", other)

    async def leaves(self, agent: str, call: Call) -> None:
        """One agent's leg ends."""
        await self.switch.tell(call.leg, "ended", agent)

    async def hangs_up(self, call: Call) -> None:
        """The customer hangs up: menu and telephone system both notice."""
        if call.leg:
            await self.switch.tell(call.leg, "ended")
        await call.telephone.hang_up()

    async def dials(self, handoff_id: str) -> dict[str, Any]:
        """The telephone system takes a callback that is due."""
        found: dict[str, Any] = (await self.switch.order("dial", handoff_id=handoff_id))["ok"]
        return found

    async def reports(self, handoff_id: str, **came: Any) -> dict[str, Any]:
        """The telephone system says what came of it."""
        found: dict[str, Any] = (await self.switch.order("report", handoff_id=handoff_id, came=came))["ok"]
        return found

    async def _on_the_switch(self, call: Call) -> None:
        """The call arrives at the telephone system, which knows it by the name that the menu gave it."""
        if not call.leg:
            call.leg = fresh("leg")
            arrived = await self.switch.arrive(call.leg, refs=[ref_of(call.telephone.sid, "twilio")])
            assert arrived["customer_id"] == call.scene.customer_id
