"""Keys and words stand for the same things on every page."""

from __future__ import annotations

import pytest
from ctxhub_ivr import menu
from ctxhub_ivr.translate import Call

from ctxhub.client import Kind, Tenant


def heard(digits: str = "", speech: str = "", confidence: float | None = None) -> Call:
    return Call("CA1", digits=digits, speech=speech, confidence=confidence)


def a_tenant(count: int) -> Tenant:
    return Tenant(
        tenant="acme", journeys=[Kind(kind=f"kind_{n}", say={"en": f"Task {n}"}) for n in range(1, count + 1)]
    )


def test_every_kind_has_a_key_on_exactly_one_page() -> None:
    tenant = a_tenant(19)
    reached = [
        kind.kind
        for page in (1, 2, 3)
        for key in "12345678"
        if (kind := menu.chosen_kind(heard(key), tenant, page, "en"))
    ]
    assert menu.pages(tenant) == 3
    assert reached == [kind.kind for kind in tenant.journeys]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (8, 1), (9, 2), (16, 2), (17, 3)])
def test_eight_kinds_fill_a_page(count: int, pages: int) -> None:
    assert menu.pages(a_tenant(count)) == pages


def test_after_the_last_page_comes_the_first() -> None:
    assert menu.on_page(a_tenant(9), 3) == menu.on_page(a_tenant(9), 1)


@pytest.mark.parametrize("speech", ["Task 12", "task 12.", "kind 12", "I need task 12 please", "KIND_12"])
def test_a_kind_is_chosen_by_name_from_any_page(speech: str) -> None:
    chosen = menu.chosen_kind(heard(speech=speech), a_tenant(19), 1, "en-US")
    assert chosen is not None
    assert chosen.kind == "kind_12"


def test_a_chinese_kind_is_heard_within_a_sentence() -> None:
    tenant = Tenant(tenant="t", journeys=[Kind(kind="a", say={"zh": "酒店"}), Kind(kind="b", say={"zh": "地铁"})])
    chosen = menu.chosen_kind(heard(speech="我想订酒店。"), tenant, 1, "zh-CN")
    assert chosen is tenant.journeys[0]


@pytest.mark.parametrize("speech", ["task 1 and task 2", "task", "1 2", "", "task 1x"])
def test_what_names_no_kind_or_several_chooses_none(speech: str) -> None:
    assert menu.chosen_kind(heard(speech=speech), a_tenant(9), 1, "en") is None


def test_a_mumbled_name_chooses_nothing() -> None:
    assert menu.chosen_kind(heard(speech="task 1", confidence=0.1), a_tenant(3), 1, "en") is None
    assert menu.menu_command(heard(speech="human", confidence=0.1)) is None


@pytest.mark.parametrize(("key", "command"), [("0", "human"), ("9", "next"), ("*", "pin"), ("#", "link"), ("5", None)])
def test_the_menus_other_keys(key: str, command: str | None) -> None:
    assert menu.menu_command(heard(key)) == command
    assert menu.chosen_kind(heard(key), a_tenant(4), 1, "en") is None


@pytest.mark.parametrize("take", [menu.menu_command, menu.resume_command, menu.done_command, menu.confirm_command])
def test_zero_and_a_complaint_lead_to_a_human_from_every_menu(take: object) -> None:
    assert callable(take)
    assert take(heard("0")) == "human"
    assert take(heard(speech="complaint")) == "human"
    assert take(heard(speech="投诉")) == "human"


@pytest.mark.parametrize(
    ("digits", "command"),
    [("*", "later"), ("*0", "human"), ("*1", "menu"), ("*2", "link"), ("0", None), ("1", None), ("12", None)],
)
def test_while_a_fact_is_asked_a_bare_digit_is_an_answer(digits: str, command: str | None) -> None:
    assert menu.fact_command(heard(digits)) == command


@pytest.mark.parametrize(("speech", "command"), [("yes", None), ("no", None), ("later", "later"), ("以后", "later")])
def test_while_a_fact_is_asked_yes_and_no_are_answers(speech: str, command: str | None) -> None:
    assert menu.fact_command(heard(speech=speech)) == command


@pytest.mark.parametrize(
    ("digits", "speech", "command"),
    [
        ("1", "", "yes"),
        ("2", "", "no"),
        ("*", "", "later"),
        ("*2", "", "link"),
        ("", "是的", "yes"),
        ("", "Wrong.", "no"),
    ],
)
def test_a_value_is_confirmed_or_not(digits: str, speech: str, command: str) -> None:
    assert menu.confirm_command(heard(digits, speech)) == command


def test_a_journey_to_resume_is_chosen_by_key_by_name_or_with_yes() -> None:
    kinds = a_tenant(3).journeys
    assert menu.chosen_journey(heard("2"), kinds, "en") == 1
    assert menu.chosen_journey(heard("4"), kinds, "en") is None
    assert menu.chosen_journey(heard(speech="Yes please"), kinds, "en") == 0
    assert menu.chosen_journey(heard(speech="task 3"), kinds, "en") == 2
    assert menu.chosen_journey(heard(speech="something else"), kinds, "en") is None
    assert menu.resume_command(heard(speech="something else")) == "other"


COMPLAINT = Kind(kind="complaint", say={"en": "a complaint", "zh": "投诉"})


def with_complaint(count: int) -> Tenant:
    tenant = a_tenant(count)
    return tenant.but(journeys=[COMPLAINT, *tenant.journeys])


def test_where_a_complaint_is_declared_it_has_its_key_on_every_page_and_the_others_have_the_rest() -> None:
    tenant = with_complaint(15)
    assert menu.pages(tenant) == 3
    reached = []
    for page in (1, 2, 3):
        assert menu.chosen_kind(heard("8"), tenant, page, "en") is COMPLAINT
        reached += [kind for key in "1234567" if (kind := menu.chosen_kind(heard(key), tenant, page, "en"))]
    assert reached == tenant.journeys[1:]


@pytest.mark.parametrize("speech", ["complaint", "I want to complain about task 1", "投诉", "我要投诉你们"])
def test_whoever_speaks_of_a_complaint_gets_the_kind_for_it(speech: str) -> None:
    assert menu.chosen_kind(heard(speech=speech), with_complaint(3), 1, "en") is COMPLAINT
    assert menu.complaint(heard(speech=speech), with_complaint(3)) is COMPLAINT


def test_without_such_a_kind_or_mumbled_or_by_another_key_there_is_none() -> None:
    assert menu.complaint(heard(speech="complaint"), a_tenant(3)) is None
    assert menu.complaint(heard("8"), a_tenant(3)) is None
    assert menu.complaint(heard("7"), with_complaint(3)) is None
    assert menu.complaint(heard(speech="complaint", confidence=0.1), with_complaint(3)) is None
