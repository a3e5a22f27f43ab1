"""The `ctxhub` command: run the hub, play dialogues, make keys, look at customers, check the set-up.

What was foreseen to go wrong is one line on stderr that names the remedy. Exit codes: 0 done, 1 it could not be
done or something is wrong, 2 not understood.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from ctxhub import __version__
from ctxhub.bulk.command import add_export, add_import
from ctxhub.errors import CtxhubError
from ctxhub.looking.command import add_looking
from ctxhub.model.scope import SCOPES
from ctxhub.settings import CannotStart

__all__ = ["main"]

_ROLES = ("adapter", "agent", "supervisor", "admin")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        gc.disable()  # modules stay
        command: Callable[[argparse.Namespace], int] = resolve_name(arguments.command)
        gc.enable()
        return command(arguments)
    except CannotStart as refusal:
        return _complain(str(refusal))
    except CtxhubError as error:
        return _complain(f"{error.detail}. {error.remedy}")
    except BrokenPipeError:
        return _leave_quietly()
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()  # all memory is given back at once: taking the modules apart would take longer than most commands


def _complain(message: str) -> int:
    print("ctxhub:", " ".join(message.split()), file=sys.stderr)
    return 1


def _leave_quietly() -> int:
    """Whoever read our output has had enough, as `head` has."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


