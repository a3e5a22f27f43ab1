"""What a channel is told in clear never leaves it: not to the hub, not into a file, whether the hub is here or away."""

from __future__ import annotations

from pathlib import Path

import httpx

from ctxhub.client import AttemptSaid, ContextHub, Identifier, OfferRequest, PresenceRequest, Start, Target, told
from ctxhub.client.never_kept import as_spooled
from ctxhub.client.sealed import SealedLog
from tests.client.spooling import SECRET, a_start, client, said

PAN = "4929724812467731"
TENANT = {"tenant": "acme", "numbers": [{"name": "parcel", "pattern": "492972\\d{10}"}]}


class Wire(httpx.AsyncBaseTransport):
    """Notes what is sent; away, or answering about the tenant alone."""

    def __init__(self, away: bool = False, declared: dict[str, object] | None = None) -> None:
        self.away, self.declared, self.bodies = away, declared, []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("nobody listens", request=request)
        self.bodies.append(request.content.decode())
        if request.url.path == "/v1/tenant" and self.declared:
            return httpx.Response(200, json=self.declared, request=request)
        return httpx.Response(400, json={"code": "invalid", "status": 400, "detail": "no"}, request=request)


async def sent(wire: Wire, *calls: str) -> str:
    """All that a channel sends with a card number in every text."""
    async with ContextHub("http://hub.test", "k", transport=wire, tries=1) as hub:
        start = Start(channel="chat", external_id="v1", touchpoint=f"page {PAN}")
        offer = OfferRequest(customer_id="c1", interaction_id="in_1", reason=f"r {PAN}", note=PAN, to=Target(queue="q"))
        for call in (
            hub.events.tell("c1", told("message.received", text=f"card {PAN}"), told("x.seen", deep=[{PAN: [*PAN]}])),
            hub.interactions.start(start),
            hub.interactions.end("c1", "in_1", disposition=PAN),
            hub.handoffs.offer(offer),
            hub.handoffs.give_back("ho_1", "ann", 1, note=PAN),
            hub.handoffs.decline("ho_1", "ann", PAN),
            hub.handoffs.complete("ho_1", "ann", 1, "done", disposition=PAN),
            hub.handoffs.attempted("ho_1", AttemptSaid(attempt=1, outcome="busy", reason=PAN)),
            hub.agents.say("ann", PresenceRequest(state="away", reason=PAN)),
            hub.customers.reveal("c1", "in_1", ["f"], reason=PAN),
            hub.customers.open_to("c1", "ann", reason=f"about {PAN}"),
            hub.spool.tell("c1", said(f"card {PAN}")),
        ):
            try:
                await call
            except Exception:  # whatever comes back, this is about what was sent
                continue
    return "\n".join(wire.bodies)


async def test_nothing_that_is_sent_holds_a_card_number() -> None:
    bodies = await sent(Wire())
    assert PAN not in bodies
    assert bodies.count("•••• 7731") >= 13


async def test_numbers_in_the_tenants_formats_are_sent_as_they_are_unless_called_a_card() -> None:
    wire = Wire(declared=TENANT)
    async with ContextHub("http://hub.test", "k", transport=wire, tries=1) as hub:
        for text in (f"parcel {PAN}", f"my card {PAN}"):
            try:
                await hub.events.tell("c1", told("message.received", text=text))
            except Exception:  # whatever comes back, this is about what was sent
                continue
    assert [f"parcel {PAN}" in body for body in wire.bodies if "events" in body] == [True, False]


async def test_a_spool_on_the_disk_holds_none_whoever_has_its_secret(tmp_path: Path) -> None:
    start = a_start(identifiers=[Identifier(type="card", value=PAN), Identifier(type="phone", value="+8613800138000")])
    async with client(Wire(away=True), "k", tmp_path / "spool") as hub:  # type: ignore[arg-type]
        assert (await hub.spool.tell(start, said(f"card {PAN}, cvv 123"))).kept
        assert not await hub.spool.end(start, disposition=f"paid by {PAN}")
    kept = _unsealed(tmp_path / "spool")
    assert PAN not in kept
    assert "•••• 7731" in kept
    assert "+8613800138000" in kept


async def test_a_spool_has_none_that_was_named_as_something_else(tmp_path: Path) -> None:
    account, visitor = Identifier(type="account", value=PAN), Identifier(type="visitor", value=f"v-{PAN}")
    start = a_start(identifiers=[account, visitor, Identifier(type="account", value="A-17")], touchpoint=f"page {PAN}")
    async with client(Wire(away=True), "k", tmp_path / "spool") as hub:  # type: ignore[arg-type]
        assert (await hub.spool.tell(start, said("hello"))).kept
    kept = _unsealed(tmp_path / "spool")
    assert PAN not in kept
    assert "A-17" in kept


async def test_a_number_that_is_a_card_is_sent_as_a_cards_unless_it_is_the_tenants() -> None:
    for declared, expected in ((None, "card"), (TENANT, "account")):
        wire = Wire(declared=declared)
        async with ContextHub("http://hub.test", "k", transport=wire, tries=1) as hub:
            start = Start(channel="chat", external_id="v1", identifiers=[Identifier(type="account", value=PAN)])
            for call in (hub.interactions.start(start), hub.handoffs.redeem(start, token="t")):
                try:
                    await call
                except Exception:  # whatever comes back, this is about what was sent
                    continue
        bodies = [body for body in wire.bodies if "identifiers" in body]
        assert len(bodies) == 2
        assert all(f'"type":"{expected}"' in body for body in bodies)


def _unsealed(path: Path) -> str:
    """What stands in a spool's file, read with its secret."""
    log = SealedLog(path, SECRET.encode(), "http://hub.test default")
    try:
        return b"\n".join(log.open()).decode()
    finally:
        log.close()


def test_only_a_card_is_left_out_of_a_start() -> None:
    start = Start(channel="chat", external_id="v1", identifiers=[Identifier(type="phone", value="1")])
    assert as_spooled(start) is start
