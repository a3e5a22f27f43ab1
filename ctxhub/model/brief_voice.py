"""How one audience is spoken to: labels in the tenant's words, values, times and parties, put into sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ctxhub.model.brief_words import (
    AN_AGENT,
    CHANNELS,
    METHODS,
    PARTIES,
    PHRASES,
    QUOTED,
    SENTENCES,
    SOURCES,
    UNTRUSTED,
    Audience,
)
from ctxhub.model.fact import SURE_ENOUGH
from ctxhub.model.quoted import fenced, on_one_line, unmarked
from ctxhub.model.spoken import Aloud, Tongue
from ctxhub.model.tenant import Say, Tenant

LONGEST = {"agent": 160, "supervisor": 160, "bot": 160, "ivr": 100}
LONGEST_NAME = 48
_MOST_NAMES = 6
_QUOTES = {"en": "“{}”", "zh": "“{}”"}
_DOUBLE_STOP = re.compile(r"([.!?。！？…])([”\"’]?)[.。]$")


class Told(NamedTuple):
    """A value or a text that somebody told; `name` is that of the fact, if it is one."""

    value: Any
    party: str
    name: str = ""


class Source(NamedTuple):
    """How a value is known, who told it, and how surely."""

    state: str
    party: str
    confidence: float


class Who(NamedTuple):
    """A party, and which of them."""

    party: str
    id: str | None = None


class Said(NamedTuple):
    """What stands in a sentence's place: how it is put into words, and what."""

    how: str
    what: Any


