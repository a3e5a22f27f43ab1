"""What the app's tests may ask for: a running hub, a company that checks logins, callers, apps, a browser."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from ctxhub.client import AssuranceClaim, ContextHub, Identifier, OfferRequest, Start, Target, told
from tests.conftest import Many
from tests.many import environ_of

ROOT = Path(__file__).parents[3]
KEY = "the-first-key-of-the-apps-tests"
SIGNED_WITH = "what the company signs its logins with"
FORMERLY = "what the company signed its logins with"
HOOK_SECRET = "what the hub signs its questions with"
PINS = {"c-anna": "1234", "c-bert": "9876"}
TENANT = """
languages: [en, zh]
journeys:
  - kind: card_blocked
    say: {en: A blocked card, zh: 银行卡被冻结}
    steps:
      - {step: details, facts: [country, card_last4], say: {en: your details, zh: 填写信息}}
      - {step: proof, facts: [id_number], say: {en: proof of identity, zh: 身份核验}}
      - {step: decision, say: {en: our decision, zh: 我们处理}}
  - kind: address_change
    say: {en: A new address, zh: 变更地址}
    steps:
      - {step: address, facts: [city, street]}
facts:
  country: {say: {en: country, zh: 国家}}
  card_last4: {say: {en: last four digits of your card, zh: 卡号后四位}}
  id_number: {sensitivity: sensitive, disclose_from: 3, say: {en: number of your identity card, zh: 身份证号}}
  city: {say: {en: city, zh: 城市}}
channels:
  app:
    title: {en: Far Away Bank, zh: 远方银行}
    queue: people
    dial: "+49 30 123456"
    deep_link: farbank://r/
    login: {key_envs: [APP_KEY, APP_KEY_BEFORE, APP_KEY_SHORT], audience: bank-app, hook: "HOOK",
            hook_secret_env: APP_HOOK_SECRET}
    apple: {app_ids: [ABCDE12345.com.faraway.bank]}
    android: [{package: com.faraway.bank, fingerprints: ["PRINT"]}]
"""
OTHER = """
languages: [zh]
channels:
  app:
    login: {key_envs: [APP_KEY], audience: other-app}
    apple: {app_ids: [ABCDE12345.com.other.app]}
    android: [{package: com.faraway.bank, fingerprints: ["OTHERPRINT"]}]
"""
PRINT = ":".join(["AB"] * 32)
OTHER_PRINT = ":".join(["0C"] * 32)


class Company:
    """The company's login hook: believes only what the hub signed, and knows everybody's PIN."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.marks: list[str] = []
        self.answer: bytes | None = None
        self.status = 200
        self.url = ""

    def take(self, headers: Any, body: bytes) -> tuple[int, bytes]:
        """Answer one question."""
        stamp, mark = headers["webhook-timestamp"], headers["webhook-id"]
        mac = hmac.new(HOOK_SECRET.encode(), f"{mark}.{stamp}.".encode() + body, sha256).digest()
        if headers["webhook-signature"] != f"v1,{base64.b64encode(mac).decode()}":
            return 401, b"{}"
        asked = json.loads(body)
        self.asked.append(asked)
        self.marks.append(mark)
        if self.answer is not None or self.status != 200:
            return self.status, self.answer or b"{}"
        account, pin = asked["proof"].get("account"), asked["proof"].get("pin")
        level = 3 if asked["proof"].get("code") == "000000" else 2
        good = account in PINS and PINS[account] == pin
        return 200, json.dumps({"ok": good, "customer_id": account if good else None, "level": level}).encode()


@pytest.fixture(scope="session")
def company_hook() -> Iterator[Company]:
    """The company's hook, listening."""
    company = Company()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer a question."""
            status, answer = company.take(self.headers, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        company.url = f"http://127.0.0.1:{server.server_port}/login"
        yield company
        server.shutdown()


@pytest.fixture
def hook(company_hook: Company) -> Company:
    """The company's hook, answering as it usually does."""
    company_hook.asked.clear()
    company_hook.marks.clear()
    company_hook.answer, company_hook.status = None, 200
    return company_hook


def environ() -> dict[str, str]:
    """What an operator sets beside the tenant's file."""
    return {
        "APP_KEY": SIGNED_WITH,
        "APP_KEY_BEFORE": FORMERLY,
        "APP_KEY_SHORT": "short",
        "APP_HOOK_SECRET": HOOK_SECRET,
    }


@pytest.fixture(scope="session")
def hub_url(many: Many, tmp_path_factory: pytest.TempPathFactory, company_hook: Company) -> Iterator[str]:
    """The address of a hub that was started as an operator would."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "tenants").mkdir()
    declared = TENANT.replace("HOOK", company_hook.url, 1).replace("PRINT", PRINT)
    (folder / "tenants" / "default.yaml").write_text(declared, encoding="utf-8")
    (folder / "tenants" / "other.yaml").write_text(OTHER.replace("OTHERPRINT", OTHER_PRINT), encoding="utf-8")
    ours = {"CTXHUB_ADMIN_KEY": KEY, "CTXHUB_DURABILITY": "fast", "CTXHUB_TENANTS": str(folder / "tenants")}
    command = ["ctxhub", "serve", "--port", "0", "--data", str(folder / "data")]
    with running(command, ours | environ() | environ_of(many()), folder / "log") as (process, url):
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "Traceback" not in (folder / "log").read_text()


@contextmanager
def running(module: list[str], ours: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a module until it says that it is ready; it is gone afterwards, whatever happens."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=os.environ | {"PYTHONPATH": path} | ours,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        ready = re.search(r"ready (http://\S+)", process.stdout.readline())
        assert ready, log.read_text()
        yield process, ready[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
async def company(hub_url: str) -> AsyncIterator[ContextHub]:
    """The company's own systems: telephone menu and desks, as the hub knows them."""
    async with ContextHub(hub_url, KEY) as hub:
        yield hub


