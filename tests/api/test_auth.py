"""Bearer tokens: whoever's holds is let in as what it says, and 5,000 that do not hold are refused alike."""

from __future__ import annotations

import base64
import hmac
import json
import os
import random
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ctxhub.api.auth import COOLDOWN, FRESH_FOR, KEPT_FOR, LEEWAY, Issuer, PublicKeys, Tokens
from ctxhub.api.problems import MAX_HEADER_BYTES
from ctxhub.errors import Unauthenticated, Unavailable
from ctxhub.hub.tenants import Tenants
from ctxhub.store.embedded import EmbeddedServer
from tests.api.following import following
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, accept, known, ok, problem

ATTACKS = int(os.environ.get("CTXHUB_ATTACK_TOKENS", "5000"))
ISSUER, AUDIENCE = "https://login.example.com", "https://ctx.example.com"
RSA, STRANGER = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
EC, ED = ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")
KIDS: dict[str, tuple[str, Any]] = {"rsa": ("RS256", RSA), "ec": ("ES256", EC), "ed": ("EdDSA", ED)}
PUBLIC = {"keys": [key.as_dict(private=False) | {"kid": kid, "use": "sig"} for kid, (_, key) in KIDS.items()]}

Claims = dict[str, Any]


def claims(**more: Any) -> Claims:
    """What a good token says, unless told otherwise; what is None is left out."""
    now = int(time.time())
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "client_id": "desk", "iat": now, "exp": now + 300,
        "jti": os.urandom(6).hex(), "tenant": "default", "roles": ["agent"],
    }  # fmt: skip
    return {name: value for name, value in (good | more).items() if value is not None}


def part(content: Any) -> str:
    """One part of a token."""
    spelt = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(spelt).rstrip(b"=").decode()


def signed(said: Any, kid: str | None = "rsa", key: Any = None, **header: Any) -> str:
    """A token signed by one of the issuer's keys, or by another."""
    algorithm, own = KIDS.get(kid or "", ("RS256", RSA))
    whole = {"alg": algorithm, "typ": "at+jwt", "kid": kid} | header
    whole = {name: value for name, value in whole.items() if value is not None}
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    text = f"{part(whole)}.{part(content)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        model = jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)
        return f"{text}.{part(model.sign(text.encode(), key or own))}"


def by_secret(secret: bytes, **header: Any) -> str:
    """A token that takes the issuer's public key for a shared secret."""
    text = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'rsa'} | header)}.{part(claims())}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


def unsigned(algorithm: Any, random_: random.Random) -> str:
    """A token that says that it needs no signature."""
    return f"{part({'alg': algorithm, 'typ': 'at+jwt', 'kid': 'rsa'})}.{part(claims())}.{random_.choice(['', 'AA'])}"


def flipped(random_: random.Random) -> str:
    """A good token of which one bit is not."""
    head, body, seal = signed(claims(), random_.choice(list(KIDS))).split(".")
    parts = [bytearray(base64.urlsafe_b64decode(text + "==")) for text in (head, body, seal)]
    which = random_.randrange(3)
    parts[which][random_.randrange(len(parts[which]))] ^= 1 << random_.randrange(8)
    return ".".join(part(bytes(content)) for content in parts)


def truncated(random_: random.Random) -> str:
    """A good token of which the end is missing."""
    token = signed(claims())
    return token[: random_.randrange(4, len(token) - 2)]


def at(seconds: int) -> float:
    """The present time and some seconds."""
    return time.time() + seconds


