"""How long values and words are kept: the tenant's days, by sensitivity, by kind of journey, and for words alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Annotated, Any

from pydantic import Field

from ctxhub.model.context import Context
from ctxhub.model.disclosure import sensitivity_of
from ctxhub.model.event import Event, Sensitivity
from ctxhub.model.handoff import Handoff
from ctxhub.model.interaction import Interaction
from ctxhub.model.value import Name, Value
from ctxhub.model.words import said_in

Days = Annotated[int, Field(ge=1, le=36_500, strict=True)]
#: In a context, words are as sensitive as what was said: an intent, a note for whoever takes the customer.
_OF_WORDS: Sensitivity = "personal"
_VALUES = "fact."
_JOURNEYS = "journey."


class Retention(Value):
    """After how many days something is taken out, by its sensitivity, the kind of its journey, and for words at all.

    What is not named: never.
    """

    journeys: dict[Name, Days] = {}
    sensitivity: dict[Sensitivity, Days] = {}
    words: Days | None = None

    @property
    def is_declared(self) -> bool:
        """Tell whether anything ends at all."""
        return bool(self._named)

    @property
    def shortest(self) -> timedelta:
        """The shortest of all times; nothing goes sooner than so long after it was told."""
        return timedelta(days=min(self._named))

    @cached_property
    def print(self) -> str:
        """What tells these times from others."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=6).hexdigest()

    @property
    def _named(self) -> list[int]:
        """All times that are declared."""
        return [*self.journeys.values(), *self.sensitivity.values(), *([self.words] if self.words else [])]

    def ends(self, told_at: datetime, sensitivity: str, *kinds: str | None) -> datetime | None:
        """Return when the time of a value is over, the first of all that count; None for never."""
        return _after(told_at, [self.sensitivity.get(sensitivity), *self._of_kinds(kinds)])  # type: ignore[call-overload]

    def words_end(self, told_at: datetime, sensitivity: str, kinds: Iterable[str | None]) -> datetime | None:
        """Return when the time of words is over, counted from the full hour, so that a talk goes in one or two goes."""
        return _after(_hour(told_at), [self.words, self.sensitivity.get(sensitivity), *self._of_kinds(kinds)])  # type: ignore[call-overload]

    def end_of(self, type_: str, data: dict[str, Any], at: datetime, kinds: Iterable[str | None]) -> datetime | None:
        """Return when the time of what an event says is over; None where it says nothing, or for never."""
        if not said_in(type_, data):
            return None
        ends = self.ends(at, sensitivity_of(type_, data), *kinds) if is_value(type_, data) else None
        return ends if is_value(type_, data) else self.words_end(at, sensitivity_of(type_, data), kinds)

    def _of_kinds(self, kinds: Iterable[str | None]) -> list[int | None]:
        """Return the days of some kinds of journeys."""
        return [self.journeys.get(kind or "") for kind in kinds]


KEPT_FOR_EVER = Retention()


def is_value(type_: str, data: dict[str, Any]) -> bool:
    """Tell whether an event tells a fact's value, which has the time of a fact, and not words."""
    return type_.startswith(_VALUES) and "value" in data


def retired(context: Context, retention: Retention, now: datetime) -> tuple[Context, list[str]]:
    """Return the context without facts whose time is over, and their names; a legal hold keeps them all."""
    ends = dict(zip(context.facts, _ends(context, retention), strict=True)) if context.hold is None else {}
    over = [fact for fact, end in ends.items() if end is not None and end <= now]
    left = tuple(fact for fact in context.facts if fact not in over)
    return (context.but(facts=left) if over else context), sorted({fact.name for fact in over})


def without_old_words(context: Context, retention: Retention, now: datetime, live: Collection[str]) -> Context:
    """Return the context without words whose time is over, but for those that live work needs, and under a hold."""
    if context.hold is not None:
        return context

    def is_over(journey_id: str | None, told_at: datetime) -> bool:
        end = retention.words_end(told_at, _OF_WORDS, [kind_of(context, journey_id)])
        return end is not None and end <= now

    interactions = {
        key: one if key in live else _wordless(one, partial(is_over, one.journey_id))
        for key, one in context.interactions.items()
    }
    handoffs = {
        key: _without_texts(one) if one.is_final and is_over(one.journey_id, one.offered_at) else one
        for key, one in context.handoffs.items()
    }
    changed = {"interactions": interactions, "handoffs": handoffs}
    changed = {name: new for name, new in changed.items() if new != getattr(context, name)}
    return context.but(**changed) if changed else context


def live_work(context: Context) -> frozenset[str]:
    """Return the ids of what work that is not done needs: its words stay until then, however old.

    That is each handoff that waits or is held, with its interaction and those that led there, and each open promise.
    An interaction that is open and nothing else is not: a thread of messages never ends.
    """
    waiting = [handoff for handoff in context.handoffs.values() if not handoff.is_final]
    talks = [context.interactions[h.interaction_id] for h in waiting if h.interaction_id in context.interactions]
    ids = [handoff.handoff_id for handoff in waiting] + [handoff.interaction_id for handoff in waiting]
    came = [came.interaction_id for h in waiting for came in (h.redeemed, *h.joined) if came is not None]
    led_there = [interaction_id for talk in talks for interaction_id in talk.lineage]
    promised = [id_ for promise in context.commitments.values() for id_ in (promise.commitment_id, promise.evidence)]
    return frozenset([*ids, *came, *led_there, *promised])


def is_needed(event: dict[str, Any], live: Collection[str]) -> bool:
    """Tell whether live work needs the words of an event."""
    data = event["data"]
    names = (event["event_id"], event.get("interaction_id"), data.get("commitment_id"), data.get("handoff_id"))
    return any(name in live for name in names if isinstance(name, str))


