"""``release.py`` stops if the version, the changelog or the addresses are not those of a release."""

import subprocess

import pytest

import release
from finta_keys import __version__

CHANGELOG = f"# Changelog\n\n## {__version__} (2027-01-31)\n\n- A change\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text('Source = "https://keys.example.org"\n')
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder, *arguments):
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")


def test_release_is_possible(repository):
    assert release.problems() == []


def test_uncommitted_changes_stop_a_release(repository):
    (repository / "new.txt").write_text("new")
    assert release.problems() == ["There are uncommitted changes."]


def test_published_version_stops_a_release(repository):
    git(repository, "tag", f"v{__version__}")
    assert len(release.problems()) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CHANGELOG.md", f"## {__version__}\n"),
        ("CHANGELOG.md", "## 99.0.0 (2027-01-31)\n"),
        ("CHANGELOG.md", CHANGELOG.replace("##", "## Unreleased\n\n### Added\n\n- More\n\n##", 1)),
        ("pyproject.toml", 'Source = "https://example.com/finta-keys"\n'),
    ],
)
def test_unfinished_files_stop_a_release(repository, name, text):
    (repository / name).write_text(text)
    commit(repository)
    assert len(release.problems()) == 1
