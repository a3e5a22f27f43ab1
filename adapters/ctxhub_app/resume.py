"""Resume links, `/r/{token}`: looking at one has no effect, the button on its page redeems it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Literal
from urllib.parse import urlsplit

import structlog
from fastapi import Request, Response

from ctxhub.client import AlreadyUsed, CtxhubError, HandoffView, Hubs, Lapsed, Refused, Tenant, Unavailable, Unknown
from ctxhub_app.entrance import Entered, Entrance
from ctxhub_app.say import HTML_LANG, RESUME, Lang, language_of, words
from ctxhub_app.sessions import Seal, Session
from ctxhub_app.settings import AppChannel, AppSettings, channel_of
from ctxhub_app.translate import title_of
from ctxhub_app.visit import now

log = structlog.get_logger()

COOKIE = "ctxhub_r"
SESSION_COOKIE = "ctxhub_app"

Page = Literal["go_on", "unknown", "expired", "used", "again", "away"]

_TOKEN = re.compile(r"[0-9A-Za-z_-]{1,64}")
_VISIT = re.compile(r"[0-9A-Za-z_-]{16,64}")
_STATUS: dict[Page, int] = {"go_on": 200, "unknown": 404, "expired": 410, "used": 409, "again": 403, "away": 503}
_IN_THE_CHAT = ("chat", "web")
_USED = ("accepted", "completed", "returned", "transferred")
_LOOKED_AT_FOR = 30 * 86_400


@dataclass(frozen=True)
class Arriving:
    """Somebody who follows a link: whose link it is, and what the tenant declares."""

    token: str
    tenant: Tenant
    channel: AppChannel
    lang: Lang


class Resume:
    """Answers resume links of all tenants."""

    def __init__(self, hubs: Hubs, settings: AppSettings, seal: Seal) -> None:
        self._hubs = hubs
        self._settings = settings
        self._seal = seal
        self._html = Template(_static("resume.html"))
        style = _static("resume.css")
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._style = style
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )

    async def look(self, token: str, request: Request) -> Response:
        """Show the page behind a link; whoever looks, and however often, nothing happens to the link."""
        arriving, page = await self._seen(token, request)
        if page == "used" and COOKIE in request.cookies:
            page = "go_on"  # this browser may be the one that used it: the button tells
        response = self._page(page, arriving, request)
        if page == "go_on" and _visit(request) is None:
            self._keep(response, COOKIE, secrets.token_urlsafe(24), "/r/", "lax", _LOOKED_AT_FOR)
        return response

    async def redeem(self, token: str, request: Request) -> Response:
        """Let the customer go on: once, and again for the same browser."""
        if not is_own(request):
            return self._page("again", None, request)
        arriving, page = await self._seen(token, request)
        may_be_again = page == "used" and _visit(request) is not None
        if arriving is None or not (page == "go_on" or may_be_again):
            return self._page(page, arriving, request)
        visit = _visit(request) or secrets.token_urlsafe(24)
        try:
            async with asyncio.timeout(self._settings.deadline):
                return await self._gone_on(arriving, visit)
        except CtxhubError as error:
            return self._page(_page_of(error), arriving, request)
        except TimeoutError:
            return self._page("away", arriving, request)

    async def _seen(self, token: str, request: Request) -> tuple[Arriving | None, Page]:
        """Look at a link without using it; whose it is, and which page it deserves."""
        if not _TOKEN.fullmatch(token):
            return None, "unknown"
        try:
            async with asyncio.timeout(self._settings.deadline):
                tenant_id = await self._hubs.of_token(token)
                hub = self._hubs.of(tenant_id)
                arriving = self._arriving(token, await hub.tenants.read(), request)
                return arriving, _page_for(await hub.handoffs.lookup(token))
        except CtxhubError as error:
            return None, _page_of(error)
        except TimeoutError:
            return None, "away"

    def _arriving(self, token: str, tenant: Tenant, request: Request) -> Arriving:
        return Arriving(token, tenant, channel_of(tenant), _language(request, tenant))

    async def _gone_on(self, arriving: Arriving, visit: str) -> Response:
        """Redeem a link, and lead to where the customer goes on."""
        tenant_id = arriving.tenant.tenant
        hub = self._hubs.of(tenant_id)
        handoff = await hub.handoffs.lookup(arriving.token)
        if handoff.to.channel in _IN_THE_CHAT:
            response = _to(f"/chat/{tenant_id}/#{arriving.token}")  # redeemed there, in a visit of the chat's own
        else:
            mine = f"{visit}/{arriving.token}"  # each link has a visit of its own: they may be different people's
            entered = await Entrance(hub, tenant_id, self._seal).by_link(mine, arriving.token, arriving.lang)
            response = _to(f"/app/{tenant_id}/")
            session = self._seal.close(self._session(tenant_id, entered, arriving.lang))
            lasts = round(self._settings.session_lasts.total_seconds())
            self._keep(response, SESSION_COOKIE, session, f"/app/{tenant_id}/", "strict", lasts)
        self._keep(response, COOKIE, visit, "/r/", "lax", _LOOKED_AT_FOR)
        return response

    def _session(self, tenant_id: str, entered: Entered, lang: Lang) -> Session:
        return Session(
            tenant=tenant_id,
            customer_id=entered.started.customer_id,
            interaction_id=entered.started.interaction.interaction_id,
            external_id=entered.external_id,
            lang=lang,
            ends_at=now() + self._settings.session_lasts,
        )

    def _keep(
        self, response: Response, name: str, value: str, path: str, same_site: Literal["lax", "strict"], seconds: int
    ) -> None:
        """Let the browser keep something that no script reads."""
        secure = self._settings.is_secure
        response.set_cookie(
            name, value, max_age=seconds, path=path, httponly=True, samesite=same_site, secure=secure
        )  # fmt: skip

    def _page(self, page: Page, arriving: Arriving | None, request: Request) -> Response:
        """Return one of the pages: neutral, whoever looks at it."""
        lang = arriving.lang if arriving else _language(request, None)
        content = self._html.substitute(
            html_lang=HTML_LANG[lang],
            style=self._style,
            **_texts(page, lang),
            buttons=_buttons(page, arriving, words(RESUME, lang)),
            company=html.escape(title_of(arriving.channel, lang, "") if arriving else ""),
        )
        headers = _HEADERS | {"Content-Security-Policy": self._policy}
        headers |= {"Retry-After": "3", "X-Ctxhub-Degraded": "away"} if page == "away" else {}
        return Response(content, _STATUS[page], headers, "text/html")


_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_own(request: Request) -> bool:
    """Tell whether a write comes from a page of ours, or from no page at all; browsers always say where from."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    if origin is None:
        return True
    if origin == "null":  # as from a page that sends no referrer; then only our own page brings the cookie along
        return COOKIE in request.cookies
    return urlsplit(origin).netloc == request.headers.get("host")


