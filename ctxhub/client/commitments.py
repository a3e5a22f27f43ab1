"""Commitments: what was promised to customers and must still be kept."""

from __future__ import annotations

from ctxhub.client.transport import Transport, given, read
from ctxhub.model.commitment import CommitmentState, ListedCommitment
from ctxhub.model.value import Value

__all__ = ["Commitments"]


class _Promised(Value):
    commitments: list[ListedCommitment]


class Commitments:
    """Looking at open promises."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(
        self, *, state: CommitmentState | None = None, owner: str | None = None, limit: int | None = None
    ) -> list[ListedCommitment]:
        """Return the open promises of all customers, what is due first, first; for agents and supervisors."""
        wanted = given({"state": state, "owner": owner, "limit": limit})
        return read(_Promised, await self._transport.get("/v1/commitments", wanted)).commitments
