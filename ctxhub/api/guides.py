"""The guides: the pages of the repository, as HTML for eyes at /docs/guides/ and as Markdown for machines.

In a wheel they stand under `ctxhub/guides`, each where it stands in the repository; in a checkout they are the
repository's own files. So every link between them leads on, wherever they are read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Response
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from ctxhub import __version__
from ctxhub.api.calls import Route
from ctxhub.api.docs import PAGES, POLICY
from ctxhub.errors import Unknown

router = APIRouter(route_class=Route, include_in_schema=False)

AT = "/docs/guides/"
INDEX = "docs/README.md"
KINDS = {".md": "text/markdown", ".svg": "image/svg+xml", ".py": "text/plain", ".sh": "text/plain",
          ".yaml": "text/plain", "": "text/plain"}  # fmt: skip
#: What is served, and what a wheel must bring along: patterns from the top of the repository.
SERVED = ("*.md", "LICENSE", "docs/**/*", "adapters/**/*.md", "deploy/tenants/*.yaml")
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"^[a-z]+:")
_ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)]+)\): (.+?)(?=\n- |\n\n|\Z)", re.MULTILINE | re.DOTALL)
_NO_HEAD = re.compile(r"<thead>\s*<tr>\s*(<th></th>\s*)+</tr>\s*</thead>\s*")
_PARAGRAPH = "\n\n"
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


class Listed(NamedTuple):
    """One guide as the index lists it."""

    title: str
    place: str
    promise: str


class Guide(NamedTuple):
    """One page: its place in the repository, its name in URLs, and its Markdown."""

    place: str
    name: str
    text: str

    @property
    def title(self) -> str:
        """What its first heading says."""
        found = re.search(r"^# (.+)$", self.text, re.MULTILINE)
        return found[1] if found else self.place


def home() -> Path | None:
    """Return the folder that the guides stand in: the package's own, or the checkout that it runs from."""
    package = Path(str(files("ctxhub")))
    if (package / "guides").is_dir():
        return package / "guides"
    checkout = package.parent
    return checkout if (checkout / "pyproject.toml").is_file() and (checkout / INDEX).is_file() else None


@cache
def places() -> dict[str, Path]:
    """Return every file that is served, by its place in the repository: these, and no others."""
    there = home()
    if there is None:
        return {}
    found = sorted(path for pattern in SERVED for path in there.glob(pattern) if path.suffix in KINDS)
    return {path.relative_to(there).as_posix(): path for path in found if path.is_file()}


def name_of(place: str) -> str:
    """Return what a file is called in URLs: pages lose their ending, and those of docs/ their folder."""
    if place == INDEX:
        return ""
    return place.removesuffix(".md").removeprefix("docs/")


@cache
def _by_name() -> dict[str, str]:
    """Return every page's place by its name."""
    return {name_of(place): place for place in places()}


def guide(place: str) -> Guide:
    """Read a page."""
    text = _COMMENT.sub("", places()[place].read_text("utf-8"))
    return Guide(place, name_of(place), text)


@router.get("/docs/guides")
@router.get(AT + "{name:path}")
async def read(name: str = "") -> Response:
    """Return a guide as a page, as Markdown where `.md` is added, and whatever a guide shows as it is."""
    place = _by_name().get(name)
    if place is not None and place.endswith(".md"):
        return _answer(page(place), "text/html")
    place = place or _by_name().get("" if name == "index.md" else name.removesuffix(".md"))
    if place is None:
        raise Unknown(f"there is no guide {name!r}: {AT} lists them")
    return _answer(places()[place].read_bytes(), KINDS[places()[place].suffix])


