"""Who calls is asked by what the hub says that it is found out by, never guessed by the number calling."""

from __future__ import annotations

import os
from typing import Any

from ctxhub.client import Identifier, Ref, Start
from tests.adapters.ivr.calling import Caller, a_number


async def a_customer(office: Any, number: str) -> tuple[str, str]:
    """A customer with an account, whose telephone is this number; and the account."""
    customer_id, account = f"c-{os.urandom(5).hex()}", str(int.from_bytes(os.urandom(4)) + 10**9)
    known = [Identifier(type=type_, value=value, strength="verified")
             for type_, value in (("phone", number), ("account", account))]  # fmt: skip
    start = Start(channel="store", external_id=os.urandom(8).hex(), customer_id=customer_id, identifiers=known)
    await office("shared").interactions.start(start)
    return customer_id, account


async def found(office: Any, caller: Caller) -> Any:
    """Where the hub has the call."""
    return await office("shared").interactions.lookup(Ref(system="twilio", kind="call", id=caller.sid))


async def test_whoever_shares_a_line_is_found_by_account_and_pin(ring: Any, office: Any, company: Any) -> None:
    number = a_number()
    (anna, _), (bert, account) = await a_customer(office, number), await a_customer(office, number)
    company.pins["4711"] = {"ok": True, "customer_id": bert}
    caller = await ring("shared", phone=number).choose("*")
    assert caller.now.step == "who"
    assert caller.now.says == ["Please enter your account number, then press the pound key. Without it, press star."]
    assert (await caller.press(account)).step == "pin"
    await caller.press("4711")
    assert company.asked[-1]["customer_id"] == bert
    here = await found(office, caller)
    assert (here.customer_id, here.interaction.assurance.level) == (bert, 2)
    assert anna != bert


async def test_what_is_asked_is_the_same_for_a_number_of_nobody_of_one_and_of_two(ring: Any, office: Any) -> None:
    nobody, one, two = a_number(), a_number(), a_number()
    for number in (one, two, two):
        await a_customer(office, number)
    heard = [(await ring("shared", phone=number).choose("*")).now.says for number in (nobody, one, two)]
    assert heard[0] == heard[1] == heard[2]
    asked = [(await ring("shared", phone=number).choose("*", "1000000001")).now.says for number in (nobody, one, two)]
    assert asked[0] == asked[1] == asked[2]


async def test_a_pin_that_the_hook_gives_to_nobody_proves_nothing_and_is_not_called_wrong(
    ring: Any, office: Any, company: Any
) -> None:
    number = a_number()
    _, account = await a_customer(office, number)
    company.pins["4712"] = {"ok": True}
    caller = await ring("shared", phone=number).choose("*", account, "4712")
    assert (caller.now.step, caller.now.says[0]) == ("menu", "We can't check a PIN just now.")
    assert (await found(office, caller)).interaction.assurance.level == 1


async def test_without_an_account_at_hand_a_code_is_asked_for_and_then_there_is_the_menu(ring: Any) -> None:
    caller = await ring("shared").choose("*", "*")
    assert caller.now.says[-1].startswith("Please enter the code that you were given")
    assert (await caller.press("12345678")).step == "menu"
    assert caller.heard[-1].says[0] == "That was not right."
    assert (await ring("shared").choose("*", "*", "*")).now.step == "menu"
