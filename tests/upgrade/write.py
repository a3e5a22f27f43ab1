"""Writes what today's version leaves behind: `PYTHONPATH=.:adapters python -m tests.upgrade.write`.

Run once for each release, at its commit; what it wrote is then never written anew, or the tests would prove nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from redis import Redis

from ctxhub import __version__
from ctxhub.server import opened, ways_of
from ctxhub.settings import Settings
from ctxhub.store.contexts import Who
from ctxhub.store.embedded import embedded_server
from tests.api.living import TENANT, Callers, http_to, living
from tests.api.scenes import Scene, accept, begin, ok, phone
from tests.archive.scenes import forgotten
from tests.client.spooling import Way, a_start, client, said
from tests.support import Clock
from tests.upgrade.kept import WRITTEN, dump
from tests.upgrade.scenes import SPOOL, settings_at, shown_of

LONG_AGO = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DEFAULT = "default"
PROVEN = {"level": 2, "method": "pin"}


async def main() -> None:
    """Write it all into the folder of this version."""
    into = WRITTEN / __version__
    if into.exists():
        sys.exit(f"{into} is there already: what a release wrote stays as it is")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data, clock = folder / "hub", Clock(LONG_AGO)
        (data / "tenants").mkdir(parents=True)
        (data / "tenants" / f"{DEFAULT}.yaml").write_text(TENANT, "utf-8")
        with embedded_server(Settings(data=folder / "server", durability="fast", partitions=64)) as server:
            settings = settings_at(data, server.url)
            await _long_ago(settings, clock)
            clock.now = LONG_AGO + timedelta(days=2)
            shown = await _today(settings, clock)
            with Redis.from_url(server.url) as redis:
                dump(redis, data, data / "tenants", into)
    (into / "shown.json").write_text(_by_line(shown), "utf-8")
    size = sum(file.stat().st_size for file in into.rglob("*") if file.is_file())
    print(f"{into}: {size / 1000:.0f} kB")


def _by_line(shown: dict[str, Any]) -> str:
    """Return JSON with a line for each thing and each customer."""
    customers = shown.pop("customers")
    lines = [f"{json.dumps(name)}: {json.dumps(said, ensure_ascii=False)}" for name, said in customers.items()]
    head = [f"{json.dumps(name)}: {json.dumps(said, ensure_ascii=False)}" for name, said in shown.items()]
    return "{" + ",\n".join([*head, '"customers": {\n' + ",\n".join(lines) + "}"]) + "}\n"


async def _long_ago(settings: Settings, clock: Clock) -> None:
    """Somebody was here of whom only the archive knows by now."""
    async with living(settings, clock) as app, http_to(app) as http:
        admin = Callers(http).admin
        scene = await begin(admin, "ivr", customer_id="c-archived", assurance=PROVEN, identifiers=[phone()])
        await scene.tell(_secret(scene), scene.event("message.received", {"text": "good-bye"}, party="customer"))
        await scene.end()
    async with opened(settings, replace(ways_of(settings), clock=clock)) as hub:
        await forgotten(hub, clock, Who(DEFAULT, "c-archived"))


async def _today(settings: Settings, clock: Clock) -> dict[str, Any]:
    """Everybody else: some wait, some are held, some are done; two are one by now."""
    async with living(settings, clock) as app, http_to(app) as http:
        admin = Callers(http).admin
        keys = {name: await _key(admin, name, role) for name, role in (("ann2", "agent"), ("channel", "adapter"))}
        waits = await (await _somebody(admin, "c-waits")).offer({"queue": "billing"}, note="be kind", expires_in=3600)
        held = await (await _somebody(admin, "c-held")).offer({"queue": "cards"})
        fence = (await accept(admin, held["handoff_id"], "ann2"))["fence"]
        linked = await (await _somebody(admin, "c-linked")).offer({"channel": "chat"}, expires_in=3600)
        await _done(admin)
        await _merged(admin)
        stranger = await begin(admin, "ivr", identifiers=[phone()])
        await _spooled(app, keys["channel"], settings.data, clock)
        everybody = ("c-waits", "c-held", "c-linked", "c-done", "c-one", stranger.customer_id)
        return {
            "version": __version__, "at": clock.now.isoformat(), "keys": keys,
            "waits": waits["handoff_id"], "held": {"handoff_id": held["handoff_id"], "fence": fence},
            "token": linked["token"], "merged": {"c-other": "c-one"}, "archived": "c-archived",
            "spooled": ["said while the hub was away", "and this as well"],
            "trail": ok(await admin.get("/v1/audit", customer_id="c-waits", limit=3))["lines"],
            "customers": {customer_id: await shown_of(admin, customer_id) for customer_id in everybody},
        }  # fmt: skip


async def _key(admin: Any, name: str, role: str) -> str:
    agent = {"agent": name} if role == "agent" else {}
    return str(ok(await admin.post("/v1/keys", {"name": name, "role": role} | agent), 201)["key"])


async def _somebody(caller: Any, customer_id: str) -> Scene:
    """A customer with a journey, facts, one of them sealed, a promise and a consent."""
    scene = await begin(caller, "ivr", customer_id=customer_id, assurance=PROVEN, identifiers=[phone()])
    journey_id = await scene.journey("refund")
    promise = {"what": "call back", "owner": "billing", "due_at": "2026-12-24T12:00:00Z"}
    await scene.tell(
        scene.fact("order_id", "A-77", journey_id=journey_id),
        scene.fact("city", "北京", "confirmed"),
        _secret(scene),
        scene.event("commitment.made", promise),
        scene.event("consent.granted", {"purpose": "recording"}),
        scene.event("message.received", {"text": "where is my money?"}, party="customer"),
    )
    return scene


def _secret(scene: Scene) -> dict[str, Any]:
    """A value that is sealed at rest."""
    return scene.fact("card_number", "the blue one", sensitivity="sensitive")


async def _done(caller: Any) -> None:
    """A customer whose handoff an agent has finished, with a longer timeline."""
    scene = await _somebody(caller, "c-done")
    handoff = await scene.offer({"queue": "billing"})
    taken = await accept(caller, handoff["handoff_id"], "ann2")
    lines = [scene.event("message.received", {"text": f"line {n}"}, party="customer") for n in range(30)]
    await scene.tell(*lines)
    done = {"agent_id": "ann2", "fence": taken["fence"], "outcome": "paid"}
    ok(await caller.post(f"/v1/handoffs/{handoff['handoff_id']}/complete", done))
    await scene.end()


async def _merged(caller: Any) -> None:
    """Two customers who are one."""
    one, other = await _somebody(caller, "c-one"), await _somebody(caller, "c-other")
    await other.end()
    ok(await caller.post(f"{one.base}/merge", {"from": other.customer_id}))


async def _spooled(app: Any, key: str, data: Path, clock: Clock) -> None:
    """A chat that the hub could not be told of."""
    hub = client(Way(app, mood="gone"), key, data / SPOOL, clock=clock)
    chat = a_start(customer_id="c-spooled")
    for text in ("said while the hub was away", "and this as well"):
        await hub.spool.tell(chat, said(text))
    await hub.aclose()


if __name__ == "__main__":
    asyncio.run(main())
