"""All YAML looks alike, and what is said of the folder leads somewhere."""

from __future__ import annotations

from typing import Any

from tests.deploy.conftest import Tool
from tests.deploy.reading import DEPLOY
from tests.docs.reading import anchors, links


def test_yaml_is_tidy(module: Any) -> None:
    lint: Tool = module("yamllint")
    checked = lint("--strict", "--format=parsable", "--config-file", str(DEPLOY / "yamllint.yaml"), str(DEPLOY))
    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0


def test_links_of_the_page_lead_somewhere() -> None:
    page = DEPLOY / "README.md"
    for link in links(page):
        where, _, anchor = link.partition("#")
        target = (page.parent / where).resolve()
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
