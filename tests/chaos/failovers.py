"""Hubs on many servers of which one is lost: another has its place by the end of each fault, and it is back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.chaos.load import Customer, Load, Mix
from tests.chaos.losing import frozen, killed, slot_of
from tests.chaos.moving import at_once, key_by_key
from tests.chaos.world import Served, hubs_on
from tests.many import SLOTS, Grid, Guarded, Process, grid, guarded, until

MIX = Mix(customers=6, clients=12, most_events=60, tell=70, vanish=15)
_WHOLE_WITHIN = 60.0
_DOWN_FOR = 4.0  # until the Sentinels have chosen
_BACK_AFTER = 1.5  # as whoever supervises a server of a cluster starts it again; by then its replica has its place
_CUT_OFF_FOR = 0.8
_ALL = range(SLOTS)


class Many(Served):
    """Hubs and the servers that they share: a primary with replicas and Sentinels, or a cluster."""

    shown_stays = False

    def __init__(self, servers: Guarded | Grid, folder: Path, durability: str, hubs: int) -> None:
        super().__init__(hubs_on(servers.url, folder, [1] * hubs, durability=durability))
        self.servers = servers
        self.customers: Sequence[Customer] = ()
        self.hit: Container[int] = _ALL

    @property
    def guarded(self) -> Guarded:
        """The servers, where Sentinels watch over them."""
        assert isinstance(self.servers, Guarded)
        return self.servers

    @property
    def grid(self) -> Grid:
        """The servers, where they are a cluster."""
        assert isinstance(self.servers, Grid)
        return self.servers

    def hits(self, slots: Container[int]) -> None:
        """Note that customers of these slots lose their server now."""
        self.hit = slots
        self.now_over()

    def is_hit(self, customer: Customer) -> bool:
        """Tell whether the last fault was about this customer."""
        return _slot(customer) in self.hit

    async def whole(self) -> None:
        """Return when every server is there and follows whom it should."""
        await asyncio.to_thread(until, self.servers.is_whole, "the lost one is not back", _WHOLE_WITHIN)


Fault = Callable[[Many], Awaitable[None]]


async def primary_killed(world: Many) -> None:
    """The primary is killed; when it comes back another one is, and it follows."""
    lost = world.guarded.primary()
    world.hits(_ALL)
    await killed(lost, _DOWN_FOR)


async def primary_frozen(world: Many) -> None:
    """The primary stands still until another one is chosen, and goes on as if nothing had been."""
    lost = world.guarded.primary()
    world.hits(_ALL)
    await frozen(lost, 6)


async def cut_off_and_killed(world: Many) -> None:
    """Replicas hear nothing for a while, and then the primary is killed."""
    lost = world.guarded.primary()
    for replica in world.guarded.servers:
        if replica is not lost:
            replica.said("REPLICAOF", "127.0.0.1", 1)
    await asyncio.sleep(_CUT_OFF_FOR)
    world.hits(_ALL)
    await killed(lost, _DOWN_FOR)


async def one_of_several_killed(world: Many) -> None:
    """The server of some customers is killed, and comes back when its replica has its place."""
    lost, _ = await asyncio.to_thread(_struck, world)
    await killed(lost, _BACK_AFTER)


async def one_of_several_frozen(world: Many) -> None:
    """The server of some customers stands still until its replica has its place."""
    lost, _ = await asyncio.to_thread(_struck, world)
    await frozen(lost, 3)


async def replica_takes_over(world: Many) -> None:
    """The server of some customers and its replica change places in good order."""
    lost, _ = await asyncio.to_thread(_struck, world)
    there = lost.said("CLUSTER", "MYID")
    [replica] = [one for one in world.grid.servers if _leader_of(one) == there]
    await asyncio.to_thread(world.grid.take_over, replica)


def slot_moves(move: Callable[[Grid, int, Process, Process], None]) -> Fault:
    """A slot goes to another server while its customers are told of."""

    async def moves(world: Many) -> None:
        source, slot = await asyncio.to_thread(_struck, world)
        world.hits((slot,))
        target = next(one for one in world.grid.primaries() if one is not source)
        await asyncio.to_thread(move, world.grid, slot, source, target)

    return moves


def _struck(world: Many) -> tuple[Process, int]:
    """Choose one of the customers whose server is lost; return that server, and the customer's slot."""
    slot = _slot(random.choice(world.customers))
    lost = world.grid.of(slot)
    world.hits({one for one in map(_slot, world.customers) if world.grid.of(one) is lost})
    return lost, slot


def _slot(customer: Customer) -> int:
    return slot_of(customer.name, customer.tenant)


def _leader_of(server: Process) -> str:
    """Return the id of the server that this one follows in the cluster; '-' where it follows none."""
    own = next(line for line in server.said("CLUSTER", "NODES").splitlines() if "myself" in line)
    return str(own.split()[3])


class Kind(NamedTuple):
    """What is lost, of which servers, and what an acknowledged write is to survive."""

    servers: type[Guarded | Grid]
    durability: str
    fault: Fault


#: Every way in which a server is lost, by the name that the report gives it.
KINDS = {
    "Sentinels' primary killed, `safe`": Kind(Guarded, "safe", primary_killed),
    "Sentinels' primary frozen for 6 s, `safe`": Kind(Guarded, "safe", primary_frozen),
    "replicas cut off, then the primary killed, `safe`": Kind(Guarded, "safe", cut_off_and_killed),
    "Sentinels' primary killed, `replicated`": Kind(Guarded, "replicated", primary_killed),
    "a cluster's primary killed, `safe`": Kind(Grid, "safe", one_of_several_killed),
    "a cluster's primary frozen for 3 s, `safe`": Kind(Grid, "safe", one_of_several_frozen),
    "a cluster's replica takes over in good order, `safe`": Kind(Grid, "safe", replica_takes_over),
    "a slot moves whole, `safe`": Kind(Grid, "safe", slot_moves(at_once)),
    "a slot moves key by key, `safe`": Kind(Grid, "safe", slot_moves(key_by_key)),
    "a cluster's primary killed, `replicated`": Kind(Grid, "replicated", one_of_several_killed),
}


@asynccontextmanager
async def hubs_of_many(servers: Guarded | Grid, folder: Path, durability: str, hubs: int = 2) -> AsyncIterator[Many]:
    """Hubs on servers that are emptied for them."""
    for primary in servers.primaries():
        primary.said("FLUSHALL")
    world = Many(servers, folder, durability, hubs)
    async with world.at_work():
        yield world


@asynccontextmanager
async def many(servers: type[Guarded | Grid], folder: Path, durability: str, hubs: int = 2) -> AsyncIterator[Many]:
    """Hubs on servers of their own."""
    (folder / "hubs").mkdir()
    with (guarded if servers is Guarded else grid)(folder / "servers") as found:
        async with hubs_of_many(found, folder / "hubs", durability, hubs) as world:
            yield world


async def lost_once(world: Many, load: Load, fault: Fault, ids: int, till_it_is_back: bool = True) -> float | None:
    """Lose a server when so many ids were sent, and send all of them again by clients of every hub; then compare.

    Returns how long those who were hit had to wait until the first of them was told of again.
    """
    await world.whole()
    async with load.at_work():
        await load.reaches("ids", ids)
        world.customers = load.customers
        await fault(world)
        back = [world.whole()] if till_it_is_back else []
        await asyncio.gather(load.again(), *back)
    return load.written_within(world.over_at, world.is_hit)
