"""Streams, from a hub that really listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.following import Heard, following
from tests.api.living import Callers
from tests.api.scenes import Caller, Scene, accept, begin, fresh, known, ok, pointers, problem
from tests.client.running import ADMIN_KEY, RunningHub


@pytest.fixture(scope="module")
async def callers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callers]:
    """A caller of each role, over the wire, to a hub in a process of its own."""
    hub = RunningHub(tmp_path_factory.mktemp("listening"))
    await asyncio.to_thread(hub.start)
    async with httpx.AsyncClient(base_url=hub.url, timeout=10) as http:
        yield await Callers(http, ADMIN_KEY).make()
    await asyncio.to_thread(hub.stop)


@pytest.fixture(scope="module")
def adapter(callers: Callers) -> Caller:
    """A channel's adapter."""
    return callers.adapter


async def test_a_customers_stream_says_ready_and_then_what_happens_as_on_the_timeline(adapter: Caller) -> None:
    scene = await known(adapter)
    async with following(adapter, f"{scene.base}/stream", interaction_id=scene.interaction_id) as stream:
        ready = await stream.next()
        assert (ready.type, ready.data["version"]) == ("ready", 1)
        told = await scene.tell(scene.fact("a", 1), scene.event("message.received", {"text": "hi"}))
        heard = [await stream.next(), await stream.next()]
        assert [each.type for each in heard] == ["fact.stated", "message.received"]
        assert [each.id for each in heard] == [str(result["version"]) for result in told["results"]]
        assert [each.data for each in heard] == await scene.timeline(after=1)


async def test_a_stream_goes_on_after_the_version_that_was_heard_last(adapter: Caller) -> None:
    scene = await known(adapter)
    await scene.tell(*(scene.fact(f"f{n}", n) for n in range(5)))
    query = {"interaction_id": scene.interaction_id}
    for given in ({"last": "3"}, {"after": "3"}, {"last": "3", "after": "1"}):
        async with following(adapter, f"{scene.base}/stream", **query, **given) as stream:
            await stream.until("ready")
            assert [(await stream.next()).id for _ in range(3)] == ["4", "5", "6"]


async def test_a_version_that_the_hub_has_not_seen_is_announced_as_a_gap(adapter: Caller) -> None:
    scene = await known(adapter)
    async with following(adapter, f"{scene.base}/stream", "999", interaction_id=scene.interaction_id) as stream:
        assert (await stream.next()).type == "ready"
        assert (await stream.next()).type == "reset"
        await scene.tell(scene.fact("a", 1))
        assert (await stream.next()).id == "2"


async def test_a_follower_hears_what_its_interaction_may_see_and_no_more(adapter: Caller) -> None:
    owner = await known(adapter)
    stranger = await begin(adapter, customer_id=owner.customer_id)
    async with following(adapter, f"{stranger.base}/stream", interaction_id=stranger.interaction_id) as stream:
        await stream.until("ready")
        await owner.tell(owner.fact("secret", 1))
        await stranger.tell(stranger.fact("mine", 2))
        assert (await stream.next()).data["data"]["name"] == "mine"
        await stranger.raised()
        await stream.until("assurance.raised")
        await owner.tell(owner.fact("shared", 3))
        assert (await stream.next()).data["data"]["name"] == "shared"


async def test_a_follower_of_an_interaction_that_moves_is_told_where_to(adapter: Caller) -> None:
    scene, home = await begin(adapter), fresh("c")
    async with following(adapter, f"{scene.base}/stream", interaction_id=scene.interaction_id) as stream:
        await stream.until("ready")
        ok(await adapter.post(f"{scene.place}/identify", {"customer_id": home}))
        moved = await stream.until("interaction.moved")
        assert moved.data["data"]["to"] == home
        bye = await stream.until("bye")
        assert bye.data["code"] == "moved"


async def test_a_follower_of_a_customer_who_is_merged_is_told_who_that_is_now(callers: Callers) -> None:
    home, scene = await known(callers.adapter), await known(callers.adapter)
    async with following(callers.adapter, f"{scene.base}/stream", interaction_id=scene.interaction_id) as stream:
        await stream.until("ready")
        ok(await callers.supervisor.post(f"{home.base}/merge", {"from": scene.customer_id}))
        assert (await stream.until("identity.merged")).data["data"]["to"] == home.customer_id
        bye = await stream.until("bye")
        assert (bye.data["code"], bye.data["customer_id"]) == ("merged", home.customer_id)


