"""Who has logged in: an assertion that the company signed, or a proof that its hook says is good."""

from __future__ import annotations

import hmac
import ssl
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, import_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctxhub.client import Hook, HookFailed, SignedHooks
from ctxhub_app.refusals import LoginRefused, LoginUnavailable
from ctxhub_app.settings import LoginChannel

#: An assertion is made for one login; one that lives longer is more likely stolen than slow.
LONGEST_LIFE = 600
_LEEWAY = 30
#: Which algorithms count depends on the key alone, never on what an assertion says of itself.
_BY_SECRET = ("HS256", "HS384", "HS512")
_BY_PUBLIC_KEY: dict[type, tuple[str, ...]] = {
    ECKey: ("ES256", "ES384"),
    OKPKey: ("EdDSA", "Ed25519"),
    RSAKey: ("RS256", "PS256"),
}

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
        except ValidationError as error:
            why = f"a claim is not as agreed: {error.errors()[0]['loc'][0]}"
        except JoseError as error:
            why = error.description or error.error
        except ValueError:
            why = "a key can't be used as it is set, or it is no assertion"
    raise LoginRefused(f"the assertion does not hold: {why}")


def _decoded(assertion: str, key: str, login: LoginChannel) -> dict[str, Any]:
    """Check signature, times, issuer and audience; return the claims."""
    claims = _signed_with(assertion, key)
    wanted: dict[str, Any] = {name: {"essential": True} for name in ("exp", "iat")}
    wanted |= {"sub": {"essential": True, "allow_blank": True}, "aud": {"essential": True, "value": login.audience}}
    wanted |= {"iss": {"essential": True, "value": login.issuer}} if login.issuer else {}
    jwt.JWTClaimsRegistry(leeway=_LEEWAY, **wanted).validate(claims)
    return claims


def _signed_with(assertion: str, key: str) -> dict[str, Any]:
    """Return what was signed with a key: a secret, or a public key in PEM, which is never taken for a secret."""
    if not key.lstrip().startswith("-----BEGIN"):
        return jwt.decode(assertion, OctKey.import_key(key), algorithms=_BY_SECRET).claims
    with warnings.catch_warnings():
        # `EdDSA` has newer names, which few companies use; which kind of key a PEM holds is looked at just below.
        warnings.simplefilter("ignore", SecurityWarning)
        public = import_key(key.strip())
        if type(public) not in _BY_PUBLIC_KEY:
            raise ValueError("no public key")
        return jwt.decode(assertion, public, algorithms=_BY_PUBLIC_KEY[type(public)]).claims


@dataclass(frozen=True)
class Logins:
    """Asks the company's hooks; `now` gives the time in seconds."""

    deadline: float
    now: Callable[[], float]
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def check(self, hook: Hook, mark: str, proof: Mapping[str, Any], visit: str, login: LoginChannel) -> Proven:
        """Return whom a proof proves; `LoginRefused` for a bad one, `LoginUnavailable` where nobody can tell."""
        hooks = SignedHooks(self.deadline, self.now, self.tls)
        try:
            answer = await hooks.post(hook, mark, {"proof": dict(proof), "visit": visit})
        except HookFailed as error:
            raise LoginUnavailable(f"login: {error}") from None
        try:
            said = _HookAnswer.model_validate_json(answer.content)
        except ValidationError:
            # The cause is dropped: it would repeat what the other side sent, which may hold the proof.
            raise LoginUnavailable("the login hook's answer is not as agreed") from None
        if not said.ok or said.customer_id is None:
            raise LoginRefused("the company says that the proof does not hold")
        return Proven(said.customer_id, said.level, "login", login.lasts, mark)
