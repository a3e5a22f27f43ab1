"""The router on a real store: one agent after another, killed at any step, raced, and nobody beyond his capacity."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctxhub.errors import StaleFence, WrongState
from ctxhub.hub import routing
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import Principal
from ctxhub.model.presence import PresenceRequest
from ctxhub.model.value import to_millis
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server, connected
from tests.hub.scenes import begin, context_of, eventually, offer, told_of
from tests.support import ACME, ADAPTER, DESK, HOUR, LEASE, MINUTE, SECOND, Clock, ways

ROUTED: dict[str, Any] = {
    "queues": {
        "cards": {"weights": {}, "skills": ["cards"], "fallback": "loans"},
        "loans": {"weights": {}, "exclusive": True, "rings": 2},
        "plain": {},
        "elsewhere": {"routing": "external"},
    },
    "agents": {
        "ann": {"skills": ["cards"], "languages": ["zh"], "queues": ["cards", "loans"], "capacity": {"chat": 1}},
        "bob": {"skills": ["cards"], "languages": ["en"], "queues": ["cards", "loans"], "capacity": {"chat": 2}},
    },
}


@pytest.fixture
def tenants_folder(tmp_path: Path) -> Path:
    """The folder of tenants' files, with queues that suggest."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    (folder / f"{ACME}.yaml").write_text(yaml.safe_dump(ROUTED), encoding="utf-8")
    return folder


async def there(hub: Hub, *agents: str, lasts: timedelta = HOUR, **more: Any) -> None:
    """Let agents be there for work, each a second after the one before."""
    for agent_id in agents:
        request = PresenceRequest.model_validate(
            {"state": "available", "expires_in": round(lasts.total_seconds())} | more
        )
        await hub.presences.say(DESK, agent_id, request)


async def waits(hub: Hub, number: int = 0, queue: str = "cards", **more: Any) -> str:
    """Let a customer wait in a queue; return the handoff's id."""
    who = Who(ACME, f"c{number}")
    started = await begin(hub, f"x{number}", customer_id=who.customer_id, **more.pop("start", {}))
    given = await offer(hub, started["interaction"]["interaction_id"], who, to={"queue": queue}, **more)
    return str(given["handoff_id"])


async def routed(hub: Hub) -> int:
    """Let the hub route once, as the router of the tenant; return how much was suggested."""
    assert await hub.router.take(ACME)
    return await hub.router.round(ACME)


async def rings_at(hub: Hub, handoff_id: str) -> str | None:
    """The agent for whom a handoff rings now."""
    ringing = await ringing_of(hub, handoff_id)
    return ringing.agent_id if ringing is not None else None


async def ringing_of(hub: Hub, handoff_id: str) -> Any:
    """The suggestion of a handoff that stands now."""
    customer_id = await hub.lookups.handoff(ACME, handoff_id)
    assert customer_id is not None
    context = await context_of(hub, Who(ACME, customer_id))
    return context.handoffs[handoff_id].rings(hub.ways.clock())


