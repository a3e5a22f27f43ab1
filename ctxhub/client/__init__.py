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

from ctxhub.client.agents import Agents
from ctxhub.client.asks import Asks
from ctxhub.client.away import Away, Degraded, why
from ctxhub.client.commitments import Commitments
from ctxhub.client.contexts import Contexts, Page, WholePage
from ctxhub.client.customers import CustomerFound, Customers, Opened, Revealed
from ctxhub.client.events import Events, Result, Told, told
from ctxhub.client.feed import Fed, Feeds
from ctxhub.client.handoffs import Accepted, Dialled, Handoffs, Offered, Returned, WentOn
from ctxhub.client.hub import ContextHub
from ctxhub.client.hubs import Hubs, Stopping
from ctxhub.client.interactions import Found, Interactions, ListedInteraction, MovedInteraction
from ctxhub.client.journeys import Journeys
from ctxhub.client.queues import Queues
from ctxhub.client.refused import RefusedWrite
from ctxhub.client.secure import (
    Hook,
    HookFailed,
    Secure,
    SecureAnswer,
    SecureKind,
    SecurePrompt,
    SignedHooks,
    hook_at,
    secure_prompts,
    signed_headers,
)
from ctxhub.client.spool import InUse, Spool, SpoolFile, Whose
from ctxhub.client.tenants import Tenants
from ctxhub.errors import (
    AlreadyOffered,
    AlreadyUsed,
    Ambiguous,
    AssuranceNotAllowed,
    AtWork,
    Busy,
    Changed,
    ClaimedByAnother,
    CommitmentUnknown,
    ContextFull,
    CtxhubError,
    CustomerUnknown,
    DoNotCall,
    EventIdReused,
    Forbidden,
    HandoffUnknown,
    HeadersTooLarge,
    HeldByAnother,
    IdempotencyKeyReused,
    InteractionEnded,
    InteractionUnknown,
    Invalid,
    JourneyUnknown,
    KeyUnknown,
    Lapsed,
    Malformed,
    Merged,
    MergeUnknown,
    Moved,
    NotPossibleThen,
    NotTheHolder,
    OnHold,
    OutcomeUnknown,
    Refused,
    SpoolFull,
    StaleFence,
    TooLarge,
    TooMany,
    TooSlow,
    Unauthenticated,
    Unavailable,
    Unknown,
    Unreadable,
    VerifiedApart,
    VersionAhead,
    WrittenByNewer,
    WrongMediaType,
    WrongState,
)
from ctxhub.model.brief import Brief, BriefLine
from ctxhub.model.calendar import Calendar, Closing
from ctxhub.model.call import Leg
from ctxhub.model.callback import AskedCallback, AskedNumber, Attempt, AttemptSaid, Callback, Number
from ctxhub.model.claiming import Claim, ClaimRequest
from ctxhub.model.clearance import Unlock
from ctxhub.model.commitment import Commitment, CommitmentState, ListedCommitment
from ctxhub.model.consent import ConsentView
from ctxhub.model.context import ContextView, SourceStanding, Started
from ctxhub.model.customer import Assurance, AssuranceClaim, Identifier, Unsure
from ctxhub.model.dialling import Dial, DialSpec
from ctxhub.model.elsewhere import Preference
from ctxhub.model.event import Event, Party, Purpose, Ref, Sensitivity, Telling
from ctxhub.model.fact import Answer, FactLine, FactView, Origin, Verdict
from ctxhub.model.handoff import Draft, HandoffState, HandoffView, OfferRequest, Target
from ctxhub.model.interaction import HandoffHint, Holder, Intent, InteractionView, Outcome, Start, Waiting
from ctxhub.model.journey import Escalation, JourneyView, Offer, ReasonCode, Worker
from ctxhub.model.merging import Conflict, Joined, Preview
from ctxhub.model.never_kept import Cleaned, cleaned
from ctxhub.model.number_format import NumberFormat
from ctxhub.model.presence import AgentView, PresenceRequest, PresenceState
from ctxhub.model.queue import Alternative, AlternativeView, CallbackTerms, QueueView
from ctxhub.model.retention import Retention
from ctxhub.model.revealing import RevealedFact
from ctxhub.model.risk import Attestation, Risk
from ctxhub.model.routing import AgentSpec, Reason, Suggestion, Weights
from ctxhub.model.said_time import said_at
from ctxhub.model.source import SourceFact, SourceSpec
from ctxhub.model.tenant import (
    BlockedValue,
    FactSpec,
    Identifiers,
    IdentifierSpec,
    Kind,
    Policies,
    QueueSpec,
    Say,
    Step,
    Tenant,
)
from ctxhub.model.webhook import WebhookSpec

