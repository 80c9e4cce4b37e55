"""Files, version and requirements of the published distributions."""

import os
import re
import subprocess
import tarfile
import tomllib
from email.parser import Parser
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import finta_keys
from tests.docs.site import make_origin
from tests.hosts.conftest import REPOSITORY, build

pytestmark = pytest.mark.host


def files_of_the_app():
    """Return the tracked files of the app, and new ones that are not ignored."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "finta_keys"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in names if (REPOSITORY / name).exists()}


def files_of(wheel):
    """Return the package files of a wheel and its metadata files."""
    names = set(ZipFile(wheel).namelist())
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    return names - metadata, {name.split("/", 1)[1] for name in metadata}


@pytest.fixture
def metadata(wheel):
    (name,) = (name for name in ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(ZipFile(wheel).read(name).decode())


def test_wheel_contains_only_the_app(wheel):
    files, metadata_files = files_of(wheel)
    assert files == files_of_the_app()
    assert metadata_files == {"METADATA", "WHEEL", "RECORD", "licenses/LICENSE"}


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "migrations/0001_initial.py",
        "management/commands/createkey.py",
        "templates/finta_keys/list.html",
        "templates/admin/finta_keys/create.html",
        "static/finta_keys/style.css",
        "testing.py",
    ],
)
def test_wheel_contains_named_files(wheel, name):
    """Fails if the comparison of file lists compares two empty ones."""
    assert f"finta_keys/{name}" in files_of(wheel)[0]


def test_wheel_from_sdist_has_the_same_files(wheel, published):
    assert files_of(published.wheel) == files_of(wheel)


def test_two_builds_are_identical(published, tmp_path):
    """Another folder with other times and permissions gives the same files, byte for byte."""
    source = tmp_path / "elsewhere"
    source.mkdir()
    make_origin(source)
    for number, path in enumerate(sorted(source.rglob("*"))):
        if path.is_file() and ".git" not in path.parts:
            path.chmod(0o600)
            os.utime(path, (number, number))
    build(source, tmp_path / "dist")
    built = {path.name: path.read_bytes() for path in (tmp_path / "dist").iterdir()}
    assert built == {path.name: path.read_bytes() for path in (published.sdist, published.wheel)}


def test_metadata_has_addresses_and_classifiers(metadata):
    labels = {line.split(",")[0] for line in metadata.get_all("Project-URL")}
    assert labels == {"Homepage", "Documentation", "Changelog", "Source", "Security"}
    classifiers = metadata.get_all("Classifier")
    assert {f"Framework :: Django :: {version}" for version in ("5.2", "6.0", "6.1")} <= {*classifiers}
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata.get_all("License-File") == ["LICENSE"]


def test_sdist_contains_only_the_app(published):
    with tarfile.open(published.sdist) as archive:
        top_level = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    needed = {"finta_keys", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"}
    assert needed <= top_level <= needed | {"SECURITY.md", ".gitignore"}


def test_readme_of_the_wheel_has_absolute_links(metadata):
    """A package index does not know the files of the repository."""
    text = metadata.get_payload()
    targets = re.findall(r"\]\(([^)]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    addresses = [first or second for first, second in targets]
    base = f"https://example.com/finta-keys/(?:blob|raw)/v{re.escape(finta_keys.__version__)}/"
    assert len(addresses) > 10
    assert [address for address in addresses if not address.startswith("https://")] == []
    paths = [re.sub(base, "", address) for address in addresses]
    files = [path.partition("#")[0] for path in paths]
    assert [path for path in files if not (REPOSITORY / path).is_file()] == []
    assert "<!--" not in text


def test_version_matches_the_package(metadata, wheel):
    assert metadata["Version"] == finta_keys.__version__
    assert wheel.name.split("-")[1] == finta_keys.__version__


def test_requirements_match_pyproject(metadata):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    expected = {str(Requirement(line)) for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        expected |= {str(Requirement(f"{line}; extra == '{extra}'")) for line in lines}
    assert {str(Requirement(line)) for line in metadata.get_all("Requires-Dist")} == expected
    assert {Requirement(line).name for line in project["dependencies"]} == {"django", "djangorestframework"}
    assert metadata["Requires-Python"] == project["requires-python"]


def test_missing_file_is_found(wheel, tmp_path):
    incomplete = tmp_path / wheel.name
    with ZipFile(wheel) as original, ZipFile(incomplete, "w") as copy:
        for name in original.namelist():
            if name != "finta_keys/py.typed":
                copy.writestr(name, original.read(name))
    assert files_of_the_app() - files_of(incomplete)[0] == {"finta_keys/py.typed"}
