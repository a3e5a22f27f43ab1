"""Dialogues on a real hub: nothing is lost, a loss would be seen, and what can't be played is refused with a remedy."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub import demo
from ctxhub.replay import main, tenants
from ctxhub.replay.process import CannotPlay, own_environ, own_hub
from ctxhub.replay.stage import SECRET_ENV

SAMPLES = Path(demo.__file__).with_name("replay") / "samples.jsonl"


@pytest.fixture(scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A hub that runs already, and its environment."""
    home = tmp_path_factory.mktemp("hub")
    environ = own_environ(home, SECRET_ENV)
    async with own_hub(environ, home, workers=1) as url:
        yield url, environ


@pytest.fixture
def url(hub: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    """Its address; the environment says what the player must share with it, and no secret beyond."""
    monkeypatch.delenv(SECRET_ENV, raising=False)
    for name in ("CTXHUB_TENANTS", "CTXHUB_ADMIN_KEY"):
        monkeypatch.setenv(name, hub[1][name])
    return hub[0]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[int], dict[str, Any]]:
    """What a run wrote as JSON, for its exit code."""

    def read(code: int) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((tmp_path / "report.json").read_text("utf-8"))
        assert content["ok"] is (code == 0)
        return content

    return read


def test_on_a_hub_made_for_the_moment_all_is_carried_and_without_knowledge_all_is_asked_again(
    tmp_path: Path, written: Callable[[int], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(SAMPLES, limit=4, parallel=4, json_path=tmp_path / "report.json")
    content = written(code)
    assert (code, content["complaints"]) == (0, [])
    facts = {(row["knowledge"], row["lang"], row["hop"]): row["facts"] for row in content["table"]}
    assert len(facts) == 8
    assert all(count > 0 for count in facts.values())
    assert sum(row["carried"] for row in content["table"] if row["knowledge"] == "on") == sum(facts.values()) / 2
    assert content["repeats"]["hub"] == content["repeats"]["judge"] == sum(facts.values()) / 2
    assert {(d["lang"], d["verified"]) for d in content["dialogues"]} == {("en", False), ("zh", True)}
    assert "What the next channel knew" in capsys.readouterr().out


def test_a_hub_that_runs_already_can_be_played_on_again_and_again(url: str) -> None:
    assert main(SAMPLES, url=url, limit=1) == 0
    assert main(SAMPLES, url=url + "/", limit=2, parallel=2) == 0
    assert list(Path(os.environ["CTXHUB_TENANTS"]).iterdir()) == []


@pytest.mark.parametrize(
    ("knowledge", "complaint"), [("off", "4 asked again"), ("on", "the judge saw 0 repeats, not the")]
)
def test_a_hub_that_forgets_is_caught_and_so_is_a_control_that_does_not(
    url: str,
    tmp_path: Path,
    written: Callable[[int], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    knowledge: str,
    complaint: str,
) -> None:
    declare = tenants.declare
    monkeypatch.setattr(tenants, "declare", lambda *given: declare(*given) | {"policies": {"knowledge": knowledge}})
    code = main(SAMPLES, url=url, limit=1, json_path=tmp_path / "report.json")
    assert code == 1
    assert complaint in " ".join(written(code)["complaints"])


def test_the_demo_tells_a_story_and_what_was_carried_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    told = capsys.readouterr().out
    parts = [
        "On the phone",
        "Chi-town",
        "In the chat",
        "We already have:",
        "At the desk",
        "all carried, none asked again",
    ]
    assert [part for part in parts if part not in told] == []
    assert [told.index(part) for part in parts] == sorted(told.index(part) for part in parts)


def test_the_samples_are_at_most_a_dozen_in_both_languages_with_their_licences_beside_them() -> None:
    dialogues = demo.samples()
    assert len(dialogues) <= 12
    assert {dialogue.lang for dialogue in dialogues} == {"en", "zh"}
    readme = SAMPLES.with_name("README.md").read_text("utf-8")
    assert "Attribution-ShareAlike 4.0" in readme
    assert "Apache License 2.0" in readme


# What can't be played


def test_bad_lines_are_named_by_number_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctxhub.replay.run", lambda *given: pytest.fail("nothing should be played"))
    path = tmp_path / "d.jsonl"
    path.write_text(SAMPLES.read_text("utf-8").splitlines()[0] + "\nnot JSON\n", "utf-8")
    assert main(path) == 2
    assert f"{path}: line 2: " in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["CTXHUB_TENANTS", "CTXHUB_ADMIN_KEY"])
def test_a_running_hub_is_played_on_only_with_what_both_share(
    url: str, lacking: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(lacking)
    assert main(SAMPLES, url=url, limit=1) == 1
    assert f"with --url set {lacking} to what the hub itself was started with" in capsys.readouterr().err


def test_a_key_that_is_not_the_hubs_own_is_said_so(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CTXHUB_ADMIN_KEY", "another")
    assert main(SAMPLES, url=url, limit=1) == 1
    assert "makes no keys (401): is CTXHUB_ADMIN_KEY its own?" in capsys.readouterr().err


def test_a_folder_that_the_hub_does_not_read_is_said_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ctxhub.replay.stage._READ_WITHIN", 1.0)
    monkeypatch.setenv("CTXHUB_TENANTS", str(tmp_path))
    assert main(SAMPLES, url=url, limit=1) == 1
    assert "is CTXHUB_TENANTS the folder that it uses?" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_said_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CTXHUB_TENANTS", str(tmp_path / "none"))
    assert main(SAMPLES, url=url, limit=1) == 1
    assert f"{tmp_path / 'none'} can't be written to" in capsys.readouterr().err


@pytest.fixture
def closed() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.usefixtures("url")
def test_a_hub_that_does_not_answer_is_said_so(closed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SAMPLES, url=closed, limit=1) == 1
    assert f"{closed} does not answer" in capsys.readouterr().err


# A hub for the moment


async def test_a_hub_that_does_not_start_says_why(tmp_path: Path) -> None:
    environ = own_environ(tmp_path, SECRET_ENV) | {"CTXHUB_DURABILITY": "sometimes"}
    with pytest.raises(CannotPlay, match="CTXHUB_DURABILITY"):
        async with own_hub(environ, tmp_path, workers=1):
            pytest.fail("it should not have started")


async def test_a_hub_for_the_moment_is_gone_afterwards(tmp_path: Path) -> None:
    async with own_hub(own_environ(tmp_path, SECRET_ENV), tmp_path, workers=1) as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/health/ready")).status_code == 200
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{url}/health/live")


def test_nothing_of_the_operators_own_settings_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTXHUB_REDIS_URL", "redis://precious.example")
    assert "CTXHUB_REDIS_URL" not in own_environ(tmp_path, SECRET_ENV)