# What can be said on the command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ctxhub", description="The customer says it once.", epilog=_epilog())
    parser.add_argument("--version", action="version", version=f"ctxhub {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_demo_and_replay(commands)
    _add_keys(commands)
    _add_bulk(commands)
    _add_backup(commands)
    _add_epochs(commands)
    _add_audit(commands)
    _add_webhooks(commands)
    _add_doctor(commands)
    _add_tenants(commands)
    add_looking(commands)
    return parser


def _epilog() -> str:
    return "Settings are read from CTXHUB_*; `ctxhub doctor` shows those in force."


def _add_serve(commands: Any) -> None:
    parser = commands.add_parser("serve", help="run hub, adapters and desk")
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--workers", type=int, help="how many processes serve")
    _add_places(parser)
    parser.set_defaults(command="ctxhub.commands.serving:run")


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--redis-url", help="the Redis or Valkey to use; none: the embedded one")
    parser.add_argument("--data", type=Path, help="the folder for what the hub keeps itself")


def _add_demo_and_replay(commands: Any) -> None:
    demo = commands.add_parser("demo", help="see a customer go from channel to channel, on a hub made for the moment")
    demo.set_defaults(command="ctxhub.commands.playing:run_demo")
    replay = commands.add_parser("replay", help="play recorded dialogues through the adapters, switching channels")
    replay.add_argument("file", type=Path, help="the dialogues, JSON lines, gzipped or not")
    replay.add_argument("--url", help="a hub that runs already; none: one made for the moment")
    replay.add_argument("--limit", type=_at_least_one, help="play so many dialogues only")
    replay.add_argument("--parallel", type=_at_least_one, default=1, help="play so many at a time")
    replay.add_argument("--json", type=Path, metavar="PATH", help="write the result there too")
    replay.set_defaults(command="ctxhub.commands.playing:run_replay")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError("it needs an offset, such as a trailing Z")
    return at


def _add_keys(commands: Any) -> None:
    actions = commands.add_parser("keys", help="make, list, replace and revoke API keys").add_subparsers(
        required=True, metavar="ACTION"
    )
    create = actions.add_parser("create", help="make a key; it is shown this once")
    create.add_argument("--tenant", required=True)
    create.add_argument("--name", required=True, help="what the key is for; by it it is revoked")
    create.add_argument("--role", required=True, choices=_ROLES)
    create.add_argument("--agent", help="bind the key to this agent")
    create.add_argument("--scope", action="append", choices=SCOPES, help="narrow the key to this; may be repeated")
    create.add_argument("--channel", action="append", help="bind the key to this channel; may be repeated")
    create.add_argument("--queue", action="append", help="narrow the key to this queue; may be repeated")
    create.add_argument("--expires", type=_instant, help="when it ends, with an offset: 2027-01-31T00:00:00Z")
    create.add_argument("--level", type=int, choices=range(4), default=3, help="the highest assurance it may assert")
    create.add_argument("--method", action="append", help="a method it may assert; give it again for more")
    create.set_defaults(command="ctxhub.commands.keys:create")
    listing = actions.add_parser("list", help="list keys, without the keys themselves")
    listing.add_argument("--tenant")
    listing.set_defaults(command="ctxhub.commands.keys:listed")
    revoke = actions.add_parser("revoke", help="make a key worthless")
    revoke.add_argument("--tenant", required=True)
    revoke.add_argument("--name", required=True)
    revoke.set_defaults(command="ctxhub.commands.keys:revoke")
    rotate = actions.add_parser("rotate", help="make a new key in a key's place; it is shown this once")
    rotate.add_argument("--tenant", required=True)
    rotate.add_argument("--name", required=True)
    rotate.add_argument("--overlap", type=float, default=24, help="for so many hours the key before stays valid")
    rotate.set_defaults(command="ctxhub.commands.keys:rotate")
    for parser in (create, listing, revoke, rotate):
        _add_places(parser)


def _add_bulk(commands: Any) -> None:
    add_import(commands, _add_places).set_defaults(command="ctxhub.commands.work:bring_in")
    add_export(commands, _add_places).set_defaults(command="ctxhub.commands.work:take_out")


def _add_backup(commands: Any) -> None:
    saving = commands.add_parser("backup", help="copy the hub's own server, archive and keys into a new folder")
    saving.set_defaults(command="ctxhub.commands.stores:saved")
    restoring = commands.add_parser("restore", help="put a backup into a data folder where no hub is")
    restoring.set_defaults(command="ctxhub.commands.stores:put_back")
    for parser in (saving, restoring):
        parser.add_argument("folder", type=Path, metavar="DIR")
        _add_places(parser)
    actions = commands.add_parser("archive", help="which archive goes with a Redis").add_subparsers(
        required=True, metavar="ACTION"
    )
    parting = actions.add_parser("part", help="let this Redis go with another archive, or none, from the next start on")
    parting.set_defaults(command="ctxhub.commands.stores:part_with_archive")
    _add_places(parting)


def _add_epochs(commands: Any) -> None:
    actions = commands.add_parser(
        "epochs", help="the master keys under which sensitive values are sealed"
    ).add_subparsers(required=True, metavar="ACTION")
    helps = {
        "list": "list the epochs, and how many data keys each wraps",
        "begin": "begin a new epoch; new data keys are wrapped under it",
        "rewrap": "wrap all data keys under the present epoch, while the hub runs",
        "destroy": "destroy an old epoch that nothing needs any more",
        "lost": "give up what is sealed, where the keys are lost for good",
    }
    for action, says in helps.items():
        parser = actions.add_parser(action, help=says)
        parser.set_defaults(command="ctxhub.commands.work:turn_epochs", action=action)
        _add_places(parser)
        if action == "begin":
            parser.add_argument("--prepare", action="store_true", help="make its key, but do not use it yet")
        if action == "destroy":
            parser.add_argument("epoch", type=int)


def _add_audit(commands: Any) -> None:
    actions = commands.add_parser("audit", help="check the audit trail, and look into it").add_subparsers(
        required=True, metavar="ACTION"
    )
    verify = actions.add_parser("verify", help="check each chain; 1 and the first bad entry where one is broken")
    verify.add_argument("--tenant", help="this tenant's only")
    anchor = actions.add_parser("anchor", help="write an anchor of each chain now, and print it")
    show = actions.add_parser("show", help="who saw or changed what, as JSON lines")
    show.add_argument("--tenant", default="default")
    show.add_argument("--customer", metavar="ID")
    show.add_argument("--agent", metavar="A")
    show.add_argument("--action", metavar="NAME", help="such as context.read")
    show.add_argument("--at", metavar="TIME", help="what was seen until then, half an hour back")
    show.add_argument("--since", metavar="TIME")
    show.add_argument("--until", metavar="TIME")
    for parser, name in ((verify, "verify"), (anchor, "anchor"), (show, "show")):
        parser.set_defaults(command="ctxhub.commands.work:audit", deed=name)
        _add_places(parser)


def _add_webhooks(commands: Any) -> None:
    actions = commands.add_parser("webhooks", help="how endpoints stand, and what they were not told").add_subparsers(
        required=True, metavar="ACTION"
    )
    listing = actions.add_parser("list", help="list endpoints: waiting, since when, dead, delivered lately, off since")
    listing.add_argument("--tenant", help="this tenant's only")
    listing.set_defaults(command="ctxhub.commands.webhooks:listed")
    show = actions.add_parser("show", help="deliveries of an endpoint, as JSON lines")
    show.add_argument("--state", choices=("waiting", "dead", "delivered"), default="dead")
    show.add_argument("--limit", type=_at_least_one, default=200, help="how many at most")
    show.set_defaults(command="ctxhub.commands.webhooks:show")
    redrive = actions.add_parser("redrive", help="send all dead letters of an endpoint again")
    redrive.set_defaults(command="ctxhub.commands.webhooks:redrive")
    for parser in (show, redrive):
        parser.add_argument("webhook", metavar="NAME", help="the endpoint, as the tenant's file names it")
        parser.add_argument("--tenant", default="default")
    for parser in (listing, show, redrive):
        _add_places(parser)


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="show the settings in force, and check Redis against them")
    _add_places(parser)
    parser.set_defaults(command="ctxhub.commands.doctor:examined")


def _add_tenants(commands: Any) -> None:
    actions = commands.add_parser("tenants", help="check tenants' files").add_subparsers(
        required=True, metavar="ACTION"
    )
    checking = actions.add_parser("check", help="tell each fault with file and line")
    checking.add_argument("folder", type=Path, help="the folder of the files")
    checking.set_defaults(command="ctxhub.commands.doctor:check_tenants")
