"""Bearer tokens (JWT, RFC 9068) of one issuer: whoever holds one is a principal, like the holder of a key.

A token is read strictly before anything is computed: three parts, at most 8 KiB, a header of `alg`, `kid` and `typ`
alone. So it can neither bring its own key (`jwk`, `jku`, `x5u`) nor ask for what we don't know (`crit`). Which
algorithms count is set, never said by the token, and all of them are asymmetric.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import structlog
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from ctxhub.errors import Unauthenticated, Unavailable, Unknown
from ctxhub.hub.keys import Principal, Warrant
from ctxhub.hub.tenants import Tenants
from ctxhub.model.scope import SCOPES
from ctxhub.settings import Settings

log = structlog.get_logger()

LEEWAY = 30
COOLDOWN = 30.0
FRESH_FOR = 600.0
KEPT_FOR = 60.0
LONGEST_READ = 2.0
_MOST_KEPT = 10_000
_LONGEST = 8192
_LONGEST_SET = 256 * 1024
_HEADER = {"alg", "kid", "typ", "x5t", "x5t#S256"}
_TYPES = ("at+jwt", "application/at+jwt")
_KINDS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_SHORTEST_RSA = 2048
_REMEDY = "the token is not valid"
_ODD = (ValueError, KeyError, TypeError, AttributeError, RecursionError, JoseError)
_NOT_READ = (httpx.HTTPError, OSError, *_ODD)

Key = RSAKey | ECKey | OKPKey
Clock = Callable[[], float]


class Issuer(NamedTuple):
    """Whose tokens are taken, for whom, and how its claims are read."""

    name: str
    audience: str
    jwks: str
    algorithms: tuple[str, ...]
    claims: Mapping[str, str]
    roles: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the issuer of the settings, if one is set."""
        if not (settings.jwt_issuer and settings.jwt_audience and settings.jwt_jwks):
            return None
        algorithms = tuple(settings.jwt_algorithms.split(","))
        named = (settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks)
        return cls(*named, algorithms, settings.jwt_claims, settings.jwt_roles)


