"""The chat over HTTP: the page and its files, sessions, messages up, the stream down."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute

from ctxhub.client import (
    ContextHub,
    CtxhubError,
    Degraded,
    Hubs,
    SignedHooks,
    SpoolFull,
    Tenant,
    TooLarge,
    TooMany,
    Unavailable,
    WrongMediaType,
)
from ctxhub_chat import chat as chats
from ctxhub_chat import translate
from ctxhub_chat.chat import Chat
from ctxhub_chat.say import HTML_LANG, Lang, in_language, language_of, page_words
from ctxhub_chat.secrets import Secrets
from ctxhub_chat.sessions import Session, seal, unseal, visit_id
from ctxhub_chat.stream import down
from ctxhub_chat.translate import Arriving, ChatAnswer, Opening, SecretGiven

_LARGEST_BODY = 1024 * 1024
_ORIGIN = re.compile(r"^https?://[0-9A-Za-z.:*\[\]-]+$")
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript"}


@dataclass(frozen=True)
class ChatSettings:
    """What the chat is told by whoever serves it.

    `secret` seals sessions: the same for all processes that serve one chat. `deadline` is how many seconds a
    message may take before the page gets a degraded answer; `environ` holds the secrets that hooks are signed with.
    """

    secret: str = field(repr=False)
    deadline: float = 4.0
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    hook_deadline: float = 2.5


class _ProblemRoute(APIRoute):
    """A route whose refusals are problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with refusals answered."""
        handler = super().get_route_handler()

        async def answering(request: Request) -> Response:
            try:
                return await handler(request)
            except CtxhubError as error:
                return _problem(error)

        return answering


def router(hubs: Hubs, settings: ChatSettings) -> APIRouter:
    """Return the routes of the chat."""
    web = _Web(hubs, settings)
    routes = APIRouter(route_class=_ProblemRoute, include_in_schema=False)
    routes.add_api_route("/chat/{tenant}/", web.page, methods=["GET"])
    routes.add_api_route("/chat/{tenant}/sessions", web.begin, methods=["POST"])
    routes.add_api_route("/chat/{tenant}/messages", web.hear, methods=["POST"])
    routes.add_api_route("/chat/{tenant}/secrets", web.hear_secret, methods=["POST"])
    routes.add_api_route("/chat/{tenant}/stream", web.stream, methods=["GET"])
    for name in ("chat.js", "widget.js", "chat.css"):
        routes.add_api_route(f"/chat/{{tenant}}/{name}", _asset(name), methods=["GET"])
    return routes


class _Web:
    """The chat's handlers."""

    def __init__(self, hubs: Hubs, settings: ChatSettings) -> None:
        self._hubs = hubs
        self._secret = settings.secret.encode()
        self._deadline = settings.deadline
        self._secrets = Secrets(SignedHooks(settings.hook_deadline, time.time), settings.environ)
        self._away = Degraded("chat")
        self._page = Template(_static("index.html").decode())

    async def page(self, tenant: str, request: Request) -> Response:
        """Answer the page, in the language asked for; it comes even while the hub is away."""
        declared = await self._declared(tenant)
        lang = _language(request, declared)
        title = in_language(_channel(declared).get("title") or {}, lang) or page_words(lang)["title"]
        words = json.dumps(page_words(lang) | {"lang": lang}, ensure_ascii=False).replace("<", "\\u003c")
        content = self._page.substitute(
            {name: html.escape(text) for name, text in page_words(lang).items()},
            html_lang=HTML_LANG[lang],
            title=html.escape(title),
            words=words,
            lang_to="en" if lang == "zh" else "zh",
            lang_to_html=HTML_LANG["en" if lang == "zh" else "zh"],
        )
        return Response(content, media_type="text/html", headers=_headers_of_page(_channel(declared)))

    async def begin(self, tenant: str, request: Request) -> Response:
        """Begin a chat, or come back to it."""
        hub = self._hubs.of(tenant)
        opening = translate.read_body(Opening, await _body(request))
        lang = _language(request, Tenant(tenant=tenant), opening.lang)
        try:
            async with asyncio.timeout(self._deadline):
                answer = await self._begun(hub, tenant, opening, request)
        except (Unavailable, TooMany, TimeoutError) as error:
            return await self._begin_later(hub, tenant, opening, lang, error)
        self._away.over()
        return _answered(answer)

    async def hear(self, tenant: str, request: Request) -> Response:
        """Take a message; while the hub is away it is kept and the answer says so, else it may be sent again."""
        hub = self._hubs.of(tenant)
        arriving = translate.read_body(Arriving, await _body(request))
        session = unseal(self._secret, arriving.session, tenant, chats.now())
        try:
            async with asyncio.timeout(self._deadline):
                chat = self._chat(hub, await hub.tenants.read(), session)
                await chat.bind()
                answer = self._answer(chat, await chat.hear(arriving.message_id, arriving.message))
        except (Unavailable, TooMany, TimeoutError) as error:
            return await self._keep(self._chat(hub, Tenant(tenant=tenant), session), arriving, error)
        self._away.over()
        return _answered(answer)

    async def hear_secret(self, tenant: str, request: Request) -> Response:
        """Take the answer to a secret question; it is never kept, so while the hub is away it must be given again."""
        hub = self._hubs.of(tenant)
        arriving = translate.read_body(SecretGiven, await _body(request))
        session = unseal(self._secret, arriving.session, tenant, chats.now())
        try:
            async with asyncio.timeout(self._deadline):
                chat = self._chat(hub, await hub.tenants.read(), session)
                await chat.bind()
                outcome = await chat.hear_secret(arriving.message_id, arriving.secret.get_secret_value())
        except (Unavailable, TooMany, TimeoutError) as error:
            answer = translate.degraded(session.lang, arriving.message_id, arriving.session)
            return _degraded(answer, self._away.note(error))
        self._away.over()
        return _answered(self._answer(chat, outcome))

    def _chat(self, hub: ContextHub, declared: Tenant, session: Session) -> Chat:
        return Chat(hub, declared, session, self._secrets)

    async def stream(self, tenant: str, session: str, request: Request) -> Response:
        """Send down what happens in a chat, from now or after the last event that the page has seen."""
        hub = self._hubs.of(tenant)
        unsealed = unseal(self._secret, session, tenant, chats.now())
        chat = self._chat(hub, await self._declared(tenant), unsealed)
        last = request.headers.get("last-event-id", "")
        events = down(chat, self._hubs.stopping, int(last) if last.isdecimal() else None, self._sealed)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _begin_later(
        self, hub: ContextHub, tenant: str, opening: Opening, lang: Lang, error: Exception
    ) -> Response:
        """Let a chat begin while the hub is away: what is written in it is kept until the hub knows of it."""
        reason = self._away.note(error)
        if not hub.spool.keeps:
            return _degraded(translate.degraded(lang, "begin", ""), reason)
        external_id = self._external_id(tenant, opening)
        await hub.spool.start(translate.start_of(opening, external_id, lang), now=False)
        session = Session(tenant, "", "", lang, external_id)
        return _degraded(translate.kept_opening(self._sealed(session), lang), reason)

    async def _keep(self, chat: Chat, arriving: Arriving, error: Exception) -> Response:
        """Keep a message that met no hub; where none can be kept it may be sent again."""
        reason, lang = self._away.note(error), chat.session.lang
        if chat.hub.spool.keeps:
            with suppress(SpoolFull):
                return _degraded(await chat.keep(arriving), reason)
        return _degraded(translate.degraded(lang, arriving.message_id, arriving.session), reason)

    def _external_id(self, tenant: str, opening: Opening) -> str:
        return visit_id(self._secret, tenant, opening.visit or secrets.token_urlsafe(24))

    async def _begun(self, hub: ContextHub, tenant: str, opening: Opening, request: Request) -> ChatAnswer:
        """Start the interaction, redeeming the token that came along, and greet."""
        declared = await hub.tenants.read()
        lang = _language(request, declared, opening.lang)
        external_id = self._external_id(tenant, opening)
        await self._chat(hub, declared, Session(tenant, "", "", lang, external_id)).caught_up()
        started = await hub.interactions.start(translate.start_of(opening, external_id, lang))
        at = started.interaction.interaction_id
        chat = self._chat(hub, declared, Session(tenant, started.customer_id, at, lang))
        await chat.bind()
        outcome = await chat.open()
        answer = self._answer(chat, outcome)
        if started.handoff_problem is None:
            return answer
        return answer.model_copy(update={"messages": [translate.notice("token_bad", lang, at), *answer.messages]})

    async def _declared(self, tenant: str) -> Tenant:
        """Return what the tenant has declared; nothing while the hub is away."""
        try:
            return await self._hubs.of(tenant).tenants.read()
        except Unavailable:
            return Tenant(tenant=tenant)

    def _answer(self, chat: Chat, outcome: chats.Outcome) -> ChatAnswer:
        return translate.answer(self._sealed(chat.session), chat.session.lang, outcome.messages, outcome.standing)

    def _sealed(self, session: Session) -> str:
        return seal(self._secret, session, chats.now())


