"""The outbox of each partition: what was written, told on at least once, by one leased and fenced relay at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.store.contexts import Who
from ctxhub.store.indexes import millis
from ctxhub.store.lists import NUMBERS_LIVE
from ctxhub.store.redis import Server


class Written(NamedTuple):
    """One write as noted in an outbox: whose, and from which version to which."""

    entry_id: str
    who: Who
    first: int
    last: int


class Tally(NamedTuple):
    """An amount to add to a tenant's counter of a day."""

    tenant: str
    day: date
    counter: str
    amount: int


class Move(NamedTuple):
    """How a consumer's cursor of a partition moves, under which fence, and what is counted in the same step."""

    partition: str
    fence: int
    before: str
    after: str
    tallies: Sequence[Tally] = ()


class Outbox:
    """Reads outboxes and due times partition by partition, and moves cursors under a lease."""

    def __init__(self, server: Server, holder: str) -> None:
        self._server = server
        self._holder = holder

    @property
    def partitions(self) -> list[str]:
        """The names of all partitions."""
        return self._server.keys.every_partition()

    async def lease_all(
        self, now: datetime, span: timedelta, partitions: Sequence[str] | None = None
    ) -> dict[str, int]:
        """Take or keep the relay of partitions, of all unless named; return fences, 0 where somebody else has it."""
        wanted = self.partitions if partitions is None else partitions
        args = [self._holder, millis(now), round(span.total_seconds() * 1000)]
        calls = [([self._server.keys.of_partition(partition, "relay")], args) for partition in wanted]
        fences = await self._server.run_many("lease", calls)
        return {partition: int(fence) for partition, fence in zip(wanted, fences, strict=True)}

    async def cursors(self, partitions: Sequence[str], consumer: str) -> list[str]:
        """Return how far a consumer has read each partition."""
        names = [self._server.keys.of_partition(partition, "cursors") for partition in partitions]
        found = await self._server.pipeline(*[("HGET", name, consumer) for name in names])
        return [cursor.decode() if cursor else "0-0" for cursor in found]

    async def written(self, partitions: Sequence[str], cursors: Sequence[str], most: int) -> list[list[Written]]:
        """Return what was written in each partition after its cursor, oldest first."""
        commands = [
            ("XRANGE", self._server.keys.of_partition(partition, "outbox"), f"({cursor}", "+", "COUNT", most)
            for partition, cursor in zip(partitions, cursors, strict=True)
        ]
        return [[_written(entry) for entry in found] for found in await self._server.pipeline(*commands)]

    async def advance(self, consumer: str, moves: Sequence[Move], consumers: Sequence[str]) -> list[bool]:
        """Move a consumer's cursors, each in one step with its counts; False for each whose lease was lost."""
        lives = round(NUMBERS_LIVE.total_seconds() * 1000)
        calls: list[tuple[list[str], list[Any]]] = []
        for move in moves:
            names = [self._server.keys.of_partition(move.partition, name) for name in ("relay", "cursors", "outbox")]
            args: list[Any] = [self._holder, move.fence, consumer, move.before, move.after, lives, " ".join(consumers)]
            for tally in move.tallies:
                args += self._counted(names, move.partition, tally)
            calls.append((names, args))
        return [bool(done) for done in await self._server.run_many("advance", calls)]

    def _counted(self, names: list[str], partition: str, tally: Tally) -> list[Any]:
        """Return how the script is told to count for the day and for the total, whose keys are put to the others."""
        keys = self._server.keys
        counters = (keys.numbers(partition, tally.tenant, tally.day), keys.numbers_total(partition, tally.tenant))
        return [part for name in counters for part in (_place(names, name), tally.counter, tally.amount)]

    async def stamp(self, partitions: Sequence[str], at: int) -> None:
        """Note when something of partitions was archived, in ms."""
        names = [self._server.keys.of_partition(partition, "cursors") for partition in partitions]
        await self._server.pipeline(*[("HSET", name, "archived_at", at) for name in names], writes=True)

    async def stamps(self) -> list[int]:
        """Return when something of each partition was archived last, in ms; 0 where nothing was."""
        names = [self._server.keys.of_partition(partition, "cursors") for partition in self.partitions]
        found = await self._server.pipeline(*[("HGET", name, "archived_at") for name in names])
        return [int(stamp or 0) for stamp in found]

    async def due(self, partitions: Sequence[str], now: datetime, most: int = 100) -> list[Who]:
        """Return the customers of whom something lapses by now."""
        commands = [
            ("ZRANGE", self._server.keys.of_partition(p, "due"), "-inf", millis(now), "BYSCORE", "LIMIT", 0, most)
            for p in partitions
        ]
        found = await self._server.pipeline(*commands)
        return [Who(*member.decode().split("\n", 1)) for members in found for member in members]

    async def backlog(self, partitions: Sequence[str] | None = None) -> int:
        """Return how many writes wait in outboxes, in all unless named, for whichever consumer is last."""
        wanted = self.partitions if partitions is None else partitions
        names = [self._server.keys.of_partition(partition, "outbox") for partition in wanted]
        return sum(await self._server.pipeline(*[("XLEN", name) for name in names]))

    async def oldest_at(self) -> datetime | None:
        """Return when the oldest write was made that a consumer has not read yet; None where all have read all."""
        of = self._server.keys.of_partition
        firsts = [("XRANGE", of(partition, "outbox"), "-", "+", "COUNT", 2) for partition in self.partitions]
        cursors = [("HGETALL", of(partition, "cursors")) for partition in self.partitions]
        found = await self._server.pipeline(*firsts, *cursors)
        count = len(self.partitions)
        waiting = [ms for pair in zip(found[:count], found[count:], strict=True) if (ms := _unread_since(*pair))]
        return datetime.fromtimestamp(min(waiting) / 1000, tz=UTC) if waiting else None


def _unread_since(entries: Any, cursors: Any) -> int | None:
    """Return since when, in ms, an outbox has something to read; None where it has not.

    Trimming leaves the last entry that all have read. A cursor from before the first entry is that of a consumer that
    is no more.
    """
    ids = [_place_in_time(entry_id) for entry_id, _ in entries]
    values = cursors.values() if isinstance(cursors, dict) else cursors[1::2]
    ours = [at for value in values if b"-" in value and (at := _place_in_time(value)) >= ids[0]] if ids else []
    unread = [at for at in ids if not ours or at > min(ours)]
    return unread[0][0] if unread else None


def _place_in_time(entry_id: bytes) -> tuple[int, int]:
    """Return when an entry was written, in ms, and which it was of those."""
    millis_, _, number = entry_id.partition(b"-")
    return int(millis_), int(number)


def _place(names: list[str], name: str) -> int:
    """Return the place of a key among a script's keys, from 1; one that is not there yet is put at the end."""
    if name not in names:
        names.append(name)
    return names.index(name) + 1


def _written(entry: Any) -> Written:
    """Read one entry of an outbox."""
    entry_id, fields = entry
    pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    tenant, customer_id = pairs[b"c"].decode().split("\n", 1)
    return Written(entry_id.decode(), Who(tenant, customer_id), int(pairs[b"f"]), int(pairs[b"l"]))
