"""The brief: a context told for one audience within a budget, in whole sentences, each with its evidence.

Nobody's imagination takes part: the same context, declarations and clock give the same words. What it draws on is the
reader's own view of the context, so that it can't say what the view does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import Field

from ctxhub.model.brief_points import About, Point, Scene, points
from ctxhub.model.brief_voice import Voice, tongue_of
from ctxhub.model.brief_words import Audience
from ctxhub.model.context import ContextView
from ctxhub.model.spoken import Tongue
from ctxhub.model.tenant import Tenant
from ctxhub.model.value import Id, Language, Value

SHORTEST, LONGEST = 80, 4000
_ORDER = {about: place for place, about in enumerate(get_args(About))}


class Wanted(Value):
    """For whom a brief is, in which language, and how long it may be."""

    view: Audience = "agent"
    lang: Language | None = None
    max_chars: Annotated[int, Field(ge=SHORTEST, le=LONGEST)] = 600
    interaction_id: Id | None = None


class BriefLine(Value):
    """One sentence, the part of the brief that it belongs to, and the events that it rests on."""

    text: str
    evidence: list[Id]
    about: About


class Brief(Value):
    """A context told; `dropped` sentences had no room, `fallback` says that it is not in the language asked for."""

    lines: list[BriefLine]
    version: int
    view: Audience
    language: Language
    fallback: Annotated[bool, Field(description="it is not in the language that was asked for")] = False
    dropped: int = 0


def brief(view: ContextView, events: Sequence[dict[str, Any]], tenant: Tenant, now: datetime, wanted: Wanted) -> Brief:
    """Tell a context; `events` are the newest of the timeline, oldest first, as far as the same reader may see them."""
    scene = Scene(view, events, tenant, now, wanted.interaction_id, wanted.view)
    tongue, fallback = spoken_to(scene, wanted.lang)
    voice = Voice(wanted.view, tongue, tenant, now)
    told = [point for point in points(scene) if voice.has(point.what)]
    kept = _fitting(told, voice, wanted.max_chars)
    return Brief.model_construct(
        lines=[line for _, line in sorted(kept, key=lambda pair: pair[0])],
        version=view.version,
        view=wanted.view,
        language=tongue,
        fallback=fallback,
        dropped=len(told) - len(kept),
    )


def spoken_to(scene: Scene, asked: str | None) -> tuple[Tongue, bool]:
    """Return the language of a brief: the one asked for, or else the tenant's first, which then is a fallback.

    Where none is asked for it is the interaction's, as far as we speak it.
    """
    here = scene.interaction
    declared = [tongue for tag in scene.tenant.languages if (tongue := tongue_of(tag)) is not None]
    usual: Tongue = declared[0] if declared else "en"
    if asked is None:
        return (tongue_of(here.language) if here and here.language else None) or usual, False
    tongue = tongue_of(asked)
    return (usual, True) if tongue is None else (tongue, False)


def _fitting(told: list[Point], voice: Voice, room: int) -> list[tuple[tuple[int, int, int], BriefLine]]:
    """Return the sentences that have room, the weightiest first, each with its place; the first without room ends it.

    So more room never costs a sentence, and nothing light stands where something weighty had to go.
    """
    kept: list[tuple[tuple[int, int, int], BriefLine]] = []
    for place, point in sorted(enumerate(told), key=lambda pair: (pair[1].weight, pair[0])):
        text = voice.sentence(point.what, point.places)
        room -= len(text) + (1 if kept else 0)
        if room < 0:
            break
        line = BriefLine.model_construct(text=text, evidence=list(point.evidence), about=point.about)
        kept.append(((_ORDER[point.about], point.weight, place), line))
    return kept
