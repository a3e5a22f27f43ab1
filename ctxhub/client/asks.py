"""Asks: may this be asked, or has the customer said it before?"""

from __future__ import annotations

from collections.abc import Sequence

from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.fact import Answer
from ctxhub.model.value import Value

__all__ = ["Asks"]


class _Answers(Value):
    answers: list[Answer]


class Asks:
    """Asking the hub before asking the customer."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def may_i_ask(
        self, customer_id: str, interaction_id: str, names: Sequence[str], *, journey_id: str | None = None
    ) -> list[Answer]:
        """Return for each name whether it is known, to be confirmed, to be asked, or withheld."""
        path = f"/v1/customers/{segment(customer_id)}/asks"
        body = {"interaction_id": interaction_id, "journey_id": journey_id, "names": list(names)}
        return read(_Answers, await self._transport.ask(path, given(body))).answers if names else []