def _answer(content: str | bytes, kind: str) -> Response:
    """Return a file, with leave to load nothing from elsewhere."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(content, headers=headers, media_type=f"{kind}; charset=utf-8")


@cache
def page(place: str) -> str:
    """Return a guide as HTML; kept, since it changes with the release only."""
    shown = guide(place)
    tokens = _MARKDOWN.parse(shown.text)
    _with_anchors(tokens)
    _with_links(tokens, place)
    html = _NO_HEAD.sub("", _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))
    return _TEMPLATE.render(
        guide=shown,
        language="zh-CN" if place.endswith(".zh.md") else "en",
        sections=index(),
        body=Markup(html),  # noqa: S704 - our own pages, with HTML off
        version=__version__,
        at=AT,
    )


def _with_anchors(tokens: list[Token]) -> None:
    """Give each heading the anchor that forges give it."""
    seen: dict[str, int] = {}
    for opening, content in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        anchor = anchor_of(content.content)
        seen[anchor] = seen.get(anchor, -1) + 1
        opening.attrSet("id", anchor if not seen[anchor] else f"{anchor}-{seen[anchor]}")


def anchor_of(heading: str) -> str:
    """Spell a heading as an anchor."""
    kept = (c for c in heading.lower().replace("`", "") if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def _with_links(tokens: list[Token], place: str) -> None:
    """Let links between files lead to where the hub serves them; code that is wider than the page can be reached."""
    for token in tokens:
        if token.type == "fence":
            token.attrSet("tabindex", "0")
        for inline in token.children or ():
            for name in ("href", "src"):
                link = inline.attrGet(name)
                if link is not None:
                    inline.attrSet(name, address(str(link), place))


def address(link: str, place: str) -> str:
    """Return where a link of a page leads on the hub."""
    if _ELSEWHERE.match(link) or link.startswith("#"):
        return link
    path, mark, anchor = link.partition("#")
    return f"{AT}{name_of(_target(path, place))}{mark}{anchor}"


def markdown_at(place: str) -> str:
    """Return where the hub serves a page's Markdown."""
    return f"{AT}{name_of(place) or 'index'}.md"


def _target(path: str, place: str) -> str:
    """Return the place that a link of a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), path))


@cache
def index() -> dict[str, list[Listed]]:
    """Return what the index lists, section by section; a wheel made without guides has none."""
    sections: dict[str, list[Listed]] = {}
    text = guide(INDEX).text if INDEX in places() else ""
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        found = _ENTRY.findall(body)
        sections[heading] = [Listed(title, _target(link, INDEX), " ".join(said.split())) for title, link, said in found]
    return sections


PAGES.filters |= {"address": lambda place: f"{AT}{name_of(place)}", "markdown": markdown_at}
_TEMPLATE = PAGES.get_template("guide.html")


# For machines that read


def listing(link: Callable[[str], str]) -> str:
    """Write llms.txt (llmstxt.org): what ctxhub is, then the index, each guide as a link with what it is for."""
    shown = guide("README.md")
    parts = [f"# {shown.title}", f"> {' '.join(shown.text.split(_PARAGRAPH)[1].split())}"]
    for section, guides in index().items():
        lines = [f"- [{each.title}]({link(each.place)}): {each.promise}" for each in guides]
        parts.append("\n".join([f"## {section}", "", *lines]))
    return _PARAGRAPH.join(parts) + "\n"


@router.get("/llms.txt")
async def llms() -> Response:
    """Return the list of guides for machines that read, with links to their Markdown here."""
    more = "\n## Optional\n\n- [All of it](/llms-full.txt): every guide above, one after the other\n"
    return Response(listing(markdown_at) + more, media_type="text/markdown; charset=utf-8")


@router.get("/llms-full.txt")
async def llms_full() -> Response:
    """Return every guide that is listed, one after the other."""
    return Response(everything(), media_type="text/markdown; charset=utf-8")


@cache
def everything() -> str:
    """Write every guide that is listed into one text."""
    listed = [guide(each.place) for guides in index().values() for each in guides]
    return _PARAGRAPH.join(f"<!-- {each.place} -->\n\n{each.text.strip()}" for each in listed) + "\n"
