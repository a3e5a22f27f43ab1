"""The app over HTTP: sessions, what the customer does, the stream down, resume links, the stand-in page."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from importlib.resources import files
from string import Template
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel

from ctxhub.client import (
    CtxhubError,
    Degraded,
    Hubs,
    SignedHooks,
    SpoolFull,
    Tenant,
    TooLarge,
    TooMany,
    Unavailable,
    Unknown,
    WrongMediaType,
)
from ctxhub_app import association, translate
from ctxhub_app.entrance import Entered, Entrance
from ctxhub_app.lines import Lines
from ctxhub_app.login import Logins, Proven, read_assertion
from ctxhub_app.refusals import LoginNeeded, LoginRefused, Refusal
from ctxhub_app.resume import SESSION_COOKIE, Resume, is_own
from ctxhub_app.say import HTML_LANG, PAGE, Lang, language_of, words
from ctxhub_app.secrets import Secrets
from ctxhub_app.sessions import Seal, Session
from ctxhub_app.settings import AppChannel, AppSettings, channel_of, login_hook, login_keys
from ctxhub_app.stream import down
from ctxhub_app.translate import (
    Acting,
    AppAnswer,
    Calling,
    Giving,
    Going,
    LoggingIn,
    Login,
    Opening,
    Operation,
    Resuming,
    Saying,
    SecretGiven,
    Wanting,
)
from ctxhub_app.visit import Outcome, Place, Visit, now

DEGRADED = "X-Ctxhub-Degraded"
#: What says that the hub does not answer in time, or can't keep what it is told.
AWAY = (Unavailable, TooMany, SpoolFull, TimeoutError)

_LARGEST_BODY = 1024 * 1024
_RETRY_AFTER = 3
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript"}
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

#: What is done in a visit: each takes the visit and the request's body, and says where things stand then.
Deed = Callable[[Visit, bytes], Awaitable[Outcome]]


class _ProblemRoute(APIRoute):
    """A route whose refusals are problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with refusals answered."""
        handler = super().get_route_handler()

        async def answering(request: Request) -> Response:
            try:
                return await handler(request)
            except (CtxhubError, Refusal) as error:
                return _problem(error)

        return answering


def router(hubs: Hubs, settings: AppSettings) -> APIRouter:
    """Return the routes of the app, of resume links, and of the association files."""
    web = _Web(hubs, settings)
    routes = APIRouter(route_class=_ProblemRoute, include_in_schema=False)
    at = "/app/{tenant}"
    routes.add_api_route(f"{at}/", web.page, methods=["GET"])
    for name in ("app.js", "app.css"):
        routes.add_api_route(f"{at}/{name}", _asset(name), methods=["GET"])
    routes.add_api_route(f"{at}/sessions", web.begin, methods=["POST"])
    routes.add_api_route(f"{at}/login", web.log_in, methods=["POST"])
    routes.add_api_route(f"{at}/resume", web.resume, methods=["POST"])
    routes.add_api_route(f"{at}/leave", web.leave, methods=["POST"])
    routes.add_api_route(f"{at}/home", web.home, methods=["GET"])
    routes.add_api_route(f"{at}/journeys", web.home, methods=["GET"])
    routes.add_api_route(f"{at}/stream", web.stream, methods=["GET"])
    routes.add_api_route(f"{at}/journeys/{{journey_id}}", web.act, methods=["POST"])
    routes.add_api_route(f"{at}/journeys/{{journey_id}}/form", web.form, methods=["POST"])
    for path, deed in _DEEDS.items():
        routes.add_api_route(f"{at}/{path}", web.doing(deed), methods=["POST"])
    _add_links(routes, web, Resume(hubs, settings, web.seal))
    return routes


def _add_links(routes: APIRouter, web: _Web, resume: Resume) -> None:
    """Add resume links, and the files by which phones know whose they are."""
    routes.add_api_route("/r/{token}", resume.look, methods=["GET", "HEAD"])
    routes.add_api_route("/r/{token}", resume.redeem, methods=["POST"])
    routes.add_api_route("/.well-known/apple-app-site-association", web.apple, methods=["GET"])
    routes.add_api_route("/.well-known/assetlinks.json", web.android, methods=["GET"])


async def _want(visit: Visit, body: bytes) -> Outcome:
    return await visit.want(translate.read_body(Wanting, body))


async def _give(visit: Visit, body: bytes) -> Outcome:
    return await visit.give(translate.read_body(Giving, body))


async def _give_secret(visit: Visit, body: bytes) -> Outcome:
    return await visit.give_secret(translate.read_body(SecretGiven, body))


async def _say(visit: Visit, body: bytes) -> Outcome:
    return await visit.say(translate.read_body(Saying, body))


async def _call(visit: Visit, body: bytes) -> Outcome:
    return await visit.call(translate.read_body(Calling, body))


async def _stop_waiting(visit: Visit, body: bytes) -> Outcome:
    translate.read_body(Operation, body)
    return await visit.stop_waiting()


async def _go(visit: Visit, body: bytes) -> Outcome:
    return await visit.go(translate.read_body(Going, body))


_DEEDS: dict[str, Deed] = {
    "journeys": _want,
    "facts": _give,
    "secrets": _give_secret,
    "messages": _say,
    "human": _call,
    "human/cancel": _stop_waiting,
    "elsewhere": _go,
}


class _Web:
    """The app's handlers."""

    def __init__(self, hubs: Hubs, settings: AppSettings) -> None:
        self.seal = Seal(settings.secret)
        self._hubs = hubs
        self._settings = settings
        self._logins = Logins(settings.hook_deadline, time.time)
        self._lines = Lines()
        self._secrets = Secrets(SignedHooks(settings.hook_deadline, time.time), settings.environ)
        self._notes = Degraded("app")
        self._page = Template(_static("index.html").decode())

    # Beginning and ending

    async def begin(self, tenant: str, request: Request) -> Response:
        """Begin a visit by login, by a resume link, or by both; or come back to it."""
        place, opening = await self._place(tenant), translate.read_body(Opening, await _body(request))
        lang = _language(request, place.tenant, opening.lang)
        if opening.login is None and opening.token is None:
            raise LoginNeeded("a visit begins with a login, or with the token of a resume link")
        if place.unread is not None:
            return self._without_hub(place.unread, place, lang)
        proven = await self._proven(place, opening.login, opening.visit) if opening.login else None
        try:
            async with asyncio.timeout(self._settings.deadline):
                answer, session = await self._begun(place, opening, proven, lang)
        except AWAY as error:
            return self._without_hub(error, place, lang)
        response = _answered(answer.model_copy(update={"session": "" if opening.cookie else self.seal.close(session)}))
        if opening.cookie:
            self._keep(response, session)
        return response

    async def log_in(self, tenant: str, request: Request) -> Response:
        """Take a login in a visit that has begun: it proves more, or says whose a visit is that came by a link."""
        place, body = await self._place(tenant), await _body(request)
        session = self._session(tenant, request)
        if place.unread is not None:
            return self._without_hub(place.unread, place, session.lang)
        proven = await self._proven(place, translate.read_body(LoggingIn, body).login, session.external_id)

        async def deed(visit: Visit, _: bytes) -> Outcome:
            await Entrance(place.hub, tenant, self.seal).settle(await visit.look(), proven)
            return await visit.log_in(proven.mark, proven)

        return await self._done(place._replace(ends_at=self._in_time()), session, request, deed, body)

    async def resume(self, tenant: str, request: Request) -> Response:
        """Let a resume link bring its journey into a visit that has begun."""
        place, body = await self._place(tenant), await _body(request)
        session = self._session(tenant, request)
        token = translate.read_body(Resuming, body).token

        async def deed(visit: Visit, _: bytes) -> Outcome:
            scene = await visit.look()
            if not scene.discloses:
                raise LoginNeeded("log in before opening another link")
            entrance, customer_id = Entrance(place.hub, tenant, self.seal), scene.view.customer_id
            problem = await entrance.take_up(session.external_id, token, customer_id, session.lang)
            return Outcome((await visit.everything()).home, {"handoff_problem": problem})

        return await self._done(place, session, request, deed, body)

    async def leave(self, tenant: str, request: Request) -> Response:
        """End the visit; the session is over."""
        place, _ = await self._place(tenant), await _body(request)
        session = self._session(tenant, request)
        try:
            async with asyncio.timeout_at(place.ends_at):
                await Visit(place, session).leave()
        except AWAY as error:
            return self._without_hub(error, place, session.lang)
        response = Response(status_code=204, headers=_HEADERS)
        response.delete_cookie(SESSION_COOKIE, path=f"/app/{tenant}/")
        return response

    # In between

    async def home(self, tenant: str, request: Request) -> Response:
        """Answer all that the app shows."""
        place, session = await self._place(tenant), self._session(tenant, request)

        async def deed(visit: Visit, _: bytes) -> Outcome:
            return await visit.everything()

        return await self._done(place, session, request, deed, b"")

    async def act(self, tenant: str, journey_id: str, request: Request) -> Response:
        """Go on with a journey, leave it for now, or give it up."""

        async def deed(visit: Visit, body: bytes) -> Outcome:
            return await visit.act(journey_id, translate.read_body(Acting, body))

        return await self.doing(deed)(tenant, request)

    async def form(self, tenant: str, journey_id: str, request: Request) -> Response:
        """Answer what a journey needs now: known, to be confirmed, or to be asked."""

        async def deed(visit: Visit, body: bytes) -> Outcome:
            return await visit.open_form(journey_id, translate.read_body(Operation, body).op_id)

        return await self.doing(deed)(tenant, request)

    def doing(self, deed: Deed) -> Callable[[str, Request], Coroutine[Any, Any, Response]]:
        """Return the handler of something done in a visit."""

        async def handler(tenant: str, request: Request) -> Response:
            place, body = await self._place(tenant), await _body(request)
            return await self._done(place, self._session(tenant, request), request, deed, body)

        return handler

    async def stream(self, tenant: str, request: Request) -> Response:
        """Send down what happens in a visit, from now or after the last event that the app has seen."""
        place, session = await self._place(tenant), self._session(tenant, request)
        visit = Visit(place, _in_language(session, request))
        last = request.headers.get("last-event-id", "")
        seen = int(last) if last.isascii() and last.isdecimal() and len(last) < 16 else None
        events = down(visit, self._hubs.stopping, seen, self.seal.close)
        headers = _HEADERS | {"X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    # What needs no session

    async def page(self, tenant: str, request: Request) -> Response:
        """Answer the page that stands in for a mobile app; it comes even while the hub is away."""
        place = await self._place(tenant)
        lang = _language(request, place.tenant)
        title = translate.title_of(place.channel, lang, words(PAGE, lang)["title"])
        said = words(PAGE, lang) | {"lang": lang}
        content = self._page.substitute(
            {name: html.escape(text) for name, text in said.items()},
            html_lang=HTML_LANG[lang],
            title=html.escape(title),
            words=json.dumps(said, ensure_ascii=False).replace("<", "\\u003c"),
            lang_to="en" if lang == "zh" else "zh",
            lang_to_html=HTML_LANG["en" if lang == "zh" else "zh"],
        )
        return Response(content, media_type="text/html", headers=_PAGE_HEADERS)

    async def apple(self) -> Response:
        """Answer which apps for iOS may open resume links."""
        return _association(association.apple(await self._channels()))

    async def android(self) -> Response:
        """Answer which apps for Android may open resume links."""
        return _association(association.android(await self._channels()))

    async def _channels(self) -> list[AppChannel]:
        """Return what every tenant here declares of its app."""
        return [channel_of(await self._hubs.of(tenant).tenants.read()) for tenant in self._hubs.tenants()]

    # Shared by them

    async def _place(self, tenant: str) -> Place:
        """Return whose app it is; what a tenant declares is unknown while the hub is away."""
        hub, unread, ends_at = self._hubs.of(tenant), None, self._in_time()
        try:
            async with asyncio.timeout_at(ends_at):
                declared = await hub.tenants.read()
        except (Unavailable, TooMany, TimeoutError) as error:
            declared, unread = Tenant(tenant=tenant), error
        return Place(hub, declared, channel_of(declared), self._lines, ends_at, self._secrets, unread)

    def _in_time(self) -> float:
        """Return until when an answer is in time, by the loop's time."""
        return asyncio.get_running_loop().time() + self._settings.deadline

    async def _proven(self, place: Place, login: Login, visit: str) -> Proven:
        """Return whom a login proves."""
        declared, environ = place.channel.login, self._settings.environ
        if login.assertion is not None:
            return read_assertion(login.assertion, login_keys(declared, environ), declared, visit)
        hook = login_hook(declared, environ)
        if hook is None:
            raise LoginRefused("nobody checks proofs here: channels.app.login names no hook, or its secret is not set")
        mark = self.seal.derived("proof", place.tenant.tenant, visit, json.dumps(login.proof, sort_keys=True))
        return await self._logins.check(hook, mark, login.proof or {}, visit, declared)

    async def _begun(
        self, place: Place, opening: Opening, proven: Proven | None, lang: Lang
    ) -> tuple[AppAnswer, Session]:
        """Let the customer in, and say where everything stands."""
        entrance = Entrance(place.hub, place.tenant.tenant, self.seal)
        if proven is None:
            entered = await entrance.by_link(opening.visit, str(opening.token), lang)
        else:
            entered = await entrance.by_login(opening.visit, proven, opening.token, lang)
        visit = Visit(place, self._session_of(place.tenant.tenant, entered, lang))
        outcome = await visit.come_back()
        if proven is not None:
            await entrance.settle(await visit.look(), proven)
            outcome = await visit.log_in(proven.mark, proven)
        return _answer(outcome, {"handoff_problem": entered.problem}), visit.session

    def _session_of(self, tenant: str, entered: Entered, lang: Lang) -> Session:
        return Session(
            tenant=tenant,
            customer_id=entered.started.customer_id,
            interaction_id=entered.started.interaction.interaction_id,
            external_id=entered.external_id,
            lang=lang,
            ends_at=now() + self._settings.session_lasts,
        )

    def _session(self, tenant: str, request: Request) -> Session:
        """Return the session that a request brings; one in a cookie counts only from our own page."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.seal.open(bearer.strip(), tenant, now())
        if not is_own(request):
            raise Refusal("a page elsewhere may not act for its visitors here")
        return self.seal.open(request.cookies.get(SESSION_COOKIE, ""), tenant, now())

    async def _done(self, place: Place, session: Session, request: Request, deed: Deed, body: bytes) -> Response:
        """Do something in a visit in time; while the hub is away the answer says so, and it may be sent again."""
        visit = Visit(place, _in_language(session, request))
        is_bearer = "authorization" in request.headers
        try:
            async with asyncio.timeout_at(place.ends_at):
                outcome = await deed(visit, body)
        except AWAY as error:
            own = self.seal.close(session) if is_bearer else ""
            return self._without_hub(error, place, visit.session.lang, own, kept=await visit.has_kept())
        self._notes.over()
        kept = visit.session.model_copy(update={"lang": session.lang})
        response = _answered(_answer(outcome, {"session": self.seal.close(kept) if is_bearer else ""}))
        if not is_bearer and kept != session:
            self._keep(response, kept)
        return response

    def _without_hub(
        self, error: Exception, place: Place, lang: Lang, session: str = "", *, kept: bool = False
    ) -> Response:
        """Answer without the hub: what the app can still offer, when to come back, and whether something is kept."""
        reason = self._notes.note(error)
        wait = error.ids.get("retry_after") if isinstance(error, CtxhubError) else None
        seconds = max(1, round(wait)) if isinstance(wait, int | float) else _RETRY_AFTER
        answer = translate.degraded(lang, session, place.tenant, place.channel, seconds)
        headers = {DEGRADED: reason, "Retry-After": str(seconds)}
        return _answered(answer.model_copy(update={"kept": kept}), headers, 202 if kept else 200)

    def _keep(self, response: Response, session: Session) -> None:
        """Let a browser keep the session where no script reads it."""
        response.set_cookie(
            SESSION_COOKIE,
            self.seal.close(session),
            max_age=max(1, round((session.ends_at - now()).total_seconds())),
            path=f"/app/{session.tenant}/",
            httponly=True,
            samesite="strict",
            secure=self._settings.is_secure,
        )


def _language(request: Request, declared: Tenant, asked: str | None = None) -> Lang:
    """Choose the language: by the body, else by the address, else by what the browser accepts."""
    wanted = asked or request.query_params.get("lang")
    return language_of(wanted, request.headers.get("accept-language"), declared.languages)


def _in_language(session: Session, request: Request) -> Session:
    """Return a session in the language that the address asks for, where it asks for one."""
    wanted = request.query_params.get("lang")
    return session.model_copy(update={"lang": language_of(wanted, None, [session.lang, "en", "zh"])})


async def _body(request: Request) -> bytes:
    """Return the body of a request, refusing what is not JSON and what is too large."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise WrongMediaType("send Content-Type: application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise TooLarge("a request has at most 1 MiB")
    return bytes(body)


def _answer(outcome: Outcome, beside: dict[str, Any]) -> AppAnswer:
    return AppAnswer(**dict(outcome.home), **outcome.beside | beside)


def _answered(answer: AppAnswer, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return JSONResponse(answer.model_dump(mode="json", by_alias=True), status, _HEADERS | (headers or {}))


def _problem(error: CtxhubError | Refusal) -> Response:
    """Answer a refusal as a problem document (RFC 9457)."""
    problem = {"type": f"urn:ctxhub:problem:{error.code}", "title": error.title, "status": error.status}
    problem |= {"code": error.code, "detail": error.detail, "remedy": error.remedy}
    content = json.dumps(error.ids | problem, ensure_ascii=False, default=str)
    headers = {"Retry-After": str(error.ids.get("retry_after", 1))} if error.status in (429, 503) else {}
    return Response(content.encode("utf-8", "replace"), error.status, _HEADERS | headers, "application/problem+json")


def _association(content: BaseModel | list[Any] | dict[str, Any] | None) -> Response:
    """Answer an association file; phones' makers want it as JSON at just this address, without a redirect."""
    if content is None:
        raise Unknown("no tenant here declares such an app: see channels.app")
    return JSONResponse(content, headers={"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff"})


def _asset(name: str) -> Callable[[str, Request], Coroutine[Any, Any, Response]]:
    """Return the handler of one of the page's files."""
    content = _static(name)
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    async def asset(tenant: str, request: Request) -> Response:
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=_MEDIA_TYPES[name.rsplit(".")[-1]], headers=headers)

    return asset


def _static(name: str) -> bytes:
    return files("ctxhub_app").joinpath("static", name).read_bytes()
