"""`ctxhub import` and `ctxhub export` as the operator meets them: what they print, how they end, what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.bench.crm import write_crm
from tests.commanding import commanded
from tests.test_cli import ROOT, _environ

TENANT = "default_region: CN\n"
MAP = (
    "客户号=customer_id", "姓名=fact:name:verified", "手机=identifier:phone:verified", "邮箱=identifier:email",
    "等级=fact:tier", "城市=fact:city", "更新时间=at",
)  # fmt: skip
MAPPED = [word for meaning in MAP for word in ("--map", meaning)]


Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


@pytest.fixture
def ctxhub() -> Command:
    """The command, in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}

    def run(*words: str, **environ: str) -> Done:
        return commanded(*words, environ=plain | environ)

    return run


def complaint(done: Done) -> str:
    """The one line that a failed command leaves on stderr."""
    assert (done.returncode, done.stdout) == (1, "")
    [said] = [line for line in done.stderr.splitlines() if line.startswith("ctxhub: ")]
    return said.removeprefix("ctxhub: ")


@pytest.fixture
def tenants(tmp_path: Path) -> Path:
    """A folder of tenants' files."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    (folder / "default.yaml").write_text(TENANT)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A hub's data folder."""
    return tmp_path / "data"


@pytest.fixture
def running(data: Path, tmp_path: Path) -> Iterator[Redis]:
    """The server of a data folder, kept running between commands; what stands in it."""
    with embedded_server(Settings(data=data, durability="fast")) as server, Redis.from_url(server.url) as client:
        yield client


def test_an_import_says_what_it_came_to_and_a_second_one_that_nothing_changed(
    ctxhub: Command, tmp_path: Path, tenants: Path, data: Path
) -> None:
    crm = tmp_path / "crm.csv"
    write_crm(crm, 50)
    words = ("import", str(crm), *MAPPED, "--timezone", "Asia/Shanghai", "--data", str(data))
    first = ctxhub(*words, CTXHUB_TENANTS=str(tenants))
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("took 50 of 50 lines: 50 new, 0 changed, 0 as they were;")
    second = ctxhub(*words, CTXHUB_TENANTS=str(tenants))
    assert second.stdout.startswith("took 50 of 50 lines: 0 new, 0 changed, 50 as they were;")
    assert not (tmp_path / "crm.csv.refused.jsonl").exists()
    assert not (tmp_path / "crm.csv.journal").exists()


def test_refused_lines_make_it_end_with_one_and_are_in_a_file_of_their_own(
    ctxhub: Command, tmp_path: Path, data: Path
) -> None:
    crm = tmp_path / "crm.csv"
    crm.write_text("customer_id,email\nc1,a@example.com\nc 2,\n")
    done = ctxhub("import", str(crm), "--refused", str(tmp_path / "bad"), "--data", str(data))
    assert done.returncode == 1
    assert f"refused 1 lines: {tmp_path / 'bad'} says which and why" in done.stdout
    [told] = map(json.loads, (tmp_path / "bad").read_text().splitlines())
    assert told == {
        "line": 3, "column": "customer_id", "problem": "that is no customer_id",
        "remedy": "1 to 128 of 0-9 A-Z a-z . _ @ -", "refused": True,
    }  # fmt: skip


