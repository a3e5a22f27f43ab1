"""Users of a Redis, as the page of them says: the hub's may do what the hub does, a reader's sees one tenant."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from structlog.testing import capture_logs

from ctxhub.errors import CtxhubError
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.atrest import AtRest, NotAllowed
from ctxhub.store.embedded import embedded_server
from ctxhub.store.keys import TABLE
from ctxhub.store.redis import connected
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import Caller, Scene, accept, known, ok, phone
from tests.docs.reading import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "redis-acl.md"
LINES = [line for block in blocks(PAGE) for line in block.text.splitlines() if line.startswith("ACL SETUSER ")]

#: What goes to a server beside the store's own calls: the look at health, the client's greeting, and its subscription.
BESIDE = {"ping", "client|setinfo", "psubscribe", "punsubscribe"}
# How the store sends a command: to whom it belongs, to every server, to one.
CALLED = {"call", "everywhere", "told", "_told"}


class Guarded(NamedTuple):
    """A server with the page's users: the tenant is `default`, passwords are as the page spells them."""

    socket: Path

    def url(self, user: str, password: str) -> str:
        """Return where a user finds it."""
        return f"unix://{user}:{password}@{quote(str(self.socket))}"

    @property
    def hub(self) -> str:
        """Return the hub's way in."""
        return self.url("ctxhub", "HUB-PASSWORD")

    @property
    def operator(self) -> Redis:
        """Return the operator's way in."""
        return Redis.from_url(self.url("operator", "OPERATOR-PASSWORD"))

    @property
    def reader(self) -> Redis:
        """Return the way in of the reader of `default`."""
        return Redis.from_url(self.url("default-reader", "READER-PASSWORD"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server of its own on which the page's lines were typed, in order."""
    settings = Settings(data=tmp_path_factory.mktemp("guarded"), durability="fast")
    with embedded_server(settings) as server, Redis.from_url(server.url) as typing:
        for line in LINES:
            typing.execute_command(*line.replace("acme", "default").split())
        yield Guarded(server.socket)


async def played(adapter: Caller) -> Scene:
    """A customer calls, and tells and is asked enough to be written down in every kind of key."""
    scene = await known(adapter, identifiers=[phone()])
    await scene.journey()
    await scene.tell(scene.fact("order_id", "A-17"), scene.fact("card_number", "sealed", sensitivity="sensitive"))
    await scene.asks("order_id", "bank")
    assert (await scene.context())["facts"]
    return scene


async def handed_over(callers: Callers, scene: Scene) -> None:
    """The customer is offered, an agent takes the offer and looks, a supervisor looks at numbers."""
    handoff_id = (await scene.offer({"queue": "billing"}))["handoff_id"]
    assert ok(await callers.ann.get("/v1/queues/billing"))
    await accept(callers.ann, handoff_id, "ann")
    ok(await callers.ann.get(f"{scene.base}/context"))
    ok(await callers.supervisor.get("/v1/numbers"))


@asynccontextmanager
async def playing(guarded: Guarded, folder: Path, **more: Any) -> AsyncIterator[Callers]:
    """A hub that comes in as the page says, and its callers."""
    async with living(settings_for(folder, guarded.hub, **more)) as app, http_to(app) as http:
        yield await Callers(http).make()


def refused(redis: Redis) -> list[str]:
    """Return what the server has refused to anybody, newest first."""
    return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in redis.acl_log()]


@pytest.mark.parametrize("archive", [False, True], ids=["without an archive", "with one"])
async def test_the_hub_does_all_its_work_and_is_refused_nothing_but_the_look_at_settings(
    guarded: Guarded, tmp_path: Path, archive: bool
) -> None:
    more = {"archive": f"sqlite:///{tmp_path / 'archive.db'}"} if archive else {}
    with guarded.operator as operator:
        operator.flushdb()
        operator.acl_log_reset()
        async with playing(guarded, tmp_path, **more) as callers:
            scene = await played(callers.adapter)
            await handed_over(callers, scene)
            ok(await callers.admin.get(f"{scene.base}/export"))
            assert [one for one in operator.client_list() if one["user"] == "ctxhub" and one["psub"] == "1"]
            gone = await callers.admin.call("DELETE", scene.base)
            assert gone.status_code in (200, 202), gone.text
        assert refused(operator) == ["ctxhub: command config|get"]


async def test_a_start_as_the_page_says_sees_that_a_server_forgets_and_names_what_it_can_t_see(
    guarded: Guarded, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, guarded.hub).model_copy(update={"durability": "safe"})
    with guarded.operator as operator:
        operator.flushdb()
        operator.config_set("maxmemory-policy", "allkeys-lru")
        operator.config_set("appendonly", "no")
        try:
            with pytest.raises(CannotStart, match="maxmemory-policy: allkeys-lru"):
                async with living(settings):
                    pass
            operator.config_set("maxmemory-policy", "noeviction")
            with capture_logs() as logged:
                async with living(settings):
                    pass
        finally:
            operator.config_set("maxmemory-policy", "noeviction")
            operator.config_set("appendonly", "yes")
    said = {(line["event"], line.get("what")) for line in logged}
    assert {("redis.unfit", "appendonly"), ("redis.unseen", "appendfsync")} <= said


def test_the_hub_may_do_what_its_code_sends_and_nothing_else(guarded: Guarded) -> None:
    with guarded.operator as operator:
        there = set(operator.command())
        allowed = operator.acl_getuser("ctxhub")["commands"]
    sent = {name for name in _sent() if name.partition("|")[0] in there} | BESIDE
    assert {name.removeprefix("+") for name in allowed if name != "-@all"} == sent


def _sent() -> set[str]:
    """Return every command that the store or its scripts spell, with its second word where it needs one."""
    scripts = (path.read_text() for path in (ROOT / "ctxhub/store/lua").glob("*.lua"))
    found = {name.lower() for text in scripts for name in re.findall(r"redis\.p?call\('([A-Z]+)'", text)}
    for path in (ROOT / "ctxhub/store").glob("*.py"):
        found |= {name for node in ast.walk(ast.parse(path.read_text())) for name in _spelled(node)}
    return found


def _spelled(node: ast.AST) -> Iterator[str]:
    """Yield the commands that begin a tuple or the arguments of a call."""
    words: list[ast.expr] = []
    if isinstance(node, ast.Tuple):
        words = node.elts
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLED:
        words = node.args
    first = words[0] if words else None
    texts = [_text(one) for one in ((first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,))]
    for text in filter(str.isupper, texts):
        yield f"{text}|{_text(words[1])}".lower() if text in ("SCRIPT", "XINFO", "CLUSTER") else text.lower()


def _text(node: ast.expr | None) -> str:
    """Return a text that is spelled out, otherwise none."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize(
    "command",
    ["CONFIG GET *", "CONFIG SET maxmemory 1", "FLUSHALL", "FLUSHDB", "KEYS *", "FUNCTION LIST", "FUNCTION FLUSH",
     "EVAL return(1) 0", "SCRIPT FLUSH", "SHUTDOWN", "ACL LIST", "ACL SETUSER ctxhub +@all", "MONITOR",
     "REPLICAOF NO ONE", "CLIENT KILL TYPE normal", "GET beside", "SET beside 1", "PUBLISH beside 1",
     "PSUBSCRIBE *", "SWAPDB 0 0", "MIGRATE h 1 k 0 1", "RESTORE ctxhub:x 0 x", "SAVE"],
)  # fmt: skip
def test_the_hubs_user_is_refused_what_only_an_operator_needs(guarded: Guarded, command: str) -> None:
    with Redis.from_url(guarded.hub) as hub:
        assert hub.ping()
        with pytest.raises(NoPermissionError):
            hub.execute_command(*command.split())


def test_whoever_has_no_name_or_another_password_is_shut_out(guarded: Guarded) -> None:
    for url in (f"unix://{quote(str(guarded.socket))}", guarded.url("ctxhub", "GUESSED")):
        with Redis.from_url(url) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


READING = {"string": ("GET",), "hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "set": ("SMEMBERS",),
           "zset": ("ZRANGE", 0, -1), "stream": ("XRANGE", "-", "+")}  # fmt: skip


def look(redis: Redis, name: bytes, kind: str) -> Any:
    """Read a whole key."""
    command, *more = READING[kind]
    return redis.execute_command(str(command), name, *more)


def can_look(redis: Redis, name: bytes, kind: str) -> bool:
    """Tell whether somebody can read a key."""
    try:
        look(redis, name, kind)
    except NoPermissionError:
        return False
    return True


async def test_a_reader_sees_every_key_of_its_tenant_and_none_of_anybody_elses(
    guarded: Guarded, tmp_path: Path
) -> None:
    with guarded.operator as operator, guarded.reader as reader:
        operator.flushdb()
        async with playing(guarded, tmp_path) as callers:
            await handed_over(callers, await played(callers.adapter))
            await played(callers.other_adapter)
        operator.zadd("ctxhub:{00}:other:waiting:queue:x}:default:y", {"a queue named to deceive": 1})
        kinds = {name: operator.type(name).decode() for name in operator.scan_iter(count=1000)}
        seen = {name for name, kind in kinds.items() if can_look(reader, name, kind)}
    assert seen == {name for name in kinds if name.split(b":")[2] == b"default"}
    assert {kinds[name] for name in seen} >= {"string", "hash", "list", "zset", "set"}
    assert len({name for name in kinds if name.split(b":")[2] == b"other"}) > 5


@pytest.mark.parametrize(
    "command",
    ["SET {own} 1", "DEL {own}", "EXPIRE {own} 1", "HSET {own} a b", "RENAME {own} {own}2", "COPY {own} {own}2",
     "SCAN 0", "KEYS *", "RANDOMKEY", "DBSIZE", "EVALSHA 0 0", "EVAL return(1) 0", "SCRIPT LOAD return(1)",
     "PSUBSCRIBE ctxhub:{{*}}:hints", "SUBSCRIBE ctxhub:{{00}}:hints", "MONITOR", "CONFIG GET *", "INFO", "FLUSHALL",
     "GET ctxhub:{{00}}:keys", "HGETALL ctxhub:{{00}}:founding"],
)  # fmt: skip
def test_a_reader_changes_lists_and_hears_nothing(guarded: Guarded, command: str) -> None:
    with guarded.reader as reader, pytest.raises(NoPermissionError):
        reader.execute_command(*command.format(own="ctxhub:{00}:default:c1:document").split())


def test_the_page_names_each_tenant_whose_name_stands_in_keys_of_all() -> None:
    parts = [row.pattern.split(":") for row in TABLE]
    common = {part[2] for part in parts if len(part) > 3 and not part[2].isupper()}
    said = " ".join(PAGE.read_text(encoding="utf-8").split()).partition("There is no such user")[2].partition(":")[0]
    assert set(re.findall(r"`([a-z]+)`", said)) == common


@pytest.mark.parametrize("command", ["bgrewriteaof", "info"])
async def test_a_hub_that_may_not_have_files_written_anew_knows_that_it_may_not(guarded: Guarded, command: str) -> None:
    with guarded.operator as operator:
        operator.execute_command("ACL", "SETUSER", "ctxhub", f"-{command}")
        try:
            async with connected(guarded.hub, partitions=8) as server:
                with pytest.raises(NotAllowed, match=command):
                    await AtRest(server).rewrite(1)
        finally:
            operator.execute_command("ACL", "SETUSER", "ctxhub", f"+{command}")


async def test_a_right_that_is_missing_would_be_seen(guarded: Guarded, tmp_path: Path) -> None:
    with guarded.operator as operator:
        operator.flushdb()
        operator.execute_command("ACL", "SETUSER", "ctxhub", "-hset")
        operator.acl_log_reset()
        try:
            with pytest.raises((AssertionError, CtxhubError, NoPermissionError)):
                async with playing(guarded, tmp_path):
                    pass
            assert [line for line in refused(operator) if "hset" in line]
        finally:
            operator.execute_command("ACL", "SETUSER", "ctxhub", "+hset")
