"""What a brief costs the server beyond a read of the same context."""

from __future__ import annotations

from tests.bench.load import new_names, run
from tests.bench.running import Running
from tests.bench.servers import text
from tests.bench.wire import Begin, Connection, Cycle

_CUSTOMERS = 32
_READS = 50
_FACTS = 20
_MESSAGES = 60


async def beyond_a_read(hub: Running) -> float:
    """Return the CPU of a brief beyond that of a read, in milliseconds; both in turn, and of as many events."""
    read, brief = 0.0, 0.0
    for _ in range(3):
        read += await _cpu_ms(hub, "context?events=60&")
        brief += await _cpu_ms(hub, "brief?view=agent&lang=en&max_chars=4000&")
    return (brief - read) / 3


async def _cpu_ms(hub: Running, question: str) -> float:
    """Return the CPU that the server spends on one question."""
    return (await run(hub, new_names(_CUSTOMERS), _READS, begin=_asking(question))).cpu_ms


def _asking(question: str) -> Begin:
    """Return how a customer begins of whom such a question is asked: with facts, a promise, a note and chatter."""

    async def begin(connection: Connection, name: str) -> Cycle:
        body = {"channel": "chat", "external_id": name, "customer_id": name, "assurance": {"level": 2, "method": "pin"}}
        started = await connection.call("POST", "/v1/interactions", body)
        here = started["interaction"]["interaction_id"]
        path = f"/v1/customers/{name}"
        await connection.call("POST", f"{path}/events", {"events": _life(here)})

        async def cycle(_: int) -> None:
            await connection.call("GET", f"{path}/{question}interaction_id={here}")

        return cycle

    return begin


def _life(interaction_id: str) -> list[dict[str, object]]:
    """Return what is told of a customer."""
    facts = [("fact.stated", {"name": f"fact_{n}", "value": f"value {n}"}) for n in range(_FACTS)]
    promise = {"what": "call back", "owner": "cards", "due_at": "2100-01-01T00:00:00Z"}
    chatter = [("message.received", {"text": text()}) for _ in range(_MESSAGES)]
    told = [("journey.started", {"kind": "refund", "journey_id": "jr_1"}), *facts, ("commitment.made", promise),
            ("intent.detected", {"name": "refund_status"}), *chatter]  # fmt: skip
    return [
        {"event_id": f"e{n}", "type": type_, "interaction_id": interaction_id, "data": data}
        for n, (type_, data) in enumerate(told)
    ]
