"""A code tried 10,000 times, from one and from many sources: nobody gets in by it, and the true customer still does."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from ctxhub.metrics import CODES_REFUSED
from tests.api.scenes import Caller, fresh, known, ok, phone, problem, start_body

TRIES = int(os.environ.get("CTXHUB_GUESSES", "10000"))
AT_ONCE = 20


def guesses(right: str) -> list[str]:
    """Codes that are wrong, and the right one last, since a lock that opened by it would be no lock."""
    random_ = random.Random(20261128)
    return [f"{random_.randrange(10**8):08}" for _ in range(TRIES - 1)] + [right]


async def statuses(adapter: Caller, bodies: list[dict[str, object]]) -> list[int]:
    """How each try was answered."""
    found = []
    for first in range(0, len(bodies), AT_ONCE):
        tries = [adapter.post("/v1/handoffs/redeem", body) for body in bodies[first : first + AT_ONCE]]
        found += [response.status_code for response in await asyncio.gather(*tries)]
    return found


@pytest.mark.parametrize("sources", ["one", "many"])
async def test_10000_guesses_find_nothing_and_the_true_customer_gets_in_meanwhile_and_afterwards(
    adapter: Caller, sources: str
) -> None:
    mine = phone()
    scene = await known(adapter, identifiers=[mine])
    handoff = await scene.offer({"channel": "chat"})
    other = await (await known(adapter, "app", customer_id=scene.customer_id)).offer({"channel": "chat"})
    one = fresh("caller")
    bodies = [
        start_body("chat", code=code, identifiers=[mine]) | ({"external_id": one} if sources == "one" else {})
        for code in guesses(handoff["code"])
    ]
    refused_before = _refused()
    attack = asyncio.create_task(statuses(adapter, bodies))
    while _refused() - refused_before < TRIES // 4:
        await asyncio.sleep(0.01)
    locked_out = await _gets_in(adapter, scene.customer_id, mine, other)
    assert not attack.done()
    found = await attack
    assert set(found) == {404, 429}
    assert found.count(404) <= (5 if sources == "one" else 10)
    assert _refused() - refused_before == TRIES + 2 * locked_out
    assert await _gets_in(adapter, scene.customer_id, mine, handoff) == locked_out == (sources == "many")


async def _gets_in(adapter: Caller, customer_id: str, mine: dict[str, object], handoff: dict[str, str]) -> bool:
    """The true customer comes in by the code; at once, or once proven where a stranger's guesses lock it: which."""
    right = start_body("chat", code=handoff["code"], identifiers=[mine])
    if (await adapter.post("/v1/handoffs/redeem", right)).status_code == 200:
        return False
    problem(await adapter.post("/v1/handoffs/redeem", right | {"external_id": fresh("ext")}), 429, "too_many")
    proven = {"customer_id": customer_id, "assurance": {"level": 2, "method": "pin"}, "external_id": fresh("ext")}
    assert ok(await adapter.post("/v1/handoffs/redeem", right | proven))["customer_id"] == customer_id
    return True


async def test_a_token_is_good_whatever_is_guessed(adapter: Caller) -> None:
    mine = phone()
    scene = await known(adapter, identifiers=[mine])
    handoff = await scene.offer({"channel": "chat"})
    wrong = [start_body("chat", code="00000000", identifiers=[mine]) for _ in range(30)]
    assert set(await statuses(adapter, wrong)) == {404, 429}
    body = start_body("chat", token=handoff["token"], identifiers=[mine])
    assert ok(await adapter.post("/v1/handoffs/redeem", body))["customer_id"] == scene.customer_id


async def test_guesses_on_one_system_leave_the_others_open(adapter: Caller) -> None:
    mine = phone()
    handoff = await (await known(adapter, identifiers=[mine])).offer({"channel": "chat"})
    wrong = [start_body("ivr", code="00000000", identifiers=[mine]) for _ in range(30)]
    assert set(await statuses(adapter, wrong)) == {404, 429}
    ok(await adapter.post("/v1/handoffs/redeem", start_body("chat", code=handoff["code"], identifiers=[mine])))


async def test_a_number_that_nobody_has_is_guessed_on_with_the_same_answers(adapter: Caller) -> None:
    mine, nobodys = phone(), phone()
    await (await known(adapter, identifiers=[mine])).offer({"channel": "chat"})
    told = []
    for number in (mine, nobodys):
        bodies = [start_body("chat", code="00000000", identifiers=[number]) for _ in range(14)]
        told.append([(await adapter.post("/v1/handoffs/redeem", body)).json() for body in bodies])
    assert [_without_time(answer) for answer in told[0]] == [_without_time(answer) for answer in told[1]]


def _without_time(answer: dict[str, object]) -> dict[str, object]:
    """An answer without the seconds that are left."""
    return {name: said for name, said in answer.items() if name != "retry_after"}


def _refused() -> float:
    """How many codes this process has refused."""
    return sum(float(CODES_REFUSED.labels(why)._value.get()) for why in ("unknown", "too_many"))
