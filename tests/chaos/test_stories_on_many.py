"""The customers' stories on Sentinels and on a cluster; those that take longest in the full run alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.living import Callers, http_to, living, settings_for
from tests.chaos.running import FULL, ROOT
from tests.many import Grid, Guarded
from tests.stories.branch import a_branch, losing_its_primary
from tests.stories.test_across_channels import test_a_refund_begun_by_phone_goes_on_in_chat_and_ends_with_ann as refund
from tests.stories.test_four_adapters import she_books_a_train

pytestmark = pytest.mark.chaos
#: Every way to be forgotten takes as long as all other stories together; the four adapters lose a server right here.
LONG = ["test_forgotten.py", "test_four_adapters.py"]
FULL_ONLY = pytest.mark.skipif(not FULL, reason="every moment in turn is of the full run")


@pytest.mark.parametrize("kind", ["sentinels", "cluster"])
async def test_a_refund_begun_by_phone_ends_with_ann(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    servers: Guarded | Grid = request.getfixturevalue(kind)
    settings = settings_for(tmp_path, servers.url).model_copy(update={"durability": "safe"})
    async with living(settings) as app, http_to(app) as http:
        callers = await Callers(http).make()
        await refund(callers, callers.adapter)


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("sentinels", "chat"), ("cluster", "desk"),
        *(pytest.param(kind, moment, marks=FULL_ONLY) for kind, moment in [
            ("sentinels", "ivr"), ("sentinels", "app"), ("sentinels", "desk"),
            ("cluster", "ivr"), ("cluster", "chat"), ("cluster", "app"),
        ]),
    ],
)  # fmt: skip
async def test_the_four_adapters_go_on_where_the_customers_server_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, moment: str
) -> None:
    servers: Guarded | Grid = request.getfixturevalue(kind)
    async with losing_its_primary(servers, moment) as lost, a_branch(tmp_path, servers.url, "safe") as branch:
        await she_books_a_train(branch, lost)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("on", ["sentinel", "cluster"])
def test_all_stories(on: str, record_property: Callable[[str, object], None]) -> None:
    left_out = [] if FULL else [f"--ignore=tests/stories/{name}" for name in LONG]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *left_out, "tests/stories"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"CTXHUB_TESTS_ON": on}, capture_output=True, text=True)
    record_property("ran", f"stories on {on}: {done.stdout.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout[-2000:]
