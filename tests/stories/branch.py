"""A travel agency with all its channels, as its customers and agents meet them: one `ctxhub serve`, four adapters."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from ctxhub_desk.server import COOKIE

from ctxhub.client import ContextHub, Event, Unavailable
from tests.adapters.app.conftest import SIGNED_WITH
from tests.adapters.desk.conftest import HEADERS
from tests.adapters.ivr.conftest import Company, listening
from tests.adapters.ivr.serving import PUBLIC_URL, SECRETS
from tests.api.scenes import ok
from tests.chaos.losing import slot_of
from tests.chaos.running import KEY, KillableHub, whole_timeline
from tests.many import Grid, Guarded, Process, until

TENANT = """
languages: [en, zh]
journeys:
  - kind: train_ticket
    say: {en: a train ticket, zh: 火车票}
    steps:
      - {step: route, facts: [from_city, sms_code, to_city], say: {en: the route, zh: 路线}}
      - {step: travel, facts: [travel_date], say: {en: the journey, zh: 行程}}
      - {step: passengers, facts: [seats], say: {en: the passengers, zh: 乘客}}
facts:
  from_city: {say: {en: departure city, zh: 出发城市}}
  sms_code: {say: {en: code, zh: 验证码}}
  to_city: {say: {en: destination, zh: 目的地}}
  travel_date: {say: {en: travel date, zh: 出行日期}}
  seats: {say: {en: number of seats, zh: 座位数}}
queues:
  people: {routing: hub}
  groups: {routing: hub}
channels:
  ivr: {auth_token_env: IVR_TOKEN, queue: people, pin_hook: "HOOKS/pin", pin_hook_secret_env: IVR_HOOK,
        sms_hook: "HOOKS/sms", sms_hook_secret_env: IVR_HOOK, prompts: CODE}
  chat: {queue: people, prompts: CODE}
  app: {queue: people, prompts: CODE, login: {key_envs: [APP_KEY], audience: bank-app}}
"""
CODE = '{sms_code: {secure: otp, hook: "HOOKS/secure", hook_secret_env: IVR_HOOK}}'
#: Longer than any failover takes, on a machine that is busy with other tests as well.
BACK_WITHIN = 30.0

Happens = Callable[[str, str], Awaitable[None]]
Heard = AsyncGenerator[tuple[str, dict[str, Any]], None]


class Seat:
    """An agent at the desk, by the requests of its page."""

    def __init__(self, http: httpx.AsyncClient, agent_id: str) -> None:
        self.http = http
        self.agent_id = agent_id

    async def log_in(self, key: str, queue: str) -> None:
        """Sit down at a queue; the cookie is for https, which ends in front of the hub."""
        answer = await self.http.post("login", json={"key": key, "agent_id": self.agent_id, "queue": queue})
        ok(answer)
        self.http.headers["Cookie"] = f"{COOKIE}={answer.cookies[COOKIE]}"

    async def waiting(self, customer_id: str) -> dict[str, Any]:
        """Return the one offer of a customer in the queue."""
        offers = ok(await self.http.get("queue"))["offers"]
        [offer] = [one for one in offers if one["customer_id"] == customer_id]
        return dict(offer)

    async def take(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Accept an offer; return the work view, whose context the desk says it has shown."""
        work = ok(await self.http.post(f"handoffs/{offer['handoff_id']}/accept", json={}))
        ok(await self.http.post(f"handoffs/{offer['handoff_id']}/receipt", json={}))
        return work

    async def look(self, work: dict[str, Any], min_version: int | None = None) -> dict[str, Any]:
        """Return the work view as it is now, of this version at least."""
        least = {} if min_version is None else {"min_version": min_version}
        return ok(await self.http.get(f"handoffs/{work['handoff']['handoff_id']}", params=least))

    async def tell(self, work: dict[str, Any], path: str, **what: Any) -> httpx.Response:
        """Tell something of the customer under an id of its own."""
        handoff = work["handoff"]
        body = {"interaction_id": handoff["interaction_id"], "fence": handoff["fence"]}
        body |= {"event_id": secrets.token_hex(8)} | what
        return await self.http.post(f"customers/{handoff['customer_id']}/{path}", json=body)


