"""After hours: the telephone menu says when somebody will be there, and offers to call back where that can be kept."""

from __future__ import annotations

from collections.abc import Callable

from ctxhub.client import ContextHub, Ref
from tests.adapters.ivr.calling import Caller

Channel = Callable[..., ContextHub]
Ring = Callable[..., Caller]


async def of_call(hub: ContextHub, caller: Caller) -> str:
    """The customer of a call."""
    return (await hub.interactions.lookup(Ref(system="twilio", id=caller.sid))).customer_id


async def test_a_caller_at_night_is_told_when_and_called_back_on_a_key(ring: Ring, office: Channel) -> None:
    caller = await ring("night").choose("0")
    assert caller.now.says[0].startswith("Nobody is there just now. We open again on ")
    assert caller.now.says[1].startswith("To be called back then, press 1.")
    assert caller.now.verbs == ["Gather", "Dial"], "who says nothing waits in the queue all the same"
    promised = await caller.press("1")
    assert promised.says[0].startswith("We will call you on ")
    seen = await office("night").contexts.read(await of_call(office("night"), caller))
    [promise] = seen.commitments
    assert (promise.what, promise.owner) == ("call back", "agents")
    assert [handoff.kind for handoff in seen.handoffs] == ["callback"], "the place in the queue is given up"
    assert caller.phone not in str(seen.handoffs)
    assert (await caller.once_more()).says[0] == promised.says[0], "a repeated webhook promises the same"
    again = await office("night").contexts.read(seen.customer_id)
    assert len(again.commitments) == 1


async def test_it_is_said_in_the_caller_s_language(ring: Ring) -> None:
    caller = await ring("night", language="zh-CN").choose("0")
    assert caller.now.says[0].startswith("现在没有人工客服值班，")
    assert (await caller.press("1")).says[0].startswith("我们会在")


async def test_another_key_lets_wait_and_a_number_withheld_is_promised_nothing(ring: Ring) -> None:
    caller = await ring("night", phone="anonymous").choose("0", "5")
    assert caller.now.says[0].startswith("Nobody is there just now.")
    assert (await caller.press("1")).says[0] == "We can't promise a call to this number just now."


async def test_where_nothing_else_is_declared_the_caller_is_told_and_may_wait(ring: Ring) -> None:
    caller = await ring("dark").choose("0")
    assert caller.now.says[0].startswith("Nobody is there just now. We open again on ")
    assert caller.now.verbs[-1] == "Dial"
    assert "Gather" not in caller.now.verbs
