"""A caller in the telephone menu: the webhooks that Twilio would send, signed as it signs them."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha1
from typing import NamedTuple

import httpx

from ctxhub.replay.dialogues import Language, Part, service_of
from ctxhub.replay.pages import Heard, hear, key_for
from ctxhub.replay.tenants import Labels

LOCALES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}
_NUMBER_CALLED = "+18005550100"
_LATER, _MENU, _LINK = "*", "*1", "*2"
_UNDERSTOOD = "0.94"


class PlayFailed(Exception):
    """A dialogue could not be played to its end; the message says where and why."""


class Person(NamedTuple):
    """A customer: a telephone of his own, a language, and a PIN if he means to prove who he is."""

    phone: str
    lang: Language
    pin: str | None


class Words(NamedTuple):
    """What facts and services are called in the person's language."""

    facts: Labels
    kinds: Labels


class Exchange(NamedTuple):
    """What a caller heard, and what he then said or keyed in."""

    heard: Heard
    answer: str


class Call:
    """One call to the telephone menu, from ring to hang-up; `story` is how it went."""

    def __init__(self, http: httpx.AsyncClient, root: str, signing: str, person: Person, words: Words) -> None:
        self._http = http
        self._root = root
        self._signing = signing.encode()
        self._person = person
        self._words = words
        self._sid = f"CA{secrets.token_hex(16)}"
        self._told: dict[str, str] = {}
        self.story: list[Exchange] = []

    async def tell(self, part: Part) -> None:
        """Call, prove who is calling if there is a PIN, and go through the services of this part; then want a link."""
        heard = await self._send(f"{self._root}/voice?language={LOCALES[self._person.lang]}", {})
        if self._person.pin:
            heard = await self._prove(heard, self._person.pin)
        for service in part.services:
            mine = {name: value for name, value in part.facts.items() if service_of(name) == service}
            heard = await self._answer_all(await self._choose(heard, service), mine)
        await self._want_link(heard)

    async def hang_up(self) -> None:
        """End the call."""
        await self._post(f"{self._root}/status", {"CallStatus": "completed"})

    async def _prove(self, heard: Heard, pin: str) -> Heard:
        """Enter the PIN."""
        heard = await self._press(heard, "*")
        _expect(heard, "pin")
        heard = await self._press(heard, pin)
        if heard.step == "pin":
            raise PlayFailed("the telephone menu does not take the PIN")
        return heard

    async def _choose(self, heard: Heard, service: str) -> Heard:
        """Get to the menu from wherever the call is, and choose a kind of journey: by its key, else by its name."""
        if heard.step == "fact":
            heard = await self._press(heard, _MENU)
        if heard.step == "done":
            heard = await self._press(heard, "1")
        _expect(heard, "menu")
        key = key_for(service, self._words.kinds, heard)
        return await (self._press(heard, key) if key else self._speak(heard, self._words.kinds[service]))

    async def _answer_all(self, heard: Heard, facts: Mapping[str, str]) -> Heard:
        """Answer the questions for these facts, and leave the others for later."""
        left = dict(facts)
        while left:
            _expect(heard, "fact")
            asked = heard.asks(self._words.facts)
            if asked is None:
                raise PlayFailed(f"no caller could tell what is asked for: {' '.join(heard.sentences)}")
            if asked in facts and asked not in left:
                raise PlayFailed(f"the telephone menu asks again for {asked} within one call")
            value = left.pop(asked, None)
            self._told |= {} if value is None else {asked: value}
            heard = await (self._press(heard, _LATER) if value is None else self._say_or_key(heard, value))
        return heard

    async def _want_link(self, heard: Heard) -> None:
        """Ask for a link to go on in the chat."""
        heard = await self._press(heard, {"fact": _LINK, "done": "2"}.get(heard.step, "#"))
        _expect(heard, "done")

    async def _say_or_key(self, heard: Heard, value: str) -> Heard:
        """Answer with the keys where a value has digits only, else by voice."""
        return await (self._press(heard, value) if value.isascii() and value.isdigit() else self._speak(heard, value))

    async def _press(self, heard: Heard, digits: str) -> Heard:
        self.story.append(Exchange(heard, digits))
        return await self._send(str(heard.action), {"Digits": digits})

    async def _speak(self, heard: Heard, speech: str) -> Heard:
        self.story.append(Exchange(heard, speech))
        return await self._send(str(heard.action), {"SpeechResult": speech, "Confidence": _UNDERSTOOD})

    async def _send(self, url: str, answer: Mapping[str, str]) -> Heard:
        """Send what the caller did; gives what is heard next."""
        response = await self._post(url, {"CallStatus": "in-progress", **answer})
        heard = hear(response.content)
        self._object_to(heard)
        if response.headers.get("ctxhub-degraded"):
            raise PlayFailed(f"the telephone menu works without the hub: {' '.join(heard.sentences)}")
        return heard

    def _object_to(self, heard: Heard) -> None:
        """Refuse to go on where the menu repeats to the caller what he did not say."""
        for name, values in heard.shown(self._words.facts).values.items():
            if name in self._told and set(values) != {self._told[name]}:
                raise PlayFailed(f"the telephone menu has {name} wrong within one call: {' / '.join(values)}")

    async def _post(self, url: str, more: Mapping[str, str]) -> httpx.Response:
        """Send a webhook."""
        form = {
            "AccountSid": "AC" + "0" * 32,
            "ApiVersion": "2010-04-01",
            "CallSid": self._sid,
            "Direction": "inbound",
            "From": self._person.phone,
            "To": _NUMBER_CALLED,
            **more,
        }
        response = await self._http.post(url, data=form, headers={"X-Twilio-Signature": self._signature(url, form)})
        if not response.is_success:
            raise PlayFailed(f"the telephone menu answers {response.status_code} at {url}: {response.text[:300]}")
        return response

    def _signature(self, url: str, form: Mapping[str, str]) -> str:
        signed = url + "".join(name + value for name, value in sorted(form.items()))
        return base64.b64encode(hmac.new(self._signing, signed.encode(), sha1).digest()).decode()


def _expect(heard: Heard, step: str) -> None:
    """Refuse to go on where the menu is not at a step."""
    if heard.step != step:
        at, said = heard.step or "its end", " ".join(heard.sentences)
        raise PlayFailed(f"the telephone menu is at {at}, not at {step}: {said}")