class TestOneAfterAnother:
    """One agent for a set time, then the next, then the whole queue, then the fallback."""

    async def test_it_is_suggested_to_one_and_told_with_reasons_and_stays_on_offer(
        self, hub: Hub, clock: Clock
    ) -> None:
        await there(hub, "ann")
        clock.move(4 * MINUTE)
        handoff_id = await waits(hub, start={"language": "zh-CN"})
        assert await routed(hub) == 1
        [event] = await hub.changes.contexts.timeline(Who(ACME, "c0"), 2)
        assert event["type"] == "handoff.suggested"
        assert event["data"]["agent_id"] == "ann"
        said = [reason["say"]["en"] for reason in event["data"]["reasons"]]
        assert said == ["has skill cards", "speaks zh", "idle 4 min"]
        [shown] = await hub.handoffs.waiting(ACME, "cards", "offered", colleague=True)
        assert shown.suggested is not None
        assert (shown.handoff_id, shown.state, shown.suggested.until) == (handoff_id, "offered", clock() + 20 * SECOND)
        assert await routed(hub) == 0

    async def test_behind_many_whom_nobody_there_can_help_who_can_be_helped_is_found_and_let_ring_like_others(
        self, hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routing, "MOST_LOOKED_AT", 3)
        for number in range(7):
            await waits(hub, number, "loans", skills=["wills"])
        handoff_id = await waits(hub, 8, "loans")
        await there(hub, "ann", "bob")
        suggested = [await routed(hub) for _ in range(2)]
        assert (sum(suggested), await rings_at(hub, handoff_id)) == (1, "ann")
        clock.move(20 * SECOND)
        assert await routed(hub) == 1
        assert await rings_at(hub, handoff_id) == "bob"
        assert (await hub.presences.show(DESK, "ann")).reason == "no_answer"

    async def test_no_channel_is_shown_to_whom_it_is_suggested(self, hub: Hub) -> None:
        await there(hub, "ann")
        await waits(hub)
        await routed(hub)
        [shown] = await hub.handoffs.waiting(ACME, "cards", "offered")
        assert shown.suggested is None

    async def test_who_lets_it_ring_is_away_then_the_next_then_the_queue_then_the_fallback(
        self, hub: Hub, clock: Clock
    ) -> None:
        await there(hub, "ann")
        clock.move(MINUTE)
        await there(hub, "bob")
        handoff_id = await waits(hub, expires_in=60, fallback={"queue": "plain"})
        asked = []
        for _ in range(4):
            await routed(hub)
            asked.append(await rings_at(hub, handoff_id))
            clock.move(20 * SECOND)
        assert asked == ["ann", "bob", None, None]
        assert (await hub.presences.show(DESK, "ann")).reason == "no_answer"
        await hub.wake(Who(ACME, "c0"))
        assert (await told_of(hub, Who(ACME, "c0")))[1:] == [
            "handoff.offered", "handoff.suggested", "handoff.suggested", "handoff.opened", "handoff.rerouted",
        ]  # fmt: skip

    async def test_anybody_may_take_what_is_suggested_to_one_unless_the_queue_says_exclusive(
        self, hub: Hub, clock: Clock
    ) -> None:
        await there(hub, "ann")
        common, alone = await waits(hub), await waits(hub, 1, "loans")
        await routed(hub)
        assert await rings_at(hub, common) == "ann"
        await hub.handoffs.accept(DESK, common, "zoe")
        await routed(hub)
        assert await rings_at(hub, alone) == "ann"
        with pytest.raises(WrongState, match="suggested to ann alone"):
            await hub.handoffs.accept(DESK, alone, "zoe")
        clock.move(20 * SECOND)
        await hub.handoffs.accept(DESK, alone, "zoe")

    async def test_the_one_to_whom_it_is_suggested_alone_takes_it(self, hub: Hub) -> None:
        await there(hub, "ann")
        handoff_id = await waits(hub, queue="loans")
        await routed(hub)
        assert (await hub.handoffs.accept(DESK, handoff_id, "ann"))["handoff"]["agent_id"] == "ann"

    async def test_who_declines_is_passed_over_at_once(self, hub: Hub) -> None:
        await there(hub, "ann", "bob")
        handoff_id = await waits(hub)
        await routed(hub)
        first = await rings_at(hub, handoff_id)
        await hub.handoffs.decline(DESK, handoff_id, str(first), "busy")
        await routed(hub)
        assert {first, await rings_at(hub, handoff_id)} == {"ann", "bob"}

    @pytest.mark.parametrize("queue", ["plain", "elsewhere"])
    async def test_a_queue_that_does_not_suggest_is_as_ever(self, hub: Hub, queue: str) -> None:
        await there(hub, "ann", "bob")
        handoff_id = await waits(hub, queue=queue)
        assert await routed(hub) == 0
        assert (await told_of(hub, Who(ACME, "c0")))[-1] == "handoff.offered"
        await hub.handoffs.accept(DESK, handoff_id, "zoe")

    async def test_after_a_lapsed_lease_asking_begins_anew(self, hub: Hub, clock: Clock) -> None:
        await there(hub, "ann", "bob")
        handoff_id = await waits(hub, queue="loans")
        await routed(hub)
        await hub.handoffs.accept(DESK, handoff_id, str(await rings_at(hub, handoff_id)))
        clock.move(LEASE)
        await hub.wake(Who(ACME, "c0"))
        await routed(hub)
        ringing = await ringing_of(hub, handoff_id)
        assert (ringing.rings, ringing.exclusive, ringing.number) == (1, True, 2)
        states = {(await hub.presences.show(DESK, agent_id)).reason for agent_id in ("ann", "bob")}
        assert "no_answer" not in states

    async def test_who_served_the_customer_last_is_remembered_when_that_handoff_is_long_over(
        self, hub: Hub, clock: Clock
    ) -> None:
        first = await waits(hub)
        fence = (await hub.handoffs.accept(DESK, first, "bob"))["fence"]
        await hub.handoffs.complete(DESK, first, "bob", fence, "done")
        clock.move(30 * HOUR)
        await there(hub, "ann", "bob")
        again = await begin(hub, "x-again", customer_id="c0")
        handoff = await offer(hub, again["interaction"]["interaction_id"], Who(ACME, "c0"), to={"queue": "cards"})
        await routed(hub)
        ringing = await ringing_of(hub, handoff["handoff_id"])
        assert ringing.agent_id == "bob"
        assert "served this customer yesterday" in [reason.say["en"] for reason in ringing.reasons]


