"""Resume links: looking at one does nothing, its button redeems it once; whoever has it may be anybody."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from bs4 import BeautifulSoup

from ctxhub.client import ContextHub

from .conftest import OTHER_PRINT, PRINT, App, Caller, assertion

#: What fetches a link that somebody was sent, so that a preview can be shown or its safety be judged.
PREVIEWERS = [
    {"User-Agent": "facebookexternalhit/1.1 Facebot Twitterbot/1.0"},
    {"User-Agent": "WhatsApp/2.23.20.0", "Accept": "*/*"},
    {"User-Agent": "Mozilla/5.0", "Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"},
    {"User-Agent": "Mozilla/5.0 (compatible; MSIE 9.0) SafeLinks", "X-Moz": "prefetch"},
]


@asynccontextmanager
async def a_browser(hub_url: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with cookies of its own, which does not follow by itself."""
    async with httpx.AsyncClient(base_url=hub_url, headers=headers, timeout=10) as browser:
        yield browser


@pytest.fixture
async def caller(company: ContextHub, somebody: str) -> Caller:
    """A customer of ours on the phone."""
    return await Caller.of(company, somebody, country="Portugal")


def heading(response: httpx.Response) -> str:
    found = BeautifulSoup(response.text, "lxml").h1
    assert found is not None
    return found.get_text()


async def state_of(company: ContextHub, token: str) -> str:
    return (await company.handoffs.lookup(token)).state


# Looking


@pytest.mark.parametrize("headers", PREVIEWERS, ids=lambda headers: headers["User-Agent"][:12])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_a_link_redeems_nothing(
    hub_url: str, company: ContextHub, caller: Caller, headers: dict[str, str], method: str
) -> None:
    token = await caller.token()
    before = (await company.contexts.read(caller.customer_id)).version
    async with a_browser(hub_url, **headers) as browser:
        for _ in range(3):
            assert (await browser.request(method, f"/r/{token}")).status_code == 200
    assert await state_of(company, token) == "offered"
    assert (await company.contexts.read(caller.customer_id)).version == before
    async with a_browser(hub_url) as browser:
        assert (await browser.post(f"/r/{token}")).status_code == 303


async def test_the_page_says_nothing_about_anybody(http: httpx.AsyncClient, caller: Caller) -> None:
    token = await caller.token(note="Mrs Miller's card in Portugal", reason="card blocked")
    answer = await http.get(f"/r/{token}")
    page = BeautifulSoup(answer.text, "lxml")
    assert page.body is not None
    assert page.body.get_text(" ", strip=True) == (
        "Far Away Bank Go on where you left off What you already told us is kept. You won't have to say it again. "
        "Go on Open in the app"
    )
    assert not re.search("Portugal|card|Miller|" + caller.customer_id, answer.text)
    assert [button.get_text() for button in page.find_all("button")] == ["Go on"]
    assert [form.attrs for form in page.find_all("form")] == [{"method": "post"}]
    assert page.find("script") is None
    assert page.find("meta", property=re.compile("^og:")) is None


async def test_no_one_keeps_the_page_or_learns_of_it(http: httpx.AsyncClient, caller: Caller) -> None:
    answer = await http.get(f"/r/{await caller.token()}")
    headers = answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "noindex" in headers["x-robots-tag"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("languages", "said"),
    [("zh-CN,zh;q=0.9", "从上次的地方继续"), ("en-GB", "Go on where you left off"), ("fr", "Go on where you left off")],
)
async def test_the_page_speaks_the_browsers_language(
    http: httpx.AsyncClient, caller: Caller, languages: str, said: str
) -> None:
    answer = await http.get(f"/r/{await caller.token()}", headers={"Accept-Language": languages})
    assert heading(answer) == said


