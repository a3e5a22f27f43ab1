"""Both readmes say the same, each in its own language."""

from __future__ import annotations

import re

from tests.docs.reading import ROOT, Block, blocks, links

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
_CJK = re.compile(r"[\u4e00-\u9fff]")


def bare(block: Block) -> tuple[str, str]:
    """A block without its comments, which are for readers of one language."""
    return block.language, "\n".join(re.sub(r"\s+# .*$", "", line) for line in block.text.splitlines())


def rows(text: str) -> list[set[str]]:
    """The code in each row of the table of commands."""
    return [set(re.findall(r"`[^`]+`", line)) for line in text.splitlines() if line.startswith("| `")]


def test_both_readmes_have_the_same_blocks_to_type_and_to_see() -> None:
    assert [bare(block) for block in blocks(ENGLISH)] == [bare(block) for block in blocks(CHINESE)]


def test_both_readmes_have_the_same_sections_and_tell_of_the_same_commands() -> None:
    english, chinese = (page.read_text("utf-8") for page in (ENGLISH, CHINESE))
    for mark in ("# ", "## ", "- **", "**"):
        count = [sum(line.startswith(mark) for line in text.splitlines()) for text in (english, chinese)]
        assert count[0] == count[1], mark
    assert rows(english) == rows(chinese)


def test_both_readmes_lead_to_the_same_places() -> None:
    other = {"README.md", "README.zh.md"}
    assert set(links(ENGLISH)) - other == set(links(CHINESE)) - other


def test_the_chinese_readme_is_chinese_throughout() -> None:
    prose = re.sub(r"```.*?```", "", CHINESE.read_text("utf-8"), flags=re.DOTALL)
    paragraphs = [part for part in prose.split("\n\n") if part.strip() and part.strip() != "# ctxhub"]
    assert [part for part in paragraphs if not _CJK.search(part)] == []
