"""An identity provider that is not ours: npm's `oidc-provider`, in a process of its own on loopback.

Only its own version is pinned: a lock file would name the registry, and which one that is is the machine's business.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

HERE = Path(__file__).parent
AUDIENCE = "https://ctx.example.com"


def install(npm: str, folder: Path) -> str:
    """Put the provider into a folder, unless it is there already; return what went wrong, if anything did."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    noted = folder / "package.json"
    is_there = (folder / "node_modules" / "oidc-provider").is_dir() and noted.read_text(encoding="utf-8") == wanted
    for program in HERE.glob("*.mjs"):
        shutil.copy(program, folder)
    if is_there:
        return ""
    noted.write_text(wanted, encoding="utf-8")
    quietly = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--prefer-offline"]
    ran = subprocess.run([npm, "install", *quietly], cwd=folder, capture_output=True, text=True, timeout=100)
    return ran.stderr.strip()[-500:] if ran.returncode else ""


class RunningIssuer:
    """The provider on a free port, which it keeps when it is started again, with another key each time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.kid = ""

    @property
    def jwks(self) -> str:
        """Where its public keys are."""
        return f"{self.url}/jwks"

    def start(self, kid: str, algorithm: str) -> None:
        """Start it with a new key of this name, unless it runs with that, and return when it takes calls."""
        if kid == self.kid:
            return
        self.stop()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}
        with (self._folder / "issuer.log").open("w") as log:
            self._process = subprocess.Popen(
                ["node", "issuer.mjs", self._port, kid, algorithm], cwd=self._folder, env=environ,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, (self._folder / "issuer.log").read_text()
        self._port = self.url.rsplit(":", 1)[1]
        self.kid = kid

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        if self._process is None:
            return
        self._process.communicate(timeout=10)
        self._process = None
        self.kid = ""

    async def token(self, client: str, audience: str = AUDIENCE, scope: str | None = None) -> str:
        """Ask for a token as a client of the provider does."""
        asked = {"grant_type": "client_credentials", "resource": audience} | ({"scope": scope} if scope else {})
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{self.url}/token", data=asked, auth=(client, f"the-secret-of-{client}"))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def running_issuer(folder: Path) -> Iterator[RunningIssuer]:
    """Run a provider for as long as the block lasts; its first key is called `first`."""
    running = RunningIssuer(folder)
    running.start("first", "RS256")
    try:
        yield running
    finally:
        running.stop()
