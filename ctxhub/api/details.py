"""What a line of the trail says beside who and whom: which key, which other customer, what type, which level.

Names, levels and pseudonyms; never what an identifier or a fact is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ctxhub.model.never_kept import cleaned

__all__ = ["DETAILS", "FAMILIES", "Done", "kept_text", "told"]

#: Of what is told, these families change how surely somebody is known, or what may be shown or kept of him.
FAMILIES = ("assurance.", "risk.", "consent.", "fact.verified")
_OF_KEYS = ("name", "role", "agent", "scopes", "channels", "queues", "level", "methods", "expires_at", "overlap")
_OF_EVENTS = ("level", "method", "kind", "purpose", "name")
_LONGEST = 500


class Done(NamedTuple):
    """A call that was done: what it said, what it was answered, and how customers are called in the trail."""

    said: Mapping[str, Any]
    answer: Mapping[str, Any]
    pseudonym: Callable[[str], str]


def kept_text(value: Any) -> str | None:
    """Return a text without what is never kept, and not too long; None for anything else."""
    return str(cleaned(value[:_LONGEST]).value) if isinstance(value, str) else None


def told(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is noted of told events: the types of all, and of those that are in question levels and names."""
    changes = [event for event in events if event["type"].startswith(FAMILIES)]
    said = [{"type": event["type"]} | _parts(event.get("data") or {}, _OF_EVENTS) for event in changes]
    return {"types": sorted({event["type"] for event in events}), "changes": said}


def _parts(said: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the parts that are said of those named."""
    return {name: _kept(said[name]) for name in names if said.get(name) not in (None, "", [])}


def _kept(value: Any) -> Any:
    """Return a part as it is noted: short texts, their lists, numbers."""
    if isinstance(value, list):
        return [_kept(each) for each in value]
    return value if isinstance(value, bool | int | float) else kept_text(value)


def _key(done: Done) -> dict[str, Any]:
    """Say which key it is, for which tenant, and what it may; never the key."""
    return _parts(done.said, ("tenant", *_OF_KEYS)) | _parts(done.answer, ("key_id",))


def _identifier(done: Done) -> dict[str, Any]:
    """Say of what type an identifier is, and how surely it leads there."""
    return _parts(done.said, ("type", "strength"))


def _identifiers(done: Done) -> dict[str, Any]:
    """Say of what types the identifiers are by which somebody is known, and by which method."""
    types = sorted({_kept(each["type"]) for each in done.said.get("identifiers") or ()})
    claim = done.said.get("assurance") or {}
    return ({"types": types} if types else {}) | _parts(claim, ("level", "method"))


def _identified(done: Done) -> dict[str, Any]:
    """Say to whom an interaction went, and by what."""
    return {"to": done.pseudonym(done.answer["customer_id"])} | _identifiers(done)


def _merged(done: Done) -> dict[str, Any]:
    """Say who was merged, or is itself again, and by which merge; or that it was a preview only."""
    merge_id = done.answer.get("merge_id")
    other = {"from": done.pseudonym(done.answer["from"])}
    return other | ({"merge_id": merge_id} if merge_id else {"preview": True})


#: What is said of an action that was done.
DETAILS: dict[str, Callable[[Done], dict[str, Any]]] = {
    "key.created": _key,
    "key.rotated": _key,
    "identity.linked": _identifier,
    "identity.unlinked": _identifier,
    "identity.merged": _merged,
    "identity.unmerged": _merged,
    "interaction.started": _identifiers,
    "handoff.redeemed": _identifiers,
    "interaction.identified": _identified,
    "access.broken_glass": lambda done: _parts(done.said, ("minutes",)),
    "customer.forgotten": lambda done: _parts(done.answer, ("receipt_id",)),
}
