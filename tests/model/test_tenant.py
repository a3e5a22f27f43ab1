"""What a tenant declares, and what holds where it declares nothing."""

from __future__ import annotations

from tests.support import PLAIN, TENANT


def test_a_kind_needs_the_facts_of_its_steps_each_once() -> None:
    assert TENANT.kind("refund").needs == ["order_id", "bank", "account"]


def test_a_kind_not_declared_needs_nothing() -> None:
    assert (PLAIN.kind("refund").kind, PLAIN.kind("refund").needs) == ("refund", [])


def test_a_fact_not_declared_is_as_sensitive_as_it_is_told() -> None:
    assert (TENANT.sensitivity("card_number"), TENANT.sensitivity("city")) == ("sensitive", "public")


def test_knowledge_is_on_unless_switched_off() -> None:
    assert PLAIN.policies.knowledge == "on"
