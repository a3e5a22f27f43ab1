"""A code that was minted at level 2 carries level 2 for three minutes, where the tenant allows it, and 1 afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import TENANT, Callers, Clock, http_to, living, settings_for
from tests.api.scenes import fresh, known, ok, phone, start_body


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of its own: on the stories' one another clock counts."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("codes"), durability="fast")) as server:
        yield server


@pytest.mark.parametrize(("policy", "minted_at", "seconds", "carries"), [(2, 2, 180, 2), (2, 2, 181, 1)])
async def test_a_code_carries_as_much_as_it_was_minted_at_while_it_is_new(
    server: EmbeddedServer, tmp_path: Path, policy: int, minted_at: int, seconds: int, carries: int
) -> None:
    settings, clock, mine = settings_for(tmp_path, server.url), Clock(), phone()
    declared = TENANT.replace("{fraud_queue: fraud}", f"{{fraud_queue: fraud, code_level: {policy}}}")
    (tmp_path / "tenants" / "default.yaml").write_text(declared, encoding="utf-8")
    async with living(settings, clock) as app, http_to(app) as http:
        adapter = (await Callers(http).make()).adapter
        call = await known(adapter, level=minted_at, identifiers=[mine])
        code = (await call.offer({"channel": "chat"}))["code"]
        clock.move(seconds=seconds)
        body = start_body("chat", code=code, identifiers=[mine], external_id=fresh("ext"))
        redeemed = ok(await adapter.post("/v1/handoffs/redeem", body))
    assert redeemed["interaction"]["assurance"]["level"] == carries
