"""The `ctxhub` command: run the hub, play dialogues, make keys, look at customers, check the set-up.

What was foreseen to go wrong is one line on stderr that names the remedy. Exit codes: 0 done, 1 it could not be
done or something is wrong, 2 not understood.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from ctxhub import __version__, log
from ctxhub.client import ContextHub, ContextView, Fed
from ctxhub.errors import CtxhubError
from ctxhub.hub.keys import Keys
from ctxhub.serving import serve
from ctxhub.settings import CannotStart, SettingLine, Settings, describe_settings, written
from ctxhub.store.checkup import Finding, examine, without_password
from ctxhub.store.embedded import embedded_server, running_server
from ctxhub.store.keyring import Keyring
from ctxhub.store.redis import connected

__all__ = ["main"]

_ROLES = ("adapter", "agent", "supervisor", "admin")
_CLIENT_KEY = "CTXHUB_KEY"
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
    _add_doctor(commands)
    _add_show_and_follow(commands)
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


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="show the settings in force, and check Redis against them")
    _add_places(parser)
    parser.set_defaults(command=_doctor)


def _add_show_and_follow(commands: Any) -> None:
    show = commands.add_parser("show", help="show what a running hub knows about a customer")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(command=_show)
    follow = commands.add_parser("follow", help="follow what happens to a customer")
    follow.add_argument("--after", type=int, metavar="VERSION", help="begin after this version; none: now")
    follow.set_defaults(command=_follow)
    for parser in (show, follow):
        parser.add_argument("customer_id")
        parser.add_argument("--url", help="where the hub is")
        parser.add_argument("--data", type=Path, help="the folder whose admin.key to use")
        parser.epilog = f"The key comes from {_CLIENT_KEY}, else CTXHUB_ADMIN_KEY, else <data>/admin.key."


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
        yield settings.model_copy(update={"redis_url": url})
        return
    with embedded_server(settings) as server:
        yield settings.model_copy(update={"redis_url": server.url})


@asynccontextmanager
async def _opened_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The keys, wherever they are kept."""
    assert settings.redis_url is not None
    async with connected(
        settings.redis_url,
        settings.partitions,
        socket_timeout=settings.socket_timeout.total_seconds(),
        connect_timeout=settings.connect_timeout.total_seconds(),
    ) as server:
        yield Keys(Keyring(server))


def _on_keys(arguments: argparse.Namespace, act: Callable[[Keys], Awaitable[Done]]) -> Done:
    """Do something with the keys."""

    async def done(settings: Settings) -> Done:
        async with _opened_keys(settings) as keys:
            return await act(keys)

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
    for finding in findings:
        print(_told(finding))
    return int(any(finding.verdict == "bad" for finding in findings))


def _shown(line: SettingLine, settings: Settings) -> str:
    value = getattr(settings, line.variable.removeprefix("CTXHUB_").lower())
    shown = "set" if isinstance(value, SecretStr) else without_password(written(value))
    origin = "" if shown != line.default else "  (as it comes)"
    return f"  {line.variable:<26}{shown or '-'}{origin}"


def _told(finding: Finding) -> str:
    remedy = f"  -> {finding.remedy}" if finding.remedy else ""
    return f"{_MARKS[finding.verdict]}  {finding.name}: {finding.found}{remedy}"


# Looking at customers


def _hub(arguments: argparse.Namespace) -> ContextHub:
    """A client of the running hub."""
    log.configure("warning", "console")
    settings = _settings(arguments)
    try:
        return ContextHub(arguments.url or settings.base_url, _key(settings))
    except ValueError as error:
        raise CannotStart(f"--url: {error}") from error


def _key(settings: Settings) -> str:
    if key := os.environ.get(_CLIENT_KEY):
        return key
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    with suppress(FileNotFoundError):
        return (settings.data / "admin.key").read_text().strip()
    raise CannotStart(f"no key: set {_CLIENT_KEY}, or name the hub's data folder with --data")


def _show(arguments: argparse.Namespace) -> int:
    async def read() -> ContextView:
        async with _hub(arguments) as hub:
            return await hub.contexts.read(arguments.customer_id)

    context = asyncio.run(read())
    if arguments.json:
        print(context.model_dump_json(indent=2))
        return 0
    print("\n".join(_lines_of(context)))
    return 0


def _lines_of(context: ContextView) -> Iterator[str]:
    """A context for eyes: one line for each thing known."""
    yield f"{context.customer_id}  version {context.version}  {'known' if context.known else 'not known'}"
    for identifier in context.identifiers:
        yield f"  identifier   {identifier.type} {identifier.value} ({identifier.strength})"
    for name, fact in context.facts.items():
        value = "(withheld)" if fact.withheld else json.dumps(fact.value, ensure_ascii=False)
        yield f"  fact         {name} = {value} ({fact.state})"
    for journey in context.journeys:
        missing = f", misses {', '.join(journey.missing)}" if journey.missing else ""
        yield f"  journey      {journey.kind} {journey.state} at {journey.step or 'its beginning'}{missing}"
    for interaction in context.interactions:
        yield f"  interaction  {interaction.channel} {interaction.interaction_id} {interaction.state}"
    for handoff in context.handoffs:
        yield f"  handoff      {handoff.handoff_id} {handoff.state}"


def _follow(arguments: argparse.Namespace) -> int:
    async def follow() -> None:
        async with _hub(arguments) as hub:
            await hub.contexts.read(arguments.customer_id)  # a feed waits for a hub that is away; who looks does not
            feed = hub.feeds.customer(arguments.customer_id, after=arguments.after)
            async with aclosing(feed):
                await _print_feed(feed)

    asyncio.run(follow())
    return 0


async def _print_feed(feed: AsyncGenerator[Fed, None]) -> None:
    async for fed in feed:
        print(_line_of(fed), flush=True)


def _line_of(fed: Fed) -> str:
    at = fed.data.get("at", "")
    return " ".join([fed.id or "-", at, fed.type, json.dumps(fed.data.get("data", fed.data), ensure_ascii=False)])