def _page_for(handoff: HandoffView) -> Page:
    """Return the page that a link deserves as its handoff stands; for a queue a link joins, and stays good."""
    if handoff.state == "offered" or (handoff.state == "accepted" and handoff.to.channel is None):
        return "go_on"
    return "used" if handoff.state in _USED else "expired"


def _page_of(error: CtxhubError) -> Page:
    """Return the page for what the hub says."""
    if isinstance(error, AlreadyUsed):
        return "used"
    if isinstance(error, Lapsed | Refused):
        return "expired"
    if isinstance(error, Unknown):
        return "unknown"
    if not isinstance(error, Unavailable):
        log.warning("app.link_failed", code=error.code)
    return "away"


def _texts(page: Page, lang: Lang) -> dict[str, str]:
    """Return a page's heading and text."""
    said = words(RESUME, lang)
    if page == "go_on":
        return {"title": html.escape(said["title"]), "text": html.escape(said["lead"])}
    return {"title": html.escape(said[f"{page}_title"]), "text": html.escape(said[page])}


def _buttons(page: Page, arriving: Arriving | None, said: dict[str, str]) -> str:
    """Return the way on: the button that redeems, and the app's own link where it has one."""
    if arriving is None:
        return ""
    if page != "go_on":
        return f'<a class="button" href="/app/{html.escape(arriving.tenant.tenant)}/">{html.escape(said["home"])}</a>'
    button = f'<form method="post"><button type="submit">{html.escape(said["go_on"])}</button></form>'
    if arriving.channel.deep_link is None:
        return button
    address = html.escape(arriving.channel.deep_link + arriving.token)
    return button + f'<a class="button" rel="nofollow" href="{address}">{html.escape(said["in_app"])}</a>'


def _visit(request: Request) -> str | None:
    """Return what a browser keeps of having looked at a link."""
    visit = request.cookies.get(COOKIE, "")
    return visit if _VISIT.fullmatch(visit) else None


def _language(request: Request, tenant: Tenant | None) -> Lang:
    spoken = tenant.languages if tenant else ["en", "zh"]
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language"), spoken)


def _to(address: str) -> Response:
    """Lead on by GET, so that going back and reloading redeem nothing."""
    return Response(status_code=303, headers=_HEADERS | {"Location": address})


def _static(name: str) -> str:
    return files("ctxhub_app").joinpath("static", name).read_text("utf-8")
