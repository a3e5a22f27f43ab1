"""A feed loses nothing and doubles nothing, however often the connection breaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest

from ctxhub.client import (
    ContextHub,
    CtxhubError,
    CustomerUnknown,
    Fed,
    Forbidden,
    Invalid,
    Lapsed,
    Moved,
    Unauthenticated,
    feed,
)
from tests.client.wire import (
    EVENT_STREAM,
    Asked,
    Line,
    Script,
    Wire,
    answer,
    break_off,
    chunk,
    end,
    event,
    in_turn,
    lose_the_reply,
    say_nothing,
    stream,
    told,
    wire,
)

READY = event("ready", version=4)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[Wire, ContextHub]]:
    """A server with a script, and a hub's client for it."""
    async with wire(script) as server, ContextHub(server.url, "ctx_key", timeout=2.0) as hub:
        yield server, hub


async def first(count: int, feed: AsyncGenerator[Fed, None], *, but: str = "ready") -> list[Fed]:
    """Take so many from a feed, not counting those of one type."""
    taken: list[Fed] = []
    async with asyncio.timeout(10), aclosing(feed):
        async for fed in feed:
            taken += [fed] if fed.type != but else []
            if len(taken) == count:
                break
    return taken


def _the_rest_of(kept: range) -> Script:
    """Send what was kept after the last event that the client has seen."""

    async def script(asked: Asked, line: Line) -> None:
        last = int(asked.headers.get("last-event-id", kept.start - 1))
        await stream(READY, *(told(version) for version in kept if version > last))(asked, line)

    return script


def versions(feds: list[Fed]) -> list[int | None]:
    """The versions of events fed."""
    return [fed.event.version if fed.event else None for fed in feds]


async def test_an_event_comes_whole_with_its_type_id_and_data() -> None:
    async with serving(stream(READY, told(5, text="你好"))) as (server, hub):
        ready, fed = await first(2, hub.feeds.customer("c42", interaction_id="in_1"), but="")
    assert (ready.type, ready.data, ready.event) == ("ready", {"version": 4}, None)
    assert (fed.type, fed.id) == ("message.received", "5")
    assert fed.event is not None
    assert (fed.event.event_id, fed.event.data) == ("e5", {"text": "你好"})
    assert fed.data["at"] == "2030-01-02T10:00:00Z"
    assert server.asked[0].target == "/v1/customers/c42/stream?interaction_id=in_1"
    assert "last-event-id" not in server.asked[0].headers


@pytest.mark.parametrize("then", [break_off, end], ids=["killed", "ended"])
@pytest.mark.parametrize("at", [1, 20, -2, -1], ids=["first byte", "middle", "before last byte", "last byte"])
async def test_an_event_cut_off_comes_again_and_once(then: Script, at: int) -> None:
    whole = told(6, text="half")
    cut = stream(READY, told(5, text="one"), whole[:at], then=then)
    async with serving(in_turn(cut, stream(READY, whole, told(7, text="three")))) as (server, hub):
        fed = await first(3, hub.feeds.customer("c42"))
    assert versions(fed) == [5, 6, 7]
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "5"]


async def test_every_byte_may_be_where_the_connection_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_FIRST_PAUSE", 0.001)
    whole = b": hello\n\n" + READY + b"".join(told(version, text=f"第{version}句") for version in range(5, 7))

    async def cut_once(asked: Asked, line: Line) -> None:
        at = int(asked.target.split("/")[3])  # each customer's stream is cut at another byte
        again = any(before.target == asked.target for before in server.asked[:-1])
        await (_the_rest_of(range(5, 7)) if again else stream(whole[:at], then=break_off))(asked, line)

    async with serving(cut_once) as (server, hub):
        for cut in range(1, len(whole)):
            assert versions(await first(2, hub.feeds.customer(str(cut)))) == [5, 6], cut


async def test_what_the_hub_sends_twice_is_fed_once() -> None:
    twice = stream(READY, told(5), told(5), told(6), told(5), told(6), told(7))
    async with serving(twice) as (_, hub):
        assert versions(await first(3, hub.feeds.customer("c42"))) == [5, 6, 7]


async def test_a_feed_after_a_version_begins_behind_it() -> None:
    async with serving(stream(event("ready", version=9), told(3), told(4), told(5))) as (server, hub):
        assert versions(await first(2, hub.feeds.customer("c42", after=3))) == [4, 5]
    assert server.asked[0].headers["last-event-id"] == "3"


async def test_what_happens_while_nobody_is_connected_is_not_missed() -> None:
    script = in_turn(stream(READY, then=break_off), lose_the_reply, answer(503), stream(READY, told(5)))
    async with serving(script) as (server, hub):
        assert versions(await first(1, hub.feeds.customer("c42"))) == [5]
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "4", "4", "4"]