@pytest.mark.parametrize("token", ["nowhere", "A" * 64, "A" * 65, "a.b", "%E0%A4%A", "点击", "<script>", "..", "a b"])
async def test_a_link_that_is_none_says_what_to_do(http: httpx.AsyncClient, token: str) -> None:
    for method in ("GET", "POST"):
        answer = await http.request(method, f"/r/{token}", headers={"Accept-Language": "en"})
        assert answer.status_code == 404
        assert token == ".." or heading(answer) == "This link does not work"


async def test_a_link_that_has_lapsed_says_what_to_do(
    http: httpx.AsyncClient, company: ContextHub, caller: Caller
) -> None:
    token = await caller.token()
    await company.handoffs.cancel((await company.handoffs.lookup(token)).handoff_id)
    for method in ("GET", "POST"):
        answer = await http.request(method, f"/r/{token}")
        assert (answer.status_code, heading(answer)) == (410, "This link is too old")


# Redeeming


async def test_the_button_leads_on_with_what_was_said(hub_url: str, company: ContextHub, caller: Caller) -> None:
    token = await caller.token()
    async with a_browser(hub_url) as browser:
        await browser.get(f"/r/{token}")
        gone = await browser.post(f"/r/{token}")
        assert (gone.status_code, gone.headers["location"]) == (303, "/app/default/")
        assert await state_of(company, token) == "accepted"
        home = (await browser.get("/app/default/home")).json()
        assert home["customer"]["level"] == 1
        [journey] = home["journeys"]
        assert (journey["label"], journey["kind"], journey["mine"]) == ("A matter that you began", None, True)
        assert (home["facts"], home["promises"], home["elsewhere"]) == ([], [], [])
        assert not re.search("Portugal|card", str({**home, "menu": []}))
        form = await browser.post(f"/app/default/journeys/{journey['journey_id']}/form", json={"op_id": "1"})
        assert (form.status_code, form.json()["code"]) == (401, "login_needed")


async def test_a_login_says_whose_it_is_and_shows_the_rest(hub_url: str, company: ContextHub, caller: Caller) -> None:
    token = await caller.token()
    async with a_browser(hub_url) as browser:
        await browser.post(f"/r/{token}")
        login = {"assertion": assertion(caller.customer_id)}
        home = (await browser.post("/app/default/login", json={"login": login})).json()
        assert home["journeys"][0]["label"] == "A blocked card"
        assert home["facts"][0]["value"] == "Portugal"
        other = {"assertion": assertion(f"c-{secrets.token_hex(5)}")}
        refused = await browser.post("/app/default/login", json={"login": other})
        assert (refused.status_code, refused.json()["code"]) == (409, "another_customer")


async def test_the_same_browser_again_gets_the_same_answer(hub_url: str, company: ContextHub, caller: Caller) -> None:
    token = await caller.token()
    async with a_browser(hub_url) as browser:
        await browser.get(f"/r/{token}")
        await browser.post(f"/r/{token}")
        version = (await browser.get("/app/default/home")).json()["version"]
        looked = await browser.get(f"/r/{token}")
        assert (looked.status_code, heading(looked)) == (200, "Go on where you left off")
        again = await browser.post(f"/r/{token}")
        assert (again.status_code, again.headers["location"]) == (303, "/app/default/")
        assert (await browser.get("/app/default/home")).json()["version"] == version


async def test_a_link_never_opens_what_its_customer_logged_in_for_before(
    hub_url: str, company: ContextHub, caller: Caller
) -> None:
    token = await caller.token()
    async with a_browser(hub_url) as browser:
        await browser.post(f"/r/{token}")
        await browser.post("/app/default/login", json={"login": {"assertion": assertion(caller.customer_id)}})
        assert "Portugal" in (await browser.get("/app/default/home")).text
        session = browser.cookies["ctxhub_app"]
        await browser.post("/app/default/leave", json={})
        assert (await browser.post(f"/r/{token}")).status_code == 303
        after, kept = await browser.get("/app/default/home"), {"Authorization": f"Bearer {session}"}
        for answer in (after, await browser.get("/app/default/home", headers=kept)):
            assert (answer.status_code, answer.json()["customer"]["level"]) == (200, 0)
            assert "Portugal" not in answer.text


