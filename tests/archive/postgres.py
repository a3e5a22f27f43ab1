"""A real PostgreSQL server for the tests: on a socket of its own, started once, gone with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_USUAL_PLACES = "/usr/lib/postgresql/*/bin"
_NOT_SYNCED = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "listen_addresses=")


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs, if it is installed."""
    found = shutil.which("initdb")
    places = sorted(Path("/").glob(f"{_USUAL_PLACES[1:]}/initdb"), reverse=True)
    return Path(os.path.realpath(found)).parent if found else places[0].parent if places else None


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """Run a server for as long as the block lasts; its address."""
    folder = Path(tempfile.mkdtemp(prefix="ctxhub-pg-", dir="/tmp"))
    as_user = _another_user(folder)
    try:
        _run(programs / "initdb", "-D", folder / "data", "-U", "ctxhub", "-A", "trust", "--no-sync", user=as_user)
        options = " ".join([*_NOT_SYNCED, "-k", str(folder)])
        control = (programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w")
        _run(*control, "-o", options, "start", user=as_user)
        try:
            yield f"postgresql://ctxhub@/postgres?host={folder}"
        finally:
            _run(*control, "-m", "immediate", "stop", user=as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _another_user(folder: Path) -> int | None:
    """PostgreSQL refuses to run as root: give the folder to somebody else then."""
    if os.geteuid() != 0:
        return None
    user = _user("postgres") or _user("nobody")
    assert user is not None, "there is nobody to run PostgreSQL as"
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user.pw_uid


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _run(*command: object, user: int | None) -> None:
    """Run one of its programs to its end; what it says is told where it fails."""
    switch: Callable[[], None] | None = None
    if user is not None:
        group = pwd.getpwuid(user).pw_gid

        def switch() -> None:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)

    with tempfile.TemporaryFile() as said:
        done = subprocess.run([str(part) for part in command], stdout=said, stderr=said, preexec_fn=switch, cwd="/")
        said.seek(0)
        assert done.returncode == 0, said.read().decode()
