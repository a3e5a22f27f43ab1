"""The `ctxhub` command: run the hub, play dialogues, make keys, look at customers, check the set-up.

What was foreseen to go wrong is one line on stderr that names the remedy. Exit codes: 0 done, 1 it could not be
done or something is wrong, 2 not understood.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from ctxhub import __version__, log, looking
from ctxhub.backup import backup, restore
from ctxhub.bulk.command import add_export, add_import
from ctxhub.errors import CtxhubError
from ctxhub.hub.declarations import LineFault, check
from ctxhub.hub.keys import Keys
from ctxhub.serving import serve
from ctxhub.settings import CannotStart, SettingLine, Settings, describe_settings, written
from ctxhub.store.checkup import Finding, examine, without_password
from ctxhub.store.embedded import embedded_server, running_server
from ctxhub.store.keyring import Keyring
from ctxhub.store.redis import connected

__all__ = ["main"]

_ROLES = ("adapter", "agent", "supervisor", "admin")
_MARKS = {"good": "  ok ", "bad": "  BAD", "unknown": "  ?  "}
_KEY_COLUMNS = ("tenant", "name", "role", "agent", "key_id", "created_at")

Done = TypeVar("Done")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except CannotStart as refusal:
        return _complain(str(refusal))
    except CtxhubError as error:
        return _complain(f"{error.detail}. {error.remedy}")
    except BrokenPipeError:
        return _leave_quietly()
    except KeyboardInterrupt:
        return 130


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
    _add_doctor(commands)
    _add_tenants(commands)
    looking.add_commands(commands)
    return parser


def _epilog() -> str:
    return "Settings are read from CTXHUB_*; `ctxhub doctor` shows those in force."


def _add_serve(commands: Any) -> None:
    parser = commands.add_parser("serve", help="run hub, adapters and desk")
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--workers", type=int, help="how many processes serve")
    _add_places(parser)
    parser.set_defaults(command=_serve)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--redis-url", help="the Redis or Valkey to use; none: the embedded one")
    parser.add_argument("--data", type=Path, help="the folder for what the hub keeps itself")


def _add_demo_and_replay(commands: Any) -> None:
    demo = commands.add_parser("demo", help="see a customer go from channel to channel, on a hub made for the moment")
    demo.set_defaults(command=_demo)
    replay = commands.add_parser("replay", help="play recorded dialogues through the adapters, switching channels")
    replay.add_argument("file", type=Path, help="the dialogues, JSON lines, gzipped or not")
    replay.add_argument("--url", help="a hub that runs already; none: one made for the moment")
    replay.add_argument("--limit", type=_at_least_one, help="play so many dialogues only")
    replay.add_argument("--parallel", type=_at_least_one, default=1, help="play so many at a time")
    replay.add_argument("--json", type=Path, metavar="PATH", help="write the result there too")
    replay.set_defaults(command=_replay)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _add_keys(commands: Any) -> None:
    actions = commands.add_parser("keys", help="make, list and revoke API keys").add_subparsers(
        required=True, metavar="ACTION"
    )
    create = actions.add_parser("create", help="make a key; it is shown this once")
    create.add_argument("--tenant", required=True)
    create.add_argument("--name", required=True, help="what the key is for; by it it is revoked")
    create.add_argument("--role", required=True, choices=_ROLES)
    create.add_argument("--agent", help="bind the key to this agent")
    create.set_defaults(command=_create_key)
    listing = actions.add_parser("list", help="list keys, without the keys themselves")
    listing.add_argument("--tenant")
    listing.set_defaults(command=_list_keys)
    revoke = actions.add_parser("revoke", help="make a key worthless")
    revoke.add_argument("--tenant", required=True)
    revoke.add_argument("--name", required=True)
    revoke.set_defaults(command=_revoke_key)
    for parser in (create, listing, revoke):
        _add_places(parser)


def _add_bulk(commands: Any) -> None:
    add_import(commands, _add_places).set_defaults(command=_import)
    add_export(commands, _add_places).set_defaults(command=_export)


def _add_backup(commands: Any) -> None:
    saving = commands.add_parser("backup", help="copy the hub's own server, archive and keys into a new folder")
    saving.set_defaults(command=_backup)
    restoring = commands.add_parser("restore", help="put a backup into a data folder where no hub is")
    restoring.set_defaults(command=_restore)
    for parser in (saving, restoring):
        parser.add_argument("folder", type=Path, metavar="DIR")
        _add_places(parser)
    actions = commands.add_parser("archive", help="which archive goes with a Redis").add_subparsers(
        required=True, metavar="ACTION"
    )
    parting = actions.add_parser("part", help="let this Redis go with another archive, or none, from the next start on")
    parting.set_defaults(command=_part_with_archive)
    _add_places(parting)


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="show the settings in force, and check Redis against them")
    _add_places(parser)
    parser.set_defaults(command=_doctor)


def _add_tenants(commands: Any) -> None:
    actions = commands.add_parser("tenants", help="check tenants' files").add_subparsers(
        required=True, metavar="ACTION"
    )
    checking = actions.add_parser("check", help="tell each fault with file and line")
    checking.add_argument("folder", type=Path, help="the folder of the files")
    checking.set_defaults(command=_check_tenants)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings in force: the environment, and over it what the command line says."""
    given = {name: value for name, value in vars(arguments).items() if name in Settings.model_fields}
    return Settings.from_env(os.environ, **given)


