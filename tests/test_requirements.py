"""The locked requirements pin every package, with hashes, for every supported Python."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCKED = sorted(ROOT.glob("requirements*.txt"))
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
IDS = [path.stem for path in LOCKED]


def requirements(path):
    """Return the requirements of a file, each with its lines of hashes."""
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^ *#.*\n", "", path.read_text()).strip())
    return [
        (Requirement(entry.split(" \\")[0]), re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)) for entry in entries
    ]


def versions(path, python):
    """Return the locked version of each package for a version of Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    entries = [entry for entry, _ in requirements(path)]
    selected = [entry for entry in entries if not entry.marker or entry.marker.evaluate(environment)]
    return {requirement.name: str(requirement.specifier) for requirement in selected}


@pytest.mark.parametrize("path", LOCKED, ids=IDS)
def test_every_package_has_version_and_hashes(path):
    assert len(requirements(path)) > 5
    for requirement, hashes in requirements(path):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert hashes, requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("path", LOCKED, ids=IDS)
def test_named_packages_are_locked_for_each_python(path, python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    lines = re.findall(r"(?m)^[a-z].*", path.with_suffix(".in").read_text())
    locked = versions(path, python)
    for requirement in map(Requirement, lines):
        if not requirement.marker or requirement.marker.evaluate(environment):
            assert requirement.specifier.contains(locked[requirement.name][2:]), requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_files_agree_on_versions(python):
    """They are installed into the same environment."""
    locked = {}
    for path in LOCKED:
        for name, version in versions(path, python).items():
            assert locked.setdefault(name, version) == version, (path.name, name)


@pytest.mark.parametrize("path", [*LOCKED, *ROOT.glob("requirements*.in")], ids=lambda path: path.name)
def test_no_address_of_a_package_index(path):
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|--trusted-host", path.read_text())


def test_make_installs_with_hashes():
    makefile = (ROOT / "Makefile").read_text()
    installs = re.findall(r"call install_into,\.venv,(requirements[\w-]*\.txt)(.*)\)", makefile)
    assert {name for name, _ in installs} == {path.name for path in LOCKED}
    assert {rest for _, rest in installs} == {",--require-hashes"}
