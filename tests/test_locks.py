"""What is installed is what was chosen: every package is pinned by name and version, and by nothing else."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def lines_of(lock: str) -> list[str]:
    """The lines of a lock."""
    return (ROOT / "deploy" / lock).read_text(encoding="utf-8").splitlines()


def pinned(lines: list[str]) -> dict[str, str]:
    """Each package's only version; a line that leaves a choice, or leads elsewhere, fails."""
    found: dict[str, str] = {}
    for line in lines:
        requirement = Requirement(line)
        exact = re.fullmatch(r"==([0-9A-Za-z.]+)", str(requirement.specifier))
        assert exact, f"{line} leaves a choice"
        assert requirement.url is None, f"{line} leads elsewhere"
        found[canonicalize_name(requirement.name)] = exact[1]
    return found


def needed(declared: list[str]) -> list[Requirement]:
    """What this machine needs of what a project declares."""
    found = [Requirement(line) for line in declared]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def everything_under(declared: list[str]) -> set[str]:
    """The names of all packages that declared ones bring along, as they are installed here."""
    found: set[str] = set()
    wanted = needed(declared)
    while wanted:
        one = wanted.pop()
        name = canonicalize_name(one.name)
        if name not in found:
            found.add(name)
            wanted += needed(importlib.metadata.requires(one.name) or [])
        wanted += [more for extra in one.extras for more in _of_extra(one.name, extra) if _is_new(more, found)]
    return found


def _of_extra(name: str, extra: str) -> list[Requirement]:
    """What an extra of a package brings along."""
    found = [Requirement(line) for line in importlib.metadata.requires(name) or []]
    return [one for one in found if one.marker and one.marker.evaluate({"extra": extra})]


def _is_new(one: Requirement, found: set[str]) -> bool:
    """Tell whether a package was not yet looked at."""
    return canonicalize_name(one.name) not in found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_pins_one_version(lock: str) -> None:
    assert len(pinned(lines_of(lock))) == len(lines_of(lock)) > 20


@pytest.mark.parametrize("loose", ["httpx>=0.28", "httpx", "httpx==0.28.*", "httpx @ https://example.com/httpx.whl"])
def test_a_line_that_leaves_a_choice_would_be_seen(loose: str) -> None:
    with pytest.raises(AssertionError):
        pinned([loose])


def test_what_is_for_fuzzing_alone_is_pinned_and_nowhere_else() -> None:
    assert pinned(lines_of("requirements-fuzz.lock")).keys() == {"atheris"}
    assert all("atheris" not in pinned(lines_of(lock)) for lock in LOCKS)


def test_both_locks_choose_the_same() -> None:
    run, develop = (pinned(lines_of(lock)) for lock in LOCKS)
    assert {name: develop.get(name) for name in run} == run


def test_what_the_project_names_is_pinned_within_what_it_allows() -> None:
    run, develop = (pinned(lines_of(lock)) for lock in LOCKS)
    for lock, declared in ((run, PROJECT["dependencies"]), (develop, PROJECT["optional-dependencies"]["dev"])):
        for one in map(Requirement, declared):
            assert one.specifier.contains(lock[canonicalize_name(one.name)]), one


def test_the_hub_installs_nothing_that_is_not_pinned_and_pins_nothing_that_it_does_not_need() -> None:
    assert everything_under(PROJECT["dependencies"]) == set(pinned(lines_of("requirements.lock")))
