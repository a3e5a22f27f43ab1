"""The hub: every service, put together once, for one process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from ctxhub.archive import Archive
from ctxhub.errors import CustomerUnknown, OutcomeUnknown, Unavailable, Unreadable
from ctxhub.hub.access import Access
from ctxhub.hub.archived_trails import ArchivedTrail
from ctxhub.hub.archiving import Archiving
from ctxhub.hub.archivist import Archivist
from ctxhub.hub.asks import Asks
from ctxhub.hub.audit import Audit
from ctxhub.hub.beside import Beside, Whereabouts
from ctxhub.hub.briefs import Briefs
from ctxhub.hub.callbacks import Callbacks
from ctxhub.hub.cards import Cards
from ctxhub.hub.changes import Changes, Clock, Decision
from ctxhub.hub.commitments import Commitments
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.continuing import Continuing
from ctxhub.hub.customers import Customers
from ctxhub.hub.declarations import Checks
from ctxhub.hub.dialling import Dialling
from ctxhub.hub.disclosing import Disclosing
from ctxhub.hub.entries import Entries
from ctxhub.hub.events import Events
from ctxhub.hub.forgetting import Forgetting, Outside
from ctxhub.hub.handoffs import Handoffs
from ctxhub.hub.holds import Holds
from ctxhub.hub.identity import Identity
from ctxhub.hub.interactions import Interactions
from ctxhub.hub.journeys import Journeys
from ctxhub.hub.keys import Keys
from ctxhub.hub.leases import Leases
from ctxhub.hub.limits import UNLIMITED, Limits, Rates
from ctxhub.hub.links import Links
from ctxhub.hub.masterkeys import DerivedKeys
from ctxhub.hub.merging import Merging
from ctxhub.hub.never_kept import NeverKept
from ctxhub.hub.numbers import Counting, Numbers
from ctxhub.hub.once import Once
from ctxhub.hub.outward import Outward
from ctxhub.hub.persons import Persons
from ctxhub.hub.presence import Presences
from ctxhub.hub.queues import Queues
from ctxhub.hub.relay import Relay
from ctxhub.hub.reported import Reported
from ctxhub.hub.retaining import Retaining
from ctxhub.hub.reveals import Reveals
from ctxhub.hub.routing import Router
from ctxhub.hub.scrape import Scrape
from ctxhub.hub.secrets import Secrets
from ctxhub.hub.sources import Sources
from ctxhub.hub.streams import Streams
from ctxhub.hub.sweeping import Sweeping
from ctxhub.hub.tenants import Tenants
from ctxhub.hub.timelines import Timelines
from ctxhub.hub.vitals import VitalSigns
from ctxhub.hub.webhooks import Mail, Webhooks
from ctxhub.model.inward import NOWHERE, Allowed
from ctxhub.model.lapsing import Patience
from ctxhub.model.lease import USUAL, Keeping
from ctxhub.model.retention import Retention
from ctxhub.model.value import to_millis
from ctxhub.store.agents import Agents
from ctxhub.store.asked import Asked
from ctxhub.store.atrest import AtRest
from ctxhub.store.contexts import Contexts as Kept
from ctxhub.store.contexts import Plan, Who
from ctxhub.store.copies import Copies
from ctxhub.store.deliveries import Deliveries
from ctxhub.store.dialled import Dialled
from ctxhub.store.feed import Feeds, Hints
from ctxhub.store.forgetting import Erasing
from ctxhub.store.handlings import Handlings
from ctxhub.store.keyring import Keyring
from ctxhub.store.lists import Lists
from ctxhub.store.lookups import Lookups
from ctxhub.store.outbox import Outbox
from ctxhub.store.receipts import Receipts
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing
from ctxhub.store.trails import Disclosed, KeptReasons, KeptWhereabouts, Notes, RedisTrail, Trail

if TYPE_CHECKING:
    from ctxhub.tracing import Tracing

log = structlog.get_logger()
ARCHIVE_LEFT_IN_PEACE = timedelta(seconds=30)
UNREADABLE_LEFT = timedelta(minutes=10)
TRY_AGAIN = 1.0


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
    sealing: Sealing | None = None
    forget_within: timedelta = timedelta(seconds=60)
    rates: Rates = UNLIMITED
    audit: bool = True
    audit_keep: timedelta = timedelta(days=400)
    audit_keep_addresses: timedelta = timedelta(days=30)
    anchors: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    webhook_allow: Allowed = NOWHERE
    tracing: Tracing | None = None


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
        self.sealing = ways.sealing or Sealing(DerivedKeys(ways.master_key))
        kept = Kept(server, ways.keep, self.archiving, self.sealing)
        lookups = Lookups(server, ways.master_key, ways.keep, self.archiving)
        lists = Lists(server, ways.keep)
        feeds = Feeds(server)
        secrets_ = Secrets(ways.master_key, server.keys)
        cards = Cards(ways.master_key)
        identity = Identity(lookups, self.tenants, cards)
        keeping = ways.keeping if archive else None
        self.changes = Changes(
            kept, ways.clock, ways.patience, ways.deadline, keeping, self._retention, ways.tracing, identity.follow
        )
        self.access = Access(self.changes, self.tenants, lookups)
        self.timelines = Timelines(kept)
        self.contexts = Contexts(self.changes, self.tenants, self.timelines, self.access)
        trail: Trail = ArchivedTrail(archive, ways.clock) if archive else RedisTrail(server)
        self.audit = Audit(
            Notes(server), trail, ways.master_key, ways.clock, ways.audit_keep, ways.anchors, on=ways.audit,
            reasons=Beside("reason", KeptReasons(server), ways.audit_keep),
            whereabouts=Whereabouts(KeptWhereabouts(server), ways.audit_keep_addresses, ways.clock),
        )  # fmt: skip
        self.disclosing = Disclosing(Disclosed(server), self.tenants, self.audit, ways.clock)
        self.never_kept = NeverKept(self.tenants, cards)
        reported = Reported(secrets_, lookups)
        self.events = Events(self.changes, self.tenants, self.never_kept, reported)
        self.briefs = Briefs(self.contexts, self.tenants, ways.clock)
        counting = Counting(self.tenants)
        once = Once(lists, counting, ways.clock)
        self.asks = Asks(self.contexts, once, ways.clock)
        handlings = Handlings(server)
        self.queues = Queues(lists, handlings, self.tenants, ways.clock)
        self.commitments = Commitments(self.changes, lists)
        at_rest, within = AtRest(server), ways.forget_within.total_seconds()
        deliveries, asked = Deliveries(server), Asked(server)
        self.outward = Outward(ways.webhook_allow, tracing=ways.tracing)
        mail = Mail(self.outward, ways.environ, ways.public_url)
        self.webhooks = Webhooks(
            self.tenants, deliveries, self.briefs, self.audit, mail, ways.clock, lambda: self.relay.held
        )  # fmt: skip
        self.sources = Sources(self.changes, self.tenants, self.never_kept, asked, mail)
        copies = Copies(server, kept)
        entries = Entries(copies, self.archiving)
        outside = Outside(deliveries, asked, self.tenants)
        self.forgetting = Forgetting(
            self.changes, Erasing(server, kept), lookups, secrets_, at_rest, self.archiving, within, outside, entries,
            self.audit, Receipts(server, lookups, self.sealing),
        )  # fmt: skip
        self.customers = Customers(self.changes, identity, lookups, self.forgetting, self.contexts)
        self.retaining = Retaining(self.changes, entries, at_rest, self._retention)
        self.holds, self.persons = Holds(self.changes), Persons(self.changes, self.timelines)
        self.reveals = Reveals(self.changes, self.tenants)
        self.numbers = Numbers(lists, self.tenants, counting, ways.clock)
        self.identity = identity
        self.lookups = lookups
        self.limits = Limits(ways.rates, lookups)
        dialling = Dialling(Dialled(server, lookups), self.changes, self.tenants, identity, lookups)
        self.journeys = Journeys(self.changes, self.tenants, self.never_kept)
        self.interactions = Interactions(
            self.changes, self.contexts, self.tenants, identity, lookups, lists, secrets_, once, self.never_kept,
            reported, dialling, self.sources,
        )  # fmt: skip
        self.merging = Merging(self.changes, self.interactions, lookups)
        self.callbacks = Callbacks(
            self.changes, self.tenants, identity, lookups, secrets_, self.interactions, self.never_kept
        )  # fmt: skip
        links = Links(ways.public_url, self.tenants)
        self.handoffs = Handoffs(
            self.changes, self.contexts, self.queues, lookups, lists, secrets_, links, self.never_kept, self.tenants,
            dialling, self.callbacks,
        )  # fmt: skip
        self.continuing = Continuing(
            self.changes, self.tenants, self.handoffs, self.interactions, dialling, secrets_
        )  # fmt: skip
        agents = Agents(server, secrets.token_hex(8))
        self.presences = Presences(agents, kept, self.tenants, ways.clock)
        self.router = Router(
            agents, self.presences, self.changes, lists, self.tenants, self.hints, ways.relay_lease
        )  # fmt: skip
        self.streams = Streams(self.contexts, kept, self.handoffs, self.presences, feeds, self.hints, ways.clock)
        self.hints.on_gone.append(self._let_go)
        self._outbox = Outbox(server, secrets.token_hex(8))
        self.vitals = VitalSigns(server, self._outbox, ways.clock)
        self.scrape = Scrape(
            self.keys, self.tenants, lists, self.vitals.metrics, within=0.8 * ways.deadline.total_seconds()
        )
        self.archivist = self._archivist(kept, lookups)
        self.relay = Relay(
            self._outbox, kept, feeds, self.hints, ways.clock, self.wake, counting, ways.tick, ways.relay_lease,
            handlings, self.archivist, self._tell_outside,
        )  # fmt: skip
        self.sweeping = Sweeping(at_rest, archive, lambda: self.relay.leads, within)

    async def _tell_outside(self, told: Sequence[tuple[Who, dict[str, Any]]]) -> None:
        """Let other systems know what was told, and ask those that are asked when a telephone rings."""
        await self.webhooks.queue(told)
        self.sources.ring(told)

    def _retention(self, tenant: str) -> Retention:
        """Return what a tenant's file says now of how long values are kept."""
        return self.tenants.of(tenant).retention

    def _let_go(self, topic: str) -> None:
        """Hold nothing of a customer who was erased, by whichever process."""
        who = Who(*topic.split("\n", 1))
        self.changes.contexts.drop(who)
        self.contexts.drop(who)
        self.audit.drop(*who)

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
        """Listen to hints, relay and send for as long as the block lasts."""
        try:
            async with asyncio.TaskGroup() as group:
                loops = (
                    self.hints.listen, self.relay.run, self.router.run, self.sweeping.run, self.audit.run,
                    self._list_promises, self.webhooks.run, self.disclosing.run,
                )  # fmt: skip
                working = [loop() for loop in loops]
                tasks = [group.create_task(work) for work in working]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            await self.sources.aclose()
            await self.outward.aclose()

    async def _list_promises(self) -> None:
        """See to it once that promises made before there were lists and timers of them get both."""
        try:
            for _ in count():
                if await self._have_listed_promises():
                    return
                await asyncio.sleep(TRY_AGAIN)
        except Exception:  # the next start tries again; nothing else depends on it
            log.exception("hub.promises_not_listed")

    async def _have_listed_promises(self) -> bool:
        """List promises of before, unless that was done; tell whether it is, for Redis may be away just now."""
        try:
            if not await self.keyring.has_listed_promises():
                await Copies(self.server, self.changes.contexts).wake_promised(self.ways.clock())
                await self.keyring.has_listed_promises(done=True)
        except (Unavailable, OutcomeUnknown):
            return False
        return True

    async def wake(self, who: Who) -> None:
        """Let lapse what has lapsed of a customer, and complete what was begun; then note when it is next due."""
        try:
            await self._woken(who)
        except Unreadable:
            await self.changes.contexts.due_again(who, self.ways.clock() + UNREADABLE_LEFT)
        except Unavailable:
            if self.archiving is None or self.archiving.archive.is_well:
                raise
            await self.changes.contexts.due_again(who, self.ways.clock() + ARCHIVE_LEFT_IN_PEACE)

    async def _woken(self, who: Who) -> None:
        """Do what is due of a customer; a move or merge may need another customer, whom the archive may have."""
        try:
            loaded = await self.changes.contexts.wherever(who)
        except CustomerUnknown:
            await self.forgetting.complete(who)
            return
        if loaded.context is None or loaded.context.frozen:
            await self.changes.contexts.never_due(who)
            return
        if loaded.context.moves:
            await self.interactions.complete_moves(who)
        review_at = loaded.context.review_at if loaded.context.hold is None else None
        if any(merge.is_under_way for merge in loaded.context.merges.values()):
            await self.merging.complete(who)
        elif review_at is not None and review_at <= self.ways.clock():
            await self.retaining.review(who, loaded.context)
        if any(handoff.callback and not handoff.is_final for handoff in loaded.context.handoffs.values()):
            await self.callbacks.review(who)
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
