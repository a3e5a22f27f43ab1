"""Reading what is written: code blocks, links and headings of Markdown pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(https?://[^>\s]+)>")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block: its language and its text."""

    language: str
    text: str


def pages() -> list[Path]:
    """Return every page that a reader may come to."""
    return [
        *sorted(ROOT.glob("README*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "adapters").rglob("*.md")),
    ]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(*found) for found in _FENCE.findall(page.read_text("utf-8"))]


def links(page: Path) -> Iterator[str]:
    """Yield where a page's links lead; what stands in code is none."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text("utf-8")))
    for inline, bare in _LINK.findall(prose):
        yield inline or bare


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, spelt as forges do."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    return {_anchor(heading) for heading in _HEADING.findall(prose)}


def _anchor(heading: str) -> str:
    """Spell a heading as an anchor."""
    kept = (c for c in heading.lower().replace("`", "") if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of a page that are shown with a prompt, without comments."""
    for block in blocks(page):
        if block.language == "console":
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    yield line[2:].split("  #")[0].strip()
