"""The spool: what a channel tells while the hub is away is kept in a sealed file, and sent on in order, once.

    async with ContextHub(url, key, spool=SpoolFile("data/spool/ivr", secret, of="acme")) as hub:
        told = await hub.spool.tell(start, told("message.received", text="hello", interaction_id=None))
        told.kept                         # True: the hub is away, and it will be told later
        hub.spool.pending                 # how much waits
        await hub.spool.drained()         # nothing waits any more
        await hub.spool.refused()         # what the hub refused for good, with the reasons

`hub.spool` writes what needs no answer: events, starts and ends of interactions; asks and handoffs need one, and are
not kept. It is addressed by a customer's id, or by the `Start` of an interaction, which may have begun while the hub
was away: that is found or begun first, and its ids are filled into the events.

- **Once**: event ids and keys are given before anything is sent, so that sending again changes nothing.
- **In order**: first in, first out. While something waits, what is told goes behind it.
- **When it happened**: an event without `at` gets the time at which it was given to the spool.
- **Never kept**: card numbers, codes and passwords are taken out before anything is written; a card among a start's
  identifiers is left out, since only the hub can make it unreadable.
- **Already said**: a bot's `message.sent` is kept as `delivered`; who had the floor is for the hub to judge.
- **Refused for good** (400, 403, 404, 409, 410, 413, 415, 422): set aside beside the spool, sealed too, logged and
  counted; the rest goes on. Of several events told together only those at fault are set aside. All else is tried again.
- **Not for ever**: what was set aside goes after `refused_for`, the oldest of more than `most_refused` at once, and
  within a day what is of somebody whom the hub no longer knows. Of whom it does not know nothing told is set aside.
- **Not understood**: what another version wrote into the file, and this one can't read, is set aside in the same way.

A hub without a `SpoolFile` has this noun as well: it tells at once, and raises `Unavailable` where it can't.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from prometheus_client import Counter, Gauge
from pydantic import Field, ValidationError

from ctxhub.client.events import Told
from ctxhub.client.never_kept import as_spooled, events_without, fields_without, start_without
from ctxhub.client.refused import (
    MOST_REFUSED,
    OF_NOBODY,
    REFUSED_FOR,
    RefusedWrite,
    not_understood,
    of_nobody,
    shown_of,
)
from ctxhub.client.refused import (
    Refused as SetAside,
)
from ctxhub.client.sealed import InUse, SealedLog, clear_set_aside
from ctxhub.client.transport import Pauses, Transport, asked_wait, fit, given, read, segment, written
from ctxhub.errors import (
    CtxhubError,
    Forbidden,
    Invalid,
    Lapsed,
    Refused,
    SpoolFull,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from ctxhub.model.context import Started
from ctxhub.model.event import Telling
from ctxhub.model.interaction import Outcome, Start
from ctxhub.model.value import Instant, Value

__all__ = ["InUse", "RefusedWrite", "Spool", "SpoolFile", "Whose"]

log = logging.getLogger(__name__)
T = TypeVar("T")

#: A customer's id, or how the interaction began that the write is about.
Whose = str | Start

_LIMIT = 64 * 1024 * 1024
_MOST_EVENTS = 100
_NOTED_EVERY = 16
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_REMEMBERED = 1000
_LOOKED_AFTER_EVERY = 86_400.0
_LOOKED_AGAIN_AFTER = 3_600.0
_BEHIND_ALL = 10**15
_FOR_GOOD = (Refused, Unknown, Lapsed, Invalid, Forbidden)

SPOOLED = Counter("ctxhub_spooled", "Writes that a channel's spool kept, sent on, or set aside.", ["became"])
PENDING = Gauge("ctxhub_spool_pending", "Writes that wait for the hub.", multiprocess_mode="livesum")


class _Write(Value):
    """One write as it is kept; `key` is that of somebody else than the spool's own adapter."""

    write_id: str
    what: Literal["start", "tell", "end"]
    kept_at: Instant
    customer_id: str | None = None
    start: Start | None = None
    interaction_id: str | None = None
    events: list[Telling] = []
    ending: dict[str, Any] = {}
    key: str | None = None

    @property
    def about(self) -> tuple[str, ...]:
        """Whose it is, to find out what waits for whom."""
        return _about(self.start or str(self.customer_id))

    def content(self) -> bytes:
        """Write it as it goes into the file."""
        return self.model_dump_json(exclude_unset=True, exclude_none=True).encode()

    def alone(self, event: Telling) -> _Write:
        """Return the same write with one event of several."""
        return self.but(events=[event], write_id=f"{self.write_id}:{event.event_id}")


