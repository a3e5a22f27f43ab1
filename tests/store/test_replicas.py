"""A split network, with real servers: the side that is left alone acknowledges nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.errors import OutcomeUnknown
from ctxhub.hub.changes import Changes, Decision, Present, own
from ctxhub.hub.masterkeys import DerivedKeys
from ctxhub.model.lapsing import Patience, end
from ctxhub.settings import Settings
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server, connected
from ctxhub.store.sealing import Sealing
from tests.store.scenes import an_append, born
from tests.support import ACME, KEEP, MASTER_KEY, NOON

WHO = Who(ACME, "c-split")
PLACE = (WHO.customer_id, "in_1")
PATIENCE = 0.6
PATIENT = Patience(KEEP, KEEP, lambda _: KEEP)
APART = 5


class Node:
    """One server of several, reachable by the others."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.url = server.url
        self._redis = Redis.from_url(server.url, decode_responses=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._redis.config_set("port", self.port)
        self._redis.config_set("repl-diskless-sync-delay", 0)

    def follow(self, other: Node) -> None:
        """Become the other's replica, and be one."""
        self._redis.execute_command("REPLICAOF", "127.0.0.1", other.port)
        until = time.monotonic() + 10
        while self._redis.info("replication").get("master_link_status") != "up":
            assert time.monotonic() < until, "no replica after ten seconds"
            time.sleep(0.02)

    def follow_nobody(self) -> None:
        """Take writes oneself."""
        self._redis.execute_command("REPLICAOF", "NO", "ONE")

    def close(self) -> None:
        """Let go of the connection."""
        self._redis.close()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    """Three servers: one takes writes, two follow it."""
    with ExitStack() as stack:
        found = []
        for name in "abc":
            server = stack.enter_context(embedded_server(Settings(data=tmp_path / name, durability="fast")))
            found.append(Node(server))
            stack.callback(found[-1].close)
        for follower in found[1:]:
            follower.follow(found[0])
        yield found


def kept_on(server: Server) -> Contexts:
    """The contexts on one of the servers."""
    return Contexts(server, KEEP, None, Sealing(DerivedKeys(MASTER_KEY)))


async def acknowledged(kept: Contexts, side: str) -> list[str]:
    """Which of some events the hub was told to be kept."""
    found = []
    for number in range(APART):
        event_id = f"{side}-{number}"
        try:
            await kept.append(WHO, [an_append(event_id)], NOON)
        except OutcomeUnknown:
            continue
        found.append(event_id)
    return found


async def on_timeline(kept: Contexts) -> set[str]:
    """What a server knows of the customer."""
    return {str(event["event_id"]) for event in await kept.timeline(WHO, 0)}


async def split(nodes: list[Node], replicas: int) -> tuple[list[str], list[str], set[str]]:
    """Leave the first server alone and let another lead; what each acknowledged, and what stands after it is mended."""
    alone, leader, follower = nodes
    async with (
        connected(alone.url, 8, socket_timeout=PATIENCE, replicas=replicas) as first,
        connected(leader.url, 8, socket_timeout=PATIENCE, replicas=replicas) as second,
    ):
        await born(kept_on(first), "before", who=WHO)
        leader.follow_nobody()
        follower.follow(leader)
        left_alone = await acknowledged(kept_on(first), "alone")
        led = await acknowledged(kept_on(second), "led")
        alone.follow(leader)
        return left_alone, led, await on_timeline(kept_on(first))


async def test_when_two_servers_both_take_writes_the_one_left_alone_acknowledges_none(nodes: list[Node]) -> None:
    left_alone, led, after = await split(nodes, replicas=1)
    assert left_alone == []
    assert len(led) == APART
    assert after == {"before", *led}


async def test_without_a_replicas_word_the_same_split_loses_what_was_acknowledged(nodes: list[Node]) -> None:
    left_alone, led, after = await split(nodes, replicas=0)
    assert len(left_alone) == len(led) == APART
    assert after.isdisjoint(left_alone)


async def test_what_was_done_already_is_acknowledged_only_when_a_replica_has_it(nodes: list[Node]) -> None:
    alone, *others = nodes
    async with connected(alone.url, 8, replicas=1) as server, connected(alone.url, 8, replicas=1) as twin:
        await born(kept_on(server), "before", who=WHO)
        assert await named(server, "first") == PLACE
        for node in others:
            node.follow_nobody()
        for one in (server, twin):  # the second finds it done, by a hub that was told that it may not be
            with pytest.raises(OutcomeUnknown):
                await named(one, "second")
            with pytest.raises(OutcomeUnknown):
                await ended(one)
        others[0].follow(alone)
        assert await named(twin, "second") == PLACE
        assert await ended(twin) == 2


async def named(server: Server, external_id: str) -> tuple[str, str]:
    """Say where a name leads; where it does."""
    return await Lookups(server, MASTER_KEY, KEEP).claim_external(ACME, "chat", external_id, *PLACE)


async def ended(server: Server) -> int:
    """End the customer's interaction, unless it has ended; the version of what stands then."""

    def decide(present: Present) -> Decision:
        change = end(present.known, "in_1", NOON)
        return Decision(change.context, own(change.events))

    changes = Changes(kept_on(server), lambda: NOON, PATIENT, timedelta(seconds=5))
    return (await changes.change(WHO, decide)).version