def test_a_mapping_s_file_says_what_columns_mean(ctxhub: Command, tmp_path: Path, data: Path) -> None:
    crm, mapping = tmp_path / "crm.csv", tmp_path / "mapping.yaml"
    crm.write_text("Konto;Telefone;Saldo;Gesperrt;Notiz\n7;+4930123456,+4930123457;12.5;nein\n8;;1e400;ja;x\n")
    mapping.write_text(
        "source: sap\ncolumns:\n  Konto: customer_id\n  Telefone: {identifier: phone, strength: verified, split: ','}\n"
        "  Saldo: {fact: balance, reads: number, sensitivity: sensitive, expires_in: 1d}\n"
        "  Gesperrt: {fact: blocked, reads: yes or no}\n  Notiz: ignore\n"
    )
    done = ctxhub("import", str(crm), "--mapping", str(mapping), "--data", str(data))
    assert done.returncode == 1
    told = [json.loads(line) for line in (tmp_path / "crm.csv.refused.jsonl").read_text().splitlines()]
    assert [(line["line"], line["column"], line["problem"]) for line in told] == [
        (2, "", "4 columns, the header has 5"),
        (3, "Saldo", "that is no number"),
        (3, "Gesperrt", "that is neither yes nor no"),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no-such-file.csv"], "no-such-file.csv is no file"),
        (["FILE", "--tenant", "Acme Corp"], "--tenant Acme Corp: "),
        (["FILE", "--map", "phone"], "--map phone: write COLUMN=MEANING"),
        (["FILE", "--mapping", "nowhere.yaml"], "nowhere.yaml can't be read"),
        (["FILE", "--timezone", "Mars"], "--timezone Mars: write a name such as Asia/Shanghai"),
        (["FILE", "--delimiter", "ab"], "--delimiter ab: write one character"),
        (["FILE", "--at", "yesterday"], "--at yesterday: "),
        (["FILE", "--resume"], "there is no import to go on with"),
        (["FILE", "--whole"], "is no export of ctxhub"),
        (["FILE", "--journal", "/nowhere/journal"], "name another place with --journal"),
    ],
)
def test_what_can_t_be_done_is_one_line_that_names_the_remedy(
    ctxhub: Command, tmp_path: Path, running: Redis, data: Path, words: list[str], says: str
) -> None:
    crm = tmp_path / "crm.csv"
    crm.write_text("customer_id\nc1\n")
    done = ctxhub("import", *[str(crm) if word == "FILE" else word for word in words], "--data", str(data))
    assert says in complaint(done)


def test_a_redis_founded_with_another_master_key_is_refused(
    ctxhub: Command, tmp_path: Path, running: Redis, data: Path
) -> None:
    crm = tmp_path / "crm.csv"
    crm.write_text("customer_id\nc1\n")
    assert ctxhub("import", str(crm), "--data", str(data)).returncode == 0
    done = ctxhub("import", str(crm), "--data", str(data), CTXHUB_MASTER_KEY="another master key altogether")
    assert "founded with another master key" in complaint(done)


def test_killed_in_the_middle_it_goes_on_and_comes_to_the_same(
    ctxhub: Command, tmp_path: Path, tenants: Path, running: Redis, data: Path
) -> None:
    crm = tmp_path / "crm.csv.gz"
    write_crm(crm, 1500, bad_every=100)
    words = ["import", str(crm), *MAPPED, "--timezone", "Asia/Shanghai", "--batch", "20", "--data", str(data)]
    for processes in ("1", "2"):
        _killed_in_the_middle([*words, "--processes", processes], tenants, running)
        words = [*words[:2], "--resume", *(word for word in words[2:] if word != "--resume")]
    tried = ctxhub(*(word for word in words if word != "--resume"), "--dry-run", CTXHUB_TENANTS=str(tenants))
    assert tried.stdout.startswith("would take 1,485 of 1,500 lines")
    done = ctxhub(*words, CTXHUB_TENANTS=str(tenants))  # which a dry run in between does not keep from going on
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("took 1,485 of 1,500 lines:")
    refused = [json.loads(line)["line"] for line in (tmp_path / "crm.csv.gz.refused.jsonl").read_text().splitlines()]
    assert refused == [n + 2 for n in range(99, 1500, 100)]
    versions = {int(running.hget(key, "version") or 0) for key in running.scan_iter("ctxhub:*:context")}
    assert len(list(running.scan_iter("ctxhub:*:context"))) == 1485
    assert versions == {4}


def _killed_in_the_middle(words: list[str], tenants: Path, running: Redis) -> None:
    """Kill an import, hard, once it has brought some customers more."""
    before = running.dbsize()
    environ = _environ() | {"CTXHUB_TENANTS": str(tenants)}
    command = [sys.executable, "-m", "ctxhub", *words]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL) as process:
        give_up_at = time.monotonic() + 60
        while running.dbsize() < before + 1000 and time.monotonic() < give_up_at:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def test_several_processes_come_to_the_same_as_one(
    ctxhub: Command, tmp_path: Path, tenants: Path, running: Redis, data: Path
) -> None:
    crm = tmp_path / "crm.csv"
    write_crm(crm, 400, bad_every=50)
    words = ("import", str(crm), *MAPPED, "--timezone", "UTC", "--batch", "30", "--data", str(data))
    done = ctxhub(*words, "--processes", "2", CTXHUB_TENANTS=str(tenants))
    assert done.stdout.startswith("took 392 of 400 lines: 392 new, 0 changed, 0 as they were;")
    refused = [json.loads(line)["line"] for line in (tmp_path / "crm.csv.refused.jsonl").read_text().splitlines()]
    assert refused == [n + 2 for n in range(49, 400, 50)]
    again = ctxhub(*words, CTXHUB_TENANTS=str(tenants))
    assert again.stdout.startswith("took 392 of 400 lines: 0 new, 0 changed, 392 as they were;")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own figure of the most memory is needed")
