"""Today's hub on what every version has left: it reads that, goes on, and leaves alone what a later one wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from redis import Redis
from structlog.testing import capture_logs

from ctxhub.errors import WrittenByNewer
from ctxhub.settings import Settings
from ctxhub.store.codec import FORMAT, packed, unpacked
from ctxhub.store.embedded import embedded_server
from tests.api.living import http_to, living
from tests.api.scenes import Scene, accept, begin, fresh, ok, problem, redeem
from tests.client.spooling import Way, client, texts
from tests.support import DAY, HOUR, leaks
from tests.upgrade.kept import WRITTEN, load, versions
from tests.upgrade.scenes import SPOOL, Upgraded, missing, settings_at, shown_of, upgraded

MOST = 200_000


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own: other tests' hubs would wake what stands here."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("upgrade-server"), durability="fast")) as server:
        yield server.url


@pytest.fixture(scope="module", params=versions())
async def hub(request: pytest.FixtureRequest, server_url: str, tmp_path_factory: pytest.TempPathFactory) -> (
    AsyncIterator[Upgraded]
):  # fmt: skip
    folder = tmp_path_factory.mktemp("upgraded")
    with Redis.from_url(server_url) as redis:
        redis.flushall()
        shown = load(request.param, redis, folder)
    async with upgraded(folder, server_url, shown) as hub:
        yield hub


def scene_of(hub: Upgraded, customer_id: str, n: int = -1) -> Scene:
    """An interaction of somebody, as its channel goes on with it."""
    interaction = hub.shown["customers"][customer_id]["context"]["interactions"][n]
    return Scene(hub.callers["channel"], {"customer_id": customer_id, "interaction": interaction})


async def test_all_that_was_shown_is_shown(hub: Upgraded) -> None:
    for customer_id, before in hub.shown["customers"].items():
        now = await shown_of(hub.callers["admin"], customer_id)
        assert missing(before, now) == [], customer_id
    facts = hub.shown["customers"]["c-waits"]["context"]["facts"]
    assert facts["card_number"]["value"] == "the blue one"  # it was sealed


async def test_whom_only_the_archive_has_comes_back(hub: Upgraded) -> None:
    assert list(hub.redis.scan_iter(f"*:{hub.shown['archived']}:*")) == []
    back = await shown_of(hub.callers["admin"], hub.shown["archived"])
    assert back["context"]["facts"]["card_number"]["value"] == "the blue one"
    assert [event["version"] for event in back["timeline"]] == list(range(1, len(back["timeline"]) + 1))
    assert back["brief"]["lines"]


async def test_a_merged_id_leads_to_its_home(hub: Upgraded) -> None:
    for was, home in hub.shown["merged"].items():
        answer = await hub.callers["admin"].get(f"/v1/customers/{was}/context")
        assert (answer.status_code, answer.headers["location"]) == (308, f"/v1/customers/{home}/context")


async def test_what_is_told_goes_on_from_there(hub: Upgraded) -> None:
    scene = scene_of(hub, "c-one")
    before = hub.shown["customers"]["c-one"]["context"]["version"]
    told = await scene.tell(scene.fact("shoe_size", 42), scene.event("message.received", {"text": "and now?"}))
    assert [result["version"] for result in told["results"]] == [before + 1, before + 2]
    again = hub.shown["customers"]["c-one"]["timeline"][-1]
    assert (await scene.context())["facts"]["shoe_size"]["value"] == 42
    assert (await scene.timeline())[before - 1]["event_id"] == again["event_id"]


async def test_who_waited_is_accepted_and_finished(hub: Upgraded) -> None:
    ann, admin = hub.callers["ann2"], hub.callers["admin"]
    listed = ok(await admin.get("/v1/handoffs", queue="billing"))["handoffs"]
    assert hub.shown["waits"] in {one["handoff_id"] for one in listed}
    taken = await accept(ann, hub.shown["waits"], "ann2")
    assert taken["handoff"]["note"] == "be kind"
    done = {"agent_id": "ann2", "fence": taken["fence"]}
    assert ok(await ann.post(f"/v1/handoffs/{hub.shown['waits']}/complete", done))["handoff"]["state"] == "completed"


async def test_who_holds_one_goes_on_by_the_fence_of_before(hub: Upgraded) -> None:
    ann, held = hub.callers["ann2"], hub.shown["held"]
    body = {"agent_id": "ann2", "fence": held["fence"]}
    assert ok(await ann.post(f"/v1/handoffs/{held['handoff_id']}/renew", body))["handoff"]["state"] == "accepted"
    stale = body | {"fence": held["fence"] - 1}
    problem(await ann.post(f"/v1/handoffs/{held['handoff_id']}/complete", stale), 409, "stale_fence")


async def test_a_token_given_out_before_brings_the_customer_in(hub: Upgraded) -> None:
    chat = await redeem(hub.callers["channel"], hub.shown["token"])
    assert chat.customer_id == "c-linked"
    assert (await chat.context())["facts"]["order_id"]["value"] == "A-77"


async def test_a_known_number_leads_to_the_same_customer(hub: Upgraded) -> None:
    [number] = hub.shown["customers"]["c-done"]["context"]["identifiers"]
    call = await begin(hub.callers["channel"], "ivr", identifiers=[{"type": "phone", "value": number["value"]}])
    assert call.customer_id == "c-done"


async def test_what_a_channel_kept_while_the_hub_was_away_is_told_once_and_in_order(hub: Upgraded) -> None:
    sdk = client(Way(hub.app), hub.callers["channel"].key, hub.folder / SPOOL)
    await sdk.open()
    await sdk.spool.drained()
    assert (
        await texts(client(Way(hub.app), hub.callers["admin"].key, hub.folder / "none"), "c-spooled")
        == (hub.shown["spooled"])
    )
    await sdk.aclose()


async def test_the_trail_goes_on(hub: Upgraded) -> None:
    lines = ok(await hub.callers["admin"].get("/v1/audit", customer_id="c-waits", limit=1000))["lines"]
    before = hub.shown["trail"]
    assert before
    assert [line for line in before if line not in lines] == []
    assert len(lines) > len(before)


async def test_time_goes_on_and_every_key_is_one_that_is_known(hub: Upgraded, server_url: str) -> None:
    """The last of this file for a version: what still stood open lapses."""
    hub.clock.move(3 * HOUR)
    admin = hub.callers["admin"]
    while ok(await admin.get(f"/v1/handoffs/{hub.shown['held']['handoff_id']}"))["handoff"]["state"] == "accepted":
        hub.clock.move(HOUR)
        await asyncio.sleep(0.05)
    assert [fault for fault in leaks(server_url) if " ms are left" not in fault] == []  # an archive lets keys stay


def test_what_is_not_shown_any_more_would_be_seen() -> None:
    before = {"facts": {"city": "Bern"}, "lines": [1, 2]}
    assert missing(before, {"facts": {"city": "Bern", "age": 7}, "lines": [1, 2], "more": []}) == []
    assert missing(before, {"facts": {}, "lines": [1]}) == [
        "/facts/city: 'Bern' is None now", "/lines: [1, 2] is [1] now",
    ]  # fmt: skip


@pytest.mark.parametrize("version", versions())
def test_what_a_version_left_is_small(version: str) -> None:
    assert sum(file.stat().st_size for file in (WRITTEN / version).rglob("*") if file.is_file()) < MOST


def a_later_format(document: bytes) -> bytes:
    """The document in a format that today's hub does not know."""
    return b"\x09" + document[1:]


