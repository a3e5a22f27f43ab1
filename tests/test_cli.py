"""The `ctxhub` command as the operator meets it: what it prints, where, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest
from redis import Redis

from ctxhub.hub.keys import Principal
from ctxhub.model.interaction import Start
from ctxhub.model.webhook import Settled
from ctxhub.server import opened
from ctxhub.settings import Settings
from ctxhub.store.contexts import Who
from ctxhub.store.deliveries import Deliveries
from ctxhub.store.embedded import EmbeddedServer, embedded_server, running_server
from tests.commanding import commanded

ROOT = Path(__file__).parents[1]


def ctxhub(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ctxhub", *arguments],
        cwd=ROOT,
        env=_environ() | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _environ() -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
    return clean | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command leaves on stderr."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("ctxhub: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("ctxhub: ").strip()


def test_without_a_command_it_says_which_there_are() -> None:
    done = ctxhub()
    assert done.returncode == 2
    assert "usage: ctxhub" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "demo",
        "replay",
        "keys",
        "doctor",
        "show",
        "follow",
        "forget",
        "keys create",
        "keys list",
        "keys revoke",
        "keys rotate",
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    done = ctxhub(*command.split(), "--help")
    assert done.returncode == 0
    assert f"usage: ctxhub {command}" in done.stdout


def test_a_bad_setting_is_one_line_with_its_variable() -> None:
    assert complaint(ctxhub("serve", CTXHUB_KEEP="soon")).startswith("CTXHUB_KEEP is 'soon': write a length of time")


def test_a_bad_option_is_named_by_its_setting() -> None:
    assert complaint(ctxhub("serve", "--workers", "0")).startswith("CTXHUB_WORKERS is 0")


def test_a_secret_open_to_others_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("x" * 32)
    (tmp_path / "master.key").chmod(0o644)
    assert f"chmod 600 {tmp_path / 'master.key'}" in complaint(ctxhub("serve", "--data", str(tmp_path)))


def test_a_file_of_dialogues_that_is_not_there_is_named() -> None:
    assert complaint(ctxhub("replay", "no-such-file")).startswith("no-such-file is no file")


# Keys


def test_a_key_is_shown_once_listed_without_itself_and_revoked(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    made = ctxhub("keys", "create", "--tenant", "acme", "--name", "bot", "--role", "adapter", *data)
    key = made.stdout.strip()
    assert made.returncode == 0
    assert key.count("\n") == 0
    assert len(key) >= 24
    assert "it is shown this once" in made.stderr
    listed = ctxhub("keys", "list", *data)
    assert listed.stdout.startswith("acme\tbot\tadapter\t-\t")
    assert key not in listed.stdout
    revoked = ctxhub("keys", "revoke", "--tenant", "acme", "--name", "bot", *data)
    assert revoked.returncode == 0
    assert ctxhub("keys", "list", *data).stdout == ""


def test_keys_are_made_on_the_server_that_a_hub_runs_on_the_folder(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)) as server:
        made = ctxhub(
            *("keys", "create", "--tenant", "acme", "--name", "ann's desk", "--role", "agent", "--agent", "ann"),
            *("--data", str(tmp_path)),
        )
        assert made.returncode == 0
        with Redis.from_url(server.url) as client:
            assert list(client.scan_iter("*:keys")) == [b"ctxhub:{00}:keys"]
        listed = ctxhub("keys", "list", "--tenant", "acme", "--data", str(tmp_path))
        assert listed.stdout.startswith("acme\tann's desk\tagent\tann\t")
        assert ctxhub("keys", "list", "--tenant", "other", "--data", str(tmp_path)).stdout == ""


def of_keys(server: EmbeddedServer) -> dict[str, dict[str, Any]]:
    """The keys that stand in Redis, by their ids."""
    with Redis.from_url(server.url) as client:
        records = [json.loads(record) for record in client.hgetall("ctxhub:{00}:keys").values()]
    return {record["key_id"]: record for record in records}


def test_a_key_is_narrowed_and_replaced_from_the_command_line(tmp_path: Path) -> None:
    whose = ("--tenant", "acme", "--name", "bot", "--data", str(tmp_path))
    narrowed = (
        *("--scope", "interactions", "--scope", "events:write", "--channel", "chat", "--queue", "cards"),
        *("--level", "1", "--method", "otp", "--expires", "2099-01-31T02:00:00+02:00"),
    )
    with embedded_server(Settings(data=tmp_path)) as server:
        first = ctxhub("keys", "create", *whose, "--role", "adapter", *narrowed).stdout.strip()
        before = of_keys(server)[id_in(first)]
        assert (sorted(before["scopes"]), before["channels"]) == (["events:write", "interactions"], ["chat"])
        assert (before["queues"], before["level"], before["methods"]) == (["cards"], 1, ["otp"])
        assert before["expires_at"] == "2099-01-31T00:00:00.000+00:00"
        rotated = ctxhub("keys", "rotate", *whose, "--overlap", "0.5")
        assert "takes its place in 0.5 h; it is shown this once" in rotated.stderr
        second, kept = id_in(rotated.stdout.strip()), of_keys(server)
        told = ("key_id", "created_at", "expires_at")
        assert kept.keys() == {id_in(first), second}
        assert kept[second]["expires_at"] == before["expires_at"] > kept[id_in(first)]["expires_at"]
        assert {k: v for k, v in kept[second].items() if k not in told} == {
            k: v for k, v in before.items() if k not in told
        }
        ctxhub("keys", "revoke", *whose)
        assert of_keys(server) == {}


def id_in(key: str) -> str:
    """The id that stands in a key."""
    return key.split("_")[1]


@pytest.mark.parametrize(
    ("option", "given", "says"),
    [
        ("--expires", "2099-01-31T00:00:00", "needs an offset"),
        ("--expires", "soon", "invalid"),
        ("--scope", "everything", "invalid choice"),
        ("--level", "4", "invalid choice"),
    ],
)
def test_what_can_not_narrow_a_key_is_refused(tmp_path: Path, option: str, given: str, says: str) -> None:
    whose = ("--tenant", "acme", "--name", "bot", "--role", "adapter", "--data", str(tmp_path))
    refused = ctxhub("keys", "create", *whose, option, given)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in refused.stderr


def test_a_server_started_for_the_moment_is_gone_afterwards(tmp_path: Path) -> None:
    assert ctxhub("keys", "list", "--data", str(tmp_path)).returncode == 0
    assert running_server(tmp_path) is None


def test_a_key_that_is_not_there_can_not_be_revoked(tmp_path: Path) -> None:
    done = ctxhub("keys", "revoke", "--tenant", "acme", "--name", "nobody", "--data", str(tmp_path))
    assert "tenant acme has no key 'nobody'" in complaint(done)


def test_a_key_for_a_tenant_with_a_bad_name_is_refused_in_one_line(tmp_path: Path) -> None:
    given = ("--tenant", "Acme Corp", "--name", "bot", "--role", "adapter", "--data", str(tmp_path))
    assert "tenant" in complaint(ctxhub("keys", "create", *given))


def test_a_redis_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    done = ctxhub("keys", "list", "--redis-url", "redis://127.0.0.1:1", "--data", str(tmp_path))
    assert "Redis does not answer" in complaint(done)


# Doctor


def test_the_doctor_finds_a_fresh_set_up_well_and_shows_no_secret(tmp_path: Path) -> None:
    done = ctxhub("doctor", "--data", str(tmp_path), CTXHUB_ADMIN_KEY="open-sesame", CTXHUB_LEASE="20min")
    assert done.returncode == 0, done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "CTXHUB_LEASE 20min" in lines
    assert "CTXHUB_DURABILITY safe (as it comes)" in lines
    assert "CTXHUB_ADMIN_KEY set" in lines
    assert "ok appendfsync: always" in lines
    assert "open-sesame" not in done.stdout + done.stderr


def test_the_doctor_ends_with_one_when_something_is_wrong(valkey: EmbeddedServer, tmp_path: Path) -> None:
    done = ctxhub("doctor", "--data", str(tmp_path), CTXHUB_REDIS_URL=valkey.url)
    assert done.returncode == 1
    assert "BAD  appendfsync: everysec  -> CONFIG SET appendfsync always" in done.stdout


def test_the_doctor_says_that_redis_does_not_answer(tmp_path: Path) -> None:
    done = ctxhub("doctor", "--data", str(tmp_path), CTXHUB_REDIS_URL="redis://:hunter2@127.0.0.1:1")
    assert done.returncode == 1
    assert "BAD  answers: redis://:***@127.0.0.1:1 does not" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


# Serving, and looking at customers


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A whole hub, started as an operator starts it: its address and its data folder."""
    data = tmp_path_factory.mktemp("hub")
    command = [sys.executable, "-m", "ctxhub", "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, cwd=ROOT, env=_environ(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("ctxhub ready http://127.0.0.1:")
        yield said.split()[-1], data
        process.terminate()
        assert process.stdout.read() == ""
        assert process.wait(5) == 0


def test_a_customer_nobody_knows_is_one_line(hub: tuple[str, Path]) -> None:
    url, data = hub
    assert "nobody" in complaint(ctxhub("show", "nobody", "--url", url, "--data", str(data)))


@pytest.mark.parametrize("command", ["show", "follow", "forget"])
def test_without_a_key_it_says_where_one_comes_from(tmp_path: Path, command: str) -> None:
    done = ctxhub(command, "c42", "--data", str(tmp_path))
    assert complaint(done) == "no key: set CTXHUB_KEY, or name the hub's data folder with --data"


@pytest.mark.parametrize("command", ["show", "follow", "forget"])
def test_a_hub_that_is_not_there_is_one_line(command: str) -> None:
    done = ctxhub(command, "c42", "--url", "http://127.0.0.1:1", CTXHUB_KEY="some-key")
    assert "the hub can't be reached" in complaint(done)


def test_an_address_that_is_none_is_one_line() -> None:
    assert complaint(ctxhub("show", "c42", "--url", "localhost", CTXHUB_KEY="some-key")).startswith("--url: ")


GOOD_TENANT = "languages: [en, zh]\njourneys: [{kind: refund, say: {en: a refund, zh: 退款}}]\n"


def a_folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_tenants_files_are_checked_with_file_line_and_remedy(tmp_path: Path) -> None:
    done = ctxhub("tenants", "check", str(a_folder(tmp_path, bank="languages: [en]\ncolour: red\n", shop=GOOD_TENANT)))
    assert (done.returncode, done.stderr) == (1, "1 faults\n")
    assert done.stdout.startswith("bank.yaml:2: there is no key 'colour' here (colour) -> take it out")


def test_files_without_a_fault_are_fine(tmp_path: Path) -> None:
    done = ctxhub("tenants", "check", str(a_folder(tmp_path, shop=GOOD_TENANT)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no faults\n")


def test_a_folder_that_is_not_there_can_not_be_checked(tmp_path: Path) -> None:
    assert "name a folder of tenants' files" in complaint(ctxhub("tenants", "check", str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("languages: [en]\ncolour: red\n", 1, "BAD  bank.yaml:2: there is no key 'colour' here (colour)  -> take"),
        (GOOD_TENANT, 0, "ok   tenants: the files in"),
    ],
)
def test_the_doctor_looks_at_tenants_files_too(tmp_path: Path, text: str, code: int, line: str) -> None:
    folder = tmp_path / "tenants"
    folder.mkdir()
    settings = {"CTXHUB_TENANTS": str(a_folder(folder, bank=text)), "CTXHUB_DURABILITY": "fast"}
    done = ctxhub("doctor", "--data", str(tmp_path / "data"), **settings)
    assert line in done.stdout
    assert done.returncode == code, done.stdout


def test_the_doctor_misses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = ctxhub("doctor", "--data", str(tmp_path / "data"), CTXHUB_TENANTS=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "let CTXHUB_TENANTS name a folder" in done.stdout


def test_what_is_done_with_keys_on_the_command_line_leaves_a_line_in_a_trail_that_is_whole(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert ctxhub("keys", "create", "--tenant", "acme", "--name", "bot", "--role", "adapter", *data).returncode == 0
    assert ctxhub("keys", "revoke", "--tenant", "acme", "--name", "bot", *data).returncode == 0
    shown = [json.loads(line) for line in ctxhub("audit", "show", "--tenant", "acme", *data).stdout.splitlines()]
    assert [(line["sequence"], line["action"], line["role"]) for line in shown] == [
        (1, "key.created", "operator"), (2, "key.revoked", "operator"),
    ]  # fmt: skip
    created, revoked = (line["about"] for line in shown)
    assert {part: created[part] for part in ("name", "role")} == {"name": "bot", "role": "adapter"}
    assert len(created["key_id"]) == 12
    assert revoked == {"name": "bot"}
    assert ctxhub("audit", "verify", *data).stdout == "acme: 2 entries, up to number 2: whole\n"
    assert ctxhub("audit", "anchor", *data).stdout.startswith('acme {"sequence":2,')
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as redis:
        redis.delete("ctxhub:{00}:audited", *redis.keys("ctxhub:{*}:acme:audit:*"))
    with connect(tmp_path / "archive.db") as archive:
        archive.execute("delete from ctxhub_trail")
        archive.execute("delete from ctxhub_trail_heads")
    missed = ctxhub("audit", "verify", *data)
    assert (missed.returncode, missed.stdout) == (
        1, "acme: broken at entry 1: an anchor says that it went on to 2\n"
    )  # fmt: skip


HOOKS = """
webhooks:
  crm: {url: "https://crm.example.com/hooks", secret: CRM_SECRET, events: [interaction.started]}
  quiet: {url: "https://quiet.example.com/hooks", secret: CRM_SECRET, events: [interaction.ended]}
"""


async def _given_up(settings: Settings) -> None:
    """Let one delivery to the CRM wait, and another be given up."""
    async with opened(settings) as hub:
        teller = Principal(tenant="default", name="tests", role="adapter")
        for name in ("c1", "c2"):
            start = Start(channel="chat", external_id=f"visit of {name}", customer_id=name)
            await hub.interactions.start(teller, start)
            who = Who("default", name)
            events = await hub.changes.contexts.timeline(who, 0, None, 10)
            await hub.webhooks.queue([(who, event) for event in events])
        now, deliveries = hub.ways.clock(), Deliveries(hub.server)
        places = await deliveries.endpoints(hub.server.keys.every_partition())
        (first, _) = await deliveries.due(places, now, 10)
        queued = await deliveries.read(first)
        assert queued is not None
        await deliveries.settle(queued, Settled("dead", queued.delivery.but(said="400", said_at=now), now))


def test_dead_letters_are_listed_shown_and_driven_again_on_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "tenants"
    folder.mkdir()
    environ = _environ() | {"CTXHUB_TENANTS": str(a_folder(folder, default=HOOKS))}
    command, data = partial(commanded, environ=environ), ("--data", str(tmp_path / "data"))
    with embedded_server(Settings(data=tmp_path / "data", durability="fast")) as server:
        settings = Settings(data=tmp_path / "data", tenants=folder, durability="fast").with_secrets()
        asyncio.run(_given_up(settings.with_redis(server.url)))
        crm, quiet = (line.split("\t") for line in command("webhooks", "list", *data).stdout.splitlines())
        assert (crm[:3], crm[4:]) == (["default", "crm", "1"], ["1", "0", "-", "https://crm.example.com/hooks"])
        assert quiet[:5] == ["default", "quiet", "0", "-", "0"]
        (dead,) = map(json.loads, command("webhooks", "show", "crm", *data).stdout.splitlines())
        assert (dead["state"], dead["said"], dead["type"]) == ("dead", "400", "interaction.started")
        done = command("webhooks", "redrive", "crm", *data)
        assert (done.returncode, done.stderr.split(";")[0]) == (0, "1 dead letters are queued again for crm")
        waiting = command("webhooks", "show", "crm", "--state", "waiting", *data).stdout.splitlines()
        assert len(waiting) == 2
        trail = command("audit", "show", "--action", "webhook.redriven", *data).stdout.splitlines()
        assert [json.loads(line)["about"] for line in trail] == [{"name": "crm"}]


def test_a_webhook_or_tenant_that_there_is_not_is_named(tmp_path: Path) -> None:
    command, data = partial(commanded, environ=_environ()), ("--data", str(tmp_path))
    with embedded_server(Settings(data=tmp_path, durability="fast")):
        for action in ("show", "redrive"):
            assert "there is no webhook 'crm'" in complaint(command("webhooks", action, "crm", *data))
        assert "there is no tenant 'bank'" in complaint(command("webhooks", "list", "--tenant", "bank", *data))
