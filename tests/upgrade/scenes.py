"""A hub on what a version has left, its clock where that version's stood; and what it shows of somebody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis import Redis
from starlette.types import ASGIApp

from ctxhub.settings import Settings
from tests.api.living import ADMIN_KEY, http_to, living
from tests.api.scenes import Caller, ok
from tests.support import SECOND, Clock

MASTER_KEY = "a master key that every version has had"
SPOOL = "spool/chat"


def settings_at(folder: Path, redis_url: str) -> Settings:
    """Settings of a hub with an archive; they are a part of what every version must take."""
    return Settings(
        data=folder, redis_url=redis_url, tenants=folder / "tenants", durability="fast",
        archive=f"sqlite:///{folder / 'archive.db'}", sealing_keys_file=folder / "sealing.keys",
        master_key=SecretStr(MASTER_KEY), admin_key=SecretStr(ADMIN_KEY), connect_timeout=10 * SECOND,
        timer_tick=SECOND / 20,
    )  # fmt: skip


@dataclass
class Upgraded:
    """A hub of today on what a version has left, and what that had shown."""

    app: ASGIApp
    shown: dict[str, Any]
    callers: dict[str, Caller]
    clock: Clock
    redis: Redis
    folder: Path


@asynccontextmanager
async def upgraded(folder: Path, redis_url: str, shown: dict[str, Any]) -> AsyncIterator[Upgraded]:
    """Start today's hub where a version stopped, at the same time of its day."""
    clock = Clock(datetime.fromisoformat(shown["at"]))
    with Redis.from_url(redis_url) as redis:
        async with living(settings_at(folder, redis_url), clock) as app, http_to(app) as http:
            callers = {name: Caller(http, key) for name, key in shown["keys"].items()}
            yield Upgraded(app, shown, callers | {"admin": Caller(http, ADMIN_KEY)}, clock, redis, folder)


async def shown_of(admin: Caller, customer_id: str) -> dict[str, Any]:
    """All that a hub shows of a customer."""
    base = f"/v1/customers/{customer_id}"
    return {
        "context": ok(await admin.get(f"{base}/context")),
        "timeline": ok(await admin.get(f"{base}/timeline", after=0, limit=1000))["events"],
        "brief": ok(await admin.get(f"{base}/brief", view="agent", lang="en")),
    }


def missing(before: Any, now: Any, place: str = "") -> list[str]:
    """List where something that was shown is not shown any more; what is shown beside it is no fault."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [one for name, value in before.items() for one in missing(value, now.get(name), f"{place}/{name}")]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [one for n, (was, is_) in pairs for one in missing(was, is_, f"{place}/{n}")]
    return [] if before == now else [f"{place}: {before!r} is {now!r} now"]