class TestCapacity:
    """Nobody is asked for more than he can take, whatever comes between."""

    async def test_of_many_who_wait_each_agent_gets_what_he_can_take(self, hub: Hub) -> None:
        await there(hub, "ann", "bob")
        for number in range(5):
            await waits(hub, number)
        assert await routed(hub) == 3
        _, ringing = await hub.router._agents.work(ACME)
        assert sorted(work.agent_id for work in ringing) == ["ann", "bob", "bob"]

    async def test_what_an_agent_takes_by_himself_counts_and_what_rang_goes_to_the_next(self, hub: Hub) -> None:
        await there(hub, "ann")
        rang = await waits(hub)
        await routed(hub)
        assert await rings_at(hub, rang) == "ann"
        by_hand = await waits(hub, 1, "plain")
        await hub.handoffs.accept(DESK, by_hand, "ann")
        await there(hub, "bob")
        await routed(hub)
        assert await rings_at(hub, rang) == "bob"
        view = await hub.presences.show(DESK, "ann")
        assert (view.held, view.ringing, view.state) == ([by_hand], [], "available")

    async def test_what_is_done_makes_room_and_begins_the_time_of_being_idle(self, hub: Hub, clock: Clock) -> None:
        await there(hub, "ann")
        first, second = await waits(hub), await waits(hub, 1)
        await routed(hub)
        taken = first if await rings_at(hub, first) else second
        fence = (await hub.handoffs.accept(DESK, taken, "ann"))["fence"]
        await routed(hub)
        assert {await rings_at(hub, first) if taken == second else await rings_at(hub, second)} == {None}
        clock.move(2 * MINUTE)
        await hub.handoffs.complete(DESK, taken, "ann", fence, "done")
        assert await routed(hub) == 1
        assert (await hub.presences.show(DESK, "ann")).idle_since == clock()

    async def test_whatever_agents_do_meanwhile_none_is_asked_beyond_it(self, hub: Hub, clock: Clock) -> None:
        dice, most = random.Random(3), {"ann": 1, "bob": 2}
        await there(hub, "ann", "bob", lasts=10 * HOUR)
        handoffs = [await waits(hub, number, expires_in=3600) for number in range(12)]
        taken: dict[str, int] = {}
        for _ in range(60):
            await routed(hub)
            held, ringing = await hub.router._agents.work(ACME)
            for agent_id, limit in most.items():
                mine = [*held, *(work for work in ringing if work.at > clock())]
                assert sum(work.agent_id == agent_id for work in mine) <= limit
            for work in ringing:
                if dice.random() < 0.5:
                    taken[work.handoff_id] = (await hub.handoffs.accept(DESK, work.handoff_id, work.agent_id))["fence"]
            for work in held:
                if dice.random() < 0.4:
                    await hub.handoffs.complete(DESK, work.handoff_id, work.agent_id, taken[work.handoff_id], "done")
            clock.move(5 * SECOND)
            away = [a for a in most if (await hub.presences.show(DESK, a)).state == "away"]
            await there(hub, *away, lasts=10 * HOUR)
        assert taken.keys() == set(handoffs)


