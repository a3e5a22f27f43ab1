"""Agents at their desks: the requests of the desk's page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import ValidationError

from ctxhub.replay.chat import Listening
from ctxhub.replay.ivr import PlayFailed
from ctxhub.replay.pages import Waiting, Work
from ctxhub.replay.tenants import QUEUE

_HEADERS = {"X-Ctxhub-Desk": "1"}
_COOKIE = "ctxhub_desk"
_MOST_NAMES = 20
_LOOK_AGAIN_AFTER = 0.05


class Agent:
    """One agent at the desk's page; speaks to one customer at a time."""

    def __init__(self, http: httpx.AsyncClient, url: str, agent_id: str) -> None:
        self._http = http
        self._api = f"{url}/desk/api"
        self.agent_id = agent_id
        self._headers = dict(_HEADERS)
        self._sent = 0

    async def log_in(self, key: str) -> None:
        """Sit down at the desk."""
        answer = await self._send("POST", "login", {"key": key, "agent_id": self.agent_id, "queue": QUEUE})
        self._headers["Cookie"] = f"{_COOKIE}={answer.cookies[_COOKIE]}"
        self._http.cookies.clear()  # several agents share these connections, and none another's cookie

    async def take_next(self) -> Work | None:
        """Accept whoever waits longest; None where nobody waits, or another agent was quicker."""
        answer = await self._send("GET", "queue")
        waiting = Waiting.model_validate_json(answer.content).offers
        if not waiting:
            return None
        accepted = await self._send("POST", f"handoffs/{waiting[0].handoff_id}/accept", {}, refused=409)
        return Work.model_validate_json(accepted.content) if accepted.is_success else None

    async def look_again(self, work: Work) -> Work:
        """Look at the customer's page as it is now."""
        answer = await self._send("GET", f"handoffs/{work.handoff.handoff_id}")
        return Work.model_validate_json(answer.content)

    async def ask(self, work: Work, names: list[str], question: str) -> None:
        """Ask the customer for facts by the page's own button; `PlayFailed` where the page will not send it."""
        for start in range(0, len(names), _MOST_NAMES):
            answer = await self._tell(work, "questions", text=question, names=names[start : start + _MOST_NAMES])
            if not answer.json()["sent"]:
                raise PlayFailed(f"the desk does not show what it says was told before: {answer.json()['already']}")

    async def say(self, work: Work, text: str) -> None:
        """Write to the customer."""
        await self._tell(work, "messages", text=text)

    async def complete(self, work: Work) -> None:
        """Finish with the customer."""
        path = f"handoffs/{work.handoff.handoff_id}/complete"
        await self._send("POST", path, {"fence": work.handoff.fence, "outcome": "resolved"})

    async def _tell(self, work: Work, path: str, **what: Any) -> httpx.Response:
        self._sent += 1
        body = {
            "interaction_id": work.handoff.interaction_id,
            "fence": work.handoff.fence,
            "event_id": f"{work.handoff.handoff_id}-{self.agent_id}-{self._sent}",
        }
        return await self._send("POST", f"customers/{work.handoff.customer_id}/{path}", body | what)

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, refused: int | None = None
    ) -> httpx.Response:
        """Send a request of the page; a refusal fails the play unless it is one to be expected."""
        answer = await self._http.request(method, f"{self._api}/{path}", json=body, headers=self._headers)
        if not answer.is_success and answer.status_code != refused:
            raise PlayFailed(f"the desk answers {answer.status_code} to {path}: {answer.text[:300]}")
        return answer


class Floor:
    """The agents of one tenant, who take whoever waits longest, say hello, and so find each other and the customer."""

    def __init__(self, http: httpx.AsyncClient, url: str, key: str) -> None:
        self._http = http
        self._url = url
        self.key = key
        self._idle: list[Agent] = []
        self._hired = 0
        self._looking = 0
        self._somebody_looks = asyncio.Event()
        self._taken: dict[str, tuple[Agent, Work]] = {}

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Have the agents take customers for as long as the block lasts."""
        task = asyncio.create_task(self._take_customers())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def meet(self, listening: Listening) -> tuple[Agent, Work]:
        """Wait for an agent's hello in a chat; gives that agent, and the page as it is by then."""
        before = set(self._taken)
        self._looking += 1
        self._somebody_looks.set()
        try:
            hello = await listening.hear_any(self._taken)
        finally:
            self._looking -= 1
        agent, work = self._taken.pop(hello)
        return agent, await agent.look_again(work) if hello in before else work

    def release(self, agent: Agent) -> None:
        """Let an agent take somebody else."""
        self._idle.append(agent)

    async def _take_customers(self) -> None:
        """Take customers while anybody looks for an agent; failures are for whoever then looks in vain."""
        while True:
            if not self._looking:
                self._somebody_looks.clear()
                await self._somebody_looks.wait()
            try:
                await self._take_one()
            except (PlayFailed, httpx.HTTPError, ValidationError):
                await asyncio.sleep(_LOOK_AGAIN_AFTER)

    async def _take_one(self) -> None:
        """Have an agent take whoever waits longest, and say hello."""
        agent = self._idle.pop() if self._idle else await self._hire()
        work = await agent.take_next()
        if work is None:
            self.release(agent)
            await asyncio.sleep(_LOOK_AGAIN_AFTER)
            return
        hello = f"{agent.agent_id}: {work.handoff.handoff_id}"
        self._taken[hello] = agent, work
        await agent.say(work, hello)

    async def _hire(self) -> Agent:
        """Seat one more agent at the desk."""
        self._hired += 1
        agent = Agent(self._http, self._url, f"agent-{self._hired}")
        await agent.log_in(self.key)
        return agent
