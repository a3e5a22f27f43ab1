"""Who is let in, and under which declarations: bearer tokens and tenants' files."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ctxhub.api.auth import Issuer, Tokens
from ctxhub.hub.declarations import FaultyFile, read_tenant
from ctxhub.hub.keys import Principal
from ctxhub.hub.tenants import Tenants
from ctxhub.model.tenant import Tenant
from ctxhub.server import CHANNELS
from tests.fuzz.parser import driven
from tests.support import NOON

_OURS, _STRANGER = Ed25519PrivateKey.from_private_bytes(b"o" * 32), Ed25519PrivateKey.from_private_bytes(b"s" * 32)
_NOW = int(NOON.timestamp())
_ISSUER = Issuer(
    "https://login.example.com", "https://ctx.example.com", "", ("EdDSA", "ES256"),
    {"tenant": "tenant", "role": "roles", "queues": "queues", "skills": "skills"},
    {"agent": "agent", "boss": "supervisor", "root": "admin", "channel": "adapter"},
)  # fmt: skip
_CLAIMS: dict[str, Any] = {
    "iss": _ISSUER.name, "aud": _ISSUER.audience, "sub": "ann", "iat": _NOW, "exp": _NOW + 300, "tenant": "default",
    "roles": ["agent"], "queues": ["service"],
}  # fmt: skip
_HEADER = {"alg": "EdDSA", "typ": "at+jwt", "kid": "ours"}


def _part(content: bytes) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(part: str) -> bytes:
    """What a part of a token stands for."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@cache
def _folder() -> Path:
    """A folder that goes when this process ends."""
    _folder_held.append(tempfile.TemporaryDirectory(prefix="ctxhub-fuzz-"))
    return Path(_folder_held[0].name)


_folder_held: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _tokens() -> Tokens:
    """What tells tokens of our issuer, with its keys read already."""
    public = {"kty": "OKP", "crv": "Ed25519", "kid": "ours", "x": _part(_OURS.public_key().public_bytes_raw())}
    path = _folder() / "keys.json"
    path.write_text(json.dumps({"keys": [public]}))
    tokens = Tokens(_ISSUER._replace(jwks=str(path)), Tenants(None), clock=lambda: 0.0, now=lambda: float(_NOW))
    asyncio.run(tokens.principal(_signed(json.dumps(_HEADER).encode(), json.dumps(_CLAIMS).encode())))
    return tokens


def _signed(header: bytes, claims: bytes, key: Ed25519PrivateKey = _OURS) -> str:
    """A token of a header and claims, signed."""
    text = f"{_part(header)}.{_part(claims)}"
    return f"{text}.{_part(key.sign(text.encode()))}"


class LetIn(NamedTuple):
    """A token, and whom it let in."""

    token: str
    principal: Principal


def read_token(data: bytes) -> LetIn:
    """Read a token as it stands; behind `!` or `?` are a header and claims that are signed first, by us or a stranger.

    So what is fuzzed gets past the signature too.
    """
    token = data.decode("latin-1")
    if data[:1] in (b"!", b"?"):
        header, _, claims = data[1:].partition(b"\n")
        token = _signed(header, claims, _OURS if data[:1] == b"!" else _STRANGER)
    return LetIn(token, driven(_tokens().principal(token)))


def was_signed_by_us(let_in: LetIn) -> None:
    """See for ourselves that whoever was let in holds a token that the issuer has signed, and that is in time."""
    header, claims, signature = let_in.token.split(".")
    try:
        _OURS.public_key().verify(_bytes(signature), f"{header}.{claims}".encode())
    except InvalidSignature:
        raise AssertionError(f"nobody signed {let_in.token}") from None
    said = json.loads(_bytes(claims))
    assert json.loads(_bytes(header))["alg"] == "EdDSA"
    assert said["exp"] + 60 > _NOW
    assert said["iss"] == _ISSUER.name
    assert let_in.principal.tenant == said["tenant"] == "default"


def tokens() -> list[bytes]:
    """Return good tokens, forged ones, and what is signed on the way."""
    header, claims = json.dumps(_HEADER).encode(), json.dumps(_CLAIMS).encode()
    others: list[dict[str, Any]] = [
        {"scope": "x"}, {"scope": "events:write audit"}, {"exp": 1e400}, {"aud": [_ISSUER.audience]},
        {"roles": "boss root"}, {"tenant": ["default"]}, {"sub": 5}, {"nbf": _NOW + 9}, {"iat": True},
    ]  # fmt: skip
    none = f"{_part(json.dumps(_HEADER | {'alg': 'none'}).encode())}.{_part(claims)}."
    return [
        *(b"!" + header + b"\n" + json.dumps(_CLAIMS | more).encode() for more in others),
        b"?" + header + b"\n" + claims,
        b"!" + json.dumps(_HEADER | {"jwk": {}, "crit": ["b64"], "b64": False}).encode() + b"\n" + claims,
        _signed(header, claims).encode(),
        _signed(header, claims, _STRANGER).encode(),
        none.encode(),
        b"ey..",
    ]


def read_file(data: bytes) -> Tenant:
    """Read a tenant's file."""
    path = _folder() / "acme.yaml"
    path.write_bytes(data)
    return read_tenant(path, CHANNELS)


def can_be_used(tenant: Tenant) -> None:
    """See that what was declared can be shown, and asked what the hub asks of it."""
    assert json.loads(tenant.model_dump_json())["tenant"] == "acme"
    for queue in tenant.queues:
        tenant.is_open(queue, NOON)
        tenant.clock_of(queue)
    assert all(pattern.search("A-17 1234567890") is not pattern for pattern in tenant.formats)


def names_its_lines(refusal: FaultyFile) -> None:
    """See that a fault is told in a line of its own, with a remedy."""
    assert refusal.faults
    for fault in refusal.faults:
        assert fault.line >= 1
        assert fault.remedy
        assert fault.file == "acme.yaml"


def files() -> list[bytes]:
    """Return the files that are shipped, small ones, and bombs."""
    shipped = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "deploy/tenants").glob("*.yaml"))]
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    small = (
        "languages: [zh, en]\npolicies: {knowledge: 'off'}\n",
        'journeys:\n- kind: refund\n  steps: [{step: order, facts: [order_id], say: {en: "order"}}]\n  rest: 600\n',
        "calendars: {office: {timezone: Asia/Shanghai, holidays: CN, hours: {mon: ['09:00-18:00']}}}\n"
        "queues: {service: {hours: office, fallback: {queue: service}}}\n",
        "numbers: [{name: order, pattern: 'A-\\d{6}'}]\nidentifiers: {types: {phone: {most: 5}}, blocked: []}\n",
        "retention: {facts: 30}\nchannels: {app: {instrumented: true}}\n",
        "a: &a\n  <<: *a\n", "? [a]\n: 1\n", "- 2001-02-30\n", "x: !!python/object:os.system y\n", "\t- a",
        "a: 0o9_:1\n", "a: " + "[" * 200, bomb, "%YAML 9\n---\n...\n---\n",
    )  # fmt: skip
    return [*shipped, *(text.encode() for text in small)]
