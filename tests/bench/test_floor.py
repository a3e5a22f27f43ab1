"""The floor does what it is measured for, and the client reads every kind of answer."""

from __future__ import annotations

import pytest

from tests.bench.load import new_names, run
from tests.bench.servers import floor
from tests.bench.wire import Connection


async def test_the_floor_reads_as_many_bytes_as_it_is_told_writes_one_message_and_says_unchanged() -> None:
    with floor(5000) as least:
        async with Connection(least.port, "key") as connection:
            assert len((await connection.fetch(connection.request("GET", "/read/c1"))).body) == 5000
            assert (await connection.send(connection.request("GET", "/unchanged/c1"))).status == 304
            assert await connection.call("POST", "/append/c1", {"text": "hello"}) == {"version": 1}
            assert await connection.call("POST", "/append/c1", {"text": "hello"}) == {"version": 2}
            assert least.redis.llen("{c1}:said") == 2
            await connection.renew()
            with pytest.raises(RuntimeError, match="200"):
                await connection.fetch(connection.request("GET", "/read/c1"), 304)
        load = await run(least, new_names(4), 3, connections=2)
    assert len(load.cycles) == 12
    assert load.commands >= 3
    assert load.rate > 0
