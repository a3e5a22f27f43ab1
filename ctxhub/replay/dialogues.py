"""Recorded dialogues: how they are read, and how each is split over the channels it is played on."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

Language = Literal["en", "zh"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Told = Annotated[str, StringConstraints(min_length=1, strict=True, pattern=r"\S")]

LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Recorded(BaseModel):
    """A value as it stands in a file of dialogues; fields that the player has no use for are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Turn(Recorded):
    """What one side said at once; `informs` are the facts that a customer states with it."""

    speaker: Literal["customer", "assistant"]
    text: str
    informs: dict[Name, Told] = {}
    intent: Name | None = None

    @property
    def services(self) -> list[str]:
        """The services that it is about, in the order they come up."""
        named = [self.intent] if self.intent else []
        return list(dict.fromkeys(service_of(name) for name in [*named, *self.informs]))


class Part(NamedTuple):
    """The turns that are played on one channel."""

    turns: tuple[Turn, ...]

    @property
    def said(self) -> list[Turn]:
        """What the customer says in it."""
        return [turn for turn in self.turns if turn.speaker == "customer"]

    @property
    def facts(self) -> dict[str, str]:
        """What the customer states in it, by name: the latest value, in the order the names first came up."""
        facts: dict[str, str] = {}
        for turn in self.said:
            facts.update(turn.informs)
        return facts

    @property
    def services(self) -> list[str]:
        """The services that the customer turns to in it, in the order they come up."""
        return list(dict.fromkeys(service for turn in self.said for service in turn.services))


class Dialogue(Recorded):
    """One recorded conversation of a customer with a service."""

    id: Name
    lang: Language
    turns: list[Turn]

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """Its turns, split at one and at two thirds."""
        third, two_thirds = len(self.turns) // 3, 2 * len(self.turns) // 3
        first, second, last = self.turns[:third], self.turns[third:two_thirds], self.turns[two_thirds:]
        return Part(tuple(first)), Part(tuple(second)), Part(tuple(last))

    @property
    def whole(self) -> Part:
        """All of it as one part."""
        return Part(tuple(self.turns))

    def told_before(self, hop: int) -> dict[str, str]:
        """What the customer has told by a hop (1 or 2): the latest value of every name."""
        return Part(tuple(turn for part in self.parts[:hop] for turn in part.turns)).facts


class BadFile(Exception):
    """The file can't be played; the message names every bad line that was found, by number."""


def service_of(name: str) -> str:
    """Return the service that a fact or an intent belongs to: what stands before the first dot."""
    return name.partition(".")[0]


def read(path: Path, limit: int | None = None) -> list[Dialogue]:
    """Read the first dialogues of a `.jsonl` or `.jsonl.gz` file; `BadFile` names the lines that are none."""
    dialogues: list[Dialogue] = []
    faults: list[str] = []
    try:
        for number, line in _lines(path, limit):
            _read_line(number, line, dialogues, faults)
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"{path} can't be read: {error}") from error
    if faults:
        raise BadFile("\n".join(f"{path}: {fault}" for fault in faults))
    if not dialogues:
        raise BadFile(f"{path} holds no dialogue")
    return dialogues


def facts_by_service(dialogues: Iterable[Dialogue]) -> dict[str, list[str]]:
    """List the services that customers turn to, each with every fact they state about it, the most frequent first."""
    wholes = [dialogue.whole for dialogue in dialogues]
    frequent = Counter(name for part in wholes for name in part.facts)
    found: dict[str, list[str]] = {service: [] for part in wholes for service in part.services}
    for name, _ in frequent.most_common():
        found[service_of(name)].append(name)
    return found


def _lines(path: Path, limit: int | None) -> Iterator[tuple[int, bytes]]:
    """Give the lines that hold something, with their numbers; no more than `limit` of them."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        filled = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        yield from islice(filled, limit)


def _read_line(number: int, line: bytes, dialogues: list[Dialogue], faults: list[str]) -> None:
    """Add the dialogue of one line, or what is wrong with it."""
    try:
        dialogues.append(Dialogue.model_validate_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        faults.append(f"line {number}: {where + ': ' if where else ''}{first['msg']}")
