"""What this adapter itself refuses; whatever the hub refuses comes as an error of its tree."""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that is turned away, and what the app can do about it."""

    status: ClassVar[int] = 403
    code: ClassVar[str] = "not_from_here"
    title: ClassVar[str] = "Not from here"
    remedy: ClassVar[str] = "Write from the app, or from a page of its own."

    def __init__(self, detail: str, **ids: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.ids = ids


class LoginNeeded(Refusal):
    """No session, or one that is over."""

    status = 401
    code = "login_needed"
    title = "Log in first"
    remedy = "Begin a session with a login, and send it as `Authorization: Bearer <session>`."


class LoginRefused(Refusal):
    """A login whose proof does not hold."""

    status = 401
    code = "login_refused"
    title = "The login does not hold"
    remedy = "Let the customer log in again, and send the new proof."


class LoginUnavailable(Refusal):
    """Nobody can check a login just now."""

    status = 503
    code = "login_unavailable"
    title = "Nobody can check the login just now"
    remedy = "Try again in a moment."


class AnotherCustomer(Refusal):
    """The session, or the link, belongs to somebody else than the one who logged in."""

    status = 409
    code = "another_customer"
    title = "It belongs to another customer"
    remedy = "Leave this session and begin another with a new visit."


class NobodyThere(Refusal):
    """A message to a person where no person is, nor is one waited for."""

    status = 409
    code = "nobody_there"
    title = "Nobody reads messages here"
    remedy = "Ask for a person first, or go on in the chat."
