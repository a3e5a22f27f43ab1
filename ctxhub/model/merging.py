"""Two customers who turn out to be one: what would come together, what comes, and how it goes apart again.

A merge adopts, it does not copy. The source is frozen as it is (`freeze`), its home takes in what it had (`adopt`),
each thing marked with the merge. What is told afterwards in an adopted interaction, or for an adopted journey, gets
the same mark. Undone (`thaw`, `drop`) each has what is its own, with what was told of it since, and what began after
the merge stays with the home. Every step may be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from ctxhub.errors import MergeUnknown, VerifiedApart, WrongState
from ctxhub.model.commitment import Commitment
from ctxhub.model.consent import Consent
from ctxhub.model.context import Context, Frozen, Merge
from ctxhub.model.event import Change, Event
from ctxhub.model.fact import Fact, Origin
from ctxhub.model.handoff import Handoff
from ctxhub.model.interaction import Interaction
from ctxhub.model.journey import Journey
from ctxhub.model.value import CustomerId, Id, Value

ACCOUNT = "account"
Marked = TypeVar("Marked", Fact, Journey, Commitment, Consent)
ConflictKind = Literal["different_values", "verified_apart", "both_wait", "both_talk", "known_into_unknown"]


class Conflict(Value):
    """What does not go together, or may mean that these are two people; `names` says which facts or things."""

    kind: ConflictKind
    names: list[str] = []


class Preview(Value):
    """What a merge would bring together, and what conflicts; fact names only, no values."""

    facts: list[str] = []
    journeys: list[str] = []
    interactions: int = 0
    handoffs: int = 0
    commitments: int = 0
    identifiers: list[str] = []
    conflicts: list[Conflict] = []


class Part(Value):
    """What a customer had, or has now, on one side of a merge."""

    interactions: dict[str, Interaction] = {}
    facts: tuple[Fact, ...] = ()
    journeys: dict[str, Journey] = {}
    handoffs: dict[str, Handoff] = {}
    commitments: dict[str, Commitment] = {}
    consents: tuple[Consent, ...] = ()


class Joined(Value):
    """What a merge came to, or would come to: the customer that both are, who that was before, and by which merge.

    Without a `merge_id` nothing was changed; `preview` says what comes together and what conflicts.
    """

    model_config = {"validate_by_name": True}
    customer_id: CustomerId
    source: Annotated[CustomerId, Field(alias="from")]
    merge_id: Id | None = None
    version: int
    preview: Preview | None = None


# Before it


def preview(home: Context, source: Context) -> Preview:
    """Say what would come together and what conflicts; nothing is changed."""
    return Preview(
        facts=_sorted(fact.name for fact in source.facts),
        journeys=_sorted(journey.kind for journey in source.journeys.values() if journey.is_open),
        interactions=len(source.interactions),
        handoffs=sum(not handoff.is_final for handoff in source.handoffs.values()),
        commitments=len(source.commitments),
        identifiers=_sorted(identifier.type for identifier in source.leading),
        conflicts=[conflict for conflict in _conflicts(home, source) if conflict.names],
    )


def _conflicts(home: Context, source: Context) -> Iterable[Conflict]:
    """Yield each kind of conflict, with what is concerned; nothing is concerned where there is none."""
    yield Conflict(kind="different_values", names=_different(home, source))
    yield Conflict(kind="verified_apart", names=[ACCOUNT] if are_verified_apart(home, source) else [])
    yield Conflict(kind="both_wait", names=_of_both(_waiting(home), _waiting(source)))
    yield Conflict(kind="both_talk", names=_of_both(_talking(home), _talking(source)))
    yield Conflict(kind="known_into_unknown", names=["known"] if source.known and not home.known else [])


def _different(home: Context, source: Context) -> list[str]:
    """Return the names of shared facts of which both have values, and none in common."""
    ours, theirs = _values(home), _values(source)
    return sorted(name for name in ours.keys() & theirs.keys() if not ours[name] & theirs[name])


def _values(context: Context) -> dict[str, set[str]]:
    """Return the values of each fact that is shared and not of one journey."""
    found: dict[str, set[str]] = {}
    for fact in context.facts:
        if fact.journey_id is None and fact.origin.scope is None and fact.state != "rejected":
            found.setdefault(fact.name, set()).add(repr(fact.value))
    return found


def are_verified_apart(home: Context, source: Context) -> bool:
    """Tell whether both are verified by accounts, and by none in common."""
    ours, theirs = _accounts(home), _accounts(source)
    return bool(ours and theirs) and not ours & theirs


def _accounts(context: Context) -> set[str]:
    """Return the accounts that a customer is verified by."""
    return {i.value for i in context.leading if i.type == ACCOUNT and i.strength == "verified"}


def _waiting(context: Context) -> list[str]:
    """Return a customer's open handoffs."""
    return [handoff.handoff_id for handoff in context.handoffs.values() if not handoff.is_final]


