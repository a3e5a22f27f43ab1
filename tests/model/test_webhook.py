"""What a webhook is told, how it is declared, and when what failed is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ctxhub.model.inward import NOWHERE, allowed_of
from ctxhub.model.soundness import unsound
from ctxhub.model.tenant import Tenant
from ctxhub.model.unsendable import unsendable
from ctxhub.model.webhook import (
    GIVEN_UP_AFTER,
    JITTER,
    PAUSES,
    Answer,
    Delivery,
    WebhookSpec,
    delivery_of,
    envelope,
    retry_after,
    settled,
)
from tests.support import DAY, HOUR, NOON, SECOND

SAID = {"url": "https://crm.example.com/hooks", "secret": "CRM_SECRET", "events": ["handoff.offered"]}
OFFERED: dict[str, Any] = {
    "event_id": "ho_1:offered", "type": "handoff.offered", "version": 7, "at": "2026-11-22T12:00:00Z",
    "interaction_id": "in_1", "channel": "ivr",
    "data": {"handoff_id": "ho_1", "queue": "cards", "priority": 3, "note": "is angry", "reason": "wants a person"},
}  # fmt: skip


def delivery(**more: Any) -> Delivery:
    """An offer on its way."""
    return delivery_of("acme", "c42", OFFERED, NOON).but(**more)


def spec(**more: Any) -> WebhookSpec:
    """A declared webhook."""
    return WebhookSpec.model_validate(SAID | more)


def test_ids_and_codes_are_told_and_nothing_that_was_said() -> None:
    refs = [{"system": "acd", "kind": "call", "id": "0078"}]
    assert delivery().data == {"handoff_id": "ho_1", "queue": "cards", "priority": 3}
    event = OFFERED | {"data": OFFERED["data"] | {"refs": refs}}
    assert delivery_of("acme", "c42", event, NOON).data["refs"] == refs


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_nothing_that_is_not_named_leaves(data: dict[str, str]) -> None:
    told = delivery_of(
        "acme", "c42", OFFERED | {"type": "x.a", "data": {f"~{name}": v for name, v in data.items()}}, NOON
    )
    assert told.data == {}


def test_the_same_event_has_the_same_id_and_another_customer_s_has_another() -> None:
    assert delivery().webhook_id == delivery_of("acme", "c42", OFFERED, NOON + DAY).webhook_id
    others = {delivery_of(*who, OFFERED, NOON).webhook_id for who in (("acme", "c43"), ("bank", "c42"))}
    assert len(others | {delivery().webhook_id}) == 3


def test_an_envelope_is_a_cloud_event() -> None:
    told = envelope(delivery(), "https://ctx.example.com/acme", {"lines": []})
    assert orjson.loads(orjson.dumps(told)) == told
    assert (told["specversion"], told["type"], told["subject"], told["data"]["brief"]) == (
        "1.0", "handoff.offered", "c42", {"lines": []},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("events", "queues", "wanted"),
    [
        (["handoff.offered"], [], True), (["handoff.*"], [], True), (["handoff.accepted"], [], False),
        (["handoff.*"], ["cards"], True), (["handoff.*"], ["loans"], False), (["hand.*"], [], False),
    ],
)  # fmt: skip
def test_it_is_told_of_its_types_and_queues(events: list[str], queues: list[str], wanted: bool) -> None:
    assert spec(events=events, queues=queues).wants(OFFERED) is wanted


@pytest.mark.parametrize("type_", ["risk.flagged", "note.added", "fact.revealed"])
def test_what_is_for_colleagues_goes_to_no_channel_s_system(type_: str) -> None:
    event = OFFERED | {"type": type_}
    families = [f"{type_.split('.')[0]}.*"]
    assert (spec(events=families).wants(event), spec(events=families, role="agent").wants(event)) == (False, True)


@pytest.mark.parametrize(
    "fault",
    [
        {"url": "ftp://crm.example.com"}, {"url": "https://"}, {"url": "crm.example.com"}, {"url": "https://a:b@crm.io"},
        {"url": "https://crm.io/#a"}, {"url": "https://crm.io:99999/"}, {"url": "https://crm.io/a b"},
        {"url": "https://crm.io:0/"}, {"secret": None}, {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {"events": []}, {"events": ["everything"]}, {"events": ["*"]}, {"events": ["*.offered"]}, {"timeout": 0},
        {"timeout": 31}, {"concurrency": 0}, {"order": "any"}, {"content": "all"}, {"role": "admin"}, {"method": "PUT"},
    ],
)  # fmt: skip
def test_a_faulty_declaration_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**fault)


@pytest.mark.parametrize("name", ["CRM", "a b", "", "a:b", "é", "a\nb", "x" * 41])
def test_a_name_that_no_key_could_hold_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Tenant.model_validate({"tenant": "acme", "webhooks": {name: SAID}})


def test_a_queue_that_is_not_declared_is_a_fault() -> None:
    tenant = Tenant.model_validate({"tenant": "acme", "webhooks": {"crm": SAID | {"queues": ["loans"]}}})
    assert [fault.path for fault in unsound(tenant)] == [("webhooks", "crm", "queues")]


def test_where_systems_are_is_shown_to_nobody_who_reads_the_declarations() -> None:
    tenant = Tenant.model_validate({"tenant": "acme", "webhooks": {"crm": SAID}})
    assert "crm.example.com" not in tenant.model_dump_json()


@pytest.mark.parametrize(
    ("url", "allow", "environ", "paths"),
    [
        ("https://crm.example.com/", "", {"CRM_SECRET": "whsec_" + "A" * 44}, []),
        ("https://crm.example.com/", "", {}, ["secret"]),
        ("https://crm.example.com/", "", {"CRM_SECRET": "hush"}, ["secret"]),
        ("https://10.0.0.1/", "", {"CRM_SECRET": "whsec_" + "A" * 44}, ["url"]),
        ("http://crm.example.com/", "", {"CRM_SECRET": "whsec_" + "A" * 44}, ["url"]),
        ("http://crm.internal/", "crm.internal", {"CRM_SECRET": "whsec_" + "A" * 44}, []),
        ("http://10.0.0.1/", "10.0.0.0/8", {"CRM_SECRET": "whsec_" + "A" * 44}, []),
    ],
)
def test_the_doctor_sees_what_can_not_be_sent(url: str, allow: str, environ: dict[str, str], paths: list[str]) -> None:
    tenant = Tenant.model_validate({"tenant": "acme", "webhooks": {"crm": SAID | {"url": url}}})
    allowed = allowed_of(allow) if allow else NOWHERE
    found = list(unsendable(tenant, environ, allowed))
    assert [fault.path for fault in found] == [("webhooks", "crm", path) for path in paths]
    assert not any("hush" in fault.what for fault in found)


class TestTryingAgain:
    def test_pauses_grow_over_three_days(self) -> None:
        assert list(PAUSES) == sorted(PAUSES)
        assert sum(PAUSES, timedelta(0)) > 3 * DAY

    @given(st.integers(0, len(PAUSES) - 1), st.floats(0, 1))
    def test_each_is_spread_by_a_fifth(self, tried: int, chance: float) -> None:
        done = settled(delivery(attempts=tried), Answer(500), NOON, chance)
        assert done.how == "again"
        assert PAUSES[tried] * (1 - JITTER) <= done.at - NOON <= PAUSES[tried] * (1 + JITTER)

    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_two_hundred_and_so_on_is_an_acknowledgement(self, status: int) -> None:
        assert settled(delivery(), Answer(status), NOON, 0.5).how == "delivered"

    @pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 404, 418, 429, 500, 503])
    def test_all_else_is_none(self, status: int) -> None:
        assert settled(delivery(), Answer(status), NOON, 0.5).how == "again"

    def test_after_the_last_pause_it_is_given_up(self) -> None:
        assert settled(delivery(attempts=len(PAUSES)), Answer(500), NOON, 0.5).how == "dead"

    def test_after_days_it_is_given_up_however_seldom_it_was_tried(self) -> None:
        assert settled(delivery(), Answer(500), NOON + GIVEN_UP_AFTER, 0.5).how == "dead"

    def test_who_is_gone_gets_no_more(self) -> None:
        assert settled(delivery(), Answer(410), NOON, 0.5).how == "dead"

    def test_a_receiver_may_ask_for_more_time_but_not_for_less(self) -> None:
        for asked, expected in ((HOUR, HOUR), (SECOND, PAUSES[0])):
            assert settled(delivery(), Answer(429, retry_after=asked), NOON, 0.5).at == NOON + expected

    @pytest.mark.parametrize(
        ("header", "span"),
        [
            ("120", timedelta(minutes=2)), ("999999999999", DAY), ("Sun, 22 Nov 2026 12:01:00 GMT", 60 * SECOND),
            ("Sun, 22 Nov 2026 11:00:00 GMT", timedelta(0)), ("Fri, 31 Dec 9999 23:59:59 GMT", DAY), ("-5", None),
            ("soon", None), ("", None), (None, None), ("²", None), ("1.5", None),
        ],
    )  # fmt: skip
    def test_retry_after_is_read_in_either_shape(self, header: str | None, span: timedelta | None) -> None:
        assert retry_after(header, NOON) == span
