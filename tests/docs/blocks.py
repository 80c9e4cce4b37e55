"""The code blocks of the documents and how to run each.

A block starts with three backticks and an info string: a language, then options.

``console``
    Shell commands. A command is a line that starts with ``$ ``, plus the lines after it while a line ends in a
    backslash. Its expected output follows, with ``…`` for any text; without it, any output is accepted. Every command
    must succeed, and the last must exit with ``status=``. ``terminal=`` names another terminal, whose last command
    keeps running. ``paste=secret`` pastes the secret that was copied in the browser.
``pycon``
    A doctest for the project's shell.
any language with ``file=`` or ``append=``
    The contents of a file, or text to append to one.
``mermaid``
    A diagram. Not run.
``text``
    Not run. ``test_blocks.py`` limits how many a document may have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Documents about the site of this repository.
SITE = [
    ROOT / f"{name}.md"
    for name in (
        "README",
        "docs/operations",
        "docs/how-to-change-something",
        "docs/start/operators",
        "docs/start/integrators",
    )
]
OPTIONS = {"console": {"status", "terminal", "paste"}, "pycon": set(), "mermaid": set(), "text": set()}
FILE_OPTIONS = ({"file"}, {"append"})


@dataclass(frozen=True)
class Block:
    """A code block, or a comment ``<!-- test: WORD -->`` that stands for steps the test performs."""

    document: str
    line: int  # number of the block's first line
    language: str  # "test" for a comment
    options: dict[str, str]
    text: str  # the word of a comment
    before: str = ""  # the paragraph above the block

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def path(self) -> str | None:
        """The file that the block writes or appends to."""
        return self.options.get("file") or self.options.get("append")


def documents() -> list[Path]:
    """Return the documents whose blocks are run."""
    names = ["tutorial", "reference", "rules", "scope", "index", "security-model", "how-a-request-flows"]
    paths = [ROOT / f"docs/{name}.md" for name in names]
    paths += [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    paths += [ROOT / "docs/start/owners.md", ROOT / "docs/start/developers.md"]
    return [*paths, *SITE, *sorted((ROOT / "docs/how-to").glob("*.md"))]


def read(document: Path) -> list[Block]:
    """Return the blocks of a document in order. Raise ``ValueError`` for an unknown info string."""
    name = str(document.relative_to(ROOT)) if document.is_relative_to(ROOT) else document.name
    blocks: list[Block] = []
    lines = iter(enumerate(document.read_text().splitlines(), start=1))
    paragraph: list[str] = []
    for number, line in lines:
        if line.startswith("```"):
            words = line[3:].split()
            content = "".join(f"{text}\n" for _, text in takewhile(lambda item: item[1] != "```", lines))
            language = words[0] if words else ""
            block = Block(name, number, language, _options(words[1:]), content, " ".join(paragraph))
            _reject_unknown(block)
            blocks.append(block)
            paragraph = []
        elif comment := re.fullmatch(r"<!-- test: (\w+) -->", line):
            blocks.append(Block(name, number, "test", {}, comment[1]))
        elif line.strip():
            paragraph.append(line)
        elif paragraph and not paragraph[-1].endswith(":"):  # Keep a sentence that introduces the block.
            paragraph = []
    return blocks


def _options(words: list[str]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in words)


def _reject_unknown(block: Block) -> None:
    allowed = OPTIONS.get(block.language)
    is_known = set(block.options) in FILE_OPTIONS or (allowed is not None and set(block.options) <= allowed)
    if is_known and all(block.options.values()):
        return
    raise ValueError(f"{block.place}: unknown block {block.language!r} with options {block.options}.")
