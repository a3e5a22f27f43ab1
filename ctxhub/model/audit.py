"""The audit trail: who saw or changed what of whom, why and when; chained so that a cut or a change shows.

Each entry's link is an HMAC-SHA256 over the link before it, its number and its text. Whoever lacks the key can neither
make a link nor hide that one is missing. What was cut off at the end is seen by an anchor: the number and the link that
the chain once had, sealed and kept elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import Field

from ctxhub.model.value import Instant, Level, Name, Value, rfc3339

Outcome = Literal["done", "refused"]
Role = Literal["adapter", "agent", "supervisor", "admin", "operator"]

FIRST = "0" * 32
_LINK = 32


class Entry(Value):
    """One line of the trail. The customer stands in it as a pseudonym, so that the line outlives being forgotten.

    `shown`, `masked` and `withheld` name the facts that a person's answer held; machines' answers are told by version
    and level alone. `source` is the address that the call came from. What a call named is noted as it named it, even
    where nothing goes by that.
    """

    at: Instant
    action: Name
    by: Name
    role: Role
    agent_id: str | None = None
    customer: str | None = None
    interaction_id: str | None = None
    version: int | None = None
    level: Level | None = None
    shown: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    about: dict[str, Any] = {}
    reason: str | None = None
    source: str | None = None
    outcome: Outcome = "done"

    @property
    def customers(self) -> tuple[str, ...]:
        """Whom it is about, by their pseudonyms; a list may name several."""
        listed: list[str] = self.about.get("customers", [])
        return (*listed,) if self.customer is None else (self.customer, *listed)

    @property
    def concerns(self) -> tuple[Any, ...]:
        """Those, who was merged into the customer, and to whom an interaction went."""
        return (*self.customers, self.about.get("from"), self.about.get("to"))


class Linked(NamedTuple):
    """An entry in its place: its number in the chain, its link, and its text as it was chained."""

    sequence: int
    link: str
    text: bytes

    @property
    def entry(self) -> Entry:
        """The entry itself."""
        return Entry.model_validate_json(self.text)


class Head(NamedTuple):
    """The end of a chain, or where one begins whose older part was let go: the number and link of the last entry."""

    sequence: int = 0
    link: str = FIRST


class Anchor(Value):
    """Where a chain once ended, sealed: kept apart from it, so that nobody can shorten it unseen."""

    sequence: Annotated[int, Field(ge=0)]
    link: str
    at: Instant
    seal: str

    @property
    def head(self) -> Head:
        """The end that it attests."""
        return Head(self.sequence, self.link)


class Broken(NamedTuple):
    """Where a chain is broken, and how: the number of the first entry that is not as it was."""

    sequence: int
    why: str


def text_of(entry: Entry) -> bytes:
    """Return an entry as it is chained: JSON with its keys in order, without what is empty."""
    said = entry.__dict__ if entry.outcome != "done" else entry.__dict__ | {"outcome": None}
    return text_with(said)


def text_with(said: Mapping[str, Any]) -> bytes:
    """Return the text of an entry whose parts are given by their names; none of them is checked."""
    parts = {name: part for name, part in said.items() if part or part == 0}
    return orjson.dumps(parts | {"at": rfc3339(said["at"])}, option=orjson.OPT_SORT_KEYS)


class Line(NamedTuple):
    """The text of an entry that is noted again and again: what stands before its instant, up to its version, behind."""

    before: bytes
    between: bytes
    version: int
    after: bytes

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Line:
        """Return the line of an entry's parts, given by their names, a version among them."""
        at = b'"at":"' + rfc3339(said["at"]).encode() + b'"'
        before, _, rest = text_with(said).partition(at)
        between, _, after = rest.rpartition(b'"version":%d' % said["version"])
        return cls(before + b'"at":"', b'"' + between + b'"version":', said["version"], after)

    def text(self, at: datetime) -> bytes:
        """Return the text with an instant."""
        return b"%b%b%b%d%b" % (self.before, rfc3339(at).encode(), self.between, self.version, self.after)

    def around(self, at: datetime) -> tuple[bytes, bytes]:
        """Return what stands before the version and what behind, with an instant."""
        return b"%b%b%b" % (self.before, rfc3339(at).encode(), self.between), self.after


