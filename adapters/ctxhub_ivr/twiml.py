"""TwiML, the XML that tells a telephone platform what to do next; every text and attribute is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

MEDIA_TYPE = "text/xml"

_LONGEST_SAY = 2000
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(*verbs: Element) -> bytes:
    """Write a whole answer."""
    root = Element("Response")
    root.extend(verbs)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def say(text: str, language: str) -> Element:
    """Speak a sentence; one that nobody would listen to is cut."""
    return _verb("Say", text[:_LONGEST_SAY], language=language)


def gather(
    action: str, prompts: Sequence[Element], language: str, *, hints: Iterable[str] = (), **more: str
) -> Element:
    """Listen for keys and speech while the prompts are spoken; silence is reported too."""
    verb = _verb(
        "Gather",
        input="dtmf speech",
        action=action,
        method="POST",
        timeout="6",
        speechTimeout="auto",
        actionOnEmptyResult="true",
        language=language,
    )
    _set(verb, more | _hints(hints))
    verb.extend(prompts)
    return verb


def one_key(
    action: str, prompts: Sequence[Element], language: str, hints: Iterable[str] = (), unless_silent: bool = False
) -> Element:
    """Listen for a single key, of which `*` and `#` are two like the others, or for speech.

    Where silence is not reported, the document goes on behind it.
    """
    more = {"actionOnEmptyResult": "false"} if unless_silent else {}
    return gather(action, prompts, language, hints=hints, numDigits="1", finishOnKey="", **more)


def dial_sip(uri: str, action: str) -> Element:
    """Call a SIP address; what became of it goes to the action."""
    verb = _verb("Dial", action=action, method="POST", answerOnBridge="true", timeout="60")
    verb.append(_verb("Sip", uri))
    return verb


def keys(action: str, prompts: Sequence[Element], language: str, *, timeout: int, **more: str) -> Element:
    """Listen for keys alone, for so many seconds after the prompts."""
    return gather(action, prompts, language, **{"input": "dtmf", "timeout": str(timeout)} | more)


def enqueue(queue: str, action: str, wait: str | None = None) -> Element:
    """Let the caller wait in a queue of the platform, with what is heard meanwhile."""
    heard = {"waitUrl": wait, "waitUrlMethod": "POST"} if wait else {}
    return _verb("Enqueue", queue, action=action, method="POST", **heard)


def enqueue_task(workflow_sid: str, task: str, action: str) -> Element:
    """Let the caller wait for a worker of TaskRouter; the task is JSON."""
    verb = _verb("Enqueue", workflowSid=workflow_sid, action=action, method="POST")
    verb.append(_verb("Task", task))
    return verb


def sms(text: str, to: str) -> Element:
    """Send a text message during the call."""
    return _verb("Sms", text, to=to)


def pause(seconds: int) -> Element:
    """Say nothing for a while."""
    return _verb("Pause", length=str(seconds))


def redirect(url: str) -> Element:
    """Ask for the next document elsewhere."""
    return _verb("Redirect", url, method="POST")


def hangup() -> Element:
    """End the call."""
    return _verb("Hangup")


def _verb(tag: str, text: str | None = None, **attributes: str) -> Element:
    """Make an element without what XML can't carry."""
    verb = Element(tag)
    verb.text = _NOT_XML.sub("", text) if text is not None else None
    _set(verb, attributes)
    return verb


def _set(verb: Element, attributes: dict[str, str]) -> None:
    for name, value in attributes.items():
        verb.set(name, _NOT_XML.sub("", value))


def _hints(phrases: Iterable[str]) -> dict[str, str]:
    """Write what the caller may say as the attribute that helps the recogniser; commas separate."""
    written = ", ".join(" ".join(phrase.replace(",", " ").split()) for phrase in phrases)
    return {"hints": written} if written else {}
