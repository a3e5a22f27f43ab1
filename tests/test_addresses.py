"""What a `CTXHUB_REDIS_URL` may say, and what is shown of it."""

from __future__ import annotations

import pytest

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
