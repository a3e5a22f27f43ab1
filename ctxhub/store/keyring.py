"""API keys, single-use tickets, and what was fixed at the first start."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson

from ctxhub.store.redis import Server


class Keyring:
    """Keeps API keys by their digests, never the keys themselves."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def put(self, key_digest: str, record: dict[str, Any]) -> None:
        """Keep a key's record."""
        await self._server.call("HSET", self._server.keys.api_keys, key_digest, orjson.dumps(record), writes=True)

    async def get(self, key_digest: str) -> dict[str, Any] | None:
        """Return the record of a key, if it is valid."""
        found = await self._server.call("HGET", self._server.keys.api_keys, key_digest)
        return orjson.loads(found) if found else None

    async def every(self) -> dict[str, dict[str, Any]]:
        """Return all records by digest."""
        found = await self._server.call("HGETALL", self._server.keys.api_keys)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {key.decode(): orjson.loads(record) for key, record in pairs}

    async def drop(self, key_digest: str) -> None:
        """Let a key no longer be valid."""
        record = await self.get(key_digest)
        if record is not None:
            await self._server.call("HDEL", self._server.keys.api_keys_used, record.get("key_id", ""), writes=True)
        await self._server.call("HDEL", self._server.keys.api_keys, key_digest, writes=True)

    async def used(self, key_id: str, at: str) -> None:
        """Note when a key was last used."""
        await self._server.call("HSET", self._server.keys.api_keys_used, key_id, at, writes=True)

    async def last_used(self) -> dict[str, str]:
        """Return when each key was last used, by its id."""
        found = await self._server.call("HGETALL", self._server.keys.api_keys_used)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {key_id.decode(): at.decode() for key_id, at in pairs}

    async def put_ticket(self, ticket: str, record: dict[str, Any], seconds: int) -> None:
        """Keep what a ticket is good for."""
        key = self._server.keys.ticket(hashlib.sha256(ticket.encode()).hexdigest()[:32])
        await self._server.call("SET", key, orjson.dumps(record), "EX", seconds, writes=True)

    async def take_ticket(self, ticket: str) -> dict[str, Any] | None:
        """Return what a ticket is good for, once."""
        key = self._server.keys.ticket(hashlib.sha256(ticket.encode()).hexdigest()[:32])
        found = await self._server.call("GETDEL", key, writes=True)
        return orjson.loads(found) if found else None

    async def archive(self, identity: str | None) -> str:
        """Fix the archive that goes with this Redis, if one is named and none is fixed; return it, '' for none."""
        key = self._server.keys.founding
        if identity is not None:
            await self._server.call("HSETNX", key, "archive", identity, writes=True)
        return (await self._server.call("HGET", key, "archive") or b"").decode()

    async def part_with_archive(self) -> None:
        """Let another archive go with this Redis from now on."""
        await self._server.call("HDEL", self._server.keys.founding, "archive", "stock", writes=True)

    async def has_taken_stock(self, done: bool = False) -> bool:
        """Tell whether everybody in Redis has a lease since an archive goes with it; `done` notes that it is so."""
        key = self._server.keys.founding
        if done:
            await self._server.call("HSET", key, "stock", 1, writes=True)
        return await self._server.call("HGET", key, "stock") is not None

    async def has_listed_promises(self, done: bool = False) -> bool:
        """Tell whether promises made before there were lists of them have been seen to; `done` notes that it is so."""
        key = self._server.keys.founding
        if done:
            await self._server.call("HSET", key, "promises", 1, writes=True)
        return await self._server.call("HGET", key, "promises") is not None

    async def sealed_with(self, epoch: int, proof: str, anew: bool = False) -> tuple[int, str]:
        """Fix the epoch under which this Redis seals, and a proof of its key, if none is or `anew`; return both."""
        key, both = self._server.keys.founding, f"{epoch}:{proof}"
        await self._server.call("HSET" if anew else "HSETNX", key, "sealing", both, writes=True)
        noted = (await self._server.call("HGET", key, "sealing")).decode().partition(":")
        return int(noted[0]), noted[2]

    async def keeps(self, format_: int, version: str) -> tuple[int, str]:
        """Note in which format a version keeps documents here; return the newest noted so far, and whose it was."""
        key = self._server.keys.founding
        await self._server.call("HSETNX", key, f"format:{format_}", version, writes=True)
        found = await self._server.call("HGETALL", key)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        noted = {name.decode(): value.decode() for name, value in pairs if name.startswith(b"format:")}
        return max((int(name.removeprefix("format:")), by) for name, by in noted.items())

    async def found(self, master_key: bytes) -> tuple[int, bool]:
        """Fix the number of partitions and the master key at the first start; return both as they stand."""
        check = hmac.new(master_key, b"ctxhub founding", hashlib.sha256).hexdigest()
        key = self._server.keys.founding
        commands = [("HSETNX", key, "partitions", self._server.keys.partitions), ("HSETNX", key, "master", check)]
        *_, partitions, master = await self._server.pipeline(
            *commands, ("HGET", key, "partitions"), ("HGET", key, "master"), writes=True
        )
        return int(partitions), hmac.compare_digest(master.decode(), check)