def a_later_field(document: bytes) -> bytes:
    """The document with something in it that today's hub does not know."""
    return packed(orjson.dumps(orjson.loads(unpacked(document)) | {"moods": [{"mood": "cheerful"}]}))


@pytest.mark.parametrize("later", [a_later_format, a_later_field])
async def test_what_a_later_version_wrote_is_refused_clearly_and_touched_by_nobody(
    later: Any, hub: Upgraded, server_url: str, tmp_path: Path
) -> None:
    mine = await begin(hub.callers["channel"], customer_id=fresh("c"), assurance={"level": 2, "method": "pin"})
    handoff = await mine.offer({"queue": "fraud"})
    [document] = hub.redis.keys(f"*:{mine.customer_id}:document")
    hub.redis.set(document, later(hub.redis.get(document)), keepttl=True)
    hub.redis.hset(document.replace(b":document", b":context"), "commit", "a later one's")
    before = dump_of(hub.redis, mine.customer_id)
    # Another hub of today's, that has read nothing yet, beside the one that wrote: as in an upgrade from hub to hub.
    other = settings_at(tmp_path, server_url).model_copy(update={"archive": settings_at(hub.folder, server_url).archive,
        "sealing_keys_file": hub.folder / "sealing.keys", "tenants": hub.folder / "tenants"})  # fmt: skip
    async with living(other, hub.clock) as app, http_to(app) as http:
        channel, ann = (type(mine.caller)(http, hub.callers[name].key) for name in ("channel", "ann2"))
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            answers = [
                await channel.get(f"{mine.base}/context"),
                await ann.post(f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "ann2"}),
                await channel.post(f"{mine.base}/events", {"events": [mine.fact("city", "Bern")]}),
                await channel.post(f"{mine.place}/end", {}),
            ]
            hub.clock.move(DAY)  # all that is due of it comes, and is put off
            while due_at(hub.redis, mine.customer_id) <= hub.clock().timestamp() * 1000:
                await asyncio.sleep(0.02)
    told = [problem(answer, 503, "written_by_newer") for answer in answers]
    assert all("newer ctxhub" in one["detail"] for one in told)
    assert dump_of(hub.redis, mine.customer_id) == before
    assert "cheerful" not in str(lines)


async def test_a_start_beside_what_a_later_version_wrote_says_so(server_url: str, hub: Upgraded) -> None:
    hub.redis.hset("ctxhub:{00}:founding", "format:9", "9.0.0")
    settings = settings_at(hub.folder, server_url)
    try:
        with capture_logs() as lines:
            async with living(settings, hub.clock):
                pass
    finally:
        hub.redis.hdel("ctxhub:{00}:founding", "format:9")
    [told] = [line for line in lines if line["event"] == "format.unknown"]
    assert (told["format"], told["known"]) == (9, FORMAT)
    assert "install ctxhub 9.0.0 or newer" in told["remedy"]


def test_the_format_is_at_least_the_last_first_byte() -> None:
    assert packed(b"{}")[0] <= FORMAT
    with pytest.raises(WrittenByNewer):
        unpacked(bytes([FORMAT + 1]) + packed(b"{}")[1:])


def due_at(redis: Redis, customer_id: str) -> float:
    """When a hub looks at somebody next."""
    scores = {
        member: score for key in redis.keys("*:due") for member, score in redis.zrange(key, 0, -1, withscores=True)
    }
    [score] = [score for member, score in scores.items() if customer_id.encode() in member]
    return score


def dump_of(redis: Redis, customer_id: str) -> dict[bytes, Any]:
    """All that Redis holds of a customer, to the byte; who reads leaves a line in the trail, which is not theirs."""
    names = sorted(redis.scan_iter(f"*:{customer_id}:*"))
    return {name: redis.dump(name) for name in names}
