"""Card numbers: what may be one, where one stands among digits, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ctxhub.model.digits import Run, runs

HIDDEN = "••••"
SHORTEST, LONGEST = 13, 19
#: A run of single key presses longer than this holds so many chance hits that no digit of it may stay.
_MOST_SINGLE = 64
#: First digits of issuers. What begins otherwise is a card number only where it is called one.
_ISSUED = re.compile(r"[34568]\d|9\d|220[0-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720")
_USUAL = ((re.compile("3[47]"), 15), (re.compile("3[0689]"), 14), (re.compile("62|9558"), 19), (re.compile(""), 16))
#: Issuers of whose numbers it is known how long they are: the first digits, the length, and how long a code is.
_GLUED = ((re.compile("4|5[1-5]|35|6011|65|2[2-6]"), 16, 3), (re.compile("3[47]"), 15, 4))
_MONTH = re.compile("0[1-9]|1[0-2]")
_EXPIRES = re.compile(r"(?:0[1-9]|1[0-2])\d\d(?:\d{3,4})?")
_SHOWN = re.compile(rf"{HIDDEN} \d{{4}}")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class Found(NamedTuple):
    """A card number among the groups of a run: the first group, the one behind the last, and its last four digits.

    Where it can't be told which digits are the last, none are: what stands behind may be its code.
    """

    first: int
    behind: int
    last4: str


def shown(last4: str) -> str:
    """Return a card number as it may be shown."""
    return f"{HIDDEN} {last4}".rstrip()


def last4_of(text: str) -> str | None:
    """Return the last four digits of a card number that stands there as it is shown."""
    return text[len(HIDDEN) + 1 :] if _SHOWN.fullmatch(text) else None


def passes_luhn(digits: str) -> bool:
    """Tell whether the check digit of a number is right."""
    plain, doubled = digits[::-2], digits[-2::-2]
    return (sum(map(int, plain)) + sum(_DOUBLED[int(digit)] for digit in doubled)) % 10 == 0


def is_issued(digits: str) -> bool:
    """Tell whether a number begins as card numbers do."""
    return _ISSUED.match(digits) is not None


def is_usual(digits: str) -> bool:
    """Tell whether a number is as long as most of its issuer's are."""
    return len(digits) == next(length for begin, length in _USUAL if begin.match(digits))


def number_in(text: str) -> str | None:
    """Return the digits of a text that is one card number and nothing else."""
    found = runs(text)
    digits = "".join(group.digits for group in found[0]) if len(found) == 1 else ""
    return digits if SHORTEST <= len(digits) <= LONGEST and passes_luhn(digits) else None


def cards_among(run: Run, is_called_card: bool = False) -> list[Found]:
    """Return the card numbers in a run, each from one group's beginning to another's end.

    Where several overlap, all their digits go together: which of them was meant can't be told.
    """
    digits = "".join(group.digits for group in run)
    if len(digits) < SHORTEST:
        return []
    if len(run) > _MOST_SINGLE and len(digits) <= 2 * len(run):
        return [Found(0, len(run), digits[-4:])]
    return _merged(list(_windows(run, digits, is_called_card)))


class _Window(NamedTuple):
    """A stretch of groups whose digits pass as a card number."""

    first: int
    behind: int
    digits: str

    @property
    def is_usual(self) -> bool:
        """Tell whether it is as long as its issuer's numbers are."""
        return is_usual(self.digits)


def _windows(run: Run, digits: str, is_called_card: bool) -> Iterator[_Window]:
    """Yield every stretch that passes; the sums make each question as cheap as the other."""
    ends = list(accumulate((len(group.digits) for group in run), initial=0))
    sums = _sums(digits)
    for first, start in enumerate(ends[:-1]):
        if not (is_called_card or _ISSUED.match(digits, start)):
            continue
        for behind in range(first + 1, len(ends)):
            end = ends[behind]
            if end - start > LONGEST:
                break
            if end - start >= SHORTEST and (sums[end % 2][end] - sums[end % 2][start]) % 10 == 0:
                yield _Window(first, behind, digits[start:end])
        if len(run[first].digits) > LONGEST and _begins_with_card(run[first].digits):
            yield _Window(first, first + 1, run[first].digits[:16])
        elif (glued := _before_its_code(run[first].digits)) is not None:
            yield _Window(first, first + 1, glued)
        elif _ends_in_month(run, first):
            yield _Window(first, first + 2, run[first].digits[:-2])


def _sums(digits: str) -> tuple[list[int], list[int]]:
    """Return the Luhn sums up to each place, for numbers that end at even and at odd places."""
    values = [int(digit) for digit in digits]
    odd = [_DOUBLED[value] if place % 2 else value for place, value in enumerate(values)]
    even = [value if place % 2 else _DOUBLED[value] for place, value in enumerate(values)]
    return list(accumulate(even, initial=0)), list(accumulate(odd, initial=0))


def _begins_with_card(digits: str) -> bool:
    """Tell whether a long number is a card number with its expiry, and perhaps its code, right behind it."""
    lengths = (length for length in range(SHORTEST, LONGEST + 1) if _EXPIRES.fullmatch(digits, length))
    return any(passes_luhn(digits[:length]) for length in lengths)


def _before_its_code(digits: str) -> str | None:
    """Return the card number in digits that are no longer than the longest, but are one with its code behind."""
    if len(digits) != LONGEST or passes_luhn(digits):
        return None
    for begin, length, code in _GLUED:
        if begin.match(digits) and length + code == LONGEST and passes_luhn(digits[:length]):
            return digits[:length]
    return None


def _ends_in_month(run: Run, first: int) -> bool:
    """Tell whether digits are a card number with the month of its expiry right behind it, and the year behind that."""
    digits = run[first].digits
    behind = run[first + 1] if len(digits) == _GLUED[0][1] + 2 and first + 1 < len(run) else None
    if behind is None or len(behind.digits) not in (2, 4) or behind.start - run[first].end != 1:
        return False
    return _GLUED[0][0].match(digits) is not None and bool(_MONTH.fullmatch(digits[-2:])) and passes_luhn(digits[:-2])


def _merged(windows: Sequence[_Window]) -> list[Found]:
    """Join windows that overlap."""
    found: list[list[_Window]] = []
    behind = 0
    for window in windows:
        if found and window.first < behind:
            found[-1].append(window)
        else:
            found.append([window])
        behind = max(behind, window.behind)
    return [_joined(cluster) for cluster in found]


def _joined(cluster: Sequence[_Window]) -> Found:
    """Return windows that overlap as one finding."""
    alone = [window for window in cluster if window.behind == window.first + 1]
    likely = alone or [window for window in cluster if window.is_usual] or cluster
    ends = {window.digits[-4:] for window in likely}
    last4 = ends.pop() if len(ends) == 1 else ""
    return Found(cluster[0].first, max(window.behind for window in cluster), last4)