def _talking(context: Context) -> list[str]:
    """Return a customer's open interactions."""
    return [interaction.interaction_id for interaction in context.interactions.values() if interaction.is_open]


def _of_both(ours: list[str], theirs: list[str]) -> list[str]:
    """Return both where neither is empty."""
    return [*ours, *theirs] if ours and theirs else []


def _sorted(names: Iterable[str]) -> list[str]:
    """Return names, each once, in order."""
    return sorted(set(names))


def refuse_unfit(home: Context, source: Context, force: bool) -> None:
    """Refuse one who is another customer already, the wrong way round, and, unless told so, two verified apart."""
    _refuse_frozen(source)
    if source.known and not home.known:
        raise WrongState(
            f"{source.customer_id} is known and {home.customer_id} is not: merge them the other way round",
            customer_id=home.customer_id, source=source.customer_id, state="unknown",
        )  # fmt: skip
    if are_verified_apart(home, source) and not force:
        raise VerifiedApart(
            f"{home.customer_id} and {source.customer_id} are verified under different accounts",
            customer_id=home.customer_id, source=source.customer_id,
        )  # fmt: skip


def _refuse_frozen(source: Context) -> None:
    """Refuse one who is another customer already."""
    if source.frozen is not None:
        raise WrongState(
            f"{source.customer_id} is {source.frozen.to} now: merge that one",
            customer_id=source.frozen.to, state="merged",
        )  # fmt: skip


# There


def begun(context: Context, source: str) -> Merge | None:
    """Return the merge by which a customer is, or is becoming, this one."""
    return next((merge for merge in context.merges.values() if merge.source == source), None)


def note(context: Context, source: str, merge_id: str, now: datetime) -> Change:
    """Note at the home that a merge begins; a second time changes nothing."""
    if begun(context, source) is not None:
        return Change(context, [])
    return Change(_with_merge(context, Merge(merge_id=merge_id, source=source, at=now)), [])


def forsake(context: Context, merge_id: str) -> Change:
    """Take back the note of a merge that can't be done."""
    merge = context.merges.get(merge_id)
    if merge is None or merge.state != "begun":
        return Change(context, [])
    return Change(_without_merge(context, merge_id), [])


def freeze(source: Context, merge_id: str, home: str, now: datetime) -> Change:
    """Let a customer be another one from now on; all that it has stays as it is, and nothing of it lapses."""
    if source.frozen is not None and source.frozen.merge_id == merge_id:
        return Change(source, [])
    _refuse_frozen(source)
    if source.moves or any(merge.is_under_way for merge in source.merges.values()):
        raise WrongState(
            f"{source.customer_id} takes part in another move or merge just now: try again",
            customer_id=source.customer_id, state="moving",
        )  # fmt: skip
    event = _told(
        f"{merge_id}:left", "identity.merged", {"merge_id": merge_id, "from": source.customer_id, "to": home}, now
    )
    return Change(source.but(frozen=Frozen(merge_id=merge_id, to=home)), [event])


def adopt(context: Context, merge_id: str, source: Context, now: datetime) -> Change:
    """Take in what a frozen customer had, each thing with its origin and the merge's mark; once."""
    merge = context.merges.get(merge_id)
    if merge is None or merge.state != "begun":
        return Change(context, [])
    theirs = _marked(_everything(source), merge_id)
    here = context.interactions.keys() | theirs.interactions.keys()
    inner = tuple(dict.fromkeys(i for m in source.merges.values() for i in (m.merge_id, *m.inner)))
    taken = merge.but(state="adopted", identifiers=source.leading, inner=inner)
    joined = _with_merge(context, taken).but(
        interactions=context.interactions | theirs.interactions,
        facts=(*context.facts, *theirs.facts),
        journeys=context.journeys | theirs.journeys,
        handoffs=context.handoffs | theirs.handoffs,
        commitments=context.commitments | theirs.commitments,
        consents=(*context.consents, *theirs.consents),
        moved={k: to for k, to in (context.moved | source.moved).items() if k not in here and to != source.customer_id},
        review_at=_earlier(context, source),
    )
    data = {"merge_id": merge_id, "from": source.customer_id, "to": context.customer_id}
    return Change(joined, [_told(f"{merge_id}:joined", "identity.merged", data, now)])


