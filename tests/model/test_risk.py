"""Warnings of fraud: how they add up, cap, move along with the customer, and are cleared."""

from __future__ import annotations

from itertools import permutations

import pytest

from ctxhub.errors import Invalid
from ctxhub.model import interaction as interactions
from ctxhub.model.context import Context
from ctxhub.model.disclosure import Reader, sight
from ctxhub.model.event import Event, RiskLevel
from ctxhub.model.handoff import by_code
from ctxhub.model.interaction import Start, carried
from ctxhub.model.risk import MOST_KINDS, Risk, cap, with_risk
from ctxhub.store.indexes import standing
from tests.model.scenes import offered
from tests.support import (
    MINUTE,
    NOON,
    PLAIN,
    SECOND,
    a_fact,
    after,
    an_event,
    an_interaction,
    started,
    telling,
    with_one,
)


def a_risk(kind: str, level: RiskLevel) -> Risk:
    return Risk(kind=kind, level=level, at=NOON, evidence="e")


def a_flag(level: RiskLevel = "high", interaction_id: str | None = "in_1", **more: object) -> Event:
    return an_event("risk.flagged", interaction_id, kind="sim_swap", level=level, **more)


def level_of(context: Context, interaction_id: str = "in_1") -> int:
    return an_interaction(context, interaction_id).level(NOON)


@pytest.mark.parametrize(("level", "left"), [("low", 2), ("medium", 1), ("high", 0)])
def test_a_warning_caps_by_its_level_whatever_was_proven(level: RiskLevel, left: int) -> None:
    assert level_of(after(with_one(2), a_flag(level))) == left


def test_proof_after_a_warning_lifts_nothing_and_is_not_forgotten() -> None:
    context = after(with_one(1), a_flag("medium"), an_event("assurance.raised", level=3, method="otp"))
    assert level_of(context) == 1
    assert level_of(after(context, an_event("risk.cleared", reason="called back"))) == 3


def test_what_is_told_under_a_warning_is_told_under_its_cap_even_where_nothing_decides() -> None:
    context = after(with_one(2), a_flag("medium"))
    assert telling(context, a_fact("x")).events[0].assurance == 1
    assert standing(an_interaction(context)).split()[2] == "1", "what the script that appends goes by"


def test_of_a_kind_the_gravest_warning_stands() -> None:
    for levels in permutations(("low", "medium", "high")):
        risks: tuple[Risk, ...] = ()
        for level in levels:
            risks = with_risk(risks, a_risk("sim_swap", level))
        assert [risk.level for risk in risks] == ["high"]


def test_of_very_many_kinds_the_gravest_are_kept() -> None:
    risks: tuple[Risk, ...] = (a_risk("first", "high"),)
    for number in range(2 * MOST_KINDS):
        risks = with_risk(risks, a_risk(f"k{number}", "low"))
    assert (len(risks), cap(risks)) == (MOST_KINDS, 0)


def test_clearing_one_kind_leaves_the_others() -> None:
    context = after(with_one(2), a_flag("high"), an_event("risk.flagged", kind="velocity", level="medium"))
    assert level_of(after(context, an_event("risk.cleared", kind="sim_swap", reason="x"))) == 1


def test_without_an_interaction_every_open_one_is_concerned() -> None:
    context = after(started(with_one(2), "in_2", 2), a_flag(interaction_id=None))
    assert [level_of(context, key) for key in ("in_1", "in_2")] == [0, 0]


def test_a_warning_that_concerns_nothing_is_refused() -> None:
    over = interactions.end(with_one(2), "in_1", NOON).context
    with pytest.raises(Invalid):
        after(over, a_flag(interaction_id=None))


def test_the_customer_s_next_interaction_takes_the_warning_along_and_the_proof_s_age() -> None:
    context = offered(with_one(2, now=NOON - 3 * MINUTE), to={"channel": "chat"})
    via, later = context.handoffs["ho_1"], NOON + SECOND
    request = Start(channel="chat", external_id="x2")
    brought = interactions.start(context, request, "in_2", later, via).context
    assert an_interaction(brought, "in_2").assurance.raised_at == NOON - 3 * MINUTE
    assert not sight(brought, Reader(interaction_id="in_2"), PLAIN, NOON + 2 * MINUTE).fresh, "no longer just now"
    flagged = interactions.start(after(context, a_flag()), request, "in_2", later, via).context
    assert [risk.kind for risk in an_interaction(flagged, "in_2").risks] == ["sim_swap"]
    assert carried(via, an_interaction(after(context, a_flag())), later).level == 0


@pytest.mark.parametrize(
    ("code_level", "ago", "level", "carries"),
    [(1, 0, 2, 1), (2, 0, 2, 2), (2, 180, 3, 2), (2, 181, 2, 1), (2, 0, 1, 1)],
)
def test_a_code_carries_level_2_where_the_tenant_lets_a_fresh_one(
    code_level: int, ago: int, level: int, carries: int
) -> None:
    context = offered(with_one(level), to={"channel": "chat"})
    now = context.handoffs["ho_1"].offered_at + ago * SECOND
    via = by_code(context.handoffs["ho_1"], code_level, now)
    assert carried(via, an_interaction(context), now).level == carries


class TestProvenAgain:
    """The same proof a second time counts as proven just now, even where the first holds longer."""

    def test_it_is_fresh_again_and_holds_as_long_as_before(self) -> None:
        context = after(with_one(), an_event("assurance.raised", level=2, method="pin", expires_in=3600))
        later = NOON + 10 * MINUTE
        again = after(context, an_event("assurance.raised", at=later, level=2, method="pin", expires_in=600))
        assurance = an_interaction(again).assurance
        assert (assurance.is_fresh(later), assurance.until) == (True, an_interaction(context).assurance.until)
        assert not an_interaction(context).assurance.is_fresh(later)

    def test_a_lower_proof_or_an_older_one_told_late_changes_nothing(self) -> None:
        context = after(with_one(), an_event("assurance.raised", level=2, method="pin", expires_in=3600))
        lower = an_event("assurance.raised", at=NOON + MINUTE, level=1, method="ani")
        older = an_event("assurance.raised", at=NOON - MINUTE, level=2, method="pin", expires_in=60)
        for event in (lower, older):
            assert after(context, event, now=NOON + MINUTE) == context
