"""Run the plain tests of the app in a fresh project, as ``django-admin startproject`` makes it, in its own process.

The project in ``fresh/`` has models with the names that these tests use; everything else is Django's default.
"""

import os
import shutil
import sys

import pytest

from tests.hosts.conftest import REPOSITORY, Host, run
from tests.hosts.test_hosts import summary

pytestmark = pytest.mark.host

TESTS = REPOSITORY / "tests"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, wheel):
    """A fresh project with the wheel, a copy of the tests, and nothing else from this repository."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "project").mkdir()
    run(sys.executable, "-m", "django", "startproject", "mysite", folder / "project")
    project = Host(folder, wheel, TESTS / "hosts/fresh")
    with (project.folder / "mysite/settings.py").open("a") as settings:
        settings.write((project.folder / "settings.txt").read_text())
    for name in ("cast.py", "factories.py"):
        shutil.copy(TESTS / name, project.folder / "tests")
    (project.folder / "tests/accounts_app").mkdir()
    shutil.copy(TESTS / "accounts_app/api_assertions.py", project.folder / "tests/accounts_app")
    shutil.copytree(
        TESTS / "finta_keys", project.folder / "tests/finta_keys", ignore=shutil.ignore_patterns("__pycache__")
    )
    manage(project, "makemigrations", "accounts_app")
    return project


def manage(project, *command):
    path = os.pathsep.join(str(folder) for folder in (project.packages, project.folder))
    return project.run("manage.py", *command, PYTHONPATH=path)


def test_project_is_valid(fresh):
    assert "no issues (0 silenced)" in manage(fresh, "check")


def test_plain_tests(fresh):
    print(summary(fresh.run("-m", "pytest", "--numprocesses", "2")))


@pytest.mark.skipif("FRESH_ON_POSTGRESQL" not in os.environ, reason="Set FRESH_ON_POSTGRESQL to run it too.")
def test_plain_tests_on_postgresql(fresh, postgresql):
    url = postgresql.create_database("fresh")
    print(summary(fresh.run("-m", "pytest", "--numprocesses", "2", DATABASE_URL=url)))
