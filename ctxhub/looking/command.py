"""`ctxhub show`, `follow` and `forget`: what can be said on the command line. `commands` does it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ctxhub.looking.words import LANGUAGES

_RECENT = 20
CLIENT_KEY = "CTXHUB_KEY"
ENVIRONMENT = f"The key comes from {CLIENT_KEY}, else CTXHUB_ADMIN_KEY, else <data>/admin.key."


def add_looking(commands: Any) -> None:
    """Add the commands to those of `ctxhub`."""
    show = commands.add_parser("show", help="show what a running hub knows about a customer")
    show.add_argument("--events", type=_count, default=_RECENT, metavar="N", help="how many recent events")
    show.set_defaults(command="ctxhub.looking.commands:show")
    follow = commands.add_parser("follow", help="follow what happens to a customer, in a queue or on a channel")
    follow.add_argument("--queue", metavar="Q", help="follow who waits in a queue instead")
    follow.add_argument("--channel", metavar="C", help="follow what a channel must deliver instead")
    follow.add_argument("--after", type=_count, metavar="VERSION", help="begin after this version; none: now")
    follow.set_defaults(command="ctxhub.looking.commands:follow")
    forget = commands.add_parser("forget", help="erase a customer; prints the receipt")
    forget.add_argument("--yes", action="store_true", help="do not ask first")
    forget.set_defaults(command="ctxhub.looking.commands:forget")
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
