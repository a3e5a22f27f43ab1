"""The two tenants that dialogues are played at: one where the hub tells what it knows, one where it does not.

Both declare one kind of journey per service, with every fact that the dialogues state about it. What is spoken of
a fact or a service is made from its name, so a player that hears a sentence finds the name again, as a person would.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ctxhub.replay.dialogues import LANGUAGES, Language
from ctxhub.replay.judge import Knowledge

#: The tenants, by what their hub may tell.
TENANTS: dict[Knowledge, str] = {"on": "replay", "off": "replay-off"}
QUEUE = "people"
STEP = "details"


class Hooks(NamedTuple):
    """The tenant's own systems, and the variable of the hub that holds what both sides sign with."""

    sms: str
    pin: str
    signing_env: str


class Labels:
    """What facts are called aloud in one language, and which fact a sentence speaks of."""

    def __init__(self, names: Iterable[str], language: Language) -> None:
        self._labels = _distinct(list(names), language)
        self._by_length = sorted(self._labels, key=lambda name: len(self._labels[name]), reverse=True)

    def __getitem__(self, name: str) -> str:
        return self._labels[name]

    def name_in(self, sentence: str) -> str | None:
        """Return the fact that a sentence names; of several that fit, the one with the longest label."""
        return next((name for name in self._by_length if self._labels[name] in sentence), None)

    def told_in(self, sentence: str) -> tuple[str | None, str]:
        """Return the fact that a sentence names before a colon, and all that follows the colon."""
        for name in self._by_length:
            _, found, value = sentence.replace("：", ":", 1).partition(f"{self._labels[name]}:")
            if found:
                return name, value.strip()
        return None, ""


def labels_of(services: Mapping[str, list[str]], language: Language) -> Labels:
    """Return the labels of all facts of these services."""
    return Labels((name for names in services.values() for name in names), language)


def kinds_of(services: Mapping[str, list[str]], language: Language) -> Labels:
    """Return the labels of the services themselves."""
    return Labels(services, language)


def declare(services: Mapping[str, list[str]], knowledge: Knowledge, hooks: Hooks) -> dict[str, Any]:
    """Return a tenant's declarations as they stand in its file."""
    facts = {language: labels_of(services, language) for language in LANGUAGES}
    kinds = {language: kinds_of(services, language) for language in LANGUAGES}
    return {
        "languages": list(LANGUAGES),
        "journeys": [
            {
                "kind": service,
                "say": _say(kinds, service),
                "steps": [{"step": STEP, "facts": names, "say": _say(kinds, service)}],
            }
            for service, names in services.items()
        ],
        "facts": {name: {"say": _say(facts, name)} for names in services.values() for name in names},
        "queues": {QUEUE: {"routing": "hub"}},
        "channels": {"ivr": _ivr(hooks), "chat": {"queue": QUEUE}},
        # An agent here serves as many customers in a minute as one of flesh and blood in a day.
        "policies": {"knowledge": knowledge, "customers_in_ten_minutes": 1_000_000},
    }


def write(folder: Path, services: Mapping[str, list[str]], hooks: Hooks) -> None:
    """Put the files of both tenants into the folder, each in one step, so that a hub never reads half of one."""
    for knowledge, tenant in TENANTS.items():
        text = yaml.safe_dump(declare(services, knowledge, hooks), allow_unicode=True, sort_keys=False)
        half = folder / f".{tenant}.half"
        half.write_text(text, encoding="utf-8")
        os.replace(half, folder / f"{tenant}.yaml")


def remove(folder: Path) -> None:
    """Take the files of both tenants out of the folder."""
    for tenant in TENANTS.values():
        (folder / f"{tenant}.yaml").unlink(missing_ok=True)


def _ivr(hooks: Hooks) -> dict[str, Any]:
    return {
        "auth_token_env": hooks.signing_env,
        "queue": QUEUE,
        "pin_hook": hooks.pin,
        "pin_hook_secret_env": hooks.signing_env,
        "sms_hook": hooks.sms,
        "sms_hook_secret_env": hooks.signing_env,
    }


def _say(labels: Mapping[Language, Labels], name: str) -> dict[str, str]:
    return {language: label[name] for language, label in labels.items()}


def _distinct(names: list[str], language: Language) -> dict[str, str]:
    """Call each name by the shortest words that no other name has: without numbers, with them, or as it is."""
    labels = {name: name for name in names}
    for numbered in (True, False):
        spoken = {name: _spoken(name, language, numbered) for name in names}
        times = Counter(spoken.values())
        labels |= {name: words for name, words in spoken.items() if times[words] == 1}
    times = Counter(labels.values())
    return {name: label if times[label] == 1 else name for name, label in labels.items()}


def _spoken(name: str, language: Language, numbered: bool) -> str:
    """Make words of a name: `Buses_1.leaving_date` is the Buses leaving date, or the Buses 1 leaving date."""
    service, _, rest = (re.sub(r"[_/]+", " ", part).strip() for part in name.partition("."))
    service = service if numbered else re.sub(r" \d+$", "", service)
    if not rest:
        return service or name
    return f"{service}的{rest}" if language == "zh" else f"{service} {rest}"
