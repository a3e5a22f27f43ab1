"""The commands `show`, `follow` and `forget`, and what can be said to them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from ctxhub.client import ContextHub, ContextView, Fed, Identifier
from ctxhub.looking.following import Follower
from ctxhub.looking.paper import Paper
from ctxhub.looking.portrait import Portrait, draw
from ctxhub.looking.reaching import ENVIRONMENT, ask, asked_for, found, hub_of
from ctxhub.looking.words import LANGUAGES, language_here
from ctxhub.settings import CannotStart

__all__ = ["add_commands"]

_RECENT = 20


def add_commands(commands: Any) -> None:
    """Add the commands to those of `ctxhub`."""
    show = commands.add_parser("show", help="show what a running hub knows about a customer")
    show.add_argument("--events", type=_count, default=_RECENT, metavar="N", help="how many recent events")
    show.set_defaults(command=_show)
    follow = commands.add_parser("follow", help="follow what happens to a customer, in a queue or on a channel")
    follow.add_argument("--queue", metavar="Q", help="follow who waits in a queue instead")
    follow.add_argument("--channel", metavar="C", help="follow what a channel must deliver instead")
    follow.add_argument("--after", type=_count, metavar="VERSION", help="begin after this version; none: now")
    follow.set_defaults(command=_follow)
    forget = commands.add_parser("forget", help="erase a customer; prints the receipt")
    forget.add_argument("--yes", action="store_true", help="do not ask first")
    forget.set_defaults(command=_forget)
    for parser in (show, follow, forget):
        _add_whom_and_where(parser)
    for parser in (show, follow):
        parser.add_argument("--json", action="store_true", help="as JSON; one line for each event when following")
        parser.add_argument("--lang", choices=LANGUAGES, help="the language of the page; none: the terminal's")


def _add_whom_and_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("customer_id", nargs="?")
    by = parser.add_mutually_exclusive_group()
    by.add_argument("--phone", dest="identifier", action="store_const", const="phone", help="find by a phone number")
    by.add_argument("--identifier", metavar="TYPE", help="find by an identifier of this type, such as account")
    parser.add_argument("--url", help="where the hub is")
    parser.add_argument("--data", type=Path, help="the folder whose admin.key to use")
    parser.epilog = f"A number or identifier is read from the terminal or stdin, not from the arguments. {ENVIRONMENT}"


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("it must be at least 0")
    return number


# Show


def _show(arguments: argparse.Namespace) -> int:
    paper = Paper(arguments.lang or language_here())
    portrait = ask(arguments, _portrait(arguments, asked_for(arguments), paper.language))
    if arguments.json:
        print(portrait.as_json())
        return 0
    draw(portrait, paper)
    return 0


async def _portrait(arguments: argparse.Namespace, who: str | Identifier, language: str) -> Portrait:
    """Read all that is shown of a customer."""
    async with hub_of(arguments) as hub:
        customer_id = await found(hub, who)
        context = await hub.contexts.read(customer_id, events=arguments.events)
        brief = await hub.contexts.brief(customer_id, "supervisor", lang=language)
        return Portrait(context, await hub.tenants.read(), brief)


# Follow


def _follow(arguments: argparse.Namespace) -> int:
    _refuse_two_things(arguments)
    who = None if arguments.queue or arguments.channel else asked_for(arguments)
    ask(arguments, _followed(arguments, who, Follower(Paper(arguments.lang or language_here()), arguments.json)))
    return 0


def _refuse_two_things(arguments: argparse.Namespace) -> None:
    """Refuse to follow two things at once."""
    customer = arguments.customer_id or arguments.identifier
    if sum(map(bool, (customer, arguments.queue, arguments.channel))) > 1:
        raise CannotStart("follow one thing: a customer, --queue or --channel")
    if arguments.after is not None and not customer:
        raise CannotStart("--after is a customer's version: queues and channels are followed from now")


async def _followed(arguments: argparse.Namespace, who: str | Identifier | None, follower: Follower) -> None:
    """Follow until nobody looks any more."""
    async with hub_of(arguments) as hub, aclosing(await _feed(hub, arguments, who)) as feed:
        async for fed in feed:
            follower.tell(fed)


async def _feed(
    hub: ContextHub, arguments: argparse.Namespace, who: str | Identifier | None
) -> AsyncGenerator[Fed, None]:
    """Open the feed that is asked for, after one call: a feed waits for a hub that is away, who looks does not."""
    if arguments.queue:
        await hub.queues.show(arguments.queue)
        return hub.feeds.queue(arguments.queue)
    if who is None:
        await hub.tenants.read()
        return hub.feeds.channel(arguments.channel)
    customer_id = await found(hub, who)
    await hub.contexts.read(customer_id, events=0)
    return hub.feeds.customer(customer_id, after=arguments.after)


# Forget


def _forget(arguments: argparse.Namespace) -> int:
    context = ask(arguments, _looked_at(arguments, asked_for(arguments)))
    if not arguments.yes and not _is_sure(context):
        print("ctxhub: nothing was erased", file=sys.stderr)
        return 1
    receipt = ask(arguments, _forgotten(arguments, context.customer_id))
    print(json.dumps(receipt, ensure_ascii=False, indent=2))
    return 0


async def _looked_at(arguments: argparse.Namespace, who: str | Identifier) -> ContextView:
    """Read whom the erasing would concern."""
    async with hub_of(arguments) as hub:
        return await hub.contexts.read(await found(hub, who), events=0)


def _is_sure(context: ContextView) -> bool:
    """Ask at the terminal; where there is none nobody can be asked."""
    if not sys.stdin.isatty():
        raise CannotStart("erasing can't be undone, and there is no terminal to ask at: add --yes")
    held = f"{len(context.facts)} facts, {len(context.journeys)} journeys, {context.version} events"
    question = f"Erase {context.customer_id} ({held})? This can't be undone. Type the customer's id: "
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == context.customer_id


async def _forgotten(arguments: argparse.Namespace, customer_id: str) -> dict[str, Any]:
    """Erase a customer."""
    async with hub_of(arguments) as hub:
        return await hub.customers.forget(customer_id)
