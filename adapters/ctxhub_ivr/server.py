"""The webhooks: who may call them, how long they may take, and what is answered when the hub is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from ctxhub.client import (
    AtWork,
    ContextHub,
    CtxhubError,
    Degraded,
    Hubs,
    InteractionUnknown,
    Ref,
    Start,
    Tenant,
    TooMany,
    Unavailable,
    Unknown,
    secure_prompts,
)
from ctxhub_ivr import twiml
from ctxhub_ivr.alone import Alone, Memory, Remembering
from ctxhub_ivr.dialogue import Dialogue
from ctxhub_ivr.hearing import Hearing
from ctxhub_ivr.hooks import Hooks
from ctxhub_ivr.pages import Pages
from ctxhub_ivr.say import sentence
from ctxhub_ivr.settings import IvrChannel, IvrSettings, pin_hook, sms_hook
from ctxhub_ivr.signature import is_genuine
from ctxhub_ivr.translate import SYSTEM, Call, State, start_of

log = structlog.get_logger()

MOUNTED_AT = "/ivr/twilio"
DEGRADED = "Ctxhub-Degraded"
DEGRADED_BY = "X-Ctxhub-Degraded"

_LARGEST_BODY = 64 * 1024
_TRIES_WHILE_AWAY = 3
_CAUGHT_UP_WITHIN = 1.5
_ALONE_WITHIN = 1.0
_OVER = {"completed", "busy", "failed", "no-answer", "canceled"}
_STEPS: dict[str, Callable[[Dialogue], Awaitable[bytes]]] = {
    "voice": Dialogue.voice,
    "begin": Dialogue.begin,
    "wait": Dialogue.wait,
    "menu": Dialogue.menu,
    "who": Dialogue.who,
    "pin": Dialogue.pin,
    "resume": Dialogue.resume,
    "fact": Dialogue.fact,
    "done": Dialogue.done,
    "queue": Dialogue.queue,
    "callback": Dialogue.callback,
}


class Turned(Exception):
    """A webhook that gets no document; `status` and the message say why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def router(hubs: Hubs, settings: IvrSettings) -> APIRouter:
    """Return the webhooks of all tenants, with their whole paths."""
    routes = APIRouter(include_in_schema=False)
    exchange = Exchange(hubs, settings, Hooks(settings.hook_deadline, time.time))

    @routes.post(MOUNTED_AT + "/{tenant}/{step}")
    async def webhook(tenant: str, step: str, request: Request) -> Response:
        """Answer one webhook of a call."""
        try:
            return await exchange.answer(tenant, step, request)
        except Turned as turned:
            log.warning("ivr.refused", tenant=tenant, step=step, status=turned.status, reason=str(turned))
            return Response(status_code=turned.status)

    return routes


@dataclass(frozen=True)
class Webhook:
    """One request as it came in, and the address that it was signed for."""

    url: str
    query: str
    params: list[tuple[str, str]]
    headers: dict[str, str]
    step: str

    @classmethod
    async def read(cls, request: Request, public_url: str, step: str) -> Webhook:
        """Read a request; the host that it names is not believed, only the public address is."""
        raw_path = request.scope.get("raw_path") or request.url.path.encode()
        query = request.scope["query_string"].decode("latin-1")
        body = await _bounded_body(request)
        return cls(
            url=public_url.rstrip("/") + raw_path.decode("latin-1") + (f"?{query}" if query else ""),
            query=query,
            params=parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"),
            headers={name.lower(): value for name, value in request.headers.items()},
            step=step,
        )