class _Note(Value):
    """A note of how many of the writes in the file are done."""

    done: Annotated[int, Field(ge=0, strict=True)]


class _Place(NamedTuple):
    """Where an interaction is kept."""

    customer_id: str
    interaction_id: str


class SpoolFile:
    """Where one process keeps what it can't tell: give it to one `ContextHub`.

    `secret` seals it (the same at the next start); `of` says whose hub it is for, beside the hub's address: a file that
    belongs to another is renamed aside, never sent. `limit` is in bytes. With `sync` a write is on the disk before it
    counts as kept; without, it may be lost with the machine's power. Where up to `processes` share a path each takes a
    file of its own (`path`, `path-1`, …), and whoever starts sends what nobody else has open. What was refused for
    good is kept for `refused_for`, and `most_refused` of it; a file that was renamed aside goes after that time, too.
    """

    def __init__(
        self,
        path: Path | str,
        secret: str | bytes,
        *,
        of: str = "",
        limit: int = _LIMIT,
        sync: bool = True,
        processes: int = 1,
        refused_for: timedelta = REFUSED_FOR,
        most_refused: int = MOST_REFUSED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path = Path(path)
        self.clock = clock
        self.limit = limit
        self._of = of
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._sync = sync
        self._refused_for = refused_for
        self._most_refused = most_refused
        self._paths = [self.path.with_name(f"{self.path.name}-{n}" if n else self.path.name) for n in range(processes)]
        self._transport: Transport | None = None
        self._log: SealedLog | None = None
        self._refused: SetAside | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._queue: deque[_Write] = deque()
        self._of_whom: dict[tuple[str, ...], deque[_Write]] = {}
        self._sizes: deque[int] = deque()
        self._done = 0
        self._turn = asyncio.Lock()
        self._keeping: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None
        self._looker: asyncio.Task[None] | None = None
        self._went_on = asyncio.Condition()
        self._places: dict[tuple[str, ...], _Place] = {}

    def belongs_to(self, transport: Transport) -> None:
        """Say by which way, and under which key, it sends."""
        self._transport = transport

    @property
    def pending(self) -> int:
        """How many writes wait."""
        return len(self._queue)

    def pending_of(self, whose: Whose) -> int:
        """How many writes of a customer or an interaction wait."""
        return len(self._of_whom.get(_about(whose), ()))

    async def open(self) -> None:
        """Open the files and begin to send what was left; `InUse` where another process has them."""
        if self._log is not None:
            return
        async with self._turn:
            if self._log is None:
                await self._opened()
        self._wake()

    async def aclose(self) -> None:
        """Stop sending and let others open the files; what waits stays in them."""
        await asyncio.gather(*self._keeping, return_exceptions=True)
        for task in filter(None, (self._sender, self._looker)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._log is None or self._refused is None:
            return
        PENDING.dec(len(self._queue))
        await self._run(self._log.close)
        await self._refused.close()
        self._log = self._refused = None
        self._queue.clear()
        self._of_whom.clear()
        self._sizes.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def keep(self, write: _Write) -> None:
        """Keep a write until it is sent; once begun it is finished, whoever still waits for that."""
        await self.open()
        await asyncio.shield(self._keep_soon(write))

    def keep_for_who_left(self, write: _Write) -> None:
        """Keep a write whose caller can't wait any more."""
        if self._log is not None:
            self._keep_soon(write)

    async def drained(self, whose: Whose | None = None) -> None:
        """Wait until nothing waits any more, or nothing of a customer or an interaction."""
        async with self._went_on:
            await self._went_on.wait_for(lambda: not (self._queue if whose is None else self.pending_of(whose)))

    async def refused(self) -> list[RefusedWrite]:
        """Return what was refused for good, oldest first."""
        await self.open()
        return self._refused.writes if self._refused else []

    async def forget_refused(self) -> int:
        """Delete what was refused, for whoever has looked at it; return how much it was."""
        await self.open()
        async with self._turn:
            return await self._refused.clear() if self._refused else 0

    async def deliver(self, write: _Write) -> Any:
        """Send one write now; return the answer as the hub gave it."""
        assert self._transport is not None
        transport = self._transport if write.key is None else self._transport.under(write.key)
        return await deliver(transport, write, self._places)

    async def _opened(self) -> None:
        """Take the first file that is free, and what was left in it and in others by whoever had them before."""
        left, free = await self._first_free()
        assert self._log is not None
        self._done, odd = await self._take_up(left)
        for path in free:
            odd |= await self._adopt(path)
        if odd:
            await self._rewrite(self._log)
        self._look_after()
        if self._queue:
            log.info("spool.found path=%s writes=%d", self.path, len(self._queue))

    async def _first_free(self) -> tuple[list[bytes], list[Path]]:
        """Open the first file that nobody has; return what is in it, and which files come after it."""
        for number, path in enumerate(self._paths):
            pending = self._sealed(path)
            try:
                left = await self._run(pending.open)
            except InUse:
                if path == self._paths[-1]:
                    raise
                continue
            self.path, self._log = path, pending
            beside = self._sealed(_refused_of(path))
            self._refused = SetAside(beside, self._run, self.clock, self._refused_for, self._most_refused)
            await self._refused.open()
            return left, [other for other in self._paths[number + 1 :] if other.exists()]
        raise InUse(f"{self.path} is shared by no process at all")

    def _sealed(self, path: Path) -> SealedLog:
        """Return one of our files, bound to the hub that it is for."""
        assert self._transport is not None
        name = f"{self._transport.url.rstrip('/')} {self._of}".strip()
        return SealedLog(path, self._secret, name, sync=self._sync)

    async def _adopt(self, path: Path) -> bool:
        """Take over what somebody left in a file of his own; killed on the way, we send it again, to no effect.

        Tells whether something of it was not understood.
        """
        assert self._log is not None
        assert self._refused is not None
        other = self._sealed(path)
        try:
            left = await self._run(other.open)
        except InUse:
            return False
        before = len(self._queue)
        _, odd = await self._take_up(left)
        await self._run(self._log.append, [write.content() for write in list(self._queue)[before:]])
        await self._run(other.replace, [])
        await self._refused.take_over(self._sealed(_refused_of(path)))
        await self._run(other.close)
        return odd

    async def _take_up(self, contents: list[bytes]) -> tuple[int, bool]:
        """Go on with what a file holds: writes, and notes how many of them are done.

        Returns that, and whether something was not understood.
        """
        done = max((_done(content) for content in contents if _is_note(content)), default=0)
        odd: list[RefusedWrite] = []
        for content in [content for content in contents if not _is_note(content)][done:]:
            try:
                self._enqueue(_Write.model_validate_json(content), len(content))
            except ValidationError:
                odd.append(not_understood(content, self.clock()))
            else:
                PENDING.inc()
        if odd:
            await self._put_with_refused(odd)
        return done, bool(odd)

    def _enqueue(self, write: _Write, size: int) -> None:
        """Put a write behind all others, and behind those of the same customer or interaction."""
        self._queue.append(write)
        self._sizes.append(size)
        self._of_whom.setdefault(write.about, deque()).append(write)

    def _dequeue(self) -> None:
        """Take the oldest write away; it is the oldest of its customer or interaction too."""
        about = self._queue.popleft().about
        self._sizes.popleft()
        self._of_whom[about].popleft()
        if not self._of_whom[about]:
            del self._of_whom[about]

    def _keep_soon(self, write: _Write) -> asyncio.Task[None]:
        """Begin to keep a write."""
        task = asyncio.create_task(self._keep(write))
        self._keeping.add(task)
        task.add_done_callback(self._kept)
        return task

    def _kept(self, task: asyncio.Task[None]) -> None:
        """Forget a task that is over; whoever waited for it learns how it ended, and the log in any case."""
        self._keeping.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("spool.full path=%s error=%s", self.path, task.exception())

    async def _keep(self, write: _Write) -> None:
        """Put a write behind the others; what waits already is not kept twice."""
        async with self._turn:
            fresh = self._without_waiting(write)
            if fresh is None or self._log is None:
                return
            content = fresh.content()
            await self._make_room(self._log, len(content))
            try:
                await self._run(self._log.append, [content])
            except OSError as error:
                raise SpoolFull(f"the spool {self.path} can't be written: {error.strerror or error}") from error
            self._enqueue(fresh, len(content))
        PENDING.inc()
        SPOOLED.labels("kept").inc()
        self._wake()

    def _without_waiting(self, write: _Write) -> _Write | None:
        """Return a write without what waits already; None where nothing is left of it."""
        same = [other for other in self._of_whom.get(write.about, ()) if other.what == write.what]
        if write.what != "tell":
            return None if any(other.interaction_id == write.interaction_id for other in same) else write
        waiting = {event.event_id for other in same for event in other.events}
        events = [event for event in write.events if event.event_id not in waiting]
        return write.but(events=events) if events else None

    async def _make_room(self, pending: SealedLog, more: int) -> None:
        """See to it that so many bytes more can be kept; `SpoolFull` where that is too much."""
        assert self._refused is not None
        if pending.size + self._refused.size + more <= self.limit:
            return
        if sum(self._sizes) + self._refused.size + more <= self.limit - self.limit // 8:
            await self._rewrite(pending)
            return
        raise SpoolFull(
            f"the spool {self.path} has reached its limit of {self.limit} bytes", limit=self.limit, pending=self.pending
        )

    async def _rewrite(self, pending: SealedLog) -> None:
        """Write the file anew with what still waits."""
        await self._run(pending.replace, [write.content() for write in self._queue])
        self._done = 0

    def _wake(self) -> None:
        """See to it that somebody sends as long as something waits."""
        if self._queue and (self._sender is None or self._sender.done()):
            # It outlives the call that woke it, and sends what others kept: nothing of that call goes along.
            self._sender = asyncio.create_task(self._send_on(), context=Context())

    async def _send_on(self) -> None:
        """Send what waits, oldest first, as long as it takes."""
        pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        while self._queue:
            try:
                await self._send_first()
            except (CtxhubError, OSError) as error:
                log.info("spool.waits path=%s pending=%d error=%r", self.path, self.pending, error)
                await self._pause((asked_wait(error) or 0.0) + pauses.next())
            else:
                pauses.begin_anew()

    async def _pause(self, seconds: float) -> None:
        """Wait a while, or until somebody else finds the hub back."""
        assert self._transport is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._transport.away.changed()

    async def _send_first(self) -> None:
        """Send the oldest write, or set aside what of it is refused for good."""
        write = self._queue[0]
        refusals = await self._refusals_of(write)
        async with self._turn:
            if refusals:
                await self._put_with_refused(refusals)
            self._dequeue()
            self._done += 1
            try:
                await self._note_done(at_once=bool(refusals))
            except OSError as error:  # as on a full disk: whoever waits must learn of it all the same
                log.warning("spool.not_noted path=%s error=%s", self.path, error)
        PENDING.dec()
        SPOOLED.labels("sent").inc(0 if refusals else 1)
        if not self._queue:
            log.info("spool.drained path=%s", self.path)
        async with self._went_on:
            self._went_on.notify_all()

    async def _refusals_of(self, write: _Write) -> list[RefusedWrite]:
        """Send a write; return what of it was refused for good."""
        try:
            await self.deliver(write)
        except CtxhubError as error:
            if not _is_for_good(error, write):
                raise
            if len(write.events) < 2:
                return [self._refusal(write, error)]
        else:
            return []
        return [refusal for event in write.events for refusal in await self._refusals_of(write.alone(event))]

    def _refusal(self, write: _Write, error: CtxhubError) -> RefusedWrite:
        shown = shown_of(write)
        place = self._places.get(write.about)
        return RefusedWrite(
            write_id=write.write_id,
            code=error.code,
            detail=error.detail,
            refused_at=self.clock(),
            write=of_nobody(shown) if isinstance(error, OF_NOBODY) else shown,
            customer_id=write.customer_id or (place.customer_id if place else None),
        )

    async def _put_with_refused(self, refusals: list[RefusedWrite]) -> None:
        """Set refused writes aside, log and count them."""
        assert self._refused is not None
        new = await self._refused.put(refusals)
        SPOOLED.labels("refused").inc(len(new))
        for refusal in new:
            log.warning("spool.refused path=%s code=%s write=%s", self.path, refusal.code, refusal.write_id)
        self._look_after()

    def _look_after(self) -> None:
        """See to it that neither what was refused nor what was renamed aside stays for ever."""
        if self._looker is None or self._looker.done():
            self._looker = asyncio.create_task(self._look_after_refused(), context=Context())

    async def _look_after_refused(self) -> None:
        """Look after it each day, and soon again where that did not come to its end."""
        while self._refused is not None:
            is_done = False
            try:
                is_done = await self._looked_after(self._refused)
            except OSError as error:  # as on a full disk
                log.warning("spool.not_looked_after path=%s error=%s", self.path, error)
            await asyncio.sleep(_LOOKED_AFTER_EVERY if is_done else _LOOKED_AGAIN_AFTER)

    async def _looked_after(self, refused: SetAside) -> bool:
        """Let go what is over, and what is of somebody who is no longer known; tell whether the hub said of all."""
        async with self._turn:
            await self._run(clear_set_aside, self.path, self.clock() - self._refused_for)
            of_whom = refused.of_whom
        known = {customer_id: await self._is_known(customer_id) for customer_id in of_whom}
        async with self._turn:
            await refused.let_go([customer_id for customer_id, is_known in known.items() if is_known is False])
        return None not in known.values()

    async def _is_known(self, customer_id: str) -> bool | None:
        """Tell whether the hub may know a customer: unless it says that it does not; None where it says nothing now."""
        assert self._transport is not None
        path = f"/v1/customers/{segment(customer_id)}/timeline"
        try:
            await self._transport.get(path, {"after": _BEHIND_ALL, "limit": 1})
        except OF_NOBODY:
            return False
        except (Unavailable, TooMany, OSError):
            return None
        except CtxhubError:
            return True
        return True

    async def _note_done(self, *, at_once: bool) -> None:
        """Note how far it has come; a note that a crash prevents costs sending a few writes again, to no effect."""
        assert self._log is not None
        if not self._queue:
            await self._rewrite(self._log)
        elif at_once or self._done % _NOTED_EVERY == 0:
            await self._run(self._log.append, [json.dumps({"done": self._done}).encode()])

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """Do what blocks in the spool's own thread, one thing after another."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)


class Spool:
    """Telling what needs no answer: at once where the hub is there, else kept and told later."""

    def __init__(self, transport: Transport, file: SpoolFile | None = None, *, own: bool = True) -> None:
        self._transport = transport
        self._file = file
        self._key = None if own else transport.key
        self._places: dict[tuple[str, ...], _Place] = {}

    @property
    def keeps(self) -> bool:
        """Tell whether there is a file to keep anything in."""
        return self._file is not None

    @property
    def pending(self) -> int:
        """How many writes wait for the hub."""
        return self._file.pending if self._file else 0

    def pending_of(self, whose: Whose) -> int:
        """How many writes of a customer or an interaction wait."""
        return self._file.pending_of(whose) if self._file else 0

    async def drained(self, whose: Whose | None = None) -> None:
        """Wait until nothing waits any more, or nothing of a customer or an interaction; put a timeout around it."""
        if self._file is not None:
            await self._file.drained(whose)

    async def refused(self) -> list[RefusedWrite]:
        """Return what the hub refused for good, oldest first."""
        return await self._file.refused() if self._file else []

    async def forget_refused(self) -> int:
        """Delete what was refused, once somebody has looked at it; return how much it was."""
        return await self._file.forget_refused() if self._file else 0

    async def tell(self, whose: Whose, *events: Telling, now: bool = True) -> Told:
        """Tell 1 to 100 events; `kept` in the answer says that the hub is away and they are told later.

        Without `now` nobody waits for the hub: they are kept, and sent from there. About a `Start` they need no
        `interaction_id`. `SpoolFull` where nothing more can be kept.
        """
        if not 1 <= len(events) <= _MOST_EVENTS:
            raise Invalid(f"tell 1 to {_MOST_EVENTS} events together, not {len(events)}")
        answer = await self._write("tell", whose, now, events=[*events])
        return read(Told, answer) if answer is not None else Told(version=0, results=[], kept=True)

    async def start(self, start: Start, *, now: bool = True) -> Started | None:
        """Begin an interaction or find it; None where the hub is away and it is begun later."""
        answer = await self._write("start", start, now)
        return read(Started, answer) if answer is not None else None

    async def end(
        self,
        whose: Whose,
        interaction_id: str | None = None,
        *,
        disposition: str | None = None,
        outcome: Outcome | None = None,
        now: bool = True,
    ) -> bool:
        """End an interaction, behind all that was told of it; False where the hub is away and it is ended later."""
        if isinstance(whose, str) and interaction_id is None:
            raise Invalid("name the interaction that ends, beside its customer")
        ending = given({"disposition": disposition, "outcome": outcome})
        more = given({"interaction_id": interaction_id})
        return await self._write("end", whose, now, ending=ending, **more) is not None

    async def _write(self, what: Literal["start", "tell", "end"], whose: Whose, now: bool, **more: Any) -> Any:
        """Send a write and return the answer, or keep it and return None."""
        write = await self._without(self._made(what, whose, more))
        if now or self._file is None:
            answer = await self._sent(write)
            if answer is not None:
                return answer
        assert self._file is not None
        await self._file.keep(self._as_spooled(write))
        return None

    async def _without(self, write: _Write) -> _Write:
        """Return a write without what is never kept."""
        events = await events_without(self._transport, write.events)
        if events != write.events:
            write = write.but(events=events)
        if write.start is not None:
            write = write.but(start=await start_without(self._transport, write.start))
        return await fields_without(self._transport, write, "ending") if write.ending else write

    def _made(self, what: Literal["start", "tell", "end"], whose: Whose, more: dict[str, Any]) -> _Write:
        """Put a write together; what could never be sent is `Invalid` now."""
        at = self._file.clock() if self._file else datetime.now(UTC)
        more = more | {"events": [_as_kept(event, at) for event in more["events"]]} if "events" in more else more
        named = {"start": whose} if isinstance(whose, Start) else {"customer_id": whose}
        write = _Write(
            write_id=uuid.uuid4().hex, what=what, kept_at=at, **given({"key": self._key}), **named, **more
        )  # fmt: skip
        written(write)
        return write

    async def _sent(self, write: _Write) -> Any:
        """Send a write unless others wait; None where it has to be kept."""
        if self._file is None:
            return await deliver(self._transport, write, self._places)
        await self._file.open()
        if self._file.pending:
            return None
        try:
            return await self._file.deliver(write)
        except (Unavailable, TooMany):
            return None
        except asyncio.CancelledError:
            self._file.keep_for_who_left(self._as_spooled(write))
            raise

    def _as_spooled(self, write: _Write) -> _Write:
        """Return a write as it may stand in a file."""
        if write.start is None:
            return write
        return write.but(start=as_spooled(write.start, self._transport.formats or ()))


def _refused_of(path: Path) -> Path:
    """Return where a spool's refused writes stand."""
    return path.with_name(f"{path.name}.refused")


def _is_note(content: bytes) -> bool:
    """Tell whether a content is a note of how many writes are done."""
    return content.startswith(b'{"done"')


def _done(note: bytes) -> int:
    """Return how many writes a note calls done; one that can't be read none, for sending again changes nothing."""
    try:
        return _Note.model_validate_json(note).done
    except ValidationError:
        return 0


async def deliver(transport: Transport, write: _Write, places: dict[tuple[str, ...], _Place]) -> Any:
    """Send one write, found or begun first what it is about; `places` remembers where that was."""
    if write.what == "start":
        response = await transport.change("POST", "/v1/interactions", write.start, key=write.write_id)
        _remember(places, write.about, read(Started, response))
        return response
    place = await _place(transport, write, places)
    if write.what == "end":
        path = f"/v1/customers/{segment(place.customer_id)}/interactions/{segment(place.interaction_id)}/end"
        return await transport.change("POST", path, write.ending, key=fit(write.write_id))
    at_home = {"interaction_id": place.interaction_id} if write.start else {}
    events = [Telling(**event.model_dump(exclude_unset=True) | at_home) for event in write.events]
    return await transport.tell("POST", f"/v1/customers/{segment(place.customer_id)}/events", {"events": events})


async def _place(transport: Transport, write: _Write, places: dict[tuple[str, ...], _Place]) -> _Place:
    """Return where a write belongs; an interaction that has not begun begins now."""
    if write.start is None:
        return _Place(str(write.customer_id), write.interaction_id or "")
    if write.about not in places:
        response = await transport.change("POST", "/v1/interactions", write.start, key=f"{write.write_id}:start")
        _remember(places, write.about, read(Started, response))
    return places[write.about]


def _remember(places: dict[tuple[str, ...], _Place], about: tuple[str, ...], started: Started) -> None:
    """Note where an interaction is kept, among the last so many."""
    places.pop(about, None)
    places[about] = _Place(started.customer_id, started.interaction.interaction_id)
    if len(places) > _REMEMBERED:
        del places[next(iter(places))]


def _about(whose: Whose) -> tuple[str, ...]:
    return (whose.of_system, whose.external_id) if isinstance(whose, Start) else (whose,)


def _as_kept(event: Telling, at: datetime) -> Telling:
    """Return an event with its time; what a bot says has been said by the time the hub hears of it."""
    dated = event if event.at is not None else Telling(**event.model_dump(exclude_unset=True) | {"at": at})
    if event.type != "message.sent" or event.party not in (None, "bot"):
        return dated
    said = {name: value for name, value in event.data.items() if name != "fence"} | {"delivered": True}
    return Telling(**dated.model_dump(exclude_unset=True) | {"data": said})


def _is_for_good(error: CtxhubError, write: _Write) -> bool:
    """Tell whether sending again is of no use; the adapter's own key may yet be put right."""
    if isinstance(error, Unauthenticated):
        return write.key is not None
    return isinstance(error, _FOR_GOOD)