def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path, running: Redis, data: Path) -> None:
    peaks = []
    for rows in (100, 5000):
        crm = tmp_path / f"{rows}.csv"
        with crm.open("w") as file:
            file.write("customer_id,note\nc1,x\n")
            file.writelines(f"c 1,{'x' * 10_000}\n" for _ in range(rows))
        peaks.append(_peak("import", str(crm), "--map", "note=fact:note", "--data", str(data)))
    assert peaks[1] < peaks[0] + 16_000


def _peak(*words: str) -> int:
    """The most memory that a command had, in kB."""
    program = (
        "import re, sys; from pathlib import Path; from ctxhub.cli import main; main(sys.argv[1:]); "
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=ROOT, env=_environ(), capture_output=True, text=True, check=True)
    assert "refused" in done.stdout
    return int(done.stdout.splitlines()[-1])


class TestExport:
    """Out of one folder, into another."""

    def test_a_folder_that_is_none_is_not_made(self, ctxhub: Command, tmp_path: Path) -> None:
        done = ctxhub("export", "--data", str(tmp_path / "tpyo"))
        assert "there is no hub in" in complaint(done)
        assert not (tmp_path / "tpyo").exists()

    def test_a_folder_s_content_goes_into_another_with_fewer_partitions(
        self, ctxhub: Command, tmp_path: Path, tenants: Path, data: Path
    ) -> None:
        crm, out, secrets = tmp_path / "crm.csv", tmp_path / "all.jsonl.gz", {"CTXHUB_MASTER_KEY": "k" * 32}
        write_crm(crm, 30)
        ctxhub(
            "import",
            str(crm),
            *MAPPED,
            "--timezone",
            "UTC",
            "--data",
            str(data),
            CTXHUB_TENANTS=str(tenants),
            **secrets,
        )
        taken = ctxhub("export", "--out", str(out), "--keys", "--data", str(data), **secrets)
        assert taken.returncode == 0, taken.stderr
        assert "exported 30 customers, 120 events, " in taken.stderr
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        (tmp_path / "new").mkdir(mode=0o700)
        (data / "archive.db").rename(tmp_path / "new" / "archive.db")
        words = ("import", "--whole", str(out), "--data", str(tmp_path / "new"))
        back = ctxhub(*words, CTXHUB_PARTITIONS="16", **secrets)
        assert back.returncode == 0, back.stderr
        assert back.stdout.startswith("put back 30 customers with 120 events, and ")
        again = ctxhub(*words, CTXHUB_PARTITIONS="16", **secrets)
        assert again.returncode == 0
        assert "30 customers were there already, just so" in again.stdout
        wrong = ctxhub(*words, **secrets)
        assert "founded with 16 partitions: set CTXHUB_PARTITIONS=16" in complaint(wrong)

    def test_one_customer_is_written_to_stdout(self, ctxhub: Command, tmp_path: Path, data: Path) -> None:
        crm = tmp_path / "crm.csv"
        crm.write_text("customer_id,tier\nc1,gold\n")
        ctxhub("import", str(crm), "--map", "tier=fact:tier", "--data", str(data))
        done = ctxhub("export", "--customer", "c1", "--data", str(data))
        kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
        assert kinds == ["head", "customer", "event", "event", "end"]
        assert "there is no customer c2" in complaint(ctxhub("export", "--customer", "c2", "--data", str(data)))
        shown = ctxhub("audit", "show", "--tenant", "default", "--customer", "c1", "--data", str(data)).stdout
        assert [json.loads(line)["action"] for line in shown.splitlines()] == ["customer.exported"]

    def test_a_file_is_there_only_once_it_is_whole(
        self, ctxhub: Command, tmp_path: Path, running: Redis, data: Path
    ) -> None:
        out = tmp_path / "missing" / "all.jsonl"
        assert "can't be written" in complaint(ctxhub("export", "--out", str(out), "--data", str(data)))
        done = ctxhub("export", "--customer", "c2", "--out", str(tmp_path / "c2"), "--data", str(data))
        assert done.returncode == 1
        assert not list(tmp_path.glob("c2*"))
