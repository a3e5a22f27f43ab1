"""Every text that any route takes, read from the description: a card number told there is in no file of the server.

A new route or a new field is in the description, and so in here: one without a filter in front of it fails.
"""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from ctxhub.model.as_kept import IDS
from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from ctxhub.store.redis import connected
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, accept, fresh, known, ok, phone, pointers, start_body
from tests.hub.test_never_at_rest import held
from tests.model.cards import number

_random = Random(7)
#: Of these exactly one way is named.
ONE_WAY = ("to", "fallback")
#: What these say is compared with what is there, and kept nowhere: they may as well find nothing.
COMPARED = {"/lookup": 404, "/claim": 409}


class Call(NamedTuple):
    """A call that succeeds as it stands."""

    caller: Caller
    method: str
    path: str
    body: dict[str, Any]


class Place(NamedTuple):
    """A field of a route's body: the keys that lead there, and what its text has to look like."""

    keys: tuple[str, ...]
    schema: dict[str, Any]


Scenes = Callable[[Callers], Awaitable[Call]]


async def _held(callers: Callers) -> tuple[Scene, dict[str, Any], dict[str, Any]]:
    """An interaction that ann holds, its handoff, and who she is with which fence."""
    scene = await known(callers.adapter, "ivr", level=3)
    handoff = await scene.offer({"queue": "billing"})
    fence = (await accept(callers.agent, handoff["handoff_id"], "ann"))["fence"]
    return scene, handoff, {"agent_id": "ann", "fence": fence}


async def _start(callers: Callers) -> Call:
    named = {"identifiers": [phone()], "refs": [{"system": "acd", "kind": "call", "id": fresh("r")}]}
    body = start_body("chat", assurance={"level": 1, "method": "ani"}, **named)
    return Call(callers.adapter, "POST", "/v1/interactions", body)


async def _redeem(callers: Callers) -> Call:
    token = (await (await known(callers.adapter, "app")).offer({"channel": "chat"}))["token"]
    return Call(callers.adapter, "POST", "/v1/handoffs/redeem", (await _start(callers)).body | {"token": token})


async def _ref(callers: Callers) -> Call:
    ref = {"system": "acd", "kind": "call", "id": fresh("r")}
    return Call(callers.adapter, "POST", "/v1/interactions/lookup", {"ref": ref})


async def _refs(callers: Callers) -> Call:
    scene = await known(callers.adapter)
    refs = [{"system": "acd", "kind": "call", "id": fresh("r")}]
    return Call(callers.adapter, "PUT", f"{scene.place}/refs", {"refs": refs})


async def _end(callers: Callers) -> Call:
    return Call(callers.adapter, "POST", f"{(await known(callers.adapter)).place}/end", {})


async def _identify(callers: Callers) -> Call:
    scene, other = await known(callers.adapter), await known(callers.adapter)
    body = {"customer_id": other.customer_id, "assurance": {"level": 2, "method": "pin"}}
    return Call(callers.adapter, "POST", f"{scene.place}/identify", body)


async def _tell(callers: Callers) -> Call:
    scene = await known(callers.adapter)
    return Call(callers.adapter, "POST", f"{scene.base}/events", {"events": [scene.event("x.seen")]})


async def _context(callers: Callers) -> Call:
    return Call(callers.adapter, "POST", "/v1/context/lookup", {"identifier": phone()})


async def _customer(callers: Callers) -> Call:
    return Call(callers.adapter, "POST", "/v1/customers/lookup", {"identifier": phone()})


async def _asks(callers: Callers) -> Call:
    scene = await known(callers.adapter)
    body = {"interaction_id": scene.interaction_id, "names": ["order_id"]}
    return Call(callers.adapter, "POST", f"{scene.base}/asks", body)


async def _offer(callers: Callers) -> Call:
    scene = await known(callers.adapter, identifiers=[phone()])
    named = {"customer_id": scene.customer_id, "interaction_id": scene.interaction_id}
    return Call(callers.adapter, "POST", "/v1/handoffs", named | {"reason": "help", "to": {"queue": "billing"}})


