"""Tries one parser under atheris, in a process of its own: `python -m tests.fuzz.one NAME` and libFuzzer's options."""

from __future__ import annotations

import logging
import sys

import atheris
import structlog

#: What is followed branch by branch: ctxhub, and what of others it reads with that is written in Python.
FOLLOWED = ["ctxhub", "httpx_sse", "joserfc", "idna", "phonenumbers.phonenumberutil"]


def main() -> None:
    """Try a parser until time is up or something breaks its promise; libFuzzer ends the process."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with atheris.instrument_imports(include=FOLLOWED, enable_loader_override=False):
        from tests.fuzz.parsers import NAMED
    parser = NAMED[sys.argv.pop(1)]
    for seed in parser.seeds():
        parser.tried(seed)

    def tried(data: bytes) -> None:
        parser.tried(data)

    atheris.Setup(sys.argv, tried)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
