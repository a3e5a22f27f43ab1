"""What the doctor says about a server, on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.addresses import is_near, without_password
from ctxhub.settings import Settings
from ctxhub.store.checkup import Finding, _clock, _guarded, _version, examine
from ctxhub.store.embedded import embedded_server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this module's own: the tests change its configuration."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("checkup"))) as server:
        yield server.url


def found(url: str, durability: str = "safe") -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(url, Settings(durability=durability))}


def test_the_embedded_server_is_fit_for_safe(url: str) -> None:
    assert {finding.verdict for finding in found(url).values()} == {"good"}


def test_replicated_wants_a_replica(url: str) -> None:
    assert found(url, "replicated")["replicas"].verdict == "bad"


@pytest.mark.parametrize(
    ("name", "value", "durability", "remedy"),
    [
        ("maxmemory-policy", "allkeys-lru", "fast", "noeviction"),
        ("appendonly", "no", "fast", "appendonly yes"),
        ("appendfsync", "everysec", "safe", "appendfsync always"),
        ("appendfsync", "everysec", "replicated", "appendfsync always"),
    ],
)
def test_what_breaks_a_promise_is_bad_and_the_remedy_named(
    url: str, name: str, value: str, durability: str, remedy: str
) -> None:
    with Redis.from_url(url, decode_responses=True) as client:
        before = client.config_get(name)[name]
        client.config_set(name, value)
        finding = found(url, durability)[name]
        client.config_set(name, before)
    assert (finding.found, finding.verdict) == (value, "bad")
    assert remedy in finding.remedy


def test_fast_does_not_ask_for_a_sync_before_every_answer(url: str) -> None:
    assert "appendfsync" not in found(url, "fast")


def test_what_config_does_not_show_is_seen_by_info(url: str) -> None:
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "hosted", "on", ">secret", "~*", "+@all", "-config")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        findings = found(url.replace("unix://", "unix://hosted:secret@"))
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
    assert [findings[name].found for name in ("maxmemory-policy", "appendonly")] == ["allkeys-lru", "no"]
    assert findings["maxmemory-policy"].stops == "unless told"


def test_what_nobody_shows_is_unknown_not_bad(url: str) -> None:
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "hosted", "on", ">secret", "~*", "+@all", "-config")
    findings = found(url.replace("unix://", "unix://hosted:secret@"))
    assert findings["appendonly"].verdict == "good"
    assert findings["appendfsync"].verdict == "unknown"
    assert "CONFIG GET" in findings["appendfsync"].remedy


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    (finding,) = examine("redis://:hunter2@127.0.0.1:1", Settings())
    assert finding.verdict == "bad"
    assert "127.0.0.1:1" in finding.found
    assert "hunter2" not in str(finding)


def test_a_replica_is_refused_as_it_takes_no_writes(url: str, tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)) as replica, Redis.from_url(replica.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert found(replica.url)["role"].verdict == "bad"


@pytest.mark.parametrize(
    ("info", "verdict"),
    [
        ({"redis_version": "7.0.15"}, "good"),
        ({"redis_version": "8.2.1"}, "good"),
        ({"redis_version": "6.2.14"}, "bad"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, "good"),
        ({"redis_version": "7.2.4", "valkey_version": "7.0.0"}, "bad"),
    ],
)
def test_the_oldest_servers_that_will_do(info: dict[str, str], verdict: str) -> None:
    assert _version(info).verdict == verdict


@pytest.mark.parametrize(("ahead", "verdict"), [(0.1, "good"), (-0.1, "good"), (2.5, "bad"), (-7200.0, "bad")])
def test_clocks_apart_are_bad(ahead: float, verdict: str) -> None:
    assert _clock(ahead).verdict == verdict


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://hub:secret@cache:6380", "rediss://hub:***@cache:6380"),
        ("redis://:secret@cache", "redis://:***@cache"),
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("redis://cache?password=secret&db=1", "redis://cache?password=***&db=1"),
        ("rediss+sentinel://hub:secret@a:1,b:2/hub", "rediss+sentinel://hub:***@a:1,b:2/hub"),
        ("redis+sentinel://a:1/hub?sentinel_password=secret", "redis+sentinel://a:1/hub?sentinel_password=***"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_server_on_this_machine_needs_no_password_and_one_elsewhere_does() -> None:
    assert is_near("unix:///run/redis.sock")
    assert is_near("redis://127.0.0.1:6379")
    assert not is_near("redis://10.0.0.5:6379")
    assert not is_near("redis://redis.example.com")


def test_what_lets_strangers_in_over_a_network_is_bad(url: str) -> None:
    with Redis.from_url(url, decode_responses=True) as client:
        open_ = {finding.name: finding.verdict for finding in _guarded(client, "redis://10.0.0.5:6379")}
        client.acl_setuser("default", reset_passwords=True, passwords=["+" + "long" * 8])
        guarded = {finding.name: finding.verdict for finding in _guarded(client, "rediss://hub:secret@10.0.0.5:6379")}
        client.acl_setuser("default", nopass=True)
    assert open_ == {"password": "bad", "tls": "bad", "default user": "bad"}
    assert guarded == {"password": "good", "tls": "good", "default user": "good"}