def _on_handoff(verb: str, method: str = "POST", **more: Any) -> Scenes:
    async def made(callers: Callers) -> Call:
        _, handoff, mine = await _held(callers)
        return Call(callers.agent, method, f"/v1/handoffs/{handoff['handoff_id']}/{verb}", mine | more)

    return made


async def _decline(callers: Callers) -> Call:
    handoff = await (await known(callers.adapter)).offer({"queue": "billing"})
    return Call(callers.agent, "POST", f"/v1/handoffs/{handoff['handoff_id']}/decline", {"agent_id": "ann"})


async def _elsewhere(callers: Callers) -> Call:
    handoff = await (await known(callers.adapter)).offer({"queue": "desks"})
    path = f"/v1/handoffs/{handoff['handoff_id']}/elsewhere"
    return Call(callers.adapter, "POST", path, {"channel": "chat", "delivery": "message"})


async def _announce(callers: Callers) -> Call:
    scene = await known(callers.adapter, "app")
    handoff = await scene.offer({"channel": "ivr"})
    path = f"/v1/handoffs/{handoff['handoff_id']}/announce"
    return Call(callers.adapter, "POST", path, {"identifiers": [phone()]})


async def _claim(callers: Callers) -> Call:
    scene = await known(callers.adapter)
    journey = await scene.journey()
    return Call(callers.adapter, "POST", f"{scene.base}/journeys/{journey}/claim", {"step": "order", "by": "w1"})


async def _presence(callers: Callers) -> Call:
    return Call(callers.agent, "PUT", f"/v1/agents/{fresh('a')}/presence", {"state": "available"})


async def _attempted(callers: Callers) -> Call:
    scene = await known(callers.adapter, "chat", identifiers=[phone() | {"strength": "verified"}])
    handoff = await scene.offer({"queue": "billing"}, kind="callback", callback={})
    place = f"/v1/handoffs/{handoff['handoff_id']}"
    attempt = ok(await callers.adapter.post(f"{place}/dial", {}))["attempt"]
    body = {"attempt": attempt, "outcome": "busy"}
    return Call(callers.adapter, "POST", f"{place}/attempts", body)


def _identifiers(method: str) -> Scenes:
    async def made(callers: Callers) -> Call:
        return Call(callers.adapter, method, f"{(await known(callers.adapter)).base}/identifiers", phone())

    return made


async def _reveal(callers: Callers) -> Call:
    scene, _, _ = await _held(callers)
    body = {"interaction_id": scene.interaction_id, "names": ["order_id"], "reason": "he asked", "agent_id": "ann"}
    return Call(callers.agent, "POST", f"{scene.base}/reveal", body)


async def _hold(callers: Callers) -> Call:
    scene = await known(callers.adapter)
    return Call(callers.supervisor, "POST", f"{scene.base}/hold", {"reason": "a court asks"})


async def _key(callers: Callers) -> Call:
    return Call(callers.admin, "POST", "/v1/keys", {"name": fresh("key"), "role": "adapter"})


async def _access(callers: Callers) -> Call:
    scene = await known(callers.adapter)
    return Call(callers.supervisor, "POST", f"{scene.base}/access", {"reason": "a complaint", "agent_id": fresh("ag")})


