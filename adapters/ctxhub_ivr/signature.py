"""Twilio's signatures of webhooks: HMAC-SHA1 with the auth token, HMAC-SHA256 with a shared key."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha1, sha256
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

SIGNATURE = "x-twilio-signature"
SIGNATURE_SETTINGS = "x-twilio-webhooks-signature-settings"

#: Form parameters in the order they came; a name may come several times.
Params = Iterable[tuple[str, str]]

_HASHES: dict[str, Any] = {"HMAC_SHA1": sha1, "HMAC_SHA256": sha256}
_PORTS = {"https": 443, "http": 80}


class Scheme(NamedTuple):
    """How a webhook says that it is signed; without a key id the auth token is the secret."""

    algorithm: str = "HMAC_SHA1"
    key_id: str | None = None


class Secrets(NamedTuple):
    """What a tenant's webhooks may be signed with."""

    auth_token: str | None
    shared_keys: Mapping[str, str]

    @property
    def any(self) -> bool:
        """Tell whether there is a secret at all."""
        return bool(self.auth_token or self.shared_keys)

    def of(self, scheme: Scheme) -> str | None:
        """Return a scheme's secret: SHA-1 goes with the auth token, SHA-256 with a shared key, never across."""
        if scheme.algorithm == "HMAC_SHA256":
            return self.shared_keys.get(scheme.key_id or "")
        return self.auth_token if scheme.algorithm == "HMAC_SHA1" else None


def scheme_named_in(header: str | None) -> Scheme:
    """Read `key=…,algorithm=…`; without the header, or without an algorithm in it, it is SHA-1."""
    parts = dict(part.strip().split("=", 1) for part in (header or "").split(",") if "=" in part)
    return Scheme((parts.get("algorithm") or "HMAC_SHA1").strip().upper(), parts.get("key"))


def signature_of(secret: str, url: str, params: Params, algorithm: str) -> str:
    """Sign a URL and its form parameters, which are sorted, each name and value once."""
    text = url + "".join(name + value for name, value in sorted(set(params)))
    mac = hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), _HASHES[algorithm])
    return base64.b64encode(mac.digest()).decode()


def is_genuine(secrets: Secrets, url: str, params: Params, headers: Mapping[str, str]) -> bool:
    """Tell whether whoever holds one of the secrets sent this; unknown algorithms and keys are refused."""
    scheme = scheme_named_in(headers.get(SIGNATURE_SETTINGS))
    secret = secrets.of(scheme)
    if not secret:
        return False
    given = headers.get(SIGNATURE, "").encode()
    pairs = list(params)
    expected = [signature_of(secret, spelled, pairs, scheme.algorithm) for spelled in _spellings(url)]
    return any(hmac.compare_digest(given, signature.encode()) for signature in expected)


def _spellings(url: str) -> tuple[str, str]:
    """Return the URL with and without its port: Twilio signs now one, now the other."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = host[: -len(f":{parts.port}")] if parts.port else host
    port = parts.port or _PORTS.get(parts.scheme, 443)
    return _at(parts, bare), _at(parts, f"{bare}:{port}")


def _at(parts: SplitResult, host: str) -> str:
    """Spell the URL at another host, whoever logs in there."""
    login, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}{at}{host}").geturl()
