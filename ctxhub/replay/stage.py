"""What must stand before dialogues can be played: a hub, two tenants, their systems, their agents."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx

from ctxhub.replay import tenants
from ctxhub.replay.desk import Floor
from ctxhub.replay.dialogues import LANGUAGES, Dialogue, facts_by_service
from ctxhub.replay.hooks import PIN, SMS, Systems, serving
from ctxhub.replay.ivr import Words
from ctxhub.replay.judge import Knowledge
from ctxhub.replay.play import House
from ctxhub.replay.process import CannotPlay, own_environ, own_hub
from ctxhub.replay.tenants import TENANTS, Hooks, kinds_of, labels_of

#: The variable, in the hub's environment and the player's, that webhooks and hooks are signed with.
SECRET_ENV = "CTXHUB_REPLAY_SECRET"  # noqa: S105 - a name, not a secret
_ADMIN_KEY = "CTXHUB_ADMIN_KEY"
_TENANTS = "CTXHUB_TENANTS"
_MOST_WORKERS = 2
_ANSWERS_WITHIN = 15.0
_READ_WITHIN = 15.0
_LOOK_AGAIN_AFTER = 0.1
# Adapters keep what a tenant declares for two seconds.
_ADAPTERS_READ_WITHIN = 2.5
_NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


class Hub:
    """A running hub, asked by its first key for what stands outside the play: keys, declarations, numbers."""

    def __init__(self, http: httpx.AsyncClient, url: str, admin_key: str) -> None:
        self.http = http
        self.url = url.rstrip("/")
        self._admin_key = admin_key

    async def make_key(self, tenant: str, role: str) -> str:
        """Make a key for a tenant."""
        body = {"tenant": tenant, "name": f"replay-{secrets.token_hex(6)}", "role": role}
        try:
            answer = await self.http.post(f"{self.url}/v1/keys", json=body, headers=_bearer(self._admin_key))
        except httpx.TransportError as error:
            raise CannotPlay(f"{self.url} does not answer: is the hub there?") from error
        if not answer.is_success:
            raise CannotPlay(f"{self.url} makes no keys ({answer.status_code}): is {_ADMIN_KEY} its own?")
        return str(answer.json()["key"])

    async def has_read(self, tenant: str, key: str, mark: str) -> None:
        """Wait until the hub has read what was written for a tenant, of which `mark` is a part."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_READ_WITHIN):
                while mark not in (await self._get("tenant", key)).text:  # noqa: ASYNC110 - the hub sends no word
                    await asyncio.sleep(_LOOK_AGAIN_AFTER)
                return
        raise CannotPlay(f"{self.url} does not read {tenant}.yaml: is {_TENANTS} the folder that it uses?")

    async def repeats(self, key: str, since: str) -> int:
        """Return how many repeats the hub has counted since a day at the key's tenant."""
        today = datetime.now(UTC).date().isoformat()
        return int((await self._get(f"numbers?from={since}&to={today}", key)).json()["repeats"]["total"])

    async def _get(self, path: str, key: str) -> httpx.Response:
        answer = await self.http.get(f"{self.url}/v1/{path}", headers=_bearer(key))
        return answer.raise_for_status()


class Counter:
    """The hub's own count of repeats at one tenant, from when it was made."""

    def __init__(self, hub: Hub, key: str, since: str, before: int) -> None:
        self._hub = hub
        self._key = key
        self._since = since
        self._before = before

    @classmethod
    async def at(cls, hub: Hub, tenant: str) -> Counter:
        """Count from now on."""
        key, today = await hub.make_key(tenant, "supervisor"), datetime.now(UTC).date().isoformat()
        return cls(hub, key, today, await hub.repeats(key, today))

    async def repeats(self) -> int:
        """Return how many there were since."""
        return await self._hub.repeats(self._key, self._since) - self._before


class Stage(NamedTuple):
    """Everything that a play needs, by what the hub may tell; and the hub's own count where it may not."""

    houses: Mapping[Knowledge, House]
    counter: Counter


@asynccontextmanager
async def set_up(dialogues: list[Dialogue], url: str | None, parallel: int) -> AsyncIterator[Stage]:
    """Set the stage for these dialogues, on the hub at an address or one made for the moment; it is cleared after."""
    services = facts_by_service(dialogues)
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctxhub-replay-")))
        environ = _shared_environ() if url else own_environ(home, SECRET_ENV)
        outside = await _outside(environ, stack)
        _declare(Path(environ[_TENANTS]), services, outside, stack)
        own = own_hub(environ, home, min(parallel, _MOST_WORKERS))
        at = url if url else await stack.enter_async_context(own)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=_ANSWERS_WITHIN, limits=_NO_LIMITS))
        hub = Hub(http, at, environ[_ADMIN_KEY])
        houses = {knowledge: await _open(knowledge, services, hub, outside, stack) for knowledge in TENANTS}
        await asyncio.sleep(_ADAPTERS_READ_WITHIN if url else 0)
        yield Stage(houses, await Counter.at(hub, TENANTS["off"]))


class _Outside(NamedTuple):
    """What the hub meets outside: the tenant's systems and where they are, and what both sides sign with."""

    systems: Systems
    at: str
    signing_env: str
    secret: str


async def _outside(environ: Mapping[str, str], stack: AsyncExitStack) -> _Outside:
    """Start the tenant's systems."""
    signing_env = SECRET_ENV if environ.get(SECRET_ENV) else _ADMIN_KEY
    systems = Systems(environ[signing_env])
    return _Outside(systems, await stack.enter_async_context(serving(systems)), signing_env, environ[signing_env])


def _declare(folder: Path, services: dict[str, list[str]], outside: _Outside, stack: AsyncExitStack) -> None:
    """Write the tenants' files, to be removed at the end."""
    hooks = Hooks(f"{outside.at}{SMS}", f"{outside.at}{PIN}", outside.signing_env)
    try:
        tenants.write(folder, services, hooks)
    except OSError as error:
        raise CannotPlay(f"{folder} can't be written to ({error.strerror}): set {_TENANTS}") from error
    stack.callback(tenants.remove, folder)


async def _open(
    knowledge: Knowledge, services: dict[str, list[str]], hub: Hub, outside: _Outside, stack: AsyncExitStack
) -> House:
    """Open one tenant's channels, with agents at their desks."""
    tenant = TENANTS[knowledge]
    key = await hub.make_key(tenant, "agent")
    await hub.has_read(tenant, key, outside.at)
    floor = Floor(hub.http, hub.url, key)
    await stack.enter_async_context(floor.at_work())
    words = {lang: Words(labels_of(services, lang), kinds_of(services, lang)) for lang in LANGUAGES}
    return House(hub.url, tenant, knowledge, hub.http, outside.secret, outside.systems, floor, words)


def _shared_environ() -> Mapping[str, str]:
    """Return the environment, which must say what the player and a running hub have in common."""
    lacking = [name for name in (_TENANTS, _ADMIN_KEY) if not os.environ.get(name)]
    if lacking:
        raise CannotPlay(f"with --url set {' and '.join(lacking)} to what the hub itself was started with")
    return os.environ


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