class TestPresence:
    """Only who is there is asked."""

    async def test_presence_that_nobody_renews_lapses_and_what_rings_goes_to_the_next(
        self, hub: Hub, clock: Clock
    ) -> None:
        await there(hub, "ann", lasts=10 * SECOND)
        handoff_id = await waits(hub)
        await routed(hub)
        clock.move(SECOND)
        await there(hub, "bob")
        await routed(hub)
        assert await rings_at(hub, handoff_id) == "ann"
        clock.move(9 * SECOND)
        await routed(hub)
        assert await rings_at(hub, handoff_id) == "bob"
        assert (await hub.presences.show(DESK, "ann")).reason == "lapsed"

    @pytest.mark.parametrize("state", ["busy", "away", "offline"])
    async def test_who_is_not_available_is_not_asked(self, hub: Hub, state: str) -> None:
        await there(hub, "ann", state=state)
        handoff_id = await waits(hub)
        await routed(hub)
        assert await rings_at(hub, handoff_id) is None

    async def test_who_comes_back_after_letting_it_ring_is_asked_again(self, hub: Hub, clock: Clock) -> None:
        await there(hub, "ann")
        handoff_id = await waits(hub)
        await routed(hub)
        clock.move(20 * SECOND)
        await routed(hub)
        clock.move(SECOND)
        assert await rings_at(hub, handoff_id) is None
        await there(hub, "ann")
        await routed(hub)
        assert await rings_at(hub, handoff_id) == "ann"

    async def test_whoever_is_long_gone_is_forgotten(self, hub: Hub, clock: Clock) -> None:
        await there(hub, "ann", "bob", lasts=MINUTE)
        clock.move(24 * HOUR)
        await there(hub, "ann")
        await routed(hub)
        assert sorted(await hub.router._agents.every(ACME)) == ["ann", "bob"]
        clock.move(MINUTE)
        await routed(hub)
        assert sorted(await hub.router._agents.every(ACME)) == ["ann"]