CALLS: dict[str, Scenes] = {
    "POST /v1/interactions": _start,
    "POST /v1/handoffs/redeem": _redeem,
    "POST /v1/interactions/lookup": _ref,
    "PUT /v1/customers/{customer_id}/interactions/{interaction_id}/refs": _refs,
    "POST /v1/customers/{customer_id}/interactions/{interaction_id}/end": _end,
    "POST /v1/customers/{customer_id}/interactions/{interaction_id}/identify": _identify,
    "POST /v1/customers/{customer_id}/events": _tell,
    "POST /v1/context/lookup": _context,
    "POST /v1/customers/lookup": _customer,
    "POST /v1/customers/{customer_id}/asks": _asks,
    "POST /v1/handoffs": _offer,
    "POST /v1/handoffs/{handoff_id}/decline": _decline,
    "POST /v1/handoffs/{handoff_id}/complete": _on_handoff("complete"),
    "PUT /v1/handoffs/{handoff_id}/draft": _on_handoff("draft", "PUT", draft={}),
    "POST /v1/handoffs/{handoff_id}/return": _on_handoff("return"),
    "POST /v1/handoffs/{handoff_id}/elsewhere": _elsewhere,
    "POST /v1/handoffs/{handoff_id}/announce": _announce,
    "POST /v1/customers/{customer_id}/journeys/{journey_id}/claim": _claim,
    "PUT /v1/agents/{agent_id}/presence": _presence,
    "POST /v1/handoffs/{handoff_id}/attempts": _attempted,
    "POST /v1/customers/{customer_id}/identifiers": _identifiers("POST"),
    "DELETE /v1/customers/{customer_id}/identifiers": _identifiers("DELETE"),
    "POST /v1/customers/{customer_id}/reveal": _reveal,
    "POST /v1/customers/{customer_id}/hold": _hold,
    "POST /v1/keys": _key,
    "POST /v1/customers/{customer_id}/access": _access,
}


def texts(document: dict[str, Any], schema: dict[str, Any], keys: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every field of a body that takes a text of the caller's own; `0` is the first of a list."""
    if "$ref" in schema:
        yield from texts(document, document["components"]["schemas"][schema["$ref"].split("/")[-1]], keys)
    for one in schema.get("anyOf", ()):
        yield from texts(document, one, keys)
    if schema.get("type") == "string" and not {"enum", "const", "format"} & schema.keys():
        yield Place(keys, schema)
    for name, one in schema.get("properties", {}).items():
        yield from texts(document, one, (*keys, name))
    if schema.get("additionalProperties"):
        yield Place((*keys, "any"), {})
    if "items" in schema:
        yield from texts(document, schema["items"], (*keys, "0"))


def written(digits: str, place: Place) -> str | None:
    """A card number as it fits a field, with words around it where that takes any; None where it takes none."""
    kinds = [f"x.{digits}"] if place.keys[-1] == "type" and "events" in place.keys else []
    kinds += [f"text {digits}", f"x{digits}", f"en-{digits[:8]}-{digits[8:]}", digits]
    pattern, longest = re.compile(place.schema.get("pattern", "")), place.schema.get("maxLength", 100)
    return next((text for text in kinds if pattern.search(text) and len(text) <= longest), None)


def with_text(body: dict[str, Any], keys: tuple[str, ...], text: str) -> dict[str, Any]:
    """A body with a text in one place."""
    said = copy.deepcopy(body)
    here: Any = said
    for key, after in zip(keys, (*keys[1:], None), strict=True):
        more: Any = text if after is None else [] if after == "0" else {}
        if key == "0":
            here[:1] = [here[0] if here and after is not None else more]
            here = here[0]
        else:
            here[key] = here[key] if key in here and after is not None and key not in ONE_WAY else more
            here = here[key]
    return said


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Callers, Path, str]]:
    """A hub with a server of its own, and where both keep what they keep."""
    folder = tmp_path_factory.mktemp("rest")
    with embedded_server(Settings(data=folder / "server", durability="fast")) as server:
        async with living(settings_for(folder / "hub", server.url)) as app, http_to(app) as http:
            yield await Callers(http).make(), folder, server.url


async def test_a_card_number_in_any_text_of_any_route_is_in_no_file_of_the_server(
    own: tuple[Callers, Path, str], capfd: pytest.CaptureFixture[str]
) -> None:
    callers, folder, url = own
    document = ok(await callers.admin.get("/openapi.json"))
    canaries, faults = dict[str, str](), list[str]()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            route = f"{method.upper()} {path}"
            for place in texts(document, body):
                digits = number(_random, "4929", 16)
                text = written(digits, place)
                if text is None or (IDS | {"from"}) & {*place.keys}:
                    continue
                where = f"{route} {'/'.join(place.keys)}"
                canaries[where] = digits
                call = await CALLS[route](callers)
                response = await call.caller.call(call.method, call.path, json=with_text(call.body, place.keys, text))
                is_refused = response.status_code == 422 and digits not in response.text
                is_compared = COMPARED.get(path[path.rindex("/") :]) == response.status_code
                if not (response.is_success or (is_refused and place.keys[0] in response.text) or is_compared):
                    faults.append(f"{where}: {response.status_code} {response.text}")
    assert faults == []
    async with connected(url, partitions=64) as redis:
        await redis.call("SAVE")
    kept = b"\n".join(held(folder))
    assert [where for where, digits in canaries.items() if digits.encode() in kept] == []
    written_ = capfd.readouterr()
    assert [where for where, digits in canaries.items() if digits in written_.out + written_.err] == []
    assert len(canaries) > len(CALLS)


