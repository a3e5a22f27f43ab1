"""Reaching a running hub from the command line, and finding out which customer is meant."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from ctxhub import log
from ctxhub.client import ContextHub, Identifier, Unavailable
from ctxhub.looking.command import CLIENT_KEY
from ctxhub.settings import CannotStart, Settings

__all__ = ["ask", "asked_for", "found", "hub_of"]

Answer = TypeVar("Answer")


def hub_of(arguments: argparse.Namespace) -> ContextHub:
    """Return a client of the running hub that is meant."""
    log.configure("error", "console")  # that the hub is away is told in words
    settings = Settings.from_env(os.environ, data=arguments.data)
    try:
        return ContextHub(arguments.url or settings.base_url, _key(settings))
    except ValueError as error:
        raise CannotStart(f"--url: {error}") from error


def ask(arguments: argparse.Namespace, what: Coroutine[Any, Any, Answer]) -> Answer:
    """Run what asks the hub; a hub that does not answer is refused with what to do about it."""
    try:
        return asyncio.run(what)
    except Unavailable as error:
        where = arguments.url or Settings.from_env(os.environ).base_url
        raise CannotStart(f"{error.detail}. Is a hub at {where}? `ctxhub serve` starts one, --url names one") from error


def _key(settings: Settings) -> str:
    if key := os.environ.get(CLIENT_KEY):
        return key
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    with suppress(FileNotFoundError):
        return (settings.data / "admin.key").read_text().strip()
    raise CannotStart(f"no key: set {CLIENT_KEY}, or name the hub's data folder with --data")


def asked_for(arguments: argparse.Namespace) -> str | Identifier:
    """Return the customer's id as given, or read the identifier that leads there: before there is a loop to block."""
    if arguments.customer_id and arguments.identifier:
        raise CannotStart("name the customer by id, or by an identifier, not both")
    if arguments.customer_id:
        return str(arguments.customer_id)
    if not arguments.identifier:
        raise CannotStart("name a customer: by id, by --phone, or by --identifier TYPE")
    return _read_identifier(arguments.identifier)


async def found(hub: ContextHub, who: str | Identifier) -> str:
    """Return the customer's id."""
    return who if isinstance(who, str) else (await hub.customers.lookup(who)).customer_id


def _read_identifier(type_: str) -> Identifier:
    """Read an identifier from the terminal, or the first line of stdin."""
    if sys.stdin.isatty():
        print(f"{type_}: ", end="", file=sys.stderr, flush=True)
    value = sys.stdin.readline().strip()
    if not value:
        raise CannotStart(f"no {type_} came in: type it, or send it to stdin")
    try:
        return Identifier(type=type_, value=value)
    except ValueError as error:
        raise CannotStart(f"--identifier: {type_!r} is no type: use small letters, such as account") from error
