"""A caller does what a caller does: the webhooks are signed as Twilio signs them, and say what a caller would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from twilio.request_validator import RequestValidator

from ctxhub.replay.dialogues import Dialogue, Part
from ctxhub.replay.ivr import Call, Person, PlayFailed, Words
from ctxhub.replay.tenants import Labels

WORDS = Words(Labels(["Buses_1.from", "Buses_1.seats", "Hotels_1.stars"], "en"), Labels(["Buses_1", "Hotels_1"], "en"))
ROOT = "https://hub.example/ivr/twilio/replay"
MENU = ("For Buses, press 1.", "For Hotels, press 2.")
TOKEN = "12345"

Answer = Callable[[str, Mapping[str, str]], str]


def part(*turns: dict[str, Any]) -> Part:
    """The turns that are played by telephone."""
    spoken = [{"speaker": "customer", "text": "…"} | turn for turn in turns]
    return Dialogue.model_validate({"id": "d1", "lang": "en", "turns": spoken}).whole


def gather(step: str, *says: str, fact: str = "") -> str:
    """TwiML that waits for an answer."""
    action = f"{ROOT}/{step}?n=1{f'&amp;fact={fact}&amp;ask=ask' if fact else ''}"
    return f'<Response><Gather action="{action}">{"".join(f"<Say>{say}</Say>" for say in says)}</Gather></Response>'


def asking(fact: str) -> str:
    """TwiML that asks for a fact."""
    return gather("fact", f"Please tell us: {WORDS.facts[fact]}.", fact=fact)


class Line:
    """The other end of the line: answers step by step from a list, and keeps what was sent."""

    def __init__(self, *answers: str, degraded: bool = False, status: int = 200) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.genuine: list[bool] = []
        self._answers = list(answers)
        self._headers = {"Ctxhub-Degraded": "1"} if degraded else {}
        self._status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode(), keep_blank_values=True).items()}
        signature = request.headers["x-twilio-signature"]
        self.genuine.append(RequestValidator(TOKEN).validate(str(request.url), form, signature))
        step = str(request.url).removeprefix(f"{ROOT}/").partition("?")[0]
        self.sent.append((step, {name: form[name] for name in form if name in ("Digits", "SpeechResult")}))
        answer = self._answers.pop(0) if self._answers else "<Response/>"
        return httpx.Response(self._status, headers=self._headers, text=answer)

    def call(self, pin: str | None = None, lang: Any = "en") -> Call:
        """Somebody who calls this number."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return Call(http, ROOT, TOKEN, Person("+12125550100", lang, pin), WORDS)


async def test_a_caller_answers_what_is_known_and_leaves_the_rest_for_later() -> None:
    line = Line(
        gather("menu", *MENU),
        asking("Buses_1.seats"),
        asking("Buses_1.from"),
        gather("done", "Noted, Buses from: Bonn."),
        gather("done", "We have sent you a link."),
    )
    await line.call().tell(part({"informs": {"Buses_1.from": "Köln"}}, {"informs": {"Buses_1.from": "Bonn"}}))
    assert line.sent == [
        ("voice", {}),
        ("menu", {"Digits": "1"}),
        ("fact", {"Digits": "*"}),
        ("fact", {"SpeechResult": "Bonn"}),
        ("done", {"Digits": "2"}),
    ]


async def test_every_webhook_is_signed_as_twilio_signs_it() -> None:
    line = Line(gather("menu", *MENU), asking("Buses_1.from"), asking("Buses_1.seats"), gather("done", "…"))
    call = line.call()
    await call.tell(part({"informs": {"Buses_1.from": "北京 & Köln"}}))
    await call.hang_up()
    assert line.genuine == [True] * 5


async def test_numbers_are_keyed_in_and_each_service_is_chosen_in_the_menu() -> None:
    line = Line(
        gather("menu", *MENU),
        asking("Buses_1.seats"),
        asking("Buses_1.from"),
        gather("menu", *MENU),
        asking("Hotels_1.stars"),
        gather("done", "…"),
        gather("done", "…"),
    )
    await line.call().tell(part({"informs": {"Buses_1.seats": "2", "Hotels_1.stars": "4"}}))
    assert [sent for _, sent in line.sent[1:]] == [{"Digits": d} for d in ("1", "2", "*1", "2", "4", "2")]


async def test_a_kind_that_stands_on_another_page_is_called_by_its_name() -> None:
    line = Line(
        gather("menu", "For Buses, press 1.", "For more, press 9."), asking("Hotels_1.stars"), gather("done", "…")
    )
    await line.call().tell(part({"intent": "Hotels_1.Find"}))
    assert line.sent[1] == ("menu", {"SpeechResult": "Hotels"})


async def test_who_has_a_pin_enters_it_first() -> None:
    line = Line(gather("menu", *MENU), gather("pin", "PIN?"), gather("menu", *MENU), gather("done", "…"))
    await line.call(pin="0042").tell(part({}))
    assert [sent for _, sent in line.sent[1:]] == [{"Digits": "*"}, {"Digits": "0042"}, {"Digits": "#"}]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([gather("pin", "PIN?"), gather("pin", "PIN?")], "does not take the PIN"),
        ([gather("menu", *MENU)], "at menu, not at pin"),
    ],
)
async def test_a_pin_that_is_not_taken_ends_the_play(answers: list[str], why: str) -> None:
    with pytest.raises(PlayFailed, match=why):
        await Line(gather("menu", *MENU), *answers).call(pin="1").tell(part({}))


async def test_a_question_asked_twice_within_a_call_ends_the_play() -> None:
    line = Line(gather("menu", *MENU), asking("Buses_1.from"), asking("Buses_1.from"))
    with pytest.raises(PlayFailed, match=r"asks again for Buses_1\.from within one call"):
        await line.call().tell(part({"informs": {"Buses_1.from": "Bonn", "Buses_1.seats": "2"}}))


async def test_a_menu_that_repeats_what_was_not_said_ends_the_play() -> None:
    line = Line(gather("menu", *MENU), asking("Buses_1.from"), gather("done", "Noted, Buses from: Köln."))
    with pytest.raises(PlayFailed, match=r"has Buses_1\.from wrong within one call: Köln"):
        await line.call().tell(part({"informs": {"Buses_1.from": "Bonn"}}))


async def test_a_question_that_nobody_could_understand_ends_the_play() -> None:
    line = Line(gather("menu", *MENU), gather("fact", "Please tell us.", fact="Buses_1.from"))
    with pytest.raises(PlayFailed, match="no caller could tell"):
        await line.call().tell(part({"informs": {"Buses_1.from": "Bonn"}}))


async def test_a_fact_that_is_never_asked_for_ends_the_play() -> None:
    line = Line(gather("menu", *MENU), asking("Buses_1.seats"), gather("done", "That is all."))
    with pytest.raises(PlayFailed, match="at done, not at fact: That is all"):
        await line.call().tell(part({"informs": {"Buses_1.from": "Bonn"}}))


@pytest.mark.parametrize(("fault", "why"), [({"degraded": True}, "without the hub"), ({"status": 403}, "answers 403")])
async def test_a_degraded_or_refused_call_ends_the_play(fault: dict[str, Any], why: str) -> None:
    with pytest.raises(PlayFailed, match=why):
        await Line(gather("menu", *MENU), **fault).call().tell(part({}))
