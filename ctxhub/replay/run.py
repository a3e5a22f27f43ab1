"""Playing many dialogues, several at a time, each with the hub's knowledge switched on and off."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ctxhub.replay.dialogues import Dialogue, Language
from ctxhub.replay.ivr import Person
from ctxhub.replay.judge import Knowledge
from ctxhub.replay.play import Played, play
from ctxhub.replay.report import Report
from ctxhub.replay.stage import Counter, Stage, set_up
from ctxhub.replay.tenants import TENANTS

#: Called after every play.
Progress = Callable[[Played], None]

_COUNTED_WITHIN = 10.0
_LOOK_AGAIN_AFTER = 0.1
_AREAS = ("212", "305", "312", "415", "512", "602", "617", "702", "713", "818")
_PIN_DIGITS = 6


class Part(NamedTuple):
    """Who plays a dialogue at which tenant."""

    dialogue: Dialogue
    person: Person
    knowledge: Knowledge


async def run(dialogues: list[Dialogue], url: str | None, parallel: int, progress: Progress) -> Report:
    """Play all dialogues, and judge them."""
    began = time.monotonic()
    async with set_up(dialogues, url, parallel) as stage:
        parts, played = cast(dialogues), list[Played]()
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(_play_on(parts, stage, played, progress))
        repeats = await _counted(stage.counter, Report(played, 0, 0).told)
    return Report(played, repeats, time.monotonic() - began)


async def _play_on(parts: Iterator[Part], stage: Stage, played: list[Played], progress: Progress) -> None:
    """Play what is left, one after the other."""
    for part in parts:
        house = stage.houses[part.knowledge]
        house.systems.enrol(part.person)
        played.append(await play(part.dialogue, part.person, house))
        progress(played[-1])


async def _counted(counter: Counter, expected: int) -> int:
    """Return the hub's own count; it runs a little behind, so it has a moment to come to what is expected."""
    give_up_at = time.monotonic() + _COUNTED_WITHIN
    while (repeats := await counter.repeats()) != expected and time.monotonic() < give_up_at:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_AGAIN_AFTER)
    return repeats


def cast(dialogues: list[Dialogue]) -> Iterator[Part]:
    """Give every dialogue a customer of its own at each tenant; every second one has a PIN."""
    first = secrets.randbelow(10**7) * 7
    for number, dialogue in enumerate(dialogues):
        for position, knowledge in enumerate(TENANTS):
            phone = _phone(dialogue.lang, first + 2 * number + position)
            pin = f"{secrets.randbelow(10**_PIN_DIGITS):0{_PIN_DIGITS}}" if number % 2 else None
            yield Part(dialogue, Person(phone, dialogue.lang, pin), knowledge)


def _phone(lang: Language, number: int) -> str:
    """Make up a telephone number such as people have where the language is spoken."""
    if lang == "zh":
        return f"+86138{number % 10**8:08}"
    return f"+1{_AREAS[number % len(_AREAS)]}{2_000_000 + number // len(_AREAS)}"
