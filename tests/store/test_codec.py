"""How values become bytes, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxhub.errors import Unreadable, WrittenByNewer
from ctxhub.model import handoff as handoffs
from ctxhub.model import lapsing, moving
from ctxhub.model.context import Context
from ctxhub.model.customer import Assurance
from ctxhub.model.event import Ref
from ctxhub.store.codec import (
    MOST_BYTES,
    context_from,
    digest,
    document_bytes,
    emptied,
    event_bytes,
    event_digest,
    event_from,
    fingerprint,
    is_sealed,
    packed,
    unpacked,
    without_words,
)
from tests.model.machine import PROFILE
from tests.model.scenes import held, returning
from tests.support import MINUTE, NOON, SECOND, a_context, a_fact, a_phone, after, an_event, started, with_one

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
)  # fmt: skip


def a_full_context() -> Context:
    """A context with something in each of its places."""
    context = started(a_context(identifiers=(a_phone(),)), level=2, language="zh-CN", refs=[Ref(system="acd", id="7")])
    context = after(context, an_event("journey.started", kind="refund", journey_id="jr_1"))
    context = after(context, a_fact({"a": [1, None]}, sensitivity="sensitive", expires_in=60, journey_id="jr_1"))
    context = after(context, an_event("intent.detected", name="refund"), an_event("assurance.revoked"))
    context = after(context, an_event("intent.detected", at=NOON + SECOND, name="secret"), a_fact("no", how="rejected"))
    context = after(context, an_event("commitment.made", what="x", owner="y", due_at=NOON.isoformat()))
    context = returning(offered_and_held(context)).context
    context = lapsing.end(context, "in_1", NOON + MINUTE, outcome="resolved", disposition="d").context
    return moving.depart(started(context, "in_2"), "in_2", "c7", NOON, Assurance(level=2, method="x")).context


def offered_and_held(context: Context) -> Context:
    context = held(context, note="n", skills=["s"], priority=9, fallback={"agent": "bob"}, delivery="message")
    return handoffs.shown(context, "ho_1", "ann", NOON).context


def test_every_field_of_a_context_survives_being_written_and_read() -> None:
    context = a_full_context()
    assert context_from(packed(document_bytes(context))) == context


@settings(PROFILE, max_examples=100)
@given(value=JSON)
def test_any_json_survives_as_a_fact_s_value(value: Any) -> None:
    context = after(with_one(), a_fact("x")).facts[0].but(value=value)
    whole = with_one().but(facts=(context,))
    assert context_from(packed(document_bytes(whole))).facts[0].value == value


@settings(PROFILE, max_examples=100)
@given(value=JSON, text=st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_json_survives_on_the_timeline(value: Any, text: str) -> None:
    event = an_event("x.seen", event_id="e1").but(data={"value": value, "text": text}, party="bot")
    found = event_from(b"2 chat out_of_turn,b " + event_bytes(event), 7)
    assert found == {
        "event_id": "e1", "type": "x.seen", "at": "2026-11-22T12:00:00.000Z", "interaction_id": "in_1", "party": "bot",
        "data": {"value": value, "text": text}, "version": 7, "assurance": 2, "channel": "chat",
        "marks": ["out_of_turn", "b"],
    }  # fmt: skip


def test_what_is_not_known_of_an_event_is_left_out() -> None:
    event = an_event("x.seen", None, event_id="e1").but(party="system")
    found = event_from(b"0   " + event_bytes(event), 1)
    assert found.keys() == {"event_id", "type", "at", "party", "data", "version", "assurance"}


def test_defaults_take_no_room() -> None:
    assert document_bytes(a_context()) == (
        b'{"customer_id":"c42","known":true,"created_at":"2026-11-21T12:00:00.000Z"}'
    )


def test_a_format_of_the_future_is_refused_not_misread() -> None:
    with pytest.raises(WrittenByNewer, match="newer ctxhub"):
        unpacked(b"\x03whatever")


@pytest.mark.parametrize(
    "damaged",
    [b"\x01", b"\x01\xe0" + b"\xff" * 16, b"\x01\xe0" + (2**62).to_bytes(8, "little"), b"\x02\x00\x00\x13\x07"],
    ids=["empty", "larger than any number", "larger than any memory", "beside seals"],
)
def test_what_is_not_whole_is_said_to_be_unreadable(damaged: bytes) -> None:
    with pytest.raises(Unreadable, match="not whole"):
        unpacked(damaged)
    with pytest.raises(Unreadable, match="not whole"):
        unpacked(packed(b'{"customer_id":"c42"}')[:-2])


def test_what_would_take_far_more_memory_than_anything_that_is_kept_is_not_inflated() -> None:
    assert len(unpacked(packed(b" " * MOST_BYTES))) == MOST_BYTES
    with pytest.raises(Unreadable, match="larger than anything"):
        unpacked(packed(b" " * (MOST_BYTES + 1)))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"2 chat",
        b"x   " + packed(b'{"event_id":"e1","type":"x.y","at":"2026-11-22T12:00:00.000Z","data":{}}'),
        b"2 \xff  " + packed(b'{"event_id":"e1","type":"x.y","at":"2026-11-22T12:00:00.000Z","data":{}}'),
        b"2   " + packed(b"{"),
        b"2   " + packed(b"[]"),
        b"2   " + packed(b'{"event_id":"e1"}'),
        b"2   " + packed(b'{"event_id":"e1","type":"x.y","at":"2026-11-22T12:00:00.000Z","data":[]}'),
    ],
    ids=["empty", "cut off", "no level", "no channel", "no JSON", "no object", "no event", "no data"],
)
def test_an_entry_that_is_not_whole_is_said_to_be_unreadable(entry: bytes) -> None:
    with pytest.raises(Unreadable):
        event_from(entry, 1)


def test_nothing_is_made_of_an_entry_that_is_not_whole() -> None:
    with pytest.raises(Unreadable):
        without_words(b"2   " + packed(b'{"event_id":"e1"}'))
    with pytest.raises(Unreadable):
        emptied(b"2   " + packed(b'{"event_id":"e1"}'))
    with pytest.raises(Unreadable):
        is_sealed(b"2")


def test_what_is_kept_is_smaller_than_what_is_said() -> None:
    event = event_bytes(an_event("message.received", text="where is my parcel, please?"))
    assert len(event) < 100


def test_digests_tell_parts_apart() -> None:
    assert digest("a", "bc") != digest("ab", "c")
    assert digest("a") == digest("a")


def test_names_of_event_ids_and_contents_are_short() -> None:
    assert (len(event_digest("x" * 128)), len(fingerprint(b"x" * 1000))) == (9, 8)
    assert event_digest("a") != event_digest("b")