class TestAnIdentifierThatIsACardNumber:
    async def test_is_a_card_and_finds_its_owner_under_either_type(self, adapter: Caller) -> None:
        digits = number(_random, "4929", 16)
        keyed = {"type": "account", "value": digits, "strength": "verified"}
        first = await known(adapter, "ivr", identifiers=[keyed])
        [card] = first.started["context"]["identifiers"]
        assert (card["type"], card["value"]) == ("card", f"•••• {digits[-4:]}")
        for type_ in ("account", "card", "visitor"):
            found = await adapter.post("/v1/customers/lookup", {"identifier": {"type": type_, "value": digits}})
            assert ok(found) == {"customer_id": first.customer_id}
        rest = ok(await adapter.call("DELETE", f"{first.base}/identifiers", json=keyed))
        assert rest == {"identifiers": []}

    async def test_within_another_value_is_hidden_and_leads_to_the_same_customer_and_to_no_other(
        self, adapter: Caller
    ) -> None:
        ones = [number(_random, "4929", 16)]
        while len(ones) < 2:
            ones += [other for other in [number(_random, "4929", 16)] if other[-1] == ones[0][-1]]
        named = [{"type": "visitor", "value": f"v-{digits[:-4]}-{digits}", "strength": "verified"} for digits in ones]
        scenes = [await known(adapter, "chat", identifiers=[one]) for one in named]
        shown = [scene.started["context"]["identifiers"][0]["value"] for scene in scenes]
        assert not [digits for digits in ones if digits in str(shown)]
        for scene, one in zip(scenes, named, strict=True):
            assert (
                ok(await adapter.post("/v1/customers/lookup", {"identifier": one}))["customer_id"] == scene.customer_id
            )

    async def test_in_an_address_is_refused_by_words_that_do_not_repeat_it(self, adapter: Caller) -> None:
        digits = number(_random, "4929", 16)
        address = {"type": "email", "value": f"{digits}@example.com"}
        response = await adapter.post("/v1/interactions", start_body("chat", identifiers=[address]))
        assert pointers(response) == ["/identifiers/0/value"]
        assert digits not in response.text


async def test_what_is_keyed_at_the_prompt_of_a_sensitive_fact_is_sealed_like_the_fact(
    own: tuple[Callers, Path, str],
) -> None:
    callers, folder, url = own
    scene = await known(callers.adapter, "ivr", level=3)
    keyed = scene.event("input.collected", {"prompt": "card_number", "value": "sealed-A", "mode": "speech"})
    said = {"prompt": "health", "value": "sealed-B", "mode": "click", "sensitivity": "sensitive"}
    plain = scene.event("input.collected", {"prompt": "menu", "value": "open-C", "mode": "dtmf"})
    first = await scene.tell(keyed, scene.event("input.collected", said), plain)
    again = await scene.tell(keyed)
    assert (again["results"][0]["version"], again["results"][0]["duplicate"]) == (first["results"][0]["version"], True)
    inputs = [event["data"]["value"] for event in await scene.timeline() if event["type"] == "input.collected"]
    assert inputs == ["sealed-A", "sealed-B", "open-C"]
    async with connected(url, partitions=64) as redis:
        await redis.call("SAVE")
    kept = b"\n".join(held(folder))
    assert [value for value in inputs if value.encode() in kept] == ["open-C"]
