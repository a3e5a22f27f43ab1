"""What one tenant keeps reaches no other: and the same looks find it where a safeguard was taken out."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub.settings import Settings
from ctxhub.store import joined
from ctxhub.store.embedded import embedded_server
from ctxhub.store.keys import Keys
from tests.acd.listening import listening
from tests.api.crossing import Route, kept, mixed, namesakes, told_of
from tests.api.living import Callers, http_to, living, settings_for

#: How many parts an answer has that tells of a customer.
OF_A_CUSTOMER = 5
#: Where who may sees what was kept, at least.
SEEN = {
    ("GET", "/v1/customers/{customer_id}/context"),
    ("GET", "/v1/customers/{customer_id}/timeline"),
    ("GET", "/v1/customers/{customer_id}/export"),
    ("GET", "/v1/handoffs"),
    ("GET", "/v1/handoffs/{handoff_id}"),
    ("GET", "/v1/commitments"),
    ("GET", "/v1/agents"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/keys"),
    ("POST", "/v1/context/lookup"),
    ("POST", "/v1/handoffs/lookup"),
}


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    """Settings of a hub on a server of its own: what faults leave behind is nobody else's."""
    with embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server:
        yield settings_for(tmp_path / "hub", server.url)


@pytest.fixture
async def callers(settings: Settings) -> AsyncIterator[Callers]:
    """Callers of two tenants, over HTTP, of a hub that listens."""
    async with listening(settings) as url, httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        yield await Callers(http).make()


def without_tenant(spelling: str) -> Callable[..., Any]:
    """One spelling of keys that leaves the tenant out."""
    usual = getattr(Keys, spelling)

    def of_all(*given: Any) -> Any:
        bound = inspect.signature(usual).bind(*given)
        bound.arguments["tenant"] = "all"
        return usual(*bound.args)

    return of_all


async def test_whoever_may_is_told_what_a_tenant_keeps_and_another_tenant_on_no_route(callers: Callers) -> None:
    found = await kept(callers)
    assert await told_of(found, callers.admin) >= SEEN
    assert await told_of(found, callers.other_admin) == set()


@pytest.mark.parametrize(
    ("spelling", "route"),
    [("customer", ("GET", "/v1/customers/{customer_id}/context")), ("agents", ("GET", "/v1/agents"))],
)
async def test_a_key_that_leaves_the_tenant_out_is_found(
    callers: Callers, monkeypatch: pytest.MonkeyPatch, spelling: str, route: Route
) -> None:
    monkeypatch.setattr(Keys, spelling, without_tenant(spelling))
    assert route in await told_of(await kept(callers), callers.other_admin)


async def test_mixed_calls_find_a_key_that_leaves_the_tenant_out(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keys, "customer", without_tenant("customer"))
    assert (await mixed(await namesakes(callers), 100)).wrong


async def test_mixed_calls_find_an_answer_that_goes_to_the_next_when_its_caller_is_gone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Any] = []

    async def to_the_next(connection: Any, futures: Sequence[Any]) -> None:
        answer = await connection.read_response(disconnect_on_error=False)
        is_customer = isinstance(answer, list) and len(answer) == OF_A_CUSTOMER
        if is_customer and futures[0].cancelled():
            late.append(answer)
        for future in futures:
            if not future.done():
                future.set_result(late.pop() if is_customer and late else answer)

    async with living(settings) as app, http_to(app) as http:  # a call that is cancelled is so down to its Redis
        customers = await namesakes(await Callers(http).make())
        monkeypatch.setattr(joined, "_answer", to_the_next)
        for _ in range(20):  # when a call is cancelled is chance
            if (await mixed(customers, 100)).wrong:
                return
    pytest.fail("nobody was told what was another's")
