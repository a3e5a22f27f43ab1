"""Every error of ctxhub, grouped by what the caller can do about it.

    CtxhubError
    ├── Refused                409  the present state forbids it: look at `state`, decide anew
    │   ├── Ambiguous               the identifier leads to several customers: ask who it is
    │   ├── AlreadyOffered          the interaction has an open offer: wait for it or cancel it
    │   ├── AlreadyUsed             the token was redeemed by another interaction
    │   ├── AtWork                  somebody works on the journey: an agent in another interaction, or its step's worker
    │   ├── ClaimedByAnother        another worker does the journey's step: who, and until when
    │   ├── DoNotCall               the customer does not want to be called: offer a message or another channel
    │   ├── HeldByAnother           somebody else holds the handoff: who, and until when
    │   ├── InteractionEnded        tell it with an `at` before the end, or start another
    │   ├── NotPossibleThen         nobody can call, or is there, in that time: `possible_from` says when
    │   ├── OnHold                  a legal hold keeps the customer: end the hold first
    │   ├── NotTheHolder            speak only with the present fence
    │   ├── StaleFence              the floor has moved on: read the handoff again
    │   ├── VerifiedApart           two accounts, two people: only an admin may say otherwise
    │   ├── VersionAhead            the hub has not seen that version: read again without it
    │   └── WrongState              the handoff or journey is not in a state that allows it
    ├── Changed                412  the document changed since the version given: read, decide, send again
    ├── Moved                  308  it lives at another customer now: follow
    │   └── Merged                  the customer itself is another one now
    ├── Unknown                404  nothing there by that name, or it is another tenant's
    │   ├── CustomerUnknown, InteractionUnknown, JourneyUnknown, HandoffUnknown, QueueUnknown, CommitmentUnknown
    ├── Lapsed                 410  it was there once: begin anew
    ├── Invalid                422  mend the request: `errors` has a JSON pointer for each fault
    │   ├── Malformed          400  not JSON at all
    │   ├── TooLarge           413  send less at a time
    │   ├── TooSlow            408  send the whole body at once
    │   ├── HeadersTooLarge    431  send fewer headers
    │   ├── WrongMediaType     415  send application/json
    │   ├── ContextFull             the document would pass its limit: `largest` names what fills it
    │   ├── EventIdReused           the same event_id with another content: give each event an id of its own
    │   └── IdempotencyKeyReused    the same key with another request: take a fresh key
    ├── Unauthenticated        401  bring a key
    ├── Forbidden              403  this key may not do that: use another
    │   └── AssuranceNotAllowed     it may not assert that: use a key with that level and method, or assert less
    ├── TooMany                429  wait `retry_after` seconds
    │   └── Busy                    more came than this hub can serve in time: the same
    └── Unavailable            503  nothing was decided: try again after `retry_after` seconds
        ├── OutcomeUnknown          it may have happened: send it again with the same key or event ids
        ├── Unreadable              what is sealed can't be opened: bring the keys back, or what was changed
        │   └── WrittenByNewer      a later version wrote it: call a hub of that version, or upgrade this one
        └── SpoolFull               the hub is away and no more can be kept here: bring it back, or make room

The API turns an error into a problem document (RFC 9457); the client turns that back into the same class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar


class CtxhubError(Exception):
    """Whatever ctxhub refuses or fails to do; `detail` says why, `ids` which things are concerned."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"
    remedy: ClassVar[str] = ""

    def __init__(self, detail: str, **ids: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.ids: dict[str, Any] = ids


class Refused(CtxhubError):
    """The present state forbids it."""

    status = 409
    code = "refused"
    title = "The present state forbids it"
    remedy = "Look at the state given here and decide anew."


class Ambiguous(Refused):
    """An identifier leads to several customers."""

    code = "ambiguous"
    title = "The identifier leads to several customers"
    remedy = "Find out who it is in a neutral way, then name the customer."


class AlreadyOffered(Refused):
    """The interaction has an open offer."""

    code = "already_offered"
    title = "The interaction is already on offer"
    remedy = "Wait for the open offer to end, or cancel it."


class AlreadyUsed(Refused):
    """A token or code was redeemed by another interaction."""

    code = "used"
    title = "The token was already used"
    remedy = "Ask for a new handoff."


class AtWork(Refused):
    """Somebody works on the journey: an agent in another interaction, or whoever claimed its step."""

    code = "at_work"
    title = "Somebody is at work on it"
    remedy = "Leave it to that one, or hand the customer over; report with `happened: true` what was done already."


class ClaimedByAnother(Refused):
    """Another worker does the journey's step."""

    code = "claimed_by_another"
    title = "Another worker does it"
    remedy = "Leave it to that one, or claim it again after `until`, when it has neither been done nor renewed."


class DoNotCall(Refused):
    """The customer does not want to be called."""

    code = "do_not_call"
    title = "The customer does not want to be called"
    remedy = "Offer a message or another channel instead."


class HeldByAnother(Refused):
    """Somebody else holds the handoff."""

    code = "held_by_another"
    title = "Somebody else holds it"
    remedy = "Take another handoff, or wait until the lease given here ends."


class InteractionEnded(Refused):
    """The interaction is over."""

    code = "interaction_ended"
    title = "The interaction has ended"
    remedy = "Tell what happened before its end with an earlier `at`, or start a new interaction."


class NotPossibleThen(Refused):
    """Nobody can keep a promise in its time: the queue is closed, or the customer was called often enough."""

    code = "not_possible_then"
    title = "Nobody can do it then"
    remedy = "Promise a time after `possible_from`, or something else."


class NotTheHolder(Refused):
    """Whoever speaks does not have the floor."""

    code = "not_the_holder"
    title = "Somebody else has the floor"
    remedy = "Leave it to the holder, or send the present fence; report what was already said with `delivered: true`."


class OnHold(Refused):
    """A legal hold keeps the customer."""

    code = "on_hold"
    title = "A legal hold keeps it"
    remedy = "End the hold first, if whoever asked for it agrees."


class StaleFence(Refused):
    """The floor has moved since the fence was given out."""

    code = "stale_fence"
    title = "The fence is stale"
    remedy = "Read the handoff again; somebody else may hold it now."


class VersionAhead(Refused):
    """A version was asked for that does not exist yet."""

    code = "version_ahead"
    title = "That version does not exist yet"
    remedy = "Read without `min_version`; the present version stands in this answer."


class VerifiedApart(Refused):
    """Both customers are verified, under different accounts."""

    code = "verified_apart"
    title = "Both are verified under different accounts"
    remedy = "Make sure that they are one and the same; then an admin merges them with `force`."


class WrongState(Refused):
    """A handoff, journey or commitment is not in a state that allows it."""

    code = "wrong_state"
    title = "Its state does not allow that"
    remedy = "Look at the state given here and decide anew."


class Changed(CtxhubError):
    """The document changed since the version in `If-Match`."""

    status = 412
    code = "changed"
    title = "The context has changed"
    remedy = "Read the present context given here, decide again, and send its version."


class Moved(CtxhubError):
    """It lives at another customer now; `location` and `customer_id` say where."""

    status = 308
    code = "moved"
    title = "It has moved to another customer"
    remedy = "Follow the Location."


class Merged(Moved):
    """The customer is another one now, by a merge; `customer_id` says which."""

    code = "merged"
    title = "The customer is another one now"
    remedy = "Follow the Location, and keep the customer_id given here."


class Unknown(CtxhubError):
    """Nothing there by that name."""

    status = 404
    code = "unknown"
    title = "Not found"
    remedy = "Check the id; things of another tenant are not found either."


class CustomerUnknown(Unknown):
    """No context for that customer."""

    code = "customer_unknown"
    title = "No such customer"


class InteractionUnknown(Unknown):
    """No such interaction at that customer."""

    code = "interaction_unknown"
    title = "No such interaction"


class JourneyUnknown(Unknown):
    """No such journey that the interaction may touch."""

    code = "journey_unknown"
    title = "No such journey"


class CommitmentUnknown(Unknown):
    """No such open commitment."""

    code = "commitment_unknown"
    title = "No such open commitment"


class HandoffUnknown(Unknown):
    """No such handoff, token or code."""

    code = "handoff_unknown"
    title = "No such handoff"


class MergeUnknown(Unknown):
    """No such merge into that customer."""

    code = "merge_unknown"
    title = "No such merge"


class KeyUnknown(Unknown):
    """No such API key."""

    code = "key_unknown"
    title = "No such key"


class Lapsed(CtxhubError):
    """It was there once."""

    status = 410
    code = "expired"
    title = "It has expired"
    remedy = "Begin anew."


class Invalid(CtxhubError):
    """The request has faults; `errors` lists each with a JSON pointer."""

    status = 422
    code = "invalid"
    title = "The request has faults"
    remedy = "Mend the fields named in `errors`."

    @classmethod
    def field(cls, pointer: str, detail: str) -> Invalid:
        """Return the refusal of one field."""
        return cls(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])


