"""How a customer comes in: by login, by a resume link, or by both; and never into somebody else's matters."""

from __future__ import annotations

from typing import Any, NamedTuple

from ctxhub.client import AlreadyUsed, ContextHub, ContextView, HandoffView, Lapsed, Refused, Started, Unknown
from ctxhub_app import translate
from ctxhub_app.login import Proven
from ctxhub_app.refusals import AnotherCustomer
from ctxhub_app.say import Lang
from ctxhub_app.sessions import Seal
from ctxhub_app.translate import Scene

#: What may be wrong with a link; everything else is ours.
BAD_LINK = (AlreadyUsed, Lapsed, Unknown, Refused)


class Entered(NamedTuple):
    """A visit that has begun: what the hub answered, its own id, and what was wrong with its link, if anything."""

    started: Started
    external_id: str
    problem: dict[str, Any] | None = None


class Entrance:
    """Lets customers of one tenant in."""

    def __init__(self, hub: ContextHub, tenant: str, seal: Seal) -> None:
        self._hub = hub
        self._tenant = tenant
        self._seal = seal

    async def by_link(self, visit: str, token: str, lang: Lang) -> Entered:
        """Begin a visit by a resume link alone; the same visit again gets the same answer, another is refused."""
        external_id = self._external_id(visit)
        start = translate.start_of(external_id, lang, None, None)
        return Entered(await self._hub.handoffs.redeem(start, token=token), external_id)

    async def by_login(self, visit: str, proven: Proven, token: str | None, lang: Lang) -> Entered:
        """Begin a visit, or come back to it, as whoever has logged in; a bad link never keeps anybody out."""
        entered = await self._as_customer(visit, proven, lang)
        if token is None:
            return entered
        problem = await self.take_up(entered.external_id, token, proven.customer_id, lang)
        return Entered(entered.started, entered.external_id, problem)

    async def take_up(self, external_id: str, token: str, customer_id: str, lang: Lang) -> dict[str, Any] | None:
        """Let a resume link bring its matters into a visit that has begun; what is wrong with it, if anything."""
        try:
            handoff = await self._hub.handoffs.lookup(token)
            if not await self._is_theirs(handoff, customer_id):
                return _problem("another_customer", "the link was made for another customer")
            start = translate.start_of(external_id, lang, None, None)
            await self._hub.handoffs.redeem(start, token=token)
        except BAD_LINK as error:
            return _problem(error.code, error.detail)
        return None

    async def settle(self, scene: Scene, proven: Proven) -> None:
        """Let a visit that came by a link alone belong to whoever has logged in now."""
        view, mine = scene.view, scene.mine
        if view.customer_id == proven.customer_id:
            return
        if view.known:
            raise AnotherCustomer("this visit belongs to another customer than the one who logged in")
        await self._bring_over(view.customer_id, mine.interaction_id, proven)

    async def _as_customer(self, visit: str, proven: Proven, lang: Lang) -> Entered:
        """Begin a visit as a customer; a visit that was somebody else's is begun anew, one of nobody's is theirs."""
        external_id = self._external_id(visit)
        started = await self._hub.interactions.start(translate.start_of(external_id, lang, proven, None))
        if started.customer_id == proven.customer_id:
            return Entered(started, external_id)
        if started.known:
            external_id = self._external_id(visit, proven.customer_id)
        else:
            await self._bring_over(started.customer_id, started.interaction.interaction_id, proven)
        started = await self._hub.interactions.start(translate.start_of(external_id, lang, proven, None))
        return Entered(started, external_id)

    async def _is_theirs(self, handoff: HandoffView, customer_id: str) -> bool:
        """Tell whether a link is this customer's; one of somebody not yet known becomes theirs while it is unused."""
        if handoff.customer_id == customer_id:
            return True
        at = handoff.interaction_id
        view = await self._hub.contexts.read(handoff.customer_id, interaction_id=at)
        if view.known or handoff.state != "offered":
            return view.customer_id == customer_id
        await self._move(view.customer_id, _led_from(view, at), customer_id)
        return True

    async def _bring_over(self, customer_id: str, interaction_id: str, proven: Proven) -> None:
        """Move a visit, and what it came from, to whom they belong."""
        view = await self._hub.contexts.read(customer_id, interaction_id=interaction_id)
        before = [at for at in _led_from(view, interaction_id) if at != interaction_id]
        await self._move(customer_id, before, proven.customer_id)
        await self._hub.interactions.identify(
            customer_id, interaction_id, to=proven.customer_id, assurance=translate.claim_of(proven)
        )

    async def _move(self, customer_id: str, interaction_ids: list[str], to: str) -> None:
        """Move interactions to whom they belong, under the assurance that each has."""
        for interaction_id in interaction_ids:
            await self._hub.interactions.identify(customer_id, interaction_id, to=to)

    def _external_id(self, visit: str, *whose: str) -> str:
        """Return the name under which the hub knows a visit; it does not lead back to what the app keeps."""
        return self._seal.derived("visit", self._tenant, visit, *whose)


def _led_from(view: ContextView, interaction_id: str) -> list[str]:
    """Return an interaction and those that led to it, as far as they are in sight; the oldest first."""
    found = sorted(view.interactions, key=lambda one: one.started_at)
    return [one.interaction_id for one in found] or [interaction_id]


def _problem(code: str, detail: str) -> dict[str, Any]:
    return {"code": code, "detail": detail}