async def test_after_a_reset_the_feed_goes_on_from_where_the_hub_says() -> None:
    reset = stream(event("ready", version=2), event("reset", version=2), told(3), then=break_off)
    async with serving(in_turn(reset, stream(told(3), told(4)))) as (server, hub):
        fed = await first(3, hub.feeds.customer("c42", after=90))
    assert [one.type for one in fed] == ["reset", "message.received", "message.received"]
    assert versions(fed) == [None, 3, 4]
    assert server.asked[1].headers["last-event-id"] == "3"


async def test_after_bye_the_feed_comes_back_soon() -> None:
    async with serving(in_turn(stream(READY, told(5), event("bye")), stream(told(6)))) as (server, hub):
        began = time.monotonic()
        fed = await first(3, hub.feeds.customer("c42"))
        assert time.monotonic() - began < 4.0
        await server.until(lambda w: w.open == 0)  # the hub that says bye needs not wait for us
    assert [one.type for one in fed] == ["message.received", "bye", "message.received"]
    assert server.asked[1].headers["last-event-id"] == "5"


async def test_a_silent_connection_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LONGEST_SILENCE", 0.3)
    async with serving(in_turn(stream(READY, told(5)), stream(told(6)))) as (server, hub):
        assert versions(await first(2, hub.feeds.customer("c42"))) == [5, 6]
    assert len(server.asked) == 2


async def test_comments_keep_a_connection_alive_and_are_not_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LONGEST_SILENCE", 0.3)

    async def beat(_: Asked, line: Line) -> None:
        await line.send(EVENT_STREAM + chunk(READY + told(5)))
        for _beat in range(8):
            await line.send(chunk(b": beat\n\n"))
            await asyncio.sleep(0.1)
        await line.send(chunk(told(6)))
        await line.closed_by_the_other_side()

    async with serving(beat) as (server, hub):
        fed = await first(2, hub.feeds.customer("c42"))
    assert [one.type for one in fed] == ["message.received"] * 2
    assert len(server.asked) == 1


async def test_text_with_line_ends_of_its_own_stays_whole() -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive"
    async with serving(stream(told(5, text=text), told(6))) as (_, hub):
        [fed, _] = await first(2, hub.feeds.customer("c42"))
    assert fed.data["data"] == {"text": text}


@pytest.mark.parametrize(
    "odd",
    [
        b"id: " + b"9" * 5000 + b"\nevent: x.y\ndata: {}\n\n",
        b"event: x.y\ndata: " + b"[" * 100_000 + b"\n\n",
        b'event: x.y\ndata: {"customer_id":["c1"],"event_id":{},"version":true}\n\n',
    ],
    ids=["a mark longer than numbers are", "nested without end", "ids that are none"],
)
async def test_what_no_hub_would_send_ends_no_feed(odd: bytes) -> None:
    async with serving(stream(told(5), odd, told(6))) as (_, hub):
        assert versions(await first(3, hub.feeds.customer("c42")))[::2] == [5, 6]
        assert versions(await first(3, hub.feeds.queue("service")))[::2] == [5, 6]


async def test_a_character_may_arrive_in_two_packets() -> None:
    whole = told(5, text="退款")
    middle = whole.index("退".encode()) + 1
    async with serving(stream(whole[:middle], whole[middle:])) as (_, hub):
        [fed] = await first(1, hub.feeds.customer("c42"))
    assert fed.data["data"] == {"text": "退款"}


@pytest.mark.parametrize("error", [Unauthenticated, Forbidden, CustomerUnknown, Lapsed, Invalid])
async def test_what_no_patience_mends_is_raised(error: type[CtxhubError]) -> None:
    refused = answer(error.status, {"code": error.code, "status": error.status, "detail": "no"})
    async with serving(refused) as (server, hub):
        with pytest.raises(error):
            await first(1, hub.feeds.customer("c42"))
    assert len(server.asked) == 1


async def test_a_feed_that_was_open_ends_when_its_key_is_revoked() -> None:
    async with serving(in_turn(stream(READY, told(5), then=break_off), answer(401))) as (_, hub):
        feed = hub.feeds.customer("c42")
        with pytest.raises(Unauthenticated):
            await first(2, feed)


@pytest.mark.parametrize(
    "trouble",
    [answer(503), answer(502, b"<html>"), answer(429, retry_after="0"), answer(200, {}), lose_the_reply, say_nothing],
    ids=["503", "502", "429", "no stream", "lost", "silent"],
)
async def test_other_trouble_passes(trouble: Script) -> None:
    async with wire(in_turn(trouble, stream(told(5)))) as server, ContextHub(server.url, "key", timeout=1.0) as hub:
        assert versions(await first(1, hub.feeds.customer("c42"))) == [5]
    assert len(server.asked) == 2


async def test_a_hub_that_asks_for_time_gets_it() -> None:
    async with serving(in_turn(answer(503, retry_after="0.5"), stream(told(5)))) as (_, hub):
        began = time.monotonic()
        await first(1, hub.feeds.customer("c42"))
    assert time.monotonic() - began >= 0.5


