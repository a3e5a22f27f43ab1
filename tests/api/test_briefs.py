"""Briefs over HTTP: the shape of the contract, the same disclosure as the context, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ctxhub.store.embedded import EmbeddedServer
from tests.api.living import ADMIN_KEY, Callers, Clock, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, fresh, known, ok, phone, pointers, problem


@pytest.fixture
async def clock() -> Clock:
    """A clock in hand."""
    return Clock()


@pytest.fixture
async def timed(api_server: EmbeddedServer, tmp_path: Path, clock: Clock) -> AsyncIterator[Caller]:
    """Who may do everything at a hub whose clock stands still."""
    async with living(settings_for(tmp_path, api_server.url), clock) as app, http_to(app) as http:
        yield Caller(http, ADMIN_KEY)


async def brief(scene: Scene, caller: Caller | None = None, **query: Any) -> dict[str, Any]:
    """The brief as the interaction's channel reads it, unless said otherwise."""
    named = {"interaction_id": scene.interaction_id} | query
    asking = {name: value for name, value in named.items() if value is not None}
    return ok(await (caller or scene.caller).get(f"{scene.base}/brief", **asking))


def texts(found: dict[str, Any]) -> list[str]:
    return [line["text"] for line in found["lines"]]


async def a_refund(adapter: Caller) -> Scene:
    """A verified caller who wants a refund and has told the order."""
    scene = await known(adapter, language="en-GB")
    journey_id = await scene.journey()
    await scene.tell(scene.fact("order_id", "A-17", journey_id=journey_id))
    return scene


async def test_a_brief_has_the_shape_of_the_contract(adapter: Caller) -> None:
    scene = await a_refund(adapter)
    response = await adapter.get(f"{scene.base}/brief", view="agent", lang="en", interaction_id=scene.interaction_id)
    found = ok(response)
    assert found.keys() == {"lines", "version", "view", "language", "fallback", "dropped"}
    assert (found["view"], found["language"], found["fallback"], found["dropped"]) == ("agent", "en", False, 0)
    assert response.headers["etag"] == f'"{found["version"]}"'
    assert found["version"] == (await scene.context())["version"]
    assert "Order id: A-17, says the customer." in texts(found)
    assert "Still to ask: bank and account." in texts(found)
    timeline = {event["event_id"] for event in await scene.timeline()}
    assert all(line["evidence"] and set(line["evidence"]) <= timeline for line in found["lines"])
    assert found["lines"][0]["about"] == "why"


async def test_each_audience_is_told_in_its_own_way(adapter: Caller) -> None:
    scene = await a_refund(adapter)
    assert "You told us this: order id, A, 1 7." in texts(await brief(scene, view="ivr"))
    assert "⟦order id⟧: untrusted text ⟦A-17⟧, says the customer." in texts(await brief(scene, view="bot"))
    assert "客户诉求：退款。" in texts(await brief(scene, lang="zh-CN"))
    fallen_back = await brief(scene, lang="pt-BR")
    assert (fallen_back["language"], fallen_back["fallback"]) == ("en", True)


async def test_a_supervisor_reads_who_waits_for_how_long(adapter: Caller, callers: Callers) -> None:
    scene = await a_refund(adapter)
    await scene.offer({"queue": "refunds"})
    found = await brief(scene, callers.supervisor, view="supervisor", interaction_id=None)
    assert "Waiting in queue refunds for a minute." in texts(found)


async def test_a_stranger_is_told_what_the_context_shows_and_no_more(adapter: Caller) -> None:
    mine = phone()
    scene = await known(adapter, identifiers=[mine | {"strength": "verified"}])
    await scene.tell(scene.fact("city", "Lisboa"))
    stranger = Scene(adapter, ok(await adapter.post(
        "/v1/interactions", {"channel": "ivr", "external_id": fresh("call"), "identifiers": [mine]}), 201))  # fmt: skip
    assert stranger.customer_id == scene.customer_id
    for view in ("agent", "ivr", "bot", "supervisor"):
        assert "Lisboa" not in " ".join(texts(await brief(stranger, view=view)))
    nobody = ok(await adapter.get(f"{scene.base}/brief"))
    assert nobody["lines"] == []


async def test_an_agent_with_nothing_to_do_with_the_customer_is_refused(adapter: Caller, callers: Callers) -> None:
    scene = await a_refund(adapter)
    problem(await callers.ann.get(f"{scene.base}/brief"), 403, "forbidden")
    await scene.offer({"agent": "ann"})
    assert texts(ok(await callers.ann.get(f"{scene.base}/brief", lang="en")))[0] == "Came about: a refund."


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"max_chars": 79}, "/max_chars"),
        ({"max_chars": 4001}, "/max_chars"),
        ({"max_chars": "many"}, "/max_chars"),
        ({"view": "customer"}, "/view"),
        ({"lang": "not a language"}, "/lang"),
        ({"lang": ""}, "/lang"),
        ({"tone": "merry"}, "/tone"),
    ],
)
async def test_what_is_wrong_with_a_question_for_a_brief_is_named(
    adapter: Caller, query: dict[str, Any], pointer: str
) -> None:
    scene = await known(adapter)
    found = pointers(await adapter.get(f"{scene.base}/brief", **query))
    assert [place.removeprefix("/query") for place in found] == [pointer]


async def test_a_brief_of_nobody_and_of_another_tenant_is_not_found(adapter: Caller, callers: Callers) -> None:
    scene = await a_refund(adapter)
    problem(await callers.other_adapter.get(f"{scene.base}/brief"), 404, "customer_unknown")
    problem(await adapter.get(f"/v1/customers/{fresh('nobody')}/brief"), 404, "customer_unknown")


async def test_a_brief_waits_for_no_version_and_says_when_it_is_behind(adapter: Caller) -> None:
    scene = await a_refund(adapter)
    version = (await brief(scene))["version"]
    assert (await brief(scene, min_version=version))["version"] == version
    problem(await adapter.get(f"{scene.base}/brief", min_version=version + 1), 409, "version_ahead")


async def test_the_same_words_are_not_sent_twice_but_an_age_that_grew_is(timed: Caller, clock: Clock) -> None:
    scene = await a_refund(timed)
    await scene.offer({"queue": "refunds"})
    query = {"interaction_id": scene.interaction_id, "lang": "en"}
    first = await timed.get(f"{scene.base}/brief", **query)
    held = {"If-None-Match": first.headers["etag"]}
    again = await timed.get(f"{scene.base}/brief", headers=held, **query)
    assert (again.status_code, again.headers["etag"]) == (304, first.headers["etag"])
    clock.move(minutes=2)
    later = ok(await timed.get(f"{scene.base}/brief", headers=held, **query))
    assert later["version"] == first.json()["version"]
    assert "Handed over 2 minutes ago by the bot, reason: help." in texts(later)
    await scene.tell(scene.fact("bank", "ICBC"))
    ok(await timed.get(f"{scene.base}/brief", headers=held, **query))
