"""A hub with one safeguard taken out, for the harness to find what that loses.

Run as the hub is: `python -m tests.chaos.weakened NAME serve …`.
"""

from __future__ import annotations

import sys
from hashlib import sha1
from typing import Any

from ctxhub import cli
from ctxhub.store.redis import Server

#: What is taken out of which script, and what stands there instead.
SAFEGUARDS: dict[str, list[tuple[str, str, str]]] = {
    "comparing": [
        ("commit", "if (head[1] or '') ~= ARGV[1] then return { 'changed' } end", ""),
        ("commit", "if ARGV[13] ~= '' and ARGV[13] ~= (head[2] or '0') then return { 'changed' } end", ""),
    ],
    "recognising": [("append", "local known = seen[digest] or redis.call('HGET', events, digest)", "local known")],
    "leases": [
        ("lease", "if not mine and held[2] and now < tonumber(held[2]) then return 0 end", ""),
        ("advance", "if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end", ""),
        ("advance", "if (redis.call('HGET', cursors, ARGV[3]) or '0-0') ~= ARGV[4] then return 0 end", ""),
    ],
}


def take_out(name: str) -> None:
    """Let every connection to Redis that is made from now on bring scripts without a safeguard."""
    whole = Server.__init__

    def weak(self: Server, *given: Any) -> None:
        whole(self, *given)
        texts = dict(self._sender._scripts)
        for script, there, instead in SAFEGUARDS[name]:
            assert there in texts[script]
            texts[script] = texts[script].replace(there, instead)
        self._sender._scripts = texts
        self._shas = {script: sha1(text.encode(), usedforsecurity=False).hexdigest() for script, text in texts.items()}

    Server.__init__ = weak  # type: ignore[method-assign]


if __name__ == "__main__":
    take_out(sys.argv[1])
    sys.exit(cli.main(sys.argv[2:]))
