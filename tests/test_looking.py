"""Eyes in the terminal: `show`, `follow` and `forget`, in a pipe and in a real terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub.looking.gist import gist
from ctxhub.looking.paper import Paper, plain
from ctxhub.looking.words import LANGUAGES, SAID
from ctxhub.testing import LiveHub, a_hub
from tests.client.running import ADMIN_KEY, RunningHub
from tests.commanding import commanded

ROOT = Path(__file__).parents[1]
TENANT = {
    "languages": ["en", "zh"],
    "journeys": [{"kind": "refund", "say": {"en": "a refund", "zh": "退款"},
                  "steps": [{"step": "order", "facts": ["order_id", "bank"]}]}],
    "facts": {"order_id": {"say": {"en": "order number", "zh": "订单号"}}},
}  # fmt: skip
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def hub() -> Iterator[LiveHub]:
    """A hub with a tenant that declares a journey."""
    with a_hub({"default": TENANT}) as hub:
        yield hub


def environ(hub: LiveHub, **more: str) -> dict[str, str]:
    """The environment of somebody who looks, without settings of whoever runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CTXHUB_", "LC_", "LANG"))}
    found = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    return clean | found | {"CTXHUB_KEY": hub.admin_key, "LANG": "C.UTF-8", "TZ": "UTC"} | more


