"""Presence: it lapses when nobody renews it, and an agent's own word only narrows what is declared or allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ctxhub.model.presence import LASTS, AgentSpec, Presence, PresenceRequest, Told, able, allowed
from tests.support import HOUR, MINUTE, NOON, SECOND


def present(state: Any = "available", lasts: timedelta = LASTS, **more: Any) -> Presence:
    """An agent who said at noon that he is there."""
    return Presence(state=state, since=NOON, until=NOON + lasts, **more)


def test_it_lapses_at_its_end_and_says_so() -> None:
    assert present().at(NOON + LASTS - SECOND).state == "available"
    left = present().at(NOON + LASTS)
    assert (left.state, left.reason, left.since) == ("offline", "lapsed", NOON + LASTS)


def test_a_sign_of_life_renews_what_has_not_lapsed_and_never_shortens_it() -> None:
    assert present().kept(NOON + 30 * SECOND).until == NOON + 30 * SECOND + LASTS
    assert present().kept(NOON + LASTS) == present()
    assert present(lasts=HOUR).kept(NOON + MINUTE) == present(lasts=HOUR)
    assert present("offline").kept(NOON + SECOND) == present("offline")


def test_who_says_the_same_again_is_there_since_he_said_it_first() -> None:
    again = present().said(PresenceRequest(state="available"), Told(), NOON + 30 * SECOND)
    assert (again.since, again.until) == (NOON, NOON + 30 * SECOND + LASTS)
    other = present().said(PresenceRequest(state="busy", reason="training"), Told(), NOON + 30 * SECOND)
    assert (other.since, other.reason) == (NOON + 30 * SECOND, "training")
    after_lapse = present().said(PresenceRequest(state="available"), Told(), NOON + HOUR)
    assert after_lapse.since == NOON + HOUR


def test_who_lets_it_ring_is_away_unless_he_has_come_back_since() -> None:
    rang_out = present().unanswered(NOON, NOON + 20 * SECOND)
    assert (rang_out.state, rang_out.reason) == ("away", "no_answer")
    assert present().unanswered(NOON - SECOND, NOON + 20 * SECOND) == present()
    assert present("busy").unanswered(NOON, NOON + 20 * SECOND) == present("busy")


def test_he_is_idle_since_his_last_work_ended() -> None:
    begun = present().seen(True, NOON + MINUTE)
    done = begun.seen(False, NOON + 5 * MINUTE)
    assert (begun.working, done.working, done.idle_since) == (True, False, NOON + 5 * MINUTE)
    assert present().idle_since == NOON
    assert present().seen(False, NOON + HOUR) == present()


DECLARED = AgentSpec(skills=["cards", "loans"], languages=["zh", "en"], queues=["cards"], capacity={"chat": 4})


@pytest.mark.parametrize(
    ("declared", "told", "can"),
    [
        (DECLARED, {}, DECLARED),
        (DECLARED, {"skills": ["loans", "tech"]}, DECLARED.but(skills=["loans"])),
        (DECLARED, {"queues": []}, DECLARED.but(queues=[])),
        (DECLARED, {"capacity": {"chat": 9, "voice": 2}}, DECLARED.but(capacity={"chat": 4, "voice": 1})),
        (DECLARED, {"capacity": {"chat": 1}}, DECLARED.but(capacity={"chat": 1})),
        (None, {}, AgentSpec()),
        (None, {"queues": ["cards"], "capacity": {"chat": 3}}, AgentSpec(queues=["cards"], capacity={"chat": 3})),
    ],
)
def test_what_an_agent_says_narrows_what_is_declared(
    declared: AgentSpec | None, told: dict[str, Any], can: AgentSpec
) -> None:
    assert able(declared, Told(**told)) == can


@pytest.mark.parametrize(
    ("told", "skills", "queues", "kept"),
    [
        ({"skills": ["a", "b"]}, set(), set(), {"skills": ["a", "b"]}),
        ({"skills": ["a", "b"]}, {"b", "c"}, set(), {"skills": ["b"]}),
        ({}, {"b", "c"}, {"q"}, {"skills": ["b", "c"], "queues": ["q"]}),
    ],
)
def test_what_an_agent_says_holds_as_far_as_his_key_allows(
    told: dict[str, Any], skills: set[str], queues: set[str], kept: dict[str, Any]
) -> None:
    assert allowed(Told(**told), frozenset(skills), frozenset(queues)) == Told(**kept)
