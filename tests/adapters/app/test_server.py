"""The app over HTTP: its page and files, what it answers while the hub is away, and in a process of its own."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from ctxhub_app import AppSettings, router
from fastapi import FastAPI

from ctxhub.client import ContextHub, SpoolFile, Stopping, told
from tests.support import IMPATIENT, PATIENT

from .conftest import KEY, App, Caller, environ, running

ASSETS = {"app.js": "text/javascript", "app.css": "text/css"}


class Cable(httpx.AsyncHTTPTransport):
    """The way to the hub, which somebody may trip over."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False
        self.answers_are_lost = False
        self.is_slow = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, if it gets through."""
        if self.is_cut:
            raise httpx.ConnectError("nobody there", request=request)
        if self.is_slow:
            await asyncio.Event().wait()
        response = await super().handle_async_request(request)
        if self.answers_are_lost and request.method == "POST":
            await response.aread()
            raise httpx.ReadError("cut off", request=request)
        return response


class OneHub:
    """The hubs of an app that runs beside the hub."""

    def __init__(self, hub: ContextHub) -> None:
        self.stopping = Stopping()
        self._hub = hub

    def of(self, tenant: str) -> ContextHub:
        """Return the one hub there is."""
        return self._hub

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        """Return the hub under another key."""
        return self._hub.with_key(key, agent_id)

    def tenants(self) -> list[str]:
        """Return the one tenant."""
        return ["default"]

    async def of_token(self, token: str) -> str:
        """Return the one tenant."""
        return "default"


@asynccontextmanager
async def beside(
    hub_url: str, cable: Cable, spool: SpoolFile | None = None, patience: float = PATIENT
) -> AsyncIterator[App]:
    """An app whose server runs in a process of its own, at the end of a cable."""
    server = FastAPI()
    async with ContextHub(hub_url, KEY, transport=cable, timeout=patience, tries=2, spool=spool) as hub:
        settings = AppSettings(secret="sealing", public_url="http://app", environ=environ(), deadline=2 * patience)
        server.include_router(router(OneHub(hub), settings))
        async with httpx.AsyncClient(base_url="http://app", transport=httpx.ASGITransport(app=server)) as http:
            yield App(http)


# The page and its files


async def test_the_page_takes_nothing_from_anywhere_else(http: httpx.AsyncClient) -> None:
    answer = await http.get("/app/default/", headers={"Accept-Language": "zh"})
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "<title>远方银行</title>" in answer.text
    assert not re.search(r"\$\{?\w", answer.text)
    assert not re.search(r"(?:src|href)=\"https?:", answer.text)


@pytest.mark.parametrize("name", ASSETS)
async def test_files_are_sent_once(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/app/default/{name}")
    assert answer.headers["content-type"].startswith(ASSETS[name])
    again = await http.get(f"/app/default/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_other_files_are_not_served(http: httpx.AsyncClient) -> None:
    for name in ("index.html", "server.py", "resume.html", "static/app.js", "..%2Fserver.py"):
        assert (await http.get(f"/app/default/{name}")).status_code == 404


# While the hub is away


async def test_without_a_hub_the_app_learns_what_is_left_and_when_to_come_back(hub_url: str, somebody: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as app:
        await app.open(somebody)
        begun = await app.does("journeys", kind="address_change")
        cable.is_cut = True
        answer = await app.http.get(f"{app.at}home", headers=app.bearer)
        assert (answer.status_code, answer.headers["x-ctxhub-degraded"], answer.headers["retry-after"]) == (
            200, "away", "3"
        )  # fmt: skip
        left = answer.json()
        assert left["degraded"]
        assert not left["kept"]
        assert left["notice"] == "Our system does not answer just now. What you see may be out of date."
        assert left["journeys"] is left["promises"] is left["facts"] is None
        assert [kind["name"] for kind in left["menu"]] == ["card_blocked", "address_change", "complaint"]
        assert (left["dial"], left["retry_after"]) == ("+49 30 123456", 3)
        cable.is_cut = False
        home = await app.home()
        assert not home["degraded"]
        assert home["journeys"][0]["journey_id"] == begun["journey_id"]


async def test_what_was_sent_without_a_hub_may_be_sent_again_and_takes_effect_once(hub_url: str, somebody: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as app:
        await app.open(somebody)
        cable.answers_are_lost = True
        lost = await app.post("journeys", op_id="the-same", kind="address_change")
        assert lost.json()["degraded"]
        cable.answers_are_lost = False
        again = app.kept(await app.post("journeys", op_id="the-same", kind="address_change"))
        assert [journey["kind"] for journey in again["journeys"]] == ["address_change"]


async def test_a_hub_that_hangs_is_not_waited_for(hub_url: str, somebody: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable, patience=IMPATIENT) as app:
        await app.open(somebody)
        cable.is_slow = True
        async with asyncio.timeout(10):
            answer = await app.http.get(f"{app.at}home", headers=app.bearer)
        assert (answer.json()["degraded"], answer.headers["x-ctxhub-degraded"]) == (True, "slow")


async def test_without_a_hub_the_page_comes_and_nobody_logs_in(hub_url: str, somebody: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as app:
        await app.open(somebody)
        cable.is_cut = True
        assert (await app.http.get(app.at)).status_code == 200
        opened = await app.opening(somebody)
        assert (opened.status_code, opened.json()["session"], opened.json()["degraded"]) == (200, "", True)
        assert (await app.post("leave")).json()["degraded"]


async def test_without_a_hub_a_stream_says_so_and_ends(hub_url: str, somebody: str) -> None:
    cable = Cable()
    async with beside(hub_url, cable) as app:
        await app.open(somebody)
        cable.is_cut = True
        answer = await app.http.get(f"{app.at}stream", headers=app.bearer)
        assert answer.text.endswith('event: degraded\ndata: {"why": "away"}\n\n')


async def test_without_a_hub_a_link_stays_good(hub_url: str, company: ContextHub, somebody: str) -> None:
    token = await (await Caller.of(company, somebody)).token()
    cable = Cable()
    async with beside(hub_url, cable) as app:
        cable.is_cut = True
        for method in ("GET", "POST"):
            answer = await app.http.request(method, f"/r/{token}")
            assert (answer.status_code, "The link stays good" in answer.text) == (503, True)
        cable.is_cut = False
        assert (await app.http.get(f"/r/{token}")).status_code == 200
        assert (await app.http.post(f"/r/{token}")).status_code == 303


async def test_what_the_customer_gives_is_kept_while_the_hub_is_away_and_told_later(
    hub_url: str, company: ContextHub, somebody: str, tmp_path: Path
) -> None:
    cable, spool = Cable(), SpoolFile(tmp_path / "app", "a secret of the spool's tests", of="default")
    async with beside(hub_url, cable, spool) as app:
        await app.open(somebody)
        begun = await app.does("journeys", kind="address_change")
        cable.is_cut = True
        body = {"journey_id": begun["journey_id"], "facts": [{"name": "city", "value": "Porto"}]}
        kept = await app.post("facts", op_id="kept", **body)
        assert (kept.status_code, kept.json()["degraded"], kept.json()["kept"]) == (202, True, True)
        said = await app.post("messages", message_id="m1", text="Is anybody there?")
        assert (said.status_code, said.json()["kept"]) == (202, True)
        cable.is_cut = False
        async with asyncio.timeout(20):
            await spool.drained()
        told_ = [event for event in (await company.contexts.timeline(somebody)).events if event.party == "customer"]
        assert [event.data.get("value") or event.data.get("text") for event in told_[-2:]] == [
            "Porto", "Is anybody there?"
        ]  # fmt: skip


async def test_what_found_no_room_is_never_said_to_be_kept(hub_url: str, somebody: str, tmp_path: Path) -> None:
    cable, spool = Cable(), SpoolFile(tmp_path / "app", "a secret of the spool's tests", of="default", limit=100)
    async with beside(hub_url, cable, spool, IMPATIENT) as app:
        await app.open(somebody)
        cable.is_slow = True
        lost = await app.post("facts", op_id="lost", facts=[{"name": "city", "value": "Porto"}])
        assert (lost.status_code, lost.json()["degraded"], lost.json()["kept"]) == (200, True, False)
        assert spool.pending == 0


async def test_no_login_is_called_bad_while_nobody_knows_what_is_agreed(hub_url: str, somebody: str) -> None:
    cable = Cable()
    cable.is_cut = True
    async with beside(hub_url, cable) as app:
        opened = await app.opening(somebody)
        assert (opened.status_code, opened.json()["degraded"]) == (200, True)
        cable.is_cut = False
        assert (await app.open(somebody))["customer"]["level"] == 2


# In a process of its own


@pytest.fixture(scope="module")
def alone(hub_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app that runs beside the hub."""
    log = tmp_path_factory.mktemp("alone") / "log"
    ours = {"CTXHUB_URL": hub_url, "CTXHUB_KEY": KEY, "CTXHUB_PORT": "0", "CTXHUB_DATA": str(log.parent)}
    with running(["ctxhub_app"], ours | environ(), log) as (_, url):
        yield url


async def test_it_runs_in_a_process_of_its_own(alone: str, company: ContextHub, somebody: str) -> None:
    caller = await Caller.of(company, somebody, country="Portugal")
    async with httpx.AsyncClient(base_url=alone, timeout=10) as http:
        app = App(http)
        home = await app.open(somebody)
        assert home["facts"][0]["value"] == "Portugal"
        headers = app.bearer | {"Last-Event-ID": str(home["version"])}
        async with http.stream("GET", f"{app.at}stream", headers=headers) as stream:
            lines = stream.aiter_lines()
            await company.events.tell(
                somebody, told("fact.stated", party="system", name="city", value="Porto", event_id=secrets.token_hex(8))
            )
            async with asyncio.timeout(10):
                found = [line async for line in _until(lines, "Porto")]
        assert "Porto" in found[-1]
        token = await caller.token()
        assert (await http.post(f"/r/{token}")).headers["location"] == "/app/default/"
        assert (await http.get("/.well-known/assetlinks.json")).status_code == 200
        assert (await http.get("/app/other/home")).status_code == 404


async def _until(lines: AsyncIterator[str], text: str) -> AsyncIterator[str]:
    """Read on to a line with a text in it."""
    async for line in lines:
        yield line
        if text in line:
            return