class Voice:
    """Puts what there is to say into sentences for one audience in one language."""

    def __init__(self, audience: Audience, tongue: Tongue, tenant: Tenant, now: datetime) -> None:
        self._audience = audience
        self._tongue = tongue
        self._tenant = tenant
        self._now = now
        self._zone = ZoneInfo(tenant.timezone) if tenant.timezone else None
        self._aloud = Aloud(tongue, tenant.default_region, self._zone)
        self._sentences = SENTENCES[audience][tongue]
        self._phrases = PHRASES[tongue]
        self._ways: dict[str, Callable[[Any], str]] = {
            "fact": self._fact,
            "facts": lambda names: self._listed([self._fact(name) for name in names]),
            "kind": self._kind,
            "step": lambda place: self._step(*place),
            "steps": lambda place: self._listed([self._step(place[0], step) for step in place[1]]),
            "told": self._told,
            "quoted": self._quoted,
            "source": self._source,
            "rivals": self._rivals,
            "channel": self._channel,
            "channels": lambda names: self._phrases["and_then"].join(self._channel(name) for name in names),
            "path": lambda places: self._phrases["and_then"].join(self.words(place) for place in places),
            "age": self._age,
            "span": lambda since: self._span(self._now - since),
            "by": self._by,
            "since": self._since,
            "party": self._party,
            "queue": lambda name: self._phrases["queue"].format(queue=self._id(name)),
            "id": self._id,
            "method": self._method,
            "count": str,
        }

    def has(self, what: str) -> bool:
        """Tell whether this audience is told such a thing."""
        return what in self._sentences

    def sentence(self, what: str, places: dict[str, Said]) -> str:
        """Return a sentence with its places filled."""
        filled = {name: self.words(said) for name, said in places.items()}
        text = _DOUBLE_STOP.sub(r"\1\2", self._sentences[what].format(**filled))
        if self._audience == "ivr":
            text = self._aloud.plain(text)
        return _with_capital(text) if self._tongue == "en" else text

    def words(self, said: Said) -> str:
        """Put one thing into words."""
        return self._ways[said.how](said.what)

    def _fact(self, name: str) -> str:
        """Call a fact as the tenant does, else by its name as words."""
        spec = self._tenant.facts.get(name)
        return self._called(spec.say if spec else {}, name)

    def _kind(self, name: str) -> str:
        """Call a kind of journey as the tenant does, else by its name as words."""
        return self._called(self._tenant.kind(name).say, name)

    def _step(self, kind: str, step: str) -> str:
        """Call a step as the tenant does, else by its name as words."""
        found = next((declared for declared in self._tenant.kind(kind).steps if declared.step == step), None)
        return self._called(found.say if found else {}, step)

    def _called(self, say: Say, name: str) -> str:
        """Return the tenant's word in this language; a bare name is as good as somebody's words."""
        declared = in_tongue(say, self._tongue)
        if declared is not None:
            return _short(declared, self._long())
        return self._named(name)

    def _named(self, name: str) -> str:
        """Write a technical name as words."""
        words = _short(" ".join(re.split(r"[._/\s-]+", name)).strip() or name, self._long())
        return fenced(words) if self._audience == "bot" else words

    def _long(self) -> str:
        """Return what stands for what is too long."""
        return self._phrases["long_spoken" if self._audience == "ivr" else "long"]

    def _id(self, name: str) -> str:
        """Write one of the company's own names: of an agent or a queue."""
        words = _short(name, self._long())
        return unmarked(words) if self._audience == "bot" else words

    def _told(self, told: Told) -> str:
        """Say a value; one that is too long is said to be there."""
        text = plain(told.value, self._tongue, LONGEST[self._audience])
        if text is None:
            return self._long()
        if self._audience == "ivr":
            return self._aloud.value(told.value, told.name)
        is_words = not isinstance(told.value, int | float) and told.value is not None
        if self._audience == "bot":
            return self._fenced(text, told.party) if is_words else text
        return self._aloud.when(text) or text

    def _quoted(self, told: Told) -> str:
        """Say somebody's words as such."""
        text = plain(told.value, self._tongue, LONGEST[self._audience])
        if text is None or self._audience in ("ivr", "bot"):
            return self._told(told)
        return _QUOTES[self._tongue].format(text)

    def _fenced(self, text: str, party: str) -> str:
        """Return somebody's words as a prompt may hold them."""
        label = UNTRUSTED if party in ("customer", "bot") else QUOTED
        return label[self._tongue] + fenced(text)

    def _source(self, source: Source) -> str:
        """Say how a value is known."""
        words = SOURCES[self._tongue]
        if source.state in ("verified", "confirmed", "observed", "inferred"):
            return words[source.state]
        unsure = source.party == "customer" and source.confidence < SURE_ENOUGH
        return words["customer_unsure" if unsure else source.party]

    def _rivals(self, rivals: list[tuple[Told, Source]]) -> str:
        """Say the other values of a fact."""
        said = [
            self._phrases["rival"].format(value=self._told(told), source=self._source(source))
            for told, source in rivals
        ]
        return self._phrases["semicolon"].join(said)

    def _listed(self, names: list[str]) -> str:
        """Return names as a list; of a long one the first, and how many more."""
        if len(names) > _MOST_NAMES:
            more = self._phrases["more"].format(count=len(names) - _MOST_NAMES, total=len(names))
            space = " " if self._tongue == "en" else ""
            return self._phrases["comma"].join(names[:_MOST_NAMES]) + space + more
        if len(names) < 2:
            return "".join(names)
        return self._phrases["comma"].join(names[:-1]) + self._phrases["last_and"] + names[-1]

    def _channel(self, name: str | None) -> str:
        """Call a channel."""
        return CHANNELS[self._tongue].get(name or "desk") or self._named(name or "")

    def _method(self, name: str | None) -> str:
        """Call a way of proving who one is; one that a handoff carried, as it was."""
        bare = (name or "").removeprefix("handoff:")
        return METHODS[self._tongue].get(bare) or self._named(bare or "handoff")

    def _party(self, who: Who) -> str:
        """Call somebody."""
        if who.party == "agent" and who.id is None:
            return AN_AGENT[self._tongue]
        return PARTIES[self._tongue][who.party].format(id=self._id(who.id or "")).strip()

    def _age(self, at: datetime) -> str:
        """Say how long ago something was."""
        passed = self._now - at
        if passed < timedelta(minutes=1):
            return self._phrases["just_now"]
        return self._phrases["ago"].format(span=self._span(passed))

    def _span(self, span: timedelta) -> str:
        """Say a span of time in whole units, never longer than it is but for the first minute."""
        seconds = max(60, int(span.total_seconds()))
        unit, size = next((unit, size) for unit, size, least in _UNITS if seconds >= least)
        n = seconds // size
        return self._phrases[unit if n == 1 else f"{unit}s"].format(n=n)

    def _by(self, due_at: datetime) -> str:
        """Say until when; without the tenant's time zone, in how long."""
        if self._zone is None:
            return self._phrases["within"].format(span=self._span(due_at - self._now))
        return self._phrases["by"].format(when=self._when(due_at, self._zone))

    def _since(self, due_at: datetime) -> str:
        """Say since when something is late; without the tenant's time zone, for how long."""
        if self._zone is None:
            return self._phrases["for"].format(span=self._span(self._now - due_at))
        return self._phrases["since"].format(when=self._when(due_at, self._zone))

    def _when(self, at: datetime, zone: ZoneInfo) -> str:
        """Say an instant as the tenant's clocks and calendars show it."""
        here, today = at.astimezone(zone), self._now.astimezone(zone).date()
        time = self._aloud.clock(here.time()) if self._audience == "ivr" else f"{here:%H:%M}"
        days = (here.date() - today).days
        near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get(days)
        if near is not None:
            return self._phrases["day_and_time"].format(time=time, day=self._phrases[near])
        day = self._aloud.day_of_the_year(here.date()) if abs(days) < 180 else self._aloud.day(here.date())
        return self._phrases["date_and_time"].format(time=time, day=day)


