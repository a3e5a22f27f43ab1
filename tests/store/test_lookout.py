"""Who is asked where things are, and does not say it in time."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import Any

from ctxhub.store.lookout import SHORT, asked
from ctxhub.store.nodes import Node


async def test_one_who_says_nothing_is_left_out_and_leaves_no_error_behind() -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # nobody ever takes what connects here
        node = Node(f"redis://127.0.0.1:{silent.getsockname()[1]}", SHORT)
        assert await asked([node], [("PING",), ("PING",)]) == []
        await node.aclose()
    gc.collect()
    await asyncio.sleep(0)
    assert said == []
