"""A cluster: which of its servers has which slot, found out again whenever one says that it has changed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from redis import exceptions
from redis.crc import key_slot

from ctxhub.addresses import Address, Place
from ctxhub.errors import Unavailable
from ctxhub.store.joined import Command
from ctxhub.store.lookout import SHORT, Lookout, Settled, asked
from ctxhub.store.nodes import Node, Patience

log = structlog.get_logger(__name__)

SLOTS = 16384
_WHOLE_WITHIN = 5.0  # a hub that starts while a server is being replaced waits for it
_EVERY, _LEAST = 2.0, 0.1
_OURS = re.compile(r"ctxhub:\{(\d+)\}:")
_LONGEST = 24
#: Where goes what has no key: where all that concerns the whole hub is kept.
_HOME = key_slot(b"{00}")


class Shape(NamedTuple):
    """A cluster as one of its servers sees it."""

    owners: Mapping[tuple[int, int], Place]
    others: frozenset[Place]
    is_whole: bool
    epoch: int


class Clustered(Lookout):
    """The fleet of a cluster: every server that takes writes, each for its slots."""

    only = None
    holds_all = False

    def __init__(self, address: Address, patience: Patience) -> None:
        super().__init__(_EVERY, _LEAST)
        self.version = 0
        self._address = address
        self._patience = patience
        self._nodes: dict[Place, Node] = {}
        self._owners: list[Place | None] = [None] * SLOTS
        self._primaries: set[Place] = set()
        self._others: set[Place] = set(address.places)
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Find every server; refused where slots have none."""
        give_up_at = time.monotonic() + _WHOLE_WITHIN
        while why := await self._sought() or self._gaps() or await self._missing():
            if isinstance(why, Settled) or time.monotonic() > give_up_at:
                raise Unavailable(why)
            await asyncio.sleep(_LEAST)
        self.watch()

    def spread(self, commands: Sequence[Command]) -> Iterable[tuple[Node, list[int]]]:
        """Return which server takes which of some commands, by their positions."""
        found: dict[Place, list[int]] = {}
        for n, slot in enumerate(slots_of(commands)):
            found.setdefault(self._owners[slot] or self._anywhere(), []).append(n)
        return [(self._node(place), positions) for place, positions in found.items()]

    def primaries(self) -> list[Node]:
        """Return every server that has slots."""
        return [self._node(place) for place in sorted(self._primaries)]

    def moved(self, refusal: exceptions.AskError, node: Node) -> Node | None:
        """Return the server that one has named instead of itself."""
        slot, _, said = str(refusal.args[0]).partition(" ")
        host, _, port = said.rpartition(":")
        place = Place(host or node.place.host, int(port))
        if isinstance(refusal, exceptions.MovedError):
            self._owners[int(slot)] = place
            self._primaries.add(place)
            self.version += 1
            self.look_soon()
        return self._node(place)

    async def looking(self) -> None:
        """Ask who has which slot."""
        await self._sought()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.stop()
        await asyncio.gather(*self._closing)
        for node in self._nodes.values():
            await node.aclose()

    def _anywhere(self) -> Place:
        """Return a server that says itself what it thinks of a slot that nobody has."""
        return min(self._primaries, default=self._address.places[0])

    def _node(self, place: Place) -> Node:
        """Return the server at a place."""
        if place not in self._nodes:
            self._nodes[place] = Node(self._address.server(place), self._patience, place)
        return self._nodes[place]

    async def _sought(self) -> str:
        """Ask the servers that have slots, or all others where none of these answers; why it came to nothing."""
        shapes, why = await _seen(self.primaries())
        if not shapes:
            strangers = [Node(self._address.server(place), SHORT, place) for place in sorted(self._others)]
            try:
                shapes, why = await _seen(strangers)
            finally:
                for node in strangers:
                    await node.aclose()
        if not shapes:
            return why or f"no server of the cluster answers at {', '.join(map(str, self._address.places))}: start them"
        self._take(max(shapes, key=lambda shape: (shape.epoch, shape.is_whole, len(shape.owners))))
        return ""

    def _take(self, shape: Shape) -> None:
        """Send each command by this shape from now on, and let go of servers that have nothing any more."""
        owners: list[Place | None] = [None] * SLOTS
        for (first, last), place in shape.owners.items():
            owners[first : last + 1] = [place] * (last + 1 - first)
        if owners != self._owners:
            self.version += 1
            log.info("redis.cluster_changed", servers=len({*shape.owners.values()}), whole=shape.is_whole)
        self._owners, self._primaries = owners, set(shape.owners.values())
        self._others = {*self._address.places, *shape.others, *self._primaries}
        for place in set(self._nodes) - self._primaries:
            self._let_go(self._nodes.pop(place))

    def _let_go(self, node: Node) -> None:
        """Close a server's connections; what it has not been sent is sent elsewhere."""
        closing = asyncio.get_running_loop().create_task(node.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _gaps(self) -> str:
        """Say which slots no server has; '' where there are none."""
        none = [slot for slot, place in enumerate(self._owners) if place is None]
        if not none:
            return ""
        spans = f"{none[0]}" if len(none) == 1 else f"{none[0]} to {none[-1]}"
        return f"the cluster is not whole: {len(none)} slots ({spans}) have no server: run valkey-cli --cluster fix"

    async def _missing(self) -> str:
        """Say which server that has slots does not answer; '' where all do."""
        nodes = self.primaries()
        answers = {id(node): answer for node, (answer,) in await asked(nodes, [("PING",)])}
        for node in nodes:
            answer = answers.get(id(node), "nothing")
            if answer not in (b"PONG", "PONG"):
                where = f"the cluster is not whole: {node.place}, which has slots, does not answer ({answer})"
                return f"{where}: start it, or let a replica take its place"
        return ""


def slots_of(commands: Sequence[Command]) -> list[int]:
    """Return the slot of each command; one without a key goes where the one after it goes that has one."""
    found = [_slot_of(command) for command in commands]
    following = next((slot for slot in reversed(found) if slot is not None), _HOME)
    slots = []
    for slot in reversed(found):
        following = following if slot is None else slot
        slots.append(following)
    return slots[::-1]


def _slot_of(command: Command) -> int | None:
    """Return the slot of the first key or channel of a command; all others must be of the same."""
    for word in command[1:]:
        text = word[:_LONGEST].decode("ascii", "replace") if isinstance(word, bytes) else word
        match = _OURS.match(text) if isinstance(text, str) else None
        if match is not None:
            return _slot(match[1])
    return None


@lru_cache(maxsize=SLOTS)
def _slot(partition: str) -> int:
    """Return the slot of a partition."""
    return int(key_slot(f"{{{partition}}}".encode()))


async def _seen(nodes: Iterable[Node]) -> tuple[list[Shape], str]:
    """Return the cluster as each server sees it that answers in time, and what one said that did not tell."""
    shapes, why = [], ""
    for node, (slots, info) in await asked(nodes, [("CLUSTER", "SLOTS"), ("CLUSTER", "INFO")]):
        if isinstance(slots, list) and isinstance(info, bytes):
            shapes.append(_shape(node, slots, info.decode()))
        else:
            why = _refusal(node, slots)
    return shapes, why


def _shape(node: Node, slots: list[Any], info: str) -> Shape:
    """Read what one server says of the cluster."""
    said = dict(line.split(":", 1) for line in info.split() if ":" in line)
    owners = {(int(first), int(last)): _place(node, owner) for first, last, owner, *_ in slots}
    others = frozenset(_place(node, replica) for _, _, _, *replicas in slots for replica in replicas)
    return Shape(owners, others, said["cluster_state"] == "ok", int(said["cluster_current_epoch"]))


def _place(node: Node, told: Sequence[Any]) -> Place:
    """Read where a server is; one that names no host is where it was asked."""
    host = told[0].decode() if told[0] else ""
    return Place(host if host not in ("", "?") else node.place.host, int(told[1]))


def _refusal(node: Node, said: Any) -> str:
    """Say what to do about a server that does not tell of a cluster."""
    if "cluster support disabled" in str(said):
        return Settled(f"the server at {node.place} is of no cluster: write redis://{node.place}")
    if isinstance(said, exceptions.AuthenticationError):
        return Settled(f"{node.place} refuses the login ({said}): mend user and password in CTXHUB_REDIS_URL")
    if isinstance(said, exceptions.NoPermissionError):
        return Settled(
            f"the login may not ask {node.place} for the cluster: ACL SETUSER … +cluster|slots +cluster|info"
        )
    return f"the server at {node.place} does not answer ({said}): start it, or mend CTXHUB_REDIS_URL"