__all__ = [
    "Accepted",
    "AgentSpec",
    "AgentView",
    "Agents",
    "AlreadyOffered",
    "AlreadyUsed",
    "Alternative",
    "AlternativeView",
    "Ambiguous",
    "Answer",
    "AskedCallback",
    "AskedNumber",
    "Asks",
    "Assurance",
    "AssuranceClaim",
    "AssuranceNotAllowed",
    "AtWork",
    "Attempt",
    "AttemptSaid",
    "Attestation",
    "Away",
    "BlockedValue",
    "Brief",
    "BriefLine",
    "Busy",
    "Calendar",
    "Callback",
    "CallbackTerms",
    "Changed",
    "Claim",
    "ClaimRequest",
    "ClaimedByAnother",
    "Cleaned",
    "Closing",
    "Commitment",
    "CommitmentState",
    "CommitmentUnknown",
    "Commitments",
    "Conflict",
    "ConsentView",
    "ContextFull",
    "ContextHub",
    "ContextView",
    "Contexts",
    "CtxhubError",
    "CustomerFound",
    "CustomerUnknown",
    "Customers",
    "Degraded",
    "Dial",
    "DialSpec",
    "Dialled",
    "DoNotCall",
    "Draft",
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
    "HeadersTooLarge",
    "HeldByAnother",
    "Holder",
    "Hook",
    "HookFailed",
    "Hubs",
    "IdempotencyKeyReused",
    "Identifier",
    "IdentifierSpec",
    "Identifiers",
    "InUse",
    "Intent",
    "InteractionEnded",
    "InteractionUnknown",
    "InteractionView",
    "Interactions",
    "Invalid",
    "Joined",
    "JourneyUnknown",
    "JourneyView",
    "Journeys",
    "KeyUnknown",
    "Kind",
    "Lapsed",
    "Leg",
    "ListedCommitment",
    "ListedInteraction",
    "Malformed",
    "MergeUnknown",
    "Merged",
    "Moved",
    "MovedInteraction",
    "NotPossibleThen",
    "NotTheHolder",
    "Number",
    "NumberFormat",
    "Offer",
    "OfferRequest",
    "Offered",
    "OnHold",
    "Opened",
    "Origin",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Party",
    "Policies",
    "Preference",
    "PresenceRequest",
    "PresenceState",
    "Preview",
    "Purpose",
    "QueueSpec",
    "QueueView",
    "Queues",
    "Reason",
    "ReasonCode",
    "Ref",
    "Refused",
    "RefusedWrite",
    "Result",
    "Retention",
    "Returned",
    "Revealed",
    "RevealedFact",
    "Risk",
    "Say",
    "Secure",
    "SecureAnswer",
    "SecureKind",
    "SecurePrompt",
    "Sensitivity",
    "SignedHooks",
    "SourceFact",
    "SourceSpec",
    "SourceStanding",
    "Spool",
    "SpoolFile",
    "SpoolFull",
    "StaleFence",
    "Start",
    "Started",
    "Step",
    "Stopping",
    "Suggestion",
    "Target",
    "Telling",
    "Tenant",
    "Tenants",
    "Told",
    "TooLarge",
    "TooMany",
    "TooSlow",
    "Unauthenticated",
    "Unavailable",
    "Unknown",
    "Unlock",
    "Unreadable",
    "Unsure",
    "Verdict",
    "VerifiedApart",
    "VersionAhead",
    "Waiting",
    "WebhookSpec",
    "Weights",
    "WentOn",
    "WholePage",
    "Whose",
    "Worker",
    "WrittenByNewer",
    "WrongMediaType",
    "WrongState",
    "cleaned",
    "hook_at",
    "said_at",
    "secure_prompts",
    "signed_headers",
    "told",
    "why",
]