class TestRacing:
    """Routers killed, stopped and racing."""

    def another(self, hub: Hub, clock: Callable[[], datetime], tenants: Path) -> Hub:
        """Another hub beside one."""
        return Hub(hub.server, ways(clock, tenants=tenants))

    async def test_of_two_routers_one_routes_and_the_other_takes_over_when_it_gives_no_sign_of_life(
        self, hub: Hub, clock: Clock, tenants_folder: Path
    ) -> None:
        other = self.another(hub, clock, tenants_folder)
        assert await hub.router.take(ACME)
        assert not await other.router.take(ACME)
        assert await other.router.round(ACME) == 0
        clock.move(3 * SECOND)
        assert await other.router.take(ACME)
        assert not await hub.router.take(ACME)

    async def test_one_who_was_overtaken_between_reading_and_writing_writes_nothing(
        self, hub: Hub, clock: Clock, tenants_folder: Path
    ) -> None:
        other = self.another(hub, clock, tenants_folder)
        await there(hub, "ann")
        calm, urgent = await waits(hub), ""
        assert await hub.router.take(ACME)
        change = hub.changes.change

        async def frozen_meanwhile(who: Who, *rest: Any) -> Any:
            nonlocal urgent
            hub.changes.change = change  # type: ignore[method-assign]
            clock.move(3 * SECOND)
            urgent = await waits(hub, 1, priority=100)
            await other.router.take(ACME)
            await other.router.round(ACME)
            return await change(who, *rest)

        hub.changes.change = frozen_meanwhile  # type: ignore[method-assign,assignment]
        with pytest.raises(StaleFence):
            await hub.router.round(ACME)
        assert [await rings_at(hub, handoff_id) for handoff_id in (calm, urgent)] == [None, "ann"]
        assert "handoff.suggested" not in await told_of(hub, Who(ACME, "c0"))

    async def test_killed_between_any_two_calls_of_redis_the_next_router_completes_it_once(
        self, hub: Hub, clock: Clock, tenants_folder: Path
    ) -> None:
        await there(hub, "ann", lasts=10 * HOUR)
        handoff_id = await waits(hub, expires_in=3600)
        died = 0
        for calls in range(1, 40):
            victim = self.another(hub, clock, tenants_folder)
            with suppress(_Killed):
                _dies_after(victim, calls)
                await victim.router.take(ACME)
                await victim.router.round(ACME)
                break
            died += 1
            clock.move(2 * SECOND)
        assert died >= 5
        await there(hub, "bob", lasts=10 * HOUR)
        clock.move(3 * SECOND)
        await routed(hub)
        told = await hub.changes.contexts.timeline(Who(ACME, "c0"), 0)
        ids = [event["event_id"] for event in told if event["type"] == "handoff.suggested"]
        assert len(ids) == len(set(ids)) >= 1
        _, ringing = await hub.router._agents.work(ACME)
        assert [work.handoff_id for work in ringing] == [handoff_id]

    async def test_two_who_route_at_once_with_every_lease_in_doubt_never_suggest_twice(
        self, hub: Hub, clock: Clock, tenants_folder: Path
    ) -> None:
        await there(hub, "ann", "bob", lasts=10 * HOUR)
        for number in range(6):
            await waits(hub, number, expires_in=3600)
        routers = [self.another(hub, clock, tenants_folder).router for _ in range(3)]

        async def works(router: Any) -> None:
            with suppress(StaleFence):
                if await router.take(ACME):
                    clock.move(3 * SECOND)
                    await router.round(ACME)

        for _ in range(10):
            await asyncio.gather(*map(works, routers))
            _, ringing = await hub.router._agents.work(ACME)
            rings = [work.agent_id for work in ringing if work.at > clock()]
            assert rings.count("ann") <= 1
            assert rings.count("bob") <= 2