def _language(request: Request, declared: Tenant, asked: str | None = None) -> Lang:
    """Choose the language: by the body, else by the address, else by what the browser accepts."""
    wanted = asked or request.query_params.get("lang")
    return language_of(wanted, request.headers.get("accept-language"), declared.languages)


def _channel(declared: Tenant) -> dict[str, Any]:
    return declared.channels.get("chat", {})


def _headers_of_page(channel: dict[str, Any]) -> dict[str, str]:
    """Return the page's headers: nothing but its own files, framed only where the tenant says so."""
    ancestors = ["'self'", *(str(origin) for origin in channel.get("embed") or [] if _ORIGIN.match(str(origin)))]
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(ancestors)}"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


async def _body(request: Request) -> bytes:
    """Return the body of a request, refusing what is not JSON and what is too large."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise WrongMediaType("send Content-Type: application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise TooLarge("a message has at most 1 MiB")
    return bytes(body)


def _answered(answer: ChatAnswer) -> Response:
    return JSONResponse(answer.model_dump(mode="json", by_alias=True), headers={"Cache-Control": "no-store"})


def _degraded(answer: ChatAnswer, reason: str) -> Response:
    """Answer without the hub: 202 where something is kept, 200 where the page may try again."""
    response = _answered(answer)
    response.status_code = 202 if answer.kept else 200
    response.headers["X-Ctxhub-Degraded"] = reason
    return response


def _problem(error: CtxhubError) -> Response:
    """Answer a refusal as a problem document (RFC 9457)."""
    problem = {"type": f"urn:ctxhub:problem:{error.code}", "title": error.title, "status": error.status}
    problem |= {"code": error.code, "detail": error.detail, "remedy": error.remedy}
    content = json.dumps(error.ids | problem, ensure_ascii=False, default=str)
    headers = {"Retry-After": str(error.ids.get("retry_after", 1))} if error.status in (429, 503) else {}
    return Response(content.encode(), error.status, headers, "application/problem+json")


def _asset(name: str) -> Callable[[str, Request], Coroutine[Any, Any, Response]]:
    """Return the handler of one of the page's files."""
    content = _static(name)
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if name == "widget.js":  # a module is fetched from other sites' pages only where it says that it may be
        headers["Access-Control-Allow-Origin"] = "*"

    async def asset(tenant: str, request: Request) -> Response:
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=_MEDIA_TYPES[name.rsplit(".")[-1]], headers=headers)

    return asset


def _static(name: str) -> bytes:
    return files("ctxhub_chat").joinpath("static", name).read_bytes()
