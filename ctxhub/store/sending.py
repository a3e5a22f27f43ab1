"""How commands are sent: each to whoever takes it, and again only where it was refused before it began."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis import exceptions

from ctxhub.errors import OutcomeUnknown
from ctxhub.store.fuse import LeftInPeace
from ctxhub.store.joined import Command, NotSent
from ctxhub.store.nodes import Fleet, Node

#: Pauses before a command is sent again, in seconds: no more than a caller can wait.
_PAUSES = (0.0, 0.01, 0.03, 0.1, 0.2)
_PATIENCE = 1.0
_ELSEWHERE = (exceptions.ReadOnlyError, exceptions.ClusterDownError, NotSent, LeftInPeace)
#: Refusals of a command that was not begun: to send it once more can't do it twice.
_NOT_BEGUN = (exceptions.NoScriptError, exceptions.AskError, exceptions.TryAgainError, *_ELSEWHERE)
_SUSPICIOUS = (*_ELSEWHERE, exceptions.ConnectionError, exceptions.TimeoutError, OSError, OutcomeUnknown)


class Sender:
    """Sends commands to a fleet. What may have been done is never sent twice."""

    def __init__(self, fleet: Fleet, scripts: Mapping[str, str], replicas: int) -> None:
        self._fleet = fleet
        self._scripts = scripts
        self._replicas = replicas

    @property
    def confirms(self) -> bool:
        """Tell whether writes are acknowledged only when replicas have them."""
        return self._replicas > 0

    async def load(self, node: Node) -> None:
        """Let a server have the scripts."""
        await asyncio.gather(*node.ask([("SCRIPT", "LOAD", text) for text in self._scripts.values()]))

    async def answers(self, commands: Sequence[Command], writes: bool) -> list[Any]:
        """Send commands, which need not share a server; answers and refusals come in their order."""
        only = self._fleet.only
        if only is None or (writes and self._replicas):
            round_ = _Round(self._fleet.version, {})
            return await self._insisted(commands, writes, [None] * len(commands), [*range(len(commands))], round_)
        answers = await _straight(only, commands)
        refused = [_Refused(n, only, a) for n, a in enumerate(answers) if isinstance(a, _NOT_BEGUN)]
        if not refused:
            return answers
        round_ = _Round(self._fleet.version, {})
        left = await self._mended(refused, round_, 0.0)
        return await self._insisted(commands, writes, answers, left, round_) if left else answers

    async def _insisted(
        self, commands: Sequence[Command], writes: bool, answers: list[Any], left: list[int], round_: _Round
    ) -> list[Any]:
        """Send what is left of some commands, and what was refused before it began once more; return all answers."""
        for pause in (*_PAUSES, None):
            refused = await self._sent(commands, left, answers, round_, writes)
            if not refused or pause is None or time.monotonic() > round_.ends_at:
                break
            left = await self._mended(refused, round_, pause)
            if not left:
                break
        if any(isinstance(answer, _SUSPICIOUS) for answer in answers):
            self._fleet.look_soon()
        return answers

    async def _sent(
        self, commands: Sequence[Command], left: Sequence[int], answers: list[Any], round_: _Round, writes: bool
    ) -> list[_Refused]:
        """Send what is left, note the answers, and return who refused what before it began."""
        asking, plain = [n for n in left if n in round_.asking], [n for n in left if n not in round_.asking]
        parts = [(round_.asking[n], [n]) for n in asking]
        parts += [
            (node, [plain[at] for at in places]) for node, places in self._fleet.spread([commands[n] for n in plain])
        ]
        found = await asyncio.gather(
            *(self._at(node, [commands[n] for n in part], part[0] in round_.asking, writes) for node, part in parts)
        )
        refused = []
        for (node, part), told in zip(parts, found, strict=True):
            for n, answer in zip(part, told, strict=True):
                answers[n] = answer
                if isinstance(answer, _NOT_BEGUN):
                    refused.append(_Refused(n, node, answer))
        return refused

    async def _at(self, node: Node, commands: Sequence[Command], asking: bool, writes: bool) -> list[Any]:
        """Send commands to one server, unless it is left in peace just now."""
        try:
            return await self._told(node, commands, asking, writes)
        except LeftInPeace as refusal:
            return [refusal] * len(commands)

    async def _told(self, node: Node, commands: Sequence[Command], asking: bool, writes: bool) -> list[Any]:
        """Send commands to one server; where replicas must have writes too, wait for them on the same connection."""
        told = [("ASKING",), *commands] if asking else commands
        if not (writes and self.confirms):
            answers = await asyncio.gather(*node.ask(told), return_exceptions=True)
            return answers[1:] if asking else answers
        futures, reached = node.ask_confirmed(told)
        *answers, count = await asyncio.gather(*futures, reached, return_exceptions=True)
        if isinstance(count, BaseException) or count < self._replicas:
            answers = [answer if isinstance(answer, BaseException) else _unconfirmed() for answer in answers]
        return answers[1:] if asking else answers

    async def _mended(self, refused: Sequence[_Refused], round_: _Round, pause: float) -> list[int]:
        """See to what was in the way; return what may be sent again."""
        await self._scripts_where_missing(refused)
        round_.asking = {}
        again = [n for n, node, refusal in refused if await self._is_worth(n, node, refusal, round_)]
        if again:
            await asyncio.sleep(pause)
        return again

    async def _is_worth(self, n: int, node: Node, refusal: Exception, round_: _Round) -> bool:
        """Tell whether to send a command again; where another server was named, that one is asked."""
        if isinstance(refusal, exceptions.AskError):
            other = self._fleet.moved(refusal, node)
            if other is not None and not isinstance(refusal, exceptions.MovedError):
                round_.asking[n] = other
            return other is not None
        if isinstance(refusal, _ELSEWHERE):
            return await self._has_changed(round_)
        return True

    async def _has_changed(self, round_: _Round) -> bool:
        """Tell whether the servers are others than those that were asked; it is looked once for one caller."""
        if self._fleet.version == round_.version and not round_.has_looked:
            round_.has_looked = True
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, round_.ends_at - time.monotonic())):
                    await self._fleet.look()
        return self._fleet.version != round_.version

    async def _scripts_where_missing(self, refused: Sequence[_Refused]) -> None:
        """Load the scripts on servers that have lost them, or have just begun to take writes."""
        for node in {node for _, node, refusal in refused if isinstance(refusal, exceptions.NoScriptError)}:
            with suppress(exceptions.RedisError, OSError, TimeoutError):
                await self.load(node)


class _Refused(NamedTuple):
    """A command, by its position, which a server refused before it began."""

    position: int
    node: Node
    refusal: Exception


class _Round:
    """What one caller has found out while its commands are sent."""

    def __init__(self, version: int, asking: dict[int, Node]) -> None:
        self.version = version
        self.asking = asking
        self.has_looked = False
        self.ends_at = time.monotonic() + _PATIENCE


async def _straight(node: Node, commands: Sequence[Command]) -> list[Any]:
    """Return the answers and refusals of the one server there is, with nothing in between."""
    try:
        futures = node.ask(commands)
    except LeftInPeace as refusal:
        return [refusal] * len(commands)
    if len(futures) > 1:
        return await asyncio.gather(*futures, return_exceptions=True)
    try:
        return [await futures[0]]
    except Exception as refusal:  # whatever it is, the caller looks at it
        return [refusal]


def _unconfirmed() -> OutcomeUnknown:
    """Return what is said of a write that no replica has in time."""
    return OutcomeUnknown("not enough replicas confirmed the write in time")
