"""What of the API leaves a line in the audit trail: one table, and the one place that notes by it.

A route about customers or keys that stands neither in `AUDITED` nor in `WITHOUT_A_LINE` fails a test.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import orjson
from fastapi import Request, Response

from ctxhub.api.details import DETAILS, FAMILIES, Done, kept_text, told
from ctxhub.api.source import source_of
from ctxhub.errors import CtxhubError, Forbidden
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import Principal
from ctxhub.model.audit import Line, names_seen, text_with

#: Route to action: whoever calls it sees something of a customer, or changes identity, assurance, disclosure or keys.
AUDITED: dict[tuple[str, str], str] = {
    ("GET", "/v1/customers/{customer_id}/context"): "context.read",
    ("GET", "/v1/customers/{customer_id}/brief"): "brief.read",
    ("GET", "/v1/customers/{customer_id}/timeline"): "timeline.read",
    ("GET", "/v1/customers/{customer_id}/timeline/whole"): "timeline.read",
    ("GET", "/v1/customers/{customer_id}/stream"): "stream.opened",
    ("GET", "/v1/customers/{customer_id}/export"): "customer.exported",
    ("GET", "/v1/queues/{queue}/stream"): "stream.opened",
    ("GET", "/v1/channels/{channel}/stream"): "stream.opened",
    ("GET", "/v1/agents/{agent_id}/stream"): "stream.opened",
    ("POST", "/v1/context/lookup"): "context.read",
    ("POST", "/v1/customers/lookup"): "customer.looked_up",
    ("POST", "/v1/customers/{customer_id}/events"): "events.told",
    ("POST", "/v1/customers/{customer_id}/asks"): "asks.answered",
    ("POST", "/v1/customers/{customer_id}/reveal"): "facts.revealed",
    ("POST", "/v1/customers/{customer_id}/access"): "access.broken_glass",
    ("POST", "/v1/customers/{customer_id}/identifiers"): "identity.linked",
    ("DELETE", "/v1/customers/{customer_id}/identifiers"): "identity.unlinked",
    ("POST", "/v1/customers/{customer_id}/merge"): "identity.merged",
    ("POST", "/v1/customers/{customer_id}/unmerge"): "identity.unmerged",
    ("POST", "/v1/customers/{customer_id}/hold"): "hold.placed",
    ("DELETE", "/v1/customers/{customer_id}/hold"): "hold.lifted",
    ("DELETE", "/v1/customers/{customer_id}"): "customer.forgotten",
    ("POST", "/v1/interactions"): "interaction.started",
    ("GET", "/v1/interactions"): "interactions.listed",
    ("POST", "/v1/interactions/lookup"): "interaction.looked_up",
    ("POST", "/v1/customers/{customer_id}/interactions/{interaction_id}/identify"): "interaction.identified",
    ("POST", "/v1/handoffs/redeem"): "handoff.redeemed",
    ("POST", "/v1/handoffs/lookup"): "handoff.looked_up",
    ("GET", "/v1/handoffs"): "handoffs.listed",
    ("GET", "/v1/handoffs/{handoff_id}"): "handoff.read",
    ("POST", "/v1/handoffs/{handoff_id}/accept"): "handoff.accepted",
    ("POST", "/v1/handoffs/{handoff_id}/elsewhere"): "handoff.offered_elsewhere",
    ("POST", "/v1/handoffs/{handoff_id}/announce"): "call.announced",
    ("POST", "/v1/customers/{customer_id}/interactions/{interaction_id}/continue"): "interaction.continued",
    ("POST", "/v1/customers/{customer_id}/journeys/{journey_id}/claim"): "journey.claimed",
    ("POST", "/v1/handoffs/{handoff_id}/dial"): "callback.dialled",
    ("POST", "/v1/handoffs/{handoff_id}/attempts"): "callback.attempted",
    ("GET", "/v1/commitments"): "commitments.listed",
    ("POST", "/v1/keys"): "key.created",
    ("GET", "/v1/keys"): "keys.listed",
    ("DELETE", "/v1/keys/{name}"): "key.revoked",
    ("POST", "/v1/keys/{name}/rotate"): "key.rotated",
    ("GET", "/v1/webhooks/{name}/{state}"): "deliveries.listed",
    ("POST", "/v1/webhooks/{name}/redrive"): "webhook.redriven",
    ("GET", "/v1/audit"): "audit.read",
    ("GET", "/v1/audit/report"): "audit.read",
}

#: Routes about customers whose answers show nothing that the caller did not say himself.
WITHOUT_A_LINE: frozenset[tuple[str, str]] = frozenset(
    {
        ("PUT", "/v1/customers/{customer_id}/interactions/{interaction_id}/refs"),
        ("POST", "/v1/customers/{customer_id}/interactions/{interaction_id}/end"),
        ("POST", "/v1/handoffs"),
        ("POST", "/v1/handoffs/{handoff_id}/decline"),
        ("POST", "/v1/handoffs/{handoff_id}/cancel"),
        ("POST", "/v1/handoffs/{handoff_id}/complete"),
        ("PUT", "/v1/handoffs/{handoff_id}/draft"),
        ("POST", "/v1/handoffs/{handoff_id}/return"),
        ("POST", "/v1/handoffs/{handoff_id}/renew"),
        ("POST", "/v1/handoffs/{handoff_id}/receipt"),
        ("POST", "/v1/tickets"),
    }
)

#: Look-ups by an identifier: whoever tries some in turn leaves a line for each, also for those that lead to nobody.
SEARCHES = {
    ("POST", "/v1/context/lookup"),
    ("POST", "/v1/customers/lookup"),
}

#: Of what is told, these families change how surely somebody is known, or what may be shown or kept of him.
_TOLD = tuple(f'"{family}'.encode() for family in FAMILIES)
#: Looking, which is bounded for each agent; what is taken out of a queue is work.
_LOOKING = {
    "context.read", "brief.read", "timeline.read", "stream.opened", "customer.looked_up", "interaction.looked_up",
    "interactions.listed",
}  # fmt: skip
#: Lists whose lines name to whom they lead. Who waits is left out: all who serve a queue follow that all the time.
_LISTS = {"interactions.listed": "interactions", "handoffs.listed": "handoffs"}
_LEVEL = b'"assurance":{"level":'
_PEOPLE = {"agent", "supervisor", "admin"}
#: What is done for a reason in somebody's own words, which may name the customer: kept beside the trail.
_FREELY_REASONED = {"access.broken_glass", "facts.revealed", "hold.placed"}
_LONGEST_ID = 64
#: What has a place of its own in a line.
_OF_ITS_OWN = ("customer_id", "interaction_id")


class Noted(Response):
    """An answer that may go out again to the same caller's same request: its line of the trail is kept with it."""

    line: Line | None = None
    looked: tuple[str, str] | None = None  # the agent who looks, and at whom, by his pseudonym


