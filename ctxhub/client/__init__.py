"""The SDK: all that an adapter may import. `ContextHub` and its nouns, the hub's values, and its errors.

    async with ContextHub("https://ctx.example.com", key) as hub:
        started = await hub.interactions.start(Start(channel="chat", external_id="visit-7"))
        here = started.interaction.interaction_id
        [answer] = await hub.asks.may_i_ask(started.customer_id, here, ["order_id"])
        if answer.verdict == "ask":
            question = told("question.asked", interaction_id=here, names=["order_id"])
            await hub.events.tell(started.customer_id, question)

An adapter's process of its own is started by `ctxhub.client.alone`.
"""

from ctxhub.client.asks import Asks
from ctxhub.client.away import Away, Degraded, why
from ctxhub.client.commitments import Commitments
from ctxhub.client.contexts import Contexts, Page
from ctxhub.client.customers import CustomerFound, Customers
from ctxhub.client.events import Events, Result, Told, told
from ctxhub.client.feed import Fed, Feeds
from ctxhub.client.handoffs import Accepted, Handoffs, Offered, Returned
from ctxhub.client.hub import ContextHub
from ctxhub.client.hubs import Hubs, Stopping
from ctxhub.client.interactions import Found, Interactions, ListedInteraction, MovedInteraction
from ctxhub.client.queues import Queues
from ctxhub.client.spool import InUse, RefusedWrite, Spool, SpoolFile, Whose
from ctxhub.client.tenants import Tenants
from ctxhub.errors import (
    AlreadyOffered,
    AlreadyUsed,
    Ambiguous,
    AtWork,
    Changed,
    CommitmentUnknown,
    ContextFull,
    CtxhubError,
    CustomerUnknown,
    EventIdReused,
    Forbidden,
    HandoffUnknown,
    HeldByAnother,
    IdempotencyKeyReused,
    InteractionEnded,
    InteractionUnknown,
    Invalid,
    JourneyUnknown,
    KeyUnknown,
    Lapsed,
    Malformed,
    Moved,
    NotTheHolder,
    OutcomeUnknown,
    Refused,
    SpoolFull,
    StaleFence,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unknown,
    VersionAhead,
    WrongMediaType,
    WrongState,
)
from ctxhub.model.brief import Brief, BriefLine
from ctxhub.model.commitment import Commitment, CommitmentState, ListedCommitment
from ctxhub.model.context import ContextView, Started
from ctxhub.model.customer import Assurance, AssuranceClaim, Identifier
from ctxhub.model.event import Event, Party, Purpose, Ref, Sensitivity, Telling
from ctxhub.model.fact import Answer, FactLine, FactView, Origin, Verdict
from ctxhub.model.handoff import HandoffState, HandoffView, OfferRequest, QueueView, Target
from ctxhub.model.interaction import HandoffHint, Holder, Intent, InteractionView, Outcome, Start, Waiting
from ctxhub.model.journey import Escalation, JourneyView, Offer, ReasonCode, Worker
from ctxhub.model.tenant import FactSpec, Kind, Policies, QueueSpec, Say, Step, Tenant

__all__ = [
    "Accepted",
    "AlreadyOffered",
    "AlreadyUsed",
    "Ambiguous",
    "Answer",
    "Asks",
    "Assurance",
    "AssuranceClaim",
    "AtWork",
    "Away",
    "Brief",
    "BriefLine",
    "Changed",
    "Commitment",
    "CommitmentState",
    "CommitmentUnknown",
    "Commitments",
    "ContextFull",
    "ContextHub",
    "ContextView",
    "Contexts",
    "CtxhubError",
    "CustomerFound",
    "CustomerUnknown",
    "Customers",
    "Degraded",
    "Escalation",
    "Event",
    "EventIdReused",
    "Events",
    "FactLine",
    "FactSpec",
    "FactView",
    "Fed",
    "Feeds",
    "Forbidden",
    "Found",
    "HandoffHint",
    "HandoffState",
    "HandoffUnknown",
    "HandoffView",
    "Handoffs",
    "HeldByAnother",
    "Holder",
    "Hubs",
    "IdempotencyKeyReused",
    "Identifier",
    "InUse",
    "Intent",
    "InteractionEnded",
    "InteractionUnknown",
    "InteractionView",
    "Interactions",
    "Invalid",
    "JourneyUnknown",
    "JourneyView",
    "KeyUnknown",
    "Kind",
    "Lapsed",
    "ListedCommitment",
    "ListedInteraction",
    "Malformed",
    "Moved",
    "MovedInteraction",
    "NotTheHolder",
    "Offer",
    "OfferRequest",
    "Offered",
    "Origin",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Party",
    "Policies",
    "Purpose",
    "QueueSpec",
    "QueueView",
    "Queues",
    "ReasonCode",
    "Ref",
    "Refused",
    "RefusedWrite",
    "Result",
    "Returned",
    "Say",
    "Sensitivity",
    "Spool",
    "SpoolFile",
    "SpoolFull",
    "StaleFence",
    "Start",
    "Started",
    "Step",
    "Stopping",
    "Target",
    "Telling",
    "Tenant",
    "Tenants",
    "Told",
    "TooLarge",
    "TooMany",
    "Unauthenticated",
    "Unavailable",
    "Unknown",
    "Verdict",
    "VersionAhead",
    "Waiting",
    "Whose",
    "Worker",
    "WrongMediaType",
    "WrongState",
    "told",
    "why",
]
