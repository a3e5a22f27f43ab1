"""What happens, line by line as it happens; a hub that was away is waited for, and nothing is told twice."""

from __future__ import annotations

import json

from ctxhub.client import Fed, HandoffView
from ctxhub.looking.gist import print_event
from ctxhub.looking.paper import Paper, plain

__all__ = ["Follower"]


class Follower:
    """Prints what a feed brings: events on stdout, how it goes with the hub on stderr."""

    def __init__(self, paper: Paper, as_json: bool) -> None:
        self._paper = paper
        self._as_json = as_json
        self._began = False

    def tell(self, fed: Fed) -> None:
        """Print what was fed."""
        if fed.event is None:
            self._tell_aside(fed)
        if self._as_json:
            print(json.dumps({"id": fed.id, "type": fed.type} | fed.data, ensure_ascii=False), flush=True)
        elif fed.event is not None:
            print_event(self._paper, fed.event, fed.data.get("customer_id"))
        elif fed.type == "snapshot" and "handoffs" in fed.data:
            self._tell_who_waits(fed)

    def _tell_aside(self, fed: Fed) -> None:
        """Tell how it goes with the hub."""
        if fed.type == "ready":
            self._paper.aside("again" if self._began else "following")
            self._began = True
        elif fed.type in ("bye", "reset"):
            self._paper.aside({"bye": "away", "reset": "missed"}[fed.type])

    def _tell_who_waits(self, fed: Fed) -> None:
        """Print who waits as the following begins."""
        waiting = [HandoffView.model_validate(handoff, extra="ignore") for handoff in fed.data["handoffs"]]
        self._paper.line((self._paper.say("waiting", n=len(waiting)), "bold"))
        for handoff in waiting:
            since = self._paper.when(handoff.waiting_since)
            self._paper.line(f"  {handoff.customer_id}  ", (plain(handoff.reason), "magenta"), (f"  {since}", "dim"))
