"""What a server must be like so that ctxhub can keep its promises on it, and what is found instead."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ctxhub.settings import Settings

__all__ = ["Finding", "examine", "without_password"]

Verdict = Literal["good", "bad", "unknown"]

_OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}
_FURTHEST_CLOCK = 2.0
_PASSWORD = re.compile(r"(?<=:)(?!//)[^:@/]*(?=@)|(?<=[?&]password=)[^&]*")
_ALLOW_CONFIG = "allow CONFIG GET to this login, or look at it yourself"


class Finding(NamedTuple):
    """One thing looked at: what it is like, whether that will do, and what to do if not."""

    name: str
    found: str
    verdict: Verdict
    remedy: str = ""


def examine(url: str, settings: Settings) -> list[Finding]:
    """Look a server over; one that does not answer is a finding too."""
    client = Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=settings.socket_timeout.total_seconds(),
        socket_connect_timeout=settings.connect_timeout.total_seconds(),
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        try:
            return list(_findings(client, url, settings.durability))
        except RedisError as error:
            remedy = "start it, or mend CTXHUB_REDIS_URL"
            return [Finding("answers", f"{without_password(url)} does not: {error}", "bad", remedy)]


def without_password(url: str) -> str:
    """The address as it may be shown."""
    return _PASSWORD.sub("***", url)


def is_near(url: str) -> bool:
    """Tell whether a server is reached without leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == "unix" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _guarded(client: Redis, url: str) -> Iterator[Finding]:
    """Look at what keeps strangers out of a server that is reached over a network."""
    parts = urlsplit(url)
    yield _wanted("password", bool(parts.password), "give it a user and password, and name both in CTXHUB_REDIS_URL")
    yield _wanted("tls", parts.scheme == "rediss", "use rediss://: passwords and customers travel in the clear")
    yield _default_user(client)


def _wanted(name: str, is_there: bool, remedy: str) -> Finding:
    return Finding(name, "yes" if is_there else "no", "good" if is_there else "bad", "" if is_there else remedy)


def _default_user(client: Redis) -> Finding:
    """Look at the user that everybody is who does not say otherwise."""
    try:
        found: Any = client.acl_getuser("default")
    except RedisError:
        return Finding("default user", "not shown to us", "unknown", "it should be off: ACL SETUSER default off")
    flags = found["flags"]
    is_open = "on" in flags and "nopass" in flags
    remedy = "ACL SETUSER default off: whoever reaches the port may do anything" if is_open else ""
    return Finding(
        "default user", "on, without password" if is_open else "guarded", "bad" if is_open else "good", remedy
    )


def _findings(client: Redis, url: str, durability: str) -> Iterator[Finding]:
    began_at = time.time()
    seconds, micros = client.time()
    yield _clock(seconds + micros / 1e6 - (began_at + time.time()) / 2)
    info: dict[str, Any] = client.info()
    yield _version(info)
    yield _role(info)
    config = _config(client)
    yield _eviction(config)
    if not is_near(url):
        yield from _guarded(client, url)
    yield _persistence(config)
    if durability != "fast":
        yield _sync(config)
    if durability == "replicated":
        yield _replicas(info)


def _config(client: Redis) -> Mapping[str, str]:
    """What the server lets us see of its configuration; hosted ones often show nothing."""
    try:
        found = client.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except RedisError:
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _clock(ahead: float) -> Finding:
    found = f"{abs(ahead):.3f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if abs(ahead) <= _FURTHEST_CLOCK:
        return Finding("clock", found, "good")
    return Finding("clock", found, "bad", "keep both machines on the same time (NTP): leases and codes lapse by it")


def _version(info: Mapping[str, Any]) -> Finding:
    kind = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info["redis_version"])
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers >= _OLDEST[kind]:
        return Finding("version", f"{kind} {version}", "good")
    return Finding("version", f"{kind} {version}", "bad", "use Redis >= 7.0 or Valkey >= 7.2")


def _role(info: Mapping[str, Any]) -> Finding:
    role = str(info["role"])
    if role == "master":
        return Finding("role", "takes writes", "good")
    return Finding("role", f"{role}: takes no writes", "bad", "let CTXHUB_REDIS_URL name the primary")


def _eviction(config: Mapping[str, str]) -> Finding:
    remedy = "CONFIG SET maxmemory-policy noeviction: any other forgets customers when memory runs short"
    return _expected(config, "maxmemory-policy", "noeviction", remedy)


def _persistence(config: Mapping[str, str]) -> Finding:
    return _expected(config, "appendonly", "yes", "CONFIG SET appendonly yes: without it a restart forgets everything")


def _sync(config: Mapping[str, str]) -> Finding:
    remedy = "CONFIG SET appendfsync always, or choose CTXHUB_DURABILITY=fast and lose the last second with the power"
    return _expected(config, "appendfsync", "always", remedy)


def _expected(config: Mapping[str, str], name: str, wanted: str, remedy: str) -> Finding:
    found = config.get(name)
    if found is None:
        return Finding(name, "not shown to us", "unknown", f"it must be {wanted}: {_ALLOW_CONFIG}")
    return Finding(name, found, "good" if found == wanted else "bad", "" if found == wanted else remedy)


def _replicas(info: Mapping[str, Any]) -> Finding:
    count = int(info.get("connected_slaves", 0))
    if count:
        return Finding("replicas", str(count), "good")
    remedy = "attach a replica, or choose CTXHUB_DURABILITY=safe: a write nobody else confirms is refused"
    return Finding("replicas", "none", "bad", remedy)
