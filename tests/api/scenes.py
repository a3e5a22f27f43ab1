"""What tests say to the hub over HTTP: callers, bodies, and the few steps that every scene begins with."""

from __future__ import annotations

import asyncio
import secrets
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx

_numbers = count(1)
_run = secrets.token_hex(3)
_TRIES = 10
PROBLEM = "application/problem+json"


def fresh(kind: str) -> str:
    """An id that no other test uses, nor another run on the same server."""
    return f"{kind}-{_run}-{next(_numbers)}"


class Caller:
    """One key's way to the hub."""

    began = {201}

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self.http = http
        self.key = key

    async def get(self, path: str, headers: Any = None, **query: Any) -> httpx.Response:
        """Read."""
        return await self.call("GET", path, headers=headers, params=query or None)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Write; `if_match` and `idempotency_key` become headers."""
        spelt = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("POST", path, headers=spelt, **({} if body is None else {"json": body}))

    async def call(self, method: str, path: str, headers: Any = None, **said: Any) -> httpx.Response:
        """Say anything at all."""
        authorization = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return await self.http.request(method, path, headers=authorization | (headers or {}), **said)


class Patient(Caller):
    """A caller who comes again when the hub asks for it, as every client does, with what may be said again."""

    began = {200, 201}  # what it says again may have been done already

    async def call(self, method: str, path: str, headers: Any = None, **said: Any) -> httpx.Response:
        """Say anything at all, a few times where the hub can't take it just now."""
        for _ in range(_TRIES):
            response = await super().call(method, path, headers, **said)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
            await asyncio.sleep(int(response.headers["retry-after"]))
        return response


def ok(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """What a call brought that had to succeed."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    found: dict[str, Any] = response.json()
    return found


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a call that had to be refused so."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.headers["content-type"] == PROBLEM
    found: dict[str, Any] = response.json()
    assert (found["status"], found["code"]) == (status, code), found
    assert all(found[part] for part in ("type", "title", "detail", "remedy")), found
    assert ("retry-after" in response.headers) == (status in (429, 503))
    return found


def pointers(response: httpx.Response, status: int = 422, code: str = "invalid") -> list[str]:
    """Where the faults of a refused request are."""
    return [fault["pointer"] for fault in problem(response, status, code)["errors"]]


class Scene:
    """An interaction of a customer, and what happens in it as its channel tells it."""

    def __init__(self, caller: Caller, started: dict[str, Any]) -> None:
        self.caller = caller
        self.started = started
        self.customer_id: str = started["customer_id"]
        self.interaction_id: str = started["interaction"]["interaction_id"]

    @property
    def base(self) -> str:
        """Where the customer is found."""
        return f"/v1/customers/{quote(self.customer_id, safe='')}"

    @property
    def place(self) -> str:
        """Where the interaction is found."""
        return f"{self.base}/interactions/{self.interaction_id}"

    def event(self, type_: str, data: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """An event of this interaction."""
        told = {"event_id": fresh("ev"), "type": type_, "interaction_id": self.interaction_id, "data": data or {}}
        return told | more

    def fact(self, name: str, value: Any, state: str = "stated", **more: Any) -> dict[str, Any]:
        """A fact told in this interaction; what belongs to its data is sorted there."""
        inside = {key: more.pop(key) for key in ("confidence", "sensitivity", "expires_in") if key in more}
        return self.event(f"fact.{state}", {"name": name, "value": value} | inside, **more)

    async def try_tell(self, *events: dict[str, Any], **headers: str) -> httpx.Response:
        """Tell events, whatever comes of it."""
        return await self.caller.post(f"{self.base}/events", {"events": list(events)}, **headers)

    async def tell(self, *events: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Tell events that have to be taken."""
        return ok(await self.try_tell(*events, **headers))

    async def context(self, **query: Any) -> dict[str, Any]:
        """The context as this interaction sees it."""
        asking = {"interaction_id": self.interaction_id} | query
        return ok(await self.caller.get(f"{self.base}/context", **asking))

    async def asks(self, *names: str, **more: Any) -> dict[str, dict[str, Any]]:
        """What the hub says to each name that the channel is about to ask for."""
        body = {"interaction_id": self.interaction_id, "names": list(names)} | more
        answers = ok(await self.caller.post(f"{self.base}/asks", body))["answers"]
        return {answer["name"]: answer for answer in answers}

    async def raised(self, level: int = 2, method: str = "pin") -> Scene:
        """The customer proves who it is."""
        await self.tell(self.event("assurance.raised", {"level": level, "method": method}))
        return self

    async def journey(self, kind: str = "refund", **more: Any) -> str:
        """A task begins; its id."""
        told = await self.tell(self.event("journey.started", {"kind": kind}, **more))
        found: str = told["results"][0]["journey_id"]
        return found

    async def try_offer(self, to: dict[str, Any], idempotency_key: str | None = None, **more: Any) -> httpx.Response:
        """Offer this interaction, whatever comes of it."""
        body = {"customer_id": self.customer_id, "interaction_id": self.interaction_id, "reason": "help", "to": to}
        headers = {"idempotency_key": idempotency_key} if idempotency_key else {}
        return await self.caller.post("/v1/handoffs", body | more, **headers)

    async def offer(self, to: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The handoff of an offer that has to be taken."""
        handoff: dict[str, Any] = ok(await self.try_offer(to, **more), 201)["handoff"]
        return handoff

    async def end(self, **how: Any) -> dict[str, Any]:
        """The channel ends the interaction."""
        return ok(await self.caller.post(f"{self.place}/end", how))

    async def timeline(self, **query: Any) -> list[dict[str, Any]]:
        """What happened, as this interaction may see it."""
        asking = {"interaction_id": self.interaction_id, "limit": 1000} | query
        events: list[dict[str, Any]] = ok(await self.caller.get(f"{self.base}/timeline", **asking))["events"]
        return events

    async def all_told(self, admin: Caller) -> list[dict[str, Any]]:
        """Everything that stands on the customer's timeline."""
        events: list[dict[str, Any]] = ok(await admin.get(f"{self.base}/timeline", after=0, limit=1000))["events"]
        return events


def phone() -> dict[str, Any]:
    """A phone number that nobody else has."""
    return {"type": "phone", "value": f"+86138{secrets.randbelow(10**8):08}"}


def start_body(channel: str = "ivr", **more: Any) -> dict[str, Any]:
    """The body of a start."""
    return {"channel": channel, "external_id": fresh("ext")} | more


async def begin(caller: Caller, channel: str = "ivr", **more: Any) -> Scene:
    """An interaction begins."""
    response = await caller.post("/v1/interactions", start_body(channel, **more))
    assert response.status_code in caller.began, response.text
    return Scene(caller, response.json())


async def known(caller: Caller, channel: str = "ivr", level: int = 2, **more: Any) -> Scene:
    """An interaction of a customer the company knows by name, verified unless said otherwise."""
    named = {"customer_id": fresh("c"), "assurance": {"level": level, "method": "pin"}}
    return await begin(caller, channel, **named | more)


async def accept(caller: Caller, handoff_id: str, agent_id: str) -> dict[str, Any]:
    """An agent takes a handoff."""
    return ok(await caller.post(f"/v1/handoffs/{handoff_id}/accept", {"agent_id": agent_id}))


async def redeem(caller: Caller, token: str, channel: str = "chat", **more: Any) -> Scene:
    """A token brings the customer in elsewhere."""
    body = start_body(channel, token=token, **more)
    return Scene(caller, ok(await caller.post("/v1/handoffs/redeem", body)))