async def test_streams_of_nobody_and_of_whom_one_may_not_see_are_refused_at_once(callers: Callers) -> None:
    problem(await callers.adapter.get("/v1/customers/nobody-at-all/stream"), 404, "customer_unknown")
    scene = await known(callers.adapter)
    problem(await callers.ann.get(f"{scene.base}/stream"), 403, "forbidden")
    problem(await callers.ann.get("/v1/channels/chat/stream"), 403, "forbidden")
    problem(await callers.nobody.get("/v1/queues/billing/stream"), 401, "unauthenticated")


async def test_a_queues_stream_begins_with_who_waits_and_tells_what_becomes_of_them(callers: Callers) -> None:
    queue = fresh("q")
    waiting = await (await known(callers.adapter)).offer({"queue": queue})
    async with following(callers.ann, f"/v1/queues/{queue}/stream") as stream:
        assert (await stream.next()).type == "ready"
        snapshot = await stream.next()
        assert snapshot.type == "snapshot"
        assert [each["handoff_id"] for each in snapshot.data["handoffs"]] == [waiting["handoff_id"]]
        scene = await known(callers.adapter)
        handoff = await scene.offer({"queue": queue})
        await accept(callers.ann, handoff["handoff_id"], "ann")
        offered = await stream.until("handoff.offered", handoff["handoff_id"])
        accepted = await stream.until("handoff.accepted", handoff["handoff_id"])
        for each in (offered, accepted):
            assert each.data["customer_id"] == scene.customer_id
            assert each.data["event_id"]
            assert each.id
        assert handoff["token"] not in str(stream.heard)


async def test_a_channels_stream_brings_what_its_adapter_must_deliver(callers: Callers) -> None:
    channel = fresh("x")
    scene, elsewhere = await known(callers.adapter, channel), await known(callers.adapter)
    handoff = await scene.offer({"queue": "billing"})
    async with following(callers.adapter, f"/v1/channels/{channel}/stream") as stream:
        await stream.until("snapshot")
        await elsewhere.tell(elsewhere.event("message.received", {"text": "elsewhere"}))
        fence = (await accept(callers.ann, handoff["handoff_id"], "ann"))["fence"]
        words = {"text": "hello", "fence": fence}
        ann = Scene(callers.ann, scene.started)
        await ann.tell(ann.event("message.sent", words, party="agent"))
        await stream.until("handoff.accepted")
        sent = await stream.next()
        assert sent.type == "message.sent"
        assert sent.data["data"] == words
        assert sent.data["customer_id"] == scene.customer_id


async def test_a_queues_stream_goes_on_after_the_entry_that_was_heard_last(callers: Callers) -> None:
    queue = fresh("q")
    async with following(callers.supervisor, f"/v1/queues/{queue}/stream") as stream:
        await stream.until("snapshot")
        await (await known(callers.adapter)).offer({"queue": queue})
        last = (await stream.until("handoff.offered")).id
    assert last
    missed = [(await (await known(callers.adapter)).offer({"queue": queue}))["handoff_id"] for _ in range(3)]
    async with following(callers.supervisor, f"/v1/queues/{queue}/stream", last) as stream:
        await stream.until("snapshot")
        heard: list[Heard] = [await stream.until("handoff.offered") for _ in missed]
    # Each customer's events come in order; of several customers whichever partition is told first.
    assert sorted(each.data["data"]["handoff_id"] for each in heard) == sorted(missed)


async def test_a_ticket_opens_one_stream_once(callers: Callers) -> None:
    scene = await known(callers.adapter)
    path = f"{scene.base}/stream"
    asked = await callers.adapter.post("/v1/tickets", {"for": f"{path}?interaction_id={scene.interaction_id}"})
    ticket = ok(asked, 201)["ticket"]
    browser = Caller(callers.adapter.http, "")
    async with following(browser, path, ticket=ticket, interaction_id=scene.interaction_id) as stream:
        await stream.until("ready")
        await scene.tell(scene.fact("a", 1))
        assert (await stream.next()).type == "fact.stated"
    again = await browser.get(path, ticket=ticket)
    problem(again, 401, "unauthenticated")