class TestStreams:
    """What agents hear, and who hears nothing of it."""

    async def heard(self, hub: Hub, feed: Any) -> list[str]:
        """The types that a stream tells of what is there already, and then of what the relay tells on."""
        heard: list[str] = []

        async def follows() -> None:
            async for told in feed:
                heard.append(told.type)

        following = asyncio.create_task(follows())
        await asyncio.sleep(0.05)
        await hub.relay._keep_leases()
        await hub.relay._drain()
        hub.hints._ring_all()
        await asyncio.sleep(0.1)
        following.cancel()
        return [type_ for type_ in heard if type_]

    async def test_the_agent_and_the_queue_hear_it_and_no_channel_and_no_customer(self, hub: Hub) -> None:
        await there(hub, "ann")
        handoff_id, streams = await waits(hub), hub.streams
        interaction_id = (await context_of(hub, Who(ACME, "c0"))).handoffs[handoff_id].interaction_id
        told: dict[str, list[str]] = {}
        feeds = {
            "agent": streams.agent(ACME, "ann", None),
            "queue": streams.queue(ACME, "cards", None, colleague=True),
            "adapter": streams.queue(ACME, "cards", None),
            "channel": streams.channel(ACME, "chat", None),
            "customer": streams.customer(Who(ACME, "c0"), ADAPTER.reader(interaction_id), 0),
        }

        async def hears(name: str) -> None:
            told[name] = await self.heard(hub, feeds[name])

        listening = [asyncio.create_task(hears(name)) for name in feeds]
        await routed(hub)
        await asyncio.gather(*listening)
        assert {name for name, types in told.items() if "handoff.suggested" in types} == {"agent", "queue"}
        assert {name for name, types in told.items() if "handoff.offered" in types} == told.keys() - {"agent"}

    async def test_one_who_comes_late_finds_what_rings_in_the_snapshot(self, hub: Hub) -> None:
        await there(hub, "ann")
        handoff_id = await waits(hub)
        await routed(hub)
        for agent_id, queues, ringing in (("ann", (), [handoff_id]), ("ann", ("loans",), []), ("bob", (), [])):
            feed = hub.streams.agent(ACME, agent_id, None, frozenset(queues))
            snapshot = [await anext(feed), await anext(feed)][1]
            await feed.aclose()
            assert [shown["handoff_id"] for shown in snapshot.data["handoffs"]] == ringing

    async def test_who_follows_is_there_as_long_as_he_follows_himself(self, hub: Hub, clock: Clock) -> None:
        ann = Principal(tenant=ACME, name="ann", role="agent", agent="ann")
        boss = Principal(tenant=ACME, name="boss", role="supervisor")
        for who, state in ((ann, "available"), (boss, "offline")):
            await there(hub, "ann", lasts=MINUTE)
            clock.move(50 * SECOND)
            feed = hub.presences.while_following(who, "ann", hub.streams.agent(ACME, "ann", None))
            await anext(feed)
            await feed.aclose()
            clock.move(50 * SECOND)
            assert (await hub.presences.show(DESK, "ann")).state == state
            clock.move(MINUTE)
            assert (await hub.presences.show(DESK, "ann")).state == "offline"


class TestAtWork:
    """Hubs that run by the real time."""

    @pytest.fixture
    async def at_work(self, redis_url: str, server: Server, tenants_folder: Path) -> AsyncIterator[list[Hub]]:
        """Two hubs at work, each with connections of its own."""
        async with AsyncExitStack() as stack:
            hubs = []
            for _ in range(2):
                connection = await stack.enter_async_context(connected(redis_url, partitions=8))
                hub = Hub(connection, ways(_by_the_wall, tenants=tenants_folder))
                await stack.enter_async_context(hub.working())
                hubs.append(hub)
            yield hubs

    async def test_it_is_suggested_within_two_seconds_and_told_on_the_agent_s_stream(self, at_work: list[Hub]) -> None:
        hub, other = at_work
        heard: list[str] = []

        async def follows() -> None:
            async for told in other.streams.agent(ACME, "ann", None):
                heard.append(told.type)

        following = asyncio.create_task(follows())
        await there(hub, "ann")
        handoff_id = await waits(hub)

        async def rings() -> bool:
            return await rings_at(hub, handoff_id) == "ann" and "handoff.suggested" in heard

        await eventually(rings, within=5)
        following.cancel()
        assert heard[:2] == ["ready", "snapshot"]


def _by_the_wall() -> datetime:
    """The real time."""
    return to_millis(datetime.now(UTC))


class _Killed(BaseException):
    """The process ends here."""


def _dies_after(hub: Hub, calls: int) -> None:
    """Let a hub's router end with its so-and-so-many-th call of Redis, before that is sent."""
    left = [calls]

    class Dying:
        """The server, as a process calls it that is about to be killed."""

        def __getattr__(self, name: str) -> Any:
            found = getattr(hub.server, name)
            return dies(found) if name in ("call", "run", "run_many", "pipeline") else found

    def dies(work: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise _Killed
            return await work(*args, **more)

        return called

    for part in (hub.router._agents, hub.presences._kept, hub.router._lists, hub.changes.contexts):
        part._server = Dying()  # type: ignore[assignment]