MALFORMED: tuple[Callable[[random.Random], str], ...] = (
    lambda r: "ey" + "".join(chr(r.randrange(33, 127)) for _ in range(r.randrange(300))),
    lambda r: "ey" + "." * r.randrange(1, 6),
    lambda r: signed(claims()) + "." + part(b"more"),
    lambda r: signed(claims()) + "=" * r.randrange(1, 3),
    lambda r: signed(b'{"a":' * r.randrange(1000, 1500)),
    lambda r: signed(b"[" * 1000 + b"]" * 1000),
    lambda r: signed(r.choice([b"null", b"[]", b"5", b'"a"', b"", b"\xff", b"{", b'{"exp": 1e999}'])),
    lambda r: signed(claims(more="x" * r.randrange(6000, 60_000))),
    lambda r: part(signed(claims()).encode()) + "." + part(claims()) + ".AA",
    lambda r: signed(signed(claims()).encode(), cty="JWT"),
)
FORGED: tuple[Callable[[random.Random], str], ...] = (
    lambda r: unsigned(r.choice(["none", "None", "NONE", "nOnE", "", None, 0, [], {}]), r),
    lambda r: by_secret(RSA.as_pem(private=False), alg=r.choice(["HS256", "HS384", "HS512"])),
    lambda r: by_secret(json.dumps(RSA.as_dict(private=False)).encode()),
    lambda r: by_secret(r.choice([b"", b"secret", b"\0" * 32])),
    lambda r: signed(claims(), key=STRANGER),
    lambda r: signed(claims(), kid=r.choice(["", "../rsa", "rsa\0", "ec ", "RSA", "x" * 300, os.urandom(4).hex()])),
    lambda r: signed(claims(), kid="ec", alg="RS256"),
    lambda r: signed(claims(), alg=r.choice(["ES256", "EdDSA", "RS512", "RSA-OAEP", "dir"])),
    lambda r: signed(claims(), kid=None),
    lambda r: signed(claims(), key=STRANGER, jwk=STRANGER.as_dict(private=False)),
    lambda r: signed(claims(), jku="https://evil.example.com/jwks"),
    lambda r: signed(claims(), x5u="https://evil.example.com/cert", x5c=["AA"]),
    lambda r: signed(claims(), crit=r.choice([["exp"], ["b64"], [], ["x"]]), b64=r.choice([True, False])),
    lambda r: signed(claims(), zip="DEF"),
    lambda r: signed(claims(), typ=r.choice(["JWT", "", None, "id+jwt", "logout+jwt", "at+jwt ", "dpop+jwt"])),
    flipped,
    truncated,
)  # fmt: skip
MISTAKEN: tuple[Callable[[random.Random], str], ...] = (
    lambda r: signed(claims(exp=at(-r.randrange(120, 10_000)))),
    lambda r: signed(claims(exp=r.choice([None, "never", -1, [], True, {}, "9999999999"]))),
    lambda r: signed(claims(nbf=at(r.randrange(600, 10_000)))),
    lambda r: signed(claims(iat=r.choice([at(6000), None, "now", {}]))),
    lambda r: signed(claims(iss=r.choice([None, "", ISSUER + "/", ISSUER.upper(), [ISSUER], "https://evil"]))),
    lambda r: signed(claims(aud=r.choice([None, "", [], AUDIENCE + ".evil", ["https://other"], {"a": 1}, 5]))),
    lambda r: signed(claims(sub=r.choice([None, "", "a\0b", "x" * 300, 5, ["ann"]]))),
    lambda r: signed(claims(tenant=r.choice([None, "", "nobody", "../other", ["other"], "DEFAULT", 5, {}]))),
    lambda r: signed(claims(roles=r.choice([None, [], "root", ["Admin"], ["agent", "admin"], 5, {"agent": 1}]))),
    lambda r: signed(json.dumps(claims()).encode()[:-1] + b', "sub": "root"}'),
    lambda r: signed(json.dumps(claims()).encode()[:-1] + b', "exp": 99999999999, "exp": 99999999999}'),
)
ATTACKERS = MALFORMED + FORGED + MISTAKEN


class Stage(NamedTuple):
    """A hub that takes tokens, a caller of each role by key, and the way there."""

    http: httpx.AsyncClient
    callers: Callers


