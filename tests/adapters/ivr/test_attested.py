"""What the network says of the number calling: whose number it disowns hears nothing of that, nor of anybody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ctxhub_ivr.translate import attestation_of

from ctxhub.client import Attestation, Identifier
from tests.adapters.ivr.calling import a_number
from tests.adapters.ivr.test_calls import FROM, Channel, Ring, a_chat

_OWN = re.compile(rb"(?:jr|ho)_\w+|(?<=User-to-User=)\w+|(?<=x-ctx-token=)[\w-]+")
PASSED, FAILED = "TN-Validation-Passed-A", "TN-Validation-Failed-C"


@pytest.mark.parametrize(
    ("verstat", "said"),
    [
        (PASSED, Attestation(result="passed", level="A")),
        (FAILED, Attestation(result="failed", level="C")),
        ("TN-Validation-Failed", Attestation(result="failed")),
        ("No-TN-Validation", None),
        ("TN-Validation-Passed-D", None),
        ("TN-Validation-Passed-A\n", None),
        ("", None),
    ],
)
def test_an_attestation_is_read_as_the_network_writes_it(verstat: str, said: Attestation | None) -> None:
    assert attestation_of(verstat) == said


async def with_a_journey(channel: Channel, phone: str) -> str:
    """A customer of this number who has begun something in the chat; the id."""
    customer_id = f"c{phone[1:]}"
    phones = [Identifier(type="phone", value=phone, strength="verified")]
    await a_chat(channel(), customer_id, {FROM: "San Diego"}, identifiers=phones)
    return customer_id


async def heard_by(ring: Ring, phone: str, verstat: str, *keys: str) -> list[bytes]:
    """Everything that a caller is answered, to the byte but for ids and tokens, which are each call's own."""
    caller = ring(phone=phone)
    await caller.dial(StirVerstat=verstat)
    for key in keys:
        await caller.press(key)
    return [_OWN.sub(b"", heard.content) for heard in caller.heard]


@pytest.mark.parametrize("pressed", [("1",), ("9",), ("*",), ("*", "99"), ("*", "99", "98", "97"), ("0",)])
async def test_until_somebody_proves_more_the_answers_are_the_same_bytes(
    ring: Ring, channel: Channel, company: Any, pressed: tuple[str, ...]
) -> None:
    heard = []
    for verstat in (PASSED, FAILED):
        phone = a_number()
        await with_a_journey(channel, phone)
        heard.append(await heard_by(ring, phone, verstat, *pressed))
    assert heard[0] == heard[1]


async def test_with_the_right_pin_the_caller_of_a_disowned_number_hears_what_somebody_new_hears(
    ring: Ring, channel: Channel, company: Any
) -> None:
    known, also_known, new = a_number(), a_number(), a_number()
    heard = []
    for phone, verstat in ((known, FAILED), (new, PASSED), (also_known, PASSED)):
        whose = (
            {"customer_id": f"c{phone[1:]}"} if phone == new else {"customer_id": await with_a_journey(channel, phone)}
        )
        company.pins["4711"] = {"ok": True} | whose
        heard.append(await heard_by(ring, phone, verstat, "*", "4711"))
    assert heard[0] == heard[1]
    assert b"San Diego" in heard[2][-1]