class PublicKeys:
    """The issuer's public keys: read when needed, kept while fresh, and kept on while the issuer is away."""

    def __init__(self, where: str, clock: Clock = time.monotonic) -> None:
        self._where = where
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._tried = -COOLDOWN
        self._read = -FRESH_FOR
        self._one_at_a_time = asyncio.Lock()

    async def find(self, kid: str) -> Key | None:
        """Return a key by its id; an unknown one lets the set be read anew, but once per cooldown only."""
        if kid not in self._keys or self._clock() - self._read >= FRESH_FOR:
            async with self._one_at_a_time:
                await self._refresh()
        if not self._keys:
            raise Unavailable("the keys of the tokens' issuer can't be read")
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        """Read the set unless it was tried just now; on failure the last good one stays."""
        if self._clock() - self._tried < COOLDOWN:
            return
        self._tried = self._clock()
        try:
            async with asyncio.timeout(LONGEST_READ):  # a client's own limits are for each part that comes
                found = await self._fetched()
            self._keys = _usable(json.loads(found))
            self._read = self._clock()
        except _NOT_READ as error:
            log.warning("jwks.not_read", where=self._where, reason=type(error).__name__, kept=len(self._keys))

    async def _fetched(self) -> bytes:
        """Return the set as it is served, or as it stands in a file; no redirect is followed."""
        if not self._where.startswith(("https://", "http://")):
            return await asyncio.to_thread(Path(self._where).read_bytes)
        async with (
            httpx.AsyncClient(timeout=LONGEST_READ, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", self._where) as answer,
        ):
            answer.raise_for_status()
            found = b""
            async for part in answer.aiter_bytes():
                found += part
                if len(found) > _LONGEST_SET:
                    raise ValueError("the key set is too long")
        return found


def _usable(found: dict[str, Any]) -> dict[str, Key]:
    """Return the public keys of a set that may check signatures, by their ids."""
    fit = [described for described in found["keys"] if _is_fit(described)]
    return {described["kid"]: _KINDS[described["kty"]].import_key(_public(described)) for described in fit}


def _is_fit(described: dict[str, Any]) -> bool:
    """Tell whether a key of a set has an id, is asymmetric, long enough, and meant for signatures."""
    signs = described.get("kty") in _KINDS and described.get("use", "sig") == "sig"
    return signs and bool(described.get("kid")) and len(described.get("n", "n" * 342)) * 6 >= _SHORTEST_RSA


def _public(described: dict[str, Any]) -> dict[str, Any]:
    """Return a key without what only the issuer should have."""
    return {name: part for name, part in described.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}


class _Verified(NamedTuple):
    """A token that was found to hold: whose it is, until when that is remembered, and when the token is over."""

    principal: Principal
    kept_until: float
    ends: float


class Tokens:
    """Tells who a token belongs to; what was verified is remembered for a minute, but never past its end."""

    def __init__(self, issuer: Issuer, tenants: Tenants, clock: Clock = time.monotonic, now: Clock = time.time) -> None:
        self._issuer = issuer
        self._tenants = tenants
        self._keys = PublicKeys(issuer.jwks, clock)
        self._now = now
        self._verified: dict[bytes, _Verified] = {}

    async def principal(self, token: str) -> Principal:
        """Return whose token it is; `Unauthenticated` for one that does not hold, whatever is wrong with it."""
        return (await self._found(token)).principal

    async def warrant(self, token: str) -> Warrant:
        """Return by what a token's holder can be looked at again: until it is over, with the leeway for clocks."""
        return Warrant(until=datetime.fromtimestamp((await self._found(token)).ends, UTC))

    async def _found(self, token: str) -> _Verified:
        """Return a token as it was verified, now or just before."""
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(mark)
        if known is not None and self._now() < known.kept_until:
            return known
        claims = await self._claims(token)
        kept_until, ends = min(claims["exp"], self._now() + KEPT_FOR), claims["exp"] + LEEWAY
        verified = _Verified(self._principal(claims), kept_until, ends)
        if len(self._verified) >= _MOST_KEPT:
            self._verified.clear()
        self._verified[mark] = verified
        return verified

    async def _claims(self, token: str) -> dict[str, Any]:
        """Return what a token says, once its signature, times, issuer and audience hold."""
        header = _header(token)
        if header["alg"] not in self._issuer.algorithms or header["typ"].lower() not in _TYPES:
            raise Unauthenticated(_REMEDY)
        key = await self._keys.find(header["kid"])
        if key is None or key.get("alg", header["alg"]) != header["alg"]:
            raise Unauthenticated(_REMEDY)
        try:
            claims = _object(_signed(token, key, header["alg"]))
            self._checked(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated(_REMEDY) from error
        return claims

    def _checked(self, claims: dict[str, Any]) -> None:
        """Refuse claims that lack something, have lapsed, are not yet good, or are meant for somebody else."""
        registry = JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._issuer.name},
            aud={"essential": True, "value": self._issuer.audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        registry.validate(claims)
        numbers = (claims["exp"], claims["iat"], claims.get("nbf", 0))
        if not all(type(number) in (int, float) and abs(number) < 1e12 for number in numbers):
            raise ValueError("a time is no number")

    def _principal(self, claims: dict[str, Any]) -> Principal:
        """Return who the claims say that it is; an agent is bound to its subject."""
        named = self._issuer.claims
        role = self._role(claims.get(named["role"]))
        try:
            tenant = str(claims[named["tenant"]])
            self._tenants.declared(tenant)
            return Principal(
                tenant=tenant,
                name=f"token:{claims['sub']}",
                role=role,
                agent=claims["sub"] if role == "agent" else None,
                queues=_texts(claims.get(named["queues"])),
                skills=_texts(claims.get(named["skills"])),
                scopes=_scopes(claims),
            )
        except (Unknown, ValueError, KeyError) as error:
            raise Unauthenticated(_REMEDY) from error

    def _role(self, said: object) -> Any:
        """Return the one role of ours that a token names; with several nobody could tell what it may do."""
        found = {self._issuer.roles[name] for name in _texts(said) if name in self._issuer.roles}
        if len(found) != 1:
            raise Unauthenticated("the token names no role, or several")
        return found.pop()


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """Return what a token is narrowed to; one that is meant for other scopes than ours is not one for everything."""
    if "scope" not in claims:
        return frozenset()
    ours = _texts(claims["scope"]) & set(SCOPES)
    if not ours:
        raise Unauthenticated("the token names scopes, but none of the hub's")
    return ours


def is_token(key: str) -> bool:
    """Tell whether what a caller brings looks like a JWT, which begins with the `{` of its header."""
    return key.startswith("ey")


def _header(token: str) -> dict[str, str]:
    """Return a token's header, with nothing in it that we don't know."""
    parts = token.split(".")
    try:
        if len(token) > _LONGEST or len(parts) != 3 or not token.isascii():
            raise ValueError("that is no token")
        padded = parts[0] + "=" * (-len(parts[0]) % 4)
        header = _object(base64.b64decode(padded, altchars="-_", validate=True))
        if not header.keys() <= _HEADER or not all(isinstance(part, str) for part in header.values()):
            raise ValueError("the header holds what it should not")
        return {name: header[name] for name in ("alg", "kid", "typ")}
    except (ValueError, KeyError, RecursionError) as error:
        raise Unauthenticated(_REMEDY) from error


def _object(content: bytes) -> dict[str, Any]:
    """Return a JSON object in which no name stands twice."""
    found = json.loads(content, object_pairs_hook=_each_once)
    if not isinstance(found, dict):
        raise ValueError("that is no object")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its pairs; two readers could understand two different things of a name given twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _signed(token: str, key: Key, algorithm: str) -> bytes:
    """Return what a token carries, if the key has signed it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # `EdDSA` has newer names, which few issuers use
        return bytes(jws.deserialize_compact(token, key, algorithms=[algorithm]).payload)


def _texts(said: object) -> frozenset[str]:
    """Return the texts of a claim: a list, or one text with spaces between."""
    found = said.split() if isinstance(said, str) else said
    return frozenset(text for text in found if isinstance(text, str)) if isinstance(found, list) else frozenset()
