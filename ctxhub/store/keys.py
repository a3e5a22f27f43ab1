"""Every key of ctxhub: the only place that spells one.

All keys of a customer live in one partition, whose number stands in braces, so that Redis Cluster keeps them together
and one script may use them all. No key holds an identifier or an external id in the clear: those are HMACs.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import date
from functools import lru_cache
from typing import NamedTuple

_SPELT = 8192  # customers whose keys are at hand


class KeyKind(NamedTuple):
    """One row of the table of keys."""

    pattern: str
    type: str
    holds: str
    lives: str


#: The table of keys; the reference in the docs is made from it.
TABLE = (
    KeyKind("ctxhub:{P}:T:C:context", "hash", "version, document_version, commit, state; i:<interaction> = "
            "fence, holder's party, level, its end, channel, last heard, holder last heard; where something is sealed "
            "also key (the data key, wrapped); where an archive is kept also last (write), born (first commit), base "
            "(versions that only the archive has)", "2 × lifetime"),
    KeyKind("ctxhub:{P}:T:C:document", "string", "the context as compressed JSON", "lifetime"),
    KeyKind("ctxhub:{P}:T:C:timeline", "list", "entries from version base + 1 on: assurance, channel, marks, event",
            "lifetime"),
    KeyKind("ctxhub:{P}:T:C:events", "hash", "digest of event_id = version:fingerprint", "lifetime"),
    KeyKind("ctxhub:{P}:T:C:saved", "set", "digests of questions saved, by interaction and name", "lifetime"),
    KeyKind("ctxhub:{P}:T:C:operation:D", "string", "what an Idempotency-Key did: fingerprint, ids, versions", "48 h"),
    KeyKind("ctxhub:{P}:T:C:operations", "sorted set", "digests of the Idempotency-Keys that have records here, by "
            "when those go", "48 h"),
    KeyKind("ctxhub:{P}:T:C:erased", "string", "born of a customer just erased: what was read in the archive before "
            "does not come back", "2 min"),
    KeyKind("ctxhub:{P}:T:C:coming", "list", "a timeline on its way back from an export", "1 h"),
    KeyKind("ctxhub:{P}:T:C:coming_events", "hash", "its event ids", "1 h"),
    KeyKind("ctxhub:{P}:T:waiting:L", "sorted set", "waiting handoffs of a queue or agent, by priority and time", "—"),
    KeyKind("ctxhub:{P}:T:held:L", "sorted set", "accepted handoffs of a queue", "—"),
    KeyKind("ctxhub:{P}:T:open:CH", "sorted set", "open interactions of a channel, by start", "—"),
    KeyKind("ctxhub:{P}:T:calls:A", "sorted set", "open interactions whose call rings at an agent or has him on the "
            "line, by start", "—"),
    KeyKind("ctxhub:{P}:T:promised:S", "sorted set", "open promises of a state, and of a state and an owner, by when "
            "time makes something else of them", "—"),
    KeyKind("ctxhub:{P}:T:work:W", "sorted set", "what agents have (`held`) and what rings for them (`ringing`): "
            "customer, handoff, channel, agent; by when it was accepted, or rings no more", "—"),
    KeyKind("ctxhub:{P}:T:agents", "hash", "each agent's presence, with what he can do by his own word", "48 h"),
    KeyKind("ctxhub:{P}:T:router", "hash", "holder, fence and lease of who routes the tenant's queues; he needs those "
            "of all partitions", "—"),
    KeyKind("ctxhub:{P}:T:numbers:DAY", "hash", "counters of one day; of all days where DAY is `total`", "400 days"),
    KeyKind("ctxhub:{P}:T:feed:F", "stream", "events to tell a queue's or channel's followers: customer, version; of "
            "an erased customer the end itself, which names nobody", "24 h"),
    KeyKind("ctxhub:{P}:T:handled:Q", "sorted set", "how many seconds an agent (as digest) had each customer of a "
            "queue, by when that ended", "1 h"),
    KeyKind("ctxhub:{P}:outbox", "stream", "customer, first and last version of every write", "until consumed"),
    KeyKind("ctxhub:{P}:due", "sorted set", "customers by the next time something of theirs lapses", "—"),
    KeyKind("ctxhub:{P}:leases", "sorted set", "customers by when the archive alone may have them; none of live work",
            "—"),
    KeyKind("ctxhub:{P}:relay", "hash", "holder, fence and lease of the partition's relay", "—"),
    KeyKind("ctxhub:{P}:cursors", "hash", "how far each consumer has read the outbox", "—"),
    KeyKind("ctxhub:{P}:handoff:H", "string", "tenant and customer of a handoff", "7 days"),
    KeyKind("ctxhub:{P}:token:D", "string", "the handoff that a token (as digest) stands for", "7 days"),
    KeyKind("ctxhub:{P}:T:external:D", "string", "customer and interaction of (system, external_id)", "lifetime"),
    KeyKind("ctxhub:{P}:T:ref:D", "string", "customer and interaction of another system's name", "lifetime"),
    KeyKind("ctxhub:{P}:T:identifier:D", "hash", "customer = claimed or verified; '' = nobody, where there is an "
            "archive", "lifetime"),
    KeyKind("ctxhub:{P}:T:start:D", "string", "fingerprint of what an Idempotency-Key began", "48 h"),
    KeyKind("ctxhub:{P}:T:tries:D", "string", "how often a code was tried, or glass was broken", "24 h"),
    KeyKind("ctxhub:{P}:T:lent:D", "hash", "a number of the tenant's pool = the handoff that it is lent to, until when",
            "24 h"),
    KeyKind("ctxhub:{P}:T:announced:D", "hash", "by the digest of a number: handoffs for which a call from it was "
            "announced, until when", "10 min"),
    KeyKind("ctxhub:{P}:ticket:D", "string", "what a single-use stream ticket is good for", "60 s"),
    KeyKind("ctxhub:{00}:keys", "hash", "digest of an API key = tenant, name, role, agent, what it is "
            "narrowed to, when it ends", "—"),
    KeyKind("ctxhub:{00}:keys:used", "hash", "an API key's id = when it was last used, to the minute", "—"),
    KeyKind("ctxhub:{P}:T:audit:new", "stream", "who saw or changed what, as noted, before it is chained",
            "until chained"),
    KeyKind("ctxhub:{P}:T:audit:trail", "stream", "the chained trail, where there is no archive, in batches",
            "CTXHUB_AUDIT_KEEP"),
    KeyKind("ctxhub:{P}:T:audit:head", "hash", "number and link of the trail's last entry, how far `new` is chained, "
            "and the sealed start of what is kept", "—"),
    KeyKind("ctxhub:{P}:T:audit:disclosed", "string", "what the tenant's file said of disclosure as the trail "
            "told of it last", "—"),
    KeyKind("ctxhub:{00}:audited", "set", "tenants that have a trail", "—"),
    KeyKind("ctxhub:{P}:T:access:D", "string", "a customer opened to an agent beside his work", "1 h"),
    KeyKind("ctxhub:{P}:T:receipt:D", "string", "the receipt of who was forgotten, sealed under the Idempotency-Key "
            "that asked for it", "48 h"),
    KeyKind("ctxhub:{P}:T:reasons:D", "hash", "by a customer's pseudonym: the seal in a line of the trail = a random "
            "number and the reason that was given", "CTXHUB_AUDIT_KEEP after the last"),
    KeyKind("ctxhub:{P}:T:whereabouts:D", "list", "by a customer's pseudonym, the newest 128: the seal in a line of "
            "the trail, a random number and the address that the customer called from",
            "CTXHUB_AUDIT_KEEP_ADDRESSES after the last"),
    KeyKind("ctxhub:{P}:T:reading:D", "set", "pseudonyms of the customers whom an agent has read", "10 min"),
    KeyKind("ctxhub:{P}:T:C:deliveries", "hash", "what webhooks are still to be told of a customer: endpoint and "
            "version = delivery", "until delivered"),
    KeyKind("ctxhub:{P}:T:C:delivery_order", "sorted set", "the same endpoints and versions, in order",
            "until delivered"),
    KeyKind("ctxhub:{P}:T:delivering:E", "sorted set", "what an endpoint is told next of each customer, by when it is "
            "tried: customer, version", "until delivered"),
    KeyKind("ctxhub:{P}:T:awaiting:E", "sorted set", "all that an endpoint is still to be told, by when it was queued",
            "until delivered"),
    KeyKind("ctxhub:{P}:T:delivered:E", "sorted set", "what an endpoint has acknowledged lately, by when", "30 days"),
    KeyKind("ctxhub:{P}:T:undelivered:E", "sorted set", "dead letters of an endpoint, by when they were given up",
            "30 days"),
    KeyKind("ctxhub:{P}:T:endpoint:E", "hash", "address and time of an endpoint that wants nothing more", "—"),
    KeyKind("ctxhub:{P}:endpoints", "set", "tenants' endpoints for which anything was queued here", "—"),
    KeyKind("ctxhub:{P}:T:source:D", "string", "that a source was asked about a customer, or has answered", "24 h"),
    KeyKind("ctxhub:{00}:founding", "hash", "number of partitions, a check of the master key, the archive that goes "
            "with this Redis, what an upgrade has done, the formats of documents and which version wrote each first, "
            "the epoch of sealing and a proof of its key, how many were erased and up to which of them the files were "
            "written anew", "—"),
)  # fmt: skip


#: How long the part of a handoff's id and of a token is that stands after the partition.
HANDOFF_TAIL = 20
TOKEN_TAIL = 22


def partition_in(name: str) -> str:
    """Return the partition with which a handoff's id or a token begins.

    It is all but the tail, so that the look-up is found where it was put, also after the number of partitions changed.
    """
    return name.removeprefix("ho_")[:-HANDOFF_TAIL] if name.startswith("ho_") else name[:-TOKEN_TAIL]


def has_partition(name: str) -> bool:
    """Tell whether a handoff's id or a token begins with a partition, as all do that were made here."""
    partition = partition_in(name)
    return partition.isascii() and partition.isdecimal()


