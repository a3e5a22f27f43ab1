"""What the commands `show`, `follow` and `forget` do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ctxhub.client import ContextHub, ContextView, Fed, Identifier
from ctxhub.looking.following import Follower
from ctxhub.looking.paper import Paper
from ctxhub.looking.portrait import Portrait, draw
from ctxhub.looking.reaching import ask, asked_for, found, hub_of
from ctxhub.looking.words import language_here
from ctxhub.settings import CannotStart

__all__ = ["follow", "forget", "show"]


def show(arguments: argparse.Namespace) -> int:
    """Show what a hub knows about a customer."""
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


def follow(arguments: argparse.Namespace) -> int:
    """Follow what happens until nobody looks any more."""
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


def forget(arguments: argparse.Namespace) -> int:
    """Erase a customer, and print the receipt."""
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
