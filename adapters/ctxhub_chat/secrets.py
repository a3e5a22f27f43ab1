"""Secret questions of the chat: which they are, and who checks the answers."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from pydantic import TypeAdapter, ValidationError

from ctxhub.client import HookFailed, Secure, SecureAnswer, SecurePrompt, SignedHooks, Tenant, secure_prompts

log = structlog.get_logger()

_PROMPTS: TypeAdapter[dict[str, SecurePrompt]] = TypeAdapter(dict[str, SecurePrompt])


class Secrets:
    """Takes secret answers to the tenant's hooks; what it is given goes nowhere else."""

    def __init__(self, hooks: SignedHooks, environ: Mapping[str, str]) -> None:
        self._hooks = hooks
        self._environ = environ

    def asked_by(self, tenant: Tenant) -> dict[str, Secure]:
        """Return the questions whose answers are secret, by fact: `channels.chat.prompts` of the tenant's file."""
        declared = tenant.channels.get("chat", {}).get("prompts") or {}
        try:
            return secure_prompts(_PROMPTS.validate_python(declared), self._environ)
        except ValidationError:
            log.error("chat.prompts_refused", tenant=tenant.tenant)
            # What was meant to be secret stays so: asked for in secret, and checked by nobody.
            return {str(name): Secure("pin", None) for name in declared}

    async def check(self, secure: Secure, message_id: str, asked: Mapping[str, str], keyed: str) -> SecureAnswer | None:
        """Return what the tenant says about an answer; None where nobody can tell."""
        if secure.hook is None:
            log.warning("chat.secret_not_taken", prompt=asked["prompt"], interaction=asked["interaction_id"])
            return None
        try:
            return await self._hooks.check(secure.hook, message_id, {**asked, "secure": secure.kind, "keyed": keyed})
        except HookFailed as error:
            log.warning("chat.hook_failed", prompt=asked["prompt"], reason=str(error))
            return None
