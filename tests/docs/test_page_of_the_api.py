"""The page at /docs: whole, right, without another host, and fit to be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from jsonschema import Draft202012Validator
from playwright.sync_api import Browser, Page, sync_playwright

from ctxhub.api import reference
from ctxhub.errors import CtxhubError, every_error
from ctxhub.model.event import TOLD
from tests.docs.conftest import Reader

WIDE, PHONE = (1360, 900), (390, 844)


@pytest.fixture(scope="module")
def document(onlooker: Reader) -> dict[str, Any]:
    """The OpenAPI document that the hub serves."""
    found: dict[str, Any] = httpx.get(f"{onlooker.url}/openapi.json").raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def soup(onlooker: Reader) -> BeautifulSoup:
    """The page that the hub serves."""
    return BeautifulSoup(httpx.get(f"{onlooker.url}/docs").raise_for_status().text, "lxml")


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation with how it is called."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def _examples(document: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield every example with its schema."""
    for name, operation in _operations(document):
        carriers = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in (carrier.get("content", {}).get("application/json", {}) for carrier in carriers):
            if "example" in body:
                yield name, body["example"], body["schema"]


def test_every_operation_stands_on_the_page_with_a_link_to_it(document: dict[str, Any], soup: BeautifulSoup) -> None:
    shown = {" ".join(heading.text.split()).removesuffix(" #") for heading in soup.select("article h3[id]")}
    for name, _ in _operations(document):
        assert name in shown
    linked = {link["href"].removeprefix("#") for link in soup.select("nav a[href^='#']")}
    assert linked <= {tag["id"] for tag in soup.select("[id]")}


def test_no_link_into_the_page_leads_nowhere_and_no_id_stands_twice(soup: BeautifulSoup) -> None:
    ids = [str(tag["id"]) for tag in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in soup.select("a[href^='#']")} <= set(ids)


def test_every_problem_code_and_every_type_of_event_stands_on_the_page(soup: BeautifulSoup) -> None:
    ids = {str(tag["id"]) for tag in soup.select("tr[id]")}
    assert {f"code-{error.code}" for error in every_error() if error is not CtxhubError} <= ids
    assert {f"event-{type_}" for type_ in TOLD} <= ids


def test_every_body_has_an_example_and_every_example_is_of_a_call_that_there_is(document: dict[str, Any]) -> None:
    names = dict(_operations(document))
    assert set(reference._examples()) <= set(names)
    for name, operation in names.items():
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"]["application/json"], name


def test_every_example_is_valid_by_its_own_schema(document: dict[str, Any]) -> None:
    found = list(_examples(document))
    assert len(found) > 30
    for name, example, schema in found:
        faults = list(Draft202012Validator({**schema, "components": document["components"]}).iter_errors(example))
        assert not faults, f"{name}: {faults[0].message} in {json.dumps(example)[:200]}"


def test_every_example_of_a_body_is_taken_by_the_hub(document: dict[str, Any], onlooker: Reader) -> None:
    key = (onlooker.folder / "ctxhub-data" / "admin.key").read_text().strip()
    with httpx.Client(base_url=onlooker.url, headers={"Authorization": f"Bearer {key}"}) as hub:
        for name, operation in _operations(document):
            if "requestBody" in operation:
                method, path = name.split(" ")
                example = operation["requestBody"]["content"]["application/json"]["example"]
                answer = hub.request(method, re.sub(r"{\w+}", "nobody", path), json=example)
                assert answer.status_code not in (400, 415, 422, 503), f"{name}: {answer.text}"


def test_what_a_field_means_is_said_in_one_place_and_names_fields_that_there_are(document: dict[str, Any]) -> None:
    names = {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", ())}
    names |= {p["name"] for _, operation in _operations(document) for p in operation.get("parameters", ())}
    assert set(reference._kept("words")) <= names


def test_health_needs_no_key_and_all_else_does(document: dict[str, Any]) -> None:
    keyless = {name for name, operation in _operations(document) if operation.get("security") == []}
    assert keyless == {"GET /health/live", "GET /health/ready", "GET /metrics"}
    assert document["security"] == [{"key": []}]


def test_completing_a_document_twice_changes_nothing(document: dict[str, Any]) -> None:
    once = json.dumps(document)
    assert json.dumps(reference.complete(json.loads(once))) == once


def test_the_page_and_its_looks_name_no_other_host_and_carry_no_script_or_style(onlooker: Reader) -> None:
    answer = httpx.get(f"{onlooker.url}/docs")
    style = httpx.get(f"{onlooker.url}/docs/style.css").raise_for_status().text
    soup = BeautifulSoup(answer.text, "lxml")
    loaded = [tag.get("src") or tag.get("href") for tag in soup.select("[src], link[href]")]
    assert loaded == ["data:,", "/docs/style.css"]
    assert not soup.select("script, style, [style]")
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in answer.headers["content-security-policy"]


# In a real browser


@pytest.fixture(scope="module")
def browser(need: Callable[[str], str]) -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=need("chromium-headless-shell"))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, onlooker: Reader) -> Iterator[Callable[[tuple[int, int], str], Page]]:
    """Open the page at a size and in a colour scheme; whatever it asks for elsewhere, or complains of, is a fault."""
    opened: list[Page] = []
    faults: list[str] = []

    def opens(size: tuple[int, int], scheme: str) -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)  # type: ignore[arg-type]
        page.on("console", lambda message: faults.append(message.text))
        page.on("request", lambda request: faults.append(request.url) if _foreign(request.url, onlooker) else None)
        page.goto(f"{onlooker.url}/docs")
        opened.append(page)
        return page

    yield opens
    for page in opened:
        page.close()
    assert faults == []


def _foreign(url: str, onlooker: Reader) -> bool:
    """Tell whether an address is neither the hub's nor in the page itself."""
    return not url.startswith((onlooker.url, "data:"))


@pytest.mark.browser
@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])
def test_axe_finds_nothing_to_complain_of(
    visit: Callable[[tuple[int, int], str], Page], size: tuple[int, int], scheme: str
) -> None:
    found = Axe().run(visit(size, scheme), options={"resultTypes": ["violations"]}).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


@pytest.mark.browser
def test_nothing_sticks_out_on_a_telephone(visit: Callable[[tuple[int, int], str], Page]) -> None:
    page = visit(PHONE, "light")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]


@pytest.mark.browser
def test_a_link_in_the_contents_leads_to_its_call_below_the_bar(
    visit: Callable[[tuple[int, int], str], Page],
) -> None:
    page = visit(WIDE, "light")
    page.click("nav a[href='#post-handoffs']")
    top = page.locator("#post-handoffs").bounding_box()
    bar = page.locator("header").bounding_box()
    assert top is not None
    assert bar is not None
    assert bar["height"] <= top["y"] < WIDE[1] / 2