# Serving and playing


def _serve(arguments: argparse.Namespace) -> int:
    return serve(_settings(arguments))


def _demo(arguments: argparse.Namespace) -> int:
    from ctxhub.demo import main as demo  # it brings the player along, which few commands need

    return demo()


def _replay(arguments: argparse.Namespace) -> int:
    if not arguments.file.is_file():
        raise CannotStart(f"{arguments.file} is no file: name one with dialogues, JSON lines, gzipped or not")
    from ctxhub.replay import main as replay

    return replay(
        arguments.file, url=arguments.url, limit=arguments.limit, parallel=arguments.parallel, json_path=arguments.json
    )


# Keys


@contextmanager
def _with_redis(settings: Settings) -> Iterator[Settings]:
    """Settings that name a Redis: the operator's, that of the hub on this folder, or one started for the moment."""
    settings = settings.with_secrets()
    url = settings.redis_url or running_server(settings.data)
    if url is not None:
        yield settings.with_redis(url) if settings.redis_url is None else settings
        return
    with embedded_server(settings) as server:
        yield settings.with_redis(server.url)


@asynccontextmanager
async def _opened_keyring(settings: Settings) -> AsyncIterator[Keyring]:
    """What a Redis keeps about itself, wherever that is."""
    assert settings.redis_url is not None
    async with connected(
        settings.redis_url,
        settings.partitions,
        socket_timeout=settings.socket_timeout.total_seconds(),
        connect_timeout=settings.connect_timeout.total_seconds(),
    ) as server:
        yield Keyring(server)


def _on_keys(arguments: argparse.Namespace, act: Callable[[Keys], Awaitable[Done]]) -> Done:
    """Do something with the keys."""

    async def done(settings: Settings) -> Done:
        async with _opened_keyring(settings) as keyring:
            return await act(Keys(keyring))

    log.configure("warning", "console")
    with _with_redis(_settings(arguments)) as settings:
        return asyncio.run(done(settings))


def _create_key(arguments: argparse.Namespace) -> int:
    given = (arguments.tenant, arguments.name, arguments.role, arguments.agent)
    key_id, secret = _on_keys(arguments, lambda keys: keys.create(*given))
    print(f"key {key_id}, role {arguments.role}, tenant {arguments.tenant}; it is shown this once:", file=sys.stderr)
    print(secret)
    return 0


def _list_keys(arguments: argparse.Namespace) -> int:
    for record in _on_keys(arguments, lambda keys: keys.list(arguments.tenant)):
        shown = (record.get(column) or "-" for column in _KEY_COLUMNS)
        print("\t".join(shown))
    return 0