async def test_links_of_two_customers_in_one_browser_stay_apart(
    hub_url: str, company: ContextHub, caller: Caller
) -> None:
    other = await Caller.of(company, f"c-{secrets.token_hex(5)}", country="Norway")
    async with a_browser(hub_url) as browser:
        await browser.post(f"/r/{await caller.token()}")
        await browser.post("/app/default/login", json={"login": {"assertion": assertion(caller.customer_id)}})
        await browser.post(f"/r/{await other.token()}")
        home = await browser.get("/app/default/home")
    assert home.json()["customer"]["level"] == 1
    assert not re.search("Norway|Portugal", home.text)
    channels = [one.channel for one in (await company.contexts.read(caller.customer_id)).interactions]
    assert "app" in channels


async def test_another_browser_comes_too_late(hub_url: str, caller: Caller) -> None:
    token = await caller.token()
    async with a_browser(hub_url) as first, a_browser(hub_url) as second, a_browser(hub_url) as third:
        await second.get(f"/r/{token}")
        await first.post(f"/r/{token}")
        for answer in (await second.post(f"/r/{token}"), await third.get(f"/r/{token}")):
            assert (answer.status_code, heading(answer)) == (409, "This link has been used")
            assert "Portugal" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_no_page_elsewhere_redeems_for_its_visitors(
    http: httpx.AsyncClient, company: ContextHub, caller: Caller, headers: dict[str, str]
) -> None:
    token = await caller.token()
    answer = await http.post(f"/r/{token}", headers=headers)
    assert (answer.status_code, heading(answer)) == (403, "Please try once more")
    assert "set-cookie" not in answer.headers
    assert await state_of(company, token) == "offered"


async def test_a_page_that_sends_no_referrer_is_still_our_own(hub_url: str, caller: Caller) -> None:
    token = await caller.token()
    async with a_browser(hub_url) as browser:
        await browser.get(f"/r/{token}")
        assert (await browser.post(f"/r/{token}", headers={"Origin": "null"})).status_code == 303


async def test_a_link_for_the_chat_leads_there(hub_url: str, company: ContextHub, caller: Caller) -> None:
    token = await caller.token("chat", "signal")
    async with a_browser(hub_url) as browser:
        gone = await browser.post(f"/r/{token}")
        assert gone.headers["location"] == f"/chat/default/#{token}"
        chat = await browser.post("/chat/default/sessions", json={"token": token, "lang": "en"})
        assert [fact["value"] for fact in chat.json()["facts"]] == ["Portugal"]
    async with a_browser(hub_url) as other:
        assert (await other.post(f"/r/{token}")).status_code == 409


async def test_a_signal_carries_on_how_surely_the_customer_is_known(hub_url: str, caller: Caller) -> None:
    token = await caller.token(delivery="signal")
    async with a_browser(hub_url) as browser:
        await browser.post(f"/r/{token}")
        home = (await browser.get("/app/default/home")).json()
        assert home["customer"]["level"] == 2
        assert home["journeys"][0]["label"] == "A blocked card"


# Links in an app that knows its customer


async def test_a_link_and_a_login_bring_in_one_who_was_not_yet_known(
    app: App, company: ContextHub, somebody: str
) -> None:
    stranger = await Caller.of(company, country="Portugal")
    token = await stranger.token()
    home = await app.open(somebody, token=token)
    assert home["handoff_problem"] is None
    assert home["journeys"][0]["label"] == "A blocked card"
    assert home["journeys"][0]["mine"]
    assert home["facts"][0]["value"] == "Portugal"
    view = await company.contexts.read(somebody)
    assert view.customer_id == somebody


