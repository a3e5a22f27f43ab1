"""Who has logged in: an assertion that the company signed, or a proof that its hook says is good."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

import httpx
import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctxhub_app.refusals import LoginRefused, LoginUnavailable
from ctxhub_app.settings import Hook, LoginChannel

#: An assertion is made for one login; one that lives longer is more likely stolen than slow.
LONGEST_LIFE = 600
_LEEWAY = 30
_BY_SECRET = ["HS256", "HS384", "HS512"]
_BY_PUBLIC_KEY = ["ES256", "ES384", "EdDSA", "RS256", "PS256"]
_NEEDED = ["exp", "iat", "aud", "sub"]

CustomerId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._@-]{1,128}$")]
Level = Annotated[int, Field(ge=2, le=3)]


class Proven(NamedTuple):
    """A customer who has just logged in: who, how surely, for how long; `mark` is the same for the same proof."""

    customer_id: str
    level: int
    method: str
    lasts: int
    mark: str


class _Claims(BaseModel):
    """What an assertion says; a `nonce`, where there is one, binds it to a visit."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    sub: CustomerId
    iat: int | float
    exp: int | float
    level: Level = 2
    nonce: str | None = None


class _HookAnswer(BaseModel):
    """What the company says about a proof."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    ok: bool
    customer_id: CustomerId | None = None
    level: Level = 2


def read_assertion(assertion: str, keys: Sequence[str], login: LoginChannel, visit: str) -> Proven:
    """Return whom a signed assertion names; `LoginRefused` for one that is forged, lapsed, or for somebody else."""
    claims = _claims(assertion, keys, login)
    if claims.exp - claims.iat > LONGEST_LIFE:
        raise LoginRefused(f"an assertion lives at most {LONGEST_LIFE} seconds")
    if claims.nonce is not None and not hmac.compare_digest(claims.nonce.encode(), visit.encode()):
        raise LoginRefused("the assertion is for another visit")
    return Proven(claims.sub, claims.level, "login", login.lasts, sha256(assertion.encode()).hexdigest()[:24])


def _claims(assertion: str, keys: Sequence[str], login: LoginChannel) -> _Claims:
    """Return what an assertion says, by whichever key it was signed with."""
    why = "no key is set to check assertions with"
    for key in keys:
        try:
            return _Claims.model_validate(_decoded(assertion, key, login))
        except jwt.InvalidTokenError as error:
            why = str(error) or type(error).__name__
        except ValidationError as error:
            why = f"a claim is not as agreed: {error.errors()[0]['loc'][0]}"
        except jwt.PyJWTError:
            why = "a key can't be used as it is set"
    raise LoginRefused(f"the assertion does not hold: {why}")


def _decoded(assertion: str, key: str, login: LoginChannel) -> dict[str, Any]:
    """Check signature, times and audience; which algorithms count depends on the key, never on the assertion."""
    algorithms = _BY_PUBLIC_KEY if key.lstrip().startswith("-----BEGIN") else _BY_SECRET
    options: Any = {"require": _NEEDED + (["iss"] if login.issuer else [])}
    claims: dict[str, Any] = jwt.decode(
        assertion, key, algorithms, options, audience=login.audience, issuer=login.issuer, leeway=_LEEWAY
    )
    return claims


@dataclass(frozen=True)
class Logins:
    """Asks the company's hooks; `now` gives the time in seconds."""

    deadline: float
    now: Callable[[], float]
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def check(self, hook: Hook, mark: str, proof: Mapping[str, Any], visit: str, login: LoginChannel) -> Proven:
        """Return whom a proof proves; `LoginRefused` for a bad one, `LoginUnavailable` where nobody can tell."""
        answer = await self._post(hook, mark, {"proof": dict(proof), "visit": visit})
        try:
            said = _HookAnswer.model_validate_json(answer.content)
        except ValidationError:
            # The cause is dropped: it would repeat what the other side sent, which may hold the proof.
            raise LoginUnavailable("the login hook's answer is not as agreed") from None
        if not said.ok or said.customer_id is None:
            raise LoginRefused("the company says that the proof does not hold")
        return Proven(said.customer_id, said.level, "login", login.lasts, mark)

    async def _post(self, hook: Hook, message_id: str, payload: dict[str, Any]) -> httpx.Response:
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
        headers = signed_headers(hook.secret, message_id, int(self.now()), body)
        try:
            async with asyncio.timeout(self.deadline), httpx.AsyncClient(verify=self.tls) as client:
                answer = await client.post(hook.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise LoginUnavailable(f"the login hook can't be reached ({type(error).__name__})") from None
        if not answer.is_success:
            raise LoginUnavailable(f"the login hook answered {answer.status_code}")
        return answer


def signed_headers(secret: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Sign a body by Standard Webhooks; a proof that is sent again keeps its id."""
    mac = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, sha256)
    signature = f"v1,{base64.b64encode(mac.digest()).decode()}"
    named = {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    return {"content-type": "application/json"} | named
