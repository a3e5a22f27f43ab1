"""A hub that runs as its operator runs it, with tenants that answer the telephone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import yaml

ROOT = Path(__file__).parents[3]
PUBLIC_URL = "https://ctx.example.com"
AUTH_TOKEN = "twilio-auth-token"
SHARED_KEY = "twilio-shared-key"
HOOK_SECRET = "hook-secret"
DIAL, LENT = "+15557770000", "+15557770001"
SECRETS = {"IVR_TOKEN": AUTH_TOKEN, "IVR_SHARED": SHARED_KEY, "IVR_HOOK": HOOK_SECRET}

BUSES = {
    "kind": "Buses_1",
    "say": {"en": "bus tickets", "zh": "汽车票"},
    "steps": [
        {"step": "route", "facts": ["Buses_1.from", "Buses_1.to"]},
        {"step": "time", "facts": ["Buses_1.date"], "say": {"en": "the time", "zh": "时间"}},
    ],
}
HOTEL = {
    "kind": "酒店",
    "say": {"zh": "酒店预订", "en": "a hotel"},
    "steps": [{"step": "details", "facts": ["酒店.名称/🏨 A.b"]}],
}
COMPLAINT = {
    "kind": "complaint",
    "say": {"zh": "投诉", "en": "a complaint"},
    "steps": [{"step": "heard", "facts": ["complaint_about"]}],
}
CARD = {
    "kind": "lost_card",
    "say": {"en": "a lost card", "zh": "挂失"},
    "steps": [{"step": "which", "facts": ["card_number", "sms_code", "locked"]}],
}
#: Nobody is there until tomorrow, whenever it is.
AWAY = {
    "away": {
        "timezone": "UTC",
        "hours": {day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
        "closed": [{"from": datetime.now(UTC) - timedelta(days=1), "until": datetime.now(UTC) + timedelta(days=1)}],
    }
}
CALL_BACK = {"kind": "callback"}
FACTS = {
    "Buses_1.from": {"say": {"en": "departure city", "zh": "出发城市"}},
    "Buses_1.to": {"say": {"en": "destination", "zh": "目的地"}},
    "Buses_1.date": {"say": {"en": "travel date", "zh": "出发日期"}},
}


def tenants(company_url: str) -> dict[str, dict[str, Any]]:
    """Return the tenants by name, each with a telephone menu of another kind."""
    full = {
        "auth_token_env": "IVR_TOKEN",
        "shared_keys": {"key_1": "IVR_SHARED"},
        "queue": "agents",
        "sip_target": "sip:agents@pbx.example.com",
        "pin_hook": f"{company_url}/pin",
        "pin_hook_secret_env": "IVR_HOOK",
        "sms_hook": f"{company_url}/sms",
        "sms_hook_secret_env": "IVR_HOOK",
    }
    waiting = {"queue": "agents", "continuation": True, "link_while_waiting": True}
    dial = {"number": DIAL, "pool": [LENT]}
    many = [{"kind": f"kind_{n}", "say": {"en": f"task {n}", "zh": f"业务{n}"}} for n in range(1, 20)]
    signed = {"auth_token_env": "IVR_TOKEN"}
    return {
        "acme": _tenant(full),
        "control": _tenant(full, policies={"knowledge": "off"}),
        "router": _tenant(signed | {"workflow_sid": "WW1", "queue": "人工"}),
        "small": _tenant(signed | {"queue": "agents", "sms": True, "chat_link": "https://small.example.com/chat"}),
        "bank": _tenant(
            full
            | {
                "prompts": {
                    name: {"secure": kind, "hook": f"{company_url}/secure", "hook_secret_env": secret}
                    for name, kind, secret in (
                        ("card_number", "pan", "IVR_HOOK"),
                        ("sms_code", "otp", "IVR_HOOK"),
                        ("locked", "pin", "NOT_SET"),
                    )
                }
            },
            journeys=[CARD],
        ),
        "shared": _tenant(
            full, identifiers={"types": {"phone": {"most": 5}, "account": {}, "visitor": {"alone": False}}}
        ),
        "night": _tenant(full, calendars=AWAY, queues={"agents": {"hours": "away", "alternatives": [CALL_BACK]}}),
        "dark": _tenant(full, calendars=AWAY, queues={"agents": {"hours": "away"}}),
        "caring": _tenant(full, journeys=[BUSES, HOTEL, COMPLAINT]),
        "many": _tenant(signed, journeys=many),
        "hub": _tenant(_plain(full) | waiting, queues={"agents": {"routing": "hub"}}, dial=dial),
        "external": _tenant(_plain(full) | waiting, queues={"agents": {"routing": "external"}}, dial=dial),
        "silent": _tenant({"auth_token_env": "NOT_SET"}),
        "faulty": _tenant(signed | {"sip_target": "nowhere"}),
        "mute": {},
    }


def _plain(ivr: dict[str, Any]) -> dict[str, Any]:
    """Return settings by which callers wait in a queue of the platform."""
    return {name: value for name, value in ivr.items() if name != "sip_target"}


def _tenant(ivr: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"languages": ["en", "zh"], "journeys": [BUSES, HOTEL], "facts": FACTS, "channels": {"ivr": ivr}} | more


class ServingHub:
    """`ctxhub serve` on a free port, which it keeps when it is started again."""

    def __init__(self, folder: Path, tenants: dict[str, dict[str, Any]], more: Mapping[str, str] = {}) -> None:
        self._folder = folder
        self._more = more
        self._process: subprocess.Popen[str] | None = None
        self._port = "0"
        self.url = ""
        (folder / "tenants").mkdir()
        for name, declared in tenants.items():
            text = yaml.safe_dump(declared, allow_unicode=True)
            (folder / "tenants" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        self._process = self._run("ctxhub", "serve", "--port", self._port, "--data", str(self._folder / "data"))
        self.url = ready_url(self._process)
        self._port = self.url.rsplit(":", 1)[1]

    def alone(self, tenant: str) -> subprocess.Popen[str]:
        """Start a telephone menu in a process of its own, against this hub."""
        told = {"CTXHUB_URL": self.url, "CTXHUB_KEY": self.key(tenant, "adapter"), "CTXHUB_TENANT": tenant}
        return self._run("ctxhub_ivr", "--port", "0", "--data", str(self._folder / "alone"), environ=told)

    def send(self, how: signal.Signals) -> None:
        """Stop it, freeze it, wake it or kill it."""
        assert self._process is not None
        self._process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it or kill it, and wait until it is gone."""
        self.send(how)
        assert self._process is not None
        end(self._process)

    def key(self, tenant: str, role: str) -> str:
        """Make a key as the operator does; an agent's is ann's."""
        given = ["--tenant", tenant, "--name", f"{role}-{os.urandom(4).hex()}", "--role", role]
        given += ["--data", str(self._folder / "data"), *(["--agent", "ann"] if role == "agent" else [])]
        command = [sys.executable, "-m", "ctxhub", "keys", "create", *given]
        made = subprocess.run(command, cwd=ROOT, env=self._environ({}), capture_output=True, text=True, timeout=30)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def log(self) -> str:
        """What was written to the log."""
        return (self._folder / "log").read_text()

    def _run(self, module: str, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        with (self._folder / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT, env=self._environ(environ or {}), stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def _environ(self, more: Mapping[str, str]) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
        set_here = {"CTXHUB_DURABILITY": "fast", "CTXHUB_PUBLIC_URL": PUBLIC_URL, "CTXHUB_LOG_LEVEL": "debug"}
        found_here = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
        return (
            ours
            | SECRETS
            | set_here
            | found_here
            | {"CTXHUB_TENANTS": str(self._folder / "tenants")}
            | self._more
            | more
        )


def ready_url(process: subprocess.Popen[str]) -> str:
    """Return the address that a process says it answers at."""
    assert process.stdout is not None
    ready = _line_within(process.stdout, 30)
    assert " ready http://" in ready, ready
    return ready.split()[-1]


def end(process: subprocess.Popen[str]) -> None:
    """Wait until a process that was told to stop is gone."""
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def _line_within(stream: IO[str], seconds: float) -> str:
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return lines[0].strip() if lines else ""
