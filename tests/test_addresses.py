"""What a `CTXHUB_REDIS_URL` may say, and what is shown of it."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.asyncio import BlockingConnectionPool

from ctxhub import addresses
from ctxhub.addresses import Address, Place

PAIR = (Place("a", 1), Place("b", 26379))


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://u:p@h", "unix:///run/x.sock"])
def test_one_server_is_left_as_it_is_written(url: str) -> None:
    assert Address.of(url) == Address("alone", url)


def test_sentinels_are_named_with_what_they_watch() -> None:
    address = Address.of("redis+sentinel://a:1,b/hub")
    assert (address.kind, address.places, address.name) == ("sentinel", PAIR, "hub")


def test_a_cluster_is_named_by_some_of_its_servers() -> None:
    address = Address.of("rediss+cluster://u:p@a:1,[::1]:2,c")
    assert (address.kind, address.name) == ("cluster", "")
    assert address.places == (Place("a", 1), Place("::1", 2), Place("c", 6379))


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a:1,b:2", "redis+sentinel:///hub", "redis+cluster://", "redis+cluster://a:1/hub",
        "redis+cluster://a:port", "redis+grid://a:1", "http://a:1", "localhost:6379", "unix+cluster:///x",
    ],
)  # fmt: skip
def test_what_can_t_be_an_address_is_told_how_to_write_one(url: str) -> None:
    with pytest.raises(ValueError, match=r"redis\+sentinel://host:port,host:port/name"):
        Address.of(url)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("redis://h:99999", "a port from 1 to 65535"), ("redis://h:0", "a port from 1 to 65535"),
        ("redis://:pass/word@h:6379", "a port from 1 to 65535, and .* %2F"),
        ("redis+cluster://a:99999", "a port from 1 to 65535"), ("redis://[::1", "redis://host:port"),
        ("redis://h:1/abc", "the number of a database, such as redis://host:port/0"),
        ("redis://h:1/0/1", "the number of a database"), ("rediss://h:1/-1", "the number of a database"),
        ("redis://h:1?nonsense=1", "behind the [?] stand no options but client_name, db, "),
        ("redis://h:1?ssl_ca_certs=/etc/ca.pem", "go with rediss alone"),
        ("redis://h:1?sentinel_password=x", "no options but"), ("redis+cluster://h:1?nonsense=1", "no options but"),
        ("unix:///run/x.sock?socket_keepalive=yes", "no options but"),
        ("redis://h:1?db=one", "whole numbers for the options db, "), ("unix:///x?socket_timeout=soon", "such as 0.5"),
    ],
)  # fmt: skip
def test_what_nobody_could_heed_is_refused_and_not_repeated(url: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy) as refusal:
        Address.of(url)
    assert "nonsense" not in str(refusal.value)
    assert "word@" not in str(refusal.value)


@pytest.mark.parametrize(
    ("scheme", "beside"),
    [
        ("redis://h", {"socket_keepalive"}),
        ("rediss://h", {"socket_keepalive", *addresses._FOR_TLS}),
        ("unix:///s", set()),
    ],
)
def test_every_option_that_is_taken_is_one_of_the_client_s(scheme: str, beside: set[str]) -> None:
    names = addresses._NUMBERS | addresses._SECONDS | addresses._WORDS | beside
    url = f"{scheme}?{'&'.join(f'{name}={_VALUES.get(name, 3)}' for name in sorted(names))}"
    assert Address.of(url).url == url
    assert Redis.from_url(url).connection_pool.make_connection()
    assert BlockingConnectionPool.from_url(url).make_connection()


_VALUES = {"ssl_cert_reqs": "required", "socket_timeout": "0.5"}


def test_servers_get_its_login_and_options_and_tls() -> None:
    address = Address.of("rediss+cluster://hub:s%40cret@a:1?ssl_ca_certs=/etc/ca.pem")
    assert address.server(Place("::1", 7)) == "rediss://hub:s%40cret@[::1]:7/0?ssl_ca_certs=%2Fetc%2Fca.pem"


def test_sentinels_have_a_login_of_their_own_or_none() -> None:
    own = "sentinel_username=watch&sentinel_password=p%26q"
    address = Address.of(f"rediss+sentinel://hub:secret@a:1/hub?{own}&ssl_ca_certs=ca.pem")
    assert address.sentinel(Place("a", 1)) == "rediss://watch:p%26q@a:1/0?ssl_ca_certs=ca.pem"
    assert address.server(Place("b", 2)) == "rediss://hub:secret@b:2/0?ssl_ca_certs=ca.pem"
    plain = Address.of("redis+sentinel://hub:secret@a:1/hub")
    assert plain.sentinel(Place("a", 1)) == "redis://a:1/0"
    only = Address.of("redis+sentinel://a:1/hub?sentinel_password=secret")
    assert only.sentinel(Place("a", 1)) == "redis://:secret@a:1/0"
