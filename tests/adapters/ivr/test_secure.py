"""Questions whose answers are secret: what is keyed goes to the tenant's hook alone, and only its result is told."""

from __future__ import annotations

from typing import Any

import pytest
from ctxhub_ivr.settings import IvrChannel
from pydantic import ValidationError

from ctxhub.client import Ref, SecureAnswer
from tests.adapters.ivr.calling import Caller

PAN = "4929724812467731"


async def traces(caller: Caller, hub: Any, serving: Any) -> str:
    """Everything that a call leaves behind: in the hub, in the log, in addresses and documents."""
    start = await hub.interactions.lookup(_ref(caller))
    timeline = await hub.contexts.timeline(start.customer_id, limit=1000)
    context = await hub.contexts.read(start.customer_id)
    heard = [one.content.decode() for one in caller.heard]
    return "\n".join([timeline.model_dump_json(), context.model_dump_json(), serving.log(), *caller.urls, *heard])


def _ref(caller: Caller) -> Any:

    return Ref(system="twilio", kind="call", id=caller.sid)


async def test_a_keyed_card_number_is_told_by_its_last_four_digits_and_reference_alone(
    ring: Any, office: Any, company: Any, serving: Any
) -> None:
    company.pins[PAN] = {"outcome": "accepted", "card_ref": "tok_77", "last4": "7731"}
    caller = await ring("bank").choose("1")
    assert caller.now.asks == "card_number"
    assert caller.now.the("Gather").attrib["input"] == "dtmf"
    heard = await caller.press(PAN)
    assert heard.asks == "sms_code"
    assert company.asked[-1] | {"phone": None} == {
        "call_sid": caller.sid,
        "phone": None,
        "prompt": "card_number",
        "secure": "pan",
        "keyed": PAN,
    }
    hub = office("bank")
    found = await hub.interactions.lookup(_ref(caller))
    told = (await hub.contexts.timeline(found.customer_id)).events
    [keyed] = [event for event in told if event.type == "input.collected"]
    assert keyed.data["value"] == {"outcome": "accepted", "card_ref": "tok_77", "last4": "7731"}
    [fact] = [event for event in told if event.type == "fact.verified"]
    assert (fact.data["name"], fact.data["value"]) == ("card_number", "•••• 7731")
    assert PAN not in await traces(caller, hub, serving)


async def test_a_one_time_code_makes_the_caller_known_and_is_nowhere(
    ring: Any, office: Any, company: Any, serving: Any
) -> None:
    company.pins[PAN] = {"outcome": "accepted", "last4": "7731"}
    company.pins["86420913"] = {"outcome": "accepted"}
    caller = await ring("bank").choose("1", PAN, "86420913")
    hub = office("bank")
    found = await hub.interactions.lookup(_ref(caller))
    assert (found.interaction.assurance.level, found.interaction.assurance.method) == (2, "otp")
    assert "86420913" not in await traces(caller, hub, serving)


async def test_what_is_refused_is_asked_for_once_more_and_left(
    ring: Any, office: Any, company: Any, serving: Any
) -> None:
    caller = await ring("bank").choose("1", "86420914")
    assert caller.now.asks == "card_number"
    assert (await caller.press("86420914")).asks == "sms_code"
    assert "86420914" not in await traces(caller, office("bank"), serving)


@pytest.mark.parametrize("broken", [(500, b"86420915"), (200, b"86420915"), (200, b'{"outcome": "86420915"}')])
async def test_where_nobody_can_check_it_it_is_dropped(
    ring: Any, office: Any, company: Any, serving: Any, broken: tuple[int, bytes]
) -> None:
    company.broken["/secure"] = broken
    caller = await ring("bank").choose("1", "86420915")
    assert caller.now.asks == "sms_code"
    assert "86420915" not in await traces(caller, office("bank"), serving)


async def test_without_a_secret_to_sign_with_nothing_goes_out_and_nothing_is_kept(
    ring: Any, office: Any, company: Any, serving: Any
) -> None:
    caller = await ring("bank").choose("1", "*", "*", "86420916")
    assert company.asked == []
    assert "86420916" not in await traces(caller, office("bank"), serving)


def test_a_hook_can_not_hand_the_number_itself_on() -> None:
    with pytest.raises(ValidationError):
        SecureAnswer(outcome="accepted", card_ref=PAN)


def test_a_secret_without_anybody_to_check_it_is_a_fault_of_the_declaration() -> None:
    with pytest.raises(ValidationError):
        IvrChannel.model_validate({"prompts": {"pin": {"secure": "pin"}}})
