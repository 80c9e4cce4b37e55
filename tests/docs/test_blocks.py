"""What a document may contain, and that the runner notices what is not true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, SITE, documents, read
from tests.docs.operations import ACTIVITIES
from tests.docs.runner import Reader, commands, is_like
from tests.docs.site import LEFT_OUT

NOT_RUN: dict[str, int] = {}  # how many blocks of ``text`` a document has
# What was decided and measured
FOLLOWED_BY_NOBODY = {"CHANGELOG.md"} | {
    f"docs/{name}.md" for name in ("benchmarks", "comparison", "decisions", "reliability", "security-tests")
}

IDS = [str(document.relative_to(ROOT)) for document in documents()]


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_each_block_is_run(document: Path) -> None:
    blocks = read(document)
    not_run = [block.place for block in blocks if block.language == "text"]
    assert len(not_run) == NOT_RUN.get(str(document.relative_to(ROOT)), 0), not_run
    assert not re.search(r"^(    \S|\t)", _prose(document), re.MULTILINE), "A block without a fence is not run."


def test_no_document_is_forgotten() -> None:
    there = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    assert {str(path.relative_to(ROOT)) for path in there - {*documents()}} == FOLLOWED_BY_NOBODY


def test_all_that_is_left_out_or_done_between_blocks_stands_in_a_document() -> None:
    blocks = [block for document in SITE for block in read(document)]
    there = {command for block in blocks if block.language == "console" for command, _ in commands(block.text)}
    assert there >= {*LEFT_OUT}
    assert {block.text for block in blocks if block.language == "test"} == {*ACTIVITIES}


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_the_text_names_the_file_that_a_block_is_for(document: Path) -> None:
    for block in read(document):
        assert not block.path or f"`{block.path}`" in block.before, block.place


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", document.read_text()):
        there = (document.parent / target).resolve() if target else document
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_the_make_targets_are_there(document: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", document.read_text())) <= targets


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_no_path_of_a_machine_is_named(document: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|root|work|Users|tmp)/", document.read_text())


@pytest.mark.parametrize("info", ["", "python", "bash", "text file=a append=a", "console shell=zsh", "pycon file"])
def test_a_block_that_nobody_knows_is_refused(tmp_path: Path, info: str) -> None:
    (tmp_path / "a.md").write_text(f"```{info}\nx = 1\n```\n")
    with pytest.raises(ValueError, match=r"a\.md:1: nobody knows"):
        read(tmp_path / "a.md")


def test_commands_and_what_they_print() -> None:
    assert commands("$ one \\\n  two\n1\n$ three\n$ four\n4\n\n5\n") == [
        ("one \\\n  two", "1\n"),
        ("three", ""),
        ("four", "4\n\n5\n"),
    ]


@pytest.mark.parametrize(
    ("printed", "expected", "alike"),
    [
        ("a\nb\nc\n", "a\n…\nc\n", True),
        ("a b c", "a … c", True),
        ("a b c", "a", False),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
    ],
)
def test_what_is_printed_is_compared(printed: str, expected: str, alike: bool) -> None:
    assert is_like(printed, expected) is alike


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "It was to print"),
        ("```console\n$ false\n$ true\n```\n", "It ended with 1, not with 0"),
        ("```console status=2\n$ true\n```\n", "It ended with 0, not with 2"),
    ],
)
def test_what_is_not_true_is_noticed(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(AssertionError, match=complaint):
        Reader(tmp_path, tmp_path).follow(read(tmp_path / "a.md"))


def test_what_one_command_sets_the_next_one_has(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "In `b.txt`:\n\n```text file=b.txt\none\n```\n\n```console\n$ export WORD=one\n```\n\n"
        '```console\n$ grep "$WORD" b.txt\none\n```\n'
    )
    Reader(tmp_path, tmp_path).follow(read(tmp_path / "a.md"))


def _prose(document: Path) -> str:
    """Return a document without its blocks and without what goes on below the item of a list."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^(?:\d+\.|-) .*\n(?: +\S.*\n)*", "", text, flags=re.MULTILINE)


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