async def note(hub: Hub, request: Request, caller: Principal | None, response: Response) -> None:
    """Note an answer before it goes out; `Unavailable` where that can't be done: then it must not go out."""
    if getattr(request.state, "is_noted", False):
        return
    if isinstance(response, Noted) and response.line is not None and caller is not None:
        if response.looked is not None:
            await hub.access.watch(caller.tenant, *response.looked)
        await hub.audit.note(caller.tenant, response.line.text(hub.ways.clock()))
        return
    action = AUDITED.get((request.method, _path(request)))
    if action is None or caller is None or not hub.audit.on or response.status_code >= 400:
        return
    body = bytes(getattr(response, "body", b""))
    if action == "events.told":
        await _note_told(hub, request, caller, response)
        return
    line = await _line(hub, request, caller, action, body, response)
    reason = kept_text((await _said(request)).get("reason")) if action in _FREELY_REASONED else None
    if reason is not None and line["customer"] is not None:
        line["about"] |= await hub.audit.sealed(caller.tenant, line["customer"], reason)
    await _keep_whence(hub, request, caller, line)
    looked = None
    if caller.role == "agent" and line["agent_id"] and action in _LOOKING:
        for customer in line["about"].get("customers", [line["customer"]] if line["customer"] else []):
            looked = line["agent_id"], customer
            await hub.access.watch(caller.tenant, *looked)
    if isinstance(response, Noted):
        response.line, response.looked = Line.of(line), looked
    await hub.audit.note(caller.tenant, text_with(line))
    concerned = line["about"].get("tenant", caller.tenant)
    if concerned != caller.tenant:
        its_own = line | {"about": line["about"] | {"by_tenant": caller.tenant}}
        await hub.audit.note(concerned, text_with(its_own))


