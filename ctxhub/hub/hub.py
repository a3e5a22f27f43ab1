"""The hub: every service, put together once, for one process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from ctxhub.archive import Archive
from ctxhub.errors import Unavailable
from ctxhub.hub.archiving import Archiving
from ctxhub.hub.archivist import Archivist
from ctxhub.hub.asks import Asks
from ctxhub.hub.briefs import Briefs
from ctxhub.hub.changes import Changes, Clock, Decision
from ctxhub.hub.commitments import Commitments
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.customers import Customers
from ctxhub.hub.declarations import Checks
from ctxhub.hub.events import Events
from ctxhub.hub.handoffs import Handoffs
from ctxhub.hub.identity import Identity
from ctxhub.hub.interactions import Interactions
from ctxhub.hub.keys import Keys
from ctxhub.hub.leases import Leases
from ctxhub.hub.links import Links
from ctxhub.hub.numbers import Counting, Numbers
from ctxhub.hub.once import Once
from ctxhub.hub.queues import Queues
from ctxhub.hub.relay import Relay
from ctxhub.hub.scrape import Scrape
from ctxhub.hub.secrets import Secrets
from ctxhub.hub.streams import Streams
from ctxhub.hub.tenants import Tenants
from ctxhub.model.lapsing import Patience
from ctxhub.model.lease import USUAL, Keeping
from ctxhub.model.value import to_millis
from ctxhub.store.contexts import Contexts as Kept
from ctxhub.store.contexts import Plan, Who
from ctxhub.store.copies import Copies
from ctxhub.store.feed import Feeds, Hints
from ctxhub.store.keyring import Keyring
from ctxhub.store.lists import Lists
from ctxhub.store.lookups import Lookups
from ctxhub.store.outbox import Outbox
from ctxhub.store.redis import Server

log = structlog.get_logger()
ARCHIVE_LEFT_IN_PEACE = timedelta(seconds=30)


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
    checks: Checks = field(default_factory=dict)
    clock: Clock = lambda: to_millis(datetime.now(UTC))
    keeping: Keeping = USUAL


class Hub:
    """All that a process of ctxhub does, by noun; with an archive, Redis forgets only whom that has."""

    def __init__(self, server: Server, ways: Ways, archive: Archive | None = None) -> None:
        self.server = server
        self.ways = ways
        self.keyring = Keyring(server)
        self.keys = Keys(self.keyring, ways.master_key)
        self.tenants = Tenants(ways.tenants, ways.checks)
        self.hints = Hints(server)
        self.archiving = Archiving(archive, ways.clock, ways.patience, ways.keeping) if archive else None
        kept = Kept(server, ways.keep, self.archiving)
        lookups = Lookups(server, ways.master_key, ways.keep, self.archiving)
        lists = Lists(server, ways.keep)
        feeds = Feeds(server)
        secrets_ = Secrets(ways.master_key, server.keys)
        identity = Identity(lookups, self.tenants)
        keeping = ways.keeping if archive else None
        self.changes = Changes(kept, ways.clock, ways.patience, ways.deadline, keeping)
        self.contexts = Contexts(self.changes, self.tenants)
        self.events = Events(self.changes, self.tenants)
        self.briefs = Briefs(self.contexts, self.tenants, ways.clock)
        counting = Counting(self.tenants)
        once = Once(lists, counting, ways.clock)
        self.asks = Asks(self.contexts, once, ways.clock)
        self.queues = Queues(lists, self.tenants)
        self.commitments = Commitments(self.changes, lists)
        self.customers = Customers(self.changes, identity, lookups, self.archiving)
        self.scrape = Scrape(self.keys, self.tenants, lists, self.backlog)
        self.numbers = Numbers(lists, self.tenants, counting, ways.clock)
        self.identity = identity
        self.lookups = lookups
        self.interactions = Interactions(
            self.changes, self.contexts, self.tenants, identity, lookups, lists, secrets_, once
        )  # fmt: skip
        links = Links(ways.public_url, self.tenants)
        self.handoffs = Handoffs(self.changes, self.contexts, self.queues, lookups, lists, secrets_, links)
        self.streams = Streams(self.contexts, kept, self.handoffs, feeds, self.hints, ways.clock)
        self._outbox = Outbox(server, secrets.token_hex(8))
        self.archivist = self._archivist(kept, lookups)
        self.relay = Relay(
            self._outbox, kept, feeds, self.hints, ways.clock, self.wake, counting, ways.tick, ways.relay_lease,
            self.archivist,
        )  # fmt: skip

    def _archivist(self, kept: Kept, lookups: Lookups) -> Archivist | None:
        """Put together what brings customers to the archive, if there is one."""
        if self.archiving is None:
            return None
        copies, clock = Copies(self.server, kept), self.ways.clock
        self.archiving.attach(copies, lookups)
        leases = Leases(self.archiving, kept, copies, lookups, clock, self.ways.keeping)
        forget = self.customers.forget
        return Archivist(self._outbox, self.archiving, leases, copies, self.keyring, forget, clock)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Listen to hints and relay for as long as the block lasts."""
        async with asyncio.TaskGroup() as group:
            working = (self.hints.listen(), self.relay.run(), self._list_promises())
            tasks = [group.create_task(work) for work in working]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _list_promises(self) -> None:
        """See to it once that promises made before there were lists and timers of them get both."""
        try:
            if not await self.keyring.has_listed_promises():
                await Copies(self.server, self.changes.contexts).wake_promised(self.ways.clock())
                await self.keyring.has_listed_promises(done=True)
        except Exception:  # the next start tries again; nothing else depends on it
            log.exception("hub.promises_not_listed")

    async def wake(self, who: Who) -> None:
        """Let lapse what has lapsed of a customer, and complete what was begun; then note when it is next due."""
        try:
            await self._woken(who)
        except Unavailable:
            if self.archiving is None or self.archiving.archive.is_well:
                raise
            await self.changes.contexts.due_again(who, self.ways.clock() + ARCHIVE_LEFT_IN_PEACE)

    async def _woken(self, who: Who) -> None:
        """Do what is due of a customer; a move may need another customer, whom the archive may have."""
        loaded = await self.changes.contexts.load(who)
        if loaded.context is None:
            await self.changes.contexts.never_due(who)
            return
        if loaded.context.moves:
            await self.interactions.complete_moves(who)
        committed = await self.changes.change(who, lambda present: Decision(present.known))
        if not committed.events or committed.context.commitments:
            await self._reschedule(who)

    async def _reschedule(self, who: Who) -> None:
        """Note when a customer is next due, and where it is listed, unless somebody has changed it since."""
        loaded, context = await self.changes.contexts.existing(who)
        plan = Plan(context=None, due=self.changes.next_due(loaded, context), lists_anew=True)
        await self.changes.contexts.commit(who, loaded, plan, self.ways.clock(), None)

    @property
    def archive_state(self) -> str:
        """Say how the archive is: `off`, `well`, or `away`."""
        if self.archiving is None:
            return "off"
        return "well" if self.archiving.archive.is_well else "away"

    async def backlog(self) -> int:
        """Return how many writes wait to be told on."""
        return await self._outbox.backlog()
