"""Contexts to try the bot on, without any hub."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ctxhub_chat.bot import Scene
from ctxhub_chat.say import Lang

from ctxhub.client import (
    Answer,
    Assurance,
    ContextView,
    Event,
    FactLine,
    FactView,
    HandoffView,
    Holder,
    InteractionView,
    JourneyView,
    Origin,
    Target,
    Tenant,
)

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
CHAT = "in_chat"

TENANT = Tenant.model_validate(
    {
        "tenant": "acme",
        "journeys": [
            {
                "kind": "train_ticket",
                "say": {"en": "a train ticket", "zh": "火车票"},
                "steps": [
                    {"step": "route", "facts": ["from_city", "to_city"]},
                    {"step": "time", "facts": ["travel_date"]},
                ],
            },
            {
                "kind": "hotel",
                "say": {"en": "a hotel room", "zh": "酒店"},
                "steps": [{"step": "stay", "facts": ["city", "travel_date", "nights"]}],
            },
        ],
        "facts": {
            "from_city": {"say": {"en": "departure city", "zh": "出发城市"}},
            "to_city": {"say": {"en": "destination", "zh": "目的地"}},
            "travel_date": {"say": {"en": "travel date", "zh": "出行日期"}},
            "nights": {"say": {"en": "How many nights will you stay?", "zh": "住几晚？"}},
        },
    }
)


def a_fact(value: Any, *others: Any, journey_id: str | None = "jr_train", **more: Any) -> FactView:
    """A fact told on the phone."""
    origin = Origin(channel="ivr", interaction_id="in_call", party="customer", assurance=2, at=NOON)
    fields = {"state": "stated", "confidence": 1.0, "sensitivity": "personal", "journey_id": journey_id} | more
    rivals = [FactLine.model_validate(fields | {"value": other}) for other in others]
    return FactView.model_validate(fields | {"value": value, "origin": origin, "others": rivals})


def a_journey(kind: str = "train_ticket", *missing: str, **more: Any) -> JourneyView:
    """An open journey."""
    fields = {"journey_id": f"jr_{kind.split('_')[0]}", "kind": kind, "state": "active", "updated_at": NOON}
    return JourneyView.model_validate(fields | {"missing": list(missing)} | more)


def an_offer(to: Target | None = None, **more: Any) -> HandoffView:
    """A handoff of the chat that waits."""
    fields: dict[str, Any] = {
        "handoff_id": "ho_1", "state": "offered", "customer_id": "c42", "interaction_id": CHAT, "reason": "asked",
        "to": to or Target(queue="service"), "mode": "cold", "kind": "live", "root_id": "ho_1",
        "offered_by": Holder(party="bot"), "waiting_since": NOON, "offered_at": NOON, "expires_at": NOON,
    }  # fmt: skip
    return HandoffView.model_validate(fields | more)


def a_scene(
    *journeys: JourneyView,
    facts: dict[str, FactView] | None = None,
    recent: list[Event] | None = None,
    handoffs: list[HandoffView] | None = None,
    steering: list[str] | None = None,
    lang: Lang = "en",
    tenant: Tenant = TENANT,
    **mine: Any,
) -> Scene:
    """A chat of customer c42 that is about the first of these journeys, as the bot looks at it."""
    about = journeys[0].journey_id if journeys else None
    fields: dict[str, Any] = {
        "interaction_id": CHAT, "channel": "chat", "system": "webchat", "external_id": "x", "state": "open",
        "holder": Holder(party="bot"), "fence": 1, "journey_id": about, "assurance": Assurance(), "started_at": NOON,
    }  # fmt: skip
    interaction = InteractionView.model_validate(fields | mine)
    view = ContextView(
        customer_id="c42",
        version=7,
        document_version=7,
        known=True,
        assurance=Assurance(),
        facts=facts or {},
        journeys=list(journeys),
        interactions=[interaction],
        handoffs=handoffs or [],
        steering={"journeys": steering or []},
        recent=recent or [],
    )
    return Scene(view, interaction, tenant, lang)


def answers(**verdicts: str) -> list[Answer]:
    """What the hub says of each name, in this order."""
    return [Answer.model_validate({"name": name, "verdict": verdict}) for name, verdict in verdicts.items()]