class Malformed(Invalid):
    """The body is not JSON."""

    status = 400
    code = "malformed"
    title = "The body is not JSON"
    remedy = "Send one JSON object in UTF-8."


class TooLarge(Invalid):
    """The body is over the limit."""

    status = 413
    code = "too_large"
    title = "The body is too large"
    remedy = "Send at most 1 MiB at a time."


class TooSlow(Invalid):
    """The body did not come to its end in time."""

    status = 408
    code = "too_slow"
    title = "The body was not whole in time"
    remedy = "Send the whole body at once, on a new connection."


class HeadersTooLarge(Invalid):
    """The headers are over the limit."""

    status = 431
    code = "headers_too_large"
    title = "The headers are too large"
    remedy = "Send at most 100 headers, and 32 KiB of them."


class WrongMediaType(Invalid):
    """The body is not declared as JSON."""

    status = 415
    code = "wrong_media_type"
    title = "The media type is not supported"
    remedy = "Send `Content-Type: application/json`."


class ContextFull(Invalid):
    """The customer's document would pass its limit."""

    code = "context_full"
    title = "The context is full"
    remedy = "End journeys, reject or let lapse what `largest` names; keep bulk on the timeline as `x.` events."


class EventIdReused(Invalid):
    """One event_id with two contents."""

    code = "event_id_reused"
    title = "The event_id stands for another event"
    remedy = "Give each event an id of its own; repeat an event only unchanged."


