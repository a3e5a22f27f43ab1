"""`ctxhub demo`: real dialogues on a hub made for the moment, and one customer's story in few words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.resources import as_file, files

import uvloop
from rich.console import Console
from rich.rule import Rule

from ctxhub.replay import console_for
from ctxhub.replay.dialogues import Dialogue, facts_by_service, read
from ctxhub.replay.pages import FactShown
from ctxhub.replay.play import Played
from ctxhub.replay.process import CannotPlay
from ctxhub.replay.progress import progress_of
from ctxhub.replay.report import Report, show
from ctxhub.replay.run import run
from ctxhub.replay.tenants import Labels, labels_of

#: Fewer facts than these would show nothing.
ENOUGH_FACTS = 20
_PARALLEL = min(4, os.cpu_count() or 1)  # more would only have every channel wait longer for its answers


def main() -> int:
    """Play the samples, tell a story, print what was carried over; 0 if all of it was, and enough."""
    dialogues, console = samples(), console_for()
    console.print(Rule("ctxhub: the customer says it once"))
    console.print(_opening(dialogues), highlight=False)
    try:
        with progress_of(2 * len(dialogues), console) as progress:
            report = uvloop.run(run(dialogues, None, _PARALLEL, progress))
    except CannotPlay as error:
        console.print(str(error), style="bold red", markup=False)
        return 1
    for line in story(report, dialogues):
        console.print(line, highlight=False)
    show(report, console)
    return _verdict(report, console)


def samples() -> list[Dialogue]:
    """Read the dialogues that come with ctxhub."""
    with as_file(files("ctxhub.replay").joinpath("samples.jsonl")) as path:
        return read(path)


def story(report: Report, dialogues: list[Dialogue]) -> Iterator[str]:
    """Tell what the first dialogue's customer met on each channel, with the hub's knowledge and without."""
    hero = dialogues[0]
    mine = {played.knowledge: played for played in report.played if played.dialogue.id == hero.id}
    played, control = mine["on"], mine["off"]
    if played.failure or control.failure:
        return
    labels = labels_of(facts_by_service(dialogues), hero.lang)
    yield f"\n[bold]One customer's story[/bold] [dim]({hero.id})[/dim]"
    yield from _on_the_phone(played, labels)
    yield from _in_the_chat(played)
    yield from _at_the_desk(played)
    yield from _without(control)


def _opening(dialogues: list[Dialogue]) -> str:
    spoken = {lang: sum(dialogue.lang == lang for dialogue in dialogues) for lang in ("en", "zh")}
    return (
        f"{len(dialogues)} recorded dialogues, {spoken['en']} in English and {spoken['zh']} in Chinese. "
        "Each begins in a telephone menu,\ngoes on in a web chat by a link, and ends with an agent at a desk. "
        "Then the same without the hub's knowledge.\n"
    )


def _on_the_phone(played: Played, labels: Labels) -> Iterator[str]:
    """Tell what the telephone menu asked, and what it was told."""
    yield "\n[bold cyan]1  On the phone[/bold cyan]"
    for heard, answer in played.story.call.story:
        name = heard.asks(labels)
        if name in played.dialogue.parts[0].facts and not answer.startswith("*"):
            yield f"   menu      {_plain(heard.sentence_on(name, labels) or '')}"
            yield f"   customer  [green]{_plain(answer)}[/green]"
    yield "   [dim]A link comes by text message; the customer hangs up.[/dim]"


def _in_the_chat(played: Played) -> Iterator[str]:
    """Tell what the chat greeted with."""
    yield "\n[bold cyan]2  In the chat[/bold cyan]"
    arrived = played.story.window.arrived
    lines = [line for message in arrived.messages for line in message.text.splitlines()] if arrived else []
    yield from (f"   bot       {_plain(line)}" for line in lines)
    yield from (f"   customer  [green]{_plain(turn.text)}[/green]" for turn in played.dialogue.parts[1].said)


def _at_the_desk(played: Played) -> Iterator[str]:
    """Tell what the agent saw."""
    yield "\n[bold cyan]3  At the desk[/bold cyan]"
    facts: list[FactShown] = played.story.pages[0].facts
    yield "   The agent's page shows:"
    yield from (f"   {_plain(fact.label):<28}[green]{_plain(' / '.join(fact.values))}[/green]" for fact in facts)
    yield "   [dim]Nothing to ask again.[/dim]"


def _without(control: Played) -> Iterator[str]:
    """Tell what the same customer was asked again without the hub's knowledge."""
    chat, desk = (sum(fact.outcome == "asked again" for fact in judged) for judged in control.hops)
    yield "\n[bold cyan]And without the hub's knowledge[/bold cyan]"
    yield f"   The chat asked again for {chat} things that were said before, the agent for {desk}.\n"


def _plain(text: str) -> str:
    """Keep what looks like markup as it is."""
    return text.replace("[", r"\[")


def _verdict(report: Report, console: Console) -> int:
    """Say in one line how it went; the exit code."""
    facts = report.judged("on", 1) + report.judged("on", 2)
    if report.complaints() or facts < ENOUGH_FACTS:
        console.print(f"Something is wrong: {facts} facts were judged.", style="bold red", highlight=False)
        return 1
    console.print(f"{facts} facts over two hops: all carried, none asked again.", style="bold green", highlight=False)
    return 0