#: A unit, its seconds, and from how many seconds on a span is said in it: up to two hours minutes tell more.
_UNITS = (("day", 86_400, 2 * 86_400), ("hour", 3600, 2 * 3600), ("minute", 60, 60))


def in_tongue(say: Say, tongue: Tongue) -> str | None:
    """Return the sentence in a language, in whatever region's form."""
    return next((text for tag, text in say.items() if tongue_of(tag) == tongue), None)


def tongue_of(tag: str) -> Tongue | None:
    """Return which of our languages a tag such as `zh-CN`, `cmn-Hans` or `en-GB` means."""
    primary = tag.split("-")[0].lower()
    return "zh" if primary in ("zh", "cmn", "yue") else "en" if primary in ("en", "eng") else None


def plain(value: Any, tongue: Tongue, longest: int) -> str | None:
    """Write a value as a person reads it, on one line; None where it is longer than that."""
    text = _written(value, tongue, longest)
    return text if text is not None and len(text) <= longest else None


def _written(value: Any, tongue: Tongue, longest: int) -> str | None:
    """Write a value; what is too long is given up early."""
    if isinstance(value, str):
        return on_one_line(value) if len(value) <= 4 * longest else None
    if isinstance(value, bool) or value is None:
        return PHRASES[tongue]["none" if value is None else "yes" if value else "no"]
    if isinstance(value, int | float):
        return str(value)
    if len(value) > longest:
        return None
    if isinstance(value, dict):
        parts = [(f"{key}: ", _written(part, tongue, longest)) for key, part in value.items()]
    else:
        parts = [("", _written(part, tongue, longest)) for part in value]
    if any(part is None for _, part in parts):
        return None
    return PHRASES[tongue]["comma"].join(f"{before}{part}" for before, part in parts)


def _short(name: str, otherwise: str) -> str:
    """Return a name, or what stands for one that is too long to be said."""
    one_line = on_one_line(name)
    return one_line if len(one_line) <= LONGEST_NAME else otherwise


def _with_capital(text: str) -> str:
    """Begin a sentence with a capital, unless its first word has a spelling of its own."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() else text
