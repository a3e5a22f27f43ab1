"""A hub of the player's own: a child process on a folder for the moment, gone when the player is."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ctxhub.store.embedded import die_with_parent

_READY = "ctxhub ready "
_READY_WITHIN = 60.0
_GONE_WITHIN = 7.0
_LAST_LINES = 5


class CannotPlay(Exception):
    """There is no stage to play on; the message names the remedy."""


def own_environ(home: Path, secret_env: str) -> dict[str, str]:
    """Make the environment for a hub of one's own: nothing of the operator's settings, secrets of its own."""
    (home / "tenants").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
    return kept | {
        "CTXHUB_TENANTS": str(home / "tenants"),
        "CTXHUB_ADMIN_KEY": secrets.token_urlsafe(24),
        "CTXHUB_LOG_LEVEL": "warning",
        secret_env: secrets.token_urlsafe(24),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


@asynccontextmanager
async def own_hub(environ: Mapping[str, str], home: Path, workers: int) -> AsyncIterator[str]:
    """Run a hub; gives its address."""
    with (home / "hub.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ctxhub", "serve", "--port", "0", "--data", str(home / "data")),
            *("--workers", str(workers)),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        yield await _ready(process, home / "hub.log")
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process, log: Path) -> str:
    """Wait until the hub says where it is."""
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_READY_WITHIN):
            async for line in process.stdout:
                if line.startswith(_READY.encode()):
                    return line.decode().removeprefix(_READY).strip()
    raise CannotPlay("\n".join(["the hub does not start:", *_last_lines(log)]))


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-_LAST_LINES:]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop the hub: asked first, then forced."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GONE_WITHIN)
    except TimeoutError:
        process.kill()
        await process.wait()
