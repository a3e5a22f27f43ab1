"""After hours: what the bot may promise, which is what the hub says is possible, and nothing else."""

from __future__ import annotations

from ctxhub.client import AlternativeView, HandoffView, QueueView, Tenant, said_at
from ctxhub_chat.say import Lang, say


def closed_lines(queue: QueueView | None, tenant: Tenant, lang: Lang) -> list[str]:
    """Say that nobody is there, when somebody will be, and that we can call; nothing of an open queue."""
    if queue is None or queue.open:
        return []
    if queue.opens_at is None:
        return [say("closed", lang)]
    when = said_at(queue.opens_at, tenant.clock_of(queue.queue), lang)
    calls = [say("callback_offer", lang)] if window_of(queue) else []
    return [say("closed_until", lang, when=when), *calls]


def window_of(queue: QueueView | None) -> AlternativeView | None:
    """Return the window in which a queue can call back, if it does."""
    found = queue.alternatives if queue else []
    return next((one for one in found if one.kind == "callback"), None)


def promised_line(handoff: HandoffView, tenant: Tenant, lang: Lang) -> str:
    """Say from when until when we will call, as the hub has promised it."""
    callback, zone = handoff.callback, tenant.clock_of(handoff.to.queue or "")
    if callback is None:
        return say("callback_not", lang)
    from_, until = said_at(callback.from_, zone, lang), f"{callback.until.astimezone(zone):%H:%M}"
    return say("callback_promised", lang, when=from_, until=until)
