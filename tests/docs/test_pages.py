"""The pages hold together: links lead somewhere, pictures are whole, words are ours."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ctxhub.api.app import create_api, description
from ctxhub.errors import every_error
from ctxhub.hub.tenants import read_tenant
from ctxhub.model.event import TOLD
from ctxhub.model.tenant import Kind, Policies, QueueSpec, Step, Tenant
from ctxhub.settings import describe_settings
from ctxhub.store.keys import TABLE
from tests.docs.reading import ROOT, anchors, blocks, links, pages

PICTURES = sorted((ROOT / "docs").rglob("*.svg"))
TENANT_FILES = ROOT / "docs" / "reference" / "tenant-files.md"

#: Words of the glossary's last column that would mean, in a public name, the thing that has another word here.
NOT_OURS = {
    "ack", "alias", "attribute", "cli", "contact", "conversation", "escalation", "field", "flow", "history", "lock",
    "media", "org", "purge", "push", "session", "slot", "summary", "trust", "ttl", "turn", "user", "var",
}  # fmt: skip
#: Whose turn it is to speak is not an utterance; a media type is HTTP's and no channel.
_OUR_PHRASES = ("out_of_turn", "media_type", "MediaType")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        where, _, anchor = link.partition("#")
        target = (page.parent / where).resolve() if where else page
        assert target.exists(), f"{named(page)} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(target), f"{named(page)} links to {link}: there is no such heading"


def test_links_are_found_and_a_wrong_anchor_would_be_seen() -> None:
    readme = ROOT / "README.md"
    assert "docs/concepts.md" in set(links(readme))
    assert "five-minutes" in anchors(readme)
    assert "six-minutes" not in anchors(readme)


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            local = (link.partition("#")[0] for link in links(page) if not link.startswith("http"))
            waiting += [(page.parent / link).resolve() for link in local if link.endswith(".md")]
    assert set((ROOT / "docs").rglob("*.md")) <= reached


@pytest.mark.parametrize("picture", PICTURES, ids=named)
def test_a_picture_is_whole_tells_what_it_shows_and_needs_no_other_host(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert root.findtext("svg:title", namespaces=space)
    assert root.findtext("svg:desc", namespaces=space)
    addresses = set(re.findall(r"https?://[^\"'\s)]+", picture.read_text()))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "<script" not in picture.read_text()


def test_every_picture_is_shown_on_a_page() -> None:
    shown = {(page.parent / link).resolve() for page in pages() for link in links(page) if link.endswith(".svg")}
    assert set(PICTURES) == shown


def test_the_example_of_a_tenants_file_is_one(tmp_path: Path) -> None:
    [example] = [block.text for block in blocks(TENANT_FILES) if block.language == "yaml"]
    path = tmp_path / "acme.yaml"
    path.write_text(example, encoding="utf-8")
    tenant = read_tenant(path)
    assert tenant.kind("card_blocked").needs == ["country", "card_last4"]
    assert tenant.sensitivity("card_last4") == "sensitive"


@pytest.mark.parametrize("shape", [Tenant, Kind, Step, QueueSpec, Policies])
def test_the_page_of_tenants_files_names_every_field(shape: type[Tenant]) -> None:
    text = TENANT_FILES.read_text("utf-8")
    for name in shape.model_fields.keys() - {"tenant"}:
        assert f"`{name}`" in text, f"{name} of {shape.__name__} is not told of"


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("0*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    listed = set(links(folder / "README.md"))
    for record in records:
        assert record.name in listed
        assert record.read_text("utf-8").startswith(f"# {record.name[:4]} ")
        assert "**Decision" in record.read_text("utf-8")


def test_the_glossary_has_each_word_once_in_the_order_of_the_alphabet() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    for part in text.split("In the machine room"):
        words = re.findall(r"^\| ([a-z][^|]*?) \|", part, re.MULTILINE)[1:]
        assert words == sorted(set(words))


def test_public_names_are_made_of_the_glossarys_words() -> None:
    strangers = {name for name in _public_names() if _words_of(name) & NOT_OURS}
    assert strangers == set()


def test_a_public_name_with_a_strange_word_would_be_seen() -> None:
    assert _words_of("sessionId") & NOT_OURS
    assert _words_of("/v1/users/{user_id}") & NOT_OURS
    assert not _words_of("out_of_turn") & NOT_OURS


def _public_names() -> set[str]:
    """Return every name that somebody outside has to write or read."""
    document = description(create_api(None))  # type: ignore[arg-type]
    names = set(document["paths"])
    for schema in document["components"]["schemas"].values():
        names |= set(schema.get("properties", ()))
    for item in document["paths"].values():
        names |= {p["name"] for operation in item.values() for p in operation.get("parameters", ())}
    names |= set(TOLD) | {error.code for error in every_error()} | {error.__name__ for error in every_error()}
    return names | {line.variable for line in describe_settings()} | {kind.pattern for kind in TABLE}


def _words_of(name: str) -> set[str]:
    """Return the words of a name, in the singular as well."""
    for phrase in _OUR_PHRASES:
        name = name.replace(phrase, "")
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
    return words | {word.removesuffix("s") for word in words}
