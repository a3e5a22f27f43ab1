"""Contexts: what the hub knows about a customer, as this reader may see it."""

from __future__ import annotations

import httpx

from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.brief import Brief
from ctxhub.model.brief_words import Audience
from ctxhub.model.context import ContextView
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Event
from ctxhub.model.value import Value

__all__ = ["Contexts", "Page", "WholePage"]


class Page(Value):
    """Part of a timeline, oldest first; `next` is where the rest begins, None at the end."""

    events: list[Event]
    next: int | None = None


class WholePage(Value):
    """Part of all timelines that are a customer's, oldest first; `next` is where the rest begins, None at the end."""

    events: list[Event]
    next: str | None = None


class Contexts:
    """Reading what is known and what happened."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def read(
        self,
        customer_id: str,
        *,
        interaction_id: str | None = None,
        events: int = 20,
        min_version: int | None = None,
        seen: ContextView | None = None,
    ) -> ContextView:
        """Return the context as the interaction may see it, at `min_version` or later.

        Give back the view that the same call returned before as `seen`, and get it again if nothing has changed.
        """
        path = f"/v1/customers/{segment(customer_id)}/context"
        params = {"interaction_id": interaction_id, "events": events, "min_version": min_version}
        response = await self._transport.get(path, params, etag=f'"{seen.version}"' if seen else None)
        unchanged = seen is not None and response.status_code == httpx.codes.NOT_MODIFIED
        return seen if seen and unchanged else read(ContextView, response)

    async def brief(
        self,
        customer_id: str,
        view: Audience = "agent",
        *,
        lang: str | None = None,
        max_chars: int = 600,
        interaction_id: str | None = None,
        min_version: int | None = None,
    ) -> Brief:
        """Return the context told for one audience, in whole sentences that point at their evidence.

        Without `lang` it is in the interaction's language; in one that is not spoken here, in the tenant's first.
        """
        path = f"/v1/customers/{segment(customer_id)}/brief"
        params = {
            "view": view, "lang": lang, "max_chars": max_chars, "interaction_id": interaction_id,
            "min_version": min_version,
        }  # fmt: skip
        return read(Brief, await self._transport.get(path, params))

    async def lookup(self, identifier: Identifier, *, interaction_id: str | None = None) -> ContextView:
        """Return the context of whom an identifier leads to; `Ambiguous` where that is several."""
        body = {"identifier": what(identifier), "interaction_id": interaction_id}
        return read(ContextView, await self._transport.ask("/v1/context/lookup", given(body)))

    async def timeline(
        self,
        customer_id: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        interaction_id: str | None = None,
    ) -> Page:
        """Return what happened between two versions, neither of them included."""
        path = f"/v1/customers/{segment(customer_id)}/timeline"
        params = {"after": after, "before": before, "limit": limit, "interaction_id": interaction_id}
        return read(Page, await self._transport.get(path, params))

    async def whole_timeline(
        self, customer_id: str, *, after: str | None = None, limit: int = 100, interaction_id: str | None = None
    ) -> WholePage:
        """Return what happened, also on the timelines of those merged into the customer; `after` is a page's `next`."""
        path = f"/v1/customers/{segment(customer_id)}/timeline/whole"
        params = {"after": after, "limit": limit, "interaction_id": interaction_id}
        return read(WholePage, await self._transport.get(path, params))


def what(identifier: Identifier) -> dict[str, str]:
    """Return an identifier as a look-up takes it: how strong it is has no part in that."""
    return {"type": identifier.type, "value": identifier.value}
