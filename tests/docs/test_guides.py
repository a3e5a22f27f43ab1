"""The guides as the hub serves them: whole, linked, without another host, and fit for eyes and for machines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, sync_playwright

from ctxhub.api import guides
from tests.docs.conftest import Reader
from tests.docs.reading import ROOT, anchors, blocks, links, pages

SERVED = [page for page in pages() if "examples" not in page.parts]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def site(onlooker: Reader) -> Iterator[httpx.Client]:
    """The hub, as a browser without a key sees it."""
    with httpx.Client(base_url=onlooker.url, follow_redirects=True, trust_env=False) as site:
        yield site


@pytest.fixture(scope="module")
def seen(site: httpx.Client) -> Callable[[str], tuple[int, BeautifulSoup]]:
    """Fetch a page, once."""
    kept: dict[str, tuple[int, BeautifulSoup]] = {}

    def fetch(path: str) -> tuple[int, BeautifulSoup]:
        if path not in kept:
            answer = site.get(path)
            kept[path] = (answer.status_code, BeautifulSoup(answer.text, "lxml"))
        return kept[path]

    return fetch


def at(page: Path) -> str:
    """Where the hub serves a page."""
    return guides.AT + guides.name_of(named(page))


@pytest.mark.parametrize("page", SERVED, ids=named)
def test_a_page_is_served_with_all_its_headings_and_code_and_every_link_of_it_leads_somewhere(
    page: Path, seen: Callable[[str], tuple[int, BeautifulSoup]]
) -> None:
    status, soup = seen(at(page))
    assert status == 200
    main = soup.select_one("main")
    assert main is not None
    assert anchors(page) <= {str(tag["id"]) for tag in main.select("[id]")}
    shown = [code.text for code in main.select("pre code")]
    assert [block.text for block in blocks(page) if block.text not in shown] == []
    for tag in main.select("a[href], img[src]"):
        link = str(tag.get("href") or tag.get("src"))
        if re.match(r"[a-z]+:", link):
            continue
        where, _, anchor = urljoin(at(page), link).partition("#")
        found, target = seen(where)
        assert found == 200, f"{named(page)} leads to {link}"
        assert not anchor or target.find(id=anchor), f"{named(page)} leads to {link}: there is no such heading"


def test_pages_load_nothing_from_elsewhere_and_carry_no_script_or_style(site: httpx.Client) -> None:
    answer = site.get("/docs/guides/concepts")
    soup = BeautifulSoup(answer.text, "lxml")
    loaded = [str(tag.get("src") or tag.get("href")) for tag in soup.select("[src], link[href]")]
    assert all(place == "data:," or place.startswith("/docs/") for place in loaded)
    assert not soup.select("script, style, [style]")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_reference_leads_to_the_guides_and_the_guides_to_the_reference(
    seen: Callable[[str], tuple[int, BeautifulSoup]],
) -> None:
    assert "/docs/guides/" in {a["href"] for a in seen("/docs")[1].select("header a")}
    assert "/docs" in {a["href"] for a in seen("/docs/guides/")[1].select("header a")}
    assert seen("/docs/guides")[0] == 200


def test_each_page_is_markdown_where_that_is_added(site: httpx.Client) -> None:
    for name, page in [("concepts.md", "docs/concepts.md"), ("index.md", "docs/README.md"), ("README.md", "README.md")]:
        answer = site.get(f"/docs/guides/{name}")
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        assert answer.text == (ROOT / page).read_text("utf-8")


NO_GUIDES = ["nothing", "../../pyproject.toml", "%2e%2e/%2e%2e/etc/passwd", "adapters/ctxhub_ivr/server.py",
             "pyproject.toml", "Makefile", "how-to", "examples/", "//etc/passwd"]  # fmt: skip


@pytest.mark.parametrize("path", NO_GUIDES)
def test_what_is_no_guide_is_not_served(site: httpx.Client, path: str) -> None:
    answer = site.get(f"/docs/guides/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json") or "guides" not in str(answer.url)


def test_the_chinese_page_says_that_it_is_chinese(seen: Callable[[str], tuple[int, BeautifulSoup]]) -> None:
    assert seen("/docs/guides/README.zh")[1].select_one("html[lang='zh-CN']")
    assert seen("/docs/guides/README")[1].select_one("html[lang='en']")


def test_an_index_lists_every_page_to_act_by_and_to_look_up_in() -> None:
    listed = {each.place for section in guides.index().values() for each in section}
    wanted = [*(ROOT / "docs" / "how-to").glob("*.md"), *(ROOT / "docs" / "reference").glob("*.md")]
    assert {named(page) for page in wanted} - listed == set()


def test_in_a_wheel_the_guides_are_the_package_s_own_and_in_any_other_place_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "ctxhub"
    (tmp_path / "site" / "docs").mkdir(parents=True)
    (tmp_path / "site" / "docs" / "README.md").write_text("# somebody else's")
    package.mkdir()
    monkeypatch.setattr(guides, "files", lambda _: package)
    assert guides.home() is None
    assert guides.places.__wrapped__() == {}
    (package / "guides" / "docs").mkdir(parents=True)
    (package / "guides" / "docs" / "README.md").write_text("# Guides")
    assert guides.home() == package / "guides"
    assert guides.places.__wrapped__().keys() == {"docs/README.md"}


def test_a_wheel_brings_every_guide_along() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    packed = built["force-include"]
    for place in guides.places():
        whole = next((source for source in packed if place == source or place.startswith(f"{source}/")), None)
        assert whole, f"pyproject.toml: force-include {place!r} as 'ctxhub/guides/{place}'"
        assert packed[whole] == f"ctxhub/guides/{whole}"


# For machines that read


def test_llms_txt_has_the_form_of_llmstxt_org_and_every_link_of_it_brings_markdown(site: httpx.Client) -> None:
    answer = site.get("/llms.txt")
    assert answer.headers["content-type"].startswith("text/markdown")
    heading, quote, *sections = answer.text.strip().split("\n\n")
    assert re.fullmatch(r"# \S.*", heading)
    assert re.fullmatch(r"> \S.*", quote)
    titles, lists = sections[::2], sections[1::2]
    assert len(titles) == len(lists) >= 5
    assert all(re.fullmatch(r"## \S.*", title) for title in titles)
    entries = [line for part in lists for line in part.splitlines()]
    found = [re.fullmatch(r"- \[[^\]]+\]\((/[^)]+)\): \S.*", line) for line in entries]
    assert len(found) > 20
    for entry, line in zip(found, entries, strict=True):
        assert entry, line
        linked = site.get(entry[1])
        assert linked.status_code == 200, line
        assert linked.headers["content-type"].startswith("text/markdown")


def test_llms_full_txt_has_every_listed_guide_whole(site: httpx.Client) -> None:
    text = site.get("/llms-full.txt").text
    for section in guides.index().values():
        for each in section:
            assert guides.guide(each.place).text.strip() in text, each.place


def test_the_list_in_the_repository_leads_to_files() -> None:
    listed = ROOT / "docs" / "llms.txt"
    for link in links(listed):
        assert (listed.parent / link).is_file(), link


# In a real browser


@pytest.fixture(scope="module")
def browser(need: Callable[[str], str]) -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=need("chromium-headless-shell"))
        yield chromium
        chromium.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1360, "light"), (390, "dark")], ids=["wide-light", "phone-dark"])
@pytest.mark.parametrize("name", ["README", "concepts", "how-to/connect-a-bot", "reference/settings"])
def test_a_guide_fits_every_screen_and_axe_finds_nothing_to_complain_of(
    browser: Browser, onlooker: Reader, name: str, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 860}, color_scheme=scheme)  # type: ignore[arg-type]
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.goto(f"{onlooker.url}/docs/guides/{name}")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
    assert wide == width
    assert faults == []