def _revoke_key(arguments: argparse.Namespace) -> int:
    _on_keys(arguments, lambda keys: keys.revoke(arguments.tenant, arguments.name))
    print(f"key {arguments.name} of tenant {arguments.tenant} is revoked", file=sys.stderr)
    return 0


# Many customers at once


def _import(arguments: argparse.Namespace) -> int:
    from ctxhub.bulk.work import bring_in  # it brings the whole hub along, which few commands need

    log.configure("warning", "console")
    with _with_redis(_settings(arguments)) as settings:
        return bring_in(arguments, settings)


def _export(arguments: argparse.Namespace) -> int:
    from ctxhub.bulk.work import take_out  # it brings the whole hub along, which few commands need

    log.configure("warning", "console")
    given = _settings(arguments)
    if given.redis_url is None and not given.data.is_dir():
        raise CannotStart(f"there is no hub in {given.data}: name its folder with --data, or its Redis")
    with _with_redis(given) as settings:
        return take_out(arguments, settings)


# Backup and archive


def _backup(arguments: argparse.Namespace) -> int:
    for told in backup(_settings(arguments), arguments.folder):
        print(told)
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    for told in restore(_settings(arguments), arguments.folder):
        print(told)
    return 0


def _part_with_archive(arguments: argparse.Namespace) -> int:
    async def part(settings: Settings) -> None:
        async with _opened_keyring(settings) as keyring:
            await keyring.part_with_archive()

    log.configure("warning", "console")
    with _with_redis(_settings(arguments)) as settings:
        asyncio.run(part(settings))
    print("the next start fixes another archive; who is only in the one before is not found any more", file=sys.stderr)
    return 0


# Doctor


def _doctor(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    log.configure("warning", "console")
    print("Settings in force")
    for line in describe_settings():
        print(_shown(line, settings))
    with _with_redis(settings) as reachable:
        assert reachable.redis_url is not None
        print(f"\nRedis at {without_password(reachable.redis_url)}")
        findings = examine(reachable.redis_url, settings)
    if settings.tenants is not None:
        findings += _tenant_findings(settings.tenants)
    for finding in findings:
        print(_told(finding))
    return int(any(finding.verdict == "bad" for finding in findings))


def _tenant_findings(folder: Path) -> list[Finding]:
    """What is wrong with the tenants' files; that nothing is, is a finding too."""
    try:
        faults = _faults(folder)
    except OSError as error:
        return [Finding("tenants", f"{folder}: {error.strerror}", "bad", "let CTXHUB_TENANTS name a folder")]
    found = [Finding(f"{fault.file}:{fault.line}", fault.what, "bad", fault.remedy) for fault in faults]
    return found or [Finding("tenants", f"the files in {folder}", "good")]


def _faults(folder: Path) -> list[LineFault]:
    """Return what is wrong with a folder's files, also in what adapters read of them."""
    from ctxhub.server import CHANNELS  # it brings the whole hub along, which few commands need

    return check(folder, CHANNELS)


def _check_tenants(arguments: argparse.Namespace) -> int:
    try:
        faults = _faults(arguments.folder)
    except OSError as error:
        raise CannotStart(f"{arguments.folder}: {error.strerror}: name a folder of tenants' files") from error
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "no faults", file=sys.stderr)
    return int(bool(faults))


def _shown(line: SettingLine, settings: Settings) -> str:
    value = getattr(settings, line.variable.removeprefix("CTXHUB_").lower())
    shown = "set" if isinstance(value, SecretStr) else without_password(written(value))
    origin = "" if shown != line.default else "  (as it comes)"
    return f"  {line.variable:<26}{shown or '-'}{origin}"


def _told(finding: Finding) -> str:
    remedy = f"  -> {finding.remedy}" if finding.remedy else ""
    return f"{_MARKS[finding.verdict]}  {finding.name}: {finding.found}{remedy}"
