"""What happens reaches every endpoint that wants to know: in order, signed, at least once, and never twice as two."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import Unavailable
from ctxhub.hub.hub import Hub
from ctxhub.model.inward import NOWHERE, allowed_of
from ctxhub.model.signature import secret_of, signed
from ctxhub.model.webhook import PAUSES
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.receiving import (
    ENVIRON,
    OTHER,
    SECRET,
    Pouring,
    Receiver,
    hanging_up,
    no_http,
    receiving,
    saying,
    silent,
    slamming,
    trickling,
)
from tests.hub.scenes import WHO, in_one, offer, tell
from tests.support import ACME, DAY, HOUR, MINUTE, SECOND, TENANT, Clock, ways

LOOPBACK = allowed_of("127.0.0.1")


def declare(folder: Path, **webhooks: Any) -> None:
    """Let acme declare webhooks, beside what it has."""
    declared = TENANT.model_dump(mode="json", exclude={"tenant"})
    declared["queues"] |= {"cards": {}, "billing": {}}
    (folder / f"{ACME}.yaml").write_text(json.dumps(declared | {"webhooks": webhooks}), encoding="utf-8")


def endpoint(receiver: Receiver, *events: str, **more: Any) -> dict[str, Any]:
    """What a tenant declares of an endpoint."""
    return {"url": receiver.url, "secret": "HOOK_SECRET", "events": list(events)} | more


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    """An endpoint that acknowledges."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def dialer() -> AsyncIterator[Receiver]:
    """Another endpoint."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def another(server: Server, clock: Clock, tenants_folder: Path) -> AsyncIterator[Callable[..., Hub]]:
    """Makes hubs that may call loopback, unless said otherwise."""
    made: list[Hub] = []

    def make(**more: Any) -> Hub:
        usual: dict[str, Any] = {"tenants": tenants_folder, "environ": ENVIRON, "webhook_allow": LOOPBACK}
        hub = Hub(server, ways(clock, **usual | more))
        hub.webhooks._chance = lambda: 0.5
        made.append(hub)
        return hub

    yield make
    for hub in made:
        await hub.outward.aclose()


@pytest.fixture
def hub(another: Callable[..., Hub]) -> Hub:
    """A hub that may call loopback."""
    return another()


async def told(hub: Hub) -> None:
    """Let the relay tell on what was written."""
    await hub.relay._keep_leases()
    await hub.relay._drain()


async def sent(hub: Hub) -> None:
    """Let all that is due be sent."""
    for _ in range(50):
        async with asyncio.TaskGroup() as group:
            await hub.webhooks.send_due(group)
        if not any(line.busy for line in hub.webhooks._lines.values()) and not await due(hub):
            return


async def due(hub: Hub) -> bool:
    """Tell whether something more could be sent now."""
    now = hub.ways.clock()
    places = await hub.webhooks._deliveries.endpoints(hub.relay.held)
    open_ = [place for place in places if hub.webhooks._room(place[1], now)]
    return bool(open_ and await hub.webhooks._deliveries.due(open_, now, 1))


async def tell_many(hub: Hub, interaction_id: str, *names: str, who: Who = WHO) -> None:
    """Tell events of a free type."""
    for name in names:
        await tell(hub, "x.happened", interaction_id, name, who)


async def states(hub: Hub, name: str = "crm") -> dict[str, int]:
    """How many deliveries are in which state."""
    return {
        state: len(await hub.webhooks.deliveries(ACME, name, state, 1000)) for state in ("waiting", "delivered", "dead")
    }


class TestWhatIsSent:
    async def test_an_offer_reaches_the_router_as_a_cloud_event_of_ids(
        self, hub: Hub, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "handoff.offered"))
        interaction_id = await in_one(hub, level=2)
        await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Lyon")
        handoff = await offer(hub, interaction_id, note="she is angry", skills=["cards"], priority=7)
        await told(hub)
        await sent(hub)
        (event,) = crm.events
        assert {name: event[name] for name in ("specversion", "type", "subject", "source", "datacontenttype")} == {
            "specversion": "1.0", "type": "handoff.offered", "subject": "c42", "source": "https://ctx.test/acme",
            "datacontenttype": "application/json",
        }  # fmt: skip
        assert event["time"] == "2026-11-22T12:00:00.000Z"
        data = event["data"]
        assert (data["handoff_id"], data["queue"], data["skills"], data["priority"]) == (
            handoff["handoff_id"], "cards", ["cards"], 7,
        )  # fmt: skip
        assert not [word for word in ("angry", "help", "Lyon") if word.encode() in crm.got[0].body]

    async def test_it_carries_the_signature_of_each_secret_in_force(
        self, hub: Hub, crm: Receiver, tenants_folder: Path
    ) -> None:
        rotating = {"secret": "NEWER_SECRET", "secrets": ["HOOK_SECRET"]}
        declare(tenants_folder, crm=endpoint(crm, "interaction.*") | rotating)
        await in_one(hub)
        await told(hub)
        await sent(hub)
        (got,) = crm.got
        expected = signed([secret_of(OTHER), secret_of(SECRET)], got.event["id"], hub.ways.clock(), got.body)
        assert {name: got.head[name] for name in expected} == expected
        assert got.head["webhook-signature"].count("v1,") == 2
        assert got.head["content-type"].startswith("application/cloudevents+json")

    async def test_only_events_of_its_types_and_queues_are_sent(
        self, hub: Hub, crm: Receiver, dialer: Receiver, tenants_folder: Path
    ) -> None:
        declare(
            tenants_folder,
            crm=endpoint(crm, "handoff.*", queues=["billing"]),
            dialer=endpoint(dialer, "handoff.offered", queues=["cards"]),
        )
        await offer(hub, await in_one(hub))
        await told(hub)
        await sent(hub)
        assert (len(crm.got), [event["type"] for event in dialer.events]) == (0, ["handoff.offered"])

    async def test_a_promise_that_is_due_soon_is_told(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "commitment.*"))
        due_at = (clock() + HOUR).isoformat()
        await in_one(hub)
        await tell(hub, "commitment.made", None, "p1", party="agent", what="call back", owner="service", due_at=due_at)
        clock.move(HOUR)
        await hub.wake(WHO)
        await told(hub)
        await sent(hub)
        assert [event["type"] for event in crm.events] == [
            "commitment.made",
            "commitment.due_soon",
            "commitment.overdue",
        ]
        assert crm.events[1]["data"]["due_at"] == "2026-11-22T13:00:00.000Z"
        assert b"call back" not in b"".join(got.body for got in crm.got)

    async def test_a_warning_goes_to_no_system_of_a_channel_s(
        self, hub: Hub, crm: Receiver, dialer: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "risk.*"), dialer=endpoint(dialer, "risk.*", role="agent"))
        await tell(hub, "risk.flagged", await in_one(hub), "r1", kind="sim_swap", level="high")
        await told(hub)
        await sent(hub)
        assert (len(crm.got), len(dialer.got)) == (0, 1)


class TestABrief:
    async def brief(self, hub: Hub, crm: Receiver, folder: Path, level: int, role: str) -> dict[str, Any] | None:
        """The brief that an endpoint gets of an offer."""
        declare(folder, crm=endpoint(crm, "handoff.offered", content="brief", role=role, lang="en"))
        verified = await in_one(hub, "earlier", 2)
        await tell(hub, "fact.stated", verified, "f1", name="card_number", value="the blue one")
        await tell(hub, "fact.stated", verified, "f2", name="city", value="Lyon")
        await offer(hub, await in_one(hub, "now", level))
        await told(hub)
        await sent(hub)
        brief: dict[str, Any] | None = crm.events[0]["data"].get("brief")
        return brief

    async def test_it_tells_what_the_role_may_see(self, hub: Hub, crm: Receiver, tenants_folder: Path) -> None:
        brief = await self.brief(hub, crm, tenants_folder, 2, "agent")
        assert brief is not None
        assert any("Lyon" in line["text"] and line["evidence"] == ["f2"] for line in brief["lines"])

    @pytest.mark.parametrize("role", ["agent", "adapter"])
    async def test_what_is_masked_is_never_told(self, hub: Hub, crm: Receiver, tenants_folder: Path, role: str) -> None:
        await self.brief(hub, crm, tenants_folder, 0, role)
        assert len(crm.got) == 1
        assert not [word for got in crm.got for word in (b"Lyon", b"blue") if word in got.body]

    async def test_it_leaves_a_line_in_the_audit_trail(self, hub: Hub, crm: Receiver, tenants_folder: Path) -> None:
        await self.brief(hub, crm, tenants_folder, 2, "agent")
        noted = await hub.server.call("XRANGE", hub.server.keys.audit(ACME).new, "-", "+")
        assert any(b"brief.sent" in part for _, fields in noted for part in fields)


class TestTryingAgain:
    async def test_what_is_not_acknowledged_is_tried_again_with_the_same_id_and_body(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        crm.answer = saying("500 Internal Server Error")
        await in_one(hub)
        await told(hub)
        await sent(hub)
        crm.answer = saying()
        clock.move(4 * SECOND)
        await sent(hub)
        assert len(crm.got) == 1
        clock.move(2 * SECOND)
        await sent(hub)
        first, second = crm.got
        assert first.body == second.body
        assert first.head["webhook-id"] == second.head["webhook-id"]
        assert first.head["webhook-timestamp"] != second.head["webhook-timestamp"]
        assert await states(hub) == {"waiting": 0, "delivered": 1, "dead": 0}

    async def test_it_is_given_up_after_days_and_can_be_driven_again(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        crm.answer = saying("400 Bad Request")
        await in_one(hub)
        await told(hub)
        for pause in (timedelta(0), *PAUSES):
            clock.move(pause)
            await sent(hub)
        assert len(crm.got) == len(PAUSES) + 1
        assert sum(PAUSES, timedelta(0)) > 3 * DAY
        (dead,) = await hub.webhooks.deliveries(ACME, "crm", "dead", 10)
        assert (dead["said"], dead["attempts"]) == ("400", 10)
        crm.answer = saying()
        assert await hub.webhooks.redrive(ACME, "crm") == 1
        await sent(hub)
        assert crm.got[-1].head["webhook-id"] == crm.got[0].head["webhook-id"]
        assert await states(hub) == {"waiting": 0, "delivered": 1, "dead": 0}

    async def test_a_receiver_that_names_a_time_is_not_called_before(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        interaction_id = await in_one(hub)
        await tell_many(hub, interaction_id, "e1")
        crm.answer = saying("429 Too Many Requests", head="retry-after: 3600\r\n")
        await told(hub)
        await sent(hub)
        await in_one(hub, "x2", customer_id="c43")
        await tell_many(hub, await in_one(hub, "x2", customer_id="c43"), "e2", who=Who(ACME, "c43"))
        await told(hub)
        clock.move(50 * MINUTE)
        await sent(hub)
        assert len(crm.got) == 1
        crm.answer = saying()
        clock.move(11 * MINUTE)
        await sent(hub)
        assert sorted(event["data"]["event_id"] for event in crm.events[1:]) == ["e1", "e2"]

    async def test_who_is_gone_is_called_no_more_until_it_is_driven_again(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        interaction_id = await in_one(hub)
        crm.answer = saying("410 Gone")
        await tell_many(hub, interaction_id, "e1", "e2", "e3")
        await told(hub)
        await sent(hub)
        assert len(crm.got) == 1
        assert await states(hub) == {"waiting": 0, "delivered": 0, "dead": 3}
        assert (await hub.webhooks.listed(ACME))[0]["disabled_at"] is not None
        crm.answer = saying()
        assert await hub.webhooks.redrive(ACME, "crm") == 3
        await sent(hub)
        assert sorted(event["data"]["event_id"] for event in crm.events[1:]) == ["e1", "e2", "e3"]

    async def test_another_address_is_not_gone(
        self, hub: Hub, crm: Receiver, dialer: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        crm.answer = saying("410 Gone")
        interaction_id = await in_one(hub)
        await tell_many(hub, interaction_id, "e1")
        await told(hub)
        await sent(hub)
        hub.tenants._looked = -math.inf
        declare(tenants_folder, crm=endpoint(dialer, "x.happened"))
        await tell_many(hub, interaction_id, "e2")
        await told(hub)
        await sent(hub)
        assert [event["data"]["event_id"] for event in dialer.events] == ["e2"]


class TestOrder:
    async def test_a_failed_one_holds_back_only_later_ones_of_the_same_customer(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        mine, others = await in_one(hub), await in_one(hub, "x2", customer_id="c43")
        crm.answer = saying("400 Bad Request")
        await tell_many(hub, mine, "m1", "m2")
        await told(hub)
        await sent(hub)
        crm.answer = saying()
        await tell_many(hub, others, "o1", "o2", who=Who(ACME, "c43"))
        await tell_many(hub, mine, "m3")
        await told(hub)
        await sent(hub)
        assert [event["data"]["event_id"] for event in crm.events] == ["m1", "o1", "o2"]
        clock.move(MINUTE)
        await sent(hub)
        assert [event["data"]["event_id"] for event in crm.events[3:]] == ["m1", "m2", "m3"]

    async def test_without_order_nothing_waits_for_another(self, hub: Hub, crm: Receiver, tenants_folder: Path) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened", order="none", concurrency=1))
        mine = await in_one(hub)
        crm.answer = saying("400 Bad Request")
        await tell_many(hub, mine, "m1", "m2")
        await told(hub)
        await sent(hub)
        assert sorted(event["data"]["event_id"] for event in crm.events) == ["m1", "m2"]

    async def test_one_endpoint_gets_no_more_at_once_than_it_takes(
        self, hub: Hub, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened", concurrency=2))
        at_once, most = 0, 0

        async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            await saying()(reader, writer)

        crm.answer = counting
        for number in range(10):
            who = Who(ACME, f"m{number}")
            await tell_many(hub, await in_one(hub, f"m{number}", customer_id=who.customer_id), f"e{number}", who=who)
        await told(hub)
        await sent(hub)
        assert (len(crm.got), most) == (10, 2)


class TestTheCircuit:
    async def test_an_endpoint_that_fails_again_and_again_is_left_alone_then_tried_with_one(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened", order="none"))
        mine = await in_one(hub)
        crm.answer = slamming
        await tell_many(hub, mine, *(f"e{number}" for number in range(20)))
        await told(hub)
        await sent(hub)
        assert len(crm.got) == 8  # as many as are sent at once
        assert (await hub.webhooks.listed(ACME))[0]["circuit"] == "open"
        clock.move(31 * SECOND)
        await sent(hub)
        assert len(crm.got) == 9
        crm.answer = saying()
        clock.move(61 * SECOND)
        await sent(hub)
        assert (
            await states(hub) | {"dead": 0} == {"waiting": 9, "delivered": 11, "dead": 0}
            or not (await states(hub))["waiting"] > 9
        )
        assert (await hub.webhooks.listed(ACME))[0]["circuit"] == "closed"

    async def test_a_slow_endpoint_holds_up_neither_the_relay_nor_another(
        self, hub: Hub, crm: Receiver, dialer: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"), dialer=endpoint(dialer, "x.happened"))
        crm.answer = silent
        mine = await in_one(hub)
        await tell_many(hub, mine, "e1", "e2")
        async with asyncio.timeout(5):
            task = asyncio.create_task(hub.webhooks.run())
            await told(hub)
            while len(dialer.got) < 2:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(crm.got) == 1
        assert await states(hub) == {"waiting": 2, "delivered": 0, "dead": 0}


class TestBadReceivers:
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (saying("302 Found", head="location: /elsewhere\r\n"), "302"),
            (saying("307 Temporary Redirect", head="location: http://127.0.0.1:1/\r\n"), "307"),
            (slamming, "no_answer"),
            (no_http, "no_answer"),
            (silent, "timeout"),
            (trickling("HTTP/1.1 200 "), "timeout"),
        ],
    )
    async def test_what_is_no_acknowledgement_is_none(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, answer: Any, said: str
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started", timeout=1))
        crm.answer = answer
        await in_one(hub)
        await told(hub)
        async with asyncio.timeout(5):
            await sent(hub)
        (waiting,) = await hub.webhooks.deliveries(ACME, "crm", "waiting", 10)
        assert waiting["said"] == said
        assert [got.path for got in crm.got] == ["/hook"]

    @pytest.mark.parametrize(
        "answer",
        [
            saying("200 OK", b"<html>\xff\x00 what? "),
            hanging_up(b"half of it"),
            trickling("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"),
        ],
    )
    async def test_an_acknowledgement_counts_whatever_its_body_is(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, answer: Any
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        crm.answer = answer
        await in_one(hub)
        await told(hub)
        async with asyncio.timeout(5):
            await sent(hub)
        assert await states(hub) == {"waiting": 0, "delivered": 1, "dead": 0}

    async def test_of_a_hundred_million_bytes_next_to_none_are_taken(
        self, hub: Hub, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        pouring = Pouring()
        crm.answer = pouring
        await in_one(hub)
        await told(hub)
        await sent(hub)
        assert await states(hub) == {"waiting": 0, "delivered": 1, "dead": 0}
        assert pouring.poured < 10_000_000

    async def test_an_inward_address_is_not_called(
        self, another: Callable[..., Hub], crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        hub = another(webhook_allow=NOWHERE)
        await in_one(hub)
        await told(hub)
        await sent(hub)
        (waiting,) = await hub.webhooks.deliveries(ACME, "crm", "waiting", 10)
        assert (waiting["said"], crm.got) == ("inward", [])

    async def test_without_its_secret_nothing_leaves(
        self, another: Callable[..., Hub], crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        hub = another(environ={"HOOK_SECRET": "hush"})
        await in_one(hub)
        await told(hub)
        await sent(hub)
        (waiting,) = await hub.webhooks.deliveries(ACME, "crm", "waiting", 10)
        assert (waiting["said"], waiting["attempts"], crm.got) == ("no_secret", 0, [])


class TestNothingIsLost:
    async def test_a_relay_that_dies_after_queuing_queues_nothing_twice(
        self, hub: Hub, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        await tell_many(hub, await in_one(hub), "e1", "e2")
        advance = hub._outbox.advance

        async def died(*_: Any) -> list[bool]:
            return [False]

        hub._outbox.advance = died  # type: ignore[method-assign]
        await told(hub)
        hub._outbox.advance = advance  # type: ignore[method-assign]
        await told(hub)
        await sent(hub)
        assert [event["data"]["event_id"] for event in crm.events] == ["e1", "e2"]

    async def test_a_sender_that_dies_before_noting_sends_the_same_again(
        self, hub: Hub, another: Callable[..., Hub], clock: Clock, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        await tell_many(hub, await in_one(hub), "e1")

        async def died(*_: Any) -> bool:
            raise ConnectionError

        hub.webhooks._deliveries.settle = died  # type: ignore[method-assign]
        await told(hub)
        async with asyncio.TaskGroup() as group:
            await hub.webhooks.send_due(group)
        clock.move(MINUTE)
        other = another()
        await told(other)
        await sent(other)
        assert [got.head["webhook-id"] for got in crm.got] == [crm.got[0].head["webhook-id"]] * 2
        assert await states(other) == {"waiting": 0, "delivered": 1, "dead": 0}

    async def test_dead_letters_are_bounded(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ctxhub.store.deliveries.MOST_OVER", 3)
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        crm.answer = saying("410 Gone")
        await tell_many(hub, await in_one(hub), *(f"e{number}" for number in range(6)))
        await told(hub)
        await sent(hub)
        assert [one["event_id"] for one in await hub.webhooks.deliveries(ACME, "crm", "dead", 10)]
        assert (await states(hub))["dead"] == 3


class TestWhatItCosts:
    @staticmethod
    def asked(redis: Redis) -> dict[str, int]:
        """How often the server was asked each command, by anybody and by scripts."""
        stats = redis.info("commandstats")
        return {name: stat["calls"] for name, stat in stats.items() if name not in ("cmdstat_info", "cmdstat_ping")}

    async def test_a_hub_without_deliveries_asks_nothing_while_it_idles(self, hub: Hub, redis: Redis) -> None:
        await in_one(hub)
        await told(hub)
        await sent(hub)
        before = self.asked(redis)
        for _ in range(3):
            async with asyncio.TaskGroup() as group:
                await hub.webhooks.send_due(group)
            await hub.webhooks._measure()
        assert self.asked(redis) == before

    async def test_one_with_an_endpoint_looks_only_where_that_has_ever_had_something(
        self, hub: Hub, redis: Redis, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        await in_one(hub)
        await told(hub)
        await sent(hub)
        before = self.asked(redis)
        async with asyncio.TaskGroup() as group:
            await hub.webhooks.send_due(group)
        after = self.asked(redis)
        assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
            "cmdstat_zrange": 1
        }

    async def test_no_delivery_is_looked_through_for_another_however_many_wait(
        self, hub: Hub, redis: Redis, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        mine = await in_one(hub)
        names = [f"e{number:03}" for number in range(50)]
        await tell_many(hub, mine, *names)
        redis.config_resetstat()
        await told(hub)
        await sent(hub)
        assert [event["data"]["event_id"] for event in crm.events] == names
        assert not self.asked(redis).keys() & {"cmdstat_hkeys", "cmdstat_hgetall", "cmdstat_hscan", "cmdstat_hvals"}

    async def test_what_another_process_queued_for_a_moment_is_found_as_all_are_asked_again(
        self, hub: Hub, another: Callable[..., Hub], crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "interaction.started"))
        await told(hub)
        await sent(hub)
        await in_one(hub)
        events = await hub.changes.contexts.timeline(WHO, 0, None, 10)
        await another().webhooks.queue([(WHO, event) for event in events])
        await sent(hub)
        assert crm.got == []
        hub.webhooks._asks_all_at = 0.0
        await sent(hub)
        assert len(crm.got) == 1

    async def test_what_was_queued_before_there_was_an_order_keeps_its_own(
        self, hub: Hub, redis: Redis, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        mine = await in_one(hub)
        for names in (("e1", "e2", "e3"), ("e4",)):
            await tell_many(hub, mine, *names)
            await told(hub)
            redis.delete(hub.server.keys.deliveries(*WHO).order)
        await sent(hub)
        assert [event["data"]["event_id"] for event in crm.events] == ["e1", "e2", "e3", "e4"]


class TestForgetting:
    async def test_nothing_of_a_forgotten_customer_is_sent_or_stays(
        self, hub: Hub, redis: Redis, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        mine, others = await in_one(hub), await in_one(hub, "x2", customer_id="c43")
        await tell_many(hub, mine, "m1")
        await told(hub)
        await sent(hub)
        crm.answer = saying("410 Gone")
        await tell_many(hub, mine, "m2")
        await told(hub)
        await sent(hub)
        await hub.webhooks._deliveries.enable((await hub.webhooks._deliveries.endpoints(hub.relay.held))[0][1])
        crm.answer = saying("500 Internal Server Error")
        await tell_many(hub, mine, "m3", "m4")
        await tell_many(hub, others, "o1", who=Who(ACME, "c43"))
        await told(hub)
        await sent(hub)
        assert await states(hub) == {"waiting": 3, "delivered": 1, "dead": 1}
        receipt = await hub.forgetting.forget(WHO)
        assert receipt["beside"]["deliveries"] == 4
        assert await states(hub) == {"waiting": 1, "delivered": 0, "dead": 0}
        assert not [key for key in redis.scan_iter() if "c42" in key]
        crm.answer = saying()
        clock.move(DAY)
        await told(hub)
        await sent(hub)
        assert [event["data"]["event_id"] for event in crm.events[4:]] == ["o1"]

    async def test_what_the_outbox_still_holds_of_it_is_not_queued(
        self, hub: Hub, crm: Receiver, tenants_folder: Path
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        await tell_many(hub, await in_one(hub), "m1")
        event = {"event_id": "m1", "type": "x.happened", "version": 2, "at": "2026-11-22T12:00:00Z", "data": {}}
        await hub.forgetting.forget(WHO)
        await hub.webhooks.queue([(WHO, event)])
        await told(hub)
        await sent(hub)
        assert crm.got == []


class TestARedisThatFails:
    async def test_what_could_not_be_read_is_sent_when_it_can_be(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened"))
        await tell_many(hub, await in_one(hub), "e1")
        await told(hub)

        async def away(*_: Any) -> None:
            raise Unavailable("Redis does not answer")

        with monkeypatch.context() as patched:
            patched.setattr(hub.webhooks._deliveries, "read", away)
            async with asyncio.TaskGroup() as group:
                await hub.webhooks.send_due(group)
        assert crm.got == []
        await sent(hub)
        assert len(crm.got) == 1

    async def test_what_is_most_overdue_goes_first_wherever_it_lies(
        self, hub: Hub, crm: Receiver, tenants_folder: Path, clock: Clock
    ) -> None:
        declare(tenants_folder, crm=endpoint(crm, "x.happened", concurrency=1))
        names = [f"m{number}" for number in range(12)]
        for name in names:
            await tell_many(hub, await in_one(hub, name, customer_id=name), name, who=Who(ACME, name))
            await told(hub)
            clock.move(SECOND)
        await sent(hub)
        assert [event["subject"] for event in crm.events] == names
