"""Commitments: the open promises of all customers, for those who must keep them."""

from __future__ import annotations

from ctxhub.hub.changes import Changes
from ctxhub.model.commitment import Commitment, CommitmentState, ListedCommitment
from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists

STATES: tuple[CommitmentState, ...] = ("overdue", "due_soon", "open")
#: Of the state before, those whose time has just come stand first: the timers have not been there yet.
_JUST_NOW = 20


class Commitments:
    """Lists promises, the most urgent first."""

    def __init__(self, changes: Changes, lists: Lists) -> None:
        self._changes = changes
        self._lists = lists

    async def listed(
        self, tenant: str, state: CommitmentState | None, owner: str | None, most: int
    ) -> list[ListedCommitment]:
        """Return the open promises, in one state or all, of one owner or all; what is due first stands first."""
        places = [state] if state else list(STATES)
        members: list[tuple[str, str]] = []
        for place in places:
            members += await self._lists.members(tenant, _place(place, owner), most)
        if state in STATES[:-1]:
            before = STATES[STATES.index(state) + 1]
            members += await self._lists.members(tenant, _place(before, owner), _JUST_NOW)
        found = await self._present(tenant, list(dict.fromkeys(members)))
        wanted = [listed for listed in found if state in (None, listed.state)]
        return sorted(wanted, key=lambda listed: listed.due_at)[:most]

    async def _present(self, tenant: str, members: list[tuple[str, str]]) -> list[ListedCommitment]:
        """Return listed promises as they stand now; what was kept or broken meanwhile is gone."""
        customers = list(dict.fromkeys(Who(tenant, customer_id) for customer_id, _ in members))
        found = dict(zip(customers, await self._changes.contexts.many(customers), strict=True))
        now, shown = self._changes.clock(), []
        for customer_id, commitment_id in members:
            context = found[Who(tenant, customer_id)]
            promise = context.commitments.get(commitment_id) if context else None
            if promise is not None:
                shown.append(_listed(customer_id, promise.at(now)))
        return shown


def _place(state: CommitmentState, owner: str | None) -> str:
    """Name the list of a state, and of one owner if there is one."""
    return f"promised:{state}" if owner is None else f"promised:{state}:{owner}"


def _listed(customer_id: str, promise: Commitment) -> ListedCommitment:
    """Show one promise in a list."""
    names = ListedCommitment.model_fields.keys() - {"customer_id"}
    return ListedCommitment.model_construct(customer_id=customer_id, **{name: getattr(promise, name) for name in names})
