"""Which addresses of the network are the company's own, so that nothing which calls out is led there."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: What not every Python counts as private: carriers' shared space (RFC 6598), protocol assignments (RFC 6890), and
#: local-use NAT64 (RFC 8215), which ends who knows where.
_MORE = tuple(map(ip_network, ("100.64.0.0/10", "192.0.0.0/24", "64:ff9b:1::/48")))
#: Addresses of version 6 that carry one of version 4, and by how many bits it is to be moved to the right.
_CARRYING = (
    (ip_network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ip_network("::/96"), 0),  # IPv4-compatible, given up by RFC 4291
    (ip_network("2002::/16"), 80),  # 6to4, RFC 3056
)


class Allowed(NamedTuple):
    """Hosts by name, and networks, that may be called although they are inward."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def has_host(self, host: str) -> bool:
        """Tell whether a host is allowed by its name."""
        return host.lower().rstrip(".") in self.hosts

    def has_address(self, address: str) -> bool:
        """Tell whether an address lies in an allowed network."""
        here = ip_address(address)
        return any(here.version == network.version and here in network for network in self.networks)


NOWHERE = Allowed()


def allowed_of(text: str) -> Allowed:
    """Read host names and networks with commas between them; `ValueError` for a network that is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    networks = [part for part in parts if "/" in part or is_address(part)]
    hosts = [part.lower().rstrip(".") for part in parts if part not in networks]
    return Allowed(frozenset(hosts), tuple(ip_network(network) for network in networks))


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, and not a name or anything else."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_inward(address: str) -> bool:
    """Tell whether an address is not one of the whole internet's: private, of this machine or link, shared, many's.

    An address that carries another is judged by both.
    """
    return any(_is_inward(each) for each in _with_carried(ip_address(address)))


def _is_inward(address: Address) -> bool:
    """Judge one address by itself."""
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    own = address.is_private or address.is_link_local or any(address in network for network in _MORE)
    return special or own or site_local or not address.is_global


def _with_carried(address: Address) -> Iterator[Address]:
    """Yield an address, and those of version 4 that it carries; one that only carries is judged by what it carries."""
    carried = [*_carried(address)] if isinstance(address, IPv6Address) else []
    yield from carried or [address]


def _carried(address: IPv6Address) -> Iterator[Address]:
    """Yield the addresses of version 4 that stand in one of version 6."""
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.teredo is not None:
        yield from address.teredo
    for network, bits in _CARRYING:
        if address in network:
            yield IPv4Address(int(address) >> bits & 0xFFFFFFFF)
