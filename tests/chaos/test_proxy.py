"""The proxy does to the bytes what it was told to, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy

SAID = bytes(range(256)) * 40


class Between:
    """A proxy in hand, and what the server behind it was asked."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "proxy.sock"
        self.behind = folder / "server.sock"
        self.proxy = Proxy(str(self.behind))
        self.asked = b""

    async def reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say the same to whatever comes."""
        while said := await reader.read(1000):
            self.asked += said
            writer.write(SAID)
            await writer.drain()
        writer.close()

    async def ask(self, within: float = 5.0) -> bytes:
        """Ask on a new connection, and return all that comes until it ends, or as much as there is to say."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        heard = b""
        try:
            async with asyncio.timeout(within):
                writer.write(b"well?")
                while len(heard) < len(SAID) and (more := await reader.read(1000)):
                    heard += more
        except ConnectionResetError:
            pass
        finally:
            writer.transport.abort()
        return heard


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[Between]:
    """A proxy and a server."""
    between = Between(tmp_path)
    async with (
        await asyncio.start_unix_server(between.reply, between.behind),
        await asyncio.start_unix_server(between.proxy.serve, between.socket),
    ):
        yield between
        await between.proxy.obey("refuse")  # whoever is still connected is cut off


@pytest.mark.parametrize("order", ["heal", "slow 5", "trickle"])
async def test_every_byte_arrives_as_it_was_said(between: Between, order: str) -> None:
    await between.proxy.obey(order)
    assert await between.ask() == SAID


@pytest.mark.parametrize("most", [1, 5, 1234])
async def test_a_reply_is_cut_where_it_was_said_to_be(between: Between, most: int) -> None:
    await between.proxy.obey(f"cut {most}")
    assert await between.ask() == SAID[:most]


async def test_a_lost_reply_was_asked_for_and_never_comes(between: Between) -> None:
    await between.proxy.obey("lose once")
    assert (await between.ask(), between.asked) == (b"", b"well?")
    assert await between.ask() == SAID


async def test_the_deaf_neither_hear_nor_say_anything_until_all_begin_anew(between: Between) -> None:
    await between.proxy.obey("deaf")
    with pytest.raises(TimeoutError):
        await between.ask(within=0.1)
    assert between.asked == b""
    await between.proxy.obey("heal")
    assert await between.ask() == SAID


async def test_who_is_refused_hears_nothing(between: Between) -> None:
    await between.proxy.obey("refuse")
    assert (await between.ask(), between.asked) == (b"", b"")
