"""Addresses of Redis: one server, the Sentinels that watch over one, or a cluster; read, and shown without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

__all__ = ["Address", "Place", "is_near", "without_password"]

Kind = Literal["alone", "sentinel", "cluster"]

_PORTS: dict[Kind, int] = {"alone": 6379, "sentinel": 26379, "cluster": 6379}
_REMEDY = (
    "write redis://host:port, rediss://host:port or unix:///path/to/socket; for Sentinels "
    "redis+sentinel://host:port,host:port/name, for a cluster redis+cluster://host:port,host:port"
)
_PORT_REMEDY = (
    "write a port from 1 to 65535, and what is no letter or digit in a password as %23, %2F, %3A, %40 and so on"
)
_SECONDS = frozenset({"socket_connect_timeout", "socket_timeout"})
_NUMBERS = frozenset({"db", "health_check_interval", "max_connections", "protocol", "socket_read_size"})
_WORDS = frozenset({"client_name", "password", "username"})
_FOR_SENTINELS = frozenset({"sentinel_password", "sentinel_username"})
_FOR_NETWORKS = frozenset({"socket_keepalive"})
_FOR_TLS = frozenset({
    "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers",
    "ssl_keyfile", "ssl_password",
})  # fmt: skip
_MOST_PORTS = 65_535
_PASSWORD = re.compile(r"(?<=:)(?!//)[^:@/]*(?=@)|(?<=[?&]password=)[^&]*|(?<=[?&]sentinel_password=)[^&]*")


class Place(NamedTuple):
    """Where one server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Address(NamedTuple):
    """What a `CTXHUB_REDIS_URL` says."""

    kind: Kind
    url: str
    places: tuple[Place, ...] = ()
    name: str = ""

    @classmethod
    def of(cls, url: str) -> Self:
        """Read an address; ValueError says what to write instead."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError(_REMEDY) from None
        scheme, _, kind = parts.scheme.partition("+")
        _must_know(parts.query, scheme, kind)
        if not kind and scheme in ("redis", "rediss", "unix"):
            _must_lead_to_one(parts)
            return cls("alone", url)
        if scheme not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
            raise ValueError(_REMEDY)
        known: Kind = "sentinel" if kind == "sentinel" else "cluster"
        places = tuple(_places(parts.netloc.rpartition("@")[2], _PORTS[known]))
        name = unquote(parts.path.strip("/"))
        if not places or bool(name) != (known == "sentinel"):
            raise ValueError(_REMEDY)
        return cls(known, url, places, name)

    def server(self, place: Place) -> str:
        """Return the address of one of the servers that keep the data, with the login and options of this one."""
        given = [(name, value) for name, value in self._options() if not name.startswith("sentinel_")]
        return self._url_of(place, urlsplit(self.url).netloc.rpartition("@")[0], given)

    def sentinel(self, place: Place) -> str:
        """Return the address of one of the Sentinels, which have a login of their own."""
        options = dict(self._options())
        login = ":".join(quote(options.pop(f"sentinel_{part}", ""), safe="") for part in ("username", "password"))
        kept = [(name, value) for name, value in options.items() if name not in ("username", "password")]
        return self._url_of(place, "" if login == ":" else login, kept)

    def _options(self) -> list[tuple[str, str]]:
        """Return what stands behind the question mark."""
        return parse_qsl(urlsplit(self.url).query)

    def _url_of(self, place: Place, login: str, options: list[tuple[str, str]]) -> str:
        """Spell the address of one server."""
        scheme = urlsplit(self.url).scheme.partition("+")[0]
        before = f"{login}@" if login else ""
        return f"{scheme}://{before}{place}/0" + (f"?{urlencode(options)}" if options else "")


def without_password(url: str) -> str:
    """The address as it may be shown."""
    return _PASSWORD.sub("***", url)


def is_near(url: str) -> bool:
    """Tell whether a server is reached without leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == "unix" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _places(text: str, usual: int) -> Iterator[Place]:
    """Yield host and port of each server of a list."""
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]]+))(?::(\d{1,5}))?", part)
        if found is None:
            raise ValueError(_REMEDY)
        yield Place(found[1] or found[2], _must_be_port(int(found[3] or usual)))


def _must_lead_to_one(parts: SplitResult) -> None:
    """Refuse an address of one server whose port or database can't be."""
    if parts.scheme == "unix":
        return
    try:
        _must_be_port(6379 if parts.port is None else parts.port)
    except ValueError:
        raise ValueError(_PORT_REMEDY) from None
    if not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise ValueError("end it in the number of a database, such as redis://host:port/0")


def _must_be_port(port: int) -> int:
    """Return a port if there can be such a one."""
    if not 0 < port <= _MOST_PORTS:
        raise ValueError(_PORT_REMEDY)
    return port


def _must_know(query: str, scheme: str, kind: str) -> None:
    """Refuse options that nobody heeds, or of which a number is none; they are not repeated, one may be a password."""
    known = _NUMBERS | _SECONDS | _WORDS
    known |= _FOR_SENTINELS if kind == "sentinel" else frozenset()
    known |= _FOR_TLS if scheme == "rediss" else frozenset()
    known |= _FOR_NETWORKS if scheme != "unix" else frozenset()
    given = parse_qsl(query)
    if not known.issuperset(name for name, _ in given):
        raise ValueError(f"behind the ? stand no options but {', '.join(sorted(known))}; ssl_… go with rediss alone")
    if not all(re.fullmatch(r"[0-9]+", value) for name, value in given if name in _NUMBERS):
        raise ValueError(f"write whole numbers for the options {', '.join(sorted(_NUMBERS))}")
    if not all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) for name, value in given if name in _SECONDS):
        raise ValueError(f"write seconds, such as 0.5, for the options {', '.join(sorted(_SECONDS))}")