def _earlier(one: Context, other: Context) -> datetime | None:
    """Return when the first time of what either told is over: until they are parted the home sees to both."""
    return min((at for at in (one.review_at, other.review_at) if at is not None), default=None)


def let_go(source: Context, merge_id: str, now: datetime) -> Change:
    """Let a customer be itself again, just as it stands, since its merge can't be done."""
    if source.frozen is None or source.frozen.merge_id != merge_id:
        return Change(source, [])
    data = {"merge_id": merge_id, "from": source.frozen.to, "to": source.customer_id}
    return Change(source.but(frozen=None), [_told(f"{merge_id}:back", "identity.unmerged", data, now)])


def settle(context: Context, merge_id: str) -> Change:
    """Note that all leads to the home by now."""
    merge = context.merges.get(merge_id)
    if merge is None or merge.state != "adopted":
        return Change(context, [])
    return Change(_with_merge(context, merge.but(state="done")), [])


# And back


def undo(context: Context, merge_id: str) -> Change:
    """Begin to undo a merge; `MergeUnknown` where there is none, `WrongState` where another must be undone first."""
    merge = context.merges.get(merge_id)
    if merge is None:
        _refuse_inner(context, merge_id)
        raise MergeUnknown(f"there is no merge {merge_id} into {context.customer_id}", merge_id=merge_id)
    if merge.state == "undoing":
        return Change(context, [])
    if merge.is_under_way or context.moves:
        raise WrongState(
            f"merge {merge_id} or a move is still under way: try again", merge_id=merge_id, state=merge.state
        )
    return Change(_with_merge(context, merge.but(state="undoing")), [])


def _refuse_inner(context: Context, merge_id: str) -> None:
    """Refuse to undo a merge that came along in another one, which has to be undone first."""
    outer = next((merge for merge in context.merges.values() if merge_id in merge.inner), None)
    if outer is not None:
        raise WrongState(
            f"merge {merge_id} came along with {outer.merge_id}: undo that one first",
            merge_id=outer.merge_id, state="inside",
        )  # fmt: skip


def thaw(source: Context, merge_id: str, home: Context, now: datetime) -> Change:
    """Let a customer be itself again: as it was, with what was told since of what is its own."""
    if source.frozen is None or source.frozen.merge_id != merge_id:
        return Change(source, [])
    part = hand_back(home, merge_id)
    away = {key: home.moved[key] for key in source.interactions if key in home.moved}
    changes = {name: getattr(part, name) for name in Part.model_fields}
    own = source.but(**changes | {"frozen": None, "moved": source.moved | away, "review_at": _earlier(source, home)})
    own = own.with_facts(_unmasked(own, own.facts))
    data = {"merge_id": merge_id, "from": home.customer_id, "to": source.customer_id}
    return Change(own, [_told(f"{merge_id}:back", "identity.unmerged", data, now)])


def hand_back(home: Context, merge_id: str) -> Part:
    """Return what a customer gets back: unmarked, and its interactions with where else they were told of."""
    part = part_of(home, merge_id)
    ours = home.journeys.keys() - part.journeys.keys()
    interactions = {
        key: _without_journey(interaction, ours).but(
            adopted=interaction.adopted[:-1],
            told_at=tuple(dict.fromkeys((*interaction.told_at, home.customer_id))),
        )
        for key, interaction in part.interactions.items()
    }
    return part.but(
        interactions=interactions,
        facts=tuple(_back(fact) for fact in part.facts),
        journeys={key: _back(journey) for key, journey in part.journeys.items()},
        commitments={key: _back(promise) for key, promise in part.commitments.items()},
        consents=tuple(_back(consent) for consent in part.consents),
    )


