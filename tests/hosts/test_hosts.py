"""Run the suite of another project for each kind of primary key, in its own process."""

import pytest

pytestmark = pytest.mark.host

VARIANTS = {
    "int": {"HOST_KEYS": "int"},
    "uuid": {"HOST_KEYS": "uuid"},
    "text": {"HOST_KEYS": "text"},
    "local": {"HOST_LOCAL": "1"},
}
IMPORT_APP = """
import importlib.util, sys, django
sys.path.append(".")
django.setup()
import finta_keys.admin, finta_keys.authentication, finta_keys.fields, finta_keys.testing, finta_keys.urls
print(finta_keys.__file__, [importlib.util.find_spec(name) for name in ("accounts_app", "config", "tests")])
"""


@pytest.mark.parametrize("variant", VARIANTS)
def test_project(host, variant):
    print(summary(host.run("-m", "pytest", **VARIANTS[variant])))


@pytest.mark.parametrize("variant", ["int", "uuid", "text"])
def test_project_on_postgresql(host, variant, postgresql):
    print(summary(host.run("-m", "pytest", DATABASE_URL=postgresql.create_database(variant), **VARIANTS[variant])))


def test_app_needs_no_module_of_the_site(host):
    printed = host.run("-c", f"import sys; sys.path.append('.'){IMPORT_APP}", DJANGO_SETTINGS_MODULE="host.settings")
    assert printed == f"{host.packages / 'finta_keys/__init__.py'} [None, None, None]\n"


def summary(printed):
    """Return the last line of pytest's output."""
    assert " passed" in printed.splitlines()[-1], printed
    return printed.splitlines()[-1]