@pytest.fixture(scope="module")
async def stage(api_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A hub that takes the tokens of an issuer, whose keys stand in a file."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "jwks.json").write_text(json.dumps(PUBLIC), encoding="utf-8")
    more = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks": str(folder / "jwks.json")}
    async with living(settings_for(folder, api_server.url, **more)) as app, http_to(app) as http:
        callers = Callers(http)
        callers.adapter = callers.admin
        yield Stage(http, callers)


def attacks(seed: int) -> Iterator[str]:
    """Tokens that do not hold, of every kind in turn."""
    random_ = random.Random(seed)
    for number in range(ATTACKS):
        yield ATTACKERS[number % len(ATTACKERS)](random_)


async def test_5000_tokens_that_do_not_hold_are_refused_alike_and_good_ones_among_them_are_not(stage: Stage) -> None:
    answers = set()
    for number, token in enumerate(attacks(20261128)):
        response = await stage.http.get("/v1/tenant", headers={b"Authorization": b"Bearer " + token.encode()})
        if len(token) > MAX_HEADER_BYTES:
            problem(response, 431, "headers_too_large")
            continue
        assert response.status_code == 401, (number % len(ATTACKERS), token)
        answers.add(tuple(problem(response, 401, "unauthenticated").items()))
        if number % 100 == 0:
            good = signed(claims(sub=f"agent {number}"), list(KIDS)[number // 100 % 3])
            ok(await Caller(stage.http, good).get("/v1/tenant"))
    assert {dict(answer)["detail"] for answer in answers} <= {
        "the token is not valid", "the token names no role, or several", "the key is not valid",
        "the request brings no key",
    }  # fmt: skip


@pytest.mark.parametrize("kid", KIDS)
async def test_a_token_of_each_kind_of_key_is_taken(stage: Stage, kid: str) -> None:
    assert ok(await Caller(stage.http, signed(claims(), kid)).get("/v1/tenant"))["tenant"] == "default"


async def test_an_agents_token_speaks_for_its_subject_alone(stage: Stage) -> None:
    handoff_id = (await (await known(stage.callers.admin)).offer({"queue": "billing"}))["handoff_id"]
    ann = Caller(stage.http, signed(claims()))
    problem(await ann.post(f"/v1/handoffs/{handoff_id}/accept", {"agent_id": "bob"}), 403, "forbidden")
    await accept(ann, handoff_id, "ann")


async def test_a_token_for_some_queues_reaches_no_other(stage: Stage) -> None:
    ann = Caller(stage.http, signed(claims(queues=["billing"])))
    mine = (await (await known(stage.callers.admin)).offer({"queue": "billing"}))["handoff_id"]
    scene = await known(stage.callers.admin)
    other = (await scene.offer({"queue": "cards"}))["handoff_id"]
    ok(await ann.get("/v1/queues/billing"))
    ok(await ann.get("/v1/handoffs", queue="billing"))
    tries = [
        await ann.get("/v1/queues/cards"), await ann.get("/v1/handoffs", queue="cards"),
        await ann.get("/v1/queues/cards/stream"), await ann.get(f"/v1/handoffs/{other}"),
        await ann.post(f"/v1/handoffs/{other}/accept", {"agent_id": "ann"}),
        await ann.post(f"/v1/handoffs/{other}/decline", {"agent_id": "ann", "reason": "a"}),
        *[await ann.get(f"{scene.base}/{read}") for read in ("context", "timeline", "brief", "stream")],
        await Scene(ann, scene.started).try_tell(scene.event("note.added", {"text": "seen"})),
    ]  # fmt: skip
    for response in tries:
        problem(response, 403, "forbidden")
    await accept(ann, mine, "ann")


async def test_the_tenant_is_the_tokens_and_what_is_anothers_is_not_there(stage: Stage) -> None:
    scene = await known(stage.callers.admin)
    stranger = Caller(stage.http, signed(claims(tenant="other", roles="supervisor")))
    assert ok(await stranger.get("/v1/tenant"))["tenant"] == "other"
    problem(await stranger.get(f"{scene.base}/context"), 404, "customer_unknown")


async def test_a_scope_of_ours_narrows_a_token(stage: Stage) -> None:
    narrow = Caller(stage.http, signed(claims(roles="supervisor", scope="openid numbers")))
    ok(await narrow.get("/v1/numbers"))
    problem(await narrow.get("/v1/tenant"), 403, "forbidden")


@pytest.mark.parametrize(
    "scope", ["openid profile", "", " ", "number", "NUMBERS", [], ["openid"], {}, 5, False], ids=str
)
async def test_a_token_whose_scopes_are_none_of_ours_opens_nothing(stage: Stage, scope: Any) -> None:
    foreign = Caller(stage.http, signed(claims(roles="supervisor", scope=scope)))
    for path in ("/v1/numbers", "/v1/tenant"):
        assert "scopes" in problem(await foreign.get(path), 401, "unauthenticated")["detail"]
    ticket = await foreign.post("/v1/tickets", {"for": "/v1/queues/cards/stream"})
    problem(ticket, 401, "unauthenticated")


async def test_a_token_that_says_nothing_of_scopes_may_what_its_role_may(stage: Stage) -> None:
    plain = Caller(stage.http, signed(claims(roles="supervisor")))
    ok(await plain.get("/v1/numbers"))
    ok(await plain.get("/v1/tenant"))


class Times:
    """A clock for keys and tokens that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def tokens_of(where: Path, times: Times) -> Tokens:
    """What takes the issuer's tokens, by a file of keys."""
    roles = {"agent": "agent"}
    names = {"tenant": "tenant", "role": "roles", "queues": "queues", "skills": "skills"}
    issuer = Issuer(ISSUER, AUDIENCE, str(where), ("RS256", "ES256", "EdDSA"), names, roles)
    return Tokens(issuer, Tenants(None), times, times)


async def test_a_token_is_good_30_seconds_past_its_end_for_clocks_that_differ_and_no_longer(tmp_path: Path) -> None:
    (tmp_path / "jwks").write_text(json.dumps(PUBLIC), encoding="utf-8")
    times = Times()
    token = signed(claims(exp=int(times.now) + 10))
    tokens = tokens_of(tmp_path / "jwks", times)
    await tokens.principal(token)
    times.now += 39
    await tokens.principal(token)
    times.now += 3
    with pytest.raises(Unauthenticated):
        await tokens.principal(token)


async def test_what_is_opened_by_a_token_lasts_as_long_as_the_token(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "jwks").write_text(json.dumps(PUBLIC), encoding="utf-8")
    times = Times()
    ends = int(times.now) + 10
    warrant = await tokens_of(tmp_path / "jwks", times).warrant(signed(claims(exp=ends)))
    assert warrant.until is not None
    assert warrant.until.timestamp() == ends + LEEWAY
    async with following(Caller(stage.http, signed(claims(exp=at(1 - LEEWAY)))), "/v1/agents/ann/stream") as stream:
        assert (await stream.until("bye")).data["code"] == "unauthenticated"


async def test_a_key_that_the_issuer_takes_back_opens_nothing_once_its_time_is_over(tmp_path: Path) -> None:
    where = tmp_path / "jwks"
    where.write_text(json.dumps(PUBLIC), encoding="utf-8")
    times = Times()
    tokens, token = tokens_of(where, times), signed(claims(exp=int(times.now) + 10_000), "ec")
    await tokens.principal(token)
    where.write_text(json.dumps({"keys": PUBLIC["keys"][:1]}), encoding="utf-8")
    times.now += max(FRESH_FOR, KEPT_FOR) + 1
    with pytest.raises(Unauthenticated):
        await tokens.principal(token)


async def test_unknown_key_ids_read_the_set_once_a_cooldown_and_the_last_good_one_is_kept(tmp_path: Path) -> None:
    where, times = tmp_path / "jwks", Times()
    keys = PublicKeys(str(where), times)
    with pytest.raises(Unavailable):
        await keys.find("rsa")
    where.write_text(json.dumps({"keys": PUBLIC["keys"][:1]}), encoding="utf-8")
    with pytest.raises(Unavailable):
        await keys.find("rsa")
    times.now += COOLDOWN
    assert await keys.find("rsa") is not None
    where.write_text(json.dumps(PUBLIC), encoding="utf-8")
    assert await keys.find("ec") is None
    times.now += COOLDOWN
    assert await keys.find("ec") is not None
    where.unlink()
    times.now += FRESH_FOR
    assert await keys.find("ec") is not None


async def test_keys_that_are_secret_short_or_for_something_else_are_not_used(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        short = RSAKey.generate_key(1024).as_dict(private=False)
    rsa = PUBLIC["keys"][0]
    odd = [short | {"kid": "short"}, {"kty": "oct", "k": "AAAA", "kid": "secret"}, rsa | {"kid": "enc", "use": "enc"}]
    (tmp_path / "jwks").write_text(json.dumps({"keys": [*odd, rsa]}), encoding="utf-8")
    keys = PublicKeys(str(tmp_path / "jwks"), Times())
    assert [await keys.find(kid) is not None for kid in ("short", "secret", "enc", "rsa")] == [
        False,
        False,
        False,
        True,
    ]
