"""What would show that something of one tenant's has reached another: all that another may read, and mixed calls.

The same looks are made of a hub as it is, which must show nothing, and of hubs with a fault put in, which must show it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx

from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, fresh, known, ok, phone
from tests.api.test_roles import MAY, QUERIES, good_body, spelt

AT_ONCE = 20
Route = tuple[str, str]
#: What only looks, though it is said by POST, since an identifier or a token must stand in no address.
LOOKUPS = [route for route in MAY if route[0] == "POST" and route[1].endswith("/lookup")]
READS = [route for route in MAY if route[0] == "GET" and not route[1].endswith("/stream") and MAY[route] is not None]


class Kept(NamedTuple):
    """What one tenant keeps: a customer with a phone and an offer, a word that stands in all of it, and all its ids."""

    mark: str
    scene: Scene
    phone: dict[str, Any]
    handoff: dict[str, Any]


async def kept(callers: Callers) -> Kept:
    """Have the first tenant write a word that nobody else has wherever a text may stand."""
    mark = f"canary-{secrets.token_hex(6)}"
    mine = phone()
    scene = await known(callers.adapter, identifiers=[mine])
    promise = {"what": mark, "owner": "ann", "due_at": "2030-01-01T00:00:00Z"}
    await scene.tell(scene.fact("city", mark), scene.event("message.received", {"text": mark}))
    await scene.tell(scene.event("commitment.made", promise))
    handoff = await scene.offer({"queue": "billing"}, note=mark)
    held = await (await known(callers.adapter)).offer({"queue": "billing"}, note=mark)
    await accept(callers.ann, held["handoff_id"], "ann")
    ok(await callers.ann.call("PUT", "/v1/agents/ann/presence", json={"state": "away", "reason": mark}))
    ok(await callers.admin.post("/v1/keys", {"name": mark, "role": "adapter"}), 201)
    ok(await callers.supervisor.post(f"{scene.base}/access", {"reason": mark, "agent_id": "bob"}), 201)
    return Kept(mark, scene, mine, handoff)


async def told_of(found: Kept, reader: Caller) -> set[Route]:
    """Return every read on which somebody who knows all the ids is told the word."""
    return {route for route in READS + LOOKUPS if found.mark in await _answer(reader, route, found)}


async def _answer(reader: Caller, route: Route, found: Kept) -> str:
    """What somebody is answered who names all that was kept."""
    method, path = route
    body = good_body(path, found.scene, found.handoff["token"]) if method == "POST" else None
    if body and "identifier" in body:
        body = {"identifier": found.phone}
    said = {"json": body} if body else {"params": QUERIES.get(path)}
    return (await reader.call(method, spelt(path, found.scene, found.handoff["handoff_id"]), **said)).text


class Marked(NamedTuple):
    """A customer, the word that this one alone has been told, and who of the tenant reads everything."""

    scene: Scene
    mark: str
    admin: Caller


class Mixed(NamedTuple):
    """What came of mixed calls: answers with a customer's own word, answers with another's or none, and what failed."""

    right: list[str]
    wrong: list[str]
    failed: list[str]


async def namesakes(callers: Callers, pairs: int = 4) -> list[Marked]:
    """Customers of two tenants, each of an id that the other tenant has given to somebody too."""
    found = []
    for _ in range(pairs):
        customer_id = fresh("namesake")
        for adapter, admin in ((callers.adapter, callers.admin), (callers.other_adapter, callers.other_admin)):
            scene = await known(adapter, customer_id=customer_id)
            found.append(Marked(scene, f"mark-{secrets.token_hex(6)}", admin))
            await scene.tell(scene.fact("mark", found[-1].mark))
    return found


async def mixed(customers: Sequence[Marked], calls: int) -> Mixed:
    """Read the contexts of many, some at a time, every second call cancelled midway."""
    chance = random.Random(20261128)
    came = Mixed([], [], [])
    for _ in range(calls // AT_ONCE):
        asked = [chance.choice(customers) for _ in range(AT_ONCE)]
        reads = [asyncio.create_task(_read(one, chance.random() < 0.5)) for one in asked]
        for read in reads[::2]:
            asyncio.get_running_loop().call_later(chance.random() * 0.02, read.cancel)
        for one, told in zip(asked, await asyncio.gather(*reads, return_exceptions=True), strict=True):
            if isinstance(told, httpx.Response) and told.is_success:
                named = [each.mark for each in customers if each.mark in told.text]
                (came.right if named == [one.mark] else came.wrong).append(f"{one.mark} was told {named}")
            elif not isinstance(told, asyncio.CancelledError):
                came.failed.append(f"{one.mark}: {told!r}")
    return came


async def _read(one: Marked, whole: bool) -> httpx.Response:
    """Ask for a context, as its own interaction sees it or the whole of it."""
    if whole:
        return await one.admin.get(f"{one.scene.base}/context")
    return await one.scene.caller.get(f"{one.scene.base}/context", interaction_id=one.scene.interaction_id)
