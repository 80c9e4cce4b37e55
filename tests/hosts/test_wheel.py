"""What is published: files, version, requirements and size."""

import subprocess
import tarfile
import tomllib
from email.parser import Parser
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import finta_keys
from tests.hosts.conftest import REPOSITORY

pytestmark = pytest.mark.host

LARGEST = 120_000  # bytes


def files_of_the_app():
    """Return the files of the app that git knows of, or would take in."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "finta_keys"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in names if (REPOSITORY / name).exists()}


def files_of(wheel):
    """Return the files of a wheel, and apart from them those of its description."""
    names = set(ZipFile(wheel).namelist())
    description = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    return names - description, {name.split("/", 1)[1] for name in description}


@pytest.fixture
def metadata(wheel):
    (name,) = (name for name in ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(ZipFile(wheel).read(name).decode())


def test_the_wheel_holds_the_app_and_nothing_else(wheel):
    files, description = files_of(wheel)
    assert files == files_of_the_app()
    assert description == {"METADATA", "WHEEL", "RECORD", "licenses/LICENSE"}


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
def test_what_is_no_module_is_there_too(wheel, name):
    """By name, so that a list of files that is empty on both sides is noticed."""
    assert f"finta_keys/{name}" in files_of(wheel)[0]


def test_the_wheel_that_is_built_from_the_sdist_has_the_same_files(wheel, published):
    assert files_of(published.wheel) == files_of(wheel)


def test_the_sdist_holds_what_the_wheel_needs_and_nothing_of_the_site(published):
    with tarfile.open(published.sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    needed = {"finta_keys", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"}
    assert needed <= tops <= needed | {"SECURITY.md", ".gitignore"}


def test_the_version_has_one_place(metadata, wheel):
    assert metadata["Version"] == finta_keys.__version__
    assert wheel.name.split("-")[1] == finta_keys.__version__


def test_the_requirements_are_as_stated(metadata):
    stated = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    expected = {str(Requirement(each)) for each in stated["dependencies"]}
    for extra, needed in stated["optional-dependencies"].items():
        expected |= {str(Requirement(f"{each}; extra == '{extra}'")) for each in needed}
    assert {str(Requirement(each)) for each in metadata.get_all("Requires-Dist")} == expected
    assert {Requirement(each).name for each in stated["dependencies"]} == {"django", "djangorestframework"}
    assert metadata["Requires-Python"] == stated["requires-python"]


def test_the_wheel_is_small(wheel):
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1000:.1f} kB")
    assert size < LARGEST


def test_a_file_that_is_left_out_is_noticed(wheel, tmp_path):
    """The comparison above is able to fail."""
    lesser = tmp_path / wheel.name
    with ZipFile(wheel) as whole, ZipFile(lesser, "w") as copy:
        for name in whole.namelist():
            if name != "finta_keys/py.typed":
                copy.writestr(name, whole.read(name))
    assert files_of_the_app() - files_of(lesser)[0] == {"finta_keys/py.typed"}
