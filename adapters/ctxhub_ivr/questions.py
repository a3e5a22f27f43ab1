"""What to ask next and what to tell, decided from what the hub answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ctxhub.client import Answer, ContextView, FactLine, JourneyView, Kind, Step
from ctxhub_ivr.translate import SURE_ENOUGH

#: A fact that may be told: its name and its value.
Known = tuple[str, Any]


@dataclass(frozen=True)
class Question:
    """The next thing to ask: for a fact, or whether its value is right."""

    name: str
    confirms: bool = False
    value: Any = None


def next_question(answers: Sequence[Answer], after: str | None = None, *, inclusive: bool = False) -> Question | None:
    """Return the first thing to ask behind a fact, in the journey's order; what was passed over stays for later.

    `inclusive` lets an answer that was hardly understood be confirmed at once.
    """
    names = [answer.name for answer in answers]
    passed = names.index(after) + 1 if after in names else 0
    doubtful = [answer for answer in answers if inclusive and answer.name == after and answer.verdict == "confirm"]
    open_ = [answer for answer in [*doubtful, *answers[passed:]] if answer.verdict in ("ask", "confirm")]
    return _question(open_[0]) if open_ else None


def open_behind(answers: Sequence[Answer], name: str) -> tuple[str, ...]:
    """Return what is still to ask behind a fact, in the journey's order."""
    names = [answer.name for answer in answers]
    behind = answers[names.index(name) + 1 :] if name in names else answers
    return tuple(answer.name for answer in behind if answer.verdict in ("ask", "confirm"))


def is_all_known(answers: Iterable[Answer]) -> bool:
    """Tell whether nothing is left to ask."""
    return not any(answer.verdict in ("ask", "confirm") for answer in answers)


def known_among(answers: Iterable[Answer]) -> list[Known]:
    """Return what is known for certain."""
    return [(answer.name, answer.value) for answer in answers if answer.verdict == "known"]


def told_about(context: ContextView, journey_id: str | None, kind: Kind | None = None) -> list[Known]:
    """Return the facts of a journey, or of none, that may be told as known; in the journey's order."""
    found = {name: _standing([view, *view.others], journey_id) for name, view in context.facts.items()}
    order = {name: index for index, name in enumerate(kind.needs)} if kind else {}
    names = sorted((name for name, line in found.items() if line), key=lambda name: order.get(name, len(order)))
    return [(name, line.value) for name in names if (line := found[name])]


def step_of(kind: Kind, name: str) -> Step | None:
    """Return the step that needs a fact."""
    return next((step for step in kind.steps if name in step.facts), None)


def open_journey(context: ContextView, kind: str, current: str | None) -> JourneyView | None:
    """Return the journey of a kind that is under way: the one that the call is about, else the latest."""
    open_ = [j for j in context.journeys if j.kind == kind and j.state in ("active", "suspended")]
    return max(open_, key=lambda journey: (journey.journey_id == current, journey.updated_at), default=None)


def _question(answer: Answer) -> Question:
    return Question(answer.name, answer.verdict == "confirm", answer.value)


def _standing(lines: Sequence[FactLine], journey_id: str | None) -> FactLine | None:
    """Return the value that stands for certain in a journey, if one does."""
    own = [line for line in lines if line.journey_id == journey_id and line.origin is not None]
    if not own:
        return None
    best, rivals = own[0], [line for line in own[1:] if line.value != own[0].value]
    if best.state in ("verified", "confirmed"):
        return best
    certain = best.state in ("stated", "observed") and best.confidence >= SURE_ENOUGH and not rivals
    return best if certain else None
