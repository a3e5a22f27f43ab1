"""Going on by telephone: the number to call, and what is dialled behind it so that the call finds its context."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ctxhub.model.value import Value

#: Channels that are telephone calls.
SPOKEN = ("ivr", "voice")

Number = Annotated[str, Field(pattern=r"^\+?[0-9]{2,20}$")]


class DialSpec(Value):
    """Where a tenant is called, what is dialled then, and numbers of which each is lent to one offer at a time.

    `post_dial` has the code in place of `{code}`; a comma is a pause. A call that was announced finds its context for
    `announced_for` seconds.
    """

    number: Number
    post_dial: Annotated[str, Field(pattern=r"^[0-9*#,;pwPW]*\{code\}[0-9*#,;pwPW]*$", max_length=64)] = ",,{code}#"
    pool: list[Number] = Field([], max_length=1000)
    announced_for: Annotated[int, Field(ge=10, le=600, strict=True)] = 120


class Dial(Value):
    """What a telephone dials to go on; without `post_dial` the number alone says which offer it is for."""

    number: Number
    post_dial: str | None = None


def dial(spec: DialSpec, code: str | None, lent: str | None) -> Dial:
    """Return what to dial: the number that was lent, else the tenant's, with the code behind it if there is one."""
    if lent is not None:
        return Dial(number=lent)
    return Dial(number=spec.number, post_dial=spec.post_dial.format(code=code) if code else None)