@dataclass(frozen=True)
class Exchange:
    """Answers webhooks within the platform's patience, whatever the hub does."""

    hubs: Hubs
    settings: IvrSettings
    hooks: Hooks
    memory: Memory = field(default_factory=Memory)
    degraded: Degraded = field(default_factory=lambda: Degraded("ivr"))

    async def answer(self, tenant_id: str, step: str, request: Request) -> Response:
        """Answer one webhook; `Turned` where it is none that we know, or nobody signed it."""
        if step not in _STEPS and step != "status":
            raise Turned(404, f"there is no webhook {step}")
        webhook = await Webhook.read(request, self.settings.public_url, step)
        hub = self._hub(tenant_id)
        try:
            async with asyncio.timeout(self.settings.deadline):
                tenant = await hub.tenants.read()
        except (CtxhubError, TimeoutError) as error:
            return self._without_tenant(webhook, error)
        channel = _channel_of(tenant)
        self._check(webhook, channel)
        call = Call.from_params(webhook.params, webhook.query)
        if call is None:
            raise Turned(400, "a webhook needs a CallSid")
        if step == "voice" and (unknown := IvrChannel.unknown_in(tenant.channels.get("ivr") or {})):
            log.warning("ivr.settings_unknown", tenant=tenant_id, names=unknown)
        if step == "status":
            return await self._end(hub, call, self._pages_of(tenant, channel, webhook))
        return await self._speak(webhook, self._hearing(hub, tenant, channel, call, webhook))

    def _hub(self, tenant_id: str) -> ContextHub:
        try:
            return self.hubs.of(tenant_id)
        except Unknown:
            raise Turned(404, f"there is no tenant {tenant_id}") from None

    def _check(self, webhook: Webhook, channel: IvrChannel) -> None:
        """Turn away what nobody signed; a tenant without a secret gets no calls at all."""
        secrets = channel.secrets(self.settings.environ)
        if not secrets.any:
            raise Turned(403, "no secret is set: name it in channels.ivr.auth_token_env and set that variable")
        if not is_genuine(secrets, webhook.url, webhook.params, webhook.headers):
            raise Turned(403, "the signature does not fit: check the secret and CTXHUB_PUBLIC_URL")

    def _hearing(
        self, hub: ContextHub, tenant: Tenant, channel: IvrChannel, call: Call, webhook: Webhook
    ) -> Remembering:
        """Put together what one step needs."""
        pin, sms = pin_hook(channel, self.settings.environ), sms_hook(channel, self.settings.environ)
        pages = self._pages_of(tenant, channel, webhook)
        pages = replace(pages, has_pin=pin is not None, has_link=sms is not None or channel.sms)
        state, known = State.from_query(webhook.query), self.memory.of(call.call_sid)
        secure = secure_prompts(channel.prompts, self.settings.environ)
        return Remembering(hub, self.hooks, pages, call, state, pin, sms, secure, known)

    def _pages_of(self, tenant: Tenant, channel: IvrChannel, webhook: Webhook) -> Pages:
        """Return who writes the documents, in the language of the call."""
        state = State.from_query(webhook.query)
        return Pages(
            base=f"{self.settings.public_url.rstrip('/')}{MOUNTED_AT}/{tenant.tenant}",
            tenant=tenant,
            channel=channel,
            language=state.language or channel.language or next(iter(tenant.languages), "en"),
        )

    async def _speak(self, webhook: Webhook, hearing: Remembering) -> Response:
        """Take the step; when the hub does not play along it is taken without it, else the caller goes to a human."""
        try:
            async with asyncio.timeout(self.settings.deadline):
                await _caught_up(hearing)
                document = await _taken(webhook.step, Dialogue(hearing))
        except (Unavailable, TooMany, TimeoutError) as error:
            return await self._speak_alone(webhook, hearing, self.degraded.note(error))
        except CtxhubError as error:
            log.warning("ivr.refused_by_hub", step=webhook.step, call=hearing.call.call_sid, code=error.code)
            why = self.degraded.note(error)
        except Exception as error:  # a caller must never hear an error of ours
            log.exception("ivr.failed", step=webhook.step, call=hearing.call.call_sid)
            why = self.degraded.note(error)
        else:
            self.degraded.over()
            hearing.known.was_alone = False
            return _document(document)
        return _document(hearing.pages.degraded(hearing.state.next()), degraded=why)

    async def _speak_alone(self, webhook: Webhook, hearing: Remembering, why: str) -> Response:
        """Take the step from what is still known of the call, and keep what was told; else bring in a human."""
        lost = _document(hearing.pages.degraded(hearing.state.next()), degraded=why)
        if not hearing.hub.spool.keeps:
            return lost
        try:
            async with asyncio.timeout(_ALONE_WITHIN):
                return _document(await _STEPS[webhook.step](Dialogue(_alone(hearing))), degraded=why)
        except (CtxhubError, TimeoutError) as error:
            log.warning("ivr.lost", step=webhook.step, call=hearing.call.call_sid, reason=str(error))
            return lost

    def _without_tenant(self, webhook: Webhook, error: Exception) -> Response:
        """Answer while nothing is known, not even who may call: wait a little, then be sorry; nothing is disclosed."""
        why = self.degraded.note(error)
        state = State.from_query(webhook.query)
        if webhook.step == "status":
            return Response(status_code=204, headers=_marked(why))
        if state.again >= _TRIES_WHILE_AWAY:
            words = twiml.say(sentence(state.language or "en", "degraded_alone"), state.language or "en")
            return _document(twiml.document(words, twiml.hangup()), degraded=why)
        again = f"{webhook.url}{'&' if webhook.query else '?'}again={state.again + 1}"
        return _document(twiml.document(twiml.pause(2), twiml.redirect(again)), degraded=why)

    async def _end(self, hub: ContextHub, call: Call, pages: Pages) -> Response:
        """End the interaction as the call is over; one that never began is over as well."""
        if call.outcome not in _OVER:
            return Response(status_code=204)
        self.memory.forget(call.call_sid)
        start = start_of(call, pages.language)
        try:
            async with asyncio.timeout(self.settings.deadline):
                if hub.spool.pending_of(start):
                    return await self._end_later(hub, start, Unavailable("something of this call still waits"))
                found = await hub.interactions.lookup(Ref(system=SYSTEM, kind="call", id=call.call_sid))
                await hub.interactions.end(found.customer_id, found.interaction.interaction_id)
        except InteractionUnknown:
            return Response(status_code=204)
        except (CtxhubError, TimeoutError) as error:
            return await self._end_later(hub, start, error)
        self.degraded.over()
        return Response(status_code=204)

    async def _end_later(self, hub: ContextHub, start: Start, error: Exception) -> Response:
        """Have the interaction end behind all that waits of it."""
        why = self.degraded.note(error)
        if hub.spool.keeps:
            with suppress(CtxhubError):  # silence ends it as well, later
                await hub.spool.end(start, now=False)
        return Response(status_code=204, headers=_marked(why))


