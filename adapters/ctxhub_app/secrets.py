"""Secret answers in the app: taken to the tenant's hook, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from ctxhub.client import HookFailed, Secure, SecureAnswer, SignedHooks, secure_prompts
from ctxhub_app.settings import AppChannel

log = structlog.get_logger()


class Secrets:
    """Has secret answers checked; what it is given is neither kept nor logged."""

    def __init__(self, hooks: SignedHooks, environ: Mapping[str, str]) -> None:
        self._hooks = hooks
        self._environ = environ

    def asked_by(self, channel: AppChannel) -> dict[str, Secure]:
        """Return the questions whose answers are secret, by fact."""
        return secure_prompts(channel.prompts, self._environ)

    async def check(self, secure: Secure, message_id: str, asked: Mapping[str, str], keyed: str) -> SecureAnswer | None:
        """Return what the tenant says about an answer; None where nobody can tell."""
        if secure.hook is None:
            log.warning("app.secret_not_taken", prompt=asked["prompt"], interaction=asked["interaction_id"])
            return None
        try:
            return await self._hooks.check(secure.hook, message_id, {**asked, "secure": secure.kind, "keyed": keyed})
        except HookFailed as error:
            log.warning("app.hook_failed", prompt=asked["prompt"], reason=str(error))
            return None
