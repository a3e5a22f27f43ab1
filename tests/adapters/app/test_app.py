"""Whole visits to the app, against a real hub."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ctxhub.client import ContextHub, told

from .conftest import App, Caller, Company, assertion, until

SENT_ON = {"message.sent", "message.received"}


def verdicts(answer: dict[str, Any]) -> dict[str, str]:
    """What a form says of each fact."""
    return {row["name"]: row["verdict"] for row in answer["form"]}


def labels(journeys: list[dict[str, Any]]) -> list[str]:
    return [journey["label"] for journey in journeys]


# Beginning and coming back


async def test_a_login_brings_what_is_under_way_on_other_channels(app: App, company: ContextHub, somebody: str) -> None:
    caller = await Caller.of(company, somebody, country="Portugal")
    due = datetime.now(UTC) + timedelta(hours=5)
    promise = told(
        "commitment.made", interaction_id=caller.interaction_id, party="bot", journey_id=caller.journey_id,
        what="We call you back", owner="cards", due_at=due.isoformat(),
    )  # fmt: skip
    await company.events.tell(somebody, promise)
    home = await app.open(somebody)
    assert home["customer"]["level"] == 2
    [journey] = home["journeys"]
    assert (journey["label"], journey["number"], journey["steps"]) == ("A blocked card", 1, 3)
    assert journey["step_label"] == "your details"
    assert journey["percent"] == 17
    assert [one["label"] for one in journey["missing"]] == [
        "last four digits of your card", "number of your identity card"
    ]  # fmt: skip
    assert journey["offered"]
    assert journey["reason"]
    [shown] = home["promises"]
    assert (shown["what"], shown["state"], shown["journey_id"]) == ("We call you back", "open", caller.journey_id)
    assert "owner" not in shown
    [fact] = home["facts"]
    assert (fact["label"], fact["value"], fact["from"]) == ("country", "Portugal", "You, phone menu")
    [elsewhere] = home["elsewhere"]
    assert (elsewhere["channel"], elsewhere["label"], elsewhere["status"]) == ("ivr", "phone menu", "self")


async def test_everything_is_said_in_the_apps_language(app: App, company: ContextHub, somebody: str) -> None:
    await Caller.of(company, somebody, country="葡萄牙")
    home = await app.open(somebody, lang="zh-Hans-CN")
    [journey] = home["journeys"]
    assert (home["lang"], journey["label"], journey["step_label"]) == ("zh", "银行卡被冻结", "填写信息")
    assert home["facts"][0]["from"] == "您，电话语音菜单"
    assert [kind["label"] for kind in home["menu"]] == ["银行卡被冻结", "变更地址", "投诉"]
    english = (await app.http.get(f"{app.at}home?lang=en", headers=app.bearer)).json()
    assert labels(english["journeys"]) == ["A blocked card"]


async def test_the_same_visit_comes_back_to_the_same_interaction(app: App, company: ContextHub, somebody: str) -> None:
    await app.open(somebody)
    await app.does("journeys", kind="address_change")
    again = await app.open(somebody)
    assert labels(again["journeys"]) == ["A new address"]
    open_ = [one for one in await company.interactions.list(channel="app") if one.customer_id == somebody]
    assert len(open_) == 1


async def test_another_customer_with_the_same_visit_finds_nothing_of_the_first(app: App) -> None:
    one, other = f"c-{secrets.token_hex(5)}", f"c-{secrets.token_hex(5)}"
    await app.open(one)
    await app.does("journeys", kind="address_change")
    home = await app.open(other)
    assert home["journeys"] == []
    assert home["customer"]["level"] == 2
    assert labels((await app.open(one))["journeys"]) == ["A new address"]


async def test_a_visit_that_was_left_is_over_and_another_begins(app: App, somebody: str) -> None:
    await app.open(somebody)
    assert (await app.post("leave")).status_code == 204
    gone = await app.opening(somebody)
    assert (gone.status_code, gone.json()["code"]) == (409, "interaction_ended")
    app.visit = secrets.token_urlsafe(18)
    assert (await app.open(somebody))["status"] == "self"


async def test_a_hook_checks_what_only_the_company_can(app: App, hook: Company) -> None:
    proof = {"account": "c-anna", "pin": "1234"}
    home = await app.open(login={"proof": proof})
    assert home["customer"] == home["customer"] | {"known": True, "level": 2, "method": "login"}
    assert hook.asked == [{"proof": proof, "visit": app.visit}]


async def test_a_step_up_proves_more_and_shows_more(app: App, company: ContextHub, hook: Company) -> None:
    caller = await Caller.of(company, "c-bert", 3, id_number="AB 12 34")
    home = await app.open("c-bert")
    hidden = {fact["name"]: fact for fact in home["facts"]}["id_number"]
    assert (hidden["withheld"], hidden["value"]) == (True, "")
    stepped = await app.post("login", login={"proof": {"account": "c-bert", "pin": "9876", "code": "000000"}})
    home = app.kept(stepped)
    assert home["customer"]["level"] == 3
    assert {fact["name"]: fact["value"] for fact in home["facts"]}["id_number"] == "AB 12 34"
    await company.interactions.end(caller.customer_id, caller.interaction_id)


async def test_a_login_that_is_sent_twice_raises_the_assurance_once(app: App, company: ContextHub) -> None:
    somebody = f"c-{secrets.token_hex(5)}"
    login = {"assertion": assertion(somebody)}
    await app.open(login=login)
    version = (await app.open(login=login))["version"]
    assert (await app.open(login=login))["version"] == version


# Journeys and facts


async def test_what_is_known_is_shown_and_not_asked(app: App, company: ContextHub, somebody: str) -> None:
    caller = await Caller.of(company, somebody, country="Portugal")
    await app.open(somebody)
    answer = await app.does(f"journeys/{caller.journey_id}/form")
    assert verdicts(answer) == {"country": "known", "card_last4": "ask"}
    [known] = [row for row in answer["form"] if row["verdict"] == "known"]
    assert (known["shown"], known["from"]) == ("Portugal", "You, phone menu")
    asked = [e for e in (await company.contexts.timeline(somebody)).events if e.type == "question.asked"]
    assert [event.data["names"] for event in asked] == [["card_last4"]]
    assert all(not event.data.get("repeats") for event in asked)


async def test_facts_move_a_journey_on_to_where_it_is_the_companys_turn(app: App, somebody: str) -> None:
    await app.open(somebody)
    begun = await app.does("journeys", kind="card_blocked")
    journey_id = begun["journey_id"]
    given = [{"name": "country", "value": "Portugal"}, {"name": "card_last4", "value": "4242"}]
    [journey] = (await app.does("facts", journey_id=journey_id, facts=given))["journeys"]
    assert (journey["number"], journey["step"], journey["percent"]) == (2, "proof", 33)
    given = [{"name": "id_number", "value": "AB 12 34"}]
    [journey] = (await app.does("facts", journey_id=journey_id, facts=given))["journeys"]
    assert (journey["number"], journey["step"], journey["missing"]) == (3, "decision", [])


async def test_something_that_is_under_way_is_not_begun_twice(app: App, company: ContextHub, somebody: str) -> None:
    caller = await Caller.of(company, somebody)
    await app.open(somebody)
    assert (await app.does("journeys", kind="card_blocked"))["journey_id"] == caller.journey_id


async def test_a_complaint_can_always_be_made(app: App, somebody: str) -> None:
    home = await app.open(somebody)
    assert home["menu"][-1] == {"name": "complaint", "label": "A complaint"}
    [journey] = (await app.does("journeys", kind="complaint"))["journeys"]
    assert (journey["label"], journey["steps"], journey["mine"]) == ("A complaint", None, True)


async def test_what_was_declined_is_not_offered_again_in_this_visit(
    app: App, company: ContextHub, somebody: str
) -> None:
    caller = await Caller.of(company, somebody)
    [journey] = (await app.open(somebody))["journeys"]
    assert journey["offered"]
    [journey] = (await app.does(f"journeys/{caller.journey_id}", act="decline"))["journeys"]
    assert not journey["offered"]
    assert not (await app.home())["journeys"][0]["offered"]
    [journey] = (await App(app.http).open(somebody))["journeys"]
    assert journey["offered"]


async def test_a_request_that_is_repeated_changes_nothing(app: App, somebody: str) -> None:
    await app.open(somebody)
    begun = await app.does("journeys", kind="address_change")
    body = {"op_id": "the-same", "journey_id": begun["journey_id"], "facts": [{"name": "city", "value": "Porto"}]}
    first = app.kept(await app.post("facts", **body))
    assert app.kept(await app.post("facts", **body))["version"] == first["version"]
    other = await app.post("facts", **body | {"facts": [{"name": "city", "value": "Lisbon"}]})
    assert (other.status_code, other.json()["code"]) == (422, "event_id_reused")


async def test_what_the_customer_corrects_is_asked_nowhere_again(app: App, company: ContextHub, somebody: str) -> None:
    caller = await Caller.of(company, somebody, country="Spain")
    await app.open(somebody)
    facts = [{"name": "country", "how": "rejected"}, {"name": "country", "value": "Portugal"}]
    home = await app.does("facts", journey_id=caller.journey_id, facts=facts)
    assert {fact["name"]: fact["value"] for fact in home["facts"]}["country"] == "Portugal"
    [answer] = await company.asks.may_i_ask(somebody, caller.interaction_id, ["country"])
    assert (answer.verdict, answer.value) == ("known", "Portugal")


# People


class Agent:
    """A colleague at a desk."""

    def __init__(self, company: ContextHub, handoff_id: str) -> None:
        self.company = company
        self.handoff_id = handoff_id

    async def accept(self) -> None:
        """Take the handoff."""
        accepted = await self.company.handoffs.accept(self.handoff_id, "ann")
        self.customer_id, self.fence = accepted.context.customer_id, accepted.fence
        self.interaction_id = accepted.interaction.interaction_id
        self.facts = accepted.context.facts

    async def say(self, text: str) -> None:
        """Write to the customer."""
        sent = told(
            "message.sent", interaction_id=self.interaction_id, party="agent", text=text, fence=self.fence
        )  # fmt: skip
        await self.company.events.tell(self.customer_id, sent)


async def test_a_person_comes_with_everything_said_and_the_two_talk(
    app: App, company: ContextHub, somebody: str
) -> None:
    await app.open(somebody)
    begun = await app.does("journeys", kind="card_blocked")
    await app.does("facts", journey_id=begun["journey_id"], facts=[{"name": "country", "value": "Portugal"}])
    home = await app.does("human", reason="it is urgent")
    assert home["status"] == "waiting"
    line = home["line"]
    assert (line["queue"], line["open"]) == ("people", True)
    assert line["place"] == line["waiting"] >= 1
    assert home["way"]["handoff_id"] == line["handoff_id"]
    app.kept(await app.post("messages", message_id="m1", text="Hello?"))
    agent = Agent(company, line["handoff_id"])
    await agent.accept()
    assert agent.facts["country"].value == "Portugal"
    await agent.say("Hello, this is Ann.")
    home = await app.home()
    assert (home["status"], home["line"]) == ("agent", None)
    said = [(message["party"], message["text"]) for message in home["messages"]]
    assert said == [
        ("system", "Waiting for a colleague"),
        ("customer", "Hello?"),
        ("system", "A colleague has joined"),
        ("agent", "Hello, this is Ann."),
    ]


async def test_asking_for_a_person_twice_waits_once(app: App, somebody: str) -> None:
    await app.open(somebody)
    first = await app.does("human")
    second = await app.does("human")
    assert second["line"]["handoff_id"] == first["line"]["handoff_id"]
    assert (await app.does("human/cancel"))["status"] == "self"


async def test_a_message_needs_somebody_who_reads_it(app: App, somebody: str) -> None:
    await app.open(somebody)
    answer = await app.post("messages", message_id="m1", text="Hello?")
    assert (answer.status_code, answer.json()["code"]) == (409, "nobody_there")


async def test_a_place_in_line_moves_up(app: App, company: ContextHub, somebody: str) -> None:
    other = App(app.http)
    await other.open(f"c-{secrets.token_hex(5)}")
    ahead = (await other.does("human"))["line"]
    await app.open(somebody)
    behind = (await app.does("human"))["line"]
    assert behind["place"] == ahead["place"] + 1
    await Agent(company, ahead["handoff_id"]).accept()

    async def moved_up() -> bool:
        return bool((await app.home())["line"]["place"] == behind["place"] - 1)

    await until(moved_up)
    await app.does("human/cancel")


async def test_whoever_leaves_while_waiting_has_left_the_line(app: App, company: ContextHub, somebody: str) -> None:
    await app.open(somebody)
    handoff_id = (await app.does("human"))["line"]["handoff_id"]
    await app.post("leave")
    assert (await company.handoffs.get(handoff_id)).state == "left"


# Going on elsewhere


async def test_the_customer_goes_on_in_the_chat_with_everything_said(
    app: App, http: httpx.AsyncClient, somebody: str
) -> None:
    await app.open(somebody)
    begun = await app.does("journeys", kind="card_blocked")
    await app.does("facts", journey_id=begun["journey_id"], facts=[{"name": "country", "value": "Portugal"}])
    way = (await app.does("elsewhere", to="chat"))["way"]
    assert way["link"].endswith(f"/chat/default/#{way['token']}")
    chat = await http.post("/chat/default/sessions", json={"token": way["token"], "lang": "en"})
    assert [(fact["name"], fact["value"]) for fact in chat.json()["facts"]] == [("country", "Portugal")]
    assert chat.json()["asks"] == "card_last4"


async def test_the_telephone_comes_with_its_number(app: App, somebody: str) -> None:
    await app.open(somebody)
    way = (await app.does("elsewhere", to="ivr"))["way"]
    assert (way["to"], way["dial"], way["link"]) == ("ivr", "+49 30 123456", None)
    assert way["token"]


async def test_a_way_that_was_not_taken_gives_way_to_the_next(app: App, company: ContextHub, somebody: str) -> None:
    await app.open(somebody)
    first = (await app.does("elsewhere", to="chat"))["way"]
    second = (await app.does("elsewhere", to="ivr"))["way"]
    assert (await company.handoffs.get(first["handoff_id"])).state == "cancelled"
    third = await app.does("human")
    assert (await company.handoffs.get(second["handoff_id"])).state == "cancelled"
    assert third["status"] == "waiting"


async def test_whoever_waits_for_a_person_takes_the_place_along_and_keeps_it_until_then(
    app: App, http: httpx.AsyncClient, company: ContextHub, somebody: str
) -> None:
    await app.open(somebody)
    waiting = (await app.does("human"))["way"]
    way = (await app.does("elsewhere", to="chat"))["way"]
    assert way["place_kept"] is True
    before = await company.handoffs.get(waiting["handoff_id"])
    assert before.state == "offered"
    chat = await http.post("/chat/default/sessions", json={"token": way["token"], "lang": "en"})
    assert "You keep your place in the line" in chat.text
    old = await company.handoffs.get(waiting["handoff_id"])
    there = await company.handoffs.get(str(old.went_on_as))
    assert (old.state, there.state, there.waiting_since) == ("left", "offered", before.waiting_since)


# What may be wrong


@pytest.mark.parametrize(
    "login",
    [
        {"assertion": "garbage"},
        {"assertion": assertion("c1", "not what the company signs its logins with")},
        {"assertion": assertion("c1", "short" * 8)},
        {"assertion": assertion("c1", exp=1_000_000_000, iat=999_999_900)},
        {"assertion": assertion("c1", aud="another-app")},
        {"assertion": assertion("c1", aud=None)},
        {"assertion": assertion("c1", exp=None)},
        {"assertion": assertion("c1", exp=4_000_000_000)},
        {"assertion": assertion("c 1/../")},
        {"assertion": assertion("c1", nonce="another visit")},
        {"assertion": assertion("c1", level=4)},
        {"proof": {"account": "c-anna", "pin": "4321"}},
        {"proof": {"account": "nobody"}},
        {"proof": {}},
    ],
)
async def test_a_login_that_does_not_hold_is_refused(app: App, hook: Company, login: dict[str, Any]) -> None:
    answer = await app.opening(login=login)
    assert (answer.status_code, answer.json()["code"]) == (401, "login_refused")
    assert "1234" not in answer.text


async def test_a_key_that_was_used_before_still_counts(app: App, somebody: str) -> None:
    from .conftest import FORMERLY

    home = await app.open(login={"assertion": assertion(somebody, FORMERLY, nonce=app.visit, level=3)})
    assert home["customer"]["level"] == 3


@pytest.mark.parametrize("answered", [(500, b"{}"), (200, b"no JSON"), (200, b'{"ok": "yes"}'), (302, b"")])
async def test_a_hook_that_fails_lets_nobody_in(app: App, hook: Company, answered: tuple[int, bytes]) -> None:
    hook.status, hook.answer = answered
    answer = await app.opening(login={"proof": {"account": "c-anna", "pin": "1234"}})
    assert (answer.status_code, answer.json()["code"]) == (503, "login_unavailable")
    assert "1234" not in answer.text


async def test_a_session_is_good_for_its_tenant_alone(app: App, somebody: str) -> None:
    await app.open(somebody)
    there = await app.http.get("/app/other/home", headers=app.bearer)
    assert (there.status_code, there.json()["code"]) == (401, "login_needed")


@pytest.mark.parametrize("session", ["-", "x", "A" * 3000, "_-_-", "{}"])
async def test_a_session_that_is_not_ours_opens_nothing(app: App, session: str) -> None:
    for path in ("home", "stream"):
        answer = await app.http.get(app.at + path, headers={"Authorization": f"Bearer {session}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "login_needed")


async def test_a_session_that_was_tampered_with_opens_nothing(app: App, somebody: str) -> None:
    await app.open(somebody)
    for at in range(0, len(app.session), 7):
        other = "A" if app.session[at] != "A" else "B"
        forged = app.session[:at] + other + app.session[at + 1 :]
        answer = await app.http.get(f"{app.at}home", headers={"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("sessions", {"visit": "short"}, "/visit"),
        ("sessions", {"visit": "v" * 20, "login": {}}, "/login"),
        ("sessions", {"visit": "v" * 20, "login": {"proof": {"pin": "1" * 5000}}}, "/login"),
        ("sessions", {"visit": "v" * 20, "whatever": 1}, "/whatever"),
        ("sessions", {"visit": "v" * 20, "token": "a b"}, "/token"),
        ("journeys", {"op_id": "1"}, "/kind"),
        ("journeys", {"op_id": "a/b", "kind": "x"}, "/op_id"),
        ("facts", {"op_id": "1", "facts": []}, "/facts"),
        ("facts", {"op_id": "1", "facts": [{"name": "a"}]}, "/facts/0"),
        ("facts", {"op_id": "1", "facts": [{"name": "", "value": 1}]}, "/facts/0/name"),
        ("facts", {"op_id": "1", "facts": [{"name": "a", "value": 1, "how": "verified"}]}, "/facts/0/how"),
        ("messages", {"message_id": "1", "text": ""}, "/text"),
        ("elsewhere", {"op_id": "1", "to": "The Chat"}, "/to"),
        ("elsewhere", {"op_id": "1", "to": "mars"}, "/to"),
        ("resume", {"token": ""}, "/token"),
    ],
)
async def test_faults_are_named_by_field(
    app: App, somebody: str, path: str, body: dict[str, Any], pointer: str
) -> None:
    await app.open(somebody)
    answer = await app.post(path, **body)
    assert answer.status_code == 422, answer.text
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


async def test_a_visit_begins_with_a_login_or_a_link(app: App) -> None:
    answer = await app.opening()
    assert (answer.status_code, answer.json()["code"]) == (401, "login_needed")


async def test_what_is_no_json_or_too_much_is_refused(app: App, somebody: str) -> None:
    await app.open(somebody)
    at, bearer = f"{app.at}messages", app.bearer
    plain = await app.http.post(at, content=b"{}", headers=bearer | {"Content-Type": "text/plain"})
    assert plain.status_code == 415
    broken = await app.http.post(at, content=b'{"text', headers=bearer | {"Content-Type": "application/json"})
    assert broken.status_code == 422
    large = await app.post("messages", message_id="m", text="x" * 1024 * 1024)
    assert large.status_code == 413


async def test_a_journey_that_is_not_there_is_unknown(app: App, somebody: str) -> None:
    await app.open(somebody)
    for path in ("journeys/jr_nowhere/form", "journeys/jr_nowhere"):
        answer = await app.post(path, op_id="1", **({} if path.endswith("form") else {"act": "resume"}))
        assert (answer.status_code, answer.json()["code"]) == (404, "journey_unknown")


async def test_nobody_logs_in_as_another_in_a_visit_that_has_begun(app: App, somebody: str) -> None:
    await app.open(somebody)
    answer = await app.post("login", login={"assertion": assertion(f"c-{secrets.token_hex(5)}")})
    assert (answer.status_code, answer.json()["code"]) == (409, "another_customer")


async def test_a_tenant_that_is_not_there_is_unknown(http: httpx.AsyncClient) -> None:
    for path in ("/app/nowhere/", "/app/nowhere/home"):
        assert (await http.get(path)).status_code == 404


async def test_a_cookie_counts_only_from_our_own_page(app: App, somebody: str) -> None:
    begun = await app.opening(somebody, cookie=True)
    assert begun.json()["session"] == ""
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/app/default/" in cookie
    own = await app.http.get(f"{app.at}home", headers={"Sec-Fetch-Site": "same-origin"})
    assert own.json()["customer"]["level"] == 2
    for header in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        foreign = await app.http.get(f"{app.at}home", headers=header)
        assert (foreign.status_code, foreign.json()["code"]) == (403, "not_from_here")
