"""What a tenant declares, and what holds where it declares nothing."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ctxhub.model.tenant import Tenant
from tests.support import PLAIN, TENANT


def test_a_kind_needs_the_facts_of_its_steps_each_once() -> None:
    assert TENANT.kind("refund").needs == ["order_id", "bank", "account"]


def test_a_kind_not_declared_needs_nothing() -> None:
    assert (PLAIN.kind("refund").kind, PLAIN.kind("refund").needs) == ("refund", [])


def test_a_fact_not_declared_is_as_sensitive_as_it_is_told() -> None:
    assert (TENANT.sensitivity("card_number"), TENANT.sensitivity("city")) == ("sensitive", "public")


def test_knowledge_is_on_unless_switched_off() -> None:
    assert PLAIN.policies.knowledge == "on"


def a_tenant(*kinds: dict[str, object]) -> Tenant:
    return Tenant.model_validate({"tenant": "acme", "journeys": list(kinds)})


def test_the_kind_for_complaints_is_the_one_marked_so_else_the_one_of_that_name() -> None:
    marked = a_tenant({"kind": "complaint"}, {"kind": "grievance", "complaint": True}).complaint
    named = a_tenant({"kind": "refund"}, {"kind": "complaint"}).complaint
    assert marked is not None
    assert named is not None
    assert (marked.kind, named.kind, PLAIN.complaint) == ("grievance", "complaint", None)


def test_a_step_that_is_not_declared_needs_nothing() -> None:
    assert TENANT.kind("complaint").at("heard").within == 300
    assert (TENANT.kind("refund").at("else").facts, TENANT.kind("refund").at("else").owner) == ([], None)


def test_a_time_zone_is_one_that_there_is() -> None:
    assert Tenant(tenant="acme", timezone="Asia/Shanghai").timezone == "Asia/Shanghai"
    for wrong in ("Mars/Base", "", "../etc/passwd", "/etc/localtime", "Asia", "GMT+8 "):
        with pytest.raises(ValidationError, match="is not a time zone such as Asia/Shanghai"):
            Tenant(tenant="acme", timezone=wrong)
