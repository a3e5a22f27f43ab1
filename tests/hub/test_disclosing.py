"""A tenant's file that discloses otherwise than before leaves a line, whichever process sees it first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctxhub.hub.audit import Wanted
from ctxhub.hub.hub import Hub
from ctxhub.store.redis import Server
from tests.support import ACME, TENANT, Clock, ways


async def noted(hub: Hub, tenant: str = ACME) -> list[dict[str, Any]]:
    """What the trail says of changes."""
    found = await hub.audit.find(tenant, Wanted(action="disclosure.changed"))
    return [each.entry.about["changed"] for each in found]


def declare(folder: Path, **facts: dict[str, Any]) -> None:
    """Let acme's file say something else of facts."""
    said = TENANT.model_dump(mode="json", exclude={"tenant"}) | {"facts": facts}
    (folder / f"{ACME}.yaml").write_text(
        TENANT.model_validate(said | {"tenant": ACME}).model_dump_json(exclude={"tenant"})
    )


async def test_a_fact_that_is_no_longer_sensitive_leaves_one_line_of_however_many_processes(
    server: Server, clock: Clock, tenants_folder: Path
) -> None:
    before = [Hub(server, ways(clock, tenants=tenants_folder)) for _ in range(2)]
    for hub in before:
        await hub.disclosing.look()
    assert await noted(before[0]) == []
    declare(tenants_folder, card_number={"sensitivity": "public"}, income={"disclose_from": 3})
    after = [Hub(server, ways(clock, tenants=tenants_folder)) for _ in range(2)]
    for hub in after:
        await hub.disclosing.look()
        await hub.disclosing.look()
    assert await noted(after[0]) == [
        {
            "fact card_number": ["sensitive", "public"],
            "fact income": [None, "personal"],
            "fact income from level": [None, 3],
        }
    ]
    (line,) = await after[0].audit.find(ACME, Wanted(action="disclosure.changed"))
    assert (line.entry.by, line.entry.role, line.entry.source) == ("tenant file", "operator", "acme.yaml")


async def test_what_discloses_as_before_leaves_none(hub: Hub, tenants_folder: Path) -> None:
    await hub.disclosing.look()
    declare(tenants_folder, card_number={"sensitivity": "sensitive", "say": {"en": "the card", "zh": "卡"}})
    hub.tenants._looked = 0.0
    assert hub.tenants.of(ACME).facts["card_number"].say
    await hub.disclosing.look()
    assert await noted(hub) == []
    assert await noted(hub, "default") == []
