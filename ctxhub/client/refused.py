"""What the hub refused for good: kept beside a spool for whoever looks at it, sealed, and never for ever."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from ctxhub.client.sealed import SealedLog
from ctxhub.errors import CustomerUnknown, Lapsed
from ctxhub.model.value import Instant, Value

__all__ = ["Refused", "RefusedWrite"]

log = logging.getLogger(__name__)

#: As old as an event may be that is told: what was refused longer ago could not be told again anyhow.
REFUSED_FOR = timedelta(days=30)
MOST_REFUSED = 1000
#: What says that there is no such customer, or no longer: nothing that was told of it is set aside.
OF_NOBODY = (CustomerUnknown, Lapsed)
_CODES_OF_NOBODY = frozenset(error.code for error in OF_NOBODY)
_NOT_UNDERSTOOD = "not_understood"
_SHOWN_OF_NOBODY = ("what", "kept_at", "customer_id", "interaction_id")


class RefusedWrite(Value):
    """A write that the hub refused for good: what it was, and why; `write` is as it would have been sent.

    Of one that is `not_understood` here, since another version wrote it, `write` has the `content` alone. Of one whose
    customer the hub does not know, or no longer, it has ids and types, and nothing of what was told. `customer_id` says
    of whom it is, as far as that was known.
    """

    write_id: str
    code: str
    detail: str
    refused_at: Instant
    write: dict[str, Any]
    customer_id: str | None = None

    @property
    def of_whom(self) -> str | None:
        """Of which customer it is; None where nobody knows."""
        return self.customer_id or self.write.get("customer_id")


class Refused:
    """The refused writes of one spool; what blocks is done by `run`."""

    def __init__(
        self, kept: SealedLog, run: Callable[..., Awaitable[Any]], clock: Callable[[], datetime],
        lasts: timedelta, most: int,
    ) -> None:  # fmt: skip
        self._log = kept
        self._run = run
        self._clock = clock
        self._lasts = lasts
        self._most = most
        self._writes: list[RefusedWrite] = []

    @property
    def size(self) -> int:
        """How many bytes they take on the disk."""
        return self._log.size

    @property
    def writes(self) -> list[RefusedWrite]:
        """Those whose time is not over, oldest first."""
        since = self._clock() - self._lasts
        lasting = [write for write in self._writes if write.refused_at > since]
        return lasting[max(len(lasting) - self._most, 0) :]

    @property
    def of_whom(self) -> list[str]:
        """The customers of whom one tells something, each once."""
        telling = (write for write in self._writes if write.code not in _CODES_OF_NOBODY)
        return list(dict.fromkeys(write.of_whom for write in telling if write.of_whom))

    async def open(self) -> None:
        """Read what was refused before; `InUse` where another process has it."""
        contents = await self._run(self._log.open)
        self._writes = [_read(content, self._clock()) for content in contents]
        if _written(self._writes) == contents:
            return
        try:  # so that what was not understood grows older from now on, and not from each start
            await self._run(self._log.replace, _written(self._writes))
        except OSError as error:  # as on a full disk: the spool opens all the same
            log.warning("spool.refused_not_rewritten path=%s error=%s", self._log.path, error)

    async def close(self) -> None:
        """Let others open it."""
        await self._run(self._log.close)

    async def put(self, refusals: Sequence[RefusedWrite]) -> list[RefusedWrite]:
        """Set writes aside and return them; one that a crash lets come a second time stands there once."""
        known = {refusal.write_id for refusal in self._writes}
        new = [refusal for refusal in refusals if refusal.write_id not in known]
        await self._run(self._log.append, _written(new))
        self._writes += new
        if len(self._writes) > self._most:
            await self.let_go()
        return new

    async def take_over(self, other: SealedLog) -> None:
        """Add what another spool set aside, which nobody has open, and leave nothing there."""
        left = await self._run(other.open)
        await self.put([_read(content, self._clock()) for content in left])
        if left:
            await self._run(other.replace, [])
        await self._run(other.close)

    async def let_go(self, of: Collection[str] = ()) -> int:
        """Delete those whose time is over, the oldest of too many, and all of these customers; return how many."""
        left = [write for write in self.writes if write.of_whom not in of or write.code in _CODES_OF_NOBODY]
        gone = len(self._writes) - len(left)
        if gone:
            await self._run(self._log.replace, _written(left))
            self._writes = left
            log.warning("spool.refused_let_go path=%s writes=%d", self._log.path, gone)
        return gone

    async def clear(self) -> int:
        """Delete all of them; return how many there were."""
        count = len(self.writes)
        await self._run(self._log.replace, [])
        self._writes = []
        return count


def shown_of(write: Value) -> dict[str, Any]:
    """Return a write as it is shown to whoever looks at what was refused."""
    return write.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude={"key", "write_id"})


def of_nobody(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a write as it is shown without anything that it told."""
    left = {name: shown[name] for name in _SHOWN_OF_NOBODY if name in shown}
    events = [
        {name: event[name] for name in ("event_id", "type") if name in event} for event in shown.get("events", [])
    ]
    return left | {"events": events} if events else left


def not_understood(content: bytes, now: datetime) -> RefusedWrite:
    """Return what another version wrote as something refused; the same content has the same id."""
    return RefusedWrite(
        write_id=hashlib.blake2b(content, digest_size=16).hexdigest(),
        code=_NOT_UNDERSTOOD,
        detail="another version wrote it, and this one can't read it",
        refused_at=now,
        write={"content": content.decode(errors="backslashreplace")},
    )


def _written(writes: Sequence[RefusedWrite]) -> list[bytes]:
    """Return what was refused, as it goes into a file."""
    return [write.model_dump_json().encode() for write in writes]


def _read(content: bytes, now: datetime) -> RefusedWrite:
    """Return what was refused, as a file has it."""
    try:
        refusal = RefusedWrite.model_validate_json(content)
    except ValidationError:
        return not_understood(content, now)
    return refusal.but(write=of_nobody(refusal.write)) if refusal.code in _CODES_OF_NOBODY else refusal
