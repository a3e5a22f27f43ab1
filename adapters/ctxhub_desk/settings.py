"""What the operator decides about the desk."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, SecretStr


class DeskSettings(BaseModel, frozen=True):
    """The desk's settings; all processes that serve one desk need the same `secret`."""

    #: What seals the cookies; whoever has it can read and make them.
    secret: SecretStr
    #: Over https the cookie is marked Secure.
    public_url: str = ""
    #: How long a login lasts.
    session_lasts: timedelta = timedelta(hours=12)
    #: After how much silence a stream sends a comment, so that nothing in between takes it for dead.
    beat: timedelta = timedelta(seconds=15)

    @property
    def secure(self) -> bool:
        """Tell whether browsers reach the desk over https only."""
        return self.public_url.startswith("https://")
