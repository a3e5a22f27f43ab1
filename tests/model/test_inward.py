"""Which addresses are inward, whatever they are dressed up as."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.model.inward import NOWHERE, allowed_of, is_inward

INWARD = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:192.168.1.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::1", "100::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "fc00::1", "fd12::1", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "2001:0:a00:1::",
]  # fmt: skip
OUTWARD = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111",
           "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"]  # fmt: skip


@pytest.mark.parametrize("address", INWARD)
def test_an_inward_address_is_known_as_such(address: str) -> None:
    assert is_inward(address)


@pytest.mark.parametrize("address", OUTWARD)
def test_an_address_of_the_internet_is_none(address: str) -> None:
    assert not is_inward(address)


PRIVATE = st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"])


@given(PRIVATE, st.integers(0, 2**32 - 1))
def test_no_address_of_version_4_is_hidden_in_one_of_version_6(network: str, number: int) -> None:
    inside = ip_network(network)
    address = int(inside.network_address) + number % inside.num_addresses
    dressed = [
        ip_address(address), ip_address((0xFFFF << 32) | address), ip_address(address | 0x64FF9B << 96),
        ip_address((0x2002 << 112) | (address << 80)),
    ]  # fmt: skip
    assert all(is_inward(str(each)) for each in dressed)


def test_hosts_and_networks_are_told_apart() -> None:
    allowed = allowed_of(" CRM.internal. , 10.1.0.0/16,::1, 127.0.0.1 ")
    assert allowed.hosts == {"crm.internal"}
    assert allowed.has_host("crm.INTERNAL.")
    assert [allowed.has_address(a) for a in ("10.1.2.3", "10.2.0.1", "::1", "127.0.0.1", "127.0.0.2")] == [
        True, False, True, True, False,
    ]  # fmt: skip
    assert allowed_of("") == NOWHERE


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/40", "a/b"])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        allowed_of(text)
