"""`python -m ctxhub_app.try_hook c42=1234`: a login hook to try the page with; PINs on a command line are no secret.

It believes what is signed with `APP_HOOK_SECRET`, listens on this machine only, and knows the customers it was told of.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ctxhub.client import signed_headers

SECRET_ENV = "APP_HOOK_SECRET"  # noqa: S105 - the name of a variable
_OLDEST = 300
_LARGEST = 64 * 1024


def answer(headers: Mapping[str, str], body: bytes, secret: bytes, pins: Mapping[str, str], now: float) -> bytes | None:
    """Return what a hook answers to a question; None where the hub did not sign it just now."""
    mark, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(now - int(stamp)) > _OLDEST:
        return None
    right = signed_headers(secret, mark, int(stamp), body)["webhook-signature"]
    if not hmac.compare_digest(right.encode(), headers.get("webhook-signature", "").encode()):
        return None
    proof = json.loads(body)["proof"]
    account, pin = str(proof.get("account", "")), str(proof.get("pin", ""))
    good = account in pins and hmac.compare_digest(pins[account].encode(), pin.encode())
    return json.dumps({"ok": good} | ({"customer_id": account} if good else {})).encode()


def main(argv: Sequence[str] | None = None) -> int:
    """Listen until told to stop."""
    parser = argparse.ArgumentParser(prog="ctxhub_app.try_hook", description="Checks PINs, for trying out only.")
    parser.add_argument("pins", nargs="+", metavar="CUSTOMER=PIN")
    parser.add_argument("--port", type=int, default=8090)
    told = parser.parse_args(argv)
    secret = os.environ.get(SECRET_ENV, "")
    if not secret or not all("=" in pair for pair in told.pins):
        print(f"set {SECRET_ENV}, and name customers as c42=1234", file=sys.stderr)
        return 2
    with ThreadingHTTPServer(("127.0.0.1", told.port), _handler(secret.encode(), dict(_pairs(told.pins)))) as server:
        print(f"ctxhub_app.try_hook ready http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _pairs(pins: Sequence[str]) -> list[tuple[str, str]]:
    return [(account, pin) for account, _, pin in (pair.partition("=") for pair in pins)]


def _handler(secret: bytes, pins: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    """Return what answers each question."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer one question."""
            body = self.rfile.read(min(int(self.headers.get("content-length") or 0), _LARGEST))
            said = answer(
                {name.lower(): value for name, value in self.headers.items()}, body, secret, pins, time.time()
            )
            self.send_response(401 if said is None else 200)
            self.send_header("Content-Length", str(len(said or b"")))
            self.end_headers()
            self.wfile.write(said or b"")

        def log_message(self, *_: Any) -> None:
            """Log nothing: a path may be anything."""

    return Handler


if __name__ == "__main__":
    sys.exit(main())
