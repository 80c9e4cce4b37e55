"""Documents contain only blocks that run, and the runner finds false statements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, SITE, documents, read
from tests.docs.operations import ACTIVITIES
from tests.docs.runner import Reader, commands, matches
from tests.docs.site import LEFT_OUT

# Number of ``text`` blocks that a document may have. tests/hosts/test_renamed_account.py runs this one.
NOT_RUN = {"docs/how-to/own-account-model.md": 1}
# Reports without instructions
WITHOUT_BLOCKS = {"CHANGELOG.md", "RELEASING.md"} | {
    f"docs/{name}.md" for name in ("benchmarks", "comparison", "decisions", "reliability", "releases", "security-tests")
}

IDS = [str(document.relative_to(ROOT)) for document in documents()]


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_every_block_is_run(document: Path) -> None:
    blocks = read(document)
    not_run = [block.place for block in blocks if block.language == "text"]
    assert len(not_run) == NOT_RUN.get(str(document.relative_to(ROOT)), 0), not_run
    assert not re.search(r"^(    \S|\t)", _prose(document), re.MULTILINE), "Indented blocks are not run."


def test_every_document_is_listed() -> None:
    paths = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    assert {str(path.relative_to(ROOT)) for path in paths - {*documents()}} == WITHOUT_BLOCKS


@pytest.mark.parametrize("name", sorted(WITHOUT_BLOCKS))
def test_reports_contain_no_blocks(name: str) -> None:
    assert read(ROOT / name) == []


def test_left_out_commands_and_activities_are_used() -> None:
    blocks = [block for document in SITE for block in read(document)]
    used = {command for block in blocks if block.language == "console" for command, _ in commands(block.text)}
    assert used >= {*LEFT_OUT}
    assert {block.text for block in blocks if block.language == "test"} == {*ACTIVITIES, "clone", "stop"}


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_text_names_the_file_of_a_block(document: Path) -> None:
    for block in read(document):
        assert not block.path or f"`{block.path}`" in block.before, block.place


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_links_are_valid(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", document.read_text()):
        path = (document.parent / target).resolve() if target else document
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), f"{target}#{anchor}"


def test_files_of_this_repository_exist() -> None:
    text = "".join(path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
    paths = set(re.findall(r"`((?:accounts_app|benchmarks|config|docs|finta_keys|templates|tests)/[\w./-]+)`", text))
    assert len(paths) > 50
    templates = {path for path in paths if (ROOT / "finta_keys/templates" / path).is_file()}
    assert sorted(path for path in paths - templates if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", document.read_text())) <= targets


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_no_path_of_a_machine(document: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|root|work|Users|tmp)/", document.read_text())


@pytest.mark.parametrize("info", ["", "python", "bash", "text file=a append=a", "console shell=zsh", "pycon file"])
def test_unknown_block_is_rejected(tmp_path: Path, info: str) -> None:
    (tmp_path / "a.md").write_text(f"```{info}\nx = 1\n```\n")
    with pytest.raises(ValueError, match=r"a\.md:1: unknown block"):
        read(tmp_path / "a.md")


def test_commands_have_expected_output() -> None:
    assert commands("$ one \\\n  two\n1\n$ three\n$ four\n4\n\n5\n") == [
        ("one \\\n  two", "1\n"),
        ("three", ""),
        ("four", "4\n\n5\n"),
    ]


@pytest.mark.parametrize(
    ("printed", "expected", "is_match"),
    [
        ("a\nb\nc\n", "a\n…\nc\n", True),
        ("a b c", "a … c", True),
        ("a b c", "a", False),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
    ],
)
def test_output_is_compared(printed: str, expected: str, is_match: bool) -> None:
    assert matches(printed, expected) is is_match


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "Expected output"),
        ("```console\n$ false\n$ true\n```\n", "Exit status 1 instead of 0"),
        ("```console status=2\n$ true\n```\n", "Exit status 0 instead of 2"),
    ],
)
def test_false_statement_is_found(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(AssertionError, match=message):
        Reader(tmp_path, tmp_path).follow(read(tmp_path / "a.md"))


def test_commands_share_variables(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "In `b.txt`:\n\n```text file=b.txt\none\n```\n\n```console\n$ export WORD=one\n```\n\n"
        '```console\n$ grep "$WORD" b.txt\none\n```\n'
    )
    Reader(tmp_path, tmp_path).follow(read(tmp_path / "a.md"))


def _prose(document: Path) -> str:
    """Return a document without its blocks and its list items."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^(?:\d+\.|-) .*\n(?: +\S.*\n)*", "", text, flags=re.MULTILINE)


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
