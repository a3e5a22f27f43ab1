"""The page's streams: framing, signs of life, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

from ctxhub_desk.streams import Frame, followed

from ctxhub.client import Forbidden, Stopping, Unavailable

LONG = timedelta(minutes=5)


async def two_frames() -> AsyncGenerator[Frame, None]:
    yield Frame("snapshot", {"offers": ["火车\n票"]}, "7-1")
    yield Frame("change", {})


async def nothing_yet() -> AsyncGenerator[Frame, None]:
    await asyncio.Event().wait()
    yield Frame("never", {})


async def all_words(words: AsyncIterator[str]) -> list[str]:
    async with asyncio.timeout(5):
        return [word async for word in words]


async def test_frames_are_written_one_by_one_and_the_end_of_the_feed_is_told() -> None:
    words = await all_words(followed(two_frames(), Stopping(), LONG))
    assert words[1:] == [
        'id: 7-1\nevent: snapshot\ndata: {"offers":["火车\\n票"]}\n\n',
        "event: change\ndata: {}\n\n",
        "event: away\ndata: {}\n\n",
    ]


async def test_a_browser_is_told_when_to_come_back() -> None:
    words = await all_words(followed(two_frames(), Stopping(), LONG))
    assert words[0].startswith("retry: ")


async def test_silence_is_broken_by_comments() -> None:
    words = followed(nothing_yet(), Stopping(), timedelta(milliseconds=5))
    async with asyncio.timeout(5):
        first = [await anext(words) for _ in range(4)]
    await words.aclose()
    assert all(word.startswith(":") for word in first[1:])


async def test_a_stopping_server_says_goodbye_at_once() -> None:
    stopping = Stopping()
    words = followed(nothing_yet(), stopping, LONG)
    await anext(words)
    asyncio.get_running_loop().call_soon(stopping.set)
    assert await all_words(words) == ["event: bye\ndata: {}\n\n"]


async def test_a_feed_that_is_hopeless_is_told_as_a_problem() -> None:
    async def forbidden() -> AsyncGenerator[Frame, None]:
        raise Forbidden("not yours")
        yield Frame("never", {})

    words = await all_words(followed(forbidden(), Stopping(), LONG))
    assert words[1:] == ['event: problem\ndata: {"status":403,"code":"forbidden","detail":"not yours"}\n\n']


async def test_a_hub_that_is_away_ends_the_stream_so_that_the_browser_comes_back() -> None:
    async def away() -> AsyncGenerator[Frame, None]:
        raise Unavailable("not there")
        yield Frame("never", {})

    assert (await all_words(followed(away(), Stopping(), LONG)))[1:] == ["event: away\ndata: {}\n\n"]


async def test_a_page_that_leaves_closes_the_feed() -> None:
    closed = asyncio.Event()

    async def feed() -> AsyncGenerator[Frame, None]:
        try:
            await asyncio.Event().wait()
            yield Frame("never", {})
        finally:
            closed.set()

    words = followed(feed(), Stopping(), timedelta(milliseconds=5))
    await anext(words)
    await anext(words)
    await words.aclose()
    assert closed.is_set()
