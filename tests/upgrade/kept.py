"""What a version left behind, as files that eyes can read: its keys in Redis, its archive, its data folder.

    redis.jsonl       one key a line: its name, type, content, and for how many milliseconds it was still to live
    archive.sql       the archive, as SQL
    data.json         the data folder: sealing.keys, spool/…
    tenants/          what tenants had declared
    shown.json        what that version itself showed of it, when, and under which keys

Bytes that are no text stand as {"b64": "…"}.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from redis import Redis

WRITTEN = Path(__file__).parent / "written"
Plain = str | dict[str, str]


def versions() -> list[str]:
    """Every version of which something is kept here."""
    return sorted(folder.name for folder in WRITTEN.iterdir())


def dump(redis: Redis, data: Path, tenants: Path, into: Path) -> None:
    """Write down all that a hub keeps, but what it showed of it."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    lines = (json.dumps(_key(redis, name), ensure_ascii=False) for name in sorted(redis.scan_iter()))
    (into / "redis.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    with closing(sqlite3.connect(data / "archive.db")) as archive:
        (into / "archive.sql").write_text("\n".join(archive.iterdump()) + "\n", "utf-8")
    files = {file.relative_to(data).as_posix(): _plain(file.read_bytes()) for file in _files(data)}
    (into / "data.json").write_text(json.dumps(files, indent=1) + "\n", "utf-8")
    shutil.copytree(tenants, into / "tenants")


def _files(data: Path) -> list[Path]:
    """What a data folder keeps beside the archive; locks and what is empty say nothing."""
    found = [data / "sealing.keys", *sorted((data / "spool").rglob("*"))]
    return [file for file in found if file.is_file() and file.stat().st_size]


def load(version: str, redis: Redis, folder: Path) -> dict[str, Any]:
    """Put what a version has left where a hub looks for it; return what that version showed."""
    source = WRITTEN / version
    for line in (source / "redis.jsonl").read_text("utf-8").splitlines():
        _put(redis, json.loads(line))
    for name, content in json.loads((source / "data.json").read_text("utf-8")).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(_bytes(content))
        (folder / name).chmod(0o600)
    shutil.copytree(source / "tenants", folder / "tenants")
    with closing(sqlite3.connect(folder / "archive.db")) as archive:
        archive.executescript((source / "archive.sql").read_text("utf-8"))
    shown: dict[str, Any] = json.loads((source / "shown.json").read_text("utf-8"))
    return shown


def _key(redis: Redis, name: bytes) -> dict[str, Any]:
    """Return a key with all that it holds."""
    kind = redis.type(name).decode()
    content: Any = _READ[kind](redis, name)
    return {"key": _plain(name), "type": kind, "lives": redis.pttl(name), "content": content}


def _string(redis: Redis, name: bytes) -> Plain:
    return _plain(redis.get(name))


def _hash(redis: Redis, name: bytes) -> list[list[Plain]]:
    return [[_plain(field), _plain(value)] for field, value in sorted(redis.hgetall(name).items())]


def _list(redis: Redis, name: bytes) -> list[Plain]:
    return [_plain(value) for value in redis.lrange(name, 0, -1)]


def _set(redis: Redis, name: bytes) -> list[Plain]:
    return [_plain(value) for value in sorted(redis.smembers(name))]


def _sorted_set(redis: Redis, name: bytes) -> list[list[Any]]:
    return [[_plain(member), score] for member, score in redis.zrange(name, 0, -1, withscores=True)]


def _stream(redis: Redis, name: bytes) -> dict[str, Any]:
    entries = [[id_.decode(), [_plain(word) for pair in said.items() for word in pair]]
               for id_, said in redis.xrange(name)]  # fmt: skip
    return {"last": redis.xinfo_stream(name)["last-generated-id"].decode(), "entries": entries}


_READ = {"string": _string, "hash": _hash, "list": _list, "set": _set, "zset": _sorted_set, "stream": _stream}


def _put(redis: Redis, kept: dict[str, Any]) -> None:
    """Put a key back as it was."""
    name, content = _bytes(kept["key"]), kept["content"]
    for command in _commands(name, kept["type"], content):
        redis.execute_command(*command)
    if kept["lives"] >= 0:
        redis.pexpire(name, kept["lives"])


def _commands(name: bytes, kind: str, content: Any) -> Iterator[tuple[Any, ...]]:
    """Yield what makes a key of that content."""
    if kind == "string":
        yield "SET", name, _bytes(content)
    elif kind == "hash":
        yield "HSET", name, *(_bytes(part) for pair in content for part in pair)
    elif kind == "list":
        yield "RPUSH", name, *map(_bytes, content)
    elif kind == "set":
        yield "SADD", name, *map(_bytes, content)
    elif kind == "zset":
        yield "ZADD", name, *(part for member, score in content for part in (score, _bytes(member)))
    else:
        yield from _stream_commands(name, content)


def _stream_commands(name: bytes, content: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield what makes a stream, one that was emptied too."""
    for id_, words in content["entries"]:
        yield "XADD", name, id_, *map(_bytes, words)
    if content["entries"]:
        yield "XSETID", name, content["last"]
    else:
        yield "XADD", name, content["last"], "-", "-"
        yield "XTRIM", name, "MAXLEN", 0


def _plain(value: bytes) -> Plain:
    """Return bytes as text where they are."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
    return (
        text if all(sign.isprintable() or sign == "\n" for sign in text) else {"b64": base64.b64encode(value).decode()}
    )


def _bytes(plain: Plain) -> bytes:
    """Return the bytes that were written as text."""
    return plain.encode() if isinstance(plain, str) else base64.b64decode(plain["b64"])
