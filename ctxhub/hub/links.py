"""Links by which a customer goes on elsewhere.

To the chat the token stands in the fragment, so that no server logs it. To the app it stands in the path, where phones
look for what opens an app: looking at such a link has no effect, and it is good once.
"""

from __future__ import annotations

from ctxhub.hub.tenants import Tenants

_CHAT = "{public_url}/chat/{tenant}/#{token}"
_DEFAULTS = {"chat": _CHAT, "web": _CHAT, "app": "{public_url}/r/{token}"}


class Links:
    """Makes links from the tenant's declarations; a channel without one has none."""

    def __init__(self, public_url: str, tenants: Tenants) -> None:
        self._public_url = public_url
        self._tenants = tenants

    def to(self, tenant: str, channel: str | None, token: str) -> str | None:
        """Return the link to go on in a channel, the chat where the handoff names none."""
        wanted = channel or "chat"
        declared = self._tenants.of(tenant).channels.get(wanted, {}).get("link")
        pattern = declared or _DEFAULTS.get(wanted)
        return pattern.format(public_url=self._public_url, tenant=tenant, token=token) if pattern else None
