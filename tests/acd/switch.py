"""A telephone system with its CTI connector, as a process of its own: it speaks only HTTP and knows nothing of the hub.

It reads one order a line, as JSON, and writes one answer a line. What it tells goes through the weather: `fair` in
order, `twice` with every event again, `shuffled` in any order, `retried` with every request sent again as after a lost
answer, `lossy` without what the order names. Its clock may go wrong.
"""

from __future__ import annotations

import json
import random
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import Any

SYSTEM = "acd"
#: So often a connector tries again where the hub says that its customer is somebody else by now.
TRIES = 5


class Refused(Exception):
    """The hub refused a request."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.problem = status, problem


class Connector:
    """Tells the hub what happens on the switch."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.outbox: list[dict[str, Any]] = []
        self.numbers = 0
        self.skew = timedelta()

    def ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call the hub."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                found: dict[str, Any] = json.loads(response.read())
                return found
        except urllib.error.HTTPError as error:
            raise Refused(error.code, json.loads(error.read() or b"{}")) from error

    def arrive(self, order: dict[str, Any]) -> dict[str, Any]:
        """A leg arrives: it is announced by what came with it, a token or the names of its call."""
        body = {"channel": "voice", "system": SYSTEM, "external_id": order["leg"]}
        body |= {name: order[name] for name in ("refs", "identifiers", "agent_id", "attestation") if name in order}
        if "token" in order:
            return self.ask("POST", "/v1/handoffs/redeem", body | {"token": order["token"]})
        return self.ask("POST", "/v1/interactions", body)

    def note(self, order: dict[str, Any]) -> dict[str, Any]:
        """Something happens on a call: it is told when the outbox is sent."""
        self.numbers += 1
        at = datetime.fromisoformat(order["at"]) + self.skew
        data = {"ref": {"system": SYSTEM, "kind": "call", "id": order["call"]}} | order.get("data", {})
        event = {"event_id": f"{SYSTEM}-{order['call']}-{self.numbers}", "type": order["type"], "at": at.isoformat()}
        self.outbox.append(event | {"data": data, "call": order["call"]})
        return {"noted": len(self.outbox)}

    def send(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send what was noted, through the weather."""
        weather, told = order.get("weather", "fair"), self.outbox
        self.outbox = []
        if weather == "lossy":
            told = [event for event in told if event["type"] not in order["lost"]]
        if weather == "twice":
            told = [each for event in told for each in (event, event | {"event_id": f"{event['event_id']}-again"})]
        if weather == "shuffled":
            random.Random(order.get("seed", 1)).shuffle(told)
        for event in told:
            self._deliver(event)
            if weather == "retried":
                self._deliver(event)
        return {"sent": len(told)}

    def _deliver(self, event: dict[str, Any]) -> None:
        """Tell one event where its call is now."""
        body = {name: value for name, value in event.items() if name != "call"}
        for _ in range(TRIES):
            where = self.find({"call": event["call"]})
            path = f"/v1/customers/{where['customer_id']}/events"
            try:
                told = [body | {"interaction_id": where["interaction"]["interaction_id"]}]
                self.ask("POST", path, {"events": told})
                return
            except Refused as refused:
                if refused.status not in (308, 503):
                    raise
        raise Refused(308, {"code": "moved", "detail": "its customer is never where it is looked for"})

    def find(self, order: dict[str, Any]) -> dict[str, Any]:
        """Look a call up by the name that one system gives it."""
        ref = {"system": order.get("system", SYSTEM), "kind": order.get("kind", "call"), "id": order["call"]}
        return self.ask("POST", "/v1/interactions/lookup", {"ref": ref})

    def dial(self, order: dict[str, Any]) -> dict[str, Any]:
        """Take a callback that is due: only who gets the number dials it."""
        return self.ask("POST", f"/v1/handoffs/{order['handoff_id']}/dial", {})

    def report(self, order: dict[str, Any]) -> dict[str, Any]:
        """Tell what came of dialling."""
        return self.ask("POST", f"/v1/handoffs/{order['handoff_id']}/attempts", order["came"])

    def clock(self, order: dict[str, Any]) -> dict[str, Any]:
        """Let the clock of the switch go wrong."""
        self.skew = timedelta(seconds=order["skew"])
        return {"skew": order["skew"]}


def main() -> None:
    """Do what is ordered until nobody orders any more."""
    connector = Connector(sys.argv[1], sys.argv[2])
    deeds = {"arrive": connector.arrive, "note": connector.note, "send": connector.send}
    deeds |= {"find": connector.find, "clock": connector.clock, "dial": connector.dial, "report": connector.report}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer: dict[str, Any] = {"ok": deeds[order["do"]](order)}
        except Refused as refused:
            answer = {"refused": refused.status, "problem": refused.problem}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