class CustomerKeys(NamedTuple):
    """The keys of one customer, and those of the partition that one script changes with them."""

    partition: str
    context: str
    document: str
    timeline: str
    events: str
    saved: str
    outbox: str
    due: str
    hints: str
    member: str
    leases: str
    erased: str
    operations: str


class DeliveryKeys(NamedTuple):
    """The keys of what webhooks are still to be told of a customer: the deliveries, and their order."""

    waiting: str
    order: str


class AuditKeys(NamedTuple):
    """The keys of one tenant's audit trail: what was noted, what is chained, and where the chain ends."""

    new: str
    trail: str
    head: str


class WebhookKeys(NamedTuple):
    """The queues of one endpoint in one partition."""

    next: str
    waiting: str
    delivered: str
    undelivered: str


class Keys:
    """Spells every key, for a fixed number of partitions."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._width = max(2, len(str(partitions - 1)))
        self._spelt = lru_cache(_SPELT)(self._customer)

    def every_partition(self) -> list[str]:
        """Return the names of all partitions."""
        return [self._named(number) for number in range(self.partitions)]

    def partition_of(self, text: str) -> str:
        """Return the partition where something belongs."""
        return self._named(zlib.crc32(text.encode()) % self.partitions)

    def _named(self, number: int) -> str:
        """Spell a partition's number at full width."""
        return f"{number:0{self._width}}"

    def customer(self, tenant: str, customer_id: str) -> CustomerKeys:
        """Return the keys of a customer."""
        return self._spelt(tenant, customer_id)

    def _customer(self, tenant: str, customer_id: str) -> CustomerKeys:
        """Spell the keys of a customer."""
        partition = self.partition_of(f"{tenant}\n{customer_id}")
        base = f"ctxhub:{{{partition}}}:{tenant}:{customer_id}:"
        place = f"ctxhub:{{{partition}}}:"
        return CustomerKeys(
            partition,
            f"{base}context",
            f"{base}document",
            f"{base}timeline",
            f"{base}events",
            f"{base}saved",
            f"{place}outbox",
            f"{place}due",
            f"{place}hints",
            f"{tenant}\n{customer_id}",
            f"{place}leases",
            f"{base}erased",
            f"{base}operations",
        )

    def operation(self, tenant: str, customer_id: str, digest: str) -> str:
        """Return the key of an Idempotency-Key's record."""
        partition = self.partition_of(f"{tenant}\n{customer_id}")
        return f"ctxhub:{{{partition}}}:{tenant}:{customer_id}:operation:{digest}"

    def coming(self, tenant: str, customer_id: str) -> tuple[str, str]:
        """Return where a customer's timeline and event ids wait to be put back."""
        base = f"{self.customer(tenant, customer_id).context.removesuffix('context')}coming"
        return base, f"{base}_events"

    def list_part(self, partition: str, tenant: str, name: str) -> str:
        """Return one partition's part of a list, such as `waiting:queue:cards` or `open:chat`."""
        return f"ctxhub:{{{partition}}}:{tenant}:{name}"

    def agents(self, tenant: str) -> str:
        """Return the key of the presence of a tenant's agents."""
        return f"ctxhub:{{{self.router_home(tenant)}}}:{tenant}:agents"

    def router_home(self, tenant: str) -> str:
        """Return the partition where it is decided who routes a tenant's queues."""
        return self.partition_of(f"{tenant}\nagents")

    def router(self, partition: str, tenant: str) -> str:
        """Return where one partition knows who routes a tenant's queues."""
        return f"ctxhub:{{{partition}}}:{tenant}:router"

    def numbers(self, partition: str, tenant: str, day: date) -> str:
        """Return the counters of a day in one partition."""
        return f"ctxhub:{{{partition}}}:{tenant}:numbers:{day.isoformat()}"

    def numbers_total(self, partition: str, tenant: str) -> str:
        """Return the counters of all days in one partition."""
        return f"ctxhub:{{{partition}}}:{tenant}:numbers:total"

    def feed(self, tenant: str, name: str) -> str:
        """Return the feed of a queue or channel."""
        return f"ctxhub:{{{self.partition_of(tenant + chr(10) + name)}}}:{tenant}:feed:{name}"

    def handled(self, tenant: str, queue: str) -> str:
        """Return where stands how long agents had the customers of a queue."""
        return f"ctxhub:{{{self.partition_of(tenant + chr(10) + queue)}}}:{tenant}:handled:{queue}"

    def feed_hints(self, tenant: str, name: str) -> str:
        """Return the channel on which a feed's growth is announced."""
        return f"ctxhub:{{{self.partition_of(tenant + chr(10) + name)}}}:hints"

    def of_partition(self, partition: str, name: str) -> str:
        """Return a key that a partition has once, such as its outbox."""
        return f"ctxhub:{{{partition}}}:{name}"

    def handoff(self, partition: str, handoff_id: str) -> str:
        """Return the look-up of a handoff; its id begins with its partition."""
        return f"ctxhub:{{{partition}}}:handoff:{handoff_id}"

    def token(self, partition: str, token: str) -> str:
        """Return the look-up of a token; it begins with its partition."""
        return f"ctxhub:{{{partition}}}:token:{hashlib.sha256(token.encode()).hexdigest()[:32]}"

    def lookup(self, tenant: str, kind: str, digest: str) -> str:
        """Return a look-up outside a customer's slot: such as `external`, `identifier` or `tries`."""
        return f"ctxhub:{{{self.partition_of(digest)}}}:{tenant}:{kind}:{digest}"

    def audit(self, tenant: str) -> AuditKeys:
        """Return the keys of a tenant's audit trail, all in one partition."""
        base = f"ctxhub:{{{self.partition_of(f'{tenant}{chr(10)}audit')}}}:{tenant}:audit:"
        return AuditKeys(f"{base}new", f"{base}trail", f"{base}head")

    def deliveries(self, tenant: str, customer_id: str) -> DeliveryKeys:
        """Return the keys of what webhooks are still to be told of a customer."""
        base = self.customer(tenant, customer_id).context.removesuffix("context")
        return DeliveryKeys(f"{base}deliveries", f"{base}delivery_order")

    def webhook(self, partition: str, tenant: str, endpoint: str) -> WebhookKeys:
        """Return the queues of an endpoint in a partition."""
        base = f"ctxhub:{{{partition}}}:{tenant}:"
        kinds = ("delivering", "awaiting", "delivered", "undelivered")
        return WebhookKeys(*(f"{base}{kind}:{endpoint}" for kind in kinds))

    def endpoint(self, tenant: str, name: str) -> str:
        """Return the key of how an endpoint stands."""
        return f"ctxhub:{{{self.partition_of(f'{tenant}{chr(10)}{name}')}}}:{tenant}:endpoint:{name}"

    def disclosed(self, tenant: str) -> str:
        """Return where stands what a tenant's trail knows of its disclosure, beside what is noted there."""
        return f"{self.audit(tenant).new.removesuffix('new')}disclosed"

    @property
    def audited(self) -> str:
        """Return the key under which stands which tenants have a trail."""
        return "ctxhub:{00}:audited"

    def ticket(self, digest: str) -> str:
        """Return the key of a single-use ticket."""
        return f"ctxhub:{{{self.partition_of(digest)}}}:ticket:{digest}"

    @property
    def api_keys(self) -> str:
        """Return the key under which API keys are kept."""
        return "ctxhub:{00}:keys"

    @property
    def api_keys_used(self) -> str:
        """Return the key under which stands when API keys were last used."""
        return "ctxhub:{00}:keys:used"

    @property
    def founding(self) -> str:
        """Return the key of what was fixed at the first start."""
        return "ctxhub:{00}:founding"

    @property
    def contexts_pattern(self) -> str:
        """Return the pattern of all customers' contexts."""
        return "ctxhub:{*}:*:*:context"

    @property
    def trails_pattern(self) -> str:
        """Return a pattern that every key of an audit trail matches."""
        return "ctxhub:{*}:*:audit:*"

    def whose_trail(self, name: str) -> str | None:
        """Return the tenant of a key of an audit trail; None for another key that looks like one."""
        tenant = name.split(":")[2]
        return tenant if name in self.audit(tenant) else None

    def whose(self, context_key: str) -> tuple[str, str]:
        """Return tenant and customer of a context's key."""
        _, _, tenant, customer_id, _ = context_key.split(":")
        return tenant, customer_id

    @property
    def hints_pattern(self) -> str:
        """Return the pattern of all channels of hints."""
        return "ctxhub:{*}:hints"
