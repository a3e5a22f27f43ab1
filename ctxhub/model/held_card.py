"""Asked for a card, the hub knows the one by which the customer is known: by its last four digits, never by more."""

from __future__ import annotations

from ctxhub.model.card import last4_of
from ctxhub.model.context import Context
from ctxhub.model.customer import CARD
from ctxhub.model.disclosure import Sight
from ctxhub.model.fact import SHARED_FROM, Answer

#: What channels call the number of a card when they ask for it, and what they get.
_WHOLE = {"card", "card_number", "bank_card", "卡号", "银行卡号"}
_LAST4 = {"card_last4", "last4", "card_last_four"}


def with_cards(answers: list[Answer], context: Context, seen: Sight) -> list[Answer]:
    """Return answers in which a card that the customer is known by is not asked for; one of several is confirmed."""
    shown = [held.value for held in context.identifiers if held.type == CARD and held.unsure is None]
    if not shown or not (seen.everything or seen.level >= SHARED_FROM):
        return answers
    return [_answered(answer, shown) if answer.verdict == "ask" else answer for answer in answers]


def _answered(answer: Answer, shown: list[str]) -> Answer:
    """Return the answer to one question, if it is for a card."""
    if answer.name not in _WHOLE | _LAST4:
        return answer
    value = shown[-1] if answer.name in _WHOLE else last4_of(shown[-1])
    known = len(set(shown)) == 1
    return Answer(name=answer.name, verdict="known" if known else "confirm", value=value,
                  reason="a card that the customer is known by")  # fmt: skip