async def test_a_ticket_is_for_the_stream_it_names(callers: Callers) -> None:
    browser = Caller(callers.adapter.http, "")
    scene = await known(callers.adapter)
    ticket = ok(await callers.adapter.post("/v1/tickets", {"for": "/v1/queues/billing/stream"}), 201)["ticket"]
    problem(await browser.get(f"{scene.base}/stream", ticket=ticket), 401, "unauthenticated")
    for wrong in ("/v1/keys", "/v1/customers/c1/context", "https://example.com/v1/queues/q/stream", ""):
        assert pointers(await callers.adapter.post("/v1/tickets", {"for": wrong})) == ["/for"]


@pytest.mark.parametrize("name", ["a@b.example", "账单", "a b"])
async def test_a_ticket_is_good_for_names_that_are_spelt_in_percents(callers: Callers, name: str) -> None:
    browser = Caller(callers.adapter.http, "")
    for path in (f"/v1/queues/{name}/stream", str(httpx.URL(f"http://x/v1/queues/{name}/stream").raw_path, "ascii")):
        ticket = ok(await callers.adapter.post("/v1/tickets", {"for": path}), 201)["ticket"]
        async with following(browser, path, ticket=ticket) as stream:
            assert (await stream.next()).type == "ready"


async def test_a_hundred_words_at_once_come_in_order_each_once(adapter: Caller) -> None:
    scene = await known(adapter)
    async with following(adapter, f"{scene.base}/stream", interaction_id=scene.interaction_id) as stream:
        await stream.until("ready")
        words = [scene.event("message.received", {"text": "a" * (n + 1)}) for n in range(100)]
        await asyncio.gather(*(scene.tell(word) for word in words))
        heard = [await stream.next() for _ in words]
    assert [each.id for each in heard] == [str(version) for version in range(2, 102)]
    assert sorted(each.data["event_id"] for each in heard) == sorted(word["event_id"] for word in words)


async def test_a_revoked_reader_is_not_followed_further(callers: Callers) -> None:
    scene = await known(callers.adapter)
    handoff = await scene.offer({"agent": "ann"})
    async with following(callers.ann, f"{scene.base}/stream") as stream:
        await stream.until("ready")
        ok(await callers.adapter.post(f"/v1/handoffs/{handoff['handoff_id']}/cancel"))
        bye = await stream.until("bye")
        assert bye.data["code"] == "forbidden"


async def watching(callers: Callers, name: str, **more: Any) -> Caller:
    """A supervisor with a key of his own."""
    body = {"name": name, "role": "supervisor"} | more
    return Caller(callers.admin.http, ok(await callers.admin.post("/v1/keys", body), 201)["key"])


async def test_streams_of_a_revoked_key_say_so_and_end(callers: Callers) -> None:
    scene = await known(callers.adapter)
    watcher = await watching(callers, "watching-streams")
    paths = [
        f"{scene.base}/stream",
        *(f"/v1/{each}/stream" for each in ("queues/billing", "channels/chat", "agents/ann")),
    ]
    ticket = ok(await watcher.post("/v1/tickets", {"for": paths[0]}), 201)["ticket"]
    async with AsyncExitStack() as open_:
        streams = [await open_.enter_async_context(following(watcher, path)) for path in paths]
        page = Caller(callers.admin.http, "")
        streams.append(await open_.enter_async_context(following(page, paths[0], ticket=ticket)))
        for stream in streams:
            await stream.until("ready")
        assert (await callers.admin.call("DELETE", "/v1/keys/watching-streams")).status_code == 204
        assert [(await stream.until("bye")).data["code"] for stream in streams] == ["unauthenticated"] * len(streams)
        await scene.tell(scene.fact("a", 1))
        for stream in streams:
            with pytest.raises(EOFError):
                await stream.next()


async def test_a_stream_ends_with_its_key(callers: Callers) -> None:
    scene = await known(callers.adapter)
    watcher = await watching(
        callers, "watching-briefly", expires_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    )
    async with following(watcher, f"{scene.base}/stream") as stream:
        assert (await stream.until("bye")).data["code"] == "unauthenticated"


async def test_the_ticket_of_a_revoked_key_opens_nothing(callers: Callers) -> None:
    watcher = await watching(callers, "watching-later")
    path = "/v1/queues/billing/stream"
    ticket = ok(await watcher.post("/v1/tickets", {"for": path}), 201)["ticket"]
    assert (await callers.admin.call("DELETE", "/v1/keys/watching-later")).status_code == 204
    problem(await Caller(callers.admin.http, "").get(path, ticket=ticket), 401, "unauthenticated")
