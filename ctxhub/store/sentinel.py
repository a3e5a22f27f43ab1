"""A server over which Sentinels watch: which one takes writes is what most of them say."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import structlog
from redis import exceptions

from ctxhub.addresses import Address, Place
from ctxhub.errors import Unavailable
from ctxhub.store.joined import Command
from ctxhub.store.lookout import SHORT, Lookout, Settled, asked
from ctxhub.store.nodes import Node, Patience

log = structlog.get_logger(__name__)

_FOUND_WITHIN = 5.0  # a hub that starts while they choose another one waits for them
_EVERY, _LEAST = 1.0, 0.05


class Watched(Lookout):
    """The fleet of one server that takes writes, and of those that may take its place."""

    only = None
    holds_all = True

    def __init__(self, address: Address, patience: Patience) -> None:
        super().__init__(_EVERY, _LEAST)
        self.version = 0
        self._address = address
        self._patience = patience
        self._sentinels = [Node(address.sentinel(place), SHORT, place) for place in address.places]
        self._are_choosing = False
        self._place: Place | None = None
        self._node: Node | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Find the server that takes writes; refused where the Sentinels know of none."""
        give_up_at = time.monotonic() + _FOUND_WITHIN
        while self._node is None:
            why = await self._sought()
            if self._node is None and (isinstance(why, Settled) or time.monotonic() > give_up_at):
                raise Unavailable(why)
            await asyncio.sleep(_LEAST if self._node is None else 0)
        self.watch()

    def spread(self, commands: Sequence[Command]) -> Iterable[tuple[Node, list[int]]]:
        """Return the server that takes writes for everything; `Unavailable` while another is being chosen.

        One that is back by then, or was never away, would still take writes, and another one confirm them; both forget
        them when the choice is made.
        """
        if self._are_choosing:
            raise Unavailable("the Sentinels are choosing another server just now")
        return ((self._present, list(range(len(commands)))),)

    def primaries(self) -> list[Node]:
        """Return the server that takes writes."""
        return [self._present]

    def moved(self, refusal: exceptions.AskError, node: Node) -> Node | None:
        """Return None: nothing is divided here."""
        return None

    async def looking(self) -> None:
        """Ask the Sentinels, and go to another server where they have chosen one."""
        await self._sought()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.stop()
        await asyncio.gather(*self._closing)
        for node in (*self._sentinels, *([self._node] if self._node else ())):
            await node.aclose()

    @property
    def _present(self) -> Node:
        """The server that takes writes as far as is known."""
        assert self._node is not None
        return self._node

    async def _sought(self) -> str:
        """Go to the server that most Sentinels name, if it takes writes; why not, if not."""
        answers = [found for _, (found,) in await asked(self._sentinels, [("SENTINEL", "MASTER", self._address.name)])]
        views = [_view(found) for found in answers if isinstance(found, dict | list)]
        self._are_choosing = _are_choosing(views)
        place = _chosen([view.place for view in views])
        if place is None:
            return self._unknown(answers)
        if place == self._place:
            return ""
        node = Node(self._address.server(place), self._patience, place)
        why = await _unfit(node)
        if why:
            await node.aclose()
            self.look_soon()
            return type(why)(f"the Sentinels name {place}, which {why}")
        self._go_to(place, node)
        return ""

    def _go_to(self, place: Place, node: Node) -> None:
        """Send everything to another server from now on; what the old one has not been sent follows."""
        before, self._node = self._node, node
        if before is not None:
            log.warning("redis.primary_changed", was=str(self._place), now=str(place))
            closing = asyncio.get_running_loop().create_task(before.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._place = place
        self.version += 1

    def _unknown(self, found: list[Any]) -> str:
        """Say why nobody is named."""
        where = ", ".join(map(str, self._address.places))
        refused = [error for error in found if isinstance(error, exceptions.RedisError)]
        if any("No such master" in str(error) for error in refused):
            return Settled(
                f"the Sentinels at {where} watch over no {self._address.name!r}: end the address with its name"
            )
        if any(isinstance(error, exceptions.AuthenticationError) for error in refused):
            remedy = "add ?sentinel_username=…&sentinel_password=… to CTXHUB_REDIS_URL"
            return Settled(f"the Sentinels at {where} refuse the login ({refused[0]}): {remedy}")
        if any("unknown command" in str(error) for error in refused):
            return Settled(
                f"what listens at {where} is no Sentinel: write redis://… for a server, or the Sentinels' ports"
            )
        said = f" ({refused[0]})" if refused else ""
        return f"no Sentinel answers at {where}{said}: start them, or mend CTXHUB_REDIS_URL"


class _View(NamedTuple):
    """What one Sentinel says: where writes go, and what it thinks of that server."""

    place: Place
    flags: frozenset[str]


def _view(found: Any) -> _View:
    """Read what one Sentinel says."""
    said = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    return _View(Place(said[b"ip"].decode(), int(said[b"port"])), frozenset(said[b"flags"].decode().split(",")))


def _are_choosing(views: list[_View]) -> bool:
    """Tell whether one has begun to choose another server, or more than half have lost sight of the present one."""
    down = sum("s_down" in view.flags for view in views)
    return 2 * down > len(views) or any("failover_in_progress" in view.flags for view in views)


def _chosen(named: list[Place]) -> Place | None:
    """Return the place that more than half of those who answer name."""
    votes = Counter(named)
    return next((place for place, count in votes.items() if 2 * count > len(named)), None)


async def _unfit(node: Node) -> str:
    """Say why a server can't take writes; '' where it can."""
    try:
        role = (await node.told("ROLE"))[0].decode()
    except exceptions.AuthenticationError as error:
        return Settled(f"refuses the login ({error}): mend user and password in CTXHUB_REDIS_URL")
    except exceptions.NoPermissionError:
        return Settled("lets this login not ask for the role: ACL SETUSER … +role")
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        return f"does not answer ({error}): start it, or let it announce an address that can be reached from here"
    return "" if role == "master" else "is a replica: wait until they have chosen, or look into their logs"