def drop(context: Context, merge_id: str, now: datetime) -> Change:
    """Let go of all that a merge brought, which is back where it belongs; what has begun here since stays."""
    merge = context.merges.get(merge_id)
    if merge is None or merge.state != "undoing":
        return Change(context, [])
    part = part_of(context, merge_id)
    own = _without_merge(context, merge_id)
    stay = {key: one for key, one in context.interactions.items() if key not in part.interactions}
    left = own.but(
        interactions={key: _without_journey(one, part.journeys.keys()) for key, one in stay.items()},
        facts=_unmasked(own, tuple(fact for fact in context.facts if fact not in part.facts)),
        journeys={key: one for key, one in context.journeys.items() if key not in part.journeys},
        handoffs={key: one for key, one in context.handoffs.items() if key not in part.handoffs},
        commitments={key: one for key, one in context.commitments.items() if key not in part.commitments},
        consents=tuple(consent for consent in context.consents if consent not in part.consents),
        moved=context.moved | dict.fromkeys(part.interactions, merge.source),
    )
    since = sorted(key for key, one in stay.items() if one.started_at > merge.at and not one.adopted)
    data = {"merge_id": merge_id, "from": context.customer_id, "to": merge.source, "stays": since}
    return Change(left, [_told(f"{merge_id}:parted", "identity.unmerged", data, now)])


def _unmasked(context: Context, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Return facts without the marks that only held back what merges had joined, once there are none."""
    if context.merges:
        return facts
    return tuple(fact for fact in facts if fact.state != "rejected" or fact.origin.scope is not None)


# What bears the mark


def _everything(context: Context) -> Part:
    """Return all that a customer has."""
    return Part.model_construct(**{name: getattr(context, name) for name in Part.model_fields})


def part_of(context: Context, merge_id: str) -> Part:
    """Return what a merge brought, and what was told since in it or for it, each thing with its mark."""
    interactions = {k: i for k, i in context.interactions.items() if i.adopted[-1:] == (merge_id,)}
    return Part.model_construct(
        interactions=interactions,
        facts=tuple(fact for fact in context.facts if _bears(fact.origin, merge_id)),
        journeys={k: j for k, j in context.journeys.items() if _bears(j.origin, merge_id)},
        handoffs={k: h for k, h in context.handoffs.items() if h.interaction_id in interactions},
        commitments={k: c for k, c in context.commitments.items() if _bears(c.origin, merge_id)},
        consents=tuple(consent for consent in context.consents if _bears(consent.origin, merge_id)),
    )


def _bears(origin: Origin, merge_id: str) -> bool:
    """Tell whether something came by a merge, as the last of those it came by."""
    return origin.adopted[-1:] == (merge_id,)


def _marked(part: Part, merge_id: str) -> Part:
    """Return a part with a merge's mark on each thing."""
    return part.but(
        interactions={k: i.but(adopted=(*i.adopted, merge_id)) for k, i in part.interactions.items()},
        facts=tuple(_adopted(fact, merge_id) for fact in part.facts),
        journeys={key: _adopted(journey, merge_id) for key, journey in part.journeys.items()},
        commitments={key: _adopted(promise, merge_id) for key, promise in part.commitments.items()},
        consents=tuple(_adopted(consent, merge_id) for consent in part.consents),
    )


def _adopted(thing: Marked, merge_id: str) -> Marked:
    """Return a thing with a merge's mark."""
    return thing.but(origin=thing.origin.but(adopted=(*thing.origin.adopted, merge_id)))


def _back(thing: Marked) -> Marked:
    """Return a thing without the mark of the last merge."""
    return thing.but(origin=thing.origin.but(adopted=thing.origin.adopted[:-1]))


def _without_journey(interaction: Interaction, gone: Collection[str]) -> Interaction:
    """Return an interaction that is not about what is at another customer now."""
    return interaction.but(journey_id=None) if interaction.journey_id in gone else interaction


def _with_merge(context: Context, merge: Merge) -> Context:
    """Return a context with a merge as it stands now."""
    return context.but(merges=context.merges | {merge.merge_id: merge})


def _without_merge(context: Context, merge_id: str) -> Context:
    """Return a context without a merge."""
    return context.but(merges={key: merge for key, merge in context.merges.items() if key != merge_id})


def _told(event_id: str, type_: str, data: dict[str, Any], now: datetime) -> Event:
    """Return the event that tells of a merge, or of its end."""
    return Event(event_id=event_id, type=type_, at=now, assurance=2, data=data)


def still_led(context: Context, merge_id: str) -> set[tuple[str, str]]:
    """Return what leads to a customer also without a merge."""
    return {identifier.what for identifier in _without_merge(context, merge_id).leading}
