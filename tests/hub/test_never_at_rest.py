"""Canaries: after everything was told with card numbers in it, no file of the server and no line of the log has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ctxhub.hub import events as events_of
from ctxhub.hub.changes import PLAIN
from ctxhub.hub.hub import Hub
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Telling
from ctxhub.model.never_kept import Cleaned
from ctxhub.settings import Settings
from ctxhub.store.codec import unpacked
from ctxhub.store.embedded import embedded_server
from ctxhub.store.redis import connected
from tests.hub.scenes import WHO, in_one, offer, tell
from tests.model.cards import number
from tests.support import Clock, ways

#: Numbers that nobody else has: 29 for events, one for each other place.
CANARIES = [number(Random(n), "4929", 16) for n in range(36)]
_BULK = re.compile(rb"\$(\d+)\r\n")


async def everything(hub: Hub, canaries: list[str]) -> None:
    """Tell a hub a card number in every way there is."""
    *told, touched, noted, reason, ended, hung_up, card, keyed = canaries
    place = await in_one(hub, touchpoint=f"page {touched}", identifiers=[Identifier(type="card", value=card)])
    types: list[tuple[str, Any]] = [
        ("message.received", lambda n: {"text": f"card {n}"}),
        ("note.added", lambda n: {"text": n}),
        ("input.collected", lambda n: {"prompt": "p", "value": [*n], "mode": "dtmf"}),
        ("fact.stated", lambda n: {"name": f"f{n[-3:]}", "value": {"deep": [n]}}),
        ("x.seen", lambda n: {n: {"n": int(n)}}),
    ]
    for n, canary in enumerate(told):
        type_, data = types[n % len(types)]
        await tell(hub, type_, place, f"e{n}", **data(canary))
    for n, key in enumerate((keyed[:5], keyed[5:11], keyed[11:])):
        await tell(hub, "message.received", place, f"k{n}", text=key)
    await offer(hub, place, reason=f"about {reason}", note=noted)
    await hub.interactions.end(WHO, place, None, ended, PLAIN)
    await tell(hub, "call.ended", await in_one(hub, "x2"), "over", reason=hung_up)


async def run(folder: Path, clock: Clock, canaries: list[str]) -> None:
    """Start a server on a folder, tell it everything, and stop it, with all that it has on the disk."""
    with embedded_server(Settings(data=folder, durability="fast")) as server:
        async with connected(server.url, partitions=8) as redis:
            await everything(Hub(redis, ways(clock)), canaries)
            await redis.call("SAVE")


def held(folder: Path) -> Iterator[bytes]:
    """Yield all that the files of a folder hold, as it stands there and unpacked."""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield content
            yield from _unpacked(content)


def _unpacked(content: bytes) -> Iterator[bytes]:
    """Yield the documents and events among the arguments of an append-only file's commands."""
    for match in _BULK.finditer(content):
        argument = content[match.end() : match.end() + int(match[1])]
        for packed in (argument, argument.split(b" ", 3)[-1]):
            try:
                yield unpacked(packed)
            except Exception:  # most arguments are something else
                continue


def found(folder: Path, canaries: list[str]) -> list[str]:
    """Return the canaries that stand anywhere in a folder."""
    seen = b"\n".join(held(folder))
    return [canary for canary in canaries if canary.encode() in seen]


async def test_no_card_number_is_in_any_file_of_the_server_or_any_line_of_the_log(
    tmp_path: Path, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    await run(tmp_path, clock, CANARIES)
    assert found(tmp_path, CANARIES) == []
    written = capfd.readouterr()
    assert not any(canary in written.out + written.err for canary in CANARIES)


async def test_with_the_filter_off_for_one_event_the_same_scan_finds_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = events_of.cleaned

    def off_for_one(value: Any, *more: Any) -> Cleaned:
        return Cleaned(value) if CANARIES[0] in str(value) else usual(value, *more)

    monkeypatch.setattr(events_of, "cleaned", off_for_one)
    await run(tmp_path, clock, CANARIES)
    assert found(tmp_path, CANARIES) == [CANARIES[0]]


async def test_of_what_was_told_the_scan_sees_the_rest(tmp_path: Path, clock: Clock) -> None:
    with embedded_server(Settings(data=tmp_path, durability="fast")) as server:
        async with connected(server.url, partitions=8) as redis:
            hub = Hub(redis, ways(clock))
            place = await in_one(hub)
            telling = Telling(
                event_id="e1", type="message.received", interaction_id=place, data={"text": "a plain word"}
            )
            await hub.events.tell(WHO, [telling], PLAIN)
    assert any(b"a plain word" in content for content in held(tmp_path))