async def test_a_queue_shows_who_waits_and_then_what_changes() -> None:
    snapshot = event("snapshot", "1-7", handoffs=[{"handoff_id": "ho_1"}])
    offered = event("handoff.offered", "1-8", event_id="e1", customer_id="c1", handoff={"handoff_id": "ho_2"})
    async with serving(stream(event("ready", "1-7"), snapshot, offered)) as (server, hub):
        shown, changed = await first(2, hub.feeds.queue("账单/大客户", after="1-6"))
    assert shown.data == {"handoffs": [{"handoff_id": "ho_1"}]}
    assert (changed.type, changed.id, changed.data["handoff"]) == ("handoff.offered", "1-8", {"handoff_id": "ho_2"})
    assert server.asked[0].target == "/v1/queues/%E8%B4%A6%E5%8D%95%2F%E5%A4%A7%E5%AE%A2%E6%88%B7/stream"
    assert server.asked[0].headers["last-event-id"] == "1-6"


async def test_a_channel_misses_nothing_while_nobody_is_connected() -> None:
    script = in_turn(stream(event("ready", "1-7"), event("snapshot", channel="chat"), then=break_off), stream(READY))
    async with serving(script) as (server, hub):
        await first(3, hub.feeds.channel("chat"), but="")
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "1-7"]


async def test_what_a_channel_is_told_again_is_fed_once() -> None:
    def sent(mark: str, customer_id: str) -> bytes:
        return event("message.sent", mark, event_id="m1", customer_id=customer_id)

    again = in_turn(stream(sent("a", "c1"), then=break_off), stream(sent("a", "c1"), sent("b", "c2")))
    async with serving(again) as (server, hub):
        fed = await first(2, hub.feeds.channel("chat"))
    assert [one.data["customer_id"] for one in fed] == ["c1", "c2"]  # event ids are unique for each customer only
    assert server.asked[1].headers["last-event-id"] == "a"
    assert server.asked[1].target == "/v1/channels/chat/stream"


async def test_a_feed_goes_with_the_customer_to_a_new_home() -> None:
    moved = answer(308, {"code": "moved", "customer_id": "c7"}, location="/v1/customers/c7/stream?interaction_id=in_1")
    script = in_turn(stream(told(90), then=break_off), moved, stream(event("ready", version=2), told(3)))
    async with serving(script) as (server, hub):
        fed = await first(4, hub.feeds.customer("c42", interaction_id="in_1"), but="")
    assert [one.type for one in fed] == ["message.received", "reset", "ready", "message.received"]
    assert fed[1].data == {"customer_id": "c7"}
    assert versions(fed) == [90, None, None, 3]
    assert server.asked[2].target == "/v1/customers/c7/stream?interaction_id=in_1"
    assert "last-event-id" not in server.asked[2].headers


async def test_a_customer_who_moved_nobody_says_where_is_an_error() -> None:
    async with serving(answer(308, {"code": "moved", "status": 308})) as (_, hub):
        with pytest.raises(Moved):
            await first(1, hub.feeds.customer("c42"))


async def test_a_consumer_who_stops_closes_the_connection() -> None:
    async with serving(stream(told(5), told(6))) as (server, hub):
        await first(1, hub.feeds.customer("c42"))
        await server.until(lambda w: w.open == 0)


async def test_a_cancelled_consumer_closes_the_connection() -> None:
    async with serving(stream(told(5))) as (server, hub):
        following = asyncio.create_task(first(2, hub.feeds.customer("c42")))
        await server.until(lambda w: w.open == 1)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        await server.until(lambda w: w.open == 0)


async def test_a_feed_ends_with_the_hubs_connections() -> None:
    async with serving(stream(told(5))) as (server, hub):
        following = asyncio.create_task(first(2, hub.feeds.customer("c42")))
        await server.until(lambda w: w.open == 1)
        await asyncio.sleep(0.05)
        await hub.aclose()
        assert versions(await asyncio.wait_for(following, 5)) == [5]


async def test_hundreds_of_feeds_are_open_at_once_and_calls_still_go_through() -> None:
    async def serve(asked: Asked, line: Line) -> None:
        queue = answer(200, {"queue": "billing"})
        await (stream(READY) if asked.target.endswith("/stream") else queue)(asked, line)

    async with serving(serve) as (server, hub), AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(aclosing(hub.feeds.customer(f"c{n}"))) for n in range(300)]
        await asyncio.gather(*(anext(feed) for feed in feeds))
        assert server.open == 300
        assert (await hub.queues.show("billing")).queue == "billing"


async def test_feeds_go_to_an_address_of_their_own_where_calls_stay_in_process() -> None:
    async with wire(stream(told(5))) as server, ContextHub("http://hub", "ctx_key", stream_url=server.url) as hub:
        assert versions(await first(1, hub.feeds.customer("c42"))) == [5]
