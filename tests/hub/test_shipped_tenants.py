"""The tenants that are shipped as examples: every word in both languages, and a complaint played through the hub."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ctxhub.hub.declarations import read_tenant
from ctxhub.hub.hub import Hub
from ctxhub.model.disclosure import Reader
from ctxhub.model.handoff import OfferRequest
from ctxhub.model.tenant import Kind, Tenant
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import tell
from tests.support import ADAPTER, DESK, Clock, a_start, ways

FOLDER = Path(__file__).parents[2] / "deploy" / "tenants"
TENANTS = {path.stem: read_tenant(path) for path in sorted(FOLDER.glob("*.yaml"))}
KINDS = [(tenant, kind) for tenant in TENANTS.values() for kind in tenant.journeys]


def test_a_bank_and_a_telephone_company_are_shipped_with_a_dozen_kinds() -> None:
    assert list(TENANTS) == ["bank", "telecom"]
    assert len({kind.kind for _, kind in KINDS}) >= 12


@pytest.mark.parametrize(("tenant", "kind"), KINDS, ids=[f"{tenant.tenant}-{kind.kind}" for tenant, kind in KINDS])
def test_a_kind_says_everything_in_both_languages_and_all_that_time_makes_of_it(tenant: Tenant, kind: Kind) -> None:
    said = [kind.say, *(step.say for step in kind.steps), *(tenant.facts[name].say for name in kind.needs)]
    assert all(set(say) == {"zh", "en"} for say in said)
    assert kind.owner in tenant.queues
    assert kind.rest is not None
    assert kind.lapse is not None
    assert kind.lapse > kind.rest


@pytest.mark.parametrize("tenant", TENANTS.values(), ids=TENANTS)
def test_what_is_declared_is_used_and_no_two_things_are_called_alike(tenant: Tenant) -> None:
    assert set(tenant.facts) == {name for kind in tenant.journeys for name in kind.needs}
    for language in tenant.languages:
        kinds = [kind.say[language] for kind in tenant.journeys]
        assert len(set(kinds)) == len(kinds)
        for kind in tenant.journeys:
            facts = [tenant.facts[name].say[language] for name in kind.needs]
            assert len(set(facts)) == len(facts)


@pytest.mark.parametrize("tenant", TENANTS.values(), ids=TENANTS)
def test_a_complaint_is_offered_by_every_menu_and_escalated_in_grades(tenant: Tenant) -> None:
    assert tenant.complaint is not None
    assert len(tenant.complaint.escalate) == 2
    assert tenant.complaint.importance == 5


@pytest.fixture
def shipped(server: Server, clock: Clock, tmp_path: Path) -> Hub:
    """A hub with the shipped files in force."""
    shutil.copytree(FOLDER, tmp_path / "shipped")
    return Hub(server, ways(clock, tenants=tmp_path / "shipped"))


@pytest.mark.parametrize("name", TENANTS)
async def test_a_complaint_goes_from_the_menu_to_the_ombudsman(shipped: Hub, clock: Clock, name: str) -> None:
    who = Who(name, "c42")
    caller = ADAPTER.but(tenant=name)
    started = (await shipped.interactions.start(caller, a_start("call", 2, "voice", customer_id="c42")))[0]
    call = started["interaction"]["interaction_id"]
    told = await tell(shipped, "journey.started", call, "e1", who=who, kind="complaint", find=True)
    journey_id = told["results"][0]["journey_id"]
    for number, fact in enumerate(("complaint_about", "wanted_outcome")):
        await tell(shipped, "fact.stated", call, f"f{number}", who=who, journey_id=journey_id, name=fact, value="…")
    await tell(shipped, "journey.advanced", call, "e2", who=who, journey_id=journey_id, step="inquiry")
    await shipped.interactions.end(who, call, None, None)
    owners = []
    for span in (timedelta(0), timedelta(days=1), timedelta(days=6)):
        clock.move(span)
        await shipped.wake(who)
        shown = (await shipped.contexts.read(who, Reader(role="admin"))).value["journeys"][0]
        owners.append((shown["owner"], shown["missing"], shown["step"]))
    assert owners == [(owner, [], "inquiry") for owner in ("care", "care-leads", "ombudsman")]
    again = (await shipped.interactions.start(caller, a_start("call-2", 2, "voice", customer_id="c42")))[0]
    assert (again["resume"][0]["journey_id"], again["resume"][0]["reason_code"]) == (journey_id, "important")
    here = again["interaction"]["interaction_id"]
    handoff = await offer_in(shipped, name, here, journey_id)
    assert handoff == "ombudsman"


async def offer_in(hub: Hub, tenant: str, interaction_id: str, journey_id: str) -> str:
    """Offer an interaction to the owner of its journey; return the queue it waits in."""
    said = {
        "customer_id": "c42",
        "interaction_id": interaction_id,
        "reason": "complaint",
        "to": {"owner_of": journey_id},
    }
    answer = await hub.handoffs.offer(DESK.but(tenant=tenant), OfferRequest.model_validate(said))
    return str(answer["queue"]["queue"])
