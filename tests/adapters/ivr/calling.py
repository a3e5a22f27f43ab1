"""Somebody with a telephone, and the platform between him and the webhooks: it knows TwiML and its own signature."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import httpx
from twilio.request_validator import RequestValidator

from tests.adapters.ivr.serving import AUTH_TOKEN, PUBLIC_URL

_numbers = itertools.count(int.from_bytes(os.urandom(3), "big") % 8_000_000)


def a_number() -> str:
    """Return a phone number that nobody had before."""
    return f"+1555{next(_numbers):07}"


@dataclass(frozen=True)
class Heard:
    """One document, as the caller hears it and the platform follows it."""

    response: httpx.Response

    @property
    def content(self) -> bytes:
        return self.response.content

    @property
    def root(self) -> Element:
        assert self.response.status_code == 200, (self.response.status_code, self.response.text)
        assert self.response.headers["content-type"].startswith("text/xml")
        return ElementTree.fromstring(self.content)

    @property
    def says(self) -> list[str]:
        """The sentences, in order."""
        return [say.text or "" for say in self.root.iter("Say")]

    @property
    def verbs(self) -> list[str]:
        """What the platform is told to do, in order."""
        return [verb.tag for verb in self.root]

    @property
    def is_degraded(self) -> bool:
        return "Ctxhub-Degraded" in self.response.headers

    @property
    def step(self) -> str:
        """Which step comes next."""
        return urlsplit(self.action).path.rsplit("/", 1)[-1]

    @property
    def asks(self) -> str | None:
        """The fact that is asked for, or whose value is to be confirmed."""
        return self._query("fact") if self.step == "fact" else None

    @property
    def confirms(self) -> bool:
        return self._query("ask") == "confirm"

    @property
    def action(self) -> str:
        """Where the platform goes next: what listens comes before what follows silence."""
        found = [verb.attrib["action"] for verb in self.root if "action" in verb.attrib]
        assert found
        assert len(found) == 1 or next(verb.tag for verb in self.root) == "Gather"
        return found[0]

    def the(self, tag: str) -> Element:
        [found] = self.root.iter(tag)
        return found

    def _query(self, name: str) -> str | None:
        return parse_qs(urlsplit(self.action).query).get(name, [None])[0]


class Caller:
    """One call, from ring to hang-up."""

    def __init__(
        self, wire: httpx.AsyncClient, tenant: str, *, phone: str | None = None, language: str | None = None
    ) -> None:
        self._wire = wire
        self._first = f"{PUBLIC_URL}/ivr/twilio/{tenant}/voice" + (f"?language={language}" if language else "")
        self._status = f"{PUBLIC_URL}/ivr/twilio/{tenant}/status"
        self.phone = phone if phone is not None else a_number()
        self.sid = f"CA{os.urandom(16).hex()}"
        self.heard: list[Heard] = []
        self.urls: list[str] = []
        self._last: tuple[str, dict[str, str]] = ("", {})

    async def dial(self, **params: str) -> Heard:
        """Call, perhaps with what the call's own signalling brings."""
        return await self._go(self._first, params)

    async def press(self, digits: str) -> Heard:
        return await self._go(self.now.action, {"Digits": digits})

    async def say(self, speech: str, confidence: float | None = 0.95) -> Heard:
        sure = {} if confidence is None else {"Confidence": str(confidence)}
        return await self._go(self.now.action, {"SpeechResult": speech} | sure)

    async def stay_silent(self) -> Heard:
        return await self._go(self.now.action, {})

    async def come_back(self, **outcome: str) -> Heard:
        """Return from the queue, dialled or enqueued."""
        return await self._go(self.now.action, outcome)

    async def follow(self, url: str) -> Heard:
        """Go where a document leads without asking anything."""
        return await self._go(url, {})

    async def hang_up(self) -> httpx.Response:
        return await self.send(self._status, {"CallStatus": "completed"})

    async def once_more(self) -> Heard:
        """Send the last webhook again, as the platform does when the answer was lost."""
        url, params = self._last
        return Heard(await self.send(url, params))

    async def choose(self, *keys: str) -> Self:
        """Call and press keys, one after the other."""
        await self.dial()
        for key in keys:
            await self.press(key)
        return self

    @property
    def now(self) -> Heard:
        """What was heard last."""
        return self.heard[-1]

    async def send(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Send a webhook, signed."""
        sent = {
            "CallSid": self.sid,
            "AccountSid": "AC1",
            "From": self.phone,
            "To": "+15550000",
            "ApiVersion": "2010-04-01",
        }
        sent |= params
        self.urls.append(url)
        headers = {
            "X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, sent),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        parts = urlsplit(url)
        target = httpx.URL(str(self._wire.base_url)).copy_with(
            raw_path=f"{parts.path}?{parts.query}".rstrip("?").encode()
        )
        return await self._wire.post(target, content=urlencode(sent), headers=headers)

    async def _go(self, url: str, params: dict[str, str]) -> Heard:
        self._last = (url, params)
        self.heard.append(Heard(await self.send(url, params)))
        return self.now
