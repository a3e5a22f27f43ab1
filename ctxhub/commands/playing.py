"""`ctxhub demo` and `ctxhub replay`: dialogues on a hub."""

from __future__ import annotations

import argparse

from ctxhub import demo, replay
from ctxhub.settings import CannotStart


def run_demo(_: argparse.Namespace) -> int:
    """Play the samples, and tell a customer's story."""
    return demo.main()


def run_replay(arguments: argparse.Namespace) -> int:
    """Play recorded dialogues through the adapters."""
    if not arguments.file.is_file():
        raise CannotStart(f"{arguments.file} is no file: name one with dialogues, JSON lines, gzipped or not")
    return replay.main(
        arguments.file, url=arguments.url, limit=arguments.limit, parallel=arguments.parallel, json_path=arguments.json
    )