class IdempotencyKeyReused(Invalid):
    """One idempotency key with two requests."""

    code = "idempotency_key_reused"
    title = "The Idempotency-Key stands for another request"
    remedy = "Take a fresh key for a new request; repeat a request only unchanged."


class Unauthenticated(CtxhubError):
    """No key, or one that is not valid."""

    status = 401
    code = "unauthenticated"
    title = "No valid key"
    remedy = "Send `Authorization: Bearer <key>`; `ctxhub keys create` makes one."


class Forbidden(CtxhubError):
    """The key may not do that."""

    status = 403
    code = "forbidden"
    title = "Not allowed"
    remedy = "Use a key whose role and bounds allow it."


class AssuranceNotAllowed(Forbidden):
    """The key may not assert that; `highest_level` and `methods` say what it may."""

    code = "assurance_not_allowed"
    title = "Assurance not allowed"
    remedy = "Assert no more than the key may, or use a key made for that level and method."


class TooMany(CtxhubError):
    """Too many tries; `retry_after` says how many seconds to wait."""

    status = 429
    code = "too_many"
    title = "Too many tries"
    remedy = "Wait as long as Retry-After says."


class Busy(TooMany):
    """More calls came at once than the hub can serve in time; this one was not looked at."""

    code = "busy"
    title = "Too many calls at once"
    remedy = "Wait as long as Retry-After says; if it goes on, run more workers or hubs."


class Unavailable(CtxhubError):
    """The hub can't do it now, and nothing was decided."""

    status = 503
    code = "unavailable"
    title = "Not available just now"
    remedy = "Try again after Retry-After."


class OutcomeUnknown(Unavailable):
    """It could not be confirmed, but may have happened."""

    code = "outcome_unknown"
    title = "The outcome could not be confirmed"
    remedy = "Send it again with the same Idempotency-Key or event ids; it takes effect once."


class Unreadable(Unavailable):
    """Something sealed can't be opened: its epoch's key is missing, or it was changed at rest."""

    code = "unreadable"
    title = "What is sealed can't be opened"
    remedy = "Bring back the sealing keys of its epoch, or the customer from a backup; see the log for which."


class WrittenByNewer(Unreadable):
    """A later version of the hub wrote what is kept, and says what this one does not know; it is left alone."""

    code = "written_by_newer"
    title = "A later version of the hub wrote this"
    remedy = "Upgrade this hub, or stop it: one of the later version serves what this one leaves alone."


class SpoolFull(Unavailable):
    """The hub is away, and what a channel keeps meanwhile has reached its limit; nothing of this was kept."""

    code = "spool_full"
    title = "No more can be kept while the hub is away"
    remedy = "Bring the hub back; or raise the spool's limit, free the disk, or clear what was refused."


def every_error() -> Iterator[type[CtxhubError]]:
    """Yield each class of the tree, parents first."""
    pending: list[type[CtxhubError]] = [CtxhubError]
    while pending:
        error = pending.pop(0)
        yield error
        pending.extend(error.__subclasses__())


def from_problem(status: int, problem: dict[str, Any]) -> CtxhubError:
    """Turn a problem document back into the error it tells of."""
    ids = {k: v for k, v in problem.items() if k not in {"type", "title", "status", "code", "detail", "remedy"}}
    detail = str(problem.get("detail") or problem.get("title") or f"the hub answered {status}")
    by_code = {error.code: error for error in every_error()}
    return by_code.get(str(problem.get("code")), _by_status(status))(detail, **ids)


def _by_status(status: int) -> type[CtxhubError]:
    """Return the broadest class for a status that came without a known code."""
    return next((e for e in every_error() if e.status == status), Unavailable if status >= 500 else CtxhubError)
