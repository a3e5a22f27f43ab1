"""Journeys: steps that must not be done twice are claimed by one worker at a time."""

from __future__ import annotations

from ctxhub.client.transport import Transport, read, segment
from ctxhub.model.claiming import Claim, ClaimRequest
from ctxhub.model.value import Value

__all__ = ["Journeys"]


class _Claimed(Value):
    claim: Claim


class Journeys:
    """What a worker does with a journey's steps."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def claim(self, customer_id: str, journey_id: str, wanted: ClaimRequest) -> Claim:
        """Claim a step before doing it; `ClaimedByAnother` while another worker has it."""
        path = f"/v1/customers/{segment(customer_id)}/journeys/{segment(journey_id)}/claim"
        return read(_Claimed, await self._transport.change("POST", path, wanted)).claim
