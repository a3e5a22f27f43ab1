"""What tests of calls begin with: orders to the telephone system, a caller in the menu, and what stands afterwards."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from tests.api.living import Callers, Clock
from tests.api.scenes import Caller, Scene, fresh, ok

TENANT = """
languages: [en, zh]
default_region: CN
journeys:
  - kind: refund
    owner: hotline
    say: {en: a refund, zh: 退款}
    steps:
      - {step: order, facts: [order_id]}
      - {step: payout, facts: [bank, account]}
  - {kind: claim, owner: "agent:ann"}
queues:
  hotline: {dispositions: [solved, letter, called back]}
  second: {routing: external}
  fraud: {routing: hub}
deputies: {ann: bob}
policies: {fraud_queue: fraud}
"""


class Switch:
    """The telephone system, as the tests order it about."""

    def __init__(self, process: asyncio.subprocess.Process, clock: Clock) -> None:
        self._process, self._clock = process, clock

    async def order(self, do: str, **said: Any) -> dict[str, Any]:
        """Order something, and return what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do} | said).encode() + b"\n")
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def arrive(self, leg: str, **brought: Any) -> dict[str, Any]:
        """Let a leg arrive."""
        answer = await self.order("arrive", leg=leg, **brought)
        assert "ok" in answer, answer
        found: dict[str, Any] = answer["ok"]
        return found

    async def note(self, call: str, type_: str, agent: str | None = None, after: float = 0, **data: Any) -> None:
        """Let something happen, so many seconds from now."""
        at = (self._clock() + timedelta(seconds=after)).isoformat()
        about = {"agent_id": agent} if agent else {}
        kind = type_ if "." in type_ else f"call.{type_}"
        await self.order("note", call=call, type=kind, at=at, data=about | data)

    async def send(self, weather: str = "fair", **how: Any) -> None:
        """Send what was noted."""
        answer = await self.order("send", weather=weather, **how)
        assert "ok" in answer, answer

    async def tell(self, call: str, type_: str, agent: str | None = None, **data: Any) -> None:
        """Let something happen, and send it at once."""
        await self.note(call, type_, agent, **data)
        await self.send()

    async def find(self, call: str, **where: Any) -> dict[str, Any]:
        """Look a call up."""
        return await self.order("find", call=call, **where)


class Call:
    """A customer in the phone menu, whose call the telephone system has too."""

    def __init__(self, callers: Callers, scene: Scene, ucid: str) -> None:
        self.callers, self.scene, self.ucid = callers, scene, ucid
        self.token = ""
        self.handoff_id = ""

    async def offer(self, to: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Offer it; to the hotline unless said otherwise."""
        names = {"customer_id": self.scene.customer_id, "interaction_id": self.scene.interaction_id}
        body = names | {"reason": "help", "to": to or {"queue": "hotline"}} | more
        made = ok(await self.callers.adapter.post("/v1/handoffs", body), 201)["handoff"]
        self.token, self.handoff_id = made["token"], made["handoff_id"]
        found: dict[str, Any] = made
        return found

    async def handoff(self, handoff_id: str | None = None) -> dict[str, Any]:
        """A handoff as it stands."""
        path = f"/v1/handoffs/{handoff_id or self.handoff_id}"
        found: dict[str, Any] = ok(await self.callers.supervisor.get(path))["handoff"]
        return found

    async def look(self, reader: Caller | None = None) -> dict[str, Any]:
        """The context as a supervisor, or another reader, sees it."""
        return ok(await (reader or self.callers.admin).get(f"{self.scene.base}/context"))

    async def interaction(self) -> dict[str, Any]:
        """The interaction as it stands."""
        found = ok(await self.callers.admin.post("/v1/interactions/lookup", {"ref": ref_of(self.ucid)}))
        shown: dict[str, Any] = found["interaction"]
        return shown

    async def holder(self) -> str | None:
        """The agent who has the floor."""
        holder = (await self.interaction())["holder"]
        return holder["id"] if holder["party"] == "agent" else None

    async def roles(self) -> dict[str, str]:
        """Who takes part in the call, and as what."""
        legs = (await self.interaction())["legs"]
        return {leg["agent_id"]: leg["role"] for leg in legs if leg["state"] in ("talking", "held")}

    async def timeline(self) -> list[dict[str, Any]]:
        """All that was told of the customer."""
        found = ok(await self.callers.admin.get(f"{self.scene.base}/timeline", limit=1000))
        told: list[dict[str, Any]] = found["events"]
        return told

    async def states(self) -> list[str]:
        """How each handoff stands, in the order in which they were offered."""
        offered = [event["data"]["handoff_id"] for event in await self.timeline() if event["type"] == "handoff.offered"]
        return [(await self.handoff(one))["state"] for one in offered]


def ref_of(ucid: str, system: str = "acd", kind: str = "call") -> dict[str, str]:
    """The name of a call in a system."""
    return {"system": system, "kind": kind, "id": ucid}


async def a_call(callers: Callers, level: int = 2, **more: Any) -> Call:
    """A customer who calls, and says in the menu what it is about."""
    ucid = fresh("ucid")
    body: dict[str, Any] = {"channel": "ivr", "system": "menu", "external_id": fresh("CA"), "refs": [ref_of(ucid)]}
    body |= {"customer_id": fresh("c")} if "identifiers" not in more else {}
    body |= {"assurance": {"level": level, "method": "pin"}} if level else {}
    scene = Scene(callers.adapter, ok(await callers.adapter.post("/v1/interactions", body | more), 201))
    await scene.tell(scene.fact("order_id", "A-17"))
    return Call(callers, scene, ucid)


async def a_waiting_call(callers: Callers, **more: Any) -> Call:
    """A customer who waits in the hotline's queue."""
    call = await a_call(callers, **more)
    await call.offer()
    return call


async def an_answered_call(callers: Callers, switch: Switch, agent: str = "ann") -> Call:
    """A customer with whom an agent talks."""
    call = await a_waiting_call(callers)
    await switch.tell(call.ucid, "alerting", agent)
    await switch.tell(call.ucid, "answered", agent)
    return call
