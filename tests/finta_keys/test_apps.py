"""How this app starts, with and without drf-spectacular beside it."""

import subprocess
import sys
from unittest import mock

import pytest
from django.apps import apps
from drf_spectacular.openapi import AutoSchema

from finta_keys import openapi

WHERE_EACH_VIEW_TAKES_KEYS = """
import sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "finta_keys"],
    FINTA_KEYS_ACCOUNT_MODEL="auth.User",
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["finta_keys.authentication.ApiKeyAuthentication"]},
)
django.setup()
__import__(sys.argv[1])
"""


@pytest.mark.parametrize("spectacular", [object(), None], ids=["installed", "absent"])
def test_the_app_starts_with_drf_spectacular_and_without(spectacular):
    with mock.patch("finta_keys.apps.find_spec", return_value=spectacular):
        apps.get_app_config("finta_keys").ready()


def test_the_module_of_the_hook_is_there_from_the_start(settings, tmp_path, monkeypatch):
    """Its receivers of sign-ins would else be deaf until somebody creates a key."""
    (tmp_path / "own_sign_in.py").write_text("def ask(request):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.FINTA_KEYS_FRESH_SIGN_IN = "own_sign_in.ask"
    monkeypatch.delitem(sys.modules, "own_sign_in", raising=False)
    apps.get_app_config("finta_keys").ready()
    assert "own_sign_in" in sys.modules


def test_a_hook_that_is_not_there_is_left_to_the_check(settings):
    settings.FINTA_KEYS_FRESH_SIGN_IN = "nowhere.ask"
    apps.get_app_config("finta_keys").ready()


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ("", "is not set."),
        ("FINTA_KEYS_ACCOUNT_MODEL=None", "is None."),
        ("FINTA_KEYS_ACCOUNT_MODEL='shops.models.Shop'", "is 'shops.models.Shop'."),
        ("FINTA_KEYS_ACCOUNT_MODEL='Shop'", "is 'Shop'."),
    ],
)
def test_a_project_that_names_no_account_model_starts_with_one_clear_sentence(configured, said):
    code = (
        "import django; from django.conf import settings;"
        f"settings.configure(INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth', 'finta_keys'],"
        f"{configured}); django.setup()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert result.stderr.splitlines()[-1] == (
        f"django.core.exceptions.ImproperlyConfigured: FINTA_KEYS_ACCOUNT_MODEL {said} Set it to the labels of an app "
        'and of a model of it, such as "shops.Shop": the model that keys are limited to.'
    )


@pytest.mark.parametrize(
    "module", ["rest_framework.views", "finta_keys.scoping", "finta_keys.fields", "finta_keys.testing"]
)
def test_the_app_starts_where_each_view_takes_keys(module):
    # Django REST framework asks for the class while its own views are loaded: whatever of the app needs these is late.
    command = [sys.executable, "-c", WHERE_EACH_VIEW_TAKES_KEYS, module]
    started = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert started.returncode == 0, started.stderr


def test_X1_the_security_scheme_publishes_the_pattern():
    scheme = openapi.ApiKeyScheme.__new__(openapi.ApiKeyScheme)
    definition = scheme.get_security_definition(mock.Mock(spec=AutoSchema))
    assert (definition["type"], definition["scheme"]) == ("http", "bearer")
    assert "`^finta_[0-9A-Za-z]{54}$`" in definition["description"]
