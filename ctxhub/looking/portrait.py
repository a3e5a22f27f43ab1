"""A customer on one page: who, what is known, what is on the way, what was promised, what happened lately."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.text import Text

from ctxhub.client import (
    Assurance,
    Commitment,
    ContextView,
    FactLine,
    FactView,
    HandoffView,
    InteractionView,
    JourneyView,
    Say,
    Tenant,
)
from ctxhub.looking.gist import print_event
from ctxhub.looking.paper import Paper, plain, written
from ctxhub.model.brief import Brief

__all__ = ["Portrait", "draw"]

_ALARM = {"due_soon": "bold yellow", "overdue": "bold red"}


class Portrait(NamedTuple):
    """All that is shown of a customer."""

    context: ContextView
    tenant: Tenant
    brief: Brief

    def as_json(self) -> str:
        """Write the context for programs, as the API gives it."""
        return self.context.model_dump_json(indent=2)


def draw(portrait: Portrait, paper: Paper) -> None:
    """Print a customer; parts that have nothing to show are left out, but for the facts."""
    context = portrait.context
    _draw_head(context, paper)
    _draw_brief(portrait.brief, paper)
    _draw_facts(portrait, paper)
    _draw_journeys(portrait, paper)
    _draw_promises(context, paper)
    _draw_handoffs(context, paper)
    _draw_interactions(context, paper)
    if context.recent:
        paper.title("recent")
    for event in context.recent:
        print_event(paper, event)


def _draw_head(context: ContextView, paper: Paper) -> None:
    """Print who it is, and how surely that is known just now."""
    known = paper.say("known" if context.known else "not known")
    version = paper.say("version", version=context.version)
    parts = [version, known, *([_sure(context.assurance, paper)] if context.assurance.level else [])]
    paper.line((context.customer_id, "bold"), "  ", "  ".join(parts))
    for identifier in context.identifiers:
        paper.line(f"  {identifier.type} ", plain(identifier.value), (f" ({identifier.strength})", "dim"))


def _sure(assurance: Assurance, paper: Paper) -> str:
    """Write how surely the customer is known, by what, and for how long."""
    until = paper.say("left", when=paper.when(assurance.until)) if assurance.until else None
    parts = (paper.say("assurance", level=assurance.level), assurance.method, assurance.channel, until)
    return ", ".join(plain(part) for part in parts if part)


def _draw_brief(brief: Brief, paper: Paper) -> None:
    """Print the customer in a few sentences."""
    if brief.lines:
        paper.title("brief")
    for line in brief.lines:
        paper.line("  ", plain(line.text))


def _draw_facts(portrait: Portrait, paper: Paper) -> None:
    """Print every fact with its origin and age, conflicting values below it."""
    paper.title("facts")
    facts = portrait.context.facts
    if not facts:
        paper.line(f"  {paper.say('nothing')}")
        return
    kinds = {journey.journey_id: journey.kind for journey in portrait.context.journeys}
    rows = [row for name, fact in facts.items() for row in _fact_rows(name, fact, kinds, portrait.tenant, paper)]
    paper.table(("name", "value", "state", "told by", "age", "kind"), rows)


def _fact_rows(
    name: str, fact: FactView, kinds: dict[str, str], tenant: Tenant, paper: Paper
) -> Iterator[list[str | Text]]:
    """Yield the rows of one fact."""
    spec = tenant.facts.get(name)
    value = Text(paper.say("withheld"), "dim") if fact.withheld else Text(written(fact.value), "green")
    yield [
        _called(name, spec.say if spec else {}, paper),
        value,
        *_origin(fact, paper),
        kinds.get(fact.journey_id or "", ""),
    ]
    for other in fact.others:
        yield [Text(f"  {paper.say('also')}", "dim"), Text(written(other.value), "yellow"), *_origin(other, paper), ""]


def _origin(fact: FactLine, paper: Paper) -> list[str]:
    """Write how it is known, who told it where, and how old it is."""
    sure = "" if fact.confidence == 1 else f" {fact.confidence:g}"
    if fact.origin is None:
        return [f"{fact.state}{sure}", "", ""]
    teller = _words([fact.origin.channel, fact.origin.party])
    return [f"{fact.state}{sure}", teller, paper.when(fact.origin.at)]


def _called(name: str, say: Say, paper: Paper) -> Text:
    """Write a name, and how the tenant calls it in this language."""
    called = say.get(paper.language, "")
    return Text.assemble(plain(name), (f" {plain(called)}", "dim") if called and called != name else "")


def _draw_journeys(portrait: Portrait, paper: Paper) -> None:
    """Print the open journeys with what is still to be asked."""
    journeys = portrait.context.journeys
    if not journeys:
        return
    paper.title("journeys")
    rows = [_journey_row(journey, portrait.tenant, paper) for journey in journeys]
    paper.table(("kind", "state", "step", "missing", "worker", "moved"), rows)


def _journey_row(journey: JourneyView, tenant: Tenant, paper: Paper) -> list[str | Text]:
    """Return the row of one journey."""
    missing = Text(", ".join(map(plain, journey.missing)), "yellow")
    called = _called(journey.kind, tenant.kind(journey.kind).say, paper)
    return [called, journey.state, plain(journey.step or ""), missing, _worker(journey), paper.when(journey.updated_at)]


def _worker(journey: JourneyView) -> str:
    """Write who works on a journey just now, else whose it is."""
    worker = journey.worker
    return _words([worker.party, worker.id]) if worker else plain(journey.owner or "")


def _draw_promises(context: ContextView, paper: Paper) -> None:
    """Print what was promised, those nearest to their breach first."""
    if not context.commitments:
        return
    paper.title("promises")
    promises = sorted(context.commitments, key=lambda promise: promise.due_at)
    paper.table(("what", "owner", "due", "state"), (_promise_row(promise, paper) for promise in promises))


def _promise_row(promise: Commitment, paper: Paper) -> list[str | Text]:
    """Return the row of one promise; what is due soon or overdue catches the eye."""
    style = _ALARM.get(promise.state, "")
    due = Text(paper.when(promise.due_at), style)
    return [plain(promise.what), plain(promise.owner), due, Text(promise.state, style)]


def _draw_handoffs(context: ContextView, paper: Paper) -> None:
    """Print the open handoffs."""
    if not context.handoffs:
        return
    paper.title("handoffs")
    rows = [_handoff_row(handoff, paper) for handoff in context.handoffs]
    paper.table(("to", "state", "reason", "waits", "holder"), rows)


def _handoff_row(handoff: HandoffView, paper: Paper) -> list[str | Text]:
    """Return the row of one handoff."""
    to = " ".join(f"{name} {written(value)}" for name, value in handoff.to.model_dump().items())
    waits = paper.when(handoff.waiting_since) if handoff.state == "offered" else ""
    return [to, handoff.state, plain(handoff.reason), waits, plain(handoff.agent_id or "")]


def _draw_interactions(context: ContextView, paper: Paper) -> None:
    """Print where the customer is just now."""
    open_ = [interaction for interaction in context.interactions if interaction.state == "open"]
    if not open_:
        return
    paper.title("interactions")
    rows = [_interaction_row(interaction, paper) for interaction in open_]
    paper.table(("channel", "name", "speaks", "sure", "since"), rows)


def _interaction_row(interaction: InteractionView, paper: Paper) -> list[str | Text]:
    """Return the row of one interaction."""
    channel = _words([interaction.channel, interaction.touchpoint])
    speaks = _words([interaction.holder.party, interaction.holder.id])
    sure = _sure(interaction.assurance, paper) if interaction.assurance.level else ""
    return [channel, interaction.interaction_id, speaks, sure, paper.when(interaction.started_at)]


def _words(parts: Iterable[str | None]) -> str:
    """Join what there is."""
    return " ".join(plain(part) for part in parts if part)
