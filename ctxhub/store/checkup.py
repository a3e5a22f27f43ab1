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

from ctxhub.addresses import Address, Place, is_near, without_password
from ctxhub.settings import Settings

__all__ = ["Finding", "examine"]

Verdict = Literal["good", "bad", "unknown"]
Stops = Literal["never", "unless told", "always"]

_OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}
_FURTHEST_CLOCK = 2.0
_FEWEST = 3
_SLOTS = 16384
_LOOKED_AT = 1000
_ALLOW_CONFIG = "allow CONFIG GET to this login, or look at it yourself"


class Finding(NamedTuple):
    """One thing looked at: what it is like, whether that will do, what to do if not, and if a start stops at it."""

    name: str
    found: str
    verdict: Verdict
    remedy: str = ""
    stops: Stops = "never"


def examine(url: str, settings: Settings) -> list[Finding]:
    """Look at all servers of an address; one that does not answer is a finding too."""
    address = Address.of(url)
    waits = settings.durability == "replicated" or (settings.durability == "safe" and address.kind != "alone")
    ways = {"alone": _alone, "sentinel": _guarded_ones, "cluster": _clustered_ones}
    found: list[Finding] = []
    try:
        found.extend(ways[address.kind](address, _Look(settings, waits)))
    except RedisError as error:
        remedy = "start it, or mend CTXHUB_REDIS_URL"
        found.append(Finding("answers", f"{without_password(url)} does not: {error}", "bad", remedy))
    return found


class _Look(NamedTuple):
    """How it is looked: with which settings, and whether replicas must confirm what is written."""

    settings: Settings
    waits: bool

    def at(self, url: str) -> Redis:
        """Return a client that is given up in time."""
        return Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=self.settings.socket_timeout.total_seconds(),
            socket_connect_timeout=self.settings.connect_timeout.total_seconds(),
            retry=Retry(NoBackoff(), 0),
        )


def _server(url: str, look: _Look) -> Iterator[Finding]:
    """Look at one server that takes writes."""
    with look.at(url) as client:
        yield from _findings(client, url, look)


def _alone(address: Address, look: _Look) -> Iterator[Finding]:
    """Look at the one server."""
    return _server(address.url, look)


def _guarded_ones(address: Address, look: _Look) -> Iterator[Finding]:
    """Look at the Sentinels, at the server that they name, and at those that may take its place."""
    seen = {place: _watched(address, place, look) for place in address.places}
    known = [watched for watched in seen.values() if watched is not None]
    if not known:
        raise RedisError("none of the Sentinels answers, or none knows this name")
    yield _sentinels(len(known), len(seen), known[0])
    if look.waits:
        yield _beside(known[0], {place.host for place in seen})
    yield from _server(address.server(known[0].primary), look)
    for replica in known[0].replicas:
        yield from _successor(address.server(replica), replica, look, "start it, or have the Sentinels forget it")


class _Watched(NamedTuple):
    """What a Sentinel knows."""

    primary: Place
    replicas: list[Place]
    sentinels: int
    quorum: int


def _watched(address: Address, place: Place, look: _Look) -> _Watched | None:
    """Ask one Sentinel; None where it does not answer or knows no such name."""
    with look.at(address.sentinel(place)) as client:
        try:
            primary: Any = client.sentinel_master(address.name)
            replicas: Any = client.sentinel_slaves(address.name)
        except RedisError:
            return None
    well = [Place(one["ip"], int(one["port"])) for one in replicas if not one["is_sdown"]]
    here = Place(primary["ip"], int(primary["port"]))
    return _Watched(here, well, int(primary["num-other-sentinels"]) + 1, int(primary["quorum"]))


def _sentinels(answer: int, named: int, watched: _Watched) -> Finding:
    found = f"{answer} of {named} answer, {watched.sentinels} know each other, quorum {watched.quorum}"
    if answer == named and watched.sentinels >= _FEWEST and watched.quorum > watched.sentinels // 2:
        return Finding("sentinels", found, "good")
    remedy = "run three, each on a host of its own, name all three, and let two of them agree (quorum 2)"
    return Finding("sentinels", found, "bad", remedy)


def _beside(watched: _Watched, hosts: set[str]) -> Finding:
    """Look whether whoever chooses a primary stands where the data is: only then is nothing lost in a split."""
    apart = sorted(hosts ^ {place.host for place in (watched.primary, *watched.replicas)})
    if not apart:
        return Finding("sentinels beside data", "yes", "good")
    remedy = "put one Sentinel on the host of each server: a split network can lose what was acknowledged otherwise"
    return Finding("sentinels beside data", f"not on {', '.join(apart)}", "bad", remedy)