async def note_refusal(hub: Hub, request: Request, caller: Principal | None, refusal: CtxhubError) -> None:
    """Note that somebody was refused something about a customer, or looked for one and did not find him."""
    route = (request.method, _path(request))
    missed = not isinstance(refusal, Forbidden)
    if route not in (SEARCHES if missed else AUDITED) or caller is None or not hub.audit.on:
        return
    line = await _line(hub, request, caller, AUDITED[route], b"", None)
    found: dict[str, Any] = {"about": line["about"] | {"code": refusal.code}, "reason": None}
    if line["customer"] is None and "customer_id" in refusal.ids:
        found["customer"] = hub.audit.pseudonym(caller.tenant, refusal.ids["customer_id"])
    await hub.audit.note(caller.tenant, text_with(line | found | ({} if missed else {"outcome": "refused"})))


async def note_shown_context(hub: Hub, request: Request, caller: Principal, version: int) -> None:
    """Note a context that a refusal shows."""
    if hub.audit.on:
        line = await _line(hub, request, caller, "context.read", b"", None)
        await _keep_whence(hub, request, caller, line)
        await hub.audit.note(caller.tenant, text_with(line | {"version": version}))


async def note_stream(hub: Hub, request: Request, action: str, first: str, last: str) -> None:
    """Note what an open stream has shown: from which id to which; a customer's are versions."""
    line = await _line(hub, request, request.state.caller, action, b"", None)
    version = int(last) if last.isdigit() else None
    # Kept as it was opened: by now the customer may be forgotten.
    whence = getattr(request.state, "whence", {})
    span = {"version": version, "about": line["about"] | whence | {"first": first, "last": last}}
    await hub.audit.note(request.state.caller.tenant, text_with(line | span))


async def _note_told(hub: Hub, request: Request, caller: Principal, response: Response) -> None:
    """Note events that change how surely somebody is known, or what may be shown or kept of him; nothing else told."""
    raw = await request.body()
    if b"\\u" not in raw and not any(family in raw for family in _TOLD):  # escapes may spell a type in another way
        return
    about = told(orjson.loads(raw)["events"])
    if about["changes"]:
        line = await _line(hub, request, caller, "events.told", b"", response)
        await _keep_whence(hub, request, caller, line)
        await hub.audit.note(caller.tenant, text_with(line | {"about": about}))


async def _keep_whence(hub: Hub, request: Request, caller: Principal, line: dict[str, Any]) -> None:
    """Keep beside a line from where the customer called whom it is about; it must not outlive him."""
    address = source_of(hub, request).customers
    if address is not None and line["customer"] is not None:
        request.state.whence = await hub.audit.called_from(caller.tenant, line["customer"], address)
        line["about"] |= request.state.whence