async def test_whoever_logs_in_behind_a_link_takes_along_what_led_there(
    hub_url: str, company: ContextHub, somebody: str
) -> None:
    stranger = await Caller.of(company, country="Portugal")
    token = await stranger.token()
    async with a_browser(hub_url) as browser:
        await browser.post(f"/r/{token}")
        login = {"assertion": assertion(somebody)}
        home = (await browser.post("/app/default/login", json={"login": login})).json()
        assert home["facts"][0]["value"] == "Portugal"
        assert home["customer"]["level"] == 2


async def test_a_link_of_another_customer_is_left_alone(app: App, company: ContextHub, caller: Caller) -> None:
    token = await caller.token()
    home = await app.open(f"c-{secrets.token_hex(5)}", token=token)
    assert home["handoff_problem"]["code"] == "another_customer"
    assert home["journeys"] == home["facts"] == []
    assert await state_of(company, token) == "offered"
    assert "Portugal" not in str(home)


async def test_a_used_link_of_a_stranger_moves_nothing(
    app: App, hub_url: str, company: ContextHub, somebody: str
) -> None:
    stranger = await Caller.of(company, country="Portugal")
    token = await stranger.token()
    async with a_browser(hub_url) as browser:
        await browser.post(f"/r/{token}")
    home = await app.open(somebody, token=token)
    assert home["handoff_problem"]["code"] == "another_customer"
    assert home["facts"] == []
    assert (await company.contexts.read(stranger.customer_id)).known is False


@pytest.mark.parametrize(("token", "code"), [("nowhere", "handoff_unknown"), ("A" * 30, "handoff_unknown")])
async def test_a_bad_link_keeps_nobody_out(app: App, somebody: str, token: str, code: str) -> None:
    home = await app.open(somebody, token=token)
    assert home["customer"]["level"] == 2
    assert home["handoff_problem"]["code"] == code
    alone = await App(app.http).opening(token=token)
    assert (alone.status_code, alone.json()["code"]) == (404, "handoff_unknown")


async def test_a_link_opened_in_a_visit_that_goes_on_brings_its_journey(
    app: App, company: ContextHub, caller: Caller
) -> None:
    await app.open(caller.customer_id)
    token = await caller.token()
    home = app.kept(await app.post("resume", token=token))
    assert home["handoff_problem"] is None
    assert home["journeys"][0]["mine"]
    used = app.kept(await App(app.http).opening(caller.customer_id, token=token))
    assert used["handoff_problem"]["code"] == "used"


async def test_another_tenants_link_is_unknown(app: App, http: httpx.AsyncClient, caller: Caller) -> None:
    token = await caller.token()
    there = App(http, "other")
    login = {"assertion": assertion("c1", aud="other-app")}
    home = await there.open(login=login, token=token)
    assert home["handoff_problem"]["code"] == "handoff_unknown"


async def test_an_offer_to_the_app_comes_with_its_resume_link(app: App, hub_url: str, somebody: str) -> None:
    await app.open(somebody)
    way = (await app.does("elsewhere", to="app"))["way"]
    assert way["link"] == f"{hub_url}/r/{way['token']}"


# The association files


async def test_apples_phones_learn_which_apps_open_the_links(http: httpx.AsyncClient) -> None:
    answer = await http.get("/.well-known/apple-app-site-association")
    assert (answer.status_code, answer.headers["content-type"], answer.history) == (200, "application/json", [])
    [details] = answer.json()["applinks"]["details"]
    assert details["appIDs"] == ["ABCDE12345.com.faraway.bank", "ABCDE12345.com.other.app"]
    assert [component["/"] for component in details["components"]] == ["/r/*"]


async def test_androids_phones_learn_which_apps_open_the_links(http: httpx.AsyncClient) -> None:
    answer = await http.get("/.well-known/assetlinks.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == [
        {
            "relation": ["delegate_permission/common.handle_all_urls"],
            "target": {
                "namespace": "android_app",
                "package_name": "com.faraway.bank",
                "sha256_cert_fingerprints": [PRINT, OTHER_PRINT],
            },
        }
    ]
