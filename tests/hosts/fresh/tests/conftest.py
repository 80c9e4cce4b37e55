import pytest

from tests.site_tests import SITE_TESTS

pytest.register_assert_rewrite("tests.cast")  # before it is imported

from tests.cast import ApiClient  # noqa: E402, F401  # for the tests

pytest_plugins = ["finta_keys.pytest_plugin", "tests.cast"]


def pytest_collection_modifyitems(config, items):
    """Leave out the tests of the site. Fail if one of them does not exist any more."""
    names = {item: item.nodeid.partition("tests/finta_keys/")[2].partition("[")[0] for item in items}
    files = {name.partition("::")[0] for name in names.values()}
    of_site = {name for tests in SITE_TESTS.values() for name in tests}
    unknown = {name for name in of_site - set(names.values()) if name.partition("::")[0] in files}
    assert not unknown, f"site_tests.py lists tests that do not exist: {unknown}"
    config.hook.pytest_deselected(items=[item for item in items if names[item] in of_site])
    items[:] = [item for item in items if names[item] not in of_site]