async def _line(
    hub: Hub, request: Request, caller: Principal, action: str, body: bytes, response: Response | None
) -> dict[str, Any]:
    """Return the parts of an `Entry` about one call, by their names.

    Where the answer itself does not bring the facts that it shows, `request.state.shows` does: a context as JSON.
    """
    said = await _said(request)
    answer = _answer(caller, request, action, body)
    customer_id = request.path_params.get("customer_id") or _customer_in(answer) or said.get("customer_id")
    shows = getattr(request.state, "shows", None) if caller.role in _PEOPLE else None
    seen = answer if shows is None else orjson.loads(shows)
    shown, masked, withheld = names_seen(seen) if caller.role in _PEOPLE else ([], [], [])
    details = _details(hub, caller, action, said, answer) if response is not None else {}
    return {
        "at": hub.ways.clock(),
        "action": action,
        "by": caller.name,
        "role": caller.role,
        "agent_id": caller.agent or kept_text(said.get("agent_id")),
        "customer": hub.audit.pseudonym(caller.tenant, customer_id) if isinstance(customer_id, str) else None,
        "interaction_id": _interaction(request, said),
        "version": _version(response),
        "level": _level(body or shows or b""),
        "shown": shown,
        "masked": masked,
        "withheld": withheld,
        "about": _about(request) | details | _listed(hub, caller, request, action, answer),
        "reason": None if action in _FREELY_REASONED else kept_text(said.get("reason")),
        "source": source_of(hub, request).address,
    }


def _path(request: Request) -> str:
    """Return a route as it is declared."""
    return str(getattr(request.scope.get("route"), "path", ""))


async def _said(request: Request) -> dict[str, Any]:
    """Return what a call says in its body; nothing for one that has none."""
    if request.method == "GET":
        return {}
    try:
        said = orjson.loads(await request.body() or b"null")
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _details(
    hub: Hub, caller: Principal, action: str, said: dict[str, Any], answer: Any
) -> dict[str, Any]:  # fmt: skip
    """Return what else is noted of what was done."""
    found = DETAILS.get(action)
    return found(Done(said, answer, partial(hub.audit.pseudonym, caller.tenant))) if found is not None else {}


def _answer(caller: Principal, request: Request, action: str, body: bytes) -> Any:
    """Return the answer as JSON where something in it is noted; a machine's read of a context is told without."""
    if not body or (caller.role not in _PEOPLE and "customer_id" in request.path_params and action not in DETAILS):
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}


def _customer_in(answer: Any) -> Any:
    """Return the customer whom an answer names."""
    if not isinstance(answer, dict):
        return None
    return answer.get("customer_id") or _customer_in(answer.get("handoff")) or _customer_in(answer.get("context"))


def _interaction(request: Request, said: dict[str, Any]) -> str | None:
    """Return the interaction that a call is about, where it names one."""
    named = request.path_params.get("interaction_id") or request.query_params.get("interaction_id")
    named = named or said.get("interaction_id")
    return _known_id(named) if isinstance(named, str) and len(named) <= _LONGEST_ID else kept_text(named)


@lru_cache(maxsize=4096)
def _known_id(named: str) -> str | None:
    """Return an id as it is noted; the same few are named again and again."""
    return kept_text(named)


def _version(response: Response | None) -> int | None:
    """Return the version that an answer showed."""
    etag = response.headers.get("etag", "").strip('"') if response is not None else ""
    return int(etag) if etag.isdigit() else None


def _level(body: bytes) -> int | None:
    """Return how surely the customer was known as a context was shown."""
    at = body.find(_LEVEL)
    return int(body[at + len(_LEVEL) : at + len(_LEVEL) + 1]) if at >= 0 else None


def _about(request: Request) -> dict[str, Any]:
    """Return what else a call names: a key and whose it is, a queue, a channel, a handoff; a purpose but service."""
    named = {name: part for name, part in request.path_params.items() if name not in _OF_ITS_OWN}
    if not request.scope["query_string"]:
        return named
    asked = {name: kept_text(request.query_params.get(name)) for name in ("tenant", "purpose")}
    return named | {name: part for name, part in asked.items() if part not in (None, "service")}


def _listed(hub: Hub, caller: Principal, request: Request, action: str, answer: Any) -> dict[str, Any]:
    """Return the customers whom a list names to a person, by their pseudonyms."""
    waits = action == "handoffs.listed" and request.query_params.get("state") != "accepted"
    if action not in _LISTS or waits or caller.role not in _PEOPLE:
        return {}
    named = {hub.audit.pseudonym(caller.tenant, each["customer_id"]) for each in answer.get(_LISTS[action], ())}
    return {"customers": sorted(named)} if named else {}