def ctxhub(hub: LiveHub, *arguments: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a pipe."""
    return commanded(*arguments, "--url", hub.url, environ=environ(hub, **more), typed=typed)


def shown(hub: LiveHub, *arguments: str, **more: str) -> str:
    """What `show` prints."""
    done = ctxhub(hub, "show", *arguments, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command leaves on stderr."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("ctxhub: ").strip()


def post(hub: LiveHub, path: str, body: object) -> dict[str, object]:
    """Tell the hub something, as a channel does."""
    headers = {"Authorization": f"Bearer {hub.admin_key}"}
    answer = httpx.post(f"{hub.url}{path}", json=body, headers=headers, trust_env=False).raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def tell(hub: LiveHub, customer_id: str, interaction_id: str, type_: str, **data: Any) -> None:
    """Tell one event; what stands `beside` its data is given so."""
    event = {"event_id": os.urandom(6).hex(), "type": type_, "interaction_id": interaction_id} | data.pop("beside", {})
    post(hub, f"/v1/customers/{customer_id}/events", {"events": [event | {"data": data}]})


def begun(hub: LiveHub, customer_id: str, **more: object) -> str:
    """A customer at level 2 in a chat; the interaction."""
    start = {"channel": "chat", "external_id": os.urandom(6).hex(), "customer_id": customer_id,
             "assurance": {"level": 2, "method": "login"}}  # fmt: skip
    started = post(hub, "/v1/interactions", start | more)["interaction"]
    assert isinstance(started, dict)
    return str(started["interaction_id"])


@pytest.fixture(scope="module")
def customer(hub: LiveHub) -> str:
    """A customer with something of everything."""
    phone = {"type": "phone", "value": "+8613800138000", "strength": "verified"}
    here = begun(hub, "c42", identifiers=[phone])
    refund = {"journey_id": "jr_1"}
    tell(hub, "c42", here, "journey.started", kind="refund", beside=refund)
    tell(hub, "c42", here, "fact.stated", name="order_id", value="单号 A-17", beside=refund)
    tell(hub, "c42", here, "fact.observed", name="order_id", value="A-18", confidence=0.7, beside=refund)
    tell(hub, "c42", here, "commitment.made", what="call back", owner="billing", due_at="2099-01-01T09:00:00Z")
    offer = {"customer_id": "c42", "interaction_id": here, "reason": "wants a person", "to": {"queue": "billing"}}
    post(hub, "/v1/handoffs", offer)
    return "c42"


# Show


def test_a_customer_is_shown_with_facts_their_origin_and_what_is_on_the_way(hub: LiveHub, customer: str) -> None:
    lines = [" ".join(line.split()) for line in shown(hub, customer).splitlines()]
    assert lines[0].startswith("c42 version 6 known assurance 2, login, chat, lapses in ")
    assert "phone +8613800138000 (verified)" in lines
    assert any(
        re.match(r"order_id order number 单号 A-17 stated chat customer (now|\d+ s ago) refund", x) for x in lines
    )
    assert lines.index("In short") < lines.index("Facts")
    assert any("refund" in line for line in lines[lines.index("In short") + 1 : lines.index("Facts")])
    assert any(line.startswith("also A-18 observed 0.7 chat ") for line in lines)
    assert any(re.match(r"refund a refund active .*\bbank\b", line) for line in lines)
    assert any(re.match(r"call back billing in \d+ d open", line) for line in lines)
    assert any(line.startswith("queue billing offered wants a person") for line in lines)
    assert any(line.startswith("chat in_") for line in lines)
    assert any(line.endswith("fact.stated chat customer order_id = 单号 A-17") for line in lines)


def test_a_promise_that_was_not_kept_in_time_is_shown_as_overdue() -> None:
    with a_hub() as hub:
        here = begun(hub, "c9")
        due = (hub.clock() + timedelta(minutes=30)).isoformat()
        tell(hub, "c9", here, "commitment.made", what="call back", owner="billing", due_at=due)
        assert re.search(r"call back +billing +in \d+ min +open", shown(hub, "c9"))
        hub.clock.move(minutes=31)
        assert re.search(r"call back +billing .*overdue", shown(hub, "c9"))


def test_in_chinese_the_page_speaks_chinese_and_calls_things_as_the_tenant_does(hub: LiveHub, customer: str) -> None:
    for page in (shown(hub, customer, "--lang", "zh"), shown(hub, customer, LANG="zh_CN.UTF-8")):
        assert "已知信息" in page
        assert "order_id 订单号" in page
        assert "refund 退款" in page
        assert "Facts" not in page
    assert "Facts" in shown(hub, customer, "--lang", "en", LANG="zh_CN.UTF-8")


def test_both_languages_say_the_same_things() -> None:
    first, second = (SAID[language] for language in LANGUAGES)
    assert first.keys() == second.keys()
    for word in first:
        assert set(re.findall(r"\{\w+\}", first[word])) == set(re.findall(r"\{\w+\}", second[word])), word


def test_as_json_it_is_what_the_api_says(hub: LiveHub, customer: str) -> None:
    page = json.loads(shown(hub, customer, "--json"))
    assert page["facts"]["order_id"]["value"] == "单号 A-17"
    assert page["version"] == 6


def test_so_many_recent_events_are_shown_as_asked_for(hub: LiveHub, customer: str) -> None:
    assert "Recently" not in shown(hub, customer, "--events", "0")
    page = shown(hub, customer, "--events", "2").partition("Recently\n")[2]
    assert page.count("\n") == 2


def test_a_customer_is_found_by_a_number_that_is_typed_and_not_by_one_in_the_arguments(
    hub: LiveHub, customer: str
) -> None:
    done = ctxhub(hub, "show", "--phone", typed="+86 138 0013 8000\n")
    assert done.stdout.startswith("c42  version 6")
    assert ctxhub(hub, "show", "--identifier", "phone", typed="+8613800138000").stdout.startswith("c42  version 6")
    assert ctxhub(hub, "show", "--phone", "+8613800138000").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (["show"], "", "name a customer: by id, by --phone, or by --identifier TYPE"),
        (["show", "c42", "--phone"], "+15550100", "name the customer by id, or by an identifier, not both"),
        (["show", "--phone"], "\n", "no phone came in: type it, or send it to stdin"),
        (["show", "--identifier", "Phone"], "1", "--identifier: 'Phone' is no type"),
        (["follow", "c42", "--queue", "cards"], "", "follow one thing: a customer, --queue or --channel"),
        (["follow", "--queue", "cards", "--after", "3"], "", "--after is a customer's version"),
        (["forget", "c42"], "c42", "erasing can't be undone, and there is no terminal to ask at: add --yes"),
        (["show", "nobody"], "", "there is no customer nobody. check the id"),
    ],
)
def test_what_can_not_be_meant_is_one_line_with_the_remedy(
    hub: LiveHub, customer: str, arguments: list[str], typed: str, said: str
) -> None:
    assert said.lower() in complaint(ctxhub(hub, *arguments, typed=typed)).lower()


def test_a_customer_can_not_paint_on_the_operators_screen(hub: LiveHub) -> None:
    here = begun(hub, "painter")
    tell(hub, "painter", here, "fact.stated", name="city", value="\x1b[2JRome\x9b31m\u202e")
    tell(hub, "painter", here, "message.received", text="one\r\nRoot \x1b]0;owned\x07")
    page = shown(hub, "painter")
    assert r"\x1b[2JRome\x9b31m\u202e" in page
    assert r"one\r\nRoot \x1b]0;owned\x07" in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page)


def test_letters_that_are_joined_stay_joined_and_plain_text_stays_as_it_is() -> None:
    assert plain("👩\u200d💻 家人 é") == "👩\u200d💻 家人 é"
    assert plain("a\tb") == r"a\tb"


def test_the_gist_of_an_event_names_what_matters_first() -> None:
    assert gist({"text": "hello", "fence": 2}) == "hello"
    assert gist({"name": "city", "value": ["Rome"], "confidence": 0.5}) == 'city = ["Rome"]  confidence=0.5'
    assert gist({"names": ["a", "b"], "purpose": "ask"}) == "a, b  purpose=ask"
    assert gist({"name": "city", "withheld": True}) == "…"
    assert gist({}) == ""


def test_times_are_told_in_their_largest_unit(hub: LiveHub) -> None:
    paper = Paper("en")
    now = datetime.now(UTC)
    assert paper.when(now - timedelta(hours=50, minutes=1)) == "2 d ago"
    assert paper.when(now + timedelta(minutes=5, seconds=30)) == "in 5 min"
    assert paper.when(now) == "now"
    assert paper.when(None) == ""


# In a terminal


def _at_home(terminal: int) -> None:
    """Be the process that a terminal interrupts, though this test may run where interrupts are ignored."""
    os.login_tty(terminal)
    _interruptible()


def _interruptible() -> None:
    """Take interrupts, which a shell lets what it starts in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command in a real terminal, 100 letters wide."""

    def __init__(self, *arguments: str, environ: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "ctxhub", *arguments]
        wide = environ | {"COLUMNS": "100", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=wide, preexec_fn=lambda: _at_home(theirs))
        os.close(theirs)
        self.raw = ""

    @property
    def text(self) -> str:
        """What stands there, without colours."""
        return _COLOURS.sub("", self.raw).replace("\r\n", "\n")

    def sees(self, wanted: str, within: float = 20) -> None:
        """Wait until something stands there."""
        give_up_at = time.monotonic() + within
        while wanted not in self.text:
            assert time.monotonic() < give_up_at, f"{wanted!r} did not come:\n{self.text}"
            self._read(0.2)

    def types(self, text: str) -> None:
        """Type."""
        os.write(self._ours, text.encode())

    def ends(self, within: float = 10) -> int:
        """Read until it ends; its exit code."""
        give_up_at = time.monotonic() + within
        while self.process.poll() is None and time.monotonic() < give_up_at:
            self._read(0.1)
        self._read(0)
        return self.process.wait(1)

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return
        try:
            self.raw += os.read(self._ours, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            time.sleep(0.01)


@contextmanager
def terminal(hub_url: str, environ: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    """A terminal in which a command runs."""
    opened = Terminal(*arguments, "--url", hub_url, environ=environ)
    try:
        yield opened
    finally:
        opened.close()


def test_in_a_terminal_there_are_colours_and_the_number_is_asked_for(hub: LiveHub, customer: str) -> None:
    with terminal(hub.url, environ(hub), "show", "--phone") as here:
        here.sees("phone: ")
        here.types("+8613800138000\n")
        assert here.ends() == 0
        assert "c42  version 6" in here.text
        assert "\x1b[" in here.raw
        assert max(len(line) for line in here.text.partition("Recently")[0].splitlines()) <= 100


def test_colours_are_left_out_where_they_are_not_wanted(hub: LiveHub, customer: str) -> None:
    with terminal(hub.url, environ(hub, NO_COLOR="1"), "show", customer) as here:
        assert here.ends() == 0
        assert "\x1b[3" not in here.raw


def test_a_customer_is_followed_live_until_ctrl_c_and_nothing_is_left_on_the_screen(hub: LiveHub) -> None:
    talking = begun(hub, "talker")
    with terminal(hub.url, environ(hub), "follow", "talker", "--after", "0") as here:
        here.sees("interaction.started")
        tell(hub, "talker", talking, "message.received", text="Guten Tag, 你好")
        here.sees("message.received")
        here.sees("Guten Tag, 你好")
        here.types("\x03")
        assert here.ends() == 130
        assert "Traceback" not in here.text


def test_a_queue_is_followed_from_who_waits_to_who_comes_and_who_is_taken(hub: LiveHub, customer: str) -> None:
    here_ = begun(hub, "waiter")
    with terminal(hub.url, environ(hub), "follow", "--queue", "billing") as here:
        here.sees("1 waiting")
        here.sees("c42  wants a person")
        offer = {"customer_id": "waiter", "interaction_id": here_, "reason": "stuck", "to": {"queue": "billing"}}
        handoff = post(hub, "/v1/handoffs", offer)["handoff"]
        here.sees("handoff.offered")
        here.sees("waiter")
        assert isinstance(handoff, dict)
        post(hub, f"/v1/handoffs/{handoff['handoff_id']}/accept", {"agent_id": "ann"})
        here.sees("agent_id=ann")


def test_a_channel_is_followed_as_json_lines(hub: LiveHub) -> None:
    command = [sys.executable, "-m", "ctxhub", "follow", "--channel", "sms", "--json", "--url", hub.url]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ(hub), stdout=subprocess.PIPE, text=True, preexec_fn=_interruptible
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "ready"
        talking = begun(hub, "texter", channel="sms")
        tell(hub, "texter", talking, "message.sent", text="your code", delivered=True)
        lines = (json.loads(line) for line in process.stdout)
        said = next(line for line in lines if line["type"] == "message.sent")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert (said["customer_id"], said["data"]["text"]) == ("texter", "your code")


def test_whoever_has_read_enough_ends_it_quietly(hub: LiveHub, customer: str) -> None:
    command = f"{sys.executable} -m ctxhub show {customer} --url {hub.url} | head -n 1"
    ran = subprocess.run(["sh", "-c", command], cwd=ROOT, env=environ(hub), capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("c42")
    assert ran.stderr == ""


def test_a_follower_goes_on_after_the_hub_was_away_without_missing_or_repeating(tmp_path: Path) -> None:
    running = RunningHub(tmp_path)
    running.start()
    hub = LiveHub(running.url, ADMIN_KEY, clock=None)  # type: ignore[arg-type]
    try:
        talking = begun(hub, "c7")
        with terminal(hub.url, environ(hub), "follow", "c7", "--after", "0") as here:
            here.sees("interaction.started")
            running.stop()
            here.sees("the hub is going down; waiting for it")
            running.start()
            tell(hub, "c7", talking, "message.received", text="still there?")
            here.sees("still there?")
            running.stop(signal.SIGKILL)
            running.start()
            tell(hub, "c7", talking, "message.received", text="and now?")
            here.sees("and now?")
            here.types("\x03")
            assert here.ends() == 130
            assert here.text.count("the hub is there again") >= 2  # more where it was lost again on its way up
            assert here.text.count("interaction.started") == 1
            assert here.text.count("still there?") == 1
    finally:
        running.stop()


# Forget


def test_a_customer_is_erased_once_the_id_was_typed_and_the_receipt_is_json(hub: LiveHub) -> None:
    begun(hub, "gone")
    with terminal(hub.url, environ(hub), "forget", "gone") as here:
        here.sees("Erase gone (0 facts, 0 journeys, 1 events)? This can't be undone. Type the customer's id: ")
        here.types("yes\n")
        assert here.ends() == 1
        assert "nothing was erased" in here.text
    assert shown(hub, "gone").startswith("gone")
    with terminal(hub.url, environ(hub), "forget", "gone") as here:
        here.sees("Type the customer's id: ")
        here.types("gone\n")
        assert here.ends() == 0
        assert '"customer_id": "gone"' in here.text
    assert "gone" in complaint(ctxhub(hub, "show", "gone"))


def test_ctrl_c_at_a_question_ends_it_and_nothing_was_done(hub: LiveHub) -> None:
    begun(hub, "stays")
    for command, question in ((("forget", "stays"), "Type the customer's id: "), (("show", "--phone"), "phone: ")):
        with terminal(hub.url, environ(hub), *command) as here:
            here.sees(question)
            here.types("\x03")
            assert here.ends() == 130
            assert "Traceback" not in here.text
    assert shown(hub, "stays").startswith("stays")


def test_with_yes_nobody_is_asked_and_only_the_receipt_is_printed(hub: LiveHub) -> None:
    begun(hub, "gone2")
    done = ctxhub(hub, "forget", "gone2", "--yes")
    assert json.loads(done.stdout)["erased"]["interactions"] == 1
    assert done.stderr == ""


@pytest.mark.parametrize(
    "command", [["show", "c42"], ["follow", "c42"], ["follow", "--queue", "billing"], ["forget", "c42"]]
)
def test_a_key_that_the_hub_does_not_know_is_one_line(hub: LiveHub, command: list[str]) -> None:
    assert "key" in complaint(ctxhub(hub, *command, CTXHUB_KEY="not-a-key"))


def test_only_an_admin_may_erase(hub: LiveHub) -> None:
    begun(hub, "kept")
    done = ctxhub(hub, "forget", "kept", "--yes", CTXHUB_KEY=hub.key("supervisor"))
    assert done.returncode == 1
    assert shown(hub, "kept").startswith("kept")
