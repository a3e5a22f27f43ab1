"""The programs in docs/examples do what the pages show, against a hub that runs as a reader's does."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import Reader
from tests.docs.reading import ROOT, blocks

BOT_PAGE = ROOT / "docs" / "how-to" / "connect-a-bot.md"
EXAMPLES = ROOT / "docs" / "examples"
_ANSWERS_WITHIN = 20
_SPOKEN = re.compile(r"^(you>|ann>|ann\|) (.*)$")


class Program:
    """A program in a terminal of its own; what it prints is read line by line."""

    def __init__(self, reader: Reader, key: str, *command: str) -> None:
        environ = reader.environ | {"CTXHUB_URL": reader.url, "CTXHUB_KEY": key}
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=reader.folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, bufsize=1,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def types(self, line: str) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")

    def prints(self) -> str:
        """The next line that it prints."""
        try:
            return self._lines.get(timeout=_ANSWERS_WITHIN)
        except queue.Empty:
            self._process.kill()
            raise AssertionError(f"it printed nothing more: {self._process.communicate()[1]}") from None

    def ends(self) -> int:
        """Type Ctrl-D; its exit code. Nothing was printed that nobody expected."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(_ANSWERS_WITHIN)
        assert self._process.stderr is not None
        assert self._process.stderr.read() == ""
        assert self._lines.empty(), list(self._lines.queue)
        return code

    def close(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """The programs that a test has started; they are gone afterwards."""
    started: list[Program] = []
    yield started
    for program in started:
        program.close()


def test_the_dialogues_on_the_page_of_the_bot_go_as_they_stand_there(reader: Reader, programs: list[Program]) -> None:
    first = next(block.text for block in blocks(BOT_PAGE) if block.language == "sh")
    ran = reader.types(first)
    assert ran.returncode == 0, ran.stderr
    key, ann_key = ((reader.folder / f"{name}.key").read_text().strip() for name in ("bot", "ann"))
    desk = Program(reader, ann_key, "agent_desk.py", "ann", "cards")
    programs.append(desk)
    dialogues = [block.text for block in blocks(BOT_PAGE) if block.language == "dialogue"]
    assert len(dialogues) == 2
    for dialogue in dialogues:
        bot = Program(reader, key, "bot.py", "c42")
        programs.append(bot)
        play(dialogue, bot, desk)
        assert bot.ends() == 0
    assert desk.ends() == 0
    shown = reader.types(f"ctxhub show c42 --url {reader.url}").stdout
    assert re.search(r"country +Portugal +stated +chat customer", shown)


def play(dialogue: str, bot: Program, desk: Program) -> None:
    """Type what is typed; everything else must be printed, by whom it stands there."""
    for line in dialogue.splitlines():
        found = _SPOKEN.match(line)
        mark, text = found.groups() if found else ("", line)
        if mark in ("you>", "ann>"):
            (bot if mark == "you>" else desk).types(text)
        else:
            assert (desk if mark else bot).prints() == text


def test_the_walk_goes_with_a_plain_shell_and_curl_alone(reader: Reader) -> None:
    environ = reader.environ | {
        "CTXHUB_URL": reader.url, "CTXHUB_KEY": (reader.folder / "ctxhub-data" / "admin.key").read_text().strip(),
    }  # fmt: skip
    command = ["sh", str(EXAMPLES / "walk.sh"), "walker"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line for line in lines if line[0].isdigit()] == [f"{n} {line[2:]}" for n, line in enumerate(
        (line for line in lines if line[0].isdigit()), 1)]  # fmt: skip
    told = [line for line in lines if not line[0].isdigit()]
    assert told[:3] == ["known", "held_by_another", "completed"]
    assert told[3:6] == ["interaction.started", "journey.started", "fact.stated"]
    assert told[-1] == "handoff.completed"
    again = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr


def test_the_walk_stops_where_the_hub_refuses(reader: Reader) -> None:
    environ = os.environ | {"CTXHUB_URL": reader.url, "CTXHUB_KEY": "not-a-key"}
    ran = subprocess.run(["sh", str(EXAMPLES / "walk.sh")], env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "completed" not in ran.stdout


def test_the_bot_is_as_short_as_the_page_says() -> None:
    code = (EXAMPLES / "bot.py").read_text().split('"""')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 85


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*.py")), ids=lambda path: Path(path).name)
def test_an_example_needs_nothing_of_the_hub_but_its_client(program: Path) -> None:
    imported = re.findall(r"^(?:from|import) (ctxhub\S*)", program.read_text(), re.MULTILINE)
    assert set(imported) == {"ctxhub.client"}