def with_review(context: Context, told: Iterable[Event], retention: Retention) -> Context:
    """Return the context with the time at which the first value or word that it told must be taken out.

    What is told in an open interaction is appended without a look at the context: of such a one the time counts from
    when it began, or was last looked at.
    """
    if not retention.is_declared:
        return context
    ends = [*_ends(context, retention), *(_end_of(context, event, retention) for event in told)]
    ends += [*_ends_of_words(context, retention), *_ends_of_open(context, retention)]
    times = [end for end in (context.review_at, *ends) if end is not None]
    review_at = min(times, default=None)
    return context if review_at == context.review_at else context.but(review_at=review_at)


def looked_at_anew(before: Context | None, context: Context, retention: Retention, now: datetime) -> Context:
    """Return the context due for a look at all it ever told: under other times than before, or with old work done."""
    if not retention.is_declared:
        return context
    if before is None:
        return context.but(reviewed_under=retention.print, reviewed_at=now)
    if context.reviewed_under == retention.print and not _has_freed(before, context, now - retention.shortest):
        return context
    review_at = min(now, context.review_at or now)
    return context if review_at == context.review_at else context.but(review_at=review_at)


def _has_freed(before: Context, context: Context, since: datetime) -> bool:
    """Tell whether work that kept words from before an instant is done; of a talk long over nobody knows how old."""
    freed = live_work(before) - live_work(context)
    begun = {key: handoff.offered_at for key, handoff in before.handoffs.items()}
    for promise in before.commitments.values():
        begun |= {promise.commitment_id: promise.origin.at, promise.evidence: promise.origin.at}
    begun |= {key: talk.started_at for key, talk in before.interactions.items()}
    return any(key not in begun or _hour(begun[key]) <= since for key in freed)


def _ends(context: Context, retention: Retention) -> list[datetime | None]:
    """Return when the time of each fact is over."""
    return [
        retention.ends(fact.origin.at, fact.sensitivity, kind_of(context, fact.journey_id)) for fact in context.facts
    ]


def _end_of(context: Context, event: Event, retention: Retention) -> datetime | None:
    """Return when the time of what an event says is over; with a journey, of all that was said in its interaction."""
    talk = context.interactions.get(event.interaction_id or "")
    if event.type.startswith(_JOURNEYS) and talk is not None:
        kind = event.data.get("kind") or kind_of(context, event.journey_id)
        return retention.words_end(talk.started_at, _OF_WORDS, [kind])
    about = event.journey_id or (talk.journey_id if talk and not is_value(event.type, event.data) else None)
    return retention.end_of(event.type, event.data, event.at, [kind_of(context, about)])


def _ends_of_words(context: Context, retention: Retention) -> Iterator[datetime | None]:
    """Yield when the time of each word in the context is over that no live work needs."""
    live = live_work(context)
    for talk in (one for key, one in context.interactions.items() if key not in live):
        kinds = [kind_of(context, talk.journey_id)]
        yield from (retention.words_end(at, _OF_WORDS, kinds) for at in _said_at(talk))
    for handoff in (one for one in context.handoffs.values() if one.is_final and _without_texts(one) != one):
        yield retention.words_end(handoff.offered_at, _OF_WORDS, [kind_of(context, handoff.journey_id)])


def _ends_of_open(context: Context, retention: Retention) -> Iterator[datetime]:
    """Yield when the first words may be over that are told in each open interaction."""
    for talk in (one for one in context.interactions.values() if one.is_open):
        since = max(filter(None, (talk.started_at, context.reviewed_at)))
        yield _hour(since) + retention.shortest


def _said_at(talk: Interaction) -> list[datetime]:
    """Return when each word was said that an interaction holds: what the customer wants, what a bot is to say."""
    intents = [intent.at or talk.started_at for intent in (talk.intent, talk.shared_intent) if intent is not None]
    return intents + [mark.at for mark in (talk.call.marks if talk.call else ()) if mark.say]


def _wordless(talk: Interaction, is_over: Callable[[datetime], bool]) -> Interaction:
    """Return an interaction without those of its words whose time is over."""
    if not any(is_over(at) for at in _said_at(talk)):
        return talk
    kept = {
        name: None if intent is not None and is_over(intent.at or talk.started_at) else intent
        for name, intent in (("intent", talk.intent), ("shared_intent", talk.shared_intent))
    }
    call = talk.call
    if call is not None:
        call = call.but(marks=tuple(m.but(say=None) if m.say and is_over(m.at) else m for m in call.marks))
    return talk.but(**kept, call=call)


def _without_texts(handoff: Handoff) -> Handoff:
    """Return a handoff without what anybody wrote or is to say."""
    callback = handoff.callback
    if callback is not None:
        callback = callback.but(made=tuple(made.but(reason=None) for made in callback.made))
    return handoff.but(note=None, say=None, draft=None, outcome=None, callback=callback)


def _hour(at: datetime) -> datetime:
    """Return the full hour from which words count that were said at an instant."""
    return at.replace(minute=0, second=0, microsecond=0)


def _after(told_at: datetime, days: Iterable[int | None]) -> datetime | None:
    """Return the instant after the fewest of some days; None where there are none."""
    given = [each for each in days if each is not None]
    return told_at + timedelta(days=min(given)) if given else None


def kind_of(context: Context, journey_id: str | None) -> str | None:
    """Return the kind of an open journey."""
    journey = context.journeys.get(journey_id or "")
    return journey.kind if journey is not None else None
