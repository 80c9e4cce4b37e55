"""The code blocks of the documents, and what is to be done with each.

A block opens with three backticks and its info string: a language, then options. What they mean:

``console``
    Commands for a shell, one after another: lines that begin with ``$ `` (and those after them, while a line ends in a
    backslash). What stands below a command is what it prints, ``…`` for anything; where nothing does, anything goes.
    Each command has to succeed, the last one with the exit status that ``status=`` names. ``terminal=`` names another
    terminal, in which the last command stays at work; ``paste=secret`` types the secret in that was copied in a
    browser.
``pycon``
    A doctest for the shell of the project.
any language with ``file=`` or ``append=``
    The text of a file, or what is added at its end.
``text``
    Not run. Which of them there may be stands in ``test_blocks.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = [ROOT / "README.md", ROOT / "docs/operations.md"]  # for those who run the site of this repository
OPTIONS = {"console": {"status", "terminal", "paste"}, "pycon": set(), "text": set()}
OF_FILES = ({"file"}, {"append"})


@dataclass(frozen=True)
class Block:
    """One code block, or a comment ``<!-- test: WORD -->``, at which a test does what the text tells people to do."""

    document: str
    line: int  # of the document, where it opens
    language: str  # "test" of a comment
    options: dict[str, str]
    text: str  # a comment's word
    before: str = ""  # the paragraph above it

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def path(self) -> str | None:
        """The file that it writes or adds to."""
        return self.options.get("file") or self.options.get("append")


def documents() -> list[Path]:
    """Return the documents whose blocks are run, all of them."""
    named = [ROOT / name for name in ("docs/tutorial.md", "docs/reference.md", "docs/scope.md", "docs/index.md")]
    named += [ROOT / name for name in ("docs/security-model.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*named, *SITE, *sorted((ROOT / "docs/how-to").glob("*.md"))]


def read(document: Path) -> list[Block]:
    """Return the blocks of a document in their order. Raises ``ValueError`` for one whose info string is not known."""
    name = str(document.relative_to(ROOT)) if document.is_relative_to(ROOT) else document.name
    blocks: list[Block] = []
    lines = iter(enumerate(document.read_text().splitlines(), start=1))
    paragraph: list[str] = []
    for number, line in lines:
        if line.startswith("```"):
            words = line[3:].split()
            inner = "".join(f"{text}\n" for _, text in takewhile(lambda each: each[1] != "```", lines))
            block = Block(name, number, words[0] if words else "", _options(words[1:]), inner, " ".join(paragraph))
            _refuse_unknown(block)
            blocks.append(block)
            paragraph = []
        elif marked := re.fullmatch(r"<!-- test: (\w+) -->", line):
            blocks.append(Block(name, number, "test", {}, marked[1]))
        elif line.strip():
            paragraph.append(line)
        elif paragraph and not paragraph[-1].endswith(":"):  # A blank line between the sentence and its block.
            paragraph = []
    return blocks


def _options(words: list[str]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in words)


def _refuse_unknown(block: Block) -> None:
    known = OPTIONS.get(block.language)
    fits = set(block.options) in OF_FILES or (known is not None and set(block.options) <= known)
    if fits and all(block.options.values()):
        return
    raise ValueError(f"{block.place}: nobody knows what to do with a block of {block.language!r}, {block.options}.")