class Branch:
    """The agency: what its systems are asked, and its hub, by HTTP and as its own systems reach it."""

    def __init__(self, http: httpx.AsyncClient, hub: ContextHub, company: Company) -> None:
        self.http = http
        self.hub = hub
        self.company = company
        self._version = 0

    async def key(self, agent_id: str) -> str:
        """Make an agent's own key."""
        body = {"name": f"{agent_id}-{secrets.token_hex(4)}", "role": "agent", "agent": agent_id}
        made = await self.http.post("/v1/keys", json=body, headers={"Authorization": f"Bearer {KEY}"})
        return str(ok(made, 201)["key"])

    @asynccontextmanager
    async def seat(self, agent_id: str, queue: str) -> AsyncIterator[Seat]:
        """Seat an agent at the desk for as long as the block lasts."""
        at = self.http.base_url.join("/desk/api/")
        async with httpx.AsyncClient(base_url=at, headers=HEADERS, timeout=20) as http:
            seat = Seat(http, agent_id)
            await seat.log_in(await self.key(agent_id), queue)
            yield seat

    async def stands(self, customer_id: str, facts: dict[str, str], *, version: int = 0, kept: bool = False) -> None:
        """Read now what was just told: these facts and no others, nothing older than what was read or answered.

        What was kept while the hub was away is waited for, without doing anything.
        """
        async with asyncio.timeout(BACK_WITHIN):
            while kept and await self._known(customer_id) != facts:
                await asyncio.sleep(0.05)
        context = await self.hub.contexts.read(customer_id)
        known = {name: fact.value for name, fact in context.facts.items()}
        assert known == facts, known
        assert not any(fact.others for fact in context.facts.values())
        assert context.version >= max(self._version, version), context.version
        self._version = context.version

    async def following(self, path: str, headers: dict[str, str] | None = None, **how: Any) -> Heard:
        """Follow a stream as a browser does: where it breaks off, again from there on."""
        name, last = "", dict[str, str]()
        while True:
            async with self.http.stream("GET", path, headers=(headers or {}) | last, **how) as response:
                async for line in response.aiter_lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        last = {"Last-Event-ID": value}
                    if field == "event":
                        name = value
                    if field == "data":
                        yield name, json.loads(value)
            await asyncio.sleep(1)

    async def timeline(self, customer_id: str) -> list[Event]:
        """Read everything that was told of a customer."""
        return await whole_timeline(self.hub, customer_id)

    async def _known(self, customer_id: str) -> dict[str, Any]:
        try:
            return {name: fact.value for name, fact in (await self.hub.contexts.read(customer_id)).facts.items()}
        except Unavailable:
            return {}


@asynccontextmanager
async def a_branch(folder: Path, redis_url: str | None = None, durability: str = "fast") -> AsyncIterator[Branch]:
    """The agency, open for as long as the block lasts; its hub has a server of its own unless one is named."""
    with listening() as company:
        tenants = folder / "tenants"
        tenants.mkdir(parents=True)
        (tenants / "default.yaml").write_text(
            TENANT.replace("CODE", CODE).replace("HOOKS", company.url), encoding="utf-8"
        )
        hub = KillableHub(
            folder / "data", redis_url, environ=SECRETS | {"APP_KEY": SIGNED_WITH}, durability=durability,
            tenants=str(tenants), public_url=PUBLIC_URL,
        )  # fmt: skip
        await asyncio.to_thread(hub.start)
        company.answering.set()
        try:
            async with httpx.AsyncClient(base_url=hub.url, timeout=20) as http, hub.client() as client:
                yield Branch(http, client, company)
        finally:
            await asyncio.to_thread(hub.stop)


@asynccontextmanager
async def losing_its_primary(servers: Guarded | Grid, when: str) -> AsyncIterator[Happens]:
    """Kill the primary that has a customer at one moment of the story; it comes back once another has its place.

    At the end the servers must be whole again, and the moment must have come.
    """
    away: list[asyncio.Task[None]] = []

    async def lost(moment: str, customer_id: str) -> None:
        if moment == when:
            primary = _primary(servers, customer_id)
            await asyncio.to_thread(primary.kill)
            away.append(asyncio.create_task(asyncio.to_thread(_replaced, servers, customer_id, primary)))

    await asyncio.to_thread(until, servers.is_whole, "not whole", BACK_WITHIN)
    yield lost
    [back] = away
    await back
    await asyncio.to_thread(until, servers.is_whole, "the lost one is not back", BACK_WITHIN)


def _primary(servers: Guarded | Grid, customer_id: str) -> Process:
    """Return the server that takes what is written of a customer."""
    return servers.primary() if isinstance(servers, Guarded) else servers.of(slot_of(customer_id))


def _replaced(servers: Guarded | Grid, customer_id: str, lost: Process) -> None:
    """Wait until another server has the place of a lost one, and start that again."""
    until(lambda: _primary(servers, customer_id) is not lost, "nobody took its place", BACK_WITHIN)
    lost.start()
