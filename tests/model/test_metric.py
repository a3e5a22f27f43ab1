"""Metrics: right, with their n and interval; too few, early and not instrumented where they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from ctxhub.model.measure import Totals, wilson
from ctxhub.model.metric import DEFINITIONS, Metric, Seen, Window, measured

DAY = date(2026, 11, 22)
LATER = datetime(2026, 12, 1, tzinfo=UTC)
BY_ID = {definition.id: definition for definition in DEFINITIONS}
COMPUTED = [definition.id for definition in DEFINITIONS if definition.measure is not None]
NOT_YET = [definition.id for definition in DEFINITIONS if definition.measure is None]
WINDOW = Window(first=DAY, last=DAY)


def a_metric(
    id_: str, *counters: tuple[int, str], tells: tuple[str, ...] = ("chat", "desk"), silent: tuple[str, ...] = (),
    now: datetime = LATER, window: Window = WINDOW,
) -> Metric:  # fmt: skip
    """A metric of some counters, each spelled with blanks between family and dimensions."""
    totals = Totals({tuple(spelled.split(" ")): amount for amount, spelled in counters})
    instrumented = dict.fromkeys(tells, True) | dict.fromkeys(silent, False)
    return measured(BY_ID[id_], Seen(totals, instrumented), window, now)


def test_every_metric_has_an_id_of_its_own_and_both_languages() -> None:
    assert len(BY_ID) == len(DEFINITIONS)
    for definition in DEFINITIONS:
        assert all(set(words) == {"en", "zh"} for words in (definition.name, definition.formula))
        assert definition.measure is not None or set(definition.why) == {"en", "zh"}


@pytest.mark.parametrize("id_", NOT_YET)
def test_what_can_not_be_computed_says_why_and_shows_no_figure(id_: str) -> None:
    metric = a_metric(id_, (100, "hops chat ivr chat handoff"))
    assert metric.status == "not_instrumented"
    assert metric.why
    assert (metric.value, metric.numerator, metric.n, metric.interval) == (None, None, None, None)


@pytest.mark.parametrize("id_", COMPUTED)
def test_of_nothing_there_is_no_share(id_: str) -> None:
    metric = a_metric(id_)
    assert metric.status in ("too_few", "ok")
    assert not metric.value


def test_a_share_comes_with_its_n_and_its_interval() -> None:
    metric = a_metric(
        "rqr.handoff", (96, "hops_known chat ivr chat handoff"), (3, "hops_repeated chat ivr chat handoff")
    )
    assert (metric.value, metric.numerator, metric.n, metric.status) == (0.03125, 3, 96, "ok")
    assert metric.interval == tuple(round(bound, 6) for bound in wilson(3, 96))


def test_what_a_place_does_not_tell_is_left_out_and_said_to_be() -> None:
    counters = [(40, "hops_known chat ivr chat handoff"), (8, "hops_known chat chat desk handoff")]
    metric = a_metric("rqr.handoff", *counters, tells=("chat",), silent=("desk",))
    assert (metric.n, metric.left_out) == (40, 8)
    nobody = a_metric("rqr.handoff", *counters, tells=(), silent=("chat", "desk"))
    assert (nobody.status, nobody.value) == ("not_instrumented", None)
    assert "question.asked" in (nobody.why or "")


@pytest.mark.parametrize(("n", "status"), [(29, "too_few"), (30, "ok")])
def test_below_thirty_there_are_too_few(n: int, status: str) -> None:
    assert a_metric("handoff.accept", (n, "decided chat queue accepted")).status == status


@pytest.mark.parametrize(
    ("id_", "counter", "now", "status"),
    [
        ("handoff.accept", "decided chat queue accepted", datetime(2026, 11, 22, 23, 59, tzinfo=UTC), "provisional"),
        ("handoff.accept", "decided chat queue accepted", datetime(2026, 11, 23, tzinfo=UTC), "ok"),
        ("rqr.handoff", "hops_known chat ivr chat handoff", datetime(2026, 11, 23, 23, 59, tzinfo=UTC), "provisional"),
        ("rqr.handoff", "hops_known chat ivr chat handoff", datetime(2026, 11, 24, tzinfo=UTC), "ok"),
    ],
)
def test_before_it_matures_it_is_provisional(id_: str, counter: str, now: datetime, status: str) -> None:
    metric = a_metric(id_, (100, counter), now=now)
    assert metric.status == status
    assert (metric.matures_at is not None) == (status == "provisional")


def test_days_end_where_the_tenant_is() -> None:
    shanghai = Window(first=DAY, last=DAY, time_zone="Asia/Shanghai")
    assert shanghai.ends_at().astimezone(UTC) == datetime(2026, 11, 22, 16, tzinfo=UTC)
    assert a_metric("aht", window=shanghai).window == {"from": "2026-11-22", "to": "2026-11-22",
                                                       "time_zone": "Asia/Shanghai"}  # fmt: skip


def test_offers_to_bots_and_channels_are_no_offers_to_humans() -> None:
    counters = [(30, "decided chat queue accepted"), (10, "decided chat agent declined"),
                (7, "decided chat bot accepted"), (5, "decided chat channel accepted")]  # fmt: skip
    metric = a_metric("handoff.accept", *counters)
    assert (metric.numerator, metric.n) == (30, 40)
    assert (a_metric("resume.rate", *counters).numerator, a_metric("resume.rate", *counters).n) == (5, 5)


def test_a_transfer_to_a_bot_is_none() -> None:
    metric = a_metric(
        "transfer.rate", (3, "legs chat transferred"), (4, "legs chat to_bot"), (33, "legs chat completed")
    )
    assert (metric.numerator, metric.n) == (3, 40)


def test_a_switch_goes_on_without_a_break_where_facts_were_there_and_none_was_asked_for() -> None:
    way = "chat ivr chat switch"
    metric = a_metric("switch.continuity", (50, f"hops {way}"), (40, f"hops_known {way}"), (4, f"hops_repeated {way}"),
                      (9, "hops chat ivr chat handoff"))  # fmt: skip
    assert (metric.numerator, metric.n) == (36, 50)


def test_saved_time_is_marked_as_an_assumption() -> None:
    metric = a_metric("questions.saved", (5, "saved chat"), (2, "saved ivr"))
    assert (metric.value, metric.assumed) == (7, {"seconds_per_question": 12, "seconds": 84})


def test_durations_show_mean_and_quantiles() -> None:
    metric = a_metric(
        "handoff.wait", (40, "time accept chat 10"), (10, "time accept ivr 60"), (700_000, "time_ms accept chat")
    )
    assert (metric.value, metric.n, metric.status) == (14.0, 50, "ok")
    assert metric.times is not None
    assert 7 < metric.times["p50"] <= 10 < 45 < metric.times["p95"] <= 60


def test_a_funnel_shows_every_step() -> None:
    metric = a_metric("handoff.funnel", (9, "handoffs offered chat queue"), (5, "decided chat queue accepted"),
                      (4, "handoffs shown chat queue"), (4, "legs chat completed"), (3, "decided chat queue left"),
                      (2, "handoffs offered chat channel"))  # fmt: skip
    assert metric.steps == {"offered": 9, "accepted": 5, "shown": 4, "worked": 4, "declined": 0, "expired": 0,
                            "cancelled": 0, "left": 3}  # fmt: skip


def test_promises_are_judged_by_what_first_became_of_them() -> None:
    metric = a_metric(
        "promise.kept", (24, "promises kept chat"), (4, "promises overdue chat"), (2, "promises broken chat")
    )
    assert (metric.numerator, metric.n) == (24, 30)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_metric_speaks_the_language_asked_for(language: str) -> None:
    metric = measured(BY_ID["aht"], Seen(Totals({}), {}), WINDOW, LATER + timedelta(1), language)
    assert metric.name == BY_ID["aht"].name[language]
