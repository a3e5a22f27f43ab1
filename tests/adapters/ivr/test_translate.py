"""What the platform sends becomes the hub's values, and what must be remembered survives the way through a URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from ctxhub_ivr.translate import (
    Call,
    State,
    Teller,
    mark_of,
    offer_to,
    sip_uri,
    start_of,
    task_of,
    token_in,
    token_in_uui,
)
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.client import Start, Target

TOKEN = "07AbC-_dEf0123456789xyZ"
UUI = f"00{TOKEN.encode().hex()};encoding=hex"
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)


def a_call(**params: str) -> Call:
    call = Call.from_params([("CallSid", "CA1"), ("From", "+15550100"), *params.items()])
    assert call is not None
    return call


@given(
    st.builds(
        State,
        n=st.integers(0, 99_999),
        language=st.sampled_from([None, "en-US", "zh-CN"]),
        page=st.integers(1, 99),
        again=st.integers(0, 9),
        tries=st.integers(0, 3),
        journeys=st.lists(names, max_size=3).map(tuple),
        handoff=st.none() | names,
        mark=st.none() | st.just("12ab"),
    ),
    st.none() | names,
    st.booleans(),
)
def test_a_state_comes_back_from_its_query_whatever_the_names(state: State, fact: str | None, confirms: bool) -> None:
    state = state if fact is None else State(**vars(state) | {"fact": fact, "confirms": confirms})
    query = state.query()
    assert query.isascii()
    assert State.from_query(query) == state


def test_a_query_says_in_the_open_which_fact_is_asked() -> None:
    name = "Hôtel/服务.早餐🚌 ?&=#%"
    query = State(n=2, journeys=("jr_1",)).next_about(name).query()
    assert dict(parse_qsl(query)) == {"n": "2", "journey": "jr_1", "fact": name, "ask": "ask"}
    assert "/" not in query
    assert unquote(query).endswith(f"fact={name}&ask=ask")


@pytest.mark.parametrize("query", ["", "n=-1", "n=x&page=0", "n=９", "language=%3Cx%3E", "page=999999999999", "&&=&n"])
def test_a_query_that_makes_no_sense_is_the_beginning(query: str) -> None:
    assert State.from_query(query) == State()


def test_the_next_step_forgets_the_question_but_not_the_tries_and_the_language() -> None:
    state = State(n=4, language="zh-CN", tries=2, again=1, fact="city", journeys=("j",), page=3)
    assert state.next() == State(n=5, language="zh-CN", tries=2)
    assert state.once_more() == State(n=5, language="zh-CN", tries=2, again=2, fact="city", journeys=("j",), page=3)


@pytest.mark.parametrize("sid", ["", "CA 1", "CA\x00", "x" * 65, "CAü"])
def test_a_webhook_without_a_proper_call_sid_is_none(sid: str) -> None:
    assert Call.from_params([("CallSid", sid)]) is None


@pytest.mark.parametrize("number", ["", "anonymous", "+0123456", "15550100", "sip:ann@example.com", "+1555010x"])
def test_only_a_whole_number_counts_as_the_callers_phone(number: str) -> None:
    call = Call.from_params([("CallSid", "CA1"), ("From", number)])
    assert call is not None
    start = start_of(call, "en")
    assert (call.phone, start.identifiers, start.assurance) == (None, [], None)


def test_the_number_calling_is_a_claim_of_level_one() -> None:
    start = start_of(a_call(), "en-US")
    assert start.model_dump(exclude_unset=True) == {
        "channel": "ivr",
        "system": "twilio",
        "external_id": "CA1",
        "language": "en-US",
        "refs": [{"system": "twilio", "kind": "call", "id": "CA1"}],
        "identifiers": [{"type": "phone", "value": "+15550100", "strength": "claimed"}],
        "assurance": {"level": 1, "method": "ani"},
    }
    assert Start.model_validate(start.model_dump()) == start


def test_a_token_is_handed_in_by_the_first_webhook_alone() -> None:
    call = a_call(token=TOKEN)
    first = start_of(call, "en", with_token=True).handoff
    assert first is not None
    assert first.token == TOKEN
    assert start_of(call, "en").handoff is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", TOKEN),
        ("SipHeader_x-ctx-token", TOKEN),
        ("SipHeader_X-Ctx-Token", f" {TOKEN} "),
        ("SipHeader_User-to-User", UUI),
        ("SipHeader_User-To-User", f"{TOKEN.encode().hex()};encoding=hex"),
        ("SipHeader_User-to-User", f"04{TOKEN.encode().hex().upper()};encoding=hex;purpose=isdn-uui"),
        ("SipHeader_User-to-User", f"hello;encoding=ascii, 00ff;encoding=hex, {UUI}"),
    ],
)
def test_a_token_is_found_wherever_a_carrier_puts_it(name: str, value: str) -> None:
    assert token_in([("CallSid", "CA1"), (name, value)]) == TOKEN


@pytest.mark.parametrize("value", ["", "a b", "x" * 31, "<x>", "ü"])
def test_what_does_not_look_like_a_token_is_none(value: str) -> None:
    assert token_in([("token", value)]) is None
    assert token_in_uui(value.encode().hex()) is None


@given(st.text(max_size=60))
def test_any_user_to_user_header_can_be_read(header: str) -> None:
    token_in_uui(header)


def test_a_token_in_the_webhooks_own_query_is_found() -> None:
    call = Call.from_params([("CallSid", "CA1")], f"token={TOKEN}&language=zh-CN")
    assert call is not None
    assert call.token == TOKEN


def test_the_token_travels_in_the_sip_address() -> None:
    assert sip_uri("sip:agents@pbx", TOKEN, UUI) == (
        f"sip:agents@pbx?User-to-User=00{TOKEN.encode().hex()}%3Bencoding%3Dhex&x-ctx-token={TOKEN}"
    )
    assert sip_uri("sip:agents@pbx;transport=tls?x-line=7", TOKEN, None) == (
        f"sip:agents@pbx;transport=tls?x-line=7&x-ctx-token={TOKEN}"
    )
    assert sip_uri("sip:agents@pbx", None, None) == "sip:agents@pbx"


def test_the_headers_of_a_sip_address_stay_below_twilios_limit() -> None:
    crowded = f"sip:a@pbx?x-old={'y' * 920}"
    uri = sip_uri(crowded, TOKEN, UUI)
    assert len(uri.partition("?")[2]) < 1024
    assert uri.startswith(f"{crowded}&User-to-User=00")
    assert "x-ctx-token" not in uri


def test_a_task_carries_the_token() -> None:
    assert task_of(TOKEN, "人工", "zh-CN") == f'{{"ctx_token": "{TOKEN}", "queue": "人工", "language": "zh-CN"}}'


def test_keys_are_sure_and_speech_is_as_sure_as_measured() -> None:
    assert a_call(Digits="12", Confidence="0.1").sureness == 1.0
    assert a_call(SpeechResult="twelve", Confidence="0.42").sureness == 0.42
    assert a_call(SpeechResult="twelve", Confidence="0.0").sureness == 1.0
    assert a_call(SpeechResult="twelve", Confidence="x").sureness == 1.0
    assert a_call(SpeechResult="twelve", Confidence="inf").sureness == 1.0


def test_silence_and_mumbling_are_unclear() -> None:
    assert a_call().is_unclear
    assert a_call(SpeechResult="  ").is_unclear
    assert a_call(SpeechResult="mmh", Confidence="0.29").is_unclear
    assert not a_call(SpeechResult="yes", Confidence="0.3").is_unclear


def test_an_answer_is_what_was_keyed_and_the_fact_in_it() -> None:
    teller = Teller(a_call(SpeechResult=" San Diego ", Confidence="0.9"), 4, "in_1", "jr_1")
    collected, stated = teller.answer("city")
    assert (collected.type, collected.data) == (
        "input.collected", {"prompt": "city", "value": "San Diego", "mode": "speech"}
    )  # fmt: skip
    assert (stated.type, stated.data) == ("fact.stated", {"name": "city", "value": "San Diego", "confidence": 0.9})
    assert {event.journey_id for event in (collected, stated)} == {"jr_1"}
    assert {event.party for event in (collected, stated)} == {"customer"}


def test_the_same_webhook_makes_the_same_events_and_another_step_others() -> None:
    call = a_call(Digits="2")
    first = Teller(call, 4, "in_1", "jr_1").answer("city")
    assert Teller(call, 4, "in_1", "jr_1").answer("city") == first
    assert len({event.event_id for event in first}) == 2
    others = [
        Teller(call, 5, "in_1", "jr_1").answer("city"),
        Teller(call, 4, "in_1", "jr_1").answer("date"),
        Teller(call, 4, "in_1", "jr_2").answer("city"),
        Teller(a_call(Digits="3"), 4, "in_1", "jr_1").answer("city"),
    ]
    seen = {event.event_id for told in others for event in told} | {event.event_id for event in first}
    assert len(seen) == 10
    assert all(len(event_id) <= 128 for event_id in seen)


def test_a_journey_that_begins_has_an_id_that_the_repeated_webhook_gives_again() -> None:
    call = a_call()
    assert call.journey_id(3) == call.journey_id(3) != call.journey_id(4)
    begun = Teller(call, 3, "in_1", call.journey_id(3)).begun("Buses_1")
    assert (begun.type, begun.journey_id, begun.data) == ("journey.started", call.journey_id(3), {"kind": "Buses_1"})


def test_a_chat_link_goes_as_a_message_and_a_queue_by_signal() -> None:
    chat = offer_to(Target(channel="chat"), "c1", "in_1", None, "go_on_in_chat", 60)
    queue = offer_to(Target(queue="q"), "c1", "in_1", "jr_1", "asked_for_a_human", 60)
    assert (chat.delivery, chat.journey_id) == ("message", None)
    assert (queue.delivery, queue.journey_id) == ("signal", "jr_1")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_any_value_has_a_mark_too_short_to_tell_it(value: object) -> None:
    assert len(mark_of(value)) == 4