def _clustered_ones(address: Address, look: _Look) -> Iterator[Finding]:
    """Look whether every slot has a server, at each server that has some, and at those that may take its place."""
    spans = _spans(address, look)
    missing = _SLOTS - sum(span.last + 1 - span.first for span in spans)
    remedy = "start the missing servers, or give their slots to others: valkey-cli --cluster fix"
    found = f"{missing} have no server" if missing else "all have a server"
    yield Finding("slots", found, "bad" if missing else "good", remedy if missing else "", "always")
    for place in dict.fromkeys(span.owner for span in spans):
        for finding in _server(address.server(place), look):
            yield finding._replace(name=f"{place} {finding.name}")
    for place in dict.fromkeys(replica for span in spans for replica in span.replicas):
        yield from _successor(address.server(place), place, look, "start it, or have the cluster forget it")


class _Span(NamedTuple):
    """Which slots are where, and who follows."""

    first: int
    last: int
    owner: Place
    replicas: list[Place]


def _spans(address: Address, look: _Look) -> list[_Span]:
    """Return which slots are where, by the first server that tells."""
    refusal = RedisError("no server is named")
    for place in address.places:
        with look.at(address.server(place)) as client:
            try:
                client.response_callbacks.pop("CLUSTER SLOTS", None)
                told: Any = client.execute_command("CLUSTER", "SLOTS")
                return [_span(*one, asked=place) for one in told]
            except RedisError as error:
                refusal = error
    raise refusal


def _span(first: Any, last: Any, *servers: Any, asked: Place) -> _Span:
    """Read one span; a server that does not know its own name is found where it was asked."""
    owner, *replicas = [Place(host or asked.host, int(port)) for host, port, *_ in servers]
    return _Span(int(first), int(last), owner, replicas)


def _successor(url: str, place: Place, look: _Look, remedy: str) -> Iterator[Finding]:
    """Look at a replica, which must keep what it is told as well as the primary does."""
    with look.at(url) as client:
        try:
            info: dict[str, Any] = client.info()
            config = _config(client, info)
            found = [_version(info), _eviction(config), *_kept(config, look)]
        except RedisError as error:
            found = [Finding("answers", str(error), "bad", remedy)]
    for finding in found:
        yield finding._replace(name=f"replica {place} {finding.name}")


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


def _findings(client: Redis, url: str, look: _Look) -> Iterator[Finding]:
    """Look at one server that takes writes."""
    began_at = time.time()
    seconds, micros = client.time()
    yield _clock(seconds + micros / 1e6 - (began_at + time.time()) / 2)
    info: dict[str, Any] = client.info()
    yield _version(info)
    yield _role(info)
    yield _strangers(client)
    config = _config(client, info)
    yield _eviction(config)
    if not is_near(url):
        yield from _guarded(client, url)
    yield from _kept(config, look)
    if look.waits:
        yield _replicas(info)


def _kept(config: Mapping[str, str], look: _Look) -> Iterator[Finding]:
    """Look at how a server keeps what it is told."""
    yield _persistence(config)
    if look.settings.durability != "fast":
        yield _sync(config)


def _strangers(client: Redis) -> Finding:
    """Look whether somebody else keeps something in the same place."""
    try:
        names: Any = client.scan(count=_LOOKED_AT)[1]
    except RedisError:
        return Finding("other keys", "not shown to us", "unknown", "give ctxhub a server of its own")
    stranger = next((name for name in sorted(names) if not name.startswith("ctxhub:{")), None)
    if stranger is None:
        return Finding("other keys", "none seen", "good")
    remedy = "give ctxhub a server or a database of its own, such as redis://host:port/1"
    return Finding("other keys", f"such as {stranger[:40]!r}", "bad", remedy, "unless told")


def _config(client: Redis, info: Mapping[str, Any]) -> Mapping[str, str]:
    """What the server lets us see of its configuration; what `CONFIG GET` is not allowed to tell, `INFO` may."""
    try:
        found = client.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except RedisError:
        found = {}
    return _told_beside(info) | {str(name): str(value) for name, value in found.items()}


def _told_beside(info: Mapping[str, Any]) -> dict[str, str]:
    """What `INFO` says of the configuration."""
    told = {"maxmemory-policy": info.get("maxmemory_policy")}
    if "aof_enabled" in info:
        told["appendonly"] = "yes" if info["aof_enabled"] else "no"
    return {name: str(value) for name, value in told.items() if value is not None}


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
    return Finding("version", f"{kind} {version}", "bad", "use Redis >= 7.0 or Valkey >= 7.2", "unless told")


def _role(info: Mapping[str, Any]) -> Finding:
    role = str(info["role"])
    if role == "master":
        return Finding("role", "takes writes", "good")
    remedy = "let CTXHUB_REDIS_URL name the primary, or the Sentinels that know it"
    return Finding("role", f"{role}: takes no writes", "bad", remedy, "always")


def _eviction(config: Mapping[str, str]) -> Finding:
    remedy = "CONFIG SET maxmemory-policy noeviction: any other forgets customers when memory runs short"
    finding = _expected(config, "maxmemory-policy", "noeviction", remedy)
    return finding._replace(stops="unless told" if finding.verdict == "bad" else "never")


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
    remedy = "attach a replica, or choose CTXHUB_DURABILITY=fast: a write that nobody else confirms is refused"
    return Finding("replicas", "none", "bad", remedy)
