"""Commands in processes of their own that need not import anything: each is forked from one that has done so."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

from ctxhub import cli

_ENDS_WITHIN = 60
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["__main__", __name__])


def commanded(*arguments: str, environ: Mapping[str, str], typed: str = "") -> CompletedProcess[str]:
    """Run `ctxhub` in a pipe, with this environment and this on stdin."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "0").write_text(typed)
        process = _FORKED.Process(target=_run, args=(folder, arguments, dict(environ)))
        process.start()
        process.join(_ENDS_WITHIN)
        assert process.exitcode is not None, f"ctxhub {' '.join(arguments)} does not end"
        said = [(folder / stream).read_text() for stream in ("1", "2")]
        return CompletedProcess(arguments, process.exitcode, *said)


def _run(folder: Path, arguments: tuple[str, ...], environ: dict[str, str]) -> None:
    """Be the command: its streams are the folder's files."""
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    for stream, mode in enumerate("rww"):
        with (folder / str(stream)).open(mode) as file:
            os.dup2(file.fileno(), stream)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(os.dup(n), mode) for n, mode in enumerate("rww"))
    sys.exit(cli.main(arguments))