def chained(key: bytes, head: Head, texts: Iterable[bytes]) -> list[Linked]:
    """Return entries' texts in their places after a head."""
    linked: list[Linked] = []
    for text in texts:
        head = Head(head.sequence + 1, _link(key, head, text))
        linked.append(Linked(head.sequence, head.link, text))
    return linked


def _link(key: bytes, before: Head, text: bytes) -> str:
    """Return the link of the entry that follows a head."""
    said = f"{before.link}\n{before.sequence + 1}\n".encode() + text
    return hmac.digest(key, said, "sha256").hex()[:_LINK]


def anchored(key: bytes, head: Head, at: Any, purpose: str = "anchor") -> Anchor:
    """Attest where a chain ends, or, for the purpose `start`, after which entry it begins by now."""
    return Anchor(sequence=head.sequence, link=head.link, at=at, seal=_seal(key, head, purpose))


def is_genuine(key: bytes, anchor: Anchor, purpose: str = "anchor") -> bool:
    """Tell whether an anchor was made with this key."""
    return hmac.compare_digest(_seal(key, anchor.head, purpose).encode(), anchor.seal.encode())


def _seal(key: bytes, head: Head, purpose: str) -> str:
    """Return the seal of an anchor."""
    return hmac.new(key, f"{purpose}\n{head.sequence}\n{head.link}".encode(), hashlib.sha256).hexdigest()[:_LINK]


def verify(
    key: bytes, entries: Sequence[Linked], anchors: Sequence[Anchor] = (), start: Head | None = None
) -> Broken | None:
    """Return where a chain is first broken; None where every entry is as it was, and no anchor says otherwise."""
    forged = next((anchor for anchor in anchors if not is_genuine(key, anchor)), None)
    if forged is not None:
        return Broken(forged.sequence, "an anchor of it is not genuine")
    begins = start or Head()
    attested = {anchor.sequence: anchor.link for anchor in anchors}
    head = begins
    for entry in entries:
        fault = _fault(key, head, entry) or _at_anchor(entry, attested)
        if fault is not None:
            return Broken(head.sequence + 1, fault)
        head = Head(entry.sequence, entry.link)
    missing = min((at for at in attested if at > head.sequence), default=None)
    return None if missing is None else Broken(head.sequence + 1, f"an anchor says that it went on to {missing}")


def _fault(key: bytes, head: Head, entry: Linked) -> str | None:
    """Say what is wrong with the entry that follows a head."""
    if entry.sequence != head.sequence + 1:
        return f"entry {head.sequence + 1} is missing, {entry.sequence} stands there"
    if not hmac.compare_digest(_link(key, head, entry.text).encode(), entry.link.encode()):
        return "it, or what stood before it, was changed"
    return None


def _at_anchor(entry: Linked, attested: dict[int, str]) -> str | None:
    """Say whether an anchor attests another link here."""
    link = attested.get(entry.sequence, entry.link)
    return None if link == entry.link else "an anchor attests another entry here"


def _facts_in(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the facts of an answer: of a context by their names, of a reveal as they stand in a list."""
    context = answer.get("context", answer) if isinstance(answer, dict) else {}
    facts = context.get("facts") if isinstance(context, dict) else None
    if isinstance(facts, list):
        return [(fact["name"], fact) for fact in facts]
    return list((facts or {}).items())


def names_seen(answer: Any) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the facts that an answer shows, masks and withholds.

    It may be a context, an accept, asks, or a page of a timeline, whose names come once each.
    """
    shown: list[str] = []
    masked: list[str] = []
    withheld: list[str] = []
    for name, fact in _facts_in(answer):
        place = masked if fact.get("masked") is not None else withheld if fact.get("withheld") else shown
        place.append(name)
    for judged in answer.get("answers", ()) if isinstance(answer, dict) else ():
        if judged.get("masked") is not None:
            masked.append(judged["name"])
        elif judged["verdict"] != "ask":
            (withheld if judged["verdict"] == "withheld" else shown).append(judged["name"])
    for event in answer.get("events", ()) if isinstance(answer, dict) else ():
        told, place = _told_in(event), withheld if event["data"].get("withheld") else shown
        if told is not None and told not in place:
            place.append(told)
    return shown, masked, withheld


def _told_in(event: dict[str, Any]) -> str | None:
    """Return the name of what an event of a timeline tells: a fact's, or the prompt's at which something was given."""
    name = event["data"].get("name") if event["type"].startswith("fact.") else event["data"].get("prompt")
    return name if isinstance(name, str) else None