def assertion(customer_id: str, key: str = SIGNED_WITH, **claims: Any) -> str:
    """What the company signs when somebody logs in; a claim of None is left out."""
    now = int(time.time())
    usual = {"sub": customer_id, "aud": "bank-app", "iat": now, "exp": now + 300}
    kept = {k: v for k, v in (usual | claims).items() if v is not None}
    return jwt.encode({"alg": "HS256"}, kept, OctKey.import_key(key))


class App:
    """What an app does: logs in, posts, and keeps the newest session; without a person's eyes."""

    def __init__(self, http: httpx.AsyncClient, tenant: str = "default") -> None:
        self.http = http
        self.at = f"/app/{tenant}/"
        self.visit = secrets.token_urlsafe(18)
        self.session = ""
        self._sent = 0

    async def open(self, customer_id: str | None = None, **body: Any) -> dict[str, Any]:
        """Begin the visit, or come back to it."""
        return self.kept(await self.opening(customer_id, **body))

    async def opening(self, customer_id: str | None = None, **body: Any) -> httpx.Response:
        """Ask to begin the visit."""
        login = {"login": {"assertion": assertion(customer_id)}} if customer_id else {}
        return await self.http.post(f"{self.at}sessions", json={"visit": self.visit, "lang": "en"} | login | body)

    async def does(self, path: str, **body: Any) -> dict[str, Any]:
        """Do something under a new id of its own; return the answer."""
        self._sent += 1
        return self.kept(await self.post(path, **{"op_id": f"op{self._sent}"} | body))

    async def post(self, path: str, **body: Any) -> httpx.Response:
        """Send something."""
        return await self.http.post(self.at + path, json=body, headers=self.bearer)

    async def home(self) -> dict[str, Any]:
        """Look at everything."""
        return self.kept(await self.http.get(f"{self.at}home", headers=self.bearer))

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the session."""
        return {"Authorization": f"Bearer {self.session}"}

    def kept(self, response: httpx.Response) -> dict[str, Any]:
        """Keep the newest session of an answer."""
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        self.session = answer["session"] or self.session
        return answer


class Caller:
    """Somebody on the phone who told the menu a few things."""

    def __init__(self, company: ContextHub, customer_id: str, interaction_id: str, journey_id: str) -> None:
        self.company = company
        self.customer_id = customer_id
        self.interaction_id = interaction_id
        self.journey_id = journey_id

    @classmethod
    async def of(cls, company: ContextHub, customer_id: str | None = None, level: int = 2, **facts: Any) -> Caller:
        """Call, prove who it is unless nobody is named, and begin with a blocked card."""
        start = Start(channel="ivr", system="twilio", external_id=secrets.token_hex(16), language="en")
        if customer_id is None:
            number = f"+4930{secrets.randbelow(10**8):08}"
            start = start.but(identifiers=[Identifier(type="phone", value=number)])
        else:
            start = start.but(customer_id=customer_id, assurance=AssuranceClaim(level=level, method="pin"))
        started = await company.interactions.start(start)
        at, journey_id = started.interaction.interaction_id, f"jr_{secrets.token_hex(6)}"
        begun = told("journey.started", interaction_id=at, party="customer", kind="card_blocked", journey_id=journey_id)
        caller = cls(company, started.customer_id, at, journey_id)
        await company.events.tell(started.customer_id, begun, *caller._stated(facts))
        return caller

    async def says(self, **facts: Any) -> None:
        """Tell more of the blocked card."""
        await self.company.events.tell(self.customer_id, *self._stated(facts))

    def _stated(self, facts: dict[str, Any]) -> list[Any]:
        about: dict[str, Any] = {
            "interaction_id": self.interaction_id,
            "party": "customer",
            "journey_id": self.journey_id,
        }
        return [told("fact.stated", **about, name=name, value=value) for name, value in facts.items()]

    async def token(self, channel: str = "app", delivery: str = "message", **more: Any) -> str:
        """Want to go on elsewhere."""
        request = {
            "customer_id": self.customer_id, "interaction_id": self.interaction_id, "reason": "goes on elsewhere",
            "to": Target(channel=channel), "delivery": delivery,
        }  # fmt: skip
        offered = await self.company.handoffs.offer(OfferRequest.model_validate(request | more))
        assert offered.handoff.token is not None
        return offered.handoff.token


@pytest.fixture
async def http(hub_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the hub."""
    async with httpx.AsyncClient(base_url=hub_url, timeout=10) as client:
        yield client


@pytest.fixture
def app(http: httpx.AsyncClient) -> App:
    """An app that has not been opened yet."""
    return App(http)


@pytest.fixture
def somebody() -> str:
    """A customer whom no other test knows."""
    return f"c-{secrets.token_hex(5)}"


async def until(condition: Callable[[], Any], within: float = 10.0) -> Any:
    """Wait until a condition holds, asking again and again; return what it came to."""
    async with asyncio.timeout(within):
        while True:
            met = condition()
            met = await met if asyncio.iscoroutine(met) else met
            if met:
                return met
            await asyncio.sleep(0.02)