async def _caught_up(hearing: Hearing) -> None:
    """See to it that the hub knows what was told while it was away, before it is asked anything."""
    start = start_of(hearing.call, hearing.pages.language)
    if hearing.hub.spool.pending_of(start):
        async with asyncio.timeout(_CAUGHT_UP_WITHIN):
            await hearing.hub.spool.drained(start)


def _alone(hearing: Remembering) -> Alone:
    """Return the same webhook without the hub; what only the hub can do is not offered."""
    known = hearing.known
    first = () if known.was_alone else tuple(hearing.pages.says("alone"))
    known.was_alone = True
    pages = replace(hearing.pages, has_pin=False, has_link=False, first=first)
    now = datetime.now(UTC)
    return Alone(
        hearing.hub, hearing.hooks, pages, hearing.call, hearing.state, secure=hearing.secure, known=known, now=now
    )  # fmt: skip


async def _bounded_body(request: Request) -> bytes:
    """Read a body that a telephone platform may have sent; nothing larger."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise Turned(413, "a webhook has at most 64 KiB")
    return body


def _channel_of(tenant: Tenant) -> IvrChannel:
    """Read the tenant's settings; a wrong one closes the line."""
    declared = tenant.channels.get("ivr") or {}
    try:
        return IvrChannel.model_validate(declared)
    except ValidationError as error:
        fields = sorted(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise Turned(403, f"channels.ivr has faults in {', '.join(fields)}") from None


async def _taken(step: str, dialogue: Dialogue) -> bytes:
    """Take a step; where an agent works on the journey in another interaction, the caller gets a human as well."""
    try:
        return await _STEPS[step](dialogue)
    except AtWork:
        return await dialogue.to_colleagues()


def _document(content: bytes, *, degraded: str | None = None) -> Response:
    headers = {"Cache-Control": "no-store"} | (_marked(degraded) if degraded else {})
    return Response(content, media_type=twiml.MEDIA_TYPE, headers=headers)


def _marked(why: str) -> dict[str, str]:
    """Return the headers that say that the hub was away or slow."""
    return {DEGRADED: "1", DEGRADED_BY: why}
