"""The hub: every service, put together once, for one process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ctxhub.hub.asks import Asks
from ctxhub.hub.changes import Changes, Clock, Decision
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.customers import Customers
from ctxhub.hub.events import Events
from ctxhub.hub.handoffs import Handoffs
from ctxhub.hub.identity import Identity
from ctxhub.hub.interactions import Interactions
from ctxhub.hub.keys import Keys
from ctxhub.hub.links import Links
from ctxhub.hub.numbers import Numbers
from ctxhub.hub.queues import Queues
from ctxhub.hub.relay import Relay
from ctxhub.hub.secrets import Secrets
from ctxhub.hub.streams import Streams
from ctxhub.hub.tenants import Tenants
from ctxhub.model.lapsing import Patience
from ctxhub.model.value import to_millis
from ctxhub.store.contexts import Contexts as Kept
from ctxhub.store.contexts import Plan, Who
from ctxhub.store.feed import Feeds, Hints
from ctxhub.store.keyring import Keyring
from ctxhub.store.lists import Lists
from ctxhub.store.lookups import Lookups
from ctxhub.store.outbox import Outbox
from ctxhub.store.redis import Server


@dataclass(frozen=True)
class Ways:
    """How a hub works: its secret, its clock, and how long things may take."""

    master_key: bytes
    public_url: str
    patience: Patience
    keep: timedelta
    deadline: timedelta
    tick: timedelta
    relay_lease: timedelta
    tenants: Path | None = None
    clock: Clock = lambda: to_millis(datetime.now(UTC))


class Hub:
    """All that a process of ctxhub does, by noun."""

    def __init__(self, server: Server, ways: Ways) -> None:
        self.server = server
        self.ways = ways
        self.keyring = Keyring(server)
        self.keys = Keys(self.keyring, ways.master_key)
        self.tenants = Tenants(ways.tenants)
        self.hints = Hints(server)
        kept = Kept(server, ways.keep)
        lookups = Lookups(server, ways.master_key, ways.keep)
        lists = Lists(server, ways.keep)
        feeds = Feeds(server)
        secrets_ = Secrets(ways.master_key, server.keys)
        identity = Identity(lookups, self.tenants)
        self.changes = Changes(kept, ways.clock, ways.patience, ways.deadline)
        self.contexts = Contexts(self.changes, self.tenants)
        self.events = Events(self.changes, self.tenants)
        self.asks = Asks(self.contexts, lists, ways.clock)
        self.queues = Queues(lists, self.tenants)
        self.customers = Customers(self.changes, identity, lookups)
        self.numbers = Numbers(lists)
        self.identity = identity
        self.lookups = lookups
        self.interactions = Interactions(
            self.changes, self.contexts, self.tenants, identity, lookups, lists, secrets_
        )  # fmt: skip
        links = Links(ways.public_url, self.tenants)
        self.handoffs = Handoffs(self.changes, self.contexts, self.queues, lookups, lists, secrets_, links)
        self.streams = Streams(self.contexts, kept, self.handoffs, feeds, self.hints, ways.clock)
        self._outbox = Outbox(server, secrets.token_hex(8))
        self.relay = Relay(
            self._outbox, kept, feeds, self.hints, ways.clock, self.wake, ways.tick, ways.relay_lease
        )  # fmt: skip

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Listen to hints and relay for as long as the block lasts."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.hints.listen()), group.create_task(self.relay.run())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def wake(self, who: Who) -> None:
        """Let lapse what has lapsed of a customer, and complete what was begun; then note when it is next due."""
        loaded = await self.changes.contexts.load(who)
        if loaded.context is None:
            await self.changes.contexts.never_due(who)
            return
        if loaded.context.moves:
            await self.interactions.complete_moves(who)
        committed = await self.changes.change(who, lambda present: Decision(present.known))
        if not committed.events:
            await self._reschedule(who)

    async def _reschedule(self, who: Who) -> None:
        """Note when a customer is next due, where nothing had lapsed after all and nobody has changed it since."""
        loaded, context = await self.changes.contexts.existing(who)
        plan = Plan(context=None, due=self.changes.next_due(loaded, context))
        await self.changes.contexts.commit(who, loaded, plan, self.ways.clock(), None)

    async def backlog(self) -> int:
        """Return how many writes wait to be told on."""
        return await self._outbox.backlog()
